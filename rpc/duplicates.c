/* The place of a call is a hash of its key; what stands there is replaced. */
#include "rpc/duplicates.h"

#include <stdbool.h>
#include <string.h>

/* Longer than any client waits for an answer (25 s). */
#define LIFE_USEC (30 * UINT64_C(1000000))

static struct duplicate *place_of(
	struct duplicates *duplicates, const struct duplicate_key *key)
{
	uint32_t words[sizeof(*key) / sizeof(uint32_t)], hash = 0;

	memcpy(words, key, sizeof(words));
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * UINT32_C(0x9e3779b1);
		hash ^= hash >> 15;
	}
	return &duplicates->items[hash % DUPLICATES_MAX];
}

static bool is_same(const struct duplicate *item, const struct duplicate_key *key)
{
	return item->time_usec && memcmp(&item->key, key, sizeof(*key)) == 0;
}

enum duplicate_answer duplicates_find(struct duplicates *duplicates,
	const struct duplicate_key *key, uint64_t now_usec, enum call_status *ret_status)
{
	struct duplicate *item = place_of(duplicates, key);

	if (!is_same(item, key) || now_usec - item->time_usec > LIFE_USEC) {
		*item = (struct duplicate){
			.key = *key,
			.time_usec = now_usec,
			.state = DUPLICATE_PENDING,
		};
		return DUPLICATES_NEW;
	}
	if (item->state == DUPLICATE_PENDING)
		return DUPLICATES_PENDING;
	*ret_status = item->status;
	return DUPLICATES_ANSWERED;
}

void duplicates_answered(struct duplicates *duplicates, const struct duplicate_key *key,
	enum call_status status)
{
	struct duplicate *item = place_of(duplicates, key);

	if (!is_same(item, key))
		return;
	if (status == CALL_STATUS_SYSERR)
		item->time_usec = 0;
	item->state = DUPLICATE_ANSWERED;
	item->status = status;
}
