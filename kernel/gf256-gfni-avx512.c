// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with GFNI and AVX-512: one instruction multiplies 64 bytes by a
 * coefficient, which is an 8x8 bit matrix. (GF2P8MULB is of no use, it knows
 * the field of AES only.)
 *
 * zmm0-3 data, zmm4 coefficient, zmm5-8 products, zmm16-31 four times four
 * accumulators.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_gfni_avx512
#define NAME		"gfni-avx512"
#define USABLE		gf256_has_gfni_avx512
#define STEP		256
#define VECTOR		64
#define FINISH		"vzeroupper"
#define KEY(c)		gf256_affine[c]

#define ACC_0(f)	f(0, 16) f(1, 17) f(2, 18) f(3, 19)
#define ACC_1(f)	f(0, 20) f(1, 21) f(2, 22) f(3, 23)
#define ACC_2(f)	f(0, 24) f(1, 25) f(2, 26) f(3, 27)
#define ACC_3(f)	f(0, 28) f(1, 29) f(2, 30) f(3, 31)

/* Vector i of the turn, and its register or accumulator a. */
#define CLEAR_1(i, a)	"vpxorq %%zmm" #a ", %%zmm" #a ", %%zmm" #a "\n\t"
#define LOAD_1(i, a)	"vmovdqu64 64*" #i "(%[p],%[pos]), %%zmm" #a "\n\t"
#define STORE_1(i, a)	"vmovdqu64 %%zmm" #a ", 64*" #i "(%[p],%[pos])\n\t"
#define XOR_1(i, a)	"vpxorq %%zmm" #i ", %%zmm" #a ", %%zmm" #a "\n\t"
#define MUL_1(i, a)							\
	"vgf2p8affineqb $0, %%zmm4, %%zmm" #i ", %%zmm5\n\t"		\
	"vpxorq %%zmm5, %%zmm" #a ", %%zmm" #a "\n\t"

#define SETUP
#define CLEAR(a)	ACC_##a(CLEAR_1)
#define STORE(a)	ACC_##a(STORE_1)
#define PREFETCH							\
	"prefetcht0 (%[p],%[ahead])\n\t"				\
	"prefetcht0 64(%[p],%[ahead])\n\t"				\
	"prefetcht0 128(%[p],%[ahead])\n\t"				\
	"prefetcht0 192(%[p],%[ahead])\n\t"
#define FETCH		LOAD_1(0, 0) LOAD_1(1, 1) LOAD_1(2, 2) LOAD_1(3, 3)
#define XOR(a)		ACC_##a(XOR_1)
#define SPLIT
#define MUL(r, a)							\
	"vpbroadcastq " COL_KEY(r) ", %%zmm4\n\t"			\
	ACC_##a(MUL_1)

/* Adding: zmm0 data, zmm5 product, zmm16-19 the coefficients. */
#define HELD_0		"%%zmm16"
#define HELD_1		"%%zmm17"
#define HELD_2		"%%zmm18"
#define HELD_3		"%%zmm19"

#define HOLD_ALL
#define HOLD(r)		"vpbroadcastq " ROW_KEY(r) ", " HELD_##r "\n\t"
#define ADD_FETCH	"vmovdqu64 (%[src],%[pos]), %%zmm0\n\t"
#define ADD_XOR0							\
	"vpxorq (%[d0],%[pos]), %%zmm0, %%zmm5\n\t"			\
	"vmovdqu64 %%zmm5, (%[d0],%[pos])\n\t"
#define ADD_SPLIT
#define ADD_MUL(r)							\
	"vgf2p8affineqb $0, " HELD_##r ", %%zmm0, %%zmm5\n\t"		\
	"vpxorq (%[d" #r "],%[pos]), %%zmm5, %%zmm5\n\t"		\
	"vmovdqu64 %%zmm5, (%[d" #r "],%[pos])\n\t"

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
