// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes.
 *
 * Order, and what a crash between any two steps leaves:
 *
 *	1. rows locked		nothing
 *	2. chunk made or stamped, ranges active (qbd_chunk_prepare): durable
 *				an empty or degraded chunk; ranges to reconcile
 *	3. data and parity to all writable legs, in parallel
 *				any mixture of old and new in the rows, whose
 *				ranges are active: reconcile takes the recorded
 *				value where it is found, else what the legs hold
 *	4. a leg failed: its epoch and the stamps, durable (rule 2)
 *				the failed leg is not read again
 *	5. FUA: the checksum records, durable; the data is, it was written with FUA
 *				the write is there
 *	6. values become pending, rows unlocked, bio ended
 *				without FUA as after 3, until a flush
 *
 * The fast path, in map(), takes whole rows of a chunk whose ranges are active
 * and whose checksums are in memory, and needs no waiting: steps 1 and 2 are
 * looked at under chunk->lock, the bio is copied (its pages may change while I/O
 * runs), summed, encoded and sent. All else goes to io_wq and waits as it must.
 *
 * Part of a row. With parity P, old data D, new data D': read-modify-write reads
 * D and P of what changes and adds the difference to P; reconstruct-write reads
 * the other data and encodes. Whichever reads less; with legs missing always the
 * latter, which rebuilds them.
 *
 * Rows that go through the ring instead (journal.c): their blocks are appended with
 * their data, and steps 2 to 6 are for the others of the request, if there are any.
 *
 * Models: tests/model/flush.pml.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "qbd.h"

/* Where a bio lies, in its chunk. */
struct place {
	u32 chunk;
	u32 first_row;
	u32 last_row;
	u64 offset;		/* bytes from the start of first_row */
	u32 bytes;
};

static void place_of(const struct qbd_layer *layer, const struct bvec_iter *iter,
		     struct place *p)
{
	u32 row_bytes = layer->policy.k * layer->block_size;
	u64 in_chunk;

	p->chunk = div64_u64_rem(iter->bi_sector << SECTOR_SHIFT, layer->chunk_bytes, &in_chunk);
	p->bytes = iter->bi_size;
	p->first_row = div_u64(in_chunk, row_bytes);
	p->last_row = div_u64(in_chunk + p->bytes - 1, row_bytes);
	p->offset = in_chunk - (u64)p->first_row * row_bytes;
}

/* Copies a bio's data to its blocks; those touched are in rows->write. */
static void copy_in(struct qbd_rows *rows, struct bio *bio, struct bvec_iter iter, u64 at)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k;

	while (iter.bi_size) {
		struct bio_vec bv = bio_iter_iovec(bio, iter);
		u32 block = at >> layer->policy.block_shift;
		u32 in_block = at & (layer->block_size - 1);
		u32 n = min_t(u32, bv.bv_len, PAGE_SIZE - offset_in_page(in_block));
		struct page *page = qbd_rows_block(rows, block % k, block / k)
					[in_block >> PAGE_SHIFT];
		void *from;

		bv.bv_len = n;
		from = bvec_kmap_local(&bv);
		memcpy(page_address(page) + offset_in_page(in_block), from, n);
		kunmap_local(from);
		rows->write[block / k] |= BIT(block % k);
		bio_advance_iter_single(bio, &iter, n);
		at += n;
	}
}

/* Write-zeroes in place: the same without data. */
static void zero_in(struct qbd_rows *rows, u64 at, u32 bytes)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k;

	while (bytes) {
		u32 block = at >> layer->policy.block_shift;
		u32 in_block = at & (layer->block_size - 1);
		u32 n = min_t(u32, bytes, PAGE_SIZE - offset_in_page(in_block));
		struct page *page = qbd_rows_block(rows, block % k, block / k)
					[in_block >> PAGE_SHIFT];

		memset(page_address(page) + offset_in_page(in_block), 0, n);
		rows->write[block / k] |= BIT(block % k);
		at += n;
		bytes -= n;
	}
}

