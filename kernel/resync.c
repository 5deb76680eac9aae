// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resync: legs that are not in sync are filled from the others.
 *
 * Works by insync alone: a chunk needs it if it has a leg that is not current and
 * whose backend is in, or that has no slot at all. So it copies only what is
 * missing or stale, and goes on where it was after any stop.
 *
 * For one chunk, and what a crash between any two steps leaves:
 *	1. record: the legs to fill are REBUILD; one without a slot gets one
 *				they were not current, and are not
 *	2. a few rows at a time, locked: read or rebuild, write to these legs. User
 *	   writes go to them as well, so what was filled stays right.
 *				REBUILD legs with some of their content
 *	3. with all rows locked: a flush, so that no value of the chunk is unrecorded;
 *	   flush these backends; checksum pages to those of the legs that hold the
 *	   table; flush
 *				REBUILD legs with all of it
 *	4. record: they are LIVE and in insync, if their backends were in all the time
 *
 * How fast it goes beside users: pace.c. Model: tests/model/members.pml.
 */
#include "qbd.h"

/* Legs to fill: not current, on a backend that is in. *none: legs without a slot. */
static u32 legs_to_fill(const struct qbd_chunk *chunk, u32 *none)
{
	const struct qbd_map *map = chunk->map;
	u64 in = READ_ONCE(chunk->layer->pool->in);
	u32 current_legs = qbd_chunk_current(chunk), fill = 0;
	unsigned int l;

	*none = 0;
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = READ_ONCE(map->legs[l]);

		if (current_legs & BIT(l))
			continue;
		if (leg == QBD_LEG_NONE)
			*none |= BIT(l);
		else if (in & BIT_ULL(qbd_leg_backend(leg)))
			fill |= BIT(l);
	}
	return fill;
}

static bool can_be_filled(const struct qbd_chunk *chunk)
{
	return !chunk->dead && chunk->map &&
	       hweight32(qbd_chunk_current(chunk)) >= chunk->layer->policy.k;
}

/* A slot for a leg that has none, on a backend without a leg of the chunk. */
static u64 choose_slot(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = chunk->map;
	/*
	 * insync names those that are out, too, which are left behind; one that is in may
	 * have a leg that no table told us.
	 */
	u64 taken = map->insync & READ_ONCE(chunk->layer->pool->in), chosen;
	unsigned int l, got;

	for (l = 0; l < map->nr_legs; l++)
		if (map->legs[l] != QBD_LEG_NONE)
			taken |= BIT_ULL(qbd_leg_backend(map->legs[l]));
	if (qbd_slots_choose(chunk->layer, chunk->number, taken, 1, &chosen, &got) || !got)
		return QBD_LEG_NONE;
	return chosen;
}

/* Step 1. Return: the legs that are REBUILD now, by record *lsn, or 0. */
static u32 begin(struct qbd_chunk *chunk, u64 *lsn, int *err)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_record *r = &chunk->record;
	u64 chosen = QBD_LEG_NONE;
	u32 fill = 0, none;
	unsigned int i;

	*lsn = U64_MAX;
	*err = qbd_ring_admit(pool);
	if (*err)
		return 0;
	down_read(&pool->meta_sem);
	mutex_lock(&chunk->mutex);
	*err = qbd_ring_wait(pool, chunk->record_lsn);
	if (*err || !can_be_filled(chunk))
		goto out;
	fill = legs_to_fill(chunk, &none);
	if (none)
		chosen = choose_slot(chunk);
	/* Nor a stamp: who is out has missed nothing by this. */
	if (!fill && chosen == QBD_LEG_NONE)
		goto out;
	*err = qbd_ring_wait(pool, qbd_chunk_stamp(chunk));
	fill = 0;
	if (*err || !can_be_filled(chunk))
		goto release;
	fill = legs_to_fill(chunk, &none);
	qbd_chunk_record(chunk, r, QBD_CHUNK_REBUILD);
	for (i = 0; i < r->nr_legs; i++)
		if (fill & BIT(r->legs[i].leg))
			r->legs[i].state = QBD_SLOT_REBUILD;
	if (chosen != QBD_LEG_NONE) {
		r->legs[r->nr_legs].backend = qbd_leg_backend(chosen);
		r->legs[r->nr_legs].slot = qbd_leg_slot(chosen);
		r->legs[r->nr_legs].leg = __ffs(none);
		r->legs[r->nr_legs].state = QBD_SLOT_REBUILD;
		r->nr_legs++;
		fill |= BIT(__ffs(none));
	}
	if (!fill)
		goto out;
	*lsn = qbd_chunk_append(chunk);
	*err = qbd_ring_wait(pool, *lsn);
