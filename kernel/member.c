// SPDX-License-Identifier: GPL-2.0-only
/*
 * Members: epochs, stamps, backends that go out and come back.
 *
 * A backend's life, as this host sees it:
 *
 *	state		who may use it			leaves it by
 *	in		everything			a failed write or flush, too
 *							many failed reads, or
 *							"fail": -> failing
 *	failing		as in; who saw it fail waits,
 *			and every flush	a durable epoch: -> out;
 *							rule 4 keeps it: -> kept
 *	kept		kept.c, to see whether it	it answers: -> in; an epoch can
 *			answers; readers		be made after all: -> out
 *	out		nobody				"readd": -> suspect;
 *							"replace": -> suspect, empty
 *	suspect		only this file, to make its	tables equal, flushed, epoch
 *			tables equal to the pool's	durable: -> in
 *
 * pool->in is the bitmap of those that are in, failing ones included; the
 * superblocks know in and out, for a suspect is out until it is in.
 *
 * Going out (rule 2), in this order, each durable before the next:
 *	1. the superblocks of all that stay in, with the new epoch
 *	2. the ring goes on without it; nobody reads or writes it
 *	3. stamps: every chunk that a record since the last checkpoint names, and
 *	   that has a leg on it
 *	4. those who waited are told
 * A crash after 1 finds the same chunks named in the ring, and activation stamps
 * them. A chunk that is not named has nothing on that backend that is not
 * flushed; it is stamped before its next write.
 *
 * Model: tests/model/members.pml.
 */
#include <linux/random.h>

#include "qbd.h"

/* Would chunks that have K current legs now have fewer without some backends? */
static bool last_legs(struct qbd_pool *pool, u64 in)
{
	u64 now = READ_ONCE(pool->in);
	struct qbd_layer *layer;
	unsigned long i, n;
	struct qbd_map *map;
	bool last = false;

	xa_for_each(&pool->layers, i, layer) {
		for (n = 0; !last; n++) {
			u32 before = 0, after = 0;

			/* map_lock keeps the map; dropped for each, for there may be many. */
			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			if (map) {
				before = hweight32(qbd_map_current(map, now));
				after = hweight32(qbd_map_current(map, in));
			}
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
			last = before >= layer->policy.k && after < layer->policy.k;
			if (!(n % 1024))
				cond_resched();
		}
	}
	return last;
}

/**
 * qbd_member_next_epoch - a membership with a new epoch
 * @pool: the pool
 * @m: the membership
 * @out: backends that go out with it
 * @back: backends that come in with it
 */
void qbd_member_next_epoch(struct qbd_pool *pool, struct qbd_membership *m, u64 out, u64 back)
{
	/* Above those that were begun, too: they are on backends that may return. */
	u32 number = max(m->epochs[0].number, pool->max_epoch) + 1;
	unsigned int i;

	pool->max_epoch = number;

	memmove(&m->epochs[1], &m->epochs[0], (QBD_EPOCHS - 1) * sizeof(m->epochs[0]));
	m->epochs[0].number = number;
	get_random_bytes(&m->epochs[0].tag, sizeof(m->epochs[0].tag));
	m->nr_epochs = min_t(u32, m->nr_epochs + 1, QBD_EPOCHS);
	m->epochs[0].in = 0;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (out & BIT_ULL(i)) {
			m->members[i].state = QBD_MEMBER_OUT;
			m->members[i].out_epoch = number;
		} else if (back & BIT_ULL(i)) {
			m->members[i].state = QBD_MEMBER_IN;
			m->members[i].unseen = false;
		}
		if (m->members[i].state == QBD_MEMBER_IN)
			m->epochs[0].in |= BIT_ULL(i);
	}
	m->ring_members &= ~out;
}

/*
 * Rule 4, and that it can be complete: not without superblocks of those that are
 * kept. Those that are in by it are @in.
 */
static bool may_be(struct qbd_pool *pool, u64 in)
{
	return in && (pool->members.ring_members & in) && !(READ_ONCE(pool->kept) & in) &&
	       qbd_owner_may_raise(pool, in) && !last_legs(pool, in);
}

/* An epoch that was begun is in the history, and nobody's state has changed. */
static void note_begun(struct qbd_pool *pool, const struct qbd_membership *next)
{
	memcpy(pool->members.epochs, next->epochs, sizeof(next->epochs));
	pool->members.nr_epochs = next->nr_epochs;
	pool->half_epoch = true;
}

