/* The gateway's section of drac.conf. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rpc/settings.h"
#include "tests/fuzz/fuzz.h"

static void tell(const char *problem, void *context)
{
	FUZZ_ASSERT(problem && *problem);
	++*(unsigned *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool has_failed = fuzz_take_failure(data, &size);
	struct settings settings, again;
	unsigned problems = 0;
	char path[64];
	int fd, r;

	/* before allocations fail */
	fd = memfd_create("settings", MFD_CLOEXEC);
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = settings_load(path, &settings, tell, &problems);
	fuzz_fail_no_more();
	FUZZ_ASSERT(has_failed || (r == 0) == (problems == 0));
	if (r == 0) {
		FUZZ_ASSERT(settings.port > 0 && settings.port < 65536);
		FUZZ_ASSERT(settings.listen.count > 0 && settings.report_socket);
		FUZZ_ASSERT(settings_load(path, &again, tell, &problems) == 0);
		FUZZ_ASSERT(settings_same_start(&settings, &again));
		FUZZ_ASSERT(settings.callers.count == again.callers.count);
		FUZZ_ASSERT(strcmp(settings.allow_file, again.allow_file) == 0);
		FUZZ_ASSERT(settings.max_leases == again.max_leases);
		settings_swap_start(&settings, &again);
		settings_done(&settings);
		settings_done(&again);
	}
	close(fd);
	return 0;
}
