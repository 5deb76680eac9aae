// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"
#include "recorder.h"

#define COPY_BYTES (1u << 20)

const volatile u64 *recorder_clock;
static int fd;
static struct cuts_crash last;

void recorder_open(void)
{
	void *page;

	fd = open("/dev/cuts", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("/dev/cuts: %s", strerror(errno));
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		fail("the clock cannot be mapped: %s", strerror(errno));
	recorder_clock = page;
}

static void control(unsigned long command, void *argument, const char *what)
{
	if (ioctl(fd, command, argument))
		fail("recorder: %s: %s", what, strerror(errno));
}

void recorder_reset(void)
{
	control(CUTS_RESET, NULL, "reset");
}

void recorder_crash(u64 at, u64 seed)
{
	last = (struct cuts_crash){ at, seed };
	control(CUTS_CRASH, &last, "crash");
}

static bool copy_disk(const char *dir, unsigned int i, u8 *buffer)
{
	char path[300];
	ssize_t n = -1;
	int from, to;
	off_t at = 0;

	snprintf(path, sizeof(path), "/dev/cuts%u", i);
	from = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/%u.img", dir, i);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	while (from >= 0 && to >= 0 && (n = pread(from, buffer, COPY_BYTES, at)) > 0) {
		if (pwrite(to, buffer, n, at) != n)
			return false;
		at += n;
	}
	close(from);
	close(to);
	return !n;
}

/* It ends the program: an error here is told, and that is all. */
void recorder_keep(const char *dir, unsigned int disks)
{
	unsigned int i;
	void *buffer;

	printf("the last cut: at %llu, seed %llu\n", (unsigned long long)last.at,
	       (unsigned long long)last.seed);
	if (!dir || !last.at)
		return;
	if (ioctl(fd, CUTS_BACK) || ioctl(fd, CUTS_CRASH, &last) ||
	    posix_memalign(&buffer, 4096, COPY_BYTES)) {
		printf("its disks cannot be had again: %s\n", strerror(errno));
		return;
	}
	for (i = 0; i < disks; i++)
		if (!copy_disk(dir, i, buffer))
			printf("disk %u cannot be copied: %s\n", i, strerror(errno));
	printf("its disks are in %s\n", dir);
}

void recorder_back(void)
{
	control(CUTS_BACK, NULL, "back");
}

void recorder_delay(u64 seed)
{
	__u64 word = seed;

	control(CUTS_DELAY, &word, "delay");
}

void recorder_fail(u64 disks)
{
	__u64 word = disks;

	control(CUTS_FAIL, &word, "fail");
}

struct cuts_info recorder_info(void)
{
	struct cuts_info info;

	control(CUTS_INFO, &info, "info");
	if (info.full)
		fail("more events than the recorder has room for");
	return info;
}

char *recorder_kinds(u64 *nr)
{
	struct cuts_info info = recorder_info();
	char *kinds = malloc(info.next - info.first + 1);
	u64 done = 0;
	ssize_t n;

	*nr = info.next - info.first;
	while (kinds && done < *nr) {
		n = pread(fd, kinds + done, *nr - done, done);
		if (n <= 0)
			fail("recorder: read: %s", strerror(errno));
		done += n;
	}
	if (!kinds)
		fail("no memory");
	return kinds;
}
