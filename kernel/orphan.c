// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines of backends, and orphans: I/O that was not answered in time (rule 8).
 *
 * A bio cannot be cancelled, and handing it to a driver may block: for a free tag,
 * or, with NBD, for room in a socket. So one to a backend with a deadline is queued
 * for the backend's sender, which alone may hang in it, and stands in a list while
 * it is in flight, oldest first; a timer looks at the first. When its deadline
 * passes, it and all that came after it end: whoever sent them is told that they
 * failed, once, and goes on without them. What was sent becomes an orphan.
 *
 *	state	event		new state	what is done
 *	NEW	QUEUE		QUEUED		into the queue; the timer runs
 *	NEW	REFUSE		DONE		done(): the backend has orphans
 *	QUEUED	SEND		SENT		to the driver
 *	QUEUED	DEADLINE	DONE		done() with BLK_STS_TIMEOUT; it is never sent
 *	SENT	ANSWER		DONE		out of the list; done() with the answer
 *	SENT	DEADLINE	ORPHAN		a reference to each of its pages; done() with
 *						BLK_STS_TIMEOUT
 *	ORPHAN	ANSWER		DONE		its pages and its bio are let go
 *
 * All other pairs cannot be. bio_event() is the one place where the state changes,
 * under the backend's lock.
 *
 * What a late answer finds is the bio, its pages and the backend: nothing of the
 * pool and nothing of a user's. So
 *	- such a bio has only pages of the target's own (qbd_page_free() gives a page
 *	  back to its mempool only if no orphan has it), metadata goes through copies;
 *	- the bio has two references, done()'s and that of the answer;
 *	- bios come from a bioset of the backend, so that what hangs on one takes
 *	  nothing from the others;
 *	- a backend that its pool lets go of while it has orphans stays open, and keeps
 *	  the module busy, until the last of them was answered; a worker closes it.
 *
 * While a backend has orphans nothing more is sent to it: what is asked of it fails
 * at once. So nobody waits for a second deadline; no slot with an orphaned write or
 * discard is written again before the orphan ended, whether it was freed meanwhile
 * or not; and on a backend that has to stay in (rule 4) no I/O overlaps an orphan's.
 * A device that has orphans cannot be let in again, nor opened by another pool: a
 * write that hangs in it would come after those of a resync.
 */
#include <linux/ctype.h>
#include <linux/major.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "qbd.h"

#define AOE_MAJOR	152	/* not in major.h */

enum bio_event {
	BIO_QUEUE,
	BIO_REFUSE,
	BIO_SEND,
	BIO_ANSWER,
	BIO_DEADLINE,
};

static DEFINE_MUTEX(left_mutex);
static LIST_HEAD(left_behind);		/* backends without a pool, with orphans */
static struct workqueue_struct *close_wq;

static void pages_hold(struct bio *bio)
{
	struct bvec_iter_all iter;
	struct bio_vec *bv;

	bio_for_each_segment_all(bv, bio, iter)
		get_page(bv->bv_page);
}

static void pages_let_go(struct bio *bio)
{
	struct bvec_iter_all iter;
	struct bio_vec *bv;

	bio_for_each_segment_all(bv, bio, iter)
		put_page(bv->bv_page);
}

/* One more tick: a part of the first one had passed. */
static unsigned long due(const struct qbd_backend *b, const struct qbd_bio *qb)
{
	return qb->since + b->deadline + 1;
}

