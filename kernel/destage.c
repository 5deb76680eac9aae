// SPDX-License-Identifier: GPL-2.0-only
/*
 * Destage: rows with blocks in the journal are written to their place.
 *
 * journal.c has the order of writes. QBD_DESTAGERS workers take the rows in the order
 * in which they came, a batch each: the reads of a batch go out together, its DESTAGE
 * records are one group commit, its rows are written together, one flush and one more
 * group commit end it. While one worker waits for its flush another reads and writes
 * the next rows. A row is in one batch only: so its destage has always ended before its
 * next one begins. After each batch the tail of the ring moves, up to where the last
 * checkpoint was.
 *
 * They run when two fifths of the room are used, until less than a third is: what came
 * last stays, to become whole rows or to be overwritten. All that is there goes when
 * somebody waits for it (a stop, a scrub, a discard), and what was there when the idle
 * timer ended the last time.
 *
 * Row locks. The first row of a batch is waited for, with nothing else locked;
 * others are taken if they are free. No one who has rows locked waits for a
 * destage.
 *
 * destage-batch.c has what is done with the rows of a batch, destage-stuck.c with those
 * that cannot be destaged.
 *
 * Model: tests/model/journal.pml.
 */
#include <linux/slab.h>

#include "qbd.h"
#include "destage.h"

#define MAX_BATCH	256	/* rows */
#define BATCH_PAGES	2048	/* of all legs of its rows */
#define DESTAGE_TO	33	/* percent of the room */
#define IDLE_DESTAGE	(3 * HZ)

/**
 * qbd_destage_pressed - does the journal need room?
 * @pool: the pool
 */
bool qbd_destage_pressed(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	return qbd_ring_used(pool) >= DESTAGE_TO || atomic_read(&pool->ring.waiting) ||
	       READ_ONCE(j->nr_pages) * 100 >= j->max_pages * DESTAGE_TO;
}

/* The oldest row that is to be destaged and can be tried, or NULL. */
static struct qbd_journal_row *next_row(struct qbd_destager *dr, bool all)
{
	struct qbd_journal *j = &dr->pool->journal;
	struct qbd_journal_row *jr;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		if ((!all && jr->seq > j->goal) || jr->destaging || qbd_row_stuck(j, jr) ||
		    jr->unrecorded || jr->skip == dr->number)
			continue;
		jr->destaging = true;
		jr->trying = j->round;
		spin_unlock(&j->lock);
		return jr;
	}
	spin_unlock(&j->lock);
	return NULL;
}

/*
 * Lock rows and send their reads. @any: some could be tried; @unrecorded: some have to
 * be flushed first.
 */
static unsigned int take_batch(struct qbd_destager *dr, bool *any, bool *unrecorded)
{
	struct qbd_pool *pool = dr->pool;
	bool all = qbd_destage_pressed(pool);
	struct qbd_journal_row *jr;
	unsigned int nr = 0, pages = 0;
	struct blk_plug plug;

	spin_lock(&pool->journal.lock);
	dr->number = ++pool->journal.batch;
	spin_unlock(&pool->journal.lock);
	*any = false;
	blk_start_plug(&plug);
	while (nr < pool->journal.max_batch && pages < BATCH_PAGES && (jr = next_row(dr, all))) {
		struct qbd_destage *d = &dr->rows[nr];
		enum qbd_taken taken = qbd_destage_take(d, jr, !nr);
		bool no_memory = !d->rows;

		*any = true;
		if (taken == QBD_TAKEN) {
			pages += d->rows->nr_pages;
			nr++;
			continue;
		}
		*unrecorded |= jr->unrecorded;
		if (taken == QBD_STUCK)
			qbd_destage_say_stuck(pool, d);
		if (taken == QBD_GONE)
			qbd_destage_put(pool, d);
		else
			qbd_destage_let_go(dr, d, taken == QBD_STUCK);
		if (no_memory)
			break;
	}
	blk_finish_plug(&plug);
	return nr;
}

/**
 * qbd_destage_move_tail - some room is free again: say so, where it is needed soon
 * @pool: the pool
 *
 * Sleeps.
 */
