// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ring generations: which backends the ring is on.
 *
 * Journal devices (format.h) are the members as long as there are enough of them; when
 * one is lost ordinary backends help out, until it is replaced.
 *
 * A ring member that goes out leaves with that epoch, and the ring goes on without
 * it. A replacement comes in with a new generation of the ring; so does one more
 * member, before a volume that may lose more legs is made. In this order:
 *
 *	1. new records wait; those that are in flight become durable
 *	2. the blocks that are still needed are written again, sealed as blocks of
 *	   the new generation with numbers that go on, to all its members: behind the
 *	   old ones, not over them; durable
 *	3. the superblocks of all that are in name the generation, durable
 *	4. records go on
 *
 * A crash before 3 is complete finds superblocks with either generation; both
 * hold the same records, for nothing was added to either. One that fails in 3 is
 * out, by an epoch that names the new generation, before 4; where it has to stay
 * (rule 4), 4 waits for an epoch that is on all that are in.
 *
 * Model: tests/model/members.pml.
 */
#include "qbd.h"

/**
 * qbd_ring_choose - who should be ring members
 * @pool: the pool
 * @m: the largest number of legs that a chunk of any volume may lose
 *
 * The journal devices that are in, if they are max(M) + 1, or 2, at least. Else they,
 * and those who are, and are in, and more if there are fewer than max(M) + 1, or 3, on
 * other hosts first. Return: a bitmap.
 */
u64 qbd_ring_choose(struct qbd_pool *pool, unsigned int m)
{
	u64 in = READ_ONCE(pool->in), members = pool->members.ring_members & in;
	u64 journal = qbd_journal_devices(&pool->members) & in;
	unsigned int want = max(m + 1, 3u), i, round;

	if (hweight64(journal) >= max(m + 1, 2u))
		return journal;
	members |= journal;
	for (round = 0; round < 2; round++) {
		for (i = 0; i < QBD_MAX_BACKENDS && hweight64(members) < want; i++) {
			if (!(in & ~members & BIT_ULL(i)))
				continue;
			if (!round && (qbd_same_host(&pool->members, i) & members))
				continue;
			members |= BIT_ULL(i);
		}
	}
	return members;
}

static u64 block_offset(const struct qbd_pool *pool, const struct qbd_backend *b, u64 number)
{
	u32 place;

	div_u64_rem(number, pool->members.ring_blocks, &place);
	return b->geometry.ring_start + (u64)place * QBD_PAGE_SIZE;
}

/* Reads one block of the log from any ring member. */
static int read_block(struct qbd_pool *pool, u64 number, u8 *raw, struct qbd_ring_block *head)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (b && (pool->members.ring_members & BIT_ULL(i)) &&
		    !qbd_backend_rw(b, REQ_OP_READ | REQ_META, block_offset(pool, b, number),
				    raw, QBD_PAGE_SIZE) &&
		    !qbd_ring_block_check(raw, pool->members.pool_uuid, head) &&
		    head->generation == pool->members.ring_generation && head->number == number)
			return 0;
	}
	return -EIO;
}

/* Sends blocks with numbers from @number on to all members of the new generation. */
static int send_blocks(struct qbd_pool *pool, u64 members, u64 number, u8 *raw, u64 nr)
{
	struct qbd_wait wait;
	unsigned int i;
	int err = 0;
	u64 n;

	qbd_wait_init(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS && !err; i++) {
		struct qbd_backend *b = qbd_backend_in(pool, i);

		if (!(members & BIT_ULL(i)))
			continue;
		err = b ? 0 : -EIO;
		for (n = 0; b && n < nr; n++)
			qbd_backend_submit(b, REQ_OP_WRITE | REQ_FUA | REQ_META,
					   block_offset(pool, b, number + n),
					   raw + n * QBD_PAGE_SIZE, QBD_PAGE_SIZE, &wait);
	}
	return qbd_wait_for(&wait) ? -EIO : err;
}

