// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks in use: finding them, row locks, active ranges, allocation, stamps.
 *
 * A chunk that exists has a small struct qbd_map in its layer. A chunk in use
 * also has a struct qbd_chunk. References to it are held by I/O in flight, by
 * work on it, and by pool->named: the list of chunks that a ring record since
 * the last completed checkpoint names (so that a stamp finds them, rule 2, and
 * so that unwritten checksums stay). With no reference left it is kept as a
 * cache of checksums, oldest out first. refs: -1 while it is being freed.
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
 * rows looks it up again. Its slots are given out again when the last reference
 * is gone, for until then I/O may be on its way to them.
 *
 * Row locks: one holder for a row, whatever it does; those who wait get it in the
 * order in which they came. A list, because few requests are in one chunk at a
 * time.
 *
 * Models: tests/model/flush.pml (ranges), members.pml (stamps).
 */
#include <linux/slab.h>

#include "qbd.h"

#define PAGES_PER_MB	((1u << 20) / QBD_PAGE_SIZE)

struct qbd_map *qbd_map_alloc(unsigned int nr_legs, gfp_t gfp)
{
	struct qbd_map *map = kzalloc(struct_size(map, legs, nr_legs), gfp);

	if (map)
		map->nr_legs = nr_legs;
	return map;
}

/**
 * qbd_chunk_find - a chunk that is in use or cached
 * @layer: the layer
 * @number: the chunk's number in the layer
 *
 * Context: any. Return: with a reference, or NULL.
 */
struct qbd_chunk *qbd_chunk_find(struct qbd_layer *layer, u32 number)
{
	struct qbd_chunk *chunk;

	rcu_read_lock();
	chunk = xa_load(&layer->chunks, number);
	if (chunk && !atomic_add_unless(&chunk->refs, 1, -1))
		chunk = NULL;
	rcu_read_unlock();
	if (chunk)
		WRITE_ONCE(chunk->used, true);
	return chunk;
}

static struct qbd_chunk *chunk_new(struct qbd_layer *layer, u32 number, gfp_t gfp)
{
	struct qbd_chunk *chunk = kzalloc(struct_size(chunk, ranges, layer->nr_ranges), gfp);

	if (!chunk)
		return NULL;
	chunk->csums = kcalloc(layer->csum_pages, sizeof(*chunk->csums), gfp);
	if (!chunk->csums) {
		kfree(chunk);
		return NULL;
	}
	chunk->layer = layer;
	chunk->number = number;
	atomic_set(&chunk->refs, 1);
	mutex_init(&chunk->mutex);
	spin_lock_init(&chunk->lock);
	INIT_LIST_HEAD(&chunk->row_locks);
	chunk->journal = RB_ROOT;
	INIT_LIST_HEAD(&chunk->named.list);
	chunk->named.chunk = chunk;
	INIT_LIST_HEAD(&chunk->idle);
	return chunk;
}

static void chunk_release(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	unsigned int l;
	u32 i;

	for (i = 0; i < chunk->layer->nr_ranges; i++)
		if (chunk->ranges[i].lsn)
			atomic_dec(&pool->nr_ranges);
	qbd_csum_drop(chunk);
	if (chunk->dead && chunk->map) {
		for (l = 0; l < chunk->map->nr_legs; l++)
			qbd_slots_release(pool, chunk->map->legs[l]);
		kfree(chunk->map);
	}
	kfree(chunk->new_map);
	kfree(chunk->csums);
	kfree_rcu(chunk, rcu);
}

/**
 * qbd_chunk_get - find a chunk or make it ready for use, whether it exists or not
 * @layer: the layer
 * @number: the chunk's number in the layer
 * @gfp: how memory may be had
 *
 * May sleep as @gfp says. Return: with a reference, or NULL: no memory.
 */
struct qbd_chunk *qbd_chunk_get(struct qbd_layer *layer, u32 number, gfp_t gfp)
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_chunk *chunk, *other;

	for (;;) {
		chunk = qbd_chunk_find(layer, number);
		if (chunk)
			return chunk;
		chunk = chunk_new(layer, number, gfp);
		if (!chunk)
			return NULL;
		if (xa_reserve(&layer->chunks, number, gfp)) {
			chunk_release(chunk);
			return NULL;
		}
		spin_lock(&pool->map_lock);
		other = xa_load(&layer->chunks, number);
		if (!other) {
			chunk->map = xa_load(&layer->map, number);
			xa_store(&layer->chunks, number, chunk, GFP_NOWAIT);
			spin_unlock(&pool->map_lock);
			return chunk;
		}
		spin_unlock(&pool->map_lock);
		chunk_release(chunk);
		cpu_relax();
	}
}

