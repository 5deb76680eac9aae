// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sweeps of faults: one allocation or one request fails, the Nth, in everything
 * that a pool does; for N from 1 to 8, and then from there + --first on, by --step,
 * to --last. Of all kinds of faults, or of one.
 *
 *	sweep [--first N] [--step N] [--last N] [--patience S] [--fault NAME] DISK...
 *
 * The volumes may lose two legs: one that a test takes, one that the fault does.
 * Whatever fails is an error to who asked for it, or nothing that anyone sees, and
 * hurts nobody else: a volume never reads wrong; a request that failed may be there
 * or not; what was refused changed nothing; the pool can be stopped and started
 * anew, its backends return, and all is whole again. The kernel's log is the
 * harness's to look at.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "faults.h"
#include "guard.h"
#include "pool.h"

#define VOLUMES		2
#define VOLUME_MIB	4
#define BLOCK		65536u	/* of this program: what has one value */
#define BLOCKS		(VOLUME_MIB * 16)

struct volume {
	const char *name;
	const char *policy;
	int fd;
	u32 now[BLOCKS];	/* number of the pattern; 0: zeros */
	u32 maybe[BLOCKS];	/* what a write that failed may have left, or the same */
};

static struct volume volumes[VOLUMES] = {
	{ .name = "mirror", .policy = "--replicas 3", .fd = -1 },
	{ .name = "code", .policy = "--ec 2+2", .fd = -1 },
};

static unsigned int nr_legs, first = 1, step = 1, last = 200;
static u32 pattern;
static u8 *buffer, *want;
static struct random seeds;
static bool running;

/* --- devices ----------------------------------------------------------------------------------- */

static void be_silent(int level, const char *file, int line, int errno_or_class,
		      const char *format, ...)
{
}

static int device(int type, const char *name, const char *target, u64 sectors, const char *params)
{
	struct dm_task *t;
	int err = 0;

	dm_log_with_errno_init(be_silent);
	t = dm_task_create(type);
	if (!t || !dm_task_set_name(t, name) ||
	    (target && !dm_task_add_target(t, 0, sectors, target, params)))
		fail("no dm task for %s", name);
	if (!dm_task_run(t))
		err = dm_task_get_errno(t) ?: EIO;
	dm_task_update_nodes();
	dm_task_destroy(t);
	return err;
}

static void must_remove(const char *name)
{
	unsigned int tries;
	int err = EBUSY;

	for (tries = 0; err == EBUSY && tries < 400; tries++) {
		if (tries)
			usleep(5000);
		err = device(DM_DEVICE_REMOVE, name, NULL, 0, NULL);
	}
	if (err && err != ENXIO)
		fail("%s cannot be removed: %s", name, strerror(err));
}

static int volume_open(struct volume *v)
{
	char name[40], params[80], path[80];
	int err;

	snprintf(name, sizeof(name), POOL_NAME "-%s", v->name);
	snprintf(params, sizeof(params), "/dev/mapper/" POOL_NAME " %s", v->name);
	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	err = device(DM_DEVICE_CREATE, name, "qbd", VOLUME_MIB << 11, params);
	if (err)
		return err;
	v->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	return v->fd < 0 ? errno : 0;
}

static void volume_close(struct volume *v)
{
	char name[40];

	snprintf(name, sizeof(name), POOL_NAME "-%s", v->name);
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	must_remove(name);
}

static int pool_start(void)
{
	char params[1000];
	size_t n = snprintf(params, sizeof(params), "%u", nr_legs);
	unsigned int i;
	int err;

	for (i = 0; i < nr_legs; i++)
		n += snprintf(params + n, sizeof(params) - n, " %s", pool_leg(i));
	err = device(DM_DEVICE_CREATE, POOL_NAME, "qbd-pool", 2048, params);
	for (i = 0; i < VOLUMES && !err; i++)
		err = volume_open(&volumes[i]);
	running = true;
	return err;
}

static void pool_stop(void)
{
	unsigned int i;

	for (i = 0; i < VOLUMES; i++)
		volume_close(&volumes[i]);
	must_remove(POOL_NAME);
	running = false;
}

/* --- content ----------------------------------------------------------------------------------- */

