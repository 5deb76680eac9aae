// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata of a pool that is at rest, valid piece by piece, which the target never writes:
 *
 *	contradict next-layer N DISK...	the layer table says that the next layer is number N
 *	contradict whole-ring GEN DISK...	the log is as long as the ring: chunk 0 of layer 1, of that
 *					gen, is being written, again and again
 *
 * DISK: all backends of the pool.
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
#include "parts.h"

struct disk {
	int fd;
	struct qbd_super super;
};

static void read_at(const struct disk *d, void *bytes, size_t size, u64 at)
{
	if (pread(d->fd, bytes, size, at) != (ssize_t)size)
		fail("a disk cannot be read: %s", strerror(errno));
}

static void write_at(const struct disk *d, const void *bytes, size_t size, u64 at)
{
	if (pwrite(d->fd, bytes, size, at) != (ssize_t)size)
		fail("a disk cannot be written: %s", strerror(errno));
}

static void disk_open(struct disk *d, const char *path)
{
	static u8 both[2 * QBD_SUPER_SIZE];
	u64 bytes;

	d->fd = open(path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0 || ioctl(d->fd, BLKGETSIZE64, &bytes))
		fail("%s: %s", path, strerror(errno));
	read_at(d, both, sizeof(both), 0);
	if (qbd_super_newest(both, bytes, &d->super))
		fail("%s has no superblock", path);
}

/* In both places of the page that has it. */
static void next_layer(const struct disk *d, u32 number)
{
	static u8 raw[QBD_PAGE_SIZE] __attribute__((aligned(8)));
	unsigned int place;

	for (place = 0; place < 2; place++) {
		u64 at = d->super.geometry.layer_start + place * QBD_PAGE_SIZE;
		struct qbd_layer_entry entry;

		read_at(d, raw, sizeof(raw), at);
		qbd_layer_get(qbd_page_payload(raw), 0, &entry);
		entry.number = number;
		qbd_layer_put(qbd_page_payload(raw), 0, &entry);
		part_seal(raw, sizeof(raw));
		write_at(d, raw, sizeof(raw), at);
	}
}

/* What would be written next to the ring. */
static void ring_end(const struct disk *d, struct qbd_ring_block *end)
{
	static u8 raw[QBD_PAGE_SIZE] __attribute__((aligned(8)));
	const struct qbd_membership *pool = &d->super.pool;
	u32 place;

	for (place = 0; place < pool->ring_blocks; place++) {
		struct qbd_ring_block b;

		read_at(d, raw, sizeof(raw),
			d->super.geometry.ring_start + (u64)place * QBD_PAGE_SIZE);
		if (qbd_ring_block_check(raw, pool->pool_uuid, &b) ||
		    b.generation != pool->ring_generation || b.number < end->number)
			continue;
		end->number = b.number + 1;
		end->first_lsn = b.first_lsn + b.nr_records;
	}
}

/* @b: the first of the blocks; a batch and a record each. */
static void whole_ring(const struct disk *d, struct qbd_ring_block b, u64 gen)
{
	const struct qbd_membership *pool = &d->super.pool;
	struct qbd_record r = { .type = QBD_RECORD_RANGE, .layer = 1, .gen = gen, .nr_rows = 1 };
	static u8 raw[QBD_PAGE_SIZE] __attribute__((aligned(8)));
	u32 i;

	b.tail = b.number;
	b.nr_records = 1;
	for (i = 0; i < pool->ring_blocks; i++, b.number++, b.first_lsn++) {
		memset(raw, 0, sizeof(raw));
		b.used = qbd_record_encode(&r, ((struct qbd_ring_disk *)raw)->payload);
		qbd_ring_block_seal(raw, pool->pool_uuid, &b);
		write_at(d, raw, sizeof(raw), d->super.geometry.ring_start +
			 b.number % pool->ring_blocks * QBD_PAGE_SIZE);
	}
}

int main(int argc, char **argv)
{
	bool layers = argc > 3 && !strcmp(argv[1], "next-layer");
	bool ring = argc > 3 && !strcmp(argv[1], "whole-ring");
	u64 value = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	unsigned int nr = argc - 3, i;
	struct qbd_ring_block end = {};
	struct disk *disks;

	if (!layers && !ring)
		fail("usage: contradict next-layer N DISK... | whole-ring GEN DISK...");
	disks = calloc(nr, sizeof(*disks));
	if (!disks)
		fail("no memory");
	for (i = 0; i < nr; i++)
		disk_open(&disks[i], argv[3 + i]);
	end.generation = disks[0].super.pool.ring_generation;
	end.number = disks[0].super.pool.ring_first_block;
	end.first_lsn = disks[0].super.pool.ring_first_lsn;
	for (i = 0; i < nr && ring; i++)
		ring_end(&disks[i], &end);
	for (i = 0; i < nr; i++) {
		if (layers)
			next_layer(&disks[i], value);
		else if (disks[i].super.pool.ring_members >> disks[i].super.geometry.index & 1)
			whole_ring(&disks[i], end, value);
		if (fsync(disks[i].fd) || close(disks[i].fd))
			fail("a disk cannot be flushed: %s", strerror(errno));
	}
	free(disks);
	return 0;
}
