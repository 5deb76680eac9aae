// SPDX-License-Identifier: GPL-2.0-only
/*
 * Destage: rows with blocks in the journal are written to their place.
 *
 * journal.c has the order of writes. QBD_DESTAGERS workers take the rows in the order
 * in which they came, a batch each: the reads of a batch go out together, its DESTAGE
 * records are one group commit, its rows are written together, one flush and one more
 * group commit end it. While one worker waits for its flush another reads and writes
 * the next rows. A row is in one batch only: so its destage has always ended before its
 * next one begins. After each batch the tail of the ring moves, up to where the last
 * checkpoint was.
 *
 * They run when two fifths of the room are used, until less than a third is: what came
 * last stays, to become whole rows or to be overwritten. All that is there goes when
 * somebody waits for it (a stop, a scrub, a discard), and what was there when the idle
 * timer ended the last time.
 *
 * Row locks. The first row of a batch is waited for, with nothing else locked;
 * others are taken if they are free. No one who has rows locked waits for a
 * destage.
 *
 * A row whose destage fails, for too few legs are left, stays in the journal and is
 * tried again with the next one. Its place is torn then: it gets a DESTAGE record
 * whatever it covers, so that replay never rewrites it from an older one.
 *
 * Model: tests/model/journal.pml.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "qbd.h"

#define MAX_BATCH	256	/* rows */
#define BATCH_PAGES	2048	/* of all legs of its rows */
#define DESTAGE_TO	33	/* percent of the room */
#define IDLE_DESTAGE	(3 * HZ)

/*
 * One row of a batch. newest: LSN of its newest block; full: all its data is in the
 * journal, and it gets no DESTAGE record.
 */
struct qbd_destage {
	struct qbd_journal_row *jr;
	struct qbd_rows *rows;
	struct completion ended;
	u64 newest;
	u32 promised;
	u32 live;
	bool full;
	bool locked;
	bool reading;
	int err;
	__le32 values[QBD_MAX_LEGS];
};

enum taken {
	TAKEN,
	NOT_NOW,	/* somebody has it, or a flush is needed first */
	GONE,
	STUCK,
};

static u32 all_units(const struct qbd_layer *layer)
{
	return BIT(qbd_policy_legs(&layer->policy)) - 1;
}

static u32 all_data(const struct qbd_layer *layer)
{
	return BIT(layer->policy.k) - 1;
}

static bool lock_row(struct qbd_destage *d, bool wait)
{
	struct qbd_chunk *chunk = d->jr->chunk;
	u32 row = d->jr->row;

	d->locked = true;
	if (wait) {
		qbd_chunk_lock(chunk, &d->rows->lock, row, row);
		return true;
	}
	spin_lock_irq(&chunk->lock);
	d->locked = qbd_chunk_try_lock(chunk, &d->rows->lock, row, row);
	spin_unlock_irq(&chunk->lock);
	return d->locked;
}

static void unlock_row(struct qbd_destage *d)
{
	if (d->locked)
		qbd_chunk_unlock(d->jr->chunk, &d->rows->lock);
	d->locked = false;
}

static void row_ended(struct qbd_rows *rows)
{
	complete(rows->wait);
}

/* Of a torn row the parity says nothing: its other data is read. */
static u32 wanted(const struct qbd_destage *d)
{
	const struct qbd_layer *layer = d->rows->chunk->layer;

	return d->full ? 0 :
	       d->jr->torn ? all_data(layer) & ~d->live : qbd_rows_wanted(d->rows, 0, d->live, 0);
}

/* Send the reads of a row; fill_row() waits for them. */
static void begin_row(struct qbd_destage *d)
{
	struct qbd_rows *rows = d->rows;

	qbd_rows_csums(rows);
	rows->wait = &d->ended;
	rows->done = row_ended;
	d->reading = qbd_rows_begin_read(rows, 0, wanted(d));
}