static u32 rows_units(const struct qbd_rows *rows, bool last)
{
	return last ? (rows->first + rows->nr) * rows->nr_legs - 1 : rows->first * rows->nr_legs;
}

/* The values of all that was written, as pending, or the end of what failed. */
static void write_end(struct qbd_rows *rows, blk_status_t status)
{
	struct qbd_chunk *chunk = rows->chunk;
	struct qbd_waiter *waiter = rows->waiter;
	struct qbd_io *io = rows->io;
	unsigned long flags;

	if (rows->ranged) {
		spin_lock_irqsave(&chunk->lock, flags);
		qbd_chunk_end_ranges(chunk, rows->first, rows->first + rows->nr - 1);
		qbd_csum_unreserve(chunk, rows_units(rows, false), rows_units(rows, true));
		spin_unlock_irqrestore(&chunk->lock, flags);
	}
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	qbd_chunk_put(chunk);
	if (io)
		qbd_io_end(io, blk_status_to_errno(status));
	if (waiter) {
		waiter->status = status;
		complete(&waiter->done);
	}
}

/* For replicas one bit stands for all legs: of units, not of legs, from here on. */
static void write_values(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;
	unsigned long flags;
	u32 row, l;

	spin_lock_irqsave(&chunk->lock, flags);
	for (row = 0; row < rows->nr; row++)
		for (l = 0; l < rows->nr_legs; l++)
			if (rows->write[row] & BIT(l))
				qbd_csum_set(chunk, (rows->first + row) * rows->nr_legs + l,
					     *qbd_rows_csum(rows, l, row));
	spin_unlock_irqrestore(&chunk->lock, flags);
}

/* Step 5: records of all units written, a run of them at a time. */
static int write_records(struct qbd_rows *rows)
{
	u32 unit = rows_units(rows, false), end = rows_units(rows, true), run;
	u64 lsn = 0;

	for (; unit <= end; unit = run + 1) {
		u32 row;

		run = unit;
		row = unit / rows->nr_legs - rows->first;
		if (!(rows->write[row] & BIT(unit % rows->nr_legs)))
			continue;
		while (run < end &&
		       (rows->write[(run + 1) / rows->nr_legs - rows->first] &
			BIT((run + 1) % rows->nr_legs)))
			run++;
		lsn = max(lsn, qbd_csum_append_units(rows->chunk, unit, run));
	}
	return qbd_ring_wait(rows->chunk->layer->pool, lsn);
}

/* Steps 4 to 6, where there is something to wait for. */
static void write_settle(struct work_struct *work)
{
	struct qbd_rows *rows = container_of(work, struct qbd_rows, work);
	struct qbd_chunk *chunk = rows->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	u64 failed = atomic64_read(&rows->failed);
	/* Rows that went through the ring: for 0 there is nothing to wait for. */
	int ring_err = qbd_ring_wait(pool, rows->lsn), err = 0;

	if (failed)
		err = qbd_member_settle(pool, failed);
	while (!err && !qbd_chunk_settled(chunk)) {
		mutex_lock(&chunk->mutex);
		err = qbd_ring_wait(pool, qbd_chunk_stamp(chunk));
		mutex_unlock(&chunk->mutex);
		if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
			break;
	}
	if (!err && hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
		err = -EIO;
	if (err) {
		/*
		 * What the legs hold is unknown: settle it now, as after a crash,
		 * before anyone reads; or, if that cannot be now, before it is used. In
		 * the memory of the rows: who holds some must not wait for more.
		 */
		if (qbd_reconcile_rows(rows, false) && rows->ranged)
			qbd_kept_torn(chunk, rows->first, rows->first + rows->nr - 1);
		write_end(rows, BLK_STS_IOERR);
		return;
	}
	write_values(rows);
	if (rows->fua)
		err = write_records(rows);
	write_end(rows, errno_to_blk_status(err ?: ring_err));
}

/* Step 3 is over. In an interrupt as a rule. */
static void write_done(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;

	if (unlikely(atomic64_read(&rows->failed)) || rows->fua || rows->lsn ||
	    !qbd_chunk_settled(chunk)) {
		INIT_WORK(&rows->work, write_settle);
		queue_work(chunk->layer->pool->settle_wq, &rows->work);
		return;
	}
	write_values(rows);
	write_end(rows, BLK_STS_OK);
}

/* Checksums of what is written to @nr rows from @row on, parity included; what goes to each leg. */
static void write_sum(struct qbd_rows *rows, u32 row, u32 nr)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 end = row + nr, l;

	for (; row < end; row++) {
		for (l = 0; l < rows->nr_legs; l++)
			if ((rows->write[row] | rows->ring[row]) & BIT(l))
				qbd_rows_sum(rows, l, row);
		rows->want[row] = rows->nr_legs > 1 ? rows->write[row] :
				  rows->write[row] ? BIT(qbd_policy_legs(&layer->policy)) - 1 : 0;
	}
}

