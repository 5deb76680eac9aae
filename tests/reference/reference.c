// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference-model test: a pool under random I/O, losses, returns, clean and
 * unclean restarts, compared with a model in memory, bit for bit.
 *
 *	reference [--seed N] [--ops N] [--rounds N] [--sets N|all] [--patience S]
 *		--extent SIZE [--csum-bytes SIZE] [--journal off|on|full]
 *		--volume POLICY,BLOCK,MIB... DISK...
 *
 * POLICY is replicas=R or ec=K+M. The disks are overwritten. --ops is how many
 * requests a phase has, --sets how many sets of lost backends are tried, --rounds
 * how many of the events below are drawn after them. The seed determines requests
 * and events, and their order; how they meet in time it does not.
 *
 * What the model demands is in model.h. Besides: no block ever shows a checksum
 * error (nothing here corrupts anything, so one means that a leg was read that is
 * not current); scrub finds nothing; what was rebuilt is whole, online and offline.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "load.h"
#include "pool.h"

static struct policy policies[LOAD_VOLUMES];
static struct load_volume volumes[LOAD_VOLUMES];
static unsigned int nr_volumes, nr_legs, tolerance, ops = 300, rounds = 6, sets = 4;
static unsigned int patience = 60, nr_recreated;
static const char *extent = "4M", *csum_bytes, *journal;
static struct random events;
static u64 out;		/* backends that are out or fail */
static bool scrub_dirty;	/* blocks were lost, as they may be */

/* --- waiting ----------------------------------------------------------------------------------- */

static void poll_wait(void)
{
	usleep(20000);
}

static void set_text(u64 set, char *text, size_t size)
{
	size_t n = 0;
	unsigned int i;

	*text = 0;
	for (i = 0; i < nr_legs; i++)
		if (set >> i & 1)
			n += snprintf(text + n, size - n, "%s%u", n ? "," : "", i);
}

static u64 health_out(const struct pool_status *s)
{
	u64 set = 0;
	unsigned int i;

	for (i = 0; s->health[i]; i++)
		if (s->health[i] == 'S' || s->health[i] == 'D')
			set |= 1ull << i;
	return set;
}

/* All in, in sync, and nothing going on. */
static void wait_whole(void)
{
	struct pool_status s;

	guard_stage(3, "waiting for the end of resync");
	for (;;) {
		pool_status(&s);
		if (!strcmp(s.resync, "idle") && !s.degraded && !strpbrk(s.health, "aSD"))
			return;
		poll_wait();
	}
}

/* Whatever is in is in sync, as far as it can be. */
static void wait_resync(void)
{
	struct pool_status s;

	guard_stage(3, "waiting for the end of resync");
	do {
		poll_wait();
		pool_status(&s);
	} while (strcmp(s.resync, "idle") || strchr(s.health, 'a'));
}

/* --- the pool's life --------------------------------------------------------------------------- */

static void list_legs(u64 without, char *text, size_t size)
{
	size_t n = 0;
	unsigned int i;

	*text = 0;
	for (i = 0; i < nr_legs; i++)
		if (!(without >> i & 1))
			n += snprintf(text + n, size - n, " %s", pool_leg(i));
}

