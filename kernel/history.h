/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: Histories
 *
 * The pool's membership goes from epoch to epoch; a superblock has the last 32,
 * newest first, each with a number, a random tag and who is in by it. An epoch is
 * in force when every member that is in by it has it. Shared by the kernel's
 * activation and the offline tools.
 */
#ifndef QBD_HISTORY_H
#define QBD_HISTORY_H

#include <qbd/format.h>

/**
 * struct qbd_history - what the superblocks that are there add up to
 * @newest: index of the backend whose superblock tells the pool's membership
 * @begun: how many epochs of that superblock, from its newest on, are void: the
 *	membership is that of the one after them (qbd_history_revert)
 * @in: backends that are there and are in
 * @missing: backends that should be in and are not there
 * @diverged: backends that went on by themselves
 * @max_number: the highest number of any epoch found
 */
struct qbd_history {
	unsigned int newest;
	u32 begun;
	u64 in;
	u64 missing;
	u64 diverged;
	u32 max_number;
};

int qbd_history_find(const struct qbd_super *const *supers, u64 force,
		     struct qbd_history *history);
void qbd_history_revert(struct qbd_membership *m, u32 begun);
bool qbd_history_has(const struct qbd_membership *m, const struct qbd_epoch *epoch);

#endif
