// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checksums: what each unit of a chunk should be.
 *
 * A chunk's table is in pages of 1008 values (csum-page.c). A page in memory is
 * what is recorded: the values of durable records, which may go to disk any time.
 * Values that are newer hang beside it, in segments of 126 units that exist only
 * where there are any:
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
 * Records are cut between rows, so that the units of a row that has no data to
 * tell their values from (a discard) are there together or not at all.
 *
 * Everything here is under chunk->lock.
 *
 * Models: tests/model/flush.pml.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include "qbd.h"

static struct qbd_pending **segment_of(const struct qbd_chunk *chunk, u32 unit)
{
	struct qbd_csum_page *page = chunk->csums[unit / QBD_CSUMS_PER_PAGE];

	return &page->segments[unit % QBD_CSUMS_PER_PAGE / QBD_SEGMENT_UNITS];
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
 *
 * Return: 0; -EIO in an outage, when there is no memory; then nothing is reserved.
 */
int qbd_csum_reserve(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_pool *pool = chunk->layer->pool;
	u32 unit;
	bool got;

	spin_lock_irq(&chunk->lock);
	got = qbd_csum_try_reserve(chunk, first, last);
	spin_unlock_irq(&chunk->lock);
	if (got)
		return 0;
	/* It holds none now, and one waits at a time. */
	got = true;
	mutex_lock(&pool->pending_mutex);
	for (unit = first; got && unit <= last; unit = next_segment(unit)) {
		struct qbd_pending *spare = qbd_memory_wait(pool, &pool->pendings);

		got = spare;
		spin_lock_irq(&chunk->lock);
		if (got)
			spare = segment_use(chunk, unit, spare);
		else if (unit > first)
			qbd_csum_unreserve(chunk, first, unit - 1);
		spin_unlock_irq(&chunk->lock);
		if (spare)
			mempool_free(spare, &pool->pendings);
	}
	mutex_unlock(&pool->pending_mutex);
	return got ? 0 : -EIO;
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
			spare = mempool_alloc(&pool->pendings, QBD_GFP_TRY);
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
	if ((*s)->users || (*s)->torn || !bitmap_empty((*s)->pending, QBD_SEGMENT_UNITS) ||
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

/**
 * qbd_csum_keep - rows of a write that failed cannot be settled now: what settles them
 * finds the room for their values that the write had. Context: chunk->lock.
 * @chunk: the chunk
 * @first: the first unit, which is reserved as those up to
 * @last: the last unit
 */
void qbd_csum_keep(struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 unit;

	lockdep_assert_held(&chunk->lock);
	for (unit = first; unit <= last; unit = next_segment(unit))
		(*segment_of(chunk, unit))->torn = true;
}

/**
 * qbd_csum_settled - nothing in the chunk is torn any more. Context: chunk->lock.
 * @chunk: the chunk
 */
void qbd_csum_settled(struct qbd_chunk *chunk)
{
	u32 p, s;

	lockdep_assert_held(&chunk->lock);
	for (p = 0; p < chunk->layer->csum_pages; p++) {
		for (s = 0; chunk->csums[p] && s < QBD_SEGMENTS; s++) {
			struct qbd_pending **segment = &chunk->csums[p]->segments[s];

			if (!*segment || !(*segment)->torn)
				continue;
			(*segment)->torn = false;
			segment_trim(chunk, segment);
		}
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
		lsn = max(lsn, append_run(chunk, first, nr));
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
 * A flush that captured earlier values of them leaves them out, and waits for these.
 *
 * Return: the LSN of the last.
 */
u64 qbd_csum_append_units(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool overtook = false;
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
				overtook |= __test_and_clear_bit(u, s->captured);
		}
		spin_unlock_irq(&chunk->lock);
		lsn = max(lsn, append_run(chunk, first, nr));
		first += nr;
	}
	/* With a ring that is down no flush succeeds. */
	if (overtook && lsn != U64_MAX)
		pool->overtaken_lsn = max(pool->overtaken_lsn, lsn);
	mutex_unlock(&pool->csum_mutex);
	return lsn;
}

/**
 * qbd_csum_overtaken - up to which record FUA writes have taken units from flushes
 * @pool: the pool
 *
 * Sleeps.
 */
u64 qbd_csum_overtaken(struct qbd_pool *pool)
{
	u64 lsn;

	mutex_lock(&pool->csum_mutex);
	lsn = pool->overtaken_lsn;
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
 * Context: chunk->lock. What is not loaded is.
 */
bool qbd_csum_recorded(const struct qbd_chunk *chunk, u32 first, u32 last)
{
	u32 unit;

	lockdep_assert_held(&chunk->lock);
	for (unit = first; unit <= last; unit++) {
		const struct qbd_pending *s = chunk->csums[unit / QBD_CSUMS_PER_PAGE] ?
					      *segment_of(chunk, unit) : NULL;
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
