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
 * one epoch the ring's generation rises, then the superblock's seq. A backend that
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

/* The newest epoch of a backend's history that is not void. */
static const struct qbd_epoch *stands_for(const struct qbd_super *const *supers,
					  unsigned int index)
{
	const struct qbd_membership *m = &supers[index]->pool;
	u32 i;

	for (i = 0; i < m->nr_epochs; i++)
		if (!epoch_void(supers, m, &m->epochs[i]))
			return &m->epochs[i];
	return &m->epochs[m->nr_epochs - 1];
}

static bool newer(const struct qbd_super *a, const struct qbd_super *b)
{
	if (a->pool.epochs[0].number != b->pool.epochs[0].number)
		return a->pool.epochs[0].number > b->pool.epochs[0].number;
	if (a->pool.ring_generation != b->pool.ring_generation)
		return a->pool.ring_generation > b->pool.ring_generation;
	return a->seq > b->seq;
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

		if (!s)
			continue;
		if (s->pool.epochs[0].number > history->max_number)
			history->max_number = s->pool.epochs[0].number;
		if (force ? s->pool.epochs[0].tag != force :
		    epoch_void(supers, &s->pool, &s->pool.epochs[0]))
			continue;
		if (!newest || newer(s, newest)) {
			newest = s;
			history->newest = i;
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
		else if (m->state == QBD_MEMBER_IN &&
			 epoch->number == newest->pool.epochs[0].number)
			history->in |= BIT_ULL(i);
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (newest->pool.members[i].state == QBD_MEMBER_IN &&
		    !(history->in & BIT_ULL(i)))
			history->missing |= BIT_ULL(i);
	return history->diverged && !force ? -EEXIST : 0;
}
