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
 * Such a row would hold on to the ring. So when room is needed, and much of what lies
 * behind it needs none any more, its blocks are put into the ring anew, those of some rows
 * together, for each group commit begins a block. Order of writes, and what a crash
 * between any two leaves:
 *
 *	1. rows locked; room is promised, out of what is spared for this
 *	2. JOURNAL records with the same data, durable on every ring member
 *			any part of them: the old ones are there, and say the same
 *	3. the tail of the ring may pass the old records; rows unlocked
 *
 * It is a write of the blocks as they are, to all who read the log.
 *
 * Where all that is live is stuck, and put into the ring anew, and a checkpoint was made,
 * no more room will come, but from those who have some promised. Whoever waits for some
 * when that is so twice fails: others may have had what came of the first. To wait would
 * be to wait for ever: for the bad blocks of one volume all of the pool's would stand
 * still.
 *
 * Model: tests/model/journal.pml; there, this is a write.
 */
#include "qbd.h"
#include "destage.h"

#define FIRST_ROUND	((u32)HZ)
#define LONGEST_ROUND	((u32)60 * HZ)

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

/* Context: journal->lock. */
static void begin_round(struct qbd_journal *j, u32 lasts)
{
	lockdep_assert_held(&j->lock);
	j->round++;
	j->round_lasts = lasts;
	j->round_begun = get_jiffies_64();
}

/* As if nothing had been tried. Context: journal->lock. */
static void begin_anew(struct qbd_journal *j)
{
	struct qbd_journal_row *jr;

	list_for_each_entry(jr, &j->rows, list)
		jr->tried = 0;
	begin_round(j, FIRST_ROUND);
}

/**
 * qbd_destage_next_round - what is stuck is to be tried again
 * @pool: the pool
 * @since: jiffies; a round that began so short a time ago will do
 *
 * Context: any but an interrupt. Return: the round that runs.
 */
u64 qbd_destage_next_round(struct qbd_pool *pool, u32 since)
{
	struct qbd_journal *j = &pool->journal;
	u64 round;

	spin_lock(&j->lock);
	if (!since || get_jiffies_64() - j->round_begun >= since)
		begin_round(j, j->round_lasts);
	round = j->round;
	spin_unlock(&j->lock);
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
	begin_anew(j);
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
	bool outage = qbd_pool_outage(pool), stuck = false, trying = false;
	struct qbd_journal_row *jr;

	spin_lock(&j->lock);
	/* There may be many rows, and many who ask. */
	if (!outage && !j->outage && get_jiffies_64() - j->round_begun < j->round_lasts) {
		spin_unlock(&j->lock);
		return;
	}
	list_for_each_entry(jr, &j->rows, list) {
		/* Nothing can be flushed or recorded now: nor destaged. */
		if (outage) {
			jr->trying = j->round;
			jr->tried = j->round;
			jr->unread = 0;
		}
		stuck |= qbd_row_stuck(j, jr);
		trying |= jr->destaging && !READ_ONCE(jr->begun) && jr->trying == j->round;
	}
	j->stuck = stuck || (j->stuck && trying);
	/* Not while rows are tried, which may take long, or they would be tried all the time. */
	if (j->outage && !outage)
		begin_anew(j);
	else if (!outage && !trying)
		begin_round(j, stuck ? min(2 * j->round_lasts, LONGEST_ROUND) : FIRST_ROUND);
	j->outage = outage;
	spin_unlock(&j->lock);
}

/* Did its last try fail, in whatever round, and is it as it was? */
static bool is_stuck(const struct qbd_journal *j, const struct qbd_journal_row *jr)
{
	lockdep_assert_held(&j->lock);
	return !jr->destaging && jr->tried && jr->tried == jr->trying;
}

/* May it be put anew? What was begun needs its DESTAGE record as well, and is completed. */
static bool can_be_moved(const struct qbd_journal *j, const struct qbd_journal_row *jr)
{
	return is_stuck(j, jr) && !READ_ONCE(jr->begun);
}

static u32 live_pages(const struct qbd_journal_row *jr)
{
	return hweight32(READ_ONCE(jr->live)) * jr->chunk->layer->block_pages;
}

