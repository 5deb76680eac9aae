// SPDX-License-Identifier: GPL-2.0-only
/*
 * Orders of loss and return: every set of one or two backends that a policy can lose,
 * and every order of three events among them.
 *
 *	orders [--seed N] [--patience S] [--journal MODE] [--from N] [--part N/OF] [--split]
 *		--disks N --volume POLICY,BLOCK,MIB
 *
 * The events: one of them is told to go; one breaks, and is noticed; one comes back; the
 * power goes; the power goes and takes one with it. Orders of fewer events are the
 * beginnings of these. Between events blocks are written, some of them flushed, rows are
 * discarded, chunks are made; after each event everything is read. In every other order
 * nothing is filled before the last has returned, so that of two that are back each
 * lacks what the other has. At the end all come back and are filled; everything reads the
 * same without as many others as may be lost; scrub finds nothing.
 *
 * --split: every way to divide the backends into two halves that can both go on. They
 * do, each without the other; together they are refused; and the operator's word takes
 * either history, and gives up the other.
 *
 * The seed determines what is written, and where in it the power goes. --from: begin with
 * that order, as the replay of a failure does. --part: only every OF-th order.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "mapped.h"
#include "model.h"
#include "pool.h"
#include "recorder.h"
#include "recording.h"

#define EVENTS		3u
#define VOLUME		"v0"
#define READ_SECTORS	2048u	/* divides every volume */
#define ROWS		12u	/* of a chunk, that are written to */

enum happening { TOLD, BROKEN, BACK, CRASH, CRASH_WITHOUT };

static const char *const event_names[] = { "told", "broken", "back", "crash", "crash without" };

struct step {
	enum happening event;
	unsigned int backend;
};

static struct policy policy;
static unsigned int nr_disks, tolerance;
static enum model_losses hole = LOSE_ROWS;
static const char *journal = "off";
static u32 block, row, chunk, sectors;	/* in sectors */
static struct random numbers;
static struct model model;
static int fd = -1;
static u8 *buffer;
static u64 base;		/* the clock when the pool was made */

static u64 out;			/* backends that are out */
static u64 broken;		/* of these, those that fail all I/O */
static u64 batch;		/* the clock when the last batch of I/O began */
static bool missing;		/* a leg of some chunk, then */
static bool held;		/* nothing is filled before the end */
static u64 nr_orders, nr_tried, nr_events, nr_crashes, nr_lost;

/* --- the pool ---------------------------------------------------------------------------------- */

static void open_pool(u64 absent, const char *features)
{
	int err;

	guard_stage(2, "starting the pool without %llx", (unsigned long long)absent);
	err = mapped_pool_start(nr_disks, absent, features);
	if (err)
		fail("the pool cannot be started without %llx: %s", (unsigned long long)absent,
		     strerror(err));
	if (held)
		pool_message(NULL, 0, "resync stop");
	fd = mapped_volume_open(VOLUME, sectors);
}

static void close_pool(void)
{
	guard_stage(2, "stopping the pool");
	mapped_volume_close(VOLUME, fd);
	mapped_pool_stop();
	fd = -1;
}

static void make_pool(void)
{
	char disks[2000] = "";
	unsigned int i;

	guard_stage(3, "making a pool");
	recorder_delay(0);
	recorder_reset();
	for (i = 0; i < nr_disks; i++)
		snprintf(disks + strlen(disks), sizeof(disks) - strlen(disks), " /dev/cuts%u", i);
	must_run("qbd pool create " POOL_NAME "%s --extent-size 1M --journal %s", disks, journal);
	if (mapped_pool_start(nr_disks, 0, "") ||
	    pool_message(NULL, 0, "create_volume " VOLUME " %u %s block_size=%u", sectors,
			 policy.words, policy.block))
		fail("the pool cannot be made");
	mapped_pool_stop();
	base = *recorder_clock;
}

static u64 health_out(void)
{
	struct pool_status s;
	unsigned int i;
	u64 set = 0;

	pool_status(&s);
	for (i = 0; s.health[i]; i++)
		if (s.health[i] == 'S' || s.health[i] == 'D')
			set |= 1ull << i;
	return set;
}

static void check_health(void)
{
	u64 now = health_out();

	if (now != out)
		fail("out are %llx, and should be %llx", (unsigned long long)now,
		     (unsigned long long)out);
}

