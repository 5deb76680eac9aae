// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows that cannot be destaged now: what their parity needs is bad, or too few of their
 * chunk's legs are left. Their blocks stay live, in nobody's way.
 *
 * Rounds. What failed is not tried again in the same round, unless it was written to. A
 * round lasts a second, the next one longer, for with each the same bad blocks count
 * against their backends again; or until somebody asks for the next one, and what was in
 * the way may be gone. A row has the number of the round in which its last try began: so
 * who waits for a try that began after a certain moment asks for a round, and whatever
 * fails in it, or in a later one, has failed for him.
 *
 * Such a row would hold on to the ring. So when room is needed its blocks are put into
 * the ring anew. Order of writes, and what a crash between any two leaves:
 *
 *	1. row locked; room is promised, out of what is spared for this
 *	2. JOURNAL records with the same data, durable on every ring member
 *			any part of them: the old ones are there, and say the same
 *	3. the tail of the ring may pass the old records; row unlocked
 *
 * It is a write of the blocks as they are, to all who read the log.
 *
 * Where all that is live is stuck, and put into the ring anew, and a checkpoint was made,
 * no more room will come. Whoever waits for some when that is done twice fails: others
 * may have had what came of the first, or have had some that they did not use. To wait
 * would be to wait for ever: for the bad blocks of one volume all of the pool's would
 * stand still.
 *
 * Model: tests/model/journal.pml; there, this is a write.
 */
#include "qbd.h"
#include "destage.h"

#define FIRST_ROUND	((unsigned long)HZ)
#define LONGEST_ROUND	(60ul * HZ)

/**
 * qbd_destage_say_stuck - a row cannot be destaged now
 * @pool: the pool
 * @d: the row, with its error
 */
void qbd_destage_say_stuck(const struct qbd_pool *pool, const struct qbd_destage *d)
{
	const struct qbd_chunk *chunk = d->jr->chunk;

	DMERR_LIMIT("%s: volume %u chunk %u row %u cannot be destaged now (%d): it stays in the journal",
		    pool->members.pool_name, chunk->layer->volume, chunk->number, d->jr->row,
		    d->err);
}

/**
 * qbd_destage_next_round - what is stuck is to be tried again
 * @pool: the pool
 *
 * Context: any but an interrupt. Return: the round that begins.
 */
u64 qbd_destage_next_round(struct qbd_pool *pool)
{
	u64 round;

	spin_lock(&pool->journal.lock);
	round = ++pool->journal.round;
	spin_unlock(&pool->journal.lock);
	return round;
}

/**
 * qbd_destage_again - what was in the way of rows is over: those that were stuck are
 * tried again
 * @pool: the pool
 *
 * Before those go on who would fail for a row that is stuck. Context: any but an
 * interrupt.
 */
void qbd_destage_again(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;

	spin_lock(&j->lock);
	j->round++;
	j->round_lasts = FIRST_ROUND;
	j->next_round = jiffies + FIRST_ROUND;
	spin_unlock(&j->lock);
	qbd_destage_soon(pool);
}

/**
 * qbd_destage_unstick - begin a round, if it is time
 * @pool: the pool
 *
 * Those who wait for room ask for a destage all the time. Context: a worker of it.
 */
void qbd_destage_unstick(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr;
	bool stuck = false;

	spin_lock(&j->lock);
	if (time_after_eq(jiffies, j->next_round)) {
		list_for_each_entry(jr, &j->rows, list)
			stuck |= qbd_row_stuck(j, jr);
		j->round++;
		j->round_lasts = stuck ? clamp(2 * j->round_lasts, FIRST_ROUND, LONGEST_ROUND) :
					 FIRST_ROUND;
		j->next_round = jiffies + j->round_lasts;
	}
	/* Nothing can be flushed or recorded now: nor destaged. */
	if (qbd_pool_outage(pool)) {
		list_for_each_entry(jr, &j->rows, list) {
			jr->tried = j->round;
			jr->unread = 0;
		}
	}
	spin_unlock(&j->lock);
}

