// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lease of the host that owns the pool (rule 10): heartbeats, what they allow,
 * and how it ends. takeover.c tells how one becomes the owner.
 *
 * A pool with a lease has a time T in its superblock. The owner reads, four times in
 * each T, the heartbeat block of each member that is in, finds its own nonce there,
 * and writes it again with another counter. Such a heartbeat counts from before
 * the read. Half of the members that are in, by the last epoch that is durable,
 * have to have one that is younger than T: then, and only then, anything is written
 * to any backend, but for the heartbeat blocks themselves.
 *
 *	state		what is written		leaves it by
 *	none		all: there is no lease	-
 *	claim		heartbeat blocks	qbd_owner_begin(): -> owns
 *	owns		all, up to the deadline	the deadline, or another's nonce twice
 *						running: -> lost; qbd_owner_release(): -> released
 *	lost		nothing, ever again	a new activation
 *	released	nothing but that it is	writes that do not end: -> lost;
 *						a new activation
 *
 * The deadline is one number that each write is compared with (qbd_owner_has()). It
 * is moved under the lock, only while it has not passed: a lease that ran out is
 * not renewed, for another host may have found it so. It is of a clock that runs
 * while the host sleeps and needs no interrupt to go on: a host that was frozen and is
 * thawed finds it passed before it does anything else.
 *
 * The end by release: first nothing may be written any more; then every write that
 * was sent has ended; then the blocks say so. A crash between any two leaves a
 * heartbeat that others have to see grow old, and so do orphans: the next owner may
 * use their backend at once, by a connection of its own, and they may be done then.
 *
 * What a backend still does of writes that it was sent before cannot be fenced.
 *
 * Model: tests/model/owner.pml.
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/utsname.h>

#include "qbd.h"

#define BEATS	4	/* in each T */

/**
 * qbd_heartbeat_read - read a heartbeat block
 * @b: the backend
 * @start: which: QBD_HEARTBEAT_START or QBD_STANDBY_START
 * @block: room for it
 * @h: set to what it says
 *
 * Sleeps. Return: 0; -EIO it cannot be read; -ENOENT, -EILSEQ as for
 * qbd_heartbeat_check().
 */
int qbd_heartbeat_read(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h)
{
	if (qbd_backend_rw(b, REQ_OP_READ | REQ_META, start, block, QBD_PAGE_SIZE))
		return -EIO;
	return qbd_heartbeat_check(block, b->pool->members.pool_uuid, b->geometry.uuid, h);
}

/**
 * qbd_heartbeat_write - write a heartbeat block, durable
 * @b: the backend
 * @start: which: QBD_HEARTBEAT_START or QBD_STANDBY_START
 * @block: room for it
 * @h: what it says; the host's name is added
 *
 * Sleeps. What nobody may forget when the power goes: with FUA. Return: 0 or -EIO.
 */
int qbd_heartbeat_write(struct qbd_backend *b, u64 start, void *block, struct qbd_heartbeat *h)
{
	strscpy(h->host, init_utsname()->nodename, sizeof(h->host));
	qbd_heartbeat_seal(block, b->pool->members.pool_uuid, b->geometry.uuid, h);
	return qbd_backend_rw(b, REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META, start, block,
			      QBD_PAGE_SIZE);
}

