// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows of a chunk in the target's own pages: read, check, rebuild, encode, write.
 *
 * What every path but the fast read works on: writes, degraded reads, reads that
 * found something wrong, discards, reconcile, resync and scrub. A struct qbd_rows
 * holds up to about 1 MiB of user data and its parity. The caller has the rows
 * locked, so neither content nor checksums change under it, but for the fast
 * write path, which fills it from a bio and only encodes and writes.
 *
 * A replicas chunk is handled as K = 1 whose M other legs are the same block: one
 * set of pages, one checksum a row, any leg gives it, all legs get it.
 *
 * A block whose unit is a state (hole, zero, lost) is zeros for coding and is
 * never read from the medium. That one is lost is the reader's to see, by its
 * checksum value.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "qbd.h"

static u32 rows_legs(const struct qbd_layer *layer)
{
	return layer->policy.kind == QBD_EC ? qbd_policy_legs(&layer->policy) : 1;
}

/* Bytes of everything but the pages, the largest of any request. */
#define ROWS_BYTES(nr, legs, pages) \
	(sizeof(struct qbd_rows) + (pages) * sizeof(struct page *) + \
	 (nr) * ((legs) + 5) * sizeof(u32))

/**
 * qbd_rows_max - memory for the largest qbd_rows of any volume, for the mempool
 *
 * 1 MiB of data is 256 blocks; parity at most doubles it twice (2+4).
 */
size_t qbd_rows_max(void)
{
	return ROWS_BYTES(256, 3, 768);
}

static bool rows_pages(struct qbd_rows *rows, gfp_t gfp)
{
	struct qbd_pool *pool = rows->chunk->layer->pool;
	unsigned int i;

	for (i = 0; i < rows->nr_pages; i++) {
		if (rows->pages[i])
			continue;
		rows->pages[i] = gfp == QBD_GFP_TRY ? qbd_memory_page() :
				 mempool_alloc(&pool->pages, gfp | __GFP_NOWARN);
		if (!rows->pages[i])
			return false;
	}
	return true;
}

static void rows_pages_free(struct qbd_rows *rows)
{
	struct qbd_pool *pool = rows->chunk->layer->pool;
	unsigned int i;

	for (i = 0; i < rows->nr_pages; i++) {
		if (rows->pages[i])
			qbd_page_free(rows->pages[i], &pool->pages);
		rows->pages[i] = NULL;
	}
}

/**
 * qbd_rows_alloc - room for some rows of a chunk, all legs
 * @chunk: the chunk
 * @first: row
 * @nr: rows, at most layer->io_rows
 * @gfp: GFP_NOWAIT, or GFP_NOIO, with which it does not fail; QBD_GFP_TRY: nothing of
 *	the reserve is taken, by who may have it for long
 *
 * Pages are taken without waiting as long as there are some. If not, with GFP_NOIO,
 * all are given back, and one request at a time waits for the pool's, which are
 * enough for the largest: so whoever has pages and does not hold the mutex has all
 * that it needs, and will give them back. (dm-crypt does it so.)
 */
struct qbd_rows *qbd_rows_alloc(struct qbd_chunk *chunk, u32 first, u32 nr, gfp_t gfp)
{
	const struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	u32 nr_legs = rows_legs(layer);
	unsigned int nr_pages = nr * nr_legs * layer->block_pages;
	size_t bytes = ROWS_BYTES(nr, nr_legs, nr_pages);
	struct qbd_rows *rows = qbd_memory_try(bytes);
	bool pooled = false;