void qbd_destage_move_tail(struct qbd_pool *pool)
{
	struct qbd_record r = { .type = QBD_RECORD_CHECKPOINT };

	/* Where it stays, because the oldest row cannot go, nothing may be added either. */
	if (!qbd_ring_trim(pool) ||
	    (qbd_ring_used(pool) < 50 && !atomic_read(&pool->ring.waiting)))
		return;
	r.lsn = READ_ONCE(pool->ring.checked_lsn);
	qbd_ring_append(pool, &r);
	qbd_ring_relieve(pool);
}

static void destage_work(struct work_struct *work)
{
	struct qbd_destager *dr = container_of(work, struct qbd_destager, work);
	struct qbd_pool *pool = dr->pool;
	struct qbd_journal *j = &pool->journal;
	bool any = true, unrecorded = false;

	qbd_destage_unstick(pool);
	if (dr->nr_begun && !READ_ONCE(pool->kept))
		qbd_destage_resume(dr);
	while (any && !dr->nr_begun && READ_ONCE(pool->mode) == QBD_RW &&
	       !qbd_pool_outage(pool)) {
		unsigned int nr;

		/* Each chunk that is destaged is named: its stamps have to fit. */
		if (atomic_read(&pool->nr_named) + QBD_DESTAGERS * j->max_batch >=
		    pool->ring.max_named)
			qbd_checkpoint(pool);
		nr = take_batch(dr, &any, &unrecorded);
		nr = qbd_destage_fill(dr, nr);
		if (nr) {
			qbd_destage_write(dr, nr, &unrecorded);
			qbd_destage_move_tail(pool);
			/* Not in vain: who waits for room would begin the next one at once. */
			wake_up_all(&pool->ring.wait);
		} else if (unrecorded) {
			any |= !qbd_destage_flush(pool, READ_ONCE(pool->kept_times), &unrecorded);
		}
		wake_up_all(&j->wait);
		/* Who has some to complete does not wait for a checkpoint: kept.c waits for him. */
		if (!dr->nr_begun)
			qbd_destage_pass_stuck(dr);
		cond_resched();
	}
	wake_up_all(&j->wait);
	/* What came meanwhile, or could not be. */
	if (READ_ONCE(j->nr_rows))
		qbd_destage_idle(pool);
}

/**
 * qbd_destage_complete - complete the destages that failed after they were recorded
 * @pool: the pool; the ring can be written, and stamps are made
 *
 * As far as that can be. Sleeps.
 */
void qbd_destage_complete(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	unsigned int i;

	for (i = 0; i < QBD_DESTAGERS && !READ_ONCE(j->ended); i++) {
		struct qbd_destager *dr = &j->destagers[i];

		/* Who has some takes no rows: it does not wait for memory, nor for a checkpoint. */
		if (!READ_ONCE(dr->nr_begun))
			continue;
		queue_work(pool->journal_wq, &dr->work);
		flush_work(&dr->work);
	}
}

/**
 * qbd_destage_soon - begin a destage, if there is anything
 * @pool: the pool
 *
 * Context: any but an interrupt. Return: whether there is.
 */
bool qbd_destage_soon(struct qbd_pool *pool)
{
	unsigned int i;

	if (!READ_ONCE(pool->journal.nr_rows) || READ_ONCE(pool->mode) != QBD_RW ||
	    !READ_ONCE(pool->active) || READ_ONCE(pool->journal.ended))
		return false;
	for (i = 0; i < QBD_DESTAGERS; i++)
		queue_work(pool->journal_wq, &pool->journal.destagers[i].work);
	return true;
}

/**
 * qbd_destage_begin - begin a destage of all that is there, if there is anything
 * @pool: the pool
 *
 * Context and return value as of qbd_destage_soon().
 */
bool qbd_destage_begin(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	j->goal = j->seq;
	spin_unlock(&j->lock);
	return qbd_destage_soon(pool);
}

/**
 * qbd_destage_idle - something is live: destage it by and by
 * @pool: the pool
 */
void qbd_destage_idle(struct qbd_pool *pool)
{
	if (READ_ONCE(pool->active) && READ_ONCE(pool->mode) == QBD_RW &&
	    !READ_ONCE(pool->journal.ended))
		queue_delayed_work(pool->journal_wq, &pool->journal.idle_work, IDLE_DESTAGE);
}

