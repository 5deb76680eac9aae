// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with AVX-512: two table look-ups of 64 nibbles each multiply 64
 * bytes, and one ternary XOR adds both.
 *
 * zmm0-3 low and zmm4-7 high nibbles, zmm8-9 tables, zmm10-11 products, zmm14
 * the nibble mask, zmm16-31 four times four accumulators.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_avx512
#define NAME		"avx512"
#define USABLE		gf256_has_avx512
#define STEP		256
#define VECTOR		64
#define FINISH		"vzeroupper"
#define KEY(c)		(unsigned long)gf256_product[c]

#define ACC_0(f)	f(0, 4, 16) f(1, 5, 17) f(2, 6, 18) f(3, 7, 19)
#define ACC_1(f)	f(0, 4, 20) f(1, 5, 21) f(2, 6, 22) f(3, 7, 23)
#define ACC_2(f)	f(0, 4, 24) f(1, 5, 25) f(2, 6, 26) f(3, 7, 27)
#define ACC_3(f)	f(0, 4, 28) f(1, 5, 29) f(2, 6, 30) f(3, 7, 31)

/* Vector i of the turn, whose high nibbles are in h, and accumulator a. */
#define CLEAR_1(i, h, a) "vpxorq %%zmm" #a ", %%zmm" #a ", %%zmm" #a "\n\t"
#define LOAD_1(i, h, a)	"vmovdqu64 64*" #i "(%[p],%[pos]), %%zmm" #a "\n\t"
#define STORE_1(i, h, a) "vmovdqu64 %%zmm" #a ", 64*" #i "(%[p],%[pos])\n\t"
#define XOR_1(i, h, a)	"vpxorq %%zmm" #i ", %%zmm" #a ", %%zmm" #a "\n\t"
#define SPLIT_1(i, h)							\
	"vpsrlw $4, %%zmm" #i ", %%zmm" #h "\n\t"			\
	"vpandq %%zmm14, %%zmm" #i ", %%zmm" #i "\n\t"			\
	"vpandq %%zmm14, %%zmm" #h ", %%zmm" #h "\n\t"
#define MUL_1(i, h, a)							\
	"vpshufb %%zmm" #i ", %%zmm8, %%zmm10\n\t"			\
	"vpshufb %%zmm" #h ", %%zmm9, %%zmm11\n\t"			\
	"vpternlogd $0x96, %%zmm10, %%zmm11, %%zmm" #a "\n\t"

#define SETUP		"vmovdqa64 %[nibbles], %%zmm14\n\t"
#define CLEAR(a)	ACC_##a(CLEAR_1)
#define STORE(a)	ACC_##a(STORE_1)
#define PREFETCH							\
	"prefetcht0 (%[p],%[ahead])\n\t"				\
	"prefetcht0 64(%[p],%[ahead])\n\t"				\
	"prefetcht0 128(%[p],%[ahead])\n\t"				\
	"prefetcht0 192(%[p],%[ahead])\n\t"
#define FETCH		LOAD_1(0,, 0) LOAD_1(1,, 1) LOAD_1(2,, 2) LOAD_1(3,, 3)
#define XOR(a)		ACC_##a(XOR_1)
#define SPLIT								\
	SPLIT_1(0, 4) SPLIT_1(1, 5) SPLIT_1(2, 6) SPLIT_1(3, 7)
#define MUL(r, a)							\
	"mov " COL_KEY(r) ", %[t]\n\t"					\
	"vbroadcasti32x4 (%[t]), %%zmm8\n\t"				\
	"vbroadcasti32x4 16(%[t]), %%zmm9\n\t"				\
	ACC_##a(MUL_1)

/*
 * Adding: zmm0 and 4 nibbles, zmm10-11 products, zmm14 the mask, zmm16-23 the
 * tables of the coefficients.
 */
#define HELD_0(f)	f(0, 16, 17)
#define HELD_1(f)	f(1, 18, 19)
#define HELD_2(f)	f(2, 20, 21)
#define HELD_3(f)	f(3, 22, 23)

#define HOLD_ALL	SETUP
#define HOLD_1(r, lo, hi)						\
	"mov " ROW_KEY(r) ", %[t]\n\t"					\
	"vbroadcasti32x4 (%[t]), %%zmm" #lo "\n\t"			\
	"vbroadcasti32x4 16(%[t]), %%zmm" #hi "\n\t"
#define ADD_MUL_1(r, lo, hi)						\
	"vpshufb %%zmm0, %%zmm" #lo ", %%zmm10\n\t"			\
	"vpshufb %%zmm4, %%zmm" #hi ", %%zmm11\n\t"			\
	"vpternlogd $0x96, (%[d" #r "],%[pos]), %%zmm10, %%zmm11\n\t"	\
	"vmovdqu64 %%zmm11, (%[d" #r "],%[pos])\n\t"

#define HOLD(r)		HELD_##r(HOLD_1)
#define ADD_FETCH	"vmovdqu64 (%[src],%[pos]), %%zmm0\n\t"
#define ADD_XOR0							\
	"vpxorq (%[d0],%[pos]), %%zmm0, %%zmm10\n\t"			\
	"vmovdqu64 %%zmm10, (%[d0],%[pos])\n\t"
#define ADD_SPLIT	SPLIT_1(0, 4)
#define ADD_MUL(r)	HELD_##r(ADD_MUL_1)

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
