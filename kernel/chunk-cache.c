// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks in use: finding them, keeping them, forgetting them.
 *
 * A chunk that exists has a small struct qbd_map in its layer. A chunk in use
 * also has a struct qbd_chunk. References to it are held by I/O in flight, by
 * work on it, and by pool->named: the list of chunks that a ring record since
 * the last completed checkpoint names (so that a stamp finds them, rule 2, and
 * so that unwritten checksums stay). With no reference left it is kept as a
 * cache of checksums, oldest out first. refs: -1 while it is being freed.
 *
 * What is kept in this way is bounded by cache_mb, and given up under memory
 * pressure by a shrinker.
 *
 * The slots of a chunk that was freed are given out again when its last reference
 * is gone, for until then I/O may be on its way to them; they are discarded first.
 */
#include <linux/slab.h>

#include "qbd.h"

#define PAGES_PER_MB	((1u << 20) / QBD_PAGE_SIZE)

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

/**
 * qbd_chunk_bytes - memory of a chunk in use
 * @nr_ranges: its ranges
 * @csum_pages: pages of its table
 */
size_t qbd_chunk_bytes(u32 nr_ranges, u32 csum_pages)
{
	struct qbd_chunk *chunk;

	/* chunk->csums and chunk->spares lie behind the ranges. */
	return struct_size(chunk, ranges, nr_ranges) + 2 * csum_pages * sizeof(*chunk->csums);
}

static struct qbd_chunk *chunk_new(struct qbd_layer *layer, u32 number, gfp_t gfp)
{
	size_t bytes = qbd_chunk_bytes(layer->nr_ranges, layer->csum_pages);
	struct qbd_chunk *chunk = gfp == GFP_NOIO ? qbd_memory_try(bytes) : kmalloc(bytes, gfp);
	bool pooled = false;

	if (!chunk && gfp == GFP_NOIO) {
		chunk = qbd_memory_wait(layer->pool, &layer->pool->chunks);
		pooled = true;
	}
	if (!chunk)
		return NULL;
	memset(chunk, 0, bytes);
	chunk->pooled = pooled;
	chunk->csums = (void *)&chunk->ranges[layer->nr_ranges];
	chunk->spares = chunk->csums + layer->csum_pages;
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

static void chunk_free_pooled(struct rcu_head *rcu)
{
	struct qbd_chunk *chunk = container_of(rcu, struct qbd_chunk, rcu);

	mempool_free(chunk, &chunk->layer->pool->chunks);
}

static void chunk_release(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	unsigned int l;
	u32 i;

	for (i = 0; i < chunk->layer->nr_ranges; i++)
		if (chunk->ranges[i].lsn && !(chunk->unreconciled & BIT_ULL(i)))
			atomic_dec(&pool->nr_ranges);
	qbd_csum_drop(chunk);
	if (chunk->dead && chunk->map) {
		for (l = 0; l < chunk->map->nr_legs; l++)
			qbd_slots_release(pool, chunk->map->legs[l], chunk->record_lsn);
		kfree(chunk->map);
	}
	kfree(chunk->new_map);
	if (chunk->pooled)
		call_rcu(&chunk->rcu, chunk_free_pooled);
	else
		kfree_rcu(chunk, rcu);
}

/**
 * qbd_chunk_get - find a chunk or make it ready for use, whether it exists or not
 * @layer: the layer
 * @number: the chunk's number in the layer
 * @gfp: GFP_NOIO; or GFP_KERNEL, in activation, when no checkpoint would fill a reserve
 *
 * Sleeps; nothing is locked that a checkpoint needs. Return: with a reference, or
 * NULL: no memory, with GFP_NOIO in an outage only.
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
		if (qbd_memory_reserve(&layer->chunks, number, gfp)) {
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

/* Checksums take more memory than they are allowed, or a request waits for some. */
static bool cache_full(const struct qbd_pool *pool)
{
	return atomic_read(&pool->starved) ||
	       atomic_long_read(&pool->csum_pages) >
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
	/* A pool that ends has no reaper any more: qbd_chunks_exit() takes all. */
	reap = (READ_ONCE(chunk->dead) || cache_full(pool)) && pool->reap_wq;
	spin_unlock_irqrestore(&pool->named_lock, flags);
	if (reap)
		queue_work(pool->reap_wq, &pool->reap_work);
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
	queue_work(pool->reap_wq, &pool->reap_work);
}

/*
 * Take the oldest idle chunk off the list and out of reach, or NULL. The list is gone
 * through twice: when all were used since they came, one of them goes all the same, for
 * nobody may come again to look, and a request may wait for its memory.
 */
static struct qbd_chunk *reap_one(struct qbd_pool *pool, bool any)
{
	struct qbd_chunk *chunk, *found = NULL;
	unsigned int tries;

