#include "client/postlogin_login.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/postlogin_message.h"

bool postlogin_login_is_anonymous(const struct postlogin_login *login)
{
	return login->mechanism && strcasecmp(login->mechanism, "ANONYMOUS") == 0;
}

/* Writes address in its canonical text form, a v4-mapped IPv6 address as the IPv4 address
 * it is.  False if it is none. */
static bool normalise(const char *address, char ret[static INET6_ADDRSTRLEN])
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return inet_ntop(AF_INET, &four, ret, INET6_ADDRSTRLEN) != NULL;
	if (inet_pton(AF_INET6, address, &six) != 1)
		return false;
	if (!IN6_IS_ADDR_V4MAPPED(&six))
		return inet_ntop(AF_INET6, &six, ret, INET6_ADDRSTRLEN) != NULL;
	memcpy(&four, six.s6_addr + 12, sizeof(four));
	return inet_ntop(AF_INET, &four, ret, INET6_ADDRSTRLEN) != NULL;
}

static bool is_known(const char *text)
{
	return text && *text;
}

const char *postlogin_login_prepare(const struct postlogin_login *login,
	const struct postlogin_options *options, struct postlogin_report *ret)
{
	if (options->problem)
		return options->problem;
	if (!is_known(login->remote_ip))
		return "Dovecot gave no client address";
	if (!normalise(login->remote_ip, ret->address))
		return "what Dovecot gave as client address is none";
	/* Without its own address dracd could not tell the server itself from a client;
	 * so one that is there must be usable. */
	if (is_known(login->local_ip) && !normalise(login->local_ip, ret->local_address))
		return "what Dovecot gave as local address is none";

	ret->login = (struct report_login){
		.address = ret->address,
		.local_address = is_known(login->local_ip) ? ret->local_address : NULL,
		.user = is_known(login->user) ? login->user : NULL,
		.service = options->service,
		/* leaves a quarter for the ways there and back */
		.wait_ms =
			options->wait ? options->budget_ms - options->budget_ms / 4 : 0,
	};
	return NULL;
}

void postlogin_login_say(const struct postlogin_login *login,
	const struct postlogin_options *options, int outcome, const struct words *words)
{
	const char *path = options->socket_path, *reason, *text;
	char why[512];

	switch (outcome) {
	case REPORT_GRANTED:
	case REPORT_REFUSED: /* a rule of dracd's, which dracd logs */
		return;
	case REPORT_REJECTED:
		reason = words_get(words, "reason");
		text = words_get(words, "text");
		snprintf(why, sizeof(why), "dracd did not take it: %s%s%s",
			reason ? reason : "no reason given", text ? ": " : "",
			text ? text : "");
		break;
	case -ENOENT:
	case -ECONNREFUSED:
		snprintf(why, sizeof(why), "dracd is not running (%s: %s)", path,
			strerror(-outcome));
		break;
	case -EAGAIN:
		snprintf(why, sizeof(why), "dracd is overloaded: the queue of %s is full",
			path);
		break;
	case -ETIMEDOUT:
		snprintf(why, sizeof(why), "no answer from dracd within %u ms",
			options->budget_ms);
		break;
	case -ECONNRESET:
		snprintf(why, sizeof(why),
			"dracd closed the connection without an answer");
		break;
	case -EBADMSG:
		snprintf(why, sizeof(why), "dracd's answer was not understood");
		break;
	case -EMSGSIZE:
		snprintf(why, sizeof(why), "the user name is too long");
		break;
	default:
		snprintf(why, sizeof(why), "%s: %s", path, strerror(-outcome));
		break;
	}
	postlogin_say_unreported(login->user, login->remote_ip, why);
}
