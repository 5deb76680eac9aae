/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between Linux 6.1 and 6.12, said in one way.
 *
 * The code is written for 6.12. Where an older kernel lacks an interface, a program of
 * kernel/probes/ finds out (no version is compared: distributions carry patches back), and this
 * header and compat.c give what is missing. Everything else that the module uses is the same in
 * all of these versions. Rules that keep it so:
 *
 * - strscpy() with all three arguments; no kvfree_rcu() with one; no guard(), __free() or
 *   __counted_by();
 * - timer_delete_sync(), not its older name, which 6.15 drops;
 * - limits of a queue are set in io_hints, through the helpers below where they differ;
 * - stable pages need no flag: the data path copies what it writes before it checksums it.
 */
#ifndef QBD_COMPAT_H
#define QBD_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/random.h>
#include <linux/shrinker.h>

#include "qbd-have.h"

#ifdef QBD_HAVE_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/**
 * struct qbd_bdev - a block device that is held open exclusively
 * @bdev: the device; NULL while not open
 * @handle: what the kernel closes it by
 */
struct qbd_bdev {
	struct block_device *bdev;
	void *handle;
};

int qbd_bdev_open(struct qbd_bdev *dev, dev_t devt, bool writable, void *holder);
void qbd_bdev_close(struct qbd_bdev *dev);
int qbd_devt_from_path(const char *path, dev_t *devt);
bool qbd_table_writable(struct dm_table *table);

/**
 * struct qbd_shrinker - a cache that gives memory back
 * @count: how many objects could go; SHRINK_EMPTY if there are none at all
 * @scan: free up to sc->nr_to_scan objects, return how many went; SHRINK_STOP if none can go now.
 *	Called from reclaim, so it must neither allocate nor wait for I/O
 *
 * Embedded in the owner of the cache, which sets the functions before qbd_shrinker_register().
 */
struct qbd_shrinker {
	unsigned long (*count)(struct qbd_shrinker *shrinker, struct shrink_control *sc);
	unsigned long (*scan)(struct qbd_shrinker *shrinker, struct shrink_control *sc);
#ifdef QBD_HAVE_SHRINKER_ALLOC
	struct shrinker *handle;
#else
	struct shrinker handle;
#endif
};

int qbd_shrinker_register(struct qbd_shrinker *shrinker, const char *name);
void qbd_shrinker_unregister(struct qbd_shrinker *shrinker);

/**
 * qbd_limits_discard() - what a target takes as one discard
 * @limits: of the target, in io_hints
 * @max_sectors: longest
 * @granularity: in bytes, a power of two
 *
 * Newer kernels compute max_discard_sectors from what the hardware and the user say; in older ones
 * a target sets it itself.
 */
static inline void qbd_limits_discard(struct queue_limits *limits, unsigned int max_sectors,
				      unsigned int granularity)
{
	limits->max_hw_discard_sectors = max_sectors;
	limits->max_discard_sectors = max_sectors;
	limits->discard_granularity = granularity;
	limits->discard_alignment = 0;
}

#endif
