/* Sets of prefixes as sorted arrays: small, and read far more often than changed. */
#include "dracd/prefix_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The index of the first item that is not less than key. */
static size_t lower_bound(const struct prefix_set *set, const struct address *key)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address_compare(&set->items[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int prefix_set_add(struct prefix_set *set, const struct address *prefix)
{
	size_t at = lower_bound(set, prefix);
	struct address *grown;

	if (at < set->count && address_compare(&set->items[at], prefix) == 0)
		return 0;
	grown = reallocarray(set->items, set->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memmove(grown + at + 1, grown + at, (set->count - at) * sizeof(*grown));
	grown[at] = *prefix;
	set->items = grown;
	set->count++;
	set->lengths[prefix->length / 64] |= UINT64_C(1) << (prefix->length % 64);
	return 0;
}

void prefix_set_done(struct prefix_set *set)
{
	free(set->items);
	*set = (struct prefix_set){0};
}

const struct address *prefix_set_find(
	const struct prefix_set *set, const struct address *address)
{
	int shortest = address_is_ipv4(address) ? 96 : 0;
	int length = address->length + 1;

	while ((length = address_length_within(set->lengths, length - 1)) >= shortest) {
		struct address network = address_network(address, (unsigned)length);
		size_t at = lower_bound(set, &network);

		if (at < set->count && address_compare(&set->items[at], &network) == 0)
			return &set->items[at];
	}
	return NULL;
}

bool prefix_set_overlaps(const struct prefix_set *set, const struct address *prefix)
{
	struct address first = *prefix;
	size_t at;

	if (set->count == 0)
		return false;
	if (prefix_set_find(set, prefix))
		return true;
	/* everything inside sorts at or after the first address of the prefix */
	first.length = 0;
	at = lower_bound(set, &first);
	/* with a count there are items */
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	while (at < set->count && memcmp(&set->items[at].ip, &prefix->ip, 16) == 0 &&
		set->items[at].length < prefix->length)
		at++;
	return at < set->count && address_contains(prefix, &set->items[at]);
}

bool prefix_set_equal(const struct prefix_set *a, const struct prefix_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (address_compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}