/* Checksums take more memory than they are allowed. */
static bool cache_full(const struct qbd_pool *pool)
{
	return atomic_long_read(&pool->csum_pages) >
	       (long)pool->features.cache_mb * PAGES_PER_MB;
}

/**
 * qbd_chunk_put - let go of a chunk. Context: any.
 * @chunk: the chunk
 */
void qbd_chunk_put(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	unsigned long flags;
	bool reap;

	/* Under the lock, or the reaper could free it between the two steps. */
	if (atomic_add_unless(&chunk->refs, -1, 1))
		return;
	spin_lock_irqsave(&pool->named_lock, flags);
	if (!atomic_dec_and_test(&chunk->refs)) {
		spin_unlock_irqrestore(&pool->named_lock, flags);
		return;
	}
	if (list_empty(&chunk->idle)) {
		list_add_tail(&chunk->idle, &pool->idle);
		pool->nr_idle++;
	}
	if (READ_ONCE(chunk->dead))
		list_move(&chunk->idle, &pool->idle);
	reap = READ_ONCE(chunk->dead) || cache_full(pool);
	spin_unlock_irqrestore(&pool->named_lock, flags);
	if (reap)
		queue_work(pool->io_wq, &pool->reap_work);
}

/* A chunk that reap_one() gave goes back, for the reaper. */
static void reap_later(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;

	spin_lock_irq(&pool->named_lock);
	atomic_set(&chunk->refs, 0);
	list_add(&chunk->idle, &pool->idle);
	pool->nr_idle++;
	spin_unlock_irq(&pool->named_lock);
	queue_work(pool->io_wq, &pool->reap_work);
}

/* Take the oldest idle chunk off the list and out of reach, or NULL. */
static struct qbd_chunk *reap_one(struct qbd_pool *pool, bool any)
{
	struct qbd_chunk *chunk, *found = NULL;
	unsigned int tries = pool->nr_idle;

	spin_lock(&pool->map_lock);
	spin_lock_irq(&pool->named_lock);
	while (!found && tries-- && !list_empty(&pool->idle)) {
		chunk = list_first_entry(&pool->idle, struct qbd_chunk, idle);
		if (!any && !chunk->dead && !cache_full(pool))
			break;
		list_del_init(&chunk->idle);
		pool->nr_idle--;
		if (!any && !chunk->dead && chunk->used && atomic_read(&chunk->refs) == 0) {
			/* Used since it was put here: one more round. */
			chunk->used = false;
			list_add_tail(&chunk->idle, &pool->idle);
			pool->nr_idle++;
			continue;
		}
		if (atomic_cmpxchg(&chunk->refs, 0, -1) == 0)
			found = chunk;
	}
	spin_unlock_irq(&pool->named_lock);
	if (found && !found->dead)
		xa_erase(&found->layer->chunks, found->number);
	spin_unlock(&pool->map_lock);
	return found;
}

/**
 * qbd_chunk_reap - free the slots of chunks that were freed, and what is too much
 * in the cache
 * @work: the work item
 */
void qbd_chunk_reap(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, reap_work);
	struct qbd_chunk *chunk;

	while ((chunk = reap_one(pool, false))) {
		if (chunk->dead && chunk->map)
			qbd_slots_discard(pool, chunk->map);
		chunk_release(chunk);
		cond_resched();
	}
}

static unsigned long shrink_count(struct qbd_shrinker *shrinker, struct shrink_control *sc)
{
	struct qbd_pool *pool = container_of(shrinker, struct qbd_pool, shrinker);
	unsigned long nr = READ_ONCE(pool->nr_idle);

	return nr ?: SHRINK_EMPTY;
}

