// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile input: images of a pool, table lines and messages that were valid before
 * something in them was changed. They are refused, or they work; the kernel lives on,
 * and has nothing to report.
 *
 *	hostile [--seed N] [--images N] [--words N] [--each N] [--seconds N]
 *		[--patience S] [--journal MODE] --disks N --volume POLICY,BLOCK,MIB...
 *
 * Over the recorder of tests/kmod/cuts: a pool is recorded under random I/O, losses and
 * returns, and --each images are what a power cut at some instant leaves, or the clean
 * stop, and then changed. POLICY is replicas=R or ec=K+M.
 */
#include <errno.h>
#include <getopt.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "hostile.h"
#include "pool.h"
#include "recorder.h"

/* TAINT_BAD_PAGE, TAINT_DIE, TAINT_WARN, TAINT_SOFTLOCKUP: of the kernel's admin guide. */
#define REPORTS	(1u << 5 | 1u << 7 | 1u << 9 | 1u << 14)

static struct policy policies[LOAD_VOLUMES];
static struct recording recording = { .policies = policies, .extent = "1M" };

void no_report(void)
{
	static unsigned int before;
	static bool known;
	unsigned int now;
	FILE *f = fopen("/proc/sys/kernel/tainted", "re");

	if (!f || fscanf(f, "%u", &now) != 1)
		fail("/proc/sys/kernel/tainted: %s", strerror(errno));
	fclose(f);
	if (known && (now & ~before & REPORTS))
		fail("the kernel has something to report");
	before = now;
	known = true;
}

/* --- devices ----------------------------------------------------------------------------------- */

static void be_silent(int level, const char *file, int line, int errno_or_class,
		      const char *format, ...)
{
}

static struct dm_task *task(int type, const char *name)
{
	struct dm_task *t;

	dm_log_with_errno_init(be_silent);
	t = dm_task_create(type);
	if (!t || !dm_task_set_name(t, name))
		fail("no dm task for %s", name);
	return t;
}

static int end_task(struct dm_task *t)
{
	uint32_t cookie = 0;
	int err = 0;

	if (!dm_task_set_cookie(t, &cookie, 0))
		fail("no dm cookie");
	if (!dm_task_run(t))
		err = dm_task_get_errno(t) ?: EIO;
	dm_udev_wait(cookie);
	dm_task_update_nodes();
	dm_task_destroy(t);
	return err;
}

int device_make(const char *name, const char *target, u64 sectors, const char *params)
{
	struct dm_task *t = task(DM_DEVICE_CREATE, name);

	if (!dm_task_add_target(t, 0, sectors, target, params))
		fail("no dm target");
	return end_task(t);
}

int device_remove(const char *name)
{
	unsigned int tries;
	int err = EBUSY;

	for (tries = 0; err == EBUSY && tries < 1000; tries++) {
		if (tries)
			usleep(5000);
		err = end_task(task(DM_DEVICE_REMOVE, name));
	}
	return err;
}

int device_message(const char *name, const char *message, char *reply, size_t size)
{
	struct dm_task *t = task(DM_DEVICE_TARGET_MSG, name);
	const char *text;
	int err = 0;

	if (!dm_task_set_sector(t, 0) || !dm_task_set_message(t, message))
		fail("no dm message");
	if (!dm_task_run(t)) {
		err = dm_task_get_errno(t) ?: EIO;
	} else if (reply) {
		text = dm_task_get_message_response(t);
		snprintf(reply, size, "%s", text ?: "");
	}
	dm_task_destroy(t);
	return err;
}

void wait_idle(void)
{
	struct pool_status s;
	unsigned int tries = 0;

	for (;;) {
		pool_status(&s);
		if (strcmp(s.resync, "running") && strcmp(s.scrub, "running"))
			return;
		usleep(++tries < 100 ? 500 : 5000);
	}
}

/* --- the command line -------------------------------------------------------------------------- */

static void parse_volume(const char *word)
{
	struct policy *p = &policies[recording.nr_policies];

	if (recording.nr_policies == LOAD_VOLUMES)
		fail("at most %u volumes", LOAD_VOLUMES);
	policy_parse(p, word);
	if (!recording.nr_policies || p->m < recording.tolerance)
		recording.tolerance = p->m;
	recording.nr_policies++;
}

static void try_all(unsigned int images, unsigned int words, unsigned int each,
		    unsigned int seconds, struct random *numbers)
{
	struct hostile_counts of_images = {}, of_words = {};
	time_t until = time(NULL) + seconds;
	unsigned int i, done = 0;

	no_report();
	do {
		recording_make(&recording, numbers, 60, "ckpt,side,out");
		/* Instants of one recording go forward only; words are tried at its end. */
		for (i = 0; i < each && (done < images || time(NULL) < until); i++, done++)
			image_try(&recording, i < each / 3 ? recording.begin + (recording.end -
				  recording.begin) * (3 * i + random_below(numbers, 3)) / each :
				  recording.end, numbers, &of_images);
		if (words)
			words_try(&recording, words, numbers, &of_words);
		words = 0;
		recording_free(&recording);
	} while (done < images || time(NULL) < until);
	say("%llu hostile images: %llu refused, %llu taken",
	    (unsigned long long)(of_images.refused + of_images.taken),
	    (unsigned long long)of_images.refused, (unsigned long long)of_images.taken);
	say("%llu hostile lines and messages: %llu refused, %llu taken",
	    (unsigned long long)(of_words.refused + of_words.taken),
	    (unsigned long long)of_words.refused, (unsigned long long)of_words.taken);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "images", required_argument, NULL, 'i' },
		{ "words", required_argument, NULL, 'w' },
		{ "each", required_argument, NULL, 'a' },
		{ "seconds", required_argument, NULL, 't' },
		{ "journal", required_argument, NULL, 'j' },
		{ "patience", required_argument, NULL, 'p' },
		{ "disks", required_argument, NULL, 'd' },
		{ "volume", required_argument, NULL, 'v' },
		{}
	};
	unsigned int images = 0, words = 0, each = 60, seconds = 0, patience = 60;
	struct random numbers = { time(NULL) ^ (u64)getpid() << 32 };
	char replay[80];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			numbers.state = strtoull(optarg, NULL, 0);
			break;
		case 'i':
			images = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			words = strtoul(optarg, NULL, 0);
			break;
		case 'a':
			each = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 'j':
			recording.journal = optarg;
			break;
		case 'p':
			patience = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			recording.nr_disks = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			parse_volume(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!recording.nr_policies || !recording.nr_disks || !each) {
		fprintf(stderr, "usage: see the head of hostile.c\n");
		return 2;
	}
	snprintf(replay, sizeof(replay), "QBD_SEED=%llu", (unsigned long long)numbers.state);
	guard_start(replay, patience);
	say("%s", replay);
	load_shape(128, 10);
	load_init(numbers.state ^ 0x5eed);
	recorder_open();
	try_all(images, words, each, seconds, &numbers);
	return 0;
}
