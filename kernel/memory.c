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
 * Who waits for one of the last three asks for a destage of the journal, whose rows
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
 * In an outage (rule 4) no checkpoint succeeds, so nobody waits for one, but for the
 * reaper only: the request fails as for lack of backends. What puts an outage right
 * waits for nothing either: a write that failed leaves it the segments that it had
 * (csum.c), and the pages of its rows are loaded.
 *
 * Maps and the nodes of xarrays stay as long as their chunk, so no reserve would
 * ever be filled again. They may use the kernel's own (QBD_GFP_OWN), and each is
 * smaller than the page whose first write asks for it, and which is free then.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/slab.h>

#include "qbd.h"

#define CHUNK_RESERVE	8
#define PLACES_RESERVE	2
#define PENDING_RESERVE	64	/* more than the largest request's */

static struct kmem_cache *pending_cache;

/*
 * In kernels with fault injection debugfs' fail_qbd_memory leaves requests the reserves
 * alone, as if the allocator had nothing. What is made with GFP_KERNEL is no request's.
 */
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
static DECLARE_FAULT_ATTR(fail_memory);
static struct dentry *fail_memory_dir;

static bool allocator_is_empty(gfp_t gfp)
{
	return !(gfp & __GFP_FS) && should_fail(&fail_memory, 1);
}

static void faults_begin(void)
{
	fail_memory_dir = fault_create_debugfs_attr("fail_qbd_memory", NULL, &fail_memory);
}

static void faults_end(void)
{
	debugfs_remove_recursive(fail_memory_dir);
}
#else
static inline bool allocator_is_empty(gfp_t gfp) { return false; }
static inline void faults_begin(void) {}
static inline void faults_end(void) {}
#endif

static void *bytes_alloc(gfp_t gfp, void *pool_data)
{
	return allocator_is_empty(gfp) ? NULL : mempool_kmalloc(gfp, pool_data);
}

static void *page_alloc(gfp_t gfp, void *pool_data)
{
	return allocator_is_empty(gfp) ? NULL : mempool_alloc_pages(gfp, pool_data);
}

static void *pending_alloc(gfp_t gfp, void *pool_data)
{
	return allocator_is_empty(gfp) ? NULL : mempool_alloc_slab(gfp, pool_data);
}

static struct qbd_csum_page *csum_page_new(gfp_t gfp)
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

static void *csum_page_alloc(gfp_t gfp, void *pool_data)
{
	return allocator_is_empty(gfp) ? NULL : csum_page_new(gfp);
}

static void csum_page_free(void *element, void *pool_data)
{
	struct qbd_csum_page *page = element;

	free_page((unsigned long)page->recorded);
	kfree(page);
}

/**
 * qbd_reserve_bytes - a reserve of pieces of memory
 * @reserve: the reserve
 * @nr: of them
 * @bytes: of each
 *
 * Return: 0 or -ENOMEM.
 */
int qbd_reserve_bytes(mempool_t *reserve, int nr, size_t bytes)
{
	return mempool_init(reserve, nr, bytes_alloc, mempool_kfree, (void *)bytes);
}

/**
 * qbd_reserve_pages - a reserve of pages
 * @reserve: the reserve
 * @nr: of them
 *
 * Return: 0 or -ENOMEM.
 */
int qbd_reserve_pages(mempool_t *reserve, int nr)
{
	return mempool_init(reserve, nr, page_alloc, mempool_free_pages, NULL);
}

/**
 * qbd_memory_try - memory of the size that is wanted, before a reserve's
 * @bytes: how much
 *
 * Context: any. Return: NULL when there is none; else for kfree().
 */
void *qbd_memory_try(size_t bytes)
{
	return bytes_alloc(QBD_GFP_TRY, (void *)bytes);
}

/**
 * qbd_memory_page - a page, before a reserve's, or where none may be taken
 *
 * Context: any. Return: NULL when there is none.
 */
struct page *qbd_memory_page(void)
{
	return page_alloc(QBD_GFP_TRY, NULL);
}

/**
 * qbd_memory_csum_page - one that is of no reserve
 * @gfp: how memory may be had
 */
struct qbd_csum_page *qbd_memory_csum_page(gfp_t gfp)
{
	/* Who may sleep is activation, which has no reserve. */
	return gfpflags_allow_blocking(gfp) ? csum_page_new(gfp) : csum_page_alloc(gfp, NULL);
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

	if (qbd_reserve_bytes(&pool->chunks, CHUNK_RESERVE,
			      qbd_chunk_bytes(QBD_MAX_RANGES, pages)) ||
	    mempool_init(&pool->csums, pages, csum_page_alloc, csum_page_free, NULL) ||
	    mempool_init(&pool->scratch, 1, csum_page_alloc, csum_page_free, NULL) ||
	    qbd_reserve_bytes(&pool->places, PLACES_RESERVE, QBD_PAGE_PLACES) ||
	    mempool_init(&pool->pendings, PENDING_RESERVE, pending_alloc, mempool_free_slab,
			 pending_cache))
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

/* In an outage no checkpoint and no destage succeeds, and a read-only pool has none. */
static bool nothing_is_freed(const struct qbd_pool *pool)
{
	return qbd_pool_outage(pool) || READ_ONCE(pool->mode) != QBD_RW;
}

/**
 * qbd_memory_wait - take from a reserve that a checkpoint or a destage fills
 * @pool: the pool
 * @reserve: the reserve
 *
 * Sleeps; the context is above. Return: NULL in an outage, or in a read-only pool, when
 * chunks that nobody uses had nothing either.
 */
void *qbd_memory_wait(struct qbd_pool *pool, mempool_t *reserve)
{
	void *element = mempool_alloc(reserve, QBD_GFP_TRY);

	if (element)
		return element;
	atomic_inc(&pool->starved);
	queue_work(pool->reap_wq, &pool->reap_work);
	do {
		if (!nothing_is_freed(pool)) {
			qbd_destage_begin(pool);
			qbd_checkpoint_soon(pool);
		}
		/* What is freed wakes those who wait in mempool_alloc(). */
		wait_event_timeout(reserve->wait,
				   (element = mempool_alloc(reserve, QBD_GFP_TRY)), HZ / 10);
	} while (!element && !nothing_is_freed(pool));
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

	/* The allocator would try for ever to free memory, which waits for who asks. */
	while ((err = xa_reserve(xa, index, gfp == GFP_NOIO ? QBD_GFP_TRY : gfp)) &&
	       gfp == GFP_NOIO) {
		if (!xa_reserve(xa, index, QBD_GFP_OWN))
			return 0;
		schedule_timeout_uninterruptible(1);
	}
	return err;
}

int qbd_memory_begin(void)
{
	pending_cache = kmem_cache_create("qbd-pending", sizeof(struct qbd_pending), 0,
					  SLAB_RECLAIM_ACCOUNT, NULL);
	if (!pending_cache)
		return -ENOMEM;
	faults_begin();
	return 0;
}

void qbd_memory_end(void)
{
	faults_end();
	kmem_cache_destroy(pending_cache);
}
