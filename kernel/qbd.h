/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: How the parts fit
 *
 *	bio -> target -> chunk -> read | write | flush | discard -> backend
 *
 * A pool owns backends, the ring, the tables and the layers. A layer maps chunk
 * numbers to legs (struct qbd_map, small, one for each chunk that exists) and
 * holds the chunks in use (struct qbd_chunk, large, only while there is I/O or
 * something unwritten: row locks, active ranges, checksums).
 *
 * What is on disk changes by ring records only. Whoever wants a change appends a
 * record and waits for its LSN; the ring writes records in batches and, when a
 * batch is durable, applies it (apply.c) in the order of LSNs. The same code
 * applies records at replay.
 *
 * Contexts. Fast paths run in map() and in bio completion and never sleep. All
 * that may wait runs in work items, and simply waits:
 *	io_wq		slow reads and writes, discards: hold row locks, wait for all below
 *	kept_wq		backends that failed and stay in: waits as io_wq does
 *	settle_wq	ends of writes that failed somewhere, or with FUA: wait for member
 *			changes and the ring
 *	flush_wq	flush batches: wait for backends, ring and member changes
 *	checkpoint_wq	checkpoints: wait for a flush and for pages
 *	journal_wq	destages, two at a time: wait as io_wq does, for a flush, and for a
 *			checkpoint
 *	repair_wq	resync, scrub, freeing of deleted volumes: wait as io_wq does
 *	stamp_wq	stamps: the ring
 *	ring_wq		ring batches: wait for backends, and for epochs, not for stamps
 *	member_wq	epochs: superblocks only
 *	owner_wq	heartbeats: their blocks only
 *	event_wq	events of device mapper: nothing
 * Each waits only for those below it and for bios. An item that waits for room in
 * the ring holds no lock that a checkpoint needs.
 *
 * Locks, outermost first: pool->meta_sem, row lock, chunk->mutex, member_lock,
 * epoch_sem, chunk->lock, pool->map_lock, pool->slot_lock, ring->lock,
 * backend->lock. The last five are spinlocks; chunk->lock and backend->lock are taken
 * in interrupts.
 */
#ifndef QBD_QBD_H
#define QBD_QBD_H

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <qbd/abi.h>
#include <qbd/format.h>

#include "compat.h"
#include "ec.h"

#define DM_MSG_PREFIX "qbd"

#define QBD_CACHE_MB	64	/* of checksums, unless the table says otherwise */
#define QBD_ERROR_LIMIT	64	/* reads of a backend that fail or are wrong, ... */
#define QBD_ERROR_SECONDS 60	/* ... in this time */
#define QBD_RESYNC_LEAST 4096	/* KiB/s, beside users */
#define QBD_SLOW_FACTOR	8	/* times as slow as others: slow */
#define QBD_MAX_SECONDS	(7u * 24 * 3600)	/* in a setting */
#define QBD_HOLD_OFF	30	/* seconds, of a backend that failed a third time */
#define QBD_MAX_RANGES	64	/* of a chunk */
#define QBD_RANGE_BYTES	(1024u << 10)	/* of user data, about */
#define QBD_BATCH_BLOCKS	64	/* of the ring, written at a time */
#define QBD_DEADLINE_MS	15000u	/* of remote backends, unless someone says otherwise */
#define QBD_MAX_DEADLINE_MS	3600000u
#define QBD_DESTAGE_FROM	40	/* percent of the journal's room: rows are destaged */
#define QBD_FAST_READ	(16u << 10)	/* verified in the completion up to here */

struct qbd_latency;
struct qbd_layer;
struct qbd_pool;
struct qbd_rows;

/* Statistics of a backend that are errors; for people, never for decisions. */
struct qbd_backend_stats {
	atomic64_t read_errors;
	atomic64_t write_errors;
	atomic64_t csum_errors;
	atomic64_t repaired;
};

/* How often a backend failed lately; see limit.c. Under limit_lock. */
struct qbd_flap {
	u32 outs;
	time64_t out_at;
	time64_t in_at;
};

/* Who has a slot. layer 0: nobody. */
struct qbd_owner {
	u32 layer;
	u32 chunk;
};

/* What is known of a page of a backend's slot table. Guarded by slot_lock. */
struct qbd_slot_page {
	u64 lsn;
	u64 seq;
	u32 round;		/* in which it was written last */
	bool alone;		/* as it was read; see qbd_page_newest() */
};

/**
 * struct qbd_backend - one block device of a pool
 * @bdev: open; bdev.bdev is NULL while the device is absent
 * @pool: NULL once the pool let go of it while it had orphans
 * @unflushed: a write completed since the last flush began
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

/* A volume or layer table: small, whole in memory, the same on all backends. */
struct qbd_table {
	u32 type;
	u32 nr_pages;
	struct qbd_table_page {
		u64 lsn;
		bool dirty;
		u8 *payload;
		u32 round;		/* in which it was written last */
		u64 sent;		/* to these backends */
		u64 seq[QBD_MAX_BACKENDS];	/* of each backend's copy */
	} *pages;
};

/* A leg's place: what a map keeps for each, in one word so that it changes at once. */
#define QBD_LEG_NONE	0ull

static inline u64 qbd_leg_make(unsigned int backend, u32 slot, unsigned int state)
{
	return (u64)slot << 32 | backend << 8 | state;
}

static inline unsigned int qbd_leg_backend(u64 leg)
{
	return (leg >> 8) & 0xff;
}

