/* Values that options have, and what others ask about them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/clock.h"
#include "dracd/option.h"

int duration_parse(const char *text, uint64_t *ret_usec)
{
	static const struct {
		const char *unit;
		uint64_t usec;
	} units[] = {
		{"ms", USEC_PER_MSEC},
		{"", USEC_PER_SEC},
		{"s", USEC_PER_SEC},
		{"min", 60 * USEC_PER_SEC},
		{"m", 60 * USEC_PER_SEC},
		{"h", 3600 * USEC_PER_SEC},
		{"d", 86400 * USEC_PER_SEC},
	};

	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text + digits, units[i].unit) == 0) {
			*ret_usec = strtoull(text, NULL, 10) * units[i].usec;
			return 0;
		}
	return -EINVAL;
}

bool group_is_ours(gid_t group)
{
	gid_t groups[256];
	int count;

	if (geteuid() == 0 || group == getegid())
		return true;
	count = getgroups(256, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}
