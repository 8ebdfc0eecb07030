/* The control socket: "dracctl" asks and orders, dracd-protocol(7). */
#ifndef DRACD_CONTROL_H
#define DRACD_CONTROL_H

#include "dracd/server.h"

/* The context of its server is a struct daemon. */
extern const struct protocol control_protocol;

#endif
