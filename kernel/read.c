// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads.
 *
 * The fast path, in map(), splits a bio by leg, one bio a leg for contiguous
 * blocks, into the caller's own pages; it takes no lock while it reads. It works
 * with the checksums as they were when it began. Small reads are checked where
 * they end, larger ones in a worker. From a backend with a deadline blocks are read
 * into the target's own pages, and copied (orphan.c).
 *
 * A block that does not match may be one that was being written meanwhile, so
 * nobody is blamed for it: the whole bio goes the slow way, which locks the rows,
 * looks at the checksums again, reads into the target's own pages, rebuilds what
 * is wrong or gone, and mends it on its backend (rules 7 and 9). Reads that are
 * not of whole blocks, of data legs that are missing, or of rows with blocks in the
 * journal, which come from there, go that way at once.
 *
 * Hedged reads. Where a backend may take milliseconds, a read is into the target's own
 * pages as well, and is timed. When it is late (later than 99 of a hundred are, and at
 * least a millisecond) what has not come is read from the other legs, or rebuilt from
 * them, the slow way. Both check what they have; the first that is right takes the
 * bio, copies, and ends it. The other finds it taken, and touches only what is its own:
 * pages and chunk are kept until the last device has answered, or is not waited for any
 * more. If one fails it is the other's; if both do, the read goes the slow way like any
 * that failed. One read in HEDGE_SHARE is hedged at most: a pool that is slow as a whole
 * is not helped by more reads.
 *
 * A chunk that does not exist, and a hole, are zeros without I/O.
 */
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "qbd.h"

/* What a read has that may be hedged. */
struct hedge {
	struct read *read;
	/* The read's, until all its bios ended and were checked; the timer's, then the hedge's. */
	refcount_t refs;
	atomic_t taken;		/* only who set it may touch the bio and the qbd_io */
	atomic_t parties;	/* read and hedge: those that have not failed */
	atomic_t waiting[QBD_MAX_LEGS];	/* bios of each leg that have not ended */
	struct hrtimer timer;
	struct work_struct work;
};

/*
 * A fast read. @pages: block_pages of them a block, where not the user's are read into.
 * @iter, @in_chunk: what is wanted and where, for the hedge, when the bio may be gone.
 */
struct read {
	struct qbd_io *io;
	struct qbd_chunk *chunk;
	struct hedge *hedge;
	struct bvec_iter iter;
	u64 in_chunk;
	u64 gen;
	atomic_t left;
	bool failed;
	struct work_struct work;
	struct page **pages;
	u32 first_block;	/* of the chunk */
	u32 nr;
	u32 csums[];
};

static void read_slow_work(struct work_struct *work);

static void read_defer(struct qbd_io *io)
{
	INIT_WORK(&io->work, read_slow_work);
	queue_work(io->volume->top->pool->io_wq, &io->work);
}

/* Calls @fn for the pieces of @bytes of a bio from @iter on, which moves on. */
#define for_each_piece(bv, bio, iter, left, bytes)				\
	for (left = (bytes);							\
	     left && ((bv) = bio_iter_iovec(bio, iter),				\
		      (bv).bv_len = min_t(u32, (bv).bv_len, left), true);	\
	     left -= (bv).bv_len, bio_advance_iter_single(bio, &(iter), (bv).bv_len))

static void zero_piece(struct bio *bio, struct bvec_iter *iter, u32 bytes)
{
	struct bio_vec bv;
	u32 left;

	for_each_piece(bv, bio, *iter, left, bytes)
		memzero_bvec(&bv);
}

static bool block_matches(const struct read *r, struct bio *bio, struct bvec_iter *iter,
			  u32 block, u32 csum)
{
	const struct qbd_layer *layer = r->chunk->layer;
	u32 k = layer->policy.k, left, crc;
	struct bio_vec bv;

	crc = qbd_csum_seed(layer->number, r->chunk->number, r->gen, block / k,
			    layer->code ? block % k : 0);
	for_each_piece(bv, bio, *iter, left, layer->block_size) {
		void *data = bvec_kmap_local(&bv);

		crc = crc32c(crc, data, bv.bv_len);
		kunmap_local(data);
	}
	return qbd_csum_finish(crc) == csum;
}

