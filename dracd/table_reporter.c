/* Whose leases: how many there are by the latest login of each reporter. */
#include <stdio.h>
#include <string.h>

#include "dracd/table_internal.h"

static const struct reporter_leases *find(
	const struct table_state *state, const char *reporter)
{
	for (size_t i = 0; i < REPORTERS_MAX; i++)
		if (state->reporters[i].leases > 0 &&
			strcmp(state->reporters[i].name, reporter) == 0)
			return &state->reporters[i];
	return NULL;
}

static struct reporter_leases *place_of(struct table_state *state, const char *reporter)
{
	const struct reporter_leases *found = find(state, reporter);

	for (size_t i = 0; i < REPORTERS_MAX; i++)
		if (found ? &state->reporters[i] == found
			  : state->reporters[i].leases == 0)
			return &state->reporters[i];
	return NULL;
}

/* Those for whom there is no place are not counted: drac.conf has so many reporters at
 * most, and what is left by others is over soon. */
void table_count_reporter(struct table_state *state, const char *reporter, int difference)
{
	struct reporter_leases *place = place_of(state, reporter);

	if (!place || (difference < 0 && place->leases == 0))
		return;
	if (place->leases == 0)
		snprintf(place->name, sizeof(place->name), "%s", reporter);
	place->leases += (unsigned)difference;
}

unsigned table_leases_of(const struct table_state *state, const char *reporter)
{
	const struct reporter_leases *found = find(state, reporter);

	return found ? found->leases : 0;
}

int table_check_reporter(struct table *table, const struct address *key,
	const struct login *login, unsigned max)
{
	struct lease lease;
	int r;

	if (!login->is_renewal && table_leases_of(&table->state, login->reporter) < max)
		return 0;
	r = table_read_row(table, key, &lease);
	if (r < 0)
		return r;
	if (r == TABLE_NOT_FOUND && login->is_renewal)
		return 0; /* there is nothing to renew */
	return r == 0 && strcmp(lease.reporter, login->reporter) == 0
		       ? 0
		       : TABLE_REPORTER_FULL;
}
