// SPDX-License-Identifier: GPL-2.0-only
// 6.5 and 6.6: a holder has operations, and a block device is closed by its holder.
#include <linux/blkdev.h>

struct block_device *probe(dev_t dev, void *holder);
struct block_device *probe(dev_t dev, void *holder)
{
	return blkdev_get_by_dev(dev, BLK_OPEN_READ, holder, NULL);
}