static unsigned long shrink_scan(struct qbd_shrinker *shrinker, struct shrink_control *sc)
{
	struct qbd_pool *pool = container_of(shrinker, struct qbd_pool, shrinker);
	unsigned long freed = 0;
	struct qbd_chunk *chunk;

	/* Whoever allocates may hold map_lock's users up, but never map_lock. */
	while (freed < sc->nr_to_scan && (chunk = reap_one(pool, true))) {
		if (chunk->dead) {
			/* Its slots want to be discarded first: not in here. */
			reap_later(chunk);
			break;
		}
		chunk_release(chunk);
		freed++;
	}
	return freed ?: SHRINK_STOP;
}

/**
 * qbd_chunks_init - let memory pressure shrink the cache
 * @pool: the pool
 */
int qbd_chunks_init(struct qbd_pool *pool)
{
	int err;

	pool->shrinker.count = shrink_count;
	pool->shrinker.scan = shrink_scan;
	err = qbd_shrinker_register(&pool->shrinker, "dm-qbd");
	pool->shrinks = !err;
	return err;
}

/**
 * qbd_chunks_exit - forget all chunks; none may be in use. Sleeps.
 * @pool: the pool
 */
void qbd_chunks_exit(struct qbd_pool *pool)
{
	struct qbd_named *node, *next;
	struct qbd_chunk *chunk;

	if (pool->shrinks)
		qbd_shrinker_unregister(&pool->shrinker);

	list_for_each_entry_safe(node, next, &pool->named, list)
		qbd_chunk_unnamed(node->chunk);
	while ((chunk = reap_one(pool, true)))
		chunk_release(chunk);
}

/**
 * qbd_chunk_named - a record names the chunk: keep it until it is in pages
 * @chunk: the chunk
 * @lsn: LSN of the record
 *
 * Context: the ring's work, or while the chunk is held. Does not sleep.
 */
void qbd_chunk_named(struct qbd_chunk *chunk, u64 lsn)
{
	struct qbd_pool *pool = chunk->layer->pool;

	spin_lock_irq(&pool->named_lock);
	chunk->lsn = max(chunk->lsn, lsn);
	if (list_empty(&chunk->named.list)) {
		atomic_inc(&chunk->refs);
		list_add_tail(&chunk->named.list, &pool->named);
		atomic_inc(&pool->nr_named);
	}
	spin_unlock_irq(&pool->named_lock);
}

/**
 * qbd_chunk_unnamed - nothing of the chunk has to be kept any more
 * @chunk: the chunk
 *
 * Context: not in an interrupt; the caller has a reference.
 */
void qbd_chunk_unnamed(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool was;

	spin_lock_irq(&pool->named_lock);
	was = !list_empty(&chunk->named.list);
	list_del_init(&chunk->named.list);
	spin_unlock_irq(&pool->named_lock);
	if (was) {
		atomic_dec(&pool->nr_named);
		qbd_chunk_put(chunk);
	}
}

/* Row locks */

static bool row_locks_overlap(const struct qbd_row_lock *a, const struct qbd_row_lock *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* Does anyone before @end in the list have, or wait for, one of these rows? */
static bool row_lock_blocked(struct qbd_chunk *chunk, struct qbd_row_lock *lock,
			     struct list_head *end)
{
	struct list_head *at;

	for (at = chunk->row_locks.next; at != end; at = at->next)
		if (row_locks_overlap(list_entry(at, struct qbd_row_lock, list), lock))
			return true;
	return false;
}

/**
 * qbd_chunk_try_lock - lock rows if nobody has them
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 * @first: the first row
 * @last: the last row
 *
 * Context: chunk->lock, so that a fast path can look at other things under it.
 */
bool qbd_chunk_try_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first,
			u32 last)
{
	lockdep_assert_held(&chunk->lock);
	lock->first = first;
	lock->last = last;
	if (row_lock_blocked(chunk, lock, &chunk->row_locks))
		return false;
	lock->wait = NULL;
	list_add_tail(&lock->list, &chunk->row_locks);
	return true;
}

/**
 * qbd_chunk_lock - lock rows, waiting for those who have them. Sleeps.
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 * @first: the first row
 * @last: the last row
 */
void qbd_chunk_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first, u32 last)
{
	DECLARE_COMPLETION_ONSTACK(granted);
	bool now;

	lock->first = first;
	lock->last = last;
	spin_lock_irq(&chunk->lock);
	now = !row_lock_blocked(chunk, lock, &chunk->row_locks);
	lock->wait = now ? NULL : &granted;
	list_add_tail(&lock->list, &chunk->row_locks);
	spin_unlock_irq(&chunk->lock);
	if (!now)
		wait_for_completion(&granted);
}

