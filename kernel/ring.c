// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring: the pool's one redo log, with group commit.
 *
 * Records are appended to the open batch, in memory, and get their LSN there.
 * While one batch is written to all ring members, with FUA, the next one fills:
 * that is the group commit. When a batch is durable its records are applied, in
 * order, to the tables in memory (apply.c), then whoever waits for an LSN in it
 * goes on. So for everyone who waited, "durable" and "in effect" are one.
 *
 *	    tail              next_block
 *	----|=================|........(open batch)......
 *	free   in the log        in flight or to be written
 *
 * Order of writes, and what a crash between any two leaves:
 * - A batch is sent only when the one before is durable on every ring member that
 *   is in. A crash leaves any part of the last batch; nobody was told of it.
 * - A member that fails a batch is out, by an epoch that is durable before the
 *   batch counts. A crash before that epoch finds a member whose ring ends
 *   earlier, and the union with the others has the batch.
 * - A block goes over the one ring_blocks before it only when a durable block
 *   named a tail beyond that one. A crash cannot find a log with a hole.
 *
 * Room. Appending never waits for room in the ring: whoever will append asks
 * first (qbd_ring_admit) while it holds nothing; who brings data for the journal
 * has room for it promised, and for its destage. A user's flush asks, too: writes
 * that overwrite active ranges do not. Half of the ring is kept for
 * what must go in: the checksum records of a flush, the ranges that a checkpoint
 * renews, the stamps of the chunks named since the last checkpoint; with a journal
 * also its blocks, which the next activation writes behind the log. The bounds
 * max_named, max_ranges and max_pending make these fit. Of the other half, with a
 * journal, some blocks are spared, so that what cannot be destaged can be put into the
 * ring anew when all else of it is used (destage-stuck.c); and as many are for ordinary
 * records only, so that they go on where the journal is full of that.
 *
 * Stalled. A batch that fails on a member which has to stay in (rule 4) is not
 * given up: it is sent again, the same blocks with the same LSNs, when kept.c finds
 * that the member answers. Until then nothing is appended, and whoever waits for a
 * record gets an error, though the record may yet become durable. So he who let go
 * of his locks with a record under way must see to it that nothing is begun that the
 * record would be wrong for: no write begins in a chunk whose last chunk record is
 * not in effect (qbd_chunk_quiet()).
 *
 * Models: tests/model/flush.pml, members.pml.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

#define MAX_STAMP	200	/* bytes of a chunk record with 20 legs */
#define MAX_SPARED	512u	/* blocks */
#define RECENT		8	/* blocks */

void qbd_ring_exit(struct qbd_pool *pool)
{
	qbd_batch_exit(&pool->ring.batch[0]);
	qbd_batch_exit(&pool->ring.batch[1]);
}

/**
 * qbd_batch_init - memory for blocks of the ring
 * @batch: the batch
 * @max_blocks: how many
 *
 * Return: 0 or -ENOMEM; qbd_batch_exit() in either case.
 */
int qbd_batch_init(struct qbd_batch *batch, unsigned int max_blocks)
{
	batch->max_blocks = max_blocks;
	batch->blocks = vzalloc((size_t)max_blocks * QBD_PAGE_SIZE);
	batch->heads = kvcalloc(max_blocks, sizeof(struct qbd_ring_block), GFP_KERNEL);
	return batch->blocks && batch->heads ? 0 : -ENOMEM;
}

void qbd_batch_exit(struct qbd_batch *batch)
{
	vfree(batch->blocks);
	kvfree(batch->heads);
}

/* Room for a record in the open batch, or NULL. Begins a block if need be. */
static u8 *batch_room(struct qbd_batch *batch, unsigned int size, u64 lsn)
{
	struct qbd_ring_block *head = batch->heads + batch->nr_blocks - 1;

	if (!batch->nr_blocks || head->used + size > QBD_PAGE_PAYLOAD) {
		if (batch->nr_blocks == batch->max_blocks)
			return NULL;
		head = batch->heads + batch->nr_blocks++;
		memset(head, 0, sizeof(*head));
		head->first_lsn = lsn;
	}
	return batch->blocks + (batch->nr_blocks - 1) * QBD_PAGE_SIZE +
	       offsetof(struct qbd_ring_disk, payload) + head->used;
}