static void wait_whole(void)
{
	struct pool_status s;
	unsigned int tries = 0;

	guard_stage(3, "waiting for the end of resync");
	for (;;) {
		pool_status(&s);
		if (!strcmp(s.resync, "idle") && !s.degraded && !strpbrk(s.health, "aSD"))
			return;
		usleep(++tries < 100 ? 500 : 5000);
	}
}

/* --- content ----------------------------------------------------------------------------------- */

static void write_rows(u32 first, u32 nr)
{
	u32 value = model_write_begin(&model, first, nr, false), i;

	for (i = 0; i < nr; i++)
		model_content(&model, first + i, value, buffer + i * SECTOR_BYTES);
	if (pwrite(fd, buffer, nr * SECTOR_BYTES, (u64)first * SECTOR_BYTES) !=
	    (ssize_t)nr * SECTOR_BYTES)
		fail("a write, %u +%u: %s", first, nr, strerror(errno));
	model_write_end(&model, value, false);
}

static void discard(u32 first, u32 nr)
{
	u64 range[2] = { (u64)first * SECTOR_BYTES, (u64)nr * SECTOR_BYTES };
	u32 value = model_write_begin(&model, first, nr, true);

	if (ioctl(fd, BLKDISCARD, range))
		fail("a discard: %s", strerror(errno));
	model_write_end(&model, value, false);
}

static void flush(void)
{
	u64 began = model_flush_begin(&model);

	if (fdatasync(fd))
		fail("a flush: %s", strerror(errno));
	model_flush_end(&model, began);
}

/* The same places over and over: overwritten, in new chunks, in chunks that were freed. */
static void some_writes(unsigned int n)
{
	u32 first;

	while (n--) {
		first = random_below(&numbers, sectors / chunk) * chunk +
			random_below(&numbers, 8) * row;
		if (random_percent(&numbers, 50))
			first += random_below(&numbers, row);
		write_rows(first, 1 + random_below(&numbers, 2 * row));
	}
}

static void some_io(void)
{
	struct pool_status s;

	guard_stage(3, "I/O");
	pool_status(&s);
	missing = out || s.degraded || strchr(s.health, 'a');
	batch = *recorder_clock;
	some_writes(4);
	if (random_percent(&numbers, 40))
		discard(random_below(&numbers, sectors / chunk) * chunk +
			random_below(&numbers, 6) * row,
			random_percent(&numbers, 30) ? chunk / 2 : 2 * row);
	flush();
	some_writes(3);
}

static bool read_sectors(u32 first, u32 nr)
{
	return pread(fd, buffer, (size_t)nr * SECTOR_BYTES, (u64)first * SECTOR_BYTES) ==
	       (ssize_t)nr * SECTOR_BYTES;
}

static void wrong(const struct model *m, u32 sector, const u8 *data, const char *when)
{
	char text[120];

	fail("sector %u (row %u) is %s, and should be value %u, durable %u, %s", sector,
	     sector / row, model_describe(data, text, sizeof(text)), m->values[sector],
	     m->durable[sector], when);
}

static void same_sectors(u32 first, u32 nr, const char *when)
{
	u8 want[SECTOR_BYTES];
	u32 i;

	if (!read_sectors(first, nr))
		fail("sectors %u +%u: %s, %s", first, nr, strerror(errno), when);
	for (i = 0; i < nr; i++) {
		model_content(&model, first + i, model.values[first + i], want);
		if (memcmp(buffer + i * SECTOR_BYTES, want, SECTOR_BYTES))
			wrong(&model, first + i, buffer + i * SECTOR_BYTES, when);
	}
}

/* Each sector is what was written last: of the rows that are written to, or all of them. */
static void same(bool all, const char *when)
{
	u32 first;

	guard_stage(3, "reading %s", when);
	for (first = 0; all && first < sectors; first += READ_SECTORS)
		same_sectors(first, READ_SECTORS, when);
	for (first = 0; !all && first < sectors; first += chunk)
		same_sectors(first, ROWS * row, when);
	if (pool_csum_errors())
		fail("checksum errors %s", when);
}

