/* The text of an address or prefix, as anybody may write it. */
#include "dracd/address.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, 1), formatted[ADDRESS_TEXT_SIZE];
	struct address address, again;

	text[size] = '\0';
	if (address_parse_prefix(text, &address) == 0) {
		address_format(&address, formatted);
		FUZZ_ASSERT(address_parse_prefix(formatted, &again) == 0);
		FUZZ_ASSERT(address_compare(&address, &again) == 0);
	}
	free(text);
	return 0;
}
