// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast backends are: which are slow, which are not dead for that.
 *
 * Of each backend's reads there is a histogram with four buckets to an octave, from
 * a microsecond to about a minute. Who ends a read adds one to a counter of its
 * CPU; no lock, nothing shared. Once a second a work item gathers them, lets what
 * is older fade (by a quarter a second: what counts are the last few), and notes
 * the median and the 99th percentile.
 *
 * A backend is slow when its median was more than slow_factor times the median of
 * the others' medians, and more than SLOW_FLOOR, for SLOW_TICKS seconds; and no more
 * when it was less than half of that for as long. One that has reads in flight and
 * answered none counts as if the oldest of them had taken as long as that has lasted.
 * One that nobody reads from is judged by nothing and stays what it is; but one that is
 * slow, or whose last reads were, is avoided: it gets a small read a second, to see
 * whether it still is.
 *
 * A slow backend is avoided by reads where others have what it takes (rows.c,
 * read.c). It goes out only by its deadline, or over its limit.
 */
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "qbd.h"

#define FIRST_ORDER	10	/* of nanoseconds: what the first octave begins with */
#define NR_BUCKETS	105	/* 26 octaves, and one for what is faster */
#define SCALE		64	/* of faded counts: else few of them fade to nothing */
#define SLOW_FLOOR	2000	/* us */
#define SLOW_TICKS	3
#define HEDGE_FLOOR	1000	/* us */
#define HEDGE_SHARE	32	/* one read in so many */
#define HEDGE_MOST	64	/* at a time, after a time without any */
#define PROBE_INFLIGHT	8	/* less than any device takes before who sends more waits */

struct latency_cpu {
	u32 begun;
	u32 ended[NR_BUCKETS];
};

/**
 * struct qbd_latency - how long a backend's reads take
 * @cpu: counted up for ever, by whoever reads; all else is the work item's
 * @ended: the sums when it looked the last time
 * @faded: in SCALE-ths
 * @in_flight: when it looked the last time; what failed counts as ended
 * @failed: reads, ever
 * @stuck_us: for how long none has ended though there are some
 * @ticks: for how long it is what it is not said to be
 * @p50_us: the median
 * @p99_us: the 99th percentile
 * @total: of @faded
 * @buffer: for a read by the work item, one at a time
 * @probe: waits for that
 * @probed: there was one
 */
struct qbd_latency {
	struct latency_cpu __percpu *cpu;
	u32 ended[NR_BUCKETS];
	u32 faded[NR_BUCKETS];
	u32 in_flight;
	atomic_t failed;
	u32 stuck_us;
	u32 ticks;
	u32 p50_us;
	u32 p99_us;
	u64 total;
	void *buffer;
	struct qbd_wait probe;
	bool probed;
};

static unsigned int bucket_of(u64 ns)
{
	unsigned int order = ilog2(ns | 1);

	if (order < FIRST_ORDER)
		return 0;
	return min_t(unsigned int, NR_BUCKETS - 1,
		     1 + (order - FIRST_ORDER) * 4 + ((ns >> (order - 2)) & 3));
}

/* The longest time that belongs to a bucket. */
static u32 bucket_us(unsigned int bucket)
{
	unsigned int order = FIRST_ORDER + (bucket - 1) / 4;

	return bucket ? ((4ull + (bucket - 1) % 4 + 1) << (order - 2)) / 1000 : 1;
}

/**
 * qbd_latency_begun - a read of a backend is sent
 * @b: the backend
 */
void qbd_latency_begun(struct qbd_backend *b)
{
	this_cpu_inc(b->latency->cpu->begun);
}

/**
 * qbd_latency_ended - a read ended
 * @b: the backend
 * @ns: how long it took; 0: it failed
 *
 * Context: any.
 */
void qbd_latency_ended(struct qbd_backend *b, u64 ns)
{
	if (ns)
		this_cpu_inc(b->latency->cpu->ended[bucket_of(ns)]);
	else
		atomic_inc(&b->latency->failed);
}

/* The time below which @part of @of reads are. */
static u32 percentile(const struct qbd_latency *l, unsigned int part, unsigned int of)
{
	u64 want = div_u64(l->total * part + of - 1, of), sum = 0;
	unsigned int i;

	for (i = 0; i < NR_BUCKETS; i++) {
		sum += l->faded[i];
		if (sum && sum >= want)
			return bucket_us(i);
	}
	return 0;
}

