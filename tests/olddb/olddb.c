/*
 * olddb btree|hash PAGE_SIZE FILE: writes a database as DRAC keeps one, for tests.
 *
 * The rows come from standard input in the form of drac-mapread, but without an end: two
 * lengths as uint32_t, then key and value, octet for octet.
 */
#include <db.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SIZE_MAX_OCTETS = 65536,
};

static int fail(const char *what, int r)
{
	fprintf(stderr, "olddb: %s: %s\n", what, r ? db_strerror(r) : "wrong input");
	return 1;
}

/* 1: a row, 0: the end, -1: half a row. */
static int read_row(char *data, DBT *key, DBT *value)
{
	uint32_t sizes[2];

	if (fread(sizes, sizeof(sizes), 1, stdin) != 1)
		return feof(stdin) ? 0 : -1;
	if (sizes[0] > SIZE_MAX_OCTETS || sizes[1] > SIZE_MAX_OCTETS)
		return -1;
	*key = (DBT){.data = data, .size = sizes[0]};
	*value = (DBT){.data = data + sizes[0], .size = sizes[1]};
	return fread(data, 1, sizes[0] + sizes[1], stdin) == sizes[0] + sizes[1] ? 1 : -1;
}

static int copy_rows(DB *db)
{
	char *data = malloc(2 * SIZE_MAX_OCTETS);
	DBT key, value;
	int there, r = 0;

	if (!data)
		return fail("memory", 0);
	while ((there = read_row(data, &key, &value)) > 0 && r == 0)
		r = db->put(db, NULL, &key, &value, 0);
	free(data);
	return r != 0 || there < 0 ? fail("row", r) : 0;
}

int main(int argc, char **argv)
{
	DB *db;
	int r, status;

	if (argc != 4) {
		fputs("usage: olddb btree|hash PAGE_SIZE FILE <ROWS\n", stderr);
		return 2;
	}
	r = db_create(&db, NULL, 0);
	if (r == 0)
		r = db->set_pagesize(db, (u_int32_t)strtoul(argv[2], NULL, 10));
	if (r == 0)
		r = db->open(db, NULL, argv[3], NULL,
			strcmp(argv[1], "hash") == 0 ? DB_HASH : DB_BTREE,
			DB_CREATE | DB_TRUNCATE, 0644);
	if (r != 0)
		return fail(argv[3], r);
	status = copy_rows(db);
	r = db->close(db, 0);
	return r != 0 ? fail(argv[3], r) : status;
}
