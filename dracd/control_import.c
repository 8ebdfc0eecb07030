/* "import-drac": grants what is left in a database of DRAC. */
#include "dracd/abandon.h"
#include "dracd/cleanup.h"
#include "dracd/control_internal.h"
#include "dracd/log.h"

enum {
	/* Rows that are told one by one; all are counted. */
	LEFT_MAX = 100,
};

static void send_left(const struct import_left *left, void *context)
{
	struct session *session = context;
	struct line line;

	if (session->told == LEFT_MAX)
		return;
	session->told++;
	line_init(&line, "left");
	line_add_number(&line, "row", left->row);
	line_add(&line, "key", left->key);
	if (left->problem) {
		line_add(&line, "text", left->problem);
	} else {
		line_add(&line, "reason", reason_name(left->reason));
		if (reason_hint(left->reason))
			line_add(&line, "hint", reason_hint(left->reason));
	}
	control_send(session, &line);
}

static uint64_t count_refused(const struct import_counts *counts)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < REASON_COUNT; i++)
		count += counts->refused[i];
	return count;
}

static void add_counts(struct line *line, const struct import_counts *counts)
{
	char key[64];

	line_add_number(line, "rows", counts->rows);
	line_add_number(line, "granted", counts->granted);
	line_add_number(line, "renewed", counts->renewed);
	line_add_number(line, "expired", counts->expired);
	line_add_number(line, "malformed", counts->malformed);
	line_add_number(line, "refused", count_refused(counts));
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		if (counts->refused[i] == 0)
			continue;
		snprintf(key, sizeof(key), "refused_%s", reason_name(i));
		line_add_number(line, key, counts->refused[i]);
	}
}

static void log_end(const struct import_end *end)
{
	const struct import_counts *counts = &end->counts;

	log_message(end->error ? LOG_WARNING : LOG_INFO,
		"imported rows=%llu granted=%llu renewed=%llu expired=%llu malformed=%llu "
		"refused=%llu%s%s",
		(unsigned long long)counts->rows, (unsigned long long)counts->granted,
		(unsigned long long)counts->renewed, (unsigned long long)counts->expired,
		(unsigned long long)counts->malformed,
		(unsigned long long)count_refused(counts), end->error ? ": " : "",
		end->error ? end->text : "");
}

/* Every row is stored and the maps have it, or have had their time. */
static void done_settle(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	_cleanup_(free_pointer) struct line *line = TAKE_PTR(session->answer);

	line_add_number(line, "maps_late", outcome->maps_late);
	control_finish(session, line);
}

static void done_import(const struct import_end *end, void *context)
{
	struct session *session = context;
	struct line *line = malloc(sizeof(*line));

	session->import = NULL;
	session->daemon->is_importing = false;
	log_end(end);
	if (!line) {
		control_fail(session, "temporary", "out of memory");
		return;
	}
	if (end->error) {
		answer_error(line, end->error, end->text);
	} else {
		line_init(line, "OK");
		line_add_bare(line, "imported");
	}
	add_counts(line, &end->counts);
	session->answer = line;
	core_settle(&session->daemon->core, CONTROL_WAIT_USEC, done_settle, session);
}

void control_import(struct session *session, const struct words *words)
{
	_cleanup_(close_aside) int file = connection_take_file(session->connection);
	const struct import_settings settings = {
		.core = &session->daemon->core,
		.file = file,
		.left = send_left,
		.done = done_import,
		.context = session,
	};
	char text[MAP_CHILD_TEXT_SIZE];

	(void)words;
	if (file < 0) {
		control_fail(session, "syntax", "a file must be handed over as well");
		return;
	}
	if (session->daemon->is_importing) {
		control_fail(session, "busy", "another import is under way");
		return;
	}
	session->told = 0;
	if (import_start(&settings, &session->import, text) < 0)
		control_fail(session, "file", text);
	else
		session->daemon->is_importing = true;
}

void control_import_cancel(struct session *session)
{
	import_cancel(session->import);
	log_message(LOG_WARNING, "an import is broken off: who has asked for it is gone");
	session->import = NULL;
	session->daemon->is_importing = false;
	session->is_busy = false;
}
