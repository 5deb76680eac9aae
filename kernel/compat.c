// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of compat.h that are more than a line. Each function has one branch per age of the
 * kernel's interface, newest first; the newest is what the others imitate.
 */
#include <linux/err.h>
#include <linux/fs.h>

#include "compat.h"

#ifdef QBD_HAVE_BLK_MODE
static blk_mode_t open_mode(bool writable)
{
	return BLK_OPEN_READ | (writable ? BLK_OPEN_WRITE : 0);
}
#else
static fmode_t open_mode(bool writable)
{
	return FMODE_EXCL | FMODE_READ | (writable ? FMODE_WRITE : 0);
}
#endif

/**
 * qbd_bdev_open() - open a block device exclusively
 * @dev: to be filled; all NULL if this fails
 * @devt: which
 * @writable: for reading alone, or for writing also
 * @holder: who holds it: one holder may open a device again, others are refused
 *
 * Context: may sleep; not under a lock that the device's own removal takes.
 * Return: 0, or -EBUSY if somebody else holds it, -EACCES if it is to be written and is read-only,
 *	-ENXIO if there is none.
 */
int qbd_bdev_open(struct qbd_bdev *dev, dev_t devt, bool writable, void *holder)
{
#if defined(QBD_HAVE_BDEV_FILE_OPEN)
	struct file *opened = bdev_file_open_by_dev(devt, open_mode(writable), holder, NULL);
#elif defined(QBD_HAVE_BDEV_OPEN)
	struct bdev_handle *opened = bdev_open_by_dev(devt, open_mode(writable), holder, NULL);
#elif defined(QBD_HAVE_BLKDEV_HOLDER_OPS)
	struct block_device *opened = blkdev_get_by_dev(devt, open_mode(writable), holder, NULL);
#else
	struct block_device *opened = blkdev_get_by_dev(devt, open_mode(writable), holder);
#endif

	dev->bdev = NULL;
	dev->handle = NULL;
	if (IS_ERR(opened))
		return PTR_ERR(opened);
#if defined(QBD_HAVE_BDEV_FILE_OPEN)
	dev->bdev = file_bdev(opened);
	dev->handle = opened;
#elif defined(QBD_HAVE_BDEV_OPEN)
	dev->bdev = opened->bdev;
	dev->handle = opened;
#elif defined(QBD_HAVE_BLKDEV_HOLDER_OPS)
	dev->bdev = opened;
	dev->handle = holder;
#else
	dev->bdev = opened;
	dev->handle = (void *)(__force unsigned long)open_mode(writable);
#endif
	return 0;
}

/**
 * qbd_bdev_close() - close a block device; nothing if it is not open
 * @dev: filled by qbd_bdev_open()
 *
 * Context: may sleep. No I/O of ours to the device may be in flight.
 */
void qbd_bdev_close(struct qbd_bdev *dev)
{
	if (!dev->bdev)
		return;
#if defined(QBD_HAVE_BDEV_FILE_OPEN)
	/* The last reference to a file goes from a task's work: have it closed before that. */
	bdev_fput(dev->handle);
#elif defined(QBD_HAVE_BDEV_OPEN)
	bdev_release(dev->handle);
#elif defined(QBD_HAVE_BLKDEV_HOLDER_OPS)
	blkdev_put(dev->bdev, dev->handle);
#else
	blkdev_put(dev->bdev, (__force fmode_t)(unsigned long)dev->handle);
#endif
	dev->bdev = NULL;
	dev->handle = NULL;
}

/**
 * qbd_devt_from_path() - which device a word of a table line names
 * @path: a path, or MAJOR:MINOR
 * @devt: the answer
 *
 * Context: may sleep.
 * Return: 0, or a negative error if there is no such block device.
 */
int qbd_devt_from_path(const char *path, dev_t *devt)
{
#ifdef QBD_HAVE_DM_DEVT_FROM_PATH
	return dm_devt_from_path(path, devt);
#else
	*devt = dm_get_dev_t(path);
	return *devt ? 0 : -ENODEV;
#endif
}

/**
 * qbd_table_writable() - was the table loaded for writing?
 * @table: a target's table
 */
bool qbd_table_writable(struct dm_table *table)
{
#ifdef QBD_HAVE_BLK_MODE
	return dm_table_get_mode(table) & BLK_OPEN_WRITE;
#else
	return dm_table_get_mode(table) & FMODE_WRITE;
#endif
}

#ifdef QBD_HAVE_SHRINKER_ALLOC
static struct qbd_shrinker *to_qbd_shrinker(struct shrinker *handle)
{
	return handle->private_data;
}
#else
static struct qbd_shrinker *to_qbd_shrinker(struct shrinker *handle)
{
	return container_of(handle, struct qbd_shrinker, handle);
}
#endif

static unsigned long shrinker_count(struct shrinker *handle, struct shrink_control *sc)
{
	struct qbd_shrinker *shrinker = to_qbd_shrinker(handle);

	return shrinker->count(shrinker, sc);
}

static unsigned long shrinker_scan(struct shrinker *handle, struct shrink_control *sc)
{
	struct qbd_shrinker *shrinker = to_qbd_shrinker(handle);

	return shrinker->scan(shrinker, sc);
}

/**
 * qbd_shrinker_register() - let memory reclaim call a cache's shrinker
 * @shrinker: with its functions set
 * @name: for debugfs
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int qbd_shrinker_register(struct qbd_shrinker *shrinker, const char *name)
{
#ifdef QBD_HAVE_SHRINKER_ALLOC
	shrinker->handle = shrinker_alloc(0, "%s", name);
	if (!shrinker->handle)
		return -ENOMEM;
	shrinker->handle->count_objects = shrinker_count;
	shrinker->handle->scan_objects = shrinker_scan;
	shrinker->handle->seeks = DEFAULT_SEEKS;
	shrinker->handle->private_data = shrinker;
	shrinker_register(shrinker->handle);
	return 0;
#else
	shrinker->handle.count_objects = shrinker_count;
	shrinker->handle.scan_objects = shrinker_scan;
	shrinker->handle.seeks = DEFAULT_SEEKS;
	return register_shrinker(&shrinker->handle, "%s", name);
#endif
}

/**
 * qbd_shrinker_unregister() - after this, no call of the shrinker runs or begins
 * @shrinker: registered
 *
 * Context: may sleep.
 */
void qbd_shrinker_unregister(struct qbd_shrinker *shrinker)
{
#ifdef QBD_HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker->handle);
	shrinker->handle = NULL;
#else
	unregister_shrinker(&shrinker->handle);
#endif
}
