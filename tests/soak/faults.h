/* System calls that fail, or after which the process is gone: those that change files,
 * of dracd and of liblmdb. */
#ifndef TESTS_SOAK_FAULTS_H
#define TESTS_SOAK_FAULTS_H

#include <stdbool.h>

enum fault_kind {
	FAULT_NONE,
	FAULT_KILL,
	FAULT_ERROR
};

struct fault {
	enum fault_kind kind;
	unsigned after; /* so many calls are still done */
	unsigned count; /* of FAULT_ERROR: calls that fail then */
	int error;
	bool done; /* the call fails, but what it was to do is done, or half of a write is
		    */
	/* what is seen on the way */
	unsigned calls, failed, aside;
};

enum {
	KILLED = 77
}; /* exit status */

/* fault is looked at by every call of this process from now on, and of no child of it;
 * NULL: no more. */
void faults_use(struct fault *fault);

#endif
