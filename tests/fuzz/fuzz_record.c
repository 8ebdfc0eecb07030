/* Records of the table, as a damaged file might hold them, and what dracd does with those
 * that look right. */
#include "dracd/lease.h"
#include "tests/fuzz/fuzz.h"

static const struct moment now = {
	UINT64_C(5000) * USEC_PER_SEC, UINT64_C(1795000000) * USEC_PER_SEC};

/* Whatever has become of it, it can be stored and read back. */
static void check_stored(const struct lease *lease)
{
	uint8_t *record = (uint8_t *)fuzz_copy(NULL, 0, LEASE_RECORD_MAX);
	size_t length = lease_encode(lease, record);
	struct lease again = {.address = lease->address};

	FUZZ_ASSERT(length <= LEASE_RECORD_MAX);
	FUZZ_ASSERT(lease_decode(record, length, &again) == 0);
	FUZZ_ASSERT(again.deadline_boot_usec == lease->deadline_boot_usec);
	FUZZ_ASSERT(again.share_count == lease->share_count);
	free(record);
}

static void use_services(struct services *services, uint64_t deadline)
{
	services_extend(services, "imap", deadline, now);
	services_add(services, "pop3", deadline, now);
	FUZZ_ASSERT(services_has(services, "pop3", now) == (deadline > now.boot_usec) ||
		    services->count == LEASE_SERVICES_MAX);
	services_add(services, "", deadline, now);
	FUZZ_ASSERT(services->count <= LEASE_SERVICES_MAX);
	services_move(services, deadline, now.boot_usec);
}

static void use_lease(struct lease lease)
{
	struct login login = {.address = lease.address,
		.user = "bob",
		.service = "imap",
		.reporter = "x"};
	const struct moment last = {now.boot_usec / 2, now.wall_usec - 60 * USEC_PER_SEC};
	uint64_t before = lease.deadline_boot_usec, left;
	struct lease other = lease, granted;

	FUZZ_ASSERT(lease_user_count(&lease) >= lease.share_count);
	/* a reboot makes none of it longer than it was */
	if (lease_rebase(&other, last, now)) {
		left = other.deadline_boot_usec - now.boot_usec;
		FUZZ_ASSERT(left <= before - last.boot_usec);
		FUZZ_ASSERT(left <= lease.deadline_wall_usec - now.wall_usec);
		check_stored(&other);
	}
	use_services(&other.services, other.deadline_boot_usec);
	lease_renew(&lease, &login, 1800 * USEC_PER_SEC, now);
	FUZZ_ASSERT(lease.deadline_boot_usec >= before && lease.logins > 0);
	(void)lease_add_share(&lease, user_hash(login.user));
	FUZZ_ASSERT(lease.shares[lease.share_count - 1] == user_hash(login.user));
	check_stored(&lease);
	lease_drop_share(&lease, user_hash(login.user));
	check_stored(&lease);
	granted = lease_grant(&lease.address, &login, before, now);
	check_stored(&granted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *record = (uint8_t *)fuzz_copy(data, size, 0);
	uint8_t encoded[LEASE_RECORD_MAX], again[SHARE_RECORD_MAX];
	uint8_t key_again[LEASE_KEY_SIZE];
	struct lease lease = {.address.length = 128};
	struct address key;
	struct share share;

	/* what is decoded is encoded as it was */
	if (lease_decode(record, size, &lease) == 0) {
		FUZZ_ASSERT(lease_encode(&lease, encoded) == size &&
			    memcmp(encoded, record, size) == 0);
		use_lease(lease);
	}
	if (share_decode(record, size, &share) == 0) {
		FUZZ_ASSERT(share_encode(&share, again) == size &&
			    memcmp(again, record, size) == 0);
		use_services(&share.services, share.deadline_boot_usec);
	}
	if (lease_key_decode(record, size, &key) == 0) {
		lease_key_encode(&key, key_again);
		FUZZ_ASSERT(memcmp(key_again, record, sizeof(key_again)) == 0);
	}
	free(record);
	return 0;
}