/* Some blocks at once; where that fails, one by one. Returns how many are lost. */
static u32 find_some(struct model *m, u32 first, u32 nr, u32 *lost)
{
	u32 i, value, n = 0;

	if (!read_sectors(first, nr)) {
		if (nr > block) {
			for (i = 0; i < nr; i += block)
				n += find_some(m, first + i, block, lost + n);
			return n;
		}
		if (!m->may_be_lost[first / row])
			fail("sector %u (row %u) cannot be read after a crash", first, first / row);
		*lost = first;
		return 1;
	}
	for (i = 0; i < nr; i++) {
		value = model_find(m, first + i, buffer + i * SECTOR_BYTES);
		if (value == VALUE_LOST)
			wrong(m, first + i, buffer + i * SECTOR_BYTES, "after a crash");
		m->values[first + i] = value;
	}
	return 0;
}

/*
 * After a crash: what is found, of what may be, is it from now on; what is lost is
 * written anew. The model takes the place of that from before: no step of it is left.
 */
static void find(struct model *m)
{
	u32 first, nr = 0, *lost = calloc(sectors / block, sizeof(u32));

	guard_stage(3, "finding what is there");
	if (!lost)
		fail("no memory");
	for (first = 0; first < sectors; first += chunk)
		nr += find_some(m, first, ROWS * row, lost + nr);
	model_settled(m);
	m->next_value = model.next_value;
	m->clock = recorder_clock;
	model_exit(&model);
	model = *m;
	nr_lost += nr;
	while (nr--)
		write_rows(lost[nr], block);
	free(lost);
}

/* A model that is where the model was when its steps began. */
static void copy_model(struct model *m, const struct model *from)
{
	model_init(m, from->id, sectors, block, row);
	memcpy(m->values, from->values, sectors * sizeof(u32));
	memcpy(m->durable, from->durable, sectors * sizeof(u32));
	m->next_value = from->next_value;
}

/* --- events ------------------------------------------------------------------------------------ */

static struct model begun;	/* the model after the last crash */
static u64 after_crash;		/* and how many steps it had then */

/* What was written until now is where the next crash begins from. */
static void mark_model(void)
{
	if (begun.values)
		model_exit(&begun);
	copy_model(&begun, &model);
	after_crash = model.nr_steps;
}

static void lose(unsigned int i, bool breaks)
{
	out |= 1ull << i;
	if (breaks) {
		broken |= 1ull << i;
		recorder_fail(broken);
		some_io();
		if (health_out() == out)
			return;
		/* Nothing was written there. */
	}
	guard_stage(2, "failing backend %u", i);
	if (pool_message(NULL, 0, "fail %u", i))
		fail("fail %u is refused", i);
	check_health();
}

static void bring_back(unsigned int i)
{
	out &= ~(1ull << i);
	broken &= ~(1ull << i);
	recorder_fail(broken);
	mapped_readd(i);
	check_health();
	if (!held && random_percent(&numbers, 50) && !out)
		wait_whole();
}

/* The power goes anywhere in the last batch of I/O, or behind it. */
static void crash(u64 without)
{
	u64 now = *recorder_clock, at = batch + random_below(&numbers, now - batch + 1);
	struct model m;

	copy_model(&m, &begun);
	m.followed = after_crash;
	model_follow(&m, &model, at);
	model_crash(&m, policy.ec && (missing || without) ? hole : LOSE_NONE);
	close_pool();
	recorder_fail(0);
	guard_stage(2, "the power goes at %llu", (unsigned long long)at);
	recorder_crash(at, random_next(&numbers));
	out |= without;
	broken |= without;
	recorder_fail(broken);
	open_pool(broken, broken ? " 1 allow_degraded" : "");
	check_health();
	find(&m);
	flush();
	batch = *recorder_clock;
	mark_model();
	nr_crashes++;
}

static void happen(const struct step *step)
{
	guard_stage(2, "%s %u", event_names[step->event], step->backend);
	switch (step->event) {
	case TOLD:
	case BROKEN:
		lose(step->backend, step->event == BROKEN);
		break;
	case BACK:
		bring_back(step->backend);
		break;
	case CRASH:
		crash(0);
		break;
	case CRASH_WITHOUT:
		crash(1ull << step->backend);
		break;
	}
	same(false, event_names[step->event]);
	nr_events++;
}

/* --- one order --------------------------------------------------------------------------------- */

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
}