release:
	if (*lsn == U64_MAX && chosen != QBD_LEG_NONE)
		qbd_slots_release(pool, chosen, U64_MAX);
out:
	mutex_unlock(&chunk->mutex);
	up_read(&pool->meta_sem);
	return *err ? 0 : fill;
}

/* Step 2, for rows @first to @first + @nr - 1. */
static int fill_rows(struct qbd_chunk *chunk, u32 fill, u32 first, u32 nr, u64 *bytes)
{
	const struct qbd_layer *layer = chunk->layer;
	struct qbd_rows *rows;
	u32 row, l;
	u64 failed;
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
		rows->avoid = qbd_latency_slow(chunk);
		err = qbd_rows_read(rows, 0, nr, layer->code ? fill : 1);
	}
	if (!err) {
		qbd_rows_repair(rows);
		for (row = 0; row < nr; row++) {
			rows->write[row] = 0;
			for (l = 0; fill >> l; l++)
				if ((fill & BIT(l)) &&
				    *qbd_rows_csum(rows, layer->code ? l : 0, row) >=
				    QBD_CSUM_STATES)
					rows->write[row] |= BIT(l);
			*bytes += (u64)hweight32(rows->write[row]) * layer->block_size;
		}
		if (fill & ~qbd_chunk_writable(chunk)) {
			err = -EIO;	/* its backend went out */
		} else {
			failed = qbd_rows_io(rows, REQ_OP_WRITE, rows->write, fill);
			if (failed) {
				qbd_member_settle(layer->pool, failed);
				err = -EIO;
			}
		}
	}
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	return err;
}

/*
 * Have the backends of these legs been in all the time since a record? One that went out
 * and came in again missed what was written meanwhile, also to rows that were filled, and
 * may have lost its cache. Context: meta_sem, without which none comes in.
 */
static bool stayed_in(const struct qbd_chunk *chunk, u32 legs, u64 lsn)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool stayed = !(legs & ~qbd_chunk_writable(chunk));
	u32 l;

	spin_lock(&pool->slot_lock);	/* keeps the backends */
	for (l = 0; legs >> l; l++) {
		const struct qbd_backend *b = pool->backend[qbd_leg_backend(chunk->map->legs[l])];

		if (legs & BIT(l))
			stayed &= b && b->since_lsn < lsn;
	}
	spin_unlock(&pool->slot_lock);
	return stayed;
}

/*
 * Steps 3 and 4. @lsn: of step 1's record. @times: pool->kept_times before the first row
 * was filled.
 */
