// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with AVX2: two table look-ups of 32 nibbles each multiply 32 bytes.
 *
 * ymm0-1 low and ymm2-3 high nibbles, ymm4 table, ymm5-6 products, ymm7 the
 * nibble mask, ymm8-15 four times two accumulators.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_avx2
#define NAME		"avx2"
#define USABLE		gf256_has_avx2
#define STEP		64
#define VECTOR		32
#define FINISH		"vzeroupper"
#define KEY(c)		(unsigned long)gf256_product[c]

#define ACC_0(f)	f(0, 8) f(1, 9)
#define ACC_1(f)	f(0, 10) f(1, 11)
#define ACC_2(f)	f(0, 12) f(1, 13)
#define ACC_3(f)	f(0, 14) f(1, 15)
#define MUL_ACC_0(f)	f(0, 1, 2, 3, 8, 9)
#define MUL_ACC_1(f)	f(0, 1, 2, 3, 10, 11)
#define MUL_ACC_2(f)	f(0, 1, 2, 3, 12, 13)
#define MUL_ACC_3(f)	f(0, 1, 2, 3, 14, 15)

#define CLEAR_1(i, a)	"vpxor %%ymm" #a ", %%ymm" #a ", %%ymm" #a "\n\t"
#define LOAD_1(i, a)	"vmovdqu 32*" #i "(%[p],%[pos]), %%ymm" #a "\n\t"
#define STORE_1(i, a)	"vmovdqu %%ymm" #a ", 32*" #i "(%[p],%[pos])\n\t"
#define XOR_1(i, a)	"vpxor %%ymm" #i ", %%ymm" #a ", %%ymm" #a "\n\t"
#define SPLIT_1(i, h)							\
	"vpsrlw $4, %%ymm" #i ", %%ymm" #h "\n\t"			\
	"vpand %%ymm7, %%ymm" #i ", %%ymm" #i "\n\t"			\
	"vpand %%ymm7, %%ymm" #h ", %%ymm" #h "\n\t"
#define LOOKUP(x, y, a, b)						\
	"vpshufb %%ymm" #x ", %%ymm4, %%ymm5\n\t"			\
	"vpshufb %%ymm" #y ", %%ymm4, %%ymm6\n\t"			\
	"vpxor %%ymm5, %%ymm" #a ", %%ymm" #a "\n\t"			\
	"vpxor %%ymm6, %%ymm" #b ", %%ymm" #b "\n\t"
#define MUL_2(x, y, hx, hy, a, b)					\
	"vbroadcasti128 (%[t]), %%ymm4\n\t"				\
	LOOKUP(x, y, a, b)						\
	"vbroadcasti128 16(%[t]), %%ymm4\n\t"				\
	LOOKUP(hx, hy, a, b)

#define SETUP		"vmovdqa %[nibbles], %%ymm7\n\t"
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
 * Adding: ymm0 and 2 nibbles, ymm5-6 products, ymm7 the mask, ymm8-15 the
 * tables of the coefficients.
 */
#define HELD_0(f)	f(0, 8, 9)
#define HELD_1(f)	f(1, 10, 11)
#define HELD_2(f)	f(2, 12, 13)
#define HELD_3(f)	f(3, 14, 15)

#define HOLD_ALL	SETUP
#define HOLD_1(r, lo, hi)						\
	"mov " ROW_KEY(r) ", %[t]\n\t"					\
	"vbroadcasti128 (%[t]), %%ymm" #lo "\n\t"			\
	"vbroadcasti128 16(%[t]), %%ymm" #hi "\n\t"
#define ADD_MUL_1(r, lo, hi)						\
	"vpshufb %%ymm0, %%ymm" #lo ", %%ymm5\n\t"			\
	"vpshufb %%ymm2, %%ymm" #hi ", %%ymm6\n\t"			\
	"vpxor (%[d" #r "],%[pos]), %%ymm5, %%ymm5\n\t"			\
	"vpxor %%ymm5, %%ymm6, %%ymm6\n\t"				\
	"vmovdqu %%ymm6, (%[d" #r "],%[pos])\n\t"

#define HOLD(r)		HELD_##r(HOLD_1)
#define ADD_FETCH	"vmovdqu (%[src],%[pos]), %%ymm0\n\t"
#define ADD_XOR0							\
	"vpxor (%[d0],%[pos]), %%ymm0, %%ymm5\n\t"			\
	"vmovdqu %%ymm5, (%[d0],%[pos])\n\t"
#define ADD_SPLIT	SPLIT_1(0, 2)
#define ADD_MUL(r)	HELD_##r(ADD_MUL_1)

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
