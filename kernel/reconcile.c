// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reconcile: make rows whole that writes may have left in any mixture.
 *
 * After a crash, for every range that was active, before volume I/O starts; and
 * while the pool runs, for rows of a write that failed with fewer than K legs
 * left. The caller has the rows locked.
 *
 * For each block, with its recorded value (rule 6):
 *	- a state (hole, zero, lost) stays;
 *	- a current leg that matches wins;
 *	- else any K units of the row, matching themselves or not, that decode to it;
 *	- else it was being overwritten: what its leg holds is taken, for replicas
 *	  the lowest leg's copy, for all; or it is lost if that leg is gone.
 * Then parity is computed anew, and every leg that differs is written. The new
 * values go to the pages; while the pool runs, into the ring by the next flush.
 *
 * A chunk of which fewer than K legs are there at the start cannot be reconciled. Its
 * ranges stay active, and it cannot be used (qbd_chunk_current()) until all backends
 * that have legs of it are back, or replaced: with some, blocks would be lost that the
 * next one brings. Then resync reconciles it first.
 *
 * Order: data and parity are written here and flushed by the caller before the
 * pages are. A crash between any two writes leaves the range active, and what is
 * found then is one of the mixtures that this was made for.
 *
 * Models: tests/model/flush.pml.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "qbd.h"

/* Whether a unit's content, in memory, is what its value says; states always. */
static bool unit_right(struct qbd_rows *rows, u32 leg, u32 row)
{
	return *qbd_rows_csum(rows, leg, row) < QBD_CSUM_STATES ||
	       qbd_rows_verify(rows, leg, row);
}

static void all_rows(struct qbd_rows *rows, u32 *masks, u32 mask)
{
	u32 row;

	for (row = 0; row < rows->nr; row++)
		masks[row] = mask;
}

/*
 * One content for all legs of each row. rows->write: the legs to write. A leg that
 * cannot be read has no say: what is in the pages then is anything.
 */
static int settle_replicas(struct qbd_rows *rows, bool lose)
{
	u32 current_legs = qbd_chunk_current(rows->chunk), readable = 0, legs, row, l, lowest;

	/* Which legs match, in rows->have here; every one is read. */
	memset(rows->have, 0, rows->nr * sizeof(u32));
	for (l = 0; current_legs >> l; l++) {
		if (!(current_legs & BIT(l)))
			continue;
		all_rows(rows, rows->want, BIT(l));
		if (qbd_rows_io(rows, REQ_OP_READ, rows->want, BIT(l)))
			continue;
		readable |= BIT(l);
		for (row = 0; row < rows->nr; row++)
			if (unit_right(rows, 0, row))
				rows->have[row] |= BIT(l);
	}
	if (!readable)
		return -EIO;
	/* While the pool runs the others may be back any time, and be right. */
	for (row = 0; readable != current_legs && !lose && row < rows->nr; row++)
		if (!rows->have[row])
			return -EIO;
	lowest = __ffs(readable);
	/* The winner of each row once more, and to all that are not like it. */
	for (row = 0, legs = 0; row < rows->nr; row++) {
		u32 winner = rows->have[row] ? __ffs(rows->have[row]) : lowest;

		rows->want[row] = BIT(winner);
		legs |= BIT(winner);
	}
	if (qbd_rows_io(rows, REQ_OP_READ, rows->want, legs))
		return -EIO;
	for (row = 0; row < rows->nr; row++) {
		rows->write[row] = 0;
		if (*qbd_rows_csum(rows, 0, row) < QBD_CSUM_STATES)
			continue;
		rows->write[row] = qbd_chunk_writable(rows->chunk) & ~rows->have[row];
		if (!rows->have[row]) {
			qbd_rows_sum(rows, 0, row);
			rows->write[row] &= ~BIT(lowest);
		}
	}
	return 0;
}

/* Does some set of K units, of @units, decode to the value of unit @leg? */
static bool decode_unit(struct qbd_rows *rows, u32 row, u32 leg, u32 units)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k, set, l, i;
	struct gf256_section section;
	struct ec_plan plan;
	u8 *legs[QBD_MAX_LEGS];

	units &= ~BIT(leg);
	if (hweight32(units) < k)
		return false;
	for (set = units; set; set = (set - 1) & units) {
		if (hweight32(set) != k || ec_make_plan(layer->code, set, BIT(leg), &plan))
			continue;
		gf256_section_begin(&section);
		for (i = 0; i < layer->block_pages; i++) {
			for (l = 0; l < rows->nr_legs; l++)
				legs[l] = page_address(qbd_rows_block(rows, l, row)[i]);
			ec_rebuild(&section, &plan, PAGE_SIZE, legs);
		}
		gf256_section_end(&section);
		if (qbd_rows_verify(rows, leg, row))
			return true;
		cond_resched();
	}
	return false;
}