static void content(u8 *data, u32 number, u32 block)
{
	u64 *word = (u64 *)data, x = random_mix((u64)number << 32 | block) | 1;
	unsigned int i;

	if (!number) {
		memset(data, 0, BLOCK);
		return;
	}
	for (i = 0; i < BLOCK / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = x;
	}
}

/* Every sector is one of the two. @for_good: what is found is it from now on. */
static void compare(struct volume *v, u32 block, bool for_good)
{
	static u8 *other;
	unsigned int i;

	if (!other)
		other = malloc(BLOCK);
	content(want, v->now[block], block);
	if (!memcmp(buffer, want, BLOCK)) {
		if (for_good)
			v->maybe[block] = v->now[block];
		return;
	}
	content(other, v->maybe[block], block);
	for (i = 0; i < BLOCK; i += 512)
		if (memcmp(buffer + i, want + i, 512) && memcmp(buffer + i, other + i, 512))
			fail("%s: block %u, byte %u: neither pattern %u nor %u", v->name, block, i,
			     v->now[block], v->maybe[block]);
	if (for_good && !memcmp(buffer, other, BLOCK))
		v->now[block] = v->maybe[block];
}

/* Returns how many reads failed. */
static unsigned int read_all(struct volume *v, bool for_good)
{
	unsigned int errors = 0;
	u32 block;

	for (block = 0; block < BLOCKS; block++) {
		if (pread(v->fd, buffer, BLOCK, block * BLOCK) == BLOCK)
			compare(v, block, for_good);
		else
			errors++;
	}
	return errors;
}

static int write_block(struct volume *v, u32 block)
{
	u32 number = ++pattern;

	content(buffer, number, block);
	v->maybe[block] = number;
	if (pwrite(v->fd, buffer, BLOCK, block * BLOCK) != BLOCK)
		return errno;
	v->now[block] = number;
	return 0;
}

/* --- what a pool does -------------------------------------------------------------------------- */

static void op_read(struct volume *v)
{
	read_all(v, false);
}

static void op_write(struct volume *v)
{
	u32 i, n = random_below(&seeds, BLOCKS);

	for (i = 0; i < 6; i++)
		write_block(v, (n + i * 11) % BLOCKS);
}

static void op_flush(struct volume *v)
{
	op_write(v);
	fsync(v->fd);
}

static void op_discard(struct volume *v)
{
	u32 n = random_below(&seeds, BLOCKS / 16), i;
	u64 range[2] = { (u64)n << 20, 1 << 20 };
	int err = ioctl(v->fd, BLKDISCARD, range);

	for (i = 0; i < 16; i++) {
		v->maybe[n * 16 + i] = 0;
		if (!err)
			v->now[n * 16 + i] = 0;
	}
}

static void op_create(struct volume *v)
{
	if (!pool_message(NULL, 0, "create_volume other 8192 replicas=3"))
		pool_message(NULL, 0, "remove_volume other");
}

static void op_checkpoint(struct volume *v)
{
	op_write(v);
	pool_message(NULL, 0, "checkpoint");
}

static void wait_idle(const char *what)
{
	struct pool_status s;

	guard_stage(3, "waiting for %s", what);
	do
		usleep(2000);
	while (!pool_try_status(&s) || !strcmp(s.resync, "running") || !strcmp(s.scrub, "running"));
}

static void op_scrub(struct volume *v)
{
	pool_message(NULL, 0, "scrub start");
	wait_idle("scrub");
}

static void op_loss(struct volume *v)
{
	pool_message(NULL, 0, "fail 0");
	op_write(v);
}

static void op_return(struct volume *v)
{
	pool_message(NULL, 0, "readd 0 %s now", pool_leg(0));
	wait_idle("resync");
}

static void op_start(struct volume *v)
{
	pool_start();
}

static void op_stop(struct volume *v)
{
	pool_stop();
}

/* --- around each ------------------------------------------------------------------------------- */

/* All backends in, and whole. */
static void mend(void)
{
	struct pool_status s;
	unsigned int i;

	guard_stage(3, "mending");
	pool_status(&s);
	for (i = 0; s.health[i]; i++)
		if (s.health[i] == 'S' || s.health[i] == 'D')
			if (pool_message(NULL, 0, "readd %u %s now", i, pool_leg(i)))
				fail("backend %u cannot return", i);
	if (pool_message(NULL, 0, "resync start"))
		fail("no resync");
	for (;;) {
		pool_status(&s);
		if (!strpbrk(s.health, "aSD") && !s.degraded && !strcmp(s.resync, "idle"))
			return;
		usleep(2000);
	}
}

