// SPDX-License-Identifier: GPL-2.0-only
/*
 * The journal: writes of parts of rows of ec volumes wait in the ring for their
 * place, so that no row is ever updated in place without what its parity needs.
 *
 * A block is *live* from when its JOURNAL records are durable until a DESTAGED
 * record that covers it is. Reads take live blocks from here; their data stays in
 * memory. What a row has live is a struct qbd_journal_row, in a tree of its chunk
 * and in the pool's list. Whoever has the row locked owns it.
 *
 * Through the ring goes a write
 *	- of a part of a row (of all rows with journal=full);
 *	- of a whole row of a chunk that lacks a leg;
 *	- that touches a row with live blocks, so that replay can never put old data
 *	  over new. A discard destages such rows first.
 * All else goes straight to its place, with its range active (write.c).
 *
 * Order of writes, and what a crash between any two leaves:
 *
 *	1. room was promised and memory is there: nothing is locked
 *	2. row locked; JOURNAL records with the data, durable on every ring member
 *			a part of them: the block as it was. All: the block is live,
 *			and written to the new generation by activation
 *	3. acknowledged, row unlocked
 *	   Destage (destage.c), of a row whose place has only recorded values and
 *	   whose last destage is done. Row locked:
 *	4. the records of its blocks are durable (who wrote them may have been told that
 *	   the ring failed; they are live all the same); part of a row: the new parity,
 *	   then a DESTAGE record with the values of all units, durable. From here on
 *	   these are the values of the place
 *			before that record: as after 2. After it: activation writes
 *			these blocks and the parity to their place, all of them from
 *			the ring, before it reconciles anything
 *	   whole row: nothing more
 *	5. data and parity to their place. A part of a row is unlocked
 *			as after 4: a torn row is written again; a whole row has
 *			all its blocks live, and needs nothing of its place
 *	6. every backend flushed; who failed is out, the chunk is stamped
 *			as after 5
 *	7. DESTAGED record, with the values, durable
 *			the row is in its place; its blocks that are not newer are live
 *			no more. A whole row is unlocked
 *	8. the tail of the ring may pass their records
 *
 * The tail never passes a record that is needed: each row has the number of a
 * block that lies before all of its own (@pos). It is the oldest of what is live
 * or being destaged, so what was overwritten stays until then.
 *
 * Room (ring.c). A row has the room for its destage promised with its first live
 * block: so all that is live can be destaged though the tail does not move. Live
 * blocks are bounded: activation writes them behind the log that it found.
 *
 * Model: tests/model/journal.pml.
 */
#include <linux/slab.h>

#include "qbd.h"

#define MIN_PAGES	256	/* in reserve: the largest request */
#define MIN_ROWS	64
#define MAX_PAGES	16384	/* 64 MiB live at most */

static size_t row_bytes(const struct qbd_layer *layer)
{
	struct qbd_journal_row *jr;

	return struct_size(jr, pages, layer->policy.k * layer->block_pages);
}

/**
 * qbd_journal_room - blocks of the ring that data takes
 * @pages: of data
 *
 * With headers, and what is left over at ends.
 */
u32 qbd_journal_room(u32 pages)
{
	return pages + pages / 8 + 1;
}

/**
 * qbd_journal_layer - what a layer needs of the journal; set when it is made
 * @layer: the layer
 *
 * One whose rows are too large for the ring goes without.
 */
void qbd_journal_layer(struct qbd_layer *layer)
{
	u32 pages = layer->block_pages, row;

	if (!layer->code)
		return;
	layer->destage_room = qbd_journal_room(layer->policy.m * pages) + 1;
	row = qbd_journal_room(layer->policy.k * pages) + layer->destage_room;
	if (row * 8 <= layer->pool->members.ring_blocks) {
		if (layer->pool->members.journal != QBD_JOURNAL_OFF)
			layer->pool->ring.spared = max(layer->pool->ring.spared,
						       row - layer->destage_room);
		return;
	}
	if (layer->pool->members.journal != QBD_JOURNAL_OFF)
		DMWARN("%s: volume %u: its rows are too large for the ring: it has no journal",
		       layer->pool->members.pool_name, layer->volume);
	layer->destage_room = 0;
}

