/*
 * max_rate of a reporter: a bucket that holds one second's worth and is filled by the
 * passing of time.  What is refused is counted in the statistics and logged once a
 * minute, or a reporter that is out of its mind would fill the log as well.
 */
#include <stdio.h>
#include <string.h>

#include "dracd/core_internal.h"
#include "dracd/log.h"

#define SAY_USEC (60 * USEC_PER_SEC)

/* By name, so that a reload fills no bucket.  Never NULL: one who has left drac.conf
 * gives way, and in it there are not too many. */
static struct reporter_rate *find_rate(struct core *core, const char *name)
{
	struct reporter_rate *place = &core->rates[0];

	for (size_t i = 0; i < REPORTERS_MAX; i++) {
		struct reporter_rate *rate = &core->rates[i];

		if (strncmp(rate->name, name, sizeof(rate->name) - 1) == 0)
			return rate;
		if (!config_reporter_limits(core->config, rate->name))
			place = rate;
	}
	*place = (struct reporter_rate){0};
	snprintf(place->name, sizeof(place->name), "%s", name);
	return place;
}

static bool spend(struct reporter_rate *rate, unsigned per_second, uint64_t now_usec)
{
	const uint64_t price_usec = USEC_PER_SEC / per_second;
	const uint64_t passed_usec = now_usec - rate->counted_usec;

	rate->counted_usec = now_usec;
	if (passed_usec > USEC_PER_SEC - rate->credit_usec)
		rate->credit_usec = USEC_PER_SEC;
	else
		rate->credit_usec += passed_usec;
	if (rate->credit_usec < price_usec)
		return false;
	rate->credit_usec -= price_usec;
	return true;
}

static void note_refused(struct reporter_rate *rate,
	const struct reporter_settings *limits, uint64_t now_usec)
{
	struct event event;

	rate->refused++;
	if (rate->said_usec && now_usec - rate->said_usec < SAY_USEC)
		return;
	event_init(&event, LOG_WARNING, "limited");
	event_add(&event, "reporter", limits->name);
	event_add_number(&event, "refused", rate->refused);
	event_add_number(&event, "max_rate", limits->max_rate);
	event_add_note(&event, " (it reports more logins a second; said once a minute)");
	event_log(&event);
	rate->said_usec = now_usec;
	rate->refused = 0;
}

bool core_take_rate(
	struct core *core, const struct reporter_settings *limits, struct moment now)
{
	struct reporter_rate *rate;

	if (limits->max_rate == 0)
		return true;
	rate = find_rate(core, limits->name);
	if (spend(rate, limits->max_rate, now.boot_usec))
		return true;
	note_refused(rate, limits, now.boot_usec);
	return false;
}