/*
 * Up to which block of the ring rows should be put anew: so many rows hold the tail that
 * are stuck, with so much between them that needs no room any more, that it is worth it.
 * 0: none.
 */
static u64 horizon(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	u64 end = READ_ONCE(pool->ring.checked), oldest = U64_MAX;
	struct qbd_journal_row *jr;
	u32 pages = 0;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list)
		if (!can_be_moved(j, jr))
			end = min3(end, jr->pos, jr->later_pos);
	list_for_each_entry(jr, &j->rows, list) {
		if (!can_be_moved(j, jr) || jr->pos >= end)
			continue;
		oldest = min(oldest, jr->pos);
		pages += live_pages(jr);
	}
	spin_unlock(&j->lock);
	return oldest < end && end - oldest > qbd_journal_room(pages) + pool->ring.spared / 2 ?
	       end : 0;
}

/* One before @end that can be moved, set aside as if it were destaged, or NULL. */
static struct qbd_journal_row *next_old(struct qbd_journal *j, u64 end)
{
	struct qbd_journal_row *jr;

	spin_lock(&j->lock);
	list_for_each_entry(jr, &j->rows, list) {
		if (jr->pos >= end || !can_be_moved(j, jr))
			continue;
		jr->destaging = true;
		spin_unlock(&j->lock);
		return jr;
	}
	spin_unlock(&j->lock);
	return NULL;
}

/* Append the records of a row, which is locked. Return: the last LSN; 0: none is needed. */
static u64 put_anew(struct qbd_pool *pool, struct qbd_journal_row *jr)
{
	struct qbd_layer *layer = jr->chunk->layer;
	struct qbd_journal *j = &pool->journal;
	u32 pages = layer->block_pages, l;
	u64 lsn, last = 0;

	if (qbd_destage_gone(jr) || jr->begun)
		return 0;
	spin_lock(&j->lock);
	jr->later_pos = READ_ONCE(pool->ring.next_block);
	spin_unlock(&j->lock);
	for (l = 0; jr->live >> l && last != U64_MAX; l++) {
		struct qbd_record r = qbd_journal_record(jr->chunk, jr->row, l,
							 jr->blocks[l].csum);

		if (!(jr->live & BIT(l)))
			continue;
		lsn = qbd_ring_append_block(pool, &r, &jr->pages[l * pages], layer->block_size);
		if (lsn != U64_MAX)
			jr->blocks[l].lsn = lsn;
		last = max(last, lsn);
	}
	return last;
}

/* Step 3, or nothing, if @err. */
static void let_go(struct qbd_pool *pool, struct qbd_stuck *s, int err)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr = s->jr;
	struct qbd_chunk *chunk = jr->chunk;

	/* The row may go with what it has of the chunk. */
	atomic_inc(&chunk->refs);
	if (jr->gone || !jr->live) {
		qbd_journal_free(jr);
	} else {
		spin_lock(&j->lock);
		if (!err && jr->later_pos != U64_MAX) {
			jr->pos = jr->later_pos;
			/* Those whose records are the oldest are the first of the list. */
			list_move_tail(&jr->list, &j->rows);
		}
		jr->later_pos = U64_MAX;
		jr->destaging = false;
		spin_unlock(&j->lock);
	}
	qbd_chunk_unlock(chunk, &s->lock);
	qbd_chunk_put(chunk);
}

/*
 * Put some rows before @end anew, with one group commit. @more: blocks that it may take
 * besides. Return: whether there may be more rows.
 */