/* Return: how many reads ended since the last time. */
static u32 gather(struct qbd_latency *l)
{
	u32 now[NR_BUCKETS] = {}, begun = 0, done = atomic_read(&l->failed), new = 0;
	unsigned int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < NR_BUCKETS; i++)
			now[i] += READ_ONCE(per_cpu_ptr(l->cpu, cpu)->ended[i]);
	smp_rmb();	/* what begins meanwhile is in flight, and has not ended before */
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(l->cpu, cpu)->begun);
	l->total = 0;
	for (i = 0; i < NR_BUCKETS; i++) {
		l->faded[i] -= DIV_ROUND_UP(l->faded[i], 4);
		l->faded[i] += min(now[i] - l->ended[i], 1u << 20) * SCALE;
		new += now[i] - l->ended[i];
		done += now[i];
		l->ended[i] = now[i];
		l->total += l->faded[i];
	}
	if (new || !l->in_flight || begun == done)
		l->stuck_us = 0;
	else
		l->stuck_us = min(l->stuck_us + 1000000, 3600u * 1000000);
	l->in_flight = begun - done;
	WRITE_ONCE(l->p50_us, max(percentile(l, 1, 2), l->stuck_us));
	WRITE_ONCE(l->p99_us, percentile(l, 99, 100));
	return new;
}

/* The superblock: every backend has one. Its answer is not waited for. */
static void probe(struct qbd_backend *b)
{
	struct qbd_latency *l = b->latency;

	if (atomic_read(&b->inflight) >= PROBE_INFLIGHT)
		return;
	if (l->probed) {
		if (atomic_read(&l->probe.left) > 1)
			return;
		qbd_wait_for(&l->probe);
	}
	qbd_wait_init(&l->probe);
	l->probed = true;
	qbd_backend_submit(b, REQ_OP_READ | REQ_META, 0, l->buffer, QBD_PAGE_SIZE, &l->probe);
}

/* The median of the medians of those that were read from, without one. 0: none. */
static u32 others(struct qbd_pool *pool, const struct qbd_backend *without)
{
	u32 medians[QBD_MAX_BACKENDS], nr = 0;
	unsigned int i, j;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);
		u32 us;

		if (!b || b == without || !b->latency->p50_us)
			continue;
		us = b->latency->p50_us;
		for (j = nr++; j && medians[j - 1] > us; j--)
			medians[j] = medians[j - 1];
		medians[j] = us;
	}
	return nr ? medians[(nr - 1) / 2] : 0;
}

/*
 * Nobody reads from it, for what was read last took long: is it slow, or was that once?
 * (rows.c reads copies from the nearest.)
 */
static bool suspicious(struct qbd_backend *b)
{
	u32 us = READ_ONCE(b->latency_ns) / NSEC_PER_USEC, median = others(b->pool, b);
	u32 factor = READ_ONCE(b->pool->features.slow_factor);

	return factor && median && us > max_t(u64, (u64)median * factor, SLOW_FLOOR);
}

static void judge(struct qbd_backend *b)
{
	struct qbd_pool *pool = b->pool;
	struct qbd_latency *l = b->latency;
	u64 bit = BIT_ULL(b->index), limit;
	bool slow = READ_ONCE(pool->slow) & bit, other;
	u32 factor = READ_ONCE(pool->features.slow_factor), median = others(pool, b);

	limit = max_t(u64, (u64)median * factor, SLOW_FLOOR);
	if (!factor)
		other = slow;	/* nobody is slow any more */
	else if (!median || !l->p50_us)
		other = false;
	else
		other = slow ? l->p50_us < limit / 2 : l->p50_us > limit;
	l->ticks = other ? l->ticks + 1 : 0;
	if (!other || (l->ticks < SLOW_TICKS && factor))
		return;
	l->ticks = 0;
	WRITE_ONCE(pool->slow, READ_ONCE(pool->slow) ^ bit);
	if (slow)
		DMWARN("%s: backend %u (%s) is slow no longer: half of its reads take %u us",
		       pool->members.pool_name, b->index, b->name, l->p50_us);
	else
		DMWARN("%s: backend %u (%s) is slow: half of its reads take %u us, those of others %u us",
		       pool->members.pool_name, b->index, b->name, l->p50_us, median);
	qbd_event(pool);
}

