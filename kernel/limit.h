/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much is borne of a backend before it is out, and for how long it then stays out.
 */
#ifndef QBD_LIMIT_H
#define QBD_LIMIT_H

#include <linux/time64.h>
#include <linux/types.h>

struct qbd_backend;
struct qbd_pool;

/* How often a backend failed lately; see limit.c. Under limit_lock. */
struct qbd_flap {
	u32 outs;
	time64_t out_at;
	time64_t in_at;
};

/* limit.c */
void qbd_limit_error(struct qbd_backend *b);
u32 qbd_limit_errors(struct qbd_backend *b);
void qbd_limit_out(struct qbd_pool *pool, unsigned int index);
void qbd_limit_in(struct qbd_pool *pool, unsigned int index, bool other);
unsigned int qbd_limit_held(struct qbd_pool *pool, unsigned int index, unsigned int *outs);

#endif
