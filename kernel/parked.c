// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O that waits for backends (rule 4, on_loss=queue).
 *
 * Where so few backends are left that a request fails, it is not ended but *parked*:
 * its bio is put into a list, in the order in which they came, and takes no memory and
 * no worker. Reads, writes, flushes and discards alike; each is begun anew, as it
 * came, when kept.c finds that all goes on, or a backend was let in again.
 *
 * A request is parked for one reason only: that backends are not there. A block that
 * is lost or cannot be put right is an error at once, or, where a backend that holds
 * a leg of it failed the read, when that one was found to answer.
 *
 * A request ends here whenever it fails, in qbd_io_end(). Suspend: what is parked of
 * the target, and what would be from then on, is given back to dm if that asks for it
 * (noflush), else it fails. So neither a suspend, nor the removal of a volume, nor
 * a stop of the pool, for which volumes are removed first, waits for backends.
 */
#include "qbd.h"

/* Has a chunk of the request too few legs on backends that are in? */
static bool too_short(const struct qbd_io *io)
{
	struct qbd_layer *layer = io->volume->top;
	struct qbd_pool *pool = layer->pool;
	u64 at = io->iter.bi_sector << SECTOR_SHIFT, end = at + io->iter.bi_size;
	bool found = false;

	at = div64_u64(at, layer->chunk_bytes);
	for (; !found && at * layer->chunk_bytes < end; at++) {
		u64 in = READ_ONCE(pool->in);
		struct qbd_chunk *chunk;
		unsigned int legs;
		struct qbd_map *map;

		spin_lock(&pool->map_lock);
		map = xa_load(&layer->map, at);
		legs = map ? hweight32(qbd_map_current(map, in)) : 0;
		spin_unlock(&pool->map_lock);
		if (!map)
			legs = qbd_layer_blind(layer) ? 0 : hweight64(in);
		/* Or have its rows to be made whole first, when more legs are back? */
		rcu_read_lock();
		chunk = xa_load(&layer->chunks, at);
		found = legs < layer->policy.k || (chunk && READ_ONCE(chunk->unreconciled));
		rcu_read_unlock();
	}
	return found;
}

static void end(struct qbd_io *io, blk_status_t status)
{
	struct bio *bio = qbd_io_bio(io);

	bio->bi_status = status;
	bio_endio(bio);
}

/**
 * qbd_io_start - begin a user's request, for the first time or again
 * @io: the bio's data of ours
 *
 * Return: a DM_MAPIO_ value.
 */
int qbd_io_start(struct qbd_io *io)
{
	struct qbd_pool *pool = io->volume->top->pool;
	struct bio *bio = qbd_io_bio(io);

	/* Doubts are over with an outage: it is another one that they would be of. */
	if (io->times != READ_ONCE(pool->kept_times))
		io->doubted = 0;
	io->times = READ_ONCE(pool->kept_times);
	io->recovered = READ_ONCE(pool->recovered);
	io->unread = 0;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return qbd_read_map(io);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return qbd_discard_map(io);
	case REQ_OP_WRITE:
	case REQ_OP_FLUSH:
		if (bio->bi_iter.bi_size)
			return qbd_write_map(io);
		qbd_flush_bio(pool, bio);
		return DM_MAPIO_SUBMITTED;
	default:
		return DM_MAPIO_KILL;
	}
}

/* Did it fail because backends are not there? */
static bool is_loss(struct qbd_io *io)
{
	struct qbd_pool *pool = io->volume->top->pool;
	u64 unread = io->unread & READ_ONCE(pool->in) & ~io->doubted;

	if (qbd_kept_trouble(pool))
		return true;
	/* Or what it failed for is over; that is so before it is counted (kept.c). */
	smp_rmb();
	if (READ_ONCE(pool->kept_running))
		return true;
	smp_rmb();	/* it is counted before that ends */
	if (READ_ONCE(pool->kept_times) != io->times || READ_ONCE(pool->recovered) != io->recovered)
		return true;
	if (unread) {
		/* Once for each backend: one that answers then has a bad block. */
		io->doubted |= unread;
		qbd_kept_doubt(pool, unread);
		return true;
	}
	return too_short(io);
}

/**
 * qbd_io_end - a user's request ended
 * @io: the bio's data of ours
 * @err: 0 or an error; -ENODATA: not for lack of backends
 *
 * Context: process, unless it succeeded. Return: false when it waits.
 */
