/*
 * The report socket: reporters tell of logins, dracd-protocol(7).
 *
 * Who may speak is decided by SO_PEERCRED against drac.conf's reporters, at the time of
 * each request.  Requests may be pipelined; they are answered in their order.
 */
#ifndef DRACD_REPORT_H
#define DRACD_REPORT_H

#include "dracd/server.h"

/* The context of its server is a struct core. */
extern const struct protocol report_protocol;

#endif