/* The row as it will be: its blocks, the rest from its place, parity. */
static int fill_row(struct qbd_destage *d)
{
	struct qbd_rows *rows = d->rows;
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 parity = all_units(layer) & ~all_data(layer), l;
	int fold = 0;

	if (d->reading) {
		wait_for_completion_io(&d->ended);
		reinit_completion(&d->ended);
		qbd_rows_end_read(rows, 0);
	}
	if (d->jr->torn)
		fold = qbd_rows_read(rows, 0, 1, wanted(d));
	else if (!d->full)
		fold = qbd_rows_prepare(rows, 0, d->live, 0);
	if (fold < 0)
		return fold;
	qbd_rows_repair(rows);
	if (fold)
		qbd_rows_fold(rows, 0, d->live);
	qbd_journal_copy(rows, 0, d->live);
	if (fold)
		qbd_rows_fold(rows, 0, d->live);
	else
		qbd_rows_encode(rows, 0, 1);
	for (l = layer->policy.k; l < rows->nr_legs; l++)
		qbd_rows_sum(rows, l, 0);
	rows->write[0] = d->live | parity;
	for (l = 0; l < rows->nr_legs; l++)
		d->values[l] = cpu_to_le32(*qbd_rows_csum(rows, l, 0));
	return 0;
}

/* A row for the batch, which the caller has set aside as being destaged. */
static enum taken take_row(struct qbd_destage *d, struct qbd_journal_row *jr, bool wait)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_layer *layer = chunk->layer;
	u32 first = jr->row * layer->units, last = first + layer->units - 1, l;
	struct qbd_pool *pool = layer->pool;
	bool recorded;

	memset(d, 0, sizeof(*d));
	d->jr = jr;
	init_completion(&d->ended);
	qbd_csum_prepare_rows(chunk, jr->row, 1);
	d->rows = qbd_rows_alloc(chunk, jr->row, 1, wait ? GFP_NOIO : GFP_NOWAIT);
	if (!d->rows)
		return NOT_NOW;
	if (!lock_row(d, wait))
		return NOT_NOW;
	/* Who freed the chunk did not wait for the record. */
	if (READ_ONCE(chunk->dead) && !jr->gone)
		qbd_journal_drop(jr, ~0u);
	if (jr->gone || !jr->live)
		return GONE;
	d->err = qbd_csum_load(chunk, first, last);
	if (d->err)
		return STUCK;
	spin_lock_irq(&chunk->lock);
	recorded = qbd_csum_recorded(chunk, first, last);
	spin_unlock_irq(&chunk->lock);
	if (!recorded) {
		jr->unrecorded = true;
		return NOT_NOW;
	}
	d->live = jr->live;
	d->full = d->live == all_data(layer) && !jr->torn;
	for (l = 0; d->live >> l; l++)
		if (d->live & BIT(l))
			d->newest = max(d->newest, jr->blocks[l].lsn);
	d->err = qbd_chunk_settle(chunk);
	if (d->err)
		return STUCK;
	spin_lock(&pool->journal.lock);
	d->promised = jr->promised;
	jr->promised = 0;
	spin_unlock(&pool->journal.lock);
	begin_row(d);
	return TAKEN;
}

/* What the record of a row says; the type is the caller's. */
static u64 append_record(struct qbd_destage *d, u8 type)
{
	const struct qbd_chunk *chunk = d->rows->chunk;
	struct qbd_record r = {
		.type = type, .layer = chunk->layer->number, .chunk = chunk->number,
		.gen = chunk->map->gen, .newest = d->newest, .mask = d->rows->write[0],
		.first_unit = d->rows->first * chunk->layer->units,
		.nr_units = chunk->layer->units, .values = d->values,
	};

	return qbd_ring_append(chunk->layer->pool, &r);
}

/* Step 4: the new parity, and the record that it belongs to. */
static u64 append_destage(struct qbd_destage *d)
{
	struct qbd_rows *rows = d->rows;
	const struct qbd_chunk *chunk = rows->chunk;
	const struct qbd_layer *layer = chunk->layer;
	u64 lsn = 0;
	u32 l;

	for (l = layer->policy.k; l < rows->nr_legs && lsn != U64_MAX; l++) {
		struct qbd_record r = {
			.type = QBD_RECORD_JOURNAL, .layer = layer->number,
			.chunk = chunk->number, .gen = chunk->map->gen,
			.row = rows->first, .leg = l, .csum = *qbd_rows_csum(rows, l, 0),
		};

		lsn = qbd_ring_append_block(layer->pool, &r, qbd_rows_block(rows, l, 0),
					    layer->block_size);
	}
	return lsn == U64_MAX ? lsn : append_record(d, QBD_RECORD_DESTAGE);
}

