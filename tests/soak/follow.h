/* A map that is brought up to date by the change feed and by the ends of leases alone. */
#ifndef TESTS_SOAK_FOLLOW_H
#define TESTS_SOAK_FOLLOW_H

#include "dracd/core.h"

/* The next time it takes all leases. */
void follow_restart(void);

/* 0; 1: it is not what the table says then (with may_lack: it shows somebody else); or a
 * negative errno. */
int follow_table(const struct core *core, bool may_lack);

#endif