/**
 * qbd_journal_max_rows - of one request that all goes through the ring
 * @layer: the layer, one that can have a journal
 */
u32 qbd_journal_max_rows(const struct qbd_layer *layer)
{
	u32 row = qbd_journal_room(layer->policy.k * layer->block_pages) + layer->destage_room;

	return min(layer->pool->members.ring_blocks / 8 / row,
		   MIN_PAGES / (layer->policy.k * layer->block_pages)) ?: 1;
}

static enum qbd_journal_mode mode_of(const struct qbd_layer *layer)
{
	return layer->destage_room ? READ_ONCE(layer->pool->members.journal) : QBD_JOURNAL_OFF;
}

/* The first row of the chunk's that is not before @row, or NULL. */
static struct qbd_journal_row *row_from(struct qbd_chunk *chunk, u32 row)
{
	struct rb_node *node = chunk->journal.rb_node;
	struct qbd_journal_row *best = NULL;

	lockdep_assert_held(&chunk->lock);
	while (node) {
		struct qbd_journal_row *jr = rb_entry(node, struct qbd_journal_row, node);

		if (jr->row >= row)
			best = jr;
		if (jr->row == row)
			break;
		node = jr->row > row ? node->rb_left : node->rb_right;
	}
	return best;
}

/* That row, or NULL. Another one's may be gone as soon as the lock is. */
static struct qbd_journal_row *row_at(struct qbd_chunk *chunk, u32 row)
{
	struct qbd_journal_row *jr = row_from(chunk, row);

	return jr && jr->row == row ? jr : NULL;
}

/**
 * qbd_journal_has - are there live blocks in some rows
 * @chunk: the chunk
 * @first: the first row
 * @last: the last row
 *
 * Context: chunk->lock.
 */
bool qbd_journal_has(struct qbd_chunk *chunk, u32 first, u32 last)
{
	struct qbd_journal_row *jr = row_from(chunk, first);
	struct rb_node *next;

	while (jr && jr->row <= last) {
		if (jr->live)
			return true;
		next = rb_next(&jr->node);
		jr = next ? rb_entry(next, struct qbd_journal_row, node) : NULL;
	}
	return false;
}

/**
 * qbd_journal_find - what a row has in the journal
 * @chunk: the chunk
 * @row: the row; the caller has it locked
 *
 * Return: NULL if there is nothing.
 */
struct qbd_journal_row *qbd_journal_find(struct qbd_chunk *chunk, u32 row)
{
	struct qbd_journal_row *jr;
	unsigned long flags;

	if (RB_EMPTY_ROOT(&chunk->journal))
		return NULL;
	spin_lock_irqsave(&chunk->lock, flags);
	jr = row_at(chunk, row);
	spin_unlock_irqrestore(&chunk->lock, flags);
	return jr;
}

/**
 * qbd_journal_live - the data legs of a row that are live: a mask
 * @chunk: the chunk
 * @row: the row; without its lock the answer may be old
 */
u32 qbd_journal_live(struct qbd_chunk *chunk, u32 row)
{
	struct qbd_journal_row *jr;
	unsigned long flags;
	u32 live = 0;

	if (RB_EMPTY_ROOT(&chunk->journal))
		return 0;
	spin_lock_irqsave(&chunk->lock, flags);
	jr = row_at(chunk, row);
	if (jr)
		live = jr->live;
	spin_unlock_irqrestore(&chunk->lock, flags);
	return live;
}

/**
 * qbd_journal_torn - did a destage of all of a row fail, and its place is any mixture
 * @chunk: the chunk
 * @row: the row; the caller has it locked
 */
