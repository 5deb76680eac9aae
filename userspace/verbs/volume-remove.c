// SPDX-License-Identifier: GPL-2.0-only
#include "verb.h"
#include "volume.h"

static int stop_and_remove(const struct live_pool *pool, const struct live_volume *volume)
{
	struct volume_devices devices;
	const struct dm_entry *device;
	int err;

	err = volume_devices(pool, &devices);
	if (err) {
		complain("%s: devices cannot be listed: %s", pool->name, strerror(-err));
		return err;
	}
	device = volume_device(&devices, volume);
	if (device)
		err = volume_stop(device);
	volume_devices_free(&devices);
	if (err)
		return err;
	err = live_message(pool, NULL, "remove_volume %s", volume->name);
	if (err)
		complain("%s/%s: cannot be removed: %s", pool->name, volume->name, strerror(-err));
	return err;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "yes", no_argument, NULL, 'y' }, {} };
	char pool_name[QBD_NAME_SIZE], name[QBD_NAME_SIZE];
	struct live_volume volume;
	struct live_pool pool;
	bool yes = false;
	int c, ret;

	while ((c = next_option(argc, argv, "y", options)) != -1)
		yes = c == 'y';
	if (argc - optind != 1)
		return usage("volume remove: name one POOL/VOLUME");
	ret = split_volume(argv[optind], pool_name, name);
	if (!ret)
		ret = find_pool(pool_name, &pool);
	if (ret)
		return ret;
	if (volume_find(&pool, name, &volume))
		return QBD_FAILED;
	if (!yes && !confirm("Remove %s/%s and all its data?", pool.name, volume.name))
		return QBD_USAGE;
	return stop_and_remove(&pool, &volume) ? QBD_FAILED : QBD_FINE;
}

const struct verb verb_volume_remove = {
	.name = "volume remove",
	.synopsis = "POOL/VOLUME [--yes]",
	.help = "Stop a volume and remove it with its data; asks first.",
	.run = run,
};
