// SPDX-License-Identifier: GPL-2.0-only
/*
 * A batch of rows that are destaged: read, computed, recorded, written, flushed, and
 * recorded as done; the steps are journal.c's.
 *
 * A destage that fails, for too few legs are left. A whole row stays in the journal and
 * is tried again with the next one. Its place is torn then: it gets a DESTAGE record
 * whatever it covers, so that replay never rewrites it from an older one. A part of a
 * row that has its DESTAGE record has to be completed as it was begun: with a leg
 * missing nothing but these blocks tells what the row holds. So the worker keeps them,
 * and writes them again before it takes other rows, and kept.c waits for that before
 * flushes may succeed; who needs the row earlier writes them as well
 * (qbd_destage_settle()).
 *
 * Model: tests/model/journal.pml.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "qbd.h"
#include "destage.h"

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
	d->locked = qbd_chunk_lock_row(d->jr->chunk, &d->rows->lock, d->jr->row, wait);
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
	if (!d->jr->torn && !d->full)
		fold = qbd_rows_prepare(rows, 0, d->live, 0);
	/* Old data or parity is bad: it is not needed where all of the rest is there. */
	if (d->jr->torn || fold < 0)
		fold = qbd_rows_read(rows, 0, 1, all_data(layer) & ~d->live);
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

/**
 * qbd_destage_gone - was a row's chunk freed?
 * @jr: the row, locked
 *
 * Who did that need not have waited for the record.
 */
bool qbd_destage_gone(struct qbd_journal_row *jr)
{
	if (READ_ONCE(jr->chunk->dead) && !jr->gone)
		qbd_journal_drop(jr, ~0u);
	return jr->gone || READ_ONCE(jr->chunk->dead);
}

/**
 * qbd_destage_take - take a row into a batch, and send its reads
 * @d: its place in the batch
 * @jr: the row, which the caller has set aside as being destaged
 * @wait: for memory, and for who has the row locked
 */
enum qbd_taken qbd_destage_take(struct qbd_destage *d, struct qbd_journal_row *jr, bool wait)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_layer *layer = chunk->layer;
	u32 first = jr->row * layer->units, last = first + layer->units - 1, l;
	struct qbd_pool *pool = layer->pool;
	bool recorded;

	memset(d, 0, sizeof(*d));
	d->jr = jr;
	init_completion(&d->ended);
	if (qbd_csum_prepare_rows(chunk, jr->row, 1))
		return QBD_NOT_NOW;
	/* In an outage it may have what it has until the end. */
	d->rows = qbd_rows_alloc(chunk, jr->row, 1, wait ? GFP_NOIO : QBD_GFP_TRY);
	if (!d->rows)
		return QBD_NOT_NOW;
	if (!lock_row(d, wait))
		return QBD_NOT_NOW;
	if (qbd_destage_gone(jr) || !jr->live)
		return QBD_GONE;
	d->err = qbd_csum_load(chunk, first, last, &d->rows->unread);
	if (d->err)
		return QBD_STUCK;
	spin_lock_irq(&chunk->lock);
	recorded = qbd_csum_recorded(chunk, first, last);
	spin_unlock_irq(&chunk->lock);
	if (!recorded) {
		jr->unrecorded = true;
		return QBD_NOT_NOW;
	}
	d->live = jr->live;
	d->full = d->live == all_data(layer) && !jr->torn;
	for (l = 0; d->live >> l; l++)
		if (d->live & BIT(l))
			d->newest = max(d->newest, jr->blocks[l].lsn);
	d->err = qbd_chunk_settle(chunk);
	if (d->err)
		return QBD_STUCK;
	spin_lock(&pool->journal.lock);
	d->promised = jr->promised;
	jr->promised = 0;
	spin_unlock(&pool->journal.lock);
	begin_row(d);
	return QBD_TAKEN;
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
		struct qbd_record r = qbd_journal_record(rows->chunk, rows->first, l,
							 *qbd_rows_csum(rows, l, 0));

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

/*
 * From its record on until it is done a destage can be completed by whoever has the row
 * locked, for it may fail at any time. Context: the row is locked.
 */