static inline u32 qbd_leg_slot(u64 leg)
{
	return leg >> 32;
}

static inline unsigned int qbd_leg_state(u64 leg)
{
	return leg & 0xff;
}

/**
 * struct qbd_map - where the legs of a chunk are
 *
 * One for each chunk that exists, 24 bytes and 8 a leg. Made and changed by
 * apply.c under map_lock; insync and legs[] are read without.
 */
struct qbd_map {
	u64 gen;
	u64 insync;
	u32 epoch;
	u16 flags;
	u8 nr_legs;
	u64 legs[];
};

#define QBD_SEGMENTS		8	/* of a checksum page */
#define QBD_SEGMENT_UNITS	(QBD_CSUMS_PER_PAGE / QBD_SEGMENTS)

/*
 * Checksums that are newer than their last durable record, of 126 units; csum.c
 * tells what pending and captured are. users: writes in flight.
 */
struct qbd_pending {
	DECLARE_BITMAP(pending, QBD_SEGMENT_UNITS);
	DECLARE_BITMAP(captured, QBD_SEGMENT_UNITS);
	u32 users;
	u32 now[QBD_SEGMENT_UNITS];
	u32 snap[QBD_SEGMENT_UNITS];
};

/**
 * struct qbd_csum_page - one page of a chunk's checksum table
 * @recorded: durable records' values, the page as it goes to disk
 * @segments: what is newer. Guarded by chunk->lock, as all of it
 * @copies: where each leg's copy is, and its seq; not known for another place.
 *	Guarded by checkpoint_mutex once the page is in use
 * @round: in which it was written last, to the legs @sent; likewise
 */
struct qbd_csum_page {
	u64 lsn;
	bool dirty;
	struct qbd_csum_page *next;	/* while it is of no chunk */
	u8 sent;
	u32 round;
	__le32 *recorded;
	struct qbd_pending *segments[QBD_SEGMENTS];
	struct qbd_csum_copy {
		u64 place;	/* a leg, LIVE */
		u64 seq;
	} copies[QBD_MAX_REPLICAS];
};

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

/**
 * struct qbd_layer - one generation of a volume's content
 * @map: chunk number -> struct qbd_map
 * @chunks: chunk number -> struct qbd_chunk
 */
struct qbd_layer {
	struct qbd_pool *pool;
	u32 number;
	u32 volume;
	u32 index;		/* in the layer table */
	struct qbd_policy policy;
	u64 sectors;
	char tag[QBD_TAGS_SIZE];
	u32 nr_chunks;
	u32 rows;		/* of a chunk */
	u32 range_rows;
	u32 io_rows;		/* of one request, at most */
	u32 nr_ranges;		/* of a chunk */
	u32 csum_pages;		/* of a chunk */
	u32 units;		/* of a row */
	u32 block_size;
	u32 block_pages;
	u32 destage_room;	/* ring blocks that the destage of a row takes; 0: no journal */
	u64 chunk_bytes;	/* of user data */
	struct ec_code *code;	/* NULL for replicas */
	struct xarray map;
	struct xarray chunks;
	u64 nr_allocated;
	struct list_head dead;	/* of a removed volume, until the pool ends */
};

struct qbd_volume {
	u32 index;		/* in the volume table */
	struct qbd_volume_entry entry;
	struct qbd_layer *top;
	unsigned int users;	/* targets */
	bool deleting;
	u64 freed_lsn;		/* of the last record of its removal */
};

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

/* A data block of a row that waits in the ring for its place. */
struct qbd_journal_block {
	u64 lsn;		/* of its last piece */
	u32 csum;		/* as it will be in its place */
};

struct qbd_journal_replay;

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
 * @stuck: cannot be destaged now
 * @torn: a destage failed in the middle
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
	bool stuck;
	bool torn;
	bool gone;
	u64 seq;
	u64 pos;
	u64 later_pos;
	struct qbd_journal_replay *replay;
	struct qbd_journal_block blocks[QBD_MAX_K];
	struct page *pages[];
};

#define QBD_DESTAGERS	2	/* one flushes while the other reads and writes */

/**
 * struct qbd_destager - one of those who write rows to their place; destage.c
 * @rows: its batch
 * @number: of its batch
 */
struct qbd_destager {
	struct qbd_pool *pool;
	struct work_struct work;
	struct qbd_destage *rows;
	u32 number;
};

/**
 * struct qbd_journal - rows with live records
 * @nr_pages: in live blocks, or reserved for some
 * @goal: rows up to this seq are destaged however empty the ring is
 * @idle_goal: the last one when the timer ended last
 * @batch: number of the last batch
 * @max_batch: rows of a batch
 * @room_mutex: who waits for room waits in order of arrival
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
	unsigned long retry;	/* of what is stuck: not before */
	struct mutex room_mutex;
	struct mutex space_mutex;	/* one waits for pages at a time */
	mempool_t pages;
	mempool_t row_pool;
	wait_queue_head_t wait;
	struct delayed_work idle_work;
	struct qbd_destager destagers[QBD_DESTAGERS];
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

/* A flush, FUA record or checkpoint counts these; abi.h tells what they are. */
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

/* Users' I/O: of a CPU, for ever, or the sums. */
struct pace_users {
	u32 begun;
	u32 ended;
	u32 timed;	/* reads and writes among them that began during a resync */
	u64 ns;		/* that those took */
};