static blk_opf_t write_opf(const struct qbd_rows *rows, struct bio *bio)
{
	return REQ_OP_WRITE | (rows->fua ? REQ_FUA : 0) |
	       (bio ? bio->bi_opf & (REQ_SYNC | REQ_META | REQ_PRIO | REQ_IDLE) : 0);
}

/*
 * Whole rows, a batch at a time: copied, encoded and summed while they are in the
 * cache (docs/performance.md has what that wins).
 */
static void write_rows_whole(struct qbd_rows *rows, struct bio *bio, struct bvec_iter iter)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 row_bytes = layer->policy.k * layer->block_size, row, nr, i;
	u32 batch = max(GF256_SECTION_BYTES / row_bytes, 1u);

	for (row = 0; row < rows->nr; row += nr) {
		struct bvec_iter part = iter;

		nr = min(batch, rows->nr - row);
		part.bi_size = nr * row_bytes;
		copy_in(rows, bio, part, (u64)row * row_bytes);
		qbd_rows_encode(rows, row, nr);
		for (i = row; i < row + nr; i++)
			rows->write[i] = BIT(rows->nr_legs) - 1;
		write_sum(rows, row, nr);
		bio_advance_iter(bio, &iter, nr * row_bytes);
	}
}

/*
 * The fast path. Return: false when it would have to wait; nothing was done.
 */
static bool write_fast(struct qbd_io *io)
{
	struct qbd_layer *layer = io->volume->top;
	u32 row_bytes = layer->policy.k * layer->block_size;
	struct bio *bio = qbd_io_bio(io);
	struct qbd_chunk *chunk;
	struct qbd_rows *rows;
	unsigned long flags;
	struct place p;
	bool ready;

	place_of(layer, &io->iter, &p);
	if (p.offset || p.bytes % row_bytes || READ_ONCE(layer->pool->mode) != QBD_RW)
		return false;
	chunk = qbd_chunk_find(layer, p.chunk);
	if (!chunk)
		return false;
	rows = qbd_rows_alloc(chunk, p.first_row, p.last_row - p.first_row + 1, GFP_NOWAIT);
	if (!rows) {
		qbd_chunk_put(chunk);
		return false;
	}
	spin_lock_irqsave(&chunk->lock, flags);
	ready = !chunk->dead && qbd_chunk_settled(chunk) && qbd_chunk_quiet(chunk) &&
		qbd_csum_loaded(chunk, rows_units(rows, false), rows_units(rows, true)) &&
		hweight32(qbd_chunk_current(chunk)) >= layer->policy.k &&
		qbd_journal_straight(chunk, p.first_row, p.last_row) &&
		qbd_chunk_try_lock(chunk, &rows->lock, p.first_row, p.last_row);
	if (ready && !qbd_csum_try_reserve(chunk, rows_units(rows, false),
					   rows_units(rows, true))) {
		list_del(&rows->lock.list);
		ready = false;
	}
	if (ready && !qbd_chunk_try_ranges(chunk, p.first_row, p.last_row)) {
		qbd_csum_unreserve(chunk, rows_units(rows, false), rows_units(rows, true));
		list_del(&rows->lock.list);
		ready = false;
	}
	spin_unlock_irqrestore(&chunk->lock, flags);
	if (!ready) {
		qbd_rows_free(rows);
		qbd_chunk_put(chunk);
		return false;
	}

	rows->io = io;
	rows->fua = bio->bi_opf & REQ_FUA;
	rows->ranged = true;
	rows->done = write_done;
	write_rows_whole(rows, bio, io->iter);
	if (!qbd_rows_submit(rows, write_opf(rows, bio), rows->want, qbd_chunk_writable(chunk),
			     GFP_NOWAIT)) {
		rows->io = NULL;
		write_end(rows, BLK_STS_OK);
		return false;
	}
	return true;
}