bool qbd_journal_torn(struct qbd_chunk *chunk, u32 row)
{
	struct qbd_journal_row *jr = qbd_journal_find(chunk, row);

	return jr && READ_ONCE(jr->torn);
}

/**
 * qbd_journal_unplaced - is a row's place of no matter: a destage of all of it failed, and
 * will write it whole
 * @chunk: the chunk
 * @row: the row
 */
bool qbd_journal_unplaced(struct qbd_chunk *chunk, u32 row)
{
	struct qbd_journal_row *jr;
	bool unplaced;

	spin_lock_irq(&chunk->lock);
	jr = row_at(chunk, row);
	unplaced = jr && jr->torn && jr->live == BIT(chunk->layer->policy.k) - 1;
	spin_unlock_irq(&chunk->lock);
	return unplaced;
}

/**
 * qbd_journal_wants - does a write of a row go through the ring
 * @chunk: the chunk
 * @row: the row; without its lock the answer may be old
 * @whole: the data legs that it writes wholly
 */
bool qbd_journal_wants(struct qbd_chunk *chunk, u32 row, u32 whole)
{
	const struct qbd_layer *layer = chunk->layer;
	enum qbd_journal_mode mode = mode_of(layer);

	if (!layer->code)
		return false;
	if (mode == QBD_JOURNAL_FULL)
		return true;
	if (mode == QBD_JOURNAL_ON &&
	    (whole != BIT(layer->policy.k) - 1 ||
	     (chunk->map && qbd_chunk_current(chunk) != BIT(qbd_policy_legs(&layer->policy)) - 1)))
		return true;
	return qbd_journal_live(chunk, row);
}

/**
 * qbd_journal_straight - may whole rows be written straight to their place
 * @chunk: the chunk, which exists
 * @first: the first row
 * @last: the last row
 *
 * Context: chunk->lock.
 */
bool qbd_journal_straight(struct qbd_chunk *chunk, u32 first, u32 last)
{
	const struct qbd_layer *layer = chunk->layer;
	enum qbd_journal_mode mode = mode_of(layer);

	return !layer->code ||
	       (mode != QBD_JOURNAL_FULL && !qbd_journal_has(chunk, first, last) &&
		(mode == QBD_JOURNAL_OFF ||
		 qbd_chunk_current(chunk) == BIT(qbd_policy_legs(&layer->policy)) - 1));
}

/* Memory for a request, which may @wait. What could not be had is left out. */
static bool space_fill(struct qbd_layer *layer, struct qbd_journal_space *space, u32 nr_rows,
		       u32 nr_pages, bool wait)
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_journal *j = &pool->journal;

	while (space->nr_rows < nr_rows) {
		struct qbd_journal_row *jr = qbd_memory_try(row_bytes(layer));
		bool pooled = !jr && wait;

		if (pooled)
			jr = qbd_memory_wait(pool, &j->row_pool);
		if (!jr)
			return false;
		memset(jr, 0, row_bytes(layer));
		jr->pooled = pooled;
		list_add(&jr->list, &space->rows);
		space->nr_rows++;
	}
	while (space->nr_pages < nr_pages) {
		struct page *page = wait ? qbd_memory_wait(pool, &j->pages) :
				    mempool_alloc(&j->pages, QBD_GFP_TRY);

		if (!page)
			return false;
		list_add(&page->lru, &space->pages);
		space->nr_pages++;
	}
	return true;
}

static void row_release(struct qbd_pool *pool, struct qbd_journal_row *jr)
{
	if (jr->pooled)
		mempool_free(jr, &pool->journal.row_pool);
	else
		kfree(jr);
}

static void space_empty(struct qbd_pool *pool, struct qbd_journal_space *space)
{
	struct qbd_journal_row *jr, *next;
	struct page *page, *next_page;

	list_for_each_entry_safe(jr, next, &space->rows, list)
		row_release(pool, jr);
	list_for_each_entry_safe(page, next_page, &space->pages, lru)
		mempool_free(page, &pool->journal.pages);
	INIT_LIST_HEAD(&space->rows);
	INIT_LIST_HEAD(&space->pages);
	space->nr_rows = 0;
	space->nr_pages = 0;
}

