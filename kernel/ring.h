/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring: batches of records, and where they go.
 */
#ifndef QBD_RING_H
#define QBD_RING_H

#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <qbd/format.h>

struct page;
struct qbd_pool;

#define QBD_BATCH_BLOCKS	64	/* of the ring, written at a time */

/* Blocks that are written together: the ring has two, and fills one meanwhile. */
struct qbd_batch {
	u8 *blocks;
	struct qbd_ring_block *heads;
	unsigned int max_blocks;
	unsigned int nr_blocks;		/* begun; the last may have room */
	u64 last_lsn;
};

struct qbd_ring {
	spinlock_t lock;		/* all of it */
	wait_queue_head_t wait;
	struct work_struct work;
	struct qbd_batch batch[2];
	struct qbd_batch *open;		/* taking records; the other may be in flight */
	struct qbd_batch *sending;	/* up to next_block; NULL: nothing is */
	u64 sending_tail;
	u64 next_lsn;
	u64 next_block;
	u64 tail;		/* oldest block needed, as the next blocks will say */
	u64 durable_tail;	/* as durable blocks say: what lies before is free */
	u64 durable_lsn;	/* and applied */
	u64 durable_block;	/* the one after it */
	u64 checked;	/* records before this block are in pages, by the last checkpoint */
	u64 checked_lsn;
	u32 capacity;
	u32 spared;	/* blocks of the half that is not kept: destage-stuck.c */
	atomic_t waiting;	/* for room */
	u32 promised;		/* blocks, to those who were admitted with data */
	u32 max_named;		/* bounds, so that what must fit always does */
	u32 max_ranges;
	u32 max_pending;
	bool paused;		/* records wait for a new generation */
	bool stalled;		/* what is sent waits for a member: kept.c */
	int error;		/* no further record can be written */
};

/* Can nothing be recorded now? */
static inline bool qbd_ring_down(const struct qbd_ring *ring)
{
	return READ_ONCE(ring->stalled) || READ_ONCE(ring->error);
}

/* ring.c */
int qbd_ring_init(struct qbd_pool *pool);
void qbd_ring_exit(struct qbd_pool *pool);
int qbd_batch_init(struct qbd_batch *batch, unsigned int max_blocks);
void qbd_batch_exit(struct qbd_batch *batch);
u64 qbd_batch_add(struct qbd_batch *batch, u64 *next_lsn, struct qbd_record *r,
		  struct page *const *pages, u32 bytes);
void qbd_batch_seal(struct qbd_pool *pool, struct qbd_batch *batch, u64 generation, u64 first,
		    u64 tail);
u64 qbd_batch_send(struct qbd_pool *pool, struct qbd_batch *batch, u64 first, u64 which);
bool qbd_ring_promise(struct qbd_pool *pool, u32 blocks);
bool qbd_ring_promise_spared(struct qbd_pool *pool, u32 blocks, u32 more);
void qbd_ring_unpromise(struct qbd_pool *pool, u32 blocks);
u64 qbd_ring_append_block(struct qbd_pool *pool, struct qbd_record *r,
			  struct page *const *pages, u32 bytes);
unsigned int qbd_ring_used(struct qbd_pool *pool);
u64 qbd_ring_append(struct qbd_pool *pool, struct qbd_record *record);
int qbd_ring_wait(struct qbd_pool *pool, u64 lsn);
int qbd_ring_admit(struct qbd_pool *pool);
int qbd_ring_record(struct qbd_pool *pool, struct qbd_record *record);
u64 qbd_ring_last(struct qbd_pool *pool);
void qbd_ring_position(struct qbd_pool *pool, u64 *lsn, u64 *block);
void qbd_ring_checked(struct qbd_pool *pool, u64 lsn, u64 block);
bool qbd_ring_trim(struct qbd_pool *pool);
void qbd_ring_relieve(struct qbd_pool *pool);
int qbd_ring_pause(struct qbd_pool *pool);
void qbd_ring_resume(struct qbd_pool *pool);
void qbd_ring_move(struct qbd_pool *pool, u64 tail, u64 next);
void qbd_ring_tail(struct qbd_pool *pool, u64 block);
void qbd_ring_start(struct qbd_pool *pool, u64 lsn, u64 block);
void qbd_ring_fail(struct qbd_pool *pool, int error);
bool qbd_ring_stop(struct qbd_pool *pool, int error);
bool qbd_ring_retry(struct qbd_pool *pool);

/* generation.c */
u64 qbd_ring_choose(struct qbd_pool *pool, unsigned int m);
int qbd_ring_extend(struct qbd_pool *pool, unsigned int m);

/* apply.c */
void qbd_apply(struct qbd_pool *pool, u64 lsn, const struct qbd_record *record);

#endif
