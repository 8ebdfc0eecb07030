/* What the control socket asks of the rest of the daemon, for its target: a small world
 * that answers in every way there is. */
#include <errno.h>
#include <stdio.h>

#include "dracd/control_internal.h"
#include "tests/fuzz/core.h"
#include "tests/fuzz/daemon.h"

/* ---- turns of the loop ---- */

struct sd_event_source {
	sd_event_time_handler_t handler;
	void *context;
	bool is_on;
	struct sd_event_source *next;
};

static struct sd_event_source *sources;

int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock,
	uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler, void *context)
{
	struct sd_event_source *source = calloc(1, sizeof(*source));

	(void)event;
	(void)clock;
	(void)usec;
	(void)accuracy;
	if (!source)
		return -ENOMEM;
	*source = (struct sd_event_source){handler, context, true, sources};
	sources = source;
	*ret = source;
	return 0;
}

int sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
	(void)source;
	(void)usec;
	return 0;
}

int sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
	source->is_on = enabled != SD_EVENT_OFF;
	return 0;
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *source)
{
	for (struct sd_event_source **at = &sources; source && *at; at = &(*at)->next)
		if (*at == source) {
			*at = source->next;
			free(source);
			break;
		}
	return NULL;
}

bool fuzz_daemon_go_on(void *context)
{
	for (struct sd_event_source *at = sources; at; at = at->next)
		if (at->is_on) {
			at->is_on = false;
			at->handler(at, 0, at->context);
			return true;
		}
	return fuzz_core_go_on(context);
}

/* ---- the table ---- */

enum {
	ROWS = 600, /* more than are told at once */
	ROWS_OVER = 590,
};

static struct lease lease_at(unsigned i)
{
	struct lease lease = {
		.address = {.ip = {.s6_addr = {[10] = 0xff,
					   0xff,
					   203,
					   0,
					   (uint8_t)(i / 256),
					   (uint8_t)i}},
			.length = 128},
		.deadline_boot_usec = (i < ROWS_OVER ? 999 : 1001 + i) * USEC_PER_SEC,
		.deadline_wall_usec = UINT64_MAX / (i + 1),
		.share_count = (uint8_t)(i % 4),
		.shares = {1, 2, 3},
		.services = {.count = 1, .items = {{"imap", UINT64_MAX}}},
	};

	return lease;
}

int table_reader_begin(struct table_reader *reader)
{
	(void)reader;
	return 0;
}

void table_reader_end(struct table_reader *reader)
{
	(void)reader;
}

int table_each_expiry(struct table_reader *reader, const struct expiry *after,
	int (*visit)(const struct expiry *row, void *context), void *context)
{
	(void)reader;
	for (unsigned i = 0; i < ROWS; i++) {
		struct lease lease = lease_at(i);
		struct expiry row = {
			UINT64_C(1000) * USEC_PER_SEC + 2 + i, lease.address};
		int r;

		if (row.deadline_boot_usec <= after->deadline_boot_usec)
			continue;
		r = visit(&row, context);
		if (r != 0)
			return r;
	}
	return 0;
}

int table_next_expiry(
	struct table_reader *reader, const struct expiry *after, struct expiry *ret)
{
	(void)reader;
	*ret = *after;
	ret->deadline_boot_usec++;
	return 0;
}

int table_read_lease(
	struct table_reader *reader, const struct address *key, struct lease *ret)
{
	unsigned i = key->ip.s6_addr[14] * 256U + key->ip.s6_addr[15];

	(void)reader;
	if (i < ROWS_OVER)
		return TABLE_NOT_FOUND;
	*ret = lease_at(i);
	return 0;
}

int table_read_share(struct table_reader *reader, const struct address *key,
	uint64_t hash, struct share *ret)
{
	(void)reader;
	(void)key;
	if (hash == 2)
		return TABLE_NOT_FOUND;
	*ret = (struct share){.user = "bob"};
	if (hash == 3)
		memset(ret->user, '%', USER_SIZE - 1); /* the longest in a line */
	return 0;
}

/* ---- maps and lookups ---- */

static struct map_report reports[] = {
	{.published_boot_usec = 1, .slowest_usec = 1000},
	{.error = -EIO, .step = "sync"},
	{.static_error = -EBADMSG,
		.static_line = 7,
		.static_problem = "x",
		.has_static = true},
	{.static_error = -EACCES, .has_old_static = true},
	{.unexpressed = 3, .verified = {.result = MAP_VERIFIED_DIFFERENT, .text = "one"}},
	{.found = "emptied",
		.found_boot_usec = 999 * USEC_PER_SEC,
		.verified = {.result = MAP_VERIFIED_SAME}},
	{.given_up_count = 2, .given_up_boot_usec = 999 * USEC_PER_SEC},
};
static struct map_config map = {.name = (char[]){"postfix"},
	.type = MAP_TEXTHASH,
	.path = (char[]){"/p"},
	.file = (char[]){"/p"},
	.static_path = (char[]){"/s"}};

static bool is_well;

void fuzz_daemon_set(bool well)
{
	is_well = well;
}

size_t publisher_map_count(const struct publisher *publisher)
{
	(void)publisher;
	return is_well ? 1 : sizeof(reports) / sizeof(reports[0]);
}

