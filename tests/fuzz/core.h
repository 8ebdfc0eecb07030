/*
 * A core for the targets of the report and the control socket: any outcome there is, the
 * same for the same request, at once or later and then in another order.
 */
#ifndef TESTS_FUZZ_CORE_H
#define TESTS_FUZZ_CORE_H

#include "dracd/core.h"
#include "tests/fuzz/connection.h"

/* True from now on: answers are there at once. */
void fuzz_core_set(bool is_quick);

/* One talk with a server of the core: bits of the input tell how the peer behaves and how
 * quick the core is; an allocation fails where the input says so. */
struct talked fuzz_core_talk(
	struct talk *how, unsigned bits, const uint8_t *data, size_t size);

/* Gives the answer to a request that waits.  False if there is none. */
bool fuzz_core_go_on(void *context);

/* The outcome of what has this hash. */
struct outcome fuzz_outcome(uint64_t hash);
void fuzz_answer(core_done *done, void *context, const struct outcome *outcome);

uint64_t fuzz_hash(const void *data, size_t size);

#endif
