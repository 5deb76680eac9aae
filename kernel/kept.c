// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backends that failed and have to stay in (rule 4).
 *
 * A chunk with fewer than K legs, or a pool without a ring, is what no epoch may
 * leave. So when all backends of a host fail together nobody goes out: they are
 * *kept*. The last durable state stands, I/O that needs them fails or waits
 * (parked.c), and it all goes on when they return. While a backend is kept nothing
 * is written to it but probes, and if it does not answer those, nothing is read from
 * it.
 *
 * What a kept backend has of the writes before its failure that no flush has made
 * durable is not known: its cache may be gone, or be one that gives back what it
 * could not write. So every flush fails (pool->flush_error) until all of these were
 * written again, and who does without qbd_flush() looks whether any backend was kept
 * meanwhile (pool->kept_times).
 *
 * Return, in this order, again and again with growing delays until all is done; what
 * a crash between any two steps leaves is what a crash in the outage leaves, for no
 * flush is acknowledged before 5:
 *	1. probe: a read, then its superblock, as it is, with a flush before it and
 *	   FUA. Those who answer are kept no more. One that does not, when others do
 *	   for some time, or no one else is kept, goes out if that is possible now
 *	2. an epoch that was begun is completed, on all that are in
 *			one that is on some only is void, or says what this one says
 *	3. the ring's batch that could not be written is sent again
 *			the same blocks
 *	4. stamps that are owed
 *	   destages that are recorded and failed: their blocks are written again
 *			torn rows, which activation writes again from the ring
 *	5. rows that are not recorded, and those of writes that failed (torn ranges),
 *	   with their locks: all legs are read, and settled as after a crash
 *	   (reconcile.c) with the values in memory; what is on backends that were
 *	   kept is written whether it is right or not, for a flush would not write
 *	   again what failed once. Only then flush_error ends
 *			any mixture, in active ranges: activation settles it
 *	6. the next flush begins, and records what is pending
 *
 * A block of 5 that cannot be read, though its backend answers, and that no others
 * give, is lost, as it would be after a crash; but not before this was found some
 * times running.
 *
 * A write in flight when its backend failed may end well later: its range counts it,
 * so 5 waits for its rows.
 *
 * Model: tests/model/members.pml (keep, KEPT_FLUSH_FORGETS).
 */
#include <linux/slab.h>

#include "qbd.h"

#define FIRST_DELAY	(HZ / 10)
#define LAST_DELAY	(5 * HZ)
#define PATIENCE	3		/* rounds, before a block that cannot be read is lost */
#define GRACE		(15 * HZ)	/* those of one host return one after another */

/* Of a range, and of the pool: are there any. What fails meanwhile is TORN again. */
enum {
	WHOLE,
	TORN,
	SETTLING,
};

static bool kept_any(const struct qbd_pool *pool)
{
	return READ_ONCE(pool->kept) || READ_ONCE(pool->doubted);
}

/**
 * qbd_kept_trouble - is any backend failing, or what it failed not put right yet?
 * @pool: the pool
 */
bool qbd_kept_trouble(const struct qbd_pool *pool)
{
	return READ_ONCE(pool->kept) || READ_ONCE(pool->failing) || READ_ONCE(pool->doubted) ||
	       READ_ONCE(pool->half_epoch) || READ_ONCE(pool->flush_error) ||
	       READ_ONCE(pool->ring.stalled);
}

/**
 * qbd_kept_soon - see now whether backends that failed answer
 * @pool: the pool
 *
 * Context: any. While it runs nothing is needed: where not all goes on, it comes again.
 */
void qbd_kept_soon(struct qbd_pool *pool)
{
	smp_mb();	/* what it is wanted for is there before it is seen to run: kept_work() */
	if (READ_ONCE(pool->active) && !READ_ONCE(pool->stopping) &&
	    !READ_ONCE(pool->kept_running))
		mod_delayed_work(pool->kept_wq, &pool->kept_work, 0);
}

/**
 * qbd_kept_add - backends that failed have to stay in
 * @pool: the pool
 * @which: bitmap of backends
 *
 * Context: member_lock, and not in an interrupt.
 */
