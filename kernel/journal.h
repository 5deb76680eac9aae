/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal: rows whose blocks wait in the ring for their place, and who writes them there.
 */
#ifndef QBD_JOURNAL_H
#define QBD_JOURNAL_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <qbd/format.h>

struct page;
struct qbd_chunk;
struct qbd_destage;
struct qbd_journal_replay;
struct qbd_layer;
struct qbd_pool;
struct qbd_rows;

#define QBD_DESTAGE_FROM	40	/* percent of the journal's room: rows are destaged */

/* A data block of a row that waits in the ring for its place. */
struct qbd_journal_block {
	u64 lsn;		/* of its last piece */
	u32 csum;		/* as it will be in its place */
};

/**
 * struct qbd_journal_row - a row with live journal records; journal.c explains
 * @node: in chunk->journal; it and @live change under chunk->lock too, so that
 *	they can be looked at without the row
 * @list: in journal->rows; it, @seq, @pos, @later_pos, @promised and the flags are
 *	under journal->lock. All else is its whose who has the row locked
 * @live: mask of data legs
 * @seq: rises with each row that is made
 * @pos: a block of the ring at or before all of its records that are needed
 * @later_pos: the same of those appended since its destage began; U64_MAX: none
 * @promised: blocks of the ring for its destage
 * @destaging: the destage has it, and frees it
 * @unrecorded: its place has values that a flush has to record first
 * @trying: the round in which its last try began
 * @tried: the last round in which it was found that it cannot be destaged; if that is
 *	journal->round it is stuck: not tried again before the next one
 * @unread: backends that failed reads for that
 * @torn: a destage of all of it failed in the middle
 * @begun: blocks of a destage that has its record, until it is done or given up
 * @begun_times: pool->kept_times before they were written to their place
 * @begun_torn: they were not, or not all of them
 * @gone: out of the tree; its chunk was freed
 * @pages: k * block_pages, those of live blocks
 */
struct qbd_journal_row {
	struct rb_node node;
	struct list_head list;
	struct qbd_chunk *chunk;
	u32 row;
	u32 live;
	u32 promised;
	u32 skip;
	bool pooled;
	bool destaging;
	bool unrecorded;
	bool torn;
	bool gone;
	u64 seq;
	u64 trying;
	u64 tried;
	u64 unread;
	u64 pos;
	u64 later_pos;
	struct qbd_journal_replay *replay;
	struct qbd_rows *begun;
	u32 begun_times;
	bool begun_torn;
	struct qbd_journal_block blocks[QBD_MAX_K];
	struct page *pages[];
};

#define QBD_DESTAGERS	2	/* one flushes while the other reads and writes */

/**
 * struct qbd_destager - one of those who write rows to their place; destage.c
 * @rows: its batch
 * @stuck: rows that it puts into the ring anew
 * @nr_begun: rows at the start of it whose destage is to be completed
 * @number: of its batch
 */
struct qbd_destager {
	struct qbd_pool *pool;
	struct work_struct work;
	struct qbd_destage *rows;
	struct qbd_stuck *stuck;
	u32 nr_begun;
	u32 number;
};

/**
 * struct qbd_journal - rows with live records
 * @nr_pages: in live blocks, or reserved for some
 * @goal: rows up to this seq are destaged however empty the ring is
 * @idle_goal: the last one when the timer ended last
 * @batch: number of the last batch
 * @max_batch: rows of a batch
 * @round: of tries; begins at 1, see destage-stuck.c
 * @round_lasts: jiffies from @round_begun until the next one begins unasked
 * @stuck: some rows are
 * @outage: rows are stuck for that
 * @passing: a worker puts rows into the ring anew
 * @vain: how often all was done to make room for those who wait for it
 * @next_vain: when that may be done again, in jiffies
 */
