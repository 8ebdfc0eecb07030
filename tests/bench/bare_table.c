/*
 * The least that storing a login can be: LMDB, opened as dracd opens it, and in each
 * transaction the rows "leases" and "expiry" of BATCH people (person.h), with the octets
 * that dracd writes.  No share of a user, no state row, no socket, no thread, no log.
 *
 *   bare_table DIRECTORY full|process BATCH SECONDS FIRST COUNT
 *
 * Prints "ROWS SECONDS P50_USEC", the last of a commit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dracd/table_internal.h"
#include "tests/bench/person.h"

enum {
	MAX_LEASES = 4000000, /* as tests/bench/daemon.py, for the same size of the map */
	MAX_READERS = 126,    /* as state.c */
	COMMITS_MAX = 1 << 22,
	LEASE_SECONDS = 1800,
};

struct bare {
	MDB_env *env;
	MDB_dbi leases, expiry;
	uint32_t first, count, batch;
	uint32_t rows, commits;
	uint64_t commit_nsec[COMMITS_MAX];
};

static void must(int mdb_result, const char *what)
{
	if (mdb_result == 0)
		return;
	fprintf(stderr, "bare_table: %s: %s\n", what, mdb_strerror(mdb_result));
	exit(EXIT_FAILURE);
}

static uint64_t now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* The lease that dracd would grant to a person. */
static struct lease lease_of(uint32_t number)
{
	struct login login = {.service = "imap", .reporter = "root"};
	char text[PERSON_TEXT_SIZE], user[PERSON_TEXT_SIZE];
	struct address address;
	struct lease lease;

	person_address(number, text);
	person_user(number, user);
	must(address_parse(text, &address), "address");
	lease = lease_grant(&address, &login, LEASE_SECONDS * USEC_PER_SEC, clock_now());
	(void)lease_add_share(&lease, user_hash(user));
	return lease;
}

static void put(MDB_txn *txn, struct bare *bare, const struct lease *lease)
{
	struct expiry row = {lease->deadline_boot_usec, lease->address};
	uint8_t key[LEASE_KEY_SIZE], record[LEASE_RECORD_MAX], index[EXPIRY_KEY_SIZE];
	MDB_val name = table_value(key, sizeof(key));
	MDB_val value = table_value(record, lease_encode(lease, record));
	MDB_val expiry = table_value(index, sizeof(index)), empty = table_value("", 0);

	lease_key_encode(&lease->address, key);
	must(mdb_put(txn, bare->leases, &name, &value, 0), "mdb_put");
	table_encode_expiry(&row, index);
	must(mdb_put(txn, bare->expiry, &expiry, &empty, 0), "mdb_put");
}

static void commit_batch(struct bare *bare)
{
	uint64_t start = now_nsec();
	MDB_txn *txn;

	must(mdb_txn_begin(bare->env, NULL, 0, &txn), "mdb_txn_begin");
	for (uint32_t i = 0; i < bare->batch && bare->rows < bare->count; i++) {
		struct lease lease = lease_of(bare->first + bare->rows++);

		put(txn, bare, &lease);
	}
	must(mdb_txn_commit(txn), "mdb_txn_commit");
	bare->commit_nsec[bare->commits++] = now_nsec() - start;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void open_env(struct bare *bare, const struct table_settings *settings)
{
	MDB_txn *txn;

	if (table_open_env(settings, false, &bare->env) < 0)
		must(MDB_INVALID, settings->directory);
	must(mdb_txn_begin(bare->env, NULL, 0, &txn), "mdb_txn_begin");
	must(mdb_dbi_open(txn, "leases", MDB_CREATE, &bare->leases), "leases");
	must(mdb_dbi_open(txn, "expiry", MDB_CREATE, &bare->expiry), "expiry");
	must(mdb_txn_commit(txn), "mdb_txn_commit");
}

int main(int argc, char *argv[])
{
	static struct bare bare;
	struct table_settings settings = {
		.max_leases = MAX_LEASES,
		.max_readers = MAX_READERS,
	};
	uint64_t start, end;

	if (argc != 7)
		must(MDB_INVALID, "arguments");
	settings.directory = argv[1];
	settings.durability =
		strcmp(argv[2], "full") == 0 ? DURABILITY_FULL : DURABILITY_PROCESS;
	bare.batch = (uint32_t)strtoul(argv[3], NULL, 10);
	bare.first = (uint32_t)strtoul(argv[5], NULL, 10);
	bare.count = (uint32_t)strtoul(argv[6], NULL, 10);
	open_env(&bare, &settings);
	start = now_nsec();
	end = start + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	while (now_nsec() < end && bare.rows < bare.count && bare.commits < COMMITS_MAX)
		commit_batch(&bare);
	end = now_nsec();
	mdb_env_close(bare.env);
	if (bare.commits == 0)
		must(MDB_INVALID, "no commit");
	qsort(bare.commit_nsec, bare.commits, sizeof(bare.commit_nsec[0]), compare);
	printf("%u %.6f %.1f\n", bare.rows, (double)(end - start) / 1e9,
		(double)bare.commit_nsec[bare.commits / 2] / 1e3);
	return EXIT_SUCCESS;
}
