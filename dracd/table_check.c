/*
 * Is the environment sound?  LMDB 0.9 has no checksums: a damaged file can crash whoever
 * reads it.  So a child reads all of it first, and what it dies of costs only the child.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/table_internal.h"

static_assert((int)USER_KEY_SIZE == (int)EXPIRY_KEY_SIZE, "fingerprint() is of either");

/* A set of keys: how many, and the sum of their fingerprints. */
struct set {
	uint64_t count, sum;
};

/* The index and the shares, as the leases say they are and as they are found. */
struct check {
	struct table *table;
	struct set ends, found_ends;
	struct set shares, found_shares;
};

/* Two sets of different keys have the same sum as rarely as two numbers of 64 bits are
 * the same by chance, and no chance but only damage makes them differ.  To look for each
 * key in the other database instead is eight times as slow with a million leases, of
 * which the lookups wait for the end. */
static void add_to_set(struct set *set, const uint8_t key[USER_KEY_SIZE])
{
	uint64_t print = key[USER_KEY_SIZE - 1];

	for (unsigned i = 0; i + 8 < USER_KEY_SIZE; i += 8) {
		print = (print ^ table_get_be64(key + i)) * UINT64_C(0x9e3779b97f4a7c15);
		print ^= print >> 32;
	}
	set->count++;
	set->sum += print;
}

static bool same_set(const struct set *a, const struct set *b)
{
	return a->count == b->count && a->sum == b->sum;
}

static int check_lease(const struct lease *lease, void *context)
{
	struct check *check = context;
	struct expiry row = {lease->deadline_boot_usec, lease->address};
	uint8_t key[USER_KEY_SIZE];

	table_count(check->table, lease, 1);
	table_encode_expiry(&row, key);
	add_to_set(&check->ends, key);
	for (unsigned i = 0; i < lease->share_count; i++) {
		table_encode_user(lease->shares[i], &lease->address, key);
		add_to_set(&check->shares, key);
	}
	return 0;
}

static int check_end(const struct expiry *row, void *context)
{
	struct check *check = context;
	uint8_t key[EXPIRY_KEY_SIZE];

	table_encode_expiry(row, key);
	add_to_set(&check->found_ends, key);
	return 0;
}

static int check_share(uint64_t hash, const struct address *lease,
	const struct share *share, void *context)
{
	struct check *check = context;
	uint8_t key[USER_KEY_SIZE];

	if (user_hash(share->user) != hash)
		return -EUCLEAN;
	table_encode_user(hash, lease, key);
	add_to_set(&check->found_shares, key);
	return 0;
}

static int check_change(const struct address *key, void *context)
{
	(void)key;
	(void)context;
	return 0;
}

/* Leases, index and shares are the same set, and every row can be read: each database
 * from its first row to its last, as it lies there. */
static int check_rows(struct table *table, MDB_txn *txn)
{
	struct table_reader reader = {.table = table, .txn = txn};
	struct check check = {.table = table};
	struct expiry first = {0};
	struct meta meta;
	int r;

	r = table_read_meta(table, txn, &meta);
	if (r == 0)
		r = table_each_lease(&reader, check_lease, &check);
	if (r == 0)
		r = table_each_expiry(&reader, &first, check_end, &check);
	if (r == 0)
		r = table_each_share(&reader, check_share, &check);
	if (r == 0)
		r = table_each_change(&reader, 0, check_change, NULL);
	if (r == 0 && (!same_set(&check.ends, &check.found_ends) ||
			      !same_set(&check.shares, &check.found_shares)))
		r = -EUCLEAN;
	return r;
}

static int check_environment(
	const struct table_settings *settings, struct table_state *ret)
{
	struct table table = {.settings = *settings};
	MDB_stat main;
	MDB_txn *txn = NULL;
	int r;

	r = table_open_env(settings, true, &table.env);
	if (r < 0)
		return r;
	r = table_result(mdb_env_stat(table.env, &main));
	/* an environment that died before its first commit holds nothing at all */
	if (r == 0 && main.ms_entries > 0) {
		r = table_result(mdb_txn_begin(table.env, NULL, MDB_RDONLY, &txn));
		if (r == 0)
			r = table_open_databases(&table, txn, false);
		if (r == 0)
			r = check_rows(&table, txn);
		if (r == 0)
			*ret = table.state;
	}
	if (txn)
		mdb_txn_abort(txn);
	mdb_env_close(table.env);
	return r == TABLE_NOT_FOUND ? -EUCLEAN : r;
}

enum {
	LOOKS = 2
};

/* What the child exits with: 0, EUCLEAN, or one of these, which tell nothing of what is
 * in the table. */
static bool is_want(int error)
{
	static const int wants[] = {EACCES, EPERM, EAGAIN, EDQUOT, EINTR, EMFILE, ENFILE,
		ENOMEM, ENOSPC, EROFS};

	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		if (wants[i] == error)
			return true;
	return false;
}

/* In the child.  It ends with dracd, and at the time limit by SIGALRM. */
static void run_check(const struct table_settings *settings, pid_t parent,
	unsigned timeout_sec, struct table_state *ret)
{
	sigset_t alarm_only;
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EAGAIN);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	alarm(timeout_sec);
	r = check_environment(settings, ret);
	if (r == -ENOENT)
		r = 0;
	_exit(r == 0 || is_want(-r) ? -r : EUCLEAN);
}

/* Waits for the child.  What is in a table does not kill its reader with SIGKILL; who
 * runs out of memory, or an administrator, does. */
static int judge_child(pid_t child, bool *ret_is_over)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	*ret_is_over = WTERMSIG(status) == SIGALRM;
	return WTERMSIG(status) == SIGKILL ? -ECANCELED : -EUCLEAN;
}

/* A table that is found damaged costs all leases, so a second child has to find it, too:
 * a failure that goes by is none of the table's. */
int table_check(const struct table_settings *settings, unsigned timeout_sec,
	struct table_state *ret)
{
	struct table_state *counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool is_over = false;
	pid_t parent = getpid();
	int r = -EUCLEAN;

	if (counted == MAP_FAILED)
		return -errno;
	for (unsigned look = 0; look < LOOKS && r < 0 && !is_over; look++) {
		pid_t child = fork();

		if (child == 0)
			run_check(settings, parent, timeout_sec, counted);
		r = child < 0 ? -errno : judge_child(child, &is_over);
	}
	if (r == 0)
		*ret = *counted;
	(void)munmap(counted, sizeof(*counted));
	return r;
}
