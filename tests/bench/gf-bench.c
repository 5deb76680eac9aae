// SPDX-License-Identifier: GPL-2.0-only
/*
 * Speed of the erasure code next to libisal's, with the same matrix.
 *
 * A cell is a code, a size of leg, an operation and an instruction set. Each
 * cell is measured in rounds; in a round both run for the same time on the
 * same buffers, one right after the other and in turn first, so that a
 * neighbour on the machine or a change of clock meets both. The ratio is the
 * median of the rounds' ratios.
 *
 * Speed is in GB (10^9 bytes) of user data a second: K legs for encode and
 * decode, the one leg that changes for update. Decode is the worst case, as
 * many data legs lost as there are parities.
 */
#define _GNU_SOURCE
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <isa-l/erasure_code.h>

#include "../../kernel/ec.h"

/* libisal has these, its headers only some of them. */
typedef void isal_encode_fn(int len, int k, int rows, unsigned char *tables,
			    unsigned char **data, unsigned char **out);
typedef void isal_update_fn(int len, int k, int rows, int leg,
			    unsigned char *tables, unsigned char *data,
			    unsigned char **out);
isal_encode_fn ec_encode_data_avx512;
isal_update_fn ec_encode_data_update_avx512;

#define MAX_LEG		(1024 * 1024)
#define MAX_ROUNDS	99

/* Legs, and apart from them what decode writes and the delta of updates. */
#define BUFFERS		(EC_MAX_LEGS + EC_MAX_M + 1)

enum op { ENCODE, UPDATE, DECODE };

static const char *const op_names[] = { "encode", "update", "decode" };

static const struct peer {
	const char *impl;
	const char *isal;
	isal_encode_fn *encode;
	isal_update_fn *update;
	double bar;
} peers[] = {
	{ "gfni-avx512", "avx512", ec_encode_data_avx512,
	  ec_encode_data_update_avx512, 1.3 },
	{ "gfni-avx2", "avx512", ec_encode_data_avx512,
	  ec_encode_data_update_avx512, 1.3 },
	{ "avx512", "avx512", ec_encode_data_avx512,
	  ec_encode_data_update_avx512, 1.0 },
	{ "avx2", "avx2", ec_encode_data_avx2, ec_encode_data_update_avx2, 1.0 },
	{ "ssse3", "sse", ec_encode_data_sse, ec_encode_data_update_sse, 1.0 },
	{ "scalar", "base", ec_encode_data_base, ec_encode_data_update_base,
	  1.0 },
};

/* What no cell of encode and decode may be under. */
#define LOWEST	0.9

static const struct {
	unsigned int k, m;
} codes[] = { { 2, 1 }, { 4, 2 }, { 8, 3 }, { 10, 4 }, { 16, 4 } };

static const size_t sizes[] = { 4096, 65536, MAX_LEG };

struct cell {
	const struct peer *peer;
	enum op op;
	struct ec_code code;
	struct ec_plan plan;
	size_t len;
	u8 *legs[BUFFERS];
	/* libisal's: of the parities, of the lost legs, and what it reads. */
	u8 tables[EC_MAX_M * EC_MAX_K * 32];
	u8 decode_tables[EC_MAX_M * EC_MAX_K * 32];
	u8 *sources[EC_MAX_K];
};

struct result {
	double qbd[MAX_ROUNDS], isal[MAX_ROUNDS], ratio[MAX_ROUNDS];
};

/* Options: 0 or NULL for all. */
static const char *only_op;
static size_t only_kib;

static unsigned int rounds = 25;
static double turn_seconds = 0.001;

