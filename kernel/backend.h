/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One block device of a pool: what is known of it, its deadline and its orphans, how
 * fast it is.
 */
#ifndef QBD_BACKEND_H
#define QBD_BACKEND_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include <qbd/format.h>

#include "compat.h"
#include "pool.h"

struct qbd_bio;
struct qbd_chunk;
struct qbd_latency;
struct qbd_owner;
struct qbd_slot_page;
struct qbd_wait;

#define QBD_DEADLINE_MS	15000u	/* of remote backends, unless someone says otherwise */
#define QBD_MAX_DEADLINE_MS	3600000u

/* Statistics of a backend that are errors; for people, never for decisions. */
struct qbd_backend_stats {
	atomic64_t read_errors;
	atomic64_t write_errors;
	atomic64_t csum_errors;
	atomic64_t repaired;
};

/**
 * struct qbd_backend - one block device of a pool
 * @bdev: open; bdev.bdev is NULL while the device is absent
 * @pool: NULL once the pool let go of it while it had orphans
 * @unflushed: a write completed since the last flush began
 * @since_lsn: records up to this one were in effect before the pool had it
 * @reopening: it gets another device, and nobody may send it anything
 * @queue: bios with a deadline that are to be sent, oldest first
 * @sent: those that were, likewise
 * @orphans: requests that were not answered in time, and are not yet answered
 * @timeouts: how many there ever were
 * @owners: who has each slot; NULL while the backend is absent
 * @used: slots that cannot be given out: owned, reserved, or not yet quiet
 * @slot_dirty: pages of the slot table to write
 * @slots_doubtful: pages whose newest place could not be read when they were
 */
struct qbd_backend {
	struct qbd_pool *pool;
	unsigned int index;
	u64 same_host;		/* backends on its host, itself included */
	struct qbd_bdev bdev;
	char name[BDEVNAME_SIZE];
	struct qbd_geometry geometry;
	u64 super_seq;
	void *super_buffer;
	unsigned int unflushed;
	u64 since_lsn;
	bool reopening;
	atomic_t inflight;
	u32 latency_ns;		/* of reads, smoothed */
	struct qbd_latency *latency;
	struct qbd_backend_stats stats;
	u32 errors;		/* against its limit; under limit_lock */
	time64_t errors_since;
	struct bio_set bios;
	mempool_t copies;	/* pages for metadata of one with a deadline */

	spinlock_t lock;	/* up to @timeouts: orphan.c */
	struct list_head queue;
	struct list_head sent;
	struct timer_list timer;
	struct workqueue_struct *send_wq;	/* NULL: it never had a deadline */
	struct work_struct send_work;
	unsigned long deadline;	/* jiffies; 0: none */
	unsigned int deadline_ms;
	unsigned int orphans;
	u64 timeouts;
	struct list_head left;
	struct work_struct close_work;

	struct qbd_owner *owners;
	unsigned long *used;
	u32 nr_free;
	u32 next;
	struct qbd_slot_page *slot_pages;
	unsigned long *slot_dirty;
	u32 slots_doubtful;
};

/* That at an index, in or not; but for the time in which it gets another device. */
static inline struct qbd_backend *qbd_backend_at(struct qbd_pool *pool, unsigned int i)
{
	struct qbd_backend *b = READ_ONCE(pool->backend[i]);

	/* Then the device is seen that it got: reopen_kept(). */
	return b && !smp_load_acquire(&b->reopening) ? b : NULL;
}

static inline struct qbd_backend *qbd_backend_in(struct qbd_pool *pool, unsigned int i)
{
	return i < QBD_MAX_BACKENDS && (READ_ONCE(pool->in) & BIT_ULL(i)) ?
	       qbd_backend_at(pool, i) : NULL;
}

/* backend.c */
struct qbd_backend *qbd_backend_open(struct qbd_pool *pool, const char *path,
				     struct qbd_super *super, const char **error);
struct qbd_backend *qbd_backend_open_empty(struct qbd_pool *pool, const char *path,
					   const char **error);
void qbd_backend_close(struct qbd_backend *b);
void qbd_backend_free(struct qbd_backend *b);
void qbd_backend_submit(struct qbd_backend *b, blk_opf_t opf, u64 offset, void *buffer,
			unsigned int bytes, struct qbd_wait *wait);
int qbd_backend_rw(struct qbd_backend *b, blk_opf_t opf, u64 offset, void *buffer,
		   unsigned int bytes);
u64 qbd_backend_flush(struct qbd_pool *pool, u64 which);

static inline u64 qbd_backend_data(const struct qbd_backend *b, u32 slot, u64 offset)
{
	return b->geometry.data_start +
	       (u64)slot * b->pool->members.extent_size + offset;
}

/* orphan.c */
void qbd_orphans_init(struct qbd_backend *b);
unsigned int qbd_deadline_default(struct block_device *bdev);
bool qbd_orphan_send(struct qbd_bio *qb);
bool qbd_orphan_answer(struct qbd_bio *qb);
bool qbd_orphans_leave(struct qbd_backend *b);
bool qbd_orphans_of(dev_t devt);
void qbd_page_free(struct page *page, mempool_t *pages);
int qbd_orphan_init(void);
void qbd_orphan_exit(void);
int qbd_deadline_set(struct qbd_backend *b, unsigned int ms);

/* What the table line or a message says of its deadline; its index is known. */
static inline int qbd_backend_deadline(struct qbd_backend *b)
{
	u32 ms = READ_ONCE(b->pool->features.deadline_ms[b->index]);

	return ms == QBD_DEADLINE_DEFAULT ? 0 : qbd_deadline_set(b, ms);
}

/* Requests that hang in a backend: while there are any, nothing is sent to it. */
static inline unsigned int qbd_backend_orphans(const struct qbd_backend *b)
{
	return READ_ONCE(b->orphans);
}

/* latency.c */
void qbd_latency_init(struct qbd_pool *pool);
void qbd_latency_start(struct qbd_pool *pool);
void qbd_latency_stop(struct qbd_pool *pool);
int qbd_latency_alloc(struct qbd_backend *b);
void qbd_latency_free(struct qbd_backend *b);
void qbd_latency_begun(struct qbd_backend *b);
void qbd_latency_ended(struct qbd_backend *b, u64 ns);
u64 qbd_latency_late(const struct qbd_backend *b);
u32 qbd_latency_slow(const struct qbd_chunk *chunk);
void qbd_latency_get(const struct qbd_backend *b, u32 *p50_us, u32 *p99_us);

#endif
