// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool in standby: another host owns it, and will hand it over.
 *
 * Its volumes exist, with their size, as the tables of the owner say; their I/O
 * waits. A standby writes nothing but a block of its own, beside the owner's
 * heartbeat, on every backend that is there: a nonce, and a counter that shows that it
 * is alive. By these the owner knows to whom it can hand over:
 *
 *	owner				standby
 *					its block, twice a second; looks at one
 *					heartbeat ten times a second
 *	hand_over, or a clean stop:
 *	  the standby's counter moves
 *	  no new I/O; journal, ring empty
 *	  no write, from here on
 *	  released for the standby's
 *	  nonce, on all members
 *					sees that, on all members that are in:
 *					its own heartbeat there, activation;
 *					the I/O that waited goes on
 *
 * A crash of either at any point leaves what a crash of an owner leaves: heartbeats
 * that have to grow old, or blocks that are released; and a log. A pool that is
 * released for nobody, or for somebody else, is claimed as any other, with a wait. So
 * is one that was released in part, or that a standby began to take and did not get:
 * its own nonce is in the blocks then, and nobody lives by it. It waits before that, for
 * somebody may just be at it, and two that met must not meet again.
 * One whose owner died is not taken: that needs a person, who starts it.
 */
#include <linux/delay.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "qbd.h"

#define LOOK_MS		100	/* at a heartbeat */
#define SAY_EVERY	5	/* looks */
#define ALIVE_MS	2000	/* in which a standby that is alive has written */

static void say(struct qbd_pool *pool, bool alive)
{
	struct qbd_standby *standby = &pool->standby;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_heartbeat h = {
			.kind = QBD_HEARTBEAT_STANDBY, .nonce = standby->nonce,
			.counter = ++standby->counter,
		};
		struct qbd_backend *b = pool->backend[i];

		if (!b)
			continue;
		if (alive) {
			qbd_heartbeat_write(b, QBD_STANDBY_START, standby->block, &h);
			continue;
		}
		/* Only our own: there may be another by now. */
		if (qbd_heartbeat_read(b, QBD_STANDBY_START, standby->block, &h) ||
		    h.nonce != standby->nonce)
			continue;
		memset(standby->block, 0, QBD_PAGE_SIZE);
		qbd_backend_rw(b, REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META,
			       QBD_STANDBY_START, standby->block, QBD_PAGE_SIZE);
	}
}

/*
 * One heartbeat, of the next device each time, in or out: who is in may be another
 * one by now. Does it say that nobody has the pool?
 */
static bool glance(struct qbd_pool *pool)
{
	struct qbd_standby *standby = &pool->standby;
	struct qbd_heartbeat h;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b;

		standby->at = (standby->at + 1) % QBD_MAX_BACKENDS;
		b = pool->backend[standby->at];
		if (b)
			return !qbd_heartbeat_read(b, QBD_HEARTBEAT_START, standby->block, &h) &&
			       (h.kind == QBD_HEARTBEAT_RELEASED || qbd_takeover_mine(pool, &h));
	}
	return false;
}

/* The pool was looked at: may this host claim it? */
static bool may_claim(struct qbd_pool *pool)
{
	struct qbd_standby *standby = &pool->standby;
	u64 now = ktime_get_boottime_ns(), term = pool->lease.term;
	bool all, any = qbd_takeover_left(pool, &all);

	if (!any || all) {
		standby->claim_at = 0;
		return all;
	}
	if (!standby->claim_at)
		standby->claim_at = now + term + mul_u64_u32_shr(term, get_random_u32(), 32);
	if (now < standby->claim_at)
		return false;
	DMWARN("%s: nobody has the pool, though it is not released as a whole: claiming it",
	       pool->members.pool_name);
	standby->claim_at = 0;
	return true;
}

static int try_take(struct qbd_pool *pool)
{
	u64 begun = ktime_get_ns();
	int err;

	err = qbd_takeover_handed(pool, pool->standby.nonce);
	if (err == -EAGAIN && may_claim(pool))
		err = qbd_takeover(pool);
	if (err)
		return err;
	mutex_lock(&pool->volume_mutex);
	qbd_volumes_exit(pool);
	mutex_unlock(&pool->volume_mutex);
	WRITE_ONCE(pool->mode, QBD_RW);
	err = qbd_pool_go(pool);
	if (!err)
		DMINFO("%s: taken over in %llu ms", pool->members.pool_name,
		       div_u64(ktime_get_ns() - begun, NSEC_PER_MSEC));
	say(pool, false);
	qbd_targets_attach(pool);
	return 0;
}

static void standby_work(struct work_struct *work)
{
	struct qbd_standby *standby = container_of(to_delayed_work(work), struct qbd_standby, work);
	struct qbd_pool *pool = container_of(standby, struct qbd_pool, standby);
	unsigned int ms = LOOK_MS;
	int err = -EAGAIN;

	if (READ_ONCE(pool->stopping))
		return;
	mutex_lock(&standby->mutex);
	if (standby->looks++ % SAY_EVERY == 0)
		say(pool, true);
	if (glance(pool))
		err = try_take(pool);
	mutex_unlock(&standby->mutex);
	if (!err)
		return;
	/* The owner may be in the middle of it; what else there is was said. */
	if (err != -EAGAIN && err != -ESTALE)
		ms = pool->members.lease_ms;
	queue_delayed_work(pool->owner_wq, &standby->work, msecs_to_jiffies(ms));
}

