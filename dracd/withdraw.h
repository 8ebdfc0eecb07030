/* Withdrawing what dracd has published, without dracd and its table. */
#ifndef DRACD_WITHDRAW_H
#define DRACD_WITHDRAW_H

#include "dracd/config.h"

/* Removes the lookup sockets and publishes each map with its static rows alone; who has a
 * replaced file open is told.  What fails is tried again, but not for ever, as dracd
 * waits for us to start: 20 s, and no longer for a file system that hangs.  Forks, so the
 * process must not have threads.  What is withdrawn is dropped from it; returns how many
 * lookups and maps are not, which has been logged; maps that hang are marked. */
size_t withdraw_all(struct config *published);

#endif