void qbd_kept_add(struct qbd_pool *pool, u64 which)
{
	spin_lock_irq(&pool->member_list_lock);
	which &= READ_ONCE(pool->in);
	WRITE_ONCE(pool->failing, READ_ONCE(pool->failing) & ~which);
	WRITE_ONCE(pool->kept, READ_ONCE(pool->kept) | which);
	WRITE_ONCE(pool->kept_times, pool->kept_times + 1);
	WRITE_ONCE(pool->flush_error, -EIO);
	pool->rewrite |= which;
	pool->kept_rounds = 0;
	pool->kept_changed = jiffies;
	spin_unlock_irq(&pool->member_list_lock);
	DMERR_LIMIT("%s: backends %#llx fail, but hold last current legs or the last ring: they stay in, and I/O to them %s",
		    pool->members.pool_name, which,
		    READ_ONCE(pool->on_loss_queue) ? "waits" : "fails");
	wake_up_all(&pool->ring.wait);
	qbd_event(pool);
	qbd_kept_soon(pool);
}

/**
 * qbd_kept_doubt - reads that nothing could replace failed: does the backend answer
 * @pool: the pool
 * @which: bitmap of backends
 *
 * Context: not in an interrupt.
 */
void qbd_kept_doubt(struct qbd_pool *pool, u64 which)
{
	spin_lock_irq(&pool->member_list_lock);
	WRITE_ONCE(pool->doubted, pool->doubted | (which & READ_ONCE(pool->in)));
	spin_unlock_irq(&pool->member_list_lock);
	qbd_kept_soon(pool);
}

/**
 * qbd_kept_torn - rows of a write that failed could not be settled
 * @chunk: the chunk
 * @first: the first row
 * @last: the last row
 *
 * Their ranges are active, and stay so; their checksums are reserved. Context: process.
 */
void qbd_kept_torn(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 i, range_rows = chunk->layer->range_rows, units = chunk->layer->units;

	spin_lock_irq(&chunk->lock);
	qbd_csum_keep(chunk, first * units, (last + 1) * units - 1);
	for (i = first / range_rows; i <= last / range_rows; i++)
		chunk->ranges[i].torn = TORN;
	spin_unlock_irq(&chunk->lock);
	WRITE_ONCE(chunk->layer->pool->torn, TORN);
	qbd_kept_soon(chunk->layer->pool);
}

/**
 * qbd_kept_settle - rows that are going to be used: settle what a failed write left
 * @rows: the rows, locked, their table loaded; their memory is used
 *
 * What cannot be settled now is found by its checksums. Sleeps.
 */
void qbd_kept_settle(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;
	u32 range_rows = chunk->layer->range_rows, i;
	bool torn = false;

	qbd_destage_settle(rows);
	if (likely(!READ_ONCE(chunk->layer->pool->torn)))
		return;
	spin_lock_irq(&chunk->lock);
	for (i = rows->first / range_rows; i <= (rows->first + rows->nr - 1) / range_rows; i++)
		torn |= chunk->ranges[i].torn;
	spin_unlock_irq(&chunk->lock);
	if (!torn)
		return;
	qbd_reconcile_rows(rows, false);
	memset(rows->have, 0, rows->nr * sizeof(u32));
	memset(rows->write, 0, rows->nr * sizeof(u32));
	memset(rows->want, 0, rows->nr * sizeof(u32));
}

/* Step 1. Sets who answers. */
static void probe(struct qbd_pool *pool)
{
	int idx = srcu_read_lock(&pool->backends_srcu);
	u64 in = READ_ONCE(pool->in), which = (pool->kept | pool->doubted) & in;
	u64 mute, failed = 0;
	struct qbd_wait wait;
	unsigned int i;

	/* What it holds is of no matter, so one buffer is enough for all. */
	qbd_wait_init(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_at(pool, i);

		if ((which & BIT_ULL(i)) && b)
			qbd_backend_submit(b, REQ_OP_READ | REQ_META | QBD_PROBE, 0,
					   pool->kept_buffer, QBD_PAGE_SIZE, &wait);
	}
	mute = qbd_wait_for(&wait);
	srcu_read_unlock(&pool->backends_srcu, idx);
	mutex_lock(&pool->member_lock);
	/* Where an epoch was begun the next one is the probe. */
	if (!pool->half_epoch && (which & ~mute & pool->in))
		failed = qbd_super_write(pool, &pool->members, which & ~mute & pool->in,
					 QBD_PROBE);
	spin_lock_irq(&pool->member_list_lock);
	if (pool->kept & which & ~mute & ~failed)
		pool->kept_changed = jiffies;
	WRITE_ONCE(pool->mute, (pool->mute & ~which) | mute);
	WRITE_ONCE(pool->kept, pool->kept & ~(which & ~mute & ~failed));
	WRITE_ONCE(pool->doubted, pool->doubted & ~which);
	spin_unlock_irq(&pool->member_list_lock);
	mutex_unlock(&pool->member_lock);
	/* One that was doubted, only, and rightly so. */
	if ((mute | failed) & ~READ_ONCE(pool->kept))
		qbd_member_fail(pool, mute | failed);
	flush_work(&pool->member_work);
}

