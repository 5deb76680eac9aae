// SPDX-License-Identifier: GPL-2.0-only
/*
 * The erasure code: the matrix that is on disk, that it is MDS, and encoding,
 * updates and rebuilding of every K+M against libisal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <isa-l/erasure_code.h>

#include "../../kernel/ec.h"

#define LEN	333	/* vectors and a tail of every instruction set */

/* The sets of legs of every code. */
#define for_each_code(k, m)						\
	for (k = EC_MIN_K; k <= EC_MAX_K; k++)				\
		for (m = EC_MIN_M; m <= EC_MAX_M; m++)

static u8 row_mem[EC_MAX_LEGS][LEN], out_mem[EC_MAX_LEGS][LEN];

static void fill(u8 *p, size_t len)
{
	static u64 x = 88172645463325252ULL;	/* xorshift64 */

	while (len--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*p++ = x >> 32;
	}
}

static int setup(void **state)
{
	(void)state;
	return gf256_init();
}

static void select_impl(const char *name)
{
	int r = gf256_select(name);

	if (r == -EOPNOTSUPP) {
		print_message("skipped: this CPU has no %s\n", name);
		skip();
	}
	assert_int_equal(r, 0);
}

/* Random data and its parity in row_mem; legs[] points to it. */
static void make_row(struct ec_code *code, u8 **legs)
{
	struct gf256_section sec;
	unsigned int i;

	for (i = 0; i < EC_MAX_LEGS; i++)
		legs[i] = row_mem[i];
	for (i = 0; i < code->k; i++)
		fill(row_mem[i], LEN);
	gf256_section_begin(&sec);
	ec_encode(&sec, code, LEN, (const u8 *const *)legs, legs + code->k);
	gf256_section_end(&sec);
}

static void test_range(void **state)
{
	struct ec_code code;
	unsigned int k, m;

	(void)state;
	for (k = 0; k <= 300; k++)
		for (m = 0; m <= 300; m++) {
			bool good = k >= 2 && k <= 16 && m >= 1 && m <= 4;

			assert_int_equal(ec_code_init(&code, k, m),
					 good ? 0 : -EINVAL);
		}
	assert_int_equal(ec_code_init(&code, -1, 1), -EINVAL);
	assert_int_equal(ec_code_init(&code, 4, -1), -EINVAL);
}

/* On-disk format: if this fails, the code is wrong, never the table. */
static void test_matrix_is_pinned(void **state)
{
	static const u8 pinned[EC_MAX_M][EC_MAX_K] = {
		{ 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
		  0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01 },
		{ 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80,
		  0x1d, 0x3a, 0x74, 0xe8, 0xcd, 0x87, 0x13, 0x26 },
		{ 0x01, 0x04, 0x10, 0x40, 0x1d, 0x74, 0xcd, 0x13,
		  0x4c, 0x2d, 0xb4, 0xea, 0x8f, 0x06, 0x18, 0x60 },
		{ 0x01, 0x08, 0x40, 0x3a, 0xcd, 0x26, 0x2d, 0x75,
		  0x8f, 0x0c, 0x60, 0x27, 0x25, 0x35, 0xb5, 0xc1 },
	};
	unsigned int k, m, r, c;
	struct ec_code code;

	(void)state;
	for_each_code(k, m) {
		u8 isal[EC_MAX_LEGS * EC_MAX_K];

		assert_int_equal(ec_code_init(&code, k, m), 0);
		gf_gen_rs_matrix(isal, k + m, k);
		for (r = 0; r < m; r++)
			for (c = 0; c < k; c++) {
				u8 v = code.encode.coef[c][r];

				assert_int_equal(v, ec_coef(r, c));
				assert_int_equal(v, isal[(k + r) * k + c]);
				assert_int_equal(v, pinned[r][c]);
			}
	}
}

/*
 * All square submatrices of the 4 x 16 matrix, of which every code's is a
 * corner, are regular.
 */
static void test_mds(void **state)
{
	unsigned int checked = 0;
	u32 rows, cols;

	(void)state;
	for (rows = 1; rows < 1 << EC_MAX_M; rows++)
		for (cols = 1; cols < 1 << EC_MAX_K; cols++) {
			unsigned int n = hweight32(rows), i = 0, r, c;
			u8 a[EC_MAX_M * EC_MAX_M], inv[EC_MAX_M * EC_MAX_M];

			if (hweight32(cols) != n)
				continue;
			for (r = 0; r < EC_MAX_M; r++)
				for (c = 0; c < EC_MAX_K; c++)
					if (rows >> r & 1 && cols >> c & 1)
						a[i++] = ec_coef(r, c);
			assert_int_equal(gf_invert_matrix(a, inv, n), 0);
			checked++;
		}
	/* 4 * 16 + 6 * 120 + 4 * 560 + 1 * 1820 */
	assert_int_equal(checked, 4844);
}