	if (!rows && gfpflags_allow_blocking(gfp)) {
		rows = mempool_alloc(&pool->rows, gfp);
		pooled = true;
	}
	if (!rows)
		return NULL;
	memset(rows, 0, bytes);
	rows->chunk = chunk;
	rows->first = first;
	rows->nr = nr;
	rows->nr_legs = nr_legs;
	rows->nr_pages = nr_pages;
	rows->pooled = pooled;
	rows->pages = (struct page **)(rows + 1);
	rows->csums = (u32 *)(rows->pages + nr_pages);
	rows->have = rows->csums + nr * nr_legs;
	rows->write = rows->have + nr;
	rows->ring = rows->write + nr;
	rows->bad = rows->ring + nr;
	rows->want = rows->bad + nr;
	bio_list_init(&rows->bios);
	if (rows_pages(rows, gfp == QBD_GFP_TRY ? gfp : GFP_NOWAIT))
		return rows;
	if (!gfpflags_allow_blocking(gfp)) {
		qbd_rows_free(rows);
		return NULL;
	}
	rows_pages_free(rows);
	mutex_lock(&pool->pages_mutex);
	rows_pages(rows, gfp);
	mutex_unlock(&pool->pages_mutex);
	return rows;
}

/**
 * qbd_rows_free - Context: any
 * @rows: the rows
 */
void qbd_rows_free(struct qbd_rows *rows)
{
	struct qbd_pool *pool = rows->chunk->layer->pool;

	rows_pages_free(rows);
	if (rows->pooled)
		mempool_free(rows, &pool->rows);
	else
		kfree(rows);
}

/**
 * qbd_rows_csums - copy the values of all units; those that are states are zeros
 * from now on
 * @rows: the rows
 *
 * Context: the rows are locked, the table is loaded.
 */
void qbd_rows_csums(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;
	u32 row, leg;

	spin_lock_irq(&chunk->lock);
	for (row = 0; row < rows->nr; row++)
		for (leg = 0; leg < rows->nr_legs; leg++)
			*qbd_rows_csum(rows, leg, row) =
				qbd_csum_get(chunk, (rows->first + row) * rows->nr_legs + leg);
	spin_unlock_irq(&chunk->lock);
	for (row = 0; row < rows->nr; row++)
		for (leg = 0; leg < rows->nr_legs; leg++)
			if (*qbd_rows_csum(rows, leg, row) < QBD_CSUM_STATES)
				qbd_rows_zero(rows, leg, row);
}

/**
 * qbd_rows_zero - a block of zeros
 * @rows: the rows
 * @leg: the leg
 * @row: the row, counted from rows->first
 */
void qbd_rows_zero(struct qbd_rows *rows, u32 leg, u32 row)
{
	struct page **pages = qbd_rows_block(rows, leg, row);
	u32 i;

	for (i = 0; i < rows->chunk->layer->block_pages; i++)
		clear_page(page_address(pages[i]));
	rows->have[row] |= BIT(leg);
}

/**
 * qbd_rows_sum - compute a block's checksum into rows->csums
 * @rows: the rows
 * @leg: the leg
 * @row: the row, counted from rows->first
 */
void qbd_rows_sum(struct qbd_rows *rows, u32 leg, u32 row)
{
	*qbd_rows_csum(rows, leg, row) = qbd_csum_block(rows->chunk, rows->chunk->map->gen,
						    rows->first + row, leg,
						    qbd_rows_block(rows, leg, row));
}

/**
 * qbd_rows_verify - does a block hold what its checksum says
 * @rows: the rows
 * @leg: the leg
 * @row: the row, counted from rows->first
 */
bool qbd_rows_verify(struct qbd_rows *rows, u32 leg, u32 row)
{
	u32 csum = *qbd_rows_csum(rows, leg, row);

	return csum >= QBD_CSUM_STATES &&
	       csum == qbd_csum_block(rows->chunk, rows->chunk->map->gen, rows->first + row,
				      leg, qbd_rows_block(rows, leg, row));
}

/**
 * qbd_rows_encode - compute the parity of some rows from their data
 * @rows: the rows
 * @nr: how many
 * @row: first, counted from rows->first
 *
 * Context: process; all data blocks are there. Nothing to do for replicas.
 */
