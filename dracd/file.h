/* Small files of the state directory, replaced as a whole. */
#ifndef DRACD_FILE_H
#define DRACD_FILE_H

#include <stddef.h>

/* Replaces directory/name by the text: temporary file "name.new", fsync, rename, fsync of
 * the directory; 0600.  On failure the old file stands. */
int file_replace(int directory, const char *name, const char *text, size_t length)
	__attribute__((warn_unused_result));

/* The same without fsync, for what may be lost, or damaged, when the machine dies. */
int file_replace_unsynced(int directory, const char *name, const char *text,
	size_t length) __attribute__((warn_unused_result));

/* Removes what a death within file_replace() has left. */
void file_sweep(int directory, const char *name);

/* Reads directory/name whole, NUL-terminated, into memory to be freed.  -ENOENT; -EFBIG
 * over limit octets. */
int file_read(int directory, const char *name, size_t limit, char **ret,
	size_t *ret_length) __attribute__((warn_unused_result));

#endif
