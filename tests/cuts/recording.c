// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guard.h"
#include "mapped.h"
#include "pool.h"
#include "recorder.h"
#include "recording.h"

#define SIDE_SECTORS 4096u	/* of a volume that comes and goes */
#define MAX_WRITE 512u		/* of one by hand */

static struct load_volume load_volumes[LOAD_VOLUMES];
static struct model side_models[RECORDING_VOLUMES];
static struct recorded_volume *side;	/* the one that there is now, or NULL */
static int side_fd;
static u8 *buffer;
static u64 broken;		/* disks that fail all I/O */

static u64 now(void)
{
	return *recorder_clock;
}

static struct recorded_volume *new_volume(struct recording *r, const struct policy *policy,
					  u32 sectors, struct model *live)
{
	struct recorded_volume *v = &r->volumes[r->nr_volumes];
	u32 block = policy->block / SECTOR_BYTES;

	snprintf(v->name, sizeof(v->name), "v%u", r->nr_volumes);
	v->policy = policy;
	v->sectors = sectors;
	v->created = v->remove_began = v->removed = NEVER;
	v->live = live;
	model_init(live, r->nr_volumes + 1, sectors, block, policy->k * block);
	model_init(&v->at, live->id, sectors, block, policy->k * block);
	live->clock = recorder_clock;
	v->create_began = now();
	r->nr_volumes++;
	if (pool_message(NULL, 0, "create_volume %s %u %s block_size=%u", v->name, sectors,
			 policy->words, policy->block))
		fail("a volume cannot be created");
	v->created = now();
	return v;
}

static void create(struct recording *r)
{
	char disks[2000] = "";
	unsigned int i;
	int err;

	for (i = 0; i < r->nr_disks; i++)
		snprintf(disks + strlen(disks), sizeof(disks) - strlen(disks), " /dev/cuts%u", i);
	must_run("qbd pool create " POOL_NAME "%s --extent-size %s --journal %s", disks, r->extent,
		 r->journal ?: "off");
	err = mapped_pool_start(r->nr_disks, 0, "");
	if (err)
		fail("the pool cannot be started: %s", strerror(err));
	for (i = 0; i < r->nr_policies; i++) {
		struct load_volume *load = &load_volumes[i];
		struct recorded_volume *v = new_volume(r, &r->policies[i],
						       r->policies[i].mib << 11, &load->model);

		load->fd = mapped_volume_open(v->name, v->sectors);
	}
	load_use(load_volumes, r->nr_policies);
}

/* --- one thing after another ------------------------------------------------------------------ */

static void write_to(const char *name, struct model *m, int fd, u32 first, u32 nr)
{
	u32 value = model_write_begin(m, first, nr, false), i;

	for (i = 0; i < nr; i++)
		model_content(m, first + i, value, buffer + i * SECTOR_BYTES);
	if (pwrite(fd, buffer, nr * SECTOR_BYTES, (u64)first * SECTOR_BYTES) !=
	    (ssize_t)nr * SECTOR_BYTES)
		fail("a write to %s: %s", name, strerror(errno));
	model_write_end(m, value, false);
}

static void flush(const char *name, struct model *m, int fd)
{
	u64 began = model_flush_begin(m);

	if (fdatasync(fd))
		fail("a flush of %s: %s", name, strerror(errno));
	model_flush_end(m, began);
}

void recording_write(u32 first, u32 nr)
{
	u32 n;

	guard_stage(2, "a write, %u +%u", first, nr);
	for (; nr; first += n, nr -= n) {
		n = nr < MAX_WRITE ? nr : MAX_WRITE;
		write_to("v0", &load_volumes[0].model, load_volumes[0].fd, first, n);
	}
}

void recording_discard(u32 first, u32 nr)
{
	u64 range[2] = { (u64)first * SECTOR_BYTES, (u64)nr * SECTOR_BYTES };
	struct model *m = &load_volumes[0].model;
	u32 value = model_write_begin(m, first, nr, true);

	guard_stage(2, "a discard, %u +%u", first, nr);
	if (ioctl(load_volumes[0].fd, BLKDISCARD, range))
		fail("a discard: %s", strerror(errno));
	model_write_end(m, value, false);
}

void recording_flush(void)
{
	guard_stage(2, "a flush");
	flush("v0", &load_volumes[0].model, load_volumes[0].fd);
}

void recording_leave(struct recording *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_policies; i++) {
		close(load_volumes[i].fd);
		load_volumes[i].fd = -1;
	}
}

void recording_cut_from_here(struct recording *r)
{
	r->begin = now();
}

void recording_message(const char *message)
{
	guard_stage(2, "message %s", message);
	if (pool_message(NULL, 0, "%s", message))
		fail("message %s is refused", message);
}

void recording_side_create(struct recording *r, struct random *numbers)
{
	guard_stage(2, "creating a volume");
	side = new_volume(r, &r->policies[random_below(numbers, r->nr_policies)], SIDE_SECTORS,
			  &side_models[r->nr_volumes]);
	side_fd = mapped_volume_open(side->name, SIDE_SECTORS);
}

void recording_side_write(struct random *numbers)
{
	u32 nr = 1 + random_below(numbers, MAX_WRITE), first;

	guard_stage(2, "writing to %s", side->name);
	first = random_below(numbers, SIDE_SECTORS - nr);
	write_to(side->name, side->live, side_fd, first, nr);
	if (random_percent(numbers, 30))
		flush(side->name, side->live, side_fd);
}

