// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of device mapper: what "dmsetup wait" on the pool's device waits for.
 *
 * One is raised when a backend went out, is in again, fails and has to stay in or is
 * there again, became slow or is so no longer, when the pool failed, and when a resync
 * ended that had something to do.
 * An event says that something changed, not what: status and messages tell. So any
 * number of them that come at once may be one.
 *
 * It is raised from a worker: that may sleep in some kernels, and those who have
 * something to tell may hold spinlocks. The table whose event it is may go at any
 * time before; event_mutex keeps it while it is used.
 */
#include "qbd.h"

static void event_work(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(work, struct qbd_pool, event_work);

	mutex_lock(&pool->event_mutex);
	if (pool->event_table)
		dm_table_event(pool->event_table);
	mutex_unlock(&pool->event_mutex);
}

/**
 * qbd_event - something changed that an operator wants to know
 * @pool: the pool
 *
 * Context: any. What changed can be seen before this is called.
 */
void qbd_event(struct qbd_pool *pool)
{
	queue_work(pool->event_wq, &pool->event_work);
}

/**
 * qbd_event_table - the table that the pool's device has now. Sleeps.
 * @pool: the pool
 * @table: the table
 */
void qbd_event_table(struct qbd_pool *pool, struct dm_table *table)
{
	mutex_lock(&pool->event_mutex);
	pool->event_table = table;
	mutex_unlock(&pool->event_mutex);
}

/**
 * qbd_event_forget - a table goes. Sleeps.
 * @pool: the pool
 * @table: the table, which may be another than that of the device
 */
void qbd_event_forget(struct qbd_pool *pool, struct dm_table *table)
{
	mutex_lock(&pool->event_mutex);
	if (pool->event_table == table)
		pool->event_table = NULL;
	mutex_unlock(&pool->event_mutex);
}

void qbd_event_init(struct qbd_pool *pool)
{
	mutex_init(&pool->event_mutex);
	INIT_WORK(&pool->event_work, event_work);
}
