/* The administrator's static access file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "maps/access.h"
#include "tests/fuzz/fuzz.h"

/* Every row is found by its key, and no two have the same. */
static void check_rows(const struct access *access)
{
	for (size_t i = 0; i < access_count(access); i++) {
		const char *key, *value;

		access_row(access, i, &key, &value);
		FUZZ_ASSERT(*key && *value && access_get(access, key) == value);
		FUZZ_ASSERT(!strpbrk(key, " \t\nABCDEFGHIJKLMNOPQRSTUVWXYZ"));
	}
	FUZZ_ASSERT(!access_get(access, ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct in6_addr asked[] = {{{{[10] = 0xff, 0xff, 192, 0, 2, 7}}},
		{{{0x20, 0x01, 0x0d, 0xb8, [15] = 7}}}};
	struct access_problem problem = {0};
	struct access *access = NULL;
	char path[64];
	int fd = memfd_create("access", MFD_CLOEXEC), r;

	(void)fuzz_take_failure(data, &size);
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = access_read(path, &access, &problem);
	FUZZ_ASSERT((r == 0) == (access != NULL));
	FUZZ_ASSERT(r != -EBADMSG || (problem.text && problem.line > 0));
	fuzz_fail_no_more();
	if (access) {
		check_rows(access);
		for (unsigned length = 0; length <= 128; length += 8)
			(void)access_refuses(access, &asked[length % 16 / 8], length);
	}
	access_free(access);
	close(fd);
	return 0;
}
