/* Counters of the last five minutes, and the latest refusals; what "dracctl status" and
 * "dracctl check" tell. */
#ifndef DRACD_STATS_H
#define DRACD_STATS_H

#include "dracd/guard.h"

enum {
	STATS_BUCKETS = 5,
	REFUSALS_MAX = 256,
};

#define STATS_BUCKET_USEC (60 * USEC_PER_SEC)

struct counters {
	uint64_t granted, renewed, errors;
	uint64_t refused[REASON_COUNT];
	uint64_t asked, permitted;
};

struct refusal {
	struct address address;
	enum reason reason;
	uint64_t wall_usec;
	char user[USER_SIZE];
	char service[SERVICE_SIZE];
};

/* Zero-initialised: empty. */
struct stats {
	uint64_t bucket; /* number of the current minute of the boot clock */
	struct counters minutes[STATS_BUCKETS + 1];
	struct refusal refusals[REFUSALS_MAX];
	unsigned next_refusal;
};

/* The counters of the current minute, to be added to. */
struct counters *stats_now(struct stats *stats, struct moment now);

/* The sum of the last five minutes and the current one. */
struct counters stats_sum(struct stats *stats, struct moment now);

void stats_refused(struct stats *stats, const struct login *login, enum reason reason,
	struct moment now);

/* The latest refusal of the address among those remembered, or NULL. */
const struct refusal *stats_find_refusal(
	const struct stats *stats, const struct address *address);

#endif