/* Encode a record where batch_room() said. */
static void batch_put(struct qbd_batch *batch, const struct qbd_record *record, u8 *room,
		      u64 lsn)
{
	struct qbd_ring_block *head = batch->heads + batch->nr_blocks - 1;

	head->used += qbd_record_encode(record, room);
	head->nr_records++;
	batch->last_lsn = lsn;
}

#define MIN_PIECE	256

/*
 * The next piece of a block's data, as large as the room in the last block of the
 * batch, if that is worth it. @at: bytes that were put. Return: false: no room.
 */
static bool batch_piece(struct qbd_batch *batch, struct qbd_record *r,
			struct page *const *pages, u32 bytes, u32 at, u64 lsn)
{
	u32 left = batch->nr_blocks ?
		   QBD_PAGE_PAYLOAD - batch->heads[batch->nr_blocks - 1].used : 0;
	u32 most = QBD_MAX_PIECE;
	u8 *room;

	if (left >= sizeof(struct qbd_journal_record_disk) + MIN_PIECE)
		most = (left - sizeof(struct qbd_journal_record_disk)) & ~7u;
	r->offset = at;
	r->bytes = min3(most, bytes - at, (u32)(PAGE_SIZE - offset_in_page(at)));
	r->data = page_address(pages[at >> PAGE_SHIFT]) + offset_in_page(at);
	room = batch_room(batch, qbd_record_size(r), lsn);
	if (!room)
		return false;
	batch_put(batch, r, room, lsn);
	return true;
}

/**
 * qbd_batch_add - a block with its data, into a batch that is not the ring's
 * @batch: the batch
 * @next_lsn: of its next record
 * @r: the record; the pieces are set here
 * @pages: the data
 * @bytes: a multiple of the page size
 *
 * Return: the LSN of its last piece, or 0 when there is no room.
 */
u64 qbd_batch_add(struct qbd_batch *batch, u64 *next_lsn, struct qbd_record *r,
		  struct page *const *pages, u32 bytes)
{
	u32 at;

	for (at = 0; at < bytes; at += r->bytes) {
		if (!batch_piece(batch, r, pages, bytes, at, *next_lsn))
			return 0;
		++*next_lsn;
	}
	return batch->last_lsn;
}

/* Is there room again where @full was: it was sent, or never was full. */
static bool batch_begun(struct qbd_ring *ring, struct qbd_batch *full)
{
	return READ_ONCE(ring->open) != full || READ_ONCE(full->nr_blocks) < full->max_blocks;
}

/* The open batch is full, or the ring paused: wait, without the lock. */
static bool ring_wait_open(struct qbd_ring *ring)
	__must_hold(&ring->lock)
{
	struct qbd_batch *full = ring->open;

	spin_unlock(&ring->lock);
	wait_event(ring->wait, (!READ_ONCE(ring->paused) && batch_begun(ring, full)) ||
		   qbd_ring_down(ring));
	spin_lock(&ring->lock);
	return !qbd_ring_down(ring);
}

/**
 * qbd_ring_append_block - put a block into the log, with its data
 * @pool: the pool
 * @r: the record; the pieces are set here
 * @pages: the data
 * @bytes: a multiple of the page size
 *
 * As qbd_ring_append(); room for it was promised.
 *
 * Return: the LSN of its last piece; U64_MAX when the ring cannot be written now.
 * Then a part of the block may be in the log, which replay passes over.
 */
u64 qbd_ring_append_block(struct qbd_pool *pool, struct qbd_record *r,
			  struct page *const *pages, u32 bytes)
{
	struct qbd_ring *ring = &pool->ring;
	u64 lsn = 0;
	u32 at;

	spin_lock(&ring->lock);
	for (at = 0; at < bytes; at += r->bytes) {
		while (ring->paused || qbd_ring_down(ring) ||
		       !batch_piece(ring->open, r, pages, bytes, at, ring->next_lsn)) {
			/* What is there has to go, so that there is room again. */
			queue_work(pool->ring_wq, &ring->work);
			if (!ring_wait_open(ring)) {
				spin_unlock(&ring->lock);
				return U64_MAX;
			}
		}
		lsn = ring->next_lsn++;
	}
	spin_unlock(&ring->lock);
	queue_work(pool->ring_wq, &ring->work);
	return lsn;
}

