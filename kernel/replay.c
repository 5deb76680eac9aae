// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the ring areas are the log, and what is in them.
 *
 * Block n is written, whole or as part of a batch, only when all batches before
 * its own are durable on every ring member, and over block n - ring_blocks only
 * when a durable block had a tail beyond that one. Hence:
 *
 * - At one position the highest number of the generation wins: what it replaced
 *   was free.
 * - The log ends at the highest block h for which all of [tail(h), h] is there.
 *   What follows a gap belongs to the batch that the crash cut: nothing of it was
 *   acknowledged, for a batch is acknowledged as a whole.
 * - A block whose batch began after h proves that h was not the end: blocks that
 *   were acknowledged are missing on every member that is there. That is an
 *   error, never a shorter log.
 */
#include "replay.h"

/**
 * qbd_replay_note - take note of what stands at a position of a member's ring
 * @replay: what was found so far
 * @member: index of the backend it was read from
 * @position: 0 .. ring_blocks - 1
 * @raw: QBD_PAGE_SIZE bytes, in any state
 *
 * Return: whether this copy is now the one to read for its position.
 */
bool qbd_replay_note(struct qbd_replay *replay, u32 position, const void *raw, u8 member)
{
	struct qbd_replay_place *place = &replay->places[position];
	struct qbd_ring_block b;

	if (qbd_ring_block_check(raw, replay->pool_uuid, &b) ||
	    b.generation != replay->generation || b.number < replay->first_block ||
	    b.tail < replay->first_block || b.first_lsn < replay->first_lsn ||
	    b.number - b.tail >= replay->ring_blocks ||
	    b.number % replay->ring_blocks != position)
		return false;
	if (place->there && place->number >= b.number)
		return false;
	place->there = true;
	place->number = b.number;
	place->tail = b.tail;
	place->first_lsn = b.first_lsn;
	place->nr_records = b.nr_records;
	place->batch_index = b.batch_index;
	place->member = member;
	return true;
}

static const struct qbd_replay_place *place_of(const struct qbd_replay *replay, u64 number)
{
	const struct qbd_replay_place *p = &replay->places[number % replay->ring_blocks];

	return p->there && p->number == number ? p : NULL;
}

/* How far down from @last the blocks are there and their LSNs follow each other. */
static u64 run_start(const struct qbd_replay *replay, u64 last)
{
	const struct qbd_replay_place *p = place_of(replay, last), *before;

	while (p->number > replay->first_block) {
		before = place_of(replay, p->number - 1);
		if (!before || before->first_lsn + before->nr_records != p->first_lsn)
			break;
		p = before;
	}
	return p->number;
}

/**
 * qbd_replay_find - the log: first, last and next_lsn
 * @replay: what was found so far
 *
 * Return: 0; -ENODATA when the generation has no records yet; -EUCLEAN when
 * blocks that were acknowledged are on none of the members that were shown.
 */
int qbd_replay_find(struct qbd_replay *replay)
{
	const struct qbd_replay_place *best = NULL, *p;
	u64 acknowledged = replay->first_block;	/* all blocks before this one were */
	u64 highest = 0, number, start = ~0ull;
	bool any = false;
	u32 i;

	for (i = 0; i < replay->ring_blocks; i++) {
		p = &replay->places[i];
		if (!p->there)
			continue;
		any = true;
		if (p->number > highest)
			highest = p->number;
		if (p->number - p->batch_index > acknowledged)
			acknowledged = p->number - p->batch_index;
	}
	replay->next_lsn = replay->first_lsn;
	if (!any)
		return -ENODATA;

	/* A batch is shorter than the ring, so this ends before it wraps. */
	for (number = highest + 1; number-- > replay->first_block && !best;) {
		if (highest - number >= replay->ring_blocks)
			break;
		p = place_of(replay, number);
		if (!p)
			continue;
		/* All blocks of a run have one start: it is walked once. */
		if (number < start)
			start = run_start(replay, number);
		if (start <= p->tail)
			best = p;
	}
	if (!best)
		return acknowledged > replay->first_block ? -EUCLEAN : -ENODATA;
	if (best->number + 1 < acknowledged)
		return -EUCLEAN;
	replay->first = best->tail;
	replay->last = best->number;
	replay->next_lsn = best->first_lsn + best->nr_records;
	return 0;
}

/**
 * qbd_replay_block - hand out the records of one block of the log, in order
 * @replay: what was found so far
 * @context: passed to @fn
 * @number: replay->first .. replay->last
 * @raw: the copy that qbd_replay_note() chose, read again
 * @fn: called for each; not 0 ends the walk and is returned
 *
 * Return: 0, what @fn returned, or -EILSEQ when the block is not what it was or
 * holds a record that cannot be read.
 */
int qbd_replay_block(const struct qbd_replay *replay, u64 number, const void *raw,
		     int (*fn)(void *context, u64 lsn, const struct qbd_record *record),
		     void *context)
{
	const struct qbd_ring_disk *d = raw;
	struct qbd_ring_block b;
	struct qbd_record record;
	unsigned int at = 0, i;
	int n, err;

	if (qbd_ring_block_check(raw, replay->pool_uuid, &b) ||
	    b.generation != replay->generation || b.number != number)
		return -EILSEQ;
	for (i = 0; i < b.nr_records; i++) {
		n = qbd_record_decode(d->payload + at, b.used - at, &record);
		if (n < 0)
			return n;
		err = fn(context, b.first_lsn + i, &record);
		if (err)
			return err;
		at += n;
	}
	return at == b.used ? 0 : -EILSEQ;
}

/**
 * qbd_replay_slot - a slot's entry as a chunk record leaves it
 * @record: the record
 * @slot: the entry
 * @i: which of the record's legs
 */
void qbd_replay_slot(const struct qbd_record *record, unsigned int i,
		     struct qbd_slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	if (record->legs[i].state == QBD_SLOT_FREE)
		return;
	slot->layer = record->layer;
	slot->chunk = record->chunk;
	slot->gen = record->gen;
	slot->insync = record->insync;
	slot->epoch = record->epoch;
	slot->leg = record->legs[i].leg;
	slot->state = record->legs[i].state;
	slot->flags = record->flags;
}
