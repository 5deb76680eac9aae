// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backends that come back: the same one (readd), or an empty device in its place
 * (replace).
 *
 * Until the end it is a suspect (rule 3): nothing reads it, and its tables,
 * records and chunks count for nothing. In this order:
 *	1. a device of the same backend: its slot table is read. Every leg of it
 *	   that is in insync, but whose entry there is not exactly what the pool
 *	   says, leaves insync, durably. An empty device: every leg of the old one
 *	   leaves insync and its slot, durably.
 *	2. its slot, volume and layer tables are written from the pool's, and flushed
 *	3. a new epoch says that it is in, durable on all that are in
 *	4. resync fills what is not in insync
 * A crash before 3 leaves it out, with tables that nobody reads; after 3 it is in
 * and resync goes on.
 *
 * One that failed and had to stay in (kept.c) missed nothing: it only gets its device.
 *
 * From before 1 until after 3 no chunk, volume or layer record is made by anyone
 * (meta_sem), but for stamps of backends that fail meanwhile: those apply to its
 * tables too, and are in the ring with LSNs above its pages'.
 *
 * Model: tests/model/members.pml.
 */
#include <linux/slab.h>
#include <linux/uuid.h>

#include "history.h"
#include "qbd.h"

/* It still has to answer something: in time, or as what was left to it (orphan.c). */
static bool busy(const struct qbd_backend *b)
{
	return atomic_read(&b->inflight) || qbd_backend_orphans(b);
}

static void set_backend(struct qbd_pool *pool, unsigned int index, struct qbd_backend *b)
{
	u64 lsn = qbd_ring_last(pool);

	spin_lock(&pool->slot_lock);
	if (b)
		b->since_lsn = lsn;
	WRITE_ONCE(pool->backend[index], b);
	spin_unlock(&pool->slot_lock);
}

/* Who sent I/O to the backend before it went out is through with it. */
static void take_away_failed(struct qbd_pool *pool, unsigned int index)
{
	set_backend(pool, index, NULL);
	synchronize_srcu(&pool->backends_srcu);
}

/*
 * Close a backend that is out. -EBUSY: it still has to answer something (rule 8).
 * What it may yet write would come after what is written to it from now on, also
 * when the device comes back under another name.
 */
static int take_away(struct qbd_pool *pool, unsigned int index)
{
	struct qbd_backend *old = pool->backend[index];

	if (!old)
		return 0;
	take_away_failed(pool, index);
	if (busy(old)) {
		set_backend(pool, index, old);
		return -EBUSY;
	}
	/* Who ended its last bio may not be through with that: qbd_bio_end(). */
	synchronize_rcu();
	qbd_backend_free(old);
	return 0;
}

/*
 * No stamp is owed for an epoch in which the backend is out: else it could come
 * in as current for a chunk that was written without it (docs/protocol.md).
 */
static int stamps_made(struct qbd_pool *pool)
{
	int err = qbd_member_quiet(pool);

	qbd_moment("stamps-owed");
	/* Not with member_lock: the ring may need it, for what the stamps wait for. */
	err = err ?: qbd_member_stamp(pool);
	/* Nor is a record in the ring that frees slots, and is not in effect: chunk-cache.c. */
	return err ?: qbd_ring_wait(pool, qbd_ring_last(pool));
}

/*
 * A leg on @index, which is out, leaves insync with chunk->record; those on others
 * that are out with it, as with any record. But a chunk that has fewer than K legs
 * may need what these have: for them it is as it was (qbd_chunk_stamp()).
 */
static void leave_insync(struct qbd_chunk *chunk, unsigned int index)
{
	if (hweight32(qbd_chunk_current(chunk)) >= chunk->layer->policy.k) {
		chunk->record.insync &= READ_ONCE(chunk->layer->pool->in);
	} else {
		chunk->record.insync &= ~BIT_ULL(index);
		chunk->record.epoch = chunk->map->epoch;
	}
}

