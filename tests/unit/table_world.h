/* What the tests of the table have in common: a table in a directory of its own, and what
 * is done with it. */
#ifndef TESTS_UNIT_TABLE_WORLD_H
#define TESTS_UNIT_TABLE_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/table.h"
#include "tests/unit/unit.h"

enum {
	LEASES_MAX = 100,
	PER_USER = 3
};

struct world {
	char path[32];
	struct table_settings settings;
	struct table *table;
};

static inline void open_table(
	struct world *world, struct moment now, uint64_t expect_dropped)
{
	struct table_state counted;
	uint64_t dropped;

	assert_int_equal(table_check(&world->settings, 30, &counted), 0);
	assert_int_equal(
		table_open(&world->settings, &counted, now, &world->table, &dropped), 0);
	assert_int_equal(dropped, expect_dropped);
}

static inline int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	snprintf(world->path, sizeof(world->path), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world->settings = (struct table_settings){
		.directory = world->path,
		.durability = DURABILITY_PROCESS,
		.max_leases = LEASES_MAX,
		.max_readers = 8,
		.boot_id = {1},
		.feed_changes = true,
	};
	open_table(world, at(0), 0);
	*state = world;
	return 0;
}

/* The files of a closed table. */
static inline void remove_table(const struct world *world)
{
	char file[64];

	snprintf(file, sizeof(file), "%s/data.mdb", world->path);
	unlink(file);
	snprintf(file, sizeof(file), "%s/lock.mdb", world->path);
	unlink(file);
}

static inline int teardown(void **state)
{
	struct world *world = *state;

	if (world->table)
		(void)table_close(world->table);
	remove_table(world);
	rmdir(world->path);
	free(world);
	return 0;
}

/* A login at a second that lasts so many; the result of table_login(). */
static inline int login(struct world *world, const char *address, const char *user,
	uint64_t second, uint64_t seconds, struct table_grant *ret)
{
	struct login login = {.service = "imap", .reporter = "unit"};
	struct address key = address_of(address);
	int r;

	snprintf(login.user, sizeof(login.user), "%s", user);
	assert_int_equal(table_begin(world->table, at(second)), 0);
	r = table_login(world->table, &key, &login, seconds * USEC_PER_SEC, at(second),
		PER_USER, ret);
	if (r < 0)
		table_abort(world->table);
	else
		assert_int_equal(table_commit(world->table, false), 0);
	return r;
}

static inline struct table_reader *reader_of(struct world *world)
{
	struct table_reader *reader;

	assert_int_equal(table_reader_open(world->table, &reader), 0);
	assert_int_equal(table_reader_begin(reader), 0);
	return reader;
}

static inline int count_lease(const struct lease *lease, void *context)
{
	(void)lease;
	++*(unsigned *)context;
	return 0;
}

static inline int count_end(const struct expiry *row, void *context)
{
	(void)row;
	++*(unsigned *)context;
	return 0;
}

static inline int count_change(const struct address *key, void *context)
{
	(void)key;
	++*(unsigned *)context;
	return 0;
}

/* Rows of leases and index; they are always as many. */
static inline unsigned rows_of(struct world *world)
{
	struct table_reader *reader = reader_of(world);
	struct expiry first = {0};
	unsigned leases = 0, ends = 0;

	assert_int_equal(table_each_lease(reader, count_lease, &leases), 0);
	assert_int_equal(table_each_expiry(reader, &first, count_end, &ends), 0);
	assert_int_equal(leases, ends);
	table_reader_close(reader);
	return leases;
}

static inline unsigned changes_after(struct world *world, uint64_t sequence)
{
	struct table_reader *reader = reader_of(world);
	unsigned changes = 0;

	assert_int_equal(table_each_change(reader, sequence, count_change, &changes), 0);
	table_reader_close(reader);
	return changes;
}

static inline int find(struct world *world, const char *address, struct lease *ret)
{
	struct table_reader *reader = reader_of(world);
	struct address asked = address_of(address);
	int r = table_find(
		reader, &asked, table_get_state(world->table)->lengths, 0, ret);

	table_reader_close(reader);
	return r;
}

#endif
