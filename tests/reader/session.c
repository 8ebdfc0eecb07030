/*
 * session FILE: one SMTP session of Postfix with an lmdb map: opens it once, as
 * dict_lmdb.c does, and looks up each key that a line of standard input names, with one
 * line each of standard output: the value, "-" if it is absent, or "error: ...".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <lmdb.h>

static void lock(int file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	(void)fcntl(file, F_SETLKW, &lock);
}

/* A writer may have made the file larger than our mapping. */
static int begin(MDB_env *env, MDB_txn **ret)
{
	int r = mdb_txn_begin(env, NULL, MDB_RDONLY, ret);

	if (r != MDB_MAP_RESIZED)
		return r;
	r = mdb_env_set_mapsize(env, 0);
	return r == 0 ? mdb_txn_begin(env, NULL, MDB_RDONLY, ret) : r;
}

static void look_up(MDB_env *env, char *text)
{
	MDB_val key = {strlen(text) + 1, text}, value;
	MDB_txn *txn;
	MDB_dbi dbi;
	int r = begin(env, &txn);

	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_get(txn, dbi, &key, &value);
		if (r == 0)
			printf("%.*s\n", (int)value.mv_size - 1,
				(const char *)value.mv_data);
		mdb_txn_abort(txn);
	}
	if (r == MDB_NOTFOUND)
		puts("-");
	else if (r != 0)
		printf("error: %s\n", mdb_strerror(r));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char key[256];
	MDB_env *env;
	int file;

	if (argc != 2) {
		fputs("usage: session FILE\n", stderr);
		return 2;
	}
	if (mdb_env_create(&env) != 0 ||
		mdb_env_open(env, argv[1], MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY,
			0644) != 0 ||
		mdb_env_get_fd(env, &file) != 0) {
		fprintf(stderr, "session: cannot open %s\n", argv[1]);
		return 1;
	}
	while (fgets(key, sizeof(key), stdin)) {
		key[strcspn(key, "\n")] = '\0';
		lock(file, F_RDLCK);
		look_up(env, key);
		lock(file, F_UNLCK);
	}
	mdb_env_close(env);
	return 0;
}