/*
 * Writes epochs until one is durable on all that are in by it. Only then has
 * anything changed for who asks who is in. *refused: those of @back that failed.
 */
static int write_epochs(struct qbd_pool *pool, u64 out, u64 back, u64 *refused)
{
	struct qbd_membership *next = pool->next_members;
	u64 in, failed, faulty;
	unsigned int i;

	*refused = 0;
	do {
		in = (READ_ONCE(pool->in) & ~out) | back;
		if (!may_be(pool, in))
			return -EBUSY;
		*next = pool->members;
		qbd_member_next_epoch(pool, next, out, back);
		failed = qbd_super_write(pool, next, in, 0);
		if (!qbd_owner_acts(pool))
			return -EUCLEAN;
		/* One that was begun is followed by another, without who failed. */
		if (failed)
			note_begun(pool, next);
		*refused |= failed & back;
		out |= failed;
		back &= ~failed;
	} while (failed);
	pool->members = *next;
	pool->half_epoch = false;
	spin_lock_irq(&pool->member_list_lock);
	faulty = READ_ONCE(pool->failing) | pool->over_limit;
	WRITE_ONCE(pool->in, in);
	WRITE_ONCE(pool->failing, READ_ONCE(pool->failing) & in);
	WRITE_ONCE(pool->kept, READ_ONCE(pool->kept) & in);
	spin_unlock_irq(&pool->member_list_lock);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (!(out & ~*refused & BIT_ULL(i)) || !pool->backend[i])
			continue;
		DMERR("%s: backend %u (%s) is out, epoch %u", pool->members.pool_name, i,
		      pool->backend[i]->name, next->epochs[0].number);
		if (faulty & BIT_ULL(i))
			qbd_limit_out(pool, i);
		qbd_event(pool);
	}
	return 0;
}

/**
 * qbd_member_epoch - a new epoch, durable
 * @pool: the pool
 * @out: backends that go out; more may join them while it is written
 * @back: backends that come in
 *
 * Sleeps. Context: member_lock. From its first superblock write until it, or a
 * later one, is on every member that is in by it, no ring record is written: else
 * a crash could find it on some, be taken by it, and miss what came after
 * (docs/protocol.md).
 *
 * Return: 0; -EBUSY when rule 4 keeps one of @out in: then nobody is in or out that
 * was not before, and if an epoch was begun nothing is recorded before one is
 * complete (pool->half_epoch); -EIO when one of @back failed and is out.
 */
int qbd_member_epoch(struct qbd_pool *pool, u64 out, u64 back)
{
	u64 refused;
	int err;

	lockdep_assert_held(&pool->member_lock);
	down_write(&pool->epoch_sem);
	err = write_epochs(pool, out, back, &refused);
	if (err == -EUCLEAN) {
		err = -EIO;
		qbd_ring_fail(pool, err);
	} else if (!err) {
		qbd_owner_members(pool);
	}
	up_write(&pool->epoch_sem);
	wake_up_all(&pool->member_wait);
	return err ?: refused ? -EIO : 0;
}

struct stamping {
	u64 lsn;
};

static int stamp(struct qbd_chunk *chunk, void *context)
{
	struct stamping *s = context;

	if (!READ_ONCE(chunk->map) || qbd_chunk_settled(chunk))
		return 0;
	mutex_lock(&chunk->mutex);
	s->lsn = max(s->lsn, qbd_chunk_stamp(chunk));
	mutex_unlock(&chunk->mutex);
	return 0;
}

/**
 * qbd_member_stamp - stamp every named chunk that has a leg on a backend that is
 * not in. Sleeps.
 * @pool: the pool
 */
int qbd_member_stamp(struct qbd_pool *pool)
{
	struct stamping s = {};

	qbd_named_each(pool, stamp, &s);
	return qbd_ring_wait(pool, s.lsn);
}

/*
 * Those over their limit, one at a time: that one has to stay is no reason for
 * another. What they wrote and flushed is as good as it was, so where rule 4 keeps
 * one, nothing more is to be done.
 */
