/*
 * The oracle of `make soak`: who may relay at the latest, and who must be able to.
 *
 * It is written from the documents, not from the code, and shares nothing with it.  It
 * knows the true time, which dracd cannot know across a reboot: the wall clock shows the
 * true time plus an error, and only as much as that error has changed between dracd's
 * last commit and the next boot may a deadline move.  Where nobody can know what became
 * of an operation (dracd was killed, the disk failed), "may" counts it and "must" does
 * not.
 */
#ifndef TESTS_SOAK_ORACLE_H
#define TESTS_SOAK_ORACLE_H

#include <stdbool.h>

#include "tests/soak/numbers.h"

struct oracle {
	long t, error; /* now: true time, and how far the wall clock is ahead of it */
	bool wide;     /* a lease of one of the upper half of hosts is for the network */
	bool unsure;   /* ... but somebody in it may be shut out, and then for the host */
	long may[KEYS * USERS], must[HOSTS * USERS]; /* until when */
	long kept[HOSTS * USERS]; /* must[][], should the machine restart now */
	long out[SUBJECTS], out_wall[SUBJECTS]; /* shut out until, at the least */
	long least[2], most[2]; /* at the last commit: error, and the wall clock */
};

static inline int net_of(int key)
{
	return key < HOSTS ? HOSTS + key / 2 : key;
}

static inline void later(long *end, long other)
{
	*end = *end > other ? *end : other;
}

static inline bool oracle_says(const struct oracle *o, int host, bool must)
{
	bool may = false;

	for (int u = 0; u < USERS; u++)
		may |= must ? o->must[host * USERS + u] > o->t
			    : o->may[host * USERS + u] > o->t ||
				       o->may[net_of(host) * USERS + u] > o->t;
	return may && (must || (o->out[host] <= o->t && o->out[net_of(host)] <= o->t));
}

static inline void oracle_login(
	struct oracle *o, int host, int user, long end, bool answered)
{
	bool network = o->wide && host >= HOSTS / 2 && o->out[host ^ 1] <= o->t;

	later(&o->may[net_of(host) * USERS + user], network ? end : 0);
	later(&o->may[host * USERS + user], network && !o->unsure ? 0 : end);
	later(&o->must[host * USERS + user], answered ? end : 0);
	later(&o->kept[host * USERS + user], answered ? end : 0);
}

static inline void oracle_revoke(struct oracle *o, int what, long until, bool answered)
{
	for (int i = 0; i < KEYS * USERS; i++) {
		int k = i / USERS, net = net_of(k), user = i % USERS + KEYS;
		bool near = what < KEYS && net == net_of(what);
		bool hit = user == what ||
			   (near && (k == what || HOSTS <= k || HOSTS <= what));

		if (k < HOSTS && (near || hit || (what >= KEYS && user == KEYS)))
			o->must[i] = o->kept[i] = 0;
		if (hit && answered)
			o->may[i] = 0;
	}
	o->unsure |= !answered;
	if (until && (answered || until < o->out[what])) {
		o->out[what] = until;
		o->out_wall[what] = until + o->error;
	}
}

static inline void oracle_commit(struct oracle *o, bool known)
{
	const long now[2] = {o->error, o->t + o->error};

	for (int i = 0; i < 2; i++) {
		o->least[i] = !known && o->least[i] < now[i] ? o->least[i] : now[i];
		o->most[i] = !known && o->most[i] > now[i] ? o->most[i] : now[i];
	}
}

static inline void oracle_boot(struct oracle *o, bool lost)
{
	long wall = o->t + o->error;

	for (int i = 0; i < KEYS * USERS; i++)
		o->may[i] = lost || wall < o->least[1]
				    ? 0
				    : o->may[i] + o->most[0] - o->error;
	for (int i = 0; i < HOSTS * USERS; i++)
		o->must[i] = o->kept[i] = lost || wall < o->most[1]
						  ? 0
						  : o->kept[i] + o->least[0] - o->error;
	for (int i = 0; i < SUBJECTS; i++) {
		if (o->out_wall[i] > o->out[i] + o->error)
			o->out_wall[i] = o->out[i] + o->error;
		o->out[i] = o->out_wall[i] - o->error;
	}
}

#endif
