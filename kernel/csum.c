// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checksums: what each unit of a chunk should be.
 *
 * A chunk's table is in pages of 1008 values, read when first needed and kept as
 * long as the chunk is. A page in memory is what is recorded: the values of
 * durable records, which may go to disk any time. Values that are newer hang
 * beside it, in segments of 126 units that exist only where there are any:
 *
 *	pending		the last write that completed; no record yet
 *	captured	taken by the flush that runs; its record is on its way
 *
 * A unit's value is the pending one, else the captured one, else the recorded
 * one. A read that finds other data than that looks again under the row lock
 * before it blames anyone.
 *
 * Order. A unit's records enter the ring in the order of its writes: the flush
 * and FUA writes append under csum_mutex, and a FUA write takes the unit away
 * from the flush that captured it: its own record, with a newer value, is durable
 * before that flush is acknowledged, for the ring is written in order.
 *
 * A new chunk has all its pages in memory, all holes, and dirty: the checkpoint
 * that lets go of its record writes them, so that a page that cannot be read is
 * never taken for holes.
 *
 * Everything here is under chunk->lock but for loading, under chunk->mutex.
 *
 * Records are cut between rows, so that the units of a row that has no data to
 * tell their values from (a discard) are there together or not at all.
 *
 * Models: tests/model/flush.pml.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include "qbd.h"

#define COPY_NOWHERE	U64_MAX		/* of a new chunk: nothing of its gen is on disk */

static struct qbd_pending **segment_of(const struct qbd_chunk *chunk, u32 unit)
{
	struct qbd_csum_page *page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];

	return &page->segments[unit % QBD_CSUMS_PER_PAGE / QBD_SEGMENT_UNITS];
}

/**
 * qbd_csum_loaded - are the pages of these units in memory
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 *
 * Context: chunk->lock or chunk->mutex.
 */
bool qbd_csum_loaded(const struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 p;

	for (p = first / QBD_CSUMS_PER_PAGE; p <= last / QBD_CSUMS_PER_PAGE; p++)
		if (!READ_ONCE(chunk->csums[p]))
			return false;
	return true;
}

/**
 * qbd_csum_get - a unit's value; its page is loaded. Context: chunk->lock.
 * @chunk: the chunk
 * @unit: the unit, of the chunk
 */
u32 qbd_csum_get(const struct qbd_chunk *chunk, u32 unit)
{
	const struct qbd_pending *s = *segment_of(chunk, unit);
	const struct qbd_csum_page *page;
	u32 i = unit % QBD_SEGMENT_UNITS;

	lockdep_assert_held(&chunk->lock);
	if (s && test_bit(i, s->pending))
		return s->now[i];
	if (s && test_bit(i, s->captured))
		return s->snap[i];
	page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];
	return le32_to_cpu(page->recorded[unit % QBD_CSUMS_PER_PAGE]);
}

/**
 * qbd_csum_set - a write of a unit completed
 * @chunk: the chunk
 * @unit: the unit, of the chunk
 * @value: the new value
 *
 * Context: chunk->lock; the unit was reserved.
 */
void qbd_csum_set(struct qbd_chunk *chunk, u32 unit, u32 value)
{
	struct qbd_pending *s = *segment_of(chunk, unit);
	u32 i = unit % QBD_SEGMENT_UNITS;

	lockdep_assert_held(&chunk->lock);
	if (!test_bit(i, s->pending) && !test_bit(i, s->captured))
		atomic_inc(&chunk->layer->pool->nr_pending);
	__set_bit(i, s->pending);
	s->now[i] = value;
}

/* The first unit of the next segment; a page is 8 segments, so they tile the units. */
static u32 next_segment(u32 unit)
{
	return (unit / QBD_SEGMENT_UNITS + 1) * QBD_SEGMENT_UNITS;
}

/* Use a unit's segment, which is @spare if there is none. Returns what is left of it. */
static struct qbd_pending *segment_use(struct qbd_chunk *chunk, u32 unit,
				       struct qbd_pending *spare)
{
	struct qbd_pending **s = segment_of(chunk, unit);

	if (!*s && spare) {
		memset(spare, 0, offsetof(struct qbd_pending, now));
		*s = spare;
		spare = NULL;
	}
	if (*s)
		(*s)->users++;
	return spare;
}