/* The same of a block in the target's own pages. */
static bool own_block_matches(const struct read *r, u32 i)
{
	const struct qbd_layer *layer = r->chunk->layer;
	u32 k = layer->policy.k, block = r->first_block + i;

	return r->csums[i] == qbd_csum_block(r->chunk, r->gen, block / k,
					     layer->code ? block % k : 0,
					     r->pages + i * layer->block_pages);
}

/* One that matches goes to the user. */
static void block_copy(const struct read *r, struct bio *bio, struct bvec_iter *iter, u32 i)
{
	const struct qbd_layer *layer = r->chunk->layer;
	struct page **pages = r->pages + i * layer->block_pages;
	struct bio_vec bv;
	u32 left, done = 0;

	for_each_piece(bv, bio, *iter, left, layer->block_size) {
		/* A piece is in one page of the bio, but not always in one of ours. */
		bv.bv_len = min_t(u32, bv.bv_len, PAGE_SIZE - offset_in_page(done));
		memcpy_to_bvec(&bv, page_address(pages[done >> PAGE_SHIFT]) +
			       offset_in_page(done));
		done += bv.bv_len;
	}
}

static void read_free(struct read *r)
{
	const struct qbd_layer *layer = r->chunk->layer;
	u32 i;

	for (i = 0; r->pages && i < r->nr * layer->block_pages; i++)
		if (r->pages[i])
			qbd_page_free(r->pages[i], &layer->pool->pages);
	kfree(r);
}

/* The pool may end when there are none: nothing of it is touched after that. */
static void hedges_less(struct qbd_pool *pool)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->hedge_wait.lock, flags);
	if (atomic_dec_and_test(&pool->hedges))
		wake_up_all_locked(&pool->hedge_wait);
	spin_unlock_irqrestore(&pool->hedge_wait.lock, flags);
}

static void hedge_put(struct hedge *h)
{
	struct read *r = h->read;
	struct qbd_chunk *chunk = r->chunk;
	struct qbd_pool *pool = chunk->layer->pool;

	if (!refcount_dec_and_test(&h->refs))
		return;
	read_free(r);
	kfree(h);
	qbd_chunk_put(chunk);
	hedges_less(pool);
}

/* The bio is the caller's from here on, if nobody has it. */
static bool hedge_take(struct hedge *h)
{
	return !atomic_cmpxchg(&h->taken, 0, 1);
}

/* The last of those that could have ended the bio failed: the slow way, then. */
static void hedge_failed(struct hedge *h)
{
	if (atomic_dec_and_test(&h->parties) && hedge_take(h))
		read_defer(h->read->io);
}

/* Holes were made zeros when the read began. */
static void copy_blocks(const struct read *r, struct bio *bio)
{
	struct bvec_iter iter = r->iter;
	u32 i;

	for (i = 0; i < r->nr; i++) {
		if (r->csums[i] == QBD_CSUM_HOLE)
			bio_advance_iter(bio, &iter, r->chunk->layer->block_size);
		else
			block_copy(r, bio, &iter, i);
	}
}

/* A read that may be hedged, and maybe was, has its answers. */
static void hedged_read_end(struct read *r)
{
	struct hedge *h = r->hedge;
	bool good = !r->failed;
	u32 i;

	/* The timer's reference, if it has not fired. */
	if (hrtimer_try_to_cancel(&h->timer) == 1)
		hedge_put(h);
	for (i = 0; i < r->nr && good && !atomic_read(&h->taken); i++)
		good = r->csums[i] == QBD_CSUM_HOLE || own_block_matches(r, i);
	if (!good) {
		hedge_failed(h);
	} else if (hedge_take(h)) {
		copy_blocks(r, qbd_io_bio(r->io));
		bio_endio(qbd_io_bio(r->io));
	}
	hedge_put(h);
}

static void read_end(struct read *r)
{
	struct qbd_io *io = r->io;
	struct qbd_chunk *chunk = r->chunk;
	bool good = !r->failed;
	struct bvec_iter iter;
	struct bio *bio;
	u32 i;

	if (r->hedge) {
		hedged_read_end(r);
		return;
	}
	bio = qbd_io_bio(io);
	iter = io->iter;
	for (i = 0; i < r->nr && good; i++) {
		if (r->csums[i] == QBD_CSUM_HOLE)
			bio_advance_iter(bio, &iter, chunk->layer->block_size);
		else if (r->pages)
			good = own_block_matches(r, i);
		else
			good = block_matches(r, bio, &iter, r->first_block + i, r->csums[i]);
	}
	if (good && r->pages)
		copy_blocks(r, bio);
	read_free(r);
	qbd_chunk_put(chunk);
	if (good)
		bio_endio(bio);
	else
		read_defer(io);
}