static double now(void)
{
	struct timespec ts;

	/* What else runs on this CPU does not count. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1000000000.0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static u8 **outputs(struct cell *cell)
{
	return cell->legs + EC_MAX_LEGS;
}

static void run_qbd(struct cell *cell, unsigned int turn)
{
	struct ec_code *code = &cell->code;
	u8 *legs[EC_MAX_LEGS];
	struct gf256_section sec;
	unsigned int i;

	gf256_section_begin(&sec);
	switch (cell->op) {
	case ENCODE:
		ec_encode(&sec, code, cell->len,
			  (const u8 *const *)cell->legs, cell->legs + code->k);
		break;
	case UPDATE:
		ec_update(&sec, code, cell->len, turn % code->k,
			  cell->legs[BUFFERS - 1], cell->legs + code->k);
		break;
	case DECODE:
		memcpy(legs, cell->legs, sizeof(legs));
		for (i = 0; i < cell->plan.mat.rows; i++)
			legs[i] = outputs(cell)[i];
		ec_rebuild(&sec, &cell->plan, cell->len, legs);
		break;
	}
	gf256_section_end(&sec);
}

static void run_isal(struct cell *cell, unsigned int turn)
{
	struct ec_code *code = &cell->code;

	switch (cell->op) {
	case ENCODE:
		cell->peer->encode(cell->len, code->k, code->m, cell->tables,
				   cell->legs, cell->legs + code->k);
		break;
	case UPDATE:
		cell->peer->update(cell->len, code->k, code->m, turn % code->k,
				   cell->tables, cell->legs[BUFFERS - 1],
				   cell->legs + code->k);
		break;
	case DECODE:
		cell->peer->encode(cell->len, code->k, cell->plan.mat.rows,
				   cell->decode_tables, cell->sources,
				   outputs(cell));
		break;
	}
}

/*
 * libisal leaves the upper halves of the vector registers in use, after which
 * SSE takes twice the time, its own as well.
 */
static void zero_upper(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		asm volatile("vzeroupper" : : : "memory");
#endif
}

/* Seconds for @calls calls. */
static double timed(struct cell *cell, bool isal, unsigned int calls)
{
	double start;
	unsigned int i;

	zero_upper();
	start = now();
	for (i = 0; i < calls; i++)
		if (isal)
			run_isal(cell, i);
		else
			run_qbd(cell, i);
	return now() - start;
}

static void measure(struct cell *cell, struct result *res)
{
	double bytes = (double)cell->len * (cell->op == UPDATE ? 1 : cell->code.k);
	unsigned int calls[2], isal, round, i;

	/* Warm up, and find how many calls fill a turn. */
	for (isal = 0; isal < 2; isal++) {
		unsigned int n = 1;
		double t;

		while ((t = timed(cell, isal, n)) < turn_seconds / 4)
			n *= 2;
		calls[isal] = 1 + n * turn_seconds / t;
	}

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < 2; i++) {
			isal = (round + i) % 2;
			double speed = bytes * calls[isal] / 1e9 /
				       timed(cell, isal, calls[isal]);

			(isal ? res->isal : res->qbd)[round] = speed;
		}
		res->ratio[round] = res->qbd[round] / res->isal[round];
	}
}

static void setup_cell(struct cell *cell, unsigned int k, unsigned int m,
		       size_t len, u8 *mem)
{
	u8 matrix[EC_MAX_LEGS * EC_MAX_K], decode[EC_MAX_M * EC_MAX_K];
	unsigned int lost = min_t(unsigned int, m, k), i, c, n = 0;
	u32 mask = BIT(lost) - 1;

	if (ec_code_init(&cell->code, k, m) ||
	    ec_make_plan(&cell->code, (BIT(k + m) - 1) & ~mask, mask,
			 &cell->plan))
		errx(3, "%u+%u: no such code", k, m);
	cell->len = len;

	/* Legs next to each other: page-aligned, as the kernel's are. */
	for (i = 0; i < BUFFERS; i++)
		cell->legs[i] = mem + i * len;

	gf_gen_rs_matrix(matrix, k + m, k);
	ec_init_tables(k, m, matrix + k * k, cell->tables);
	for (i = 0; i < lost; i++)
		for (c = 0; c < k; c++)
			decode[i * k + c] = cell->plan.mat.coef[c][i];
	ec_init_tables(k, lost, decode, cell->decode_tables);
	for (i = 0; i < k + m; i++)
		if (cell->plan.sources & BIT(i))
			cell->sources[n++] = cell->legs[i];
}

/* Both must have made the same, or the figures mean nothing. */
static void check_cell(struct cell *cell)
{
	u8 **out = cell->op == DECODE ? outputs(cell) : cell->legs + cell->code.k;
	unsigned int n = cell->op == DECODE ? cell->plan.mat.rows : cell->code.m;
	u8 *copy = malloc(n * cell->len);
	unsigned int i;

	if (!copy)
		err(3, "memory");
	run_qbd(cell, 0);
	for (i = 0; i < n; i++)
		memcpy(copy + i * cell->len, out[i], cell->len);
	/* An update puts a difference in; a second one takes it out again. */
	if (cell->op == UPDATE)
		run_qbd(cell, 0);
	run_isal(cell, 0);
	for (i = 0; i < n; i++)
		if (memcmp(copy + i * cell->len, out[i], cell->len))
			errx(3, "%s of %u+%u with %s: not what libisal makes",
			     op_names[cell->op], cell->code.k, cell->code.m,
			     cell->peer->impl);
	free(copy);
}

