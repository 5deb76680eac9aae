// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of a chunk's checksum table: reading the copies that the legs have,
 * keeping one in memory, writing it to all.
 *
 * A page is read when it is first needed, from all current legs that hold it, and
 * kept as long as the chunk is. The newest copy counts; of another gen than the
 * chunk's they say that nothing was written, if all of them do. An invalid one
 * never says that.
 *
 * A new chunk has all its pages in memory, all holes, and dirty: the checkpoint
 * that lets go of its record writes them, so that a page that cannot be read is
 * never taken for holes.
 *
 * Order of writes: a page holds recorded values only (csum.c), each copy goes to
 * the place that is not its newest, and who has pages written flushes before they
 * are written again. A crash leaves some copies older than others, or torn with
 * their other place whole: the log has what they lack.
 *
 * Loading is under chunk->mutex, the rest under chunk->lock; copies[] belong to
 * who holds checkpoint_mutex.
 */
#include <linux/slab.h>

#include "qbd.h"

#define COPY_NOWHERE	U64_MAX		/* of a new chunk: nothing of its gen is on disk */

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

static void page_clear(struct qbd_csum_page *page)
{
	__le32 *recorded = page->recorded;

	memset(page, 0, sizeof(*page));
	page->recorded = recorded;
	clear_page(recorded);
}

static void page_free(struct qbd_pool *pool, struct qbd_csum_page *page)
{
	if (!page)
		return;
	atomic_long_dec(&pool->csum_pages);
	mempool_free(page, &pool->csums);
}

static void pages_free(struct qbd_pool *pool, struct qbd_csum_page *list)
{
	struct qbd_csum_page *page;

	while ((page = list)) {
		list = page->next;
		page_free(pool, page);
	}
}

/*
 * Puts @nr pages on a list. Return: false when there is no memory; then there are fewer.
 * From the reserve with @wait only: whoever waits for it has to find in it all that its
 * chunk lacks, also when others came by meanwhile and gave pages to the same chunk.
 */
static bool pages_get(struct qbd_pool *pool, struct qbd_csum_page **list, u32 nr, bool wait)
{
	while (nr--) {
		struct qbd_csum_page *page = wait ?
			qbd_memory_wait(pool, &pool->csums) :
			qbd_memory_csum_page(QBD_GFP_TRY);

		if (!page)
			return false;
		atomic_long_inc(&pool->csum_pages);
		page->next = *list;
		*list = page;
	}
	return true;
}

/* Pages from number @p to @last for which there is no memory yet. */
static u32 pages_lacking(const struct qbd_chunk *chunk, u32 p, u32 last)
{
	u32 nr = 0;

	for (; p <= last; p++)
		nr += !READ_ONCE(chunk->csums[p]) && !READ_ONCE(chunk->spares[p]);
	return nr;
}

/* Have memory for pages @p to @z. Return: false when there is none, unless @wait. */
static bool prepare_pages(struct qbd_chunk *chunk, u32 p, u32 z, bool wait)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_csum_page *list = NULL, *page;
	u32 nr = pages_lacking(chunk, p, z);
	bool got = pages_get(pool, &list, nr, wait);

	/* Others may have done it meanwhile; then there are more than are needed. */
	spin_lock_irq(&chunk->lock);
	for (; got && p <= z && list; p++) {
		if (chunk->csums[p] || chunk->spares[p])
			continue;
		page = list;
		list = page->next;
		WRITE_ONCE(chunk->spares[p], page);
	}
	spin_unlock_irq(&chunk->lock);
	pages_free(pool, list);
	return got;
}

/* The same for rows. Of a chunk that does not exist all of the table is made. */
static bool prepare_rows(struct qbd_chunk *chunk, u32 first, u32 nr, bool wait)
{
	const struct qbd_layer *layer = chunk->layer;

	if (!READ_ONCE(chunk->map)) {
		first = 0;
		nr = layer->rows;
	}
	return prepare_pages(chunk, first * layer->units / QBD_CSUMS_PER_PAGE,
			     ((first + nr) * layer->units - 1) / QBD_CSUMS_PER_PAGE, wait);
}

/**
 * qbd_csum_prepare_rows - have memory for the checksums of some rows; for all of the
 * table if the chunk does not exist
 * @chunk: the chunk
 * @first: the first row
 * @nr: how many
 *
 * So that loading them, or making them for a new chunk, waits for none. Sleeps; what
 * it waits for is a checkpoint, so nothing is locked (memory.c).
 *
 * Return: 0; -EIO in an outage.
 */
