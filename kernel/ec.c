// SPDX-License-Identifier: GPL-2.0-only
/*
 * The erasure code: which matrix encodes, updates and rebuilds a row.
 *
 * Encoding matrix: identity on top, below it the parity rows
 *
 *	A[r][c] = 2^(r * c),	r = 0..M-1, c = 0..K-1
 *
 * which is what gf_gen_rs_matrix() of ISA-L makes: row 0 is all ones, so
 * parity 0 is an XOR at any M. A code is MDS (any K legs give all others) if
 * and only if every square submatrix of A is regular (F. J. MacWilliams,
 * N. J. A. Sloane, "The Theory of Error-Correcting Codes", ch. 11, theorem 8).
 * A matrix of powers is not always so: its rows are those of a Vandermonde
 * matrix, but a submatrix of some of its rows need not be one. ISA-L's
 * erasure_code.h names where it holds, among others for M <= 3 and for
 * K <= 21 at M = 4: all of K 2..16, M 1..4. We do not rely on that: the unit
 * test checks every square submatrix of the 4 x 16 matrix, and all codes of
 * the range are corners of it.
 *
 * Rebuilding. Of the K legs that are read, let D be the lost data legs, as
 * many as there are parity rows P among those read. Then for each p in P
 *
 *	sum over d in D of A[p][d] x_d = y_p + sum over read c of A[p][c] x_c
 *
 * and with S the inverse of the |D| x |D| submatrix A[P][D] (at most 4 x 4,
 * the matrix to be inverted is never larger)
 *
 *	x_d = sum over p of S[d][p] y_p
 *	      + sum over read c of (sum over p of S[d][p] A[p][c]) x_c
 *
 * A wanted parity q is the sum of A[q][c] x_c over all data, with the above in
 * place of what is lost. So every wanted leg is one row of coefficients over
 * the K legs that are read: a plan. All data legs that are there are read, and
 * the lowest parities: a single lost data leg comes from parity 0 and is an
 * XOR.
 *
 * A code remembers the plans made last, direct-mapped by the two masks. It
 * holds copies, so a plan needs no reference and nothing is ever allocated.
 */
#include "ec.h"

/**
 * ec_coef - coefficient of the matrix, which is on-disk format
 * @r: row, the parity
 * @c: column, the data leg
 *
 * Return: 2^(@r * @c)
 */
u8 ec_coef(unsigned int r, unsigned int c)
{
	unsigned int i;
	u8 v = 1;

	for (i = 0; i < r * c; i++)
		v = gf256_mul(2, v);
	return v;
}

/**
 * ec_code_init - initialise a K+M code
 * @code: memory of the caller
 * @k: data legs, EC_MIN_K..EC_MAX_K
 * @m: parity legs, EC_MIN_M..EC_MAX_M
 *
 * Context: any, after gf256_init().
 * Return: 0, or -EINVAL for a @k or @m out of range.
 */
int ec_code_init(struct ec_code *code, unsigned int k, unsigned int m)
{
	unsigned int r, c;

	if (k < EC_MIN_K || k > EC_MAX_K || m < EC_MIN_M || m > EC_MAX_M)
		return -EINVAL;

	memset(code, 0, sizeof(*code));
	code->k = k;
	code->m = m;
	code->encode.rows = m;
	code->encode.cols = k;
	code->encode.ones = true;
	for (c = 0; c < k; c++)
		for (r = 0; r < m; r++)
			code->encode.coef[c][r] = ec_coef(r, c);
	spin_lock_init(&code->lock);
	return 0;
}

/**
 * ec_encode - make all parities of a piece of a row
 * @sec: the section this runs in
 * @code: the code
 * @len: bytes of each buffer
 * @data: @code->k buffers
 * @parity: @code->m buffers, overwritten
 */
void ec_encode(struct gf256_section *sec, const struct ec_code *code,
	       size_t len, const u8 *const *data, u8 *const *parity)
{
	gf256_dot(sec, &code->encode, len, data, parity);
}