static bool put_some(struct qbd_destager *dr, u64 end, u32 more)
{
	struct qbd_pool *pool = dr->pool;
	struct qbd_journal *j = &pool->journal;
	u32 nr = 0, pages = 0, room, i;
	struct qbd_journal_row *jr;
	bool promised;
	u64 last = 0;
	int err = 0;

	while (nr < QBD_STUCK_BATCH && qbd_journal_room(pages) <= pool->ring.spared / 2 &&
	       (jr = next_old(j, end))) {
		struct qbd_stuck *s = &dr->stuck[nr];

		s->jr = jr;
		if (!qbd_chunk_lock_row(jr->chunk, &s->lock, jr->row, !nr)) {
			spin_lock(&j->lock);
			jr->later_pos = U64_MAX;
			jr->destaging = false;
			spin_unlock(&j->lock);
			break;
		}
		pages += live_pages(jr);
		nr++;
	}
	if (!nr)
		return false;
	room = qbd_journal_room(pages);
	promised = qbd_ring_promise_spared(pool, room, more);
	if (!promised && nr > 1) {
		while (nr > 1)
			let_go(pool, &dr->stuck[--nr], -ENOSPC);
		room = qbd_journal_room(live_pages(dr->stuck[0].jr));
		promised = qbd_ring_promise_spared(pool, room, more);
	}
	if (promised) {
		for (i = 0; i < nr && last != U64_MAX; i++)
			last = max(last, put_anew(pool, dr->stuck[i].jr));
		err = qbd_ring_wait(pool, last);
		qbd_ring_unpromise(pool, room);
	} else {
		err = -ENOSPC;
	}
	for (i = 0; i < nr; i++)
		let_go(pool, &dr->stuck[i], err);
	return !err;
}

/* Is all that is live stuck, and no room promised but for its destage? */
static bool all_stuck(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_journal_row *jr;
	u32 promised = 0;
	bool all;

	lockdep_assert_held(&j->lock);
	all = !list_empty(&j->rows);
	list_for_each_entry(jr, &j->rows, list) {
		all &= is_stuck(j, jr);
		promised += jr->promised;
	}
	/* Others have room that they will use, or give back. */
	return all && promised == READ_ONCE(pool->ring.promised);
}

/*
 * Is it time to find out whether any room can be made at all? Once in half a second,
 * where somebody waits for some.
 */
static bool nothing_else_left(struct qbd_pool *pool)
{
	struct qbd_journal *j = &pool->journal;
	bool yes;

	spin_lock(&j->lock);
	yes = atomic_read(&pool->ring.waiting) && all_stuck(pool) &&
	      time_after_eq64(get_jiffies_64(), j->next_vain);
	if (yes)
		j->next_vain = get_jiffies_64() + HZ / 2;
	spin_unlock(&j->lock);
	return yes;
}

/* What a checkpoint adds to the ring would stay there, too, if it moves nothing. */
static bool checkpoint_helps(struct qbd_pool *pool)
{
	struct qbd_ring *ring = &pool->ring;
	bool helps;

	spin_lock(&pool->journal.lock);
	spin_lock(&ring->lock);
	helps = qbd_journal_tail(pool, U64_MAX) > ring->tail ||
		ring->next_block - ring->checked > ring->spared / 2;
	spin_unlock(&ring->lock);
	spin_unlock(&pool->journal.lock);
	return helps;
}

static void make_room(struct qbd_destager *dr)
{
	struct qbd_pool *pool = dr->pool;
	struct qbd_journal *j = &pool->journal;
	bool last = nothing_else_left(pool);
	u32 more = 0;
	u64 end;

	if (last && checkpoint_helps(pool)) {
		if (qbd_checkpoint(pool))
			return;
		/* Of what is kept for a flush, which has just been, and may have taken the rest. */
		more = pool->ring.capacity / 16;
	}
	end = horizon(pool);
	while (end && put_some(dr, end, more))
		qbd_destage_move_tail(pool);
	qbd_destage_move_tail(pool);
	if (!last)
		return;
	spin_lock(&j->lock);
	j->vain += all_stuck(pool);
	spin_unlock(&j->lock);
	wake_up_all(&pool->ring.wait);
}

/**
 * qbd_destage_pass_stuck - let the ring's tail pass what cannot be destaged, if there is
 * any
 * @dr: a worker of the destage that has no rows
 *
 * Sleeps, also for a checkpoint.
 */
void qbd_destage_pass_stuck(struct qbd_destager *dr)
{
	struct qbd_journal *j = &dr->pool->journal;
	bool mine;

	if (!READ_ONCE(j->stuck) || !qbd_destage_pressed(dr->pool) || qbd_pool_outage(dr->pool))
		return;
	/* One at a time: the other one destages what can be. */
	spin_lock(&j->lock);
	mine = !j->passing;
	j->passing = true;
	spin_unlock(&j->lock);
	if (!mine)
		return;
	make_room(dr);
	spin_lock(&j->lock);
	j->passing = false;
	spin_unlock(&j->lock);
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
