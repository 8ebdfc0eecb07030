/*
 * Blocks and their file: lines of the same words as the protocols use, so that an
 * administrator can read it, and mend it if it is damaged.
 */
#include "dracd/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/words.h"
#include "dracd/cleanup.h"
#include "dracd/file.h"

enum {
	BLOCK_LINE_MAX = 2048
};

static void unref_blocks(struct blocks **blocks)
{
	blocks_unref(*blocks);
}

struct blocks *blocks_new(void)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));

	if (blocks)
		blocks->references = 1;
	return blocks;
}

struct blocks *blocks_ref(struct blocks *blocks)
{
	__atomic_add_fetch(&blocks->references, 1, __ATOMIC_RELAXED);
	return blocks;
}

struct blocks *blocks_unref(struct blocks *blocks)
{
	if (!blocks || __atomic_sub_fetch(&blocks->references, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	prefix_set_done(&blocks->addresses);
	free(blocks->items);
	free(blocks);
	return NULL;
}

static bool same_subject(const struct block *a, const struct block *b)
{
	if (a->is_user != b->is_user)
		return false;
	return a->is_user ? strcmp(a->user, b->user) == 0
			  : address_compare(&a->address, &b->address) == 0;
}

/* Appends to a set that is not yet shared and has room in items. */
static int append_block(struct blocks *blocks, const struct block *block)
{
	blocks->items[blocks->count++] = *block;
	return block->is_user ? 0 : prefix_set_add(&blocks->addresses, &block->address);
}

/* Copies those in force, but the one of the same subject as except. */
static int copy_blocks(const struct blocks *old, const struct block *except,
	struct moment now, struct blocks **ret)
{
	_cleanup_(unref_blocks) struct blocks *copy = blocks_new();
	int r;

	if (!copy)
		return -ENOMEM;
	copy->items = calloc(old->count + 1, sizeof(*copy->items));
	if (!copy->items)
		return -ENOMEM;
	for (size_t i = 0; i < old->count; i++) {
		const struct block *block = &old->items[i];

		if (block->until_boot_usec <= now.boot_usec)
			continue;
		if (except && same_subject(block, except))
			continue;
		r = append_block(copy, block);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(copy);
	return 0;
}

int blocks_with(const struct blocks *old, const struct block *block, struct moment now,
	struct blocks **ret)
{
	_cleanup_(unref_blocks) struct blocks *copy = NULL;
	int r;

	r = copy_blocks(old, block, now, &copy);
	if (r < 0)
		return r;
	if (block) {
		if (copy->count >= BLOCKS_MAX)
			return -ENOSPC;
		r = append_block(copy, block);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(copy);
	return 0;
}

int blocks_without(const struct blocks *old, const struct block *block, struct moment now,
	struct blocks **ret)
{
	for (size_t i = 0; i < old->count; i++)
		if (same_subject(&old->items[i], block) &&
			old->items[i].until_boot_usec > now.boot_usec)
			return copy_blocks(old, block, now, ret);
	return -ENOENT;
}

const struct block *blocks_find_address(
	const struct blocks *blocks, const struct address *address, struct moment now)
{
	if (!prefix_set_overlaps(&blocks->addresses, address))
		return NULL;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];

		if (!block->is_user && block->until_boot_usec > now.boot_usec &&
			(address_contains(&block->address, address) ||
				address_contains(address, &block->address)))
			return block;
	}
	return NULL;
}

const struct block *blocks_find_user(
	const struct blocks *blocks, const char *user, struct moment now)
{
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];

		if (block->is_user && block->until_boot_usec > now.boot_usec &&
			strcmp(block->user, user) == 0)
			return block;
	}
	return NULL;
}

uint64_t blocks_next_end(const struct blocks *blocks, struct moment now)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < blocks->count; i++)
		if (blocks->items[i].until_boot_usec > now.boot_usec &&
			blocks->items[i].until_boot_usec < next)
			next = blocks->items[i].until_boot_usec;
	return next;
}

static void format_boot_id(const uint8_t boot_id[16], char text[33])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", boot_id[i]);
}

static int format_block(const struct block *block, struct line *line)
{
	char address[ADDRESS_TEXT_SIZE];

	line_init(line, "block");
	if (block->is_user)
		line_add(line, "user", block->user);
	else
		line_add(line, "address", address_format(&block->address, address));
	line_add_number(line, "since_usec", block->since_wall_usec);
	line_add_number(line, "until_usec", block->until_wall_usec);
	line_add_number(line, "until_boot_usec", block->until_boot_usec);
	line_add(line, "text", block->text);
	return line_finish(line);
}

int blocks_save(const struct blocks *blocks, int directory, const char *name,
	const uint8_t boot_id[16], struct moment now)
{
	_cleanup_(free_pointer) char *text = malloc((blocks->count + 1) * BLOCK_LINE_MAX);
	struct line line;
	char boot[33];
	size_t used = 0;

	if (!text)
		return -ENOMEM;
	format_boot_id(boot_id, boot);
	line_init(&line, "dracd-blocks");
	line_add_number(&line, "version", 1);
	line_add(&line, "boot", boot);
	line_add_number(&line, "written_usec", now.wall_usec);
	for (size_t i = 0;; i++) {
		int length = i ? format_block(&blocks->items[i - 1], &line)
			       : line_finish(&line);

		if (length < 0)
			return length;
		memcpy(text + used, line.text, (size_t)length);
		used += (size_t)length;
		if (i == blocks->count)
			break;
	}
	return file_replace(directory, name, text, used);
}

