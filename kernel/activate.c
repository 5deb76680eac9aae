// SPDX-License-Identifier: GPL-2.0-only
/*
 * Activation: from what is on the backends to a pool that runs.
 *
 * Nothing is written before all has been read and found to make sense. Then, each
 * step durable before the next:
 *
 *	1. the log (the union of what the ring members have) on every ring member
 *	2. the epoch, on all that are in; a new one if members are missing
 *	3. stamps for every chunk that the log names and that has a leg that is not
 *	   in, appended to the same log (rule 2)
 *	4. rows whose destage was not done are written; then active ranges are
 *	   reconciled (rule 6): data, then flush
 *	5. pages: slot tables, volume and layer tables, checksums; flush
 *	6. what is live in the journal, as blocks of a new ring generation; then that
 *	   generation, in the superblocks: the log is what is live
 *
 * What a checkpoint had in pages when the log was cut is not done again: the log may
 * reach further back for the journal's sake.
 *
 * A crash between any two finds the same log, or one that is longer by stamps,
 * and does it all again: pages take only records that are newer than they are,
 * and a range is reconciled until step 6 says that the log is gone. What was
 * reconciled the first time matches its value then, or the value that step 5 may
 * have put in the page is not looked at by anyone who relies on another.
 *
 * Replay works on arrays of entries, one a slot, which become the maps. A leg is
 * current if its entry has its chunk's gen and epoch, is LIVE, and its backend is
 * in insync. The highest gen of a chunk wins, then the highest epoch (rule 11: a
 * chunk with missing legs is degraded, never freed).
 *
 * A read-only pool reads all this and writes nothing: who is in, and what it chose
 * in reconciling, it keeps in memory (rule 12), and the next start does it again.
 *
 * Models: tests/model/flush.pml, members.pml.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"
#include "replay.h"

struct activation {
	struct qbd_pool *pool;
	struct qbd_replay replay;
	struct qbd_slot *entries[QBD_MAX_BACKENDS];
	u64 *page_lsns[QBD_MAX_BACKENDS];	/* of the slot table pages, as read */
	u8 *log;		/* the log's blocks, from replay.first on */
	u64 max_lsn;		/* in any page */
	u64 last_lsn;		/* of the stamps */
	u64 checkpoint;		/* all records up to this LSN are in pages */
	bool empty;		/* no log */
	bool quiet;		/* the owner may be writing what is read */
};

/* The first backend at or after @i that is in. */
static unsigned int next_in(struct qbd_pool *pool, unsigned int i, struct qbd_backend **b)
{
	*b = NULL;
	for (; i < QBD_MAX_BACKENDS; i++) {
		*b = qbd_backend_in(pool, i);
		if (*b)
			break;
	}
	return i;
}

#define for_each_in(pool, i, b)							\
	for (i = next_in(pool, 0, &(b)); b; i = next_in(pool, i + 1, &(b)))

/* Reading */

static int read_table(struct activation *a, struct qbd_table *table)
{
	struct qbd_pool *pool = a->pool;
	u8 *both = kmalloc(QBD_PAGE_PLACES, GFP_KERNEL);
	struct qbd_backend *b;
	unsigned int i;
	int err = 0;
	u32 n;

	if (!both)
		return -ENOMEM;
	for (n = 0; n < table->nr_pages && !err; n++) {
		struct qbd_table_page *page = &table->pages[n];
		bool found = false;

		for_each_in(pool, i, b) {
			u64 start = table->type == QBD_PAGE_VOLUME ?
				b->geometry.volume_start : b->geometry.layer_start;
			struct qbd_page_id id;
			int place;

			if (qbd_backend_rw(b, REQ_OP_READ | REQ_META, start +
					   (u64)n * QBD_PAGE_PLACES, both, QBD_PAGE_PLACES))
				continue;
			place = qbd_page_newest(both, b->geometry.uuid, table->type, n, 0, &id);
			if (place < 0) {
				page->dirty = true;	/* to be mended */
				continue;
			}
			/* One that is behind is brought up with the next write. */
			page->dirty |= found && id.lsn != page->lsn;
			page->seq[i] = id.seq;
			if (found && id.lsn <= page->lsn)
				continue;
			found = true;
			page->lsn = id.lsn;
			memcpy(page->payload, qbd_page_payload(both + place * QBD_PAGE_SIZE),
			       QBD_PAGE_PAYLOAD);
		}
		if (!found) {
			DMERR("%s: page %u of the %s table cannot be read on any backend",
			      pool->members.pool_name, n,
			      table->type == QBD_PAGE_VOLUME ? "volume" : "layer");
			err = -EIO;
		}
		a->max_lsn = max(a->max_lsn, page->lsn);
	}
	kfree(both);
	return err;
}