/*
 * Read one unit again: after decode_unit() used its pages in vain, or after a read
 * of many failed. Return: whether it is there now.
 */
static bool reread(struct qbd_rows *rows, u32 row, u32 leg)
{
	all_rows(rows, rows->want, 0);
	rows->want[row] = BIT(leg);
	return !qbd_rows_io(rows, REQ_OP_READ, rows->want, BIT(leg));
}

/*
 * @unread: current legs that could not be read. @lose: they are gone. Return: 0; -EIO
 * when not, and they would be needed.
 */
static int settle_row(struct qbd_rows *rows, u32 row, u32 current_legs, u32 unread, bool lose)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k, right = 0, there = 0, states = 0, before[QBD_MAX_M], l;

	for (l = 0; l < rows->nr_legs; l++) {
		bool state = *qbd_rows_csum(rows, l, row) < QBD_CSUM_STATES;

		if (state) {
			states |= BIT(l);
			qbd_rows_zero(rows, l, row);
		}
		if (state || (current_legs & BIT(l)))
			there |= BIT(l);
		if (state || ((current_legs & BIT(l)) && qbd_rows_verify(rows, l, row)))
			right |= BIT(l);
	}
	rows->write[row] = 0;
	/*
	 * That each unit is what its value says does not make the parity that of the
	 * data: the records of a discard may be cut between them.
	 */
	if (states == BIT(rows->nr_legs) - 1)
		return 0;
	for (l = 0; l < k; l++) {
		if (right & BIT(l))
			continue;
		/* From units that are right, if there are enough; else from any. */
		if (decode_unit(rows, row, l, right) || decode_unit(rows, row, l, there)) {
			rows->write[row] |= BIT(l);
			right |= BIT(l);
			there |= BIT(l);
		}
	}
	if (unread && !lose && (~right & (BIT(k) - 1)))
		return -EIO;
	for (l = 0; l < k; l++) {
		if (right & BIT(l))
			continue;
		if ((current_legs & BIT(l)) && reread(rows, row, l)) {
			qbd_rows_sum(rows, l, row);
			continue;
		}
		if ((current_legs & BIT(l)) && !lose)
			return -EIO;
		*qbd_rows_csum(rows, l, row) = QBD_CSUM_LOST;
		qbd_rows_zero(rows, l, row);
		/* What is in the journal is not lost with its place. */
		if (!(qbd_journal_live(rows->chunk, rows->first + row) & BIT(l)))
			rows->lost++;
	}
	for (l = k; l < rows->nr_legs; l++)
		before[l - k] = right & BIT(l) ? *qbd_rows_csum(rows, l, row) : 0;
	qbd_rows_encode(rows, row, 1);
	for (l = k; l < rows->nr_legs; l++) {
		qbd_rows_sum(rows, l, row);
		if (*qbd_rows_csum(rows, l, row) != before[l - k])
			rows->write[row] |= BIT(l);
	}
	return 0;
}

/*
 * A leg that cannot be read counts as gone, block by block; while the pool runs only
 * where the others are enough, for it may be back any time.
 */
static int settle_ec(struct qbd_rows *rows, bool lose)
{
	u32 current_legs = qbd_chunk_current(rows->chunk), unread = 0, row, l;
	u64 failed;
	int err = 0;

	all_rows(rows, rows->want, current_legs);
	failed = qbd_rows_io(rows, REQ_OP_READ, rows->want, current_legs);
	for (l = 0; failed && l < rows->nr_legs; l++)
		if ((current_legs & BIT(l)) &&
		    (failed & BIT_ULL(qbd_leg_backend(rows->chunk->map->legs[l]))))
			unread |= BIT(l);
	for (row = 0; row < rows->nr && !err; row++) {
		u32 gone = 0;

		for (l = 0; unread >> l; l++)
			if ((unread & BIT(l)) && !reread(rows, row, l))
				gone |= BIT(l);
		err = settle_row(rows, row, current_legs & ~gone, gone, lose);
		cond_resched();
	}
	return err;
}

