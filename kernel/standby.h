/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool in standby.
 */
#ifndef QBD_STANDBY_H
#define QBD_STANDBY_H

#include <linux/mutex.h>
#include <linux/workqueue.h>

struct qbd_pool;

/**
 * struct qbd_standby - a pool that another host owns, and will hand over
 * @mutex: what the superblocks and tables say, until this host owns the pool
 * @at: the device whose heartbeat was looked at
 * @claim_at: when to claim a pool that is not released as a whole; 0: it was not so
 */
struct qbd_standby {
	struct mutex mutex;	/* see above */
	struct delayed_work work;
	u64 nonce;
	u64 counter;
	void *block;
	unsigned int looks;
	unsigned int at;
	u64 claim_at;
};

/* standby.c */
void qbd_standby_init(struct qbd_pool *pool);
void qbd_standby_exit(struct qbd_pool *pool);
int qbd_standby_start(struct qbd_pool *pool);
void qbd_standby_stop(struct qbd_pool *pool);
int qbd_standby_load(struct qbd_pool *pool);
u64 qbd_standby_find(struct qbd_pool *pool, char *host);
int qbd_standby_hand_over(struct qbd_pool *pool, const char **error);

#endif