/* All return; then others go, as many as may. */
static void make_whole(u64 set)
{
	unsigned int i, left = tolerance;

	pool_message(NULL, 0, "resync start");
	for (i = 0; i < nr_disks; i++)
		if (out >> i & 1)
			bring_back(i);
	wait_whole();
	same(true, "when all are back");
	scrub();
	for (i = 0; i < nr_disks && left; i++) {
		if (set >> i & 1)
			continue;
		lose(i, false);
		left--;
	}
	same(true, "without the others");
}

static void try_order(const struct step *steps, u64 set)
{
	unsigned int i;

	numbers.state = random_mix(numbers.state ^ nr_orders);
	held = nr_orders % 2;
	guard_stage(2, "the beginning of an order");
	recorder_crash(base, 1);
	recorder_delay(random_next(&numbers) | 1);
	out = broken = 0;
	model_init(&model, 1, sectors, block, row);
	model.clock = recorder_clock;
	open_pool(0, "");
	mark_model();
	some_io();
	for (i = 0; i < EVENTS; i++) {
		happen(&steps[i]);
		some_io();
	}
	held = false;
	make_whole(set);
	close_pool();
	recorder_delay(0);
	recorder_fail(0);
	while (recorder_info().level)
		recorder_back();
	model_exit(&model);
}

/* --- all of them ------------------------------------------------------------------------------- */

static u64 from;
static unsigned int part, parts = 1;
static u64 seed;

static void tell_order(const struct step *steps)
{
	static char text[300];
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < EVENTS; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s %u", i ? ", " : "",
			      event_names[steps[i].event], steps[i].backend);
	snprintf(text + n, sizeof(text) - n, " (--from %llu)", (unsigned long long)nr_orders);
	guard_replay(text);
}

/* @gone: who is out after the first @n steps; @touched: whom any of them was about. */
static void each_order(struct step *steps, unsigned int n, u64 set, u64 gone, u64 touched)
{
	unsigned int i;

	if (n == EVENTS) {
		/* Of a larger set all have to be in it: the others are smaller sets' orders. */
		if (touched != set && (set & (set - 1)))
			return;
		if (nr_orders >= from && nr_orders % parts == part) {
			tell_order(steps);
			numbers.state = seed;
			try_order(steps, set);
			nr_tried++;
		}
		nr_orders++;
		return;
	}
	steps[n] = (struct step){ CRASH, 0 };
	each_order(steps, n + 1, set, gone, touched);
	for (i = 0; i < nr_disks; i++) {
		u64 bit = 1ull << i;
		enum happening e;

		if (!(set & bit))
			continue;
		if (gone & bit) {
			steps[n] = (struct step){ BACK, i };
			each_order(steps, n + 1, set, gone & ~bit, touched | bit);
			continue;
		}
		for (e = TOLD; e <= CRASH_WITHOUT; e++) {
			if (e == BACK || e == CRASH)
				continue;
			steps[n] = (struct step){ e, i };
			each_order(steps, n + 1, set, gone | bit, touched | bit);
		}
	}
}

static void try_orders(void)
{
	struct step steps[EVENTS];
	unsigned int sets = 0;
	u64 set;

	make_pool();
	for (set = 1; set < 1ull << nr_disks; set++) {
		unsigned int size = __builtin_popcountll(set);

		if (size > tolerance || size > 2)
			continue;
		each_order(steps, 0, set, 0, 0);
		sets++;
	}
	say("%llu of %llu orders of %u events of %u sets of backends",
	    (unsigned long long)nr_tried, (unsigned long long)nr_orders, EVENTS, sets);
	say("%llu events, %llu of them crashes; %llu blocks lost to the write hole",
	    (unsigned long long)nr_events, (unsigned long long)nr_crashes,
	    (unsigned long long)nr_lost);
}

/* --- a split brain ----------------------------------------------------------------------------- */

static void tag_of_pool(char *tag)
{
	struct pool_status s;

	pool_status(&s);
	strcpy(tag, s.tag);
}

/* Half of them goes on from the history @from_tag; returns its own in @tag. */
static void go_on(u64 without, const char *from_tag, char *tag, bool crashes)
{
	char features[80];

	snprintf(features, sizeof(features), " 3 allow_degraded force_history %s", from_tag);
	open_pool(without, features);
	some_io();
	flush();
	same(true, "in one half");
	tag_of_pool(tag);
	batch = *recorder_clock;
	close_pool();
	if (crashes)
		recorder_crash(batch, random_next(&numbers));
}

