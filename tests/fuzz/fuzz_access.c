/* The administrator's static access file. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "maps/access.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct in6_addr asked = {{{[10] = 0xff, 0xff, 192, 0, 2, 7}}};
	struct access_problem problem;
	struct access *access;
	char path[64];
	int fd = memfd_create("access", MFD_CLOEXEC);

	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (access_read(path, &access, &problem) == 0) {
		for (size_t i = 0; i < access_count(access); i++) {
			const char *key, *value;

			access_row(access, i, &key, &value);
			FUZZ_ASSERT(access_get(access, key) != NULL && value != NULL);
		}
		(void)access_refuses(access, &asked, 128);
		access_free(access);
	}
	close(fd);
	return 0;
}
