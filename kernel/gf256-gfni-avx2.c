// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with GFNI and AVX2, for CPUs with GFNI but without AVX-512.
 *
 * ymm0-1 data, ymm4 coefficient, ymm5-6 products, ymm8-15 two accumulators for
 * each row.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define IMPL		gf256_gfni_avx2
#define NAME		"gfni-avx2"
#define USABLE		gf256_has_gfni_avx2
#define STEP		64
#define FINISH		"vzeroupper"
#define TABLE		gf256_affine

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

#define CLEAR(r)	ACC_##r(CLEAR_1)
#define LOAD(r)		ACC_##r(LOAD_1)
#define STORE(r)	ACC_##r(STORE_1)
#define FETCH		LOAD_1(0, 0) LOAD_1(1, 1)
#define XOR0		ACC_0(XOR_1)
#define SPLIT
#define MUL(r)								\
	"movzbl " #r "(%[c]), %k[t]\n\t"				\
	"vpbroadcastq (%[table],%[t],8), %%ymm4\n\t"			\
	ACC_##r(MUL_1)

#include "gf256-x86-dot.h"

#endif /* __x86_64__ */
