/* The file of blocks: what is read of it is found, and written as it was. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "dracd/block.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t boot[16] = {1};
static const struct moment now = {1000, 2000};

static void check_found(const struct blocks *blocks)
{
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];

		if (block->until_boot_usec <= now.boot_usec)
			continue;
		FUZZ_ASSERT(blocks_next_end(blocks, now) <= block->until_boot_usec);
		if (block->is_user)
			FUZZ_ASSERT(blocks_find_user(blocks, block->user, now));
		else
			FUZZ_ASSERT(blocks_find_address(blocks, &block->address, now));
	}
}

static void check_same(const struct blocks *a, const struct blocks *b)
{
	FUZZ_ASSERT(a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct block *one = &a->items[i], *other = &b->items[i];

		FUZZ_ASSERT(one->is_user == other->is_user);
		FUZZ_ASSERT(strcmp(one->user, other->user) == 0);
		FUZZ_ASSERT(strcmp(one->text, other->text) == 0);
		FUZZ_ASSERT(one->is_user ||
			    address_compare(&one->address, &other->address) == 0);
		FUZZ_ASSERT(one->until_boot_usec == other->until_boot_usec);
		FUZZ_ASSERT(one->until_wall_usec == other->until_wall_usec);
		FUZZ_ASSERT(one->since_wall_usec == other->since_wall_usec);
	}
}

/* Lifts the last one and puts it back. */
static void change(struct blocks *blocks)
{
	const struct block *last = &blocks->items[blocks->count - 1];
	struct blocks *without = NULL, *with = NULL;

	if (blocks_without(blocks, last, now, &without) == 0 &&
		blocks_with(without, last, now, &with) == 0) {
		FUZZ_ASSERT(with->count <= blocks->count);
		check_found(with);
	}
	blocks_unref(without);
	blocks_unref(with);
}

/* True if they could be read. */
static bool load(int at, const char *name, struct blocks **ret)
{
	unsigned line = 0;
	int r = blocks_load(at, name, boot, now, ret, &line);

	FUZZ_ASSERT(r <= BLOCKS_UNSAVED);
	return r >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int at = -1;
	struct blocks *blocks, *again;
	char name[32];
	int fd;

	/* a file of our own in memory, as two runs may be at work */
	if (at < 0)
		at = open("/dev/shm", O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "dracd-fuzz-%d", (int)getpid());
	(void)fuzz_take_failure(data, &size);
	fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (load(at, name, &blocks)) {
		check_found(blocks);
		if (blocks->count > 0)
			change(blocks);
		fuzz_fail_no_more();
		FUZZ_ASSERT(blocks_save(blocks, at, name, boot, now) == 0);
		FUZZ_ASSERT(load(at, name, &again));
		check_same(blocks, again);
		blocks_unref(again);
		blocks_unref(blocks);
	}
	fuzz_fail_no_more();
	unlinkat(at, name, 0);
	FUZZ_ASSERT(load(at, name, &blocks)); /* none is an empty set */
	blocks_unref(blocks_ref(blocks));
	blocks_unref(blocks);
	return 0;
}
