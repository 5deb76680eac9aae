// SPDX-License-Identifier: GPL-2.0-only
// 6.7 and 6.8: a block device is opened as a handle.
#include <linux/blkdev.h>

struct bdev_handle *probe(dev_t dev, void *holder);
struct bdev_handle *probe(dev_t dev, void *holder)
{
	return bdev_open_by_dev(dev, BLK_OPEN_READ, holder, NULL);
}
