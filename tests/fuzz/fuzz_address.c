/* The text of an address or prefix, as anybody may write it: as dracd and as the gateway
 * read it, which must be the same. */
#include "dracd/address.h"

#include "dracd/lookup.h"
#include "rpc/prefix.h"
#include "tests/fuzz/fuzz.h"

static void check_networks(const struct address *address, unsigned length)
{
	struct address network = address_network(address, length);

	FUZZ_ASSERT(network.length == length);
	FUZZ_ASSERT(address_compare(&network, address) != 0 || length == address->length);
	/* all of IPv6 has no IPv4 in it */
	if (length <= address->length && (length >= 96 || !address_is_ipv4(address)))
		FUZZ_ASSERT(address_contains(&network, address));
	if (length > address->length)
		FUZZ_ASSERT(!address_contains(&network, address));
}

/* The longest of some lengths that is not longer, found one by one. */
static void check_lengths(const uint64_t lengths[3], int limit)
{
	int longest = -1;

	for (int length = 0; length <= limit; length++)
		if (lengths[length / 64] >> (length % 64) & 1)
			longest = length;
	FUZZ_ASSERT(address_length_within(lengths, limit) == longest);
}

static void check_address(const char *text, size_t size, const struct address *address)
{
	char formatted[ADDRESS_TEXT_SIZE];
	uint64_t lengths[3] = {0};
	struct address again;

	address_format(address, formatted);
	FUZZ_ASSERT(address_parse_prefix(formatted, &again) == 0);
	FUZZ_ASSERT(address_compare(address, &again) == 0);
	if (address_is_host(address) && !strchr(text, '/')) {
		FUZZ_ASSERT(address_parse(text, &again) == 0);
		FUZZ_ASSERT(lookup_key_parse(text, size, &again));
		FUZZ_ASSERT(address_compare(address, &again) == 0);
	}
	for (unsigned i = 0; i < 16; i++) {
		check_networks(address, (unsigned)(address->ip.s6_addr[i] % 129));
		lengths[i % 3] ^= UINT64_C(1) << address->ip.s6_addr[i] % 64;
	}
	lengths[2] &= 1;
	check_lengths(lengths, address->ip.s6_addr[3] % 129);
	check_lengths(lengths, 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, 1);
	struct address address;
	struct prefix prefix;
	int r;

	text[size] = '\0';
	r = address_parse_prefix(text, &address);
	FUZZ_ASSERT(prefix_parse(text, &prefix) == r);
	if (r == 0) {
		FUZZ_ASSERT(address.length == prefix.length);
		FUZZ_ASSERT(memcmp(&address.ip, &prefix.ip, sizeof(prefix.ip)) == 0);
		FUZZ_ASSERT(prefix_contains(&prefix, &address.ip) ||
			    (address_is_ipv4(&address) && prefix.length < 96) ||
			    IN6_IS_ADDR_V4MAPPED(&address.ip));
		check_address(text, strlen(text), &address);
	}
	(void)lookup_key_parse(text, size, &address);
	free(text);
	return 0;
}
