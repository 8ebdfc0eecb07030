/* A login as Dovecot tells of it, and what of it dracd is told. */
#ifndef CLIENT_POSTLOGIN_LOGIN_H
#define CLIENT_POSTLOGIN_LOGIN_H

#include <netinet/in.h>
#include <stdbool.h>

#include "client/postlogin.h"
#include "client/report.h"

/* Strings are borrowed; NULL or "" where unknown. */
struct postlogin_login {
	const char *remote_ip;
	const char *local_ip;
	const char *user;
	const char *mechanism; /* of the authentication */
};

/* The report of a login; it borrows user and service and holds the addresses, so it must
 * not be copied. */
struct postlogin_report {
	struct report_login login;
	char address[INET6_ADDRSTRLEN];
	char local_address[INET6_ADDRSTRLEN];
};

/* Whoever knows no password has no account: such a login is served and never reported. */
bool postlogin_login_is_anonymous(const struct postlogin_login *login);

/* Makes the report of login.  Returns NULL, or a static text that says why there is
 * none. */
const char *postlogin_login_prepare(const struct postlogin_login *login,
	const struct postlogin_options *options, struct postlogin_report *ret)
	__attribute__((warn_unused_result));

/* Says on standard error what became of the report, if it failed: outcome is what the
 * report functions returned, words dracd's answer (used for REPORT_REJECTED only). */
void postlogin_login_say(const struct postlogin_login *login,
	const struct postlogin_options *options, int outcome, const struct words *words);

#endif
