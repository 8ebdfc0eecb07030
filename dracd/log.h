/*
 * The log: one event a line, fixed word order, the same as structured journal fields.
 *
 * Lines go to the journal when standard error is the journal, else to standard error,
 * there with the time where nobody else would add it.  Who reads standard error and does
 * not keep up, or has stopped, loses lines and is told how many: nothing waits for him,
 * unless it is a terminal or pipe that we may not open.
 * Text from outside is escaped (\xNN for control octets, space, '"', '=' and '\'), so an
 * event is always one line.  Only main, the daemon, the publisher and the endpoints log;
 * the rules, the table and the maps return errors instead.
 */
#ifndef DRACD_LOG_H
#define DRACD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "dracd/address.h"

enum {
	EVENT_FIELDS_MAX = 12,
	EVENT_SIZE = 1024
};

/* An event under construction: "granted 203.0.113.9 user=bob service=pop3". */
struct event {
	int level; /* LOG_ERR and so on */
	unsigned count;
	size_t length;
	size_t fields_length;
	const char *name;
	char text[EVENT_SIZE];
	char fields[EVENT_SIZE +
		    256]; /* NUL-separated "DRAC_KEY=value" for the journal */
};

/* Events above this level are dropped: LOG_INFO at first; LOG_DEBUG with "dracd -d". */
void log_set_level(int level);

/* Standard error, with priorities if that is the journal's stream (JOURNAL_STREAM).  With
 * stamps, lines to a file or terminal begin with the time; who reads a pipe or socket has
 * a clock of his own. */
void log_open(bool stamps);

/* From now on, if standard error is the journal, by sd-journal(3), with fields.  That
 * waits if the journal hangs, so it is not for processes that have to get on. */
void log_use_journal(void);

void event_init(struct event *event, int level, const char *name);
void event_init_address(
	struct event *event, int level, const char *name, const struct address *address);

/* Append " key=value"; nothing if value is NULL or empty. */
void event_add(struct event *event, const char *key, const char *value);
void event_add_number(struct event *event, const char *key, unsigned long long number);
/* A wall-clock time as local HH:MM:SS, with the date if it is not within a day of now. */
void event_add_time(struct event *event, const char *key, uint64_t wall_usec);
/* A duration in its largest fitting units: "29m55s". */
void event_add_duration(struct event *event, const char *key, uint64_t usec);
/* Appends text as it is, not as a field: " (to permit: lease_special)". */
void event_add_note(struct event *event, const char *text);

void event_log(const struct event *event);

/* A plain message. */
void log_message(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A message that ends in ": <text of the error>"; error is a negative errno and returned.
 */
int log_errno(int level, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum {
	DURATION_TEXT_SIZE = 32
};

/* "250ms", "6s", "4m10s", "2h", "3d4h": at most two units.  Returns text. */
const char *duration_format(uint64_t usec, char text[DURATION_TEXT_SIZE]);

#endif
