/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Template of the kernels of one vector unit, for 1 to 4 rows, with and
 * without a first row that is all ones. Included by gf256-<unit>.c, which
 * defines
 *
 *	IMPL, NAME, USABLE	the struct gf256_impl, its name, its test
 *	TABLE			what %[table] points to
 *	FINISH			instruction at the end of a call
 *
 * for the sum over columns, which takes STEP bytes of every column in a turn
 * and keeps all rows of them in accumulators, so that every source is read
 * once and every output written once:
 *
 *	STEP			bytes of each buffer in one turn
 *	CLEAR(r)		accumulators of row r = 0
 *	FETCH			data registers = STEP bytes at (%[p],%[pos])
 *	PREFETCH		the same at (%[p],%[ahead])
 *	XOR0			accumulators of row 0 += data registers
 *	SPLIT			prepare the data registers for MUL; after XOR0
 *	MUL(r)			accumulators of row r += coefficient r(%[c]) *
 *				data; %[t] is free
 *	STORE(r)		STEP bytes at (%[p],%[pos]) = accumulators of row r
 *
 * and for the addition of one column, which keeps the coefficients in
 * registers instead:
 *
 *	VECTOR			bytes of a buffer in one turn
 *	HOLD(r)			registers of row r = coefficient r(%[c])
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

#define STORE_AT(r)	"mov 8*" #r "(%[dst]), %[p]\n\t" STORE(r)

#define DOT(fn, rows, compute)						\
static void fn(const u8 (*coef)[GF256_ROWS], unsigned int cols,		\
	       size_t pos, size_t end, const u8 *const *src,		\
	       u8 *const *dst)						\
{									\
	for (; pos < end; pos += STEP) {				\
		/* Never past the end: what lies there may be far away. */ \
		size_t ahead = min_t(size_t, pos + AHEAD, end - STEP);	\
		const u8 (*c)[GF256_ROWS] = coef;			\
		const u8 *const *s = src;				\
		unsigned long p, t;					\
									\
		asm volatile(rows(CLEAR)				\
			     "1:\n\t"					\
			     "mov (%[s]), %[p]\n\t"			\
			     PREFETCH					\
			     FETCH					\
			     compute					\
			     "add $8, %[s]\n\t"				\
			     "add $4, %[c]\n\t"				\
			     "cmp %[last], %[s]\n\t"			\
			     "jne 1b\n\t"				\
			     rows(STORE_AT)				\
			     : [s] "+&r" (s), [c] "+&r" (c),		\
			       [p] "=&r" (p), [t] "=&r" (t)		\
			     : [last] "r" (src + cols), [pos] "r" (pos), \
			       [ahead] "r" (ahead), [dst] "r" (dst),	\
			       [table] "r" (TABLE),			\
			       [nibbles] "m" (gf256_nibbles)		\
			     : "cc", "memory" CLOBBERS);		\
	}								\
	asm volatile(FINISH : : : "memory" CLOBBERS);			\
}

DOT(dot_1, ROWS_1, SPLIT MUL(0))
DOT(dot_2, ROWS_2, SPLIT MUL(0) MUL(1))
DOT(dot_3, ROWS_3, SPLIT MUL(0) MUL(1) MUL(2))
DOT(dot_4, ROWS_4, SPLIT MUL(0) MUL(1) MUL(2) MUL(3))
DOT(dot_ones_1, ROWS_1, XOR0)
DOT(dot_ones_2, ROWS_2, XOR0 SPLIT MUL(1))
DOT(dot_ones_3, ROWS_3, XOR0 SPLIT MUL(1) MUL(2))
DOT(dot_ones_4, ROWS_4, XOR0 SPLIT MUL(1) MUL(2) MUL(3))

#define ADD(fn, n, compute)						\
static void fn(const u8 *coef, size_t pos, size_t end, const u8 *src,	\
	       u8 *const *dst)						\
{									\
	unsigned long t;						\
									\
	if (pos == end)							\
		return;							\
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
		     : [c] "r" (coef), [end] "r" (end),			\
		       [src] "r" (src), [d0] "r" (dst[0]),		\
		       [d1] "r" (n > 1 ? dst[1] : NULL),		\
		       [d2] "r" (n > 2 ? dst[2] : NULL),		\
		       [d3] "r" (n > 3 ? dst[3] : NULL),		\
		       [table] "r" (TABLE), [vector] "i" (VECTOR),	\
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
	.step = STEP,
	.dot = {
		{ dot_1, dot_2, dot_3, dot_4 },
		{ dot_ones_1, dot_ones_2, dot_ones_3, dot_ones_4 },
	},
	.add = {
		{ add_1, add_2, add_3, add_4 },
		{ add_ones_1, add_ones_2, add_ones_3, add_ones_4 },
	},
};
