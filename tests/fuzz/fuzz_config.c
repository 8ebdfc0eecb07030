/* drac.conf. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dracd/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = {0};
	struct config *config = NULL;
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC), r;

	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(path, &config, &problems);
	FUZZ_ASSERT((r == 0) == (config != NULL) && (r == 0 || problems.errors > 0));
	config_unref(config);
	problems_done(&problems);
	close(fd);
	return 0;
}