/* Are there rows that step 5 has to write, of these? */
static bool wants(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 range = first / chunk->layer->range_rows, units = chunk->layer->units;
	bool found;

	spin_lock_irq(&chunk->lock);
	found = chunk->ranges[range].inflight ||
		!qbd_csum_recorded(chunk, first * units, (last + 1) * units - 1);
	spin_unlock_irq(&chunk->lock);
	return found;
}

static int rewrite_rows(struct qbd_chunk *chunk, u32 first, u32 nr, u32 legs)
{
	struct qbd_rows *rows = qbd_rows_alloc(chunk, first, nr, GFP_NOIO);
	int err = 0;

	rows->again = legs;
	rows->lose = chunk->layer->pool->kept_rounds >= PATIENCE;
	qbd_chunk_lock(chunk, &rows->lock, first, first + nr - 1);
	if (!chunk->dead && chunk->map)
		err = qbd_reconcile_rows(rows, false);
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	return err;
}

/*
 * Rows from @row on, at most @nr, that a write may have left torn: their checksums are
 * loaded, for a chunk with active ranges keeps them. And not those whose place a destage
 * will write whole: for their values there may be no room. Return: 0 if @row is not among
 * them.
 */
static u32 rows_to_settle(struct qbd_chunk *chunk, u32 row, u32 nr)
{
	u32 units = chunk->layer->units, n = 0;

	while (n < nr && qbd_csum_loaded(chunk, (row + n) * units, (row + n + 1) * units - 1) &&
	       !qbd_journal_unplaced(chunk, row + n))
		n++;
	return n;
}

/* Nothing in the range is torn any more. Context: chunk->lock. */
static void range_whole(struct qbd_chunk *chunk, u32 range)
{
	u32 i;

	chunk->ranges[range].torn = WHOLE;
	for (i = 0; i < chunk->layer->nr_ranges; i++)
		if (chunk->ranges[i].torn)
			return;
	qbd_csum_settled(chunk);
}

/* One range. It is torn until all of it was settled. */
static int rewrite_range(struct qbd_chunk *chunk, u32 range, u32 legs)
{
	struct qbd_layer *layer = chunk->layer;
	u32 row = range * layer->range_rows, end = row + layer->range_rows, nr;
	bool torn;
	int err = 0;

	spin_lock_irq(&chunk->lock);
	torn = chunk->ranges[range].torn;
	if (torn)
		chunk->ranges[range].torn = SETTLING;
	spin_unlock_irq(&chunk->lock);
	if (!legs && !torn)
		return 0;
	for (; row < end && !err; row += nr ?: 1) {
		nr = rows_to_settle(chunk, row,
				    min(layer->io_rows - row % layer->io_rows, end - row));
		if (nr && (torn || wants(chunk, row, row + nr - 1)))
			err = rewrite_rows(chunk, row, nr, legs);
		cond_resched();
	}
	spin_lock_irq(&chunk->lock);
	if (!err && chunk->ranges[range].torn == SETTLING)
		range_whole(chunk, range);
	spin_unlock_irq(&chunk->lock);
	return err;
}

struct rewriting {
	u64 which;
	int err;
};

/* Step 5 for a chunk. All are tried, whatever becomes of some. */
static int rewrite_chunk(struct qbd_chunk *chunk, void *context)
{
	struct rewriting *r = context;
	u32 legs = 0, writable = qbd_chunk_writable(chunk), i;

	if (!READ_ONCE(chunk->map) || READ_ONCE(chunk->dead))
		return 0;
	/* Nothing to compare, until more of its legs come back. */
	if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k) {
		for (i = 0; i < chunk->layer->nr_ranges; i++)
			if (READ_ONCE(chunk->ranges[i].torn))
				WRITE_ONCE(chunk->layer->pool->torn, TORN);
		return 0;
	}
	for (i = 0; writable >> i; i++)
		if ((writable & BIT(i)) &&
		    (r->which & BIT_ULL(qbd_leg_backend(READ_ONCE(chunk->map->legs[i])))))
			legs |= BIT(i);
	for (i = 0; i < chunk->layer->nr_ranges; i++) {
		int err = rewrite_range(chunk, i, legs);

		/* That there was no memory says nothing of backends. */
		if (err && r->err != -EIO)
			r->err = err;
	}
	return 0;
}