/**
 * qbd_ring_append - put a record into the log
 * @pool: the pool
 * @record: a new chunk's gen is set to the record's LSN
 *
 * It is neither durable nor in effect when this returns; see qbd_ring_wait().
 * May sleep until the batch in flight is durable, but not for room in the ring.
 *
 * Return: its LSN; U64_MAX, for which qbd_ring_wait() fails, when the ring cannot be
 * written now.
 */
u64 qbd_ring_append(struct qbd_pool *pool, struct qbd_record *record)
{
	unsigned int size = qbd_record_size(record);
	struct qbd_ring *ring = &pool->ring;
	u8 *room;
	u64 lsn;

	spin_lock(&ring->lock);
	while (ring->paused || qbd_ring_down(ring) ||
	       !(room = batch_room(ring->open, size, ring->next_lsn))) {
		if (!ring_wait_open(ring)) {
			spin_unlock(&ring->lock);
			return U64_MAX;
		}
	}
	lsn = ring->next_lsn++;
	if (record->type == QBD_RECORD_CHUNK && record->op == QBD_CHUNK_ALLOC)
		record->gen = lsn;
	batch_put(ring->open, record, room, lsn);
	spin_unlock(&ring->lock);
	queue_work(pool->ring_wq, &ring->work);
	return lsn;
}

/**
 * qbd_ring_wait - wait until a record is durable and in effect
 * @pool: the pool
 * @lsn: LSN of the record
 *
 * Return: 0, or why the ring cannot be written; what was appended may become durable
 * later, unless @lsn is U64_MAX.
 */
int qbd_ring_wait(struct qbd_pool *pool, u64 lsn)
{
	struct qbd_ring *ring = &pool->ring;

	if (lsn != U64_MAX)
		wait_event(ring->wait, READ_ONCE(ring->durable_lsn) >= lsn ||
			   qbd_ring_down(ring));
	if (lsn != U64_MAX && READ_ONCE(ring->durable_lsn) >= lsn)
		return 0;
	return READ_ONCE(ring->error) ?: -EIO;
}

/**
 * qbd_ring_record - append a record and wait for it
 * @pool: the pool
 * @record: the record
 */
int qbd_ring_record(struct qbd_pool *pool, struct qbd_record *record)
{
	return qbd_ring_wait(pool, qbd_ring_append(pool, record));
}

/* Blocks that are used, or will be by those who were admitted with data. */
static u64 ring_taken(const struct qbd_ring *ring)
{
	return READ_ONCE(ring->next_block) - READ_ONCE(ring->durable_tail) +
	       READ_ONCE(ring->promised);
}

/**
 * qbd_ring_used - how full the ring itself is, in percent of where ordinary records
 * wait
 * @pool: the pool
 */
unsigned int qbd_ring_used(struct qbd_pool *pool)
{
	const struct qbd_ring *ring = &pool->ring;

	return div_u64(ring_taken(ring) * 100, ring->capacity / 2 - ring->spared);
}

/* How full the ring's bounds are, in percent. */
static unsigned int bounds_fill(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;

	return max3((u64)atomic_read(&pool->nr_named) * 100 / ring->max_named,
		    (u64)atomic_read(&pool->nr_ranges) * 100 / ring->max_ranges,
		    (u64)atomic_read(&pool->nr_pending) * 100 / ring->max_pending);
}

static unsigned int ring_fill(struct qbd_pool *pool)
{
	return max(qbd_ring_used(pool), bounds_fill(pool));
}

/**
 * qbd_ring_relieve - the ring or its bounds fill up: begin what empties them
 * @pool: the pool
 *
 * A checkpoint where the log since the last one is long, a destage where rows wait
 * in the journal. Context: any but an interrupt.
 */
void qbd_ring_relieve(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	unsigned int used = qbd_ring_used(pool), bounds = bounds_fill(pool);
	/* A large request may wait though there is room for others. */
	bool waiting = atomic_read(&ring->waiting);
	bool live = (waiting || used >= QBD_DESTAGE_FROM) && qbd_destage_soon(pool);
	u64 since = READ_ONCE(ring->next_block) - READ_ONCE(ring->checked);

	if (max(used, bounds) < 50 && !waiting)
		return;
	/* What runs is not asked to run again, but where someone waits for it. */
	if (max(used, bounds) < 100 && mutex_is_locked(&pool->checkpoint_mutex))
		return;
	/* One that was just made need not be made again. */
	if (bounds >= 50 || (!live && since > RECENT) || since >= ring->capacity / 8)
		qbd_checkpoint_soon(pool);
}