static int read_slots(struct activation *a)
{
	struct qbd_backend *b;
	unsigned int i;
	int err;
	u32 p, nr;

	for_each_in(a->pool, i, b) {
		err = qbd_slots_alloc(b);
		if (!err)
			err = qbd_slots_read(b, &a->entries[i]);
		if (err)
			return err;
		nr = DIV_ROUND_UP(b->geometry.nr_slots, QBD_SLOTS_PER_PAGE);
		a->page_lsns[i] = kvcalloc(nr, sizeof(u64), GFP_KERNEL);
		if (!a->page_lsns[i])
			return -ENOMEM;
		for (p = 0; p < nr; p++) {
			a->page_lsns[i][p] = b->slot_pages[p].lsn;
			a->max_lsn = max(a->max_lsn, b->slot_pages[p].lsn);
		}
	}
	return 0;
}

#define STEP	256	/* blocks of the ring a read */

/* Shows every block of every ring member to replay, and reads the log. */
static int read_ring(struct activation *a)
{
	struct qbd_pool *pool = a->pool;
	struct qbd_replay *replay = &a->replay;
	u32 at, n, i, nr = pool->members.ring_blocks;
	u8 *buffer = vmalloc(STEP * QBD_PAGE_SIZE);
	struct qbd_backend *b;
	unsigned int m;
	u64 number;
	int err = -ENOMEM;

	replay->pool_uuid = pool->members.pool_uuid;
	replay->generation = pool->members.ring_generation;
	replay->first_block = pool->members.ring_first_block;
	replay->first_lsn = pool->members.ring_first_lsn;
	replay->ring_blocks = nr;
	replay->places = kvcalloc(nr, sizeof(*replay->places), GFP_KERNEL);
	if (!buffer || !replay->places)
		goto out;
	for_each_in(pool, m, b) {
		if (!(pool->members.ring_members & BIT_ULL(m)))
			continue;
		for (at = 0; at < nr; at += n) {
			n = min_t(u32, STEP, nr - at);
			if (qbd_backend_rw(b, REQ_OP_READ | REQ_META, b->geometry.ring_start +
					   (u64)at * QBD_PAGE_SIZE, buffer, n * QBD_PAGE_SIZE)) {
				DMERR("%s: the ring of backend %u cannot be read",
				      pool->members.pool_name, m);
				break;
			}
			for (i = 0; i < n; i++)
				qbd_replay_note(replay, at + i, buffer + i * QBD_PAGE_SIZE, m);
		}
	}
	err = qbd_replay_find(replay);
	a->empty = err == -ENODATA;
	if (a->empty)
		err = 0;
	if (err && !a->quiet)
		DMERR("%s: records that were acknowledged are on none of the ring members that are there",
		      pool->members.pool_name);
	if (err || a->empty)
		goto out;

	err = -ENOMEM;
	a->log = vmalloc((replay->last - replay->first + 1) * QBD_PAGE_SIZE);
	if (!a->log)
		goto out;
	err = 0;
	for (number = replay->first; number <= replay->last && !err; number++) {
		u32 place;

		div_u64_rem(number, nr, &place);
		b = pool->backend[replay->places[place].member];
		err = qbd_backend_rw(b, REQ_OP_READ | REQ_META, b->geometry.ring_start +
				     (u64)place * QBD_PAGE_SIZE,
				     a->log + (number - replay->first) * QBD_PAGE_SIZE,
				     QBD_PAGE_SIZE);
	}
out:
	vfree(buffer);
	return err;
}

