// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of resync: as fast as it can while nobody uses the volumes, and beside
 * users so that they hardly see it.
 *
 * Resync works in steps. While users have I/O, or had some a moment ago, it pauses
 * after each, and what users' reads and writes take that meet steps is compared with
 * what those take that begin and end in a pause. The pause is some quarters of the
 * step; there are more of them the more users suffer: twice as many when I/O that
 * meets steps takes more than twice as long as I/O that does not, or when pauses are
 * too short for any; half as many when it takes less than five quarters. A resync
 * begins with four times the step.
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

/*
 * Adds to the smoothed means what I/O took that ended since the last time. Returns a
 * bit for each that something was added to.
 */
static unsigned int learn(struct qbd_pace *pace)
{
	struct pace_users now = users_now(pace);
	unsigned int phase, added = 0;
	u64 *mean, ns;
	u32 nr;

	for (phase = 0; phase < PACE_UNTIMED; phase++) {
		nr = now.timed[phase] - pace->learnt.timed[phase];
		if (!nr)
			continue;
		ns = div_u64(now.ns[phase] - pace->learnt.ns[phase], nr);
		mean = &pace->mean[phase];
		*mean = *mean ? *mean - *mean / 8 + ns / 8 : ns;
		added |= BIT(phase);
	}
	pace->learnt = now;
	return added;
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
 * qbd_pace_start - a resync begins: nothing is known of users
 * @pool: the pool
 */
void qbd_pace_start(struct qbd_pool *pool)
{
	struct qbd_pace *pace = &pool->pace;

	memset(pace->mean, 0, sizeof(pace->mean));
	pace->learnt = users_now(pace);
	pace->begun = pace->learnt.begun;
	pace->used = 0;
	pace->busy = false;
	pace->quarters = QUARTERS_FIRST;
}

/**
 * qbd_pace_begin - a step of resync begins
 * @pool: the pool
 */
void qbd_pace_begin(struct qbd_pool *pool)
{
	struct qbd_pace *pace = &pool->pace;

	WRITE_ONCE(pace->steps, pace->steps + 1);
	WRITE_ONCE(pace->phase, PACE_STEP);
	pace->began = ktime_get_ns();
}

/* What so many KiB a second take for @bytes, beyond a step. */
static u64 beyond(u64 bytes, u32 rate, u64 step_ns)
{
	u64 ns = div_u64(bytes * (NSEC_PER_SEC >> 10), rate);

	return ns > step_ns ? ns - step_ns : 0;
}

static u64 pause_for(struct qbd_pool *pool, u64 bytes, u64 step_ns)
{
	struct qbd_pace *pace = &pool->pace;
	u32 rate = READ_ONCE(pool->resync_rate), least = READ_ONCE(pool->resync_least);
	u64 pause = 0;

	if (pace->busy) {
		pause = step_ns * pace->quarters / 4;
		if (least)
			pause = min(pause, beyond(bytes, least, step_ns));
	}
	return rate ? max(pause, beyond(bytes, rate, step_ns)) : pause;
}

/* Are there users? One who waits for each I/O before the next has none at many a moment. */
static void look(struct qbd_pool *pool)
{
	struct qbd_pace *pace = &pool->pace;
	struct pace_users users = users_now(pace);
	u64 now = ktime_get_ns();

	/* What is parked waits for backends, and nobody is disturbed who waits for it. */
	if (users.begun != pace->begun ||
	    users.begun - users.ended > READ_ONCE(pool->nr_parked))
		pace->used = now;
	pace->begun = users.begun;
	pace->busy = pace->used && now - pace->used < NSEC_PER_SEC;
}

/* Sleeps as long as it takes, and longer or shorter when that changes meanwhile. Did it? */
static bool take_pause(struct qbd_pool *pool, u64 bytes)
{
	struct qbd_pace *pace = &pool->pace;
	u64 ns, slept, now = ktime_get_ns(), step_ns = now - pace->began;
	u32 changes;

	for (;;) {
		/* Before the settings are read. Pairs with qbd_pace_changed(). */
		changes = smp_load_acquire(&pace->changes);
		look(pool);
		ns = pause_for(pool, bytes, step_ns);
		slept = ktime_get_ns() - now;
		if (slept >= ns || READ_ONCE(pool->resync.stop))
			return pace->phase == PACE_PAUSE;
		WRITE_ONCE(pace->phase, PACE_PAUSE);
		/* For a second: users may end, and a longer sleep is reported as a hang. */
		wait_event_hrtimeout(pool->resync_wait, READ_ONCE(pool->resync.stop) ||
				     READ_ONCE(pace->changes) != changes,
				     ns_to_ktime(min_t(u64, ns - slept, NSEC_PER_SEC)));
	}
}

/**
 * qbd_pace_end - a step ended: pause as long as it takes. Sleeps.
 * @pool: the pool
 * @bytes: that it wrote
 */
void qbd_pace_end(struct qbd_pool *pool, u64 bytes)
{
	struct qbd_pace *pace = &pool->pace;
	bool paused = take_pause(pool, bytes);
	unsigned int added;
	u64 met, unmet;

	WRITE_ONCE(pace->phase, PACE_UNTIMED);
	if (!paused)
		return;
	added = learn(pace);
	if (!(added & BIT(PACE_STEP)))
		return;
	met = pace->mean[PACE_STEP];
	unmet = pace->mean[PACE_PAUSE];
	if (!(added & BIT(PACE_PAUSE)) || met > 2 * unmet)
		pace->quarters = min(2 * pace->quarters, QUARTERS_MOST);
	else if (met < unmet + unmet / 4)
		pace->quarters = max(pace->quarters / 2, QUARTERS_LEAST);
}

/**
 * qbd_pace_changed - something was set that a pause depends on
 * @pool: the pool
 */
void qbd_pace_changed(struct qbd_pool *pool)
{
	/* After the setting. Pairs with take_pause(). */
	smp_store_release(&pool->pace.changes, pool->pace.changes + 1);
	wake_up_all(&pool->resync_wait);
}

int qbd_pace_init(struct qbd_pool *pool)
{
	init_waitqueue_head(&pool->resync_wait);
	pool->resync_least = QBD_RESYNC_LEAST;
	pool->pace.phase = PACE_UNTIMED;
	pool->pace.cpu = alloc_percpu(struct pace_users);
	return pool->pace.cpu ? 0 : -ENOMEM;
}

void qbd_pace_exit(struct qbd_pool *pool)
{
	free_percpu(pool->pace.cpu);
}
