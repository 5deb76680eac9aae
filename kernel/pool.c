// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool object: made with the first table of a qbd-pool device, shared by its
 * reloads, started when that is resumed, stopped when its last table goes.
 *
 * Pools are found by their mapped device, as dm-thin does it. A table that is
 * loaded reads superblocks only; nothing is written before the first resume.
 *
 * Stopping: no new work; resync and scrub end at the next row; the journal is
 * destaged; what is pending is flushed; checkpoints until nothing is left in the
 * ring, so that the next start has nothing to replay; then the pool is released, for
 * whoever owns it next. Devices are closed from here,
 * in process context.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

#define PAGE_RESERVE	1024	/* pages: more than the largest request */

static DEFINE_MUTEX(pools_mutex);
static LIST_HEAD(pools);

/**
 * qbd_pool_find - the pool of a mapped device
 * @md: the pool's mapped device
 *
 * Return: with a reference, or NULL.
 */
struct qbd_pool *qbd_pool_find(struct mapped_device *md)
{
	struct qbd_pool *pool, *found = NULL;

	mutex_lock(&pools_mutex);
	list_for_each_entry(pool, &pools, list)
		if (pool->md == md)
			found = pool;
	if (found)
		found->refs++;
	mutex_unlock(&pools_mutex);
	return found;
}

static void free_wq(struct workqueue_struct *wq)
{
	if (wq)
		destroy_workqueue(wq);
}

static void pool_free(struct qbd_pool *pool)
{
	struct qbd_layer *layer, *next;
	unsigned int i;

	qbd_destage_exit(pool);
	qbd_member_end(pool);
	/* Its last work may have asked for one. */
	cancel_delayed_work_sync(&pool->checkpoint_work);
	free_wq(pool->repair_wq);
	free_wq(pool->kept_wq);
	free_wq(pool->io_wq);
	free_wq(pool->verify_wq);
	free_wq(pool->journal_wq);
	free_wq(pool->checkpoint_wq);
	free_wq(pool->flush_wq);
	free_wq(pool->settle_wq);
	free_wq(pool->stamp_wq);
	free_wq(pool->ring_wq);
	free_wq(pool->member_wq);
	qbd_chunks_stop(pool);
	free_wq(pool->reap_wq);
	pool->reap_wq = NULL;
	free_wq(pool->owner_wq);
	qbd_owner_exit(pool);
	qbd_standby_exit(pool);
	free_wq(pool->event_wq);
	qbd_journal_exit(pool);
	if (pool->started)
		qbd_chunks_exit(pool);
	list_for_each_entry_safe(layer, next, &pool->dead_layers, dead)
		qbd_layer_destroy(layer);
	qbd_volumes_exit(pool);
	qbd_table_exit(&pool->volume_table);
	qbd_table_exit(&pool->layer_table);
	qbd_ring_exit(pool);
	qbd_pages_exit(&pool->checkpoint_pages);
	qbd_moment("queues-gone");
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		qbd_backend_free(pool->backend[i]);
	cleanup_srcu_struct(&pool->backends_srcu);
	qbd_pace_exit(pool);
	mempool_exit(&pool->pages);
	qbd_memory_exit(pool);
	mempool_exit(&pool->rows);
	kvfree(pool->csum_values);
	kvfree(pool->table_payload);
	kvfree(pool->table_places);
	kfree(pool->super);
	kfree(pool->kept_buffer);
	kfree(pool->next_members);
	kfree(pool);
}

void qbd_pool_put(struct qbd_pool *pool)
{
	mutex_lock(&pools_mutex);
	if (--pool->refs) {
		mutex_unlock(&pools_mutex);
		return;
	}
	list_del(&pool->list);
	mutex_unlock(&pools_mutex);
	qbd_pool_stop(pool);
	pool_free(pool);
}

static struct workqueue_struct *pool_wq(const char *name, unsigned int flags, int max)
{
	return alloc_workqueue("qbd-%s", flags | WQ_MEM_RECLAIM, max, name);
}

/**
 * qbd_pool_create - a pool without backends
 * @md: the pool's mapped device
 *
 * Return: with one reference, or NULL: no memory.
 */