static int each_record(struct activation *a,
		       int (*fn)(void *context, u64 lsn, const struct qbd_record *record))
{
	u64 number;
	int err = 0;

	for (number = a->replay.first; !a->empty && number <= a->replay.last && !err; number++)
		err = qbd_replay_block(&a->replay, number, a->log +
				       (number - a->replay.first) * QBD_PAGE_SIZE, fn, a);
	if (err == -EILSEQ && !a->quiet)
		DMERR("%s: the ring holds a record that cannot be read",
		      a->pool->members.pool_name);
	return err;
}

/* Of the first pass: tables. */
static int replay_entry(void *context, u64 lsn, const struct qbd_record *r)
{
	struct activation *a = context;
	struct qbd_pool *pool = a->pool;
	bool volume = r->type == QBD_RECORD_VOLUME;
	struct qbd_table *table = volume ? &pool->volume_table : &pool->layer_table;
	u32 per = volume ? QBD_VOLUMES_PER_PAGE : QBD_LAYERS_PER_PAGE;
	struct qbd_table_page *page;

	if (r->type != QBD_RECORD_VOLUME && r->type != QBD_RECORD_LAYER)
		return 0;
	if (r->index / per >= table->nr_pages)
		return -EILSEQ;
	page = &table->pages[r->index / per];
	if (lsn <= page->lsn)
		return 0;
	if (volume)
		qbd_volume_put(page->payload, r->index % per, &r->volume);
	else
		qbd_layer_put(page->payload, r->index % per, &r->layer_entry);
	page->lsn = lsn;
	page->dirty = true;
	return 0;
}

/* First pass: tables and slots. */
static int replay_tables(void *context, u64 lsn, const struct qbd_record *r)
{
	struct activation *a = context;
	struct qbd_pool *pool = a->pool;
	unsigned int i;

	if (r->type == QBD_RECORD_CHECKPOINT)
		a->checkpoint = max(a->checkpoint, r->lsn);
	if (r->type == QBD_RECORD_VOLUME || r->type == QBD_RECORD_LAYER)
		return replay_entry(context, lsn, r);
	for (i = 0; r->type == QBD_RECORD_CHUNK && i < r->nr_legs; i++) {
		unsigned int index = r->legs[i].backend;
		struct qbd_backend *b = qbd_backend_in(pool, index);
		u32 slot = r->legs[i].slot;
		u32 page = slot / QBD_SLOTS_PER_PAGE;

		if (!b)
			continue;
		if (slot >= b->geometry.nr_slots)
			return -EILSEQ;
		if (lsn <= a->page_lsns[index][page])
			continue;
		qbd_replay_slot(r, i, &a->entries[index][slot]);
		b->slot_pages[page].lsn = lsn;
		__set_bit(page, b->slot_dirty);
	}
	return 0;
}

/* Maps */

static bool entry_valid(struct qbd_pool *pool, const struct qbd_slot *e,
			struct qbd_layer **layer)
{
	if (e->state == QBD_SLOT_FREE)
		return false;
	*layer = xa_load(&pool->layers, e->layer);
	return *layer && e->chunk < (*layer)->nr_chunks &&
	       e->leg < qbd_policy_legs(&(*layer)->policy);
}

/* The newest gen of each chunk, and what its newest epoch says. */
static int map_entry(struct qbd_pool *pool, const struct qbd_slot *e)
{
	struct qbd_layer *layer;
	struct qbd_map *map;

	if (!entry_valid(pool, e, &layer))
		return 0;
	map = xa_load(&layer->map, e->chunk);
	if (!map) {
		map = qbd_map_alloc(qbd_policy_legs(&layer->policy), GFP_KERNEL);
		if (!map)
			return -ENOMEM;
		if (xa_err(xa_store(&layer->map, e->chunk, map, GFP_KERNEL))) {
			kfree(map);
			return -ENOMEM;
		}
		layer->nr_allocated++;
		pool->nr_chunks++;
	} else if (e->gen < map->gen || (e->gen == map->gen && e->epoch <= map->epoch)) {
		return 0;
	}
	map->gen = e->gen;
	map->epoch = e->epoch;
	map->insync = e->insync;
	map->flags = e->flags;
	return 0;
}

