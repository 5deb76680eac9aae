/* SPDX-License-Identifier: GPL-2.0-only */
/* A generator of numbers that a seed determines: splitmix64 (Steele, Lea, Flood, 2014). */
#ifndef REFERENCE_RANDOM_H
#define REFERENCE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

struct random {
	u64 state;
};

static inline u64 random_mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline u64 random_next(struct random *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return random_mix(r->state);
}

/* A number from 0 to @n - 1; @n is at least 1. */
static inline u64 random_below(struct random *r, u64 n)
{
	return random_next(r) % n;
}

static inline bool random_percent(struct random *r, unsigned int percent)
{
	return random_below(r, 100) < percent;
}

#endif