/* So many more reads may be hedged, after so many reads. */
static void credit_hedges(struct qbd_pool *pool, u32 reads)
{
	int now = atomic_read(&pool->hedge_credit);
	int more = DIV_ROUND_UP(min(reads, 1u << 20), HEDGE_SHARE);

	atomic_add(min(more, max(HEDGE_MOST - now, 0)), &pool->hedge_credit);
}

static void latency_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, latency_work.work);
	int idx = srcu_read_lock(&pool->backends_srcu);
	u32 reads, all = 0;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (!b)
			continue;
		reads = gather(b->latency);
		all += reads;
		/* Who was the nearest may be it again: it is asked again some day. */
		if (!reads)
			WRITE_ONCE(b->latency_ns, b->latency_ns - b->latency_ns / 8);
	}
	credit_hedges(pool, all);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (b)
			judge(b);
		else
			WRITE_ONCE(pool->slow, READ_ONCE(pool->slow) & ~BIT_ULL(i));
		if (b && ((READ_ONCE(pool->slow) & BIT_ULL(i)) || suspicious(b)))
			probe(b);
	}
	srcu_read_unlock(&pool->backends_srcu, idx);
	if (!READ_ONCE(pool->stopping))
		queue_delayed_work(pool->event_wq, &pool->latency_work, HZ);
}

/**
 * qbd_latency_start - watch over the backends from now on
 * @pool: the pool
 */
void qbd_latency_start(struct qbd_pool *pool)
{
	queue_delayed_work(pool->event_wq, &pool->latency_work, HZ);
}

/**
 * qbd_latency_stop - no more. Sleeps; pool->stopping is set.
 * @pool: the pool
 */
void qbd_latency_stop(struct qbd_pool *pool)
{
	cancel_delayed_work_sync(&pool->latency_work);
}

/**
 * qbd_latency_get - the percentiles of a backend
 * @b: the backend
 * @p50_us: set to the median
 * @p99_us: set to the 99th percentile
 */
void qbd_latency_get(const struct qbd_backend *b, u32 *p50_us, u32 *p99_us)
{
	*p50_us = READ_ONCE(b->latency->p50_us);
	*p99_us = max(READ_ONCE(b->latency->p99_us), *p50_us);
}

/**
 * qbd_latency_late - when a read of a backend is late
 * @b: the backend
 *
 * One with a deadline is of those that may hang at any time, however fast it is.
 *
 * Return: nanoseconds; 0: its reads are not hedged, for they are too fast for that.
 */
u64 qbd_latency_late(const struct qbd_backend *b)
{
	u32 us = READ_ONCE(b->latency->p99_us);

	if (!us || (us < HEDGE_FLOOR && !READ_ONCE(b->deadline)))
		return 0;
	return max_t(u64, us, HEDGE_FLOOR) * NSEC_PER_USEC;
}

/**
 * qbd_latency_slow - legs on backends that are slow: a mask
 * @chunk: the chunk
 *
 * Context: any.
 */
u32 qbd_latency_slow(const struct qbd_chunk *chunk)
{
	const struct qbd_map *map = READ_ONCE(chunk->map);
	u64 slow = READ_ONCE(chunk->layer->pool->slow);
	unsigned int l;
	u32 mask = 0;

	for (l = 0; slow && map && l < map->nr_legs; l++)
		if (slow & BIT_ULL(qbd_leg_backend(READ_ONCE(map->legs[l]))))
			mask |= BIT(l);
	return mask;
}

void qbd_latency_init(struct qbd_pool *pool)
{
	INIT_DELAYED_WORK(&pool->latency_work, latency_work);
	init_waitqueue_head(&pool->hedge_wait);
}

/**
 * qbd_latency_alloc - what it takes to watch a backend. Sleeps.
 * @b: the backend
 */
int qbd_latency_alloc(struct qbd_backend *b)
{
	b->latency = kzalloc(sizeof(*b->latency), GFP_KERNEL);
	if (!b->latency)
		return -ENOMEM;
	b->latency->cpu = alloc_percpu(struct latency_cpu);
	b->latency->buffer = kmalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	return b->latency->cpu && b->latency->buffer ? 0 : -ENOMEM;
}

void qbd_latency_free(struct qbd_backend *b)
{
	if (!b->latency)
		return;
	/* It has ended, but who ended it may not be through with it. */
	if (b->latency->probed)
		qbd_wait_for(&b->latency->probe);
	free_percpu(b->latency->cpu);
	kfree(b->latency->buffer);
	kfree(b->latency);
	b->latency = NULL;
}