static void open_volumes(void)
{
	unsigned int i;

	for (i = 0; i < nr_volumes; i++) {
		volumes[i].fd = open(volumes[i].path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (volumes[i].fd < 0)
			fail("%s: %s", volumes[i].path, strerror(errno));
	}
}

static void close_volumes(void)
{
	unsigned int i;

	for (i = 0; i < nr_volumes; i++)
		close(volumes[i].fd);
}

static void stop(void)
{
	guard_stage(2, "stopping the pool");
	close_volumes();
	must_run("qbd pool stop " POOL_NAME);
}

static void start(u64 without)
{
	char legs[4096];

	guard_stage(2, "starting the pool");
	list_legs(without, legs, sizeof(legs));
	must_run("qbd pool start%s%s", without ? " --allow-degraded" : "", legs);
	open_volumes();
}

static void create_volume(unsigned int i)
{
	const struct policy *p = &policies[i];

	snprintf(volumes[i].path, sizeof(volumes[i].path), "/dev/mapper/" POOL_NAME "-v%u_%u", i,
		 nr_recreated);
	must_run("qbd volume create " POOL_NAME "/v%u_%u --size %uM --%s --block-size %u", i,
		 nr_recreated, p->mib, p->words, p->block);
	model_init(&volumes[i].model, nr_recreated << 8 | i, p->mib << 11, p->block >> 9,
		   p->k * (p->block >> 9));
}

static void create(void)
{
	char legs[4096], csum[80] = "";
	unsigned int i;

	guard_stage(2, "creating the pool");
	list_legs(0, legs, sizeof(legs));
	if (csum_bytes)
		snprintf(csum, sizeof(csum), " --csum-bytes %s", csum_bytes);
	if (journal)
		snprintf(csum + strlen(csum), sizeof(csum) - strlen(csum), " --journal %s",
			 journal);
	must_run("qbd pool create " POOL_NAME "%s --extent-size %s%s", legs, extent, csum);
	must_run("qbd pool start%s", legs);
	for (i = 0; i < nr_volumes; i++)
		create_volume(i);
	open_volumes();
	load_use(volumes, nr_volumes);
}

/* --- checks ------------------------------------------------------------------------------------ */

static void no_csum_errors(void)
{
	u64 errors = pool_csum_errors();

	if (errors)
		fail("%llu checksum errors: legs were read that are not current",
		     (unsigned long long)errors);
}

static void check(void)
{
	guard_stage(4, "reading everything");
	load_check();
	guard_stage(4, "reading everything again");
	load_check();
	no_csum_errors();
}

static void scrub(void)
{
	struct pool_status s;

	guard_stage(3, "scrub");
	if (pool_message(NULL, 0, "scrub start"))
		fail("scrub is refused");
	do {
		poll_wait();
		pool_status(&s);
	} while (strcmp(s.scrub, "idle") || s.scrub_done < s.scrub_todo);
	if (s.bad)
		fail("scrub found %llu bad blocks", s.bad);
	if (s.lost && !scrub_dirty)
		fail("%llu blocks are lost", s.lost);
	no_csum_errors();
}

/* What is on the disks of a stopped pool. */
static void verify_offline(void)
{
	char legs[4096];

	guard_stage(2, "offline verify");
	list_legs(0, legs, sizeof(legs));
	must_run("qbd verify%s", legs);
}

/* --- losses and returns ------------------------------------------------------------------------ */

/* Lose these while I/O runs. A backend that nothing was written to is told. */
static void lose(u64 set)
{
	struct pool_status s;
	char text[200];
	unsigned int i, tries;
	u64 broken = 0;

	set_text(set, text, sizeof(text));
	for (i = 0; i < nr_legs; i++)
		if ((set >> i & 1) && random_percent(&events, 60))
			broken |= 1ull << i;
	guard_stage(2, "losing %s", text);
	load_begin();
	for (i = 0; i < nr_legs; i++) {
		if (!(set >> i & 1))
			continue;
		if (broken >> i & 1)
			pool_legs_fail(1ull << i, false);
		else if (pool_message(NULL, 0, "fail %u", i))
			fail("fail %u is refused", i);
	}
	out |= set;
	for (tries = 0;; tries++) {
		u64 left;

		pool_status(&s);
		left = out & ~health_out(&s);
		if (!left)
			break;
		if (tries > 100)
			for (i = 0; i < nr_legs; i++)
				if (left >> i & 1)
					pool_message(NULL, 0, "fail %u", i);
		poll_wait();
	}
	load_end(ops / 6);
	if (health_out(&s) != out)
		fail("health is %s, more is out than was lost", s.health);
}

/* Let these come back while I/O runs; some as empty disks. */
static void bring_back(u64 set)
{
	unsigned int i;
	int err;

	guard_stage(2, "bringing back");
	for (i = 0; i < nr_legs; i++) {
		bool replace = random_percent(&events, 30);

		if (!(set >> i & 1))
			continue;
		guard_stage(2, "%s %u", replace ? "replace" : "readd", i);
		pool_legs_heal(1ull << i);
		if (replace) {
			/* The pool may still have it open: it is emptied under its hands. */
			pool_leg_wipe(i);
			err = pool_message(NULL, 0, "replace %u %s", i, pool_leg(i));
		} else {
			err = pool_message(NULL, 0, "readd %u %s now", i, pool_leg(i));
		}
		if (err)
			fail("%s %u: %s", replace ? "replace" : "readd", i, strerror(err));
		out &= ~(1ull << i);
	}
}

static void bring_all_back(bool under_load)
{
	if (under_load)
		load_begin();
	bring_back(out);
	wait_whole();
	if (under_load) {
		guard_stage(2, "I/O after resync");
		load_end(ops / 8);
	}
}

static u64 some_set(unsigned int size, u64 among)
{
	u64 set = 0;

	while (size) {
		u64 bit = 1ull << random_below(&events, nr_legs);

		if ((set & bit) || !(among & bit))
			continue;
		set |= bit;
		size--;
	}
	return set;
}

static u64 all_legs(void)
{
	return nr_legs == 64 ? ~0ull : (1ull << nr_legs) - 1;
}

static void lose_and_return(u64 set)
{
	char text[200];

	set_text(set, text, sizeof(text));
	say("lost: %s", text);
	lose(set);
	guard_stage(3, "I/O without %s", text);
	load_run(ops / 4);
	check();
	bring_all_back(random_percent(&events, 70));
	check();
}

static void try_sets(void)
{
	u64 set;
	unsigned int i;

	if (!tolerance)
		return;
	if (sets) {
		for (i = 0; i < sets; i++)
			lose_and_return(some_set(1 + (i ? random_below(&events, tolerance) :
						      tolerance - 1), all_legs()));
		return;
	}
	for (set = 1; set <= all_legs(); set++)
		if ((unsigned int)__builtin_popcountll(set) <= tolerance)
			lose_and_return(set);
}

/* --- restarts ---------------------------------------------------------------------------------- */

/* The pool knows what is out; health after a start says the same. */
static void check_health(void)
{
	struct pool_status s;

	pool_status(&s);
	if (out & ~health_out(&s))
		fail("what was out is in after a start: health %s", s.health);
	if (health_out(&s) & ~out)
		say("out besides what was lost: health %s", s.health);
	out |= health_out(&s);
}

static void clean_restart(void)
{
	u64 absent = 0;

	/* Now and then without a member that was in: it has to be allowed. */
	say("clean restart%s", out ? ", degraded" : "");
	stop();
	if (!out && tolerance && nr_legs > 2 && random_percent(&events, 30)) {
		absent = some_set(1, all_legs());
		say("without %u", __builtin_ctzll(absent));
	}
	start(out ? out & some_set(__builtin_popcountll(out), out) : absent);
	out |= absent;
	check_health();
	check();
}

/*
 * What may be found now: of a volume with parity lost blocks, if legs are gone; of
 * any volume rows that cannot be settled yet. Returns how many blocks are lost.
 */
static u64 find(bool may_lose, bool unsettled)
{
	/* The write hole. A journal leaves rows that were written wholly, or none. */
	enum model_losses hole = !journal || !strcmp(journal, "off") ? LOSE_ROWS :
				 !strcmp(journal, "full") ? LOSE_NONE : LOSE_WHOLE_ROWS;
	/* Rows that were on their way from the journal to their place cannot be settled, too. */
	enum model_losses now = hole == LOSE_ROWS ? LOSE_ROWS : LOSE_ANY;
	unsigned int i;

	for (i = 0; i < nr_volumes; i++) {
		model_note(&volumes[i].model, "finding", 0, 0, 0);
		model_crash(&volumes[i].model, unsettled ? now :
					       may_lose && policies[i].ec ? hole : LOSE_NONE);
	}
	guard_stage(4, "finding what is there");
	return load_find(true);
}

/* Backends that failed and had to stay in answer, and all was put right. */
static void wait_recovered(void)
{
	struct pool_status s;
	unsigned int i;
	bool good;

	guard_stage(3, "waiting until all goes on");
	do {
		poll_wait();
		pool_status(&s);
		good = !s.kept;
		for (i = 0; i < nr_volumes && good; i++)
			good = !fsync(volumes[i].fd);
	} while (!good);
	/* Some may have been out before the others failed. */
	out |= health_out(&s);
}

/* Erasure codes without a journal: a row that is cut and lacks a leg loses blocks. */
static bool write_hole(void)
{
	unsigned int i;

	for (i = 0; i < nr_volumes; i++)
		if (policies[i].ec)
			return journal && !strcmp(journal, "off");
	return false;
}

/*
 * All backends fail with I/O in flight, which waits, and is made when they return. Where
 * there is a write hole no leg may be missing, nor go out before the others fail.
 */
static void outage_waits(void)
{
	bool hole = write_hole();
	struct pool_status s;

	if (hole && out)
		return;
	say("outage, and I/O waits%s", out ? ", degraded" : "");
	if (pool_message(NULL, 0, "on_loss queue"))
		fail("on_loss is refused");
	guard_stage(3, "I/O, and all backends fail");
	load_begin();
	while (random_percent(&events, 90))
		usleep(1000);
	pool_legs_fail(all_legs() & ~out, hole || random_percent(&events, 60));
	while (random_percent(&events, 90))
		usleep(10000);
	pool_legs_heal(all_legs());
	guard_stage(3, "I/O that waited");
	load_end(ops / 4);
	wait_recovered();
	if (pool_message(NULL, 0, "on_loss error"))
		fail("on_loss is refused");
	guard_stage(4, "reading after the outage");
	load_check();
	/* Rows that were cut without a leg were lost until what waited was written: they count. */
	pool_status(&s);
	scrub_dirty |= s.lost != 0;
}

/*
 * All backends fail with I/O in flight. In an outage they work again before the
 * pool is stopped, else they do only after it; then it starts again.
 */
static void unclean_restart(bool outage)
{
	bool degraded = out, atomic = random_percent(&events, 60);
	unsigned int i;
	u64 lost;

	say("%s%s%s", outage ? "outage" : "unclean restart", degraded ? ", degraded" : "",
	    atomic ? "" : ", one by one");
	guard_stage(3, "failing all backends");
	load_run(ops / 4);
	load_expect_failure();
	load_begin();
	while (random_percent(&events, 90))
		usleep(1000);
	pool_legs_fail(all_legs() & ~out, atomic);
	guard_stage(2, "waiting for I/O to fail");
	load_wait_failure();
	if (outage) {
		pool_legs_heal(all_legs());
		wait_recovered();
		degraded |= out;
		/* A row that was being destaged without a leg is found at the next start. */
		find(degraded, degraded);
		guard_stage(4, "reading after the outage");
		load_check();
	}
	guard_stage(2, "stopping a pool without backends");
	close_volumes();
	must_run("qbd pool stop " POOL_NAME);
	pool_legs_heal(all_legs());
	start(0);
	check_health();
	/* Backends that went out one after another are missing as well. */
	degraded |= out;
	lost = find(degraded, false);
	check();
	if (lost) {
		say("%llu blocks lost", (unsigned long long)lost);
		scrub_dirty = true;
		load_mend();
		check();
	}
	for (i = 0; i < nr_volumes; i++)
		model_settled(&volumes[i].model);
	/* Is parity, too, what it was reconciled to? */
	if (!out && tolerance && random_percent(&events, 60))
		lose_and_return(some_set(tolerance, all_legs()));
}

/* --- events ------------------------------------------------------------------------------------ */

static void recreate_volume(void)
{
	unsigned int i = random_below(&events, nr_volumes);
	char old[96];

	say("a volume is removed, and another made%s", out ? ", degraded" : "");
	guard_stage(2, "removing a volume");
	snprintf(old, sizeof(old), "%s", strrchr(volumes[i].path, '-') + 1);
	close(volumes[i].fd);
	must_run("qbd volume remove " POOL_NAME "/%s --yes", old);
	model_exit(&volumes[i].model);
	nr_recreated++;
	create_volume(i);
	volumes[i].fd = open(volumes[i].path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (volumes[i].fd < 0)
		fail("%s: %s", volumes[i].path, strerror(errno));
}

/* A backend goes while another is being rebuilt. */
static void loss_during_resync(void)
{
	u64 first = some_set(tolerance > 1 ? 1 : tolerance, all_legs() & ~out);

	say("a loss during resync");
	lose(first);
	pool_message(NULL, 0, "resync rate 500");
	guard_stage(2, "resync with a loss");
	load_begin();
	bring_back(first);
	load_end(ops / 8);
	if (tolerance > 1)
		lose(some_set(1, all_legs() & ~first));
	pool_message(NULL, 0, "resync rate 0");
	/* Whoever is lost next counts on it. */
	wait_resync();
	check();
}

static void draw_event(void)
{
	unsigned int left = tolerance - __builtin_popcountll(out);

	switch (random_below(&events, 12)) {
	case 0:
		clean_restart();
		break;
	case 1:
	case 2:
		unclean_restart(false);
		break;
	case 3:
	case 4:
		if (left) {
			u64 set = some_set(1 + random_below(&events, left), all_legs() & ~out);
			char text[200];

			set_text(set, text, sizeof(text));
			say("lost: %s", text);
			lose(set);
			check();
		}
		break;
	case 5:
		if (out) {
			say("back");
			bring_all_back(random_percent(&events, 70));
			check();
		}
		break;
	case 6:
		recreate_volume();
		break;
	case 7:
		if (tolerance && !out)
			loss_during_resync();
		break;
	case 8:
		unclean_restart(true);
		break;
	case 9:
		say("checkpoint");
		if (pool_message(NULL, 0, "checkpoint"))
			fail("checkpoint is refused");
		break;
	case 10:
	case 11:
		outage_waits();
		break;
	}
	/* More than may be missing cannot be: what went out one by one comes back first. */
	if ((unsigned int)__builtin_popcountll(out) > tolerance) {
		say("back, for too many are out");
		bring_all_back(false);
	}
	guard_stage(3, "I/O after an event");
	load_run(ops / 2);
}

/* Both kinds of restart while as many are out as may be. */
static void restart_degraded(void)
{
	if (!tolerance)
		return;
	lose(some_set(tolerance, all_legs()));
	clean_restart();
	guard_stage(3, "I/O while degraded");
	load_run(ops / 2);
	unclean_restart(false);
	bring_all_back(true);
	check();
}

static void scenario(void)
{
	unsigned int i;

	create();
	say("I/O");
	guard_stage(4, "I/O");
	load_run(ops);
	check();
	clean_restart();
	if (out)
		bring_all_back(true);
	guard_stage(4, "I/O");
	load_run(ops);
	unclean_restart(false);
	if (out)
		bring_all_back(true);
	try_sets();
	restart_degraded();
	for (i = 0; i < rounds; i++)
		draw_event();
	if (out) {
		say("back");
		bring_all_back(true);
	}
	say("scrub");
	scrub();
	check();
	stop();
	verify_offline();
	start(0);
	check();
	stop();
	say("%llu requests, all right", (unsigned long long)load_made());
}

/* --- the command line -------------------------------------------------------------------------- */

static void parse_volume(const char *word)
{
	struct policy *p = &policies[nr_volumes];

	if (nr_volumes == LOAD_VOLUMES)
		fail("at most %u volumes", LOAD_VOLUMES);
	policy_parse(p, word);
	if (!nr_volumes || p->m < tolerance)
		tolerance = p->m;
	nr_volumes++;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "sets", required_argument, NULL, 'n' },
		{ "patience", required_argument, NULL, 'p' },
		{ "extent", required_argument, NULL, 'e' },
		{ "csum-bytes", required_argument, NULL, 'c' },
		{ "journal", required_argument, NULL, 'j' },
		{ "volume", required_argument, NULL, 'v' },
		{}
	};
	u64 seed = time(NULL) ^ (u64)getpid() << 32;
	char replay[200];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			ops = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			sets = strcmp(optarg, "all") ? strtoul(optarg, NULL, 0) : 0;
			break;
		case 'p':
			patience = strtoul(optarg, NULL, 0);
			break;
		case 'e':
			extent = optarg;
			break;
		case 'c':
			csum_bytes = optarg;
			break;
		case 'j':
			journal = optarg;
			break;
		case 'v':
			parse_volume(optarg);
			break;
		default:
			return 2;
		}
	}
	nr_legs = argc - optind;
	if (!nr_volumes || !nr_legs || nr_legs > POOL_BACKENDS) {
		fprintf(stderr, "usage: see the head of reference.c\n");
		return 2;
	}
	snprintf(replay, sizeof(replay), "QBD_SEED=%llu", (unsigned long long)seed);
	guard_start(replay, patience);
	say("%s", replay);
	events.state = seed;
	load_init(seed ^ 0x5eed);
	pool_legs_create(argv + optind, nr_legs);
	scenario();
	pool_legs_remove();
	return 0;
}
