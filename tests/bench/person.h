/*
 * The people of the benchmarks: number n logs in from an address of his own, and all
 * tools agree on which.  Consecutive numbers have addresses in random order, as people
 * have.  Nothing is ever sent to an address: they are keys of a table.
 */
#ifndef BENCH_PERSON_H
#define BENCH_PERSON_H

#include <stdint.h>
#include <stdio.h>

enum {
	PERSON_NUMBERS = 1 << 24, /* beyond that addresses come again */
	PERSON_TEXT_SIZE = 32,
};

/* A bijection of 24 bits: odd factors and shifted exclusive ors can all be undone. */
static inline uint32_t person_mix(uint32_t number)
{
	const uint32_t mask = PERSON_NUMBERS - 1;

	number = (number * 0x9e3779) & mask;
	number ^= number >> 13;
	number = (number * 0x2c1b3d) & mask;
	number ^= number >> 11;
	return (number * 0x45d9f3) & mask;
}

/* A public IPv4 address as text, "64.9.17.5". */
static inline void person_address(uint32_t number, char ret[PERSON_TEXT_SIZE])
{
	uint32_t mixed = person_mix(number);

	snprintf(ret, PERSON_TEXT_SIZE, "64.%u.%u.%u", mixed >> 16 & 0xff,
		mixed >> 8 & 0xff, mixed & 0xff);
}

/* "user00001234@example.org", 24 octets, as users of hosting sites have. */
static inline void person_user(uint32_t number, char ret[PERSON_TEXT_SIZE])
{
	snprintf(ret, PERSON_TEXT_SIZE, "user%08u@example.org", number % 100000000U);
}

#endif
