/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Template of the kernels of one vector unit, for 1 to 4 rows, with and
 * without a first row that is all ones. Included by gf256-<unit>.c, which
 * defines
 *
 *	IMPL, NAME, USABLE	the struct gf256_impl, its name, its test
 *	KEY(c)			what MUL and HOLD need of the coefficient c, 8 bytes
 *	FINISH			instruction at the end of a call
 *
 * for the sum over columns, which takes some bytes of every column in a turn
 * and keeps all rows of them in accumulators, so that every source is read
 * once and every output written once:
 *
 *	STEP			bytes of each buffer that one set of accumulators
 *				holds; there are four sets, a = 0..3
 *	SETUP			what else a turn needs
 *	CLEAR(a)		accumulators a = 0
 *	FETCH			data registers = STEP bytes at (%[p],%[pos])
 *	PREFETCH		the same at (%[p],%[ahead])
 *	XOR(a)			accumulators a += data registers
 *	SPLIT			prepare the data registers for MUL; after XOR
 *	MUL(r, a)		accumulators a += data * coefficient of row r, whose
 *				key is at COL_KEY(r); %[t] is free
 *	STORE(a)		STEP bytes at (%[p],%[pos]) = accumulators a
 *
 * and for the addition of one column, which keeps the coefficients in
 * registers instead:
 *
 *	VECTOR			bytes of a buffer in one turn
 *	HOLD(r)			registers of row r = coefficient, whose key is at
 *				ROW_KEY(r)
 *	HOLD_ALL		what else the turns need
 *	ADD_FETCH		data registers = VECTOR bytes at (%[src],%[pos])
 *	ADD_XOR0		VECTOR bytes at (%[d0],%[pos]) += data registers
 *	ADD_SPLIT		prepare the data registers for ADD_MUL
 *	ADD_MUL(r)		VECTOR bytes at (%[d<r>],%[pos]) += coefficient * data
 *
 * Vector registers are live within one asm statement only: the compiler, which
 * in the kernel must not touch them and in userspace does, never sees one. The
 * kernel has no vector types in C; hence the assembly, as in lib/raid6.
 */

/*
 * How far ahead of the turn its sources are fetched into the cache, in bytes
 * of each. A turn goes over all columns, which is more streams than the
 * hardware follows by itself: data that is not in the second-level cache comes
 * up to twice as fast. Less is too late, twice as much gains nothing.
 */
#define AHEAD	512

/*
 * The vector registers that this compiler may use: none in the kernel, where
 * it does not even know their names.
 */
#ifdef __SSE__
#define CLOBBERS							\
	, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6"	\
	, "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13"	\
	, "xmm14", "xmm15" CLOBBERS_AVX512
#else
#define CLOBBERS
#endif

#ifdef __AVX512F__
#define CLOBBERS_AVX512							\
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22"	\
	, "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29"	\
	, "xmm30", "xmm31"
#else
#define CLOBBERS_AVX512
#endif

#define ROWS_1(f)	f(0)
#define ROWS_2(f)	f(0) f(1)
#define ROWS_3(f)	f(0) f(1) f(2)
#define ROWS_4(f)	f(0) f(1) f(2) f(3)

#define ROW_KEY(r)	"8*" #r "(%[keys])"
#define COL_KEY(r)	"8*" #r "(%[keys],%[col],4)"

/*
 * A turn of so many @parts of STEP bytes: @clear the accumulators, @compute
 * each column, whose address is in %[p], @store. %[col] is 8 times the number
 * of the column.
 */
#define DOT(fn, rows, parts, clear, compute, store)			\
static void fn(const u8 (*coef)[GF256_ROWS], unsigned int cols,		\
	       size_t pos, size_t end, const u8 *const *src,		\
	       u8 *const *dst)						\
{									\
	unsigned long keys[GF256_COLS][GF256_ROWS];			\
	const size_t turn = (parts) * STEP;				\
	unsigned int r, c;						\
									\
	for (c = 0; c < cols; c++)					\
		for (r = 0; r < (rows); r++)				\
			keys[c][r] = KEY(coef[c][r]);			\
									\
	for (; pos < end; pos += turn) {				\
		/* Never past the end: what lies there may be far away. */ \
		size_t ahead = min_t(size_t, pos + AHEAD, end - turn);	\
		unsigned long col, p, t;				\
									\
		asm volatile(SETUP					\
			     clear					\
			     "xor %k[col], %k[col]\n"			\
			     "1:\n\t"					\
			     "mov (%[src],%[col]), %[p]\n\t"		\
			     compute					\
			     "add $8, %[col]\n\t"			\
			     "cmp %[cols], %[col]\n\t"			\
			     "jne 1b\n\t"				\
			     store					\
			     : [col] "=&r" (col), [p] "=&r" (p),	\
			       [t] "=&r" (t)				\
			     : [src] "r" (src), [keys] "r" (keys),	\
			       [cols] "r" (8UL * cols), [dst] "r" (dst), \
			       [pos] "r" (pos), [ahead] "r" (ahead),	\
			       [step] "i" (STEP),			\
			       [nibbles] "m" (gf256_nibbles)		\
			     : "cc", "memory" CLOBBERS);		\
	}								\
	asm volatile(FINISH : : : "memory" CLOBBERS);			\
}

#define PART(compute)	PREFETCH FETCH compute
#define NEXT		"add %[step], %[p]\n\t"
#define STORE_1_PART(r)	"mov 8*" #r "(%[dst]), %[p]\n\t" STORE(r)