/* Legs whose content was right, but may be gone from where it is. */
static void write_again(struct qbd_rows *rows)
{
	u32 l, row;

	for (l = 0; rows->again >> l; l++)
		for (row = 0; (rows->again & BIT(l)) && row < rows->nr; row++)
			if (*qbd_rows_csum(rows, rows->nr_legs > 1 ? l : 0, row) >= QBD_CSUM_STATES)
				rows->write[row] |= BIT(l);
}

/* The value that was found for a unit of the chunk. */
static u32 found_csum(struct qbd_rows *rows, u32 unit)
{
	u32 units = rows->chunk->layer->units;

	return *qbd_rows_csum(rows, unit % units, unit / units - rows->first);
}

static bool found_other(struct qbd_rows *rows, u32 unit)
{
	return found_csum(rows, unit) != qbd_csum_get(rows->chunk, unit);
}

/* What was found is recorded, in memory (qbd_csum_record()). */
static void record_csums(struct qbd_rows *rows, u32 from, u32 to)
{
	struct qbd_chunk *chunk = rows->chunk;
	u32 unit;

	spin_lock_irq(&chunk->lock);
	for (unit = from; unit <= to; unit++)
		if (found_other(rows, unit))
			qbd_csum_record(chunk, unit, found_csum(rows, unit));
	spin_unlock_irq(&chunk->lock);
}

/*
 * All of it, or nothing where there is no memory: a flush may come any time. Context:
 * chunk->lock.
 */
static bool try_set_csums(struct qbd_rows *rows, u32 from, u32 to)
{
	struct qbd_chunk *chunk = rows->chunk;
	u32 unit;
	bool got;

	for (unit = from; unit <= to; unit++)
		if (found_other(rows, unit) && !qbd_csum_try_reserve(chunk, unit, unit))
			break;
	got = unit > to;
	while (unit-- > from) {
		if (!found_other(rows, unit))
			continue;
		if (got)
			qbd_csum_set(chunk, unit, found_csum(rows, unit));
		qbd_csum_unreserve(chunk, unit, unit);
	}
	return got;
}

/* What was found is pending. After an outage there is room for it: qbd_csum_keep(). */
static int set_csums(struct qbd_rows *rows, u32 from, u32 to)
{
	struct qbd_chunk *chunk = rows->chunk;
	bool got;
	int err;

	spin_lock_irq(&chunk->lock);
	got = try_set_csums(rows, from, to);
	spin_unlock_irq(&chunk->lock);
	if (got)
		return 0;
	err = qbd_csum_reserve(chunk, from, to);
	if (err)
		return -ENOMEM;
	spin_lock_irq(&chunk->lock);
	try_set_csums(rows, from, to);
	qbd_csum_unreserve(chunk, from, to);
	spin_unlock_irq(&chunk->lock);
	return 0;
}

/**
 * qbd_reconcile_rows - reconcile rows, in their own memory
 * @rows: the rows; whatever they hold is forgotten. rows->again: legs that are
 *	written even if they are right; rows->lose: what cannot be read is gone
 * @replay: new values go into the pages in memory; else they become pending
 *
 * Sleeps. Context: the rows are locked, or nobody else uses the pool.
 *
 * Return: 0, -ENOMEM, or -EIO when a leg that is needed failed.
 */
int qbd_reconcile_rows(struct qbd_rows *rows, bool replay)
{
	struct qbd_chunk *chunk = rows->chunk;
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	u32 first = rows->first, nr = rows->nr;
	u32 from = first * layer->units, to = (first + nr) * layer->units - 1;
	bool lose = replay || rows->lose;
	u64 failed;
	int err;

	err = qbd_csum_load(chunk, from, to, NULL);
	/* What a destage left that has its record is completed, not settled. */
	if (!err && !replay)
		err = qbd_destage_settle(rows);
	if (err)
		return err;
	memset(rows->have, 0, nr * sizeof(u32));
	rows->lost = 0;
	qbd_rows_csums(rows);
	err = layer->code ? settle_ec(rows, lose) : settle_replicas(rows, lose);
	if (err)
		return err;
	write_again(rows);
	/* A read-only pool keeps its choices in memory (rule 12). */
	failed = pool->features.read_only ? 0 :
		 qbd_rows_io(rows, REQ_OP_WRITE, rows->write, qbd_chunk_writable(chunk));
	if (failed)
		err = -EIO;
	if (rows->lost) {
		atomic64_add(rows->lost, &pool->blocks_lost);
		DMERR("%s: volume %u chunk %u: %u blocks that were being written are lost",
		      pool->members.pool_name, layer->volume, chunk->number, rows->lost);
	}
	if (err)
		return err;
	if (!replay)
		return set_csums(rows, from, to);
	record_csums(rows, from, to);
	return 0;
}