/* The pool's map has no leg on @index any more: its device will be another one. */
static int forget_legs(struct qbd_pool *pool, unsigned int index)
{
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;

	xa_for_each(&pool->layers, i, layer) {
		for (n = 0;; n++) {
			struct qbd_chunk *chunk;
			bool has = false;
			unsigned int l;
			int err;

			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			for (l = 0; map && l < map->nr_legs; l++)
				has |= map->legs[l] != QBD_LEG_NONE &&
				       qbd_leg_backend(map->legs[l]) == index;
			has |= map && (map->insync & BIT_ULL(index));
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
			if (!has)
				continue;
			err = qbd_ring_admit(pool);
			if (err)
				return err;
			chunk = qbd_chunk_get(layer, n, GFP_NOIO);
			if (!chunk)
				return -EIO;
			mutex_lock(&chunk->mutex);
			err = qbd_ring_wait(pool, chunk->record_lsn);
			if (!err && chunk->map && !chunk->dead) {
				struct qbd_record *r = &chunk->record;

				qbd_chunk_record(chunk, r, QBD_CHUNK_STAMP);
				leave_insync(chunk, index);
				for (l = 0; l < r->nr_legs; l++)
					if (r->legs[l].backend == index)
						r->legs[l].state = QBD_SLOT_FREE;
				err = qbd_ring_wait(pool, qbd_chunk_append(chunk));
			}
			mutex_unlock(&chunk->mutex);
			qbd_chunk_put(chunk);
			if (err)
				return err;
		}
	}
	return 0;
}

/*
 * A chunk that only this backend's table names, which nobody could see since the
 * operator forced a start without it: nobody made it anew meanwhile, so it is as it
 * was (qbd_layer_blind()).
 */
static void know_chunk(struct qbd_layer *layer, const struct qbd_slot *e)
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_chunk *chunk;
	struct qbd_map *map;

	map = qbd_map_alloc(qbd_policy_legs(&layer->policy), GFP_NOIO);
	map->gen = e->gen;
	map->epoch = e->epoch;
	map->insync = e->insync;
	map->flags = e->flags;
	qbd_memory_reserve(&layer->map, e->chunk, GFP_NOIO);
	spin_lock(&pool->map_lock);
	xa_store(&layer->map, e->chunk, map, GFP_NOWAIT);
	chunk = xa_load(&layer->chunks, e->chunk);
	if (chunk)	/* its content before it is seen */
		smp_store_release(&chunk->map, map);
	layer->nr_allocated++;
	pool->nr_chunks++;
	spin_unlock(&pool->map_lock);
}

/*
 * A leg of the pool's map on a returning backend is current only if the backend's
 * own entry is equal to what the pool says; it is found in @entries. Whatever is
 * not leaves insync. Legs that no table named, because the backend was absent at
 * activation, are found here.
 */
static int compare_legs(struct qbd_backend *b, const struct qbd_slot *entries)
{
	struct qbd_pool *pool = b->pool;
	u32 slot;

	for (slot = 0; slot < b->geometry.nr_slots; slot++) {
		const struct qbd_slot *e = &entries[slot];
		struct qbd_layer *layer = e->state ? xa_load(&pool->layers, e->layer) : NULL;
		struct qbd_map *map;

		if (!layer || e->chunk >= layer->nr_chunks)
			continue;
		if (pool->members.members[b->index].unseen && !xa_load(&layer->map, e->chunk) &&
		    qbd_layer_blind(layer))
			know_chunk(layer, e);
		spin_lock(&pool->map_lock);
		map = xa_load(&layer->map, e->chunk);
		if (map && map->gen == e->gen && e->leg < map->nr_legs &&
		    map->legs[e->leg] == QBD_LEG_NONE)
			map->legs[e->leg] = qbd_leg_make(b->index, slot, QBD_SLOT_LIVE);
		spin_unlock(&pool->map_lock);
	}
	return 0;
}

/* Legs on @b that are in insync but whose entry differs, or that are nowhere. */
static int drop_stale(struct qbd_backend *b, const struct qbd_slot *entries)
{
	struct qbd_pool *pool = b->pool;
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;
	int err;

	xa_for_each(&pool->layers, i, layer) {
		for (n = 0;; n++) {
			struct qbd_chunk *chunk;
			bool stale = false;
			unsigned int l;

			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			if (map && (map->insync & BIT_ULL(b->index))) {
				stale = true;
				for (l = 0; l < map->nr_legs; l++) {
					u64 leg = map->legs[l];
					const struct qbd_slot *e;

					if (!qbd_leg_state(leg) ||
					    qbd_leg_backend(leg) != b->index ||
					    qbd_leg_slot(leg) >= b->geometry.nr_slots)
						continue;
					e = &entries[qbd_leg_slot(leg)];
					stale = e->layer != layer->number || e->chunk != n ||
						e->gen != map->gen || e->epoch != map->epoch ||
						(map->insync & ~e->insync) || e->leg != l ||
						e->state != QBD_SLOT_LIVE;
				}
			}
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
			if (!stale)
				continue;
			chunk = qbd_chunk_get(layer, n, GFP_NOIO);
			if (!chunk)
				return -EIO;
			mutex_lock(&chunk->mutex);
			err = qbd_ring_wait(pool, chunk->record_lsn);
			if (!err && chunk->map && !chunk->dead) {
				qbd_chunk_record(chunk, &chunk->record, QBD_CHUNK_STAMP);
				leave_insync(chunk, b->index);
				err = qbd_ring_wait(pool, qbd_chunk_append(chunk));
			}
			mutex_unlock(&chunk->mutex);
			qbd_chunk_put(chunk);
			if (err)
				return err;
		}
	}
	return 0;
}