void qbd_rows_encode(struct qbd_rows *rows, u32 row, u32 nr)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k, m = layer->policy.m, r, i, l;
	struct gf256_section section;
	const u8 *data[QBD_MAX_K];
	u8 *parity[QBD_MAX_M];

	if (!layer->code)
		return;
	gf256_section_begin(&section);
	for (r = row; r < row + nr; r++) {
		for (i = 0; i < layer->block_pages; i++) {
			for (l = 0; l < k; l++)
				data[l] = page_address(qbd_rows_block(rows, l, r)[i]);
			for (l = 0; l < m; l++)
				parity[l] = page_address(qbd_rows_block(rows, k + l, r)[i]);
			ec_encode(&section, layer->code, PAGE_SIZE, data, parity);
		}
		rows->have[r] |= (BIT(m) - 1) << k;
	}
	gf256_section_end(&section);
}

/* I/O of blocks */

static void rows_bio_done(struct qbd_bio *qb)
{
	struct qbd_rows *rows = qb->context;

	if (qb->status)
		atomic64_or(BIT_ULL(qb->backend->index), &rows->failed);
	bio_put(&qb->bio);
	if (atomic_dec_and_test(&rows->left))
		rows->done(rows);
}

static void rows_send(struct qbd_rows *rows, struct qbd_bio *qb)
{
	qb->done = rows_bio_done;
	qb->context = rows;
	atomic_inc(&rows->left);
	qbd_bio_submit(qb);
}

/* Adds blocks of a run to bios; sends each one when it is full, or collects them. */
static bool rows_run(struct qbd_rows *rows, blk_opf_t opf, u32 leg, u32 page_leg, u32 row,
		     u32 nr, gfp_t gfp)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u64 place = READ_ONCE(rows->chunk->map->legs[leg]);
	struct qbd_backend *b = qbd_backend_in(layer->pool, qbd_leg_backend(place));
	struct page **pages = qbd_rows_block(rows, page_leg, row);
	unsigned int left = nr * layer->block_pages;
	u64 offset;

	/*
	 * The leg has gone since it was chosen, and out of insync with that: nothing has to
	 * be written to it, what was to be read will not match, and no backend failed.
	 */
	if (place == QBD_LEG_NONE)
		return true;
	/* It went out since the legs were chosen: as if it had failed. */
	if (!b) {
		atomic64_or(BIT_ULL(qbd_leg_backend(place)), &rows->failed);
		return true;
	}
	offset = qbd_backend_data(b, qbd_leg_slot(place),
				  (u64)(rows->first + row) * layer->block_size);
	while (left) {
		unsigned int n = min_t(unsigned int, left, BIO_MAX_VECS), i;
		struct qbd_bio *qb = qbd_bio_alloc(b, opf, offset, n, gfp);

		if (!qb && !gfpflags_allow_blocking(gfp))
			return false;
		if (!qb) {
			atomic64_or(BIT_ULL(b->index), &rows->failed);
			return true;
		}
		for (i = 0; i < n; i++)
			__bio_add_page(&qb->bio, *pages++, PAGE_SIZE, 0);
		if (gfpflags_allow_blocking(gfp))
			rows_send(rows, qb);
		else
			bio_list_add(&rows->bios, &qb->bio);
		offset += (u64)n * PAGE_SIZE;
		left -= n;
	}
	return true;
}

/**
 * qbd_rows_submit - read or write blocks
 * @rows: the rows
 * @opf: operation and flags
 * @masks: a mask of legs a row; for replicas a bit is a leg too, all of which
 *	share the pages of leg 0
 * @legs: only those; all of them are on backends that are open
 * @gfp: GFP_NOWAIT: nothing is sent unless there is memory for all
 *
 * rows->done is called, maybe before this returns and maybe in an interrupt, when
 * all ended; rows->failed are the backends that failed.
 *
 * Return: false when there was no memory; then nothing was sent.
 */
