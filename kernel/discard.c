// SPDX-License-Identifier: GPL-2.0-only
/*
 * Discard and write-zeroes: both leave zeros.
 *
 * Order, and what a crash between any two steps leaves:
 *
 * A whole chunk: its free is recorded, for all legs in one record; when that is
 * durable the chunk is gone. Its slots are discarded on their backends and given
 * out again only when no I/O to them is left. A crash leaves the chunk as it was,
 * or none.
 *
 * Whole rows: their units become holes, pending as after a write, and recorded by
 * the next flush. No data I/O. Until then a crash leaves what was there.
 *
 * Rows with blocks in the journal are destaged first, so that what is discarded has
 * none.
 *
 * Less than a row: a write of zeros, which updates parity first (write.c).
 *
 * A chunk that has nothing but holes left is freed.
 */
#include "qbd.h"

static int free_if_empty(struct qbd_chunk *chunk)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_row_lock lock;
	int err = qbd_ring_admit(layer->pool) ?: qbd_csum_prepare_rows(chunk, 0, layer->rows);

	if (err)
		return err;
	qbd_chunk_lock(chunk, &lock, 0, layer->rows - 1);
	if (!chunk->dead && chunk->map &&
	    RB_EMPTY_ROOT(&chunk->journal) &&
	    !qbd_csum_load(chunk, 0, layer->rows * layer->units - 1, NULL) &&
	    qbd_csum_all_holes(chunk))
		err = qbd_chunk_free(chunk);
	qbd_chunk_unlock(chunk, &lock);
	return err;
}

static int discard_chunk(struct qbd_chunk *chunk)
{
	struct qbd_row_lock lock;
	int err = qbd_ring_admit(chunk->layer->pool);

	if (err)
		return err;
	qbd_chunk_lock(chunk, &lock, 0, chunk->layer->rows - 1);
	err = qbd_chunk_free(chunk);
	qbd_chunk_unlock(chunk, &lock);
	return err;
}

/* Whole rows, of one range at a time. @unread, here and below: as of struct qbd_io. */
static int discard_rows(struct qbd_chunk *chunk, u32 first, u32 last, u64 *unread)
{
	struct qbd_layer *layer = chunk->layer;
	u32 from = first * layer->units, to = (last + 1) * layer->units - 1, unit;
	struct qbd_row_lock lock;
	int err, destage_err = 0;
	bool journaled;

again:
	err = qbd_ring_admit(layer->pool) ?:
	      qbd_csum_prepare_rows(chunk, first, last - first + 1);
	if (err)
		return err;
	qbd_chunk_lock(chunk, &lock, first, last);
	spin_lock_irq(&chunk->lock);
	journaled = qbd_journal_has(chunk, first, last);
	spin_unlock_irq(&chunk->lock);
	if (journaled) {
		qbd_chunk_unlock(chunk, &lock);
		if (destage_err)
			return destage_err;
		/* That of other rows may fail. */
		destage_err = qbd_destage_all(layer->pool, unread);
		goto again;
	}
	/* Made by nobody meanwhile, or freed: zeros already. */
	if (chunk->dead || !chunk->map)
		goto unlock;
	err = qbd_chunk_prepare(chunk, first, last, true);
	if (err)
		goto unlock;
	err = qbd_csum_load(chunk, from, to, unread) ?: qbd_csum_reserve(chunk, from, to);
	if (!err) {
		spin_lock_irq(&chunk->lock);
		for (unit = from; unit <= to; unit++)
			if (qbd_csum_get(chunk, unit) != QBD_CSUM_HOLE)
				qbd_csum_set(chunk, unit, QBD_CSUM_HOLE);
		qbd_csum_unreserve(chunk, from, to);
		spin_unlock_irq(&chunk->lock);
	}
	spin_lock_irq(&chunk->lock);
	qbd_chunk_end_ranges(chunk, first, last);
	spin_unlock_irq(&chunk->lock);
unlock:
	qbd_chunk_unlock(chunk, &lock);
	return err == -EAGAIN ? 0 : err;
}

/* Bytes @start to @end of a chunk. */
static int discard_part(struct qbd_layer *layer, struct qbd_chunk *chunk, u64 start, u64 end,
			u64 *unread)
{
	sector_t sector = ((u64)chunk->number * layer->chunk_bytes) >> SECTOR_SHIFT;
	u32 row_bytes = layer->policy.k * layer->block_size;
	u32 row = div_u64(start + row_bytes - 1, row_bytes), end_row = div_u64(end, row_bytes);
	int err = 0;

	if (row >= end_row)
		return qbd_write_zeros(layer, sector + (start >> SECTOR_SHIFT), end - start,
				       unread);
	if (start < (u64)row * row_bytes)
		err = qbd_write_zeros(layer, sector + (start >> SECTOR_SHIFT),
				      (u64)row * row_bytes - start, unread);
	if (!err && end > (u64)end_row * row_bytes)
		err = qbd_write_zeros(layer, sector +
				      (((u64)end_row * row_bytes) >> SECTOR_SHIFT),
				      end - (u64)end_row * row_bytes, unread);
	while (!err && row < end_row) {
		u32 last = min(row | (layer->range_rows - 1), end_row - 1);

		err = discard_rows(chunk, row, last, unread);
		row = last + 1;
	}
	return err ?: free_if_empty(chunk);
}

static int discard(struct qbd_layer *layer, u64 at, u64 bytes, u64 *unread)
{
	u64 size = layer->sectors << SECTOR_SHIFT;
	int err = 0;

	while (bytes && !err) {
		struct qbd_chunk *chunk;
		u64 start, end;
		u32 number = div64_u64_rem(at, layer->chunk_bytes, &start);

		end = min(start + bytes, layer->chunk_bytes);
		at += end - start;
		bytes -= end - start;
		if (!xa_load(&layer->map, number) && !xa_load(&layer->chunks, number))
			continue;
		/* All of it: free_if_empty() looks at all. */
		chunk = qbd_chunk_get_rows(layer, number, 0, layer->rows);
		if (!chunk)
			return -EIO;
		if (!READ_ONCE(chunk->map))
			err = 0;
		else if (!start && (end == layer->chunk_bytes || at == size))
			err = discard_chunk(chunk);
		else
			err = discard_part(layer, chunk, start, end, unread);
		qbd_chunk_put(chunk);
	}
	return err;
}

static void discard_work(struct work_struct *work)
{
	struct qbd_io *io = container_of(work, struct qbd_io, work);
	struct qbd_layer *layer = io->volume->top;
	struct bio *bio = qbd_io_bio(io);
	int err = discard(layer, io->iter.bi_sector << SECTOR_SHIFT, io->iter.bi_size,
			  &io->unread);

	if (!err && (bio->bi_opf & REQ_FUA))
		err = qbd_flush(layer->pool);
	qbd_io_end(io, err);
}

/**
 * qbd_discard_map - a user's discard or write-zeroes
 * @io: the bio's data of ours
 */
int qbd_discard_map(struct qbd_io *io)
{
	INIT_WORK(&io->work, discard_work);
	queue_work(io->volume->top->pool->io_wq, &io->work);
	return DM_MAPIO_SUBMITTED;
}