/* Keep room, so that the ring is used up to @limit. */
static bool promise(struct qbd_ring *ring, u32 blocks, u32 limit)
{
	bool ok;

	spin_lock(&ring->lock);
	ok = ring_taken(ring) + ring->open->nr_blocks + blocks <= limit;
	if (ok)
		ring->promised += blocks;
	spin_unlock(&ring->lock);
	return ok;
}

/**
 * qbd_ring_promise_spared - keep room, also of what is spared, to put blocks into the
 * ring anew
 * @pool: the pool
 * @blocks: of the ring
 * @more: that may be taken of the other half
 *
 * Does not sleep. Return: false when there is not so much.
 */
bool qbd_ring_promise_spared(struct qbd_pool *pool, u32 blocks, u32 more)
{
	return promise(&pool->ring, blocks, pool->ring.capacity / 2 + more);
}

/**
 * qbd_ring_promise - keep room for data, and for its destage
 * @pool: the pool
 * @blocks: of the ring
 *
 * Does not sleep. Return: false when there is not so much, and a destage was begun.
 */
bool qbd_ring_promise(struct qbd_pool *pool, u32 blocks)
{
	struct qbd_ring *ring = &pool->ring;
	/* Ordinary records have some for themselves, too: data may have to stay. */
	bool ok = promise(ring, blocks, ring->capacity / 2 - 2 * ring->spared);

	if (!ok || qbd_ring_used(pool) >= QBD_DESTAGE_FROM)
		qbd_ring_relieve(pool);
	return ok;
}

/**
 * qbd_ring_unpromise - the room was used, or is not needed
 * @pool: the pool
 * @blocks: of the ring
 */
void qbd_ring_unpromise(struct qbd_pool *pool, u32 blocks)
{
	struct qbd_ring *ring = &pool->ring;

	if (!blocks)
		return;
	spin_lock(&ring->lock);
	WARN_ON_ONCE(ring->promised < blocks);
	ring->promised -= min(blocks, ring->promised);
	spin_unlock(&ring->lock);
	wake_up_all(&ring->wait);
}

/**
 * qbd_ring_admit - wait until there is room for a request's records
 * @pool: the pool
 *
 * To be called before a request takes any lock; it may then append a chunk
 * record, a stamp and its ranges without waiting for room again. Sets a
 * checkpoint going when half of the room is used.
 *
 * Return: 0; the error with which the ring failed; -EIO when it cannot be written
 * now, or there is no room and nothing can be flushed, which would make some, or all
 * room is of rows that cannot be destaged.
 */
int qbd_ring_admit(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	u64 before = 0;
	bool waited = false;

	while (!qbd_ring_down(ring)) {
		bool vain = waited && qbd_destage_in_vain(pool) >= before + 2 &&
			    qbd_ring_used(pool) >= 100;
		unsigned int fill = ring_fill(pool);

		if (fill >= QBD_DESTAGE_FROM)
			qbd_ring_relieve(pool);
		/* One that is read-only records nothing, and has the log that it found. */
		if (fill < 100 || READ_ONCE(pool->mode) != QBD_RW)
			break;
		if (READ_ONCE(pool->flush_error) || READ_ONCE(pool->stopping) || vain)
			return -EIO;
		if (!waited)
			before = qbd_destage_in_vain(pool);
		waited = true;
		qbd_moment("no-room");
		/* Not for ever: what was relieved may be taken by others. */
		atomic_inc(&ring->waiting);
		wait_event_timeout(ring->wait, ring_fill(pool) < 100 || qbd_pool_outage(pool), HZ);
		atomic_dec(&ring->waiting);
	}
	return READ_ONCE(ring->error) ?: READ_ONCE(ring->stalled) ? -EIO : 0;
}

/**
 * qbd_ring_last - the LSN of the last record that was appended
 * @pool: the pool
 */
u64 qbd_ring_last(struct qbd_pool *pool)
{
	u64 lsn;

	spin_lock(&pool->ring.lock);
	lsn = pool->ring.next_lsn - 1;
	spin_unlock(&pool->ring.lock);
	return lsn;
}

/**
 * qbd_ring_position - up to where everything is durable and in effect
 * @pool: the pool
 * @lsn: the last LSN
 * @block: the block after it
 */
