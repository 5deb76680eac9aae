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

static void qbd_bio_end(struct bio *bio)
{
	struct qbd_bio *qb = container_of(bio, struct qbd_bio, bio);
	struct qbd_backend *b = qb->backend;

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
	atomic_dec(&b->inflight);
	qb->done(qb);
}

/**
 * qbd_bio_alloc - a bio to a backend
 * @b: the backend
 * @opf: operation and flags
 * @nr_vecs: pages that it will have, at most
 * @offset: bytes from the start of the device
 * @gfp: with GFP_NOIO it waits for one of its pool's bios to end, and succeeds;
 *	not to be used so in map(), where those bios may not have been sent yet
 *
 * The caller sets done and context.
 */
struct qbd_bio *qbd_bio_alloc(struct qbd_backend *b, blk_opf_t opf, u64 offset,
			      unsigned int nr_vecs, gfp_t gfp)
{
	struct bio *bio = bio_alloc_bioset(b->bdev.bdev, min(nr_vecs, BIO_MAX_VECS), opf,
					   gfp, &b->pool->bios);
	struct qbd_bio *qb;

	if (!bio)
		return NULL;
	bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
	bio->bi_end_io = qbd_bio_end;
	qb = container_of(bio, struct qbd_bio, bio);
	qb->backend = b;
	return qb;
}

/**
 * qbd_bio_submit - send a bio; its done() may be called before this returns
 * @qb: the bio
 */
void qbd_bio_submit(struct qbd_bio *qb)
{
	atomic_inc(&qb->backend->inflight);
	if (bio_op(&qb->bio) == REQ_OP_READ)
		qbd_latency_begun(qb->backend);
	qb->start_ns = ktime_get_ns();
	submit_bio_noacct(&qb->bio);
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
	u64 failed = qb->bio.bi_status ? BIT_ULL(qb->backend->index) : 0;
	struct qbd_wait *wait = qb->context;

	bio_put(&qb->bio);
	qbd_wait_end(wait, failed);
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
		unsigned int nr = min_t(unsigned int, DIV_ROUND_UP(bytes, PAGE_SIZE),
					BIO_MAX_VECS);
		struct qbd_bio *qb = qbd_bio_alloc(b, opf, offset, nr, GFP_NOIO);
		unsigned int i;

		for (i = 0; i < nr; i++) {
			unsigned int n = min_t(unsigned int, bytes, PAGE_SIZE);
			struct page *page = is_vmalloc_addr(buffer) ?
				vmalloc_to_page(buffer) : virt_to_page(buffer);

			__bio_add_page(&qb->bio, page, n, offset_in_page(buffer));
			buffer += n;
			offset += n;
			bytes -= n;
		}
		qb->done = submit_done;
		qb->context = wait;
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
		struct qbd_backend *b = pool->backend[i];
		struct qbd_bio *qb;

		if (!(which & BIT_ULL(i)) || !b || !xchg(&b->unflushed, 0))
			continue;
		qb = qbd_bio_alloc(b, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC, 0, 0, GFP_NOIO);
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
	b->super_buffer = kmalloc(QBD_SUPER_SIZE, GFP_KERNEL);
	err = -ENOMEM;
	if (!b->super_buffer || qbd_latency_alloc(b))
		goto out;
	*error = "No such block device";
	err = qbd_devt_from_path(path, &devt);
	if (err)
		goto out;
	*error = "Cannot open device exclusively";
	err = qbd_bdev_open(&b->bdev, devt, !pool->features.read_only, pool);
	if (err)
		goto out;
	snprintf(b->name, sizeof(b->name), "%pg", b->bdev.bdev);
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
 * qbd_backend_free - close and forget. Sleeps; nothing may be in flight.
 * @b: the backend
 */
void qbd_backend_free(struct qbd_backend *b)
{
	if (!b)
		return;
	WARN_ON_ONCE(atomic_read(&b->inflight));
	qbd_slots_free(b);
	qbd_latency_free(b);
	qbd_bdev_close(&b->bdev);
	kfree(b->super_buffer);
	kfree(b);
}
