// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots: which are free, who has the others, and the pages that say so.
 *
 * In memory a slot is eight bytes, its owner's layer and chunk; the rest of its
 * entry on disk (gen, insync, epoch, leg) is the chunk's and is looked up when a
 * page is written. The bitmap of used slots is larger than the set of owned ones:
 * it also has slots that were chosen for a record that is not durable yet, and
 * slots that were freed and may still be read or written by I/O in flight
 * (qbd_slots_release() ends that). So a slot is given out again only when its
 * free is durable and nothing of ours is on its way to it.
 *
 * Placement: of the backends that a volume may use, those with the most free
 * slots, and no two on one host while there is another choice. Legs are dealt
 * out in turn with the chunk's number, so that parity is spread evenly.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

static u32 slot_pages(const struct qbd_backend *b)
{
	return DIV_ROUND_UP(b->geometry.nr_slots, QBD_SLOTS_PER_PAGE);
}

/**
 * qbd_slots_alloc - memory for a backend's slots, all free
 * @b: the backend
 */
int qbd_slots_alloc(struct qbd_backend *b)
{
	u32 nr = b->geometry.nr_slots;

	b->owners = kvcalloc(nr, sizeof(*b->owners), GFP_KERNEL);
	b->used = kvcalloc(BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL);
	b->slot_pages = kvcalloc(slot_pages(b), sizeof(*b->slot_pages), GFP_KERNEL);
	b->slot_dirty = kvcalloc(BITS_TO_LONGS(slot_pages(b)), sizeof(long), GFP_KERNEL);
	b->nr_free = nr;
	if (b->owners && b->used && b->slot_pages && b->slot_dirty)
		return 0;
	qbd_slots_free(b);
	return -ENOMEM;
}

void qbd_slots_free(struct qbd_backend *b)
{
	kvfree(b->owners);
	kvfree(b->used);
	kvfree(b->slot_pages);
	kvfree(b->slot_dirty);
	b->owners = NULL;
	b->used = NULL;
	b->slot_pages = NULL;
	b->slot_dirty = NULL;
}

/* Take a free slot. Context: slot_lock; nr_free is not 0. */
static u32 slot_take(struct qbd_backend *b)
{
	u32 nr = b->geometry.nr_slots;
	u32 slot = find_next_zero_bit(b->used, nr, b->next);

	if (slot >= nr)
		slot = find_first_zero_bit(b->used, nr);
	__set_bit(slot, b->used);
	b->next = slot + 1;
	b->nr_free--;
	return slot;
}

/* The best of some backends: on a new host if there is one, then the emptiest. */
static int choose_one(struct qbd_pool *pool, u64 candidates, u64 chosen, u32 turn)
{
	int best = -1;
	bool best_new = false;
	unsigned int n;

	for (n = 0; n < QBD_MAX_BACKENDS; n++) {
		unsigned int i = (n + turn) % QBD_MAX_BACKENDS;
		bool new_host;

		if (!(candidates & ~chosen & BIT_ULL(i)))
			continue;
		new_host = !(pool->backend[i]->same_host & chosen);
		if (best >= 0 && best_new && !new_host)
			continue;
		if (best < 0 || (new_host && !best_new) ||
		    pool->backend[i]->nr_free > pool->backend[best]->nr_free) {
			best = i;
			best_new = new_host;
		}
	}
	return best;
}

/**
 * qbd_slots_choose - choose and reserve slots for legs of a chunk
 * @layer: the layer
 * @chunk: the chunk
 * @avoid: backends that have a leg of this chunk; their hosts, too, if possible
 * @nr: how many are wanted
 * @legs: those chosen, as qbd_leg_make(), state LIVE
 * @got: how many; fewer than @nr only where that many backends are not in
 *
 * Return: 0, or -ENOSPC when a backend that would be needed is full.
 */
