/* A daemon for the target of the control socket: see daemon.c. */
#ifndef TESTS_FUZZ_DAEMON_H
#define TESTS_FUZZ_DAEMON_H

#include <stdbool.h>

/* From now on all maps are as they should be, or each has another trouble. */
void fuzz_daemon_set(bool is_well);

/* The next turn of the loop, or the next answer of the core.  False if there is none. */
bool fuzz_daemon_go_on(void *context);

#endif