/* See the table above. Context: the backend's lock. */
static void bio_event(struct qbd_bio *qb, enum bio_event event)
{
	struct qbd_backend *b = qb->backend;

	lockdep_assert_held(&b->lock);
	switch (event) {
	case BIO_QUEUE:
		WARN_ON_ONCE(qb->state != QBD_BIO_NEW);
		qb->state = QBD_BIO_QUEUED;
		qb->since = jiffies;
		list_add_tail(&qb->list, &b->queue);
		if (!timer_pending(&b->timer) && b->deadline)
			mod_timer(&b->timer, due(b, qb));
		break;
	case BIO_REFUSE:
		WARN_ON_ONCE(qb->state != QBD_BIO_NEW);
		qb->state = QBD_BIO_DONE;
		qb->status = BLK_STS_TIMEOUT;
		break;
	case BIO_SEND:
		WARN_ON_ONCE(qb->state != QBD_BIO_QUEUED);
		qb->state = QBD_BIO_SENT;
		list_move_tail(&qb->list, &b->sent);
		break;
	case BIO_DEADLINE:
		if (qb->state == QBD_BIO_SENT) {
			qb->state = QBD_BIO_ORPHAN;
			pages_hold(&qb->bio);
			WRITE_ONCE(b->orphans, b->orphans + 1);
		} else {
			WARN_ON_ONCE(qb->state != QBD_BIO_QUEUED);
			qb->state = QBD_BIO_DONE;
			/* No answer will come: there is done()'s reference left. */
			bio_put(&qb->bio);
		}
		qb->status = BLK_STS_TIMEOUT;
		b->timeouts++;
		break;
	case BIO_ANSWER:
		if (qb->state == QBD_BIO_SENT) {
			qb->status = qb->bio.bi_status;
			list_del(&qb->list);
		} else {
			WARN_ON_ONCE(qb->state != QBD_BIO_ORPHAN);
		}
		qb->state = QBD_BIO_DONE;
		break;
	}
}

/* What is in flight, the oldest first: what was sent came before what is queued. */
static struct qbd_bio *oldest(struct qbd_backend *b)
{
	return list_first_entry_or_null(list_empty(&b->sent) ? &b->queue : &b->sent,
					struct qbd_bio, list);
}

static void deadline_timer(struct timer_list *timer)
{
	struct qbd_backend *b = container_of(timer, struct qbd_backend, timer);
	struct qbd_bio *qb, *next;
	unsigned int ms = 0;
	unsigned long flags;
	LIST_HEAD(late);

	spin_lock_irqsave(&b->lock, flags);
	qb = oldest(b);
	if (qb && b->deadline && time_after_eq(jiffies, due(b, qb))) {
		ms = b->deadline_ms;
		list_splice_init(&b->queue, &late);
		list_splice_init(&b->sent, &late);
		list_for_each_entry(qb, &late, list)
			bio_event(qb, BIO_DEADLINE);
	} else if (qb && b->deadline) {
		mod_timer(&b->timer, due(b, qb));
	}
	spin_unlock_irqrestore(&b->lock, flags);
	if (list_empty(&late))
		return;

	DMERR_LIMIT("%s: backend %u (%s) did not answer within %u ms: %u requests are left to it",
		    b->pool->members.pool_name, b->index, b->name, ms,
		    qbd_backend_orphans(b));
	/*
	 * Before anyone hears of it, as for a write that failed. Not while the pool is
	 * being activated, which fails, for who holds last legs is not known yet; nor
	 * for a device that is only being opened.
	 */
	if (READ_ONCE(b->pool->active) && b->index < QBD_MAX_BACKENDS &&
	    READ_ONCE(b->pool->backend[b->index]) == b)
		qbd_member_fail(b->pool, BIT_ULL(b->index));
	/* An answer that comes now leaves list and done() alone, and has a reference of its own. */
	list_for_each_entry_safe(qb, next, &late, list)
		qbd_bio_unanswered(qb);
}

/* The sender: it may hang in the driver as long as that does. */
static void send_work(struct work_struct *work)
{
	struct qbd_backend *b = container_of(work, struct qbd_backend, send_work);
	struct qbd_bio *qb;
	bool may;

	spin_lock_irq(&b->lock);
	while ((qb = list_first_entry_or_null(&b->queue, struct qbd_bio, list))) {
		/* It may have waited for longer than the lease lasts. */
		may = qbd_bio_may_send(qb);
		bio_event(qb, BIO_SEND);
		spin_unlock_irq(&b->lock);
		/* From here on its deadline may pass, and the pool be gone. */
		if (likely(may))
			submit_bio_noacct(&qb->bio);
		else
			bio_io_error(&qb->bio);
		spin_lock_irq(&b->lock);
	}
	spin_unlock_irq(&b->lock);
}