/**
 * qbd_standby_start - wait for the owner to hand over
 * @pool: the pool
 */
int qbd_standby_start(struct qbd_pool *pool)
{
	pool->standby.block = kmalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	if (!pool->standby.block)
		return -ENOMEM;
	pool->standby.nonce = qbd_nonce_new();
	WRITE_ONCE(pool->mode, QBD_STANDBY);
	queue_delayed_work(pool->owner_wq, &pool->standby.work, 0);
	DMINFO("%s: in standby", pool->members.pool_name);
	return 0;
}

/**
 * qbd_standby_stop - wait no more. Sleeps.
 * @pool: the pool, of which stopping is set
 */
void qbd_standby_stop(struct qbd_pool *pool)
{
	wake_up_all(&pool->lease.wait);
	cancel_delayed_work_sync(&pool->standby.work);
	if (pool->standby.block && READ_ONCE(pool->mode) == QBD_STANDBY)
		say(pool, false);
}

/**
 * qbd_standby_load - what volumes there are, as the owner's tables say now
 * @pool: the pool
 *
 * Sleeps. Context: standby.mutex, volume_mutex. Return: 0, or an error: the owner
 * may be writing what was read; or -EAGAIN when the pool is in standby no more.
 */
int qbd_standby_load(struct qbd_pool *pool)
{
	unsigned int tries;
	const char *why;
	int err;

	lockdep_assert_held(&pool->standby.mutex);
	lockdep_assert_held(&pool->volume_mutex);
	if (READ_ONCE(pool->mode) != QBD_STANDBY)
		return -EAGAIN;
	for (tries = 0; tries < 10; tries++) {
		err = qbd_supers_read(pool, &why);
		err = err ?: qbd_tables_look(pool);
		if (!err) {
			qbd_volumes_exit(pool);
			err = qbd_volumes_load(pool);
		}
		if (!err)
			return 0;
		msleep(50);
	}
	DMERR("%s: the owner's tables cannot be read (%d)", pool->members.pool_name, err);
	return err;
}

/**
 * qbd_standby_find - who waits for this pool on another host
 * @pool: the pool, which this host owns
 * @host: QBD_HOST_SIZE bytes for its name
 *
 * Sleeps, for a moment. Return: its nonce; 0: nobody who is alive.
 */
u64 qbd_standby_find(struct qbd_pool *pool, char *host)
{
	void *block = kmalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	struct qbd_heartbeat first = {}, h;
	unsigned int i, ms;
	int idx;

	for (ms = 0; block && ms < ALIVE_MS; ms += LOOK_MS) {
		struct qbd_backend *b = NULL;
		int err = -EIO;

		idx = srcu_read_lock(&pool->backends_srcu);
		for (i = 0; i < QBD_MAX_BACKENDS && err == -EIO; i++) {
			b = qbd_backend_in(pool, i);
			if (b)
				err = qbd_heartbeat_read(b, QBD_STANDBY_START, block, &h);
		}
		srcu_read_unlock(&pool->backends_srcu, idx);
		/* Half written is alive; nothing there is nobody. */
		if (err == -ENOENT || err == -EIO)
			break;
		if (!err && h.kind == QBD_HEARTBEAT_STANDBY && h.nonce == first.nonce &&
		    h.counter != first.counter) {
			memcpy(host, h.host, QBD_HOST_SIZE);
			kfree(block);
			return h.nonce;
		}
		if (!err && h.nonce != first.nonce)
			first = h;
		msleep(LOOK_MS);
	}
	kfree(block);
	return 0;
}

/**
 * qbd_standby_hand_over - the pool goes to the standby of another host
 * @pool: the pool
 * @error: what was wrong
 *
 * Sleeps. Return: 0, and nothing is written any more; -EINVAL or -ENOLINK, and this
 * host goes on; or an error after I/O was stopped, which is for good: the pool is to
 * be started anew, here or there, where it may have to wait.
 */
int qbd_standby_hand_over(struct qbd_pool *pool, const char **error)
{
	u64 begun = ktime_get_ns();
	char host[QBD_HOST_SIZE];
	u64 nonce;
	int err;

	*error = "the pool has no lease";
	if (READ_ONCE(pool->lease.state) != QBD_LEASE_OWNS)
		return -EINVAL;
	/* While nothing is stopped yet: qbd_owner_release() would refuse it, too. */
	*error = "a backend has orphans, and may do what they say when another host has the pool";
	if (qbd_owner_orphans(pool))
		return -EBUSY;
	*error = "no host has the pool in standby";
	nonce = qbd_standby_find(pool, host);
	if (!nonce)
		return -ENOLINK;
	qbd_pool_quiesce(pool);
	*error = "it stopped; but the lease ran out, writes do not end, or none can be written";
	err = qbd_owner_release(pool, nonce);
	if (!err)
		DMINFO("%s: handed over to host %s, in %llu ms", pool->members.pool_name, host,
		       div_u64(ktime_get_ns() - begun, NSEC_PER_MSEC));
	return err;
}

void qbd_standby_init(struct qbd_pool *pool)
{
	mutex_init(&pool->standby.mutex);
	INIT_DELAYED_WORK(&pool->standby.work, standby_work);
	INIT_LIST_HEAD(&pool->targets);
}

void qbd_standby_exit(struct qbd_pool *pool)
{
	kfree(pool->standby.block);
}