/* The place of each leg; a current one wins over one that is not. */
static void map_leg(struct qbd_backend *b, u32 slot, const struct qbd_slot *e)
{
	struct qbd_pool *pool = b->pool;
	struct qbd_layer *layer;
	struct qbd_map *map;
	u64 old, place;

	if (!entry_valid(pool, e, &layer))
		goto stale;
	map = xa_load(&layer->map, e->chunk);
	if (e->gen != map->gen)
		goto stale;
	place = qbd_leg_make(b->index, slot, e->epoch == map->epoch ? e->state :
			     QBD_SLOT_REBUILD);
	old = map->legs[e->leg];
	if (old != QBD_LEG_NONE && qbd_leg_state(old) == QBD_SLOT_LIVE)
		goto stale;
	map->legs[e->leg] = place;
	qbd_slots_set(pool, place, e->layer, e->chunk, 0);
	if (old != QBD_LEG_NONE)
		qbd_slots_set(pool, old, 0, 0, 0);
	return;
stale:
	/* Written as free with the next pages. */
	if (e->state != QBD_SLOT_FREE)
		__set_bit(slot / QBD_SLOTS_PER_PAGE, b->slot_dirty);
}

/* Backends that are in, say so in insync, and have no current leg: not in sync. */
static u64 map_stale(struct qbd_pool *pool, const struct qbd_map *map)
{
	u64 stale = map->insync & pool->in;
	unsigned int l;

	for (l = 0; l < map->nr_legs; l++)
		if (qbd_leg_state(map->legs[l]) == QBD_SLOT_LIVE)
			stale &= ~BIT_ULL(qbd_leg_backend(map->legs[l]));
	return stale;
}

/*
 * Was the chunk freed? A slot page whose newer place is damaged shows what was
 * there before: maybe a leg of a chunk that is no more. Its record named all legs
 * at once, so a backend whose own pages are beyond doubt, which should have a leg
 * and has none, knows better.
 */
static bool map_freed(struct qbd_pool *pool, const struct qbd_map *map)
{
	u64 without = map->insync & pool->in;
	struct qbd_backend *b;
	unsigned int i, l;

	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = map->legs[l];

		if (leg == QBD_LEG_NONE)
			continue;
		b = pool->backend[qbd_leg_backend(leg)];
		if (!b->slot_pages[qbd_leg_slot(leg) / QBD_SLOTS_PER_PAGE].alone)
			return false;
		without &= ~BIT_ULL(b->index);
	}
	for_each_in(pool, i, b)
		if ((without & BIT_ULL(i)) && !b->slots_doubtful)
			return true;
	return false;
}

static void map_forget(struct qbd_pool *pool, struct qbd_layer *layer, u32 number,
		       struct qbd_map *map)
{
	unsigned int l;

	DMWARN("%s: volume %u chunk %u: a damaged slot table shows a chunk that was freed",
	       pool->members.pool_name, layer->volume, number);
	for (l = 0; l < map->nr_legs; l++) {
		u64 leg = map->legs[l];

		qbd_slots_set(pool, leg, 0, 0, 0);
		qbd_slots_release(pool, leg, U64_MAX);
	}
	/* The status may be asked for meanwhile. */
	spin_lock(&pool->map_lock);
	xa_erase(&layer->map, number);
	layer->nr_allocated--;
	pool->nr_chunks--;
	spin_unlock(&pool->map_lock);
	kfree(map);
}

static int name_chunk(struct qbd_pool *pool, struct qbd_layer *layer, u32 number)
{
	struct qbd_chunk *chunk = qbd_chunk_get(layer, number, GFP_KERNEL);

	if (!chunk)
		return -ENOMEM;
	qbd_chunk_named(chunk, 0);
	qbd_chunk_put(chunk);
	return 0;
}

