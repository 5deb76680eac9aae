// SPDX-License-Identifier: GPL-2.0-only
/*
 * One block device of a pool: opening it, and all I/O to it.
 *
 * Every bio that the target issues goes through qbd_bio_submit() and
 * qbd_bio_end(). There the backend's state is kept: how many bios are in flight,
 * whether anything was written since the last flush, how long reads take, and
 * how often I/O failed. A failed write or flush, of whatever kind, is reported to
 * member.c right there, before who sent it hears of it: no flush that is under way
 * is acknowledged before the backend is out (docs/protocol.md). A failed read is
 * rebuilt from other legs (rule 9), and counted against the backend's limit.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

#define BIOS	16	/* a backend's reserve, also for when memory is short */
#define COPIES	16	/* pages, likewise */

static void qbd_bio_end(struct bio *bio)
{
	struct qbd_bio *qb = container_of(bio, struct qbd_bio, bio);
	struct qbd_backend *b = qb->backend;
	bool deadline = qbd_bio_own_pages(qb);

	if (deadline && !qbd_orphan_answer(qb))
		return;
	qb->status = bio->bi_status;
	if (op_is_write(bio_op(bio))) {
		if (bio->bi_status && bio_op(bio) != REQ_OP_DISCARD) {
			/*
			 * At once, before anyone hears of it: a flush that runs may
			 * have been answered by a device that lost its cache since.
			 */
			atomic64_inc(&b->stats.write_errors);
			qbd_member_fail(b->pool, BIT_ULL(b->index));
		} else if (bio_op(bio) == REQ_OP_WRITE && bio->bi_vcnt &&
			   !(bio->bi_opf & REQ_FUA)) {
			WRITE_ONCE(b->unflushed, 1);
		}
	} else if (bio->bi_status) {
		atomic64_inc(&b->stats.read_errors);
		qbd_latency_ended(b, 0);
		qbd_limit_error(b);
	} else {
		u64 ns = ktime_get_ns() - qb->start_ns;
		u32 old = READ_ONCE(b->latency_ns);

		/* Racy on purpose: a lost sample changes nothing. */
		WRITE_ONCE(b->latency_ns, old - old / 8 + (u32)min_t(u64, ns, U32_MAX) / 8);
		qbd_latency_ended(b, ns ?: 1);
	}
	qbd_moment_may_sleep("request-ended");
	/* Who takes a backend away looks at inflight, and then waits for us: readmit.c. */
	rcu_read_lock();
	atomic_dec(&b->inflight);
	/* Not after done(): it may let the pool go, and the bioset with it. */
	if (deadline)
		bio_put(bio);
	qb->done(qb);
	rcu_read_unlock();
}

/**
 * qbd_bio_alloc - a bio to a backend
 * @b: the backend
 * @opf: operation and flags
 * @nr_vecs: pages that it will have, at most
 * @offset: bytes from the start of the device
 * @gfp: with GFP_NOIO it waits for one of the backend's bios to end; not to be used
 *	so in map(), where those bios may not have been sent yet
 *
 * The caller sets done and context. If qbd_bio_own_pages() says so it may have no
 * page that anyone frees but with qbd_page_free().
 *
 * Return: the bio; NULL when there is no memory, or when the backend has orphans:
 * then, which alone is possible with GFP_NOIO, it is as if the I/O had failed.
 */
