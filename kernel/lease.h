/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lease of a host on a pool, and the heartbeats that it lives by.
 */
#ifndef QBD_LEASE_H
#define QBD_LEASE_H

#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <qbd/format.h>

struct qbd_pool;

enum qbd_lease_state {
	QBD_LEASE_NONE,		/* the pool has none: whoever has it open writes */
	QBD_LEASE_CLAIM,	/* to become the owner */
	QBD_LEASE_OWNS,
	QBD_LEASE_LOST,		/* it ran out, or another host has the pool */
	QBD_LEASE_RELEASED,
};

/**
 * struct qbd_beat - the heartbeat block of one member
 * @since: the last heartbeat that counts, from before it was read; 0: none
 * @strikes: it had another's nonce, over which ours was written
 * @read: what follows is known; used before this host owns the pool
 * @changed: it was another one the time before
 * @still: when it was first read as it is now
 * @still_for: how long after that it was read the last time
 */
struct qbd_beat {
	struct qbd_pool *pool;
	unsigned int index;
	struct delayed_work work;
	void *block;
	u64 counter;
	u64 since;
	unsigned int strikes;

	bool read;
	bool changed;
	int error;
	u32 token;
	u64 still;
	u64 still_for;
	struct qbd_heartbeat seen;
};

/**
 * struct qbd_lease - may this host write? owner.c explains. Times of CLOCK_BOOTTIME
 * @lock: all but @term, @nonce and what a beat's work has for itself
 * @deadline: until when anything may be written; read without the lock
 * @in: members by the last epoch that is durable
 */
struct qbd_lease {
	spinlock_t lock;	/* see above */
	enum qbd_lease_state state;
	u64 deadline;
	u64 term;
	u64 nonce;
	u64 in;
	struct qbd_beat *beats;
	wait_queue_head_t wait;
};

#endif
