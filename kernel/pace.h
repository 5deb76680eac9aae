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

/* What a read or write is timed for: when it began. */
enum pace_phase {
	PACE_STEP,
	PACE_PAUSE,
	PACE_UNTIMED,	/* no resync ran; or it is something else */
};

/* Users' I/O: of a CPU, for ever, or the sums. */
struct pace_users {
	u32 begun;
	u32 ended;
	u32 timed[PACE_UNTIMED];	/* reads and writes among the latter, by phase */
	u64 ns[PACE_UNTIMED];		/* that those took */
};

/**
 * struct qbd_pace - how resync goes beside users; see pace.c
 * @cpu: users' counters; all but it and @changes is resync's
 * @changes: of settings
 * @phase: the present one; users read it
 * @step: the sums when the step began
 * @learnt: the sums that @mean has
 * @began: when the step did
 * @mean: how long users' I/O takes that begins in steps, and in pauses, smoothed, ns
 * @quarters: of a step, that a pause lasts
 * @busy: users had I/O in the last step
 */
struct qbd_pace {
	struct pace_users __percpu *cpu;
	u32 changes;
	enum pace_phase phase;
	struct pace_users step;
	struct pace_users learnt;
	u64 began;
	u64 mean[PACE_UNTIMED];
	u32 quarters;
	bool busy;
};

/* pace.c */
int qbd_pace_init(struct qbd_pool *pool);
void qbd_pace_exit(struct qbd_pool *pool);
u32 qbd_pace_rows(struct qbd_pool *pool, u32 rows);
void qbd_pace_begin(struct qbd_pool *pool);
void qbd_pace_end(struct qbd_pool *pool, u64 bytes);
void qbd_pace_changed(struct qbd_pool *pool);

#endif
