/* The log.  What goes to the journal as fields is made together with the line, so they
 * agree. */
#include "dracd/log.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "dracd/clock.h"

/* The only mutable globals of the daemon; all but the last set before the first thread.
 */
static int log_level = LOG_INFO;
static bool log_to_journal;
static bool log_priorities; /* in front of each line, as sd-daemon(3) has them */
static bool log_stamps;
static bool log_may_fill; /* standard error may have no room */
static unsigned log_lost; /* atomic: lines since the last that was written */

void log_set_level(int level)
{
	log_level = level;
}

void log_open(bool stamps)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char expected[64];
	struct stat status;

	(void)signal(SIGPIPE, SIG_IGN); /* who reads standard error may go */
	/* systemd.exec(5): device and inode of the stream connected to the journal */
	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	log_may_fill = !S_ISREG(status.st_mode);
	log_stamps = stamps && (S_ISREG(status.st_mode) || isatty(STDERR_FILENO));
	if (!stream)
		return;
	snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)status.st_dev,
		(uintmax_t)status.st_ino);
	log_to_journal = strcmp(stream, expected) == 0;
}

void log_use_stream(void)
{
	log_priorities = log_priorities || log_to_journal;
	log_to_journal = false;
}

/* Renewals are told to "dracd -d" only, and they are the most frequent event of all: what
 * nobody reads is not written. */
static bool is_dropped(const struct event *event)
{
	return event->level > log_level;
}

static void add_text(struct event *event, const char *text, size_t length)
{
	if (length >= sizeof(event->text) - event->length)
		length = sizeof(event->text) - event->length - 1;
	memcpy(event->text + event->length, text, length);
	event->length += length;
	event->text[event->length] = '\0';
}

static void add_escaped(struct event *event, const char *value)
{
	for (const char *at = value; *at; at++) {
		unsigned char octet = (unsigned char)*at;
		char escaped[8];

		if (octet <= 0x20 || octet == 0x7f || strchr("\"=\\", octet)) {
			snprintf(escaped, sizeof(escaped), "\\x%02x", octet);
			add_text(event, escaped, 4);
		} else {
			add_text(event, at, 1);
		}
	}
}

/* The journal takes any octets in a value; a field that no longer fits is left out. */
static void add_field(struct event *event, const char *key, const char *value)
{
	size_t room = sizeof(event->fields) - event->fields_length;
	char *start = event->fields + event->fields_length;
	int length;

	if (!log_to_journal || event->count == EVENT_FIELDS_MAX)
		return;
	length = snprintf(start, room, "DRAC_%s=%s", key, value);
	if (length < 0 || (size_t)length >= room)
		return;
	for (char *at = start; *at != '='; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	event->fields_length += (size_t)length + 1;
	event->count++;
}

void event_init(struct event *event, int level, const char *name)
{
	event->level = level;
	event->count = 0;
	event->length = 0;
	event->fields_length = 0;
	event->name = name;
	add_text(event, name, strlen(name));
}

void event_init_address(
	struct event *event, int level, const char *name, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE];

	event_init(event, level, name);
	if (is_dropped(event))
		return;
	address_format(address, text);
	add_text(event, " ", 1);
	add_text(event, text, strlen(text));
	add_field(event, "address", text);
}

void event_add(struct event *event, const char *key, const char *value)
{
	if (is_dropped(event) || !value || !*value)
		return;
	add_text(event, " ", 1);
	add_text(event, key, strlen(key));
	add_text(event, "=", 1);
	add_escaped(event, value);
	add_field(event, key, value);
}

void event_add_number(struct event *event, const char *key, unsigned long long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", number);
	event_add(event, key, text);
}

void event_add_time(struct event *event, const char *key, uint64_t wall_usec)
{
	time_t then = (time_t)(wall_usec / USEC_PER_SEC);
	time_t now = time(NULL);
	bool near = llabs((long long)(then - now)) < 86400;
	char text[32];
	struct tm local;

	if (is_dropped(event))
		return;
	localtime_r(&then, &local);
	strftime(text, sizeof(text), near ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &local);
	event_add(event, key, text);
}

void event_add_duration(struct event *event, const char *key, uint64_t usec)
{
	char text[DURATION_TEXT_SIZE];

	event_add(event, key, duration_format(usec, text));
}

void event_add_note(struct event *event, const char *text)
{
	add_text(event, text, strlen(text));
}

/* POLLOUT of a pipe, a socket and a terminal: a line fits, without waiting. */
static bool has_room(void)
{
	struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};

	return !log_may_fill || poll(&error, 1, 0) > 0;
}