/**
 * ec_update - put the change of one data block into the parities
 * @sec: the section this runs in
 * @code: the code
 * @len: bytes of each buffer
 * @leg: the data leg that changes
 * @delta: old content XOR new content
 * @parity: @code->m buffers, updated in place; NULL for those not to be
 */
void ec_update(struct gf256_section *sec, const struct ec_code *code,
	       size_t len, unsigned int leg, const u8 *delta,
	       u8 *const *parity)
{
	u8 coef[EC_MAX_M], *dst[EC_MAX_M];
	unsigned int r, rows = 0;

	GF256_WARN_ON(leg >= code->k);
	for (r = 0; r < code->m; r++)
		if (parity[r]) {
			coef[rows] = code->encode.coef[leg][r];
			dst[rows++] = parity[r];
		}
	if (rows)
		gf256_add(sec, coef, rows, len, delta, dst);
}

/*
 * Invert @a, n x n, into @inv by Gauss-Jordan elimination; @a is destroyed.
 * -EDOM if it is singular.
 */
static int ec_invert(u8 a[EC_MAX_M][EC_MAX_M], u8 inv[EC_MAX_M][EC_MAX_M],
		     unsigned int n)
{
	unsigned int row, col, i;

	memset(inv, 0, EC_MAX_M * EC_MAX_M);
	for (i = 0; i < n; i++)
		inv[i][i] = 1;

	for (col = 0; col < n; col++) {
		u8 f;

		for (row = col; row < n && !a[row][col]; row++)
			;
		if (row == n)
			return -EDOM;

		for (i = 0; i < n; i++) {
			u8 t = a[col][i];

			a[col][i] = a[row][i];
			a[row][i] = t;
			t = inv[col][i];
			inv[col][i] = inv[row][i];
			inv[row][i] = t;
		}

		f = gf256_inv(a[col][col]);
		for (i = 0; i < n; i++) {
			a[col][i] = gf256_mul(f, a[col][i]);
			inv[col][i] = gf256_mul(f, inv[col][i]);
		}

		for (row = 0; row < n; row++) {
			f = a[row][col];
			if (row == col || !f)
				continue;
			for (i = 0; i < n; i++) {
				a[row][i] ^= gf256_mul(f, a[col][i]);
				inv[row][i] ^= gf256_mul(f, inv[col][i]);
			}
		}
	}
	return 0;
}

/* The @n lowest bits that are set in @mask. */
static u32 ec_lowest(u32 mask, unsigned int n)
{
	u32 out = 0;

	while (n--) {
		out |= mask & -mask;
		mask &= mask - 1;
	}
	return out;
}