static int by_age(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* When fewer than half of the members that are in will have a young heartbeat. */
static u64 deadline(const struct qbd_lease *lease)
{
	u64 since[QBD_MAX_BACKENDS];
	unsigned int i, n = 0;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (lease->in & BIT_ULL(i))
			since[n++] = lease->beats[i].since;
	if (!n)
		return 0;
	sort(since, n, sizeof(*since), by_age, NULL);
	n = (n + 1) / 2;
	return since[n - 1] ? since[n - 1] + lease->term : 0;
}

/**
 * qbd_owner_lost - this host owns the pool no more
 * @pool: the pool
 * @how: what happened, or NULL: the lease may have run out
 *
 * Context: any. Return: is it so?
 */
bool qbd_owner_lost(struct qbd_pool *pool, const char *how)
{
	struct qbd_lease *lease = &pool->lease;
	unsigned long flags;
	bool lost = false;

	spin_lock_irqsave(&lease->lock, flags);
	if (lease->state == QBD_LEASE_OWNS &&
	    (how || ktime_get_boottime_ns() >= lease->deadline)) {
		WRITE_ONCE(lease->state, QBD_LEASE_LOST);
		WRITE_ONCE(lease->deadline, 0);
		lost = true;
	}
	spin_unlock_irqrestore(&lease->lock, flags);
	if (lost) {
		DMERR("%s: %s: this host does not own the pool any more, and writes nothing until it is started anew",
		      pool->members.pool_name, how ?: "the lease ran out");
		qbd_ring_stop(pool, -EIO);
		wake_up_all(&pool->member_wait);
	}
	return READ_ONCE(lease->state) != QBD_LEASE_OWNS;
}

/* A heartbeat was written that was found to be due at @since. */
static void renew(struct qbd_pool *pool, struct qbd_beat *beat, u64 since)
{
	struct qbd_lease *lease = &pool->lease;

	spin_lock_irq(&lease->lock);
	if (lease->state == QBD_LEASE_OWNS && ktime_get_boottime_ns() < lease->deadline) {
		beat->since = since;
		WRITE_ONCE(lease->deadline, deadline(lease));
	}
	spin_unlock_irq(&lease->lock);
}

static void beat_once(struct qbd_backend *b, struct qbd_beat *beat)
{
	struct qbd_pool *pool = b->pool;
	struct qbd_lease *lease = &pool->lease;
	u64 since = ktime_get_boottime_ns();
	struct qbd_heartbeat h;
	bool mine;
	int err;

	err = qbd_heartbeat_read(b, QBD_HEARTBEAT_START, beat->block, &h);
	if (err == -EIO)
		return;
	mine = !err && h.nonce == lease->nonce && h.kind == QBD_HEARTBEAT_OWNED;
	/*
	 * Another's may have been there when the member came in, or be of a host
	 * that does not know better: that one finds ours, and keeps away.
	 */
	if (!mine && beat->strikes) {
		DMERR("%s: backend %u has the heartbeat of host %s", pool->members.pool_name,
		      b->index, err ? "?" : h.host);
		qbd_owner_lost(pool, "another host has taken over");
		return;
	}
	if (!qbd_owner_has(pool))
		return;
	h.kind = QBD_HEARTBEAT_OWNED;
	h.nonce = lease->nonce;
	h.counter = ++beat->counter;
	h.next = 0;
	if (qbd_heartbeat_write(b, QBD_HEARTBEAT_START, beat->block, &h))
		return;
	beat->strikes = !mine;
	if (mine)
		renew(pool, beat, since);
}

static void beat_work(struct work_struct *work)
{
	struct qbd_beat *beat = container_of(to_delayed_work(work), struct qbd_beat, work);
	struct qbd_pool *pool = beat->pool;
	struct qbd_backend *b;
	int idx;

	if (!qbd_owner_has(pool)) {
		qbd_owner_lost(pool, NULL);
		return;
	}
	idx = srcu_read_lock(&pool->backends_srcu);
	b = qbd_backend_in(pool, beat->index);
	if (b)
		beat_once(b, beat);
	srcu_read_unlock(&pool->backends_srcu, idx);
	if (READ_ONCE(pool->lease.state) == QBD_LEASE_OWNS)
		queue_delayed_work(pool->owner_wq, &beat->work,
				   nsecs_to_jiffies(pool->lease.term / BEATS));
}

/**
 * qbd_owner_begin - this host owns the pool
 * @pool: the pool
 * @since: when the first of the heartbeats was read that say so
 */
void qbd_owner_begin(struct qbd_pool *pool, u64 since)
{
	struct qbd_lease *lease = &pool->lease;
	unsigned int i;

	spin_lock_irq(&lease->lock);
	/* With less than half of them there, it was the operator who said so. */
	lease->in = pool->features.take_over ? pool->in : pool->in | pool->missing;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		lease->beats[i].since = pool->in & BIT_ULL(i) ? since : 0;
		lease->beats[i].strikes = 0;
	}
	WRITE_ONCE(lease->state, QBD_LEASE_OWNS);
	WRITE_ONCE(lease->deadline, deadline(lease));
	spin_unlock_irq(&lease->lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (lease->beats[i].block)
			queue_delayed_work(pool->owner_wq, &lease->beats[i].work, 0);
}

/**
 * qbd_owner_members - an epoch is durable: whose heartbeats count from now on
 * @pool: the pool
 *
 * One that came in has none yet.
 */
void qbd_owner_members(struct qbd_pool *pool)
{
	struct qbd_lease *lease = &pool->lease;
	unsigned int i;
	u64 come;

	spin_lock_irq(&lease->lock);
	come = READ_ONCE(pool->in) & ~lease->in;
	lease->in = READ_ONCE(pool->in);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (!(come & BIT_ULL(i)))
			continue;
		lease->beats[i].since = 0;
		lease->beats[i].strikes = 0;
	}
	if (lease->state == QBD_LEASE_OWNS && ktime_get_boottime_ns() < lease->deadline)
		WRITE_ONCE(lease->deadline, deadline(lease));
	else
		come = 0;
	spin_unlock_irq(&lease->lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (come & BIT_ULL(i))
			mod_delayed_work(pool->owner_wq, &lease->beats[i].work, 0);
}

/**
 * qbd_owner_may_raise - may an epoch leave it at these members?
 * @pool: the pool
 * @in: those that are in by it
 *
 * Another host may rely on more than half of the last ones, so there have to be
 * half of them by each.
 */
bool qbd_owner_may_raise(struct qbd_pool *pool, u64 in)
{
	u64 last = pool->lease.in;

	return pool->lease.state == QBD_LEASE_NONE ||
	       2 * hweight64(in & last) >= hweight64(last);
}

/*
 * To which of these backends has something been sent that has not ended? One that is
 * seen without is done with: what comes after that is counted, and is not sent.
 */
static u64 busy(struct qbd_pool *pool, u64 which)
{
	unsigned int i;
	int idx;

	idx = srcu_read_lock(&pool->backends_srcu);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = pool->backend[i];

		if (!b || !atomic_read(&b->inflight))
			which &= ~BIT_ULL(i);
	}
	srcu_read_unlock(&pool->backends_srcu, idx);
	return which;
}

