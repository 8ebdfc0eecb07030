/*
 * A map: one file that an MTA reads, made of text keys and values.
 *
 * The one interface to all file formats.  A map is opened, changed in one go (a delta on
 * what is published, or a rebuild from nothing) and committed; a commit replaces the file
 * by rename(2), so a reader sees the old file or the new one, whole, and never neither.
 * Only an lmdb map is written in place, while its readers, who expect that, are locked
 * out; where its file has to be replaced nevertheless, the rows are taken out of the old
 * one, for those who still have it open, as soon as they let us.  Maps know neither
 * addresses nor leases: the caller hands in key and value.
 *
 * A struct map belongs to one thread.  Nothing here logs: functions return 0 or a
 * negative errno, and map_failed_step() tells at which step the last failure happened.
 */
#ifndef MAPS_MAP_H
#define MAPS_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

enum map_type {
	MAP_HASH,  /* Berkeley DB hash, NAME.db: Postfix hash:, Sendmail hash, Exim dbm */
	MAP_BTREE, /* Berkeley DB btree, NAME.db */
	MAP_LMDB,  /* Postfix lmdb:, NAME.lmdb; written in place */
	MAP_CDB,   /* NAME.cdb: Postfix cdb:, Exim cdb */
	/* text, the file has the name as it is */
	MAP_IPLSEARCH,       /* Exim iplsearch: an address or network a line */
	MAP_LSEARCH,         /* Exim lsearch: "KEY: VALUE" */
	MAP_CIDR,            /* Postfix cidr:, read once per process */
	MAP_TEXTHASH,        /* Postfix texthash:, read once per process */
	MAP_RELAYHOSTS,      /* an address a line */
	MAP_RELAYHOSTSUSERS, /* "ADDRESS: USER, USER" */
	MAP_TYPE_COUNT,
};

/* Strings are borrowed for the life of the map. */
struct map_settings {
	enum map_type type;
	const char *path;   /* absolute, without the format's suffix */
	mode_t mode;        /* of the published file */
	gid_t group;        /* of the published file; (gid_t)-1: the process's own */
	bool trailing_nul;  /* keys and values carry their NUL, as postmap(1) does it */
	unsigned page_size; /* of a new Berkeley DB file; 0: that of the file system */
	bool wake_readers;  /* after a replacement, touch the old inode so that a running
			       Sendmail process reopens by name at its next lookup */
};

/* Which file it was: one that is not this was replaced or edited by someone else. */
struct map_identity {
	uint64_t device;
	uint64_t inode;
	int64_t size;
	struct timespec changed; /* st_ctim */
	struct timespec written; /* st_mtim: not part of which file it is */
};

struct map_identity map_identity_of(const struct stat *status);

/* What a change did to the rows; of a rebuild all are added.  Those that were as wanted
 * before are counted by a whole change alone. */
struct map_counts {
	uint64_t added, removed, replaced, unchanged;
};

enum {
	MAP_UNCHANGED = 1, /* all rows were as wanted already */
};

struct map;

/* The type named by text ("hash"); -EINVAL: no such type, -EOPNOTSUPP: not built in. */
int map_type_parse(const char *text, enum map_type *ret)
	__attribute__((warn_unused_result));
const char *map_type_name(enum map_type type);

/* MAP_HASH or MAP_BTREE, by the first octets of a Berkeley DB file.  -EBADMSG: it is
 * none, or of a version before 2; -EOPNOTSUPP: not built in. */
int map_type_find(int file, enum map_type *ret) __attribute__((warn_unused_result));

/* The suffix the MTA's library appends to the configured path (".db", or nothing). */
const char *map_type_suffix(enum map_type type);

/* A row is a key alone, its value is not written. */
bool map_type_has_no_values(enum map_type type);
/* A text: keys and values have no NUL. */
bool map_type_is_text(enum map_type type);
/* It is written into the published file, whose readers see each change at once: if it can
 * be, by a delta, or by a whole change instead of a rebuild. */
bool map_type_is_in_place(enum map_type type);
/* Deletes leave holes in the file that a rebuild has to close some time. */
bool map_type_wears_out(enum map_type type);

/* Opens the directory of the map and removes temporary files that a killed run of ours
 * left there for this map (so one process at a time may have it open); the map file
 * itself is not touched and need not exist.  -ENOTDIR, -ENOENT, -EACCES, -EROFS: the
 * directory is not usable; -EPERM: it, or a file of this mode, can be changed by others
 * than us and root, so that what is published there cannot be trusted, or what stands in
 * the map's place is a symbolic link or no regular file; -EINVAL: no absolute path of a
 * file, or the owner may not read a file of this mode (nor write it, of a type that is
 * changed in place), or a text with trailing_nul; -EOPNOTSUPP: the type is not built in.
 */
