// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: how much is borne of a backend.
 *
 * Errors. A block that cannot be read, or is wrong, is rebuilt and written again,
 * and its backend stays in (rule 9). A backend with too many of them in a time goes
 * out as one that failed a write: over and over to rebuild what it should give costs
 * all others, and one that lies so often is no redundancy. What is counted are
 * requests, not blocks: one damaged extent is a few. The time begins with the first
 * error, and again when it has passed. Rule 4 is stronger: one with last current
 * legs stays in whatever it does.
 *
 * Flapping. A backend that went out by failing, was let in, and failed again, each
 * time costs an epoch, stamps and a resync. The first two times nothing is said of
 * it. From the third on it is not let in for a while, which doubles each time, up to
 * an hour, unless the operator says so ("readd ... now"). An hour without failing
 * makes it one that never did. All of that is kept as long as the pool runs; who
 * lets backends in by a timer (qbd-repair) can forget everything.
 */
#include <linux/ktime.h>

#include "qbd.h"

#define FLAPS_BORNE	2
#define LONGEST		3600	/* seconds */
#define FORGOTTEN	3600	/* seconds without failing */

/**
 * qbd_limit_error - a read failed, or what it read was wrong
 * @b: the backend
 *
 * Context: any. Once for a request, however many blocks of it are bad.
 */
void qbd_limit_error(struct qbd_backend *b)
{
	struct qbd_pool *pool = b->pool;
	u32 limit = READ_ONCE(pool->features.error_limit);
	u32 seconds = READ_ONCE(pool->features.error_seconds);
	time64_t now = ktime_get_boottime_seconds();
	unsigned long flags;
	bool over;

	spin_lock_irqsave(&pool->limit_lock, flags);
	if (now - b->errors_since >= seconds) {
		b->errors_since = now;
		b->errors = 0;
	}
	b->errors++;
	/* At each multiple: rule 4 may have kept it the last time. */
	over = limit && b->errors % limit == 0;
	spin_unlock_irqrestore(&pool->limit_lock, flags);
	/* One that is being opened is nobody yet. */
	if (!over || qbd_backend_in(pool, b->index) != b)
		return;
	DMERR_LIMIT("%s: backend %u (%s): %u reads failed or were wrong in %u s, which is its limit",
		    pool->members.pool_name, b->index, b->name, limit, seconds);
	qbd_member_limit(pool, BIT_ULL(b->index));
}

/* How many errors of a backend count against its limit now. */
u32 qbd_limit_errors(struct qbd_backend *b)
{
	struct qbd_pool *pool = b->pool;
	bool passed;
	u32 errors;

	spin_lock_irq(&pool->limit_lock);
	passed = ktime_get_boottime_seconds() - b->errors_since >= pool->features.error_seconds;
	errors = passed ? 0 : b->errors;
	spin_unlock_irq(&pool->limit_lock);
	return errors;
}

/**
 * qbd_limit_out - a backend went out that failed
 * @pool: the pool
 * @index: its index
 */
void qbd_limit_out(struct qbd_pool *pool, unsigned int index)
{
	struct qbd_flap *f = &pool->flaps[index];
	time64_t now = ktime_get_boottime_seconds();

	spin_lock_irq(&pool->limit_lock);
	if (now - f->in_at >= FORGOTTEN)
		f->outs = 0;
	f->outs++;
	f->out_at = now;
	spin_unlock_irq(&pool->limit_lock);
}

/**
 * qbd_limit_in - a backend came in
 * @pool: the pool
 * @index: its index
 * @other: it is another device
 */
void qbd_limit_in(struct qbd_pool *pool, unsigned int index, bool other)
{
	struct qbd_flap *f = &pool->flaps[index];

	spin_lock_irq(&pool->limit_lock);
	f->in_at = ktime_get_boottime_seconds();
	if (other)
		f->outs = 0;
	spin_unlock_irq(&pool->limit_lock);
}

/**
 * qbd_limit_held - for how long a backend is not to be let in
 * @pool: the pool
 * @index: its index
 * @outs: set to how often it failed
 *
 * Return: seconds; 0: it may come in.
 */
unsigned int qbd_limit_held(struct qbd_pool *pool, unsigned int index, unsigned int *outs)
{
	struct qbd_flap *f = &pool->flaps[index];
	u32 base = READ_ONCE(pool->features.hold_off), shift;
	time64_t end;

	spin_lock_irq(&pool->limit_lock);
	*outs = f->outs;
	end = f->out_at;
	spin_unlock_irq(&pool->limit_lock);
	if (*outs <= FLAPS_BORNE || !base)
		return 0;
	shift = min(*outs - FLAPS_BORNE - 1, 12u);
	end += min_t(u64, (u64)base << shift, max_t(u32, base, LONGEST));
	return max_t(time64_t, end - ktime_get_boottime_seconds(), 0);
}
