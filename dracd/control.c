/* The control socket: a table of commands, and those that change something. */
#include "dracd/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/control_internal.h"
#include "dracd/log.h"

/* ---- answers ---- */

void control_send(struct session *session, struct line *line)
{
	if (session->connection)
		answer_send(session->connection, line);
}

void control_finish(struct session *session, struct line *line)
{
	struct connection *connection = session->connection;

	session->is_busy = false;
	if (!connection) {
		free(session);
		return;
	}
	answer_send(connection, line);
	connection_release(connection);
	connection_resume(connection);
}

void control_fail(struct session *session, const char *reason, const char *text)
{
	struct line line;

	answer_error(&line, reason, text);
	control_finish(session, &line);
}

/* ---- turns of the loop ---- */

int control_add_turn(
	struct session *session, sd_event_time_handler_t turn, sd_event_source **ret)
{
	return sd_event_add_time_relative(
		session->daemon->core.event, ret, CLOCK_MONOTONIC, 0, 1, turn, session);
}

void control_turn_again(sd_event_source *source)
{
	(void)sd_event_source_set_time_relative(source, 0);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- orders ---- */

static void done_add(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	struct line line;

	answer_login(&line, &session->login, outcome);
	control_finish(session, &line);
}

static void control_add(struct session *session, const struct words *words)
{
	const char *problem;

	if (login_parse(words, "dracctl", true, &session->login, &problem) < 0) {
		control_fail(session, "syntax", problem);
		return;
	}
	core_login(&session->daemon->core, &session->login, true,
		&(struct login_reply){.done = done_add, .context = session});
}

/* Decodes address= or user=, and reason=.  NULL, or what is wrong. */
static const char *parse_subject(const struct words *words, struct block *ret)
{
	const char *address = words_get(words, "address");
	const char *user = words_get(words, "user");
	const char *text = words_get(words, "reason");

	*ret = (struct block){.is_user = user != NULL};
	if (!address == !user)
		return "either address= or user= must be given";
	if (address && address_parse_prefix(address, &ret->address) < 0)
		return "address= is not an address or network";
	if (user && (!*user || strlen(user) >= sizeof(ret->user)))
		return "user= must have 1 to 255 octets";
	if (text && strlen(text) >= sizeof(ret->text))
		return "reason= is longer than 255 octets";
	if (user)
		memcpy(ret->user, user, strlen(user) + 1);
	if (text)
		memcpy(ret->text, text, strlen(text) + 1);
	return NULL;
}

static void add_subject(struct line *line, const struct block *block)
{
	char address[ADDRESS_TEXT_SIZE];

	if (block->is_user)
		line_add(line, "user", block->user);
	else
		line_add(line, "address", address_format(&block->address, address));
}

static void add_reach(
	struct line *line, const struct session *session, unsigned maps_late)
{
	const struct publisher *publisher = session->daemon->core.publisher;

	line_add_number(line, "lookups", session->daemon->lookups.count);
	line_add_number(line, "maps", publisher ? publisher_map_count(publisher) : 0);
	line_add_number(line, "maps_late", maps_late);
}

static void done_revoke(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	struct line line;

	if (outcome->error < 0) {
		control_fail(session, "temporary",
			outcome->in_force
				? "refused while this dracd runs, but that could not be stored; see "
				  "dracd's log"
				: "not revoked: it could not be stored; see dracd's log");
		return;
	}
	line_init(&line, "OK");
	line_add_bare(&line, "revoked");
	add_subject(&line, &session->block);
	line_add_number(&line, "users", outcome->ended.users);
	line_add_number(&line, "leases", outcome->ended.leases);
	if (session->hold_usec)
		line_add_number(&line, "until_ms",
			clock_add(outcome->time.wall_usec, session->hold_usec) /
				USEC_PER_MSEC);
	add_reach(&line, session, outcome->maps_late);
	control_finish(session, &line);
}

static void control_revoke(struct session *session, const struct words *words)
{
	struct core *core = &session->daemon->core;
	const char *problem = parse_subject(words, &session->block);
	unsigned long long hold = core->config->revoke_hold_usec / USEC_PER_MSEC;

	if (!problem && (words_get_number(words, "hold_ms", &hold) == -EINVAL ||
				hold > 366ULL * 86400 * 1000))
		problem = "hold_ms= is not a number of milliseconds of at most a year";
	if (problem) {
		control_fail(session, "syntax", problem);
		return;
	}
	session->hold_usec = hold * USEC_PER_MSEC;
	core_revoke(core, &session->block, session->hold_usec, CONTROL_WAIT_USEC,
		done_revoke, session);
}

static void done_unblock(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	struct line line;

	if (outcome->error < 0) {
		control_fail(session, "temporary",
			"unblocked, but that could not be stored; see dracd's log");
		return;
	}
	line_init(&line, "OK");
	line_add_bare(&line, "unblocked");
	control_finish(session, &line);
}

static void control_unblock(struct session *session, const struct words *words)
{
	const char *problem = parse_subject(words, &session->block);
	struct line line;
	int r;

	if (problem) {
		control_fail(session, "syntax", problem);
		return;
	}
	r = core_unblock(&session->daemon->core, &session->block, done_unblock, session);
	if (r == -ENOENT) {
		line_init(&line, "NO");
		line_add(&line, "reason", "no_block");
		control_finish(session, &line);
	} else if (r < 0) {
		control_fail(session, "temporary", "out of memory");
	}
}

static void done_flush(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	struct line line;

	if (outcome->error < 0) {
		control_fail(
			session, "temporary", "nothing was flushed; see dracd's log");
		return;
	}
	line_init(&line, "OK");
	line_add_bare(&line, "flushed");
	line_add_number(&line, "leases", outcome->ended.leases);
	add_reach(&line, session, outcome->maps_late);
	control_finish(session, &line);
}

static void control_flush(struct session *session, const struct words *words)
{
	(void)words;
	core_flush(&session->daemon->core, CONTROL_WAIT_USEC, done_flush, session);
}

/* A line holds it in any case: an octet takes three at most. */
static void send_problem(struct session *session, const struct problem *problem)
{
	char text[640];
	struct line line;

	snprintf(text, sizeof(text), "%s", problem->text);
	line_init(&line, problem->is_warning ? "warning" : "problem");
	line_add(&line, "text", text);
	control_send(session, &line);
}

static void done_reload(const struct outcome *outcome, void *context)
{
	struct line line;

	line_init(&line, "OK");
	line_add_bare(&line, "reloaded");
	if (outcome->maps_late > 0)
		line_add_number(&line, "maps_late", outcome->maps_late);
	control_finish(context, &line);
}

static void control_reload(struct session *session, const struct words *words)
{
	struct problems problems = {0};
	int r;

	(void)words;
	r = daemon_reload(session->daemon, &problems);
	for (size_t i = 0; i < problems.count; i++)
		send_problem(session, &problems.items[i]);
	problems_done(&problems);
	if (r < 0)
		control_fail(
			session, "config", "the running configuration stays in force");
	else
		core_settle(
			&session->daemon->core, CONTROL_WAIT_USEC, done_reload, session);
}

static void control_blocks(struct session *session, const struct words *words)
{
	const struct blocks *blocks = session->daemon->core.blocks;
	struct moment now = clock_now();
	struct line line;
	size_t count = 0;

	(void)words;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];

		if (block->until_boot_usec <= now.boot_usec)
			continue;
		line_init(&line, "block");
		add_subject(&line, block);
		line_add_number(
			&line, "until_ms", block->until_wall_usec / USEC_PER_MSEC);
		line_add(&line, "text", block->text);
		control_send(session, &line);
		count++;
	}
	line_init(&line, "OK");
	line_add_number(&line, "count", count);
	control_finish(session, &line);
}