/**
 * qbd_owner_orphans - has any backend requests that it may yet do, whenever that is?
 * @pool: the pool
 */
bool qbd_owner_orphans(struct qbd_pool *pool)
{
	bool found = false;
	unsigned int i;
	int idx;

	idx = srcu_read_lock(&pool->backends_srcu);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = pool->backend[i];

		found |= b && qbd_backend_orphans(b);
	}
	srcu_read_unlock(&pool->backends_srcu, idx);
	return found;
}

/**
 * qbd_owner_release - own the pool no more, and say so to whoever comes next
 * @pool: the pool
 * @next: the nonce that may go on at once; 0: none
 *
 * Sleeps. Nothing is written from here on. Return: 0; -ESTALE when it was over
 * before, or when writes did not end in time or left orphans; -EIO when no member could
 * be told: then others have to wait.
 */
int qbd_owner_release(struct qbd_pool *pool, u64 next)
{
	struct qbd_lease *lease = &pool->lease;
	struct qbd_heartbeat h;
	bool owned, told = false;
	unsigned int i;
	u64 until, left = ~0ull;

	qbd_moment("release-begins");
	spin_lock_irq(&lease->lock);
	owned = lease->state == QBD_LEASE_OWNS && ktime_get_boottime_ns() < lease->deadline;
	until = lease->deadline;
	if (lease->state != QBD_LEASE_NONE)
		WRITE_ONCE(lease->deadline, 0);
	if (owned)
		WRITE_ONCE(lease->state, QBD_LEASE_RELEASED);
	spin_unlock_irq(&lease->lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (lease->beats[i].block)
			cancel_delayed_work_sync(&lease->beats[i].work);
	if (!owned) {
		/* It may have run out, and nobody has seen it yet. */
		qbd_owner_lost(pool, NULL);
		return -ESTALE;
	}
	qbd_ring_stop(pool, -EIO);
	wake_up_all(&pool->member_wait);
	smp_mb();	/* the deadline is seen by whoever is not counted: qbd_bio_submit() */
	while ((left = busy(pool, left)) && ktime_get_boottime_ns() < until)
		usleep_range(500, 1000);
	/* Nobody waits for orphans, nor says that there are none. */
	smp_rmb();
	if (left || qbd_owner_orphans(pool) || ktime_get_boottime_ns() >= until) {
		DMWARN("%s: writes do not end: the pool is not released, and its lease has to run out",
		       pool->members.pool_name);
		spin_lock_irq(&lease->lock);
		WRITE_ONCE(lease->state, QBD_LEASE_LOST);
		spin_unlock_irq(&lease->lock);
		return -ESTALE;
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (!b)
			continue;
		h.kind = QBD_HEARTBEAT_RELEASED;
		h.nonce = lease->nonce;
		h.counter = ++lease->beats[i].counter;
		h.next = next;
		if (qbd_heartbeat_write(b, QBD_HEARTBEAT_START, lease->beats[i].block, &h))
			DMWARN("%s: backend %u does not say that the pool is released: its heartbeat has to grow old",
			       pool->members.pool_name, i);
		else
			told = true;
	}
	return told ? 0 : -EIO;
}

/**
 * qbd_owner_status - a word for the status line
 * @pool: the pool
 */
const char *qbd_owner_status(struct qbd_pool *pool)
{
	static const char *const words[] = {
		[QBD_LEASE_NONE] = "none",
		[QBD_LEASE_CLAIM] = "claim",
		[QBD_LEASE_OWNS] = "owns",
		[QBD_LEASE_LOST] = "lost",
		[QBD_LEASE_RELEASED] = "released",
	};

	return words[READ_ONCE(pool->lease.state)];
}

int qbd_owner_init(struct qbd_pool *pool)
{
	struct qbd_lease *lease = &pool->lease;
	unsigned int i;

	spin_lock_init(&lease->lock);
	init_waitqueue_head(&lease->wait);
	lease->deadline = U64_MAX;
	lease->beats = kcalloc(QBD_MAX_BACKENDS, sizeof(*lease->beats), GFP_KERNEL);
	if (!lease->beats)
		return -ENOMEM;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		lease->beats[i].pool = pool;
		lease->beats[i].index = i;
		INIT_DELAYED_WORK(&lease->beats[i].work, beat_work);
	}
	return 0;
}

void qbd_owner_exit(struct qbd_pool *pool)
{
	unsigned int i;

	for (i = 0; pool->lease.beats && i < QBD_MAX_BACKENDS; i++)
		kfree(pool->lease.beats[i].block);
	kfree(pool->lease.beats);
}
