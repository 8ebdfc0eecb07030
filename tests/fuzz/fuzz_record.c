/* Records of the table, as a damaged file might hold them. */
#include "dracd/lease.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *record = (uint8_t *)fuzz_copy(data, size, 0);
	uint8_t encoded[LEASE_RECORD_MAX], again[SHARE_RECORD_MAX];
	struct lease lease = {0};
	struct address key;
	struct share share;

	/* what is decoded is encoded as it was */
	if (lease_decode(record, size, &lease) == 0)
		FUZZ_ASSERT(lease_encode(&lease, encoded) == size &&
			    memcmp(encoded, record, size) == 0);
	if (share_decode(record, size, &share) == 0)
		FUZZ_ASSERT(share_encode(&share, again) == size &&
			    memcmp(again, record, size) == 0);
	(void)!lease_key_decode(record, size, &key);
	free(record);
	return 0;
}
