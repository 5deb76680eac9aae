// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a cut, the pool is started on what the disks hold then, and
 *
 *	- every volume is there whose creation was answered, and none whose removal was;
 *	- every sector has the value that was flushed last, or one that was written
 *	  since; a second read gives the same;
 *	- no checksum is wrong: all that a crash tears is mended before the first read;
 *	- who was out is out, and nobody else is.
 *
 * And, as asked: scrub finds nothing; the same is read without as many backends as
 * may be lost, so parity and replicas are right; who was out comes back, and the
 * same is read; the power is cut again while all this goes on, and what was found
 * once the first start had ended is what must be found.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "guard.h"
#include "mapped.h"
#include "pool.h"
#include "recorder.h"

#define READ_SECTORS 8192u

struct check_counts check_counts;

/* Of each volume of the recording, in the state that is being checked. */
struct found {
	bool there;
	int fd;
	u8 *data;	/* what was read first */
	bool *lost;	/* by block */
};

static struct found founds[RECORDING_VOLUMES];
static u8 *buffer;

/* --- reading ---------------------------------------------------------------------------------- */

static void make_room(const struct recording *r)
{
	static u32 room[RECORDING_VOLUMES];
	unsigned int i;

	if (!buffer && posix_memalign((void **)&buffer, 4096, READ_SECTORS * SECTOR_BYTES))
		fail("no memory");
	for (i = 0; i < r->nr_volumes; i++) {
		const struct recorded_volume *v = &r->volumes[i];

		if (room[i] >= v->sectors)
			continue;
		free(founds[i].data);
		free(founds[i].lost);
		founds[i].lost = calloc(v->sectors, sizeof(bool));
		if (!founds[i].lost || posix_memalign((void **)&founds[i].data, 4096,
						      (size_t)v->sectors * SECTOR_BYTES))
			fail("no memory");
		room[i] = v->sectors;
	}
}

static bool read_sectors(int fd, u32 first, u32 nr, u8 *to)
{
	return pread(fd, to, (size_t)nr * SECTOR_BYTES, (u64)first * SECTOR_BYTES) ==
	       (ssize_t)nr * SECTOR_BYTES;
}

/*
 * @lost is an entry a block. Where a read of many fails, each half of them is read,
 * down to single blocks.
 */
static void read_some(const struct recorded_volume *v, const struct found *f, u32 first, u32 nr,
		      u8 *to, bool *lost)
{
	u32 block = v->at.block_sectors, half;

	if (read_sectors(f->fd, first, nr, to)) {
		memset(lost, 0, nr / block);
	} else if (nr <= block) {
		*lost = true;
		memset(to, 0, nr * SECTOR_BYTES);
	} else {
		half = (nr / block + 1) / 2 * block;
		read_some(v, f, first, half, to, lost);
		read_some(v, f, first + half, nr - half, to + half * SECTOR_BYTES,
			  lost + half / block);
	}
}

static void wrong(const struct recorded_volume *v, u32 sector, const u8 *data)
{
	const struct model *m = &v->at;
	char text[120];
	u32 i;

	printf("%s (%s) sector %u (block %u, row %u) is %s\n", v->name, v->policy->words, sector,
	       sector / m->block_sectors, sector / m->row_sectors,
	       model_describe(data, text, sizeof(text)));
	for (i = 0; i < m->nr_log; i++)
		if (sector - m->log[i].first < m->log[i].nr)
			printf("not yet durable there: value %u, %u +%u, %s\n", m->log[i].value,
			       m->log[i].first, m->log[i].nr,
			       m->log[i].done ? "acknowledged" : "in flight");
	for (i = 0; i < v->at.followed; i++) {
		const struct model_step *s = &v->live->steps[i];

		if (s->kind == STEP_BEGIN && sector - s->first < s->nr)
			printf("at %llu a write of value %u began: %u +%u\n",
			       (unsigned long long)s->clock, s->value, s->first, s->nr);
	}
	fail("%s sector %u has not its durable value %u, and none that is newer", v->name, sector,
	     m->durable[sector]);
}

