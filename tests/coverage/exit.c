/* Makes _exit(2) write the counters of gcov, as exit(3) does: a forked child, such as the
 * guardian, ends by it.  Linked with --wrap=_exit, into programs built for coverage only.
 */
#include <unistd.h>

void __gcov_dump(void);
__attribute__((noreturn)) void __real__exit(int status);
__attribute__((noreturn)) void __wrap__exit(int status);

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