/**
 * struct qbd_pace - how resync goes beside users; see pace.c
 * @cpu: users' counters; all but it and @changes is resync's
 * @changes: of settings
 * @step: the sums when the step began
 * @began: when that was
 * @in_steps: how long users' I/O takes that ends in steps, smoothed, ns
 * @in_pauses: likewise in pauses
 * @quarters: of a step, that a pause lasts
 * @busy: users had I/O in the last step
 */
struct qbd_pace {
	struct pace_users __percpu *cpu;
	u32 changes;
	struct pace_users step;
	u64 began;
	u64 in_steps;
	u64 in_pauses;
	u32 quarters;
	bool busy;
};

/* Waits for any number of bios; knows which backends failed. */
struct qbd_wait {
	atomic_t left;
	struct completion done;
	atomic64_t failed;
};

#define QBD_PAGES_GROUP	64

/* Writes metadata pages in groups. */
struct qbd_pages {
	u8 *buffers;
	unsigned int nr;
	u64 failed;
	struct qbd_wait wait;
};

enum qbd_mode {
	QBD_RW,
	QBD_RO,
	QBD_FAILED,	/* nothing more is written; see the log */
	QBD_STANDBY,	/* waits for the owner to hand over */
};

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

/**
 * struct qbd_standby - a pool that another host owns, and will hand over
 * @mutex: what the superblocks and tables say, until this host owns the pool
 * @at: the member whose heartbeat was looked at
 */
struct qbd_standby {
	struct mutex mutex;	/* see above */
	struct delayed_work work;
	u64 nonce;
	u64 counter;
	void *block;
	unsigned int looks;
	unsigned int at;
};

/* What a table line asks for. */
struct qbd_features {
	bool allow_degraded;
	bool read_only;
	bool standby;
	bool take_over;		/* no other host owns the pool, whatever is missing */
	bool on_loss_queue;
	u64 force_history;	/* tag of an epoch; 0: none */
	unsigned int cache_mb;
	u32 deadline_ms[QBD_MAX_BACKENDS];	/* QBD_DEADLINE_DEFAULT: by kind of device */
	/* Messages change these. */
	u32 error_limit;	/* 0: none */
	u32 error_seconds;
	u32 hold_off;		/* seconds; 0: none */
	u32 slow_factor;	/* 0: none is slow */
	bool hedge;
};

#define QBD_DEADLINE_DEFAULT	U32_MAX

/**
 * struct qbd_pool - a pool
 * @members: what the superblocks say; changed by member.c under member_lock
 * @backends_srcu: whoever sends I/O to a backend reads @backend[] and @in under it;
 *	one is taken away only after all of them are through
 * @in: bitmap of backends that take part; written by member.c only
 * @failing: failed a write and are still in: their epoch is being made
 * @over_limit: likewise, but what they wrote is not in doubt
 * @slow: in, and slow; written by latency.c only
 * @meta_sem: read: makes chunk, volume or layer records; write: keeps them away
 */
struct qbd_pool {
	struct list_head list;
	struct mapped_device *md;
	unsigned int refs;		/* under the list's mutex */
	bool started;		/* it was tried */
	bool active;
	enum qbd_mode mode;
	u64 missing;		/* members that should be in and were not there */
	struct mutex message_mutex;	/* one message at a time */

	struct qbd_features features;

	struct mutex member_lock;	/* members, epochs; held while one is written */
	struct rw_semaphore epoch_sem;	/* read: sends a ring batch; write: an epoch */
	struct qbd_super *super;	/* room for one, under member_lock */
	struct qbd_membership members;
	struct srcu_struct backends_srcu;
	struct qbd_backend *backend[QBD_MAX_BACKENDS];
	u64 in;
	u64 failing;
	u64 over_limit;
	u64 slow;
	struct work_struct member_work;
	struct work_struct stamp_work;
	wait_queue_head_t member_wait;
	u32 max_epoch;			/* highest number of any epoch ever seen */
	bool half_epoch;		/* one was begun and is not complete; under epoch_sem */
	u64 kept;			/* failed, but hold last current legs; kept.c */
	u64 mute;			/* of those, which do not answer reads */
	u64 doubted;			/* failed reads that nothing replaces */
	bool on_loss_queue;
	spinlock_t parked_lock;		/* parked, and targets' leaving */
	struct bio_list parked;
	unsigned int nr_parked;
	u64 rewrite;			/* were kept; not all was written again yet */
	u32 kept_times;			/* how often any was kept */
	u32 torn;			/* some range is; kept.c */
	bool kept_running;
	u32 kept_rounds;		/* in which rows could not be settled */
	unsigned long kept_changed;
	unsigned long kept_delay;
	struct delayed_work kept_work;
	void *kept_buffer;
	u64 member_wanted;		/* how often a failure was reported */
	u64 member_epochs;		/* up to which of them the epochs are durable */
	u64 member_done;		/* up to which of them all is settled */
	struct qbd_membership *next_members;	/* room for one, under member_lock */
	spinlock_t member_list_lock;	/* failing, over_limit, kept and its like, member_wanted */

	spinlock_t limit_lock;		/* flaps, and what counts against limits */
	struct qbd_flap flaps[QBD_MAX_BACKENDS];
	struct mutex event_mutex;	/* event_table */
	struct dm_table *event_table;
	struct work_struct event_work;
	struct delayed_work latency_work;