static void read_end_work(struct work_struct *work)
{
	read_end(container_of(work, struct read, work));
}

static void read_done(struct read *r)
{
	if (r->nr * r->chunk->layer->block_size <= QBD_FAST_READ) {
		read_end(r);
		return;
	}
	/* Summing takes long: not in an interrupt. */
	INIT_WORK(&r->work, read_end_work);
	queue_work(r->chunk->layer->pool->verify_wq, &r->work);
}

static void read_bio_done(struct qbd_bio *qb)
{
	struct read *r = qb->context;

	if (qb->status)
		WRITE_ONCE(r->failed, true);
	if (r->hedge)
		atomic_dec(&r->hedge->waiting[qb->leg]);
	bio_put(&qb->bio);
	if (atomic_dec_and_test(&r->left))
		read_done(r);
}

/* A run of blocks of one leg that is being put together. */
struct run {
	struct qbd_bio *qb;
	u64 end;		/* on the backend */
};

static bool run_add_piece(struct read *r, struct run *run, struct qbd_backend *b, u32 leg, u64 at,
			  const struct bio_vec *bv, struct bio_list *list)
{
	const struct qbd_layer *layer = r->chunk->layer;
	unsigned int blocks = DIV_ROUND_UP(r->nr, layer->policy.k);

	if (run->qb && run->end == at &&
	    bio_add_page(&run->qb->bio, bv->bv_page, bv->bv_len, bv->bv_offset) == bv->bv_len)
		goto added;
	run->qb = qbd_bio_alloc(b, REQ_OP_READ, at, blocks * layer->block_pages * 2, GFP_NOWAIT);
	if (!run->qb)
		return false;
	run->qb->leg = leg;
	bio_list_add(list, &run->qb->bio);
	/* It may have got a deadline just now. */
	if (qbd_bio_own_pages(run->qb) && !r->pages)
		return false;
	__bio_add_page(&run->qb->bio, bv->bv_page, bv->bv_len, bv->bv_offset);
added:
	run->end = at + bv->bv_len;
	return true;
}

/* Adds a block's pages to its leg's bio. Return: false when that cannot be. */
static bool run_add(struct read *r, struct run *run, u32 leg, u32 i, struct bio *bio,
		    struct bvec_iter *iter, struct bio_list *list)
{
	const struct qbd_layer *layer = r->chunk->layer;
	u64 place = READ_ONCE(r->chunk->map->legs[leg]);
	u64 offset = (u64)((r->first_block + i) / layer->policy.k) * layer->block_size;
	struct qbd_backend *b = qbd_backend_in(layer->pool, qbd_leg_backend(place));
	struct bio_vec bv = { .bv_len = PAGE_SIZE };
	u32 left, p;
	u64 at;

	if (!b)		/* it went out: the slow path will see */
		return false;
	at = qbd_backend_data(b, qbd_leg_slot(place), offset);

	for (p = 0; r->pages && p < layer->block_pages; p++, at += PAGE_SIZE) {
		bv.bv_page = mempool_alloc(&layer->pool->pages, GFP_NOWAIT | __GFP_NOWARN);
		r->pages[i * layer->block_pages + p] = bv.bv_page;
		if (!bv.bv_page || !run_add_piece(r, run, b, leg, at, &bv, list))
			return false;
	}
	if (r->pages) {
		bio_advance_iter(bio, iter, layer->block_size);
		return true;
	}
	for_each_piece(bv, bio, *iter, left, layer->block_size) {
		if (!run_add_piece(r, run, b, leg, at, &bv, list))
			return false;
		at += bv.bv_len;
	}
	return true;
}

/* Are all pieces of a bio whole sectors: so that any of them can end a bio? */
static bool pieces_aligned(struct bio *bio, struct bvec_iter iter)
{
	struct bio_vec bv;
	u32 left, all = 0;

	for_each_piece(bv, bio, iter, left, iter.bi_size)
		all |= bv.bv_len | bv.bv_offset;
	return !(all & (SECTOR_SIZE - 1));
}

