/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Template of the kernels of one vector unit: 1 to 4 rows, with and without a
 * first row that is all ones. Included by gf256-<unit>.c, which defines
 *
 *	IMPL, NAME, USABLE	the struct gf256_impl, its name, its test
 *	STEP			bytes of each buffer in one turn
 *	TABLE			what %[table] points to
 *	CLEAR(r)		accumulators of row r = 0
 *	LOAD(r)			... = STEP bytes at (%[p],%[pos])
 *	STORE(r)		STEP bytes at (%[p],%[pos]) = accumulators of row r
 *	FETCH			data registers = STEP bytes at (%[p],%[pos])
 *	XOR0			accumulators of row 0 += data registers
 *	SPLIT			prepare the data registers for MUL; XOR0 comes before
 *	MUL(r)			accumulators of row r += coefficient r(%[c]) * data;
 *				%[t] is free
 *	FINISH			instruction at the end of a call
 *
 * A turn takes STEP bytes of all columns and keeps all rows in registers, so
 * every source is read once and every output written once. It is one asm
 * statement: the compiler, which in the kernel must not touch the vector
 * registers and in userspace does, never sees one live.
 *
 * Kernel code has no vector registers in C, hence the assembly, as in
 * lib/raid6.
 */

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

#define ADDRESS(r)	"mov 8*" #r "(%[dst]), %[p]\n\t"
#define LOAD_AT(r)	ADDRESS(r) LOAD(r)
#define STORE_AT(r)	ADDRESS(r) STORE(r)

#define ROWS_1(f)	f(0)
#define ROWS_2(f)	f(0) f(1)
#define ROWS_3(f)	f(0) f(1) f(2)
#define ROWS_4(f)	f(0) f(1) f(2) f(3)

#define DOT(fn, rows, compute)						\
static void fn(const u8 (*coef)[GF256_ROWS], unsigned int cols,		\
	       size_t pos, size_t end, const u8 *const *src,		\
	       u8 *const *dst, bool add)				\
{									\
	for (; pos < end; pos += STEP) {				\
		const u8 (*c)[GF256_ROWS] = coef;			\
		const u8 *const *s = src;				\
		unsigned long p, t;					\
									\
		asm volatile("testb %b[add], %b[add]\n\t"		\
			     "jnz 1f\n\t"				\
			     rows(CLEAR)				\
			     "jmp 2f\n"					\
			     "1:\n\t"					\
			     rows(LOAD_AT)				\
			     "2:\n\t"					\
			     "mov (%[s]), %[p]\n\t"			\
			     FETCH					\
			     compute					\
			     "add $8, %[s]\n\t"				\
			     "add $4, %[c]\n\t"				\
			     "cmp %[last], %[s]\n\t"			\
			     "jne 2b\n\t"				\
			     rows(STORE_AT)				\
			     : [s] "+&r" (s), [c] "+&r" (c),		\
			       [p] "=&r" (p), [t] "=&r" (t)		\
			     : [add] "q" (add), [last] "r" (src + cols),	\
			       [pos] "r" (pos), [dst] "r" (dst),	\
			       [table] "r" (TABLE),			\
			       [nibbles] "m" (gf256_nibbles)		\
			     : "cc", "memory" CLOBBERS);		\
	}								\
	asm volatile(FINISH : : : "memory" CLOBBERS);				\
}

DOT(dot_1, ROWS_1, SPLIT MUL(0))
DOT(dot_2, ROWS_2, SPLIT MUL(0) MUL(1))
DOT(dot_3, ROWS_3, SPLIT MUL(0) MUL(1) MUL(2))
DOT(dot_4, ROWS_4, SPLIT MUL(0) MUL(1) MUL(2) MUL(3))
DOT(dot_ones_1, ROWS_1, XOR0)
DOT(dot_ones_2, ROWS_2, XOR0 SPLIT MUL(1))
DOT(dot_ones_3, ROWS_3, XOR0 SPLIT MUL(1) MUL(2))
DOT(dot_ones_4, ROWS_4, XOR0 SPLIT MUL(1) MUL(2) MUL(3))

const struct gf256_impl IMPL = {
	.name = NAME,
	.usable = USABLE,
	.step = STEP,
	.dot = {
		{ dot_1, dot_2, dot_3, dot_4 },
		{ dot_ones_1, dot_ones_2, dot_ones_3, dot_ones_4 },
	},
};
