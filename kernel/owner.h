/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns a pool: may this host write, and how it comes to that.
 */
#ifndef QBD_OWNER_H
#define QBD_OWNER_H

#include <linux/ktime.h>

#include <qbd/format.h>

#include "lease.h"
#include "pool.h"

struct qbd_backend;

/* owner.c */
int qbd_owner_init(struct qbd_pool *pool);
void qbd_owner_exit(struct qbd_pool *pool);
int qbd_heartbeat_read(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h);
int qbd_heartbeat_write(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h);
void qbd_owner_begin(struct qbd_pool *pool, u64 since);
void qbd_owner_members(struct qbd_pool *pool);
bool qbd_owner_may_raise(struct qbd_pool *pool, u64 in);
bool qbd_owner_lost(struct qbd_pool *pool, const char *how);
bool qbd_owner_orphans(struct qbd_pool *pool);
int qbd_owner_release(struct qbd_pool *pool, u64 next);
const char *qbd_owner_status(struct qbd_pool *pool);

/* May this host write to the pool's backends now? One comparison; any context. */
static inline bool qbd_owner_has(const struct qbd_pool *pool)
{
	u64 deadline = READ_ONCE(pool->lease.deadline);

	return deadline == U64_MAX || ktime_get_boottime_ns() < deadline;
}

/* Is it for this host to say who is in? It may find that its lease has run out. */
static inline bool qbd_owner_acts(const struct qbd_pool *pool)
{
	enum qbd_lease_state state = READ_ONCE(pool->lease.state);

	return state == QBD_LEASE_NONE || state == QBD_LEASE_OWNS;
}

/* takeover.c */
u64 qbd_nonce_new(void);
u64 qbd_nonce_keep(struct qbd_pool *pool);
void qbd_nonces_exit(void);
void qbd_takeover_begin(struct qbd_pool *pool);
int qbd_takeover(struct qbd_pool *pool);
int qbd_takeover_handed(struct qbd_pool *pool, u64 nonce);
bool qbd_takeover_mine(const struct qbd_pool *pool, const struct qbd_heartbeat *h);
bool qbd_takeover_left(struct qbd_pool *pool, bool *all);

#endif