static struct read *read_new(struct qbd_io *io, struct qbd_chunk *chunk, u64 in_chunk,
			     bool own_pages)
{
	const struct qbd_layer *layer = chunk->layer;
	u32 nr = io->iter.bi_size >> layer->policy.block_shift;
	size_t pages = own_pages ? nr * layer->block_pages * sizeof(struct page *) : 0, bytes;
	u32 units = layer->units, k = layer->policy.k, i, first, last;
	unsigned long flags;
	struct read *r;

	bytes = ALIGN(struct_size(r, csums, nr), sizeof(struct page *));
	r = qbd_memory_try(bytes + pages);
	if (!r)
		return NULL;
	r->io = io;
	r->chunk = chunk;
	r->hedge = NULL;
	r->iter = io->iter;
	r->in_chunk = in_chunk;
	r->failed = false;
	r->pages = own_pages ? memset((void *)r + bytes, 0, pages) : NULL;
	r->first_block = in_chunk >> layer->policy.block_shift;
	r->nr = nr;
	first = r->first_block / k * units;
	last = (r->first_block + nr - 1) / k * units + units - 1;

	spin_lock_irqsave(&chunk->lock, flags);
	if (chunk->dead || !chunk->map || !qbd_csum_loaded(chunk, first, last) ||
	    qbd_journal_has(chunk, first / units, last / units)) {
		spin_unlock_irqrestore(&chunk->lock, flags);
		kfree(r);
		return NULL;
	}
	r->gen = chunk->map->gen;
	for (i = 0; i < nr; i++) {
		u32 block = r->first_block + i;

		r->csums[i] = qbd_csum_get(chunk, block / k * units +
					   (layer->code ? block % k : 0));
		/* Explicit zeros are rare; lost blocks are errors: both the slow way. */
		if (r->csums[i] < QBD_CSUM_STATES && r->csums[i] != QBD_CSUM_HOLE)
			nr = 0;
	}
	spin_unlock_irqrestore(&chunk->lock, flags);
	if (nr)
		return r;
	kfree(r);
	return NULL;
}

/* Has any of these legs a deadline? Context: backends_srcu. */
static bool any_deadline(const struct qbd_chunk *chunk, u32 legs)
{
	u32 l;

	for (l = 0; legs >> l; l++) {
		struct qbd_backend *b = qbd_backend_in(chunk->layer->pool,
				qbd_leg_backend(READ_ONCE(chunk->map->legs[l])));

		if ((legs & BIT(l)) && b && READ_ONCE(b->deadline))
			return true;
	}
	return false;
}

static enum hrtimer_restart hedge_timer(struct hrtimer *timer);
static void hedge_work(struct work_struct *work);

/*
 * When a read of some legs is late, in ns; 0: none of their backends is one whose reads
 * are hedged. Context: backends_srcu.
 */
static u64 late_after(const struct qbd_chunk *chunk, u32 legs)
{
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_backend *b;
	u64 late = 0;
	u32 l;

	for (l = 0; READ_ONCE(pool->features.hedge) && legs >> l; l++) {
		if (!(legs & BIT(l)))
			continue;
		b = qbd_backend_in(pool, qbd_leg_backend(READ_ONCE(chunk->map->legs[l])));
		late = max(late, b ? qbd_latency_late(b) : 0);
	}
	return late;
}

