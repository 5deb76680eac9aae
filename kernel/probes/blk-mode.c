// SPDX-License-Identifier: GPL-2.0-only
// 6.5: open modes of block devices have their own type.
#include <linux/blkdev.h>
#include <linux/device-mapper.h>

blk_mode_t probe(struct dm_table *table);
blk_mode_t probe(struct dm_table *table)
{
	return dm_table_get_mode(table) & BLK_OPEN_WRITE;
}
