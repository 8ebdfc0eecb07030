/*
 * reader TYPE FILE KEY VALUE ABSENT...: looks keys up as an MTA does, session after
 * session, until its standard input ends.  Between sessions it gives up the processor for
 * a moment, as an MTA does that waits for its client: else, with more readers than
 * processors, one that holds the lock is always among those that do not run.
 *
 * KEY must be found with VALUE each time, and no ABSENT ever (VALUE "" in text files of
 * keys alone).  It opens, locks, and opens anew as Postfix' dict_db.c, dict_lmdb.c and
 * dict_cdb.c do, with a new session every few lookups, and reads text as Exim does, anew
 * each time; see mta-maps.md.  The last line is "lookups N opens N"; what goes wrong is
 * told before it, and the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#if WITH_BDB
#include <db.h>
#endif
#if WITH_CDB
#include <cdb.h>
#endif

enum {
	LOOKUPS_PER_SESSION = 5,
	PAUSE_MSEC = 1,
	VALUE_SIZE = 256,
};

enum found {
	FOUND,
	ABSENT,
	FAILED, /* say() has been called */
};

struct file {
	const char *path;
	bool trailing_nul;
	int descriptor; /* -1: not open */
	time_t modified;
	void *library; /* of the format */
};

/* Opens and closes a file; looks key up in it. */
struct format {
	const char *name;
	bool (*open)(struct file *file);
	void (*close)(struct file *file);
	enum found (*find)(struct file *file, const char *key, char value[VALUE_SIZE]);
	bool notices_time; /* not only that the file is unlinked */
};

static unsigned long failures;

static enum found say(const struct file *file, const char *what, const char *why)
{
	if (failures++ < 10)
		printf("%s: %s: %s\n", file->path, what, why);
	return FAILED;
}

static size_t key_size(const struct file *file, const char *key)
{
	return strlen(key) + file->trailing_nul;
}

static void copy_value(
	const struct file *file, const void *data, size_t size, char value[VALUE_SIZE])
{
	if (file->trailing_nul && size > 0)
		size--;
	snprintf(value, VALUE_SIZE, "%.*s", (int)size, (const char *)data);
}

static bool open_descriptor(struct file *file)
{
	struct stat status;

	file->descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
	if (file->descriptor < 0 || fstat(file->descriptor, &status) < 0) {
		(void)say(file, "open", strerror(errno));
		return false;
	}
	file->modified = status.st_mtime;
	return true;
}

/* ---- Berkeley DB ---- */

#if WITH_BDB
static bool open_bdb(struct file *file, DBTYPE type)
{
	DB *db;
	int r;

	if (!open_descriptor(file))
		return false;
	(void)flock(file->descriptor, LOCK_SH);
	r = db_create(&db, NULL, 0);
	if (r == 0) {
		r = db->open(db, NULL, file->path, NULL, type, DB_RDONLY, 0);
		file->library = db;
	}
	(void)flock(file->descriptor, LOCK_UN);
	if (r != 0)
		(void)say(file, "DB->open", db_strerror(r));
	return r == 0;
}

static bool open_hash(struct file *file)
{
	return open_bdb(file, DB_HASH);
}

static bool open_btree(struct file *file)
{
	return open_bdb(file, DB_BTREE);
}

static void close_bdb(struct file *file)
{
	DB *db = file->library;

	if (db)
		(void)db->close(db, DB_NOSYNC);
}

static enum found find_bdb(struct file *file, const char *key, char value[VALUE_SIZE])
{
	char copy[VALUE_SIZE];
	DBT key_dbt = {.data = copy, .size = (u_int32_t)key_size(file, key)}, data = {0};
	DB *db = file->library;
	int r;

	snprintf(copy, sizeof(copy), "%s", key);
	(void)flock(file->descriptor, LOCK_SH);
	r = db->get(db, NULL, &key_dbt, &data, 0);
	if (r == 0)
		copy_value(file, data.data, data.size, value);
	(void)flock(file->descriptor, LOCK_UN);
	if (r == DB_NOTFOUND)
		return ABSENT;
	return r == 0 ? FOUND : say(file, "DB->get", db_strerror(r));
}
#endif

/* ---- LMDB ---- */

static void lock_lmdb(const struct file *file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int descriptor;

	(void)mdb_env_get_fd(file->library, &descriptor);
	while (fcntl(descriptor, F_SETLKW, &lock) < 0 && errno == EINTR)
		;
}

/* file->descriptor is its own: closing another one of the file would drop its locks, so
 * it is opened first and closed last. */
static bool open_lmdb(struct file *file)
{
	MDB_env *env;
	int r;

	if (!open_descriptor(file))
		return false;
	r = mdb_env_create(&env);
	if (r == 0) {
		file->library = env;
		r = mdb_env_open(
			env, file->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0644);
	}
	if (r != 0)
		(void)say(file, "mdb_env_open", mdb_strerror(r));
	return r == 0;
}

static void close_lmdb(struct file *file)
{
	if (file->library)
		mdb_env_close(file->library);
}

/* A writer has made the file larger than our mapping. */
static int begin_lmdb(MDB_env *env, MDB_txn **ret)
{
	int r = mdb_txn_begin(env, NULL, MDB_RDONLY, ret);

	if (r != MDB_MAP_RESIZED)
		return r;
	r = mdb_env_set_mapsize(env, 0);
	return r == 0 ? mdb_txn_begin(env, NULL, MDB_RDONLY, ret) : r;
}

