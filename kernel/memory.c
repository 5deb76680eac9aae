// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the I/O path: a request gets what it needs, whatever goes on.
 *
 * A volume may hold a swap area. Then memory that a write needs must not have to
 * wait for that write. So all that requests take has a reserve (a mempool), from
 * which it comes when the allocator has nothing:
 *
 *	what				taken in	until
 *	bios				backend.c	they end
 *	rows and their pages		rows.c		the request ends
 *	rows and pages of the journal	journal.c	they are destaged
 *	segments of pending checksums	csum.c		their values are recorded
 *	chunks, checksum pages		chunk-cache.c,	the chunk is forgotten
 *					csum-page.c
 *
 * Who waits for one of the last two asks for a destage of the journal, whose rows
 * hold their chunks, and for checkpoints, which record what is pending and let go of
 * chunks; and meanwhile no chunk is kept that nobody uses. A checkpoint takes no
 * memory itself, nor do the ring, epochs and stamps.
 *
 * So who waits has nothing that a checkpoint needs: chunk->mutex, meta_sem. And of
 * those that need several of a kind one waits at a time, and the others hold none
 * meanwhile, so that no two have half of what each of them needs:
 *
 *	chunks			one is all that a request needs, and it has no other yet
 *	checksum pages		before anything is locked, for those that will be loaded:
 *				memory_mutex. Those who wait for it have no chunk, for
 *				with a chunk they would have its pages: qbd_chunk_get_rows().
 *				Those who have one for long (resync, scrub, destage) get
 *				the pages with it: few, each one chunk
 *	pending checksums	with rows locked and ranges active, which no checkpoint needs:
 *				pending_mutex. Not the same one: chunks with such ranges
 *				have pages, for which others wait
 *
 * Maps and the nodes of xarrays stay as long as their chunk, so no reserve would
 * ever be filled again. They may use the kernel's own (__GFP_MEMALLOC), and each is
 * smaller than the page whose first write asks for it, and which is free then.
 */
#include <linux/slab.h>

#include "qbd.h"

#define CHUNK_RESERVE	8
#define PLACES_RESERVE	2
#define PENDING_RESERVE	64	/* more than the largest request's */

static struct kmem_cache *pending_cache;

static void *csum_page_alloc(gfp_t gfp, void *pool_data)
{
	struct qbd_csum_page *page = kmalloc(sizeof(*page), gfp);

	if (!page)
		return NULL;
	page->recorded = (__le32 *)__get_free_page(gfp);
	if (page->recorded)
		return page;
	kfree(page);
	return NULL;
}

static void csum_page_free(void *element, void *pool_data)
{
	struct qbd_csum_page *page = element;

	free_page((unsigned long)page->recorded);
	kfree(page);
}

/**
 * qbd_memory_csum_page - one that is of no reserve
 * @gfp: how memory may be had
 */
struct qbd_csum_page *qbd_memory_csum_page(gfp_t gfp)
{
	return csum_page_alloc(gfp, NULL);
}

/**
 * qbd_memory_init - reserves that depend on what the superblocks say
 * @pool: the pool
 *
 * Return: 0 or -ENOMEM; qbd_memory_exit() in either case.
 */
int qbd_memory_init(struct qbd_pool *pool)
{
	static const struct qbd_policy widest = {
		.kind = QBD_EC, .k = QBD_MAX_K, .m = QBD_MAX_M, .block_shift = 12,
	};
	u32 bytes = min(pool->members.csum_bytes_per_slot,
			qbd_csum_table_bytes(&widest, pool->members.extent_size));
	u32 pages = bytes / QBD_PAGE_PLACES;

	if (mempool_init_kmalloc_pool(&pool->chunks, CHUNK_RESERVE,
				      qbd_chunk_bytes(QBD_MAX_RANGES, pages)) ||
	    mempool_init(&pool->csums, pages, csum_page_alloc, csum_page_free, NULL) ||
	    mempool_init(&pool->scratch, 1, csum_page_alloc, csum_page_free, NULL) ||
	    mempool_init_kmalloc_pool(&pool->places, PLACES_RESERVE, QBD_PAGE_PLACES) ||
	    mempool_init_slab_pool(&pool->pendings, PENDING_RESERVE, pending_cache))
		return -ENOMEM;
	return 0;
}

void qbd_memory_exit(struct qbd_pool *pool)
{
	mempool_exit(&pool->chunks);
	mempool_exit(&pool->csums);
	mempool_exit(&pool->scratch);
	mempool_exit(&pool->places);
	mempool_exit(&pool->pendings);
}

/**
 * qbd_memory_wait - take from a reserve that a checkpoint fills
 * @pool: the pool
 * @reserve: the reserve
 *
 * Sleeps; the context is above. Return: never NULL.
 */
void *qbd_memory_wait(struct qbd_pool *pool, mempool_t *reserve)
{
	void *element = mempool_alloc(reserve, GFP_NOWAIT | __GFP_NOWARN);

	if (element)
		return element;
	atomic_inc(&pool->starved);
	queue_work(pool->reap_wq, &pool->reap_work);
	qbd_destage_begin(pool);
	qbd_checkpoint_soon(pool);
	element = mempool_alloc(reserve, GFP_NOIO);
	atomic_dec(&pool->starved);
	return element;
}

/**
 * qbd_memory_reserve - xa_reserve(), which does not fail with GFP_NOIO
 * @xa: the array
 * @index: where room for an entry is wanted
 * @gfp: how memory may be had
 *
 * Sleeps. Return: 0, or -ENOMEM.
 */
int qbd_memory_reserve(struct xarray *xa, unsigned long index, gfp_t gfp)
{
	int err;

	while ((err = xa_reserve(xa, index, gfp)) && gfp == GFP_NOIO) {
		if (!xa_reserve(xa, index, GFP_NOIO | __GFP_MEMALLOC))
			return 0;
		schedule_timeout_uninterruptible(1);
	}
	return err;
}

int qbd_memory_begin(void)
{
	pending_cache = kmem_cache_create("qbd-pending", sizeof(struct qbd_pending), 0,
					  SLAB_RECLAIM_ACCOUNT, NULL);
	return pending_cache ? 0 : -ENOMEM;
}

void qbd_memory_end(void)
{
	kmem_cache_destroy(pending_cache);
}
