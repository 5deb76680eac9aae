// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile images: a pool as a power cut or a clean stop left it, with some of its
 * metadata changed and sealed again.
 *
 * A change goes to a part that is in use, nearly always: a superblock, a page of a
 * table, a block of the ring. Half of the changes are made on every backend alike,
 * so that no other copy shows them up.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <qbd/format.h>

#include "guard.h"
#include "hostile.h"
#include "mapped.h"
#include "op.h"
#include "parts.h"
#include "pool.h"
#include "recorder.h"

#define PARTS		8192u
#define DISKS		8u
#define READ_BYTES	65536u
#define LOOKED_AT	(2u << 20)	/* of a volume, at either end */

enum area { SUPER, VOLUMES, LAYERS, SLOTS, CSUM, RING, NR_AREAS };

static const unsigned int weights[NR_AREAS] = { 12, 14, 12, 18, 14, 30 };

struct disk {
	int fd;
	u8 *data;	/* up to the data area */
	size_t bytes;
	struct part parts[PARTS];
	unsigned int first[NR_AREAS + 1];	/* part of each area */
	bool touched[PARTS];
	bool unsealed[PARTS];
};

static struct disk disks[DISKS];
static u8 *buffer;

/* --- what there is to change ------------------------------------------------------------------- */

static void list_areas(struct disk *d, const struct qbd_geometry *g, unsigned int nr)
{
	const u64 starts[NR_AREAS] = { 0, g->volume_start, g->layer_start, g->slot_start,
				       g->csum_start, g->ring_start };
	unsigned int a, i = 0;

	for (a = 0; a < NR_AREAS; a++) {
		while (i < nr && d->parts[i].at < starts[a])
			i++;
		d->first[a] = i;
	}
	d->first[NR_AREAS] = nr;
}

static void disk_read(struct disk *d, unsigned int i)
{
	static u8 both[2 * QBD_SUPER_SIZE] __attribute__((aligned(4096)));
	static struct qbd_super super;
	char path[40];
	u64 bytes;

	snprintf(path, sizeof(path), "/dev/cuts%u", i);
	d->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0 || ioctl(d->fd, BLKGETSIZE64, &bytes) ||
	    pread(d->fd, both, sizeof(both), 0) != sizeof(both))
		fail("%s: %s", path, strerror(errno));
	if (qbd_super_newest(both, bytes, &super))
		fail("%s has no superblock before it is changed", path);
	if (d->bytes != super.geometry.data_start) {
		free(d->data);
		d->bytes = super.geometry.data_start;
		if (posix_memalign((void **)&d->data, 4096, d->bytes))
			fail("no memory");
	}
	list_areas(d, &super.geometry, parts_list(&super, super.pool.ring_blocks, d->parts, PARTS));
	if (pread(d->fd, d->data, d->bytes, 0) != (ssize_t)d->bytes)
		fail("%s: %s", path, strerror(errno));
	memset(d->touched, 0, sizeof(d->touched));
	memset(d->unsealed, 0, sizeof(d->unsealed));
}

static void disk_write(struct disk *d)
{
	unsigned int p;

	for (p = 0; p < d->first[NR_AREAS]; p++) {
		const struct part *part = &d->parts[p];

		if (!d->touched[p])
			continue;
		/* A lease is waited for, as long as the image says it is. */
		if (p < d->first[SUPER + 1])
			((struct qbd_super_disk *)(d->data + part->at))->lease_ms = 0;
		if (!d->unsealed[p])
			part_seal(d->data + part->at, part->size);
		if (pwrite(d->fd, d->data + part->at, part->size, part->at) != part->size)
			fail("a disk cannot be written: %s", strerror(errno));
	}
	close(d->fd);
}

static bool in_use(const struct disk *d, unsigned int p)
{
	const u8 *data = d->data + d->parts[p].at;

	return *data || memcmp(data, data + 1, d->parts[p].size - 1);
}

static unsigned int some_part(const struct disk *d, struct random *numbers)
{
	unsigned int a, w = random_below(numbers, 100), p = 0, nr, tries;

	for (a = 0; w >= weights[a]; a++)
		w -= weights[a];
	nr = d->first[a + 1] - d->first[a];
	for (tries = 0; nr && tries < 200; tries++) {
		p = d->first[a] + random_below(numbers, nr);
		if (in_use(d, p) || random_percent(numbers, 1))
			break;
	}
	return p;
}

static void change(const struct recording *r, struct random *numbers)
{
	unsigned int i, one = random_below(numbers, r->nr_disks);
	unsigned int p = some_part(&disks[one], numbers), from = some_part(&disks[one], numbers);
	bool everywhere = random_percent(numbers, 50);
	struct op op = {
		.kind = random_below(numbers, OP_KINDS),
		.at = random_below(numbers, random_percent(numbers, 80) ? 400 : 16384),
		.value = random_percent(numbers, 50) ? random_below(numbers, 256) :
						       random_next(numbers),
	};

	if (random_percent(numbers, 80))
		op.at &= ~3;
	for (i = 0; i < r->nr_disks; i++) {
		struct disk *d = &disks[i];
		u8 *bytes = d->data + d->parts[p].at;

		if (!everywhere && i != one)
			continue;
		d->touched[p] = true;
		if (op.kind == OP_UNSEAL)
			d->unsealed[p] |= random_percent(numbers, 30);
		else if (op.kind == OP_MOVE && d->parts[from].size == d->parts[p].size)
			memmove(bytes, disks[one].data + d->parts[from].at, d->parts[p].size);
		else
			op_apply(&op, bytes, d->parts[p].size);
	}
}

