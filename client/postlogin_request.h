/*
 * Dovecot's post-login protocol, as far as it is spoken to us: the mail process sends
 *
 *     VERSION<TAB>script-login<TAB>1<TAB>0<LF>
 *     <local ip><TAB><remote ip><TAB><user>{<TAB><field>=<value>}<LF>
 *
 * and takes back the second line from <user> on.  Unchanged from Dovecot 2.0 to 2.4.
 */
#ifndef CLIENT_POSTLOGIN_REQUEST_H
#define CLIENT_POSTLOGIN_REQUEST_H

#include <netinet/in.h>
#include <stddef.h>

enum {
	/* Dovecot itself takes at most 8192 octets of user database fields from its auth
	 * process; four times that leaves room for later versions. */
	REQUEST_SIZE_MAX = 32768,
	/* Of a decoded user name with its NUL; dracd takes 255 octets and says so itself.
	 */
	REQUEST_USER_SIZE = 512,
	REQUEST_MECHANISM_SIZE = 32,
};

struct postlogin_request {
	char local_ip[INET6_ADDRSTRLEN];
	char remote_ip[INET6_ADDRSTRLEN];
	char user[REQUEST_USER_SIZE];
	char mechanism[REQUEST_MECHANISM_SIZE]; /* "" if unknown */
	const char *problem; /* NULL, or a static text: the request can be answered, but
				the login not reported */
	const char *answer; /* points into the data parsed: what goes back, with its LF */
	size_t answer_length;
};

/* Returns 0; -EAGAIN if the request is not complete; -EPROTONOSUPPORT if the version line
 * is not one of ours; -EBADMSG if the request has too few fields to be answered. */
int postlogin_request_parse(const char *data, size_t length,
	struct postlogin_request *ret) __attribute__((warn_unused_result));

#endif
