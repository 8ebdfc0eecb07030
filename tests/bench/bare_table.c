/*
 * The least that storing a login can be: LMDB, opened as dracd opens it, and in each
 * transaction the rows "leases" and "expiry" of BATCH people (person.h), with the octets
 * that dracd writes.  No share of a user, no state row, no socket, no thread, no log.
 *
 *   bare_table DIRECTORY full|process BATCH SECONDS FIRST COUNT [RATE]
 *
 * With RATE so many people log in in a second: a transaction has those who are due when
 * it begins, at most BATCH.
 *
 * Prints "ROWS SECONDS P50_USEC P99_USEC": of a commit; with RATE of a login, from when
 * it was due to the end of its commit.
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
	TIMES_MAX = 1 << 22,
	LEASE_SECONDS = 1800,
};

struct bare {
	MDB_env *env;
	MDB_dbi leases, expiry;
	uint32_t first, count, batch;
	uint32_t rows, times;
	uint64_t start_nsec, period_nsec; /* of the first login; 0: as fast as it goes */
	uint64_t nsec[TIMES_MAX];
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

/* When the login of a row is due. */
static uint64_t due_nsec(const struct bare *bare, uint32_t row)
{
	return bare->start_nsec + row * bare->period_nsec;
}

static void wait_until(uint64_t nsec)
{
	struct timespec until = {
		.tv_sec = (time_t)(nsec / 1000000000U),
		.tv_nsec = (long)(nsec % 1000000000U),
	};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void commit_batch(struct bare *bare)
{
	uint32_t first = bare->rows;
	uint64_t start, end;
	MDB_txn *txn;

	if (bare->period_nsec)
		wait_until(due_nsec(bare, first));
	start = now_nsec();
	must(mdb_txn_begin(bare->env, NULL, 0, &txn), "mdb_txn_begin");
	for (uint32_t i = 0;
		i < bare->batch && bare->rows < bare->count &&
		(i == 0 || !bare->period_nsec || due_nsec(bare, bare->rows) <= start);
		i++) {
		struct lease lease = lease_of(bare->first + bare->rows++);

		put(txn, bare, &lease);
	}
	must(mdb_txn_commit(txn), "mdb_txn_commit");
	end = now_nsec();
	if (!bare->period_nsec)
		bare->nsec[bare->times++] = end - start;
	for (uint32_t row = first; bare->period_nsec && row < bare->rows; row++)
		if (bare->times < TIMES_MAX)
			bare->nsec[bare->times++] = end - due_nsec(bare, row);
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
	uint64_t end;

	if (argc < 7 || argc > 8)
		must(MDB_INVALID, "arguments");
	settings.directory = argv[1];
	settings.durability =
		strcmp(argv[2], "full") == 0 ? DURABILITY_FULL : DURABILITY_PROCESS;
	bare.batch = (uint32_t)strtoul(argv[3], NULL, 10);
	bare.first = (uint32_t)strtoul(argv[5], NULL, 10);
	bare.count = (uint32_t)strtoul(argv[6], NULL, 10);
	if (argc == 8)
		bare.period_nsec = 1000000000U / strtoul(argv[7], NULL, 10);
	open_env(&bare, &settings);
	bare.start_nsec = now_nsec();
	end = bare.start_nsec + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	while (now_nsec() < end && bare.rows < bare.count && bare.times < TIMES_MAX)
		commit_batch(&bare);
	end = now_nsec();
	mdb_env_close(bare.env);
	if (bare.times == 0)
		must(MDB_INVALID, "no commit");
	qsort(bare.nsec, bare.times, sizeof(bare.nsec[0]), compare);
	printf("%u %.6f %.1f %.1f\n", bare.rows, (double)(end - bare.start_nsec) / 1e9,
		(double)bare.nsec[bare.times / 2] / 1e3,
		(double)bare.nsec[bare.times - 1 - bare.times / 100] / 1e3);
	return EXIT_SUCCESS;
}