/* What the first line of the file says. */
struct header {
	const uint8_t *boot_id; /* of now */
	bool same_boot;
	unsigned long long written_usec;
};

static int parse_header(const struct words *words, struct header *ret)
{
	const char *boot = words_get(words, "boot");
	unsigned long long version;
	char expected[33];

	format_boot_id(ret->boot_id, expected);
	if (!words_is(words, 0, "dracd-blocks") || !boot ||
		words_get_number(words, "version", &version) < 0 || version != 1 ||
		words_get_number(words, "written_usec", &ret->written_usec) < 0)
		return -EBADMSG;
	ret->same_boot = strcmp(boot, expected) == 0;
	return 0;
}

/* What is left of a block on this boot.  Same boot: the boot clock knows.  Another boot:
 * the wall clock, unless it stands before the time the file was written; then all of it
 * again. */
static void rebase_block(
	struct block *block, const struct header *header, struct moment now)
{
	uint64_t whole = block->until_wall_usec > block->since_wall_usec
				 ? block->until_wall_usec - block->since_wall_usec
				 : 0;
	uint64_t left = block->until_wall_usec > now.wall_usec
				? block->until_wall_usec - now.wall_usec
				: 0;

	if (header->same_boot)
		return;
	if (now.wall_usec < header->written_usec || left > whole)
		left = whole;
	/* what is whole, too, is by this clock from now on */
	if (block->since_wall_usec > now.wall_usec)
		block->since_wall_usec = now.wall_usec;
	block->until_boot_usec = clock_add(now.boot_usec, left);
	block->until_wall_usec = clock_add(now.wall_usec, left);
}

static int parse_block(const struct words *words, struct block *ret)
{
	const char *address = words_get(words, "address");
	const char *user = words_get(words, "user");
	const char *text = words_get(words, "text");
	unsigned long long since, until, until_boot;

	if (!words_is(words, 0, "block") || !address == !user || !text ||
		words_get_number(words, "since_usec", &since) < 0 ||
		words_get_number(words, "until_usec", &until) < 0 ||
		words_get_number(words, "until_boot_usec", &until_boot) < 0 ||
		strlen(text) >= sizeof(ret->text) ||
		(user && strlen(user) >= sizeof(ret->user)) ||
		(address && address_parse_prefix(address, &ret->address) < 0))
		return -EBADMSG;
	ret->is_user = user != NULL;
	if (user)
		memcpy(ret->user, user, strlen(user) + 1);
	memcpy(ret->text, text, strlen(text) + 1);
	ret->since_wall_usec = since;
	ret->until_wall_usec = until;
	ret->until_boot_usec = until_boot;
	return 0;
}

/* Parses the lines of the file into blocks, whose items have room for every line. */
static int parse_file(char *text, struct header *header, struct moment now,
	struct blocks *blocks, unsigned *ret_line)
{
	unsigned number = 0;

	for (char *next = text; *next;) {
		char *line = next, *end = strchr(line, '\n');
		struct block block = {0};
		const char *problem;
		struct words words;
		int r;

		*ret_line = ++number;
		if (!end)
			return -EBADMSG;
		next = end + 1;
		if (words_parse(line, (size_t)(end - line), &words, &problem) < 0)
			return -EBADMSG;
		if (number == 1) {
			r = parse_header(&words, header);
			if (r < 0)
				return r;
			continue;
		}
		r = parse_block(&words, &block);
		if (r < 0)
			return r;
		rebase_block(&block, header, now);
		r = block.until_boot_usec > now.boot_usec ? append_block(blocks, &block)
							  : 0;
		if (r < 0)
			return r;
	}
	return number == 0 ? -EBADMSG : 0;
}

int blocks_load(int directory, const char *name, const uint8_t boot_id[16],
	struct moment now, struct blocks **ret, unsigned *ret_line)
{
	_cleanup_(unref_blocks) struct blocks *blocks = blocks_new();
	_cleanup_(free_pointer) char *text = NULL;
	struct header header = {.boot_id = boot_id};
	size_t length, lines = 1;
	int r;

	*ret_line = 0;
	if (!blocks)
		return -ENOMEM;
	r = file_read(directory, name, (size_t)(BLOCKS_MAX + 1) * BLOCK_LINE_MAX, &text,
		&length);
	if (r == -ENOENT) {
		*ret = TAKE_PTR(blocks);
		return 0;
	}
	if (r < 0)
		return r;
	if (strlen(text) != length)
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	blocks->items = calloc(lines, sizeof(*blocks->items));
	if (!blocks->items)
		return -ENOMEM;
	r = parse_file(text, &header, now, blocks, ret_line);
	if (r < 0)
		return r;
	/* by the clock of this boot from now on: at the next start in it the wall clock
	 * may be another */
	r = header.same_boot ? 0 : blocks_save(blocks, directory, name, boot_id, now);
	*ret = TAKE_PTR(blocks);
	return r < 0 ? BLOCKS_UNSAVED : 0;
}