struct qbd_journal {
	spinlock_t lock;	/* all but the mutexes, the pools, wait and the work items */
	struct list_head rows;
	u64 seq;
	u64 goal;
	u64 idle_goal;
	u32 nr_rows;
	u32 nr_pages;
	u32 max_pages;
	u32 batch;
	u32 max_batch;
	bool ended;
	u64 round;
	u64 round_begun;
	u32 round_lasts;
	bool stuck;
	bool outage;
	bool passing;
	u64 vain;
	u64 next_vain;
	struct mutex room_mutex;	/* who waits for room waits in order of arrival */
	struct mutex space_mutex;	/* one waits for pages at a time */
	mempool_t pages;
	mempool_t row_pool;
	wait_queue_head_t wait;
	struct delayed_work idle_work;
	struct qbd_destager destagers[QBD_DESTAGERS];
	atomic_t nr_begun;		/* rows that have @begun */
	atomic64_t destaged;		/* rows, ever */
};

/* What a write may take of the journal; it asked before it locked anything. */
struct qbd_journal_space {
	u32 blocks;		/* of the ring, promised for data */
	u32 destages;		/* and for destages */
	u32 nr_pages;
	u32 nr_rows;
	struct list_head pages;
	struct list_head rows;
};

/* journal.c */
int qbd_journal_init(struct qbd_pool *pool);
void qbd_journal_exit(struct qbd_pool *pool);
void qbd_journal_layer(struct qbd_layer *layer);
struct qbd_journal_row *qbd_journal_find(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_has(struct qbd_chunk *chunk, u32 first, u32 last);
u32 qbd_journal_live(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_torn(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_unplaced(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_wants(struct qbd_chunk *chunk, u32 row, u32 whole);
bool qbd_journal_straight(struct qbd_chunk *chunk, u32 first, u32 last);
u32 qbd_journal_room(u32 pages);
u32 qbd_journal_max_rows(const struct qbd_layer *layer);
int qbd_journal_reserve(struct qbd_layer *layer, u32 nr_rows, u32 nr_blocks,
			struct qbd_journal_space *space);
void qbd_journal_unreserve(struct qbd_layer *layer, struct qbd_journal_space *space);
struct qbd_journal_row *qbd_journal_add(struct qbd_chunk *chunk, u32 row,
					struct qbd_journal_row *jr);
struct qbd_record qbd_journal_record(const struct qbd_chunk *chunk, u32 row, u32 leg, u32 csum);
void qbd_journal_append(struct qbd_rows *rows, u32 row, struct qbd_journal_space *space);
void qbd_journal_copy(struct qbd_rows *rows, u32 row, u32 legs);
void qbd_journal_drop(struct qbd_journal_row *jr, u32 legs);
void qbd_journal_free(struct qbd_journal_row *jr);
void qbd_journal_forget(struct qbd_chunk *chunk);
u64 qbd_journal_tail(struct qbd_pool *pool, u64 block);
void qbd_journal_moved(struct qbd_pool *pool, u64 by);

/* destage.c */
int qbd_destage_init(struct qbd_pool *pool);
void qbd_destage_exit(struct qbd_pool *pool);
bool qbd_destage_soon(struct qbd_pool *pool);
void qbd_destage_complete(struct qbd_pool *pool);
void qbd_destage_idle(struct qbd_pool *pool);
bool qbd_destage_begin(struct qbd_pool *pool);
int qbd_destage_all(struct qbd_pool *pool, u64 *unread);

/* destage-stuck.c */
void qbd_destage_again(struct qbd_pool *pool);
u64 qbd_destage_in_vain(struct qbd_pool *pool);

/* destage-batch.c */
int qbd_destage_settle(const struct qbd_rows *rows);

/* journal-replay.c */
int qbd_journal_replay(struct qbd_chunk *chunk, u64 lsn, const struct qbd_record *r);
int qbd_journal_rewrite(struct qbd_pool *pool);
void qbd_journal_replay_free(struct qbd_journal_row *jr);
int qbd_journal_carry(struct qbd_pool *pool, u64 members, u64 generation, u64 *lsn,
		      u64 *block);

#endif