bool qbd_io_end(struct qbd_io *io, int err)
{
	struct qbd_target *t = io->target;
	struct qbd_pool *pool = t->pool;
	blk_status_t status = errno_to_blk_status(err == -ENODATA ? -EIO : err);

	if (err != -EIO || !READ_ONCE(pool->on_loss_queue) || READ_ONCE(pool->mode) != QBD_RW ||
	    READ_ONCE(pool->stopping) || !is_loss(io)) {
		end(io, status);
		return true;
	}
	qbd_moment("parking");
	spin_lock_irq(&pool->parked_lock);
	/* As it is now: what waited may have been failed meanwhile, and nobody comes again. */
	if (t->leaving == QBD_STAYS && READ_ONCE(pool->on_loss_queue) &&
	    READ_ONCE(pool->mode) == QBD_RW && !READ_ONCE(pool->stopping)) {
		io->phase = PACE_UNTIMED;	/* it is no resync that it waits for */
		bio_list_add(&pool->parked, qbd_io_bio(io));
		WRITE_ONCE(pool->nr_parked, pool->nr_parked + 1);
		io = NULL;
	} else if (t->leaving == QBD_REQUEUE) {
		status = BLK_STS_DM_REQUEUE;
	}
	spin_unlock_irq(&pool->parked_lock);
	if (io) {
		end(io, status);
		return true;
	}
	/* What it waits for may just have come; member_work() looks in the other order. */
	smp_mb();
	if (!qbd_kept_trouble(pool))
		qbd_kept_soon(pool);
	return false;
}

/* Take those out of the list that @fn wants. */
static void take(struct qbd_pool *pool, bool (*fn)(struct qbd_io *io, const void *context),
		 const void *context, struct bio_list *taken)
{
	struct bio_list all;
	struct bio *bio;

	bio_list_init(taken);
	spin_lock_irq(&pool->parked_lock);
	all = pool->parked;
	bio_list_init(&pool->parked);
	while ((bio = bio_list_pop(&all))) {
		bool wanted = fn(dm_per_bio_data(bio, sizeof(struct qbd_io)), context);

		bio_list_add(wanted ? taken : &pool->parked, bio);
		WRITE_ONCE(pool->nr_parked, pool->nr_parked - wanted);
	}
	spin_unlock_irq(&pool->parked_lock);
}

static bool may_go(struct qbd_io *io, const void *context)
{
	return !too_short(io);
}

static bool any_one(struct qbd_io *io, const void *context)
{
	return true;
}

static bool of_target(struct qbd_io *io, const void *target)
{
	return io->target == target;
}

/**
 * qbd_parked_go - what waits and need not any more is begun anew, in order
 * @pool: the pool
 *
 * Sleeps.
 */
void qbd_parked_go(struct qbd_pool *pool)
{
	struct bio_list go;
	struct bio *bio;

	take(pool, may_go, NULL, &go);
	while ((bio = bio_list_pop(&go))) {
		qbd_io_start(dm_per_bio_data(bio, sizeof(struct qbd_io)));
		cond_resched();
	}
}

/* End those that @fn wants. */
static void take_and_end(struct qbd_pool *pool, bool (*fn)(struct qbd_io *io, const void *context),
			 const void *context, blk_status_t status)
{
	struct bio_list taken;
	struct bio *bio;

	take(pool, fn, context, &taken);
	while ((bio = bio_list_pop(&taken)))
		end(dm_per_bio_data(bio, sizeof(struct qbd_io)), status);
}

/**
 * qbd_parked_fail - nothing waits any more: it failed
 * @pool: the pool
 *
 * Context: process.
 */
void qbd_parked_fail(struct qbd_pool *pool)
{
	take_and_end(pool, any_one, NULL, BLK_STS_IOERR);
}

/**
 * qbd_parked_leave - a volume's target is going to be suspended, or is resumed
 * @t: the target
 * @leaving: what becomes of its requests that would wait
 *
 * Context: process.
 */
void qbd_parked_leave(struct qbd_target *t, enum qbd_leaving leaving)
{
	spin_lock_irq(&t->pool->parked_lock);
	t->leaving = leaving;
	spin_unlock_irq(&t->pool->parked_lock);
	if (leaving != QBD_STAYS)
		take_and_end(t->pool, of_target, t,
			     leaving == QBD_REQUEUE ? BLK_STS_DM_REQUEUE : BLK_STS_IOERR);
}

void qbd_parked_init(struct qbd_pool *pool)
{
	spin_lock_init(&pool->parked_lock);
	bio_list_init(&pool->parked);
}
