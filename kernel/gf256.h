/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: arithmetic over GF(2^8)
 *
 * The field is that of ISA-L and of lib/raid6: polynomials over GF(2) modulo
 * x^8 + x^4 + x^3 + x^2 + 1 (0x11d), generator 2; addition is XOR. All coding
 * of this target is one operation: a small matrix of coefficients times up to
 * 16 columns of data, gives up to 4 rows of output, byte by byte:
 *
 *	dst[r][i] = sum over c of coef[c][r] * src[c][i]	(gf256_dot)
 *
 * or, for the change of one column,
 *
 *	dst[r][i] = dst[r][i] + coef[r] * src[i]		(gf256_add)
 *
 * Encoding and rebuilding differ in the matrix alone (ec.c), and one pass over
 * the data makes all rows.
 *
 * A vector unit in the kernel is usable only between kernel_fpu_begin() and
 * kernel_fpu_end(), which must not sleep and switch preemption off. A section
 * is such a stretch: it is opened once for a batch of calls and yields by
 * itself after GF256_SECTION_BYTES of source data:
 *
 *	struct gf256_section sec;
 *
 *	gf256_section_begin(&sec);
 *	for each page of the row
 *		ec_encode(&sec, ...);
 *	gf256_section_end(&sec);
 *
 * Between begin and end the caller does not sleep, takes no sleeping lock and
 * computes no crc32c (its vector version needs a section of its own and falls
 * back to a slower one in here). Where the vector unit is not usable (in an
 * interrupt that hit a section, on another architecture) the scalar code runs.
 */
#ifndef QBD_GF256_H
#define QBD_GF256_H

#include "gf256-shim.h"

/* Rows that one pass makes, columns that it takes. */
#define GF256_ROWS		4
#define GF256_COLS		16

/*
 * Source bytes after which a section is closed and opened anew: the longest
 * that coding holds off preemption. The slowest vector kernel (SSSE3, 4 rows)
 * needs some 20 us for it.
 */
#define GF256_SECTION_BYTES	(64 * 1024)

/**
 * struct gf256_matrix - coefficients of one coding step
 * @rows: outputs, 1..GF256_ROWS
 * @cols: inputs, 1..GF256_COLS
 * @ones: all coefficients of row 0 are 1, so that it is an XOR
 * @coef: coefficient of column c in row r is @coef[c][r]; the place of rows
 *	that are not there is not read
 */
struct gf256_matrix {
	u8 rows;
	u8 cols;
	bool ones;
	u8 coef[GF256_COLS][GF256_ROWS];
};

/**
 * struct gf256_section - a stretch of code that owns the vector unit
 * @bytes: source bytes since the vector unit was taken
 * @simd: the vector unit is ours; else the scalar code runs
 */
struct gf256_section {
	u32 bytes;
	bool simd;
};

/* Both code bytes @pos to @end - 1 of every buffer. */
typedef void (*gf256_dot_fn)(const u8 (*coef)[GF256_ROWS], unsigned int cols,
			     size_t pos, size_t end, const u8 *const *src,
			     u8 *const *dst);
typedef void (*gf256_add_fn)(const u8 *coef, size_t pos, size_t end,
			     const u8 *src, u8 *const *dst);

/**
 * struct gf256_impl - an instruction set
 * @name: as the module parameter and the kernel log name it
 * @usable: can this CPU run it? Asked when it is selected
 * @step: @dot and @add take multiples of so many bytes
 * @dot: sum of columns; [row 0 is all ones][rows - 1]
 * @add: addition of one column; [coefficient of row 0 is 1][rows - 1]
 */
struct gf256_impl {
	const char *name;
	bool (*usable)(void);
	unsigned int step;
	gf256_dot_fn dot[2][GF256_ROWS];
	gf256_add_fn add[2][GF256_ROWS];
};

/* The largest @step. */
#define GF256_MAX_STEP	256

/* Products of a coefficient: [c][0..15] c * low nibble, [c][16..31] c * high. */
extern u8 gf256_product[256][32];

/* Multiplication by a coefficient as the 8x8 bit matrix of GF2P8AFFINEQB. */
extern u64 gf256_affine[256];

/* Vector instruction sets of this architecture, best first, NULL at the end. */
extern const struct gf256_impl *const gf256_simd_impls[];

int gf256_init(void);
int gf256_select(const char *name);
const char *gf256_name(void);

u8 gf256_mul(u8 a, u8 b);
u8 gf256_inv(u8 a);

void gf256_section_begin(struct gf256_section *sec);
void gf256_section_end(struct gf256_section *sec);

void gf256_dot(struct gf256_section *sec, const struct gf256_matrix *mat,
	       size_t len, const u8 *const *src, u8 *const *dst);
void gf256_add(struct gf256_section *sec, const u8 *coef, unsigned int rows,
	       size_t len, const u8 *src, u8 *const *dst);

#endif /* QBD_GF256_H */