static void check(void)
{
	unsigned int i, round;

	for (i = 0; i < VOLUMES; i++)
		for (round = 0; round < 2; round++)
			if (read_all(&volumes[i], true))
				fail("%s cannot be read", volumes[i].name);
}

/* After the fault: whatever state it left, and then anew. */
static void recover(void)
{
	struct pool_status s;
	unsigned int i;

	guard_stage(3, "recovering");
	if (running) {
		/* Where the pool lives on nobody reads wrong. */
		for (i = 0; i < VOLUMES; i++)
			if (volumes[i].fd >= 0)
				read_all(&volumes[i], false);
		pool_stop();
	}
	if (pool_start())
		fail("the pool does not start");
	mend();
	check();
	pool_status(&s);
	if (strcmp(s.mode, "rw") || s.lost)
		fail("mode %s, %llu blocks lost", s.mode, s.lost);
}

static const struct op {
	const char *name;
	void (*run)(struct volume *v);
	void (*before)(struct volume *v);
	bool stopped;	/* the pool is, before */
} ops[] = {
	{ "read", op_read },
	{ "write", op_write },
	{ "flush", op_flush },
	{ "discard", op_discard },
	{ "checkpoint", op_checkpoint },
	{ "scrub", op_scrub },
	{ "loss", op_loss },
	{ "return", op_return, op_loss },
	{ "create", op_create },
	{ "start", op_start, NULL, true },
	{ "stop", op_stop, op_write },
};

static void sweep(const struct op *op, enum fault fault)
{
	unsigned int n, runs = 0, missed = 0;

	/* The first few are what the caller's own task does: each of them. */
	for (n = 1; n <= last && missed < 2; n += n < 8 ? 1 : n == 8 ? first : step, runs++) {
		struct volume *v = &volumes[runs % VOLUMES];
		bool hit;

		guard_stage(3, "%s, %s %u", op->name, fault_names[fault], n);
		if (op->before)
			op->before(v);
		if (op->stopped)
			pool_stop();
		fault_arm(fault, n);
		op->run(v);
		hit = fault_disarm();
		missed = hit ? 0 : missed + 1;
		recover();
	}
	say("%s, %s: %u runs%s", op->name, fault_names[fault], runs,
	    missed ? ", beyond the last call" : "");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "first", required_argument, NULL, 'f' },
		{ "step", required_argument, NULL, 's' },
		{ "last", required_argument, NULL, 'l' },
		{ "patience", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 'S' },
		{ "fault", required_argument, NULL, 'F' },
		{}
	};
	unsigned int patience = 60, i;
	char replay[80], legs[1000] = "";
	const char *only = NULL;
	enum fault f;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'f':
			first = value;
			break;
		case 's':
			step = value;
			break;
		case 'l':
			last = value;
			break;
		case 'p':
			patience = value;
			break;
		case 'S':
			seeds.state = value;
			break;
		case 'F':
			only = optarg;
			break;
		default:
			return 2;
		}
	}
	nr_legs = argc - optind;
	if (nr_legs < 5 || !step || !first)
		return 2;
	buffer = aligned_alloc(4096, BLOCK);
	want = malloc(BLOCK);
	snprintf(replay, sizeof(replay), "--first %u --step %u", first, step);
	guard_start(replay, patience);
	pool_legs_create(argv + optind, nr_legs);
	for (i = 0; i < nr_legs; i++)
		snprintf(legs + strlen(legs), sizeof(legs) - strlen(legs), " %s", pool_leg(i));
	must_run("qbd pool create " POOL_NAME "%s --extent-size 1M", legs);
	must_run("qbd pool start%s", legs);
	for (i = 0; i < VOLUMES; i++)
		must_run("qbd volume create " POOL_NAME "/%s --size %uM %s", volumes[i].name,
			 VOLUME_MIB, volumes[i].policy);
	must_run("qbd pool stop " POOL_NAME);
	if (pool_start())
		fail("the pool does not start");
	faults_init(argv + optind, nr_legs);
	for (f = 0; f < NR_FAULTS; f++)
		for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (!only || !strcmp(only, fault_names[f]))
				sweep(&ops[i], f);
	pool_stop();
	pool_legs_remove();
	return 0;
}