	spinlock_t map_lock;		/* maps, tables, which chunks there are */
	spinlock_t slot_lock;		/* slots of all backends */
	struct xarray layers;
	struct xarray volumes;		/* by index in the table */
	struct mutex volume_mutex;	/* create, remove */
	struct qbd_table volume_table;
	struct qbd_table layer_table;
	u64 nr_chunks;
	struct list_head dead_layers;
	struct rw_semaphore meta_sem;
	bool stopping;

	struct qbd_ring ring;
	struct qbd_journal journal;
	struct qbd_lease lease;
	struct qbd_standby standby;
	struct list_head targets;	/* whose I/O waits for this; under volume_mutex */

	spinlock_t named_lock;		/* named, idle, a chunk's lsn */
	struct list_head named;
	atomic_t nr_named;
	atomic_t nr_ranges;		/* active */
	atomic_t nr_pending;		/* checksum units */
	struct list_head idle;		/* chunks to forget first; under named_lock */
	unsigned int nr_idle;
	struct work_struct reap_work;
	struct qbd_shrinker shrinker;
	bool shrinks;			/* it is registered */
	atomic_long_t csum_pages;	/* in memory */

	struct mutex csum_mutex;	/* order of checksum records */
	__le32 *csum_values;
	u8 *table_payload;		/* under checkpoint_mutex, both */
	u8 *table_places;

	u32 flush_number;		/* of the last flush that began */
	spinlock_t flush_lock;		/* flush_bios */
	struct bio_list flush_bios;
	struct mutex flush_mutex;	/* one flush at a time */
	int flush_error;		/* rule 4: until all was written again */
	struct work_struct flush_work;
	struct delayed_work checkpoint_work;
	struct mutex checkpoint_mutex;	/* one writer of pages at a time */
	struct qbd_pages checkpoint_pages;
	u32 page_round;			/* of writing pages; under checkpoint_mutex */
	bool checkpoint_left;
	atomic64_t checkpoints;

	atomic_t hedge_credit;		/* how many more reads may be hedged now */
	atomic_t hedges;		/* reads that may be, in flight */
	wait_queue_head_t hedge_wait;
	atomic64_t hedged;
	atomic64_t hedges_won;

	struct work_struct resync_work;
	struct work_struct scrub_work;
	struct work_struct free_work;
	struct qbd_progress resync;
	wait_queue_head_t resync_wait;
	struct qbd_progress scrub;
	unsigned int resync_rate;	/* KiB/s; 0: no limit */
	unsigned int resync_least;	/* KiB/s beside users */
	struct qbd_pace pace;
	atomic64_t blocks_repaired;
	atomic64_t blocks_lost;

	struct workqueue_struct *io_wq;
	struct workqueue_struct *settle_wq;
	struct workqueue_struct *verify_wq;
	struct workqueue_struct *flush_wq;
	struct workqueue_struct *checkpoint_wq;
	struct workqueue_struct *journal_wq;
	struct workqueue_struct *repair_wq;
	struct workqueue_struct *ring_wq;
	struct workqueue_struct *member_wq;
	struct workqueue_struct *stamp_wq;
	struct workqueue_struct *owner_wq;
	struct workqueue_struct *kept_wq;
	struct workqueue_struct *event_wq;
	struct workqueue_struct *reap_wq;
	mempool_t pages;
	mempool_t rows;
	mempool_t chunks;		/* these and what follows: memory.c */
	mempool_t csums;
	mempool_t scratch;
	mempool_t places;
	mempool_t pendings;
	struct mutex memory_mutex;	/* one waits for checksum pages at a time, */
	struct mutex pending_mutex;	/* and one for pending checksums */
	atomic_t starved;		/* how many wait */
	struct mutex pages_mutex;	/* one waits for pages at a time: rows.c */
	struct mutex backend_flush_mutex;	/* nobody passes a flush that still runs */
};

static inline struct qbd_backend *qbd_backend_in(struct qbd_pool *pool, unsigned int i)
{
	return i < QBD_MAX_BACKENDS && (READ_ONCE(pool->in) & BIT_ULL(i)) ?
	       pool->backend[i] : NULL;
}

/*
 * Was any backend kept since @times was noted, or is there something to be written
 * again: then what was flushed meanwhile may not be there. 0 or -EIO.
 */
static inline int qbd_kept_since(const struct qbd_pool *pool, u32 times)
{
	return READ_ONCE(pool->kept_times) != times || READ_ONCE(pool->flush_error) ? -EIO : 0;
}

enum qbd_leaving {
	QBD_STAYS,
	QBD_REQUEUE,	/* dm takes back what would wait */
	QBD_FAILS,	/* it fails */
};

/* What parked.c knows of a volume's target. */
struct qbd_target {
	struct qbd_pool *pool;
	enum qbd_leaving leaving;
};

/*
 * A user's bio: dm's per-bio data. times: pool->kept_times when it began; unread:
 * backends that failed reads for it; doubted: those that were asked for that.
 */
struct qbd_io {
	struct qbd_target *target;
	struct qbd_volume *volume;
	u64 unread;
	u64 doubted;
	u32 times;
	struct bvec_iter iter;	/* as it came: completion advances the bio's own */
	u64 start_ns;		/* 0: not timed */
	struct work_struct work;
};

