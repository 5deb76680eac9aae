// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row locks: one holder for a row of a chunk, whatever it does; those who wait get
 * it in the order in which they came. A list, because few requests are in one
 * chunk at a time.
 */
#include "qbd.h"

static bool row_locks_overlap(const struct qbd_row_lock *a, const struct qbd_row_lock *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* Does anyone before @end in the list have, or wait for, one of these rows? */
static bool row_lock_blocked(struct qbd_chunk *chunk, struct qbd_row_lock *lock,
			     struct list_head *end)
{
	struct list_head *at;

	for (at = chunk->row_locks.next; at != end; at = at->next)
		if (row_locks_overlap(list_entry(at, struct qbd_row_lock, list), lock))
			return true;
	return false;
}

/**
 * qbd_chunk_try_lock - lock rows if nobody has them
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 * @first: the first row
 * @last: the last row
 *
 * Context: chunk->lock, so that a fast path can look at other things under it.
 */
bool qbd_chunk_try_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first,
			u32 last)
{
	lockdep_assert_held(&chunk->lock);
	lock->first = first;
	lock->last = last;
	if (row_lock_blocked(chunk, lock, &chunk->row_locks))
		return false;
	lock->wait = NULL;
	list_add_tail(&lock->list, &chunk->row_locks);
	return true;
}

/**
 * qbd_chunk_lock - lock rows, waiting for those who have them. Sleeps.
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 * @first: the first row
 * @last: the last row
 */
void qbd_chunk_lock(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 first, u32 last)
{
	DECLARE_COMPLETION_ONSTACK(granted);
	bool now;

	lock->first = first;
	lock->last = last;
	spin_lock_irq(&chunk->lock);
	now = !row_lock_blocked(chunk, lock, &chunk->row_locks);
	lock->wait = now ? NULL : &granted;
	list_add_tail(&lock->list, &chunk->row_locks);
	spin_unlock_irq(&chunk->lock);
	if (!now)
		wait_for_completion(&granted);
}

/**
 * qbd_chunk_lock_row - lock a row. Sleeps, if it waits.
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 * @row: the row
 * @wait: for who has it
 *
 * Return: whether it is locked.
 */
bool qbd_chunk_lock_row(struct qbd_chunk *chunk, struct qbd_row_lock *lock, u32 row, bool wait)
{
	bool locked = true;

	if (wait) {
		qbd_chunk_lock(chunk, lock, row, row);
	} else {
		spin_lock_irq(&chunk->lock);
		locked = qbd_chunk_try_lock(chunk, lock, row, row);
		spin_unlock_irq(&chunk->lock);
	}
	return locked;
}

/**
 * qbd_chunk_unlock - let go of rows, and let those in that waited for them
 * @chunk: the chunk
 * @lock: the lock, the caller's memory
 *
 * Context: any.
 */
void qbd_chunk_unlock(struct qbd_chunk *chunk, struct qbd_row_lock *lock)
{
	struct qbd_row_lock *next;
	unsigned long flags;

	spin_lock_irqsave(&chunk->lock, flags);
	list_del(&lock->list);
	list_for_each_entry(next, &chunk->row_locks, list) {
		if (!next->wait || !row_locks_overlap(next, lock) ||
		    row_lock_blocked(chunk, next, &next->list))
			continue;
		complete(next->wait);
		next->wait = NULL;
	}
	spin_unlock_irqrestore(&chunk->lock, flags);
}
