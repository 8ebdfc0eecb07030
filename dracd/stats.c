/* Counters in buckets of a minute. */
#include "dracd/stats.h"

#include <string.h>

/* Clears the minutes that have passed since the last call. */
static void advance(struct stats *stats, struct moment now)
{
	uint64_t bucket = now.boot_usec / STATS_BUCKET_USEC;

	for (unsigned i = 0; i <= STATS_BUCKETS && stats->bucket < bucket; i++) {
		stats->bucket++;
		stats->minutes[stats->bucket % (STATS_BUCKETS + 1)] =
			(struct counters){0};
	}
	stats->bucket = bucket;
}

struct counters *stats_now(struct stats *stats, struct moment now)
{
	advance(stats, now);
	return &stats->minutes[stats->bucket % (STATS_BUCKETS + 1)];
}

struct counters stats_sum(struct stats *stats, struct moment now)
{
	struct counters sum = {0};

	advance(stats, now);
	for (unsigned i = 0; i <= STATS_BUCKETS; i++) {
		const struct counters *minute = &stats->minutes[i];

		sum.granted += minute->granted;
		sum.renewed += minute->renewed;
		sum.errors += minute->errors;
		sum.asked += minute->asked;
		sum.permitted += minute->permitted;
		for (unsigned reason = 0; reason < REASON_COUNT; reason++)
			sum.refused[reason] += minute->refused[reason];
	}
	return sum;
}

void stats_refused(struct stats *stats, const struct login *login, enum reason reason,
	struct moment now)
{
	struct refusal *refusal = &stats->refusals[stats->next_refusal++ % REFUSALS_MAX];

	stats_now(stats, now)->refused[reason]++;
	refusal->address = login->address;
	refusal->reason = reason;
	refusal->wall_usec = now.wall_usec;
	memcpy(refusal->user, login->user, sizeof(refusal->user));
	memcpy(refusal->service, login->service, sizeof(refusal->service));
}

const struct refusal *stats_find_refusal(
	const struct stats *stats, const struct address *address)
{
	for (unsigned i = 1; i <= REFUSALS_MAX && i <= stats->next_refusal; i++) {
		const struct refusal *refusal =
			&stats->refusals[(stats->next_refusal - i) % REFUSALS_MAX];

		if (address_compare(&refusal->address, address) == 0)
			return refusal;
	}
	return NULL;
}
