#include "dracd/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static const uint8_t this_boot[16] = {1}, other_boot[16] = {2};

struct world {
	char path[32];
	int directory;
	struct blocks *blocks; /* 203.0.113.9 until 100 s, eve until 200 s */
};

static struct block block_of(const char *address, const char *user, uint64_t until)
{
	struct block block = {
		.is_user = user != NULL,
		.text = "spam run, ticket 4711",
		.since_wall_usec = at(0).wall_usec,
		.until_wall_usec = at(until).wall_usec,
		.until_boot_usec = at(until).boot_usec,
	};

	if (address)
		block.address = address_of(address);
	else
		snprintf(block.user, sizeof(block.user), "%s", user);
	return block;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct block first = block_of("203.0.113.9", NULL, 100);
	struct block second = block_of(NULL, "eve", 200);
	struct blocks *empty = blocks_new(), *one;

	snprintf(world->path, sizeof(world->path), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world->directory = open(world->path, O_DIRECTORY);
	assert_int_equal(blocks_with(empty, &first, at(0), &one), 0);
	assert_int_equal(blocks_with(one, &second, at(0), &world->blocks), 0);
	blocks_unref(empty);
	blocks_unref(one);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	unlinkat(world->directory, "blocks", 0);
	close(world->directory);
	rmdir(world->path);
	blocks_unref(world->blocks);
	free(world);
	return 0;
}

static void test_find(void **state)
{
	struct world *world = *state;
	struct address host = address_of("203.0.113.9"),
		       net = address_of("203.0.113.0/24");
	struct address other = address_of("203.0.113.8");

	assert_non_null(blocks_find_address(world->blocks, &host, at(99)));
	assert_null(blocks_find_address(world->blocks, &host, at(100)));
	assert_non_null(blocks_find_address(world->blocks, &net, at(0)));
	assert_null(blocks_find_address(world->blocks, &other, at(0)));
	assert_non_null(blocks_find_user(world->blocks, "eve", at(199)));
	assert_null(blocks_find_user(world->blocks, "eve", at(200)));
	assert_null(blocks_find_user(world->blocks, "Eve", at(0)));
	assert_int_equal(blocks_next_end(world->blocks, at(0)), at(100).boot_usec);
	assert_int_equal(blocks_next_end(world->blocks, at(100)), at(200).boot_usec);
	assert_int_equal(blocks_next_end(world->blocks, at(200)), UINT64_MAX);
}

static void test_replace_and_remove(void **state)
{
	struct world *world = *state;
	struct block longer = block_of("203.0.113.9", NULL, 500);
	struct blocks *more, *less, *none;

	assert_int_equal(blocks_with(world->blocks, &longer, at(0), &more), 0);
	assert_int_equal(more->count, 2);
	assert_non_null(blocks_find_address(more, &longer.address, at(499)));
	assert_int_equal(blocks_without(more, &longer, at(0), &less), 0);
	assert_int_equal(less->count, 1);
	assert_null(blocks_find_address(less, &longer.address, at(0)));
	assert_int_equal(blocks_without(less, &longer, at(0), &none), -ENOENT);
	/* what is over is left out of the next set */
	blocks_unref(more);
	assert_int_equal(blocks_with(world->blocks, NULL, at(150), &more), 0);
	assert_int_equal(more->count, 1);
	blocks_unref(more);
	blocks_unref(less);
}

static void save(struct world *world)
{
	assert_int_equal(
		blocks_save(world->blocks, world->directory, "blocks", this_boot, at(10)),
		0);
}

static struct blocks *load(struct world *world, const uint8_t boot[16], struct moment now)
{
	struct blocks *blocks;
	unsigned line;

	assert_int_equal(
		blocks_load(world->directory, "blocks", boot, now, &blocks, &line), 0);
	return blocks;
}

static void test_same_boot(void **state)
{
	struct world *world = *state;
	struct moment now = at(20);
	struct blocks *blocks;

	save(world);
	now.wall_usec +=
		86400 * USEC_PER_SEC; /* a clock step means nothing within a boot */
	blocks = load(world, this_boot, now);
	assert_int_equal(blocks->count, 2);
	assert_int_equal(blocks->items[0].until_boot_usec, at(100).boot_usec);
	assert_string_equal(blocks->items[0].text, "spam run, ticket 4711");
	assert_string_equal(blocks->items[1].user, "eve");
	blocks_unref(blocks);
}

static void test_other_boot(void **state)
{
	struct world *world = *state;
	struct moment now = {
		.boot_usec = 7 * USEC_PER_SEC, .wall_usec = at(60).wall_usec};
	struct blocks *blocks;

	save(world);
	blocks = load(world, other_boot, now);
	assert_int_equal(blocks->items[0].until_boot_usec, 47 * USEC_PER_SEC);
	blocks_unref(blocks);
	/* a second start in that boot goes by its boot clock, whatever the wall clock
	 * says */
	now.wall_usec += 86400 * USEC_PER_SEC;
	blocks = load(world, other_boot, now);
	assert_int_equal(blocks->count, 2);
	assert_int_equal(blocks->items[0].until_boot_usec, 47 * USEC_PER_SEC);
	blocks_unref(blocks);
	save(world);
	/* a clock that has gone back cannot be believed: the whole time again */
	now.wall_usec = at(0).wall_usec - USEC_PER_SEC;
	blocks = load(world, other_boot, now);
	assert_int_equal(blocks->items[0].until_boot_usec, 107 * USEC_PER_SEC);
	blocks_unref(blocks);
	/* and of that, what is left at the next start of the machine */
	now.wall_usec += 30 * USEC_PER_SEC;
	blocks = load(world, this_boot, now);
	assert_int_equal(blocks->items[0].until_boot_usec, 77 * USEC_PER_SEC);
	blocks_unref(blocks);
}

static void test_damaged_file(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{"", 0},
		{"junk\n", 1},
		{"dracd-blocks version=2 boot=x written_usec=1\n", 1},
		{"dracd-blocks version=1 boot=x written_usec=1\nblock\n", 2},
		{"dracd-blocks version=1 boot=x written_usec=1\nblock address=1.2.3.4 user=x "
		 "since_usec=1 until_usec=1 until_boot_usec=1 text=\n",
			2},
		{"dracd-blocks version=1 boot=x written_usec=1\nblock address=1.2.3 "
		 "since_usec=1 until_usec=1 until_boot_usec=1 text=\n",
			2},
		{"dracd-blocks version=1 boot=x written_usec=1\nblock user=x since_usec=1 "
		 "until_usec=1 until_boot_usec=1 text=",
			2},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int fd = openat(
			world->directory, "blocks", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		size_t length = strlen(rows[i].text);
		struct blocks *blocks;
		unsigned line;

		assert_int_equal(write(fd, rows[i].text, length), length);
		close(fd);
		assert_int_equal(blocks_load(world->directory, "blocks", this_boot, at(0),
					 &blocks, &line),
			-EBADMSG);
		assert_int_equal(line, rows[i].line);
	}
}

static void test_no_file(void **state)
{
	struct blocks *blocks = load(*state, this_boot, at(0));

	assert_int_equal(blocks->count, 0);
	blocks_unref(blocks);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_replace_and_remove),
		TEST(test_same_boot),
		TEST(test_other_boot),
		TEST(test_damaged_file),
		TEST(test_no_file),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