static enum found find_lmdb(struct file *file, const char *key, char value[VALUE_SIZE])
{
	char copy[VALUE_SIZE];
	MDB_val key_val = {.mv_data = copy, .mv_size = key_size(file, key)}, data;
	MDB_txn *txn;
	MDB_dbi dbi;
	int r;

	snprintf(copy, sizeof(copy), "%s", key);
	lock_lmdb(file, F_RDLCK);
	r = begin_lmdb(file->library, &txn);
	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_get(txn, dbi, &key_val, &data);
		if (r == 0)
			copy_value(file, data.mv_data, data.mv_size, value);
		mdb_txn_abort(txn);
	}
	lock_lmdb(file, F_UNLCK);
	if (r == MDB_NOTFOUND)
		return ABSENT;
	return r == 0 ? FOUND : say(file, "mdb_get", mdb_strerror(r));
}

/* ---- cdb ---- */

#if WITH_CDB
static bool open_cdb(struct file *file)
{
	struct cdb *cdb;

	if (!open_descriptor(file))
		return false;
	cdb = calloc(1, sizeof(*cdb));
	if (!cdb || cdb_init(cdb, file->descriptor) < 0) {
		free(cdb);
		(void)say(file, "cdb_init", strerror(errno));
		return false;
	}
	file->library = cdb;
	return true;
}

static void close_cdb(struct file *file)
{
	if (file->library)
		cdb_free(file->library);
	free(file->library);
}

static enum found find_cdb(struct file *file, const char *key, char value[VALUE_SIZE])
{
	struct cdb *cdb = file->library;
	int r = cdb_find(cdb, key, (unsigned)key_size(file, key));

	if (r < 0)
		return say(file, "cdb_find", strerror(errno));
	if (r == 0)
		return ABSENT;
	copy_value(file, cdb_getdata(cdb), cdb_datalen(cdb), value);
	return FOUND;
}
#endif

/* ---- text ---- */

static bool open_text(struct file *file)
{
	return open_descriptor(file);
}

static void close_text(struct file *file)
{
	(void)file;
}

/* A line is KEY, or "KEY: VALUE". */
static enum found find_text(struct file *file, const char *key, char value[VALUE_SIZE])
{
	FILE *text = fopen(file->path, "re");
	size_t room = 0, length = strlen(key);
	enum found found = ABSENT;
	char *line = NULL;
	ssize_t got = 0;

	if (!text)
		return say(file, "open", strerror(errno));
	while (found == ABSENT && (got = getline(&line, &room, text)) > 0) {
		if (line[got - 1] != '\n')
			found = say(file, "cut in the middle of a line", line);
		else if (strncmp(line, key, length) == 0 &&
			 (line[length] == '\n' || line[length] == ':')) {
			line[got - 1] = '\0';
			snprintf(value, VALUE_SIZE, "%s",
				line[length] == ':' ? line + length + 2 : "");
			found = FOUND;
		}
	}
	free(line);
	fclose(text);
	return found;
}

/* ---- sessions ---- */

static const struct format formats[] = {
#if WITH_BDB
	{"hash", open_hash, close_bdb, find_bdb, true},
	{"btree", open_btree, close_bdb, find_bdb, true},
#endif
	{"lmdb", open_lmdb, close_lmdb, find_lmdb, false},
#if WITH_CDB
	{"cdb", open_cdb, close_cdb, find_cdb, true},
#endif
	{"iplsearch", open_text, close_text, find_text, true},
	{"lsearch", open_text, close_text, find_text, true},
	{"relayhosts", open_text, close_text, find_text, true},
};

static const struct format *find_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

static void close_file(const struct format *format, struct file *file)
{
	format->close(file);
	file->library = NULL;
	if (file->descriptor >= 0)
		close(file->descriptor);
	file->descriptor = -1;
}

/* Between two sessions: is the file still the one, or does a new process open it? */
static bool has_changed(const struct format *format, const struct file *file)
{
	struct stat status;

	if (file->descriptor < 0 || fstat(file->descriptor, &status) < 0)
		return true;
	return status.st_nlink == 0 ||
	       (format->notices_time && status.st_mtime != file->modified);
}

static void run_session(const struct format *format, struct file *file, char **keys)
{
	for (unsigned i = 0; i < LOOKUPS_PER_SESSION; i++) {
		char value[VALUE_SIZE] = "";
		enum found found = format->find(file, keys[0], value);

		if (found == ABSENT)
			(void)say(file, keys[0], "is not found");
		else if (found == FOUND && strcmp(value, keys[1]) != 0)
			(void)say(file, "has another value", value);
		for (char **absent = keys + 2; *absent; absent++)
			if (format->find(file, *absent, value) == FOUND)
				(void)say(file, *absent, "is found");
	}
}

static bool is_over(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, PAUSE_MSEC) != 0;
}

int main(int argc, char **argv)
{
	const struct format *format = argc > 5 ? find_format(argv[1]) : NULL;
	struct file file = {.descriptor = -1};
	unsigned long sessions = 0, opens = 0;

	if (!format) {
		fputs("usage: reader TYPE FILE KEY VALUE ABSENT...\n", stderr);
		return 2;
	}
	file.path = argv[2];
	file.trailing_nul = getenv("TRAILING_NUL") != NULL;
	while (!is_over()) {
		if (has_changed(format, &file)) {
			close_file(format, &file);
			opens++;
			if (!format->open(&file)) {
				close_file(format, &file);
				continue;
			}
		}
		run_session(format, &file, argv + 3);
		sessions++;
	}
	close_file(format, &file);
	printf("lookups %lu opens %lu\n",
		sessions * LOOKUPS_PER_SESSION * (unsigned long)(argc - 4), opens);
	return failures > 0;
}