static void close_work(struct work_struct *work)
{
	struct qbd_backend *b = container_of(work, struct qbd_backend, close_work);

	/* The last answer is through with it. */
	spin_lock_irq(&b->lock);
	spin_unlock_irq(&b->lock);
	mutex_lock(&left_mutex);
	list_del(&b->left);
	mutex_unlock(&left_mutex);
	DMINFO("%s: the last request that was left to it has ended", b->name);
	qbd_backend_close(b);
	/* Unloading waits for this work. */
	module_put(THIS_MODULE);
}

/**
 * qbd_orphans_init - a backend without I/O and without a deadline
 * @b: the backend
 */
void qbd_orphans_init(struct qbd_backend *b)
{
	spin_lock_init(&b->lock);
	INIT_LIST_HEAD(&b->queue);
	INIT_LIST_HEAD(&b->sent);
	INIT_LIST_HEAD(&b->left);
	timer_setup(&b->timer, deadline_timer, 0);
	INIT_WORK(&b->send_work, send_work);
	INIT_WORK(&b->close_work, close_work);
}

/* Of the devices above a disk one is an iSCSI session: then what is behind it is remote. */
static bool is_iscsi(struct gendisk *disk)
{
	struct device *dev;

	for (dev = disk_to_dev(disk)->parent; dev; dev = dev->parent)
		if (!strncmp(dev_name(dev), "session", 7) && isdigit(dev_name(dev)[7]))
			return true;
	return false;
}

/**
 * qbd_deadline_default - how long a device has to answer, if nobody says how long
 * @bdev: the device
 *
 * A local disk takes as long as it needs, and its driver knows when it is dead.
 * What lies below another layer (dm, a partition of md) is not seen.
 *
 * Return: milliseconds; 0: for ever.
 */
unsigned int qbd_deadline_default(struct block_device *bdev)
{
	switch (bdev->bd_disk->major) {
	case LOOP_MAJOR:
	case NBD_MAJOR:
	case AOE_MAJOR:
		return QBD_DEADLINE_MS;
	}
	return is_iscsi(bdev->bd_disk) ? QBD_DEADLINE_MS : 0;
}

/**
 * qbd_deadline_set - how long a backend has to answer
 * @b: the backend
 * @ms: 0: as long as it likes
 *
 * Holds for what is in flight, too, unless that was sent while there was none.
 * Sleeps. Return: 0 or -ENOMEM.
 */
int qbd_deadline_set(struct qbd_backend *b, unsigned int ms)
{
	if (ms && !b->send_wq) {
		/* One for each, with a thread for when memory is short: it may hang. */
		b->send_wq = alloc_ordered_workqueue("qbd-send-%s", WQ_MEM_RECLAIM | WQ_HIGHPRI,
						     b->name);
		if (!b->send_wq)
			return -ENOMEM;
	}
	spin_lock_irq(&b->lock);
	/* Who sees that there is one finds a sender. */
	smp_store_release(&b->deadline, ms ? max(msecs_to_jiffies(ms), 1ul) : 0);
	b->deadline_ms = ms;
	/* It looks what is there, and may be pending for long. */
	if (ms)
		mod_timer(&b->timer, jiffies + 1);
	spin_unlock_irq(&b->lock);
	return 0;
}

/**
 * qbd_orphan_send - send a bio with a deadline
 * @qb: the bio
 *
 * Context: any. Return: false when the backend has orphans: it is not sent, and
 * done() is to be called.
 */