/* Step 5. Return: whether flushes may succeed again. */
static bool rewrite(struct qbd_pool *pool)
{
	struct rewriting r = {};
	u32 times;
	bool done;

	spin_lock_irq(&pool->member_list_lock);
	r.which = pool->rewrite;
	times = pool->kept_times;
	spin_unlock_irq(&pool->member_list_lock);
	if (READ_ONCE(pool->torn))
		WRITE_ONCE(pool->torn, SETTLING);
	qbd_named_each(pool, rewrite_chunk, &r);
	if (r.err) {
		pool->kept_rounds += r.err == -EIO;
		/* Is it the backends again? They are asked before the next round. */
		qbd_kept_doubt(pool, r.which);
		return false;
	}
	pool->kept_rounds = 0;
	cmpxchg(&pool->torn, SETTLING, WHOLE);
	spin_lock_irq(&pool->member_list_lock);
	done = pool->kept_times == times && !pool->failing;
	if (done) {
		pool->rewrite = 0;
		WRITE_ONCE(pool->flush_error, 0);
	}
	spin_unlock_irq(&pool->member_list_lock);
	return done;
}

/* Those who do not answer go out, if they may, when the others have for some time. */
static void let_go(struct qbd_pool *pool)
{
	u64 kept = READ_ONCE(pool->kept);

	if (kept && time_after(jiffies, pool->kept_changed + GRACE)) {
		pool->kept_changed = jiffies;
		qbd_member_leave(pool, kept);
	} else if (!kept && READ_ONCE(pool->half_epoch)) {
		qbd_member_leave(pool, 0);
	}
	flush_work(&pool->member_work);
}

/* Steps 1 to 5. Return: whether all is as if nothing had failed. */
static bool recover(struct qbd_pool *pool)
{
	if (kept_any(pool))
		probe(pool);
	let_go(pool);
	if (READ_ONCE(pool->half_epoch) || READ_ONCE(pool->kept) || !qbd_ring_retry(pool))
		return false;
	queue_work(pool->stamp_wq, &pool->stamp_work);
	flush_work(&pool->stamp_work);
	qbd_destage_complete(pool);
	/* Destages that failed again have memory that what follows may wait for. */
	if (READ_ONCE(pool->kept))
		return false;
	if ((READ_ONCE(pool->flush_error) || READ_ONCE(pool->torn)) && !rewrite(pool))
		return false;
	return !kept_any(pool) && !READ_ONCE(pool->failing);
}

static void kept_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(to_delayed_work(work), struct qbd_pool, kept_work);
	bool failed = qbd_pool_outage(pool), done;

	qbd_moment("kept-comes");
	if (READ_ONCE(pool->stopping))
		return;
	if (READ_ONCE(pool->mode) != QBD_RW) {
		qbd_parked_fail(pool);
		return;
	}
	WRITE_ONCE(pool->kept_running, true);
	done = recover(pool);
	/* For those who failed before, and look only now: parked.c. */
	if (done)
		WRITE_ONCE(pool->recovered, pool->recovered + 1);
	smp_wmb();	/* is_loss() looks in the other order */
	WRITE_ONCE(pool->kept_running, false);
	smp_mb();	/* who found it running relies on what follows */
	if (!done || kept_any(pool) || qbd_pool_outage(pool)) {
		pool->kept_delay = min_t(unsigned long, LAST_DELAY,
					 max_t(unsigned long, FIRST_DELAY, 2 * pool->kept_delay));
		queue_delayed_work(pool->kept_wq, &pool->kept_work, pool->kept_delay);
		return;
	}
	pool->kept_delay = 0;
	if (READ_ONCE(pool->torn))
		queue_delayed_work(pool->kept_wq, &pool->kept_work, LAST_DELAY);
	if (failed) {
		DMINFO("%s: backends that failed are there again, and all goes on",
		       pool->members.pool_name);
		qbd_event(pool);
		mod_delayed_work(pool->repair_wq, &pool->free_work, 0);
		queue_work(pool->repair_wq, &pool->resync_work);
		qbd_destage_again(pool);
		qbd_checkpoint_soon(pool);
	}
	wake_up_all(&pool->ring.wait);
	qbd_parked_go(pool);
	qbd_moment("outage-over");
}

void qbd_kept_init(struct qbd_pool *pool)
{
	INIT_DELAYED_WORK(&pool->kept_work, kept_work);
}
