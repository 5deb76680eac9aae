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
 * first (qbd_ring_admit) while it holds nothing. Half of the ring is kept for
 * what must go in: the checksum records of a flush, the ranges that a checkpoint
 * renews, the stamps of the chunks named since the last checkpoint. The bounds
 * max_named, max_ranges and max_pending make these fit.
 *
 * Models: tests/model/flush.pml, members.pml.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

#define BATCH_BLOCKS	64
#define MAX_STAMP	200	/* bytes of a chunk record with 20 legs */

/**
 * qbd_ring_init - memory of the ring; its place in the log is set by activation
 * @pool: the pool
 */
int qbd_ring_init(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ring->batch[i].blocks = vzalloc(BATCH_BLOCKS * QBD_PAGE_SIZE);
		ring->batch[i].heads = kcalloc(BATCH_BLOCKS, sizeof(struct qbd_ring_block),
					       GFP_KERNEL);
		if (!ring->batch[i].blocks || !ring->batch[i].heads)
			return -ENOMEM;
	}
	ring->open = &ring->batch[0];
	ring->capacity = pool->members.ring_blocks;
	/*
	 * A quarter of the ring for each of stamps and checksum records: a chunk
	 * is stamped at most once a leg that it may lose, and a unit's record is
	 * at most 40 bytes.
	 */
	ring->max_named = ring->capacity / 4 * QBD_PAGE_PAYLOAD /
			  (MAX_STAMP * (QBD_MAX_REPLICAS - 1));
	ring->max_pending = ring->capacity / 4 * (QBD_PAGE_PAYLOAD / 40) / 2;
	ring->max_ranges = min(2048u, ring->capacity);
	return 0;
}

void qbd_ring_exit(struct qbd_pool *pool)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vfree(pool->ring.batch[i].blocks);
		kfree(pool->ring.batch[i].heads);
	}
}

/* Room for a record in the open batch, or NULL. Begins a block if need be. */
static u8 *batch_room(struct qbd_batch *batch, unsigned int size, u64 lsn)
{
	struct qbd_ring_block *head = batch->heads + batch->nr_blocks - 1;

	if (!batch->nr_blocks || head->used + size > QBD_PAGE_PAYLOAD) {
		if (batch->nr_blocks == BATCH_BLOCKS)
			return NULL;
		head = batch->heads + batch->nr_blocks++;
		memset(head, 0, sizeof(*head));
		head->first_lsn = lsn;
	}
	return batch->blocks + (batch->nr_blocks - 1) * QBD_PAGE_SIZE +
	       offsetof(struct qbd_ring_disk, payload) + head->used;
}

/* Is there room again where @full was: it was sent, or never was full. */
static bool batch_begun(struct qbd_ring *ring, struct qbd_batch *full)
{
	return READ_ONCE(ring->open) != full || READ_ONCE(full->nr_blocks) < BATCH_BLOCKS;
}

/**
 * qbd_ring_append - put a record into the log
 * @pool: the pool
 * @record: a new chunk's gen is set to the record's LSN
 *
 * It is neither durable nor in effect when this returns; see qbd_ring_wait().
 * May sleep until the batch in flight is durable, but not for room in the ring.
 *
 * Return: its LSN; on a failed ring one that qbd_ring_wait() fails for.
 */
u64 qbd_ring_append(struct qbd_pool *pool, struct qbd_record *record)
{
	unsigned int size = qbd_record_size(record);
	struct qbd_ring *ring = &pool->ring;
	struct qbd_ring_block *head;
	u8 *room;
	u64 lsn;

	spin_lock(&ring->lock);
	while (ring->paused ||
	       !(room = batch_room(ring->open, size, ring->next_lsn))) {
		struct qbd_batch *full = ring->open;

		spin_unlock(&ring->lock);
		wait_event(ring->wait, (!READ_ONCE(ring->paused) && batch_begun(ring, full)) ||
			   READ_ONCE(ring->error));
		if (ring->error)
			return U64_MAX;
		spin_lock(&ring->lock);
	}
	lsn = ring->next_lsn++;
	if (record->type == QBD_RECORD_CHUNK && record->op == QBD_CHUNK_ALLOC)
		record->gen = lsn;
	qbd_record_encode(record, room);
	head = ring->open->heads + ring->open->nr_blocks - 1;
	head->used += size;
	head->nr_records++;
	ring->open->last_lsn = lsn;
	spin_unlock(&ring->lock);
	queue_work(pool->ring_wq, &ring->work);
	return lsn;
}

/**
 * qbd_ring_wait - wait until a record is durable and in effect
 * @pool: the pool
 * @lsn: LSN of the record
 *
 * Return: 0, or the error with which the ring failed.
 */
