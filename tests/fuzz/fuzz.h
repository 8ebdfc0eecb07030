/*
 * A fuzz target: one decoder of octets from outside, as it is in the product.
 *
 * "make fuzz FUZZ_SECONDS=60" builds each file fuzz_*.c with clang's libFuzzer, ASan and
 * UBSan and runs it on the seeds in tests/fuzz/seeds/NAME; what crashes becomes a unit
 * test.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where data ends with 0xff (which no text does) and an octet n, takes these two off it,
 * and the allocation after the next n fails.  To be ended by fuzz_fail_no_more(). */
bool fuzz_take_failure(const uint8_t *data, size_t *size);
void fuzz_fail_no_more(void);

/* For targets: never fails. */
void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);

/* A copy of exactly size octets with room more after it: reading further is found. */
static inline char *fuzz_copy(const uint8_t *data, size_t size, size_t room)
{
	char *copy = __real_malloc(size + room + !(size + room));

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* What must hold, in any build. */
#define FUZZ_ASSERT(condition)                                                           \
	do {                                                                             \
		if (!(condition))                                                        \
			abort();                                                         \
	} while (0)

#endif
