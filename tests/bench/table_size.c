/*
 * What an LMDB environment that is in use says of itself:
 *
 *   table_size DIRECTORY
 *
 * Prints "TRANSACTIONS LEASES USED_OCTETS": the number of the last transaction, the rows
 * of "leases", and the pages of all databases, inner, leaf and overflow, of the free list
 * too.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int mdb_result, const char *what)
{
	if (mdb_result == 0)
		return;
	fprintf(stderr, "table_size: %s: %s\n", what, mdb_strerror(mdb_result));
	exit(EXIT_FAILURE);
}

static size_t octets_of(const MDB_stat *stat)
{
	return (stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages) *
	       stat->ms_psize;
}

/* LMDB's two databases that have no name: of the free pages, and of the names. */
static size_t unnamed_octets(MDB_txn *txn)
{
	MDB_stat stat;
	size_t octets = 0;

	for (MDB_dbi dbi = 0; dbi < 2; dbi++) {
		must(mdb_stat(txn, dbi, &stat), "mdb_stat");
		octets += octets_of(&stat);
	}
	return octets;
}

static size_t named_octets(MDB_txn *txn, const char *name, size_t *ret_rows)
{
	MDB_stat stat;
	MDB_dbi dbi;

	must(mdb_dbi_open(txn, name, 0, &dbi), name);
	must(mdb_stat(txn, dbi, &stat), name);
	if (strcmp(name, "leases") == 0)
		*ret_rows = stat.ms_entries;
	return octets_of(&stat);
}

int main(int argc, char *argv[])
{
	static const char *const names[] = {"leases", "users", "expiry", "changes"};
	size_t octets, rows = 0;
	MDB_envinfo info;
	MDB_env *env;
	MDB_txn *txn;

	must(mdb_env_create(&env), "mdb_env_create");
	must(mdb_env_set_maxdbs(env, 8), "mdb_env_set_maxdbs");
	must(mdb_env_open(env, argc == 2 ? argv[1] : "", MDB_RDONLY | MDB_NOTLS, 0),
		"mdb_env_open");
	must(mdb_env_info(env, &info), "mdb_env_info");
	must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "mdb_txn_begin");
	octets = unnamed_octets(txn);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		octets += named_octets(txn, names[i], &rows);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	printf("%zu %zu %zu\n", info.me_last_txnid, rows, octets);
	return EXIT_SUCCESS;
}
