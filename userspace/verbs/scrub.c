// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"
#include "verb.h"

static int run_scrub(const struct live_pool *pool, bool quiet)
{
	struct live_status status;
	int err;

	err = progress_run(pool, PROGRESS_SCRUB, quiet, &status);
	if (err) {
		complain("%s: scrub failed: %s", pool->name, strerror(-err));
		return QBD_FAILED;
	}
	printf("%s: %llu of %llu chunks read, %llu bad blocks found\n", pool->name,
	       (unsigned long long)status.scrub.done, (unsigned long long)status.scrub.total,
	       (unsigned long long)status.scrub.count);
	if (status.scrub.count || status.scrub.done < status.scrub.total)
		return QBD_FOUND;
	return QBD_FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "stop", no_argument, NULL, 's' },
						 { "quiet", no_argument, NULL, 'q' },
						 {} };
	bool stop = false, quiet = false;
	struct live_pool pool;
	int c, ret, err;

	while ((c = next_option(argc, argv, "q", options)) != -1) {
		stop |= c == 's';
		quiet |= c == 'q';
	}
	if (argc - optind != 1)
		return usage("scrub: name one pool");
	ret = find_pool(argv[optind], &pool);
	if (ret)
		return ret;
	if (!stop)
		return run_scrub(&pool, quiet);
	err = live_message(&pool, NULL, "scrub stop");
	if (err)
		complain("%s: scrub cannot be stopped: %s", pool.name, strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

const struct verb verb_scrub = {
	.name = "scrub",
	.synopsis = "POOL [--stop] [--quiet]",
	.help = "Read and check all data and parity of a pool, and repair what is bad.",
	.run = run,
};
