// SPDX-License-Identifier: GPL-2.0-only
/*
 * Becoming the owner of a pool (rule 10). Nothing is written but heartbeat blocks
 * before it is so.
 *
 * By a hand-over (take): the newest epoch that is reached; more than half of those
 * in by it are there, and all of these are released for this host's nonce. The
 * nonce is written to them; less than T after the first read it is the owner's.
 *
 * By a claim, in this order:
 *	1. superblocks: the newest epoch; more than half of those in by it are there,
 *	   or the operator said that he knows better (take_over)
 *	2. on every one of them the block is released, or stays as it is for T. One
 *	   that changes is of a host that is alive: refused, and named
 *	3. a nonce of our own goes to every backend that is there, in or out, for
 *	   a living owner may just be raising an epoch without the others
 *	4. T passes: whoever else is at this sees our nonce, or we see his; and an owner
 *	   that could not read ours has let his lease run out
 *	5. all is looked at again: the epoch is the same, there are enough of them,
 *	   and each block shows our nonce
 * The lease counts from before the first read of 5. Whatever is not so begins anew,
 * with whoever asked for it.
 *
 * A pool that stops cleanly without a standby is released for a nonce that this
 * kernel keeps in memory: who starts it next on the same host, without a boot between,
 * need not wait, and no other host can know it.
 *
 * Model: tests/model/owner.pml.
 */
#include <linux/crc32c.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "qbd.h"

/* Pools that this kernel released for itself. */
struct kept_nonce {
	struct list_head list;
	u8 pool_uuid[16];
	u64 nonce;
};

static DEFINE_MUTEX(kept_mutex);
static LIST_HEAD(kept_nonces);

/**
 * qbd_nonce_new - a random number that is not 0
 */
u64 qbd_nonce_new(void)
{
	u64 nonce;

	do {
		get_random_bytes(&nonce, sizeof(nonce));
	} while (!nonce);
	return nonce;
}

static struct kept_nonce *kept_find(const u8 *pool_uuid)
{
	struct kept_nonce *kept;

	list_for_each_entry(kept, &kept_nonces, list)
		if (!memcmp(kept->pool_uuid, pool_uuid, 16))
			return kept;
	return NULL;
}

/**
 * qbd_nonce_keep - a nonce for the next start of a pool on this host
 * @pool: the pool
 *
 * Return: the nonce, or 0: no memory, and the next start has to wait.
 */
u64 qbd_nonce_keep(struct qbd_pool *pool)
{
	struct kept_nonce *kept;
	u64 nonce = 0;

	mutex_lock(&kept_mutex);
	kept = kept_find(pool->members.pool_uuid);
	if (!kept) {
		kept = kzalloc(sizeof(*kept), GFP_KERNEL);
		if (kept) {
			memcpy(kept->pool_uuid, pool->members.pool_uuid, 16);
			list_add(&kept->list, &kept_nonces);
		}
	}
	if (kept) {
		nonce = qbd_nonce_new();
		kept->nonce = nonce;
	}
	mutex_unlock(&kept_mutex);
	return nonce;
}

/* Used once: a second start with it would not know of the first. */
static u64 kept_take(const u8 *pool_uuid)
{
	struct kept_nonce *kept;
	u64 nonce = 0;

	mutex_lock(&kept_mutex);
	kept = kept_find(pool_uuid);
	if (kept) {
		nonce = kept->nonce;
		list_del(&kept->list);
		kfree(kept);
	}
	mutex_unlock(&kept_mutex);
	return nonce;
}

void qbd_nonces_exit(void)
{
	struct kept_nonce *kept, *next;

	list_for_each_entry_safe(kept, next, &kept_nonces, list)
		kfree(kept);
}

/* Memory for the blocks of all members, before anything depends on it. */
static int make_blocks(struct qbd_pool *pool)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_beat *beat = &pool->lease.beats[i];

		if (pool->members.members[i].state == QBD_MEMBER_NONE || beat->block)
			continue;
		beat->block = kmalloc(QBD_PAGE_SIZE, GFP_KERNEL);
		if (!beat->block)
			return -ENOMEM;
	}
	return 0;
}

/* Reads the block of every backend that is there, and how long each has been so. */
static int read_blocks(struct qbd_pool *pool)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_beat *beat = &pool->lease.beats[i];
		struct qbd_backend *b = pool->backend[i];
		u64 before = ktime_get_boottime_ns();
		u32 was = beat->token;

		if (!b)
			continue;
		beat->error = qbd_heartbeat_read(b, QBD_HEARTBEAT_START, beat->block, &beat->seen);
		/* One that is out is as if it were not there. */
		if (beat->error == -EIO && !(pool->in & BIT_ULL(i))) {
			beat->read = false;
			continue;
		}
		if (beat->error == -EIO) {
			DMERR("%s: the heartbeat of backend %u cannot be read",
			      pool->members.pool_name, i);
			return -EIO;
		}
		beat->token = crc32c(~0, beat->block, QBD_PAGE_SIZE);
		beat->changed = beat->read && beat->token != was;
		if (!beat->read || beat->changed)
			beat->still = ktime_get_boottime_ns();
		beat->still_for = before > beat->still ? before - beat->still : 0;
		beat->read = true;
	}
	return 0;
}

