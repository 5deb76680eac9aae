// SPDX-License-Identifier: GPL-2.0-only
/*
 * The power-cut test: a pool under random I/O and all else that goes on in one is
 * recorded; then the power goes at many instants of that, and each time the pool is
 * started on what its disks may hold then.
 *
 *	cuts [--seed N] [--cuts N] [--each N|--every-flush] [--seconds N] [--requests N]
 *		[--going-on WORDS] [--losses] [--journal MODE] [--keep DIR] [--patience S]
 *		--disks N [--extent SIZE] --volume POLICY,BLOCK,MIB...
 *	cuts --sequence NAME --disks N --volume POLICY,BLOCK,MIB [...]
 *
 * POLICY is replicas=R or ec=K+M. --cuts is how many instants are tried at least,
 * --seconds for how long (the later of both ends it), --each of them over a recording
 * of --requests requests, or those before and behind each of its flushes. --losses: backends are lost together with the power. --journal
 * on: only rows that were overwritten whole may lose blocks; full: none. --keep:
 * where copies of the disks go, as the cut left them after which a check failed.
 *
 * With --sequence (sequence.c) there is no load, and the power goes all over it.
 * The seed determines requests, instants, and what of the unflushed writes is
 * there; how the requests meet in time it does not.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "guard.h"
#include "recorder.h"
#include "sequence.h"

static struct policy policies[LOAD_VOLUMES];
static struct recording recording = { .policies = policies, .extent = "1M" };
static unsigned int cuts = 100, seconds, requests = 150, each = 100;
static const char *going_on = "ckpt,side,out,scrub", *keep, *sequence;
static bool losses, every_flush;
static enum model_losses hole = LOSE_ROWS;
static struct random numbers;

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* A random one of @near that was not taken yet, of which there are @left in front. */
static u64 take(u64 *near, u64 left)
{
	u64 i = random_below(&numbers, left), taken = near[i];

	near[i] = near[left - 1];
	near[left - 1] = taken;
	return taken;
}

/*
 * Instants of the recording, in order: half of them near certain events, before or
 * behind, where there are such: flushes, each before any comes twice, or in a short
 * sequence the records of the ring. The others are any; in a short sequence at the
 * same distance. With --every-flush: before and behind each flush, and no other.
 */
static unsigned int choose(u64 **list)
{
	u64 events, first = recorder_info().first, *near, *instants, nr = 0, i;
	u64 length = recording.end - recording.begin;
	char *kinds = recorder_kinds(&events);
	unsigned int n = 0, most, beside;

	near = calloc(events + 1, sizeof(u64));
	if (!near)
		fail("no memory");
	for (i = recording.begin - first; i < events; i++)
		if (strchr(sequence ? "aA" : "fF", kinds[i]))
			near[nr++] = first + i;
	most = every_flush ? 2 * nr : each;
	beside = every_flush ? 0 : most / 2;
	instants = calloc(most + 1, sizeof(u64));
	if (!instants)
		fail("no memory");
	for (i = 0; every_flush && i < most; i++)
		instants[n++] = near[i / 2] + i % 2;
	for (i = 0; nr && i < beside; i++)
		instants[n++] = (sequence ? near[i * nr / beside] : take(near, nr - i % nr)) +
				random_below(&numbers, 2);
	for (i = 0; n < most; i++)
		instants[n++] = recording.begin + (sequence ? length * i / (most - beside) :
						   random_below(&numbers, length + 1));
	if (!sequence)
		say("%llu of %llu flushes have a cut beside them",
		    (unsigned long long)(every_flush || nr < beside ? nr : beside),
		    (unsigned long long)nr);
	qsort(instants, n, sizeof(u64), compare);
	free(near);
	free(kinds);
	*list = instants;
	return n;
}

/* Backends that a power cut takes with it besides those that are out; a majority is left. */
static u64 some_absent(u64 out)
{
	unsigned int gone = __builtin_popcountll(out), most = 0, n;
	u64 set = 0;

	if (gone < recording.tolerance)
		most = recording.tolerance - gone;
	if (most > (recording.nr_disks - gone - 1) / 2)
		most = (recording.nr_disks - gone - 1) / 2;
	n = random_below(&numbers, most + 1);
	while (n) {
		u64 bit = 1ull << random_below(&numbers, recording.nr_disks);

		n -= !((set | out) & bit);
		set |= bit & ~out;
	}
	return set;
}

static void keep_disks(void)
{
	recorder_keep(keep, recording.nr_disks);
}

