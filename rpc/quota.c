/*
 * Addresses in a hash table with chains, and in a list in the order of their last grant.
 *
 * All leases of the gateway last equally long unless that is reconfigured; then the list
 * is not quite in the order of their ends, and some are counted a little too long.
 */
#include "rpc/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define USEC_PER_SEC UINT64_C(1000000)

struct entry {
	struct in6_addr address;
	uint64_t end_usec;
	struct entry *next;          /* of its chain */
	struct entry *older, *newer; /* of the list */
};

struct quota {
	unsigned max_leases, max_rate;
	unsigned count;   /* of entries */
	unsigned pending; /* new addresses that are being reported */
	struct entry *oldest, *newest;
	struct entry **chains;
	unsigned chain_count; /* a power of 2 */
	uint64_t key;
	uint64_t credit_usec; /* of the rate: what may be spent at once */
	uint64_t counted_usec;
};

struct quota *quota_new(void)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	/* so that nobody can choose addresses that share a chain */
	if (quota && getrandom(&quota->key, sizeof(quota->key), GRND_NONBLOCK) < 0)
		quota->key = (uintptr_t)quota;
	return quota;
}

struct quota *quota_free(struct quota *quota)
{
	struct entry *newer;

	if (!quota)
		return NULL;
	for (struct entry *at = quota->oldest; at; at = newer) {
		newer = at->newer;
		free(at);
	}
	free(quota->chains);
	free(quota);
	return NULL;
}

static struct entry **chain_of(const struct quota *quota, const struct in6_addr *address)
{
	uint64_t halves[2], hash = quota->key;

	memcpy(halves, address, sizeof(halves));
	for (unsigned i = 0; i < 2; i++) {
		hash = (hash ^ halves[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return &quota->chains[hash & (quota->chain_count - 1)];
}

static struct entry *find(const struct quota *quota, const struct in6_addr *address)
{
	struct entry *at = *chain_of(quota, address);

	while (at && !IN6_ARE_ADDR_EQUAL(&at->address, address))
		at = at->next;
	return at;
}

static void unlink_from_list(struct quota *quota, struct entry *entry)
{
	*(entry->older ? &entry->older->newer : &quota->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &quota->newest) = entry->older;
}

static void append_to_list(struct quota *quota, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = quota->newest;
	*(quota->newest ? &quota->newest->newer : &quota->oldest) = entry;
	quota->newest = entry;
}

static void remove_entry(struct quota *quota, struct entry *entry)
{
	struct entry **place = chain_of(quota, &entry->address);

	while (*place != entry)
		place = &(*place)->next;
	*place = entry->next;
	unlink_from_list(quota, entry);
	quota->count--;
	free(entry);
}

static void remove_ended(struct quota *quota, uint64_t now_usec)
{
	while (quota->oldest && quota->oldest->end_usec <= now_usec)
		remove_entry(quota, quota->oldest);
}

int quota_set_limits(struct quota *quota, unsigned max_leases, unsigned max_rate)
{
	unsigned chain_count = 64;
	struct entry **chains;

	while (chain_count < max_leases)
		chain_count *= 2;
	chains = calloc(chain_count, sizeof(struct entry *));
	if (!chains)
		return -ENOMEM;
	free(quota->chains);
	quota->chains = chains;
	quota->chain_count = chain_count;
	quota->max_leases = max_leases;
	quota->max_rate = max_rate;
	for (struct entry *at = quota->oldest; at; at = at->newer) {
		struct entry **chain = chain_of(quota, &at->address);

		at->next = *chain;
		*chain = at;
	}
	return 0;
}

/* A bucket that holds one second's worth and is filled by the passing of time. */
static bool spend(struct quota *quota, uint64_t now_usec)
{
	uint64_t price_usec = USEC_PER_SEC / quota->max_rate;
	uint64_t passed_usec = now_usec - quota->counted_usec;

	quota->counted_usec = now_usec;
	if (passed_usec > USEC_PER_SEC - quota->credit_usec)
		quota->credit_usec = USEC_PER_SEC;
	else
		quota->credit_usec += passed_usec;
	if (quota->credit_usec < price_usec)
		return false;
	quota->credit_usec -= price_usec;
	return true;
}

enum quota_answer quota_take(struct quota *quota, const struct in6_addr *address,
	uint64_t now_usec, bool *ret_is_new)
{
	bool is_new;

	remove_ended(quota, now_usec);
	is_new = !find(quota, address);
	if (is_new && quota->count + quota->pending >= quota->max_leases)
		return QUOTA_LEASES;
	if (!spend(quota, now_usec))
		return QUOTA_RATE;
	quota->pending += is_new;
	*ret_is_new = is_new;
	return QUOTA_OK;
}

void quota_settle(struct quota *quota, const struct in6_addr *address, bool is_new,
	uint64_t now_usec, uint64_t left_usec)
{
	struct entry *entry;

	quota->pending -= is_new;
	if (left_usec == 0)
		return;
	entry = find(quota, address);
	if (entry) {
		unlink_from_list(quota, entry);
	} else {
		struct entry **chain = chain_of(quota, address);

		entry = malloc(sizeof(*entry));
		if (!entry)
			return; /* one lease that is not counted */
		entry->address = *address;
		entry->next = *chain;
		*chain = entry;
		quota->count++;
	}
	entry->end_usec = now_usec + left_usec;
	append_to_list(quota, entry);
}