bool qbd_rows_submit(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs,
		     gfp_t gfp)
{
	struct srcu_struct *srcu = &rows->chunk->layer->pool->backends_srcu;
	int idx = srcu_read_lock(srcu);
	struct bio *bio;
	u32 leg, row, nr;

	atomic_set(&rows->left, 1);
	atomic64_set(&rows->failed, 0);
	for (leg = 0; legs >> leg; leg++) {
		if (!(legs & BIT(leg)))
			continue;
		for (row = 0; row < rows->nr; row += nr) {
			nr = 1;
			if (!(masks[row] & BIT(leg)))
				continue;
			while (row + nr < rows->nr && (masks[row + nr] & BIT(leg)))
				nr++;
			if (!rows_run(rows, opf, leg, rows->nr_legs == 1 ? 0 : leg, row, nr,
				      gfp))
				goto no_memory;
		}
	}
	while ((bio = bio_list_pop(&rows->bios)))
		rows_send(rows, container_of(bio, struct qbd_bio, bio));
	srcu_read_unlock(srcu, idx);
	if (atomic_dec_and_test(&rows->left))
		rows->done(rows);
	return true;

no_memory:
	while ((bio = bio_list_pop(&rows->bios)))
		bio_put(bio);
	srcu_read_unlock(srcu, idx);
	return false;
}

static void rows_wake(struct qbd_rows *rows)
{
	complete(rows->wait);
}

/**
 * qbd_rows_io - qbd_rows_submit() and wait
 * @rows: the rows
 * @opf: operation and flags
 * @masks: a mask of legs a row
 * @legs: a mask of legs
 *
 * Return: bitmap of the backends that failed.
 */
u64 qbd_rows_io(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs)
{
	DECLARE_COMPLETION_ONSTACK(wait);

	rows->wait = &wait;
	rows->done = rows_wake;
	qbd_rows_submit(rows, opf, masks, legs, GFP_NOIO);
	wait_for_completion_io(&wait);
	return atomic64_read(&rows->failed);
}

/* Reading */

/**
 * qbd_rows_blame - a current leg's block is wrong
 * @rows: the rows
 * @leg: the leg
 * @row: the row, counted from rows->first
 */
void qbd_rows_blame(struct qbd_rows *rows, u32 leg, u32 row)
{
	const struct qbd_chunk *chunk = rows->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_backend *b = qbd_backend_in(pool, qbd_leg_backend(chunk->map->legs[leg]));

	rows->bad[row] |= BIT(leg);
	/*
	 * Nobody knows what is there, and nothing can be mended now: as long as requests
	 * to it may be under way, or what writes or a destage left that failed is not settled.
	 */
	if ((b && qbd_backend_orphans(b)) || qbd_kept_trouble(pool) ||
	    qbd_journal_torn(rows->chunk, rows->first + row))
		goto out;
	rows->any_bad = true;
	/* A read that failed is counted as such, where it ended. */
	if (b && !(atomic64_read(&rows->failed) & BIT_ULL(b->index))) {
		atomic64_inc(&b->stats.csum_errors);
		if (!(rows->blamed & BIT_ULL(b->index)))
			qbd_limit_error(b);
		rows->blamed |= BIT_ULL(b->index);
	}
	DMWARN_LIMIT("%s: volume %u chunk %u row %u leg %u: bad block on backend %u (%s)",
		     pool->members.pool_name, chunk->layer->volume, chunk->number,
		     rows->first + row, leg, qbd_leg_backend(chunk->map->legs[leg]),
		     b ? b->name : "gone");
out:
	srcu_read_unlock(&pool->backends_srcu, idx);
}