static int make_maps(struct activation *a)
{
	struct qbd_pool *pool = a->pool;
	struct qbd_layer *layer;
	struct qbd_backend *b;
	struct qbd_map *map;
	unsigned long l, n;
	unsigned int i;
	int err = 0;
	u32 slot;

	for_each_in(pool, i, b)
		for (slot = 0; slot < b->geometry.nr_slots && !err; slot++)
			err = map_entry(pool, &a->entries[i][slot]);
	if (err)
		return err;
	for_each_in(pool, i, b)
		for (slot = 0; slot < b->geometry.nr_slots; slot++)
			map_leg(b, slot, &a->entries[i][slot]);
	xa_for_each(&pool->layers, l, layer) {
		xa_for_each(&layer->map, n, map) {
			u64 stale = map_stale(pool, map);

			if (!stale)
				continue;
			if (map_freed(pool, map)) {
				map_forget(pool, layer, n, map);
				continue;
			}
			/* Stamped below: the record has to say what is true. */
			map->insync &= ~stale;
			map->epoch = 0;
			err = name_chunk(pool, layer, n);
			if (err)
				return err;
		}
	}
	return 0;
}

/* Second pass: chunks that are named, checksums, ranges. */
static int replay_chunks(void *context, u64 lsn, const struct qbd_record *r)
{
	struct activation *a = context;
	struct qbd_pool *pool = a->pool;
	struct qbd_layer *layer;
	struct qbd_chunk *chunk;
	bool journal = r->type == QBD_RECORD_JOURNAL || r->type == QBD_RECORD_DESTAGE ||
		       r->type == QBD_RECORD_DESTAGED;
	u32 units;
	int err = 0;

	if (r->type != QBD_RECORD_CHUNK && r->type != QBD_RECORD_RANGE &&
	    r->type != QBD_RECORD_CSUM && !journal)
		return 0;
	/* Its range has ended, its values are in pages, its chunk needs no stamp. */
	if (!journal && lsn <= a->checkpoint)
		return 0;
	layer = xa_load(&pool->layers, r->layer);
	/* Of a volume that was removed since. */
	if (!layer)
		return 0;
	if (r->chunk >= layer->nr_chunks)
		return -EILSEQ;
	if (!xa_load(&layer->map, r->chunk))
		return 0;
	chunk = qbd_chunk_get(layer, r->chunk, GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	units = layer->rows * layer->units;
	if (chunk->map->gen != r->gen)
		goto out;
	qbd_chunk_named(chunk, lsn);
	if (r->type == QBD_RECORD_CHUNK && r->op == QBD_CHUNK_ALLOC) {
		/* Its table may never have been written. */
		err = qbd_csum_load_made(chunk);
	} else if (journal) {
		err = qbd_journal_replay(chunk, lsn, r);
	} else if (r->type == QBD_RECORD_CSUM) {
		err = -EILSEQ;
		if (r->nr_units && r->first_unit < units &&
		    r->nr_units <= units - r->first_unit)
			err = qbd_csum_replay(chunk, lsn, r->first_unit, r->nr_units, r->values);
	} else if (r->type == QBD_RECORD_RANGE) {
		u32 i;

		err = -EILSEQ;
		if (r->first_row < layer->rows && r->nr_rows <= layer->rows - r->first_row)
			err = 0;
		for (i = r->first_row / layer->range_rows;
		     !err && i * layer->range_rows < r->first_row + r->nr_rows; i++) {
			if (!chunk->ranges[i].lsn)
				atomic_inc(&pool->nr_ranges);
			chunk->ranges[i].lsn = lsn;
		}
	}
out:
	qbd_chunk_put(chunk);
	return err;
}

/* Writing */

/*
 * What lies behind the log is of the batch that the crash cut. It must not count
 * when its blocks follow on stamps that are appended now.
 */
static void wipe_rest(struct activation *a, struct qbd_backend *b, void *zeros,
		      struct qbd_wait *wait)
{
	u32 capacity = a->pool->members.ring_blocks, place, i;
	u64 number = a->empty ? a->pool->members.ring_first_block : a->replay.last + 1;
	u64 room = a->empty ? capacity : capacity - (number - a->replay.first);

	for (i = 0; i < min_t(u64, QBD_BATCH_BLOCKS, room); i++) {
		div_u64_rem(number + i, capacity, &place);
		qbd_backend_submit(b, REQ_OP_WRITE | REQ_META, b->geometry.ring_start +
				   (u64)place * QBD_PAGE_SIZE, zeros, QBD_PAGE_SIZE, wait);
	}
}

/* The log, the same on every ring member that is in. */
static int copy_log(struct activation *a)
{
	struct qbd_pool *pool = a->pool;
	u32 capacity = pool->members.ring_blocks;
	struct qbd_backend *b;
	struct qbd_wait wait;
	unsigned int i;
	void *zeros = (void *)get_zeroed_page(GFP_KERNEL);
	u64 number, failed;

	if (!zeros)
		return -ENOMEM;
	qbd_wait_init(&wait);
	for_each_in(pool, i, b) {
		if (!(pool->members.ring_members & BIT_ULL(i)))
			continue;
		wipe_rest(a, b, zeros, &wait);
		for (number = a->replay.first; !a->empty && number <= a->replay.last;
		     number++) {
			u32 place;

			div_u64_rem(number, capacity, &place);
			qbd_backend_submit(b, REQ_OP_WRITE | REQ_META, b->geometry.ring_start +
					   (u64)place * QBD_PAGE_SIZE, a->log +
					   (number - a->replay.first) * QBD_PAGE_SIZE,
					   QBD_PAGE_SIZE, &wait);
		}
	}
	failed = qbd_wait_for(&wait);
	free_page((unsigned long)zeros);
	failed |= qbd_backend_flush(pool, pool->in & ~failed);
	return failed ? -EIO : 0;
}

static int stamp_named(struct qbd_chunk *chunk, void *context)
{
	struct activation *a = context;

	mutex_lock(&chunk->mutex);
	if (chunk->map->epoch == 0 || (chunk->given_up && !qbd_chunk_settled(chunk))) {
		/*
		 * make_maps() found it wrong: a stamp even where all are in. Or what it
		 * needs is away, and would be behind when it returns.
		 */
		qbd_chunk_record(chunk, &chunk->record, QBD_CHUNK_STAMP);
		chunk->record.insync &= a->pool->in;
		a->last_lsn = max(a->last_lsn, qbd_chunk_append(chunk));
	} else {
		a->last_lsn = max(a->last_lsn, qbd_chunk_stamp(chunk));
	}
	mutex_unlock(&chunk->mutex);
	return 0;
}

static int reconcile_named(struct qbd_chunk *chunk, void *context)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	int err = 0;
	u32 i;

	/* Fewer than K legs: an I/O error until more come back; nothing to compare. */
	if (hweight32(qbd_chunk_current(chunk)) < layer->policy.k)
		return 0;
	for (i = 0; i < layer->nr_ranges && !err; i++) {
		if (!chunk->ranges[i].lsn)
			continue;
		err = qbd_reconcile_range(chunk, i);
		if (!err) {
			chunk->ranges[i].lsn = 0;
			atomic_dec(&pool->nr_ranges);
			atomic64_inc(&pool->reconcile.done);
		}
	}
	return err;
}

