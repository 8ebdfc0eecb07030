/*
 * A login: what a reporter reports, decoded from the words of one report line.
 *
 * A renewal takes the same way: "the mail session of this login still lasts".  It
 * prolongs the lease that the login gave and never grants one.
 */
#ifndef DRACD_LOGIN_H
#define DRACD_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/words.h"
#include "dracd/address.h"

enum {
	USER_SIZE = 256,   /* of a user name with its NUL */
	SERVICE_SIZE = 33, /* of a service or reporter name with its NUL */
	REPORTER_SIZE = 33,
};

struct login {
	struct address address;
	bool is_renewal;
	bool has_local;
	struct address local; /* the address the client connected to */
	uint64_t ttl_usec;    /* asked by the reporter; 0: none */
	uint64_t wait_usec; /* answer when published, at the latest after this; 0: stored
			     */
	char user[USER_SIZE]; /* empty if unknown */
	char service[SERVICE_SIZE];
	char reporter[REPORTER_SIZE];
};

/* Decodes "login address=... user=..." or "renew ..."; any other verb is passed over as
 * login is.  With allow_prefix the address may be a network.  Unknown keys are refused.
 * The reporter's name is cut to its size.  Returns 0, or -EBADMSG with what is wrong in
 * *ret_problem (static). */
int login_parse(const struct words *words, const char *reporter, bool allow_prefix,
	struct login *ret, const char **ret_problem) __attribute__((warn_unused_result));

#endif
