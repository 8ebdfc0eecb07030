/*
 * The state directory: its lock, the marker of how dracd ended, and the table in it.
 *
 *   lock       held while dracd runs
 *   running    there while dracd runs, and after an unclean end: durability and boot id
 *   blocks     see block.h
 *   published  see published.h
 *   table/     the LMDB environment
 */
#ifndef DRACD_STATE_H
#define DRACD_STATE_H

#include "dracd/block.h"
#include "dracd/config.h"
#include "dracd/table.h"

#define STATE_MARKER "running"

/* Opens the directory and takes its lock.  -EBUSY: another dracd runs. */
int state_open(const char *path, int *ret_directory, int *ret_lock)
	__attribute__((warn_unused_result));

/* True if a dracd has not ended cleanly, or runs. */
bool state_is_marked(int directory);

/* Opens the table, after what is known of the last end: an environment that an unclean
 * stop of the machine may have damaged, or that is found damaged, is moved aside and an
 * empty one takes its place, loudly.  Logs. */
int state_open_table(int directory, const struct config *config,
	const uint8_t boot_id[16], struct moment now, struct table **ret)
	__attribute__((warn_unused_result));

/* Ends the leases that the blocks shut out, in case dracd died between the two.  Logs. */
int state_apply_blocks(struct table *table, const struct blocks *blocks,
	struct moment now) __attribute__((warn_unused_result));

/* Notes that the end was clean.  The table is closed by now. */
void state_mark_clean(int directory);

#endif
