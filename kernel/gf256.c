// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8): tables, the scalar code, and the choice of an instruction set.
 *
 * The tables are made at load from the field's polynomial alone. A product
 * c * b is a linear function of the bits of b, thus the sum of that of the low
 * and that of the high nibble, and two tables of 16 bytes a coefficient hold
 * all of it: gf256_product[c] is what gf_vect_mul_init() of ISA-L makes, and
 * is what PSHUFB wants. The same function as a matrix over GF(2) is what
 * GF2P8AFFINEQB wants: gf256_affine[c].
 *
 * See H. Peter Anvin, "The mathematics of RAID-6", and J. S. Plank,
 * K. M. Greenan, E. L. Miller, "Screaming Fast Galois Field Arithmetic Using
 * Intel SIMD Instructions", FAST '13, for the nibble tables.
 */
#define pr_fmt(fmt) "device-mapper: qbd: " fmt

#include "gf256.h"

#define GF256_POLY	0x1d	/* x^8 is this modulo 0x11d */

u8 gf256_product[256][32] __aligned(64) __ro_after_init;
u64 gf256_affine[256] __aligned(64) __ro_after_init;

static u8 gf256_inverse[256] __ro_after_init;

/* NULL: the scalar code. */
static const struct gf256_impl *gf256_impl __ro_after_init;

static char *gf256_param;
module_param_named(gf256, gf256_param, charp, 0444);
MODULE_PARM_DESC(gf256, "Instruction set of the erasure code: gfni-avx512, gfni-avx2, avx512, avx2, ssse3, scalar (default: the best of the CPU)");

/**
 * gf256_mul - product of two elements
 * @a: one
 * @b: the other
 *
 * Context: any, after gf256_init().
 */
u8 gf256_mul(u8 a, u8 b)
{
	return gf256_product[a][b & 15] ^ gf256_product[a][16 + (b >> 4)];
}

/**
 * gf256_inv - multiplicative inverse
 * @a: an element
 *
 * Context: any, after gf256_init().
 * Return: the inverse; 0 for 0, which has none
 */
u8 gf256_inv(u8 a)
{
	return gf256_inverse[a];
}

/* Product by the definition. */
static u8 __init gf256_mul_slow(u8 a, u8 b)
{
	u8 p = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			p ^= a;
		a = (u8)(a << 1) ^ (a & 0x80 ? GF256_POLY : 0);
	}
	return p;
}

static void __init gf256_make_tables(void)
{
	unsigned int c, i, bit;

	for (c = 0; c < 256; c++) {
		u64 affine = 0;

		for (i = 0; i < 16; i++) {
			gf256_product[c][i] = gf256_mul_slow(c, i);
			gf256_product[c][16 + i] = gf256_mul_slow(c, i << 4);
		}

		/*
		 * Bit j of c * 2^i tells whether bit i of the factor goes into
		 * bit j of the product. The instruction keeps the row of bit j
		 * in byte 7 - j.
		 */
		for (i = 0; i < 8; i++) {
			u8 p = gf256_mul_slow(c, 1 << i);

			for (bit = 0; bit < 8; bit++)
				if (p & (1 << bit))
					affine |= 1ULL << (8 * (7 - bit) + i);
		}
		gf256_affine[c] = affine;
	}

	for (c = 1; c < 256; c++)
		for (i = 1; i < 256; i++)
			if (gf256_mul(c, i) == 1)
				gf256_inverse[c] = i;
}

/*
 * dst = c * src, or dst += c * src if @add.
 */
static void gf256_mul_scalar(u8 c, size_t len, const u8 *src, u8 *dst, bool add)
{
	const u8 *lo = gf256_product[c], *hi = gf256_product[c] + 16;
	size_t i = 0;

	if (c == 1 && !add) {
		memcpy(dst, src, len);
	} else if (c == 1) {
		for (; i + sizeof(u64) <= len; i += sizeof(u64)) {
			u64 a, b;

			/* Loads and stores that need no alignment. */
			memcpy(&a, src + i, sizeof(a));
			memcpy(&b, dst + i, sizeof(b));
			b ^= a;
			memcpy(dst + i, &b, sizeof(b));
		}
		for (; i < len; i++)
			dst[i] ^= src[i];
	} else if (add) {
		for (; i < len; i++)
			dst[i] ^= lo[src[i] & 15] ^ hi[src[i] >> 4];
	} else {
		for (; i < len; i++)
			dst[i] = lo[src[i] & 15] ^ hi[src[i] >> 4];
	}
}

/*
 * Source bytes that the scalar code takes at a time: they stay in the
 * first-level cache until all rows have them.
 */
#define GF256_SCALAR_STEP	1024

static void gf256_dot_scalar(const struct gf256_matrix *mat, size_t pos,
			     size_t end, const u8 *const *src, u8 *const *dst)
{
	unsigned int r, c;

	while (pos < end) {
		size_t len = min_t(size_t, end - pos, GF256_SCALAR_STEP);

		for (c = 0; c < mat->cols; c++)
			for (r = 0; r < mat->rows; r++)
				gf256_mul_scalar(mat->coef[c][r], len,
						 src[c] + pos, dst[r] + pos,
						 c);
		pos += len;
	}
}

static void gf256_add_scalar(const u8 *coef, unsigned int rows, size_t pos,
			     size_t end, const u8 *src, u8 *const *dst)
{
	unsigned int r;

	while (pos < end) {
		size_t len = min_t(size_t, end - pos, GF256_SCALAR_STEP);

		for (r = 0; r < rows; r++)
			gf256_mul_scalar(coef[r], len, src + pos, dst[r] + pos,
					 true);
		pos += len;
	}
}