/* ---- commands ---- */

static const struct command {
	const char *name;
	bool writes;      /* needs more than to be let onto the socket */
	const char *keys; /* known ones, each between spaces */
	void (*run)(struct session *session, const struct words *words);
} commands[] = {
	{"status", false, " ", control_status},
	{"list", false, " user service expiring_ms ", control_list},
	{"check", false, " address ", control_check},
	{"blocks", false, " ", control_blocks},
	{"maps", false, " name rebuild verify ", control_maps},
	{"add", true, " address ttl_ms user service wait_ms ", control_add},
	{"revoke", true, " address user hold_ms reason ", control_revoke},
	{"unblock", true, " address user ", control_unblock},
	{"flush", true, " ", control_flush},
	{"reload", true, " ", control_reload},
	{"import-drac", true, " ", control_import},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* NULL, or what is wrong with the words behind the verb, whatever their values are. */
static const char *check_keys(const struct command *command, const struct words *words)
{
	for (unsigned i = 1; i < words->count; i++) {
		const char *key = words->word[i].key;
		const char *at = strstr(command->keys, key);

		if (!at || at[-1] != ' ' || at[strlen(key)] != ' ')
			return "unknown key";
		if (!words->word[i].value)
			return "a key without a value";
	}
	return NULL;
}

/* root, the daemon's own account, and members of admin_group. */
static bool may_write(const struct session *session)
{
	const struct peer *peer = connection_peer(session->connection);

	return peer->uid == 0 || peer->uid == geteuid() ||
	       connection_peer_in_group(
		       session->connection, session->daemon->core.config->admin_group);
}

static void run_line(struct session *session, char *text, size_t length)
{
	const struct command *command;
	const char *problem;
	struct words words;

	session->is_busy = true;
	connection_hold(session->connection);
	connection_pause(session->connection);
	if (words_parse(text, length, &words, &problem) < 0) {
		control_fail(session, "syntax", problem);
		return;
	}
	command = find_command(words.word[0].key);
	problem = command ? check_keys(command, &words) : "unknown command";
	if (problem)
		control_fail(session, "syntax", problem);
	else if ((command->writes || words_get(&words, "rebuild") ||
			 words_get(&words, "verify")) &&
		 !may_write(session))
		control_fail(session, "denied", "only root and admin_group may do that");
	else
		command->run(session, &words);
}

/* ---- the protocol ---- */

static int open_session(struct connection *connection, void **ret_state)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->connection = connection;
	session->daemon = server_context(connection_server(connection));
	*ret_state = session;
	return 0;
}

