/* The clocks, read in one place. */
#include "dracd/clock.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now) < 0)
		abort(); /* both clocks exist in every kernel since 2.6.39 */
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

struct moment clock_now(void)
{
	return (struct moment){
		.boot_usec = read_clock(CLOCK_BOOTTIME),
		.wall_usec = read_clock(CLOCK_REALTIME),
	};
}

int clock_boot_id(uint8_t ret[16])
{
	const char *given = getenv("DRACD_BOOT_ID");
	sd_id128_t id;
	int r;

	r = given ? sd_id128_from_string(given, &id) : sd_id128_get_boot(&id);
	if (r < 0)
		return r;
	memcpy(ret, id.bytes, 16);
	return 0;
}

uint64_t clock_add(uint64_t usec, uint64_t more)
{
	return usec > UINT64_MAX - more ? UINT64_MAX : usec + more;
}
