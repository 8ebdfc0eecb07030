/*
 * What dracd makes of what a power loss has left: asked by tests/powerloss.
 *
 * Reads lines, answers each by one:
 *
 *   state DIRECTORY WALL_USEC DURABILITY   opens the state as dracd does, on another boot
 *     RESULT aside|kept|new ADDRESS... | BLOCK...
 *   map TYPE FILE                          reads a map by its format's functions
 *     RESULT KEY...
 *
 * RESULT is 0 or a negative errno.  An address is one that a lookup admits at once after
 * the start, which is five seconds after the machine's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/guard.h"
#include "dracd/log.h"
#include "dracd/state.h"
#include "dracd/store.h"
#include "tests/unit/map_scan.h"

enum {
	BOOT_SECONDS = 5
};

struct question {
	struct config config;
	struct blocks *blocks;
	struct moment now;
};

static int print_admitted(const struct lease *lease, void *context)
{
	const struct question *question = context;
	struct rules rules = {.config = &question->config, .blocks = question->blocks};
	char text[ADDRESS_TEXT_SIZE];

	if (guard_admit(&rules, &lease->address, lease, question->now) == REASON_OK)
		printf(" %s", address_format(&lease->address, text));
	return 0;
}

static int print_table(struct table *table, struct question *question)
{
	struct table_reader *reader;
	int r = table_reader_open(table, &reader);

	if (r == 0) {
		r = table_reader_begin(reader);
		if (r == 0)
			r = table_each_lease(reader, print_admitted, question);
		table_reader_close(reader);
	}
	return r;
}

static void print_blocks(const struct question *question)
{
	char text[ADDRESS_TEXT_SIZE];

	printf(" |");
	for (size_t i = 0; i < question->blocks->count; i++) {
		const struct block *block = &question->blocks->items[i];

		printf(" %s", block->is_user ? block->user
					     : address_format(&block->address, text));
	}
}

/* In the order of open_state() in daemon.c. */
static int open_state(int directory, struct question *question, const char *was)
{
	const uint8_t boot_id[16] = {0xb0, 0x07};
	struct table *table;
	unsigned line;
	int r;

	r = blocks_load(
		directory, BLOCKS_FILE, boot_id, question->now, &question->blocks, &line);
	if (r >= 0)
		r = state_open_table(
			directory, &question->config, boot_id, question->now, &table);
	if (r == 0)
		r = state_apply_blocks(table, question->blocks, question->now);
	printf("%d %s", r, was);
	if (r != 0)
		return r;
	r = print_table(table, question);
	print_blocks(question);
	(void)table_close(table);
	return r;
}

static bool exists(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static void answer_state(char *path, const char *wall, const char *durability)
{
	struct question question = {
		.config = {.references = 1,
			.durability = strcmp(durability, "full") == 0
					      ? DURABILITY_FULL
					      : DURABILITY_PROCESS,
			.max_leases = 100000,
			.state_directory = path},
		.now = {.boot_usec = BOOT_SECONDS * USEC_PER_SEC,
			.wall_usec = strtoull(wall, NULL, 10)},
	};
	int directory, lock;
	int r = state_open(path, &directory, &lock);

	if (r < 0) {
		printf("%d", r);
		return;
	}
	(void)open_state(
		directory, &question, exists(path, "table/data.mdb") ? "there" : "new");
	blocks_unref(question.blocks);
	close(directory);
	close(lock);
}

static int print_key(const char *key, const char *value, void *context)
{
	(void)value;
	(void)context;
	printf(" %s", key);
	return 0;
}

static int find_nothing(const char *key, const char *value, void *context)
{
	(void)key;
	(void)value;
	(void)context;
	return 0;
}

static void answer_map(const char *name, const char *file)
{
	struct map_settings settings = {.trailing_nul = true};
	int r = map_type_parse(name, &settings.type);

	if (r == 0 && map_scan_file(&settings, file, find_nothing, NULL) == -EBADMSG)
		settings.trailing_nul = false;
	if (r == 0)
		r = map_scan_file(&settings, file, find_nothing, NULL);
	printf("%d", r);
	if (r == 0)
		(void)map_scan_file(&settings, file, print_key, NULL);
}

int main(void)
{
	char line[1024];

	log_set_level(-1);
	while (fgets(line, sizeof(line), stdin)) {
		char *word = strtok(line, " \n"), *first = strtok(NULL, " \n"),
		     *second = strtok(NULL, " \n"), *third = strtok(NULL, " \n");

		if (word && first && second && third && strcmp(word, "state") == 0)
			answer_state(first, second, third);
		else if (word && first && second && strcmp(word, "map") == 0)
			answer_map(first, second);
		else
			return 2;
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
