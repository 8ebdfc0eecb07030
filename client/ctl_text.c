#include "client/ctl_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECOND_MS = 1000,
	MINUTE_MS = 60 * SECOND_MS,
	HOUR_MS = 60 * MINUTE_MS,
	DAY_MS = 24 * HOUR_MS,
};

static const unsigned long long DURATION_MAX_MS = 366000ULL * DAY_MS;

const char *text_count(unsigned long long count, char text[static TEXT_SIZE])
{
	char digits[TEXT_SIZE];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%llu", count), used = 0;

	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *text_span(unsigned long long ms, char text[static TEXT_SIZE])
{
	/* up to the second, so that what has just been granted for 2 h has 2h00m left */
	if (ms % SECOND_MS != 0 && ms <= DURATION_MAX_MS)
		ms += SECOND_MS - ms % SECOND_MS;
	if (ms < MINUTE_MS)
		snprintf(text, TEXT_SIZE, "%llus", ms / SECOND_MS);
	else if (ms < HOUR_MS)
		snprintf(text, TEXT_SIZE, "%llum%02llus", ms / MINUTE_MS,
			ms % MINUTE_MS / SECOND_MS);
	else if (ms < DAY_MS)
		snprintf(text, TEXT_SIZE, "%lluh%02llum", ms / HOUR_MS,
			ms % HOUR_MS / MINUTE_MS);
	else
		snprintf(text, TEXT_SIZE, "%llud%lluh", ms / DAY_MS,
			ms % DAY_MS / HOUR_MS);
	return text;
}

const char *text_age(unsigned long long ms, char text[static TEXT_SIZE])
{
	if (ms < MINUTE_MS)
		snprintf(text, TEXT_SIZE, "%llu s", ms / SECOND_MS);
	else if (ms < HOUR_MS)
		snprintf(text, TEXT_SIZE, "%llu min", ms / MINUTE_MS);
	else if (ms < 2ULL * DAY_MS)
		snprintf(text, TEXT_SIZE, "%llu h", ms / HOUR_MS);
	else
		snprintf(text, TEXT_SIZE, "%llu days", ms / DAY_MS);
	return text;
}

static bool is_same_day(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_yday == b->tm_yday;
}

static const char *format_time(unsigned long long unix_ms, time_t now, bool with_seconds,
	char text[static TEXT_SIZE])
{
	time_t when = (time_t)(unix_ms / SECOND_MS);
	struct tm local, today;

	if (!localtime_r(&when, &local) || !localtime_r(&now, &today)) {
		snprintf(text, TEXT_SIZE, "%llu", unix_ms / SECOND_MS);
		return text;
	}
	if (is_same_day(&local, &today))
		strftime(text, TEXT_SIZE, with_seconds ? "%H:%M:%S" : "%H:%M", &local);
	else
		strftime(text, TEXT_SIZE,
			with_seconds ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &local);
	return text;
}

const char *text_time(unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE])
{
	return format_time(unix_ms, now, true, text);
}

const char *text_minute(
	unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE])
{
	return format_time(unix_ms, now, false, text);
}

const char *text_minute_up(
	unsigned long long unix_ms, time_t now, char text[static TEXT_SIZE])
{
	return format_time(unix_ms + MINUTE_MS - 1, now, false, text);
}

bool text_parse_duration(const char *text, unsigned long long *ret_ms)
{
	static const struct {
		const char *name;
		unsigned ms;
	} units[] = {
		{"", SECOND_MS},
		{"ms", 1},
		{"s", SECOND_MS},
		{"min", MINUTE_MS},
		{"m", MINUTE_MS},
		{"h", HOUR_MS},
		{"d", DAY_MS},
	};

	size_t digits = strspn(text, "0123456789");
	unsigned long long number;

	if (digits == 0 || digits > 15)
		return false;
	number = strtoull(text, NULL, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text + digits, units[i].name) == 0) {
			if (number > DURATION_MAX_MS / units[i].ms)
				return false;
			*ret_ms = number * units[i].ms;
			return true;
		}
	return false;
}

bool text_is_address(const char *text, bool allow_prefix)
{
	char host[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t length = strcspn(text, "/");

	if (length >= sizeof(host) || (text[length] && !allow_prefix))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	return inet_pton(AF_INET, host, &address) == 1 ||
	       inet_pton(AF_INET6, host, &address) == 1;
}