static void test_encode(void **state)
{
	unsigned int k, m, r, c;
	struct ec_code code;

	select_impl(*state);
	for_each_code(k, m) {
		u8 isal[EC_MAX_LEGS * EC_MAX_K];
		u8 tables[EC_MAX_M * EC_MAX_K][32];
		u8 *legs[EC_MAX_LEGS], *out[EC_MAX_M];

		assert_int_equal(ec_code_init(&code, k, m), 0);
		make_row(&code, legs);

		gf_gen_rs_matrix(isal, k + m, k);
		ec_init_tables(k, m, isal + k * k, &tables[0][0]);
		for (r = 0; r < m; r++) {
			out[r] = out_mem[r];
			for (c = 0; c < k; c++) {
				u8 coef = code.encode.coef[c][r];

				assert_memory_equal(gf256_product[coef],
						    tables[r * k + c], 32);
			}
		}
		ec_encode_data(LEN, k, m, &tables[0][0], legs, out);
		for (r = 0; r < m; r++)
			assert_memory_equal(legs[k + r], out[r], LEN);
	}
}

/* Every leg, every set of parities that are there, against encoding anew. */
static void test_update(void **state)
{
	unsigned int k, m, leg, r, i;
	u8 delta[LEN], updated[EC_MAX_M][LEN];
	struct gf256_section sec;
	struct ec_code code;
	u32 mask;

	select_impl(*state);
	for_each_code(k, m) {
		u8 *legs[EC_MAX_LEGS];

		assert_int_equal(ec_code_init(&code, k, m), 0);
		for (leg = 0; leg < k; leg++)
			for (mask = 0; mask < BIT(m); mask++) {
				u8 *parity[EC_MAX_M] = { NULL };

				make_row(&code, legs);
				for (r = 0; r < m; r++) {
					memcpy(updated[r], legs[k + r], LEN);
					if (mask >> r & 1)
						parity[r] = updated[r];
				}
				fill(delta, LEN);

				gf256_section_begin(&sec);
				ec_update(&sec, &code, LEN, leg, delta, parity);
				for (i = 0; i < LEN; i++)
					legs[leg][i] ^= delta[i];
				/* Those not to be updated stay as they are. */
				for (r = 0; r < m; r++)
					memcpy(out_mem[r], legs[k + r], LEN);
				ec_encode(&sec, &code, LEN,
					  (const u8 *const *)legs, legs + k);
				gf256_section_end(&sec);

				for (r = 0; r < m; r++)
					assert_memory_equal(updated[r],
							    mask >> r & 1 ? legs[k + r] :
							    out_mem[r], LEN);
			}
	}
}

/* The rows of @plan, computed as users of libisal do: invert K x K. */
static void check_plan_against_isal(const struct ec_code *code,
				    const struct ec_plan *plan)
{
	unsigned int k = code->k, n = k + code->m, leg, row = 0, i = 0, c, j;
	u8 all[EC_MAX_LEGS * EC_MAX_K], a[EC_MAX_K * EC_MAX_K];
	u8 inv[EC_MAX_K * EC_MAX_K];

	assert_int_equal(hweight32(plan->sources), k);
	assert_int_equal(plan->mat.cols, k);
	assert_int_equal(plan->mat.rows, hweight32(plan->wanted));

	gf_gen_rs_matrix(all, n, k);
	for (leg = 0; leg < n; leg++)
		if (plan->sources >> leg & 1)
			memcpy(a + k * i++, all + k * leg, k);
	assert_int_equal(gf_invert_matrix(a, inv, k), 0);

	for (leg = 0; leg < n; leg++) {
		bool ones = true;

		if (!(plan->wanted >> leg & 1))
			continue;
		for (c = 0; c < k; c++) {
			u8 v = 0;

			for (j = 0; j < k; j++)
				v ^= gf_mul(all[leg * k + j], inv[j * k + c]);
			assert_int_equal(plan->mat.coef[c][row], v);
			ones &= v == 1;
		}
		if (!row++)
			assert_int_equal(plan->mat.ones, ones);
	}
}

static void check_rebuild(struct ec_code *code, u8 *const *legs, u32 present,
			  u32 wanted)
{
	u8 *bufs[EC_MAX_LEGS] = { NULL };
	struct gf256_section sec;
	struct ec_plan plan;
	unsigned int leg;

	assert_int_equal(ec_make_plan(code, present, wanted, &plan), 0);
	assert_int_equal(plan.wanted, wanted);
	assert_int_equal(plan.sources & ~present, 0);
	check_plan_against_isal(code, &plan);

	/* Only what the plan names is there; anything else would crash. */
	for (leg = 0; leg < EC_MAX_LEGS; leg++)
		if (plan.sources >> leg & 1) {
			bufs[leg] = legs[leg];
		} else if (wanted >> leg & 1) {
			bufs[leg] = out_mem[leg];
			memset(out_mem[leg], 0xee, LEN);
		}

	gf256_section_begin(&sec);
	ec_rebuild(&sec, &plan, LEN, bufs);
	gf256_section_end(&sec);

	for (leg = 0; leg < EC_MAX_LEGS; leg++)
		if (wanted >> leg & 1 &&
		    memcmp(out_mem[leg], legs[leg], LEN))
			fail_msg("%s: %u+%u, present %#x: leg %u is wrong",
				 gf256_name(), code->k, code->m, present, leg);
}