static void idle_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(to_delayed_work(work), struct qbd_pool,
					     journal.idle_work);
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	j->goal = max(j->goal, j->idle_goal);
	j->idle_goal = j->seq;
	spin_unlock(&j->lock);
	if (qbd_destage_soon(pool))
		qbd_destage_idle(pool);
}

/*
 * Is all of it done that was there at @last, but for what was tried in @round, or later,
 * and is @stuck? @unread: backends that failed reads for that.
 */
static bool destaged(struct qbd_journal *j, u64 last, u64 round, bool *stuck, u64 *unread)
{
	struct qbd_journal_row *jr;
	bool done = true;

	*stuck = false;
	*unread = 0;
	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		if (jr->seq > last)
			continue;
		if (jr->tried < round) {
			done = false;
			continue;
		}
		*stuck = true;
		*unread |= jr->unread;
	}
	spin_unlock(&j->lock);
	return done;
}

/**
 * qbd_destage_all - wait until all that is live now is in its place
 * @pool: the pool
 * @unread: or NULL; if some of it cannot be, the backends that failed reads for it are
 *	added to it
 *
 * What was stuck is tried again: a try that began before may have failed for what is
 * over. A discard, of which there may be many, takes the answer of the last second, for
 * after an outage all is tried anew. Sleeps. Context: no row is locked.
 *
 * Return: 0; -EIO when some of it cannot be, or the pool failed.
 */
int qbd_destage_all(struct qbd_pool *pool, u64 *unread)
{
	struct qbd_journal *j = &pool->journal;
	u64 last, round, failed;
	bool stuck;

	spin_lock(&j->lock);
	last = j->seq;
	spin_unlock(&j->lock);
	round = qbd_destage_next_round(pool, unread ? HZ : 0);
	while (!destaged(j, last, round, &stuck, &failed)) {
		if (!qbd_destage_begin(pool))
			return READ_ONCE(j->nr_rows) ? -EIO : 0;
		wait_event_timeout(j->wait, destaged(j, last, round, &stuck, &failed) ||
				   READ_ONCE(pool->mode) != QBD_RW, HZ);
	}
	if (stuck && unread)
		*unread |= failed;
	return stuck ? -EIO : 0;
}

/**
 * qbd_destage_init - memory of the destage; the ring is there
 * @pool: the pool
 *
 * Return: 0 or -ENOMEM; qbd_destage_exit() in either case.
 */
int qbd_destage_init(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	unsigned int i;

	/* A few batches fill the ring: room comes in steps, and others take turns. */
	j->max_batch = clamp(pool->ring.capacity / 32, 4u, (u32)MAX_BATCH);
	j->max_batch = clamp(pool->ring.max_named / (4 * QBD_DESTAGERS), 1u, j->max_batch);
	qbd_destage_again(pool);
	INIT_DELAYED_WORK(&j->idle_work, idle_work);
	for (i = 0; i < QBD_DESTAGERS; i++) {
		struct qbd_destager *dr = &j->destagers[i];

		dr->pool = pool;
		INIT_WORK(&dr->work, destage_work);
		dr->rows = kvcalloc(j->max_batch, sizeof(*dr->rows), GFP_KERNEL);
		dr->stuck = kcalloc(QBD_STUCK_BATCH, sizeof(*dr->stuck), GFP_KERNEL);
		if (!dr->rows || !dr->stuck)
			return -ENOMEM;
	}
	return 0;
}

void qbd_destage_exit(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	unsigned int i;

	if (!j->max_batch)
		return;
	/* The timer starts the workers, and they it. */
	WRITE_ONCE(j->ended, true);
	cancel_delayed_work_sync(&j->idle_work);
	for (i = 0; i < QBD_DESTAGERS; i++) {
		if (j->destagers[i].pool)
			cancel_work_sync(&j->destagers[i].work);
		qbd_destage_forget(&j->destagers[i]);
		kvfree(j->destagers[i].rows);
		j->destagers[i].rows = NULL;
		kfree(j->destagers[i].stuck);
		j->destagers[i].stuck = NULL;
	}
	cancel_delayed_work_sync(&j->idle_work);
}
