// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8): the field and its tables against libisal, and every instruction
 * set against a byte-wise reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <isa-l/erasure_code.h>

#include "../../kernel/gf256.h"

#define MAX_LEN		(64 * 1024)
#define MARGIN		64	/* also the range of misalignments */
#define GUARD		0xa5

static u8 *src_mem[GF256_COLS], *dst_mem[GF256_ROWS], *ref_mem[GF256_ROWS];
static u8 *isal_mem[GF256_ROWS];

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

static unsigned int below(unsigned int n)
{
	u32 v;

	fill((u8 *)&v, sizeof(v));
	return v % n;
}

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	if (gf256_init())
		return -1;
	for (i = 0; i < GF256_COLS; i++) {
		src_mem[i] = aligned_alloc(64, MAX_LEN + 2 * MARGIN);
		if (!src_mem[i])
			return -1;
		fill(src_mem[i], MAX_LEN + 2 * MARGIN);
	}
	for (i = 0; i < GF256_ROWS; i++) {
		dst_mem[i] = aligned_alloc(64, MAX_LEN + 2 * MARGIN);
		ref_mem[i] = aligned_alloc(64, MAX_LEN + 2 * MARGIN);
		isal_mem[i] = aligned_alloc(64, MAX_LEN);
		if (!dst_mem[i] || !ref_mem[i] || !isal_mem[i])
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < GF256_COLS; i++)
		free(src_mem[i]);
	for (i = 0; i < GF256_ROWS; i++) {
		free(dst_mem[i]);
		free(ref_mem[i]);
		free(isal_mem[i]);
	}
	return 0;
}

static void test_field(void **state)
{
	unsigned int a, b;

	(void)state;
	for (a = 0; a < 256; a++) {
		for (b = 0; b < 256; b++)
			assert_int_equal(gf256_mul(a, b), gf_mul(a, b));
		assert_int_equal(gf256_inv(a), gf_inv(a));
	}
}

static void test_tables(void **state)
{
	unsigned int a, b, i;
	u8 table[32];

	(void)state;
	for (a = 0; a < 256; a++) {
		gf_vect_mul_init(a, table);
		assert_memory_equal(gf256_product[a], table, sizeof(table));

		/*
		 * GF2P8AFFINEQB by its definition: bit i of the result is the
		 * parity of byte 7 - i of the matrix AND the operand.
		 */
		for (b = 0; b < 256; b++) {
			u8 v = 0;

			for (i = 0; i < 8; i++) {
				u8 row = gf256_affine[a] >> (8 * (7 - i));

				v |= (hweight32(row & b) & 1) << i;
			}
			assert_int_equal(v, gf_mul(a, b));
		}
	}
}

static void test_select(void **state)
{
	const struct gf256_impl *const *impl;

	(void)state;
	assert_int_equal(gf256_select("no-such-thing"), -EINVAL);
	assert_int_equal(gf256_select(""), -EINVAL);
	assert_int_equal(gf256_select("scalar"), 0);
	assert_string_equal(gf256_name(), "scalar");

	for (impl = gf256_simd_impls; *impl; impl++) {
		int r = gf256_select((*impl)->name);

		if ((*impl)->usable()) {
			assert_int_equal(r, 0);
			assert_string_equal(gf256_name(), (*impl)->name);
		} else {
			assert_int_equal(r, -EOPNOTSUPP);
		}
		assert_int_equal(GF256_MAX_STEP % (*impl)->step, 0);
	}

	/* The best comes first. */
	assert_int_equal(gf256_select(NULL), 0);
	for (impl = gf256_simd_impls; *impl && !(*impl)->usable(); impl++)
		;
	assert_string_equal(gf256_name(), *impl ? (*impl)->name : "scalar");
}

/* A section yields in time, whatever is coded in it. */
static void test_section(void **state)
{
	static const size_t lens[] = { 1, 512, 4096, 5000, 16384, MAX_LEN };
	struct gf256_matrix mat = { 0 };
	const u8 *src[GF256_COLS];
	u8 *dst[GF256_ROWS];
	unsigned int c, i, n;

	(void)state;
	for (i = 0; i < GF256_COLS; i++)
		src[i] = src_mem[i];
	for (i = 0; i < GF256_ROWS; i++)
		dst[i] = dst_mem[i];

	assert_int_equal(gf256_select(NULL), 0);
	mat.rows = 1;
	for (c = 1; c <= GF256_COLS; c++) {
		struct gf256_section sec;
		size_t coded = 0;

		mat.cols = c;
		gf256_section_begin(&sec);
		for (n = 0; n < 50; n++) {
			u32 before = sec.bytes;
			size_t len = lens[below(ARRAY_SIZE(lens))];

			gf256_dot(&sec, &mat, len, src, dst);
			assert_true(sec.bytes <= GF256_SECTION_BYTES);
			/* Nothing coded goes uncounted unless it yielded. */
			if (sec.simd && coded + len * c <= GF256_SECTION_BYTES)
				assert_int_equal(sec.bytes, before + len * c);
			coded += len * c;
		}
		gf256_section_end(&sec);
	}
}

