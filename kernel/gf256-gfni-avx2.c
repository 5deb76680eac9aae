// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with GFNI and AVX2, for CPUs with GFNI but without AVX-512.
 *
 * ymm0-1 data, ymm4 coefficient, ymm5-6 products, ymm8-15 four times two
 * accumulators.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_gfni_avx2
#define NAME		"gfni-avx2"
#define USABLE		gf256_has_gfni_avx2
#define STEP		64
#define VECTOR		32
#define FINISH		"vzeroupper"
#define KEY(c)		gf256_affine[c]

#define ACC_0(f)	f(0, 8) f(1, 9)
#define ACC_1(f)	f(0, 10) f(1, 11)
#define ACC_2(f)	f(0, 12) f(1, 13)
#define ACC_3(f)	f(0, 14) f(1, 15)

#define CLEAR_1(i, a)	"vpxor %%ymm" #a ", %%ymm" #a ", %%ymm" #a "\n\t"
#define LOAD_1(i, a)	"vmovdqu 32*" #i "(%[p],%[pos]), %%ymm" #a "\n\t"
#define STORE_1(i, a)	"vmovdqu %%ymm" #a ", 32*" #i "(%[p],%[pos])\n\t"
#define XOR_1(i, a)	"vpxor %%ymm" #i ", %%ymm" #a ", %%ymm" #a "\n\t"
#define MUL_1(i, a)							\
	"vgf2p8affineqb $0, %%ymm4, %%ymm" #i ", %%ymm5\n\t"		\
	"vpxor %%ymm5, %%ymm" #a ", %%ymm" #a "\n\t"

#define SETUP
#define CLEAR(a)	ACC_##a(CLEAR_1)
#define STORE(a)	ACC_##a(STORE_1)
#define PREFETCH	"prefetcht0 (%[p],%[ahead])\n\t"
#define FETCH		LOAD_1(0, 0) LOAD_1(1, 1)
#define XOR(a)		ACC_##a(XOR_1)
#define SPLIT
#define MUL(r, a)							\
	"vpbroadcastq " COL_KEY(r) ", %%ymm4\n\t"			\
	ACC_##a(MUL_1)

/* Adding: ymm0 data, ymm5 product, ymm8-11 the coefficients. */
#define HELD_0		"%%ymm8"
#define HELD_1		"%%ymm9"
#define HELD_2		"%%ymm10"
#define HELD_3		"%%ymm11"

#define HOLD_ALL
#define HOLD(r)		"vpbroadcastq " ROW_KEY(r) ", " HELD_##r "\n\t"
#define ADD_FETCH	"vmovdqu (%[src],%[pos]), %%ymm0\n\t"
#define ADD_XOR0							\
	"vpxor (%[d0],%[pos]), %%ymm0, %%ymm5\n\t"			\
	"vmovdqu %%ymm5, (%[d0],%[pos])\n\t"
#define ADD_SPLIT
#define ADD_MUL(r)							\
	"vgf2p8affineqb $0, " HELD_##r ", %%ymm0, %%ymm5\n\t"		\
	"vpxor (%[d" #r "],%[pos]), %%ymm5, %%ymm5\n\t"			\
	"vmovdqu %%ymm5, (%[d" #r "],%[pos])\n\t"

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