/* Makes a read one that may be hedged. No memory for it: then it is not. */
static void hedge_begin(struct read *r)
{
	struct hedge *h = kzalloc(sizeof(*h), QBD_GFP_TRY);

	if (!h)
		return;
	h->read = r;
	refcount_set(&h->refs, 1);
	atomic_set(&h->parties, 1);
	hrtimer_init(&h->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	h->timer.function = hedge_timer;
	INIT_WORK(&h->work, hedge_work);
	r->hedge = h;
	atomic_inc(&r->chunk->layer->pool->hedges);
}

/* The data legs that a read of whole blocks reads. */
static u32 data_legs(const struct qbd_layer *layer, u64 in_chunk, u32 bytes)
{
	u32 block = in_chunk >> layer->policy.block_shift, k = layer->policy.k, legs = 0, i;
	u32 nr = min_t(u32, bytes >> layer->policy.block_shift, k);

	for (i = 0; i < nr; i++)
		legs |= BIT((block + i) % k);
	return legs;
}

/* The fast path. Return: false when it cannot be; nothing was done. */
static bool read_fast(struct qbd_io *io, struct qbd_chunk *chunk, u64 in_chunk)
{
	const struct qbd_layer *layer = chunk->layer;
	u32 k = layer->policy.k, current_legs = qbd_chunk_current(chunk), i, leg;
	u32 slow = qbd_latency_slow(chunk) & current_legs, legs;
	struct run runs[QBD_MAX_K] = {};
	struct bio *bio = qbd_io_bio(io), *part;
	struct bvec_iter iter = io->iter;
	struct bio_list list;
	bool own_pages;
	struct read *r;
	u64 late;
	int idx;

	legs = layer->code ? data_legs(layer, in_chunk, iter.bi_size) : 0;
	/* With fewer than K: is it lost? The slow path looks. */
	if ((in_chunk | iter.bi_size) & (layer->block_size - 1) ||
	    hweight32(current_legs) < k ||
	    (legs & ~current_legs) || !pieces_aligned(bio, iter))
		return false;
	/* What a slow backend has is rebuilt from others, if there are enough. */
	if ((legs & slow) && hweight32(current_legs & ~slow) >= k)
		return false;
	bio_list_init(&list);
	idx = srcu_read_lock(&layer->pool->backends_srcu);
	leg = layer->code ? 0 : qbd_rows_nearest(chunk, current_legs & ~slow ?: current_legs);
	legs = legs ?: BIT(leg);
	late = late_after(chunk, legs);
	own_pages = late || any_deadline(chunk, legs);
	r = read_new(io, chunk, in_chunk, own_pages);
	if (!r)
		goto slow;
	if (late)
		hedge_begin(r);
	for (i = 0; i < r->nr; i++) {
		u32 block = r->first_block + i;

		if (layer->code)
			leg = block % k;
		if (r->csums[i] == QBD_CSUM_HOLE)
			zero_piece(bio, &iter, layer->block_size);
		else if (!run_add(r, &runs[layer->code ? leg : 0],
				  leg, i, bio, &iter, &list))
			goto slow;
	}

	atomic_set(&r->left, 1);
	bio_list_for_each(part, &list) {
		struct qbd_bio *qb = container_of(part, struct qbd_bio, bio);

		qb->done = read_bio_done;
		qb->context = r;
		atomic_inc(&r->left);
		if (r->hedge)
			atomic_inc(&r->hedge->waiting[qb->leg]);
	}
	/* From here on the hedge may end the bio at any time. */
	if (r->hedge) {
		refcount_inc(&r->hedge->refs);
		hrtimer_start(&r->hedge->timer, ns_to_ktime(late), HRTIMER_MODE_REL);
	}
	while ((part = bio_list_pop(&list)))
		qbd_bio_submit(container_of(part, struct qbd_bio, bio));
	srcu_read_unlock(&layer->pool->backends_srcu, idx);
	if (atomic_dec_and_test(&r->left))
		read_done(r);
	return true;

slow:
	srcu_read_unlock(&layer->pool->backends_srcu, idx);
	while ((part = bio_list_pop(&list)))
		bio_put(part);
	if (r && r->hedge) {
		kfree(r->hedge);
		hedges_less(layer->pool);
	}
	if (r)
		read_free(r);
	return false;
}

/* The slow path */

static void copy_out(struct qbd_rows *rows, struct bio *bio, struct bvec_iter iter, u64 at)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 k = layer->policy.k;

	while (iter.bi_size) {
		struct bio_vec bv = bio_iter_iovec(bio, iter);
		u32 block = at >> layer->policy.block_shift;
		u32 in_block = at & (layer->block_size - 1);
		u32 n = min_t(u32, bv.bv_len, PAGE_SIZE - offset_in_page(in_block));
		struct page *page = qbd_rows_block(rows, block % k, block / k)
					[in_block >> PAGE_SHIFT];
		void *to;

		bv.bv_len = n;
		to = bvec_kmap_local(&bv);
		memcpy(to, page_address(page) + offset_in_page(in_block), n);
		kunmap_local(to);
		bio_advance_iter_single(bio, &iter, n);
		at += n;
	}
}