/**
 * qbd_chunk_unlock - let go of rows, and let those in that waited for them
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 *
 * Context: any.
 */
void qbd_chunk_unlock(struct qbd_chunk *chunk, struct qbd_row_lock *lock)
{
	struct qbd_row_lock *next;
	unsigned long flags;

	spin_lock_irqsave(&chunk->lock, flags);
	list_del(&lock->list);
	list_for_each_entry(next, &chunk->row_locks, list) {
		if (!next->wait || !row_locks_overlap(next, lock) ||
		    row_lock_blocked(chunk, next, &next->list))
			continue;
		complete(next->wait);
		next->wait = NULL;
	}
	spin_unlock_irqrestore(&chunk->lock, flags);
}

/* Legs */

/**
 * qbd_chunk_current - legs that may be read: a mask
 * @chunk: the chunk
 *
 * Current: LIVE, in insync, and on a backend that is in (rule 3).
 */
u32 qbd_chunk_current(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);
	u64 good = READ_ONCE(chunk->layer->pool->in);
	u32 mask = 0;
	unsigned int l;

	if (!map)
		return 0;
	good &= READ_ONCE(map->insync);
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = READ_ONCE(map->legs[l]);

		if (qbd_leg_state(leg) == QBD_SLOT_LIVE &&
		    (good & BIT_ULL(qbd_leg_backend(leg))))
			mask |= BIT(l);
	}
	return mask;
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
 * qbd_chunk_stamp - take the legs on backends that are not in out of insync
 * @chunk: the chunk
 *
 * Context: chunk->mutex; the epoch that put them out is durable.
 *
 * Return: the record's LSN, to be waited for; 0 when there was nothing to do. The
 * caller must not append another chunk record before this one is in effect.
 */
u64 qbd_chunk_stamp(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_record *r = &chunk->record;

	lockdep_assert_held(&chunk->mutex);
	qbd_ring_wait(pool, chunk->record_lsn);
	if (!chunk->map || chunk->dead || qbd_chunk_settled(chunk))
		return 0;
	qbd_chunk_record(chunk, r, QBD_CHUNK_STAMP);
	r->insync &= READ_ONCE(pool->in);
	chunk->record_lsn = qbd_ring_append(pool, r);
	return chunk->record_lsn;
}

static u64 chunk_append_alloc(struct qbd_chunk *chunk, int *err)
{
	struct qbd_layer *layer = chunk->layer;
	unsigned int nr_legs = qbd_policy_legs(&layer->policy), got = 0, l;
	struct qbd_record *r = &chunk->record;
	u64 legs[QBD_MAX_LEGS];

	*err = -ENOMEM;
	if (xa_reserve(&layer->map, chunk->number, GFP_NOIO))
		return 0;
	if (!chunk->new_map)
		chunk->new_map = qbd_map_alloc(nr_legs, GFP_NOIO);
	if (!chunk->new_map)
		return 0;
	*err = qbd_csum_fresh(chunk);
	if (*err)
		return 0;
	*err = qbd_slots_choose(layer, chunk->number, 0, nr_legs, legs, &got);
	if (*err)
		return 0;
	if (got < layer->policy.k) {
		for (l = 0; l < got; l++)
			qbd_slots_release(layer->pool, legs[l]);
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
	chunk->record_lsn = qbd_ring_append(layer->pool, r);
	return chunk->record_lsn;
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
 * Return: the LSN of the last, 0 if all are.
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
			lsn = qbd_ring_append(layer->pool, &r);
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
	chunk->record_lsn = qbd_ring_append(chunk->layer->pool, &chunk->record);
	err = qbd_ring_wait(chunk->layer->pool, chunk->record_lsn);
	return err ?: -EAGAIN;
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
			chunk->record_lsn = qbd_ring_append(pool, &chunk->record);
			err = qbd_ring_wait(pool, chunk->record_lsn);
		}
	}
	mutex_unlock(&chunk->mutex);
	up_read(&pool->meta_sem);
	if (!err)
		qbd_journal_forget(chunk);
	return err;
}