static int finish(struct qbd_chunk *chunk, u32 fill, u64 lsn, u32 times)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	struct qbd_record *r = &chunk->record;
	struct qbd_row_lock lock;
	u64 which = 0, failed;
	unsigned int i;
	int err, idx;

	err = qbd_ring_admit(pool) ?: qbd_csum_prepare_rows(chunk, 0, layer->rows);
	if (err)
		return err;
	qbd_chunk_lock(chunk, &lock, 0, layer->rows - 1);
	err = -EAGAIN;
	if (chunk->dead || (fill & ~qbd_chunk_writable(chunk)))
		goto out;
	for (i = 0; i < chunk->map->nr_legs; i++)
		if (fill & BIT(i))
			which |= BIT_ULL(qbd_leg_backend(chunk->map->legs[i]));
	err = qbd_csum_load(chunk, 0, layer->rows * layer->units - 1, NULL);
	if (err)
		goto out;
	/*
	 * A row that is discarded and not yet recorded so was not filled; its recorded
	 * value still asks for content.
	 */
	if (qbd_csum_unwritten(chunk)) {
		err = qbd_flush(pool);
		if (err)
			goto out;
	}
	failed = qbd_backend_flush(pool, which);
	if (!failed) {
		mutex_lock(&pool->checkpoint_mutex);
		idx = srcu_read_lock(&pool->backends_srcu);
		pool->checkpoint_pages.failed = 0;
		qbd_csum_write(chunk, fill, true, &pool->checkpoint_pages);
		failed = qbd_pages_send(&pool->checkpoint_pages);
		srcu_read_unlock(&pool->backends_srcu, idx);
		mutex_unlock(&pool->checkpoint_mutex);
	}
	if (!failed)
		failed = qbd_backend_flush(pool, which);
	if (failed) {
		qbd_member_settle(pool, failed);
		err = -EIO;
		goto out;
	}
	err = qbd_member_quiet(pool) ?: qbd_kept_since(pool, times);
	if (err)
		goto out;
	down_read(&pool->meta_sem);
	mutex_lock(&chunk->mutex);
	err = qbd_ring_wait(pool, qbd_chunk_stamp(chunk));
	if (!err && !stayed_in(chunk, fill, lsn))
		err = -EAGAIN;
	if (!err) {
		qbd_chunk_record(chunk, r, QBD_CHUNK_INSYNC);
		for (i = 0; i < r->nr_legs; i++) {
			if (!(fill & BIT(r->legs[i].leg)))
				continue;
			r->legs[i].state = QBD_SLOT_LIVE;
			r->insync |= BIT_ULL(r->legs[i].backend);
		}
		/* If it is not in effect yet: no write begins before it is. */
		err = qbd_ring_wait(pool, qbd_chunk_append(chunk));
	}
	mutex_unlock(&chunk->mutex);
	up_read(&pool->meta_sem);
out:
	qbd_chunk_unlock(chunk, &lock);
	return err;
}

static int resync_chunk(struct qbd_chunk *chunk)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	int err = 0;
	u32 fill, row, times, nr;
	u64 lsn;

	/* A leg without a slot at a time: each round finds one more. */
	for (;;) {
		times = READ_ONCE(pool->kept_times);
		fill = begin(chunk, &lsn, &err);
		if (!fill || err)
			return err;
		for (row = 0; row < layer->rows; row += nr) {
			u64 bytes = 0;

			if (READ_ONCE(pool->resync.stop))
				return -EINTR;
			nr = min(qbd_pace_rows(pool, layer->io_rows), layer->rows - row);
			qbd_pace_begin(pool);
			err = fill_rows(chunk, fill, row, nr, &bytes);
			if (!err)
				atomic64_add(bytes, &pool->resync.bytes);
			/* A step that failed was I/O, too. */
			qbd_pace_end(pool, err ? max_t(u64, bytes, nr * layer->block_size) : bytes);
			if (err)
				return err;
			qbd_moment("rows-filled");
		}
		/* Users wait for its flushes. */
		qbd_pace_begin(pool);
		err = finish(chunk, fill, lsn, times);
		qbd_pace_end(pool, 0);
		if (err)
			return err;
	}
}

static bool wants_resync(struct qbd_pool *pool, const struct qbd_map *map)
{
	u64 in = READ_ONCE(pool->in);
	unsigned int l;

	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = map->legs[l];

		if (leg == QBD_LEG_NONE)
			return true;
		if ((in & BIT_ULL(qbd_leg_backend(leg))) &&
		    (qbd_leg_state(leg) != QBD_SLOT_LIVE ||
		     !(map->insync & BIT_ULL(qbd_leg_backend(leg)))))
			return true;
	}
	return false;
}

