#include "client/postlogin_message.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	MESSAGE_SIZE =
		1024, /* well below PIPE_BUF, so that lines of others do not mix in */
	SHOWN_SIZE = 4 * 80 + 1,
};

/* Printable ASCII stays; anything else, the quote and the backslash become \xNN. */
static const char *escape(const char *text, char *to, size_t size)
{
	size_t used = 0;

	for (const char *at = text ? text : ""; *at && used + 4 < size; at++) {
		unsigned char octet = (unsigned char)*at;

		if (octet >= 0x20 && octet < 0x7f && octet != '"' && octet != '\\')
			to[used++] = *at;
		else
			used += (size_t)snprintf(
				to + used, size - used, "\\x%02x", octet);
	}
	to[used] = '\0';
	return to;
}

void postlogin_say(const char *format, ...)
{
	struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
	char message[MESSAGE_SIZE] = "drac-postlogin: ";
	size_t used = strlen(message);
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(message + used, sizeof(message) - used - 1, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	used = strlen(message);
	message[used++] = '\n';
	if (poll(&log, 1, 0) == 1 && (log.revents & POLLOUT))
		while (write(STDERR_FILENO, message, used) < 0 && errno == EINTR)
			;
}

void postlogin_say_unreported(const char *user, const char *address, const char *why)
{
	char shown_user[SHOWN_SIZE], shown_address[SHOWN_SIZE];

	postlogin_say("login of \"%s\" from \"%s\" not reported: %s",
		escape(user, shown_user, sizeof(shown_user)),
		escape(address, shown_address, sizeof(shown_address)), why);
}
