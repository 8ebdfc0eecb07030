/* What Postfix sends to a policy service.  The first octet says in what pieces. */
#include "tests/fuzz/lookups.h"

static void parse(const uint8_t *data, size_t size)
{
	char *request = fuzz_copy(data, size, 0);
	struct address address;
	bool has_address = false;
	size_t taken = policy_parse(request, size, &has_address, &address);

	FUZZ_ASSERT(taken <= size);
	if (taken > 0)
		FUZZ_ASSERT(request[taken - 1] == '\n');
	if (taken > 0 && has_address)
		FUZZ_ASSERT(address_is_host(&address));
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"action=OK\n\n", "action=DUNNO\n\n",
		"action=451 4.3.0 dracd cannot read its table\n\n"};

	if (size == 0)
		return 0;
	parse(data + 1, size - 1);
	fuzz_lookup(&(struct talk){.protocol = &policy_protocol, .piece = data[0] + 1U},
		words, data + 1, size - 1);
	return 0;
}
