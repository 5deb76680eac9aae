// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power cuts of what people run on a volume.
 *
 *	clients [--seed N] [--cuts N] [--going-on WORDS] [--journal MODE] [--patience S]
 *		--client ext4|fio --disks N --volume POLICY,BLOCK,MIB
 *
 * The client works on a volume while checkpoints, scrubs, losses and returns go on, all
 * of it recorded; then the power goes at --cuts instants of that. Each time the pool
 * starts on what its disks may hold, and the client looks at what it finds; and, every
 * third time, again without as many backends as may be lost.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "guard.h"
#include "mapped.h"
#include "pool.h"
#include "recorder.h"
#include "recording.h"

#define VOLUME	"v0"
#define DEVICE	"/dev/mapper/" POOL_NAME "-" VOLUME

static struct policy policy;
static struct recording recording = { .policies = &policy, .nr_policies = 1, .extent = "1M" };
static const struct client *client;
static struct random numbers;

void *client_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("no memory");
	return memory;
}

static void record(const char *going_on)
{
	u64 seed = random_next(&numbers);
	int status;
	pid_t pid;

	recording_begin(&recording, &numbers);
	recording_leave(&recording);
	guard_stage(3, "preparing %s", client->name);
	client->prepare(DEVICE, seed);
	recording_cut_from_here(&recording);
	pid = fork();
	if (!pid) {
		/* The guard of the parent looks after this process. */
		client->work(DEVICE, seed);
		_exit(0);
	}
	if (pid < 0)
		fail("no process");
	while (!waitpid(pid, &status, WNOHANG)) {
		guard_stage(6, "%s at work", client->name);
		recording_go_on(&recording, &numbers, going_on);
		usleep(random_below(&numbers, 5000));
	}
	if (status)
		fail("%s: status %d", client->name, status);
	recording_end(&recording);
}

static void lose_some(u64 at)
{
	unsigned int left = recording.tolerance, i;
	struct pool_status s;

	pool_status(&s);
	for (i = 0; s.health[i]; i++)
		if (strchr("aSD", s.health[i]))
			return;
	while (left) {
		i = random_below(&numbers, recording.nr_disks);
		pool_status(&s);
		if (strchr("SD", s.health[i]))
			continue;
		if (pool_message(NULL, 0, "fail %u", i))
			fail("fail %u is refused", i);
		left--;
	}
	guard_stage(4, "%s without some backends", client->name);
	client->check(DEVICE, at);
}

/* @at may be any instant up to the end: what came later has not begun for the client. */
static void cut(u64 at)
{
	int err;

	guard_stage(2, "the power goes at %llu", (unsigned long long)at);
	recorder_crash(at, random_next(&numbers));
	err = mapped_pool_start(recording.nr_disks, 0, "");
	if (err)
		fail("the pool cannot be started: %s", strerror(err));
	close(mapped_volume_open(VOLUME, recording.volumes[0].sectors));
	guard_stage(4, "%s after the cut at %llu", client->name, (unsigned long long)at);
	client->check(DEVICE, at);
	if (random_percent(&numbers, 30))
		lose_some(at);
	if (pool_csum_errors())
		fail("checksum errors after the cut at %llu", (unsigned long long)at);
	mapped_volume_close(VOLUME, -1);
	mapped_pool_stop();
	recorder_back();
}

static void parse_volume(const char *word)
{
	policy_parse(&policy, word);
	recording.tolerance = policy.m;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "cuts", required_argument, NULL, 'n' },
		{ "client", required_argument, NULL, 'c' },
		{ "going-on", required_argument, NULL, 'g' },
		{ "journal", required_argument, NULL, 'j' },
		{ "patience", required_argument, NULL, 'p' },
		{ "disks", required_argument, NULL, 'd' },
		{ "volume", required_argument, NULL, 'v' },
		{}
	};
	unsigned int patience = 60, cuts = 40, i;
	u64 seed = time(NULL) ^ (u64)getpid() << 32;
	const char *going_on = "ckpt,out,scrub";
	char replay[80];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			cuts = strtoul(optarg, NULL, 0);
			break;
		case 'c':
			client = !strcmp(optarg, "ext4") ? &client_ext4 : &client_fio;
			break;
		case 'g':
			going_on = optarg;
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
	if (!policy.mib || !recording.nr_disks || !client || !cuts) {
		fprintf(stderr, "usage: see the head of clients.c\n");
		return 2;
	}
	snprintf(replay, sizeof(replay), "QBD_SEED=%llu", (unsigned long long)seed);
	guard_start(replay, patience);
	say("%s", replay);
	numbers.state = seed;
	recorder_open();
	record(going_on);
	/* Forward only: instants in order, one in each part of the recording. */
	for (i = 0; i < cuts; i++)
		cut(recording.begin + (recording.end - recording.begin) * i / cuts +
		    random_below(&numbers, (recording.end - recording.begin) / cuts + 1));
	say("%s: %u power cuts over %llu events, %u outages", client->name, cuts,
	    (unsigned long long)(recording.end - recording.begin), recording.nr_outages);
	return 0;
}