/* The next chunk at or after *@n that a walk wants. NULL: no more; -EIO in an outage. */
static struct qbd_chunk *next_chunk(struct qbd_layer *layer, unsigned long *n,
				    bool (*wanted)(struct qbd_pool *pool,
						   const struct qbd_map *map))
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_map *map;
	bool found;

	do {
		spin_lock(&pool->map_lock);
		map = xa_find(&layer->map, n, ULONG_MAX, XA_PRESENT);
		found = map && wanted(pool, map);
		spin_unlock(&pool->map_lock);
		if (!map)
			return NULL;
		if (!found)
			(*n)++;
		if (!(*n % 1024))
			cond_resched();
	} while (!found);
	return qbd_chunk_get_rows(layer, *n, 0, layer->rows) ?: ERR_PTR(-EIO);
}

/**
 * qbd_chunks_each - call a function for all chunks of a pool, one after another
 * @pool: the pool
 * @wanted: which; asked under map_lock
 * @fn: may sleep; -EINTR ends the walk, other errors do not
 *
 * Return: how many calls failed, or -EINTR.
 */
int qbd_chunks_each(struct qbd_pool *pool,
		    bool (*wanted)(struct qbd_pool *pool, const struct qbd_map *map),
		    int (*fn)(struct qbd_chunk *chunk))
{
	struct qbd_layer *layer;
	unsigned long i, n;
	int failed = 0, err;

	xa_for_each(&pool->layers, i, layer) {
		struct qbd_chunk *chunk;

		qbd_moment("layer-in-hand");
		for (n = 0; (chunk = next_chunk(layer, &n, wanted)); n++) {
			if (IS_ERR(chunk)) {
				failed++;
				continue;
			}
			err = fn(chunk);
			qbd_chunk_put(chunk);
			if (err == -EINTR)
				return err;
			failed += !!err;
		}
		qbd_moment("layer-walked");
	}
	return failed;
}

/* How many chunks of the pool a walk will want. */
u64 qbd_chunks_count(struct qbd_pool *pool,
		     bool (*wanted)(struct qbd_pool *pool, const struct qbd_map *map))
{
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;
	u64 count = 0;

	xa_for_each(&pool->layers, i, layer) {
		for (n = 0;; n++) {
			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			if (map && wanted(pool, map))
				count++;
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
			if (!(n % 1024))
				cond_resched();
		}
	}
	return count;
}

static int resync_one(struct qbd_chunk *chunk)
{
	int err = resync_chunk(chunk);

	if (!err)
		atomic64_inc(&chunk->layer->pool->resync.done);
	if (READ_ONCE(chunk->layer->pool->resync.stop))
		return -EINTR;
	if (err && err != -EAGAIN)
		DMWARN_LIMIT("%s: volume %u chunk %u: cannot resync now (%d)",
			     chunk->layer->pool->members.pool_name, chunk->layer->volume,
			     chunk->number, err);
	return err;
}

/**
 * qbd_resync_work - fill whatever is not in sync and can be
 * @work: the work item
 *
 * Asked for again while it runs, as "repair" does of a backend that came in just
 * now, it looks once more, and what it counts goes on.
 */
void qbd_resync_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, resync_work);

	qbd_named_each(pool, qbd_reconcile_late, NULL);
	/* After a crash a row that is all in the journal may be torn in its place. */
	qbd_destage_all(pool, NULL);
	WRITE_ONCE(pool->resync.running, true);
	if (!pool->resync.again) {
		atomic64_set(&pool->resync.done, 0);
		atomic64_set(&pool->resync.bytes, 0);
		qbd_pace_start(pool);
	}
	atomic64_set(&pool->resync.todo, atomic64_read(&pool->resync.done) +
					 qbd_chunks_count(pool, wants_resync));
	qbd_chunks_each(pool, wants_resync, resync_one);
	/* What lacked a leg has it now. */
	if (atomic64_read(&pool->resync.todo))
		qbd_destage_again(pool);
	/* Who asks sets running before it queues the work. */
	WRITE_ONCE(pool->resync.running, false);
	pool->resync.again = work_pending(work);
	if (pool->resync.again)
		WRITE_ONCE(pool->resync.running, true);
	else if (atomic64_read(&pool->resync.todo))
		qbd_event(pool);
}