static int reconcile(struct qbd_pool *pool)
{
	int err;

	atomic64_set(&pool->reconcile.todo, atomic_read(&pool->nr_ranges));
	WRITE_ONCE(pool->reconcile.running, true);
	err = qbd_named_each(pool, reconcile_named, NULL);
	WRITE_ONCE(pool->reconcile.running, false);
	return err;
}

static int write_csums(struct qbd_chunk *chunk, void *context)
{
	qbd_csum_write(chunk, qbd_chunk_writable(chunk), false, context);
	return 0;
}

static int write_pages(struct qbd_pool *pool)
{
	struct qbd_pages *pages = &pool->checkpoint_pages;
	struct qbd_backend *b;
	unsigned int i;
	u64 failed;

	failed = qbd_backend_flush(pool, pool->in);
	if (failed)
		return -EIO;
	mutex_lock(&pool->checkpoint_mutex);
	pages->failed = 0;
	qbd_named_each(pool, write_csums, pages);
	for_each_in(pool, i, b)
		qbd_slots_write(b, false, pages);
	qbd_table_write(pool, &pool->volume_table, pool->in, false, pages);
	qbd_table_write(pool, &pool->layer_table, pool->in, false, pages);
	failed = qbd_pages_send(pages);
	mutex_unlock(&pool->checkpoint_mutex);
	failed |= qbd_backend_flush(pool, pool->in & ~failed);
	return failed ? -EIO : 0;
}

