// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "guard.h"

#define DEBUGFS "/sys/kernel/debug/"

const char *const fault_names[NR_FAULTS] = { "failslab", "fail_page_alloc", "fail_make_request" };

/* What a call takes from "space", about: bytes, pages, bytes. */
static const unsigned int call_size[NR_FAULTS] = { 128, 1, 4096 };

static enum fault armed;
/* Open all the time: what arms and disarms must not be what fails. */
static int nth_fd, probability_fd[NR_FAULTS];

static int try_put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

static void put(enum fault fault, const char *name, unsigned int value)
{
	char path[120], text[20];
	int err;

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", fault_names[fault], name);
	snprintf(text, sizeof(text), "%u", value);
	err = try_put(path, text);
	if (err)
		fail("%s: %s", path, strerror(err));
}

static int must_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void set(int fd, unsigned int value)
{
	char text[20];

	snprintf(text, sizeof(text), "%u", value);
	if (write(fd, text, strlen(text)) < 0)
		fail("a fault cannot be set: %s", strerror(errno));
}

static long get(int fd)
{
	char text[40] = "";

	/* A file of debugfs knows no offsets, that of the task keeps one. */
	if (pread(fd, text, sizeof(text) - 1, 0) < 0 && read(fd, text, sizeof(text) - 1) < 0)
		fail("a fault cannot be read: %s", strerror(errno));
	return strtol(text, NULL, 10);
}

/* The kernel's workers, now and, by the one that makes them, later. */
static void flag_workers(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char path[300], name[40];
	int fd;

	while (dir && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		memset(name, 0, sizeof(name));
		if (fd < 0 || read(fd, name, sizeof(name) - 1) < 0)
			name[0] = 0;
		if (fd >= 0)
			close(fd);
		if (strncmp(name, "kworker/", 8) && strcmp(name, "kthreadd\n"))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", entry->d_name);
		try_put(path, "1");
	}
	closedir(dir);
}

void faults_init(char **disks, unsigned int nr)
{
	enum fault f;
	char path[200];
	unsigned int i;
	int err;

	for (f = 0; f < NR_FAULTS; f++) {
		put(f, "probability", 0);
		put(f, "interval", 1);
		put(f, "verbose", 0);
		put(f, "task-filter", f != FAULT_REQUEST);
		snprintf(path, sizeof(path), DEBUGFS "%s/probability", fault_names[f]);
		probability_fd[f] = must_open(path);
	}
	nth_fd = must_open("/proc/thread-self/fail-nth");
	/* What may wait for memory fails, too, and single pages. */
	put(FAULT_SLAB, "ignore-gfp-wait", 0);
	put(FAULT_PAGE, "ignore-gfp-wait", 0);
	put(FAULT_PAGE, "min-order", 0);
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/sys/class/block/%s/make-it-fail",
			 strrchr(disks[i], '/') + 1);
		err = try_put(path, "1");
		if (err)
			fail("%s: %s", path, strerror(err));
	}
	flag_workers();
}

void fault_arm(enum fault fault, unsigned int nth)
{
	armed = fault;
	if (fault != FAULT_REQUEST)
		flag_workers();
	put(fault, "space", nth * call_size[fault]);
	put(fault, "times", 1);
	set(probability_fd[fault], 100);
	if (fault != FAULT_REQUEST)
		set(nth_fd, nth);
}

bool fault_disarm(void)
{
	bool hit = armed != FAULT_REQUEST && !get(nth_fd);
	char path[120];
	int fd;

	if (armed != FAULT_REQUEST)
		set(nth_fd, 0);
	set(probability_fd[armed], 0);
	snprintf(path, sizeof(path), DEBUGFS "%s/times", fault_names[armed]);
	fd = must_open(path);
	hit |= !get(fd);
	close(fd);
	return hit;
}
