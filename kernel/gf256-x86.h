/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vector units of x86-64 that GF(2^8) is coded with. Each has a file that
 * says how it fetches, multiplies and stores; gf256-x86-dot.h makes the
 * kernels from that.
 */
#ifndef QBD_GF256_X86_H
#define QBD_GF256_X86_H

#include "gf256.h"

extern const struct gf256_impl gf256_ssse3;
extern const struct gf256_impl gf256_avx2;
extern const struct gf256_impl gf256_avx512;
extern const struct gf256_impl gf256_gfni_avx2;
extern const struct gf256_impl gf256_gfni_avx512;

bool gf256_has_ssse3(void);
bool gf256_has_avx2(void);
bool gf256_has_avx512(void);
bool gf256_has_gfni_avx2(void);
bool gf256_has_gfni_avx512(void);

/* Low nibbles, for PSHUFB. */
extern const u8 gf256_nibbles[64];

#endif /* QBD_GF256_X86_H */