int qbd_slots_choose(struct qbd_layer *layer, u32 chunk, u64 avoid, unsigned int nr,
		     u64 *legs, unsigned int *got)
{
	struct qbd_pool *pool = layer->pool;
	u64 usable = 0, candidates = 0, chosen = 0;
	unsigned int i, n;

	spin_lock(&pool->slot_lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (!b || !b->owners || !b->geometry.nr_slots || (avoid & BIT_ULL(i)) ||
		    !qbd_tag_match(pool->members.members[i].tags, layer->tag))
			continue;
		usable |= BIT_ULL(i);
		if (b->nr_free)
			candidates |= BIT_ULL(i);
	}
	n = min_t(unsigned int, nr, hweight64(usable));
	if (hweight64(candidates) < n) {
		spin_unlock(&pool->slot_lock);
		return -ENOSPC;
	}
	for (i = 0; i < n; i++)
		chosen |= BIT_ULL(choose_one(pool, candidates, avoid | chosen, chunk));
	for (i = 0; chosen; i++, chosen &= chosen - 1) {
		unsigned int index = __ffs64(chosen);

		legs[(i + chunk) % n] = qbd_leg_make(index, slot_take(pool->backend[index]),
						     QBD_SLOT_LIVE);
	}
	spin_unlock(&pool->slot_lock);
	*got = n;
	return 0;
}

/* The backend of a slot, or NULL. Context: slot_lock, which keeps it. */
static struct qbd_backend *slot_backend(struct qbd_pool *pool, u64 leg)
{
	struct qbd_backend *b = leg == QBD_LEG_NONE ? NULL : pool->backend[qbd_leg_backend(leg)];

	lockdep_assert_held(&pool->slot_lock);
	return b && b->owners && qbd_leg_slot(leg) < b->geometry.nr_slots ? b : NULL;
}

/**
 * qbd_slots_set - a durable record says who has a slot
 * @pool: the pool
 * @leg: its place; nothing happens when its backend is not there
 * @layer: 0: nobody; the slot stays used until qbd_slots_release()
 * @chunk: the chunk
 * @lsn: LSN of the record
 */
void qbd_slots_set(struct qbd_pool *pool, u64 leg, u32 layer, u32 chunk, u64 lsn)
{
	u32 slot = qbd_leg_slot(leg), page = slot / QBD_SLOTS_PER_PAGE;
	struct qbd_backend *b;

	spin_lock(&pool->slot_lock);
	b = slot_backend(pool, leg);
	if (b) {
		b->owners[slot].layer = layer;
		b->owners[slot].chunk = chunk;
		if (layer && !__test_and_set_bit(slot, b->used))
			b->nr_free--;
		b->slot_pages[page].lsn = max(b->slot_pages[page].lsn, lsn);
		__set_bit(page, b->slot_dirty);
	}
	spin_unlock(&pool->slot_lock);
}

/**
 * qbd_slots_release - a slot can be given out again
 * @pool: the pool
 * @leg: its place; nothing happens when its backend is not there, or when it has
 *	an owner again
 * @lsn: of the record that freed it; a backend that came in since has given the slot
 *	out as its own (readmit.c). U64_MAX: it never had an owner
 */
void qbd_slots_release(struct qbd_pool *pool, u64 leg, u64 lsn)
{
	u32 slot = qbd_leg_slot(leg);
	struct qbd_backend *b;

	spin_lock(&pool->slot_lock);
	b = slot_backend(pool, leg);
	if (b && b->since_lsn < lsn && !b->owners[slot].layer &&
	    __test_and_clear_bit(slot, b->used))
		b->nr_free++;
	spin_unlock(&pool->slot_lock);
}

static void discard_done(struct qbd_bio *qb)
{
	struct qbd_wait *wait = qb->context;

	bio_put(&qb->bio);
	qbd_wait_end(wait, 0);
}

/**
 * qbd_slots_discard - pass a discard of a freed chunk's slots down
 * @pool: the pool
 * @map: the chunk's legs
 * @lsn: of the record that freed it; on a backend that came in since they are no more
 *	its own
 *
 * Its free is durable and nobody uses it; the slots are still not given out. Where
 * a backend cannot discard, or fails to, nothing is lost. Sleeps.
 */
