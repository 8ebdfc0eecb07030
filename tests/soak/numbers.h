/* How many of everything there are: few, so that they meet often. */
#ifndef TESTS_SOAK_NUMBERS_H
#define TESTS_SOAK_NUMBERS_H

/* Hosts stand in pairs, each pair a network; user 0 is a login that names nobody.  Shut
 * out is a subject: a host, a network or a user, in one row of numbers. */
enum {
	HOSTS = 8,
	KEYS = HOSTS + HOSTS / 2,
	USERS = 5,
	SUBJECTS = KEYS + USERS,
};

#endif