/* Blocks of a row that the request covers whole, and those it covers in part. */
static void row_cover(const struct qbd_layer *layer, const struct place *p, u32 row,
		      u32 *whole, u32 *part)
{
	u64 start = p->offset, end = p->offset + p->bytes;
	u32 k = layer->policy.k, l;

	*whole = 0;
	*part = 0;
	for (l = 0; l < k; l++) {
		u64 a = (u64)(row * k + l) << layer->policy.block_shift;
		u64 z = a + layer->block_size;

		if (z <= start || a >= end)
			continue;
		if (a >= start && z <= end)
			*whole |= BIT(l);
		else
			*part |= BIT(l);
	}
}

/*
 * Blocks that the journal gets are whole: what a row that goes through the ring is
 * covered in part by needs of its old content, as far as it is in its place.
 */
static int ring_prepare(struct qbd_rows *rows, u32 row, u32 part)
{
	u32 place = part & ~qbd_journal_live(rows->chunk, rows->first + row);

	if (qbd_rows_lost(rows, row, place))
		return -EIO;
	return place ? qbd_rows_read(rows, row, 1, place) : 0;
}

/* Fill the rows: the new data, old content around it, and parity. */
static int write_fill(struct qbd_rows *rows, struct bio *bio, struct bvec_iter iter,
		      const struct place *p)
{
	struct qbd_layer *layer = rows->chunk->layer;
	u32 all = BIT(layer->policy.k) - 1, edge[2] = { 0, rows->nr - 1 };
	u32 whole, part[2] = { 0, 0 }, fold[2] = { 0, 0 }, row, i;
	int err;

	/* Only the first and the last row can be covered in part. */
	for (i = 0; i < 2 && (!i || edge[1]); i++) {
		row_cover(layer, p, edge[i], &whole, &part[i]);
		if (whole == all)
			continue;
		err = rows->ring[edge[i]] ? ring_prepare(rows, edge[i], part[i]) :
					    qbd_rows_prepare(rows, edge[i], whole, part[i]);
		if (err < 0)
			return err;
		fold[i] = err ? whole | part[i] : 0;
	}
	qbd_rows_repair(rows);
	for (i = 0; i < 2; i++) {
		if (fold[i])
			qbd_rows_fold(rows, edge[i], fold[i]);
		if (rows->ring[edge[i]])
			qbd_journal_copy(rows, edge[i], part[i] &
					 qbd_journal_live(rows->chunk, rows->first + edge[i]));
	}
	if (bio)
		copy_in(rows, bio, iter, p->offset);
	else
		zero_in(rows, p->offset, p->bytes);
	for (row = 0; row < rows->nr; row++) {
		if (rows->ring[row]) {
			rows->write[row] = 0;
			continue;
		}
		if (row == edge[0] && fold[0])
			qbd_rows_fold(rows, row, fold[0]);
		else if (row == edge[1] && fold[1])
			qbd_rows_fold(rows, row, fold[1]);
		else
			qbd_rows_encode(rows, row, 1);
		if (layer->code)
			rows->write[row] |= (BIT(layer->policy.m) - 1) << layer->policy.k;
	}
	return 0;
}

