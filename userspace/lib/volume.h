/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Volumes of a running pool as devices.
 */
#ifndef QBD_VOLUME_H
#define QBD_VOLUME_H

#include "live.h"

struct volume_devices {
	struct dm_entry *entries;
	unsigned int nr;
};

int volume_devices(const struct live_pool *pool, struct volume_devices *devices);
void volume_devices_free(struct volume_devices *devices);
const struct dm_entry *volume_device(const struct volume_devices *devices,
				     const struct live_volume *volume);
int volume_start(const struct live_pool *pool, const struct live_volume *volume, bool read_only);
int volume_stop(const struct dm_entry *device);
int volumes_start(const struct live_pool *pool, bool read_only);
int volumes_stop(const struct live_pool *pool);
int volume_find(const struct live_pool *pool, const char *name, struct live_volume *volume);

#endif