void qbd_ring_position(struct qbd_pool *pool, u64 *lsn, u64 *block)
{
	spin_lock(&pool->ring.lock);
	*lsn = pool->ring.durable_lsn;
	*block = pool->ring.durable_block;
	spin_unlock(&pool->ring.lock);
}

/**
 * qbd_ring_checked - what lies before @block is in pages, and they are flushed
 * @pool: the pool
 * @lsn: the last LSN before it
 * @block: number of the block
 */
void qbd_ring_checked(struct qbd_pool *pool, u64 lsn, u64 block)
{
	spin_lock(&pool->ring.lock);
	pool->ring.checked_lsn = lsn;
	pool->ring.checked = block;
	spin_unlock(&pool->ring.lock);
}

/**
 * qbd_ring_trim - let go of what neither a page nor the journal needs any more
 * @pool: the pool
 *
 * The room is free only when a later block that says so is durable. Return: whether
 * there is any.
 */
bool qbd_ring_trim(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	bool moved;
	u64 tail;

	/* Both: the log may be moved to other blocks meanwhile. */
	spin_lock(&pool->journal.lock);
	spin_lock(&ring->lock);
	tail = qbd_journal_tail(pool, ring->checked);
	moved = tail > ring->tail;
	ring->tail = max(ring->tail, tail);
	spin_unlock(&ring->lock);
	spin_unlock(&pool->journal.lock);
	return moved;
}

/**
 * qbd_ring_fail - nothing more can be recorded
 * @pool: the pool
 * @error: set to what was wrong
 *
 * What is durable stays as it is; the pool has to be activated anew.
 */
void qbd_ring_fail(struct qbd_pool *pool, int error)
{
	if (qbd_ring_stop(pool, error))
		DMERR("%s: the ring cannot be written (%d): no further change is possible until the pool is started anew",
		      pool->members.pool_name, error);
}

/**
 * qbd_ring_stop - nothing more is to be recorded
 * @pool: the pool
 * @error: what those get who wait for a record
 *
 * Context: any. Return: nobody did it before.
 */
bool qbd_ring_stop(struct qbd_pool *pool, int error)
{
	struct qbd_ring *ring = &pool->ring;
	bool first = !cmpxchg(&ring->error, 0, error);

	if (first)
		WRITE_ONCE(pool->mode, QBD_FAILED);
	wake_up_all(&ring->wait);
	wake_up_all(&pool->member_wait);
	qbd_event(pool);
	qbd_kept_soon(pool);
	return first;
}

/**
 * qbd_batch_seal - write the blocks' headers
 * @pool: the pool
 * @batch: the batch
 * @generation: of the ring
 * @first: number of the first block
 * @tail: number of the oldest block that is needed
 */
void qbd_batch_seal(struct qbd_pool *pool, struct qbd_batch *batch, u64 generation, u64 first,
		    u64 tail)
{
	unsigned int i;

	for (i = 0; i < batch->nr_blocks; i++) {
		struct qbd_ring_block *head = batch->heads + i;

		head->generation = generation;
		head->number = first + i;
		head->tail = tail;
		head->batch_index = i;
		qbd_ring_block_seal(batch->blocks + i * QBD_PAGE_SIZE,
				    pool->members.pool_uuid, head);
	}
}

/**
 * qbd_batch_send - write a batch to some members, durably. Sleeps.
 * @pool: the pool
 * @batch: the batch, sealed
 * @first: number of the first block
 * @which: bitmap of backends
 *
 * Return: those that failed.
 */
u64 qbd_batch_send(struct qbd_pool *pool, struct qbd_batch *batch, u64 first, u64 which)
{
	u32 at, capacity = pool->ring.capacity;
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_wait wait;
	unsigned int i;
	u64 failed;

	div_u64_rem(first, capacity, &at);
	qbd_wait_init(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_at(pool, i);
		u32 nr = min(batch->nr_blocks, capacity - at);

		if (!(which & BIT_ULL(i)))
			continue;
		if (!b) {	/* it went out meanwhile */
			qbd_wait_add(&wait);
			qbd_wait_end(&wait, BIT_ULL(i));
			continue;
		}
		qbd_backend_submit(b, REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META,
				   b->geometry.ring_start + (u64)at * QBD_PAGE_SIZE,
				   batch->blocks, nr * QBD_PAGE_SIZE, &wait);
		if (nr < batch->nr_blocks)
			qbd_backend_submit(b, REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META,
					   b->geometry.ring_start,
					   batch->blocks + nr * QBD_PAGE_SIZE,
					   (batch->nr_blocks - nr) * QBD_PAGE_SIZE, &wait);
	}
	failed = qbd_wait_for(&wait);
	srcu_read_unlock(&pool->backends_srcu, idx);
	return failed;
}

