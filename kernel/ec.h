/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: the erasure code
 *
 * A row of a chunk is K data blocks and M parity blocks, one a leg: legs
 * 0..K-1 data, K..K+M-1 parity. Any K of the K+M give the others.
 *
 * Parity r of a row is the sum over data legs c of
 *
 *	ec_coef(r, c) = 2^(r * c)	in GF(2^8) modulo 0x11d
 *
 * This matrix is part of the on-disk format and is the same for every K and M:
 * parity 0 is the XOR of the data, parity 1 is the Q of RAID-6, and the matrix
 * of a smaller K or M is a corner of that of a larger one. See ec.c for why it
 * is MDS in the range of K and M that is accepted.
 *
 * All functions but ec_code_init() and ec_make_plan() run in a section (gf256.h).
 * Buffers are @len bytes each, of any length and alignment (multiples of 256
 * bytes are fast), and none of the outputs overlaps another buffer.
 */
#ifndef QBD_EC_H
#define QBD_EC_H

#include "gf256.h"

#define EC_MIN_K	2
#define EC_MAX_K	GF256_COLS
#define EC_MIN_M	1
#define EC_MAX_M	GF256_ROWS
#define EC_MAX_LEGS	(EC_MAX_K + EC_MAX_M)

/* Plans that a code remembers; a power of two. */
#define EC_CACHED_PLANS	32

/**
 * struct ec_plan - how to make some legs of a row from K others
 * @sources: mask of the legs that are read, K of them
 * @wanted: mask of the legs that are made
 * @mat: columns are the legs of @sources, rows those of @wanted, both in
 *	ascending order
 *
 * A plain value: may live on the stack, be copied and be forgotten.
 */
struct ec_plan {
	u32 sources;
	u32 wanted;
	struct gf256_matrix mat;
};

/**
 * struct ec_code - a K+M code
 * @k: data legs
 * @m: parity legs
 * @encode: the parity matrix
 * @lock: protects @cache; held for some hundred nanoseconds
 * @cache: plans computed last
 *
 * Owned by the caller, initialised by ec_code_init(), needs no teardown.
 */
struct ec_code {
	u8 k;
	u8 m;
	struct gf256_matrix encode;
	spinlock_t lock; /* @cache */
	struct ec_plan cache[EC_CACHED_PLANS];
};

u8 ec_coef(unsigned int r, unsigned int c);

int ec_code_init(struct ec_code *code, unsigned int k, unsigned int m);

void ec_encode(struct gf256_section *sec, const struct ec_code *code,
	       size_t len, const u8 *const *data, u8 *const *parity);
void ec_update(struct gf256_section *sec, const struct ec_code *code,
	       size_t len, unsigned int leg, const u8 *delta,
	       u8 *const *parity);

int ec_make_plan(struct ec_code *code, u32 present, u32 wanted,
		 struct ec_plan *plan);
void ec_rebuild(struct gf256_section *sec, const struct ec_plan *plan,
		size_t len, u8 *const *legs);

#endif /* QBD_EC_H */