static bool released(const struct qbd_beat *beat)
{
	return beat->error == -ENOENT ||
	       (!beat->error && beat->seen.kind == QBD_HEARTBEAT_RELEASED);
}

/* Superblocks and heartbeats, as they are now, of more than half of the members. */
static int look(struct qbd_pool *pool)
{
	unsigned int there, all;
	const char *why;
	int err;

	err = qbd_supers_read(pool, &why);
	if (err) {
		DMERR("%s: %s", pool->members.pool_name, why);
		return err;
	}
	there = hweight64(pool->in);
	all = hweight64(pool->in | pool->missing);
	if (2 * there <= all && !pool->features.take_over) {
		DMERR("%s: %u of %u members are there: another host may own the pool by the others; take_over says that none does",
		      pool->members.pool_name, there, all);
		return -EPERM;
	}
	err = make_blocks(pool);
	return err ?: read_blocks(pool);
}

static bool all_handed(struct qbd_pool *pool, u64 nonce)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_beat *beat = &pool->lease.beats[i];

		if ((pool->in & BIT_ULL(i)) &&
		    (beat->error || beat->seen.kind != QBD_HEARTBEAT_RELEASED ||
		     beat->seen.next != nonce))
			return false;
	}
	return nonce;
}

/* Sleeps for some time, unless nobody waits for the pool any more. */
static int nap(struct qbd_pool *pool, u64 ns)
{
	struct qbd_lease *lease = &pool->lease;
	u64 until = ktime_get_boottime_ns() + ns, now;

	while ((now = ktime_get_boottime_ns()) < until) {
		wait_event_interruptible_timeout(lease->wait, READ_ONCE(pool->stopping),
						 nsecs_to_jiffies(until - now) + 1);
		if (READ_ONCE(pool->stopping) || signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* Step 2: nobody alive writes the blocks. */
static int watch(struct qbd_pool *pool)
{
	struct qbd_lease *lease = &pool->lease;
	u64 step = max_t(u64, lease->term / 8, 10 * NSEC_PER_MSEC);
	bool said = false;
	unsigned int i;
	int err = 0;

	for (;;) {
		bool old = true;

		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			const struct qbd_beat *beat = &lease->beats[i];
			const char *host = beat->error ? "?" : beat->seen.host;

			if (!(pool->in & BIT_ULL(i)) || released(beat))
				continue;
			if (beat->changed) {
				DMERR("%s: host %s owns the pool: its heartbeat on backend %u goes on",
				      pool->members.pool_name, host, i);
				return -EUSERS;
			}
			if (beat->still_for >= lease->term)
				continue;
			old = false;
			if (!said)
				DMINFO("%s: host %s owned the pool and did not release it; %u ms of silence say that it is gone",
				       pool->members.pool_name, host, pool->members.lease_ms);
			said = true;
		}
		if (old)
			return 0;
		err = nap(pool, step);
		err = err ?: read_blocks(pool);
		if (err)
			return err;
	}
}

/* Our nonce, on every backend of a bitmap that is there; one that is out may be lost to it. */
static int write_nonce(struct qbd_pool *pool, u64 *which)
{
	struct qbd_lease *lease = &pool->lease;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_beat *beat = &lease->beats[i];
		struct qbd_backend *b = pool->backend[i];
		struct qbd_heartbeat h = {
			.kind = QBD_HEARTBEAT_OWNED, .nonce = lease->nonce,
			.counter = ++beat->counter, .next = pool->standby.nonce,
		};

		if (!b || !(*which & BIT_ULL(i)))
			continue;
		if (!qbd_heartbeat_write(b, QBD_HEARTBEAT_START, beat->block, &h))
			continue;
		*which &= ~BIT_ULL(i);
		if (pool->in & BIT_ULL(i)) {
			DMERR("%s: the heartbeat of backend %u cannot be written",
			      pool->members.pool_name, i);
			return -EIO;
		}
	}
	return 0;
}

static bool same_epoch(struct qbd_pool *pool, const struct qbd_epoch *epoch)
{
	return pool->members.epochs[0].number == epoch->number &&
	       pool->members.epochs[0].tag == epoch->tag;
}

/* By a hand-over to @nonce, which was looked at, from @since on. */
static int take(struct qbd_pool *pool, u64 since)
{
	struct qbd_lease *lease = &pool->lease;
	struct qbd_epoch epoch = pool->members.epochs[0];
	u64 which = pool->in;
	int err;

	lease->nonce = qbd_nonce_new();
	err = write_nonce(pool, &which);
	if (err)
		return err;
	/* Later, and a third host may have seen the blocks grow old. */
	if (ktime_get_boottime_ns() - since >= lease->term)
		return -ESTALE;
	err = look(pool);
	if (!err && !same_epoch(pool, &epoch))
		err = -ESTALE;
	if (!err)
		qbd_owner_begin(pool, since);
	return err;
}

static int claim(struct qbd_pool *pool)
{
	struct qbd_lease *lease = &pool->lease;
	struct qbd_epoch epoch = pool->members.epochs[0];
	u64 since, written = ~0ull;
	unsigned int i;
	int err;

	err = watch(pool);
	if (err)
		return err;
	lease->nonce = qbd_nonce_new();
	err = write_nonce(pool, &written);
	DMINFO("%s: waiting %u ms for whoever else may want the pool", pool->members.pool_name,
	       pool->members.lease_ms);
	err = err ?: nap(pool, lease->term);
	if (err)
		return err;
	since = ktime_get_boottime_ns();
	err = look(pool);
	if (err)
		return err;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_beat *beat = &lease->beats[i];

		if (!pool->backend[i] || !(written & BIT_ULL(i)) || beat->error == -EIO ||
		    (!beat->error && beat->seen.kind == QBD_HEARTBEAT_OWNED &&
		     beat->seen.nonce == lease->nonce))
			continue;
		DMERR("%s: host %s wants the pool, too: its heartbeat is on backend %u",
		      pool->members.pool_name, beat->error ? "?" : beat->seen.host, i);
		return -EUSERS;
	}
	if (!same_epoch(pool, &epoch)) {
		DMERR("%s: another host made a new epoch meanwhile", pool->members.pool_name);
		return -EUSERS;
	}
	qbd_owner_begin(pool, since);
	return 0;
}