static void set_begun(struct qbd_destage *d, u32 times)
{
	d->jr->begun = d->rows;
	d->jr->begun_times = times;
	d->jr->begun_torn = d->err;
	atomic_inc(&d->rows->chunk->layer->pool->journal.nr_begun);
}

static void drop_begun(struct qbd_journal *j, struct qbd_journal_row *jr)
{
	if (!jr->begun)
		return;
	jr->begun = NULL;
	atomic_dec(&j->nr_begun);
}

/* Are its blocks not in their place, or may they be gone from there, by what was kept? */
static bool is_torn(const struct qbd_journal_row *jr)
{
	return jr->begun_torn || qbd_kept_since(jr->chunk->layer->pool, jr->begun_times);
}

/* Write the blocks of a row's destage again. Context: the row is locked. */
static int write_begun(struct qbd_journal_row *jr)
{
	struct qbd_pool *pool = jr->chunk->layer->pool;
	u32 times = READ_ONCE(pool->kept_times);
	struct qbd_rows *rows = jr->begun;
	u64 failed;
	int err;

	/* Not recorded yet: the place is as it was, and must stay so. */
	if (rows->lsn > READ_ONCE(pool->ring.durable_lsn))
		return -EIO;
	err = qbd_chunk_settle(jr->chunk);
	if (err)
		return err;
	rows->want[0] = rows->write[0];
	failed = qbd_rows_io(rows, REQ_OP_WRITE, rows->want, qbd_chunk_writable(jr->chunk));
	if (failed)
		err = qbd_member_settle(pool, failed) ?: qbd_chunk_settle(jr->chunk);
	if (!err) {
		jr->begun_times = times;
		jr->begun_torn = false;
	}
	return err;
}

/**
 * qbd_destage_settle - rows that are going to be used: complete destages that failed
 * @rows: the rows, locked
 *
 * Sleeps. Return: 0; an error: their place is any mixture, or will be another one.
 */
