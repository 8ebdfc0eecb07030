/* What the unit tests of dracd/ have in common: cmocka's prologue and a clock they set.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those before it */

#include "dracd/address.h"
#include "dracd/clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An address or prefix that is known to be right. */
static inline struct address address_of(const char *text)
{
	struct address address = {0};

	assert_int_equal(address_parse_prefix(text, &address), 0);
	return address;
}

/* Some time after a boot in 2026. */
static inline struct moment at(uint64_t seconds)
{
	return (struct moment){
		.boot_usec = (1000 + seconds) * USEC_PER_SEC,
		.wall_usec = (UINT64_C(1795000000) + seconds) * USEC_PER_SEC,
	};
}

#endif