static void try_cut(u64 at)
{
	struct check check = { .seed = random_next(&numbers), .hole = hole };
	unsigned int i;
	u64 out = 0;

	check.scrub = random_percent(&numbers, 30);
	check.lose = sequence || random_percent(&numbers, 30);
	check.readmit = random_percent(&numbers, 15);
	if (random_percent(&numbers, 30))
		check.again = 1 + random_below(&numbers, 3);
	for (i = 0; i < recording.nr_outages; i++)
		if (recording.outages[i].fail_began <= at && recording.outages[i].whole > at)
			out |= 1ull << recording.outages[i].backend;
	if (losses)
		check.absent = some_absent(out);
	/* Who is lost on purpose after the first cut is out at the second. */
	if (losses && !check.lose)
		check.absent_again = some_absent(out | check.absent);
	check_cut(&recording, at, &check, &numbers);
}

static void run_all(void)
{
	u64 began = now_ms(), *instants, recorded = 0, mark;
	unsigned int nr, i, rounds = 0;

	while (check_counts.cuts < cuts || now_ms() - began < seconds * 1000ull) {
		mark = now_ms();
		if (sequence)
			sequence_make(&recording, &numbers, sequence);
		else
			recording_make(&recording, &numbers, requests, going_on);
		recorded += now_ms() - mark;
		nr = choose(&instants);
		rounds++;
		say("recording %u: %llu events, %u volumes, %u outages", rounds,
		    (unsigned long long)(recording.end - recording.begin), recording.nr_volumes,
		    recording.nr_outages);
		for (i = 0; i < nr; i++)
			try_cut(instants[i]);
		free(instants);
		recording_free(&recording);
	}
	mark = now_ms() - began;
	say("%llu power cuts, %llu more while recovering from one; %u recordings",
	    (unsigned long long)check_counts.cuts, (unsigned long long)check_counts.again, rounds);
	say("%llu losses, %llu returns, %llu scrubs; %llu blocks lost to the write hole",
	    (unsigned long long)check_counts.losses, (unsigned long long)check_counts.readmitted,
	    (unsigned long long)check_counts.scrubs, (unsigned long long)check_counts.lost_blocks);
	say("%.1f s, %.1f s of it recording: %.1f cuts a second", mark / 1000.0, recorded / 1000.0,
	    (check_counts.cuts + check_counts.again) * 1000.0 / (mark - recorded + 1));
}

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

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "cuts", required_argument, NULL, 'n' },
		{ "each", required_argument, NULL, 'a' },
		{ "seconds", required_argument, NULL, 't' },
		{ "requests", required_argument, NULL, 'r' },
		{ "going-on", required_argument, NULL, 'g' },
		{ "sequence", required_argument, NULL, 'q' },
		{ "journal", required_argument, NULL, 'j' },
		{ "keep", required_argument, NULL, 'k' },
		{ "losses", no_argument, NULL, 'l' },
		{ "every-flush", no_argument, NULL, 'f' },
		{ "patience", required_argument, NULL, 'p' },
		{ "disks", required_argument, NULL, 'd' },
		{ "extent", required_argument, NULL, 'e' },
		{ "volume", required_argument, NULL, 'v' },
		{}
	};
	u64 seed = time(NULL) ^ (u64)getpid() << 32;
	unsigned int patience = 60;
	char replay[200];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			cuts = strtoul(optarg, NULL, 0);
			break;
		case 'a':
			each = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			requests = strtoul(optarg, NULL, 0);
			break;
		case 'g':
			going_on = optarg;
			break;
		case 'q':
			sequence = optarg;
			break;
		case 'j':
			recording.journal = optarg;
			hole = !strcmp(optarg, "off") ? LOSE_ROWS :
			       !strcmp(optarg, "full") ? LOSE_NONE : LOSE_WHOLE_ROWS;
			break;
		case 'k':
			keep = optarg;
			break;
		case 'l':
			losses = true;
			break;
		case 'f':
			every_flush = true;
			break;
		case 'p':
			patience = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			recording.nr_disks = strtoul(optarg, NULL, 0);
			break;
		case 'e':
			recording.extent = optarg;
			break;
		case 'v':
			parse_volume(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!recording.nr_policies || !recording.nr_disks || recording.nr_disks > CUTS_DISKS) {
		fprintf(stderr, "usage: see the head of cuts.c\n");
		return 2;
	}
	snprintf(replay, sizeof(replay), "QBD_SEED=%llu", (unsigned long long)seed);
	guard_start(replay, patience);
	say("%s", replay);
	numbers.state = seed;
	load_shape(sequence ? 256 : 1024, 10);
	load_init(seed ^ 0x5eed);
	recorder_open();
	guard_on_fail = keep_disks;
	run_all();
	return 0;
}
