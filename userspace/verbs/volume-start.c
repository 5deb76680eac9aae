// SPDX-License-Identifier: GPL-2.0-only
/* volume start and volume stop */
#include "verb.h"
#include "volume.h"

static int start_or_stop(const char *argument, bool start, bool read_only)
{
	char pool_name[QBD_NAME_SIZE], name[QBD_NAME_SIZE];
	const struct dm_entry *device;
	struct volume_devices devices;
	struct live_volume volume;
	struct live_pool pool;
	int ret, err;

	ret = split_volume(argument, pool_name, name);
	if (!ret)
		ret = find_pool(pool_name, &pool);
	if (ret)
		return ret;
	if (volume_find(&pool, name, &volume))
		return QBD_FAILED;
	err = volume_devices(&pool, &devices);
	if (err) {
		complain("%s: devices cannot be listed: %s", pool.name, strerror(-err));
		return QBD_FAILED;
	}
	device = volume_device(&devices, &volume);
	if (start && !device)
		err = volume_start(&pool, &volume, read_only);
	else if (!start && device)
		err = volume_stop(device);
	volume_devices_free(&devices);
	return err ? QBD_FAILED : QBD_FINE;
}

static int run_start(int argc, char **argv)
{
	static const struct option options[] = { { "read-only", no_argument, NULL, 'r' }, {} };
	bool read_only = false;
	int c;

	while ((c = next_option(argc, argv, "", options)) != -1)
		read_only = c == 'r';
	if (argc - optind != 1)
		return usage("volume start: name one POOL/VOLUME");
	return start_or_stop(argv[optind], true, read_only);
}

static int run_stop(int argc, char **argv)
{
	static const struct option options[] = { {} };

	next_option(argc, argv, "", options);
	if (argc - optind != 1)
		return usage("volume stop: name one POOL/VOLUME");
	return start_or_stop(argv[optind], false, false);
}

const struct verb verb_volume_start = {
	.name = "volume start",
	.synopsis = "POOL/VOLUME [--read-only]",
	.help = "Make a volume's device, /dev/mapper/POOL-VOLUME.",
	.run = run_start,
};

const struct verb verb_volume_stop = {
	.name = "volume stop",
	.synopsis = "POOL/VOLUME",
	.help = "Remove a volume's device; the volume stays.",
	.run = run_stop,
};