/* Step 5, of all rows that can be; waits for all. */
static void write_rows(struct qbd_pool *pool, struct qbd_destage *d, unsigned int nr)
{
	struct blk_plug plug;
	unsigned int i;
	u64 failed = 0;

	blk_start_plug(&plug);
	for (i = 0; i < nr; i++) {
		struct qbd_rows *rows = d[i].rows;

		if (d[i].err)
			continue;
		rows->wait = &d[i].ended;
		rows->done = row_ended;
		rows->want[0] = rows->write[0];
		qbd_rows_submit(rows, REQ_OP_WRITE, rows->want,
				qbd_chunk_writable(rows->chunk), GFP_NOIO);
	}
	blk_finish_plug(&plug);
	for (i = 0; i < nr; i++) {
		if (d[i].err)
			continue;
		wait_for_completion_io(&d[i].ended);
		failed |= atomic64_read(&d[i].rows->failed);
	}
	for (i = 0; i < nr && failed; i++)
		if (!d[i].err && atomic64_read(&d[i].rows->failed))
			d[i].err = qbd_member_settle(pool, atomic64_read(&d[i].rows->failed));
}

/* Rows that were set aside for values that had no record can be tried again. */
static void recorded_now(struct qbd_pool *pool)
{
	struct qbd_journal_row *jr;

	spin_lock(&pool->journal.lock);
	list_for_each_entry(jr, &pool->journal.rows, list)
		jr->unrecorded = false;
	spin_unlock(&pool->journal.lock);
}

/*
 * Step 6: all backends, and who failed is out, with its stamps; if it is kept, what
 * was written since @times was noted may be gone. Where rows wait for records of their
 * place it is a flush with records, which costs no more.
 */
static int flush_backends(struct qbd_pool *pool, u32 times, bool *unrecorded)
{
	u64 failed;
	int err;

	if (*unrecorded) {
		*unrecorded = false;
		err = qbd_flush(pool);
		recorded_now(pool);
		return err ?: qbd_kept_since(pool, times);
	}
	failed = qbd_backend_flush(pool, READ_ONCE(pool->in));
	err = failed ? qbd_member_settle(pool, failed) : qbd_member_quiet(pool);
	return err ?: qbd_kept_since(pool, times);
}

static void say_stuck(const struct qbd_pool *pool, const struct qbd_destage *d)
{
	const struct qbd_chunk *chunk = d->jr->chunk;

	DMERR_LIMIT("%s: volume %u chunk %u row %u cannot be destaged now (%d): it stays in the journal",
		    pool->members.pool_name, chunk->layer->volume, chunk->number, d->jr->row,
		    d->err);
}

/* The row is in its place, or not: it is as if it had not been begun. */
static void end_row(struct qbd_pool *pool, struct qbd_destage *d)
{
	struct qbd_journal_row *jr = d->jr;
	u32 done = 0, promised = d->promised, l;

	if (!d->locked)
		lock_row(d, true);
	for (l = 0; !d->err && d->live >> l; l++)
		if ((d->live & BIT(l)) && jr->blocks[l].lsn <= d->newest)
			done |= BIT(l);
	if (done && !jr->gone)
		qbd_journal_drop(jr, done);
	spin_lock(&pool->journal.lock);
	/* Nobody else may begin with one that put_row() frees. */
	jr->destaging = jr->gone || !jr->live;
	if (d->err) {
		jr->stuck = true;
		jr->torn = true;
		if (!jr->promised)
			swap(jr->promised, promised);
	} else {
		jr->torn = false;
		jr->pos = jr->later_pos;
		jr->seq = ++pool->journal.seq;
		list_move_tail(&jr->list, &pool->journal.rows);
	}
	jr->later_pos = U64_MAX;
	spin_unlock(&pool->journal.lock);
	if (d->err)
		say_stuck(pool, d);
	else
		atomic64_inc(&pool->journal.destaged);
	qbd_ring_unpromise(pool, promised);
}

/* Who was taken, or only set aside, is let go of. */
static void put_row(struct qbd_pool *pool, struct qbd_destage *d)
{
	struct qbd_journal_row *jr = d->jr;
	struct qbd_rows *rows = d->rows;
	struct qbd_chunk *chunk = jr->chunk;

	/* The row may go with what it has of the chunk. */
	atomic_inc(&chunk->refs);
	if (jr->gone || !jr->live) {
		WARN_ON_ONCE(!d->locked);
		qbd_journal_free(jr);
	}
	if (d->locked)
		qbd_chunk_unlock(chunk, &rows->lock);
	if (rows)
		qbd_rows_free(rows);
	qbd_chunk_put(chunk);
}

