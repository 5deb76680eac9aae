// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrub: read and check everything, mend what is wrong.
 *
 * All current legs of all chunks, data and parity, each block against its
 * checksum; all copies of the checksum tables. What is wrong is rebuilt from the
 * other legs and written back (rule 9). A block that cannot be rebuilt is counted,
 * and left as it is: it may be right again when a backend returns.
 *
 * Metadata: every page of every table, and the superblocks, are written anew from
 * memory, by a checkpoint, in the order that it keeps.
 */
#include "qbd.h"

/* Replicas: each leg's copy in turn; rows->bad collects what does not match. */
static void check_replicas(struct qbd_rows *rows, u32 current_legs)
{
	u32 row, l;

	for (l = 0; current_legs >> l; l++) {
		if (!(current_legs & BIT(l)))
			continue;
		for (row = 0; row < rows->nr; row++)
			rows->want[row] = *qbd_rows_csum(rows, 0, row) >= QBD_CSUM_STATES ?
					  BIT(l) : 0;
		qbd_rows_io(rows, REQ_OP_READ, rows->want, BIT(l));
		for (row = 0; row < rows->nr; row++)
			if (rows->want[row] && !qbd_rows_verify(rows, 0, row))
				qbd_rows_blame(rows, l, row);
	}
	if (rows->any_bad)
		qbd_rows_read(rows, 0, rows->nr, 1);
}

static int scrub_rows(struct qbd_chunk *chunk, u32 first, u32 nr)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	u32 current_legs, row, bad = 0;
	struct qbd_rows *rows;
	int err;

	err = qbd_csum_prepare_rows(chunk, first, nr);
	if (err)
		return err;
	rows = qbd_rows_alloc(chunk, first, nr, GFP_NOIO);
	qbd_chunk_lock(chunk, &rows->lock, first, first + nr - 1);
	err = chunk->dead ? -EAGAIN :
	      qbd_csum_load(chunk, first * layer->units, (first + nr) * layer->units - 1, NULL) ?:
	      qbd_destage_settle(rows);
	if (!err) {
		qbd_rows_csums(rows);
		current_legs = qbd_chunk_current(chunk);
		if (layer->code)
			qbd_rows_read(rows, 0, nr, current_legs);
		else
			check_replicas(rows, current_legs);
		for (row = 0; row < nr; row++)
			bad += hweight32(rows->bad[row]);
		atomic64_add(bad, &pool->scrub.bad);
		atomic64_add(qbd_rows_repair(rows), &pool->scrub.repaired);
	}
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	return err;
}

static int scrub_chunk(struct qbd_chunk *chunk)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	int err = 0;
	u32 row;

	for (row = 0; row < layer->rows && !err; row += layer->io_rows) {
		if (READ_ONCE(pool->scrub.stop))
			return -EINTR;
		err = scrub_rows(chunk, row, layer->io_rows);
	}
	if (!err && qbd_csum_check(chunk)) {
		atomic64_inc(&pool->scrub.bad);
		atomic64_inc(&pool->scrub.repaired);
	}
	atomic64_inc(&pool->scrub.done);
	return err;
}

static bool any_chunk(struct qbd_pool *pool, const struct qbd_map *map)
{
	return true;
}

/* Every page of the tables is to be written. */
static void mark_tables(struct qbd_pool *pool)
{
	unsigned int i;
	u32 n;

	spin_lock(&pool->map_lock);
	for (n = 0; n < pool->volume_table.nr_pages; n++)
		pool->volume_table.pages[n].dirty = true;
	for (n = 0; n < pool->layer_table.nr_pages; n++)
		pool->layer_table.pages[n].dirty = true;
	spin_unlock(&pool->map_lock);
	spin_lock(&pool->slot_lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (b && b->slot_dirty)
			bitmap_set(b->slot_dirty, 0, DIV_ROUND_UP(b->geometry.nr_slots,
								  QBD_SLOTS_PER_PAGE));
	}
	spin_unlock(&pool->slot_lock);
}

/**
 * qbd_scrub_work - scrub the whole pool once
 * @work: the work item
 */
void qbd_scrub_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, scrub_work);
	unsigned int i;
	u64 failed;

	/* After a crash a row that is all in the journal may be torn in its place. */
	qbd_destage_all(pool, NULL);
	WRITE_ONCE(pool->scrub.running, true);
	atomic64_set(&pool->scrub.done, 0);
	atomic64_set(&pool->scrub.bad, 0);
	atomic64_set(&pool->scrub.repaired, 0);
	atomic64_set(&pool->scrub.todo, qbd_chunks_count(pool, any_chunk));
	qbd_chunks_each(pool, any_chunk, scrub_chunk);
	/* What it repaired may be what rows were stuck for. */
	if (atomic64_read(&pool->scrub.repaired))
		qbd_destage_again(pool);
	/* Twice, for both places of every page. */
	for (i = 0; i < 2 && !READ_ONCE(pool->scrub.stop); i++) {
		mark_tables(pool);
		if (qbd_checkpoint(pool))
			break;
		mutex_lock(&pool->member_lock);
		failed = pool->half_epoch ? 0 :
			 qbd_super_write(pool, &pool->members, pool->in, 0);
		mutex_unlock(&pool->member_lock);
		if (failed)
			qbd_member_fail(pool, failed);
	}
	WRITE_ONCE(pool->scrub.running, false);
}