static bool count_pages(struct qbd_journal *j, u32 nr)
{
	bool ok;

	spin_lock(&j->lock);
	ok = j->nr_pages + nr <= j->max_pages;
	if (ok)
		j->nr_pages += nr;
	spin_unlock(&j->lock);
	return ok;
}

static void uncount_pages(struct qbd_pool *pool, u32 nr)
{
	spin_lock(&pool->journal.lock);
	pool->journal.nr_pages -= nr;
	spin_unlock(&pool->journal.lock);
	wake_up_all(&pool->ring.wait);
}

static bool try_reserve(struct qbd_pool *pool, struct qbd_journal_space *space, u32 nr_pages)
{
	struct qbd_journal *j = &pool->journal;
	bool ok = count_pages(j, nr_pages);

	if (READ_ONCE(j->nr_pages) * 100 >= j->max_pages * QBD_DESTAGE_FROM)
		qbd_destage_soon(pool);
	if (!ok)
		return false;
	if (qbd_ring_promise(pool, space->blocks + space->destages))
		return true;
	uncount_pages(pool, nr_pages);
	return false;
}

/*
 * @before: how often all was done in vain when the request came. Return: false when nothing
 * can be recorded or flushed, or no room will come.
 */
static bool wait_for_room(struct qbd_pool *pool, struct qbd_journal_space *space, u32 nr_pages,
			  u64 before)
{
	struct qbd_ring *ring = &pool->ring;
	bool got = false, vain = false;

	/* Tried now and then: ordinary records do not wait in this line. */
	atomic_inc(&ring->waiting);
	while (!got && !vain && !qbd_pool_outage(pool)) {
		vain = qbd_destage_in_vain(pool) >= before + 2;
		wait_event_timeout(ring->wait, (got = try_reserve(pool, space, nr_pages)) ||
				   vain || qbd_pool_outage(pool), HZ / 4);
	}
	atomic_dec(&ring->waiting);
	return got;
}

/**
 * qbd_journal_reserve - wait until a request may put blocks into the journal
 * @layer: the layer
 * @nr_rows: rows that it may touch
 * @nr_blocks: blocks that it may write
 * @space: to be given back with qbd_journal_unreserve()
 *
 * Sleeps. Context: nothing is locked, for what is waited for is a destage.
 *
 * Return: 0; the error with which the ring failed; -EIO when it cannot be written now,
 * or there is no room and nothing can be flushed, which a destage needs, or all room
 * is of rows that cannot be destaged.
 */
int qbd_journal_reserve(struct qbd_layer *layer, u32 nr_rows, u32 nr_blocks,
			struct qbd_journal_space *space)
{
	struct qbd_pool *pool = layer->pool;
	struct qbd_journal *j = &pool->journal;
	u32 nr_pages = nr_blocks * layer->block_pages;
	bool got;

	memset(space, 0, sizeof(*space));
	INIT_LIST_HEAD(&space->rows);
	INIT_LIST_HEAD(&space->pages);
	if (!nr_blocks)
		return 0;
	space->blocks = qbd_journal_room(nr_pages);
	space->destages = nr_rows * layer->destage_room;
	/* Nobody passes those who wait: a large request would wait for ever. */
	got = !mutex_is_locked(&j->room_mutex) && try_reserve(pool, space, nr_pages);
	if (!got) {
		/* Those who wait in line wait together for what is in vain. */
		u64 before = qbd_destage_in_vain(pool);

		mutex_lock(&j->room_mutex);
		got = wait_for_room(pool, space, nr_pages, before);
		mutex_unlock(&j->room_mutex);
	}
	if (!got) {
		space->blocks = 0;
		space->destages = 0;
		return READ_ONCE(pool->ring.error) ?: -EIO;
	}
	/* As qbd_rows_alloc() does it. */
	if (!space_fill(layer, space, nr_rows, nr_pages, false)) {
		space_empty(pool, space);
		mutex_lock(&pool->journal.space_mutex);
		got = space_fill(layer, space, nr_rows, nr_pages, true);
		mutex_unlock(&pool->journal.space_mutex);
	}
	if (got)
		return 0;
	/* An outage began. */
	space_empty(pool, space);
	uncount_pages(pool, nr_pages);
	qbd_journal_unreserve(layer, space);
	return -EIO;
}

