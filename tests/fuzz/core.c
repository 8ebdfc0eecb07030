#include "tests/fuzz/core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "dracd/log.h"

enum {
	WAITING_MAX = 256
};

static struct {
	core_done *done;
	void *context;
	struct outcome outcome;
} waiting[WAITING_MAX];

static size_t count;
static bool is_quick;

void fuzz_core_set(bool quick)
{
	is_quick = quick;
}

/* The one in the middle: neither the first nor the last that has come. */
bool fuzz_core_go_on(void *context)
{
	size_t at = count / 2;
	core_done *done;
	void *waiter;
	struct outcome outcome;

	(void)context;
	if (count == 0)
		return false;
	done = waiting[at].done;
	waiter = waiting[at].context;
	outcome = waiting[at].outcome;
	memmove(&waiting[at], &waiting[at + 1], (--count - at) * sizeof(waiting[0]));
	done(&outcome, waiter);
	return true;
}

void fuzz_answer(core_done *done, void *context, const struct outcome *outcome)
{
	if (is_quick) {
		done(outcome, context);
		return;
	}
	FUZZ_ASSERT(count < WAITING_MAX);
	waiting[count].done = done;
	waiting[count].context = context;
	waiting[count++].outcome = *outcome;
}

uint64_t fuzz_hash(const void *data, size_t size)
{
	const uint8_t *octets = data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ octets[i]) * UINT64_C(0x100000001b3);
	return hash >> 8;
}

struct outcome fuzz_outcome(uint64_t hash)
{
	return (struct outcome){
		.error = hash % 7 == 0 ? -EIO : 0,
		.reason = hash % 3 == 0 ? REASON_OK : (enum reason)(hash % REASON_COUNT),
		.is_new = hash % 2,
		.waited = hash % 5 == 0,
		.in_force = hash % 11 == 0,
		.maps_late = hash % 13 == 0,
		.lease = {.deadline_wall_usec = hash, .deadline_boot_usec = hash / 2},
		.ended = {.users = (unsigned)(hash % 17)},
		.time = {hash, hash},
	};
}

/* What the core is promised of a login. */
static void check_login(const struct login *login)
{
	char user[USER_SIZE];

	FUZZ_ASSERT(login->address.length <= 128);
	FUZZ_ASSERT(strnlen(login->user, USER_SIZE) < USER_SIZE);
	FUZZ_ASSERT(strnlen(login->service, SERVICE_SIZE) < SERVICE_SIZE);
	FUZZ_ASSERT(strnlen(login->reporter, REPORTER_SIZE) < REPORTER_SIZE);
	FUZZ_ASSERT(!login->has_local || address_is_host(&login->local));
	FUZZ_ASSERT(!login->is_renewal || (*login->user && *login->service));
	FUZZ_ASSERT(login->wait_usec <= 10 * USEC_PER_SEC);
	FUZZ_ASSERT(clock_add(login->ttl_usec, UINT64_MAX / 2) < UINT64_MAX);
	memcpy(user, login->user, USER_SIZE);
	for (const char *at = user; *at; at++)
		FUZZ_ASSERT((unsigned char)*at >= ' ' && *at != 0x7f);
}

void core_login(struct core *core, const struct login *login, bool by_admin,
	const struct login_reply *reply)
{
	struct outcome outcome =
		fuzz_outcome(fuzz_hash(&login->address, sizeof(login->address)));

	(void)core;
	FUZZ_ASSERT(by_admin || address_is_host(&login->address));
	check_login(login);
	outcome.lease.address = login->address;
	if (reply->early && outcome.error == 0 && outcome.reason == REASON_OK)
		reply->early(&outcome, reply->context);
	fuzz_answer(reply->done, reply->context, &outcome);
}

bool core_is_idle(const struct core *core)
{
	(void)core;
	return true;
}

const char *config_reporter(const struct config *config, uid_t uid)
{
	(void)config;
	return uid == 0 ? "fuzz" : NULL;
}

/* Of the rules, which nobody applies here. */
const struct reporter_settings *config_reporter_limits(
	const struct config *config, const char *name)
{
	return config->reporter_count > 0 &&
			       strcmp(config->reporter_limits[0].name, name) == 0
		       ? &config->reporter_limits[0]
		       : NULL;
}

unsigned table_leases_of(const struct table_state *state, const char *reporter)
{
	return (unsigned)(state->ipv4 + strlen(reporter));
}

const struct service_settings *config_service(
	const struct config *config, const char *name)
{
	(void)config;
	(void)name;
	abort();
}

/* The clocks stand still, so that answers can be compared. */
struct moment __wrap_clock_now(void);

struct moment __wrap_clock_now(void)
{
	return (struct moment){1000 * USEC_PER_SEC, UINT64_C(1795000000) * USEC_PER_SEC};
}

void log_message(int level, const char *format, ...)
{
	char text[512];
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
}

struct talked fuzz_core_talk(
	struct talk *how, unsigned bits, const uint8_t *data, size_t size)
{
	struct talked answers;

	how->gets_stuck = bits & 8;
	how->is_late = bits & 64;
	how->leaves = bits & 128;
	fuzz_core_set(bits & 32);
	/* which allocation fails depends on the pieces */
	if (fuzz_take_failure(data, &size))
		answers = talk(how, data, size);
	else
		answers = talk_in_any_pieces(how, data, size);
	fuzz_fail_no_more();
	return answers;
}
