// SPDX-License-Identifier: GPL-2.0-only
/*
 * Order of writes: first the tables, the empty ring and the heartbeats of all
 * backends, flushed; then the superblocks, flushed. A crash before leaves devices
 * without a superblock, which are no pool; one among the superblocks leaves a pool
 * with members missing, which does not start, and is made again with --force.
 */
#include "create.h"
#include "report.h"

#include <stdlib.h>
#include <sys/random.h>
#include <uuid/uuid.h>

#define VOLUME_PAGES 64
#define LAYER_PAGES 64
#define DEFAULT_RING_BLOCKS 4096u
#define JOURNAL_RING_BLOCKS 16384u
#define MAX_RING_SHARE 8 /* of the smallest backend, one in so many bytes */
#define RING_SHARE 16 /* likewise, with a journal */

/**
 * create_min_bytes - what is smaller can be no backend
 */
u64 create_min_bytes(void)
{
	return (u64)QBD_MIN_RING_BLOCKS * QBD_PAGE_SIZE * MAX_RING_SHARE;
}

/*
 * Each journaled block waits in the ring for its place: the more, the longer. It is as
 * large on all members; on a journal device it may be nearly all that there is.
 */
static u32 ring_blocks_for(const struct create_backend *backends, unsigned int nr, u8 journal)
{
	u64 blocks = journal == QBD_JOURNAL_OFF ? DEFAULT_RING_BLOCKS : JOURNAL_RING_BLOCKS;
	u64 share = journal == QBD_JOURNAL_OFF ? 256 : RING_SHARE, most;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		most = backends[i].device.bytes / QBD_PAGE_SIZE;
		most = backends[i].role == QBD_ROLE_JOURNAL ? most / 4 * 3 : most / share;
		if (most < blocks)
			blocks = most;
	}
	return blocks < QBD_MIN_RING_BLOCKS ? QBD_MIN_RING_BLOCKS : blocks;
}

/* The host= tag; a backend without one is a failure domain of its own. */
static const char *host_of(const char *tags, size_t *length)
{
	const char *tag = tags;

	while (tag && strncmp(tag, "host=", 5)) {
		tag = strchr(tag, ' ');
		if (tag)
			tag++;
	}
	*length = tag ? strcspn(tag, " ") : 0;
	return tag;
}

static bool same_host(const struct create_backend *a, const struct create_backend *b)
{
	size_t n, m;
	const char *x = host_of(a->tags, &n), *y = host_of(b->tags, &m);

	return x && y && n == m && !memcmp(x, y, n);
}

/*
 * Who has the ring: the journal devices, if there are two; else they, and of the others
 * max(M) + 1 in all, each time the backend that shares its host with the fewest of
 * those taken. A larger M may come with a volume made later: then the kernel adds some.
 */
static u64 choose_ring(const struct create_backend *backends, unsigned int nr)
{
	unsigned int wanted = nr < QBD_MAX_M + 1 ? nr : QBD_MAX_M + 1;
	unsigned int taken = 0, i, j, best, shared, fewest;
	u64 members = 0;

	for (i = 0; i < nr; i++) {
		if (backends[i].role != QBD_ROLE_JOURNAL)
			continue;
		members |= BIT_ULL(i);
		taken++;
	}
	if (taken >= 2)
		return members;
	for (; taken < wanted; taken++) {
		best = 0;
		fewest = QBD_MAX_BACKENDS;
		for (i = 0; i < nr; i++) {
			if (members & BIT_ULL(i))
				continue;
			shared = 0;
			for (j = 0; j < nr; j++)
				if ((members & BIT_ULL(j)) && same_host(&backends[i], &backends[j]))
					shared++;
			if (shared < fewest) {
				fewest = shared;
				best = i;
			}
		}
		members |= BIT_ULL(best);
	}
	return members;
}

/**
 * create_plan - the superblocks of a new pool
 * @supers: one for each backend, zeroed
 * @small: set to the backend that is too small
 *
 * Return: 0; -EINVAL when the checksum area cannot be that large; -ENOSPC when
 * not one extent fits on a backend, or the ring not on a journal device; -EIO without
 * random numbers.
 */