/* The slots of @b are those that the pool's map says. */
static void own_slots(struct qbd_backend *b)
{
	struct qbd_pool *pool = b->pool;
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;
	unsigned int l;

	xa_for_each(&pool->layers, i, layer) {
		for (n = 0;; n++) {
			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			for (l = 0; map && l < map->nr_legs; l++) {
				u64 leg = map->legs[l];

				if (qbd_leg_state(leg) && qbd_leg_backend(leg) == b->index)
					qbd_slots_set(pool, leg, layer->number, n, 0);
			}
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
		}
	}
}

/* Steps 1 to 3 of coming back: tables written and flushed, then the epoch. */
static int let_in(struct qbd_backend *b, struct qbd_pages *pages, const char **error)
{
	struct qbd_pool *pool = b->pool;
	u64 bit = BIT_ULL(b->index);
	unsigned int i;
	int err;

	own_slots(b);
	mutex_lock(&pool->checkpoint_mutex);
	/* A seq above any that it has: what it has is not to win over this. */
	for (i = 0; i < DIV_ROUND_UP(b->geometry.nr_slots, QBD_SLOTS_PER_PAGE); i++)
		b->slot_pages[i].lsn = max(b->slot_pages[i].lsn, pool->ring.durable_lsn);
	*error = "Cannot read the backend's tables";
	err = qbd_table_find(&pool->volume_table, b);
	err = err ?: qbd_table_find(&pool->layer_table, b);
	if (!err) {
		qbd_slots_write(b, true, pages);
		qbd_table_write(pool, &pool->volume_table, bit, true, pages);
		qbd_table_write(pool, &pool->layer_table, bit, true, pages);
		*error = "Cannot write the backend's tables";
		err = qbd_pages_send(pages) ? -EIO : 0;
	}
	mutex_unlock(&pool->checkpoint_mutex);
	WRITE_ONCE(b->unflushed, 1);
	if (!err)
		err = qbd_backend_flush(pool, bit) ? -EIO : 0;
	if (!err) {
		*error = "Cannot make a new epoch";
		mutex_lock(&pool->member_lock);
		err = qbd_member_epoch(pool, 0, bit);
		mutex_unlock(&pool->member_lock);
	}
	return err;
}

/* Is this a device of that backend of the pool? */
static bool is_backend(const struct qbd_pool *pool, unsigned int index,
		       const struct qbd_super *super)
{
	const struct qbd_membership *m = &pool->members;

	return !memcmp(super->pool.pool_uuid, m->pool_uuid, 16) &&
	       super->geometry.index == index &&
	       !memcmp(super->geometry.uuid, m->members[index].uuid, 16);
}

/* Is this the device of a backend that is kept, as it was when it failed? */
static bool same_as_kept(const struct qbd_pool *pool, unsigned int index,
			 const struct qbd_super *super)
{
	const struct qbd_membership *m = &pool->members;

	return is_backend(pool, index, super) &&
	       /* An epoch that was begun, and did not get there, may be on it or not. */
	       qbd_history_has(m, &super->pool.epochs[0]) &&
	       super->pool.epochs[0].in & BIT_ULL(index) &&
	       super->pool.ring_generation == m->ring_generation;
}

/*
 * A backend that is kept has another device now: that of an NBD server which was
 * connected anew, say. It is the same backend, and nothing was written without it, so
 * it is in all the time; kept.c does what is to be done when it answers. Nobody uses
 * the old device: writes were held back since it was kept, and readers are waited for.
 */
