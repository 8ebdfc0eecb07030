/* From the words of a line to a login.  Unknown words are errors: a misspelt ttl_ms= that
 * is passed over would give a lease that nobody asked for. */
#include "dracd/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dracd/clock.h"

/* A published lease or its budget is waited for no longer than this. */
#define WAIT_MAX_USEC (10 * USEC_PER_SEC)
/* Nobody asks for more; keeps sums far from overflow. */
#define TTL_MAX_USEC (366 * 86400 * USEC_PER_SEC)

static bool is_known(const char *key, bool is_renewal)
{
	/* the first three are those of a renewal */
	static const char *const known[] = {
		"address", "user", "service", "local", "ttl_ms", "wait_ms"};
	size_t count = is_renewal ? 3 : sizeof(known) / sizeof(known[0]);

	for (size_t i = 0; i < count; i++)
		if (strcmp(known[i], key) == 0)
			return true;
	return false;
}

static const char *parse_addresses(
	const struct words *words, bool allow_prefix, struct login *login)
{
	const char *address = words_get(words, "address");
	const char *local = words_get(words, "local");
	int r;

	if (!address)
		return "address= is missing";
	r = allow_prefix ? address_parse_prefix(address, &login->address)
			 : address_parse(address, &login->address);
	if (r == -ERANGE)
		return "host bits are set after the prefix length in address=";
	if (r < 0)
		return "address= is not an IPv4 or IPv6 address";
	if (!local || !*local)
		return NULL;
	login->has_local = address_parse(local, &login->local) == 0;
	return login->has_local ? NULL : "local= is not an IPv4 or IPv6 address";
}

static const char *parse_names(const struct words *words, struct login *login)
{
	const char *user = words_get(words, "user");
	const char *service = words_get(words, "service");

	if (user && strlen(user) >= sizeof(login->user))
		return "user= is longer than 255 octets";
	if (service && strlen(service) >= sizeof(login->service))
		return "service= is longer than 32 octets";
	if (service && strspn(service, "abcdefghijklmnopqrstuvwxyz0123456789_-") !=
			       strlen(service))
		return "service= may hold a-z, 0-9, '_' and '-' only";
	snprintf(login->user, sizeof(login->user), "%s", user ? user : "");
	snprintf(login->service, sizeof(login->service), "%s", service ? service : "");
	return NULL;
}

static const char *parse_times(const struct words *words, struct login *login)
{
	unsigned long long ttl = 0, wait = 0;

	if (words_get_number(words, "ttl_ms", &ttl) == -EINVAL ||
		ttl > TTL_MAX_USEC / USEC_PER_MSEC)
		return "ttl_ms= is not a number of milliseconds";
	if (words_get_number(words, "wait_ms", &wait) == -EINVAL)
		return "wait_ms= is not a number of milliseconds";
	login->ttl_usec = ttl * USEC_PER_MSEC;
	login->wait_usec = wait > WAIT_MAX_USEC / USEC_PER_MSEC ? WAIT_MAX_USEC
								: wait * USEC_PER_MSEC;
	return NULL;
}

int login_parse(const struct words *words, const char *reporter, bool allow_prefix,
	struct login *ret, const char **ret_problem)
{
	struct login login = {0};
	const char *problem = NULL;

	login.is_renewal = words_is(words, 0, "renew");
	for (unsigned i = 1; i < words->count && !problem; i++) {
		if (!is_known(words->word[i].key, login.is_renewal))
			problem = "unknown key";
		else if (!words->word[i].value)
			problem = "a key without a value";
	}
	if (!problem)
		problem = parse_addresses(words, allow_prefix, &login);
	if (!problem)
		problem = parse_names(words, &login);
	if (!problem)
		problem = parse_times(words, &login);
	if (!problem && login.is_renewal && (!*login.user || !*login.service))
		problem = "a renewal needs user= and service=";
	if (problem) {
		*ret_problem = problem;
		return -EBADMSG;
	}
	snprintf(login.reporter, sizeof(login.reporter), "%.*s", REPORTER_SIZE - 1,
		reporter);
	*ret = login;
	return 0;
}
