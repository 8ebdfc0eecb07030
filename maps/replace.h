/*
 * Replacing a file so that whoever opens it by name sees the old one or the new one,
 * whole, also after a crash at any instruction.
 *
 * Everything happens in one directory that is held open, so that renaming it or putting a
 * symbolic link in its way diverts nothing.  Nothing here logs; functions return 0 or a
 * negative errno.
 */
#ifndef MAPS_REPLACE_H
#define MAPS_REPLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
	REPLACE_NAME_MAX = NAME_MAX - 20, /* leaves room for the temporary file's name */
};

/* A replacement in progress: a temporary file, ".NAME.dracd-XXXXXXXX.tmp", mode 0600. */
struct replacement {
	int directory;    /* borrowed */
	const char *name; /* borrowed: of the file to be replaced */
	int file; /* the temporary file, read-write; -1: no replacement in progress */
	char temporary[NAME_MAX + 1];
};

/* How the new file shall look when it is in place. */
struct replacement_mode {
	mode_t mode;
	gid_t group;         /* (gid_t)-1: left as it was made */
	bool touch_replaced; /* the old file's mtime goes into the future */
};

/* Opens a directory whose files only we and root can replace.  -EPERM: others can, by its
 * mode or as its owner (a sticky bit does not help: it lets others create a name first).
 * -ENOTDIR also for a symbolic link; -EACCES or -EROFS if we cannot write there. */
int replace_open_directory(const char *path, int *ret)
	__attribute__((warn_unused_result));

/* Removes the temporary files that killed replacements of this name left behind. */
int replace_sweep(int directory, const char *name) __attribute__((warn_unused_result));

/* Opens the file in place for reading.  -ENOENT: there is none; -EPERM: what is there is
 * a symbolic link or no regular file, and is neither followed nor replaced. */
int replace_open_current(int directory, const char *name, int *ret)
	__attribute__((warn_unused_result));

/* Creates the empty temporary file.  -ENAMETOOLONG: name is over REPLACE_NAME_MAX. */
int replacement_begin(int directory, const char *name, struct replacement *ret)
	__attribute__((warn_unused_result));

/* Fills the temporary file with the first size octets of the file open as from.  -ESTALE
 * if there are fewer. */
int replacement_copy(struct replacement *replacement, int from, off_t size)
	__attribute__((warn_unused_result));

/* Syncs the temporary file and puts it in place.  Either way the replacement is over.
 * *ret is the new file.  -ENODATA: it is empty; -EPERM: what is in place is no regular
 * file, or the temporary file was swapped for something else. On failure the old file
 * stands, except when the last step, the sync of the directory, failed: then the new one
 * stands, and a power loss may bring the old one back. *ret_step names the last step
 * taken, also on success. */
int replacement_commit(struct replacement *replacement,
	const struct replacement_mode *mode, struct stat *ret, const char **ret_step)
	__attribute__((warn_unused_result));

/* Opens a whole file that is to take the place of another, or only looks at it.  -ENOENT:
 * there is none; -EPERM: it is no regular file, or not ours alone. */
int replace_open_spare(int directory, const char *spare, int *ret)
	__attribute__((warn_unused_result));
int replace_check_spare(int directory, const char *spare)
	__attribute__((warn_unused_result));

/* Puts the file spare in the place of name, in the same directory: a rename, which needs
 * no room on the disk, and no descriptor but to touch the old file.  -EPERM: what is in
 * place is no regular file. */
int replace_by_spare(int directory, const char *spare, const char *name, bool touch,
	const char **ret_step) __attribute__((warn_unused_result));

/* Removes the temporary file; without a replacement in progress a no-op. */
void replacement_abort(struct replacement *replacement);

#endif