int qbd_csum_prepare_rows(struct qbd_chunk *chunk, u32 first, u32 nr)
{
	struct qbd_pool *pool = chunk->layer->pool;
	bool got;

	if (prepare_rows(chunk, first, nr, false))
		return 0;
	mutex_lock(&pool->memory_mutex);
	/* What another one got for the chunk meanwhile is not waited for. */
	got = prepare_rows(chunk, first, nr, true);
	mutex_unlock(&pool->memory_mutex);
	return got ? 0 : -EIO;
}

/**
 * qbd_chunk_get_rows - qbd_chunk_get(), and memory for the checksums of some rows, as
 * qbd_csum_prepare_rows()
 * @layer: the layer
 * @number: the chunk's number in the layer
 * @first: the first row
 * @nr: how many
 *
 * What requests do, of which any number may wait: none of them has its chunk while it
 * is not its turn. A chunk that somebody has is not forgotten, and keeps its pages; were
 * those of the reserve all in such chunks, nobody would get one.
 *
 * Sleeps; nothing is locked that a checkpoint needs. Return: with a reference; NULL in
 * an outage.
 */
struct qbd_chunk *qbd_chunk_get_rows(struct qbd_layer *layer, u32 number, u32 first, u32 nr)
{
	struct qbd_chunk *chunk = qbd_chunk_get(layer, number, GFP_NOIO);
	struct qbd_pool *pool = layer->pool;

	if (!chunk || prepare_rows(chunk, first, nr, false))
		return chunk;
	qbd_chunk_put(chunk);
	mutex_lock(&pool->memory_mutex);
	chunk = qbd_chunk_get(layer, number, GFP_NOIO);
	if (chunk && !prepare_rows(chunk, first, nr, true)) {
		qbd_chunk_put(chunk);
		chunk = NULL;
	}
	mutex_unlock(&pool->memory_mutex);
	return chunk;
}

/*
 * Memory for a page that is not loaded, cleared: what was prepared; in activation,
 * when no checkpoint would fill a reserve, what can be had, or NULL. It stays in
 * chunk->spares until it is loaded. Context: chunk->mutex.
 */
static struct qbd_csum_page *page_new(struct qbd_chunk *chunk, u32 p)
{
	struct qbd_pool *pool = chunk->layer->pool;

	if (!chunk->spares[p]) {
		WARN_ON_ONCE(pool->active);
		chunk->spares[p] = qbd_memory_csum_page(GFP_NOIO);
		if (!chunk->spares[p])
			return NULL;
		atomic_long_inc(&pool->csum_pages);
	}
	page_clear(chunk->spares[p]);
	return chunk->spares[p];
}