/* Read what is in rows->want and check it. */
static void rows_fetch(struct qbd_rows *rows, u32 row, u32 nr, u32 legs)
{
	bool replicas = rows->nr_legs == 1;
	u32 r, l;

	rows->unread |= qbd_rows_io(rows, REQ_OP_READ, rows->want, legs);
	for (r = row; r < row + nr; r++) {
		for (l = 0; rows->want[r] >> l; l++) {
			u32 page_leg = replicas ? 0 : l;

			if (!(rows->want[r] & BIT(l)))
				continue;
			if (qbd_rows_verify(rows, page_leg, r))
				rows->have[r] |= BIT(page_leg);
			else
				qbd_rows_blame(rows, l, r);
		}
	}
}

/* The leg whose backend answers soonest, of a mask that is not empty. */
u32 qbd_rows_nearest(const struct qbd_chunk *chunk, u32 legs)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 best = __ffs(legs), l;
	u64 best_cost = U64_MAX;
	int idx = srcu_read_lock(&pool->backends_srcu);

	for (l = 0; legs >> l; l++) {
		struct qbd_backend *b;
		u64 cost;

		if (!(legs & BIT(l)))
			continue;
		b = qbd_backend_in(pool, qbd_leg_backend(READ_ONCE(chunk->map->legs[l])));
		if (!b || qbd_backend_orphans(b))
			continue;
		cost = (u64)(READ_ONCE(b->latency_ns) / 8 + 1) *
		       (atomic_read(&b->inflight) + 1);
		if (cost < best_cost) {
			best_cost = cost;
			best = l;
		}
	}
	srcu_read_unlock(&pool->backends_srcu, idx);
	return best;
}

/*
 * What to read next so that a row gets what is wanted of it; 0: nothing more. What is
 * wanted itself, if it is there, else enough others to rebuild it; without the legs
 * that are to be avoided, if that can be.
 */
static u32 rows_next(struct qbd_rows *rows, u32 row, u32 want, u32 current_legs)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 have = rows->have[row], left = current_legs & ~rows->bad[row];
	u32 good = left & ~rows->avoid, more, l;

	if (!(want & ~have))
		return 0;
	if (rows->nr_legs == 1) {
		left = good ?: rows->strict ? 0 : left;
		return left ? BIT(qbd_rows_nearest(rows->chunk, left)) : 0;
	}
	left &= ~have;
	good &= ~have;
	if (rows->strict || hweight32(have | good) >= layer->policy.k)
		left = good;
	if ((want & ~have & ~left) == 0)
		return want & ~have;
	more = want & ~have & left;
	for (l = 0; hweight32(have | more) < layer->policy.k && left >> l; l++)
		more |= left & BIT(l);
	return hweight32(have | more) >= layer->policy.k ? more : 0;
}

static void rows_rebuild(struct qbd_rows *rows, u32 row, u32 want)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 missing = want & ~rows->have[row], i, l;
	struct gf256_section section;
	struct ec_plan plan;
	u8 *legs[QBD_MAX_LEGS];

	if (ec_make_plan(layer->code, rows->have[row], missing, &plan))
		return;
	gf256_section_begin(&section);
	for (i = 0; i < layer->block_pages; i++) {
		for (l = 0; l < rows->nr_legs; l++)
			legs[l] = page_address(qbd_rows_block(rows, l, row)[i]);
		ec_rebuild(&section, &plan, PAGE_SIZE, legs);
	}
	gf256_section_end(&section);
	for (l = 0; l < rows->nr_legs; l++)
		if ((missing & BIT(l)) && qbd_rows_verify(rows, l, row))
			rows->have[row] |= BIT(l);
}

/**
 * qbd_rows_read - have some blocks in memory, right ones
 * @rows: the rows
 * @row: first, counted from rows->first
 * @nr: rows
 * @want: legs, a mask; for replicas 1
 *
 * Reads current legs and checks each block; what is gone or wrong is rebuilt from
 * others and checked too. rows->have says which are there. Wrong blocks of
 * current legs are in rows->bad, for qbd_rows_repair(), and are rebuilt as well
 * where that is possible. Sleeps. Context: the rows are locked, the table loaded,
 * qbd_rows_csums() was called.
 *
 * Return: 0, or -EIO when any wanted block cannot be had.
 */
