/* The log.  What goes to the journal as fields is made together with the line, so they
 * agree. */
#include "dracd/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "dracd/clock.h"

/* With abandon.c's children the only mutable globals of the daemon; all but the atomic
 * ones set before the first thread. */
static int log_level = LOG_INFO;
static bool log_to_journal;
static bool log_priorities; /* in front of each line, as sd-daemon(3) has them */
static bool log_stamps;
static bool log_is_socket; /* standard error */
static bool log_may_wait;  /* standard error is shared with who wants that */
static unsigned log_lost;  /* atomic: lines since the last that was written */
static bool log_is_cut;    /* atomic: in the middle of a line */

void log_set_level(int level)
{
	log_level = level;
}

/* The journal's stream, by the device and inode that systemd.exec(5) gives. */
static bool is_of_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char found[64];

	snprintf(found, sizeof(found), "%ju:%ju", (uintmax_t)status->st_dev,
		(uintmax_t)status->st_ino);
	return stream && strcmp(stream, found) == 0;
}

/* As others may write to what we were given, and want to wait, it is opened anew.  False:
 * it cannot be. */
static bool reopen_without_waiting(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return false;
	r = dup2(fd, STDERR_FILENO);
	close(fd);
	return r >= 0;
}

void log_open(bool stamps)
{
	struct stat status;

	(void)signal(SIGPIPE, SIG_IGN); /* who reads standard error may go */
	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	log_priorities = is_of_journal(&status);
	log_stamps = stamps && (S_ISREG(status.st_mode) || isatty(STDERR_FILENO));
	log_is_socket = S_ISSOCK(status.st_mode);
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		log_may_wait = !reopen_without_waiting();
}

void log_use_journal(void)
{
	log_to_journal = log_priorities;
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

/* Of the octets in parts, how many were written without waiting; or -1. */
static ssize_t put(struct iovec *parts, unsigned count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t done;

	if (log_is_socket)
		return sendmsg(STDERR_FILENO, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* mostly a line fits then */
	if (log_may_wait && poll(&error, 1, 0) <= 0)
		return -1;
	done = writev(STDERR_FILENO, parts, (int)count);
	/* a terminal on which somebody else is just writing */
	if (done < 0 && errno == EAGAIN && poll(&error, 1, 0) > 0)
		done = writev(STDERR_FILENO, parts, (int)count);
	return done;
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
	size_t length = 0;

	if (__atomic_load_n(&log_is_cut, __ATOMIC_RELAXED))
		text[length++] = '\n';
	length += format_start(LOG_WARNING, text + length, size - length);
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
	unsigned lost = __atomic_exchange_n(&log_lost, 0, __ATOMIC_RELAXED);
	size_t whole;
	ssize_t done;

	if (lost > 0)
		parts[0].iov_len = format_lost(lost, told, sizeof(told));
	parts[1].iov_len = format_start(level, start, sizeof(start));
	whole = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len + 1;
	/* in one a line: lines of several threads do not mix */
	done = put(parts, sizeof(parts) / sizeof(parts[0]));
	if (done > 0)
		__atomic_store_n(&log_is_cut, done < (ssize_t)whole, __ATOMIC_RELAXED);
	if (done < (ssize_t)whole)
		(void)__atomic_add_fetch(&log_lost, lost + 1, __ATOMIC_RELAXED);
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
