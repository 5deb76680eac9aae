// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which history a pool goes on from, and who is in (rules 3 and 5).
 *
 * An epoch that was only begun, because the host died while it was written, was
 * never in force: nothing may depend on it before all who are in by it have it.
 * It is void, and found to be so by a member that is in by it and is there, but
 * does not have it. A backend whose newest epoch is void stands for the newest of
 * its history that is not.
 *
 * Of the epochs that backends stand for, the highest number is the pool's; within
 * one epoch the ring's generation rises, then the superblock's seq. It may be that
 * all who have it have a void one on top: the return of a backend that reached all
 * but that backend. What such a superblock says of the ring is what the pool had
 * before: an epoch that lets somebody in changes nothing else. A backend that
 * stands for an epoch that is not in that history went on alone: a split brain,
 * unless it is older than the history reaches.
 *
 * Model: tests/model/members.pml (SPLIT_BY_TAG_ALONE).
 */
#include "history.h"

/**
 * qbd_history_has - is an epoch in a history
 * @m: the membership
 * @epoch: the epoch
 */
bool qbd_history_has(const struct qbd_membership *m, const struct qbd_epoch *epoch)
{
	u32 i;

	for (i = 0; i < m->nr_epochs; i++)
		if (m->epochs[i].number == epoch->number)
			return m->epochs[i].tag == epoch->tag;
	return false;
}

/* Is an epoch older than anything that a history still has? */
static bool too_old(const struct qbd_membership *m, const struct qbd_epoch *epoch)
{
	return m->nr_epochs == QBD_EPOCHS &&
	       epoch->number < m->epochs[QBD_EPOCHS - 1].number;
}

/* @m: whose history the epoch is in; one that @m has replaced has no say. */
static bool epoch_void(const struct qbd_super *const *supers, const struct qbd_membership *m,
		       const struct qbd_epoch *epoch)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (supers[i] && (epoch->in & BIT_ULL(i)) &&
		    !memcmp(supers[i]->geometry.uuid, m->members[i].uuid, 16) &&
		    !qbd_history_has(&supers[i]->pool, epoch) &&
		    !too_old(&supers[i]->pool, epoch))
			return true;
	return false;
}

/* How many void epochs a backend has on top, of those that it has. */
static u32 void_epochs(const struct qbd_super *const *supers, unsigned int index)
{
	const struct qbd_membership *m = &supers[index]->pool;
	u32 i;

	for (i = 0; i < m->nr_epochs && epoch_void(supers, m, &m->epochs[i]); i++)
		;
	return i;
}

/* The newest epoch of a backend's history that is not void. */
static const struct qbd_epoch *stands_for(const struct qbd_super *const *supers,
					  unsigned int index)
{
	const struct qbd_membership *m = &supers[index]->pool;

	u32 n = void_epochs(supers, index);

	return &m->epochs[n < m->nr_epochs ? n : n - 1];
}

static bool newer(const struct qbd_super *a, u32 a_begun, const struct qbd_super *b, u32 b_begun)
{
	u32 x = a->pool.epochs[a_begun].number, y = b->pool.epochs[b_begun].number;

	if (x != y)
		return x > y;
	if (a->pool.ring_generation != b->pool.ring_generation)
		return a->pool.ring_generation > b->pool.ring_generation;
	/* What need not be reverted. */
	if (a_begun != b_begun)
		return a_begun < b_begun;
	return a->seq > b->seq;
}

/* By the newest epoch that is not among the @begun. */
static bool is_in(const struct qbd_membership *m, u32 begun, unsigned int i)
{
	if (!begun)
		return m->members[i].state == QBD_MEMBER_IN;
	return m->members[i].state != QBD_MEMBER_NONE && (m->epochs[begun].in & BIT_ULL(i));
}

/**
 * qbd_history_revert - the membership before epochs that are void
 * @m: the membership
 * @begun: how many, from the newest on; fewer than there are
 */
void qbd_history_revert(struct qbd_membership *m, u32 begun)
{
	unsigned int i;

	if (!begun)
		return;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (m->members[i].state == QBD_MEMBER_NONE)
			continue;
		m->members[i].state = is_in(m, begun, i) ? QBD_MEMBER_IN : QBD_MEMBER_OUT;
		/* Who comes in is in the ring later: an image that says else is wrong. */
		if (m->members[i].state == QBD_MEMBER_OUT)
			m->ring_members &= ~BIT_ULL(i);
	}
	m->nr_epochs -= begun;
	memmove(&m->epochs[0], &m->epochs[begun], m->nr_epochs * sizeof(m->epochs[0]));
	memset(&m->epochs[m->nr_epochs], 0, begun * sizeof(m->epochs[0]));
}

/**
 * qbd_history_find - which history to go on from
 * @history: set to what they add up to
 * @supers: by index, QBD_MAX_BACKENDS of them; NULL: not there
 * @force: the tag of the newest epoch of the history to keep, or 0
 *
 * Return: 0; -ENOENT no superblock, or none has the epoch that is forced;
 * -EEXIST histories diverged, and none is forced (@history is set all the same);
 * -EINVAL a backend is another than the one that the pool has under its index.
 */
int qbd_history_find(const struct qbd_super *const *supers, u64 force,
		     struct qbd_history *history)
{
	const struct qbd_super *newest = NULL;
	unsigned int i;

	memset(history, 0, sizeof(*history));
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_super *s = supers[i];
		u32 n;

		if (!s)
			continue;
		if (s->pool.epochs[0].number > history->max_number)
			history->max_number = s->pool.epochs[0].number;
		n = force ? 0 : void_epochs(supers, i);
		if (n == s->pool.nr_epochs || (force && s->pool.epochs[0].tag != force))
			continue;
		if (!newest || newer(s, n, newest, history->begun)) {
			newest = s;
			history->newest = i;
			history->begun = n;
		}
	}
	if (!newest)
		return -ENOENT;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *m = &newest->pool.members[i];
		const struct qbd_epoch *epoch;

		if (!supers[i])
			continue;
		if (m->state == QBD_MEMBER_NONE || memcmp(m->uuid, supers[i]->geometry.uuid, 16))
			return -EINVAL;
		epoch = stands_for(supers, i);
		if (!qbd_history_has(&newest->pool, epoch) && !too_old(&newest->pool, epoch))
			history->diverged |= BIT_ULL(i);
		else if (is_in(&newest->pool, history->begun, i) &&
			 epoch->number == newest->pool.epochs[history->begun].number)
			history->in |= BIT_ULL(i);
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (is_in(&newest->pool, history->begun, i) && !(history->in & BIT_ULL(i)))
			history->missing |= BIT_ULL(i);
	return history->diverged && !force ? -EEXIST : 0;
}