/*
 * A batch is durable when every ring member that is in has it. One that failed
 * is out before the batch counts. Return: -EAGAIN when one must stay (rule 4), or an
 * epoch was begun and is not complete: it has to be sent again.
 */
static int batch_write(struct qbd_pool *pool, struct qbd_batch *batch, u64 first)
{
	u64 which, failed;

	down_read(&pool->epoch_sem);
	which = READ_ONCE(pool->members.ring_members) & READ_ONCE(pool->in);
	failed = which && !pool->half_epoch ? qbd_batch_send(pool, batch, first, which) : ~0ull;
	up_read(&pool->epoch_sem);
	if (failed == ~0ull || (failed && qbd_member_wait_epoch(pool, failed)))
		return -EAGAIN;
	return 0;
}

static int apply_block(struct qbd_pool *pool, const struct qbd_ring_block *head,
		       const u8 *block)
{
	const struct qbd_ring_disk *d = (const void *)block;
	struct qbd_record record;
	unsigned int at = 0, i;

	for (i = 0; i < head->nr_records; i++) {
		int n = qbd_record_decode(d->payload + at, head->used - at, &record);

		if (WARN_ON_ONCE(n < 0))
			return -EILSEQ;
		qbd_apply(pool, head->first_lsn + i, &record);
		at += n;
	}
	return 0;
}

static void ring_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, ring.work);
	struct qbd_ring *ring = &pool->ring;

	for (;;) {
		struct qbd_batch *batch;
		u64 first, tail;
		unsigned int i;
		int err = 0;

		spin_lock(&ring->lock);
		if (!ring->sending && ring->open->nr_blocks) {
			ring->sending = ring->open;
			ring->open = &ring->batch[ring->sending == &ring->batch[0]];
			ring->sending_tail = ring->tail;
			ring->next_block += ring->sending->nr_blocks;
		}
		batch = ring->sending;
		if (!batch || ring->error) {
			spin_unlock(&ring->lock);
			break;
		}
		first = ring->next_block - batch->nr_blocks;
		tail = ring->sending_tail;
		spin_unlock(&ring->lock);
		wake_up_all(&ring->wait);

		/* Only after a log that is longer than any that we write. */
		if (first + batch->nr_blocks - ring->durable_tail > ring->capacity) {
			DMERR("%s: the ring is full", pool->members.pool_name);
			err = -ENOSPC;
		}
		if (!err) {
			qbd_batch_seal(pool, batch, pool->members.ring_generation, first, tail);
			qbd_moment("ring-sends");
			err = batch_write(pool, batch, first);
		}
		if (err == -EAGAIN) {
			qbd_moment("ring-stalls");
			if (!ring->stalled)
				DMERR("%s: the ring cannot be written now",
				      pool->members.pool_name);
			WRITE_ONCE(ring->stalled, true);
			wake_up_all(&ring->wait);
			wake_up_all(&pool->member_wait);
			qbd_kept_soon(pool);
			break;
		}
		for (i = 0; i < batch->nr_blocks && !err; i++)
			err = apply_block(pool, batch->heads + i,
					  batch->blocks + i * QBD_PAGE_SIZE);
		if (err) {
			qbd_ring_fail(pool, err);
			break;
		}
		spin_lock(&ring->lock);
		ring->durable_tail = tail;
		ring->durable_block = first + batch->nr_blocks;
		WRITE_ONCE(ring->durable_lsn, batch->last_lsn);
		batch->nr_blocks = 0;
		ring->sending = NULL;
		if (ring->stalled)
			DMINFO("%s: the ring can be written again", pool->members.pool_name);
		WRITE_ONCE(ring->stalled, false);
		spin_unlock(&ring->lock);
		wake_up_all(&ring->wait);
	}
}

/**
 * qbd_ring_init - memory of the ring; its place in the log is set by activation
 * @pool: the pool
 */