/* A volume that misses more of its backends than it may lose needs the operator. */
static int check_losses(struct activation *a, u64 missing)
{
	struct qbd_pool *pool = a->pool;
	u64 there = pool->in | qbd_journal_devices(&pool->members);
	struct qbd_layer *layer;
	unsigned long i;
	unsigned int n;

	xa_for_each(&pool->layers, i, layer) {
		unsigned int gone = 0;

		for (n = 0; n < QBD_MAX_BACKENDS; n++)
			if (pool->members.members[n].state != QBD_MEMBER_NONE &&
			    !(there & BIT_ULL(n)) &&
			    qbd_tag_match(pool->members.members[n].tags, layer->tag))
				gone++;
		if (missing && gone > layer->policy.m && !pool->features.force_history) {
			DMERR("%s: volume %u misses %u backends and may lose %u: force_history has to name the history",
			      pool->members.pool_name, layer->volume, gone, layer->policy.m);
			return -EINVAL;
		}
	}
	return 0;
}

/*
 * Nor where one that is missing has legs that a chunk needs: those of others may be
 * behind. It is in no volume's count, for it may be the only one that is missing.
 */
static int check_needed(struct activation *a, u64 missing)
{
	struct qbd_pool *pool = a->pool;
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;

	if (!missing || pool->features.force_history)
		return 0;
	xa_for_each(&pool->layers, i, layer) {
		xa_for_each(&layer->map, n, map) {
			unsigned int there = hweight32(qbd_map_current(map, pool->in));
			unsigned int away = hweight64(map->insync & missing);

			if (there >= layer->policy.k || there + away < layer->policy.k)
				continue;
			DMERR("%s: volume %u chunk %lu needs legs that only missing backends have: force_history has to name the history",
			      pool->members.pool_name, layer->volume, n);
			return -EINVAL;
		}
	}
	return 0;
}

/*
 * Members that are missing are out, durably. With none missing all get the epoch
 * that was chosen: some may have an older one, or one that was only begun.
 */
static int epoch_without(struct qbd_pool *pool, u64 missing)
{
	struct qbd_membership *next = pool->next_members;
	u64 failed;

	mutex_lock(&pool->member_lock);
	*next = pool->members;
	if (missing)
		qbd_member_next_epoch(pool, next, missing, 0);
	failed = qbd_super_write(pool, next, pool->in, 0);
	if (!failed) {
		pool->members = *next;
		qbd_owner_members(pool);
	}
	mutex_unlock(&pool->member_lock);
	return failed ? -EIO : 0;
}

/* Ranges that could not be reconciled, for lack of legs, stay active. */
static int keep_ranges(struct qbd_chunk *chunk, void *context)
{
	struct activation *a = context;
	struct qbd_layer *layer = chunk->layer;
	u32 i;

	for (i = 0; i < layer->nr_ranges; i++) {
		struct qbd_record r = {
			.type = QBD_RECORD_RANGE, .layer = layer->number,
			.chunk = chunk->number, .gen = chunk->map->gen,
			.first_row = i * layer->range_rows, .nr_rows = layer->range_rows,
		};

		if (!chunk->ranges[i].lsn)
			continue;
		atomic_dec(&layer->pool->nr_ranges);
		if (chunk->given_up) {
			chunk->ranges[i].lsn = 0;
			continue;
		}
		chunk->unreconciled |= BIT_ULL(i);
		a->last_lsn = max(a->last_lsn, qbd_ring_append(layer->pool, &r));
	}
	if (!a->last_lsn)
		qbd_chunk_unnamed(chunk);
	return 0;
}