int create_plan(struct qbd_super *supers, const char *name, const struct create_backend *backends,
		unsigned int nr, const struct create_options *options, unsigned int *small)
{
	const struct qbd_policy widest = { QBD_EC, 4, 2, 12 };
	struct qbd_membership *pool = &supers[0].pool;
	unsigned int i;

	uuid_generate_random(pool->pool_uuid);
	strscpy(pool->pool_name, name, sizeof(pool->pool_name));
	pool->extent_size = options->extent_size;
	pool->csum_bytes_per_slot = options->csum_bytes_per_slot;
	if (!pool->csum_bytes_per_slot)
		pool->csum_bytes_per_slot = qbd_csum_table_bytes(&widest, pool->extent_size);
	if (pool->csum_bytes_per_slot % QBD_PAGE_PLACES ||
	    pool->csum_bytes_per_slot > pool->extent_size)
		return -EINVAL;
	pool->volume_pages = VOLUME_PAGES;
	pool->layer_pages = LAYER_PAGES;
	pool->journal = options->journal;
	pool->lease_ms = options->lease_ms;
	pool->ring_blocks = ring_blocks_for(backends, nr, options->journal);
	pool->nr_epochs = 1;
	pool->epochs[0].number = 1;
	if (getrandom(&pool->epochs[0].tag, sizeof(u64), 0) != sizeof(u64))
		return -EIO;
	pool->ring_generation = 1;
	pool->ring_first_lsn = 1;
	pool->ring_members = choose_ring(backends, nr);
	for (i = 0; i < nr; i++) {
		uuid_generate_random(pool->members[i].uuid);
		memcpy(pool->members[i].tags, backends[i].tags, QBD_TAGS_SIZE);
		pool->members[i].state = QBD_MEMBER_IN;
		pool->members[i].role = backends[i].role;
		pool->epochs[0].in |= BIT_ULL(i);
	}
	for (i = 0; i < nr; i++) {
		struct qbd_geometry *g = &supers[i].geometry;

		supers[i].pool = *pool;
		memcpy(g->uuid, pool->members[i].uuid, 16);
		g->index = i;
		if (qbd_geometry_make(g, pool, backends[i].device.bytes)) {
			*small = i;
			return -ENOSPC;
		}
	}
	return 0;
}

static void empty_page(void *both, const u8 *uuid, u32 type, u64 number)
{
	struct qbd_page_id id = { .type = type, .number = number };

	memset(both, 0, QBD_PAGE_PLACES);
	if (type == QBD_PAGE_LAYER && !number) {
		struct qbd_layer_entry counter = { .number = 1 };

		qbd_layer_put(qbd_page_payload(both), 0, &counter);
	}
	qbd_page_seal(both, uuid, &id);
}

static int write_pages(const struct qbd_device *device, const u8 *uuid, u32 type, u64 start,
		       u64 nr_pages, u8 *buffer)
{
	u64 page, n, i;
	int err;

	for (page = 0; page < nr_pages; page += n) {
		n = DEVICE_CHUNK / QBD_PAGE_PLACES;
		if (n > nr_pages - page)
			n = nr_pages - page;
		for (i = 0; i < n; i++)
			empty_page(buffer + i * QBD_PAGE_PLACES, uuid, type, page + i);
		err = device_write(device, start + page * QBD_PAGE_PLACES, buffer,
				   n * QBD_PAGE_PLACES);
		if (err)
			return err;
	}
	return 0;
}

static int write_zeros(const struct qbd_device *device, u64 start, u64 bytes, u8 *buffer)
{
	u64 at, n;
	int err = 0;

	memset(buffer, 0, DEVICE_CHUNK);
	for (at = 0; !err && at < bytes; at += n) {
		n = bytes - at < DEVICE_CHUNK ? bytes - at : DEVICE_CHUNK;
		err = device_write(device, start + at, buffer, n);
	}
	return err;
}

/**
 * create_tables - all of a new backend's metadata but its superblock, flushed
 *
 * Return: 0 or a negative errno.
 */
int create_tables(const struct qbd_device *device, const struct qbd_super *super)
{
	const struct qbd_geometry *g = &super->geometry;
	const struct qbd_membership *p = &super->pool;
	u8 *buffer = device_buffer(DEVICE_CHUNK);
	int err;

	/* The superblocks, the heartbeat, and what is between it and the tables. */
	err = write_zeros(device, 0, QBD_TABLES_START, buffer);
	if (!err)
		err = write_pages(device, g->uuid, QBD_PAGE_VOLUME, g->volume_start,
				  p->volume_pages, buffer);
	if (!err)
		err = write_pages(device, g->uuid, QBD_PAGE_LAYER, g->layer_start, p->layer_pages,
				  buffer);
	if (!err)
		err = write_pages(device, g->uuid, QBD_PAGE_SLOT, g->slot_start,
				  DIV_ROUND_UP(g->nr_slots, QBD_SLOTS_PER_PAGE), buffer);
	if (!err)
		err = write_zeros(device, g->ring_start, (u64)p->ring_blocks * QBD_PAGE_SIZE,
				  buffer);
	if (!err)
		err = device_flush(device);
	free(buffer);
	return err;
}

/**
 * create_super - the superblock, which makes it a backend, flushed
 *
 * Return: 0 or a negative errno.
 */
int create_super(const struct qbd_device *device, const struct qbd_super *super)
{
	void *both = device_buffer(2 * QBD_SUPER_SIZE);
	int err;

	qbd_super_encode(super, both);
	err = device_write(device, 0, both, 2 * QBD_SUPER_SIZE);
	if (!err)
		err = device_flush(device);
	free(both);
	return err;
}
