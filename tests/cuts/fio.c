// SPDX-License-Identifier: GPL-2.0-only
/*
 * fio with a checksum in every block: phase after phase writes one of some regions of
 * the volume, in blocks of 4 to 32 KiB, eight at a time, and flushes at its end. What
 * phases wrote that had ended before a cut fio finds right after it, but where the
 * next one to the same region had begun.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "guard.h"
#include "pool.h"
#include "recorder.h"

#define PHASES	9u
#define REGIONS	4u
#define BYTES	(1u << 20)	/* of a region */
#define JOBS	"/run/tmp/cuts-fio"

struct phase {
	u64 began;
	u64 done;	/* 0: not */
};

static struct phase *phases;
static u64 work_seed;

static void add_job(FILE *f, unsigned int i)
{
	fprintf(f, "[phase%u]\noffset=%u\nrandseed=%llu\nend_fsync=1\n", i, i % REGIONS * BYTES,
		(unsigned long long)(work_seed + i) % 1000000007 + 1);
}

static FILE *begin_jobs(const char *device)
{
	FILE *f = fopen(JOBS, "we");

	if (!f)
		fail("no file for fio's jobs");
	fprintf(f, "[global]\nfilename=%s\ndirect=1\nioengine=libaio\niodepth=8\nrw=randwrite\n"
		"bsrange=4k-32k\nsize=%u\nverify=crc32c\nverify_fatal=1\ndo_verify=0\nthread=1\n"
		"allow_file_create=0\n", device, BYTES);
	return f;
}

static void prepare(const char *device, u64 seed)
{
	phases = client_memory(PHASES * sizeof(*phases));
	work_seed = seed;
}

static void work(const char *device, u64 seed)
{
	unsigned int i;
	FILE *f;

	for (i = 0; i < PHASES; i++) {
		f = begin_jobs(device);
		add_job(f, i);
		fclose(f);
		phases[i].began = *recorder_clock;
		must_run("fio --output=/dev/null %s", JOBS);
		phases[i].done = *recorder_clock;
	}
}

static void check(const char *device, u64 at)
{
	FILE *f = begin_jobs(device);
	unsigned int i, jobs = 0;

	for (i = 0; i < PHASES; i++) {
		if (!phases[i].done || phases[i].done > at)
			break;
		if (i + REGIONS < PHASES && phases[i + REGIONS].began &&
		    phases[i + REGIONS].began <= at)
			continue;
		add_job(f, i);
		jobs++;
	}
	fclose(f);
	if (jobs)
		must_run("fio --verify_only %s", JOBS);
}

const struct client client_fio = { "fio", prepare, work, check };