/*
 * Step 2. *first_lsn: of the first block, if there is one. While the ring waits
 * nobody's memory comes back, so none is asked for: the pages of checkpoints, whose
 * mutex the caller has, are room enough for some blocks at a time.
 */
static int copy_blocks(struct qbd_pool *pool, u64 members, u64 from, u64 to, u64 *first_lsn)
{
	u8 *buffers = pool->checkpoint_pages.buffers;
	u64 n, at = 0, nr;
	int err = 0;

	lockdep_assert_held(&pool->checkpoint_mutex);
	for (; at < to - from && !err; at += nr) {
		nr = min_t(u64, QBD_PAGES_GROUP, to - from - at);
		for (n = at; n < at + nr && !err; n++) {
			u8 *raw = buffers + (n - at) * QBD_PAGE_SIZE;
			struct qbd_ring_block head;

			err = read_block(pool, from + n, raw, &head);
			if (err)
				break;
			if (!n)
				*first_lsn = head.first_lsn;
			head.generation = pool->members.ring_generation + 1;
			head.number = to + n;
			head.tail = to;
			head.batch_index = n;
			qbd_ring_block_seal(raw, pool->members.pool_uuid, &head);
		}
		err = err ?: send_blocks(pool, members, to + at, buffers, nr);
	}
	return err;
}

/* Step 3. */
static int name_generation(struct qbd_pool *pool, u64 members, u64 lsn, u64 block)
{
	struct qbd_membership *next = pool->next_members;
	u64 failed;

	mutex_lock(&pool->member_lock);
	*next = pool->members;
	next->ring_generation++;
	next->ring_members = members & READ_ONCE(pool->in);
	next->ring_first_lsn = lsn;
	next->ring_first_block = block;
	if (!next->ring_members) {
		mutex_unlock(&pool->member_lock);
		return -EIO;
	}
	failed = qbd_super_write(pool, next, READ_ONCE(pool->in), 0);
	pool->members = *next;
	/* No record before a superblock that names it is on all that are in. */
	pool->half_epoch |= failed;
	mutex_unlock(&pool->member_lock);
	if (failed)
		qbd_member_wait_epoch(pool, failed);
	return 0;
}

static int renew(struct qbd_pool *pool, u64 members)
{
	struct qbd_ring *ring = &pool->ring;
	u64 from, to, lsn;
	int err;

	err = qbd_ring_pause(pool);
	if (err)
		return err;
	from = ring->tail;
	to = ring->next_block;
	lsn = ring->next_lsn;
	err = -EAGAIN;
	/* The old blocks stay as they are until nobody needs them. */
	if ((to - from) * 2 + 1 < ring->capacity) {
		int idx = srcu_read_lock(&pool->backends_srcu);

		err = copy_blocks(pool, members, from, to, &lsn);
		srcu_read_unlock(&pool->backends_srcu, idx);
	}
	if (!err)
		err = name_generation(pool, members, lsn, to);
	if (!err)
		qbd_ring_move(pool, to, to + (to - from));
	qbd_ring_resume(pool);
	return err;
}

/**
 * qbd_ring_extend - have as many ring members as there should be
 * @pool: the pool
 * @m: as in qbd_ring_choose()
 *
 * Sleeps. Return: 0, also when there is nothing to do or nobody to choose from; or
 * an error, and the ring is as it was.
 */
int qbd_ring_extend(struct qbd_pool *pool, unsigned int m)
{
	u64 members;
	int err = 0;

	mutex_lock(&pool->checkpoint_mutex);
	members = READ_ONCE(pool->kept) ? 0 : qbd_ring_choose(pool, m);
	if (members && members != (pool->members.ring_members & READ_ONCE(pool->in)))
		err = renew(pool, members);
	mutex_unlock(&pool->checkpoint_mutex);
	if (err)
		DMWARN("%s: the ring cannot be extended now (%d)", pool->members.pool_name, err);
	return err;
}
