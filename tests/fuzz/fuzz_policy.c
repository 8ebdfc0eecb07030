/* What Postfix sends to a policy service. */
#include "tests/fuzz/fuzz.h"
#include "tests/no_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *request = fuzz_copy(data, size, 0);
	struct address address;
	bool has_address = false;
	size_t taken = policy_parse(request, size, &has_address, &address);

	FUZZ_ASSERT(taken <= size);
	if (taken > 0 && has_address)
		FUZZ_ASSERT(address_is_host(&address));
	free(request);
	return 0;
}