/**
 * qbd_csum_reserve - make sure that qbd_csum_set() has room for these units
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 *
 * Sleeps. Ends with qbd_csum_unreserve().
 */
void qbd_csum_reserve(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 unit;

	for (unit = first; unit <= last; unit = next_segment(unit)) {
		struct qbd_pending *spare = mempool_alloc(&pool->pendings, GFP_NOIO);

		spin_lock_irq(&chunk->lock);
		spare = segment_use(chunk, unit, spare);
		spin_unlock_irq(&chunk->lock);
		if (spare)
			mempool_free(spare, &pool->pendings);
	}
}

/**
 * qbd_csum_try_reserve - the same without sleeping. Context: chunk->lock.
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 *
 * Return: false when there is no memory; then nothing is reserved.
 */
bool qbd_csum_try_reserve(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 unit;

	lockdep_assert_held(&chunk->lock);
	for (unit = first; unit <= last; unit = next_segment(unit)) {
		struct qbd_pending *spare = NULL;

		if (!*segment_of(chunk, unit)) {
			spare = mempool_alloc(&pool->pendings, GFP_NOWAIT | __GFP_NOWARN);
			if (!spare) {
				if (unit > first)
					qbd_csum_unreserve(chunk, first, unit - 1);
				return false;
			}
		}
		segment_use(chunk, unit, spare);
	}
	return true;
}

static void segment_trim(struct qbd_chunk *chunk, struct qbd_pending **s)
{
	if ((*s)->users || !bitmap_empty((*s)->pending, QBD_SEGMENT_UNITS) ||
	    !bitmap_empty((*s)->captured, QBD_SEGMENT_UNITS))
		return;
	mempool_free(*s, &chunk->layer->pool->pendings);
	*s = NULL;
}

/**
 * qbd_csum_unreserve - the write ended. Context: chunk->lock.
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 */
void qbd_csum_unreserve(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 unit;

	lockdep_assert_held(&chunk->lock);
	for (unit = first; unit <= last; unit = next_segment(unit)) {
		struct qbd_pending **s = segment_of(chunk, unit);

		(*s)->users--;
		segment_trim(chunk, s);
	}
}

static struct qbd_csum_page *page_new(struct qbd_pool *pool, gfp_t gfp)
{
	struct qbd_csum_page *page = kzalloc(sizeof(*page), gfp);

	if (!page)
		return NULL;
	page->recorded = (__le32 *)get_zeroed_page(gfp);
	if (!page->recorded) {
		kfree(page);
		return NULL;
	}
	atomic_long_inc(&pool->csum_pages);
	return page;
}

static void page_free(struct qbd_pool *pool, struct qbd_csum_page *page)
{
	if (!page)
		return;
	atomic_long_dec(&pool->csum_pages);
	free_page((unsigned long)page->recorded);
	kfree(page);
}

/**
 * qbd_csum_fresh - memory for the table of a chunk that is going to be made
 * @chunk: the chunk
 *
 * Context: chunk->mutex; there is no map yet.
 */
int qbd_csum_fresh(struct qbd_chunk *chunk)
{
	u32 p, l;

	for (p = 0; p < chunk->layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];

		if (!page)
			page = page_new(chunk->layer->pool, GFP_NOIO);
		if (!page)
			return -ENOMEM;
		for (l = 0; l < QBD_MAX_REPLICAS; l++)
			page->copies[l].place = COPY_NOWHERE;
		page->dirty = true;
		WRITE_ONCE(chunk->csums[p], page);
	}
	return 0;
}

static u64 leg_place(u64 leg)
{
	return qbd_leg_make(qbd_leg_backend(leg), qbd_leg_slot(leg), QBD_SLOT_LIVE);
}

/* Where a page of the table is on the backend of a leg. */
static u64 page_number(const struct qbd_pool *pool, u64 leg, u32 p)
{
	return (u64)qbd_leg_slot(leg) *
	       (pool->members.csum_bytes_per_slot / QBD_PAGE_PLACES) + p;
}

/* Reads a leg's copy. Returns its newest place in @both, or an error. */
static int copy_read(struct qbd_chunk *chunk, u64 leg, u32 p, void *both,
		     struct qbd_page_id *id)
{
	struct qbd_pool *pool = chunk->layer->pool;
	int idx = srcu_read_lock(&pool->backends_srcu), place = -EIO;
	struct qbd_backend *b = qbd_backend_in(pool, qbd_leg_backend(leg));
	u64 number = page_number(pool, leg, p);

