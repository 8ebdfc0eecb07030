/* What Exim and scripts send to a plain lookup.  The first octet says in what pieces. */
#include "tests/fuzz/lookups.h"

/* However the octets come: a line is the same, whole or not. */
static void check_pieces(const char *request, size_t size, size_t taken)
{
	struct address address;
	bool has_address = false;

	for (size_t cut = 0; cut < size; cut += 1 + size / 64) {
		size_t early = plain_parse(request, cut, false, &has_address, &address);

		FUZZ_ASSERT(early == 0 || early == taken || !has_address);
	}
}

static void parse(const uint8_t *data, size_t size)
{
	char *request = fuzz_copy(data, size, 0);
	struct address address;
	bool has_address = false, at_end = false;
	size_t taken = plain_parse(request, size, false, &has_address, &address);
	size_t last;

	FUZZ_ASSERT(taken <= size);
	if (taken > 0 && has_address)
		FUZZ_ASSERT(address_is_host(&address));
	if (size > 0) {
		last = plain_parse(request, size, true, &at_end, &address);
		FUZZ_ASSERT(last > 0 && last <= size);
		if (taken > 0)
			FUZZ_ASSERT(last == taken && at_end == has_address);
	}
	check_pieces(request, size, taken);
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"yes\n", "no\n", "later\n"};

	if (size == 0)
		return 0;
	parse(data + 1, size - 1);
	fuzz_lookup(&(struct talk){.protocol = &plain_protocol, .piece = data[0] + 1U},
		words, data + 1, size - 1);
	return 0;
}