static bool put_out_limited(struct qbd_pool *pool, u64 over)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (!(over & READ_ONCE(pool->in) & ~READ_ONCE(pool->kept) & BIT_ULL(i)))
			continue;
		if (!qbd_member_epoch(pool, BIT_ULL(i), 0))
			any = true;
		else
			DMERR_LIMIT("%s: backend %u is over its limit of errors, but holds last current legs or the last ring: it stays in",
				    pool->members.pool_name, i);
	}
	spin_lock_irq(&pool->member_list_lock);
	pool->over_limit &= ~over;
	spin_unlock_irq(&pool->member_list_lock);
	return any;
}

static void member_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, member_work);
	u64 wanted, failing, over;
	int err = 0;
	bool less;

	qbd_moment("backend-failed");
	mutex_lock(&pool->member_lock);
	wanted = READ_ONCE(pool->member_wanted);
	smp_rmb();	/* what is counted in wanted is in failing */
	failing = READ_ONCE(pool->failing) & READ_ONCE(pool->in);
	if (failing) {
		err = qbd_member_epoch(pool, failing, 0);
		if (err)
			qbd_kept_add(pool, failing);
		wake_up_all(&pool->member_wait);
	}
	over = READ_ONCE(pool->over_limit);
	less = failing && !err;
	if (over)
		less |= put_out_limited(pool, over);
	mutex_unlock(&pool->member_lock);
	if (less)
		qbd_checkpoint_soon(pool);	/* it finds a new ring member */
	WRITE_ONCE(pool->member_epochs, wanted);
	queue_work(pool->stamp_wq, &pool->stamp_work);
	/* What was parked for a failure that is over, with nobody kept, is begun by nobody else. */
	smp_mb();
	if (READ_ONCE(pool->nr_parked))
		qbd_kept_soon(pool);
}

/*
 * Apart from the epochs, and without their lock: a ring member that fails while
 * stamps are written is put out meanwhile.
 */
static void stamp_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, stamp_work);
	u64 wanted = READ_ONCE(pool->member_epochs);

	qbd_moment("stamps-begin");
	/* kept.c sees to it that it is tried again. */
	if (!qbd_member_stamp(pool))
		WRITE_ONCE(pool->member_done, wanted);
	wake_up_all(&pool->member_wait);
}

/*
 * Who does not own the pool has none in who is in, nor has one that only reads it:
 * another host may own that (rule 12). Nor has a start before it knows who holds last
 * legs: nothing is written then but heartbeats, which a backend may miss.
 */
static bool has_a_say(struct qbd_pool *pool)
{
	if (!qbd_owner_acts(pool) || pool->features.read_only)
		return false;
	/* Pairs with qbd_activate(): the maps are seen by who sees this. */
	return smp_load_acquire(&pool->maps_known);
}

static void member_wants(struct qbd_pool *pool)
{
	lockdep_assert_held(&pool->member_list_lock);
	pool->member_wanted++;
	queue_work(pool->member_wq, &pool->member_work);
}

/**
 * qbd_member_fail - backends failed a write or a flush
 * @pool: the pool
 * @which: bitmap of backends
 *
 * Context: any. What depends on it waits with qbd_member_settle(). Of one that is
 * kept it is known already.
 */
void qbd_member_fail(struct qbd_pool *pool, u64 which)
{
	unsigned long flags;

	if (!has_a_say(pool))
		return;
	spin_lock_irqsave(&pool->member_list_lock, flags);
	which &= READ_ONCE(pool->in) & ~pool->kept;
	/* Or out already; its stamps may still be on their way. */
	if (which && !pool->members_end) {
		pool->failing |= which;
		member_wants(pool);
	}
	spin_unlock_irqrestore(&pool->member_list_lock, flags);
}

/**
 * qbd_member_limit - backends are over their limit of errors
 * @pool: the pool
 * @which: bitmap of backends
 *
 * They go out, unless rule 4 keeps them; nobody waits for that. Context: any.
 */
void qbd_member_limit(struct qbd_pool *pool, u64 which)
{
	unsigned long flags;

	/* A start goes on as long as it can read what it needs. */
	if (!has_a_say(pool) || !READ_ONCE(pool->active))
		return;
	spin_lock_irqsave(&pool->member_list_lock, flags);
	if (!pool->members_end) {
		pool->over_limit |= which;
		/* Counted as a failure, before the epoch, as in qbd_member_leave(). */
		member_wants(pool);
	}
	spin_unlock_irqrestore(&pool->member_list_lock, flags);
}