/**
 * gf256_section_begin - take the vector unit, if there is one to be had
 * @sec: state of the section, owned by the caller
 *
 * Context: any. Until gf256_section_end() the caller must not sleep. Sections
 * do not nest.
 */
void gf256_section_begin(struct gf256_section *sec)
{
	sec->bytes = 0;
	sec->simd = gf256_impl && gf256_fpu_usable();
	if (sec->simd)
		gf256_fpu_begin();
}

/**
 * gf256_section_end - give the vector unit back
 * @sec: what gf256_section_begin() initialised
 */
void gf256_section_end(struct gf256_section *sec)
{
	GF256_WARN_ON(sec->simd && sec->bytes > GF256_SECTION_BYTES);
	if (sec->simd)
		gf256_fpu_end();
}

/*
 * Bytes of each of @cols buffers that may be coded before the section yields;
 * all of @len, or a multiple of every step.
 */
static size_t gf256_section_room(struct gf256_section *sec, unsigned int cols,
				 size_t len)
{
	size_t room;

	if (!sec->simd)
		return len;

	room = (GF256_SECTION_BYTES - sec->bytes) / cols;
	if (room < len) {
		room = round_down(room, GF256_MAX_STEP);
		if (!room) {
			gf256_section_end(sec);
			gf256_section_begin(sec);
			return gf256_section_room(sec, cols, len);
		}
		len = room;
	}
	sec->bytes += len * cols;
	return len;
}

/**
 * gf256_dot - rows of output from columns of input
 * @sec: the section this runs in
 * @mat: the coefficients
 * @len: bytes of each buffer, any number; multiples of GF256_MAX_STEP are fast
 * @src: @mat->cols inputs, of any alignment
 * @dst: @mat->rows outputs, which are overwritten; none overlaps another
 *	buffer
 *
 * Yields the section when it is used up: preemption may happen in between.
 */
void gf256_dot(struct gf256_section *sec, const struct gf256_matrix *mat,
	       size_t len, const u8 *const *src, u8 *const *dst)
{
	size_t pos = 0, end;

	GF256_WARN_ON(!mat->rows || mat->rows > GF256_ROWS);
	GF256_WARN_ON(!mat->cols || mat->cols > GF256_COLS);

	for (; pos < len; pos = end) {
		end = pos + gf256_section_room(sec, mat->cols, len - pos);
		if (sec->simd) {
			size_t n = round_down(end - pos, gf256_impl->step);

			gf256_impl->dot[mat->ones][mat->rows - 1](mat->coef,
				mat->cols, pos, pos + n, src, dst);
			pos += n;
		}
		gf256_dot_scalar(mat, pos, end, src, dst);
	}
}

/**
 * gf256_add - add multiples of one input to rows of output
 * @sec: the section this runs in
 * @coef: @rows coefficients
 * @rows: outputs, 1..GF256_ROWS
 * @len: bytes of each buffer, any number; multiples of GF256_MAX_STEP are fast
 * @src: the input, of any alignment
 * @dst: @rows outputs, which are added to; none overlaps another buffer
 *
 * Yields the section when it is used up: preemption may happen in between.
 */
void gf256_add(struct gf256_section *sec, const u8 *coef, unsigned int rows,
	       size_t len, const u8 *src, u8 *const *dst)
{
	size_t pos = 0, end;

	GF256_WARN_ON(!rows || rows > GF256_ROWS);

	for (; pos < len; pos = end) {
		end = pos + gf256_section_room(sec, 1, len - pos);
		if (sec->simd) {
			size_t n = round_down(end - pos, gf256_impl->step);

			gf256_impl->add[coef[0] == 1][rows - 1](coef, pos,
				pos + n, src, dst);
			pos += n;
		}
		gf256_add_scalar(coef, rows, pos, end, src, dst);
	}
}

/**
 * gf256_name - the instruction set in use
 */
const char *gf256_name(void)
{
	return gf256_impl ? gf256_impl->name : "scalar";
}

/**
 * gf256_select - choose the instruction set
 * @name: which, or NULL for the best of this CPU
 *
 * Context: before anything is coded; not while a section is open.
 * Return: 0; -EINVAL if there is none of that name; -EOPNOTSUPP if the CPU has
 * not got it.
 */
int __init gf256_select(const char *name)
{
	const struct gf256_impl *const *impl;

	if (name && !strcmp(name, "scalar")) {
		gf256_impl = NULL;
		return 0;
	}

	for (impl = gf256_simd_impls; *impl; impl++) {
		if (name && strcmp(name, (*impl)->name))
			continue;
		if ((*impl)->usable()) {
			gf256_impl = *impl;
			return 0;
		}
		if (name)
			return -EOPNOTSUPP;
	}
	if (name)
		return -EINVAL;

	gf256_impl = NULL;
	return 0;
}

/**
 * gf256_init - make the tables, choose the instruction set
 *
 * Context: module load (a few 100 us), before any other function of this file.
 * Return: 0, or -EINVAL or -EOPNOTSUPP for a module parameter that cannot be.
 */
int __init gf256_init(void)
{
	int r;

	gf256_make_tables();

	r = gf256_select(gf256_param);
	if (r) {
		pr_err("gf256=%s: %s\n", gf256_param,
		       r == -EINVAL ? "no such instruction set" :
				      "this CPU does not have it");
		return r;
	}
	pr_info("erasure code uses %s\n", gf256_name());
	return 0;
}