/* One part, a set of accumulators for each row. */
#define DOT_1_PART(fn, n, compute)					\
	DOT(fn, n, 1, ROWS_##n(CLEAR), PART(compute),			\
	    ROWS_##n(STORE_1_PART))

/* Two rows, two parts: sets 0 and 2 for row 0, 1 and 3 for row 1. */
#define DOT_2_PARTS(fn, compute_01, compute_23)				\
	DOT(fn, 2, 2, ROWS_4(CLEAR),					\
	    PART(compute_01) NEXT PART(compute_23),			\
	    "mov (%[dst]), %[p]\n\t" STORE(0) NEXT STORE(2)		\
	    "mov 8(%[dst]), %[p]\n\t" STORE(1) NEXT STORE(3))

/* One row, four parts. */
#define DOT_4_PARTS(fn, compute)					\
	DOT(fn, 1, 4, ROWS_4(CLEAR),					\
	    PART(compute(0)) NEXT PART(compute(1)) NEXT			\
	    PART(compute(2)) NEXT PART(compute(3)),			\
	    "mov (%[dst]), %[p]\n\t" STORE(0) NEXT STORE(1) NEXT	\
	    STORE(2) NEXT STORE(3))

#if 4 * STEP <= GF256_MAX_STEP /* All accumulators for one or two rows, too. */

#define STEP_OF_ALL	(4 * STEP)
#define SPLIT_MUL_0(a)	SPLIT MUL(0, a)
DOT_4_PARTS(dot_1, SPLIT_MUL_0)
DOT_4_PARTS(dot_ones_1, XOR)
DOT_2_PARTS(dot_2, SPLIT MUL(0, 0) MUL(1, 1), SPLIT MUL(0, 2) MUL(1, 3))
DOT_2_PARTS(dot_ones_2, XOR(0) SPLIT MUL(1, 1), XOR(2) SPLIT MUL(1, 3))

#else

#define STEP_OF_ALL	STEP
DOT_1_PART(dot_1, 1, SPLIT MUL(0, 0))
DOT_1_PART(dot_ones_1, 1, XOR(0))
DOT_1_PART(dot_2, 2, SPLIT MUL(0, 0) MUL(1, 1))
DOT_1_PART(dot_ones_2, 2, XOR(0) SPLIT MUL(1, 1))

#endif

DOT_1_PART(dot_3, 3, SPLIT MUL(0, 0) MUL(1, 1) MUL(2, 2))
DOT_1_PART(dot_ones_3, 3, XOR(0) SPLIT MUL(1, 1) MUL(2, 2))
DOT_1_PART(dot_4, 4, SPLIT MUL(0, 0) MUL(1, 1) MUL(2, 2) MUL(3, 3))
DOT_1_PART(dot_ones_4, 4, XOR(0) SPLIT MUL(1, 1) MUL(2, 2) MUL(3, 3))

#define ADD(fn, n, compute)						\
static void fn(const u8 *coef, size_t pos, size_t end, const u8 *src,	\
	       u8 *const *dst)						\
{									\
	unsigned long keys[GF256_ROWS], t;				\
	unsigned int r;							\
									\
	if (pos == end)							\
		return;							\
	for (r = 0; r < (n); r++)					\
		keys[r] = KEY(coef[r]);					\
	asm volatile(HOLD_ALL						\
		     ROWS_##n(HOLD)					\
		     "1:\n\t"						\
		     ADD_FETCH						\
		     compute						\
		     "add %[vector], %[pos]\n\t"			\
		     "cmp %[end], %[pos]\n\t"				\
		     "jne 1b\n\t"					\
		     FINISH						\
		     : [pos] "+&r" (pos), [t] "=&r" (t)			\
		     : [keys] "r" (keys), [end] "r" (end),			\
		       [src] "r" (src), [d0] "r" (dst[0]),		\
		       [d1] "r" (n > 1 ? dst[1] : NULL),		\
		       [d2] "r" (n > 2 ? dst[2] : NULL),		\
		       [d3] "r" (n > 3 ? dst[3] : NULL),		\
		       [vector] "i" (VECTOR),				\
		       [nibbles] "m" (gf256_nibbles)			\
		     : "cc", "memory" CLOBBERS);			\
}

ADD(add_1, 1, ADD_SPLIT ADD_MUL(0))
ADD(add_2, 2, ADD_SPLIT ADD_MUL(0) ADD_MUL(1))
ADD(add_3, 3, ADD_SPLIT ADD_MUL(0) ADD_MUL(1) ADD_MUL(2))
ADD(add_4, 4, ADD_SPLIT ADD_MUL(0) ADD_MUL(1) ADD_MUL(2) ADD_MUL(3))
ADD(add_ones_1, 1, ADD_XOR0)
ADD(add_ones_2, 2, ADD_XOR0 ADD_SPLIT ADD_MUL(1))
ADD(add_ones_3, 3, ADD_XOR0 ADD_SPLIT ADD_MUL(1) ADD_MUL(2))
ADD(add_ones_4, 4, ADD_XOR0 ADD_SPLIT ADD_MUL(1) ADD_MUL(2) ADD_MUL(3))

const struct gf256_impl IMPL = {
	.name = NAME,
	.usable = USABLE,
	.step = STEP_OF_ALL,
	.dot = {
		{ dot_1, dot_2, dot_3, dot_4 },
		{ dot_ones_1, dot_ones_2, dot_ones_3, dot_ones_4 },
	},
	.add = {
		{ add_1, add_2, add_3, add_4 },
		{ add_ones_1, add_ones_2, add_ones_3, add_ones_4 },
	},
};