struct qbd_bio *qbd_bio_alloc(struct qbd_backend *b, blk_opf_t opf, u64 offset,
			      unsigned int nr_vecs, gfp_t gfp)
{
	/* With it there is a sender: qbd_deadline_set(). */
	bool deadline = smp_load_acquire(&b->deadline);
	struct bio *bio = NULL;
	struct qbd_bio *qb;

	nr_vecs = min(nr_vecs, BIO_MAX_VECS);
	if (!deadline && !qbd_backend_orphans(b))
		bio = bio_alloc_bioset(b->bdev.bdev, nr_vecs, opf, gfp, &b->bios);
	/* Nobody waits for the bios of one that hangs. */
	while (deadline && !qbd_backend_orphans(b)) {
		bio = bio_alloc_bioset(b->bdev.bdev, nr_vecs, opf, GFP_NOWAIT | __GFP_NOWARN,
				       &b->bios);
		if (bio || !gfpflags_allow_blocking(gfp))
			break;
		schedule_timeout_uninterruptible(1);
	}
	if (!bio)
		return NULL;
	bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
	bio->bi_end_io = qbd_bio_end;
	qb = container_of(bio, struct qbd_bio, bio);
	qb->backend = b;
	qb->state = deadline ? QBD_BIO_NEW : QBD_BIO_FREE;
	return qb;
}

static bool is_heartbeat(const struct qbd_bio *qb)
{
	sector_t sector = qb->bio.bi_iter.bi_sector;

	return sector >= QBD_HEARTBEAT_START >> SECTOR_SHIFT &&
	       sector < QBD_TABLES_START >> SECTOR_SHIFT;
}

/**
 * qbd_bio_may_send - may this host send this, now
 * @qb: the bio
 *
 * The heartbeat blocks are written by who may write nothing else.
 */
bool qbd_bio_may_send(const struct qbd_bio *qb)
{
	return !op_is_write(bio_op(&qb->bio)) || qbd_owner_has(qb->backend->pool) ||
	       is_heartbeat(qb);
}

/* Is it to a backend that failed and has to stay in? See kept.c. */
static bool held_back(const struct qbd_bio *qb)
{
	const struct qbd_pool *pool = qb->backend->pool;
	u64 kept = READ_ONCE(pool->kept);

	if (likely(!kept) || (qb->bio.bi_opf & QBD_PROBE))
		return false;
	if (!op_is_write(bio_op(&qb->bio)))
		kept &= READ_ONCE(pool->mute);
	return qb->backend->index < QBD_MAX_BACKENDS && (kept & BIT_ULL(qb->backend->index)) &&
	       !is_heartbeat(qb);
}

/**
 * qbd_bio_submit - send a bio; its done() may be called before this returns
 * @qb: the bio
 *
 * A write of a host whose lease has run out is not sent: it fails here, and is no
 * failure of the backend.
 * To a backend that is kept it fails at once.
 */
void qbd_bio_submit(struct qbd_bio *qb)
{
	struct qbd_backend *b = qb->backend;
	bool lost;

	atomic_inc(&b->inflight);
	/* Counted, then asked: who ends the lease looks who is counted after that (owner.c). */
	smp_mb__after_atomic();
	if (bio_op(&qb->bio) == REQ_OP_READ)
		qbd_latency_begun(b);
	lost = unlikely(!qbd_bio_may_send(qb)) && qbd_owner_lost(b->pool, NULL);
	if (lost || held_back(qb)) {
		qb->status = BLK_STS_IOERR;
		qbd_bio_unanswered(qb);
		return;
	}
	if (op_is_write(bio_op(&qb->bio)) && !is_heartbeat(qb))
		qbd_moment_may_sleep("write-sent");
	qb->start_ns = ktime_get_ns();
	qb->bio.bi_opf &= ~QBD_PROBE;
	if (!qbd_bio_own_pages(qb))
		submit_bio_noacct(&qb->bio);
	else if (!qbd_orphan_send(qb))
		qbd_bio_unanswered(qb);
}

/**
 * qbd_bio_unanswered - a bio ends without an answer of its device; done() is called
 * @qb: the bio, with its status
 *
 * Context: any.
 */
void qbd_bio_unanswered(struct qbd_bio *qb)
{
	if (bio_op(&qb->bio) == REQ_OP_READ)
		qbd_latency_ended(qb->backend, 0);
	smp_mb__before_atomic();	/* one that is an orphan now counts as that */
	atomic_dec(&qb->backend->inflight);
	qb->done(qb);
}

