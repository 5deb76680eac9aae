// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: legs, stamps, active ranges, allocation, freeing. chunk-cache.c finds and
 * keeps them, row-lock.c locks their rows.
 *
 * Before the first data write into rows of a chunk (qbd_chunk_prepare), in this
 * order, each durable before data is written:
 *	1. the chunk exists (one record for all legs), or, if a backend with a
 *	   current leg is not in, it is stamped: that leg leaves insync;
 *	2. the ranges of the rows are active.
 * A crash after 1 leaves an empty chunk, or one that is degraded, as it was. One
 * after 2 leaves a range that is reconciled though nothing was written. So these
 * records may share a batch.
 *
 * Freeing: the record, durable; then the chunk is dead: whoever waited for its
 * rows looks it up again.
 *
 * Models: tests/model/flush.pml (ranges), members.pml (stamps).
 */
#include <linux/slab.h>

#include "qbd.h"

/**
 * qbd_map_alloc - a map without legs
 * @nr_legs: of so many
 * @gfp: GFP_KERNEL; or GFP_NOIO, which never fails: memory.c
 *
 * Sleeps. Return: NULL when there is no memory.
 */
struct qbd_map *qbd_map_alloc(unsigned int nr_legs, gfp_t gfp)
{
	struct qbd_map *map;

	if (gfp == GFP_NOIO)
		gfp = QBD_GFP_OWN;
	while (!(map = kzalloc(struct_size(map, legs, nr_legs), gfp)) && gfp == QBD_GFP_OWN)
		schedule_timeout_uninterruptible(1);
	if (map)
		map->nr_legs = nr_legs;
	return map;
}

/**
 * qbd_map_current - legs that are LIVE and in insync (rule 3): a mask
 * @map: the map; what keeps it is the caller's
 * @in: only those on these backends
 */
u32 qbd_map_current(const struct qbd_map *map, u64 in)
{
	u32 mask = 0;
	unsigned int l;

	in &= READ_ONCE(map->insync);
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = READ_ONCE(map->legs[l]);

		if (qbd_leg_state(leg) == QBD_SLOT_LIVE && (in & BIT_ULL(qbd_leg_backend(leg))))
			mask |= BIT(l);
	}
	return mask;
}

/**
 * qbd_chunk_current - legs that may be read: a mask
 * @chunk: the chunk
 *
 * Current: LIVE, in insync, and on a backend that is in (rule 3). None while the chunk
 * has rows that could not be reconciled.
 */
u32 qbd_chunk_current(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);

	if (!map || unlikely(READ_ONCE(chunk->unreconciled)))
		return 0;
	return qbd_map_current(map, READ_ONCE(chunk->layer->pool->in));
}

/**
 * qbd_chunk_writable - legs that are written: the current ones, and those being
 * rebuilt, so that what is rebuilt stays right. A mask.
 * @chunk: the chunk
 */
u32 qbd_chunk_writable(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);
	u64 in = READ_ONCE(chunk->layer->pool->in);
	u32 mask = 0;
	unsigned int l;

	for (l = 0; map && l < map->nr_legs; l++) {
		u64 leg = READ_ONCE(map->legs[l]);

		if (qbd_leg_state(leg) == QBD_SLOT_REBUILD &&
		    (in & BIT_ULL(qbd_leg_backend(leg))))
			mask |= BIT(l);
	}
	return mask | qbd_chunk_current(chunk);
}

/**
 * qbd_chunk_lost - are fewer legs in sync than it takes, wherever their backends are
 * @chunk: the chunk
 *
 * So it is after a start with less than that which the operator has forced. What of its
 * table was in the log alone went with it: a hole may have been written since.
 */
bool qbd_chunk_lost(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);

	return map && hweight32(qbd_map_current(map, ~0ull)) < chunk->layer->policy.k;
}

/**
 * qbd_chunk_settled - is every leg in insync on a backend that is in
 * @chunk: the chunk
 *
 * If not, the chunk has to be stamped before anything depends on it (rule 2).
 */
bool qbd_chunk_settled(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);

	return map && !(READ_ONCE(map->insync) & ~READ_ONCE(chunk->layer->pool->in));
}

