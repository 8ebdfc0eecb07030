/*
 * An LMDB file, and the lock that Postfix takes on it: how map_lmdb.c opens one.
 */
#ifndef MAPS_LMDB_FILE_H
#define MAPS_LMDB_FILE_H

#include <lmdb.h>

struct lmdb_file {
	MDB_env *env;
	int descriptor; /* the environment's own */
};

/* A negative errno of what a function of LMDB has returned: its own numbers are negative,
 * and would pass for errno values. */
int lmdb_translate(int r) __attribute__((warn_unused_result));

/* With MDB_RDONLY in flags, or 0.  It is not locked by that. */
int lmdb_file_open(const char *path, unsigned flags, struct lmdb_file *ret)
	__attribute__((warn_unused_result));
void lmdb_file_close(const struct lmdb_file *file);

/* Takes Postfix' lock on the whole file, F_RDLCK or F_WRLCK, until it is unlocked or
 * closed.  -EBUSY: somebody else did not give it up in time; -EBADMSG: it is cut short,
 * and is not locked. */
int lmdb_file_lock(const struct lmdb_file *file, short type, unsigned wait_msec)
	__attribute__((warn_unused_result));
void lmdb_file_unlock(const struct lmdb_file *file);

#endif
