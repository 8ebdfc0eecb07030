/* Numbers, spans and points of time as dracctl writes and reads them. */
#ifndef CLIENT_CTL_TEXT_H
#define CLIENT_CTL_TEXT_H

#include <stdbool.h>
#include <time.h>

enum {
	TEXT_SIZE = 32
};

/* Each writes to text, a buffer of TEXT_SIZE, and returns it. */

/* "1,204" */
const char *text_count(unsigned long long count, char text[static TEXT_SIZE]);

/* What is left of a lease, a begun second counted: "9s", "4m10s", "3h59m", "2d4h". */
const char *text_span(unsigned long long ms, char text[static TEXT_SIZE]);

/* How long ago: "3 s", "5 min", "4 h", "12 days". */
const char *text_age(unsigned long long ms, char text[static TEXT_SIZE]);

/* A point of time in local time, with its date if that is not today (of now):
 * "14:36:12", "2026-11-23 14:36:12". */
const char *text_time(
	unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE]);

/* The same to the minute: the one it lies in, or the first one not before it. */
const char *text_minute(
	unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE]);
const char *text_minute_up(
	unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE]);

/* Reads a duration as drac.conf has it: 500ms, 6s, 30min (or 30m), 4h, 2d; a plain
 * number counts seconds.  False if text is none or above 1000 years. */
bool text_parse_duration(const char *text, unsigned long long *ret_ms)
	__attribute__((warn_unused_result));

/* Is text an address, or with allow_prefix perhaps a network?  The length after the slash
 * is left to dracd. */
bool text_is_address(const char *text, bool allow_prefix);

#endif