/**
 * qbd_chunk_quiet - is the chunk's last chunk record in effect
 * @chunk: the chunk
 *
 * Where not, and the ring is stalled, nobody may wait for it with rows locked, and no
 * write may begin before it is: it may free the chunk, or make a leg current.
 */
bool qbd_chunk_quiet(const struct qbd_chunk *chunk)
{
	return READ_ONCE(chunk->record_lsn) <= READ_ONCE(chunk->layer->pool->ring.durable_lsn);
}

/**
 * qbd_chunk_record - the record that says what a chunk is now; the caller changes
 * what is to be changed
 * @chunk: the chunk
 * @r: the record
 * @op: why the record is written
 *
 * Context: chunk->mutex.
 */
void qbd_chunk_record(const struct qbd_chunk *chunk, struct qbd_record *r, u8 op)
{
	const struct qbd_map *map = chunk->map;
	unsigned int l;

	lockdep_assert_held(&chunk->mutex);
	memset(r, 0, sizeof(*r));
	r->type = QBD_RECORD_CHUNK;
	r->op = op;
	r->layer = chunk->layer->number;
	r->chunk = chunk->number;
	r->gen = map->gen;
	r->insync = map->insync;
	r->epoch = chunk->layer->pool->members.epochs[0].number;
	r->flags = map->flags;
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = map->legs[l];

		if (leg == QBD_LEG_NONE)
			continue;
		r->legs[r->nr_legs].backend = qbd_leg_backend(leg);
		r->legs[r->nr_legs].slot = qbd_leg_slot(leg);
		r->legs[r->nr_legs].leg = l;
		r->legs[r->nr_legs].state = op == QBD_CHUNK_FREE ? QBD_SLOT_FREE :
								  qbd_leg_state(leg);
		r->nr_legs++;
	}
}

/**
 * qbd_chunk_append - append the chunk's record
 * @chunk: the chunk; chunk->record is set
 *
 * Context: chunk->mutex. Return: its LSN, to be waited for; U64_MAX when the ring
 * cannot be written now.
 */
u64 qbd_chunk_append(struct qbd_chunk *chunk)
{
	u64 lsn = qbd_ring_append(chunk->layer->pool, &chunk->record);

	lockdep_assert_held(&chunk->mutex);
	if (lsn == U64_MAX)
		return lsn;
	WRITE_ONCE(chunk->record_lsn, lsn);
	/* It is needed when the record takes effect, whether anyone waits or not. */
	qbd_chunk_named(chunk, lsn);
	return lsn;
}

/**
 * qbd_chunk_stamp - take the legs on backends that are not in out of insync
 * @chunk: the chunk
 *
 * Context: chunk->mutex; the epoch that put them out is durable.
 *
 * One that would have fewer than K legs then is not stamped. Nothing is written to
 * it, so those that are away miss nothing, and have it again when they return (rule
 * 4); once they were stamped away it would be lost.
 *
 * Return: the record's LSN, to be waited for; 0 when there was nothing to do; U64_MAX
 * when the ring cannot be written now. The caller must not append another chunk
 * record before this one is in effect.
 */