static int reopen_kept(struct qbd_pool *pool, unsigned int index, const char *path,
		       const char **error)
{
	u64 bit = BIT_ULL(index);
	struct qbd_backend *b, *new;
	struct qbd_super *super = kmalloc(sizeof(*super), GFP_KERNEL);
	int err = -ENOMEM;

	*error = "Out of memory";
	if (!super)
		return err;
	/* Before anything is locked that others need who fail: it may take long to answer. */
	new = qbd_backend_open(pool, path, super, error);
	err = PTR_ERR_OR_ZERO(new);
	if (err)
		goto free;
	mutex_lock(&pool->checkpoint_mutex);
	mutex_lock(&pool->member_lock);
	b = pool->backend[index];
	err = -EINVAL;
	*error = "Backend is in";
	if (!b || !(READ_ONCE(pool->kept) & bit))
		goto unlock;
	/* Not taken away: records that are applied meanwhile are about its slots, too. */
	WRITE_ONCE(b->reopening, true);
	synchronize_srcu(&pool->backends_srcu);
	*error = "I/O to the backend is still in flight";
	err = -EBUSY;
	if (busy(b))
		goto restore;
	/* Who sent its last request may still be in the driver. */
	if (b->send_wq)
		flush_work(&b->send_work);
	qbd_moment("reopening");
	*error = "Device is not that backend of this pool, or was written to since it failed";
	err = same_as_kept(pool, index, super) ? 0 : -EINVAL;
	if (!err) {
		swap(b->bdev, new->bdev);
		memcpy(b->name, new->name, sizeof(b->name));
		b->super_seq = max(b->super_seq, new->super_seq);
		WRITE_ONCE(b->unflushed, 1);
	}
restore:
	/* Its device before it is used. */
	smp_store_release(&b->reopening, false);
unlock:
	mutex_unlock(&pool->member_lock);
	mutex_unlock(&pool->checkpoint_mutex);
	qbd_backend_free(new);
free:
	kfree(super);
	if (!err) {
		DMINFO("%s: backend %u is at %s now", pool->members.pool_name, index, b->name);
		qbd_kept_soon(pool);
	}
	return err;
}

/**
 * qbd_member_readd - let a backend that was out in again, or one that is kept have
 * another device
 * @pool: the pool
 * @index: index of the backend
 * @path: its device
 * @now: also one that is held off because it failed again and again (limit.c)
 * @error: set to what was wrong
 *
 * Sleeps, long. Context: no lock. Return: 0, or an error and what it was.
 */
int qbd_member_readd(struct qbd_pool *pool, unsigned int index, const char *path, bool now,
		     const char **error)
{
	unsigned int held, outs;
	struct qbd_slot *entries = NULL;
	struct qbd_pages pages = {};
	struct qbd_backend *b;
	struct qbd_super *super;
	int err = -EINVAL;

	*error = "No such backend in this pool";
	if (index >= QBD_MAX_BACKENDS || pool->members.members[index].state == QBD_MEMBER_NONE)
		return err;
	if (pool->members.members[index].state == QBD_MEMBER_IN)
		return reopen_kept(pool, index, path, error);
	held = qbd_limit_held(pool, index, &outs);
	if (held && !now) {
		DMWARN("%s: backend %u failed %u times: it is not let in for %u s",
		       pool->members.pool_name, index, outs, held);
		*error = "Backend failed again and again, and is held off";
		return -EAGAIN;
	}
	/* What it missed has left insync before anything is compared. */
	*error = "Cannot record what the backend missed";
	err = qbd_member_quiet(pool);
	if (err)
		return err;
	/* One that has not answered is not asked for its superblock. */
	*error = "I/O to the backend is still in flight";
	if (pool->backend[index] && busy(pool->backend[index]))
		return -EBUSY;
	super = kmalloc(sizeof(*super), GFP_KERNEL);
	if (!super)
		return -ENOMEM;
	/* It may be the one that is still open, which stays so if this one is refused. */
	b = qbd_backend_open(pool, path, super, error);
	if (IS_ERR(b)) {
		err = PTR_ERR(b);
		goto out;
	}
	*error = "Device is not that backend of this pool";
	if (!is_backend(pool, index, super)) {
		err = -EINVAL;
		goto free;
	}
	*error = "I/O to the backend is still in flight";
	err = take_away(pool, index);
	if (err)
		goto free;
	*error = "Cannot read the backend's slot table";
	err = qbd_backend_deadline(b) ?: qbd_slots_alloc(b);
	if (!err)
		err = qbd_slots_read(b, &entries);
	if (err)
		goto free;
	b->same_host = qbd_same_host(&pool->members, index);
	*error = "Out of memory";
	err = qbd_pages_init(&pages);
	if (err)
		goto free;

	/* From here on writes may wait, and with them memory that others want. */
	down_write(&pool->meta_sem);
	err = stamps_made(pool);
	*error = "Cannot record which legs are stale";
	if (err)
		goto up;
	set_backend(pool, index, b);
	/* One whose last epoch is out of our history is resynchronised whole. */
	if (!qbd_history_has(&pool->members, &super->pool.epochs[0]))
		memset(entries, 0, (size_t)b->geometry.nr_slots * sizeof(*entries));
	err = compare_legs(b, entries);
	if (!err)
		err = drop_stale(b, entries);
	if (!err)
		err = let_in(b, &pages, error);
	if (err)
		take_away_failed(pool, index);
up:
	up_write(&pool->meta_sem);
	if (!err) {
		DMINFO("%s: backend %u (%s) is in again, epoch %u", pool->members.pool_name,
		       index, b->name, pool->members.epochs[0].number);
		qbd_kept_soon(pool);
		qbd_limit_in(pool, index, false);
		qbd_event(pool);
		queue_work(pool->repair_wq, &pool->resync_work);
		qbd_checkpoint_soon(pool);
		goto out;
	}
free:
	qbd_backend_free(b);
out:
	qbd_pages_exit(&pages);
	kvfree(entries);
	kfree(super);
	return err;
}

