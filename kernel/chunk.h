/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chunk in use: its rows' locks, its active ranges, its records.
 */
#ifndef QBD_CHUNK_H
#define QBD_CHUNK_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <qbd/format.h>

struct qbd_csum_page;
struct qbd_layer;
struct qbd_map;
struct qbd_pool;

#define QBD_MAX_RANGES	64	/* of a chunk */
#define QBD_RANGE_BYTES	(1024u << 10)	/* of user data, about */

/* About 1 MiB of a chunk. Guarded by chunk->lock. */
struct qbd_range {
	u64 lsn;		/* of its last record; 0 when not active */
	u8 torn;		/* a write failed in it, and was not settled: kept.c */
	u32 inflight;		/* writes */
	u32 done_in;		/* number of the flush in or before which one ended */
};

/* Rows of a chunk that one request has for itself; others wait in order. */
struct qbd_row_lock {
	struct list_head list;
	u32 first;
	u32 last;
	bool granted;
	struct completion *wait;
};

/* A place in pool->named: of a chunk, or of a walk (chunk is NULL). */
struct qbd_named {
	struct list_head list;
	struct qbd_chunk *chunk;
};

/**
 * struct qbd_chunk - a chunk in use
 * @map: NULL while the chunk does not exist; stays valid as long as this does
 * @new_map: made for a record that will make the chunk
 * @dead: freed; look it up again
 * @unreconciled: ranges that stay active, for at the start too few legs were there to
 *	make their rows whole: nobody may use the chunk (reconcile.c). Not in nr_ranges
 * @mutex: its chunk records, and loading of its checksums
 * @record_lsn: its last chunk record; the next one waits until it is in effect
 * @lsn: the last record that named it; it is on pool->named while that may not
 *	be in pages (both under named_lock)
 */
struct qbd_chunk {
	struct qbd_layer *layer;
	u32 number;
	atomic_t refs;
	bool dead;
	bool used;
	bool pooled;
	bool csum_damaged;	/* a copy of its table could not be read */
	bool given_up;		/* at the start, when fewer than K legs were there */
	u64 unreconciled;
	struct qbd_map *map;
	struct qbd_map *new_map;

	struct mutex mutex;		/* see above */
	u64 record_lsn;
	struct qbd_record record;

	spinlock_t lock;		/* ranges, row locks, checksums, map at its change */
	struct list_head row_locks;
	struct qbd_csum_page **csums;	/* layer->csum_pages of them, NULL: not read */
	struct qbd_csum_page **spares;	/* memory for those: csum-page.c */
	struct rb_root journal;		/* struct qbd_journal_row by row; see journal.c */

	struct qbd_named named;
	u64 lsn;
	struct list_head idle;
	struct rcu_head rcu;
	struct qbd_range ranges[];
};

/* chunk-cache.c */
size_t qbd_chunk_bytes(u32 nr_ranges, u32 csum_pages);
struct qbd_chunk *qbd_chunk_find(struct qbd_layer *layer, u32 number);
struct qbd_chunk *qbd_chunk_get(struct qbd_layer *layer, u32 number, gfp_t gfp);
void qbd_chunk_put(struct qbd_chunk *chunk);
void qbd_chunk_reap(struct work_struct *work);
int qbd_chunks_init(struct qbd_pool *pool);
void qbd_chunks_stop(struct qbd_pool *pool);
void qbd_chunks_exit(struct qbd_pool *pool);
void qbd_chunk_named(struct qbd_chunk *chunk, u64 lsn);
bool qbd_chunk_forget(struct qbd_chunk *chunk, u64 lsn);
void qbd_chunk_unnamed(struct qbd_chunk *chunk);

/* row-lock.c */
bool qbd_chunk_try_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first,
			u32 last);
void qbd_chunk_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first, u32 last);
bool qbd_chunk_lock_row(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 row, bool wait);
void qbd_chunk_unlock(struct qbd_chunk *chunk, struct qbd_row_lock *lock);

/* chunk.c */
u32 qbd_chunk_current(const struct qbd_chunk *chunk);
u32 qbd_chunk_writable(const struct qbd_chunk *chunk);
bool qbd_chunk_lost(const struct qbd_chunk *chunk);
bool qbd_chunk_settled(const struct qbd_chunk *chunk);
bool qbd_chunk_quiet(const struct qbd_chunk *chunk);
void qbd_chunk_record(const struct qbd_chunk *chunk, struct qbd_record *r, u8 op);
u64 qbd_chunk_append(struct qbd_chunk *chunk);
u64 qbd_chunk_stamp(struct qbd_chunk *chunk);
bool qbd_chunk_try_ranges(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_chunk_end_ranges(struct qbd_chunk *chunk, u32 first, u32 last);
u64 qbd_chunk_append_ranges(struct qbd_chunk *chunk, u64 gen, u32 first, u32 last);
int qbd_chunk_prepare(struct qbd_chunk *chunk, u32 first, u32 last, bool ranges);
int qbd_chunk_settle(struct qbd_chunk *chunk);
int qbd_chunk_free(struct qbd_chunk *chunk);

#endif
