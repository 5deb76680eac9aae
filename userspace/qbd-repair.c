// SPDX-License-Identifier: GPL-2.0-only
/*
 * qbd-repair: what cron or a timer runs. Verify, let in, rebuild; a line a pool.
 */
#include "live.h"
#include "parse.h"
#include "repair.h"
#include "report.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_FILE "/run/lock/qbd-repair.lock"

/*
 * One at a time: two would let in the same backends. The descriptor stays open as
 * long as the program runs.
 */
static int take_lock(void)
{
	int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		complain("%s: %s", LOCK_FILE, strerror(errno));
		return QBD_FAILED;
	}
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return QBD_FINE;
	complain("%s: another one is running", LOCK_FILE);
	return QBD_FAILED;
}

/* Nothing is touched in a pool that is whole. */
static int repair_one(const struct live_pool *pool)
{
	struct repair r;
	char text[160];

	if (live_healthy(&pool->status)) {
		printf("%s: fine\n", pool->name);
		return QBD_FINE;
	}
	if (!strcmp(pool->status.mode, "ro")) {
		printf("%s: degraded, and read-only\n", pool->name);
		return QBD_FOUND;
	}
	if (repair_pool(pool, true, true, &r)) {
		printf("%s: repair failed\n", pool->name);
		return QBD_FAILED;
	}
	repair_sentence(&r, text, sizeof(text));
	printf("%s: %s\n", pool->name, text);
	fflush(stdout);
	return r.whole && !r.out ? QBD_FINE : QBD_FOUND;
}

static int repair_named(const char *name)
{
	struct live_pool pool;
	int err = live_find(name, &pool);

	if (!err)
		return repair_one(&pool);
	complain("%s: %s", name, err == -ENOENT ? "is not running" : strerror(-err));
	return QBD_FAILED;
}

static int repair_all(void)
{
	struct live_pool *pools;
	int ret = QBD_FINE, one, err;
	unsigned int nr, i;

	err = live_pools(&pools, &nr);
	if (err) {
		complain("device mapper cannot be asked: %s", strerror(-err));
		return QBD_FAILED;
	}
	for (i = 0; i < nr; i++) {
		one = repair_one(&pools[i]);
		ret = one > ret ? one : ret;
	}
	free(pools);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, {} };
	int c, ret = QBD_FINE, one;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c != 'h')
			return QBD_USAGE;
		puts("usage: qbd-repair [POOL...]\n"
		     "Let backends that returned in again and rebuild what is missing, in these\n"
		     "pools or in all that run.\n"
		     "Exit codes: 0 whole, 1 degraded, 2 usage, 3 failed.");
		return QBD_FINE;
	}
	for (c = optind; c < argc; c++) {
		if (!parse_name(argv[c], strlen(argv[c]))) {
			complain("\"%s\" is not a pool's name", argv[c]);
			return QBD_USAGE;
		}
	}
	ret = take_lock();
	if (ret)
		return ret;
	if (optind == argc)
		return repair_all();
	for (; optind < argc; optind++) {
		one = repair_named(argv[optind]);
		ret = one > ret ? one : ret;
	}
	return ret;
}
