/* How many leases are live: the rows of the table, without those that are over. */
#include "dracd/core.h"

#include "dracd/log.h"

enum {
	ROWS_PER_STEP = 4096 /* some tenths of a millisecond */
};

struct step {
	struct lease_count *count;
	unsigned rows;
};

void core_count_begin(const struct core *core, struct moment now, struct lease_count *ret)
{
	*ret = (struct lease_count){
		.boot_usec = now.boot_usec,
		.ipv4 = core->state.ipv4,
		.ipv6 = core->state.ipv6,
	};
}

static int count_over(const struct expiry *row, void *context)
{
	struct step *step = context;
	struct lease_count *count = step->count;
	uint64_t *live = address_is_ipv4(&row->key) ? &count->ipv4 : &count->ipv6;

	if (row->deadline_boot_usec > count->boot_usec || step->rows == ROWS_PER_STEP)
		return TABLE_NOT_FOUND; /* nonzero: the walk ends */
	count->last = *row;
	step->rows++;
	*live -= *live > 0;
	return 0;
}

/* Rows are deleted from that end at which a count begins, and more slowly: those that are
 * gone by the next step have been counted. */
bool core_count_step(struct core *core, struct lease_count *count)
{
	struct step step = {.count = count};
	int r = table_reader_begin(core->reader);

	if (r == 0) {
		r = table_each_expiry(core->reader, &count->last, count_over, &step);
		table_reader_end(core->reader);
	}
	if (r < 0)
		log_errno(LOG_ERR, r, "table: cannot read the expiry index");
	return r < 0 || step.rows < ROWS_PER_STEP;
}
