// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing metadata pages.
 *
 * A writer has a fixed set of buffers, sent in groups: it needs no memory while
 * it works, for a checkpoint is what frees memory and room for others. Each page
 * is written to the place that its seq names; the caller sees to it that the
 * write before it was flushed, by flushing between any two writes of one page.
 *
 * Each backend's copy of a page has a seq of its own, one more with each write, so
 * that it goes to the place which is not its newest. Copies need not be equal: a
 * crash leaves some one behind, and with one seq for all their newest place would
 * be overwritten, or stay the newest though it is old. Between copies LSNs tell.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "qbd.h"

/**
 * qbd_pages_init - buffers for a writer
 * @out: the writer
 */
int qbd_pages_init(struct qbd_pages *out)
{
	out->buffers = vzalloc(QBD_PAGES_GROUP * QBD_PAGE_SIZE);
	out->nr = 0;
	out->failed = 0;
	return out->buffers ? 0 : -ENOMEM;
}

void qbd_pages_exit(struct qbd_pages *out)
{
	vfree(out->buffers);
	out->buffers = NULL;
}

/**
 * qbd_pages_next - a buffer for the next page; sends a full group first. Sleeps.
 * @out: the writer
 */
void *qbd_pages_next(struct qbd_pages *out)
{
	if (out->nr == QBD_PAGES_GROUP)
		qbd_pages_send(out);
	if (!out->nr)
		qbd_wait_init(&out->wait);
	return out->buffers + out->nr++ * QBD_PAGE_SIZE;
}

/**
 * qbd_pages_write - seal a page and send it
 * @out: the writer
 * @b: the backend
 * @id: the page's header
 * @start: of its table or area, in bytes
 * @raw: from qbd_pages_next(), with the payload in place
 */
void qbd_pages_write(struct qbd_pages *out, struct qbd_backend *b, u64 start, void *raw,
		     const struct qbd_page_id *id)
{
	u64 offset = start + id->number * QBD_PAGE_PLACES + (id->seq & 1) * QBD_PAGE_SIZE;

	qbd_page_seal(raw, b->geometry.uuid, id);
	qbd_backend_submit(b, REQ_OP_WRITE | REQ_META, offset, raw, QBD_PAGE_SIZE, &out->wait);
}

/**
 * qbd_pages_send - wait for all that was sent. Sleeps.
 * @out: the writer
 *
 * Return: bitmap of the backends on which any write failed since qbd_pages_init()
 * or the last call that returned some.
 */
u64 qbd_pages_send(struct qbd_pages *out)
{
	if (out->nr)
		out->failed |= qbd_wait_for(&out->wait);
	out->nr = 0;
	return out->failed;
}

/**
 * qbd_table_init - memory for a small table, all of it unused
 * @table: the table
 * @type: of its pages
 * @nr_pages: of the table
 */
int qbd_table_init(struct qbd_table *table, u32 type, u32 nr_pages)
{
	u32 i;

	table->type = type;
	table->nr_pages = nr_pages;
	table->pages = kvcalloc(nr_pages, sizeof(*table->pages), GFP_KERNEL);
	for (i = 0; table->pages && i < nr_pages; i++) {
		table->pages[i].payload = kzalloc(QBD_PAGE_PAYLOAD, GFP_KERNEL);
		if (!table->pages[i].payload)
			return -ENOMEM;
	}
	return table->pages ? 0 : -ENOMEM;
}

void qbd_table_exit(struct qbd_table *table)
{
	u32 i;

	for (i = 0; table->pages && i < table->nr_pages; i++)
		kfree(table->pages[i].payload);
	kvfree(table->pages);
	table->pages = NULL;
}

/**
 * qbd_table_write - write the pages of a table to some backends
 * @pool: the pool
 * @table: the table
 * @which: bitmap of backends
 * @out: the writer
 * @all: all, not only those that changed
 */
void qbd_table_write(struct qbd_pool *pool, struct qbd_table *table, u64 which, bool all,
		     struct qbd_pages *out)
{
	unsigned int i;
	u32 n;

	for (n = 0; n < table->nr_pages; n++) {
		struct qbd_table_page *page = &table->pages[n];
		struct qbd_page_id id = { .type = table->type, .number = n };

		spin_lock(&pool->map_lock);
		if (!all && !page->dirty) {
			spin_unlock(&pool->map_lock);
			continue;
		}
		if (!all)
			page->dirty = false;
		page->sent = 0;
		page->round = pool->page_round;
		id.lsn = page->lsn;
		memcpy(pool->table_payload, page->payload, QBD_PAGE_PAYLOAD);
		spin_unlock(&pool->map_lock);

		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			struct qbd_backend *b = READ_ONCE(pool->backend[i]);
			void *raw;

			/* It may have gone out since, and be taken away to come back. */
			if (!(which & BIT_ULL(i)) || !b)
				continue;
			raw = qbd_pages_next(out);
			memcpy(qbd_page_payload(raw), pool->table_payload, QBD_PAGE_PAYLOAD);
			id.seq = ++page->seq[i];
			page->sent |= BIT_ULL(i);
			qbd_pages_write(out, b, table->type == QBD_PAGE_VOLUME ?
					b->geometry.volume_start : b->geometry.layer_start,
					raw, &id);
		}
	}
}

/**
 * qbd_table_unwrite - pages that were written in this round of writes may not be
 * there: the next one goes to the same places
 * @pool: the pool
 * @table: the table
 *
 * Context: checkpoint_mutex.
 */
void qbd_table_unwrite(struct qbd_pool *pool, struct qbd_table *table)
{
	unsigned int i;
	u32 n;

	for (n = 0; n < table->nr_pages; n++) {
		struct qbd_table_page *page = &table->pages[n];

		if (page->round != pool->page_round)
			continue;
		page->round = 0;
		for (i = 0; i < QBD_MAX_BACKENDS; i++)
			if (page->sent & BIT_ULL(i))
				page->seq[i]--;
		spin_lock(&pool->map_lock);
		page->dirty = true;
		spin_unlock(&pool->map_lock);
	}
}

/**
 * qbd_table_find - find out which seq a backend's copy of each page has
 * @table: the table
 * @b: the backend, before anything is written to it
 *
 * Sleeps. Context: checkpoint_mutex. Return: 0 or -EIO.
 */
int qbd_table_find(struct qbd_table *table, struct qbd_backend *b)
{
	u64 start = table->type == QBD_PAGE_VOLUME ? b->geometry.volume_start :
						     b->geometry.layer_start;
	u8 *both = b->pool->table_places;
	struct qbd_page_id id;
	u32 n;

	lockdep_assert_held(&b->pool->checkpoint_mutex);
	for (n = 0; n < table->nr_pages; n++) {
		if (qbd_backend_rw(b, REQ_OP_READ | REQ_META, start + (u64)n * QBD_PAGE_PLACES,
				   both, QBD_PAGE_PLACES))
			return -EIO;
		table->pages[n].seq[b->index] =
			qbd_page_newest(both, b->geometry.uuid, table->type, n, 0, &id) < 0 ?
			0 : id.seq;
	}
	return 0;
}