	if (b && !qbd_backend_rw(b, REQ_OP_READ | REQ_META,
				 b->geometry.csum_start + number * QBD_PAGE_PLACES, both,
				 QBD_PAGE_PLACES))
		place = qbd_page_newest(both, b->geometry.uuid, QBD_PAGE_CSUM, number,
					chunk->map->gen, id);
	srcu_read_unlock(&pool->backends_srcu, idx);
	return place;
}

/* What was found of a leg's copy; NULL: nothing. That of another gen counts for nothing. */
static void copy_note(const struct qbd_chunk *chunk, struct qbd_csum_page *page, unsigned int l,
		      u64 leg, const struct qbd_page_id *id)
{
	page->copies[l].place = leg_place(leg);
	page->copies[l].seq = id && id->gen == chunk->map->gen ? id->seq : 0;
}

/*
 * Read a page of the table from the current legs that hold it.
 *
 * All of them: the newest counts. Copies of another gen mean that nothing was ever
 * written, if all say so. @made: it may never have been written, so one that cannot
 * be read is no damage.
 */
static int page_read(struct qbd_chunk *chunk, u32 p, bool made, struct qbd_csum_page *page)
{
	const struct qbd_layer *layer = chunk->layer;
	u32 current_legs = qbd_chunk_current(chunk);
	unsigned int l, holders = 0, others = 0;
	bool found = false;
	u8 *both = kmalloc(QBD_PAGE_PLACES, GFP_NOIO);

	if (!both)
		return -ENOMEM;
	for (l = 0; l < qbd_policy_csum_legs(&layer->policy); l++) {
		struct qbd_page_id id;
		int place;
		u64 leg;

		if (!(current_legs & BIT(l)))
			continue;
		holders++;
		leg = READ_ONCE(chunk->map->legs[l]);
		place = copy_read(chunk, leg, p, both, &id);
		copy_note(chunk, page, l, leg, place < 0 ? NULL : &id);
		if (place < 0 && made)
			continue;
		if (place < 0) {
			DMWARN_LIMIT("%s: volume %u chunk %u: checksum page %u of leg %u cannot be read",
				     layer->pool->members.pool_name, layer->volume,
				     chunk->number, p, l);
			chunk->csum_damaged = true;
			continue;
		}
		if (id.gen != chunk->map->gen) {
			others++;
			continue;
		}
		/* Written together, so one of them is behind. */
		if (found && id.lsn != page->lsn)
			chunk->csum_damaged = true;
		if (found && id.lsn <= page->lsn)
			continue;
		found = true;
		page->lsn = id.lsn;
		memcpy(page->recorded, qbd_page_payload(both + place * QBD_PAGE_SIZE),
		       QBD_PAGE_PAYLOAD);
	}
	kfree(both);
	if (found && others)
		chunk->csum_damaged = true;
	if (found)
		return 0;
	if (!holders || others < holders)
		return -EIO;
	memset(page->recorded, 0, QBD_PAGE_PAYLOAD);
	return 0;
}

/**
 * qbd_csum_load - have the pages of these units in memory
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 *
 * Sleeps. The chunk exists. Return: 0, -ENOMEM, -EIO no copy can be read.
 */
int qbd_csum_load(struct qbd_chunk *chunk, u32 first, u32 last)
{
	int err = 0;
	u32 p;

	if (qbd_csum_loaded(chunk, first, last))
		return 0;
	mutex_lock(&chunk->mutex);
	for (p = first / QBD_CSUMS_PER_PAGE; !err && p <= last / QBD_CSUMS_PER_PAGE; p++) {
		struct qbd_csum_page *page;

		if (chunk->csums[p])
			continue;
		page = page_new(chunk->layer->pool, GFP_NOIO);
		/*
		 * One that is behind, after a crash or a write that was lost, has
		 * holes where there is data, and no mismatch would tell.
		 */
		chunk->csum_damaged = false;
		err = page ? page_read(chunk, p, false, page) : -ENOMEM;
		if (err) {
			page_free(chunk->layer->pool, page);
			continue;
		}
		page->dirty = chunk->csum_damaged;
		/* Its content before it is seen: qbd_csum_loaded() takes no lock. */
		smp_store_release(&chunk->csums[p], page);
		if (page->dirty)
			qbd_chunk_named(chunk, 0);
	}
	mutex_unlock(&chunk->mutex);
	return err;
}

