// SPDX-License-Identifier: GPL-2.0-only
/*
 * hog MIB ROUNDS: more memory than there is, filled with what each of its pages
 * should hold, and looked at in another order; ROUNDS times. Status 1 if any page
 * holds something else.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096u

/* A value of its own for each page, round and place. */
static uint64_t value(uint64_t page, uint64_t round, uint64_t i)
{
	uint64_t x = page * 0x9e3779b97f4a7c15u + round * 0xbf58476d1ce4e5b9u + i;

	x ^= x >> 31;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 29;
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t pages = (mib << 20) / PAGE, round, page, i, n, wrong = 0;
	uint64_t *memory;

	if (!pages || !rounds) {
		fprintf(stderr, "usage: hog MIB ROUNDS\n");
		return 2;
	}
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (page = 0; page < pages; page++)
			for (i = 0; i < PAGE / 8; i++)
				memory[page * (PAGE / 8) + i] = value(page, round, i);
		/* Every page once: 4099 is a prime, and no power of two has it. */
		for (n = 0; n < pages; n++) {
			page = n * 4099 % pages;
			for (i = 0; i < PAGE / 8; i++)
				if (memory[page * (PAGE / 8) + i] != value(page, round, i))
					break;
			wrong += i < PAGE / 8;
		}
	}
	printf("%llu MiB, %llu rounds, %llu pages are wrong\n", (unsigned long long)mib,
	       (unsigned long long)rounds, (unsigned long long)wrong);
	return wrong != 0;
}