static void set_aside_no_more(struct qbd_destager *dr, struct qbd_destage *d, bool stuck)
{
	struct qbd_journal *j = &dr->pool->journal;
	struct qbd_journal_row *jr = d->jr;

	if (d->locked)
		qbd_chunk_unlock(jr->chunk, &d->rows->lock);
	if (d->rows)
		qbd_rows_free(d->rows);
	/* From here on another may take the row, and free it. */
	spin_lock(&j->lock);
	jr->destaging = false;
	jr->skip = dr->number;
	jr->stuck |= stuck;
	jr->later_pos = U64_MAX;
	if (!jr->promised)
		swap(jr->promised, d->promised);
	spin_unlock(&j->lock);
	qbd_ring_unpromise(dr->pool, d->promised);
}

/* Does the journal need room? */
static bool pressed(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	return qbd_ring_used(pool) >= DESTAGE_TO ||
	       READ_ONCE(j->nr_pages) * 100 >= j->max_pages * DESTAGE_TO;
}

/* The oldest row that is to be destaged and can be tried, or NULL. */
static struct qbd_journal_row *next_row(struct qbd_destager *dr, bool all)
{
	struct qbd_journal *j = &dr->pool->journal;
	struct qbd_journal_row *jr;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		if ((!all && jr->seq > j->goal) || jr->destaging || jr->stuck ||
		    jr->unrecorded || jr->skip == dr->number)
			continue;
		jr->destaging = true;
		spin_unlock(&j->lock);
		return jr;
	}
	spin_unlock(&j->lock);
	return NULL;
}

/*
 * Lock rows and send their reads. @any: some could be tried; @unrecorded: some have to
 * be flushed first.
 */
static unsigned int take_batch(struct qbd_destager *dr, bool *any, bool *unrecorded)
{
	struct qbd_pool *pool = dr->pool;
	bool all = pressed(pool);
	struct qbd_journal_row *jr;
	unsigned int nr = 0, pages = 0;
	struct blk_plug plug;

	spin_lock(&pool->journal.lock);
	dr->number = ++pool->journal.batch;
	spin_unlock(&pool->journal.lock);
	*any = false;
	blk_start_plug(&plug);
	while (nr < pool->journal.max_batch && pages < BATCH_PAGES && (jr = next_row(dr, all))) {
		struct qbd_destage *d = &dr->rows[nr];
		enum taken taken = take_row(d, jr, !nr);
		bool no_memory = !d->rows;

		*any = true;
		if (taken == TAKEN) {
			pages += d->rows->nr_pages;
			nr++;
			continue;
		}
		*unrecorded |= jr->unrecorded;
		if (taken == STUCK)
			say_stuck(pool, d);
		if (taken == GONE)
			put_row(pool, d);
		else
			set_aside_no_more(dr, d, taken == STUCK);
		if (no_memory)
			break;
	}
	blk_finish_plug(&plug);
	return nr;
}

/* Wait for the reads, and compute; who cannot be had is let go of. */
static unsigned int fill_batch(struct qbd_destager *dr, unsigned int nr)
{
	unsigned int i, filled = 0;

	for (i = 0; i < nr; i++) {
		struct qbd_destage *d = &dr->rows[i];

		d->err = fill_row(d);
		if (d->err) {
			say_stuck(dr->pool, d);
			set_aside_no_more(dr, d, true);
			continue;
		}
		if (filled != i) {
			/* It holds no list: nobody waits for it now. */
			dr->rows[filled] = *d;
			init_completion(&dr->rows[filled].ended);
		}
		filled++;
	}
	return filled;
}