int qbd_rows_read(struct qbd_rows *rows, u32 row, u32 nr, u32 want)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 current_legs = qbd_chunk_current(rows->chunk), legs, r;
	int err = 0;

	do {
		legs = 0;
		memset(rows->want, 0, rows->nr * sizeof(u32));
		for (r = row; r < row + nr; r++) {
			rows->want[r] = rows_next(rows, r, want, current_legs);
			legs |= rows->want[r];
		}
		if (legs)
			rows_fetch(rows, row, nr, legs);
		for (r = row; layer->code && r < row + nr; r++) {
			u32 wanted = want | rows->bad[r];

			if ((wanted & ~rows->have[r]) &&
			    hweight32(rows->have[r]) >= layer->policy.k)
				rows_rebuild(rows, r, wanted);
		}
	} while (legs);
	for (r = row; r < row + nr; r++)
		if (want & ~rows->have[r])
			err = -EIO;
	return err;
}

/**
 * qbd_rows_begin_read - send what qbd_rows_read() would read of a row first
 * @rows: the rows; rows->done is called when all is there
 * @row: the row, counted from rows->first
 * @want: legs, a mask; of ec
 *
 * For many rows at a time: their reads do not wait for each other. The caller goes on
 * with qbd_rows_end_read(). Context: as qbd_rows_read().
 *
 * Return: false when there is nothing to read, and rows->done is not called.
 */
bool qbd_rows_begin_read(struct qbd_rows *rows, u32 row, u32 want)
{
	memset(rows->want, 0, rows->nr * sizeof(u32));
	rows->want[row] = rows_next(rows, row, want, qbd_chunk_current(rows->chunk));
	if (!rows->want[row])
		return false;
	qbd_rows_submit(rows, REQ_OP_READ, rows->want, rows->want[row], GFP_NOIO);
	return true;
}

/**
 * qbd_rows_end_read - blocks that were read are had, if they are right
 * @rows: the rows
 * @row: the row, counted from rows->first
 *
 * Nobody is blamed: qbd_rows_read() reads again what is missing.
 */
void qbd_rows_end_read(struct qbd_rows *rows, u32 row)
{
	u32 l;

	for (l = 0; rows->want[row] >> l; l++)
		if ((rows->want[row] & BIT(l)) && qbd_rows_verify(rows, l, row))
			rows->have[row] |= BIT(l);
}

static void rows_count(struct qbd_rows *rows, u32 leg)
{
	struct qbd_pool *pool = rows->chunk->layer->pool;
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_backend *b = qbd_backend_in(pool,
					       qbd_leg_backend(rows->chunk->map->legs[leg]));

	if (b)
		atomic64_inc(&b->stats.repaired);
	srcu_read_unlock(&pool->backends_srcu, idx);
}

/**
 * qbd_rows_repair - write back what was wrong on a current leg and is right here
 * @rows: the rows
 *
 * Sleeps. Context: the rows are locked. A crash in the middle leaves blocks that
 * are as bad as they were.
 *
 * Return: how many blocks were written.
 */
unsigned int qbd_rows_repair(struct qbd_rows *rows)
{
	struct qbd_chunk *chunk = rows->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	u32 legs = 0, current_legs = qbd_chunk_current(chunk), r, l;
	unsigned int nr = 0;
	u64 failed;

	if (!rows->any_bad || READ_ONCE(pool->mode) != QBD_RW)
		return 0;
	for (r = 0; r < rows->nr; r++) {
		u32 mend = rows->bad[r] & current_legs;

		if (rows->nr_legs > 1)
			mend &= rows->have[r];
		else if (!(rows->have[r] & 1))
			mend = 0;
		rows->want[r] = mend;
		legs |= mend;
		nr += hweight32(mend);
		for (l = 0; mend >> l; l++)
			if (mend & BIT(l))
				rows_count(rows, l);
	}
	if (!legs)
		return 0;
	failed = qbd_rows_io(rows, REQ_OP_WRITE, rows->want, legs);
	if (failed)
		qbd_member_fail(pool, failed);
	atomic64_add(nr, &pool->blocks_repaired);
	return nr;
}