/* The data legs of a row of which a read of @bytes from @offset wants something. */
static u32 read_wants(const struct qbd_layer *layer, u32 row, u64 offset, u32 bytes)
{
	u32 k = layer->policy.k, want = 0, l;

	for (l = 0; l < k; l++) {
		u64 start = (u64)(row * k + l) << layer->policy.block_shift;

		if (start + layer->block_size > offset && start < offset + bytes)
			want |= BIT(l);
	}
	return want;
}

static u32 legs_waiting(const struct hedge *h)
{
	u32 mask = 0, l;

	for (l = 0; l < QBD_MAX_LEGS; l++)
		if (atomic_read(&h->waiting[l]))
			mask |= BIT(l);
	return mask;
}

/*
 * Reads what a bio wants of a chunk. @hedge: nothing is read of the legs for which that
 * waits, and the bio and its qbd_io are left alone until they are taken.
 *
 * Return: 0; -EIO; -ENODATA where it is known that there is nothing to be had; with
 * @hedge -EINPROGRESS when the bio was taken meanwhile.
 */
static int read_rows(struct qbd_chunk *chunk, struct qbd_io *io, u64 in_chunk,
		     struct hedge *hedge)
{
	struct bvec_iter iter = hedge ? hedge->read->iter : io->iter;
	const struct qbd_layer *layer = chunk->layer;
	u32 k = layer->policy.k, row_bytes = k * layer->block_size, block, row, nr;
	u32 first = div_u64(in_chunk, row_bytes);
	u32 last = div_u64(in_chunk + iter.bi_size - 1, row_bytes);
	u32 units = layer->units;
	u64 offset = in_chunk - (u64)first * row_bytes;
	struct qbd_rows *rows;
	bool compared = false;
	int err;

	err = qbd_csum_prepare_rows(chunk, first, last - first + 1);
	if (err)
		return err;
	rows = qbd_rows_alloc(chunk, first, last - first + 1, GFP_NOIO);
	rows->avoid = qbd_latency_slow(chunk);
	if (hedge) {
		rows->avoid |= legs_waiting(hedge);
		rows->strict = true;
	}
	qbd_chunk_lock(chunk, &rows->lock, first, last);
	err = chunk->dead ? -EAGAIN : qbd_chunk_lost(chunk) ? -EIO :
	      qbd_csum_load(chunk, first * units, (last + 1) * units - 1, &rows->unread);
	if (!err)
		qbd_kept_settle(rows);
again:
	if (!err) {
		qbd_rows_csums(rows);
		for (row = 0; row < rows->nr; row += nr) {
			u32 want = read_wants(layer, row, offset, iter.bi_size);

			want &= ~qbd_journal_live(chunk, first + row);
			nr = 1;
			while (row + nr < rows->nr &&
			       (read_wants(layer, row + nr, offset, iter.bi_size) &
				~qbd_journal_live(chunk, first + row + nr)) == want)
				nr++;
			if (want && qbd_rows_read(rows, row, nr, want))
				err = -EIO;
		}
	}
	/* Maybe it is our table that is old, not the data that is bad. */
	if (rows->any_bad && err != -EAGAIN && !compared) {
		compared = true;
		if (qbd_csum_compare(chunk, first * units)) {
			memset(rows->have, 0, rows->nr * sizeof(u32));
			memset(rows->bad, 0, rows->nr * sizeof(u32));
			rows->any_bad = false;
			err = 0;
			goto again;
		}
	}
	if (rows->any_bad)
		qbd_rows_repair(rows);
	/* In place of what was read to rebuild others. */
	for (row = 0; row < rows->nr && !err; row++)
		qbd_journal_copy(rows, row, qbd_journal_live(chunk, first + row));
	for (block = offset >> layer->policy.block_shift;
	     !err && block <= (offset + iter.bi_size - 1) >> layer->policy.block_shift; block++)
		if (*qbd_rows_csum(rows, block % k, block / k) == QBD_CSUM_LOST)
			err = -ENODATA;
	if (!err && hedge && !hedge_take(hedge))
		err = -EINPROGRESS;
	if (!err)
		copy_out(rows, qbd_io_bio(io), iter, offset);
	if (!hedge)
		io->unread |= rows->unread;
	qbd_chunk_unlock(chunk, &rows->lock);
	qbd_rows_free(rows);
	return err;
}

