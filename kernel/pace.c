// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of resync: as fast as it can while nobody uses the volumes, and beside
 * users so that they hardly see it.
 *
 * Resync works in steps. After one during which users had I/O it pauses, and what
 * users' reads and writes took that began in the step and in the pause is compared:
 * what waits behind a step's I/O may end when that has ended. The pause
 * is some quarters of the step; there are more of them the more users suffer: twice
 * as many when I/O in steps takes more than twice as long as in pauses, half as many
 * when it takes less than five quarters. It begins with four times the step.
 *
 * Two bounds: never faster than the limit, if one is set ("resync rate"), and,
 * beside users, not slower than the least ("resync least"), so that redundancy
 * comes back however busy the volumes are. The limit is the stronger.
 *
 * There is one resync at a time, however many backends came back at once.
 *
 * Users count on their CPU, and nothing shared is written; times are taken only
 * while a resync runs.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>

#include "qbd.h"

#define QUARTERS_FIRST	16
#define QUARTERS_LEAST	1
#define QUARTERS_MOST	256

static struct pace_users users_now(const struct qbd_pace *pace)
{
	struct pace_users now = {}, *one;
	unsigned int cpu, phase;

	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(pace->cpu, cpu);
		now.ended += READ_ONCE(one->ended);
		for (phase = 0; phase < PACE_UNTIMED; phase++) {
			now.timed[phase] += READ_ONCE(one->timed[phase]);
			now.ns[phase] += READ_ONCE(one->ns[phase]);
		}
	}
	smp_rmb();	/* what begins meanwhile is in flight, and has not ended before */
	for_each_possible_cpu(cpu)
		now.begun += READ_ONCE(per_cpu_ptr(pace->cpu, cpu)->begun);
	return now;
}

/* Adds to the smoothed means what I/O took that ended since the last time. */
static void learn(struct qbd_pace *pace)
{
	struct pace_users now = users_now(pace);
	unsigned int phase;
	u64 *mean, ns;
	u32 nr;

	for (phase = 0; phase < PACE_UNTIMED; phase++) {
		nr = now.timed[phase] - pace->learnt.timed[phase];
		if (!nr)
			continue;
		ns = div_u64(now.ns[phase] - pace->learnt.ns[phase], nr);
		mean = &pace->mean[phase];
		*mean = *mean ? *mean - *mean / 8 + ns / 8 : ns;
	}
	pace->learnt = now;
}

/**
 * qbd_pace_rows - how many rows a step of resync has at most
 * @pool: the pool
 * @rows: if nobody uses the volumes
 */
u32 qbd_pace_rows(struct qbd_pool *pool, u32 rows)
{
	/* Users wait for what is before them in a device's queue, and for locks. */
	return pool->pace.busy ? max(rows / 4, 1u) : rows;
}

/**
 * qbd_pace_begin - a step of resync begins
 * @pool: the pool
 */
void qbd_pace_begin(struct qbd_pool *pool)
{
	struct qbd_pace *pace = &pool->pace;

	pace->step = users_now(pace);
	pace->began = ktime_get_ns();
}

static u64 pause_for(struct qbd_pool *pool, u64 bytes, u64 step_ns)
{
	struct qbd_pace *pace = &pool->pace;
	u32 rate = READ_ONCE(pool->resync_rate), least = READ_ONCE(pool->resync_least);
	u64 pause = 0, at_least;

	/* KiB a second: bytes / rate is about the milliseconds that they take. */
	if (pace->busy) {
		pause = step_ns * pace->quarters / 4;
		if (least) {
			at_least = div_u64(bytes * NSEC_PER_MSEC, least);
			pause = min(pause, at_least > step_ns ? at_least - step_ns : 0);
		}
	}
	return rate ? max(pause, div_u64(bytes * NSEC_PER_MSEC, rate)) : pause;
}

/**
 * qbd_pace_end - a step ended: pause as long as it takes. Sleeps.
 * @pool: the pool
 * @bytes: that it wrote
 */
void qbd_pace_end(struct qbd_pool *pool, u64 bytes)
{
	struct qbd_pace *pace = &pool->pace;
	const u64 *step = &pace->mean[PACE_STEP], *pause = &pace->mean[PACE_PAUSE];
	struct pace_users users = users_now(pace);
	u32 changes = READ_ONCE(pace->changes);
	u64 ns;

	atomic64_add(bytes, &pool->resync.bytes);
	if (!pace->quarters)
		pace->quarters = QUARTERS_FIRST;
	pace->busy = users.begun != pace->step.begun || users.begun != users.ended;
	ns = pause_for(pool, bytes, ktime_get_ns() - pace->began);
	if (!ns)
		return;
	WRITE_ONCE(pace->phase, PACE_PAUSE);
	wait_event_hrtimeout(pool->resync_wait, READ_ONCE(pool->resync.stop) ||
			     READ_ONCE(pace->changes) != changes, ns_to_ktime(ns));
	WRITE_ONCE(pace->phase, PACE_STEP);
	learn(pace);
	if (!*step || !*pause)
		return;
	if (*step > 2 * *pause)
		pace->quarters = min(2 * pace->quarters, QUARTERS_MOST);
	else if (*step < *pause + *pause / 4)
		pace->quarters = max(pace->quarters / 2, QUARTERS_LEAST);
}

/**
 * qbd_pace_changed - something was set that a pause depends on
 * @pool: the pool
 */
void qbd_pace_changed(struct qbd_pool *pool)
{
	WRITE_ONCE(pool->pace.changes, pool->pace.changes + 1);
	wake_up_all(&pool->resync_wait);
}

int qbd_pace_init(struct qbd_pool *pool)
{
	init_waitqueue_head(&pool->resync_wait);
	pool->resync_least = QBD_RESYNC_LEAST;
	pool->pace.cpu = alloc_percpu(struct pace_users);
	return pool->pace.cpu ? 0 : -ENOMEM;
}

void qbd_pace_exit(struct qbd_pool *pool)
{
	free_percpu(pool->pace.cpu);
}