/**
 * qbd_journal_unreserve - give back what a request did not use
 * @layer: the layer
 * @space: what it had
 */
void qbd_journal_unreserve(struct qbd_layer *layer, struct qbd_journal_space *space)
{
	struct qbd_pool *pool = layer->pool;
	u32 nr_pages = space->nr_pages;

	space_empty(pool, space);
	if (nr_pages)
		uncount_pages(pool, nr_pages);
	qbd_ring_unpromise(pool, space->blocks + space->destages);
	space->blocks = 0;
	space->destages = 0;
}

/**
 * qbd_journal_add - a row gets its first journaled block
 * @chunk: the chunk
 * @row: the row; the caller has it locked, and there is none in the tree
 * @jr: memory, zeroed but for jr->pooled
 */
struct qbd_journal_row *qbd_journal_add(struct qbd_chunk *chunk, u32 row,
					struct qbd_journal_row *jr)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct rb_node **at = &chunk->journal.rb_node, *parent = NULL;

	jr->chunk = chunk;
	jr->row = row;
	jr->later_pos = U64_MAX;
	atomic_inc(&chunk->refs);
	spin_lock_irq(&chunk->lock);
	while (*at) {
		parent = *at;
		at = rb_entry(parent, struct qbd_journal_row, node)->row > row ?
		     &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&jr->node, parent, at);
	rb_insert_color(&jr->node, &chunk->journal);
	spin_unlock_irq(&chunk->lock);
	spin_lock(&pool->journal.lock);
	jr->seq = ++pool->journal.seq;
	jr->pos = READ_ONCE(pool->ring.next_block);
	list_add_tail(&jr->list, &pool->journal.rows);
	pool->journal.nr_rows++;
	spin_unlock(&pool->journal.lock);
	return jr;
}

/*
 * The row's records from now on are not before the block that is next. @fresh: legs are
 * written that are not live.
 */
static void row_begin(struct qbd_journal_row *jr, struct qbd_journal_space *space, bool fresh)
{
	struct qbd_layer *layer = jr->chunk->layer;
	struct qbd_pool *pool = layer->pool;

	spin_lock(&pool->journal.lock);
	if (jr->destaging && jr->later_pos == U64_MAX)
		jr->later_pos = READ_ONCE(pool->ring.next_block);
	if (!jr->promised) {
		jr->promised = layer->destage_room;
		space->destages -= layer->destage_room;
	}
	/* It may be what was in the way of its destage that is written. */
	if (fresh)
		jr->tried = 0;
	spin_unlock(&pool->journal.lock);
}

/**
 * qbd_journal_record - the record of a block; its pieces are set when it is appended
 * @chunk: the chunk, which has a map
 * @row: the row
 * @leg: the leg
 * @csum: the block's checksum
 */
struct qbd_record qbd_journal_record(const struct qbd_chunk *chunk, u32 row, u32 leg, u32 csum)
{
	return (struct qbd_record){
		.type = QBD_RECORD_JOURNAL, .layer = chunk->layer->number,
		.chunk = chunk->number, .gen = chunk->map->gen,
		.row = row, .leg = leg, .csum = csum,
	};
}

/**
 * qbd_journal_append - put blocks of a row into the journal
 * @rows: their data in its pages, their checksums; rows->ring says which
 * @row: the row, counted from rows->first; locked
 * @space: what the request reserved
 *
 * They are live at once, for who has the row locked; it stays so until rows->lsn is
 * durable. Sleeps.
 */
