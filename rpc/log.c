/* One line a message, by one call of stdio: standard error is not buffered. */
#include "rpc/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TEXT_SIZE = 1024
};

#define PACE_USEC (60 * UINT64_C(1000000))

/* The only mutable global; set before the loop. */
static int log_level = LOG_INFO;

void log_set_level(int level)
{
	log_level = level;
}

static void write_line(int level, const char *text)
{
	static const char *const names[] = {
		[LOG_ERR] = "error: ",
		[LOG_WARNING] = "warning: ",
	};

	if (level > log_level)
		return;
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", level, text);
	else
		fprintf(stderr, "drac-rpcd: %s%s\n",
			level <= LOG_WARNING && names[level] ? names[level] : "", text);
}

void log_message(int level, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	write_line(level, text);
}

int log_errno(int level, int error, const char *format, ...)
{
	char text[TEXT_SIZE], reason[128];
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	used = strlen(text);
	snprintf(text + used, sizeof(text) - used, ": %s",
		strerror_r(-error, reason, sizeof(reason)));
	write_line(level, text);
	return error;
}

bool log_pace(struct log_pace *pace, uint64_t now_usec, unsigned *ret_kept)
{
	if (pace->said_usec && now_usec - pace->said_usec < PACE_USEC) {
		pace->kept++;
		return false;
	}
	*ret_kept = pace->kept;
	*pace = (struct log_pace){.said_usec = now_usec};
	return true;
}