void qbd_slots_discard(struct qbd_pool *pool, const struct qbd_map *map, u64 lsn)
{
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_wait wait;
	unsigned int l;

	qbd_wait_init(&wait);
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = map->legs[l];
		struct qbd_backend *b = qbd_backend_in(pool, qbd_leg_backend(leg));
		struct qbd_bio *qb;

		if (leg == QBD_LEG_NONE || !b || b->since_lsn >= lsn ||
		    !bdev_max_discard_sectors(b->bdev.bdev))
			continue;
		qb = qbd_bio_alloc(b, REQ_OP_DISCARD, qbd_backend_data(b, qbd_leg_slot(leg), 0),
				   0, GFP_NOIO);
		if (!qb)
			continue;
		qb->bio.bi_iter.bi_size = pool->members.extent_size;
		qb->done = discard_done;
		qb->context = &wait;
		qbd_wait_add(&wait);
		qbd_bio_submit(qb);
	}
	qbd_wait_for(&wait);
	srcu_read_unlock(&pool->backends_srcu, idx);
}

static void slot_entry(struct qbd_backend *b, u32 slot, struct qbd_slot *entry)
{
	struct qbd_owner *owner = &b->owners[slot];
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned int l;

	memset(entry, 0, sizeof(*entry));
	if (!owner->layer)
		return;
	layer = xa_load(&b->pool->layers, owner->layer);
	map = layer ? xa_load(&layer->map, owner->chunk) : NULL;
	for (l = 0; map && l < map->nr_legs; l++) {
		u64 leg = map->legs[l];

		if (!qbd_leg_state(leg) || qbd_leg_backend(leg) != b->index ||
		    qbd_leg_slot(leg) != slot)
			continue;
		entry->layer = owner->layer;
		entry->chunk = owner->chunk;
		entry->gen = map->gen;
		entry->insync = map->insync;
		entry->epoch = map->epoch;
		entry->leg = l;
		entry->state = qbd_leg_state(leg);
		entry->flags = map->flags;
		return;
	}
}

/**
 * qbd_slots_page - make the payload of a page of a backend's slot table
 * @b: the backend
 * @page: number of the page
 * @payload: QBD_PAGE_PAYLOAD bytes of a page
 *
 * Context: map_lock, so that the page holds all of what its LSN says.
 */
void qbd_slots_page(struct qbd_backend *b, u32 page, void *payload)
{
	u32 first = page * QBD_SLOTS_PER_PAGE, i;

	lockdep_assert_held(&b->pool->map_lock);
	memset(payload, 0, QBD_PAGE_PAYLOAD);
	for (i = 0; i < QBD_SLOTS_PER_PAGE && first + i < b->geometry.nr_slots; i++) {
		struct qbd_slot entry;

		slot_entry(b, first + i, &entry);
		qbd_slot_put(payload, i, &entry);
	}
}

/**
 * qbd_slots_write - write the pages of a backend's slot table
 * @b: the backend
 * @out: the writer
 * @all: all, not only those that changed
 *
 * A page that is not durable when the writer's flush fails is of no matter: its
 * backend goes out. Sleeps.
 */
void qbd_slots_write(struct qbd_backend *b, bool all, struct qbd_pages *out)
{
	struct qbd_pool *pool = b->pool;
	u32 page;

	for (page = 0; page < slot_pages(b); page++) {
		struct qbd_page_id id = { .type = QBD_PAGE_SLOT, .number = page };
		void *raw;

		if (!all && !test_bit(page, b->slot_dirty))
			continue;
		raw = qbd_pages_next(out);
		spin_lock(&pool->map_lock);
		spin_lock(&pool->slot_lock);
		__clear_bit(page, b->slot_dirty);
		b->slot_pages[page].round = pool->page_round;
		id.lsn = b->slot_pages[page].lsn;
		id.seq = ++b->slot_pages[page].seq;
		spin_unlock(&pool->slot_lock);
		qbd_slots_page(b, page, qbd_page_payload(raw));
		spin_unlock(&pool->map_lock);
		qbd_pages_write(out, b, b->geometry.slot_start, raw, &id);
	}
}