static void close_session(struct connection *connection)
{
	struct session *session = connection_state(connection);

	if (!session)
		return;
	session->connection = NULL;
	if (session->listing.is_active)
		control_list_cancel(session);
	if (session->counting.next_turn)
		control_status_cancel(session);
	if (session->import)
		control_import_cancel(session);
	if (!session->is_busy)
		free(session);
}

static ssize_t consume_control(struct connection *connection, char *data, size_t length)
{
	struct session *session = connection_state(connection);
	struct line line;
	size_t line_length;
	ssize_t taken = line_find(data, length, &line_length);

	if (taken < 0) {
		answer_error(&line, "too_long", "a line has at most 2048 octets");
		answer_send(connection, &line);
	}
	if (taken > 0)
		run_line(session, data, line_length);
	return taken;
}

/* From those alone who may give orders: to close a descriptor can take long, and its file
 * may be of a kind that the peer has chosen for that (fuse(4)). */
static bool takes_files_control(const struct connection *connection)
{
	return may_write(connection_state(connection));
}

static void drained_control(struct connection *connection)
{
	struct session *session = connection_state(connection);

	if (session->listing.is_active)
		control_list_continue(session);
}

static void overdue_control(struct connection *connection)
{
	struct line line;

	answer_error(&line, "timeout", "no whole request within 10 s");
	answer_send(connection, &line);
}

const struct protocol control_protocol = {
	.name = "control",
	.request_max = LINE_SIZE_MAX,
	.takes_files = takes_files_control,
	.no_room = "ERR reason=busy text=too%20many%20connections\n",
	.overdue = overdue_control,
	.opened = open_session,
	.consume = consume_control,
	.drained = drained_control,
	.closed = close_session,
};