void qbd_wait_init(struct qbd_wait *wait)
{
	atomic_set(&wait->left, 1);
	init_completion(&wait->done);
	atomic64_set(&wait->failed, 0);
}

void qbd_wait_add(struct qbd_wait *wait)
{
	atomic_inc(&wait->left);
}

/**
 * qbd_wait_end - one of those that are waited for ended
 * @wait: what is waited with
 * @failed: bitmap of backends
 */
void qbd_wait_end(struct qbd_wait *wait, u64 failed)
{
	if (failed)
		atomic64_or(failed, &wait->failed);
	if (atomic_dec_and_test(&wait->left))
		complete(&wait->done);
}

/**
 * qbd_wait_for - wait until all have ended. Sleeps.
 * @wait: what is waited with
 *
 * Return: bitmap of the backends that failed.
 */
u64 qbd_wait_for(struct qbd_wait *wait)
{
	qbd_wait_end(wait, 0);
	wait_for_completion_io(&wait->done);
	return atomic64_read(&wait->failed);
}

static void submit_done(struct qbd_bio *qb)
{
	u64 failed = qb->status ? BIT_ULL(qb->backend->index % QBD_MAX_BACKENDS) : 0;
	struct qbd_wait *wait = qb->context;

	bio_put(&qb->bio);
	qbd_wait_end(wait, failed);
}

static void wait_failed(struct qbd_wait *wait, struct qbd_backend *b)
{
	qbd_wait_add(wait);
	qbd_wait_end(wait, BIT_ULL(b->index % QBD_MAX_BACKENDS));
}

static struct page *page_of(void *buffer)
{
	return is_vmalloc_addr(buffer) ? vmalloc_to_page(buffer) : virt_to_page(buffer);
}

/* For a backend with a deadline: the buffer is the caller's, and he will not wait. */
static void copy_done(struct qbd_bio *qb)
{
	bool read = bio_op(&qb->bio) == REQ_OP_READ && !qb->status;
	struct bvec_iter_all iter;
	void *to = qb->buffer;
	struct bio_vec *bv;

	bio_for_each_segment_all(bv, &qb->bio, iter) {
		if (read)
			memcpy(to, page_address(bv->bv_page), bv->bv_len);
		to += bv->bv_len;
		qbd_page_free(bv->bv_page, &qb->backend->copies);
	}
	submit_done(qb);
}

/* As many pages as can be had; at least one, unless the backend hangs. */
static unsigned int add_copies(struct qbd_bio *qb, unsigned int bytes)
{
	struct qbd_backend *b = qb->backend;
	void *buffer = qb->buffer;
	unsigned int i, done = 0;

	for (i = 0; i < BIO_MAX_VECS && done < bytes; i++) {
		unsigned int n = min_t(unsigned int, bytes - done, PAGE_SIZE);
		struct page *page;

		while (!(page = mempool_alloc(&b->copies, GFP_NOWAIT | __GFP_NOWARN))) {
			if (i || qbd_backend_orphans(b))
				return done;
			schedule_timeout_uninterruptible(1);
		}
		if (op_is_write(bio_op(&qb->bio)))
			memcpy(page_address(page), buffer + done, n);
		__bio_add_page(&qb->bio, page, n, 0);
		done += n;
	}
	return done;
}

static unsigned int add_buffer(struct qbd_bio *qb, unsigned int bytes)
{
	unsigned int i, done = 0;

	for (i = 0; i < BIO_MAX_VECS && done < bytes; i++) {
		unsigned int n = min_t(unsigned int, bytes - done, PAGE_SIZE);

		__bio_add_page(&qb->bio, page_of(qb->buffer + done), n,
			       offset_in_page(qb->buffer + done));
		done += n;
	}
	return done;
}

