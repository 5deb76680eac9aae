/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool: what a table line asks of it, and all that it has.
 */
#ifndef QBD_POOL_H
#define QBD_POOL_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <qbd/format.h>

#include "compat.h"
#include "journal.h"
#include "lease.h"
#include "limit.h"
#include "pace.h"
#include "pages.h"
#include "resync.h"
#include "ring.h"
#include "standby.h"

struct qbd_backend;
struct qbd_csum_page;
struct qbd_volume;

#define QBD_CACHE_MB	64	/* of checksums, unless the table says otherwise */
#define QBD_ERROR_LIMIT	64	/* reads of a backend that fail or are wrong, ... */
#define QBD_ERROR_SECONDS 60	/* ... in this time */
#define QBD_SLOW_FACTOR	8	/* times as slow as others: slow */
#define QBD_MAX_SECONDS	(7u * 24 * 3600)	/* in a setting */
#define QBD_HOLD_OFF	30	/* seconds, of a backend that failed a third time */

enum qbd_mode {
	QBD_RW,
	QBD_RO,
	QBD_FAILED,	/* nothing more is written; see the log */
	QBD_STANDBY,	/* waits for the owner to hand over */
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
 *	one is taken away only after all of them are through. slots.c reads @backend[]
 *	under slot_lock, and it changes under that, too
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
	bool maps_known;	/* all legs are: rule 4 can be asked */
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
	u32 recovered;			/* how often it was found that all goes on */
	u32 kept_rounds;		/* in which rows could not be settled */
	unsigned long kept_changed;
	unsigned long kept_delay;
	struct delayed_work kept_work;
	void *kept_buffer;
	u64 member_wanted;		/* how often a failure was reported */
	u64 member_epochs;		/* up to which of them the epochs are durable */
	u64 member_done;		/* up to which of them all is settled */
	struct qbd_membership *next_members;	/* room for one, under member_lock */
	bool members_end;		/* nobody goes out any more: member_wq goes */
	/* failing, over_limit, kept and its like, member_wanted, members_end */
	spinlock_t member_list_lock;

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
	u64 overtaken_lsn;		/* csum_mutex: qbd_csum_overtaken() */
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
	struct delayed_work free_work;
	struct qbd_progress resync;
	wait_queue_head_t resync_wait;
	struct qbd_progress scrub;
	struct qbd_progress reconcile;	/* in ranges, of the last start */
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

/* activate.c */
int qbd_activate(struct qbd_pool *pool, u64 missing);
int qbd_tables_look(struct qbd_pool *pool);

/* memory.c */
int qbd_memory_begin(void);
void qbd_memory_end(void);
int qbd_memory_init(struct qbd_pool *pool);
void qbd_memory_exit(struct qbd_pool *pool);
/*
 * How memory is asked for before a reserve is. Not the kernel's own: who frees memory by
 * writing to a volume has all of that, and would leave none to the drivers below.
 */
#define QBD_GFP_TRY	(GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC)
/* Of what has no reserve: from the kernel's own, or again later. */
#define QBD_GFP_OWN	(GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY | __GFP_MEMALLOC)

int qbd_reserve_bytes(mempool_t *reserve, int nr, size_t bytes);
int qbd_reserve_pages(mempool_t *reserve, int nr);
void *qbd_memory_try(size_t bytes);
struct page *qbd_memory_page(void);
void *qbd_memory_wait(struct qbd_pool *pool, mempool_t *reserve);
int qbd_memory_reserve(struct xarray *xa, unsigned long index, gfp_t gfp);
struct qbd_csum_page *qbd_memory_csum_page(gfp_t gfp);

/* event.c */
void qbd_event_init(struct qbd_pool *pool);
void qbd_event(struct qbd_pool *pool);
void qbd_event_table(struct qbd_pool *pool, struct dm_table *table);
void qbd_event_forget(struct qbd_pool *pool, struct dm_table *table);

/* message.c */
int qbd_pool_message(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
		     unsigned int maxlen);
void qbd_pool_status(struct qbd_pool *pool, char *result, unsigned int maxlen);
void qbd_volume_status(struct qbd_volume *v, char *result, unsigned int maxlen);

/* Can nothing be flushed or recorded now: an outage (rule 4), or the ring's end? */
static inline bool qbd_pool_outage(const struct qbd_pool *pool)
{
	return READ_ONCE(pool->flush_error) || qbd_ring_down(&pool->ring);
}

#endif