/* The same with libisal, into @dst. */
static void code_with_isal(const struct gf256_matrix *mat, bool add, size_t len,
			   const u8 *const *src, u8 *const *dst)
{
	u8 coef[GF256_ROWS * GF256_COLS], tables[GF256_ROWS * GF256_COLS * 32];
	unsigned int r, c;

	for (r = 0; r < mat->rows; r++)
		for (c = 0; c < mat->cols; c++)
			coef[r * mat->cols + c] = mat->coef[c][r];
	ec_init_tables(mat->cols, mat->rows, coef, tables);
	if (add)
		ec_encode_data_update(len, mat->cols, mat->rows, 0, tables,
				      (u8 *)src[0], (u8 **)dst);
	else
		ec_encode_data(len, mat->cols, mat->rows, tables, (u8 **)src,
			       (u8 **)dst);
}

/*
 * One call with random coefficients and alignments against the definition and
 * libisal, with the bytes around the outputs watched. @ones: the first row is all ones.
 * @add: gf256_add(), of one column.
 */
static void check(unsigned int cols, unsigned int rows, bool ones, bool add,
		  size_t len, bool aligned)
{
	struct gf256_matrix mat = { .rows = rows, .ones = ones };
	struct gf256_section sec;
	const u8 *src[GF256_COLS];
	u8 *dst[GF256_ROWS], *isal[GF256_ROWS];
	unsigned int r, c;
	size_t i;

	if (add)
		cols = 1;
	mat.cols = cols;
	for (c = 0; c < cols; c++) {
		src[c] = src_mem[c] + (aligned ? MARGIN : below(2 * MARGIN));
		fill(mat.coef[c], GF256_ROWS);
		/* Coefficients with a way of their own. */
		if (!below(4))
			mat.coef[c][below(GF256_ROWS)] = below(2);
		if (ones)
			mat.coef[c][0] = 1;
	}
	for (r = 0; r < rows; r++) {
		size_t at = MARGIN / 2 + (aligned ? MARGIN / 2 : below(MARGIN));
		u8 *ref = ref_mem[r] + at;

		dst[r] = dst_mem[r] + at;
		memset(dst_mem[r], GUARD, len + 2 * MARGIN);
		fill(dst[r], len);
		memcpy(ref_mem[r], dst_mem[r], len + 2 * MARGIN);
		isal[r] = isal_mem[r];
		memcpy(isal[r], dst[r], len);
		if (!add)
			memset(ref, 0, len);
		for (c = 0; c < cols; c++) {
			const u8 *lo = gf256_product[mat.coef[c][r]];

			for (i = 0; i < len; i++)
				ref[i] ^= lo[src[c][i] & 15] ^
					  lo[16 + (src[c][i] >> 4)];
		}
	}

	gf256_section_begin(&sec);
	if (add)
		gf256_add(&sec, mat.coef[0], rows, len, src[0], dst);
	else
		gf256_dot(&sec, &mat, len, src, dst);
	gf256_section_end(&sec);
	if (len)
		code_with_isal(&mat, add, len, src, isal);

	for (r = 0; r < rows; r++)
		if (memcmp(dst_mem[r], ref_mem[r], len + 2 * MARGIN) ||
		    memcmp(dst[r], isal[r], len))
			fail_msg("%s: %s, %u columns, %u rows%s, %zu bytes: row %u is wrong",
				 gf256_name(), add ? "add" : "dot", cols, rows,
				 ones ? ", ones" : "", len, r);
}

/* @state names the instruction set. */
static void test_coding(void **state)
{
	const char *name = *state;
	unsigned int cols, rows, flags;
	size_t len;
	int r = gf256_select(name);

	if (r == -EOPNOTSUPP) {
		print_message("skipped: this CPU has no %s\n", name);
		skip();
	}
	assert_int_equal(r, 0);

	for (cols = 1; cols <= GF256_COLS; cols++)
		for (rows = 1; rows <= GF256_ROWS; rows++)
			for (flags = 0; flags < 8; flags++) {
				check(cols, rows, flags & 1, flags & 2, 4096,
				      flags & 4);
				check(cols, rows, flags & 1, flags & 2,
				      1 + below(1024), flags & 4);
			}

	/* Every length up to where all tails were seen, then in steps. */
	for (len = 0; len <= 1100; len++)
		for (flags = 0; flags < 2; flags++)
			check(1 + below(GF256_COLS), 1 + below(GF256_ROWS),
			      below(2), flags, len, below(2));
	for (; len <= MAX_LEN; len += 61)
		check(1 + below(GF256_COLS), 1 + below(GF256_ROWS), below(2),
		      below(2), len, below(2));
	for (rows = 1; rows <= GF256_ROWS; rows++)
		check(GF256_COLS, rows, below(2), below(2), MAX_LEN, true);
}

#define TEST_CODING(impl) { "test_coding " impl, test_coding, NULL, NULL, impl }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_section),
		TEST_CODING("scalar"),
		TEST_CODING("ssse3"),
		TEST_CODING("avx2"),
		TEST_CODING("avx512"),
		TEST_CODING("gfni-avx2"),
		TEST_CODING("gfni-avx512"),
	};

	return cmocka_run_group_tests_name("gf256", tests, setup, teardown);
}
