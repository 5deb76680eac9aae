// SPDX-License-Identifier: GPL-2.0-only
#include "repair.h"
#include "parse.h"
#include "verb.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "no-wait", no_argument, NULL, 'n' },
						 { "rate", required_argument, NULL, 'r' },
						 { "quiet", no_argument, NULL, 'q' },
						 {} };
	bool wait = true, quiet = false, limit = false;
	struct repair repair;
	struct live_pool pool;
	char text[160];
	u64 rate = 0;
	int c, ret, err;

	while ((c = next_option(argc, argv, "q", options)) != -1) {
		wait &= c != 'n';
		quiet |= c == 'q';
		if (c != 'r')
			continue;
		limit = true;
		if (!parse_size(optarg, &rate) || (rate && rate < 1024))
			return wrong_value("rate", "bytes a second, at least 1k, or 0", optarg);
	}
	if (argc - optind != 1)
		return usage("repair: name one pool");
	ret = find_pool(argv[optind], &pool);
	if (ret)
		return ret;
	if (limit) {
		err = live_message(&pool, NULL, "resync rate %llu", (unsigned long long)rate >> 10);
		if (err) {
			complain("%s: the rate cannot be set: %s", pool.name, strerror(-err));
			return QBD_FAILED;
		}
	}
	if (repair_pool(&pool, wait, quiet, &repair))
		return QBD_FAILED;
	repair_sentence(&repair, text, sizeof(text));
	printf("%s: %s\n", pool.name, text);
	return repair.whole && !repair.out ? QBD_FINE : QBD_FOUND;
}

const struct verb verb_repair = {
	.name = "repair",
	.synopsis = "POOL [--rate BYTES] [--no-wait] [--quiet]",
	.help = "Let backends that returned in again, and rebuild what is missing or stale.",
	.run = run,
};
