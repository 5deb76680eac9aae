// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flush and checkpoint.
 *
 * A flush, and what a crash between any two of its steps leaves:
 *
 *	1. note every unit's value that has no record yet (capture): nothing on disk
 *	2. flush every backend with unflushed writes
 *			the data is durable, its ranges are active, no record says
 *			so: reconcile takes it from the legs
 *	3. append the checksum records of what was captured, wait until durable
 *			what was acknowledged is durable, and replay knows its value
 *	4. acknowledge
 *
 * A write that completes after 1 is not in it; its units are pending again and
 * its range stays active. One flush runs at a time; all bios that came before it
 * began share it. A backend that fails its flush is out, by a durable epoch and
 * stamps, before 4 (rule 2). One that has to stay in (rule 4) leaves every
 * further flush failing until kept.c has written again what was not recorded: nobody
 * can tell what of the writes before it is there. So no failure may be open when
 * records are appended. What a flush that failed had
 * captured the next one records.
 *
 * A checkpoint lets go of the ring:
 *
 *	1. flush, as above		records of all that completed before it
 *	2. note L, up to where everything is durable and in effect
 *	3. write the pages that changed	they hold durable records only; a torn one
 *					leaves its other place
 *	4. flush the backends		all records <= L are in pages, durably
 *	5. ranges: one in which a write was in flight when 1 began, or since, gets
 *	   a new record; others with a record <= L end. Durable.
 *	6. the tail goes to the block after L, or to the oldest that the journal
 *	   needs (and from there on as rows are destaged, up to the block after L
 *	   of the last checkpoint); a record that says so, durable
 *
 * A backend that fails in 3 or 4 and has to stay in: it ends here, and the next one
 * writes these pages again, each to the place that it went to.
 *
 * A crash before 6 finds the log as it was and applies to the pages what is newer
 * than they are. After 6, blocks before the tail are free.
 *
 * In 5 a range is ended under chunk->lock, where a write looks whether it is
 * active: one that comes later makes it active again.
 *
 * Models: tests/model/flush.pml.
 */
#include "qbd.h"

#define IDLE_CHECKPOINT	(5 * HZ)

/**
 * qbd_named_each - call a function for every chunk that was named when it began
 * @pool: the pool
 * @context: passed to @fn
 * @fn: not 0 ends the walk and is returned
 *
 * Two markers in the list keep the walk's place and its end, whatever comes and
 * goes meanwhile. Sleeps.
 */
int qbd_named_each(struct qbd_pool *pool, int (*fn)(struct qbd_chunk *chunk, void *context),
		   void *context)
{
	struct qbd_named place = {}, end = {};
	struct qbd_named *node;
	int err = 0;

	spin_lock_irq(&pool->named_lock);
	list_add(&place.list, &pool->named);
	list_add_tail(&end.list, &pool->named);
	while (!err && (node = list_next_entry(&place, list)) != &end) {
		struct qbd_chunk *chunk = node->chunk;

		list_move(&place.list, &node->list);
		if (!chunk)	/* a marker of another walk */
			continue;
		atomic_inc(&chunk->refs);
		spin_unlock_irq(&pool->named_lock);
		err = fn(chunk, context);
		qbd_chunk_put(chunk);
		cond_resched();
		spin_lock_irq(&pool->named_lock);
	}
	list_del(&place.list);
	list_del(&end.list);
	spin_unlock_irq(&pool->named_lock);
	return err;
}

static int capture(struct qbd_chunk *chunk, void *context)
{
	qbd_csum_capture(chunk);
	return 0;
}

static int append(struct qbd_chunk *chunk, void *context)
{
	u64 lsn = qbd_csum_append(chunk);

	*(u64 *)context = max(*(u64 *)context, lsn);
	return 0;
}

/**
 * qbd_flush - make all that completed before this durable
 * @pool: the pool
 *
 * Sleeps; its records use room that is kept for them.
 *
 * Return: 0 or -EIO.
 */
int qbd_flush(struct qbd_pool *pool)
{
	u64 failed, lsn = 0;
	u32 times;
	int err;

	mutex_lock(&pool->flush_mutex);
	WRITE_ONCE(pool->flush_number, pool->flush_number + 1);
	times = READ_ONCE(pool->kept_times);
	smp_rmb();	/* a failure that is over was over before it is counted */
	err = READ_ONCE(pool->flush_error);
	if (!err) {
		qbd_named_each(pool, capture, NULL);
		failed = qbd_backend_flush(pool, READ_ONCE(pool->in));
		if (failed)
			err = qbd_member_settle(pool, failed);
	}
	/*
	 * A backend that failed a write in between may have answered the flush without its
	 * cache. If it is kept, what has a record would not be written again.
	 */
	qbd_moment("flush-answered");
	if (!err)
		err = qbd_member_quiet(pool) ?: qbd_kept_since(pool, times);
	if (!err) {
		qbd_named_each(pool, append, &lsn);
		/* And until the records of FUA writes that overtook some of it are durable. */
		err = qbd_ring_wait(pool, max(lsn, qbd_csum_overtaken(pool)));
	}
	/* Whatever failed meanwhile, on any backend: out, and stamped, before this. */
	if (!err)
		err = qbd_member_quiet(pool) ?: qbd_kept_since(pool, times);
	mutex_unlock(&pool->flush_mutex);
	if (err)
		DMERR_LIMIT("%s: a flush failed (%d)", pool->members.pool_name, err);
	return err;
}

