// SPDX-License-Identifier: GPL-2.0-only
/*
 * An epoch is a number and a random tag; a superblock has the last ones, newest
 * first. Two superblocks are of one history when the newest epoch of one is among
 * the other's. Within one epoch the ring's generation rises, and then the count of
 * writes of the superblock tells.
 */
#include "history.h"

/**
 * history_newer - does @a say more of the pool than @b
 */
bool history_newer(const struct qbd_super *a, const struct qbd_super *b)
{
	if (a->pool.epochs[0].number != b->pool.epochs[0].number)
		return a->pool.epochs[0].number > b->pool.epochs[0].number;
	if (a->pool.ring_generation != b->pool.ring_generation)
		return a->pool.ring_generation > b->pool.ring_generation;
	return a->seq > b->seq;
}

/**
 * history_relation - how a membership stands to the newest one
 */
enum history_relation history_relation(const struct qbd_membership *older,
				       const struct qbd_membership *newest)
{
	const struct qbd_epoch *epoch = &older->epochs[0];
	unsigned int i;

	for (i = 0; i < newest->nr_epochs; i++)
		if (newest->epochs[i].number == epoch->number)
			break;
	if (i < newest->nr_epochs && newest->epochs[i].tag == epoch->tag)
		return i ? HISTORY_BEHIND : HISTORY_SAME;
	if (newest->nr_epochs == QBD_EPOCHS &&
	    epoch->number < newest->epochs[QBD_EPOCHS - 1].number)
		return HISTORY_OLD;
	return HISTORY_DIVERGED;
}