/**
 * qbd_slots_unwrite - pages that were written in a round of writes may not be there
 * @b: the backend
 * @round: the round
 *
 * The next one goes to the same place. Context: checkpoint_mutex.
 */
void qbd_slots_unwrite(struct qbd_backend *b, u32 round)
{
	u32 page;

	spin_lock(&b->pool->slot_lock);
	for (page = 0; page < slot_pages(b); page++) {
		if (b->slot_pages[page].round != round)
			continue;
		b->slot_pages[page].round = 0;
		b->slot_pages[page].seq--;
		__set_bit(page, b->slot_dirty);
	}
	spin_unlock(&b->pool->slot_lock);
}

/**
 * qbd_slots_sum - used and all slots of the backends that are in
 * @pool: the pool
 * @used: set to the slots that are used
 * @total: set to all slots
 */
void qbd_slots_sum(struct qbd_pool *pool, u64 *used, u64 *total)
{
	unsigned int i;

	*used = 0;
	*total = 0;
	spin_lock(&pool->slot_lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (!b || !b->owners)
			continue;
		*total += b->geometry.nr_slots;
		*used += b->geometry.nr_slots - b->nr_free;
	}
	spin_unlock(&pool->slot_lock);
}

/**
 * qbd_slots_read - read a backend's slot table
 * @b: the backend
 * @entries: all of them, to be freed with kvfree(); those of pages that cannot be
 *	read are FREE
 *
 * Also sets what is known of the pages. Return: 0, -ENOMEM, -EIO.
 */
int qbd_slots_read(struct qbd_backend *b, struct qbd_slot **entries)
{
	const u32 step = 128;	/* pages a read: 1 MiB */
	u8 *buffer = vmalloc(step * QBD_PAGE_PLACES);
	/* Up to 2 GiB: more than kvcalloc() takes. */
	struct qbd_slot *e = vzalloc(array_size(max(b->geometry.nr_slots, 1u), sizeof(*e)));
	u32 page, i, n, damaged = 0;
	int err = buffer && e ? 0 : -ENOMEM;

	for (page = 0; page < slot_pages(b) && !err; page += n) {
		n = min(step, slot_pages(b) - page);
		err = qbd_backend_rw(b, REQ_OP_READ | REQ_META, b->geometry.slot_start +
				     (u64)page * QBD_PAGE_PLACES, buffer, n * QBD_PAGE_PLACES);
		for (i = 0; i < n * QBD_SLOTS_PER_PAGE && !err; i++) {
			u32 p = page + i / QBD_SLOTS_PER_PAGE;
			u32 slot = p * QBD_SLOTS_PER_PAGE + i % QBD_SLOTS_PER_PAGE;
			u8 *both = buffer + (size_t)(p - page) * QBD_PAGE_PLACES;
			struct qbd_page_id id;
			int place;

			if (i % QBD_SLOTS_PER_PAGE == 0) {
				place = qbd_page_newest(both, b->geometry.uuid, QBD_PAGE_SLOT,
							p, 0, &id);
				if (place < 0) {
					damaged++;
					__set_bit(p, b->slot_dirty);
					i += QBD_SLOTS_PER_PAGE - 1;
					continue;
				}
				b->slot_pages[p].lsn = id.lsn;
				b->slot_pages[p].seq = id.seq;
				b->slot_pages[p].alone = id.alone;
				if (id.alone) {
					b->slots_doubtful++;
					__set_bit(p, b->slot_dirty);
				}
			}
			if (slot < b->geometry.nr_slots)
				qbd_slot_get(qbd_page_payload(both + place * QBD_PAGE_SIZE),
					     i % QBD_SLOTS_PER_PAGE, &e[slot]);
		}
	}
	if (damaged)
		DMERR("%s: %u pages of the slot table cannot be read: their legs are rebuilt",
		      b->name, damaged);
	b->slots_doubtful += damaged;
	vfree(buffer);
	if (err) {
		kvfree(e);
		return err;
	}
	*entries = e;
	return 0;
}
