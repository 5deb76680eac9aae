// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does it pay to take checksums while a row is in the cache?
 *
 * A write copies the caller's data into the target's own pages, takes a
 * checksum of every data block, encodes, and takes those of the parity. For a
 * request of some size, three orders:
 *
 *	passes	copy all, checksum all data, encode all, checksum all parity
 *	rows	row by row: copy, checksum data, encode, checksum parity
 *	blocks	block by block: copy, checksum; row by row: encode, checksum
 *		parity
 *
 * The request's data comes from a region that is larger than the cache, and so
 * do the pages. crc32c is libisal's, the same algorithm (three interleaved
 * streams of CRC32, joined by PCLMULQDQ) as the kernel's on x86-64.
 *
 * Each order is measured in turn, in rounds; the figures are medians, in GB
 * (10^9 bytes) of user data a second of CPU time.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <isa-l/crc.h>

#include "../../kernel/ec.h"

#define BLOCK		4096
#define REGION		(128UL << 20)
#define ROUNDS		25

enum order { PASSES, ROWS, BLOCKS, ENCODE_ONLY, CHECKSUM_ONLY, COPY_ONLY, ORDERS };

static const char *const order_names[] = {
	"passes", "rows", "blocks", "only encode", "only checksums", "only copy"
};

static u8 *from, *to;
static struct ec_code code;
static volatile u32 sink;

static void copy(size_t row, unsigned int leg)
{
	memcpy(to + (row * (code.k + code.m) + leg) * BLOCK,
	       from + (row * code.k + leg) * BLOCK, BLOCK);
}

static void checksum(size_t row, unsigned int leg)
{
	sink ^= crc32_iscsi(to + (row * (code.k + code.m) + leg) * BLOCK, BLOCK,
			    row);
}

static void encode(struct gf256_section *sec, size_t row)
{
	u8 *legs[EC_MAX_LEGS];
	unsigned int i;

	for (i = 0; i < code.k + code.m; i++)
		legs[i] = to + (row * (code.k + code.m) + i) * BLOCK;
	ec_encode(sec, &code, BLOCK, (const u8 *const *)legs, legs + code.k);
}

static void request(enum order order, size_t row, size_t end)
{
	unsigned int k = code.k, n = code.k + code.m, i;
	struct gf256_section sec;
	size_t first = row;

	gf256_section_begin(&sec);
	if (order == PASSES || order == COPY_ONLY)
		for (row = first; row < end; row++)
			for (i = 0; i < k; i++)
				copy(row, i);
	if (order == PASSES || order == CHECKSUM_ONLY)
		for (row = first; row < end; row++)
			for (i = 0; i < k; i++)
				checksum(row, i);
	if (order == PASSES || order == ENCODE_ONLY)
		for (row = first; row < end; row++)
			encode(&sec, row);
	if (order == PASSES || order == CHECKSUM_ONLY)
		for (row = first; row < end; row++)
			for (i = k; i < n; i++)
				checksum(row, i);

	if (order == ROWS || order == BLOCKS)
		for (row = first; row < end; row++) {
			for (i = 0; i < k; i++) {
				copy(row, i);
				if (order == BLOCKS)
					checksum(row, i);
			}
			if (order == ROWS)
				for (i = 0; i < k; i++)
					checksum(row, i);
			encode(&sec, row);
			for (i = k; i < n; i++)
				checksum(row, i);
		}
	gf256_section_end(&sec);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1000000000.0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	static const struct {
		unsigned int k, m;
	} codes[] = { { 4, 2 }, { 10, 4 } };
	static const size_t sizes[] = { 64 << 10, 256 << 10, 1 << 20, 8 << 20 };
	double speed[ORDERS][ROUNDS];
	unsigned int c, s, order, round;

	from = aligned_alloc(2 << 20, REGION);
	to = aligned_alloc(2 << 20, 2 * REGION);
	if (!from || !to)
		err(3, "memory");
	madvise(from, REGION, MADV_HUGEPAGE);
	madvise(to, 2 * REGION, MADV_HUGEPAGE);
	memset(from, 1, REGION);
	memset(to, 2, 2 * REGION);
	if (gf256_init())
		return 3;

	printf("%u rounds, CPU time, GB/s of user data, %s\n\n", ROUNDS,
	       gf256_name());
	printf("| code | request KiB |");
	for (order = 0; order < ORDERS; order++)
		printf(" %s |", order_names[order]);
	printf("\n|---|---|---|---|---|---|---|---|\n");
	for (c = 0; c < ARRAY_SIZE(codes); c++)
		for (s = 0; s < ARRAY_SIZE(sizes); s++) {
			size_t rows, all, row = 0;

			if (ec_code_init(&code, codes[c].k, codes[c].m))
				return 3;
			rows = sizes[s] / BLOCK / code.k;
			all = REGION / BLOCK / code.k;
			for (round = 0; round < ROUNDS; round++)
				for (order = 0; order < ORDERS; order++) {
					/* 8 MiB of requests, somewhere else. */
					size_t n = (8 << 20) / sizes[s], i;
					double t = now();

					for (i = 0; i < n; i++, row += rows) {
						row = row + rows > all ? 0 : row;
						request(order, row, row + rows);
					}
					speed[order][round] = n * rows * code.k *
						BLOCK / (now() - t) / 1e9;
				}
			printf("| %u+%u | %zu |", code.k, code.m,
			       sizes[s] >> 10);
			for (order = 0; order < ORDERS; order++) {
				qsort(speed[order], ROUNDS, sizeof(double),
				      compare);
				printf(" %.2f |", speed[order][ROUNDS / 2]);
			}
			printf("\n");
			fflush(stdout);
		}
	return 0;
}
