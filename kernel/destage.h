/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What destage.c, destage-batch.c and destage-stuck.c share.
 */
#ifndef QBD_DESTAGE_H
#define QBD_DESTAGE_H

#include <linux/completion.h>

#include <qbd/format.h>

#include "journal.h"

/*
 * One row of a batch. newest: LSN of its newest block; full: all its data is in the
 * journal, and it gets no DESTAGE record.
 */
struct qbd_destage {
	struct qbd_journal_row *jr;
	struct qbd_rows *rows;
	struct completion ended;
	u64 newest;
	u32 promised;
	u32 live;
	bool full;
	bool locked;
	bool reading;
	int err;
	__le32 values[QBD_MAX_LEGS];
};

#define QBD_STUCK_BATCH	32

/* One of the rows that are put into the ring anew together. */
struct qbd_stuck {
	struct qbd_journal_row *jr;
	struct qbd_row_lock lock;
};

enum qbd_taken {
	QBD_TAKEN,
	QBD_NOT_NOW,	/* somebody has it, or a flush is needed first */
	QBD_GONE,
	QBD_STUCK,
};

/* A try of it failed. Context: journal->lock. */
static inline void qbd_row_failed(struct qbd_journal *j, struct qbd_journal_row *jr, u64 unread)
{
	lockdep_assert_held(&j->lock);
	jr->tried = jr->trying;
	jr->unread = unread;
	j->stuck = true;
}

static inline bool qbd_row_stuck(const struct qbd_journal *j, const struct qbd_journal_row *jr)
{
	lockdep_assert_held(&j->lock);
	return jr->tried == j->round;
}

/* destage.c */
bool qbd_destage_pressed(struct qbd_pool *pool);
void qbd_destage_move_tail(struct qbd_pool *pool);

/* destage-stuck.c */
void qbd_destage_say_stuck(const struct qbd_pool *pool, const struct qbd_destage *d);
u64 qbd_destage_next_round(struct qbd_pool *pool, u32 since);
void qbd_destage_unstick(struct qbd_pool *pool);
void qbd_destage_pass_stuck(struct qbd_destager *dr);

/* destage-batch.c */
bool qbd_destage_gone(struct qbd_journal_row *jr);
enum qbd_taken qbd_destage_take(struct qbd_destage *d, struct qbd_journal_row *jr, bool wait);
void qbd_destage_put(struct qbd_pool *pool, struct qbd_destage *d);
void qbd_destage_let_go(struct qbd_destager *dr, struct qbd_destage *d, bool stuck);
unsigned int qbd_destage_fill(struct qbd_destager *dr, unsigned int nr);
void qbd_destage_write(struct qbd_destager *dr, unsigned int nr, bool *unrecorded);
void qbd_destage_resume(struct qbd_destager *dr);
int qbd_destage_flush(struct qbd_pool *pool, u32 times, bool *unrecorded);
void qbd_destage_forget(struct qbd_destager *dr);

#endif
