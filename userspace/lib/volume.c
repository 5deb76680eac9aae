// SPDX-License-Identifier: GPL-2.0-only
#include "volume.h"
#include "report.h"

#include <qbd/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

/* The first two words of a volume's table: the pool's device, the volume. */
static bool table_words(const struct dm_entry *entry, dev_t *pool, char volume[QBD_NAME_SIZE])
{
	unsigned int ma, mi;

	if (sscanf(entry->params, "%u:%u %63s", &ma, &mi, volume) != 3)
		return false;
	*pool = makedev(ma, mi);
	return true;
}

/**
 * volume_devices - the volumes of a pool that are started
 */
int volume_devices(const struct live_pool *pool, struct volume_devices *devices)
{
	char volume[QBD_NAME_SIZE];
	unsigned int i, kept = 0;
	dev_t rdev;
	int err;

	err = dm_entries(QBD_TARGET_VOLUME, &devices->entries, &devices->nr);
	if (err)
		return err;
	for (i = 0; i < devices->nr; i++) {
		if (table_words(&devices->entries[i], &rdev, volume) && rdev == pool->rdev)
			devices->entries[kept++] = devices->entries[i];
		else
			free(devices->entries[i].params);
	}
	devices->nr = kept;
	return 0;
}

void volume_devices_free(struct volume_devices *devices)
{
	dm_entries_free(devices->entries, devices->nr);
}

/**
 * volume_device - the device of one volume, or NULL when it is not started
 */
const struct dm_entry *volume_device(const struct volume_devices *devices,
				     const struct live_volume *volume)
{
	char word[QBD_NAME_SIZE], number[16];
	unsigned int i;
	dev_t rdev;

	snprintf(number, sizeof(number), "%u", volume->number);
	for (i = 0; i < devices->nr; i++)
		if (table_words(&devices->entries[i], &rdev, word) &&
		    (!strcmp(word, volume->name) || !strcmp(word, number)))
			return &devices->entries[i];
	return NULL;
}

/**
 * volume_start - make a volume's device; says what went wrong
 */
int volume_start(const struct live_pool *pool, const struct live_volume *volume, bool read_only)
{
	char name[DM_NAME_SIZE], uuid[DM_UUID_SIZE], params[160];
	struct dm_table table = {
		.name = name,
		.uuid = uuid,
		.target = QBD_TARGET_VOLUME,
		.params = params,
		.sectors = volume->sectors,
		.read_only = read_only,
		/* Whoever looked what is on it would wait for the hand-over. */
		.private = !strcmp(pool->status.mode, "standby"),
	};
	int err;

	if (!dm_volume_name(pool->name, volume->name, name)) {
		complain("%s/%s: the name of its device would be too long", pool->name,
			 volume->name);
		return -ENAMETOOLONG;
	}
	snprintf(uuid, sizeof(uuid), "qbd-%s-%u", pool->status.uuid, volume->number);
	snprintf(params, sizeof(params), "%u:%u %s%s", major(pool->rdev), minor(pool->rdev),
		 volume->name, read_only ? " 1 read_only" : "");
	err = dm_create(&table);
	if (err)
		complain("%s/%s: cannot be started: %s", pool->name, volume->name, strerror(-err));
	return err;
}

/**
 * volume_stop - remove a volume's device; says what went wrong
 */
int volume_stop(const struct dm_entry *device)
{
	int err;

	if (device->open_count) {
		complain("%s: is in use", device->name);
		return -EBUSY;
	}
	err = dm_remove(device->name);
	if (err)
		complain("%s: cannot be stopped: %s", device->name, strerror(-err));
	return err;
}

/**
 * volumes_start - start all of a pool's volumes that are not started
 *
 * Return: 0, or the last error: the others were started none the less.
 */
int volumes_start(const struct live_pool *pool, bool read_only)
{
	struct volume_devices devices;
	struct live_volume *volumes;
	unsigned int nr, i;
	int err, last = 0;

	err = volume_devices(pool, &devices);
	if (err) {
		complain("%s: devices cannot be listed: %s", pool->name, strerror(-err));
		return err;
	}
	err = live_volumes(pool, &volumes, &nr);
	if (err)
		complain("%s: volumes cannot be listed: %s", pool->name, strerror(-err));
	for (i = 0; !err && i < nr; i++) {
		if (volumes[i].deleting || volume_device(&devices, &volumes[i]))
			continue;
		last = volume_start(pool, &volumes[i], read_only) ?: last;
	}
	free(volumes);
	volume_devices_free(&devices);
	return err ?: last;
}

/**
 * volumes_stop - stop all of a pool's volumes
 *
 * None is stopped when one is in use.
 */
int volumes_stop(const struct live_pool *pool)
{
	struct volume_devices devices;
	unsigned int i;
	int err;

	err = volume_devices(pool, &devices);
	if (err) {
		complain("%s: devices cannot be listed: %s", pool->name, strerror(-err));
		return err;
	}
	for (i = 0; i < devices.nr; i++) {
		if (!devices.entries[i].open_count)
			continue;
		complain("%s: is in use", devices.entries[i].name);
		err = -EBUSY;
	}
	for (i = 0; !err && i < devices.nr; i++)
		err = volume_stop(&devices.entries[i]);
	volume_devices_free(&devices);
	return err;
}

/**
 * volume_find - a volume by its name; says when there is none
 */
int volume_find(const struct live_pool *pool, const char *name, struct live_volume *volume)
{
	struct live_volume *volumes;
	unsigned int nr, i;
	int err;

	err = live_volumes(pool, &volumes, &nr);
	if (err) {
		complain("%s: volumes cannot be listed: %s", pool->name, strerror(-err));
	} else {
		err = -ENOENT;
		for (i = 0; i < nr && err; i++) {
			if (volumes[i].deleting || strcmp(volumes[i].name, name))
				continue;
			*volume = volumes[i];
			err = 0;
		}
		if (err)
			complain("%s: has no volume \"%s\"", pool->name, name);
	}
	free(volumes);
	return err;
}