static inline struct bio *qbd_io_bio(struct qbd_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

/* backend.c */

/* A bio that is to find out whether a backend that is kept answers; never sent on. */
#define QBD_PROBE	REQ_DRV

enum qbd_bio_state {
	QBD_BIO_FREE,		/* it has no deadline */
	QBD_BIO_NEW,
	QBD_BIO_QUEUED,
	QBD_BIO_SENT,
	QBD_BIO_ORPHAN,
	QBD_BIO_DONE,
};

/**
 * struct qbd_bio - a bio of the target's own, to one backend
 * @done: called once, when it ended or its deadline passed, maybe in an interrupt;
 *	puts the bio
 * @status: how it ended, for done(): an orphan's own is still to come
 * @leg: for whoever made it, as are @context and @buffer
 * @state: orphan.c; all that is there under backend->lock
 */
struct qbd_bio {
	struct qbd_backend *backend;
	void (*done)(struct qbd_bio *bio);
	void *context;
	void *buffer;
	unsigned int leg;
	blk_status_t status;
	enum qbd_bio_state state;
	unsigned long since;	/* jiffies */
	struct list_head list;
	u64 start_ns;
	struct bio bio;		/* last: the bioset adds its vectors */
};

/* May it only have pages that qbd_page_free() frees: does it have a deadline? */
static inline bool qbd_bio_own_pages(const struct qbd_bio *qb)
{
	return qb->state != QBD_BIO_FREE;
}

void qbd_wait_init(struct qbd_wait *wait);
void qbd_wait_add(struct qbd_wait *wait);
void qbd_wait_end(struct qbd_wait *wait, u64 failed);
u64 qbd_wait_for(struct qbd_wait *wait);
struct qbd_backend *qbd_backend_open(struct qbd_pool *pool, const char *path,
				     struct qbd_super *super, const char **error);
struct qbd_backend *qbd_backend_open_empty(struct qbd_pool *pool, const char *path,
					   const char **error);
void qbd_backend_close(struct qbd_backend *b);
void qbd_backend_free(struct qbd_backend *b);
struct qbd_bio *qbd_bio_alloc(struct qbd_backend *b, blk_opf_t opf, u64 offset,
			      unsigned int nr_vecs, gfp_t gfp);
bool qbd_bio_may_send(const struct qbd_bio *qb);
void qbd_bio_submit(struct qbd_bio *bio);
void qbd_bio_unanswered(struct qbd_bio *qb);
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

/* pages.c */

int qbd_pages_init(struct qbd_pages *out);
void qbd_pages_exit(struct qbd_pages *out);
void *qbd_pages_next(struct qbd_pages *out);
void qbd_pages_write(struct qbd_pages *out, struct qbd_backend *b, u64 start, void *raw,
		     const struct qbd_page_id *id);
u64 qbd_pages_send(struct qbd_pages *out);
int qbd_table_init(struct qbd_table *table, u32 type, u32 nr_pages);
void qbd_table_exit(struct qbd_table *table);
void qbd_table_write(struct qbd_pool *pool, struct qbd_table *table, u64 which, bool all,
		     struct qbd_pages *out);
void qbd_table_unwrite(struct qbd_pool *pool, struct qbd_table *table);
int qbd_table_find(struct qbd_table *table, struct qbd_backend *b);

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
void qbd_ring_unpromise(struct qbd_pool *pool, u32 blocks);
u64 qbd_ring_append_block(struct qbd_pool *pool, struct qbd_record *r,
			  struct page *const *pages, u32 bytes);
unsigned int qbd_ring_used(struct qbd_pool *pool);
u64 qbd_ring_append(struct qbd_pool *pool, struct qbd_record *record);
int qbd_ring_wait(struct qbd_pool *pool, u64 lsn);
int qbd_ring_admit(struct qbd_pool *pool);
int qbd_ring_record(struct qbd_pool *pool, struct qbd_record *record);
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

/* super.c */
u64 qbd_super_write(struct qbd_pool *pool, const struct qbd_membership *members, u64 which,
		    blk_opf_t flags);

/* member.c */
void qbd_member_init(struct qbd_pool *pool);
void qbd_member_fail(struct qbd_pool *pool, u64 which);
void qbd_member_limit(struct qbd_pool *pool, u64 which);
int qbd_member_settle(struct qbd_pool *pool, u64 which);
int qbd_member_leave(struct qbd_pool *pool, u64 which);
int qbd_member_out(struct qbd_pool *pool, unsigned int index);
int qbd_member_quiet(struct qbd_pool *pool);
u64 qbd_member_wait_epoch(struct qbd_pool *pool, u64 which);
int qbd_member_epoch(struct qbd_pool *pool, u64 out, u64 back);
void qbd_member_next_epoch(struct qbd_pool *pool, struct qbd_membership *m, u64 out, u64 back);
int qbd_member_stamp(struct qbd_pool *pool);

/* kept.c */
void qbd_kept_init(struct qbd_pool *pool);
bool qbd_kept_trouble(const struct qbd_pool *pool);
void qbd_kept_soon(struct qbd_pool *pool);
void qbd_kept_add(struct qbd_pool *pool, u64 which);
void qbd_kept_doubt(struct qbd_pool *pool, u64 which);
void qbd_kept_torn(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_kept_settle(struct qbd_rows *rows);

/* parked.c */
void qbd_parked_init(struct qbd_pool *pool);
int qbd_io_start(struct qbd_io *io);
bool qbd_io_end(struct qbd_io *io, int err);
void qbd_parked_go(struct qbd_pool *pool);
void qbd_parked_fail(struct qbd_pool *pool);
void qbd_parked_leave(struct qbd_target *t, enum qbd_leaving leaving);

/* event.c */
void qbd_event_init(struct qbd_pool *pool);
void qbd_event(struct qbd_pool *pool);
void qbd_event_table(struct qbd_pool *pool, struct dm_table *table);
void qbd_event_forget(struct qbd_pool *pool, struct dm_table *table);

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

/* limit.c */
void qbd_limit_error(struct qbd_backend *b);
u32 qbd_limit_errors(struct qbd_backend *b);
void qbd_limit_out(struct qbd_pool *pool, unsigned int index);
void qbd_limit_in(struct qbd_pool *pool, unsigned int index, bool other);
unsigned int qbd_limit_held(struct qbd_pool *pool, unsigned int index, unsigned int *outs);

/* readmit.c */
int qbd_member_readd(struct qbd_pool *pool, unsigned int index, const char *path, bool now,
		     const char **error);
int qbd_member_replace(struct qbd_pool *pool, unsigned int index, const char *path,
		       const char **error);

/* slots.c */
int qbd_slots_alloc(struct qbd_backend *b);
void qbd_slots_free(struct qbd_backend *b);
int qbd_slots_read(struct qbd_backend *b, struct qbd_slot **entries);
int qbd_slots_choose(struct qbd_layer *layer, u32 chunk, u64 avoid, unsigned int nr,
		     u64 *legs, unsigned int *got);
void qbd_slots_set(struct qbd_backend *b, u32 slot, u32 layer, u32 chunk, u64 lsn);
void qbd_slots_discard(struct qbd_pool *pool, const struct qbd_map *map);
void qbd_slots_release(struct qbd_pool *pool, u64 leg);
void qbd_slots_page(struct qbd_backend *b, u32 page, void *payload);
void qbd_slots_write(struct qbd_backend *b, bool all, struct qbd_pages *out);
void qbd_slots_unwrite(struct qbd_backend *b, u32 round);
void qbd_slots_sum(struct qbd_pool *pool, u64 *used, u64 *total);

/* layer.c: layers and volumes */
struct qbd_layer *qbd_layer_create(struct qbd_pool *pool, u32 index,
				   const struct qbd_layer_entry *entry, const char *tag);
void qbd_layer_destroy(struct qbd_layer *layer);
int qbd_volumes_load(struct qbd_pool *pool);
void qbd_volumes_exit(struct qbd_pool *pool);
struct qbd_volume *qbd_volume_find(struct qbd_pool *pool, const char *name);
int qbd_volume_create(struct qbd_pool *pool, struct qbd_volume_entry *entry,
		      const char **error);
int qbd_volume_remove(struct qbd_pool *pool, const char *name, const char **error);
unsigned int qbd_pool_max_m(struct qbd_pool *pool);
bool qbd_layer_blind(const struct qbd_layer *layer);
void qbd_free_deleted(struct work_struct *work);

/* memory.c */
int qbd_memory_begin(void);
void qbd_memory_end(void);
int qbd_memory_init(struct qbd_pool *pool);
void qbd_memory_exit(struct qbd_pool *pool);
void *qbd_memory_wait(struct qbd_pool *pool, mempool_t *reserve);
int qbd_memory_reserve(struct xarray *xa, unsigned long index, gfp_t gfp);
struct qbd_csum_page *qbd_memory_csum_page(gfp_t gfp);

/* chunk-cache.c */
size_t qbd_chunk_bytes(u32 nr_ranges, u32 csum_pages);
struct qbd_chunk *qbd_chunk_find(struct qbd_layer *layer, u32 number);
struct qbd_chunk *qbd_chunk_get(struct qbd_layer *layer, u32 number, gfp_t gfp);
void qbd_chunk_put(struct qbd_chunk *chunk);
void qbd_chunk_reap(struct work_struct *work);
int qbd_chunks_init(struct qbd_pool *pool);
void qbd_chunks_exit(struct qbd_pool *pool);
void qbd_chunk_named(struct qbd_chunk *chunk, u64 lsn);
void qbd_chunk_unnamed(struct qbd_chunk *chunk);

/* row-lock.c */
bool qbd_chunk_try_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first,
			u32 last);
void qbd_chunk_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first, u32 last);
void qbd_chunk_unlock(struct qbd_chunk *chunk, struct qbd_row_lock *lock);