u64 qbd_chunk_stamp(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_record *r = &chunk->record;

	lockdep_assert_held(&chunk->mutex);
	if (qbd_ring_wait(pool, chunk->record_lsn))
		return U64_MAX;
	if (!chunk->map || chunk->dead || qbd_chunk_settled(chunk) ||
	    hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
		return 0;
	qbd_chunk_record(chunk, r, QBD_CHUNK_STAMP);
	r->insync &= READ_ONCE(pool->in);
	return qbd_chunk_append(chunk);
}

static u64 chunk_append_alloc(struct qbd_chunk *chunk, int *err)
{
	struct qbd_layer *layer = chunk->layer;
	unsigned int nr_legs = qbd_policy_legs(&layer->policy), got = 0, l;
	struct qbd_record *r = &chunk->record;
	u64 legs[QBD_MAX_LEGS], lsn;

	*err = -EIO;
	if (qbd_layer_blind(layer))
		return 0;
	qbd_memory_reserve(&layer->map, chunk->number, GFP_NOIO);
	if (!chunk->new_map)
		chunk->new_map = qbd_map_alloc(nr_legs, GFP_NOIO);
	*err = qbd_csum_fresh(chunk);
	if (*err)
		return 0;
	*err = qbd_slots_choose(layer, chunk->number, 0, nr_legs, legs, &got);
	/* Slots of what could not be recorded are taken until that is settled. */
	if (*err == -ENOSPC && qbd_kept_trouble(layer->pool))
		*err = -EIO;
	if (*err)
		return 0;
	if (got < layer->policy.k) {
		for (l = 0; l < got; l++)
			qbd_slots_release(layer->pool, legs[l], U64_MAX);
		*err = -EIO;
		return 0;
	}
	memset(r, 0, sizeof(*r));
	r->type = QBD_RECORD_CHUNK;
	r->op = QBD_CHUNK_ALLOC;
	r->layer = layer->number;
	r->chunk = chunk->number;
	r->epoch = layer->pool->members.epochs[0].number;
	r->nr_legs = got;
	for (l = 0; l < got; l++) {
		r->insync |= BIT_ULL(qbd_leg_backend(legs[l]));
		r->legs[l].backend = qbd_leg_backend(legs[l]);
		r->legs[l].slot = qbd_leg_slot(legs[l]);
		r->legs[l].leg = l;
		r->legs[l].state = QBD_SLOT_LIVE;
	}
	lsn = qbd_chunk_append(chunk);
	for (l = 0; lsn == U64_MAX && l < got; l++)
		qbd_slots_release(layer->pool, legs[l], U64_MAX);
	*err = lsn == U64_MAX ? -EIO : 0;
	return lsn;
}

/**
 * qbd_chunk_try_ranges - begin a write in rows whose ranges are all active
 * @chunk: the chunk
 * @first: the first row
 * @last: the last row
 *
 * Context: chunk->lock. Ends with qbd_chunk_end_ranges().
 */
bool qbd_chunk_try_ranges(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 a = first / chunk->layer->range_rows, z = last / chunk->layer->range_rows, i;

	lockdep_assert_held(&chunk->lock);
	for (i = a; i <= z; i++)
		if (!chunk->ranges[i].lsn)
			return false;
	for (i = a; i <= z; i++)
		chunk->ranges[i].inflight++;
	return true;
}

/**
 * qbd_chunk_end_ranges - a write ended, well or not. Context: chunk->lock.
 * @chunk: the chunk
 * @first: the first row
 * @last: the last row
 */
void qbd_chunk_end_ranges(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 a = first / chunk->layer->range_rows, z = last / chunk->layer->range_rows, i;

	lockdep_assert_held(&chunk->lock);
	for (i = a; i <= z; i++) {
		chunk->ranges[i].inflight--;
		chunk->ranges[i].done_in = READ_ONCE(chunk->layer->pool->flush_number);
	}
}

/**
 * qbd_chunk_append_ranges - append a record for each of the ranges of these rows
 * that is not active. Sleeps.
 * @chunk: the chunk
 * @gen: the chunk's gen
 * @first: the first row
 * @last: the last row
 *
 * Return: the LSN of the last, 0 if all are; U64_MAX: the ring cannot be written now.
 */
u64 qbd_chunk_append_ranges(struct qbd_chunk *chunk, u64 gen, u32 first, u32 last)
{
	struct qbd_layer *layer = chunk->layer;
	u32 i, a = first / layer->range_rows, z = last / layer->range_rows;
	u64 lsn = 0;

	for (i = a; i <= z; i++) {
		struct qbd_record r = {
			.type = QBD_RECORD_RANGE, .layer = layer->number,
			.chunk = chunk->number, .gen = gen,
			.first_row = i * layer->range_rows,
			.nr_rows = layer->range_rows,
		};

		if (!READ_ONCE(chunk->ranges[i].lsn))
			lsn = max(lsn, qbd_ring_append(layer->pool, &r));
	}
	return lsn;
}

/*
 * Backends went out while the record that made the chunk was on its way, and it
 * has no K legs to begin with. Nobody has written to it: away with it, and another
 * one is made on those that are left. Context: chunk->mutex.
 */
static int chunk_unmake(struct qbd_chunk *chunk)
{
	int err;

	qbd_chunk_record(chunk, &chunk->record, QBD_CHUNK_FREE);
	err = qbd_ring_wait(chunk->layer->pool, qbd_chunk_append(chunk));
	/* Those who fail stay in, so another one would be no better. */
	return err ?: qbd_kept_trouble(chunk->layer->pool) ? -EIO : -EAGAIN;
}

/**
 * qbd_chunk_prepare - make sure that rows of a chunk may be written, and begin
 * @chunk: the chunk
 * @first: row
 * @last: row, in the same chunk; the caller has both locked
 * @ranges: not only into the ring: the rows' ranges have to be active
 *
 * See the order at the top. On success with @ranges the caller ends the write with
 * qbd_chunk_end_ranges(). The caller was admitted to the ring. Sleeps.
 *
 * Return: 0; -EAGAIN the chunk was freed meanwhile, look it up again; -ENOSPC;
 * -EIO fewer than K legs are left, or the ring failed; -ENOMEM.
 */
int qbd_chunk_prepare(struct qbd_chunk *chunk, u32 first, u32 last, bool ranges)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool begun = false, made = false;
	int err = 0;

	if (READ_ONCE(pool->mode) != QBD_RW)
		return -EIO;
	down_read(&pool->meta_sem);
	mutex_lock(&chunk->mutex);
	while (!begun && !err) {
		u64 lsn = 0, lsn2 = 0;
		u64 gen;

		/* It may make the chunk, or free it. */
		err = qbd_ring_wait(pool, chunk->record_lsn);
		if (err)
			break;
		if (chunk->dead) {
			err = -EAGAIN;
			break;
		}
		if (!chunk->map) {
			lsn = chunk_append_alloc(chunk, &err);
			if (err)
				break;
			gen = chunk->record.gen;
			made = true;
		} else {
			lsn = qbd_chunk_stamp(chunk);
			gen = chunk->map->gen;
		}
		if (ranges)
			lsn2 = qbd_chunk_append_ranges(chunk, gen, first, last);
		err = qbd_ring_wait(pool, max(lsn, lsn2));
		if (err)
			break;
		if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
			err = made ? chunk_unmake(chunk) : -EIO;
		spin_lock_irq(&chunk->lock);
		/* A checkpoint may have ended a range meanwhile. */
		if (!err && qbd_chunk_settled(chunk))
			begun = !ranges || qbd_chunk_try_ranges(chunk, first, last);
		spin_unlock_irq(&chunk->lock);
	}
	mutex_unlock(&chunk->mutex);
	up_read(&pool->meta_sem);
	return err;
}