static void flush_bios(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, flush_work);
	struct bio_list bios;
	struct bio *bio;
	int err;

	spin_lock_irq(&pool->flush_lock);
	bios = pool->flush_bios;
	bio_list_init(&pool->flush_bios);
	spin_unlock_irq(&pool->flush_lock);
	if (bio_list_empty(&bios))
		return;
	/*
	 * Overwrites of active ranges ask for no room: one flush after another, each with
	 * the records of such writes, would fill the ring.
	 */
	err = qbd_ring_admit(pool) ?: qbd_flush(pool);
	while ((bio = bio_list_pop(&bios)))
		qbd_io_end(dm_per_bio_data(bio, sizeof(struct qbd_io)), err);
}

/**
 * qbd_flush_bio - a user's flush
 * @pool: the pool
 * @bio: the bio
 */
void qbd_flush_bio(struct qbd_pool *pool, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->flush_lock, flags);
	bio_list_add(&pool->flush_bios, bio);
	spin_unlock_irqrestore(&pool->flush_lock, flags);
	queue_work(pool->flush_wq, &pool->flush_work);
}

struct checkpoint {
	struct qbd_pages pages;
	u32 flush;		/* number of step 1 */
	u64 lsn;		/* L */
	u64 last_lsn;		/* of step 5 */
	bool left;		/* something has to wait for the next one */
};

static int write_csums(struct qbd_chunk *chunk, void *context)
{
	struct checkpoint *c = context;
	u32 legs;

	/* One that is made meanwhile has no legs here, and a map there: it is for the next one. */
	if (!READ_ONCE(chunk->map))
		return 0;
	legs = qbd_chunk_writable(chunk);
	qbd_moment("checkpoint-has-legs");
	qbd_csum_write(chunk, legs, false, &c->pages);
	return 0;
}

static int unwrite_csums(struct qbd_chunk *chunk, void *context)
{
	qbd_csum_unwrite(chunk, chunk->layer->pool->page_round);
	return 0;
}

/*
 * Pages of this checkpoint may be on disk or not, on a backend that has to stay in:
 * all are written again by the next one, and to the same places, for the other ones
 * hold what is durable.
 */
static void forget_pages(struct qbd_pool *pool)
{
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_backend *b;
	unsigned int i;

	qbd_named_each(pool, unwrite_csums, NULL);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		b = qbd_backend_in(pool, i);
		if (b)
			qbd_slots_unwrite(b, pool->page_round);
	}
	qbd_table_unwrite(pool, &pool->volume_table);
	qbd_table_unwrite(pool, &pool->layer_table);
	srcu_read_unlock(&pool->backends_srcu, idx);
}

/* Step 5 for one chunk, and off the list with it if nothing is left. */
static int end_ranges(struct qbd_chunk *chunk, void *context)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	struct checkpoint *c = context;
	u64 renew = 0;
	bool keep = false;
	u32 i;

	spin_lock_irq(&chunk->lock);
	for (i = 0; i < layer->nr_ranges; i++) {
		struct qbd_range *range = &chunk->ranges[i];

		if (!range->lsn)
			continue;
		if (range->inflight || range->torn || (s32)(range->done_in - c->flush) >= 0 ||
		    (chunk->unreconciled & BIT_ULL(i))) {
			keep = true;
			if (range->lsn <= c->lsn)
				renew |= BIT_ULL(i);
		} else if (range->lsn <= c->lsn) {
			range->lsn = 0;
			atomic_dec(&pool->nr_ranges);
		} else {
			keep = true;
		}
	}
	spin_unlock_irq(&chunk->lock);
	for (i = 0; renew >> i && i < layer->nr_ranges; i++) {
		struct qbd_record r = {
			.type = QBD_RECORD_RANGE, .layer = layer->number,
			.chunk = chunk->number, .gen = chunk->map->gen,
			.first_row = i * layer->range_rows, .nr_rows = layer->range_rows,
		};

		if ((renew & BIT_ULL(i)) && !READ_ONCE(chunk->dead))
			c->last_lsn = max(c->last_lsn, qbd_ring_append(pool, &r));
	}

	keep |= qbd_csum_unwritten(chunk);
	qbd_moment("checkpoint-looked");
	if (keep || !qbd_chunk_forget(chunk, c->lsn))
		c->left = true;
	return 0;
}

