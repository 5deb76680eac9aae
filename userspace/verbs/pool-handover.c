// SPDX-License-Identifier: GPL-2.0-only
#include "verb.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = { {} };
	struct live_pool pool;
	int ret, err;

	next_option(argc, argv, "", options);
	if (argc - optind != 1)
		return usage("pool handover: name one pool");
	ret = find_pool(argv[optind], &pool);
	if (ret)
		return ret;
	err = live_message(&pool, NULL, "hand_over");
	if (err == -ENOLINK)
		complain("%s: no host has the pool in standby", pool.name);
	else if (err)
		complain("%s: cannot be handed over: %s; the kernel's log says why", pool.name,
			 strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

const struct verb verb_pool_handover = {
	.name = "pool handover",
	.synopsis = "NAME",
	.help = "Hand a pool over to the host that has it in standby.",
	.run = run,
};