void qbd_journal_append(struct qbd_rows *rows, u32 row, struct qbd_journal_space *space)
{
	struct qbd_chunk *chunk = rows->chunk;
	struct qbd_layer *layer = chunk->layer;
	u32 pages = layer->block_pages, l, i;
	struct qbd_journal_row *jr = qbd_journal_find(chunk, rows->first + row);
	u64 lsn;

	if (!jr) {
		jr = list_first_entry(&space->rows, struct qbd_journal_row, list);
		list_del(&jr->list);
		space->nr_rows--;
		qbd_journal_add(chunk, rows->first + row, jr);
	}
	row_begin(jr, space, rows->ring[row] & ~jr->live);
	for (l = 0; rows->ring[row] >> l; l++) {
		struct page **data = qbd_rows_block(rows, l, row);
		struct qbd_record r = qbd_journal_record(chunk, rows->first + row, l,
							 *qbd_rows_csum(rows, l, row));

		if (!(rows->ring[row] & BIT(l)))
			continue;
		lsn = qbd_ring_append_block(layer->pool, &r, data, layer->block_size);
		rows->lsn = max(rows->lsn, lsn);
		/* The ring cannot be written now: the block is as it was. */
		if (lsn == U64_MAX) {
			rows->ring[row] &= ~BIT(l);
			continue;
		}
		jr->blocks[l].csum = r.csum;
		jr->blocks[l].lsn = lsn;
		for (i = 0; i < pages; i++) {
			struct page **to = &jr->pages[l * pages + i];

			if (!*to) {
				*to = list_first_entry(&space->pages, struct page, lru);
				list_del(&(*to)->lru);
				space->nr_pages--;
			}
			copy_page(page_address(*to), page_address(data[i]));
		}
	}
	spin_lock_irq(&chunk->lock);
	jr->live |= rows->ring[row];
	spin_unlock_irq(&chunk->lock);
	qbd_destage_idle(layer->pool);
}

/**
 * qbd_journal_copy - take blocks of a row from the journal
 * @rows: where to, into its pages; rows->have says nothing of them
 * @row: the row, counted from rows->first; locked
 * @legs: data legs that are live, a mask
 */
void qbd_journal_copy(struct qbd_rows *rows, u32 row, u32 legs)
{
	u32 pages = rows->chunk->layer->block_pages, l, i;
	struct qbd_journal_row *jr = legs ? qbd_journal_find(rows->chunk, rows->first + row) :
					    NULL;

	for (l = 0; legs >> l; l++) {
		if (!(legs & BIT(l)))
			continue;
		for (i = 0; i < pages; i++)
			copy_page(page_address(qbd_rows_block(rows, l, row)[i]),
				  page_address(jr->pages[l * pages + i]));
		*qbd_rows_csum(rows, l, row) = jr->blocks[l].csum;
	}
}

/**
 * qbd_journal_drop - blocks are live no more
 * @jr: the row, locked
 * @legs: a mask
 */
void qbd_journal_drop(struct qbd_journal_row *jr, u32 legs)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	u32 pages = chunk->layer->block_pages, nr = 0, i;

	spin_lock_irq(&chunk->lock);
	jr->live &= ~legs;
	spin_unlock_irq(&chunk->lock);
	for (i = 0; i < chunk->layer->policy.k * pages; i++) {
		if (!(legs & BIT(i / pages)) || !jr->pages[i])
			continue;
		mempool_free(jr->pages[i], &pool->journal.pages);
		jr->pages[i] = NULL;
		nr++;
	}
	if (nr)
		uncount_pages(pool, nr);
}

/**
 * qbd_journal_free - a row has nothing live any more
 * @jr: the row, locked; nobody destages it
 */