/**
 * qbd_csum_load_made - the table of a chunk whose making is in the log
 * @chunk: the chunk
 *
 * It may never have been written, so what cannot be read is holes. Context:
 * activation.
 */
int qbd_csum_load_made(struct qbd_chunk *chunk)
{
	u32 p;

	for (p = 0; p < chunk->layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];

		if (!page)
			page = page_new(chunk->layer->pool, GFP_KERNEL);
		if (!page)
			return -ENOMEM;
		if (!chunk->csums[p] && page_read(chunk, p, true, page))
			memset(page->recorded, 0, QBD_PAGE_PAYLOAD);
		page->dirty = true;
		chunk->csums[p] = page;
	}
	return 0;
}

/**
 * qbd_csum_replay - a record of the log: into the pages that it is newer than
 * @chunk: the chunk
 * @lsn: LSN of the record
 * @first: the first unit
 * @nr: how many
 * @values: the new values, a unit each
 *
 * Context: activation. Return: 0, or why a page cannot be had.
 */
int qbd_csum_replay(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values)
{
	u32 n;

	/* Fewer than K legs are there: nobody reads it, nobody writes it. */
	if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k)
		return 0;
	for (; nr; first += n, values += n, nr -= n) {
		struct qbd_csum_page *page;
		int err = qbd_csum_load(chunk, first, first);

		n = min_t(u32, nr, QBD_CSUMS_PER_PAGE - first % QBD_CSUMS_PER_PAGE);
		if (err)
			return err;
		page = chunk->csums[first / QBD_CSUMS_PER_PAGE];
		if (lsn <= page->lsn)
			continue;
		memcpy(page->recorded + first % QBD_CSUMS_PER_PAGE, values, n * 4);
		page->lsn = lsn;
		page->dirty = true;
	}
	return 0;
}

/**
 * qbd_csum_compare - a unit does not match: is our table the newest
 * @chunk: the chunk
 * @unit: the unit, of the chunk
 *
 * Reads all copies of the unit's page; the one with the highest LSN wins. Not
 * while the page in memory has changes of its own. Sleeps.
 *
 * Return: whether the page was replaced by a newer one.
 */
bool qbd_csum_compare(struct qbd_chunk *chunk, u32 unit)
{
	struct qbd_csum_page *ours = chunk->csums[unit / QBD_CSUMS_PER_PAGE], *page;
	bool newer = false;

	page = page_new(chunk->layer->pool, GFP_NOIO);
	if (!page)
		return false;
	mutex_lock(&chunk->mutex);
	if (chunk->map && !page_read(chunk, unit / QBD_CSUMS_PER_PAGE, false, page)) {
		spin_lock_irq(&chunk->lock);
		newer = !ours->dirty && page->lsn > ours->lsn;
		if (newer) {
			ours->lsn = page->lsn;
			ours->dirty = true;	/* the others have to be mended */
			swap(ours->recorded, page->recorded);
		}
		spin_unlock_irq(&chunk->lock);
	}
	mutex_unlock(&chunk->mutex);
	page_free(chunk->layer->pool, page);
	if (newer)
		qbd_chunk_named(chunk, 0);
	return newer;
}

/**
 * qbd_csum_check - read all copies of the table; have those that are damaged
 * written again
 * @chunk: the chunk
 *
 * Sleeps. Return: whether any was.
 */
bool qbd_csum_check(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_csum_page *page = page_new(pool, GFP_NOIO);
	bool damaged = false;
	u32 p;

	/* Pages of a new chunk are not on disk before a checkpoint; nor are all others. */
	mutex_lock(&pool->checkpoint_mutex);
	mutex_lock(&chunk->mutex);
	for (p = 0; page && chunk->map && !chunk->dead && p < chunk->layer->csum_pages; p++) {
		if (!chunk->csums[p] || READ_ONCE(chunk->csums[p]->dirty))
			continue;
		chunk->csum_damaged = false;
		page_read(chunk, p, false, page);
		if (!chunk->csum_damaged)
			continue;
		damaged = true;
		spin_lock_irq(&chunk->lock);
		chunk->csums[p]->dirty = true;
		spin_unlock_irq(&chunk->lock);
	}
	mutex_unlock(&chunk->mutex);
	mutex_unlock(&pool->checkpoint_mutex);
	page_free(pool, page);
	if (damaged)
		qbd_chunk_named(chunk, 0);
	return damaged;
}