int qbd_ring_init(struct qbd_pool *pool)
{
	u32 parts = pool->members.journal == QBD_JOURNAL_OFF ? 4 : 8;
	struct qbd_ring *ring = &pool->ring;

	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->wait);
	INIT_WORK(&ring->work, ring_work);
	if (qbd_batch_init(&ring->batch[0], QBD_BATCH_BLOCKS) ||
	    qbd_batch_init(&ring->batch[1], QBD_BATCH_BLOCKS))
		return -ENOMEM;
	ring->open = &ring->batch[0];
	ring->capacity = pool->members.ring_blocks;
	/*
	 * A quarter of the ring for each of stamps and checksum records, or with a
	 * journal an eighth: a chunk is stamped at most once a leg that it may lose,
	 * and a unit's record is at most 40 bytes.
	 */
	ring->max_named = ring->capacity / parts * QBD_PAGE_PAYLOAD /
			  (MAX_STAMP * (QBD_MAX_REPLICAS - 1));
	ring->max_pending = ring->capacity / parts * (QBD_PAGE_PAYLOAD / 40) / 2;
	ring->max_ranges = min(2048u, ring->capacity);
	/* Many rows at a time; qbd_journal_layer() sees to large ones. */
	if (pool->members.journal != QBD_JOURNAL_OFF)
		ring->spared = max(ring->spared, min(ring->capacity / 16, MAX_SPARED));
	return 0;
}

/**
 * qbd_ring_retry - send what is stalled once more. Sleeps.
 * @pool: the pool
 *
 * Return: whether the ring can be written.
 */
bool qbd_ring_retry(struct qbd_pool *pool)
{
	if (READ_ONCE(pool->ring.stalled)) {
		queue_work(pool->ring_wq, &pool->ring.work);
		flush_work(&pool->ring.work);
	}
	return !qbd_ring_down(&pool->ring);
}

/**
 * qbd_ring_start - where new records go
 * @pool: the pool
 * @lsn: the next one
 * @block: the next one, and the oldest that is needed
 */
void qbd_ring_start(struct qbd_pool *pool, u64 lsn, u64 block)
{
	struct qbd_ring *ring = &pool->ring;

	ring->next_lsn = lsn;
	ring->durable_lsn = lsn - 1;
	ring->next_block = block;
	ring->durable_block = block;
	ring->tail = block;
	ring->durable_tail = block;
	ring->checked = block;
	ring->checked_lsn = lsn - 1;
}

/**
 * qbd_ring_pause - let no record in, and wait until all that are in are durable
 * @pool: the pool
 *
 * Whoever appends waits until qbd_ring_resume(). Sleeps. Return: 0, or why the ring
 * cannot be written; then it is not paused.
 */
int qbd_ring_pause(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	u64 last;
	int err;

	spin_lock(&ring->lock);
	ring->paused = true;
	last = ring->next_lsn - 1;
	spin_unlock(&ring->lock);
	err = qbd_ring_wait(pool, last);
	if (err)
		qbd_ring_resume(pool);
	return err;
}

void qbd_ring_resume(struct qbd_pool *pool)
{
	spin_lock(&pool->ring.lock);
	pool->ring.paused = false;
	spin_unlock(&pool->ring.lock);
	wake_up_all(&pool->ring.wait);
}

/**
 * qbd_ring_move - the log is in other blocks now. Context: paused.
 * @pool: the pool
 * @tail: its first
 * @next: the one after its last
 */
void qbd_ring_move(struct qbd_pool *pool, u64 tail, u64 next)
{
	struct qbd_ring *ring = &pool->ring;

	spin_lock(&pool->journal.lock);
	spin_lock(&ring->lock);
	qbd_journal_moved(pool, next - ring->next_block);
	ring->checked += next - ring->next_block;
	ring->tail = tail;
	ring->durable_tail = tail;
	ring->next_block = next;
	ring->durable_block = next;
	spin_unlock(&ring->lock);
	spin_unlock(&pool->journal.lock);
}

/**
 * qbd_ring_tail - what was replayed is still in the log. Context: activation.
 * @pool: the pool
 * @block: number of the block
 */
void qbd_ring_tail(struct qbd_pool *pool, u64 block)
{
	pool->ring.tail = block;
	pool->ring.durable_tail = block;
}