static void print_cpu(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "model name", 10)) {
			printf("CPU %s", line);
			break;
		}
	if (f)
		fclose(f);
}

/* Returns whether the bar is met. */
static bool run_peer(const struct peer *peer, u8 *mem)
{
	double ratios[ARRAY_SIZE(codes) * ARRAY_SIZE(sizes) * 2];
	double lowest = 1e9, mid;
	unsigned int n = 0, i, s, op;
	bool met;

	printf("\n| code | leg KiB | operation | %s: median (min..max) GB/s | libisal %s: median (min..max) GB/s | ratio |\n",
	       peer->impl, peer->isal);
	printf("|---|---|---|---|---|---|\n");
	for (i = 0; i < ARRAY_SIZE(codes); i++)
		for (s = 0; s < ARRAY_SIZE(sizes); s++)
			for (op = ENCODE; op <= DECODE; op++) {
				struct cell cell = { .peer = peer, .op = op };
				struct result res;
				double q, l, ratio;

				if ((only_kib && only_kib * 1024 != sizes[s]) ||
				    (only_op && strcmp(only_op, op_names[op])))
					continue;

				setup_cell(&cell, codes[i].k, codes[i].m,
					   sizes[s], mem);
				check_cell(&cell);
				measure(&cell, &res);
				q = median(res.qbd, rounds);
				l = median(res.isal, rounds);
				ratio = median(res.ratio, rounds);
				printf("| %u+%u | %zu | %s | %.2f (%.2f..%.2f) | %.2f (%.2f..%.2f) | %.2f |\n",
				       codes[i].k, codes[i].m, sizes[s] / 1024,
				       op_names[op], q, res.qbd[0],
				       res.qbd[rounds - 1], l, res.isal[0],
				       res.isal[rounds - 1], ratio);
				fflush(stdout);
				if (op == UPDATE)
					continue;
				ratios[n++] = ratio;
				if (ratio < lowest)
					lowest = ratio;
			}

	if (!n)
		return true;
	mid = median(ratios, n);
	met = mid >= peer->bar && lowest >= LOWEST;
	printf("\n%s against libisal %s, encode and decode: median ratio %.2f (bar %.2f), lowest %.2f (bar %.2f): %s\n",
	       peer->impl, peer->isal, mid, peer->bar, lowest, LOWEST,
	       met ? "met" : "MISSED");
	return met;
}

static void usage(FILE *out)
{
	fprintf(out, "gf-bench [-i INSTRUCTION-SET] [-o OPERATION] [-s KIB-A-LEG]\n"
		     "         [-r ROUNDS] [-t MILLISECONDS-A-TURN]\n");
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	bool met = true, any = false;
	unsigned int i;
	u8 *mem;
	int c;

	while ((c = getopt(argc, argv, "i:o:s:r:t:h")) != -1)
		switch (c) {
		case 'i':
			only = optarg;
			break;
		case 'o':
			only_op = optarg;
			break;
		case 's':
			only_kib = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rounds = strtoul(optarg, NULL, 10);
			break;
		case 't':
			turn_seconds = strtod(optarg, NULL) / 1000;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	if (optind < argc || !rounds || rounds > MAX_ROUNDS ||
	    !(turn_seconds > 0)) {
		usage(stderr);
		return 2;
	}

	/* The kernel's memory is mapped in large pages. */
	mem = aligned_alloc(2 << 20, (size_t)(BUFFERS + 1) * MAX_LEG);
	if (!mem)
		err(3, "memory");
	madvise(mem, (size_t)BUFFERS * MAX_LEG, MADV_HUGEPAGE);
	srandom(1);
	for (i = 0; i < BUFFERS * MAX_LEG / sizeof(u32); i++)
		((u32 *)mem)[i] = random();

	if (gf256_init())
		return 3;
	print_cpu();
	printf("%u rounds of %g ms for each, CPU time\n", rounds,
	       turn_seconds * 1000);

	for (i = 0; i < ARRAY_SIZE(peers); i++) {
		if (only && strcmp(only, peers[i].impl))
			continue;
		any = true;
		if (gf256_select(peers[i].impl)) {
			printf("\n%s: skipped, this CPU has not got it\n",
			       peers[i].impl);
			continue;
		}
		met &= run_peer(&peers[i], mem);
	}
	if (!any)
		errx(2, "no such instruction set: %s", only);
	return met ? 0 : 1;
}