/**
 * qbd_member_end - nobody goes out any more: the pool ends
 * @pool: the pool, of which nothing runs but I/O of its own that nobody waits for
 *
 * What had been asked for is through when this returns: work queues may go. Sleeps.
 */
void qbd_member_end(struct qbd_pool *pool)
{
	spin_lock_irq(&pool->member_list_lock);
	pool->members_end = true;
	spin_unlock_irq(&pool->member_list_lock);
	flush_work(&pool->member_work);
	flush_work(&pool->stamp_work);
}

/**
 * qbd_member_settle - have backends that failed put out, and the stamps made
 * @pool: the pool
 * @which: bitmap of backends
 *
 * Sleeps. Return: 0 when their failure is on disk; -EIO when one stays in
 * (rule 4), or nothing can be recorded.
 */
int qbd_member_settle(struct qbd_pool *pool, u64 which)
{
	qbd_member_fail(pool, which);
	return qbd_member_quiet(pool) || (READ_ONCE(pool->in) & which) ? -EIO : 0;
}

/**
 * qbd_member_leave - make an epoch without some backends, of which nobody may have
 * reported a failure
 * @pool: the pool
 * @which: bitmap of backends; with none it completes an epoch that was begun
 *
 * The stamps follow; qbd_member_quiet() waits for them. Sleeps. Return: 0; -EBUSY
 * when one of them has to stay (rule 4).
 */
int qbd_member_leave(struct qbd_pool *pool, u64 which)
{
	int err;

	mutex_lock(&pool->member_lock);
	/*
	 * Counted as a failure, before the epoch: no flush is acknowledged and no
	 * checkpoint forgets a name between the epoch and the stamps.
	 */
	spin_lock_irq(&pool->member_list_lock);
	pool->member_wanted++;
	spin_unlock_irq(&pool->member_list_lock);
	err = qbd_member_epoch(pool, which, 0);
	mutex_unlock(&pool->member_lock);
	queue_work(pool->member_wq, &pool->member_work);
	return err;
}

/**
 * qbd_member_out - take a backend out that did not fail
 * @pool: the pool
 * @index: index of the backend
 *
 * Sleeps. Return: 0; -EBUSY when it has to stay (rule 4), and nothing changed; -EIO
 * when it is out and that cannot be recorded in the chunks' stamps now.
 */
int qbd_member_out(struct qbd_pool *pool, unsigned int index)
{
	return qbd_member_leave(pool, BIT_ULL(index)) ?: qbd_member_quiet(pool);
}

/**
 * qbd_member_quiet - wait until every failure that was reported is settled
 * @pool: the pool
 *
 * Settled: the backend is out, and stamped, or it is kept; who relies on a flush
 * compares pool->kept_times before and after. Sleeps.
 *
 * Return: 0, or why the ring, which the stamps need, cannot be written.
 */
int qbd_member_quiet(struct qbd_pool *pool)
{
	u64 ticket = READ_ONCE(pool->member_wanted);

	wait_event(pool->member_wait, READ_ONCE(pool->member_done) >= ticket ||
		   qbd_ring_down(&pool->ring));
	if (READ_ONCE(pool->ring.error))
		return READ_ONCE(pool->ring.error);
	return READ_ONCE(pool->member_done) >= ticket ? 0 : -EIO;
}

/**
 * qbd_member_wait_epoch - as qbd_member_settle(), but not for the stamps
 * @pool: the pool
 * @which: bitmap of backends
 *
 * For the ring, which the stamps need. Return: those that stay in.
 */
u64 qbd_member_wait_epoch(struct qbd_pool *pool, u64 which)
{
	qbd_member_fail(pool, which);
	wait_event(pool->member_wait, !(READ_ONCE(pool->failing) & which));
	return READ_ONCE(pool->in) & which;
}

void qbd_member_init(struct qbd_pool *pool)
{
	mutex_init(&pool->member_lock);
	init_rwsem(&pool->meta_sem);
	init_rwsem(&pool->epoch_sem);
	init_waitqueue_head(&pool->member_wait);
	spin_lock_init(&pool->member_list_lock);
	INIT_WORK(&pool->member_work, member_work);
	INIT_WORK(&pool->stamp_work, stamp_work);
}