/* The first look: is it what may be there? */
static void find(const struct recorded_volume *v, struct found *f)
{
	const struct model *m = &v->at;
	u32 first, nr, i, block = m->block_sectors;

	for (first = 0; first < v->sectors; first += nr) {
		bool *lost = f->lost + first / block;
		u8 *data = f->data + (size_t)first * SECTOR_BYTES;

		nr = v->sectors - first < READ_SECTORS ? v->sectors - first : READ_SECTORS;
		read_some(v, f, first, nr, data, lost);
		for (i = 0; i < nr; i++) {
			if (lost[i / block]) {
				if (!m->may_be_lost[(first + i) / m->row_sectors])
					fail("%s (%s) sector %u (row %u) cannot be read", v->name,
					     v->policy->words, first + i,
					     (first + i) / m->row_sectors);
				check_counts.lost_blocks += !((first + i) % block);
				i |= block - 1;
			} else if (model_find(m, first + i, data + i * SECTOR_BYTES) == VALUE_LOST) {
				wrong(v, first + i, data + i * SECTOR_BYTES);
			}
		}
	}
}

/* Any further look: is it what was found first? */
static void same(const struct recorded_volume *v, const struct found *f, const char *when)
{
	static bool lost[READ_SECTORS];
	u32 first, nr, i, block = v->at.block_sectors;
	char before[120], after[120];

	for (first = 0; first < v->sectors; first += nr) {
		const u8 *data = f->data + (size_t)first * SECTOR_BYTES;

		nr = v->sectors - first < READ_SECTORS ? v->sectors - first : READ_SECTORS;
		read_some(v, f, first, nr, buffer, lost);
		for (i = 0; i < nr / block; i++)
			if (lost[i] != f->lost[first / block + i])
				fail("%s (%s) sector %u %s, %s", v->name, v->policy->words,
				     first + i * block, lost[i] ? "could be read, and cannot be" :
				     "could not be read, and can be", when);
		if (!memcmp(buffer, data, (size_t)nr * SECTOR_BYTES))
			continue;
		for (i = 0; !memcmp(buffer + i * SECTOR_BYTES, data + i * SECTOR_BYTES,
				    SECTOR_BYTES); i++)
			;
		fail("%s (%s) sector %u (row %u) was %s, and is %s %s", v->name, v->policy->words,
		     first + i, (first + i) / v->at.row_sectors,
		     model_describe(data + i * SECTOR_BYTES, before, sizeof(before)),
		     model_describe(buffer + i * SECTOR_BYTES, after, sizeof(after)), when);
	}
}

static void same_all(const struct recording *r, const char *when)
{
	unsigned int i;

	guard_stage(2, "reading %s", when);
	for (i = 0; i < r->nr_volumes; i++)
		if (founds[i].there)
			same(&r->volumes[i], &founds[i], when);
}

/* --- starting --------------------------------------------------------------------------------- */

static void stop(const struct recording *r)
{
	unsigned int i;

	guard_stage(2, "stopping the pool");
	for (i = 0; i < r->nr_volumes; i++)
		if (founds[i].there)
			mapped_volume_close(r->volumes[i].name, founds[i].fd);
	mapped_pool_stop();
}

static void start(const struct recording *r, u64 absent)
{
	int err;

	guard_stage(2, "starting the pool");
	err = mapped_pool_start(r->nr_disks, absent, absent ? " 1 allow_degraded" : "");
	if (err)
		fail("the pool cannot be started: %s", strerror(err));
}