/* Steps 4 to 7 for a batch. */
static void destage_batch(struct qbd_destager *dr, unsigned int nr, bool *unrecorded)
{
	struct qbd_pool *pool = dr->pool;
	struct qbd_destage *d = dr->rows;
	u32 times = READ_ONCE(pool->kept_times);
	u64 lsn = 0;
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++)
		if (!d[i].full)
			lsn = max(lsn, append_destage(&d[i]));
	err = qbd_ring_wait(pool, lsn);
	for (i = 0; i < nr; i++)
		d[i].err = err ?: qbd_chunk_settle(d[i].rows->chunk);
	write_rows(pool, d, nr);
	for (i = 0; i < nr; i++) {
		if (!d[i].err)
			d[i].err = qbd_chunk_settle(d[i].rows->chunk);
		/* The values of the others change with their last record. */
		if (!d[i].full)
			unlock_row(&d[i]);
	}
	err = flush_backends(pool, times, unrecorded);
	lsn = 0;
	for (i = 0; i < nr; i++) {
		if (!d[i].err)
			d[i].err = err ?: qbd_chunk_settle(d[i].rows->chunk);
		if (!d[i].err)
			lsn = max(lsn, append_record(&d[i], QBD_RECORD_DESTAGED));
	}
	err = qbd_ring_wait(pool, lsn);
	/* First those that are still locked: the others are waited for. */
	for (i = 0; i < nr; i++) {
		d[i].err = d[i].err ?: err;
		if (!d[i].locked)
			continue;
		end_row(pool, &d[i]);
		put_row(pool, &d[i]);
		d[i].rows = NULL;
	}
	for (i = 0; i < nr; i++) {
		if (!d[i].rows)
			continue;
		end_row(pool, &d[i]);
		put_row(pool, &d[i]);
	}
}

/* Some room is free again: say so, where it is needed soon. */
static void move_tail(struct qbd_pool *pool)
{
	struct qbd_record r = { .type = QBD_RECORD_CHECKPOINT };

	/* Where it stays, because the oldest row cannot go, nothing may be added either. */
	if (!qbd_ring_trim(pool) || qbd_ring_used(pool) < 50)
		return;
	r.lsn = READ_ONCE(pool->ring.checked_lsn);
	qbd_ring_append(pool, &r);
	qbd_ring_relieve(pool);
}

static void set_stuck(struct qbd_journal *j, bool stuck)
{
	struct qbd_journal_row *jr;

	lockdep_assert_held(&j->lock);
	list_for_each_entry(jr, &j->rows, list)
		jr->stuck = stuck;
}

/* What was stuck is tried now and then: those who wait for room ask all the time. */
static void unstick(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	bool again;

	spin_lock(&j->lock);
	again = time_after_eq(jiffies, j->retry);
	/* Nothing can be flushed now: nor destaged. */
	if (READ_ONCE(pool->flush_error))
		set_stuck(j, true);
	else if (again)
		set_stuck(j, false);
	if (again)
		j->retry = jiffies + HZ;
	spin_unlock(&j->lock);
}

static void destage_work(struct work_struct *work)
{
	struct qbd_destager *dr = container_of(work, struct qbd_destager, work);
	struct qbd_pool *pool = dr->pool;
	struct qbd_journal *j = &pool->journal;
	bool any = true, unrecorded = false;

	unstick(pool);
	while (any && READ_ONCE(pool->mode) == QBD_RW && !READ_ONCE(pool->flush_error)) {
		unsigned int nr;

		/* Each chunk that is destaged is named: its stamps have to fit. */
		if (atomic_read(&pool->nr_named) + QBD_DESTAGERS * j->max_batch >=
		    pool->ring.max_named)
			qbd_checkpoint(pool);
		nr = take_batch(dr, &any, &unrecorded);
		nr = fill_batch(dr, nr);
		if (nr) {
			destage_batch(dr, nr, &unrecorded);
			move_tail(pool);
			/* Not in vain: who waits for room would begin the next one at once. */
			wake_up_all(&pool->ring.wait);
		} else if (unrecorded) {
			any |= !flush_backends(pool, READ_ONCE(pool->kept_times), &unrecorded);
		}
		wake_up_all(&j->wait);
		cond_resched();
	}
	wake_up_all(&j->wait);
	/* What came meanwhile, or could not be. */
	if (READ_ONCE(j->nr_rows))
		qbd_destage_idle(pool);
}

/**
 * qbd_destage_again - what was in the way of rows is over: those that were stuck are
 * tried again
 * @pool: the pool
 *
 * Before those go on who would fail for a row that is stuck. Context: any but an
 * interrupt.
 */
void qbd_destage_again(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	set_stuck(j, false);
	spin_unlock(&j->lock);
	qbd_destage_soon(pool);
}

/**
 * qbd_destage_soon - begin a destage, if there is anything
 * @pool: the pool
 *
 * Context: any but an interrupt. Return: whether there is.
 */