/**
 * qbd_chunk_settle - stamp a chunk until no leg in insync is on a backend that is
 * out (rule 2)
 * @chunk: the chunk
 *
 * Sleeps; its records use room that is kept for them. Return: 0, -EIO when fewer
 * than K legs are left, or the ring's error.
 */
int qbd_chunk_settle(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	int err = 0;

	while (!err && !qbd_chunk_settled(chunk)) {
		down_read(&pool->meta_sem);
		mutex_lock(&chunk->mutex);
		err = qbd_ring_wait(pool, qbd_chunk_stamp(chunk));
		mutex_unlock(&chunk->mutex);
		up_read(&pool->meta_sem);
		if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
			break;
	}
	if (!err && hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
		err = -EIO;
	return err;
}

/**
 * qbd_chunk_free - give a chunk's slots back
 * @chunk: the chunk
 *
 * The caller has all its rows locked and was admitted to the ring. What was in it
 * reads as zeros when this returns, and is gone even after a crash. Sleeps.
 *
 * Return: 0, also when there was nothing; or the ring's error.
 */
int qbd_chunk_free(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	int err = 0;

	if (READ_ONCE(pool->mode) != QBD_RW)
		return -EIO;
	down_read(&pool->meta_sem);
	mutex_lock(&chunk->mutex);
	if (chunk->map && !chunk->dead) {
		err = qbd_ring_wait(pool, chunk->record_lsn);
		if (!err) {
			qbd_chunk_record(chunk, &chunk->record, QBD_CHUNK_FREE);
			err = qbd_ring_wait(pool, qbd_chunk_append(chunk));
		}
	}
	mutex_unlock(&chunk->mutex);
	up_read(&pool->meta_sem);
	if (!err)
		qbd_journal_forget(chunk);
	return err;
}