/* Which volumes are there, and which must and must not be. */
static void open_volumes(const struct recording *r, u64 at)
{
	char reply[16384], line[64];
	unsigned int i;

	if (pool_message(reply, sizeof(reply), "volumes"))
		fail("no list of volumes");
	for (i = 0; i < r->nr_volumes; i++) {
		const struct recorded_volume *v = &r->volumes[i];

		snprintf(line, sizeof(line), " %s live ", v->name);
		founds[i].there = strstr(reply, line);
		if (founds[i].there && (v->create_began > at || v->removed <= at))
			fail("%s is there, and was %s", v->name,
			     v->removed <= at ? "removed" : "not created");
		if (!founds[i].there && v->created <= at && v->remove_began > at)
			fail("%s is not there", v->name);
		if (founds[i].there)
			founds[i].fd = mapped_volume_open(v->name, v->sectors);
	}
}

/* Who is out must be, and nobody else. */
static void check_health(const struct recording *r, u64 at, u64 absent)
{
	u64 out = absent, maybe = absent;
	struct pool_status s;
	unsigned int i;

	for (i = 0; i < r->nr_outages; i++) {
		const struct outage *o = &r->outages[i];

		if (o->fail_began <= at && o->whole > at)
			maybe |= 1ull << o->backend;
		if (o->failed <= at && o->return_began > at)
			out |= 1ull << o->backend;
	}
	pool_status(&s);
	for (i = 0; i < r->nr_disks; i++) {
		bool is_out = strchr("SD", s.health[i]);

		if (is_out != (out >> i & 1) && !(maybe >> i & 1))
			fail("backend %u is %s: health %s", i, is_out ? "out" : "in", s.health);
		if (!is_out && (out >> i & 1))
			fail("backend %u was out, and is in: health %s", i, s.health);
	}
	if (strcmp(s.mode, "rw"))
		fail("the pool is %s", s.mode);
	if (!maybe && s.degraded)
		fail("%llu chunks are degraded, and nobody was out", s.degraded);
}

static u64 who_is_out(const struct pool_status *s)
{
	unsigned int i;
	u64 out = 0;

	for (i = 0; s->health[i]; i++)
		if (s->health[i] == 'S' || s->health[i] == 'D')
			out |= 1ull << i;
	return out;
}

/* How many legs of any chunk may be missing at this instant. */
static unsigned int missing(const struct recording *r, u64 at, u64 absent)
{
	u64 maybe = absent;
	unsigned int i;

	for (i = 0; i < r->nr_outages; i++)
		if (r->outages[i].fail_began <= at && r->outages[i].whole > at)
			maybe |= 1ull << r->outages[i].backend;
	return __builtin_popcountll(maybe);
}

/* --- checks ----------------------------------------------------------------------------------- */

static void no_csum_errors(const char *when)
{
	u64 errors = pool_csum_errors();

	if (errors)
		fail("%llu checksum errors %s", (unsigned long long)errors, when);
}

static void scrub(void)
{
	struct pool_status s;
	unsigned int tries = 0;

	guard_stage(3, "scrub");
	if (pool_message(NULL, 0, "scrub start"))
		fail("scrub is refused");
	do {
		usleep(++tries < 100 ? 500 : 5000);
		pool_status(&s);
	} while (!strcmp(s.scrub, "running"));
	if (s.bad)
		fail("scrub found %llu bad blocks", s.bad);
	no_csum_errors("after scrub");
	check_counts.scrubs++;
}

/* As many backends go as may, and everything is as it was. */
static void lose_some(const struct recording *r, struct random *numbers, unsigned int left)
{
	struct pool_status s;
	u64 out;

	pool_status(&s);
	out = who_is_out(&s);
	while (left) {
		unsigned int i = random_below(numbers, r->nr_disks);

		if (out >> i & 1)
			continue;
		out |= 1ull << i;
		left--;
		guard_stage(2, "failing backend %u", i);
		if (pool_message(NULL, 0, "fail %u", i))
			fail("fail %u is refused", i);
		check_counts.losses++;
	}
	same_all(r, "without some backends");
}