/**
 * qbd_rows_lost - is any of these blocks lost
 * @rows: the rows
 * @row: the row, counted from rows->first
 * @legs: a mask
 */
bool qbd_rows_lost(struct qbd_rows *rows, u32 row, u32 legs)
{
	u32 l;

	for (l = 0; legs >> l; l++)
		if ((legs & BIT(l)) && *qbd_rows_csum(rows, l, row) == QBD_CSUM_LOST)
			return true;
	return false;
}

/* Is the parity updated, rather than computed of the whole row: which reads less? */
static bool rows_update(const struct qbd_rows *rows, u32 row, u32 whole, u32 part)
{
	u32 all = BIT(rows->chunk->layer->policy.k) - 1;
	u32 needed = whole | part | ((BIT(rows->nr_legs) - 1) & ~all);
	/* Blocks that are states cost no read. */
	u32 zeros = rows->have[row];

	return !(needed & ~zeros & ~qbd_chunk_current(rows->chunk)) &&
	       hweight32(needed & ~zeros) < hweight32(all & ~whole & ~zeros);
}

/**
 * qbd_rows_wanted - what qbd_rows_prepare() needs of a row of ec
 * @rows: the rows
 * @row: the row, counted from rows->first
 * @whole: data legs that are written wholly, a mask
 * @part: those that are written in part
 */
u32 qbd_rows_wanted(const struct qbd_rows *rows, u32 row, u32 whole, u32 part)
{
	u32 all = BIT(rows->chunk->layer->policy.k) - 1;

	if (rows_update(rows, row, whole, part))
		return whole | part | ((BIT(rows->nr_legs) - 1) & ~all);
	return all & ~whole;
}

/**
 * qbd_rows_prepare - have in memory what a partly covered row needs besides the new
 * data
 * @rows: the rows
 * @row: the row, counted from rows->first
 * @whole: data legs that are written wholly, a mask
 * @part: those that are written in part
 *
 * Context: as qbd_rows_read().
 *
 * Return: 0; 1 for read-modify-write: the parity is the old one, and the old data
 * of what changes is in the rows; -EIO.
 */
int qbd_rows_prepare(struct qbd_rows *rows, u32 row, u32 whole, u32 part)
{
	bool update;

	if (qbd_rows_lost(rows, row, part))
		return -EIO;
	if (!rows->chunk->layer->code)
		return part ? qbd_rows_read(rows, row, 1, 1) : 0;
	update = rows_update(rows, row, whole, part);
	return qbd_rows_read(rows, row, 1, qbd_rows_wanted(rows, row, whole, part)) ?: update;
}

/**
 * qbd_rows_fold - add some data blocks of a row to its parity
 * @rows: the rows
 * @row: the row, counted from rows->first
 * @legs: data legs, a mask
 *
 * Once with the old data and once with the new: what is the same falls out, and no
 * other memory is needed. Context: process.
 */
void qbd_rows_fold(struct qbd_rows *rows, u32 row, u32 legs)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k, l, i, j;
	struct gf256_section section;
	u8 *parity[QBD_MAX_M];

	gf256_section_begin(&section);
	for (l = 0; l < k; l++) {
		for (i = 0; (legs & BIT(l)) && i < layer->block_pages; i++) {
			for (j = 0; j < layer->policy.m; j++)
				parity[j] = page_address(qbd_rows_block(rows, k + j, row)[i]);
			ec_update(&section, layer->code, PAGE_SIZE, l,
				  page_address(qbd_rows_block(rows, l, row)[i]), parity);
		}
	}
	gf256_section_end(&section);
}