struct qbd_pool *qbd_pool_create(struct mapped_device *md)
{
	struct qbd_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	pool->md = md;
	pool->refs = 1;
	spin_lock_init(&pool->map_lock);
	spin_lock_init(&pool->slot_lock);
	spin_lock_init(&pool->named_lock);
	spin_lock_init(&pool->limit_lock);
	mutex_init(&pool->volume_mutex);
	mutex_init(&pool->pages_mutex);
	mutex_init(&pool->memory_mutex);
	mutex_init(&pool->pending_mutex);
	mutex_init(&pool->backend_flush_mutex);
	mutex_init(&pool->journal.room_mutex);
	mutex_init(&pool->journal.space_mutex);
	spin_lock_init(&pool->journal.lock);
	INIT_LIST_HEAD(&pool->journal.rows);
	init_waitqueue_head(&pool->journal.wait);
	mutex_init(&pool->message_mutex);
	INIT_LIST_HEAD(&pool->named);
	INIT_LIST_HEAD(&pool->idle);
	INIT_LIST_HEAD(&pool->dead_layers);
	xa_init(&pool->layers);
	xa_init(&pool->volumes);
	INIT_WORK(&pool->reap_work, qbd_chunk_reap);
	INIT_WORK(&pool->resync_work, qbd_resync_work);
	INIT_WORK(&pool->scrub_work, qbd_scrub_work);
	INIT_DELAYED_WORK(&pool->free_work, qbd_free_deleted);
	if (qbd_pace_init(pool)) {
		kfree(pool);
		return NULL;
	}
	if (init_srcu_struct(&pool->backends_srcu)) {
		qbd_pace_exit(pool);
		kfree(pool);
		return NULL;
	}
	qbd_member_init(pool);
	qbd_event_init(pool);
	qbd_latency_init(pool);
	qbd_flush_init(pool);
	qbd_standby_init(pool);
	qbd_kept_init(pool);
	qbd_parked_init(pool);

	pool->super = kzalloc(sizeof(*pool->super), GFP_KERNEL);
	pool->next_members = kzalloc(sizeof(*pool->next_members), GFP_KERNEL);
	pool->csum_values = kvzalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	pool->table_payload = kvzalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	pool->table_places = kvzalloc(QBD_PAGE_PLACES, GFP_KERNEL);
	pool->owner_wq = pool_wq("owner", WQ_UNBOUND | WQ_HIGHPRI, 0);
	pool->member_wq = pool_wq("member", WQ_UNBOUND, 1);
	pool->event_wq = pool_wq("event", WQ_UNBOUND, 1);
	pool->stamp_wq = pool_wq("stamp", WQ_UNBOUND, 1);
	pool->kept_wq = pool_wq("kept", WQ_UNBOUND, 1);
	pool->kept_buffer = kmalloc(QBD_PAGE_SIZE, GFP_KERNEL);
	pool->ring_wq = pool_wq("ring", WQ_UNBOUND | WQ_HIGHPRI, 1);
	pool->settle_wq = pool_wq("settle", WQ_UNBOUND, 0);
	pool->flush_wq = pool_wq("flush", WQ_UNBOUND, 1);
	pool->checkpoint_wq = pool_wq("checkpoint", WQ_UNBOUND, 1);
	pool->journal_wq = pool_wq("journal", WQ_UNBOUND, QBD_DESTAGERS + 1);
	pool->verify_wq = pool_wq("verify", WQ_HIGHPRI, 0);
	pool->io_wq = pool_wq("io", WQ_UNBOUND, 0);
	pool->repair_wq = pool_wq("repair", WQ_UNBOUND, 0);
	pool->reap_wq = pool_wq("reap", WQ_UNBOUND, 1);
	if (!pool->super || !pool->next_members || !pool->csum_values ||
	    !pool->table_payload || !pool->table_places || !pool->owner_wq ||
	    !pool->member_wq || !pool->stamp_wq ||
	    !pool->ring_wq || !pool->settle_wq || !pool->flush_wq || !pool->checkpoint_wq ||
	    !pool->journal_wq || !pool->verify_wq || !pool->io_wq || !pool->repair_wq ||
	    !pool->reap_wq || !pool->event_wq || !pool->kept_wq || !pool->kept_buffer ||
	    qbd_owner_init(pool) ||
	    qbd_pages_init(&pool->checkpoint_pages) ||
	    qbd_reserve_pages(&pool->pages, PAGE_RESERVE) ||
	    qbd_reserve_bytes(&pool->rows, 4, qbd_rows_max())) {
		INIT_LIST_HEAD(&pool->list);
		pool_free(pool);
		return NULL;
	}
	mutex_lock(&pools_mutex);
	list_add(&pool->list, &pools);
	mutex_unlock(&pools_mutex);
	return pool;
}

/**
 * qbd_pool_go - activate a pool that this host owns, and begin
 * @pool: the pool
 *
 * Sleeps. Return: 0, or an error that the kernel log tells more about.
 */
int qbd_pool_go(struct qbd_pool *pool)
{
	int err = qbd_activate(pool, pool->missing);

	if (err) {
		DMERR("%s: cannot start (%d)", pool->members.pool_name, err);
		WRITE_ONCE(pool->mode, QBD_FAILED);
		return err;
	}
	if (pool->features.read_only)
		WRITE_ONCE(pool->mode, QBD_RO);
	WRITE_ONCE(pool->active, true);
	qbd_latency_start(pool);
	DMINFO("%s: started, epoch %u, %llu chunks", pool->members.pool_name,
	       pool->members.epochs[0].number, pool->nr_chunks);
	if (pool->mode == QBD_RW) {
		qbd_destage_begin(pool);
		mod_delayed_work(pool->repair_wq, &pool->free_work, 0);
		queue_work(pool->repair_wq, &pool->resync_work);
	}
	return 0;
}

