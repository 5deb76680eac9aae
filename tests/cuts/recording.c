// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "mapped.h"
#include "pool.h"
#include "recorder.h"
#include "recording.h"

#define SIDE_SECTORS 4096u	/* of a volume that comes and goes */
#define SIDE_WRITE 256u

static struct load_volume load_volumes[LOAD_VOLUMES];
static struct model side_models[RECORDING_VOLUMES];
static struct recorded_volume *side;	/* the one that there is now, or NULL */
static int side_fd;
static u8 *side_buffer;

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
	must_run("qbd pool create " POOL_NAME "%s --extent-size %s", disks, r->extent);
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

/* --- what goes on besides ---------------------------------------------------------------------- */

static void write_side(struct random *numbers)
{
	struct model *m = side->live;
	u32 nr = 1 + random_below(numbers, SIDE_WRITE), first, value, i;
	u64 began;

	first = random_below(numbers, SIDE_SECTORS - nr);
	value = model_write_begin(m, first, nr, false);
	for (i = 0; i < nr; i++)
		model_content(m, first + i, value, side_buffer + i * SECTOR_BYTES);
	if (pwrite(side_fd, side_buffer, nr * SECTOR_BYTES, (u64)first * SECTOR_BYTES) !=
	    (ssize_t)nr * SECTOR_BYTES)
		fail("a write to %s: %s", side->name, strerror(errno));
	model_write_end(m, value, false);
	if (!random_percent(numbers, 30))
		return;
	began = model_flush_begin(m);
	if (fdatasync(side_fd))
		fail("a flush of %s: %s", side->name, strerror(errno));
	model_flush_end(m, began);
}

static void side_volume(struct recording *r, struct random *numbers)
{
	unsigned int i;

	if (!side) {
		if (r->nr_volumes == RECORDING_VOLUMES)
			return;
		guard_stage(2, "creating a volume");
		side = new_volume(r, &r->policies[random_below(numbers, r->nr_policies)],
				  SIDE_SECTORS, &side_models[r->nr_volumes]);
		side_fd = mapped_volume_open(side->name, SIDE_SECTORS);
	} else if (random_percent(numbers, 60)) {
		guard_stage(2, "writing to %s", side->name);
		for (i = random_below(numbers, 8); i--;)
			write_side(numbers);
	} else {
		guard_stage(2, "removing %s", side->name);
		mapped_volume_close(side->name, side_fd);
		side->remove_began = now();
		if (pool_message(NULL, 0, "remove_volume %s", side->name))
			fail("%s cannot be removed", side->name);
		side->removed = now();
		side = NULL;
	}
}

static bool is_whole(void)
{
	struct pool_status s;

	pool_status(&s);
	return !strcmp(s.resync, "idle") && !s.degraded && !strpbrk(s.health, "aSD");
}

/* Those that are back and whole by now. */
static unsigned int still_out(struct recording *r)
{
	unsigned int i, nr = 0;
	bool whole = false;

	for (i = 0; i < r->nr_outages; i++)
		nr += r->outages[i].whole == NEVER;
	if (nr)
		whole = is_whole();
	for (i = 0; whole && i < r->nr_outages; i++)
		if (r->outages[i].whole == NEVER)
			r->outages[i].whole = now();
	return whole ? 0 : nr;
}

static void lose_or_return(struct recording *r, struct random *numbers)
{
	unsigned int nr = still_out(r), i, backend;
	struct outage *o;
	int err;

	for (i = 0; i < r->nr_outages; i++) {
		o = &r->outages[i];
		if (o->return_began != NEVER || random_percent(numbers, 40))
			continue;
		o->return_began = now();
		mapped_readd(o->backend);
		return;
	}
	if (nr >= r->tolerance || r->nr_outages == RECORDING_OUTAGES)
		return;
	backend = random_below(numbers, r->nr_disks);
	for (i = 0; i < r->nr_outages; i++)
		if (r->outages[i].backend == backend && r->outages[i].whole == NEVER)
			return;
	o = &r->outages[r->nr_outages++];
	*o = (struct outage){ backend, now(), NEVER, NEVER, NEVER };
	guard_stage(2, "failing backend %u", backend);
	err = pool_message(NULL, 0, "fail %u", backend);
	if (err)
		fail("fail %u: %s", backend, strerror(err));
	o->failed = now();
}

static void go_on(struct recording *r, struct random *numbers, const char *words)
{
	switch (random_below(numbers, 6)) {
	case 0:
		guard_stage(2, "a checkpoint");
		if (strstr(words, "ckpt") && pool_message(NULL, 0, "checkpoint"))
			fail("checkpoint is refused");
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

void recording_make(struct recording *r, struct random *numbers, unsigned int requests,
		    const char *words)
{
	unsigned int i;
	u64 until;

	if (!side_buffer && posix_memalign((void **)&side_buffer, 4096, SIDE_WRITE * SECTOR_BYTES))
		fail("no memory");
	guard_stage(3, "making a pool");
	recorder_delay(0);
	recorder_reset();
	create(r);
	recorder_delay(random_next(numbers) | 1);
	r->begin = now();
	until = load_made() + requests;
	load_begin();
	while (load_made() < until) {
		go_on(r, numbers, words);
		usleep(random_below(numbers, 3000));
	}
	guard_stage(3, "the end of the load");
	load_end(0);
	for (i = 0; i < r->nr_policies; i++)
		mapped_volume_close(r->volumes[i].name, load_volumes[i].fd);
	if (side)
		mapped_volume_close(side->name, side_fd);
	side = NULL;
	guard_stage(3, "stopping the pool");
	mapped_pool_stop();
	recorder_delay(0);
	r->end = now();
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