void qbd_journal_free(struct qbd_journal_row *jr)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	u32 promised = jr->promised;

	qbd_journal_drop(jr, ~0u);
	spin_lock_irq(&chunk->lock);
	if (!jr->gone)
		rb_erase(&jr->node, &chunk->journal);
	spin_unlock_irq(&chunk->lock);
	spin_lock(&pool->journal.lock);
	list_del(&jr->list);
	pool->journal.nr_rows--;
	spin_unlock(&pool->journal.lock);
	qbd_journal_replay_free(jr);
	row_release(pool, jr);
	qbd_ring_unpromise(pool, promised);
	qbd_chunk_put(chunk);
}

/**
 * qbd_journal_forget - the chunk was freed, durably: nothing of it is live
 * @chunk: the chunk; the caller has all its rows locked
 */
void qbd_journal_forget(struct qbd_chunk *chunk)
{
	struct qbd_journal *j = &chunk->layer->pool->journal;
	struct qbd_journal_row *jr;
	bool destaging;

	for (;;) {
		spin_lock_irq(&chunk->lock);
		jr = row_from(chunk, 0);
		spin_unlock_irq(&chunk->lock);
		if (!jr)
			break;
		qbd_journal_drop(jr, ~0u);
		spin_lock_irq(&chunk->lock);
		rb_erase(&jr->node, &chunk->journal);
		jr->gone = true;
		spin_unlock_irq(&chunk->lock);
		spin_lock(&j->lock);
		destaging = jr->destaging;
		jr->pos = U64_MAX;
		jr->later_pos = U64_MAX;
		/* Only now, or the destage could begin with it in between. */
		if (!destaging)
			jr->destaging = true;
		spin_unlock(&j->lock);
		if (!destaging)
			qbd_journal_free(jr);
	}
}

/**
 * qbd_journal_tail - up to where the ring may be freed
 * @pool: the pool
 * @block: what else is needed begins here
 *
 * Context: journal->lock. Return: the number of the oldest block that is needed.
 */
u64 qbd_journal_tail(struct qbd_pool *pool, u64 block)
{
	struct qbd_journal_row *jr;

	lockdep_assert_held(&pool->journal.lock);
	list_for_each_entry(jr, &pool->journal.rows, list)
		block = min3(block, jr->pos, jr->later_pos);
	return block;
}

/**
 * qbd_journal_moved - the log was copied to other blocks. Context: journal->lock.
 * @pool: the pool
 * @by: so many blocks further on
 */
void qbd_journal_moved(struct qbd_pool *pool, u64 by)
{
	struct qbd_journal_row *jr;

	lockdep_assert_held(&pool->journal.lock);
	list_for_each_entry(jr, &pool->journal.rows, list) {
		if (jr->pos != U64_MAX)
			jr->pos += by;
		if (jr->later_pos != U64_MAX)
			jr->later_pos += by;
	}
}

/**
 * qbd_journal_init - memory of the journal; the members are known
 * @pool: the pool
 *
 * A pool without a journal needs none: nothing is ever live. Return: 0 or -ENOMEM;
 * qbd_journal_exit() in either case.
 */
int qbd_journal_init(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr;

	j->max_pages = min_t(u32, pool->members.ring_blocks / 5, MAX_PAGES);
	if (pool->members.journal == QBD_JOURNAL_OFF)
		return 0;
	return qbd_reserve_pages(&j->pages, min_t(u32, MIN_PAGES, j->max_pages)) ?:
	       qbd_reserve_bytes(&j->row_pool, MIN_ROWS,
				 struct_size(jr, pages, QBD_MAX_K * QBD_MAX_BLOCK / PAGE_SIZE)) ?:
	       qbd_destage_init(pool);
}

void qbd_journal_exit(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr, *next;

	/* Of a pool that failed, or did not start. */
	list_for_each_entry_safe(jr, next, &j->rows, list)
		qbd_journal_free(jr);
	mempool_exit(&j->pages);
	mempool_exit(&j->row_pool);
}