/**
 * qbd_pool_start - the first resume
 * @pool: the pool
 *
 * Sleeps. Return: 0, or an error that the kernel log tells more about; a pool
 * that failed to start is not started again.
 */
int qbd_pool_start(struct qbd_pool *pool)
{
	int err;

	if (pool->active || READ_ONCE(pool->mode) == QBD_STANDBY)
		return 0;
	if (pool->started)
		return -EIO;
	pool->started = true;
	err = qbd_table_init(&pool->volume_table, QBD_PAGE_VOLUME, pool->members.volume_pages);
	err = err ?: qbd_table_init(&pool->layer_table, QBD_PAGE_LAYER,
				    pool->members.layer_pages);
	err = err ?: qbd_ring_init(pool);
	err = err ?: qbd_journal_init(pool);
	err = err ?: qbd_memory_init(pool);
	err = err ?: qbd_chunks_init(pool);
	if (!err && pool->members.lease_ms && !pool->features.read_only) {
		qbd_takeover_begin(pool);
		err = pool->features.standby ? qbd_standby_start(pool) : qbd_takeover(pool);
		if (!err && pool->features.standby)
			return 0;
	}
	if (!err)
		return qbd_pool_go(pool);
	WRITE_ONCE(pool->mode, QBD_FAILED);
	return err;
}

/**
 * qbd_pool_quiesce - no new work, and what there was is on the backends
 * @pool: the pool
 *
 * As far as that can be: what is left then is in the log. Sleeps.
 */
void qbd_pool_quiesce(struct qbd_pool *pool)
{
	unsigned int i;

	WRITE_ONCE(pool->stopping, true);
	WRITE_ONCE(pool->resync.stop, true);
	WRITE_ONCE(pool->scrub.stop, true);
	qbd_moment("stop-begun");
	wake_up_all(&pool->resync_wait);
	qbd_latency_stop(pool);
	/* First who queues the others. */
	cancel_delayed_work_sync(&pool->kept_work);
	cancel_work_sync(&pool->resync_work);
	cancel_work_sync(&pool->scrub_work);
	cancel_delayed_work_sync(&pool->free_work);
	qbd_parked_fail(pool);
	if (!pool->started)
		return;
	flush_workqueue(pool->io_wq);
	/* Reads that were late, and nobody needed any more; a hedge waits in io_wq. */
	wait_event(pool->hedge_wait, !atomic_read(&pool->hedges));
	/* The last one is through with the pool when it has dropped this. */
	spin_lock_irq(&pool->hedge_wait.lock);
	spin_unlock_irq(&pool->hedge_wait.lock);
	if (pool->active)
		qbd_destage_all(pool, NULL);
	/* A checkpoint renews what was busy when it began: the second finds nothing. */
	for (i = 0; pool->active && i < 4; i++) {
		if (READ_ONCE(pool->mode) != QBD_RW || qbd_checkpoint(pool))
			break;
		if (!pool->checkpoint_left)
			break;
	}
	cancel_delayed_work_sync(&pool->checkpoint_work);
	/* A failure is put out, stamped, recorded and answered; each may meet another. */
	for (i = 0; i < 3; i++) {
		flush_workqueue(pool->member_wq);
		flush_workqueue(pool->stamp_wq);
		flush_workqueue(pool->ring_wq);
		flush_workqueue(pool->settle_wq);
	}
	cancel_delayed_work_sync(&pool->checkpoint_work);
}

/**
 * qbd_pool_stop - the last table went
 * @pool: the pool
 */
void qbd_pool_stop(struct qbd_pool *pool)
{
	char host[QBD_HOST_SIZE];
	u64 next = 0;

	WRITE_ONCE(pool->stopping, true);
	qbd_standby_stop(pool);
	qbd_pool_quiesce(pool);
	if (READ_ONCE(pool->lease.state) == QBD_LEASE_OWNS)
		next = qbd_standby_find(pool, host) ?: qbd_nonce_keep(pool);
	/* Also when it is lost: heartbeats that are due must not be. */
	qbd_owner_release(pool, next);
}

int qbd_pool_init(void)
{
	int err;

	BUILD_BUG_ON(PAGE_SIZE != QBD_PAGE_SIZE);
	err = qbd_memory_begin();
	if (err)
		return err;
	err = qbd_orphan_init();
	if (err)
		qbd_memory_end();
	return err;
}

void qbd_pool_exit(void)
{
	qbd_orphan_exit();
	qbd_memory_end();
	qbd_nonces_exit();
	/* Chunks and queues are freed after a grace period. */
	rcu_barrier();
}
