// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with SSSE3: two table look-ups of 16 nibbles each multiply 16 bytes.
 *
 * xmm0-1 low and xmm2-3 high nibbles, xmm4 table, xmm5-6 products, xmm7 the
 * nibble mask, xmm8-15 four times two accumulators.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_ssse3
#define NAME		"ssse3"
#define USABLE		gf256_has_ssse3
#define STEP		32
#define VECTOR		16
#define FINISH		""
#define KEY(c)		(unsigned long)gf256_product[c]

#define ACC_0(f)	f(0, 8) f(1, 9)
#define ACC_1(f)	f(0, 10) f(1, 11)
#define ACC_2(f)	f(0, 12) f(1, 13)
#define ACC_3(f)	f(0, 14) f(1, 15)
#define MUL_ACC_0(f)	f(0, 1, 2, 3, 8, 9)
#define MUL_ACC_1(f)	f(0, 1, 2, 3, 10, 11)
#define MUL_ACC_2(f)	f(0, 1, 2, 3, 12, 13)
#define MUL_ACC_3(f)	f(0, 1, 2, 3, 14, 15)

#define CLEAR_1(i, a)	"pxor %%xmm" #a ", %%xmm" #a "\n\t"
#define LOAD_1(i, a)	"movdqu 16*" #i "(%[p],%[pos]), %%xmm" #a "\n\t"
#define STORE_1(i, a)	"movdqu %%xmm" #a ", 16*" #i "(%[p],%[pos])\n\t"
#define XOR_1(i, a)	"pxor %%xmm" #i ", %%xmm" #a "\n\t"
#define SPLIT_1(i, h)							\
	"movdqa %%xmm" #i ", %%xmm" #h "\n\t"				\
	"psrlw $4, %%xmm" #h "\n\t"					\
	"pand %%xmm7, %%xmm" #i "\n\t"					\
	"pand %%xmm7, %%xmm" #h "\n\t"
#define LOOKUP(x, y, a, b)						\
	"movdqa %%xmm4, %%xmm5\n\t"					\
	"pshufb %%xmm" #x ", %%xmm4\n\t"				\
	"pshufb %%xmm" #y ", %%xmm5\n\t"				\
	"pxor %%xmm4, %%xmm" #a "\n\t"					\
	"pxor %%xmm5, %%xmm" #b "\n\t"
#define MUL_2(x, y, hx, hy, a, b)					\
	"movdqa (%[t]), %%xmm4\n\t"					\
	LOOKUP(x, y, a, b)						\
	"movdqa 16(%[t]), %%xmm4\n\t"					\
	LOOKUP(hx, hy, a, b)

#define SETUP		"movdqa %[nibbles], %%xmm7\n\t"
#define CLEAR(a)	ACC_##a(CLEAR_1)
#define STORE(a)	ACC_##a(STORE_1)
#define PREFETCH	"prefetcht0 (%[p],%[ahead])\n\t"
#define FETCH		LOAD_1(0, 0) LOAD_1(1, 1)
#define XOR(a)		ACC_##a(XOR_1)
#define SPLIT		SPLIT_1(0, 2) SPLIT_1(1, 3)
#define MUL(r, a)							\
	"mov " COL_KEY(r) ", %[t]\n\t"					\
	MUL_ACC_##a(MUL_2)

/*
 * Adding: xmm0 and 2 nibbles, xmm4-6 products, xmm7 the mask, xmm8-15 the
 * tables of the coefficients.
 */
#define HELD_0(f)	f(0, 8, 9)
#define HELD_1(f)	f(1, 10, 11)
#define HELD_2(f)	f(2, 12, 13)
#define HELD_3(f)	f(3, 14, 15)

#define HOLD_ALL	SETUP
#define HOLD_1(r, lo, hi)						\
	"mov " ROW_KEY(r) ", %[t]\n\t"					\
	"movdqa (%[t]), %%xmm" #lo "\n\t"				\
	"movdqa 16(%[t]), %%xmm" #hi "\n\t"
#define ADD_MUL_1(r, lo, hi)						\
	"movdqu (%[d" #r "],%[pos]), %%xmm4\n\t"			\
	"movdqa %%xmm" #lo ", %%xmm5\n\t"				\
	"movdqa %%xmm" #hi ", %%xmm6\n\t"				\
	"pshufb %%xmm0, %%xmm5\n\t"					\
	"pshufb %%xmm2, %%xmm6\n\t"					\
	"pxor %%xmm5, %%xmm4\n\t"					\
	"pxor %%xmm6, %%xmm4\n\t"					\
	"movdqu %%xmm4, (%[d" #r "],%[pos])\n\t"

#define HOLD(r)		HELD_##r(HOLD_1)
#define ADD_FETCH	"movdqu (%[src],%[pos]), %%xmm0\n\t"
#define ADD_XOR0							\
	"movdqu (%[d0],%[pos]), %%xmm4\n\t"				\
	"pxor %%xmm0, %%xmm4\n\t"					\
	"movdqu %%xmm4, (%[d0],%[pos])\n\t"
#define ADD_SPLIT	SPLIT_1(0, 2)
#define ADD_MUL(r)	HELD_##r(ADD_MUL_1)

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