/**
 * qbd_backend_submit - read or write a buffer of metadata
 * @b: the backend
 * @opf: operation and flags
 * @offset: bytes from the start of the device
 * @wait: what is waited with
 * @buffer: from kmalloc, alloc_page or vmalloc, page-aligned; the caller's until
 *	qbd_wait_for() returned
 * @bytes: a multiple of QBD_PAGE_SIZE
 *
 * May sleep for memory; not in map().
 */
void qbd_backend_submit(struct qbd_backend *b, blk_opf_t opf, u64 offset, void *buffer,
			unsigned int bytes, struct qbd_wait *wait)
{
	while (bytes) {
		struct qbd_bio *qb = qbd_bio_alloc(b, opf, offset,
						   DIV_ROUND_UP(bytes, PAGE_SIZE), GFP_NOIO);
		unsigned int n;

		if (!qb) {
			wait_failed(wait, b);
			return;
		}
		qb->buffer = buffer;
		qb->context = wait;
		if (qbd_bio_own_pages(qb)) {
			n = add_copies(qb, bytes);
			qb->done = copy_done;
		} else {
			n = add_buffer(qb, bytes);
			qb->done = submit_done;
		}
		if (!n) {
			bio_put(&qb->bio);
			wait_failed(wait, b);
			return;
		}
		buffer += n;
		offset += n;
		bytes -= n;
		qbd_wait_add(wait);
		qbd_bio_submit(qb);
	}
}

/**
 * qbd_backend_rw - qbd_backend_submit() and wait
 * @b: the backend
 * @opf: operation and flags
 * @offset: bytes from the start of the device
 * @buffer: page-aligned
 * @bytes: how many
 *
 * Return: 0 or -EIO.
 */
int qbd_backend_rw(struct qbd_backend *b, blk_opf_t opf, u64 offset, void *buffer,
		   unsigned int bytes)
{
	struct qbd_wait wait;

	qbd_wait_init(&wait);
	qbd_backend_submit(b, opf, offset, buffer, bytes, &wait);
	return qbd_wait_for(&wait) ? -EIO : 0;
}

/**
 * qbd_backend_flush - flush those of some backends that have unflushed writes
 * @pool: the pool
 * @which: bitmap; those that are not there are passed over
 *
 * Covers every write that ended before the call. A backend whose flush fails
 * stays unflushed. Sleeps.
 *
 * Return: bitmap of the backends that failed.
 */
u64 qbd_backend_flush(struct qbd_pool *pool, u64 which)
{
	int idx = srcu_read_lock(&pool->backends_srcu);
	struct qbd_wait wait;
	unsigned int i;
	u64 failed;

	/* Whoever finds nothing unflushed may not pass a flush that still runs. */
	mutex_lock(&pool->backend_flush_mutex);
	qbd_wait_init(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = qbd_backend_at(pool, i);
		struct qbd_bio *qb;

		if (!(which & BIT_ULL(i)) || !b || !xchg(&b->unflushed, 0))
			continue;
		qb = qbd_bio_alloc(b, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC, 0, 0, GFP_NOIO);
		if (!qb) {
			wait_failed(&wait, b);
			continue;
		}
		qb->done = submit_done;
		qb->context = &wait;
		qbd_wait_add(&wait);
		qbd_bio_submit(qb);
	}
	failed = qbd_wait_for(&wait);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = READ_ONCE(pool->backend[i]);

		/* It may be taken away meanwhile, as one that is out. */
		if ((failed & BIT_ULL(i)) && b)
			WRITE_ONCE(b->unflushed, 1);
	}
	mutex_unlock(&pool->backend_flush_mutex);
	srcu_read_unlock(&pool->backends_srcu, idx);
	return failed;
}

/**
 * qbd_backend_open_empty - open a device whatever is on it
 * @pool: the pool
 * @path: of the device
 * @error: set to what was wrong
 */
