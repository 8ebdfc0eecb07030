/*
 * What dracd has published: the lookups and maps that must lose their leases when it
 * ends.
 *
 * It is kept as a configuration that has nothing but these, and as text in a file of the
 * state directory, written before anything in it is published and emptied when all of it
 * is withdrawn.  So whoever finds the file, after whatever end, knows what may be open:
 * the guardian, and dracd-withdraw(8).
 */
#ifndef DRACD_PUBLISHED_H
#define DRACD_PUBLISHED_H

#include "dracd/config.h"

#define PUBLISHED_FILE "published"

/* The lookups and maps of from (NULL: none), in a configuration to be unreferenced; NULL
 * without memory. */
struct config *published_new(const struct config *from);

/* Adds those of from to it.  Of several maps with one path the last to be withdrawn is
 * what stands there in the end, so one that is there already moves to the end.  0 or
 * -ENOMEM. */
int published_add(struct config *to, const struct config *from)
	__attribute__((warn_unused_result));

void published_drop_map(struct config *config, size_t index);

/* Writes it.  If that fails the old file stands; -EMSGSIZE: a map's texts are longer than
 * a line of dracd-protocol(7) can be.  Unsynced it survives the end of a process, but may
 * be lost or damaged with the machine; after which all of drac.conf is withdrawn. */
int published_save(int directory, const struct config *published, bool is_synced)
	__attribute__((warn_unused_result));

/* Reads it.  -ENOENT: nobody has noted anything.  -EBADMSG: *ret_line (from 1) is none of
 * ours, and *ret has all that was understood; so it is set then, too. */
int published_load(int directory, struct config **ret, unsigned *ret_line)
	__attribute__((warn_unused_result));

/* Notes that all is withdrawn.  That is not synced: if the old one comes back, all is
 * withdrawn again. */
void published_clear(int directory);

#endif
