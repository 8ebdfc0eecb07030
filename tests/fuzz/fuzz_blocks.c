/* The file of blocks. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "dracd/block.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t boot[16] = {1};
	static int at = -1;
	struct moment now = {1000, 2000};
	struct blocks *blocks;
	char name[32];
	unsigned line;
	int fd;

	/* a file of our own in memory, as two runs may be at work */
	if (at < 0)
		at = open("/dev/shm", O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "dracd-fuzz-%d", (int)getpid());
	fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (blocks_load(at, name, boot, now, &blocks, &line) == 0)
		blocks_unref(blocks);
	unlinkat(at, name, 0);
	return 0;
}