int map_open(const struct map_settings *settings, struct map **ret)
	__attribute__((warn_unused_result));

/* NULL is a no-op; a change in progress is aborted.  Returns NULL. */
struct map *map_close(struct map *map);

/* The identity of the file now in place; -ENOENT if there is none, -EPERM if it is no
 * regular file. */
int map_identify(const struct map *map, struct map_identity *ret)
	__attribute__((warn_unused_result));
bool map_identity_equal(const struct map_identity *a, const struct map_identity *b);

/* Begin a change: of an empty map, or of what is published, which must still be *expected
 * (else -ESTALE, and the caller rebuilds).  -EBUSY: a change is in progress. */
int map_begin_rebuild(struct map *map) __attribute__((warn_unused_result));
int map_begin_delta(struct map *map, const struct map_identity *expected)
	__attribute__((warn_unused_result));

/* The same, in place: what is put is all that the published file has afterwards.
 * -EOPNOTSUPP: the type is not changed in place. */
int map_begin_whole(struct map *map, const struct map_identity *expected)
	__attribute__((warn_unused_result));

enum {
	MAP_ORDERS = 8192,
};

/* Rows put into a rebuild by rising order, which is less than MAP_ORDERS, are written in
 * the least time; it is no error to put them otherwise.  False: any order will do. */
bool map_has_order(const struct map *map);
unsigned map_order(const struct map *map, const char *key);

/* Within a change.  Putting a key that is there replaces its value, deleting one that is
 * not there is a success; of several changes to one key the last one counts.  After a
 * failure only map_abort() is of use.  -EINVAL: an empty key or value, one that the
 * format cannot hold, or no change is in progress. */
int map_put(struct map *map, const char *key, const char *value)
	__attribute__((warn_unused_result));
int map_delete(struct map *map, const char *key) __attribute__((warn_unused_result));

/* Syncs, sets mode and group, renames over the published file, syncs the directory; a
 * change in place is written instead, in parts, and not synced, while its readers are
 * locked out.  *ret is the new file, and *ret_counts what was done; of a change in place
 * both are set also if it fails, when a part of it may have been written.  MAP_UNCHANGED:
 * nothing was to be changed; what was published is.
 *
 * On failure the change is aborted and what was published stands; only when the sync of
 * the directory failed the new file does, of which the caller has no identity, so that
 * his next delta is -ESTALE.
 * -ESTALE: the published file is another by now, or no whole map, or some reader of a map
 * in place kept us out for seconds; a rebuild is the way out, it waits for nobody. */
int map_commit(struct map *map, struct map_identity *ret, struct map_counts *ret_counts)
	__attribute__((warn_unused_result));

/* Of a map in place, a file that is replaced and was ours is emptied at once, or if a
 * reader keeps it locked before the next changes and when the map is closed.  This tries
 * too, and waits for such readers, so long altogether; false: a file has rows still. */
bool map_empty_replaced(struct map *map, unsigned wait_msec);

/* Gives up those that have rows still. */
void map_give_up_replaced(struct map *map);

/* How many have been given up: too many were locked, or somebody else has written to
 * them. Whoever has one open sees its rows until he closes it. */
uint64_t map_given_up(const struct map *map);

/* For who has published nothing before: takes the file in place, if any, for ours.
 * Should it be damaged, emptying it may crash, so once replaced it is left to
 * map_empty_replaced() alone, in a process of its own. */
void map_trust_published(struct map *map);

/* Commits a rebuild as the spare of the map, ".NAME.spare" beside it: to be put in place
 * when the disk is full. */
int map_commit_spare(struct map *map) __attribute__((warn_unused_result));

/* Puts the spare in the place of what is published.  Needs no room on the disk and no
 * descriptor (but then who has the old file of an lmdb map open keeps what he had), and
 * is done in a directory, too, that others can write to by now; it is used up by that,
 * unless there is room for a copy of it.  A change in progress is aborted.  -ENOENT:
 * there is none; -EPERM: it is not ours alone, or of another type. */
int map_use_spare(struct map *map) __attribute__((warn_unused_result));

/* True if a text stands in the map's place that we have not written: it does not begin as
 * ours do, and there is no spare, which is made before the first publication. */
bool map_is_foreign(const struct map *map);

/* Makes a spare, if there is none, of what is in place. */
int map_remake_spare(struct map *map) __attribute__((warn_unused_result));

/* Publishes a copy of the spare, without opening it with the format's library; *ret is
 * the new file.  -ENOENT: there is none that could be used. */
int map_restore_spare(struct map *map, struct map_identity *ret)
	__attribute__((warn_unused_result));

/* Drops the change in progress, if any, and its temporary file. */
void map_abort(struct map *map);

/* What the last failed call was doing ("copy", "write", "sync", "rename" ...), for the
 * one message its caller logs. */
const char *map_failed_step(const struct map *map);

#endif