bool qbd_destage_soon(struct qbd_pool *pool)
{
	unsigned int i;

	if (!READ_ONCE(pool->journal.nr_rows) || READ_ONCE(pool->mode) != QBD_RW ||
	    !READ_ONCE(pool->active) || READ_ONCE(pool->journal.ended))
		return false;
	for (i = 0; i < QBD_DESTAGERS; i++)
		queue_work(pool->journal_wq, &pool->journal.destagers[i].work);
	return true;
}

/**
 * qbd_destage_begin - begin a destage of all that is there, if there is anything
 * @pool: the pool
 *
 * Context and return value as of qbd_destage_soon().
 */
bool qbd_destage_begin(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	j->goal = j->seq;
	spin_unlock(&j->lock);
	return qbd_destage_soon(pool);
}

/**
 * qbd_destage_idle - something is live: destage it by and by
 * @pool: the pool
 */
void qbd_destage_idle(struct qbd_pool *pool)
{
	if (READ_ONCE(pool->active) && READ_ONCE(pool->mode) == QBD_RW &&
	    !READ_ONCE(pool->journal.ended))
		queue_delayed_work(pool->journal_wq, &pool->journal.idle_work, IDLE_DESTAGE);
}

static void idle_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(to_delayed_work(work), struct qbd_pool,
					     journal.idle_work);
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	j->goal = max(j->goal, j->idle_goal);
	j->idle_goal = j->seq;
	spin_unlock(&j->lock);
	if (qbd_destage_soon(pool))
		qbd_destage_idle(pool);
}

/* Is all of it done that was there at @last, but for what is stuck? */
static bool destaged(struct qbd_journal *j, u64 last, bool *stuck)
{
	struct qbd_journal_row *jr;
	bool done = true;

	*stuck = false;
	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		if (jr->seq > last)
			continue;
		*stuck |= jr->stuck;
		done &= jr->stuck;
	}
	spin_unlock(&j->lock);
	return done;
}

/**
 * qbd_destage_all - wait until all that is live now is in its place
 * @pool: the pool
 *
 * Sleeps. Context: no row is locked.
 *
 * Return: 0; -EIO when some of it cannot be, or the pool failed.
 */
int qbd_destage_all(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	bool stuck = false;
	u64 last;

	spin_lock(&j->lock);
	last = j->seq;
	spin_unlock(&j->lock);
	while (!destaged(j, last, &stuck)) {
		if (!qbd_destage_begin(pool))
			return READ_ONCE(j->nr_rows) ? -EIO : 0;
		wait_event_timeout(j->wait, destaged(j, last, &stuck) ||
				   READ_ONCE(pool->mode) != QBD_RW, HZ);
	}
	return stuck ? -EIO : 0;
}

/**
 * qbd_destage_init - memory of the destage; the ring is there
 * @pool: the pool
 *
 * Return: 0 or -ENOMEM; qbd_destage_exit() in either case.
 */
int qbd_destage_init(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	unsigned int i;

	/* A few batches fill the ring: room comes in steps, and others take turns. */
	j->max_batch = clamp(pool->ring.capacity / 32, 4u, (u32)MAX_BATCH);
	j->max_batch = clamp(pool->ring.max_named / (4 * QBD_DESTAGERS), 1u, j->max_batch);
	j->retry = jiffies;
	INIT_DELAYED_WORK(&j->idle_work, idle_work);
	for (i = 0; i < QBD_DESTAGERS; i++) {
		struct qbd_destager *dr = &j->destagers[i];

		dr->pool = pool;
		INIT_WORK(&dr->work, destage_work);
		dr->rows = kvcalloc(j->max_batch, sizeof(*dr->rows), GFP_KERNEL);
		if (!dr->rows)
			return -ENOMEM;
	}
	return 0;
}

void qbd_destage_exit(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	unsigned int i;

	if (!j->max_batch)
		return;
	/* The timer starts the workers, and they it. */
	WRITE_ONCE(j->ended, true);
	cancel_delayed_work_sync(&j->idle_work);
	for (i = 0; i < QBD_DESTAGERS; i++) {
		if (j->destagers[i].rows)
			cancel_work_sync(&j->destagers[i].work);
		kvfree(j->destagers[i].rows);
		j->destagers[i].rows = NULL;
	}
	cancel_delayed_work_sync(&j->idle_work);
}