static int reconcile_range(struct qbd_chunk *chunk, u32 range, bool replay)
{
	struct qbd_layer *layer = chunk->layer;
	u32 step = layer->io_rows, row = range * layer->range_rows;
	u32 end = row + layer->range_rows;
	int err = 0;

	for (; row < end && !err; row += step - row % step) {
		u32 nr = min(step - row % step, end - row);
		struct qbd_rows *rows = qbd_rows_alloc(chunk, row, nr, GFP_NOIO);

		err = qbd_reconcile_rows(rows, replay);
		qbd_rows_free(rows);
	}
	return err;
}

/**
 * qbd_reconcile_range - reconcile one range of a chunk, at activation
 * @chunk: the chunk
 * @range: number of the range
 *
 * Sleeps. Return: as qbd_reconcile_rows().
 */
int qbd_reconcile_range(struct qbd_chunk *chunk, u32 range)
{
	return reconcile_range(chunk, range, true);
}

/*
 * All of a chunk's rows are locked. Its ranges are as those of a write meanwhile: a
 * checkpoint that ended one now would let go of its record before it is whole. Return:
 * 0, or an error, and it is as it was.
 */
static int reconcile_all(struct qbd_chunk *chunk)
{
	struct qbd_layer *layer = chunk->layer;
	u64 ranges = chunk->unreconciled;
	int err = 0;
	u32 i;

	spin_lock_irq(&chunk->lock);
	for (i = 0; i < layer->nr_ranges; i++)
		chunk->ranges[i].inflight += !!(ranges & BIT_ULL(i));
	atomic_add(hweight64(ranges), &layer->pool->nr_ranges);
	/* Who reads meanwhile without a lock finds what matches, or waits for the lock. */
	WRITE_ONCE(chunk->unreconciled, 0);
	spin_unlock_irq(&chunk->lock);
	if (!qbd_chunk_settled(chunk) ||
	    hweight32(qbd_chunk_current(chunk)) < layer->policy.k)
		err = -EIO;
	for (i = 0; i < layer->nr_ranges && !err; i++)
		if (ranges & BIT_ULL(i))
			err = reconcile_range(chunk, i, false);
	spin_lock_irq(&chunk->lock);
	for (i = 0; i < layer->nr_ranges; i++) {
		if (!(ranges & BIT_ULL(i)))
			continue;
		/* As after a write: a flush records the values, then it may end. */
		qbd_chunk_end_ranges(chunk, i * layer->range_rows, i * layer->range_rows);
	}
	if (err) {
		WRITE_ONCE(chunk->unreconciled, ranges);
		atomic_sub(hweight64(ranges), &layer->pool->nr_ranges);
	} else {
		atomic64_add(hweight64(ranges), &layer->pool->reconcile.done);
	}
	spin_unlock_irq(&chunk->lock);
	return err;
}

/**
 * qbd_reconcile_late - reconcile what could not be at the start, if it can be now
 * @chunk: the chunk
 * @context: not used
 *
 * For qbd_named_each(). Sleeps. Return: 0.
 */
int qbd_reconcile_late(struct qbd_chunk *chunk, void *context)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_row_lock lock;
	int err = 0;

	if (!READ_ONCE(chunk->unreconciled))
		return 0;
	if (qbd_csum_prepare_rows(chunk, 0, layer->rows))
		return 0;
	qbd_chunk_lock(chunk, &lock, 0, layer->rows - 1);
	if (chunk->unreconciled && !chunk->dead)
		err = reconcile_all(chunk);
	qbd_chunk_unlock(chunk, &lock);
	if (err)
		return 0;
	DMINFO("%s: volume %u chunk %u has enough legs again", layer->pool->members.pool_name,
	       layer->volume, chunk->number);
	/* Requests may wait for it. */
	qbd_kept_soon(layer->pool);
	return 0;
}