int qbd_ring_wait(struct qbd_pool *pool, u64 lsn)
{
	struct qbd_ring *ring = &pool->ring;

	wait_event(ring->wait, READ_ONCE(ring->durable_lsn) >= lsn || READ_ONCE(ring->error));
	return READ_ONCE(ring->durable_lsn) >= lsn && lsn != U64_MAX ? 0 : ring->error;
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

/* How full the ring and its bounds are, in percent of where ordinary records wait. */
static unsigned int ring_fill(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	u64 used = READ_ONCE(ring->next_block) - READ_ONCE(ring->durable_tail);

	return max(max(div_u64(used * 200, ring->capacity),
		       (u64)atomic_read(&pool->nr_named) * 100 / ring->max_named),
		   max((u64)atomic_read(&pool->nr_ranges) * 100 / ring->max_ranges,
		       (u64)atomic_read(&pool->nr_pending) * 100 / ring->max_pending));
}

/**
 * qbd_ring_admit - wait until there is room for a request's records
 * @pool: the pool
 *
 * To be called before a request takes any lock; it may then append a chunk
 * record, a stamp and its ranges without waiting for room again. Sets a
 * checkpoint going when half of the room is used.
 *
 * Return: 0, or the error with which the ring failed.
 */
int qbd_ring_admit(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	unsigned int fill = ring_fill(pool);

	if (fill >= 50)
		qbd_checkpoint_soon(pool);
	if (fill >= 100)
		wait_event(ring->wait, ring_fill(pool) < 100 || READ_ONCE(ring->error));
	return READ_ONCE(ring->error);
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
 * qbd_ring_advance - what lies before @block is in pages, and they are flushed
 * @pool: the pool
 * @block: number of the block
 *
 * The room is free only when a later block that says so is durable.
 */
void qbd_ring_advance(struct qbd_pool *pool, u64 block)
{
	spin_lock(&pool->ring.lock);
	pool->ring.tail = block;
	spin_unlock(&pool->ring.lock);
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
	struct qbd_ring *ring = &pool->ring;

	if (!cmpxchg(&ring->error, 0, error)) {
		WRITE_ONCE(pool->mode, QBD_FAILED);
		DMERR("%s: the ring cannot be written (%d): no further change is possible until the pool is started anew",
		      pool->members.pool_name, error);
	}
	wake_up_all(&ring->wait);
}

static void batch_seal(struct qbd_pool *pool, struct qbd_batch *batch, u64 first, u64 tail)
{
	unsigned int i;

	for (i = 0; i < batch->nr_blocks; i++) {
		struct qbd_ring_block *head = batch->heads + i;

		head->generation = pool->members.ring_generation;
		head->number = first + i;
		head->tail = tail;
		head->batch_index = i;
		qbd_ring_block_seal(batch->blocks + i * QBD_PAGE_SIZE,
				    pool->members.pool_uuid, head);
	}
}

/* Write a batch to some members, durably. Returns those that failed. */
static u64 batch_send(struct qbd_pool *pool, struct qbd_batch *batch, u64 first, u64 which)
{
	u32 at, capacity = pool->ring.capacity;
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_wait wait;
	unsigned int i;
	u64 failed;

	div_u64_rem(first, capacity, &at);
	qbd_wait_init(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = pool->backend[i];
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
 * is out before the batch counts; one that must stay (rule 4) fails the ring.
 */
static int batch_write(struct qbd_pool *pool, struct qbd_batch *batch, u64 first)
{
	u64 which = READ_ONCE(pool->members.ring_members) & READ_ONCE(pool->in);
	u64 failed;

	if (!which)
		return -EIO;
	down_read(&pool->epoch_sem);
	failed = batch_send(pool, batch, first, which);
	up_read(&pool->epoch_sem);
	if (failed && qbd_member_wait_epoch(pool, failed))
		return -EIO;
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
		batch = ring->open;
		if (!batch->nr_blocks || ring->error) {
			spin_unlock(&ring->lock);
			break;
		}
		ring->open = batch == &ring->batch[0] ? &ring->batch[1] : &ring->batch[0];
		first = ring->next_block;
		tail = ring->tail;
		ring->next_block += batch->nr_blocks;
		spin_unlock(&ring->lock);
		wake_up_all(&ring->wait);

		if (WARN_ON_ONCE(first + batch->nr_blocks - ring->durable_tail > ring->capacity))
			err = -ENOSPC;
		if (!err) {
			batch_seal(pool, batch, first, tail);
			err = batch_write(pool, batch, first);
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
		spin_unlock(&ring->lock);
		wake_up_all(&ring->wait);
	}
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

	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->wait);
	INIT_WORK(&ring->work, ring_work);
	ring->next_lsn = lsn;
	ring->durable_lsn = lsn - 1;
	ring->next_block = block;
	ring->durable_block = block;
	ring->tail = block;
	ring->durable_tail = block;
}

/**
 * qbd_ring_pause - let no record in, and wait until all that are in are durable
 * @pool: the pool
 *
 * Whoever appends waits until qbd_ring_resume(). Sleeps. Return: 0 or the error
 * with which the ring failed; then it is not paused.
 */
int qbd_ring_pause(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	u64 last;

	spin_lock(&ring->lock);
	ring->paused = true;
	last = ring->next_lsn - 1;
	spin_unlock(&ring->lock);
	if (!qbd_ring_wait(pool, last))
		return 0;
	qbd_ring_resume(pool);
	return ring->error;
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

	spin_lock(&ring->lock);
	ring->tail = tail;
	ring->durable_tail = tail;
	ring->next_block = next;
	ring->durable_block = next;
	spin_unlock(&ring->lock);
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