static int new_generation(struct qbd_pool *pool)
{
	struct qbd_membership *next = pool->next_members;
	u64 lsn = pool->ring.next_lsn, block = pool->ring.next_block;
	int err;

	mutex_lock(&pool->member_lock);
	*next = pool->members;
	/* Never the number of one that was begun in vain: its blocks may be there. */
	next->ring_generation += 1 + get_random_u32() % 65536;
	next->ring_first_lsn = lsn;
	next->ring_first_block = block;
	next->ring_members = qbd_ring_choose(pool, qbd_pool_max_m(pool));
	err = qbd_journal_carry(pool, next->ring_members, next->ring_generation, &lsn, &block);
	if (!err && qbd_super_write(pool, next, pool->in, 0))
		err = -EIO;
	if (!err)
		pool->members = *next;
	mutex_unlock(&pool->member_lock);
	if (err)
		return err;
	qbd_ring_start(pool, lsn, block);
	qbd_ring_tail(pool, next->ring_first_block);
	return 0;
}

/**
 * qbd_tables_look - read the volume and layer tables of a pool that another host owns
 * @pool: the pool
 *
 * Sleeps. Return: 0, or an error: it may have been written meanwhile.
 */
int qbd_tables_look(struct qbd_pool *pool)
{
	struct activation *a = kzalloc(sizeof(*a), GFP_KERNEL);
	int err;

	if (!a)
		return -ENOMEM;
	a->pool = pool;
	a->quiet = true;
	err = read_table(a, &pool->volume_table);
	err = err ?: read_table(a, &pool->layer_table);
	err = err ?: read_ring(a);
	err = err ?: each_record(a, replay_entry);
	kvfree(a->replay.places);
	vfree(a->log);
	kfree(a);
	return err;
}

/**
 * qbd_activate - replay, reconcile, and begin
 * @pool: the pool
 * @missing: members that should be in and are not there
 *
 * Sleeps. Return: 0, or an error that the kernel log tells more about. A backend
 * that fails meanwhile fails the activation; it starts without it the next time.
 */
int qbd_activate(struct qbd_pool *pool, u64 missing)
{
	struct activation *a = kzalloc(sizeof(*a), GFP_KERNEL);
	unsigned int i;
	u64 lsn, block;
	int err;

	if (!a)
		return -ENOMEM;
	a->pool = pool;
	err = read_table(a, &pool->volume_table);
	err = err ?: read_table(a, &pool->layer_table);
	err = err ?: read_slots(a);
	err = err ?: read_ring(a);
	err = err ?: each_record(a, replay_tables);
	err = err ?: qbd_volumes_load(pool);
	err = err ?: check_losses(a, missing);
	if (err)
		goto out;
	for (i = 0; i < QBD_MAX_BACKENDS && pool->features.force_history; i++)
		if (missing & BIT_ULL(i))
			pool->members.members[i].unseen = true;
	lsn = max3(a->replay.next_lsn, a->max_lsn + 1, pool->members.ring_first_lsn);
	block = a->empty ? pool->members.ring_first_block : a->replay.last + 1;
	qbd_ring_start(pool, lsn, block);
	if (!a->empty)
		qbd_ring_tail(pool, a->replay.first);
	qbd_moment("start-maps");
	err = make_maps(a);
	/* Who fails from here on goes out, if no chunk needs it: member.c. */
	if (!err)
		smp_store_release(&pool->maps_known, true);	/* the maps before it */
	err = err ?: check_needed(a, missing);
	err = err ?: each_record(a, replay_chunks);
	if (err)
		goto out;
	if (pool->features.read_only) {
		err = qbd_journal_rewrite(pool);
		err = err ?: reconcile(pool);
		goto out;
	}

	err = copy_log(a);
	err = err ?: epoch_without(pool, missing);
	qbd_moment("start-stamps");
	if (!err)
		err = qbd_named_each(pool, stamp_named, a);
	err = err ?: qbd_ring_wait(pool, a->last_lsn);
	qbd_moment("start-stamped");
	err = err ?: qbd_journal_rewrite(pool);
	err = err ?: reconcile(pool);
	err = err ?: write_pages(pool);
	err = err ?: new_generation(pool);
	a->last_lsn = 0;
	err = err ?: qbd_named_each(pool, keep_ranges, a);
	err = err ?: qbd_ring_wait(pool, a->last_lsn);
out:
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		kvfree(a->entries[i]);
		kvfree(a->page_lsns[i]);
	}
	kvfree(a->replay.places);
	vfree(a->log);
	kfree(a);
	return err;
}
