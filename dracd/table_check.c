/*
 * Is the environment sound?  LMDB 0.9 has no checksums: a damaged file can crash whoever
 * reads it.  So a child reads all of it first, and what it dies of costs only the child.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/table_internal.h"

struct check {
	struct table_reader reader;
	uint64_t leases, shares, ends;
};

static int check_lease(const struct lease *lease, void *context)
{
	struct check *check = context;
	struct expiry row = {lease->deadline_boot_usec, lease->address};
	uint8_t key[EXPIRY_KEY_SIZE];
	MDB_val value, index = {.mv_size = sizeof(key), .mv_data = key};

	table_encode_expiry(&row, key);
	if (mdb_get(check->reader.txn, check->reader.table->expiry, &index, &value) != 0)
		return -EUCLEAN;
	for (unsigned i = 0; i < lease->share_count; i++) {
		struct share share;

		if (table_read_share(&check->reader, &lease->address, lease->shares[i],
			    &share) != 0 ||
			user_hash(share.user) != lease->shares[i])
			return -EUCLEAN;
	}
	check->leases++;
	check->shares += lease->share_count;
	return 0;
}

static int check_end(const struct expiry *row, void *context)
{
	struct check *check = context;

	(void)row;
	check->ends++;
	return 0;
}

static int check_change(const struct address *key, void *context)
{
	(void)key;
	(void)context;
	return 0;
}

/* Leases, index and shares are the same set, and every row can be read. */
static int check_rows(struct table *table, MDB_txn *txn)
{
	struct check check = {.reader = {.table = table, .txn = txn}};
	struct expiry first = {0};
	struct meta meta;
	MDB_stat users;
	int r;

	r = table_read_meta(table, txn, &meta);
	if (r == 0)
		r = table_each_lease(&check.reader, check_lease, &check);
	if (r == 0)
		r = table_each_expiry(&check.reader, &first, check_end, &check);
	if (r == 0)
		r = table_each_change(&check.reader, 0, check_change, NULL);
	if (r == 0)
		r = table_result(mdb_stat(txn, table->users, &users));
	if (r == 0 && (check.leases != check.ends || check.shares != users.ms_entries))
		r = -EUCLEAN;
	return r;
}

static int check_environment(const struct table_settings *settings)
{
	struct table table = {.settings = *settings};
	MDB_stat main;
	MDB_txn *txn;
	int r;

	r = table_open_env(settings, true, &table.env);
	if (r < 0)
		return r;
	r = table_result(mdb_env_stat(table.env, &main));
	/* an environment that died before its first commit holds nothing at all */
	if (r == 0 && main.ms_entries == 0)
		return 0;
	if (r == 0)
		r = table_result(mdb_txn_begin(table.env, NULL, MDB_RDONLY, &txn));
	if (r == 0)
		r = table_open_databases(&table, txn, false);
	if (r == 0)
		r = check_rows(&table, txn);
	return r == TABLE_NOT_FOUND ? -EUCLEAN : r;
}

/* Waits for the child; its exit status, or -1 if something else ended it. */
static int wait_child(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int table_check(const struct table_settings *settings, unsigned timeout_sec)
{
	enum {
		SOUND,
		DAMAGED,
		UNREADABLE
	};

	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		sigset_t alarm_only;
		int r;

		/* it ends with dracd, and at the time limit by SIGALRM */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&alarm_only);
		sigaddset(&alarm_only, SIGALRM);
		sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
		alarm(timeout_sec);
		r = check_environment(settings);
		_exit(r == 0 || r == -ENOENT           ? SOUND
			: r == -EACCES || r == -ENOMEM ? UNREADABLE
						       : DAMAGED);
	}
	switch (wait_child(child)) {
	case SOUND:
		return 0;
	case UNREADABLE:
		return -EACCES;
	default:
		return -EUCLEAN;
	}
}