int qbd_destage_settle(const struct qbd_rows *rows)
{
	struct qbd_journal *j = &rows->chunk->layer->pool->journal;
	int err = 0;
	u32 row;

	if (likely(!atomic_read(&j->nr_begun)))
		return 0;
	for (row = 0; row < rows->nr; row++) {
		struct qbd_journal_row *jr = qbd_journal_find(rows->chunk, rows->first + row);

		if (jr && jr->begun && is_torn(jr))
			err = write_begun(jr) ?: err;
	}
	return err;
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

/* All backends; who failed is out, with its stamps, or kept. */
static int flush_all(struct qbd_pool *pool)
{
	u64 failed = qbd_backend_flush(pool, READ_ONCE(pool->in));

	return failed ? qbd_member_settle(pool, failed) : qbd_member_quiet(pool);
}

/**
 * qbd_destage_flush - step 6: all backends, and who failed is out, with its stamps
 * @pool: the pool
 * @times: pool->kept_times before the first write: if any was kept since, what was
 *	written may be gone
 * @unrecorded: rows wait for records of their place: then it is a flush with records,
 *	which costs no more
 *
 * Sleeps. Return: 0 or an error.
 */
int qbd_destage_flush(struct qbd_pool *pool, u32 times, bool *unrecorded)
{
	int err;

	if (*unrecorded) {
		*unrecorded = false;
		err = qbd_flush(pool);
		recorded_now(pool);
		return err ?: qbd_kept_since(pool, times);
	}
	return flush_all(pool) ?: qbd_kept_since(pool, times);
}

/* The row is in its place, or not: it is as if it had not been begun. */
static void end_row(struct qbd_pool *pool, struct qbd_destage *d)
{
	struct qbd_journal_row *jr = d->jr;
	u32 done = 0, promised = d->promised, l;

	for (l = 0; !d->err && d->live >> l; l++)
		if ((d->live & BIT(l)) && jr->blocks[l].lsn <= d->newest)
			done |= BIT(l);
	if (done && !jr->gone)
		qbd_journal_drop(jr, done);
	spin_lock(&pool->journal.lock);
	/* Nobody else may begin with one that qbd_destage_put() frees. */
	jr->destaging = jr->gone || !jr->live;
	if (d->err) {
		qbd_row_failed(&pool->journal, jr, 0);
		jr->torn |= d->full;
		if (!jr->promised)
			swap(jr->promised, promised);
	} else {
		jr->tried = 0;
		jr->torn = false;
		jr->pos = jr->later_pos;
		jr->seq = ++pool->journal.seq;
		list_move_tail(&jr->list, &pool->journal.rows);
	}
	jr->later_pos = U64_MAX;
	spin_unlock(&pool->journal.lock);
	if (d->err)
		qbd_destage_say_stuck(pool, d);
	else
		atomic64_inc(&pool->journal.destaged);
	qbd_ring_unpromise(pool, promised);
}

/**
 * qbd_destage_put - let go of a row that was taken, or only set aside
 * @pool: the pool
 * @d: the row; if it is in its place, or gone, it is freed
 */
void qbd_destage_put(struct qbd_pool *pool, struct qbd_destage *d)
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

/**
 * qbd_destage_let_go - a row is not destaged now, and nothing was written of it
 * @dr: the worker
 * @d: the row
 * @stuck: it cannot be
 */
void qbd_destage_let_go(struct qbd_destager *dr, struct qbd_destage *d, bool stuck)
{
	struct qbd_journal *j = &dr->pool->journal;
	struct qbd_journal_row *jr = d->jr;

	/* Before others write to it, which may be what it lacks. */
	if (stuck) {
		spin_lock(&j->lock);
		qbd_row_failed(j, jr, d->rows->unread);
		spin_unlock(&j->lock);
	}
	if (d->locked)
		qbd_chunk_unlock(jr->chunk, &d->rows->lock);
	if (d->rows)
		qbd_rows_free(d->rows);
	/* From here on another may take the row, and free it. */
	spin_lock(&j->lock);
	jr->destaging = false;
	jr->skip = dr->number;
	jr->later_pos = U64_MAX;
	if (!jr->promised)
		swap(jr->promised, d->promised);
	spin_unlock(&j->lock);
	qbd_ring_unpromise(dr->pool, d->promised);
}

/* To another place of the batch, which is free, or its own. */
static void move_row(struct qbd_destage *to, const struct qbd_destage *d)
{
	if (to == d)
		return;
	*to = *d;
	/* It holds no list: nobody waits for it now. */
	init_completion(&to->ended);
}

/**
 * qbd_destage_fill - wait for the reads of a batch, and compute
 * @dr: the worker
 * @nr: rows in its batch
 *
 * Who cannot be had is let go of. Return: how many are left.
 */
unsigned int qbd_destage_fill(struct qbd_destager *dr, unsigned int nr)
{
	unsigned int i, filled = 0;

	for (i = 0; i < nr; i++) {
		struct qbd_destage *d = &dr->rows[i];

		d->err = fill_row(d);
		if (d->err) {
			qbd_destage_say_stuck(dr->pool, d);
			qbd_destage_let_go(dr, d, true);
			continue;
		}
		move_row(&dr->rows[filled++], d);
	}
	return filled;
}

/* A destage that has its record and failed: it is this one that has to be completed. */
static void keep_begun(struct qbd_destager *dr, struct qbd_destage *d)
{
	struct qbd_journal *j = &dr->pool->journal;

	qbd_destage_say_stuck(dr->pool, d);
	d->jr->begun_torn = true;
	unlock_row(d);
	spin_lock(&j->lock);
	qbd_row_failed(j, d->jr, 0);
	spin_unlock(&j->lock);
	move_row(&dr->rows[dr->nr_begun++], d);
}

/*
 * The end of rows of a batch, each with its error; whole rows, which are still locked,
 * first: the others are waited for, one at a time.
 */
static void end_batch(struct qbd_destager *dr, unsigned int nr)
{
	struct qbd_destage *d = dr->rows;
	unsigned int i;

	dr->nr_begun = 0;
	for (i = 0; i < nr; i++) {
		if (!d[i].locked)
			continue;
		end_row(dr->pool, &d[i]);
		qbd_destage_put(dr->pool, &d[i]);
		d[i].rows = NULL;
	}
	for (i = 0; i < nr; i++) {
		if (!d[i].rows)
			continue;
		lock_row(&d[i], true);
		if (d[i].err && d[i].jr->begun && !qbd_destage_gone(d[i].jr)) {
			keep_begun(dr, &d[i]);
			continue;
		}
		drop_begun(&dr->pool->journal, d[i].jr);
		end_row(dr->pool, &d[i]);
		qbd_destage_put(dr->pool, &d[i]);
	}
}

/* Step 7, and the end of the batch. @err: of the flush. */
static void record_done(struct qbd_destager *dr, unsigned int nr, int err)
{
	struct qbd_pool *pool = dr->pool;
	struct qbd_destage *d = dr->rows;
	unsigned int i;
	u64 lsn = 0;

	qbd_moment("destage-flushed");
	for (i = 0; i < nr; i++) {
		if (!d[i].err)
			d[i].err = err ?: qbd_chunk_settle(d[i].rows->chunk);
		if (!d[i].err)
			lsn = max(lsn, append_record(&d[i], QBD_RECORD_DESTAGED));
	}
	err = qbd_ring_wait(pool, lsn);
	for (i = 0; i < nr; i++)
		d[i].err = d[i].err ?: err;
	end_batch(dr, nr);
}

/**
 * qbd_destage_resume - steps 5 to 7 again, of destages that failed after they were
 * recorded
 * @dr: the worker
 *
 * What is flushed here was all written after the failure: whether other flushes may
 * succeed is of no matter.
 */
void qbd_destage_resume(struct qbd_destager *dr)
{
	struct qbd_pool *pool = dr->pool;
	u32 times = READ_ONCE(pool->kept_times);
	unsigned int nr = dr->nr_begun, i;
	struct qbd_destage *d = dr->rows;
	int err;

	spin_lock(&pool->journal.lock);
	for (i = 0; i < nr; i++)
		d[i].jr->trying = pool->journal.round;
	spin_unlock(&pool->journal.lock);
	for (i = 0; i < nr; i++) {
		lock_row(&d[i], true);
		/* Of a chunk that was freed no leg is current: it fails, and ends. */
		d[i].err = qbd_ring_wait(pool, d[i].rows->lsn) ?: write_begun(d[i].jr);
		unlock_row(&d[i]);
	}
	err = flush_all(pool);
	if (READ_ONCE(pool->kept_times) != times)
		err = -EIO;
	record_done(dr, nr, err);
}

/**
 * qbd_destage_write - steps 4 to 7 for a batch
 * @dr: the worker
 * @nr: rows in its batch, filled
 * @unrecorded: as of qbd_destage_flush()
 */
void qbd_destage_write(struct qbd_destager *dr, unsigned int nr, bool *unrecorded)
{
	struct qbd_pool *pool = dr->pool;
	struct qbd_destage *d = dr->rows;
	u32 times = READ_ONCE(pool->kept_times);
	u64 lsn = 0;
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++) {
		/* What is live need not be durable, where the ring could not be written. */
		lsn = max(lsn, d[i].newest);
		if (d[i].full)
			continue;
		d[i].rows->lsn = append_destage(&d[i]);
		lsn = max(lsn, d[i].rows->lsn);
	}
	err = qbd_ring_wait(pool, lsn);
	for (i = 0; i < nr; i++)
		d[i].err = err ?: qbd_chunk_settle(d[i].rows->chunk);
	write_rows(pool, d, nr);
	for (i = 0; i < nr; i++) {
		if (!d[i].err)
			d[i].err = qbd_chunk_settle(d[i].rows->chunk);
		/* The values of the others change with their last record. */
		if (d[i].full)
			continue;
		if (d[i].rows->lsn != U64_MAX)
			set_begun(&d[i], times);
		unlock_row(&d[i]);
	}
	err = qbd_destage_flush(pool, times, unrecorded);
	record_done(dr, nr, err);
}

/**
 * qbd_destage_forget - the pool ends: the log has what is not completed
 * @dr: the worker
 */
void qbd_destage_forget(struct qbd_destager *dr)
{
	struct qbd_destage *d;

	for (d = dr->rows; dr->nr_begun; d++, dr->nr_begun--) {
		drop_begun(&dr->pool->journal, d->jr);
		qbd_rows_free(d->rows);
	}
}