static size_t format_start(int level, char *text, size_t size)
{
	static const char *const names[] = {
		[LOG_ERR] = "error: ",
		[LOG_WARNING] = "warning: ",
	};
	size_t length = 0;

	if (log_stamps) {
		time_t now = time(NULL);
		struct tm local;

		localtime_r(&now, &local);
		length = strftime(text, size, "%Y-%m-%d %H:%M:%S ", &local);
	}
	if (log_priorities)
		length += (size_t)snprintf(text + length, size - length, "<%d>", level);
	else if (level <= LOG_WARNING && names[level])
		length += (size_t)snprintf(
			text + length, size - length, "%s", names[level]);
	return length;
}

static size_t format_lost(unsigned lost, char *text, size_t size)
{
	size_t length = format_start(LOG_WARNING, text, size);

	return length +
	       (size_t)snprintf(text + length, size - length,
		       "%u lines of this log are lost: who reads it does not keep up\n",
		       lost);
}

static void write_line(int level, const char *text)
{
	char told[128], start[48];
	struct iovec parts[] = {
		{.iov_base = told},
		{.iov_base = start},
		{.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	unsigned lost;

	if (!has_room()) {
		(void)__atomic_add_fetch(&log_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	lost = __atomic_exchange_n(&log_lost, 0, __ATOMIC_RELAXED);
	if (lost > 0)
		parts[0].iov_len = format_lost(lost, told, sizeof(told));
	parts[1].iov_len = format_start(level, start, sizeof(start));
	/* one writev(2) a line: lines of several threads do not mix */
	(void)!writev(STDERR_FILENO, parts, 4);
}

void event_log(const struct event *event)
{
	struct iovec fields[EVENT_FIELDS_MAX + 3];
	char message[EVENT_SIZE + 16], name[64], priority[16];
	const char *at = event->fields;
	int count = 0;

	if (is_dropped(event))
		return;
	if (!log_to_journal) {
		write_line(event->level, event->text);
		return;
	}
	snprintf(message, sizeof(message), "MESSAGE=%s", event->text);
	snprintf(name, sizeof(name), "DRAC_EVENT=%s", event->name);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", event->level);
	fields[count++] = (struct iovec){message, strlen(message)};
	fields[count++] = (struct iovec){name, strlen(name)};
	fields[count++] = (struct iovec){priority, strlen(priority)};
	for (unsigned i = 0; i < event->count; i++, at += strlen(at) + 1)
		fields[count++] = (struct iovec){(void *)(uintptr_t)at, strlen(at)};
	if (sd_journal_sendv(fields, count) < 0)
		write_line(event->level, event->text);
}

static void log_text(int level, const char *text)
{
	if (level > log_level)
		return;
	if (!log_to_journal || sd_journal_print(level, "%s", text) < 0)
		write_line(level, text);
}

void log_message(int level, const char *format, ...)
{
	char text[EVENT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_text(level, text);
}

int log_errno(int level, int error, const char *format, ...)
{
	char text[EVENT_SIZE], reason[128];
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	used = strlen(text);
	snprintf(text + used, sizeof(text) - used, ": %s",
		strerror_r(-error, reason, sizeof(reason)));
	log_text(level, text);
	return error;
}

const char *duration_format(uint64_t usec, char text[DURATION_TEXT_SIZE])
{
	static const struct {
		uint64_t usec;
		const char *unit;
	} units[] = {
		{86400 * USEC_PER_SEC, "d"},
		{3600 * USEC_PER_SEC, "h"},
		{60 * USEC_PER_SEC, "min"},
		{USEC_PER_SEC, "s"},
		{USEC_PER_MSEC, "ms"},
	};

	enum {
		COUNT = sizeof(units) / sizeof(units[0])
	};

	for (unsigned i = 0; i < COUNT; i++) {
		uint64_t whole = usec / units[i].usec;
		uint64_t rest =
			i + 1 < COUNT ? usec % units[i].usec / units[i + 1].usec : 0;

		if (whole == 0)
			continue;
		if (rest && i + 2 < COUNT)
			snprintf(text, DURATION_TEXT_SIZE, "%llu%s%llu%s",
				(unsigned long long)whole, i == 2 ? "m" : units[i].unit,
				(unsigned long long)rest, units[i + 1].unit);
		else
			snprintf(text, DURATION_TEXT_SIZE, "%llu%s",
				(unsigned long long)whole, units[i].unit);
		return text;
	}
	snprintf(text, DURATION_TEXT_SIZE, "0s");
	return text;
}