/* Is it worth it, and allowed, to read what is late from others? In an interrupt. */
static bool hedge_wanted(struct hedge *h)
{
	struct qbd_chunk *chunk = h->read->chunk;
	struct qbd_layer *layer = chunk->layer;
	u32 waiting = legs_waiting(h);

	return waiting && !atomic_read(&h->taken) &&
	       hweight32(qbd_chunk_current(chunk) & ~waiting) >= layer->policy.k &&
	       atomic_dec_if_positive(&layer->pool->hedge_credit) >= 0 &&
	       atomic_inc_not_zero(&h->parties);
}

static enum hrtimer_restart hedge_timer(struct hrtimer *timer)
{
	struct hedge *h = container_of(timer, struct hedge, timer);

	if (hedge_wanted(h))
		queue_work(h->read->chunk->layer->pool->io_wq, &h->work);
	else
		hedge_put(h);
	return HRTIMER_NORESTART;
}

static void hedge_work(struct work_struct *work)
{
	struct hedge *h = container_of(work, struct hedge, work);
	struct read *r = h->read;
	struct qbd_pool *pool = r->chunk->layer->pool;
	int err = -EINPROGRESS;

	/* The qbd_io may be gone with its bio: nothing of it is looked at before that is taken. */
	if (!atomic_read(&h->taken)) {
		atomic64_inc(&pool->hedged);
		err = read_rows(r->chunk, r->io, r->in_chunk, h);
	}
	if (!err) {
		atomic64_inc(&pool->hedges_won);
		bio_endio(qbd_io_bio(r->io));
	} else if (err != -EINPROGRESS) {
		hedge_failed(h);
	}
	hedge_put(h);
}

static void read_slow_work(struct work_struct *work)
{
	struct qbd_io *io = container_of(work, struct qbd_io, work);
	struct qbd_layer *layer = io->volume->top;
	struct bio *bio = qbd_io_bio(io);
	u32 row_bytes = layer->policy.k * layer->block_size, first, last, number, bytes;
	struct qbd_chunk *chunk;
	u64 in_chunk;
	int err;

	number = div64_u64_rem(io->iter.bi_sector << SECTOR_SHIFT, layer->chunk_bytes, &in_chunk);
	first = div_u64(in_chunk, row_bytes);
	last = div_u64(in_chunk + io->iter.bi_size - 1, row_bytes);
	do {
		struct bvec_iter iter = io->iter;

		chunk = xa_load(&layer->map, number) ?
			qbd_chunk_get_rows(layer, number, first, last - first + 1) :
			qbd_chunk_get(layer, number, GFP_NOIO);
		err = chunk ? 0 : -EIO;
		if (err)
			break;
		if (READ_ONCE(chunk->map))
			err = read_rows(chunk, io, in_chunk, NULL);
		else if (qbd_layer_blind(layer))
			err = -EIO;
		else
			zero_piece(bio, &iter, iter.bi_size);
		qbd_chunk_put(chunk);
	} while (err == -EAGAIN);
	bytes = io->iter.bi_size;
	if (qbd_io_end(io, err) && (err == -EIO || err == -ENODATA))
		DMERR_LIMIT("%s: volume %u chunk %u: cannot read %u bytes at %llu",
			    layer->pool->members.pool_name, layer->volume, number, bytes,
			    in_chunk);
}

/**
 * qbd_read_map - a user's read
 * @io: the bio's data of ours
 */
int qbd_read_map(struct qbd_io *io)
{
	struct qbd_layer *layer = io->volume->top;
	struct bio *bio = qbd_io_bio(io);
	struct bvec_iter iter = io->iter;
	struct qbd_chunk *chunk;
	bool fast = false;
	u64 in_chunk;
	u32 number;

	number = div64_u64_rem(iter.bi_sector << SECTOR_SHIFT, layer->chunk_bytes, &in_chunk);
	chunk = qbd_chunk_find(layer, number);
	if (chunk) {
		fast = read_fast(io, chunk, in_chunk);
		/* A fast read has its own reference until it ends. */
		if (!fast)
			qbd_chunk_put(chunk);
	} else if (!xa_load(&layer->map, number) && !qbd_layer_blind(layer)) {
		zero_piece(bio, &iter, iter.bi_size);
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	if (!fast)
		read_defer(io);
	return DM_MAPIO_SUBMITTED;
}