/* --- what is asked of one that was taken ------------------------------------------------------- */

/* Errors are as good as data; what matters is that there is an answer. */
static void use_volume(int fd, u64 bytes, struct random *numbers)
{
	u64 at, range[2];
	unsigned int i;

	for (at = 0; at < bytes && at < LOOKED_AT; at += READ_BYTES)
		pread(fd, buffer, READ_BYTES, at);
	for (at = bytes > LOOKED_AT ? (bytes - LOOKED_AT) & ~4095ull : bytes; at < bytes;
	     at += READ_BYTES)
		pread(fd, buffer, READ_BYTES, at);
	for (i = 0; i < 4; i++) {
		at = random_below(numbers, bytes / 4096) * 4096;
		pread(fd, buffer, READ_BYTES, at);
		at = random_below(numbers, i % 2 ? 512 : bytes / 4096) * 4096;
		pwrite(fd, buffer, 4096u << random_below(numbers, 5), at);
	}
	fsync(fd);
	range[0] = random_below(numbers, bytes >> 20 ?: 1) << 20;
	range[1] = 1 << 20;
	ioctl(fd, random_percent(numbers, 50) ? BLKDISCARD : BLKZEROOUT, range);
	fsync(fd);
}

static void use_volumes(struct random *numbers)
{
	char reply[16384], device[80], path[120], params[120], *line, *next;
	unsigned long long sectors;
	unsigned int number, nr = 0;
	int fd;

	guard_stage(2, "volumes of a hostile image");
	if (device_message(POOL_NAME, "volumes", reply, sizeof(reply)))
		return;
	for (line = reply; *line && nr < 6; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (sscanf(line, "%u %*s %*s %llu", &number, &sectors) != 2)
			continue;
		snprintf(device, sizeof(device), POOL_NAME "-h%u", nr++);
		snprintf(params, sizeof(params), "/dev/mapper/" POOL_NAME " %u", number);
		snprintf(path, sizeof(path), "/dev/mapper/%s", device);
		if (device_make(device, "qbd", sectors, params))
			continue;
		fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		guard_stage(4, "I/O to volume %u of a hostile image", number);
		if (fd >= 0 && sectors >= 8)
			use_volume(fd, sectors << 9, numbers);
		if (fd >= 0)
			close(fd);
		guard_stage(2, "closing volume %u of a hostile image", number);
		if (device_remove(device))
			fail("%s cannot be removed", device);
	}
}

static void use(const struct recording *r, struct random *numbers)
{
	char message[80], reply[16384];
	unsigned int i = random_below(numbers, r->nr_disks);

	use_volumes(numbers);
	/* The rest takes longer than all the reading. */
	if (random_percent(numbers, 60))
		return;
	device_message(POOL_NAME, "verify", reply, sizeof(reply));
	device_message(POOL_NAME, "backends", reply, sizeof(reply));
	guard_stage(4, "scrub of a hostile image");
	device_message(POOL_NAME, "scrub start", NULL, 0);
	wait_idle();
	guard_stage(4, "loss and return in a hostile image");
	snprintf(message, sizeof(message), "fail %u", i);
	device_message(POOL_NAME, message, NULL, 0);
	use_volumes(numbers);
	snprintf(message, sizeof(message), "readd %u /dev/cuts%u", i, i);
	device_message(POOL_NAME, message, NULL, 0);
	wait_idle();
	guard_stage(4, "checkpoint of a hostile image");
	device_message(POOL_NAME, "create_volume another 8192 replicas=2", NULL, 0);
	device_message(POOL_NAME, "checkpoint", NULL, 0);
}

static int start(const struct recording *r, struct random *numbers)
{
	static const char *const features[] = {
		"", "", "", " 1 allow_degraded", " 1 read_only", " 2 allow_degraded read_only",
	};
	u64 absent = random_percent(numbers, 15) ? 1ull << random_below(numbers, r->nr_disks) : 0;
	const char *words = features[random_below(numbers, 6)];

	return mapped_pool_start(r->nr_disks, absent, absent ? " 1 allow_degraded" : words);
}

void image_try(const struct recording *r, u64 at, struct random *numbers,
	       struct hostile_counts *counts)
{
	unsigned int i, n = 1 + random_below(numbers, random_percent(numbers, 60) ? 3 : 12);

	if (!buffer && posix_memalign((void **)&buffer, 4096, READ_BYTES))
		fail("no memory");
	if (r->nr_disks > DISKS)
		fail("at most %u disks", DISKS);
	guard_stage(2, "making a hostile image");
	recorder_crash(at, random_next(numbers));
	for (i = 0; i < r->nr_disks; i++)
		disk_read(&disks[i], i);
	for (i = 0; i < n; i++)
		change(r, numbers);
	for (i = 0; i < r->nr_disks; i++)
		disk_write(&disks[i]);
	guard_stage(4, "starting a hostile image");
	if (start(r, numbers)) {
		counts->refused++;
	} else {
		counts->taken++;
		use(r, numbers);
		guard_stage(4, "stopping a hostile image");
		mapped_pool_stop();
	}
	no_report();
	recorder_back();
}
