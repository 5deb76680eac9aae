// SPDX-License-Identifier: GPL-2.0-only
#include "verb.h"
#include "volume.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = { {} };
	struct live_pool pool;
	int ret, err;

	next_option(argc, argv, "", options);
	if (argc - optind != 1)
		return usage("pool stop: name one pool");
	ret = find_pool(argv[optind], &pool);
	if (ret)
		return ret;
	if (volumes_stop(&pool))
		return QBD_FAILED;
	err = dm_remove(pool.name);
	if (err)
		complain("%s: cannot be stopped: %s", pool.name, strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

const struct verb verb_pool_stop = {
	.name = "pool stop",
	.synopsis = "NAME",
	.help = "Stop a pool's volumes and the pool.",
	.run = run,
};