/**
 * qbd_takeover_handed - the pool, if it was handed over to a nonce
 * @pool: the pool
 * @nonce: the nonce; not 0
 *
 * Sleeps. Return: 0 when this host owns the pool; -EAGAIN when it was not handed
 * over to this nonce; -EPERM with too few members there; or an error.
 */
int qbd_takeover_handed(struct qbd_pool *pool, u64 nonce)
{
	u64 since = ktime_get_boottime_ns();
	int err = look(pool);

	if (err)
		return err;
	if (!all_handed(pool, nonce) || (pool->features.take_over &&
					 2 * hweight64(pool->in) <=
					 hweight64(pool->in | pool->missing)))
		return -EAGAIN;
	return take(pool, since);
}

/**
 * qbd_takeover_mine - did this host write a heartbeat as a standby that takes over?
 * @pool: the pool
 * @h: the heartbeat
 */
bool qbd_takeover_mine(const struct qbd_pool *pool, const struct qbd_heartbeat *h)
{
	return h->kind == QBD_HEARTBEAT_OWNED && pool->standby.nonce &&
	       h->next == pool->standby.nonce;
}

/**
 * qbd_takeover_left - has nobody some members: released, or by a claim of ours that failed?
 * @pool: the pool, which was looked at: qbd_takeover_handed()
 * @all: set: are all of them released, for whomever?
 */
bool qbd_takeover_left(struct qbd_pool *pool, bool *all)
{
	bool any = false;
	unsigned int i;

	*all = true;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_beat *beat = &pool->lease.beats[i];

		if (!(pool->in & BIT_ULL(i)))
			continue;
		*all &= released(beat);
		any |= released(beat) ||
		       (!beat->error && qbd_takeover_mine(pool, &beat->seen));
	}
	return any;
}

/**
 * qbd_takeover - own the pool: at once where that can be, else after T or twice T
 * @pool: the pool
 *
 * Sleeps, interruptible. Return: 0; -EUSERS another host has it, or wants it;
 * -EPERM too few members are there; -EINTR; or an error. The kernel log tells more.
 */
int qbd_takeover(struct qbd_pool *pool)
{
	u64 kept = kept_take(pool->members.pool_uuid);
	int err = -EAGAIN;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		pool->lease.beats[i].read = false;
	err = qbd_takeover_handed(pool, kept);
	if (err == -EAGAIN || err == -ESTALE)
		err = look(pool) ?: claim(pool);
	return err;
}

/**
 * qbd_takeover_begin - from now on this host may write heartbeats only
 * @pool: the pool, of which nothing was written yet
 */
void qbd_takeover_begin(struct qbd_pool *pool)
{
	struct qbd_lease *lease = &pool->lease;

	lease->term = (u64)pool->members.lease_ms * NSEC_PER_MSEC;
	WRITE_ONCE(lease->deadline, 0);
	WRITE_ONCE(lease->state, QBD_LEASE_CLAIM);
}