/**
 * qbd_csum_drop - free the table. Context: the chunk's last user.
 * @chunk: the chunk
 */
void qbd_csum_drop(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 p, s;

	for (p = 0; p < chunk->layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];

		for (s = 0; page && s < QBD_SEGMENTS; s++) {
			struct qbd_pending *segment = page->segments[s];
			u32 i;

			if (!segment)
				continue;
			/* Only of a chunk that was freed, or of a pool that failed. */
			for (i = 0; i < QBD_SEGMENT_UNITS; i++)
				if (test_bit(i, segment->pending) ||
				    test_bit(i, segment->captured))
					atomic_dec(&pool->nr_pending);
			mempool_free(segment, &pool->pendings);
		}
		page_free(chunk->layer->pool, page);
		chunk->csums[p] = NULL;
	}
}

/**
 * qbd_csum_capture - a flush begins: what is pending now, it will record
 * @chunk: the chunk
 */
void qbd_csum_capture(struct qbd_chunk *chunk)
{
	u32 p, s, i;

	spin_lock_irq(&chunk->lock);
	for (p = 0; p < chunk->layer->csum_pages; p++) {
		for (s = 0; chunk->csums[p] && s < QBD_SEGMENTS; s++) {
			struct qbd_pending *segment = chunk->csums[p]->segments[s];

			if (!segment)
				continue;
			for_each_set_bit(i, segment->pending, QBD_SEGMENT_UNITS)
				segment->snap[i] = segment->now[i];
			bitmap_or(segment->captured, segment->captured, segment->pending,
				  QBD_SEGMENT_UNITS);
			bitmap_zero(segment->pending, QBD_SEGMENT_UNITS);
		}
	}
	spin_unlock_irq(&chunk->lock);
}

/* The first captured unit at or after @unit, or U32_MAX. Context: chunk->lock. */
static u32 next_captured(const struct qbd_chunk *chunk, u32 unit)
{
	u32 end = chunk->layer->csum_pages * QBD_CSUMS_PER_PAGE;

	while (unit < end) {
		const struct qbd_csum_page *page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];
		const struct qbd_pending *s;
		u32 i;

		if (!page) {
			unit = (unit / QBD_CSUMS_PER_PAGE + 1) * QBD_CSUMS_PER_PAGE;
			continue;
		}
		s = *segment_of(chunk, unit);
		i = unit % QBD_SEGMENT_UNITS;
		if (s) {
			u32 found = find_next_bit(s->captured, QBD_SEGMENT_UNITS, i);

			if (found < QBD_SEGMENT_UNITS)
				return unit - i + found;
		}
		unit += QBD_SEGMENT_UNITS - i;
	}
	return U32_MAX;
}

static u64 append_run(struct qbd_chunk *chunk, u32 first, u32 nr)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_record r = {
		.type = QBD_RECORD_CSUM,
		.layer = chunk->layer->number,
		.chunk = chunk->number,
		.gen = chunk->map->gen,
		.first_unit = first,
		.nr_units = nr,
		.values = pool->csum_values,
	};

	return qbd_ring_append(pool, &r);
}

/**
 * qbd_csum_append - put the records of what is captured into the ring. Sleeps.
 * @chunk: the chunk
 *
 * Return: the LSN of the last, 0 if there was none.
 */
u64 qbd_csum_append(struct qbd_chunk *chunk)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 first = 0, nr;
	u64 lsn = 0;

	mutex_lock(&pool->csum_mutex);
	for (;;) {
		spin_lock_irq(&chunk->lock);
		first = next_captured(chunk, first);
		for (nr = 0; first != U32_MAX && nr < QBD_MAX_CSUM_RUN; nr++) {
			struct qbd_pending *s;

			if (next_captured(chunk, first + nr) != first + nr)
				break;
			s = *segment_of(chunk, first + nr);
			pool->csum_values[nr] =
				cpu_to_le32(s->snap[(first + nr) % QBD_SEGMENT_UNITS]);
		}
		spin_unlock_irq(&chunk->lock);
		if (!nr || chunk->dead)
			break;
		/* Cut between rows: docs/protocol.md says why. */
		if (nr == QBD_MAX_CSUM_RUN)
			nr -= (first + nr) % chunk->layer->units;
		lsn = append_run(chunk, first, nr);
		first += nr;
	}
	mutex_unlock(&pool->csum_mutex);
	return lsn;
}