static void readmit_all(const struct recording *r)
{
	struct pool_status s;
	unsigned int i, tries = 0;
	u64 out;

	pool_status(&s);
	out = who_is_out(&s);
	for (i = 0; i < r->nr_disks; i++) {
		if (!(out >> i & 1))
			continue;
		mapped_readd(i);
		check_counts.readmitted++;
	}
	guard_stage(3, "waiting for the end of resync");
	do {
		if (tries++)
			usleep(tries < 100 ? 500 : 5000);
		pool_status(&s);
	} while (strcmp(s.resync, "idle") || s.degraded || strpbrk(s.health, "aSD"));
	same_all(r, "after resync");
}

/* --- the power goes once more ----------------------------------------------------------------- */

/*
 * @level: of the first recovery, which is recorded. Before @settled it may be cut in
 * its activation, and the model still tells what may be there.
 */
static void cut_again(struct recording *r, u64 at, u64 settled, const struct check *check,
		      struct random *numbers)
{
	struct cuts_info info = recorder_info();
	u64 second = info.first, end = info.next;
	bool there[RECORDING_VOLUMES];
	unsigned int i, n;

	for (i = 0; i < r->nr_volumes; i++)
		there[i] = founds[i].there;
	for (n = 0; n < check->again && second < end; n++) {
		/* Most of them in the activation. */
		u64 until = second < settled && random_percent(numbers, 70) ? settled : end;

		second += 1 + random_below(numbers, until - second);
		guard_stage(2, "the power goes again, at %llu of %llu to %llu, %llu",
			    (unsigned long long)second, (unsigned long long)info.first,
			    (unsigned long long)settled, (unsigned long long)end);
		recorder_crash(second, random_next(numbers));
		if (check->absent_again && second < settled)
			for (i = 0; i < r->nr_volumes; i++)
				model_crash(&r->volumes[i].at, r->volumes[i].policy->ec ?
					    check->hole : LOSE_NONE);
		start(r, check->absent | check->absent_again);
		open_volumes(r, at);
		for (i = 0; i < r->nr_volumes; i++) {
			if (!founds[i].there)
				continue;
			if (second < settled || !there[i])
				find(&r->volumes[i], &founds[i]);
			else
				same(&r->volumes[i], &founds[i], "after a second power cut");
		}
		same_all(r, "again, after a second power cut");
		no_csum_errors("after a second power cut");
		if (random_percent(numbers, 30))
			scrub();
		stop(r);
		recorder_back();
		check_counts.again++;
		/* What was read before @settled is not what the next one has to find. */
		if (second < settled)
			break;
	}
}

void check_cut(struct recording *r, u64 at, const struct check *check, struct random *numbers)
{
	unsigned int gone = missing(r, at, check->absent), i;
	u64 settled;

	make_room(r);
	for (i = 0; i < r->nr_volumes; i++) {
		struct recorded_volume *v = &r->volumes[i];

		model_follow(&v->at, v->live, at);
		model_crash(&v->at, v->policy->ec && gone ? check->hole : LOSE_NONE);
	}
	guard_stage(2, "the power goes at %llu", (unsigned long long)at);
	recorder_crash(at, check->seed);
	start(r, check->absent);
	settled = *recorder_clock;
	open_volumes(r, at);
	check_health(r, at, check->absent);
	guard_stage(2, "reading after the cut at %llu", (unsigned long long)at);
	for (i = 0; i < r->nr_volumes; i++)
		if (founds[i].there)
			find(&r->volumes[i], &founds[i]);
	same_all(r, "again");
	no_csum_errors("after the cut");
	if (check->scrub)
		scrub();
	if (check->lose && gone < r->tolerance)
		lose_some(r, numbers, r->tolerance - gone);
	if (check->readmit) {
		readmit_all(r);
		if (check->scrub)
			scrub();
	}
	no_csum_errors("at the end");
	stop(r);
	check_counts.cuts++;
	if (check->again)
		cut_again(r, at, settled, check, numbers);
	recorder_back();
}