/* chunk.c */
struct qbd_map *qbd_map_alloc(unsigned int nr_legs, gfp_t gfp);
u32 qbd_chunk_current(const struct qbd_chunk *chunk);
u32 qbd_chunk_writable(const struct qbd_chunk *chunk);
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

/* csum-page.c */
bool qbd_csum_loaded(const struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_prepare_rows(struct qbd_chunk *chunk, u32 first, u32 nr);
struct qbd_chunk *qbd_chunk_get_rows(struct qbd_layer *layer, u32 number, u32 first, u32 nr);
int qbd_csum_fresh(struct qbd_chunk *chunk);
int qbd_csum_load(struct qbd_chunk *chunk, u32 first, u32 last);
int qbd_csum_load_made(struct qbd_chunk *chunk);
int qbd_csum_replay(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values);
bool qbd_csum_compare(struct qbd_chunk *chunk, u32 unit);
bool qbd_csum_check(struct qbd_chunk *chunk);
void qbd_csum_drop(struct qbd_chunk *chunk);
void qbd_csum_unwrite(struct qbd_chunk *chunk, u32 round);
void qbd_csum_write(struct qbd_chunk *chunk, u32 legs, bool all, struct qbd_pages *out);

/* csum.c */
u32 qbd_csum_get(const struct qbd_chunk *chunk, u32 unit);
void qbd_csum_set(struct qbd_chunk *chunk, u32 unit, u32 value);
void qbd_csum_reserve(struct qbd_chunk *chunk, u32 first, u32 last);
bool qbd_csum_try_reserve(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_unreserve(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_capture(struct qbd_chunk *chunk);
u64 qbd_csum_append(struct qbd_chunk *chunk);
u64 qbd_csum_append_units(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_record(struct qbd_chunk *chunk, u32 unit, u32 value);
void qbd_csum_apply(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values);
bool qbd_csum_recorded(const struct qbd_chunk *chunk, u32 first, u32 last);
bool qbd_csum_unwritten(struct qbd_chunk *chunk);
bool qbd_csum_all_holes(struct qbd_chunk *chunk);
u32 qbd_csum_block(const struct qbd_chunk *chunk, u64 gen, u32 row, u32 leg,
		   struct page *const *pages);

/* rows.c */

/* Who waits for a write that is no user's. */
struct qbd_waiter {
	struct completion done;
	blk_status_t status;
};

/**
 * struct qbd_rows - blocks of some rows, all legs, in the target's own pages
 * @pages: block_pages pages of leg l, row r at [(l * nr + r) * block_pages]; a
 *	replicas chunk has leg 0 only
 * @csums: of leg l, row r at [l * nr + r]
 * @have: blocks that hold their right content, a mask of legs a row
 * @write: blocks that a write changes, likewise; for replicas a bit a leg
 * @ring: blocks that a write puts into the journal, likewise
 * @bad: current legs whose block was wrong or unreadable
 * @avoid: legs that are not read where others have what it takes
 * @strict: they are not read at all
 * @blamed: backends of which that was counted against their limit
 * @want: blocks that are being read or mended
 * @lock: of the rows, while a write of them is in flight
 * @io: the user's bio, if it is one
 */
struct qbd_rows {
	struct qbd_chunk *chunk;
	u32 first;
	u32 nr;
	u32 nr_legs;
	unsigned int nr_pages;
	bool pooled;
	bool any_bad;
	bool fua;
	bool strict;
	bool ranged;		/* a write straight to its place: of active ranges */
	u32 again;		/* reconcile writes these legs, right or not */
	bool lose;		/* and takes for gone what it cannot read */
	u64 unread;		/* backends that failed reads */
	u32 lost;		/* blocks that reconcile gave up */
	u64 lsn;		/* the last journal record of a write */
	struct page **pages;
	u32 *csums;
	u32 *have;
	u32 *write;
	u32 *ring;
	u32 *bad;
	u32 *want;

	u32 avoid;
	u64 blamed;
	atomic_t left;
	atomic64_t failed;
	void (*done)(struct qbd_rows *rows);
	struct completion *wait;
	struct bio_list bios;

	struct qbd_row_lock lock;
	struct qbd_io *io;
	struct qbd_waiter *waiter;
	struct work_struct work;
};

size_t qbd_rows_max(void);
struct qbd_rows *qbd_rows_alloc(struct qbd_chunk *chunk, u32 first, u32 nr, gfp_t gfp);
void qbd_rows_free(struct qbd_rows *rows);
void qbd_rows_csums(struct qbd_rows *rows);
void qbd_rows_zero(struct qbd_rows *rows, u32 leg, u32 row);
void qbd_rows_sum(struct qbd_rows *rows, u32 leg, u32 row);
bool qbd_rows_verify(struct qbd_rows *rows, u32 leg, u32 row);
void qbd_rows_encode(struct qbd_rows *rows, u32 row, u32 nr);
bool qbd_rows_submit(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs,
		     gfp_t gfp);
u64 qbd_rows_io(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs);
u32 qbd_rows_nearest(const struct qbd_chunk *chunk, u32 legs);
void qbd_rows_blame(struct qbd_rows *rows, u32 leg, u32 row);
int qbd_rows_read(struct qbd_rows *rows, u32 row, u32 nr, u32 want);
unsigned int qbd_rows_repair(struct qbd_rows *rows);
bool qbd_rows_lost(struct qbd_rows *rows, u32 row, u32 legs);
bool qbd_rows_begin_read(struct qbd_rows *rows, u32 row, u32 want);
void qbd_rows_end_read(struct qbd_rows *rows, u32 row);
u32 qbd_rows_wanted(const struct qbd_rows *rows, u32 row, u32 whole, u32 part);
int qbd_rows_prepare(struct qbd_rows *rows, u32 row, u32 whole, u32 part);
void qbd_rows_fold(struct qbd_rows *rows, u32 row, u32 legs);

static inline struct page **qbd_rows_block(struct qbd_rows *rows, u32 leg, u32 row)
{
	return rows->pages + (size_t)(leg * rows->nr + row) * rows->chunk->layer->block_pages;
}

static inline u32 *qbd_rows_csum(struct qbd_rows *rows, u32 leg, u32 row)
{
	return &rows->csums[leg * rows->nr + row];
}

/* read.c, write.c, discard.c */
int qbd_read_map(struct qbd_io *io);
int qbd_write_map(struct qbd_io *io);
int qbd_write_zeros(struct qbd_layer *layer, sector_t sector, u64 bytes);
int qbd_discard_map(struct qbd_io *io);

/* journal.c */
int qbd_journal_init(struct qbd_pool *pool);
void qbd_journal_exit(struct qbd_pool *pool);
void qbd_journal_layer(struct qbd_layer *layer);
struct qbd_journal_row *qbd_journal_find(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_has(struct qbd_chunk *chunk, u32 first, u32 last);
u32 qbd_journal_live(struct qbd_chunk *chunk, u32 row);
bool qbd_journal_wants(struct qbd_chunk *chunk, u32 row, u32 whole);
bool qbd_journal_straight(struct qbd_chunk *chunk, u32 first, u32 last);
u32 qbd_journal_max_rows(const struct qbd_layer *layer);
int qbd_journal_reserve(struct qbd_layer *layer, u32 nr_rows, u32 nr_blocks,
			struct qbd_journal_space *space);
void qbd_journal_unreserve(struct qbd_layer *layer, struct qbd_journal_space *space);
struct qbd_journal_row *qbd_journal_add(struct qbd_chunk *chunk, u32 row,
					struct qbd_journal_row *jr);
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
void qbd_destage_again(struct qbd_pool *pool);
void qbd_destage_idle(struct qbd_pool *pool);
bool qbd_destage_begin(struct qbd_pool *pool);
int qbd_destage_all(struct qbd_pool *pool);

/* journal-replay.c */
int qbd_journal_replay(struct qbd_chunk *chunk, u64 lsn, const struct qbd_record *r);
int qbd_journal_rewrite(struct qbd_pool *pool);
void qbd_journal_replay_free(struct qbd_journal_row *jr);
int qbd_journal_carry(struct qbd_pool *pool, u64 members, u64 generation, u64 *lsn,
		      u64 *block);

/* flush.c */
int qbd_named_each(struct qbd_pool *pool, int (*fn)(struct qbd_chunk *chunk, void *context),
		   void *context);
void qbd_flush_init(struct qbd_pool *pool);
int qbd_flush(struct qbd_pool *pool);
void qbd_flush_bio(struct qbd_pool *pool, struct bio *bio);
int qbd_checkpoint(struct qbd_pool *pool);
void qbd_checkpoint_soon(struct qbd_pool *pool);
void qbd_checkpoint_idle(struct qbd_pool *pool);

/* owner.c */
int qbd_owner_init(struct qbd_pool *pool);
void qbd_owner_exit(struct qbd_pool *pool);
int qbd_heartbeat_read(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h);
int qbd_heartbeat_write(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h);
void qbd_owner_begin(struct qbd_pool *pool, u64 since);
void qbd_owner_members(struct qbd_pool *pool);
bool qbd_owner_may_raise(struct qbd_pool *pool, u64 in);
bool qbd_owner_lost(struct qbd_pool *pool, const char *how);
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
bool qbd_takeover_released(struct qbd_pool *pool);

/* standby.c */
void qbd_standby_init(struct qbd_pool *pool);
void qbd_standby_exit(struct qbd_pool *pool);
int qbd_standby_start(struct qbd_pool *pool);
void qbd_standby_stop(struct qbd_pool *pool);
int qbd_standby_load(struct qbd_pool *pool);
u64 qbd_standby_find(struct qbd_pool *pool, char *host);
int qbd_standby_hand_over(struct qbd_pool *pool, const char **error);

/* target.c */
void qbd_targets_attach(struct qbd_pool *pool);

/* super.c */
int qbd_supers_read(struct qbd_pool *pool, const char **error);
int qbd_super_check(struct qbd_pool *pool, const struct qbd_super *const *supers,
		    const char **error);
u64 qbd_same_host(const struct qbd_membership *m, unsigned int index);

/* activate.c */
int qbd_activate(struct qbd_pool *pool, u64 missing);
int qbd_tables_look(struct qbd_pool *pool);

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

/* pace.c */
int qbd_pace_init(struct qbd_pool *pool);
void qbd_pace_exit(struct qbd_pool *pool);
u32 qbd_pace_rows(struct qbd_pool *pool, u32 rows);
void qbd_pace_begin(struct qbd_pool *pool);
void qbd_pace_end(struct qbd_pool *pool, u64 bytes);
void qbd_pace_changed(struct qbd_pool *pool);

/* A user's I/O begins; in map(), before anything can end it. */
static inline void qbd_pace_user_begins(struct qbd_pool *pool, struct qbd_io *io, bool timed)
{
	io->start_ns = timed && READ_ONCE(pool->resync.running) ? ktime_get_ns() : 0;
	this_cpu_inc(pool->pace.cpu->begun);
}

/* It ended, or was not taken. */
static inline void qbd_pace_user_ends(struct qbd_pool *pool, struct qbd_io *io)
{
	if (io->start_ns) {
		this_cpu_add(pool->pace.cpu->ns, ktime_get_ns() - io->start_ns);
		this_cpu_inc(pool->pace.cpu->timed);
	}
	this_cpu_inc(pool->pace.cpu->ended);
}

/* pool.c */
struct qbd_pool *qbd_pool_find(struct mapped_device *md);
struct qbd_pool *qbd_pool_create(struct mapped_device *md);
int qbd_pool_start(struct qbd_pool *pool);
int qbd_pool_go(struct qbd_pool *pool);
void qbd_pool_quiesce(struct qbd_pool *pool);
void qbd_pool_stop(struct qbd_pool *pool);
void qbd_pool_put(struct qbd_pool *pool);
int qbd_pool_init(void);
void qbd_pool_exit(void);

/* message.c */
int qbd_pool_message(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
		     unsigned int maxlen);
void qbd_pool_status(struct qbd_pool *pool, char *result, unsigned int maxlen);
void qbd_volume_status(struct qbd_volume *v, char *result, unsigned int maxlen);

#endif