/**
 * qbd_member_replace - put an empty device in the place of a backend that is out
 * @pool: the pool
 * @index: index of the backend
 * @path: of the device
 * @error: set to what was wrong
 *
 * Whatever is on the device is overwritten. Sleeps, long. The index goes to the
 * new device only when no chunk names it (rule 3).
 */
int qbd_member_replace(struct qbd_pool *pool, unsigned int index, const char *path,
		       const char **error)
{
	struct qbd_geometry geometry = { .index = index };
	struct qbd_pages pages = {};
	struct qbd_backend *b;
	int err = -EINVAL;
	unsigned int i;
	u8 uuid[16];

	*error = "No such backend in this pool";
	if (index >= QBD_MAX_BACKENDS || pool->members.members[index].state == QBD_MEMBER_NONE)
		return err;
	*error = "Backend is in";
	if (pool->members.members[index].state == QBD_MEMBER_IN)
		return err;
	*error = "Cannot record what the backend missed";
	err = qbd_member_quiet(pool);
	if (err)
		return err;
	b = qbd_backend_open_empty(pool, path, error);
	if (IS_ERR(b))
		return PTR_ERR(b);
	/* One holder may open a device again: that it is free was not said by that. */
	*error = "Device is in the pool already";
	err = -EBUSY;
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (i != index && pool->backend[i] && pool->backend[i]->bdev.bdev &&
		    pool->backend[i]->bdev.bdev->bd_dev == b->bdev.bdev->bd_dev)
			goto free;
	*error = "Device is too small";
	generate_random_uuid(geometry.uuid);
	err = qbd_geometry_make(&geometry, &pool->members, bdev_nr_bytes(b->bdev.bdev));
	if (err)
		goto free;
	b->index = index;
	b->geometry = geometry;
	*error = "Out of memory";
	err = qbd_backend_deadline(b) ?: qbd_slots_alloc(b) ?: qbd_pages_init(&pages);
	if (err)
		goto free;
	b->same_host = qbd_same_host(&pool->members, index);
	*error = "Cannot record that the old backend is gone";
	err = forget_legs(pool, index);
	if (err)
		goto free;
	qbd_moment("legs-forgotten");

	*error = "I/O to the old backend is still in flight";
	err = take_away(pool, index);
	if (err)
		goto free;
	down_write(&pool->meta_sem);
	err = stamps_made(pool);
	*error = "Cannot record which legs are stale";
	if (err)
		goto up;
	set_backend(pool, index, b);
	mutex_lock(&pool->member_lock);
	memcpy(uuid, pool->members.members[index].uuid, 16);
	memcpy(pool->members.members[index].uuid, geometry.uuid, 16);
	mutex_unlock(&pool->member_lock);
	err = let_in(b, &pages, error);
	if (err) {
		mutex_lock(&pool->member_lock);
		memcpy(pool->members.members[index].uuid, uuid, 16);
		mutex_unlock(&pool->member_lock);
		take_away_failed(pool, index);
	}
up:
	up_write(&pool->meta_sem);
	if (!err) {
		DMINFO("%s: backend %u is now %s, epoch %u", pool->members.pool_name, index,
		       b->name, pool->members.epochs[0].number);
		qbd_limit_in(pool, index, true);
		qbd_event(pool);
		queue_work(pool->repair_wq, &pool->resync_work);
		qbd_checkpoint_soon(pool);
		goto out;
	}
free:
	qbd_backend_free(b);
out:
	qbd_pages_exit(&pages);
	return err;
}