static int checkpoint(struct qbd_pool *pool)
{
	struct checkpoint c = {};
	struct qbd_record r = { .type = QBD_RECORD_CHECKPOINT };
	unsigned int i;
	u64 block, failed;
	int err, idx;
	u32 times;

	mutex_lock(&pool->checkpoint_mutex);
	/* One that was going to come does not have to: what is recorded from here on asks anew. */
	cancel_delayed_work(&pool->checkpoint_work);
	times = READ_ONCE(pool->kept_times);
	/* Not earlier: resync, too, writes pages with it, under the mutex. */
	c.pages = pool->checkpoint_pages;
	c.flush = READ_ONCE(pool->flush_number) + 1;
	err = qbd_flush(pool);
	if (err)
		goto out;
	qbd_ring_position(pool, &c.lsn, &block);

	pool->page_round++;
	idx = srcu_read_lock(&pool->backends_srcu);
	c.pages.failed = 0;
	qbd_named_each(pool, write_csums, &c);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (b)
			qbd_slots_write(b, false, &c.pages);
	}
	qbd_table_write(pool, &pool->volume_table, READ_ONCE(pool->in), false, &c.pages);
	qbd_table_write(pool, &pool->layer_table, READ_ONCE(pool->in), false, &c.pages);
	failed = qbd_pages_send(&c.pages);
	srcu_read_unlock(&pool->backends_srcu, idx);
	failed |= qbd_backend_flush(pool, READ_ONCE(pool->in) & ~failed);
	err = failed ? qbd_member_settle(pool, failed) : qbd_member_quiet(pool);
	err = err ?: qbd_kept_since(pool, times);
	if (err) {
		/* Pages that count as clean are not on disk. */
		forget_pages(pool);
		goto out;
	}

	qbd_named_each(pool, end_ranges, &c);
	err = qbd_ring_wait(pool, c.last_lsn);
	if (err)
		goto out;
	qbd_ring_checked(pool, c.lsn, block);
	/* What waits in the journal is held on to; its DESTAGED record wants another one. */
	qbd_ring_trim(pool);
	r.lsn = c.lsn;
	err = qbd_ring_record(pool, &r);
	atomic64_inc(&pool->checkpoints);
out:
	mutex_unlock(&pool->checkpoint_mutex);
	/* Who waits for room looks again, also when there is none. */
	wake_up_all(&pool->ring.wait);
	pool->checkpoint_left = c.left;
	/* Who waits for memory may find it in what is left, and asks once only. */
	if (atomic_read(&pool->starved)) {
		qbd_destage_begin(pool);
		mod_delayed_work(pool->checkpoint_wq, &pool->checkpoint_work, HZ / 10);
	}
	if (err)
		return err;
	if (c.left && !atomic_read(&pool->starved))
		qbd_checkpoint_idle(pool);
	return 0;
}

/**
 * qbd_checkpoint - put all that is recorded into pages, and let go of the ring
 * @pool: the pool
 *
 * Then the ring gets the members that it should have: the one that was going to come,
 * which this one took the place of, may have been for that. Sleeps.
 * Return: 0 or an error; after an error the log is as it was.
 */
int qbd_checkpoint(struct qbd_pool *pool)
{
	int err = checkpoint(pool);

	if (!err && READ_ONCE(pool->active) && !READ_ONCE(pool->stopping))
		qbd_ring_extend(pool, qbd_pool_max_m(pool));
	return err;
}

/**
 * qbd_checkpoint_soon - the ring fills up
 * @pool: the pool
 */
void qbd_checkpoint_soon(struct qbd_pool *pool)
{
	mod_delayed_work(pool->checkpoint_wq, &pool->checkpoint_work, 0);
}

/**
 * qbd_checkpoint_idle - something was recorded: a checkpoint when it gets quiet
 * @pool: the pool
 */
void qbd_checkpoint_idle(struct qbd_pool *pool)
{
	if (READ_ONCE(pool->active) && READ_ONCE(pool->mode) == QBD_RW &&
	    !READ_ONCE(pool->stopping))
		queue_delayed_work(pool->checkpoint_wq, &pool->checkpoint_work, IDLE_CHECKPOINT);
}

static void checkpoint_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(to_delayed_work(work), struct qbd_pool,
					     checkpoint_work);

	if (READ_ONCE(pool->mode) != QBD_RW)
		return;
	qbd_moment("checkpoint-comes");
	/* In a start that is not through, ranges that are to be reconciled look as if whole. */
	if (READ_ONCE(pool->active))
		qbd_checkpoint(pool);
	else
		queue_delayed_work(pool->checkpoint_wq, &pool->checkpoint_work, HZ);
}

void qbd_flush_init(struct qbd_pool *pool)
{
	mutex_init(&pool->flush_mutex);
	mutex_init(&pool->checkpoint_mutex);
	mutex_init(&pool->csum_mutex);
	spin_lock_init(&pool->flush_lock);
	bio_list_init(&pool->flush_bios);
	INIT_WORK(&pool->flush_work, flush_bios);
	INIT_DELAYED_WORK(&pool->checkpoint_work, checkpoint_work);
}
