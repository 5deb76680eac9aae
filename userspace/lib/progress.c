// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"
#include "parse.h"
#include "report.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_SECONDS 10 /* between lines where there is no terminal */
#define START_SECONDS 0.5

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void rest(double seconds)
{
	struct timespec t = { .tv_sec = seconds, .tv_nsec = (seconds - (u64)seconds) * 1e9 };

	nanosleep(&t, NULL);
}

/**
 * progress_line - "resync 45%, 123/456 chunks, 120M/s, 0:12:34 left"
 * @seconds: since the wait began
 * @done_before: chunks done then, and @count_before: bytes written then
 */
void progress_line(enum progress_job job, const struct live_job *state, double seconds,
		   u64 done_before, u64 count_before, char *line, size_t size)
{
	u64 done = state->done > done_before ? state->done - done_before : 0;
	u64 count = state->count > count_before ? state->count - count_before : 0;
	u64 left = state->total > state->done ? state->total - state->done : 0;
	char rate[16], eta[32] = "";
	u64 s;

	if (done && seconds > 0) {
		s = left * seconds / done;
		snprintf(eta, sizeof(eta), ", %llu:%02u:%02u left", (unsigned long long)s / 3600,
			 (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
	}
	if (seconds <= 0)
		seconds = 1;
	if (job == PROGRESS_RESYNC)
		snprintf(line, size, "resync %3.0f%%, %llu/%llu chunks, %s/s%s",
			 state->total ? 100.0 * state->done / state->total : 100.0,
			 (unsigned long long)state->done, (unsigned long long)state->total,
			 format_size(count / seconds, rate), eta);
	else
		snprintf(line, size, "scrub %3.0f%%, %llu/%llu chunks, %.1f chunks/s%s",
			 state->total ? 100.0 * state->done / state->total : 100.0,
			 (unsigned long long)state->done, (unsigned long long)state->total,
			 done / seconds, eta);
}

static const struct live_job *job_of(const struct live_status *status, enum progress_job job)
{
	return job == PROGRESS_RESYNC ? &status->resync : &status->scrub;
}

static bool runs(const struct live_job *job)
{
	return !strcmp(job->state, "running");
}

/*
 * The kernel starts the job a moment after the message is answered: until it is
 * seen to run, or to have run, or START_SECONDS have passed.
 */
static int wait_for_start(const struct live_pool *pool, enum progress_job job,
			  const struct live_job *before)
{
	double end = now() + START_SECONDS;
	struct live_status status;
	const struct live_job *state = job_of(&status, job);
	int err;

	do {
		err = live_read_status(pool->name, &status);
		if (err || runs(state) || state->done != before->done ||
		    state->total != before->total || state->count != before->count)
			return err;
		rest(0.005);
	} while (now() < end);
	return 0;
}

static void show(const char *line, bool terminal)
{
	if (terminal)
		fprintf(stderr, "\r%-78s", line);
	else
		fprintf(stderr, "%s\n", line);
	fflush(stderr);
}

/* Until it does not run any more. */
static int wait_for_end(const struct live_pool *pool, enum progress_job job, bool quiet,
			struct live_status *last)
{
	bool terminal = isatty(STDERR_FILENO), shown = false;
	double start = now(), interval = 0.02, next;
	const struct live_job *state = job_of(last, job);
	struct live_job first;
	char line[160];
	int err;

	err = live_read_status(pool->name, last);
	first = *state;
	next = start + (terminal ? 0 : PLAIN_SECONDS);
	while (!err && runs(state)) {
		if (!quiet && now() >= next) {
			progress_line(job, state, now() - start, first.done, first.count, line,
				      sizeof(line));
			show(line, terminal);
			shown = terminal;
			next += terminal ? 1 : PLAIN_SECONDS;
		}
		/* A short job is over at once, a long one is asked once a second. */
		rest(interval);
		interval = interval < 0.5 ? 2 * interval : 1;
		err = live_read_status(pool->name, last);
	}
	if (shown)
		fprintf(stderr, "\r%78s\r", "");
	return err;
}

/**
 * progress_run - start a job, and wait until it is over
 * @quiet: show nothing
 * @last: set to the status that ended it; one that ran already is waited for
 *
 * Return: 0, or a negative errno when it cannot be started or asked for.
 */
int progress_run(const struct live_pool *pool, enum progress_job job, bool quiet,
		 struct live_status *last)
{
	struct live_status before;
	int err;

	err = live_read_status(pool->name, &before);
	if (!err)
		err = live_message(pool, NULL,
				   job == PROGRESS_RESYNC ? "resync start" : "scrub start");
	if (!err)
		err = wait_for_start(pool, job, job_of(&before, job));
	if (!err)
		err = wait_for_end(pool, job, quiet, last);
	return err;
}