/* How much of a write goes through the ring; with @rows it is marked there. */
static void ring_count(struct qbd_chunk *chunk, const struct place *p, struct qbd_rows *rows,
		       u32 *nr_rows, u32 *nr_blocks)
{
	u32 row, whole, part;

	*nr_rows = 0;
	*nr_blocks = 0;
	for (row = 0; chunk->layer->code && row <= p->last_row - p->first_row; row++) {
		row_cover(chunk->layer, p, row, &whole, &part);
		if (!qbd_journal_wants(chunk, p->first_row + row, whole))
			continue;
		++*nr_rows;
		*nr_blocks += hweight32(whole | part);
		if (rows)
			rows->ring[row] = whole | part;
	}
}

static void write_abandon(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;

	if (rows->io)
		rows->io->unread |= rows->unread;
	if (rows->waiter)
		rows->waiter->unread |= rows->unread;
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	qbd_chunk_put(chunk);
}

/* Steps 1 to 3 of rows that are locked, or those of journal.c. */
static int write_start(struct qbd_rows *rows, struct bio *bio, struct bvec_iter iter,
		       const struct place *p, struct qbd_journal_space *space)
{
	struct qbd_chunk *chunk = rows->chunk;
	u32 first = rows_units(rows, false), last = rows_units(rows, true), legs, row;
	int err;

	err = qbd_chunk_prepare(chunk, p->first_row, p->last_row, rows->ranged);
	if (err)
		return err;
	err = qbd_csum_load(chunk, first, last, &rows->unread);
	if (err)
		goto end_ranges;
	if (rows->ranged)
		err = qbd_csum_reserve(chunk, first, last);
	if (err)
		goto end_ranges;
	qbd_kept_settle(rows);
	qbd_rows_csums(rows);
	err = write_fill(rows, bio, iter, p);
	if (err)
		goto unreserve;
	write_sum(rows, 0, rows->nr);
	legs = qbd_chunk_writable(chunk);
	for (row = 0; row < rows->nr; row++)
		if (rows->ring[row])
			qbd_journal_append(rows, row, space);
	qbd_moment("write-begins");
	rows->done = write_done;
	if (rows->ranged)
		qbd_rows_submit(rows, write_opf(rows, bio), rows->want, legs, GFP_NOIO);
	else
		write_end(rows, errno_to_blk_status(qbd_ring_wait(chunk->layer->pool,
								  rows->lsn)));
	return 0;

unreserve:
	if (rows->ranged) {
		spin_lock_irq(&chunk->lock);
		qbd_csum_unreserve(chunk, first, last);
		spin_unlock_irq(&chunk->lock);
	}
end_ranges:
	if (rows->ranged) {
		spin_lock_irq(&chunk->lock);
		qbd_chunk_end_ranges(chunk, p->first_row, p->last_row);
		spin_unlock_irq(&chunk->lock);
	}
	return err;
}

/*
 * Write part of a chunk, at most layer->io_rows rows, waiting where it must.
 * @bio: the data, or NULL for zeros
 * @io, @waiter: one of them is told when the write ended; not if this fails
 *
 * Return: 0; -E2BIG more than qbd_journal_max_rows() go through the ring; an error.
 */
static int write_part(struct qbd_layer *layer, struct qbd_io *io, struct qbd_waiter *waiter,
		      struct bio *bio, struct bvec_iter iter, bool fua)
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_journal_space space;
	u32 nr_rows, nr_blocks, rows_now, blocks_now;
	struct qbd_chunk *chunk;
	struct qbd_rows *rows;
	struct place p;
	int err;

	place_of(layer, &iter, &p);
	do {
		err = qbd_ring_admit(pool);
		if (err)
			return err;
		chunk = qbd_chunk_get_rows(layer, p.chunk, p.first_row,
					   p.last_row - p.first_row + 1);
		if (!chunk)
			return -EIO;
		ring_count(chunk, &p, NULL, &nr_rows, &nr_blocks);
		err = nr_rows && nr_rows > qbd_journal_max_rows(layer) ? -E2BIG :
		      qbd_journal_reserve(layer, nr_rows, nr_blocks, &space);
		if (err) {
			qbd_chunk_put(chunk);
			return err;
		}
		rows = qbd_rows_alloc(chunk, p.first_row, p.last_row - p.first_row + 1, GFP_NOIO);
		qbd_chunk_lock(chunk, &rows->lock, p.first_row, p.last_row);
		ring_count(chunk, &p, rows, &rows_now, &blocks_now);
		rows->io = io;
		rows->waiter = waiter;
		rows->fua = fua;
		rows->ranged = rows_now < rows->nr;
		/* More than it seemed to be: it has to ask for the room first. */
		err = rows_now > nr_rows || blocks_now > nr_blocks ? -EAGAIN :
		      write_start(rows, bio, iter, &p, &space);
		if (err)
			write_abandon(rows);
		qbd_journal_unreserve(layer, &space);
	} while (err == -EAGAIN);
	return err;
}

