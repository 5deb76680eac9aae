// SPDX-License-Identifier: GPL-2.0-only
/*
 * ext4 with work that waits for the disk all the time: files are written, synced,
 * renamed over others, appended to, removed; several threads, each with files of its own.
 *
 * After a cut the filesystem mounts; each file is as the last thing left it that was
 * synced before, or as one did that began; and after the journal's replay fsck has
 * nothing to say.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "guard.h"
#include "pool.h"
#include "recorder.h"

#define FILES	16u
#define THREADS	4u
#define STEPS	14u	/* of each file */
#define MOST	49152u	/* bytes of a file that is written anew, or added to one */
#define DIR	"/run/tmp/cuts-ext4"

enum kind { REPLACE, APPEND, REMOVE };

/* A file after a step has @bytes; each piece of them is of the version that wrote it. */
struct step {
	enum kind kind;
	u32 bytes;
	u32 version;	/* of the first piece, and of those appended one more each */
	u32 pieces;
	u32 ends[STEPS];
	u64 began;
	u64 done;	/* 0: not */
};

struct file {
	struct step steps[STEPS];
	unsigned int nr;
};

static struct file *files;
static u64 work_seed;

static u8 byte_of(u32 version, u32 at)
{
	return random_mix((u64)version << 32 | at / 8) >> (at % 8 * 8);
}

static void path_of(char *path, unsigned int i, bool temporary)
{
	sprintf(path, DIR "/%s%u", temporary ? "new" : "file", i);
}

static void sync_dir(void)
{
	int fd = open(DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		fail(DIR ": %s", strerror(errno));
	close(fd);
}

static void write_piece(const char *path, int flags, u32 version, u32 first, u32 bytes)
{
	u8 *data = malloc(bytes);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	u32 i;

	for (i = 0; i < bytes; i++)
		data[i] = byte_of(version, first + i);
	if (fd < 0 || write(fd, data, bytes) != bytes || fsync(fd))
		fail("%s: %s", path, strerror(errno));
	close(fd);
	free(data);
}

/* The record of a step is there before it begins, and its end only when it is durable. */
static void take_step(struct file *f, unsigned int i, struct random *numbers)
{
	struct step *s = &f->steps[f->nr], *before = f->nr ? s - 1 : NULL;
	bool there = before && before->kind != REMOVE;
	char path[60], temporary[60];
	u32 bytes = 1 + random_below(numbers, MOST), first;

	path_of(path, i, false);
	path_of(temporary, i, true);
	s->kind = there ? random_below(numbers, 5) % 3 : REPLACE;
	s->version = i << 16 | f->nr << 4;
	if (s->kind == APPEND) {
		memcpy(s->ends, before->ends, sizeof(s->ends));
		s->pieces = before->pieces;
		s->version = before->version;
		s->bytes = before->bytes;
	}
	first = s->bytes;
	if (s->kind != REMOVE) {
		s->bytes += bytes;
		s->ends[s->pieces++] = s->bytes;
	}
	s->began = *recorder_clock;
	__atomic_store_n(&f->nr, f->nr + 1, __ATOMIC_RELEASE);
	if (s->kind == REPLACE) {
		write_piece(temporary, O_TRUNC, s->version, 0, bytes);
		if (rename(temporary, path))
			fail("%s: %s", path, strerror(errno));
		sync_dir();
	} else if (s->kind == APPEND) {
		write_piece(path, O_APPEND, s->version + s->pieces - 1, first, bytes);
	} else {
		if (unlink(path))
			fail("%s: %s", path, strerror(errno));
		sync_dir();
	}
	s->done = *recorder_clock;
}

static void *thread(void *arg)
{
	unsigned int t = (unsigned long)arg, n, i;
	struct random numbers = { random_mix(work_seed + t) };

	for (n = 0; n < STEPS; n++)
		for (i = t; i < FILES; i += THREADS)
			take_step(&files[i], i, &numbers);
	return NULL;
}

static void prepare(const char *device, u64 seed)
{
	must_run("mkfs.ext4 -q -F %s", device);
	files = client_memory(FILES * sizeof(*files));
	memset(files, 0, FILES * sizeof(*files));
	mkdir("/run/tmp", 0755);
	if (mkdir(DIR, 0755) && errno != EEXIST)
		fail(DIR ": %s", strerror(errno));
}

static void mount_it(const char *device)
{
	if (mount(device, DIR, "ext4", 0, "errors=remount-ro"))
		fail("%s cannot be mounted: %s", device, strerror(errno));
}

static void work(const char *device, u64 seed)
{
	pthread_t threads[THREADS];
	unsigned long t;

	work_seed = seed;
	mount_it(device);
	for (t = 0; t < THREADS; t++)
		if (pthread_create(&threads[t], NULL, thread, (void *)t))
			fail("no thread");
	for (t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	if (umount(DIR))
		fail("umount: %s", strerror(errno));
}

/* Is the file what that step makes of it? Or, while it is being appended to, a part of that? */
static bool is_of(const struct step *s, const u8 *data, ssize_t bytes, bool partly)
{
	u32 piece = 0, at;

	if (s->kind == REMOVE || bytes < 0)
		return s->kind == REMOVE && bytes < 0;
	if (bytes != s->bytes && (!partly || s->kind != APPEND || bytes > s->bytes ||
				  bytes < s->ends[s->pieces - 2]))
		return false;
	for (at = 0; at < bytes; at++) {
		while (at >= s->ends[piece])
			piece++;
		if (data[at] == byte_of(s->version + piece, at))
			continue;
		/* ext4 may write the size before the data: until then it reads as zeros. */
		if (!partly || s->kind != APPEND || data[at] || at < s->ends[s->pieces - 2])
			return false;
	}
	return true;
}

static void check_file(const struct file *f, unsigned int i, u64 at)
{
	static u8 data[STEPS * MOST + 1];
	unsigned int n, last = 0;
	ssize_t bytes = -1;
	bool any = false;
	char path[60];
	int fd;

	path_of(path, i, false);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		fail("%s: %s", path, strerror(errno));
	if (fd >= 0) {
		bytes = read(fd, data, sizeof(data));
		if (bytes < 0)
			fail("%s: %s", path, strerror(errno));
		close(fd);
	}
	for (n = 0; n < f->nr; n++) {
		if (!f->steps[n].done || f->steps[n].done > at)
			break;
		any = true;
		last = n;
	}
	if (any ? is_of(&f->steps[last], data, bytes, false) : bytes < 0)
		return;
	/* The one that the cut came into. */
	if (n < f->nr && f->steps[n].began <= at && is_of(&f->steps[n], data, bytes, true))
		return;
	for (last = last ? last - 1 : 0; last <= n && last < f->nr; last++)
		say("step %u: kind %u, %u bytes, %llu to %llu", last, f->steps[last].kind,
		    f->steps[last].bytes, (unsigned long long)f->steps[last].began,
		    (unsigned long long)f->steps[last].done);
	fail("%s has %zd bytes, and not what was synced: step %u of %u", path, bytes,
	     any ? n : 0, f->nr);
}

static void check(const char *device, u64 at)
{
	unsigned int i;

	mount_it(device);
	for (i = 0; i < FILES; i++)
		check_file(&files[i], i, at);
	if (umount(DIR))
		fail("umount: %s", strerror(errno));
	must_run("e2fsck -fn %s", device);
}

const struct client client_ext4 = { "ext4", prepare, work, check };
