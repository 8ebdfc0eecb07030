/*
 * The two clocks.  Time enters every rule as an argument, a struct moment; only the loop
 * and the threads read the clocks.
 *
 * Deadlines in force are CLOCK_BOOTTIME (it counts suspends and cannot be set); the wall
 * clock carries them across a reboot, and is what people are shown.
 */
#ifndef DRACD_CLOCK_H
#define DRACD_CLOCK_H

#include <stdint.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)

struct moment {
	uint64_t boot_usec; /* CLOCK_BOOTTIME */
	uint64_t wall_usec; /* CLOCK_REALTIME, since 1970 UTC */
};

struct moment clock_now(void);

/* The boot id of the kernel, or of DRACD_BOOT_ID in the environment (32 hexadecimal
 * digits) where the sandbox hides /proc/sys.  0 or a negative errno. */
int clock_boot_id(uint8_t ret[16]) __attribute__((warn_unused_result));

/* Adds without wrapping. */
uint64_t clock_add(uint64_t usec, uint64_t more);

#endif
