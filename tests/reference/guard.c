// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"

struct io {
	const char *what; /* NULL: none */
	u64 first;
	u32 nr;
	u64 since;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct io ios[GUARD_SLOTS];
static char stage[200] = "start";
static char replay_words[200];
static char more_words[300];
static u64 stage_since, stage_until;
static unsigned int seconds;

void (*guard_on_fail)(void);

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static void sysrq(const char *key)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, key, 1) < 0)
		printf("sysrq %s: %s\n", key, strerror(errno));
	close(fd);
}

/* A program in an uninterruptible wait does not end; then the kernel does. */
static void end(int status)
{
	pid_t me = getpid();
	int i;

	fflush(stdout);
	if (!fork()) {
		for (i = 0; i < 40; i++) {
			usleep(250000);
			if (kill(me, 0))
				_exit(0);
		}
		printf("the program cannot end: the kernel is switched off\n");
		fflush(stdout);
		sleep(2);
		reboot(RB_POWER_OFF);
		_exit(0);
	}
	_exit(status);
}

static void report(void)
{
	unsigned int i;

	printf("during: %s, for %llu s\n", stage, (unsigned long long)(now() - stage_since));
	for (i = 0; i < GUARD_SLOTS; i++)
		if (ios[i].what)
			printf("in flight for %llu s: %s %llu +%u\n",
			       (unsigned long long)(now() - ios[i].since), ios[i].what,
			       (unsigned long long)ios[i].first, ios[i].nr);
	printf("replay: %s%s%s\n", replay_words, *more_words ? ", " : "", more_words);
	fflush(stdout);
	if (system("timeout 5 dmsetup status 2>&1; timeout 5 dmsetup message ref 0 backends 2>&1;"
		   " dmesg | tail -n 40") < 0)
		printf("no status\n");
	fflush(stdout);
}

void guard_replay(const char *words)
{
	pthread_mutex_lock(&lock);
	snprintf(more_words, sizeof(more_words), "%s", words);
	pthread_mutex_unlock(&lock);
}

void fail(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&lock);
	printf("failed: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	report();
	if (guard_on_fail)
		guard_on_fail();
	end(1);
	for (;;)
		pause();
}

static void stalled(void)
{
	printf("stalled\n");
	report();
	sysrq("w");
	sysrq("t");
	/* Stacks of workers that wait, the module's above all. */
	if (system("echo; echo blocked tasks:; for t in /proc/[0-9]*/task/[0-9]*; do "
		   "grep -q qbd_ $t/stack 2>/dev/null && "
		   "{ cat $t/comm; grep -v ' <0>' $t/stack; }; done; "
		   "dmesg | tail -n 400 | grep -A 14 -E 'state:D|qbd_'") < 0)
		printf("no stacks\n");
	end(1);
}

static void *watch(void *unused)
{
	unsigned int i;

	for (;;) {
		bool late;

		usleep(500000);
		pthread_mutex_lock(&lock);
		late = now() > stage_until;
		for (i = 0; i < GUARD_SLOTS; i++)
			late |= ios[i].what && now() - ios[i].since > seconds;
		if (late)
			stalled();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

void guard_start(const char *replay, unsigned int patience)
{
	pthread_t thread;

	snprintf(replay_words, sizeof(replay_words), "%s", replay);
	seconds = patience;
	stage_until = now() + patience;
	if (pthread_create(&thread, NULL, watch, NULL))
		fail("no thread");
}

void guard_stage(unsigned int factor, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&lock);
	va_start(args, format);
	vsnprintf(stage, sizeof(stage), format, args);
	va_end(args);
	stage_since = now();
	stage_until = now() + (u64)factor * seconds;
	pthread_mutex_unlock(&lock);
}

void guard_io_begin(unsigned int slot, const char *what, u64 first, u32 nr)
{
	pthread_mutex_lock(&lock);
	ios[slot] = (struct io){ .what = what, .first = first, .nr = nr, .since = now() };
	pthread_mutex_unlock(&lock);
}

void guard_io_end(unsigned int slot)
{
	pthread_mutex_lock(&lock);
	ios[slot].what = NULL;
	pthread_mutex_unlock(&lock);
}

void say(const char *format, ...)
{
	static u64 start;
	va_list args;
	u64 ms = now_ms();

	if (!start)
		start = ms;
	pthread_mutex_lock(&lock);
	printf("%4llu.%01llu  ", (unsigned long long)(ms - start) / 1000,
	       (unsigned long long)(ms - start) % 1000 / 100);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	pthread_mutex_unlock(&lock);
}