/**
 * qbd_csum_append_units - the records of a FUA write. Sleeps.
 * @chunk: the chunk
 * @last: the last unit
 * @first: units that this write wrote, all of them, and whose values it set; it
 *	has their rows locked
 *
 * A flush that captured earlier values of them leaves them out.
 *
 * Return: the LSN of the last.
 */
u64 qbd_csum_append_units(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u64 lsn = 0;

	mutex_lock(&pool->csum_mutex);
	while (first <= last) {
		u32 nr = min_t(u32, last - first + 1, QBD_MAX_CSUM_RUN), i;

		spin_lock_irq(&chunk->lock);
		for (i = 0; i < nr; i++) {
			struct qbd_pending *s = *segment_of(chunk, first + i);
			u32 u = (first + i) % QBD_SEGMENT_UNITS;

			pool->csum_values[i] = cpu_to_le32(qbd_csum_get(chunk, first + i));
			if (s && test_bit(u, s->pending))
				__clear_bit(u, s->captured);
		}
		spin_unlock_irq(&chunk->lock);
		lsn = append_run(chunk, first, nr);
		first += nr;
	}
	mutex_unlock(&pool->csum_mutex);
	return lsn;
}

/**
 * qbd_csum_record - a value that reconcile found at activation: into the page
 * @chunk: the chunk
 * @unit: the unit, of the chunk
 * @value: the new value
 *
 * Without a record: until the page is durable the range is reconciled again.
 * Context: chunk->lock.
 */
void qbd_csum_record(struct qbd_chunk *chunk, u32 unit, u32 value)
{
	struct qbd_csum_page *page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];

	lockdep_assert_held(&chunk->lock);
	page->recorded[unit % QBD_CSUMS_PER_PAGE] = cpu_to_le32(value);
	page->dirty = true;
}

/**
 * qbd_csum_apply - a record is durable: its values are recorded ones now
 * @chunk: the chunk
 * @lsn: LSN of the record
 * @first: the first unit
 * @nr: how many
 * @values: the new values, a unit each
 *
 * Context: the ring's work, or replay.
 */
void qbd_csum_apply(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values)
{
	u32 end = chunk->layer->rows * chunk->layer->units, i;

	if (WARN_ON_ONCE(first >= end || nr > end - first))
		return;
	spin_lock_irq(&chunk->lock);
	for (i = 0; i < nr; i++) {
		u32 unit = first + i, u = unit % QBD_SEGMENT_UNITS;
		u32 value = le32_to_cpu(values[i]);
		struct qbd_csum_page *page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];
		struct qbd_pending **s, *segment;
		bool was;

		if (WARN_ON_ONCE(!page))
			continue;
		page->recorded[unit % QBD_CSUMS_PER_PAGE] = values[i];
		page->lsn = lsn;
		page->dirty = true;
		s = segment_of(chunk, unit);
		segment = *s;
		if (!segment)
			continue;
		was = test_bit(u, segment->pending) || test_bit(u, segment->captured);
		if (test_bit(u, segment->captured) && segment->snap[u] == value)
			__clear_bit(u, segment->captured);
		if (test_bit(u, segment->pending) && segment->now[u] == value)
			__clear_bit(u, segment->pending);
		if (was && !test_bit(u, segment->pending) && !test_bit(u, segment->captured))
			atomic_dec(&chunk->layer->pool->nr_pending);
		segment_trim(chunk, s);
	}
	spin_unlock_irq(&chunk->lock);
}

/**
 * qbd_csum_recorded - is every value of these units a recorded one
 * @chunk: the chunk
 * @first: the first unit
 * @last: the last unit
 *
 * Context: chunk->lock; the table is loaded.
 */
bool qbd_csum_recorded(const struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 unit;

	lockdep_assert_held(&chunk->lock);
	for (unit = first; unit <= last; unit++) {
		const struct qbd_pending *s = *segment_of(chunk, unit);
		u32 i = unit % QBD_SEGMENT_UNITS;

		if (s && (test_bit(i, s->pending) || test_bit(i, s->captured)))
			return false;
	}
	return true;
}

/**
 * qbd_csum_unwritten - is there anything that a checkpoint has to write or keep
 * @chunk: the chunk
 */