bool qbd_orphan_send(struct qbd_bio *qb)
{
	struct qbd_backend *b = qb->backend;
	unsigned long flags;
	bool send;

	/* Not when it becomes an orphan: its flags are those below's, once it is sent. */
	bio_get(&qb->bio);
	spin_lock_irqsave(&b->lock, flags);
	send = !b->orphans;
	bio_event(qb, send ? BIO_QUEUE : BIO_REFUSE);
	spin_unlock_irqrestore(&b->lock, flags);
	if (send)
		queue_work(b->send_wq, &b->send_work);
	else
		bio_put(&qb->bio);
	return send;
}

/**
 * qbd_orphan_answer - the answer to a bio with a deadline
 * @qb: the bio
 *
 * Return: true when it came in time: the bio is to be put, and done() called. Else
 * nobody waits for it, and there is nothing more to do.
 */
bool qbd_orphan_answer(struct qbd_bio *qb)
{
	struct qbd_backend *b = qb->backend;
	unsigned long flags;
	bool orphan;

	spin_lock_irqsave(&b->lock, flags);
	orphan = qb->state == QBD_BIO_ORPHAN;
	bio_event(qb, BIO_ANSWER);
	spin_unlock_irqrestore(&b->lock, flags);
	if (!orphan)
		return true;

	/* It may have reached the medium after all. */
	if (op_is_write(bio_op(&qb->bio)))
		WRITE_ONCE(b->unflushed, 1);
	pages_let_go(&qb->bio);
	bio_put(&qb->bio);
	spin_lock_irqsave(&b->lock, flags);
	WRITE_ONCE(b->orphans, b->orphans - 1);
	if (!b->orphans && b->pool)
		wake_up_all(&b->pool->member_wait);
	else if (!b->orphans)
		queue_work(close_wq, &b->close_work);
	spin_unlock_irqrestore(&b->lock, flags);
	return false;
}

/**
 * qbd_orphans_leave - a pool lets go of a backend
 * @b: the backend; nothing is in flight but orphans
 *
 * Sleeps. Return: false when it has none: it can be closed. Else it is closed when
 * they have ended.
 */
bool qbd_orphans_leave(struct qbd_backend *b)
{
	unsigned int orphans;

	timer_delete_sync(&b->timer);
	mutex_lock(&left_mutex);
	spin_lock_irq(&b->lock);
	WARN_ON_ONCE(oldest(b));
	orphans = b->orphans;
	b->pool = NULL;
	if (orphans) {
		/* The pool's target keeps the module from going until now. */
		__module_get(THIS_MODULE);
		list_add(&b->left, &left_behind);
	}
	spin_unlock_irq(&b->lock);
	mutex_unlock(&left_mutex);
	if (orphans)
		DMWARN("%s: %u requests are still in flight: it stays open until they end",
		       b->name, orphans);
	return orphans;
}

/**
 * qbd_orphans_of - does a device have orphans of a pool that is gone
 * @devt: the device
 */
bool qbd_orphans_of(dev_t devt)
{
	struct qbd_backend *b;
	bool found = false;

	mutex_lock(&left_mutex);
	list_for_each_entry(b, &left_behind, left)
		found |= b->bdev.bdev->bd_dev == devt;
	mutex_unlock(&left_mutex);
	return found;
}

/**
 * qbd_page_free - give a page back to its mempool
 * @page: the page
 * @pages: where it is from
 *
 * One that an orphan holds goes to nobody before the orphan ended: another takes
 * its place, if there is one. Context: any.
 */
void qbd_page_free(struct page *page, mempool_t *pages)
{
	if (likely(page_count(page) == 1)) {
		mempool_free(page, pages);
		return;
	}
	put_page(page);
	page = alloc_page(QBD_GFP_TRY);
	if (page)
		mempool_free(page, pages);
}

int qbd_orphan_init(void)
{
	close_wq = alloc_workqueue("qbd-close", WQ_UNBOUND, 0);
	return close_wq ? 0 : -ENOMEM;
}

void qbd_orphan_exit(void)
{
	destroy_workqueue(close_wq);
}
