/* What Postfix and Sendmail send to a socketmap.  The first octet says in what pieces. */
#include "tests/fuzz/lookups.h"

static void parse(const uint8_t *data, size_t size)
{
	char *request = fuzz_copy(data, size, 0);
	struct address address;
	bool has_address = false;
	ssize_t taken = socketmap_parse(request, size, &has_address, &address);

	FUZZ_ASSERT(taken <= (ssize_t)size);
	if (taken > 0)
		FUZZ_ASSERT(request[taken - 1] == ',');
	if (taken > 0 && has_address)
		FUZZ_ASSERT(address_is_host(&address));
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {
		"5:OK OK,", "9:NOTFOUND ,", "33:TEMP dracd cannot read its table ,"};

	if (size == 0)
		return 0;
	parse(data + 1, size - 1);
	fuzz_lookup(
		&(struct talk){.protocol = &socketmap_protocol, .piece = data[0] + 1U},
		words, data + 1, size - 1);
	return 0;
}
