/*
 * Blocks: addresses and users that were revoked and are kept out until a time.
 *
 * They live in a small file of their own, replaced and synced before a revocation is
 * answered, so that a table moved aside takes no block with it.  A set of blocks is
 * immutable once shared: a change makes a new one.
 */
#ifndef DRACD_BLOCK_H
#define DRACD_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dracd/address.h"
#include "dracd/clock.h"
#include "dracd/prefix_set.h"

enum {
	BLOCKS_MAX = 1000, /* many more want a list: deny in drac.conf */
	BLOCK_USER_SIZE = 256,
	BLOCK_TEXT_SIZE = 256,
};

struct block {
	bool is_user;
	struct address address;
	char user[BLOCK_USER_SIZE];
	char text[BLOCK_TEXT_SIZE]; /* why, for people */
	uint64_t since_wall_usec;
	uint64_t until_boot_usec;
	uint64_t until_wall_usec;
};

struct blocks {
	unsigned references; /* atomic */
	size_t count;
	struct block *items;
	struct prefix_set addresses; /* of the address blocks, to find one quickly */
};

/* A new empty set with one reference, or NULL. */
struct blocks *blocks_new(void);
struct blocks *blocks_ref(struct blocks *blocks);
/* NULL is a no-op.  Returns NULL. */
struct blocks *blocks_unref(struct blocks *blocks);

/* A new set: those of old that are in force at now, with block added (a block of the same
 * address or user is replaced).  block may be NULL.  -ENOMEM; -ENOSPC at BLOCKS_MAX. */
int blocks_with(const struct blocks *old, const struct block *block, struct moment now,
	struct blocks **ret) __attribute__((warn_unused_result));

/* A new set without the block of exactly this address (or user, if is_user); -ENOENT. */
int blocks_without(const struct blocks *old, const struct block *block, struct moment now,
	struct blocks **ret) __attribute__((warn_unused_result));

/* The block in force that contains the address, or is inside the prefix; NULL if none. */
const struct block *blocks_find_address(
	const struct blocks *blocks, const struct address *address, struct moment now);
const struct block *blocks_find_user(
	const struct blocks *blocks, const char *user, struct moment now);

/* The earliest end of a block after now (boot clock), UINT64_MAX if there is none. */
uint64_t blocks_next_end(const struct blocks *blocks, struct moment now);

enum {
	BLOCKS_UNSAVED = 1
};

/* Write the set to the file name in directory (temporary file, fsync, rename, fsync of
 * the directory), or read it back.  On another boot, or with a wall clock that has gone
 * backwards, what is left of a block is judged so that it rather stays longer; the file
 * is then written anew, and if that fails the result is BLOCKS_UNSAVED.  What is over is
 * left out.  A missing file is an empty set. -EBADMSG: the file is damaged; *ret_line
 * tells where. */
int blocks_save(const struct blocks *blocks, int directory, const char *name,
	const uint8_t boot_id[16], struct moment now) __attribute__((warn_unused_result));
int blocks_load(int directory, const char *name, const uint8_t boot_id[16],
	struct moment now, struct blocks **ret, unsigned *ret_line)
	__attribute__((warn_unused_result));

#endif