const struct map_config *publisher_map(const struct publisher *publisher, size_t index)
{
	(void)publisher;
	(void)index;
	return &map;
}

const struct map_report *publisher_report(const struct publisher *publisher, size_t index)
{
	(void)publisher;
	return &reports[index];
}

bool publisher_cannot_leave(const struct publisher *publisher)
{
	(void)publisher;
	return !is_well;
}

const char *map_type_name(enum map_type type)
{
	(void)type;
	return "texthash";
}

unsigned server_connection_count(const struct server *server)
{
	(void)server;
	return 5;
}

/* ---- the core ---- */

struct counters stats_sum(struct stats *stats, struct moment now)
{
	(void)stats;
	(void)now;
	return (struct counters){.granted = 1, .refused = {[3] = 4}};
}

const struct refusal *stats_find_refusal(
	const struct stats *stats, const struct address *address)
{
	static const struct refusal refusal = {.reason = REASON_DENIED, .user = "a b"};

	(void)stats;
	return address->ip.s6_addr[14] % 2 ? &refusal : NULL;
}

void core_count_begin(const struct core *core, struct moment now, struct lease_count *ret)
{
	(void)core;
	(void)now;
	*ret = (struct lease_count){0};
}

bool core_count_step(struct core *core, struct lease_count *count)
{
	(void)core;
	return count->ipv4++ > 1;
}

static int find(const struct address *address)
{
	uint64_t hash = fuzz_hash(address, sizeof(*address));

	FUZZ_ASSERT(address_is_host(address));
	if (hash % 9 == 0)
		return -EIO;
	return hash % 2 ? REASON_OK : (int)(hash % (REASON_COUNT - 1) + 1);
}

/* They stay as the octets have made them. */
void core_forget_unshared(struct core *core)
{
	(void)core;
}

int core_find(struct core *core, const struct address *address, struct moment now,
	struct lease *ret_lease)
{
	(void)core;
	*ret_lease = lease_at(599);
	ret_lease->deadline_boot_usec = clock_add(now.boot_usec, 1);
	return find(address);
}

int core_find_in_view(struct core *core, const struct view *view,
	const struct address *address, struct moment now)
{
	(void)core;
	(void)view;
	(void)now;
	return find(address);
}

void core_lease_user(struct core *core, const struct lease *lease, char ret[USER_SIZE])
{
	(void)core;
	(void)lease;
	snprintf(ret, USER_SIZE, "bob");
}

static void check_block(const struct block *block)
{
	FUZZ_ASSERT(strnlen(block->text, BLOCK_TEXT_SIZE) < BLOCK_TEXT_SIZE);
	FUZZ_ASSERT(strnlen(block->user, BLOCK_USER_SIZE) < BLOCK_USER_SIZE);
	FUZZ_ASSERT(block->is_user == (*block->user != '\0'));
	FUZZ_ASSERT(block->address.length <= 128);
}

void core_revoke(struct core *core, const struct block *block, uint64_t hold_usec,
	uint64_t wait_usec, core_done *done, void *context)
{
	struct outcome outcome = fuzz_outcome(fuzz_hash(block->user, BLOCK_USER_SIZE));

	(void)core;
	check_block(block);
	FUZZ_ASSERT(hold_usec <= 366 * 86400 * USEC_PER_SEC && wait_usec > 0);
	fuzz_answer(done, context, &outcome);
}

int core_unblock(
	struct core *core, const struct block *block, core_done *done, void *context)
{
	uint64_t hash = fuzz_hash(&block->address, sizeof(block->address));
	struct outcome outcome = fuzz_outcome(hash);

	(void)core;
	check_block(block);
	if (hash % 4 < 2)
		return hash % 4 ? -ENOENT : -ENOMEM;
	fuzz_answer(done, context, &outcome);
	return 0;
}

void core_flush(struct core *core, uint64_t wait_usec, core_done *done, void *context)
{
	struct outcome outcome = fuzz_outcome(1);

	(void)core;
	(void)wait_usec;
	fuzz_answer(done, context, &outcome);
}

void core_settle(struct core *core, uint64_t wait_usec, core_done *done, void *context)
{
	struct outcome outcome = {.maps_late = 2};

	(void)core;
	(void)wait_usec;
	fuzz_answer(done, context, &outcome);
}

int core_ask_maps(struct core *core, const struct map_question *question, core_done *done,
	void *context)
{
	struct outcome outcome = {.maps_late = 1};

	(void)core;
	FUZZ_ASSERT(question->why != 0);
	if (question->why == (WAKE_REBUILD | WAKE_VERIFY))
		return -ENOMEM;
	fuzz_answer(done, context, &outcome);
	return 0;
}

int daemon_reload(struct daemon *daemon, struct problems *problems)
{
	(void)daemon;
	(void)problems;
	return 0;
}

void problems_done(struct problems *problems)
{
	(void)problems;
}

int import_start(const struct import_settings *settings, struct import **ret,
	char text[static MAP_CHILD_TEXT_SIZE])
{
	(void)settings;
	(void)ret;
	(void)text;
	abort(); /* no descriptor comes along */
}

void import_cancel(struct import *import)
{
	(void)import;
	abort();
}
