// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which vector units of x86-64 this CPU and kernel have.
 *
 * Asked of the CPU itself, for the same code runs in the kernel, in user-mode
 * Linux, whose boot_cpu_has() knows little, and in userspace. CPUID tells what
 * the CPU can, XCR0 which registers the system saves and restores: a unit
 * needs both.
 *
 * The units are in order of speed. AVX-512 is no exception: the CPUs that
 * lower their clock for it lower it less than it gains here.
 */
#include "gf256-x86.h"

#ifdef __x86_64__

#define CPUID_1_ECX_SSSE3	BIT(9)
#define CPUID_1_ECX_OSXSAVE	BIT(27)
#define CPUID_1_ECX_AVX		BIT(28)
#define CPUID_7_EBX_AVX2	BIT(5)
#define CPUID_7_EBX_AVX512F	BIT(16)
#define CPUID_7_EBX_AVX512BW	BIT(30)
#define CPUID_7_ECX_GFNI	BIT(8)

#define XCR0_AVX		(BIT(1) | BIT(2))
#define XCR0_AVX512		(XCR0_AVX | BIT(5) | BIT(6) | BIT(7))

const u8 gf256_nibbles[64] __aligned(64) = {
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
};

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static struct cpuid gf256_cpuid(u32 leaf)
{
	struct cpuid r = { .eax = leaf };

	asm volatile("cpuid"
		     : "+a" (r.eax), "=b" (r.ebx), "+c" (r.ecx), "=d" (r.edx));
	return r;
}

/* CPUID 7, zeros where the CPU has no such leaf. */
static struct cpuid gf256_cpuid_7(void)
{
	static const struct cpuid none;

	return gf256_cpuid(0).eax < 7 ? none : gf256_cpuid(7);
}

static u64 gf256_xcr0(void)
{
	u32 lo, hi;

	if (!(gf256_cpuid(1).ecx & CPUID_1_ECX_OSXSAVE))
		return 0;
	asm volatile("xgetbv" : "=a" (lo), "=d" (hi) : "c" (0));
	return (u64)hi << 32 | lo;
}

bool gf256_has_ssse3(void)
{
	return gf256_cpuid(1).ecx & CPUID_1_ECX_SSSE3;
}

bool gf256_has_avx2(void)
{
	return (gf256_xcr0() & XCR0_AVX) == XCR0_AVX &&
	       gf256_cpuid(1).ecx & CPUID_1_ECX_AVX &&
	       gf256_cpuid_7().ebx & CPUID_7_EBX_AVX2;
}

bool gf256_has_avx512(void)
{
	u32 need = CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512BW;

	return gf256_has_avx2() &&
	       (gf256_xcr0() & XCR0_AVX512) == XCR0_AVX512 &&
	       (gf256_cpuid_7().ebx & need) == need;
}

bool gf256_has_gfni_avx2(void)
{
	return gf256_has_avx2() && gf256_cpuid_7().ecx & CPUID_7_ECX_GFNI;
}

bool gf256_has_gfni_avx512(void)
{
	return gf256_has_avx512() && gf256_cpuid_7().ecx & CPUID_7_ECX_GFNI;
}

#endif /* __x86_64__ */

const struct gf256_impl *const gf256_simd_impls[] = {
#ifdef __x86_64__
	&gf256_gfni_avx512,
	&gf256_gfni_avx2,
	&gf256_avx512,
	&gf256_avx2,
	&gf256_ssse3,
#endif
	NULL
};