struct qbd_backend *qbd_backend_open_empty(struct qbd_pool *pool, const char *path,
					   const char **error)
{
	struct qbd_backend *b = kzalloc(sizeof(*b), GFP_KERNEL);
	dev_t devt;
	int err;

	*error = "Out of memory";
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->pool = pool;
	b->index = QBD_MAX_BACKENDS;
	qbd_orphans_init(b);
	b->super_buffer = kmalloc(QBD_SUPER_SIZE, GFP_KERNEL);
	err = -ENOMEM;
	if (!b->super_buffer || qbd_latency_alloc(b) ||
	    bioset_init(&b->bios, BIOS, offsetof(struct qbd_bio, bio), BIOSET_NEED_BVECS) ||
	    qbd_reserve_pages(&b->copies, COPIES))
		goto out;
	*error = "No such block device";
	err = qbd_devt_from_path(path, &devt);
	if (err)
		goto out;
	*error = "Device still has I/O in flight that a pool before left to it";
	err = -EBUSY;
	if (qbd_orphans_of(devt))
		goto out;
	*error = "Cannot open device exclusively";
	err = qbd_bdev_open(&b->bdev, devt, !pool->features.read_only, pool);
	if (err)
		goto out;
	snprintf(b->name, sizeof(b->name), "%pg", b->bdev.bdev);
	*error = "Out of memory";
	err = qbd_deadline_set(b, qbd_deadline_default(b->bdev.bdev));
	if (err)
		goto out;
	return b;
out:
	qbd_backend_free(b);
	return ERR_PTR(err);
}

/**
 * qbd_backend_open - open a device and read its superblock
 * @pool: the pool
 * @path: of the device
 * @super: the superblock
 * @error: set to what was wrong
 *
 * Return: the backend, or an ERR_PTR; -ENOENT and the like say that the device
 * has no usable superblock (qbd_super_error()).
 */
struct qbd_backend *qbd_backend_open(struct qbd_pool *pool, const char *path,
				     struct qbd_super *super, const char **error)
{
	struct qbd_backend *b = qbd_backend_open_empty(pool, path, error);
	void *raw;
	int err;

	if (IS_ERR(b))
		return b;
	raw = kmalloc(2 * QBD_SUPER_SIZE, GFP_KERNEL);
	*error = "Out of memory";
	err = -ENOMEM;
	if (!raw)
		goto out;
	*error = "Cannot read superblock";
	err = -EIO;
	if (bdev_nr_bytes(b->bdev.bdev) < 2 * QBD_SUPER_SIZE ||
	    qbd_backend_rw(b, REQ_OP_READ, 0, raw, 2 * QBD_SUPER_SIZE))
		goto out;
	err = qbd_super_newest(raw, bdev_nr_bytes(b->bdev.bdev), super);
	*error = qbd_super_error(err);
	if (!err) {
		b->index = super->geometry.index;
		b->geometry = super->geometry;
		b->super_seq = super->seq;
	}
out:
	kfree(raw);
	if (!err)
		return b;
	qbd_backend_free(b);
	return ERR_PTR(err);
}

/**
 * qbd_backend_close - close a backend that no pool has and that has no orphans
 * @b: the backend
 *
 * Sleeps.
 */
void qbd_backend_close(struct qbd_backend *b)
{
	/* It may not yet be back from the driver. */
	if (b->send_wq)
		destroy_workqueue(b->send_wq);
	qbd_bdev_close(&b->bdev);
	bioset_exit(&b->bios);
	mempool_exit(&b->copies);
	kfree(b);
}

/**
 * qbd_backend_free - close and forget; later, if it has orphans. Sleeps; nothing
 * else may be in flight.
 * @b: the backend
 */
void qbd_backend_free(struct qbd_backend *b)
{
	if (!b)
		return;
	/* It waits for a read of its own, which nobody else does. */
	qbd_latency_free(b);
	WARN_ON_ONCE(atomic_read(&b->inflight));
	qbd_slots_free(b);
	kfree(b->super_buffer);
	b->super_buffer = NULL;
	if (!qbd_orphans_leave(b))
		qbd_backend_close(b);
}