static void page_loaded(struct qbd_chunk *chunk, u32 p)
{
	spin_lock_irq(&chunk->lock);
	/* Its content before it is seen: qbd_csum_loaded() takes no lock. */
	smp_store_release(&chunk->csums[p], chunk->spares[p]);
	chunk->spares[p] = NULL;
	spin_unlock_irq(&chunk->lock);
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
		struct qbd_csum_page *page = chunk->csums[p] ?: page_new(chunk, p);

		if (!page)
			return -ENOMEM;
		for (l = 0; l < QBD_MAX_REPLICAS; l++)
			page->copies[l].place = COPY_NOWHERE;
		page->dirty = true;
		if (!chunk->csums[p])
			page_loaded(chunk, p);
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

/*
 * Reads a leg's copy. Returns its newest place in @both, or an error; a backend that
 * failed the read is added to @unread, if that is not NULL.
 */
static int copy_read(struct qbd_chunk *chunk, u64 leg, u32 p, void *both,
		     struct qbd_page_id *id, u64 *unread)
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
	else if (b && unread)
		*unread |= BIT_ULL(b->index);
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
static int page_read(struct qbd_chunk *chunk, u32 p, bool made, struct qbd_csum_page *page,
		     u64 *unread)
{
	const struct qbd_layer *layer = chunk->layer;
	u32 current_legs = qbd_chunk_current(chunk);
	unsigned int l, holders = 0, others = 0;
	u8 *both = mempool_alloc(&layer->pool->places, GFP_NOIO);
	bool found = false;

	for (l = 0; l < qbd_policy_csum_legs(&layer->policy); l++) {
		struct qbd_page_id id;
		int place;
		u64 leg;

		if (!(current_legs & BIT(l)))
			continue;
		holders++;
		leg = READ_ONCE(chunk->map->legs[l]);
		place = copy_read(chunk, leg, p, both, &id, unread);
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
	mempool_free(both, &layer->pool->places);
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
 * @unread: or NULL; if this fails, the backends that failed reads are added to it
 *
 * Sleeps. The chunk exists; who is not activation has prepared the pages. Return: 0;
 * -ENOMEM in activation; -EIO no copy can be read.
 */
int qbd_csum_load(struct qbd_chunk *chunk, u32 first, u32 last, u64 *unread)
{
	u64 failed = 0;
	int err = 0;
	u32 p;

	if (qbd_csum_loaded(chunk, first, last))
		return 0;
	mutex_lock(&chunk->mutex);
	for (p = first / QBD_CSUMS_PER_PAGE; !err && p <= last / QBD_CSUMS_PER_PAGE; p++) {
		struct qbd_csum_page *page;

		if (chunk->csums[p])
			continue;
		page = page_new(chunk, p);
		/*
		 * One that is behind, after a crash or a write that was lost, has
		 * holes where there is data, and no mismatch would tell.
		 */
		chunk->csum_damaged = false;
		err = page ? page_read(chunk, p, false, page, &failed) : -ENOMEM;
		if (err)
			continue;
		page->dirty = chunk->csum_damaged;
		page_loaded(chunk, p);
		if (chunk->csum_damaged)
			qbd_chunk_named(chunk, 0);
	}
	mutex_unlock(&chunk->mutex);
	if (err && unread)
		*unread |= failed;
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
		struct qbd_csum_page *page = chunk->csums[p] ?: page_new(chunk, p);

		if (!page)
			return -ENOMEM;
		if (!chunk->csums[p]) {
			if (page_read(chunk, p, true, page, NULL))
				memset(page->recorded, 0, QBD_PAGE_PAYLOAD);
			page_loaded(chunk, p);
		}
		page->dirty = true;
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

	/*
	 * Fewer than K legs are there: its pages may be nowhere, and with this log the
	 * value goes. Legs that return must not make it what the pages say.
	 */
	if (hweight32(qbd_chunk_current(chunk)) < chunk->layer->policy.k) {
		chunk->given_up = true;
		return 0;
	}
	for (; nr; first += n, values += n, nr -= n) {
		struct qbd_csum_page *page;
		int err = qbd_csum_load(chunk, first, first, NULL);

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
	struct qbd_pool *pool = chunk->layer->pool;
	bool newer = false;

	page = mempool_alloc(&pool->scratch, GFP_NOIO);
	page_clear(page);
	mutex_lock(&chunk->mutex);
	if (chunk->map && !page_read(chunk, unit / QBD_CSUMS_PER_PAGE, false, page, NULL)) {
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
	mempool_free(page, &pool->scratch);
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
	struct qbd_csum_page *page = mempool_alloc(&pool->scratch, GFP_NOIO);
	bool damaged = false;
	u32 p;

	/* Pages of a new chunk are not on disk before a checkpoint; nor are all others. */
	mutex_lock(&pool->checkpoint_mutex);
	mutex_lock(&chunk->mutex);
	for (p = 0; chunk->map && !chunk->dead && p < chunk->layer->csum_pages; p++) {
		if (!chunk->csums[p] || READ_ONCE(chunk->csums[p]->dirty))
			continue;
		page_clear(page);
		chunk->csum_damaged = false;
		page_read(chunk, p, false, page, NULL);
		if (!chunk->csum_damaged)
			continue;
		damaged = true;
		spin_lock_irq(&chunk->lock);
		chunk->csums[p]->dirty = true;
		spin_unlock_irq(&chunk->lock);
	}
	mutex_unlock(&chunk->mutex);
	mutex_unlock(&pool->checkpoint_mutex);
	mempool_free(page, &pool->scratch);
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
		page_free(pool, page);
		page_free(pool, chunk->spares[p]);
		chunk->csums[p] = NULL;
		chunk->spares[p] = NULL;
	}
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
		int place = copy_read(chunk, leg, p, chunk->layer->pool->table_places, &id, NULL);

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
		page->sent = 0;
		page->round = pool->page_round;
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
			page->sent |= BIT(l);
			raw = qbd_pages_next(out);
			memcpy(qbd_page_payload(raw), pool->table_payload, QBD_PAGE_PAYLOAD);
			qbd_pages_write(out, b, b->geometry.csum_start, raw, &id);
		}
	}
}

/**
 * qbd_csum_unwrite - pages that were written in a round of writes may not be there
 * @chunk: the chunk
 * @round: the round
 *
 * The next one goes to the same places. Context: checkpoint_mutex.
 */
void qbd_csum_unwrite(struct qbd_chunk *chunk, u32 round)
{
	u32 p, l;

	for (p = 0; p < chunk->layer->csum_pages; p++) {
		struct qbd_csum_page *page = chunk->csums[p];

		if (!page || page->round != round)
			continue;
		page->round = 0;
		for (l = 0; l < QBD_MAX_REPLICAS; l++)
			if (page->sent & BIT(l))
				page->copies[l].seq--;
		spin_lock_irq(&chunk->lock);
		page->dirty = true;
		spin_unlock_irq(&chunk->lock);
	}
}
