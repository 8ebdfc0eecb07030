/* What config.c and config_check.c share; for nobody else. */
#ifndef DRACD_CONFIG_INTERNAL_H
#define DRACD_CONFIG_INTERNAL_H

#include "dracd/config.h"

/* Adds the services and lookups that are there without being written.  Warns of
 * a lookup that could be offered but for a group.  0 or -ENOMEM. */
int config_add_defaults(struct config *config, struct problems *problems)
	__attribute__((warn_unused_result));

/* Checks what must hold between options, and resolves what depends on others. */
void config_check(struct config *config, struct problems *problems);

#endif
