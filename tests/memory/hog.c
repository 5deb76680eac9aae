// SPDX-License-Identifier: GPL-2.0-only
/*
 * hog MIB SECONDS: more memory than there is, filled with what each of its pages
 * should hold, changed and looked at in another order, in rounds until the time has
 * passed. Prints how long the longest step of 64 pages took, for all of them are in a
 * swap area by the time they are wanted again. Status 1 if any page holds something else.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define WORDS (4096 / sizeof(uint64_t))
#define STEP 64u /* pages */

/* A value of its own for each page, round and place. */
static uint64_t value(uint64_t page, uint64_t round, uint64_t i)
{
	uint64_t x = page * 0x9e3779b97f4a7c15u + round * 0xbf58476d1ce4e5b9u + i;

	x ^= x >> 31;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 29;
}

static void fill(uint64_t *words, uint64_t page, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = value(page, round, i);
}

static int is_wrong(const uint64_t *words, uint64_t page, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		if (words[i] != value(page, round, i))
			return 1;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t pages = (mib << 20) / 4096, round, page, n, wrong = 0, longest = 0;
	uint64_t begun = now_ms(), end, last, now;
	uint64_t *memory;

	if (!pages) {
		fprintf(stderr, "usage: hog MIB SECONDS\n");
		return 2;
	}
	end = begun + strtoull(argv[2], NULL, 10) * 1000;
	memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (page = 0; page < pages; page++)
		fill(memory + page * WORDS, page, 0);
	last = now_ms();
	for (round = 1; round == 1 || now_ms() < end; round++) {
		/* Every page once: 4099 is a prime, and no number of pages here has it. */
		for (n = 0; n < pages; n++) {
			page = n * 4099 % pages;
			wrong += is_wrong(memory + page * WORDS, page, round - 1);
			fill(memory + page * WORDS, page, round);
			if (n % STEP)
				continue;
			now = now_ms();
			longest = now - last > longest ? now - last : longest;
			last = now;
		}
	}
	printf("%" PRIu64 " MiB, %" PRIu64 " rounds in %" PRIu64 " s, %" PRIu64
	       " pages were wrong, longest step %" PRIu64 " ms\n",
	       mib, round - 1, (now_ms() - begun) / 1000, wrong, longest);
	return wrong != 0;
}
