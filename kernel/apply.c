// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a durable record does to the tables in memory.
 *
 * Called by the ring for each record, in the order of LSNs, and by nobody else
 * while the pool runs. Whoever appended a record about a chunk holds that chunk,
 * so it is found here. Applying cannot fail and allocates nothing: a new chunk's
 * map was made by who asked for it.
 *
 * A page in memory thus holds all records up to its LSN and nothing that is not
 * durable, which is what replay relies on.
 */
#include <linux/slab.h>

#include "qbd.h"

static void apply_chunk(struct qbd_pool *pool, struct qbd_layer *layer, u64 lsn,
			const struct qbd_record *r)
{
	struct qbd_chunk *chunk = qbd_chunk_find(layer, r->chunk);
	struct qbd_map *map;
	unsigned int i;

	if (WARN_ON_ONCE(!chunk))
		return;
	qbd_moment("chunk-record-durable");
	spin_lock(&pool->map_lock);
	map = r->op == QBD_CHUNK_ALLOC ? chunk->new_map : chunk->map;
	WRITE_ONCE(map->insync, r->insync);
	map->epoch = r->epoch;
	map->flags = r->flags;
	for (i = 0; i < r->nr_legs; i++) {
		const struct qbd_chunk_leg *leg = &r->legs[i];
		u64 place = qbd_leg_make(leg->backend, leg->slot, leg->state);

		if (leg->state == QBD_SLOT_FREE) {
			u64 old = map->legs[leg->leg];

			if (qbd_leg_backend(old) == leg->backend &&
			    qbd_leg_slot(old) == leg->slot)
				WRITE_ONCE(map->legs[leg->leg], QBD_LEG_NONE);
		} else {
			WRITE_ONCE(map->legs[leg->leg], place);
		}
		qbd_slots_set(pool, qbd_leg_make(leg->backend, leg->slot, QBD_SLOT_LIVE),
			      leg->state ? r->layer : 0, r->chunk, lsn);
	}
	if (r->op == QBD_CHUNK_ALLOC) {
		map->gen = r->gen;
		/* Its content before it is seen: who looks for a map takes no lock. */
		smp_store_release(&chunk->map, map);
		chunk->new_map = NULL;
		/* Reserved by who appended the record. */
		xa_store(&layer->map, r->chunk, map, GFP_NOWAIT);
		layer->nr_allocated++;
		pool->nr_chunks++;
	}
	if (r->op == QBD_CHUNK_FREE) {
		/* The legs are kept for who lets go of the chunk last. */
		for (i = 0; i < r->nr_legs; i++)
			map->legs[r->legs[i].leg] = qbd_leg_make(r->legs[i].backend,
								 r->legs[i].slot,
								 QBD_SLOT_LIVE);
		map->insync = 0;
		xa_erase(&layer->map, r->chunk);
		xa_erase(&layer->chunks, r->chunk);
		layer->nr_allocated--;
		pool->nr_chunks--;
		WRITE_ONCE(chunk->dead, true);
	}
	spin_unlock(&pool->map_lock);
	/* One that was freed needs no stamp, and its slots are wanted. */
	if (r->op == QBD_CHUNK_FREE)
		qbd_chunk_unnamed(chunk);
	else
		qbd_chunk_named(chunk, lsn);
	qbd_chunk_put(chunk);
}

static void apply_range(struct qbd_layer *layer, u64 lsn, const struct qbd_record *r)
{
	struct qbd_chunk *chunk = qbd_chunk_find(layer, r->chunk);
	u32 i;

	/*
	 * A checkpoint may renew a range of a chunk that is freed meanwhile. It is
	 * not one of the chunk that is made in its place: replay would not see it.
	 */
	if (!chunk)
		return;
	if (!chunk->map || chunk->map->gen != r->gen) {
		qbd_chunk_put(chunk);
		return;
	}
	qbd_chunk_named(chunk, lsn);
	spin_lock_irq(&chunk->lock);
	for (i = r->first_row / layer->range_rows;
	     i * layer->range_rows < r->first_row + r->nr_rows; i++) {
		if (!chunk->ranges[i].lsn)
			atomic_inc(&layer->pool->nr_ranges);
		chunk->ranges[i].lsn = lsn;
	}
	spin_unlock_irq(&chunk->lock);
	qbd_chunk_put(chunk);
}

static void apply_csum(struct qbd_layer *layer, u64 lsn, const struct qbd_record *r)
{
	struct qbd_chunk *chunk = qbd_chunk_find(layer, r->chunk);

	/* Freed after the record was appended: its checksums are of no matter. */
	if (!chunk)
		return;
	if (chunk->map && chunk->map->gen == r->gen) {
		qbd_chunk_named(chunk, lsn);
		qbd_csum_apply(chunk, lsn, r->first_unit, r->nr_units, r->values);
	}
	qbd_chunk_put(chunk);
}

static void apply_table(struct qbd_pool *pool, struct qbd_table *table, u64 lsn,
			const struct qbd_record *r)
{
	u32 per = table->type == QBD_PAGE_VOLUME ? QBD_VOLUMES_PER_PAGE : QBD_LAYERS_PER_PAGE;
	struct qbd_table_page *page = &table->pages[r->index / per];

	spin_lock(&pool->map_lock);
	if (table->type == QBD_PAGE_VOLUME)
		qbd_volume_put(page->payload, r->index % per, &r->volume);
	else
		qbd_layer_put(page->payload, r->index % per, &r->layer_entry);
	page->lsn = lsn;
	page->dirty = true;
	spin_unlock(&pool->map_lock);
}

/**
 * qbd_apply - a record is durable
 * @pool: the pool
 * @lsn: LSN of the record
 * @r: the record
 *
 * Context: the ring's work. Does not sleep.
 */
void qbd_apply(struct qbd_pool *pool, u64 lsn, const struct qbd_record *r)
{
	struct qbd_layer *layer = NULL;

	/* Not its own record: that would go on for ever. */
	if (r->type == QBD_RECORD_CHECKPOINT)
		return;
	qbd_checkpoint_idle(pool);
	if (r->type == QBD_RECORD_VOLUME) {
		apply_table(pool, &pool->volume_table, lsn, r);
		return;
	}
	if (r->type == QBD_RECORD_LAYER) {
		apply_table(pool, &pool->layer_table, lsn, r);
		return;
	}
	/* Who appended it goes on from here. */
	if (r->type == QBD_RECORD_JOURNAL)
		return;
	layer = xa_load(&pool->layers, r->layer);
	/* A destage may end after its volume was removed. */
	if (!layer && r->type == QBD_RECORD_DESTAGED)
		return;
	if (WARN_ON_ONCE(!layer))
		return;
	if (r->type == QBD_RECORD_CHUNK)
		apply_chunk(pool, layer, lsn, r);
	else if (r->type == QBD_RECORD_RANGE)
		apply_range(layer, lsn, r);
	else if (r->type == QBD_RECORD_CSUM || r->type == QBD_RECORD_DESTAGE ||
		 r->type == QBD_RECORD_DESTAGED)
		apply_csum(layer, lsn, r);
}
