/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pace of resync beside users.
 */
#ifndef QBD_PACE_H
#define QBD_PACE_H

#include <linux/percpu.h>
#include <linux/types.h>

struct qbd_pool;

#define QBD_RESYNC_LEAST 4096	/* KiB/s, beside users */

/* What resync does, and what a user's read or write is timed for. */
enum pace_phase {
	PACE_STEP,	/* it met a step */
	PACE_PAUSE,	/* it met none */
	PACE_UNTIMED,	/* neither: it is not timed */
};

/* Users' I/O: of a CPU, for ever, or the sums. */
struct pace_users {
	u32 begun;
	u32 ended;
	u32 timed[PACE_UNTIMED];	/* the latter that are timed, by phase */
	u64 ns[PACE_UNTIMED];		/* that those took */
};

/**
 * struct qbd_pace - how resync goes beside users; see pace.c
 * @cpu: users' counters; all but it and @changes is resync's
 * @changes: of settings
 * @phase: the present one; users read it, and @steps
 * @steps: how many have begun
 * @began: when the last one did
 * @begun: users' I/O that had when it was last looked at
 * @used: when users last had some then; 0: not yet
 * @learnt: the sums that @mean has
 * @mean: how long users' I/O takes that meets steps, and that meets none, smoothed, ns
 * @quarters: of a step, that a pause lasts
 * @busy: users had I/O a moment ago
 */
struct qbd_pace {
	struct pace_users __percpu *cpu;
	u32 changes;
	enum pace_phase phase;
	u32 steps;
	u64 began;
	u32 begun;
	u64 used;
	struct pace_users learnt;
	u64 mean[PACE_UNTIMED];
	u32 quarters;
	bool busy;
};

/* pace.c */
int qbd_pace_init(struct qbd_pool *pool);
void qbd_pace_exit(struct qbd_pool *pool);
u32 qbd_pace_rows(struct qbd_pool *pool, u32 rows);
void qbd_pace_start(struct qbd_pool *pool);
void qbd_pace_begin(struct qbd_pool *pool);
void qbd_pace_end(struct qbd_pool *pool, u64 bytes);
void qbd_pace_changed(struct qbd_pool *pool);

#endif