	spin_lock(&pool->map_lock);
	spin_lock_irq(&pool->named_lock);
	tries = 2 * pool->nr_idle;
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
		if (chunk->dead && chunk->map) {
			qbd_moment("freed-chunk-reaped");
			qbd_slots_discard(pool, chunk->map, chunk->record_lsn);
		}
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
 * qbd_chunks_stop - nobody asks for the reaper any more, before it goes
 * @pool: the pool, of which nothing else runs
 */
void qbd_chunks_stop(struct qbd_pool *pool)
{
	if (pool->shrinks)
		qbd_shrinker_unregister(&pool->shrinker);
}

/**
 * qbd_chunks_exit - forget all chunks; none may be in use. Sleeps.
 * @pool: the pool
 */
void qbd_chunks_exit(struct qbd_pool *pool)
{
	struct qbd_named *node, *next;
	struct qbd_chunk *chunk;

	list_for_each_entry_safe(node, next, &pool->named, list)
		qbd_chunk_unnamed(node->chunk);
	while ((chunk = reap_one(pool, true)))
		chunk_release(chunk);
	/* Their reserve goes next. */
	rcu_barrier();
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
	/* Of one that was freed since nothing is to be kept, and nothing would take it off. */
	if (list_empty(&chunk->named.list) && !READ_ONCE(chunk->dead)) {
		atomic_inc(&chunk->refs);
		list_add_tail(&chunk->named.list, &pool->named);
		atomic_inc(&pool->nr_named);
	}
	spin_unlock_irq(&pool->named_lock);
}

/* Off the list, unless a record after @lsn names it. Return: whether it is. */
static bool unname(struct qbd_chunk *chunk, u64 lsn)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool was, off;

	spin_lock_irq(&pool->named_lock);
	off = chunk->lsn <= lsn;
	was = off && !list_empty(&chunk->named.list);
	if (was)
		list_del_init(&chunk->named.list);
	spin_unlock_irq(&pool->named_lock);
	if (was) {
		atomic_dec(&pool->nr_named);
		qbd_chunk_put(chunk);
	}
	return off;
}

/**
 * qbd_chunk_forget - a checkpoint has nothing more of the chunk to keep
 * @chunk: the chunk; no range is active, and all of its pages are written
 * @lsn: up to where records are in pages
 *
 * Records are applied meanwhile. Each names the chunk before it changes anything, so
 * that is seen under the one lock; who changes a page without a record names it after
 * that, and so the pages are looked at once more when it is off the list.
 *
 * Context: not in an interrupt; the caller has a reference. Return: false if it stays.
 */
bool qbd_chunk_forget(struct qbd_chunk *chunk, u64 lsn)
{
	if (!unname(chunk, lsn))
		return false;
	if (!qbd_csum_unwritten(chunk))
		return true;
	qbd_chunk_named(chunk, 0);
	return false;
}

/**
 * qbd_chunk_unnamed - nothing of the chunk has to be kept any more: it was freed
 * @chunk: the chunk
 *
 * Context: not in an interrupt; the caller has a reference.
 */
void qbd_chunk_unnamed(struct qbd_chunk *chunk)
{
	unname(chunk, U64_MAX);
}
