/* What drac-mapread prints of a database of DRAC, and the rows in it: the program may
 * have been taken over by the file it reads. */
#include <sys/mman.h>
#include <unistd.h>

#include "dracd/clock.h"
#include "dracd/drac_row.h"
#include "maps/mapread.h"
#include "tests/fuzz/fuzz.h"

#define NOW_USEC (UINT64_C(1795000000) * USEC_PER_SEC + 1)

static void visit(const struct map_child_row *row, void *context)
{
	char text[DRAC_ROW_TEXT_SIZE];
	const char *problem = NULL;
	struct drac_row decoded;
	int r = drac_row_decode(row, NOW_USEC, &decoded, &problem);

	++*(unsigned *)context;
	FUZZ_ASSERT(row->key_length <= MAPREAD_SIZE_MAX && !row->key[row->key_length]);
	FUZZ_ASSERT(
		row->value_length <= MAPREAD_SIZE_MAX && !row->value[row->value_length]);
	FUZZ_ASSERT(r == 0 || r == DRAC_ROW_EXPIRED || problem);
	FUZZ_ASSERT(r != 0 || (address_is_host(&decoded.address) &&
				      decoded.left_usec >= USEC_PER_SEC));
	drac_row_key_text(row, text);
	FUZZ_ASSERT(strlen(text) <= row->key_length);
	for (const char *at = text; *at; at++)
		FUZZ_ASSERT(*at >= ' ' && *at <= '~');
}

/* The first octet says in what pieces the others come. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct map_child_rows rows;
	static int file = -1;
	char why[MAP_CHILD_TEXT_SIZE];
	unsigned count = 0;
	size_t piece;
	int r;

	if (file < 0)
		file = memfd_create("fuzz", MFD_CLOEXEC);
	if (size == 0 || ftruncate(file, 0) < 0 ||
		pwrite(file, data + 1, size - 1, 0) != (ssize_t)size - 1 ||
		lseek(file, 0, SEEK_SET) != 0 || map_child_rows_init(&rows) < 0)
		return 0;
	piece = 1 + 16 * (size_t)data[0];
	do
		r = map_child_read(&rows, file, piece, visit, &count);
	while (r > 0);
	r = map_child_judge(&rows, r, 0, why);
	FUZZ_ASSERT(r < 0 || rows.has_end);
	FUZZ_ASSERT(count <= size / 8);
	map_child_rows_done(&rows);
	return 0;
}