/* Every erasure pattern of every code, all of the lost legs wanted. */
static void test_rebuild(void **state)
{
	struct ec_code code;
	unsigned int k, m;

	select_impl(*state);
	for_each_code(k, m) {
		u32 all = BIT(k + m) - 1, lost;
		u8 *legs[EC_MAX_LEGS];

		assert_int_equal(ec_code_init(&code, k, m), 0);
		make_row(&code, legs);
		for (lost = 1; lost <= all; lost++)
			if (hweight32(lost) <= m)
				check_rebuild(&code, legs, all & ~lost, lost);
	}
}

/*
 * Every part of what is lost, for every pattern of the codes up to 8+4; the
 * plans come from the cache and are made anew, in turn.
 */
static void test_rebuild_parts(void **state)
{
	struct ec_code code;
	unsigned int k, m, turn;

	select_impl(*state);
	for (k = EC_MIN_K; k <= 8; k++)
		for (m = EC_MIN_M; m <= EC_MAX_M; m++) {
			u32 all = BIT(k + m) - 1, lost, part;
			u8 *legs[EC_MAX_LEGS];

			assert_int_equal(ec_code_init(&code, k, m), 0);
			make_row(&code, legs);
			for (lost = 1; lost <= all; lost++) {
				if (hweight32(lost) > m)
					continue;
				for (part = lost; part; part = (part - 1) & lost)
					for (turn = 0; turn < 2; turn++)
						check_rebuild(&code, legs,
							      all & ~lost, part);
			}
		}
}

/* What one lost data leg costs: an XOR, as parity 0 is there for. */
static void test_single_loss_is_xor(void **state)
{
	struct ec_code code;
	struct ec_plan plan;
	unsigned int k, m, leg;

	(void)state;
	for_each_code(k, m) {
		u32 all = BIT(k + m) - 1;

		assert_int_equal(ec_code_init(&code, k, m), 0);
		assert_true(code.encode.ones);
		for (leg = 0; leg <= k; leg++) {
			u32 lost = BIT(leg);

			assert_int_equal(ec_make_plan(&code, all & ~lost, lost,
						      &plan), 0);
			assert_true(plan.mat.ones);
			assert_int_equal(plan.sources,
					 (BIT(k + 1) - 1) & ~lost);
		}
	}
}

static void test_plan_errors(void **state)
{
	struct ec_code code;
	struct ec_plan plan;
	unsigned int k, m;

	(void)state;
	for_each_code(k, m) {
		u32 all = BIT(k + m) - 1, lost;

		assert_int_equal(ec_code_init(&code, k, m), 0);
		/* More erasures than M. */
		for (lost = 1; lost <= all; lost++)
			if (hweight32(lost) == m + 1)
				assert_int_equal(ec_make_plan(&code,
							      all & ~lost,
							      lost & -lost,
							      &plan), -EINVAL);
		assert_int_equal(ec_make_plan(&code, 0, 1, &plan), -EINVAL);
		/* Nothing wanted. */
		assert_int_equal(ec_make_plan(&code, all, 0, &plan), -EINVAL);
		/* Wanted, but there. */
		assert_int_equal(ec_make_plan(&code, all, 1, &plan), -EINVAL);
		/* Legs that the code has not got. */
		assert_int_equal(ec_make_plan(&code, all, all + 1, &plan),
				 -EINVAL);
		assert_int_equal(ec_make_plan(&code, ~1u, 1, &plan), -EINVAL);
	}
}

#define TEST_IMPL(test, impl) { #test " " impl, test, NULL, NULL, impl }
#define TEST_IMPLS(test)						\
	TEST_IMPL(test, "scalar"), TEST_IMPL(test, "ssse3"),		\
	TEST_IMPL(test, "avx2"), TEST_IMPL(test, "avx512"),		\
	TEST_IMPL(test, "gfni-avx2"), TEST_IMPL(test, "gfni-avx512")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_matrix_is_pinned),
		cmocka_unit_test(test_mds),
		cmocka_unit_test(test_single_loss_is_xor),
		cmocka_unit_test(test_plan_errors),
		TEST_IMPLS(test_encode),
		TEST_IMPLS(test_update),
		TEST_IMPLS(test_rebuild),
		TEST_IMPLS(test_rebuild_parts),
	};

	return cmocka_run_group_tests_name("ec", tests, setup, NULL);
}
