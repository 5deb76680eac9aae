/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What makes chunks right in the background or at the start (resync, scrub, reconcile),
 * and how far it is.
 */
#ifndef QBD_RESYNC_H
#define QBD_RESYNC_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

struct qbd_chunk;
struct qbd_map;
struct qbd_pool;
struct qbd_rows;

/* Of a resync, a scrub, a reconcile; abi.h tells what is counted. */
struct qbd_progress {
	atomic64_t done;
	atomic64_t todo;
	atomic64_t bytes;
	atomic64_t bad;
	atomic64_t repaired;
	bool running;
	bool stop;
	bool again;	/* what is counted goes on */
};

/* reconcile.c */
int qbd_reconcile_rows(struct qbd_rows *rows, bool replay);
int qbd_reconcile_range(struct qbd_chunk *chunk, u32 range);
int qbd_reconcile_late(struct qbd_chunk *chunk, void *context);

/* resync.c, scrub.c */
int qbd_chunks_each(struct qbd_pool *pool,
		    bool (*wanted)(struct qbd_pool *pool, const struct qbd_map *map),
		    int (*fn)(struct qbd_chunk *chunk));
u64 qbd_chunks_count(struct qbd_pool *pool,
		     bool (*wanted)(struct qbd_pool *pool, const struct qbd_map *map));
void qbd_resync_work(struct work_struct *work);
void qbd_scrub_work(struct work_struct *work);

#endif