/* Coefficients of @plan, whose masks are set. */
static int ec_make_matrix(const struct ec_code *code, struct ec_plan *plan)
{
	const u8 (*enc)[EC_MAX_M] = code->encode.coef;
	u32 data = plan->sources & (BIT(code->k) - 1);
	u32 left, wanted;
	u8 parity[EC_MAX_M], lost[EC_MAX_M];
	u8 a[EC_MAX_M][EC_MAX_M], inv[EC_MAX_M][EC_MAX_M];
	/* Of each lost data leg, over the sources in order. */
	u8 coef[EC_MAX_M][EC_MAX_K];
	unsigned int n = 0, i, j, p, col, row;
	int r;

	for (left = plan->sources >> code->k; left; left &= left - 1)
		parity[n++] = __ffs(left);
	for (i = 0, left = ~data; i < n; i++, left &= left - 1)
		lost[i] = __ffs(left);

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			a[i][j] = enc[lost[j]][parity[i]];
	r = ec_invert(a, inv, n);
	if (r)
		return r;

	for (i = 0; i < n; i++) {
		for (col = 0, left = data; left; col++, left &= left - 1) {
			u8 v = 0;

			for (p = 0; p < n; p++)
				v ^= gf256_mul(inv[i][p],
					       enc[__ffs(left)][parity[p]]);
			coef[i][col] = v;
		}
		for (p = 0; p < n; p++)
			coef[i][col + p] = inv[i][p];
	}

	memset(&plan->mat, 0, sizeof(plan->mat));
	plan->mat.cols = code->k;
	plan->mat.rows = hweight32(plan->wanted);
	plan->mat.ones = true;
	for (row = 0, wanted = plan->wanted; wanted; row++, wanted &= wanted - 1) {
		unsigned int leg = __ffs(wanted);

		for (col = 0, left = plan->sources; left; col++, left &= left - 1) {
			unsigned int from = __ffs(left);
			u8 v = 0;

			for (i = 0; i < n; i++)
				if (leg >= code->k)
					v ^= gf256_mul(enc[lost[i]][leg - code->k],
						       coef[i][col]);
				else if (leg == lost[i])
					v = coef[i][col];
			if (leg >= code->k && from < code->k)
				v ^= enc[from][leg - code->k];

			plan->mat.coef[col][row] = v;
			if (!row && v != 1)
				plan->mat.ones = false;
		}
	}
	return 0;
}

/**
 * ec_make_plan - how to rebuild legs of a row
 * @code: the code
 * @present: mask of the legs whose content can be read
 * @wanted: mask of the legs to be made, data or parity, none of @present
 * @plan: the result; tells in @plan->sources which K legs have to be read
 *
 * Context: any but an interrupt; takes @code->lock. Not in a section where
 * that can be helped: it takes about a microsecond where the plan is new.
 * Return: 0; -EINVAL if @wanted is empty, names a leg that is present or not
 * of the code, or if fewer than K legs are present.
 */
int ec_make_plan(struct ec_code *code, u32 present, u32 wanted,
		 struct ec_plan *plan)
{
	u32 all = BIT(code->k + code->m) - 1;
	u32 data = present & (BIT(code->k) - 1);
	u32 sources, slot;
	int r;

	if (!wanted || (present | wanted) & ~all || present & wanted ||
	    hweight32(present) < code->k)
		return -EINVAL;

	sources = data | ec_lowest(present & ~data, code->k - hweight32(data));

	slot = (sources * 0x9e3779b1u ^ wanted * 0x85ebca6bu) >> 16;
	slot %= EC_CACHED_PLANS;

	spin_lock(&code->lock);
	if (code->cache[slot].sources == sources &&
	    code->cache[slot].wanted == wanted) {
		*plan = code->cache[slot];
		spin_unlock(&code->lock);
		return 0;
	}
	spin_unlock(&code->lock);

	plan->sources = sources;
	plan->wanted = wanted;
	r = ec_make_matrix(code, plan);
	if (r) {
		GF256_WARN_ON(r); /* The code is MDS. */
		return -EINVAL;
	}

	spin_lock(&code->lock);
	code->cache[slot] = *plan;
	spin_unlock(&code->lock);
	return 0;
}

/**
 * ec_rebuild - make the wanted legs of a piece of a row
 * @sec: the section this runs in
 * @plan: from ec_make_plan()
 * @len: bytes of each buffer
 * @legs: K+M buffers by leg; those of @plan->sources are read, those of
 *	@plan->wanted overwritten, others not looked at
 */
void ec_rebuild(struct gf256_section *sec, const struct ec_plan *plan,
		size_t len, u8 *const *legs)
{
	const u8 *src[EC_MAX_K];
	u8 *dst[EC_MAX_M];
	unsigned int n;
	u32 left;

	for (n = 0, left = plan->sources; left; left &= left - 1)
		src[n++] = legs[__ffs(left)];
	for (n = 0, left = plan->wanted; left; left &= left - 1)
		dst[n++] = legs[__ffs(left)];
	gf256_dot(sec, &plan->mat, len, src, dst);
}
