/*
 * Addresses in a hash table with chains, and in a heap with the one whose lease ends next
 * at its top: not all last equally long, since an address that has a longer lease by
 * another reporter, or by the administrator, keeps that.
 */
#include "rpc/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define USEC_PER_SEC UINT64_C(1000000)

enum {
	ADDRESS_WORDS = 4,
	CHAIN_BITS_MIN = 6,
};

struct entry {
	struct in6_addr address;
	uint64_t end_usec;
	struct entry *next; /* of its chain */
	unsigned place;     /* in the heap */
};

struct quota {
	unsigned max_leases, max_rate;
	unsigned count;   /* of entries */
	unsigned pending; /* new addresses that are being reported */
	struct entry **heap;
	unsigned heap_room;
	struct entry **chains;
	unsigned chain_bits; /* of the number of chains */
	uint64_t key[ADDRESS_WORDS];
	uint64_t credit_usec; /* of the rate: what may be spent at once */
	uint64_t counted_usec;
};

/* So that nobody can choose addresses that share a chain. */
static void choose_key(struct quota *quota)
{
	uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);

	if (getrandom(quota->key, sizeof(quota->key), GRND_NONBLOCK) ==
		(ssize_t)sizeof(quota->key))
		return;
	for (unsigned i = 0; i < ADDRESS_WORDS; i++)
		quota->key[i] = odd *= (uintptr_t)quota | 1;
}

struct quota *quota_new(void)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	if (quota)
		choose_key(quota);
	return quota;
}

struct quota *quota_free(struct quota *quota)
{
	if (!quota)
		return NULL;
	for (unsigned i = 0; i < quota->count; i++)
		free(quota->heap[i]);
	free(quota->heap);
	free(quota->chains);
	free(quota);
	return NULL;
}

/* The upper bits of a sum of products with a random number for each word: any two
 * addresses share a chain as seldom as by chance (Dietzfelbinger's multiply-shift).  The
 * lower bits would not do: they know nothing of the upper bits of a word, which are the
 * last octets of an address. */
static struct entry **chain_of(const struct quota *quota, const struct in6_addr *address)
{
	uint32_t words[ADDRESS_WORDS];
	uint64_t hash = 0;

	memcpy(words, address, sizeof(words));
	for (unsigned i = 0; i < ADDRESS_WORDS; i++)
		hash += quota->key[i] * words[i];
	return &quota->chains[hash >> (64 - quota->chain_bits)];
}

static struct entry *find(const struct quota *quota, const struct in6_addr *address)
{
	struct entry *at = *chain_of(quota, address);

	while (at && !IN6_ARE_ADDR_EQUAL(&at->address, address))
		at = at->next;
	return at;
}

/* ---- the heap ---- */

static void put(struct quota *quota, struct entry *entry, unsigned place)
{
	quota->heap[place] = entry;
	entry->place = place;
}

/* Puts an entry where it belongs: at place or above. */
static void rise(struct quota *quota, struct entry *entry, unsigned place)
{
	while (place > 0) {
		struct entry *above = quota->heap[(place - 1) / 2];

		if (above->end_usec <= entry->end_usec)
			break;
		put(quota, above, place);
		place = (place - 1) / 2;
	}
	put(quota, entry, place);
}

/* The same, at place or below. */
static void sink(struct quota *quota, struct entry *entry, unsigned place)
{
	for (;;) {
		unsigned below = 2 * place + 1;

		if (below + 1 < quota->count &&
			quota->heap[below + 1]->end_usec < quota->heap[below]->end_usec)
			below++;
		if (below >= quota->count ||
			quota->heap[below]->end_usec >= entry->end_usec)
			break;
		put(quota, quota->heap[below], place);
		place = below;
	}
	put(quota, entry, place);
}

static void set_end(struct quota *quota, struct entry *entry, uint64_t end_usec)
{
	bool is_later = end_usec > entry->end_usec;

	entry->end_usec = end_usec;
	if (is_later)
		sink(quota, entry, entry->place);
	else
		rise(quota, entry, entry->place);
}

static int make_room(struct quota *quota)
{
	unsigned room = quota->heap_room ? 2 * quota->heap_room : 64;
	struct entry **grown;

	if (quota->count < quota->heap_room)
		return 0;
	grown = reallocarray(quota->heap, room, sizeof(struct entry *));
	if (!grown)
		return -ENOMEM;
	quota->heap = grown;
	quota->heap_room = room;
	return 0;
}

/* ---- entries ---- */

/* 0 or -ENOMEM. */
static int add_entry(
	struct quota *quota, const struct in6_addr *address, uint64_t end_usec)
{
	struct entry **chain = chain_of(quota, address), *entry;

	if (make_room(quota) < 0)
		return -ENOMEM;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry =
		(struct entry){.address = *address, .end_usec = end_usec, .next = *chain};
	*chain = entry;
	rise(quota, entry, quota->count++);
	return 0;
}

static void remove_next(struct quota *quota)
{
	struct entry *entry = quota->heap[0];
	struct entry **place = chain_of(quota, &entry->address);

	while (*place != entry)
		place = &(*place)->next;
	*place = entry->next;
	if (--quota->count > 0)
		sink(quota, quota->heap[quota->count], 0);
	free(entry);
}

static void remove_ended(struct quota *quota, uint64_t now_usec)
{
	while (quota->count > 0 && quota->heap[0]->end_usec <= now_usec)
		remove_next(quota);
}

int quota_set_limits(struct quota *quota, unsigned max_leases, unsigned max_rate)
{
	unsigned chain_bits = CHAIN_BITS_MIN;
	struct entry **chains;

	while (chain_bits < 31 && 1U << chain_bits < max_leases)
		chain_bits++;
	chains = calloc((size_t)1 << chain_bits, sizeof(struct entry *));
	if (!chains)
		return -ENOMEM;
	free(quota->chains);
	quota->chains = chains;
	quota->chain_bits = chain_bits;
	quota->max_leases = max_leases;
	quota->max_rate = max_rate;
	for (unsigned i = 0; i < quota->count; i++) {
		struct entry *at = quota->heap[i],
			     **chain = chain_of(quota, &at->address);

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
	if (entry)
		set_end(quota, entry, now_usec + left_usec);
	else
		/* without memory: one lease that is not counted */
		(void)!add_entry(quota, address, now_usec + left_usec);
}