static void try_split(u64 half, bool crashes, unsigned int kept)
{
	u64 all = (1ull << nr_disks) - 1, sides[2] = { half, all & ~half };
	char was[20], tags[2][20], features[80];
	struct model both, models[2];
	unsigned int i;

	recorder_crash(base, 1);
	out = broken = 0;
	held = false;
	model_init(&model, 1, sectors, block, row);
	open_pool(0, "");
	some_io();
	flush();
	tag_of_pool(was);
	close_pool();
	copy_model(&both, &model);
	for (i = 0; i < 2; i++) {
		go_on(all & ~sides[i], was, tags[i], crashes);
		models[i] = model;
		copy_model(&model, &both);
		/* Nothing that both wrote may look the same. */
		model.next_value += 2 << 16;
	}
	guard_stage(2, "both halves together");
	if (!mapped_pool_start(nr_disks, 0, "") ||
	    !mapped_pool_start(nr_disks, 0, " 1 allow_degraded"))
		fail("two histories are taken for one");
	model_exit(&model);
	model = models[kept];
	snprintf(features, sizeof(features), " 2 force_history %s", tags[kept]);
	open_pool(0, features);
	out = sides[!kept];
	check_health();
	same(true, "after the operator's word");
	some_io();
	make_whole(sides[!kept]);
	close_pool();
	model_exit(&models[!kept]);
	model_exit(&model);
	model_exit(&both);
	recorder_fail(0);
	while (recorder_info().level)
		recorder_back();
}

static void try_splits(void)
{
	unsigned int n = 0, kept, crashes;
	u64 half;

	make_pool();
	for (half = 1; half < 1ull << (nr_disks - 1); half++) {
		unsigned int size = __builtin_popcountll(half);

		/* Each side has K legs of every chunk. */
		if (size > tolerance || nr_disks - size > tolerance)
			continue;
		for (kept = 0; kept < 2; kept++)
			for (crashes = 0; crashes < 2; crashes++, n++)
				try_split(half, crashes, kept);
	}
	if (!n)
		fail("these backends cannot be divided so that both halves go on");
	say("%u split brains refused, and resolved", n);
}

/* --- the command line -------------------------------------------------------------------------- */

static void parse_volume(const char *word)
{
	policy_parse(&policy, word);
	tolerance = policy.m;
	block = policy.block / SECTOR_BYTES;
	row = policy.k * block;
	chunk = policy.k << 11;
	sectors = policy.mib << 11;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "from", required_argument, NULL, 'f' },
		{ "part", required_argument, NULL, 'a' },
		{ "journal", required_argument, NULL, 'j' },
		{ "patience", required_argument, NULL, 'p' },
		{ "split", no_argument, NULL, 'b' },
		{ "disks", required_argument, NULL, 'd' },
		{ "volume", required_argument, NULL, 'v' },
		{}
	};
	unsigned int patience = 60;
	bool split = false;
	char replay[80];
	int c;

	seed = time(NULL) ^ (u64)getpid() << 32;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			from = strtoull(optarg, NULL, 0);
			break;
		case 'a':
			if (sscanf(optarg, "%u/%u", &part, &parts) != 2 || !parts)
				return 2;
			break;
		case 'j':
			journal = optarg;
			hole = !strcmp(optarg, "off") ? LOSE_ROWS :
			       !strcmp(optarg, "full") ? LOSE_NONE : LOSE_WHOLE_ROWS;
			break;
		case 'p':
			patience = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			split = true;
			break;
		case 'd':
			nr_disks = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			parse_volume(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!sectors || !nr_disks || nr_disks > CUTS_DISKS) {
		fprintf(stderr, "usage: see the head of orders.c\n");
		return 2;
	}
	snprintf(replay, sizeof(replay), "QBD_SEED=%llu", (unsigned long long)seed);
	guard_start(replay, patience);
	say("%s", replay);
	numbers.state = seed;
	recorder_open();
	if (posix_memalign((void **)&buffer, 4096, READ_SECTORS * SECTOR_BYTES))
		fail("no memory");
	if (split)
		try_splits();
	else
		try_orders();
	return 0;
}
