/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of several memberships is the newest, and which others it comes from.
 */
#ifndef QBD_HISTORY_H
#define QBD_HISTORY_H

#include <qbd/format.h>

enum history_relation {
	HISTORY_SAME,	  /* the same newest epoch */
	HISTORY_BEHIND,	  /* an earlier point of the same history */
	HISTORY_OLD,	  /* older than what the other remembers */
	HISTORY_DIVERGED, /* went on without the other */
};

bool history_newer(const struct qbd_super *a, const struct qbd_super *b);
enum history_relation history_relation(const struct qbd_membership *older,
				       const struct qbd_membership *newest);

#endif
