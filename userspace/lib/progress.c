// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"
#include "parse.h"
#include "report.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_SECONDS 10 /* between lines where there is no terminal */

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

/**
 * progress_wait - until the job does not run any more
 * @quiet: show nothing
 * @last: set to the status that ended it
 *
 * Return: 0, or a negative errno when the status cannot be read.
 */
int progress_wait(const struct live_pool *pool, enum progress_job job, bool quiet,
		  struct live_status *last)
{
	bool terminal = isatty(STDERR_FILENO), shown = false;
	double start = now(), interval = 0.02, next;
	u64 done = 0, count = 0;
	struct live_job *state;
	char line[160];
	bool first = true;
	int err;

	next = start + (terminal ? 0 : PLAIN_SECONDS);
	for (;; first = false) {
		err = live_read_status(pool->name, last);
		if (err)
			break;
		state = job == PROGRESS_RESYNC ? &last->resync : &last->scrub;
		if (first) {
			done = state->done;
			count = state->count;
		}
		if (strcmp(state->state, "running"))
			break;
		if (!quiet && now() >= next) {
			progress_line(job, state, now() - start, done, count, line,
				      sizeof(line));
			if (terminal)
				fprintf(stderr, "\r%-78s", line);
			else
				fprintf(stderr, "%s\n", line);
			fflush(stderr);
			shown = terminal;
			next += terminal ? 1 : PLAIN_SECONDS;
		}
		/* A short job is over at once, a long one is asked once a second. */
		rest(interval);
		interval = interval < 0.5 ? 2 * interval : 1;
	}
	if (shown)
		fprintf(stderr, "\r%78s\r", "");
	return err;
}