/* The same, cut where it is too much for the ring at once. */
static int write_rows(struct qbd_layer *layer, struct qbd_io *io, struct qbd_waiter *waiter,
		      struct bio *bio, struct bvec_iter iter, bool fua)
{
	u32 row_bytes = layer->policy.k * layer->block_size, in_row;
	int err;

	while ((err = write_part(layer, io, waiter, bio, iter, fua)) == -E2BIG) {
		struct qbd_waiter part_waiter = {
			.done = COMPLETION_INITIALIZER_ONSTACK(part_waiter.done),
		};
		struct bvec_iter part = iter;

		div_u64_rem(iter.bi_sector << SECTOR_SHIFT, row_bytes, &in_row);
		part.bi_size = qbd_journal_max_rows(layer) * row_bytes - in_row;
		err = write_part(layer, NULL, &part_waiter, bio, part, fua);
		*(io ? &io->unread : &waiter->unread) |= part_waiter.unread;
		if (err)
			break;
		wait_for_completion(&part_waiter.done);
		err = blk_status_to_errno(part_waiter.status);
		if (err)
			break;
		if (bio) {
			bio_advance_iter(bio, &iter, part.bi_size);
		} else {
			iter.bi_size -= part.bi_size;
			iter.bi_sector += part.bi_size >> SECTOR_SHIFT;
		}
	}
	return err;
}

static void write_work(struct work_struct *work)
{
	struct qbd_io *io = container_of(work, struct qbd_io, work);
	struct bio *bio = qbd_io_bio(io);
	int err = write_rows(io->volume->top, io, NULL, bio, io->iter, bio->bi_opf & REQ_FUA);

	if (err)
		qbd_io_end(io, err);
}

/**
 * qbd_write_zeros - overwrite with zeros, parity included
 * @layer: the layer
 * @sector: of the layer
 * @bytes: anything that does not cross into another chunk
 * @unread: backends that failed reads for it are added to this
 *
 * Context: io_wq; waits until it is done.
 */
int qbd_write_zeros(struct qbd_layer *layer, sector_t sector, u64 bytes, u64 *unread)
{
	u32 io_bytes = layer->io_rows * layer->policy.k * layer->block_size, in_io;
	int err = 0;

	while (bytes && !err) {
		struct bvec_iter iter = { .bi_sector = sector };
		struct qbd_waiter waiter = {
			.done = COMPLETION_INITIALIZER_ONSTACK(waiter.done),
		};

		div_u64_rem(sector << SECTOR_SHIFT, io_bytes, &in_io);
		iter.bi_size = min_t(u64, bytes, io_bytes - in_io);
		err = write_rows(layer, NULL, &waiter, NULL, iter, false);
		*unread |= waiter.unread;
		if (!err) {
			wait_for_completion(&waiter.done);
			err = blk_status_to_errno(waiter.status);
		}
		sector += iter.bi_size >> SECTOR_SHIFT;
		bytes -= iter.bi_size;
	}
	return err;
}

/**
 * qbd_write_map - a user's write
 * @io: the bio's data of ours
 */
int qbd_write_map(struct qbd_io *io)
{
	if (!write_fast(io)) {
		INIT_WORK(&io->work, write_work);
		queue_work(io->volume->top->pool->io_wq, &io->work);
	}
	return DM_MAPIO_SUBMITTED;
}