void recording_side_remove(void)
{
	guard_stage(2, "removing %s", side->name);
	mapped_volume_close(side->name, side_fd);
	side->remove_began = now();
	if (pool_message(NULL, 0, "remove_volume %s", side->name))
		fail("%s cannot be removed", side->name);
	side->removed = now();
	side = NULL;
}

static bool is_whole(void)
{
	struct pool_status s;

	pool_status(&s);
	return !strcmp(s.resync, "idle") && !s.degraded && !strpbrk(s.health, "aSD");
}

/* How many are not back, or not whole. */
static unsigned int still_out(struct recording *r)
{
	unsigned int i, nr = 0;
	bool whole = is_whole();

	for (i = 0; i < r->nr_outages; i++) {
		struct outage *o = &r->outages[i];

		if (whole && o->return_began != NEVER && o->whole == NEVER)
			o->whole = now();
		nr += o->whole == NEVER;
	}
	return nr;
}

void recording_wait_whole(struct recording *r)
{
	guard_stage(3, "waiting for the end of resync");
	while (still_out(r))
		usleep(1000);
}

struct outage *recording_lose(struct recording *r, unsigned int backend, bool is_broken)
{
	struct outage *o = &r->outages[r->nr_outages++];
	int err;

	*o = (struct outage){ backend, is_broken, now(), NEVER, NEVER, NEVER };
	if (is_broken) {
		broken |= 1ull << backend;
		recorder_fail(broken);
		return o;
	}
	guard_stage(2, "failing backend %u", backend);
	err = pool_message(NULL, 0, "fail %u", backend);
	if (err)
		fail("fail %u: %s", backend, strerror(err));
	o->failed = now();
	return o;
}

/* The pool may not have noticed: nothing was written there. */
static void mend(struct outage *o)
{
	struct pool_status s;

	guard_stage(2, "mending backend %u", o->backend);
	pool_status(&s);
	if (!strchr("SD", s.health[o->backend]))
		pool_message(NULL, 0, "fail %u", o->backend);
	pool_status(&s);
	if (!strchr("SD", s.health[o->backend]))
		fail("backend %u fails all I/O, and is in: health %s", o->backend, s.health);
	o->failed = now();
	broken &= ~(1ull << o->backend);
	recorder_fail(broken);
}

void recording_return(struct outage *o)
{
	if (o->broken)
		mend(o);
	o->return_began = now();
	mapped_readd(o->backend);
}

/* --- all at the same time --------------------------------------------------------------------- */

static void side_volume(struct recording *r, struct random *numbers)
{
	unsigned int i;

	if (!side) {
		if (r->nr_volumes < RECORDING_VOLUMES)
			recording_side_create(r, numbers);
	} else if (random_percent(numbers, 60)) {
		for (i = random_below(numbers, 8); i--;)
			recording_side_write(numbers);
	} else {
		recording_side_remove();
	}
}

static void lose_or_return(struct recording *r, struct random *numbers)
{
	unsigned int nr = still_out(r), i, backend;

	for (i = 0; i < r->nr_outages; i++) {
		if (r->outages[i].return_began == NEVER && random_percent(numbers, 60)) {
			recording_return(&r->outages[i]);
			return;
		}
	}
	if (nr >= r->tolerance || r->nr_outages == RECORDING_OUTAGES)
		return;
	backend = random_below(numbers, r->nr_disks);
	for (i = 0; i < r->nr_outages; i++)
		if (r->outages[i].backend == backend && r->outages[i].whole == NEVER)
			return;
	recording_lose(r, backend, random_percent(numbers, 50));
}

void recording_go_on(struct recording *r, struct random *numbers, const char *words)
{
	switch (random_below(numbers, 6)) {
	case 0:
		if (strstr(words, "ckpt"))
			recording_message("checkpoint");
		break;
	case 1:
	case 2:
		if (strstr(words, "side"))
			side_volume(r, numbers);
		break;
	case 3:
	case 4:
		if (strstr(words, "out"))
			lose_or_return(r, numbers);
		break;
	case 5:
		/* It may be refused: one is running. */
		if (strstr(words, "scrub"))
			pool_message(NULL, 0, "scrub %s",
				     random_percent(numbers, 70) ? "start" : "stop");
		break;
	}
}

void recording_begin(struct recording *r, struct random *numbers)
{
	if (!buffer && posix_memalign((void **)&buffer, 4096, MAX_WRITE * SECTOR_BYTES))
		fail("no memory");
	guard_stage(3, "making a pool");
	recorder_delay(0);
	recorder_reset();
	create(r);
	recorder_delay(random_next(numbers) | 1);
	r->begin = now();
}

void recording_end(struct recording *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_policies; i++)
		mapped_volume_close(r->volumes[i].name, load_volumes[i].fd);
	if (side)
		mapped_volume_close(side->name, side_fd);
	side = NULL;
	guard_stage(3, "stopping the pool");
	mapped_pool_stop();
	recorder_delay(0);
	broken = 0;
	recorder_fail(broken);
	r->end = now();
}

void recording_make(struct recording *r, struct random *numbers, unsigned int requests,
		    const char *words)
{
	u64 until;

	recording_begin(r, numbers);
	until = load_made() + requests;
	load_begin();
	while (load_made() < until) {
		recording_go_on(r, numbers, words);
		usleep(random_below(numbers, 3000));
	}
	guard_stage(3, "the end of the load");
	load_end(0);
	recording_end(r);
}

void recording_free(struct recording *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_volumes; i++) {
		model_exit(r->volumes[i].live);
		model_exit(&r->volumes[i].at);
	}
	memset(r->volumes, 0, sizeof(r->volumes));
	r->nr_volumes = 0;
	r->nr_outages = 0;
}
