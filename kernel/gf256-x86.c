// SPDX-License-Identifier: GPL-2.0-only
/*
 * GF(2^8) with the vector units of x86-64.
 */
#include "gf256.h"

const struct gf256_impl *const gf256_simd_impls[] = {
	NULL
};
