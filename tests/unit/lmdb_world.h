/* What the tests of lmdb maps have in common: readers that keep to Postfix' protocol,
 * which is plain liblmdb with MDB_NOLOCK, and an fcntl(2) read lock on the file around
 * each lookup. */
#ifndef TESTS_UNIT_LMDB_WORLD_H
#define TESTS_UNIT_LMDB_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/map_world.h"

static inline int setup_lmdb(void **state)
{
	int r = setup_type(state, MAP_LMDB);
	struct world *world = *state;

	world->settings.trailing_nul = true;
	reopen(world);
	return r;
}

static inline void lock_file(int file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(file, F_SETLKW, &lock) < 0)
		_exit(1);
}

/* One lookup as slmdb_get() of Postfix makes it. */
static inline int look_up(MDB_env *env, char *text)
{
	MDB_val key = {strlen(text) + 1, text}, value;
	MDB_txn *txn;
	MDB_dbi dbi;
	int file, r;

	mdb_env_get_fd(env, &file);
	lock_file(file, F_RDLCK);
	r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r == MDB_MAP_RESIZED && mdb_env_set_mapsize(env, 0) == 0)
		r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_get(txn, dbi, &key, &value);
		mdb_txn_abort(txn);
	}
	lock_file(file, F_UNLCK);
	return r;
}

static inline MDB_env *open_reader(const char *file)
{
	MDB_env *env;

	if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, 256 << 10) != 0 ||
		mdb_env_open(env, file, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0) != 0)
		_exit(1);
	return env;
}

/* A test that fails in the middle leaves nobody behind. */
static inline void die_with_parent(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
}

static inline void assert_ended_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static inline void change(struct world *world, unsigned number, bool is_put)
{
	char key[32];

	key_of(number, key);
	assert_int_equal(
		is_put ? map_put(world->map, key, "RELAY") : map_delete(world->map, key),
		0);
}

/* True once somebody waits for a lock on the file that is open, as the kernel tells: the
 * file, not its name, which another file may have by then. */
static inline bool is_waited_for(int file)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256], wanted[64];
	struct stat status;
	bool found = false;

	if (!locks || fstat(file, &status) < 0)
		_exit(1);
	snprintf(wanted, sizeof(wanted), ":%ju ", (uintmax_t)status.st_ino);
	while (fgets(line, sizeof(line), locks))
		found = found || (strstr(line, "->") && strstr(line, wanted));
	fclose(locks);
	return found;
}

/* A child that has locked the file for reading when this returns, until the pipe *ret_end
 * is closed or, with brief, until somebody waits for it. */
static inline pid_t start_holder(const char *file, bool brief, int *ret_end)
{
	int ready[2], end[2];
	char octet;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		int held = open(file, O_RDONLY | O_CLOEXEC);

		die_with_parent();
		alarm(60); /* should nobody ever wait */
		lock_file(held, F_RDLCK);
		close(end[1]);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		while (brief && !is_waited_for(held))
			sched_yield();
		_exit(!brief && read(end[0], &octet, 1) != 0);
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(end[0]);
	*ret_end = end[1];
	return child;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_lmdb, teardown)

#endif
