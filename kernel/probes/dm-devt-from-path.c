// SPDX-License-Identifier: GPL-2.0-only
// 6.10: dm_devt_from_path() in place of dm_get_dev_t().
#include <linux/device-mapper.h>

int probe(const char *path, dev_t *dev);
int probe(const char *path, dev_t *dev)
{
	return dm_devt_from_path(path, dev);
}