bool qbd_csum_unwritten(struct qbd_chunk *chunk)
{
	bool found = false;
	u32 p, s;

	spin_lock_irq(&chunk->lock);
	for (p = 0; !found && p < chunk->layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];

		found = page && page->dirty;
		for (s = 0; page && !found && s < QBD_SEGMENTS; s++)
			found = page->segments[s];
	}
	spin_unlock_irq(&chunk->lock);
	return found;
}

/*
 * The seq of the next write of a leg's copy: above all that it has of this gen,
 * which is on disk only for a leg that was not current when the page was read.
 */
static u64 copy_next(struct qbd_chunk *chunk, struct qbd_csum_page *page, unsigned int l,
		     u64 leg, u32 p)
{
	struct qbd_page_id id;

	if (page->copies[l].place == COPY_NOWHERE) {
		copy_note(chunk, page, l, leg, NULL);
	} else if (page->copies[l].place != leg_place(leg)) {
		int place = copy_read(chunk, leg, p, chunk->layer->pool->table_places, &id);

		copy_note(chunk, page, l, leg, place < 0 ? NULL : &id);
	}
	return ++page->copies[l].seq;
}

/**
 * qbd_csum_write - write pages of the table to the legs that hold it
 * @chunk: the chunk
 * @out: the writer
 * @legs: mask of legs
 * @all: all pages, not only those that changed; they are loaded
 *
 * Sleeps. The caller flushes before any of these pages is written again. Context:
 * checkpoint_mutex.
 */
void qbd_csum_write(struct qbd_chunk *chunk, u32 legs, bool all, struct qbd_pages *out)
{
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	unsigned int l;
	u32 p;

	for (p = 0; p < layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];
		struct qbd_page_id id = { .type = QBD_PAGE_CSUM };

		if (!page || !chunk->map)
			continue;
		spin_lock_irq(&chunk->lock);
		if (!page->dirty && !all) {
			spin_unlock_irq(&chunk->lock);
			continue;
		}
		if (!all)
			page->dirty = false;
		id.lsn = page->lsn;
		memcpy(pool->table_payload, page->recorded, QBD_PAGE_PAYLOAD);
		spin_unlock_irq(&chunk->lock);
		id.gen = chunk->map->gen;
		for (l = 0; l < qbd_policy_csum_legs(&layer->policy); l++) {
			u64 leg = READ_ONCE(chunk->map->legs[l]);
			struct qbd_backend *b = qbd_backend_in(pool, qbd_leg_backend(leg));
			void *raw;

			if (!(legs & BIT(l)) || leg == QBD_LEG_NONE || !b)
				continue;
			id.number = page_number(pool, leg, p);
			id.seq = copy_next(chunk, page, l, leg, p);
			raw = qbd_pages_next(out);
			memcpy(qbd_page_payload(raw), pool->table_payload, QBD_PAGE_PAYLOAD);
			qbd_pages_write(out, b, b->geometry.csum_start, raw, &id);
		}
	}
}

/**
 * qbd_csum_all_holes - is there nothing left in the chunk; its table is loaded
 * @chunk: the chunk
 */
bool qbd_csum_all_holes(struct qbd_chunk *chunk)
{
	u32 end = chunk->layer->rows * chunk->layer->units, unit;
	bool holes = true;

	spin_lock_irq(&chunk->lock);
	for (unit = 0; unit < end && holes; unit++)
		holes = chunk->csums[unit / QBD_CSUMS_PER_PAGE] &&
			qbd_csum_get(chunk, unit) == QBD_CSUM_HOLE;
	spin_unlock_irq(&chunk->lock);
	return holes;
}

/**
 * qbd_csum_block - the checksum of a block's content
 * @chunk: the chunk
 * @gen: the chunk's gen
 * @row: the row, of the chunk
 * @leg: 0 for replicas
 * @pages: layer->block_pages of them
 */
u32 qbd_csum_block(const struct qbd_chunk *chunk, u64 gen, u32 row, u32 leg,
		   struct page *const *pages)
{
	u32 crc = qbd_csum_seed(chunk->layer->number, chunk->number, gen, row, leg), i;

	for (i = 0; i < chunk->layer->block_pages; i++)
		crc = crc32c(crc, page_address(pages[i]), PAGE_SIZE);
	return qbd_csum_finish(crc);
}