/* A row that is stuck and old, set aside as if it were destaged, or NULL. */
static struct qbd_journal_row *next_old(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_ring *ring = &pool->ring;
	struct qbd_journal_row *jr;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		/* What was begun needs its DESTAGE record as well, and will be completed. */
		if (!qbd_row_stuck(j, jr) || jr->destaging || READ_ONCE(jr->begun) ||
		    READ_ONCE(ring->next_block) - jr->pos < ring->capacity / 8)
			continue;
		jr->destaging = true;
		spin_unlock(&j->lock);
		return jr;
	}
	spin_unlock(&j->lock);
	return NULL;
}

/* Steps 1 to 3. Context: the row is locked, and set aside. Return: 0 or an error. */
static int put_anew(struct qbd_pool *pool, struct qbd_journal_row *jr)
{
	struct qbd_layer *layer = jr->chunk->layer;
	u32 pages = layer->block_pages, l;
	u32 room = qbd_journal_room(hweight32(jr->live) * pages);
	struct qbd_journal *j = &pool->journal;
	u64 lsn, last = 0;
	int err;

	if (!qbd_ring_promise_spared(pool, room))
		return -ENOSPC;
	spin_lock(&j->lock);
	jr->later_pos = READ_ONCE(pool->ring.next_block);
	spin_unlock(&j->lock);
	for (l = 0; jr->live >> l && last != U64_MAX; l++) {
		struct qbd_record r = {
			.type = QBD_RECORD_JOURNAL, .layer = layer->number,
			.chunk = jr->chunk->number, .gen = jr->chunk->map->gen,
			.row = jr->row, .leg = l, .csum = jr->blocks[l].csum,
		};

		if (!(jr->live & BIT(l)))
			continue;
		lsn = qbd_ring_append_block(pool, &r, &jr->pages[l * pages], layer->block_size);
		if (lsn != U64_MAX)
			jr->blocks[l].lsn = lsn;
		last = max(last, lsn);
	}
	err = qbd_ring_wait(pool, last);
	spin_lock(&j->lock);
	if (!err)
		jr->pos = jr->later_pos;
	jr->later_pos = U64_MAX;
	spin_unlock(&j->lock);
	qbd_ring_unpromise(pool, room);
	return err;
}

static int put_row_anew(struct qbd_pool *pool, struct qbd_journal_row *jr)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_row_lock lock;
	bool gone;
	int err = 0;

	/* The row may go with what it has of the chunk. */
	atomic_inc(&chunk->refs);
	qbd_chunk_lock(chunk, &lock, jr->row, jr->row);
	gone = qbd_destage_gone(jr) || !jr->live;
	if (gone) {
		qbd_journal_free(jr);
	} else {
		if (!jr->begun)
			err = put_anew(pool, jr);
		spin_lock(&pool->journal.lock);
		jr->destaging = false;
		spin_unlock(&pool->journal.lock);
	}
	qbd_chunk_unlock(chunk, &lock);
	qbd_chunk_put(chunk);
	return err;
}

static bool all_stuck(struct qbd_journal *j)
{
	struct qbd_journal_row *jr;
	bool all = true;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list)
		all &= qbd_row_stuck(j, jr) && !jr->destaging;
	spin_unlock(&j->lock);
	return all;
}

/**
 * qbd_destage_pass_stuck - let the ring's tail pass what cannot be destaged
 * @pool: the pool
 *
 * Sleeps, also for a checkpoint. Context: a worker of the destage that has no rows.
 */
void qbd_destage_pass_stuck(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr;

	if (!qbd_destage_pressed(pool) || qbd_pool_outage(pool))
		return;
	while ((jr = next_old(pool)))
		if (put_row_anew(pool, jr))
			break;
	qbd_destage_move_tail(pool);
	if (!all_stuck(j) || time_before(jiffies, READ_ONCE(j->next_vain)))
		return;
	if (qbd_checkpoint(pool))
		return;
	qbd_destage_move_tail(pool);
	spin_lock(&j->lock);
	j->vain++;
	j->next_vain = jiffies + HZ / 2;
	spin_unlock(&j->lock);
	wake_up_all(&pool->ring.wait);
}

/**
 * qbd_destage_in_vain - how often was all done for room, in vain?
 * @pool: the pool
 *
 * If that is twice while one waits, and there is no room afterwards, none will come.
 * Context: any but an interrupt.
 */
u64 qbd_destage_in_vain(struct qbd_pool *pool)
{
	u64 times;

	spin_lock(&pool->journal.lock);
	times = pool->journal.vain;
	spin_unlock(&pool->journal.lock);
	return times;
}
