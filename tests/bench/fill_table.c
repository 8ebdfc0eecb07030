/*
 * Fills the table of a dracd that does not run, through dracd's own functions:
 *
 *   fill_table DIRECTORY full|process MAX_LEASES SECONDS FIRST COUNT
 *
 * The people FIRST to FIRST+COUNT-1 (person.h) have logged in, all at one moment, such
 * that their leases end SECONDS from when the program began: in one instant.  DIRECTORY
 * is that of the environment, "table" in the state directory.
 *
 * Prints "LEASES SECONDS END_USEC", the last of the boot clock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/table.h"
#include "tests/bench/person.h"

enum {
	MAX_READERS = 126, /* as state.c */
	ROWS_PER_COMMIT = 20000,
	SHARES_MAX = 32,
};

static void must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "fill_table: %s: %s\n", what, r < 0 ? strerror(-r) : "refused");
	exit(EXIT_FAILURE);
}

static void log_in(
	struct table *table, uint32_t number, uint64_t usec, struct moment start)
{
	struct login login = {.service = "imap", .reporter = "root"};
	char text[PERSON_TEXT_SIZE], user[PERSON_TEXT_SIZE];
	struct address address;
	struct table_grant grant;

	person_address(number, text);
	person_user(number, user);
	memcpy(login.user, user, sizeof(user));
	must(address_parse(text, &address), text);
	must(table_login(table, &address, &login, usec, start, SHARES_MAX, &grant), text);
}

static void fill(struct table *table, uint32_t first, uint32_t count, uint64_t usec,
	struct moment start)
{
	while (count > 0) {
		must(table_begin(table, start), "table_begin");
		for (unsigned i = 0; i < ROWS_PER_COMMIT && count > 0; i++, count--)
			log_in(table, first++, usec, start);
		must(table_commit(table, false), "table_commit");
	}
}

int main(int argc, char *argv[])
{
	struct table_settings settings = {.max_readers = MAX_READERS};
	struct moment start = clock_now();
	uint64_t dropped, usec;
	const struct table_state *state;
	struct table *table;

	if (argc != 7)
		must(-EINVAL, "arguments");
	settings.directory = argv[1];
	settings.durability =
		strcmp(argv[2], "full") == 0 ? DURABILITY_BATCH : DURABILITY_PROCESS;
	settings.max_leases = (unsigned)strtoul(argv[3], NULL, 10);
	must(clock_boot_id(settings.boot_id), "boot id");
	usec = strtoull(argv[4], NULL, 10) * USEC_PER_SEC;
	must(table_open(&settings, NULL, start, &table, &dropped), settings.directory);
	fill(table, (uint32_t)strtoul(argv[5], NULL, 10),
		(uint32_t)strtoul(argv[6], NULL, 10), usec, start);
	state = table_get_state(table);
	printf("%llu %.6f %llu\n", (unsigned long long)(state->ipv4 + state->ipv6),
		(double)(clock_now().boot_usec - start.boot_usec) / 1e6,
		(unsigned long long)(start.boot_usec + usec));
	must(table_close(table), "table_close");
	return EXIT_SUCCESS;
}
