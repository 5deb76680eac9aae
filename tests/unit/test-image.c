// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offline verify: pools in files, as "pool create" makes them, and then written to
 * as the kernel would; what is whole, degraded, stale and lost is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create.h"
#include "image.h"
#include "pools.h"
#include "verify.h"
#include "words.h"

#define BACKENDS 6
#define BYTES (24ull << 20)
#define LAYER 1
#define CHUNKS 4
#define INSYNC_ALL 0x3full

static char folder[64];
static struct create_backend backends[BACKENDS];
static struct qbd_super *supers;
static unsigned int here; /* bitmap of the devices that are shown */
static struct qbd_image image;
static struct qbd_scan scan;
static struct verify result;
static bool loaded;

static char *path_of(unsigned int i)
{
	static char paths[BACKENDS][96];

	snprintf(paths[i], sizeof(paths[i]), "%s/%u", folder, i);
	return paths[i];
}

static int setup(void **state)
{
	struct create_options options = { .extent_size = 1u << 20 };
	unsigned int i, small;
	int fd;

	snprintf(folder, sizeof(folder), "%s/qbd-test-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(folder));
	memset(backends, 0, sizeof(backends));
	supers = calloc(BACKENDS, sizeof(*supers));
	for (i = 0; i < BACKENDS; i++) {
		fd = open(path_of(i), O_RDWR | O_CREAT, 0600);
		assert_int_equal(ftruncate(fd, BYTES), 0);
		close(fd);
		assert_int_equal(device_open_exclusive(&backends[i].device, path_of(i)), 0);
		snprintf(backends[i].tags, QBD_TAGS_SIZE, "host=%c", 'A' + i / 2);
	}
	assert_int_equal(create_plan(supers, "tank", backends, BACKENDS, &options, &small), 0);
	for (i = 0; i < BACKENDS; i++) {
		assert_int_equal(create_tables(&backends[i].device, &supers[i]), 0);
		assert_int_equal(create_super(&backends[i].device, &supers[i]), 0);
	}
	here = INSYNC_ALL;
	return 0;
}

static void unload(void)
{
	if (!loaded)
		return;
	verify_free(&result);
	image_free(&image);
	scan_free(&scan);
	loaded = false;
}

static int teardown(void **state)
{
	unsigned int i;

	unload();
	for (i = 0; i < BACKENDS; i++) {
		device_close(&backends[i].device);
		unlink(path_of(i));
	}
	rmdir(folder);
	free(supers);
	return 0;
}

static void put_bytes(unsigned int backend, u64 at, const void *bytes, size_t size)
{
	assert_int_equal(device_write(&backends[backend].device, at, bytes, size), 0);
}

/* As the kernel writes a page: into the other place, with the next seq. */
static void put_entry(unsigned int backend, u32 type, u64 start, unsigned int per_page, u32 entry,
		      const void *value, u64 lsn)
{
	u8 *both = device_buffer(QBD_PAGE_PLACES), *to;
	u64 page = entry / per_page, at = start + page * QBD_PAGE_PLACES;
	const u8 *uuid = supers[backend].geometry.uuid;
	struct qbd_page_id id = {};
	int place;

	assert_int_equal(device_read(&backends[backend].device, at, both, QBD_PAGE_PLACES), 0);
	place = qbd_page_newest(both, uuid, type, page, 0, &id);
	assert_true(place >= 0);
	to = both + !place * QBD_PAGE_SIZE;
	memcpy(to, both + place * QBD_PAGE_SIZE, QBD_PAGE_SIZE);
	if (type == QBD_PAGE_SLOT)
		qbd_slot_put(qbd_page_payload(to), entry % per_page, value);
	else if (type == QBD_PAGE_VOLUME)
		qbd_volume_put(qbd_page_payload(to), entry % per_page, value);
	else
		qbd_layer_put(qbd_page_payload(to), entry % per_page, value);
	id.seq++;
	id.lsn = lsn;
	qbd_page_seal(to, uuid, &id);
	put_bytes(backend, at + !place * QBD_PAGE_SIZE, to, QBD_PAGE_SIZE);
	free(both);
}

static void put_slot(unsigned int backend, u32 slot, const struct qbd_slot *entry, u64 lsn)
{
	put_entry(backend, QBD_PAGE_SLOT, supers[backend].geometry.slot_start, QBD_SLOTS_PER_PAGE,
		  slot, entry, lsn);
}

static struct qbd_volume_entry volume_entry(u32 number, const struct qbd_policy *policy)
{
	struct qbd_volume_entry v = { .number = number,
				      .state = QBD_LIVE,
				      .top_layer = number,
				      .sectors = CHUNKS * policy->k * 2048ull,
				      .policy = *policy };

	snprintf(v.name, sizeof(v.name), "vol%u", number);
	return v;
}

static struct qbd_layer_entry layer_entry(u32 number, const struct qbd_policy *policy)
{
	return (struct qbd_layer_entry){ .number = number,
					 .state = QBD_LIVE,
					 .volume = number,
					 .sectors = CHUNKS * policy->k * 2048ull,
					 .policy = *policy };
}

/* A volume in the tables of all backends, of CHUNKS chunks. */
static void put_volume(u32 number, const struct qbd_policy *policy)
{
	struct qbd_volume_entry v = volume_entry(number, policy);
	struct qbd_layer_entry l = layer_entry(number, policy);
	unsigned int i;

	for (i = 0; i < BACKENDS; i++) {
		put_entry(i, QBD_PAGE_VOLUME, supers[i].geometry.volume_start, QBD_VOLUMES_PER_PAGE,
			  number, &v, 5);
		put_entry(i, QBD_PAGE_LAYER, supers[i].geometry.layer_start, QBD_LAYERS_PER_PAGE,
			  number, &l, 5);
	}
}

static struct qbd_slot leg(u32 layer, u32 chunk, u8 number)
{
	return (struct qbd_slot){ .layer = layer,
				  .chunk = chunk,
				  .gen = 10 + chunk,
				  .insync = INSYNC_ALL,
				  .epoch = 1,
				  .leg = number,
				  .state = QBD_SLOT_LIVE };
}

static const struct qbd_policy ec = { QBD_EC, 4, 2, 12 };
static const struct qbd_policy mirror = { QBD_REPLICAS, 1, 1, 12 };

/* An ec=4+2 volume whose chunk c has leg i on backend i, in slot c. */
static void put_whole_volume(void)
{
	unsigned int i, c;

	put_volume(LAYER, &ec);
	for (c = 0; c < CHUNKS; c++)
		for (i = 0; i < BACKENDS; i++) {
			struct qbd_slot s = leg(LAYER, c, i);

			put_slot(i, c, &s, 20);
		}
}

static void put_super(unsigned int i)
{
	u8 *raw = device_buffer(QBD_SUPER_SIZE);

	supers[i].seq++;
	qbd_super_encode(&supers[i], raw);
	put_bytes(i, (supers[i].seq & 1) * QBD_SUPER_SIZE, raw, QBD_SUPER_SIZE);
	free(raw);
}

/* A new epoch without some backends, in the superblocks of all others. */
static void new_epoch(unsigned int out)
{
	struct qbd_membership pool;
	unsigned int i, in = ~out & INSYNC_ALL;

	for (i = 0; !(in & 1u << i); i++)
		;
	pool = supers[i].pool;
	memmove(&pool.epochs[1], &pool.epochs[0], (QBD_EPOCHS - 1) * sizeof(pool.epochs[0]));
	pool.epochs[0].number++;
	pool.epochs[0].tag = 0x1000 + pool.epochs[0].number + out;
	pool.epochs[0].in = in;
	pool.nr_epochs += pool.nr_epochs < QBD_EPOCHS;
	pool.ring_members &= ~(u64)out;
	for (i = 0; i < BACKENDS; i++) {
		pool.members[i].state = out & 1u << i ? QBD_MEMBER_OUT : QBD_MEMBER_IN;
		if (out & 1u << i)
			pool.members[i].out_epoch = pool.epochs[0].number;
	}
	for (i = 0; i < BACKENDS; i++) {
		if (out & 1u << i)
			continue;
		supers[i].pool = pool;
		put_super(i);
	}
}

/* One ring block of records, to the members of a bitmap. */
static void put_ring(unsigned int members, u64 number, u64 first_lsn,
		     const struct qbd_record *records, unsigned int nr)
{
	u8 *raw = device_buffer(QBD_PAGE_SIZE);
	struct qbd_ring_disk *d = (struct qbd_ring_disk *)raw;
	struct qbd_ring_block b = {
		.generation = 1, .number = number, .first_lsn = first_lsn, .nr_records = nr
	};
	unsigned int i;

	for (i = 0; i < nr; i++)
		b.used += qbd_record_encode(&records[i], d->payload + b.used);
	qbd_ring_block_seal(raw, supers[0].pool.pool_uuid, &b);
	for (i = 0; i < BACKENDS; i++)
		if (members & 1u << i)
			put_bytes(i, supers[i].geometry.ring_start + number * QBD_PAGE_SIZE, raw,
				  QBD_PAGE_SIZE);
	free(raw);
}

static void load(void)
{
	unsigned int i;

	unload();
	memset(&scan, 0, sizeof(scan));
	for (i = 0; i < BACKENDS; i++)
		if (here & 1u << i)
			assert_int_equal(scan_device(&scan, path_of(i)), 0);
	assert_int_equal(image_assemble(&image, &scan, 0), 0);
	image_load_tables(&image);
	image_load_slots(&image);
	verify_image(&image, &result);
	loaded = true;
}

#define assert_counts(v, w, d, s, l, n)                                                           \
	do {                                                                                      \
		const struct verify_volume *counted = &result.volumes[v];                         \
		if (counted->whole != (w) || counted->degraded != (d) || counted->stale != (s) || \
		    counted->lost != (l) || counted->losses != (n))                               \
			fail_msg("whole %llu degraded %llu stale %llu lost %llu losses %u",       \
				 (unsigned long long)counted->whole,                              \
				 (unsigned long long)counted->degraded,                           \
				 (unsigned long long)counted->stale,                              \
				 (unsigned long long)counted->lost, counted->losses);             \
	} while (0)

static void test_empty_pool(void **state)
{
	unsigned int i;

	load();
	assert_int_equal(result.nr_volumes, 0);
	assert_int_equal(image.ring_error, -ENODATA);
	assert_int_equal(image.bad_tables, 0);
	assert_int_equal(image.layers[0].number, 1); /* the next layer */
	for (i = 0; i < BACKENDS; i++) {
		assert_int_equal(image.members[i].standing, IMAGE_IN);
		assert_int_equal(image.members[i].bad_pages, 0);
	}
	/* Five ring members, on all three hosts. */
	assert_int_equal(__builtin_popcountll(image.newest->pool.ring_members), 5);
}

static void test_ring_is_spread(void **state)
{
	struct create_options options = { .extent_size = 1u << 20 };
	unsigned int i, small;
	u64 members;

	/* Four of six on one host: the ring takes the two others, and three of these. */
	for (i = 0; i < 4; i++)
		strscpy(backends[i].tags, "ssd host=X", QBD_TAGS_SIZE);
	memset(supers, 0, BACKENDS * sizeof(*supers));
	assert_int_equal(create_plan(supers, "p", backends, BACKENDS, &options, &small), 0);
	members = supers[0].pool.ring_members;
	assert_int_equal(members & 0x30, 0x30);
	assert_int_equal(__builtin_popcountll(members), 5);
	memset(supers, 0, BACKENDS * sizeof(*supers));
	assert_int_equal(create_plan(supers, "p", backends, 2, &options, &small), 0);
	assert_int_equal(supers[0].pool.ring_members, 3);
	/* Of an extent that fits nowhere. */
	options.extent_size = 64u << 20;
	memset(supers, 0, BACKENDS * sizeof(*supers));
	assert_int_equal(create_plan(supers, "p", backends, 2, &options, &small), -ENOSPC);
	options.extent_size = 1u << 20;
	options.csum_bytes_per_slot = 4096;
	memset(supers, 0, BACKENDS * sizeof(*supers));
	assert_int_equal(create_plan(supers, "p", backends, 2, &options, &small), -EINVAL);
}

static void test_whole(void **state)
{
	put_whole_volume();
	load();
	assert_int_equal(result.nr_volumes, 1);
	assert_string_equal(result.volumes[0].name, "vol1");
	assert_counts(0, 4, 0, 0, 0, 2);
	assert_int_equal(result.unclaimed, 0);
}

static void test_devices_missing(void **state)
{
	put_whole_volume();
	here = INSYNC_ALL & ~1u;
	load();
	assert_counts(0, 0, 4, 0, 0, 1);
	here = INSYNC_ALL & ~3u;
	load();
	assert_counts(0, 0, 4, 0, 0, 0);
	here = INSYNC_ALL & ~7u;
	load();
	assert_counts(0, 0, 0, 0, 4, 0);
	here = 1u << 5; /* one alone tells all volumes */
	load();
	assert_counts(0, 0, 0, 0, 4, 0);
}

static void test_stale_legs(void **state)
{
	struct qbd_slot s;
	unsigned int i;

	put_whole_volume();
	/* Chunk 0: leg 2 left insync. */
	for (i = 0; i < BACKENDS; i++) {
		s = leg(LAYER, 0, i);
		s.insync &= ~4ull;
		s.epoch = 2;
		put_slot(i, 0, &s, 30);
	}
	/* Chunk 1: leg 3 is of an epoch before the others'. */
	for (i = 0; i < BACKENDS; i++) {
		s = leg(LAYER, 1, i);
		s.epoch = i == 3 ? 1 : 2;
		put_slot(i, 1, &s, 31);
	}
	/* Chunk 2: leg 4 is of an earlier chunk at this place. */
	s = leg(LAYER, 2, 4);
	s.gen--;
	put_slot(4, 2, &s, 32);
	/* Chunk 3: leg 5 is being rebuilt. */
	s = leg(LAYER, 3, 5);
	s.state = QBD_SLOT_REBUILD;
	put_slot(5, 3, &s, 33);
	load();
	assert_counts(0, 0, 0, 4, 0, 1);
}

static void test_a_leg_freed(void **state)
{
	struct qbd_slot none = {};

	put_whole_volume();
	put_slot(2, 1, &none, 40);
	load();
	assert_counts(0, 3, 1, 0, 0, 1); /* there is nothing that could be stale */
}

/* A chunk whose newest gen has one leg only: the older legs do not count. */
static void test_newest_gen_rules(void **state)
{
	struct qbd_slot s = leg(LAYER, 0, 0);

	put_whole_volume();
	s.gen = 99;
	put_slot(0, 0, &s, 50);
	load();
	assert_counts(0, 3, 0, 0, 1, 0);
}

/* Two legs of one number, or a leg that the policy has not, count for nothing. */
static void test_strange_legs(void **state)
{
	struct qbd_slot s = leg(LAYER, 0, 0);

	put_whole_volume();
	put_slot(1, 0, &s, 50); /* leg 0 again in the place of leg 1 */
	s = leg(LAYER, 1, 19);
	put_slot(1, 1, &s, 51);
	s = leg(LAYER, CHUNKS, 0); /* beyond the volume's end */
	put_slot(0, 9, &s, 52);
	s = leg(77, 0, 0); /* of no layer */
	put_slot(0, 10, &s, 53);
	load();
	assert_counts(0, 2, 2, 0, 0, 1);
	assert_int_equal(result.unclaimed, 2);
}

/* A backend that is out has its device here, and newer tables: it is not asked. */
static void test_out_member_is_not_asked(void **state)
{
	struct qbd_slot s = leg(LAYER, 0, 0);

	put_whole_volume();
	new_epoch(1);
	s.gen = 99;
	put_slot(0, 0, &s, 99);
	load();
	assert_int_equal(image.members[0].standing, IMAGE_OUT);
	assert_counts(0, 0, 4, 0, 0, 1);
	assert_false(image.diverged);
}

/* The superblock of one member is an epoch behind: a crash among their writes. */
static void test_epoch_half_written(void **state)
{
	struct qbd_super old = supers[3];

	put_whole_volume();
	new_epoch(0);
	old.seq = supers[3].seq;
	supers[3] = old;
	put_super(3);
	load();
	assert_int_equal(image.members[3].standing, IMAGE_IN);
	assert_counts(0, 4, 0, 0, 0, 2);
}

/* The epoch that lets a backend in again reached all but that backend. */
static void test_return_half_written(void **state)
{
	struct qbd_super old = supers[5];

	put_whole_volume();
	new_epoch(0x20);
	new_epoch(0);
	old.seq = supers[5].seq;
	supers[5] = old;
	put_super(5);
	load();
	assert_false(image.diverged);
	assert_int_equal(image.newest->pool.epochs[0].number, 2);
	assert_int_equal(image.members[4].standing, IMAGE_IN);
	assert_int_equal(image.members[5].standing, IMAGE_OUT);
}

static void test_split_brain(void **state)
{
	struct qbd_super before[BACKENDS];
	const u64 left = 0x1000 + 2 + 0x38, right = 0x1000 + 3 + 0x07;
	unsigned int i;

	put_whole_volume();
	memcpy(before, supers, sizeof(before));
	new_epoch(0x38); /* 0..2 go on without 3..5 */
	for (i = 3; i < BACKENDS; i++)
		supers[i] = before[i];
	for (i = 3; i < BACKENDS; i++)
		supers[i].pool.epochs[0].number = 1;
	new_epoch(0x07); /* and 3..5 without them, twice */
	for (i = 3; i < BACKENDS; i++)
		assert_int_equal(supers[i].pool.epochs[0].number, 2);
	new_epoch(0x07);
	load();
	assert_true(image.diverged);
	assert_int_equal(image.newest->pool.epochs[0].tag, right);
	assert_int_equal(image.members[0].standing, IMAGE_OUT);
	unload();
	for (i = 0; i < BACKENDS; i++)
		assert_int_equal(scan_device(&scan, path_of(i)), 0);
	assert_int_equal(image_assemble(&image, &scan, left), 0);
	assert_int_equal(image.newest->pool.epochs[0].tag, left);
	assert_int_equal(image.members[0].standing, IMAGE_IN);
	assert_int_equal(image.members[5].standing, IMAGE_OUT);
	image_free(&image);
	assert_int_equal(image_assemble(&image, &scan, 5), -ENOENT);
	image_free(&image);
	scan_free(&scan);
}

/* A backend that is older than the history reaches is no split brain. */
static void test_very_old_member(void **state)
{
	unsigned int i;

	put_whole_volume();
	for (i = 0; i < QBD_EPOCHS + 3; i++)
		new_epoch(i & 1 ? 3 : 1);
	load();
	assert_int_equal(image.diverged, 0);
	assert_int_equal(image.members[0].standing, IMAGE_OUT);
	assert_counts(0, 0, 4, 0, 0, 1);
}

/* The device that a backend had before it was replaced is here again. */
static void test_former_member(void **state)
{
	struct qbd_super old = supers[2];
	unsigned int i;

	put_whole_volume();
	for (i = 0; i < BACKENDS; i++)
		supers[i].pool.members[2].uuid[0] ^= 1;
	supers[2].geometry.uuid[0] ^= 1;
	new_epoch(0);
	supers[2] = old;
	supers[2].seq = 9;
	put_super(2);
	load();
	assert_int_equal(image.nr_strangers, 1);
	assert_int_equal(image.diverged, 0);
	assert_int_equal(image.members[2].standing, IMAGE_MISSING);
	assert_null(image.members[2].found);
	assert_counts(0, 0, 4, 0, 0, 1);
}

/* A torn slot page leaves the one before it; two torn places lose its entries. */
static void test_torn_slot_page(void **state)
{
	u64 at = supers[2].geometry.slot_start;
	u8 *junk = device_buffer(QBD_PAGE_SIZE);
	struct qbd_slot s = leg(LAYER, 0, 2);

	put_whole_volume(); /* five writes of the page: the newest is in place 0 */
	s.insync = 0;
	put_slot(2, 0, &s, 60);
	put_bytes(2, at + QBD_PAGE_SIZE, junk, 4096);
	load();
	assert_counts(0, 4, 0, 0, 0, 2);
	assert_int_equal(image.members[2].bad_pages, 0);
	put_bytes(2, at, junk, 4096);
	load();
	assert_counts(0, 0, 4, 0, 0, 1);
	assert_int_equal(image.members[2].bad_pages, 1);
	free(junk);
}

static struct qbd_record chunk_record(u32 chunk, u64 gen, u64 insync, u32 epoch)
{
	struct qbd_record r = { .type = QBD_RECORD_CHUNK,
				.op = QBD_CHUNK_ALLOC,
				.layer = LAYER,
				.chunk = chunk,
				.gen = gen,
				.insync = insync,
				.epoch = epoch,
				.nr_legs = BACKENDS };
	unsigned int i;

	for (i = 0; i < BACKENDS; i++) {
		r.legs[i].slot = chunk;
		r.legs[i].backend = i;
		r.legs[i].leg = i;
		r.legs[i].state = QBD_SLOT_LIVE;
	}
	return r;
}

/* All that a volume is may still be in the ring: it, its layer, its chunks. */
static void test_all_in_the_ring(void **state)
{
	struct qbd_record records[4] = {
		{ .type = QBD_RECORD_VOLUME, .index = 3, .volume = volume_entry(LAYER, &ec) },
		{ .type = QBD_RECORD_LAYER, .index = 7, .layer_entry = layer_entry(LAYER, &ec) },
		chunk_record(0, 3, INSYNC_ALL, 1),
		chunk_record(1, 4, INSYNC_ALL, 1),
	};

	put_ring(0x1f, 0, 1, records, 4);
	load();
	assert_int_equal(image.ring_error, 0);
	assert_int_equal(image.nr_records, 4);
	assert_int_equal(result.nr_volumes, 1);
	assert_counts(0, 2, 0, 0, 0, 2);
	/* One ring member has all of it. */
	here = 1u << 4;
	load();
	assert_counts(0, 0, 0, 0, 2, 0);
	/* The others say so too: their legs are named by records alone. */
	here = INSYNC_ALL & ~3u;
	load();
	assert_counts(0, 0, 2, 0, 0, 0);
	/* The one that is no ring member knows nothing. */
	here = 1u << 5;
	load();
	assert_int_equal(result.nr_volumes, 0);
}

/* A page takes a record only if the record's LSN is newer than the page's. */
static void test_page_and_record(void **state)
{
	struct qbd_record records[3] = {
		chunk_record(0, 10, INSYNC_ALL & ~1ull, 2), /* LSN 19: in the pages, of 20 */
		chunk_record(1, 11, INSYNC_ALL & ~1ull, 2), /* LSN 20: in them, too */
		chunk_record(2, 12, INSYNC_ALL & ~1ull, 2), /* LSN 21: newer */
	};

	put_whole_volume();
	put_ring(0x1f, 0, 19, records, 3);
	load();
	assert_counts(0, 3, 0, 1, 0, 1);
}

/* Of a slot's records the last one stands, also when it frees the slot. */
static void test_last_record_stands(void **state)
{
	struct qbd_record records[3] = {
		chunk_record(0, 10, 0, 9),
		chunk_record(0, 10, INSYNC_ALL, 9),
		chunk_record(1, 11, INSYNC_ALL, 9),
	};
	unsigned int i;

	put_whole_volume();
	for (i = 0; i < BACKENDS; i++)
		records[2].legs[i].state = QBD_SLOT_FREE;
	put_ring(0x1f, 0, 30, records, 3);
	load();
	assert_counts(0, 3, 0, 0, 0, 2);
}

/* The entries of a page that is damaged on a backend may be in the ring. */
static void test_record_over_damaged_page(void **state)
{
	struct qbd_record record = chunk_record(0, 10, INSYNC_ALL, 9);
	u8 *junk = device_buffer(QBD_PAGE_PLACES);

	put_whole_volume();
	put_ring(0x1f, 0, 30, &record, 1);
	put_bytes(2, supers[2].geometry.slot_start, junk, QBD_PAGE_PLACES);
	load();
	assert_counts(0, 1, 3, 0, 0, 1);
	free(junk);
}

static void test_ring_lost_records(void **state)
{
	struct qbd_record record = chunk_record(0, 10, INSYNC_ALL, 9);

	put_whole_volume();
	put_ring(0x1f, 0, 30, &record, 1);
	put_ring(0x1f, 2, 32, &record, 1);
	load();
	assert_int_equal(image.ring_error, -EUCLEAN);
}

/* The tables of volumes: the newest page over all members. */
static void test_newest_table_page(void **state)
{
	struct qbd_volume_entry v = volume_entry(LAYER, &ec);

	put_whole_volume();
	strscpy(v.name, "renamed", sizeof(v.name));
	put_entry(4, QBD_PAGE_VOLUME, supers[4].geometry.volume_start, QBD_VOLUMES_PER_PAGE, LAYER,
		  &v, 70);
	load();
	assert_string_equal(result.volumes[0].name, "renamed");
	v.state = QBD_DELETING;
	put_entry(4, QBD_PAGE_VOLUME, supers[4].geometry.volume_start, QBD_VOLUMES_PER_PAGE, LAYER,
		  &v, 71);
	load();
	assert_int_equal(result.nr_volumes, 0);
	assert_int_equal(result.unclaimed, CHUNKS);
}

static void test_mirror(void **state)
{
	struct qbd_slot s;
	unsigned int c;

	put_volume(2, &mirror);
	for (c = 0; c < CHUNKS; c++) {
		s = leg(2, c, 0);
		s.insync = BIT_ULL(c) | BIT_ULL(c + 1);
		put_slot(c, c, &s, 20);
		s.leg = 1;
		put_slot(c + 1, c, &s, 20);
	}
	load();
	assert_counts(0, 4, 0, 0, 0, 1);
	here = INSYNC_ALL & ~2u;
	load();
	assert_counts(0, 2, 2, 0, 0, 0);
	/* Chunk 0 had its legs on these two: no table that is left names it. */
	here = INSYNC_ALL & ~3u;
	load();
	assert_counts(0, 2, 1, 0, 0, 0);
}

static void test_two_devices_of_one_backend(void **state)
{
	u8 *raw = device_buffer(DEVICE_CHUNK);
	u64 at;

	put_whole_volume();
	/* A copy of backend 1, as a snapshot would be. */
	for (at = 0; at < BYTES; at += DEVICE_CHUNK) {
		assert_int_equal(device_read(&backends[1].device, at, raw, DEVICE_CHUNK), 0);
		put_bytes(0, at, raw, DEVICE_CHUNK);
	}
	load();
	assert_int_equal(image.members[0].standing, IMAGE_MISSING);
	assert_int_equal(image.members[1].standing, IMAGE_MISSING);
	assert_counts(0, 0, 4, 0, 0, 0);
	free(raw);
}

static void test_other_shape(void **state)
{
	put_whole_volume();
	supers[3].pool.volume_pages = 32;
	put_super(3);
	put_super(4);
	put_super(4); /* its superblock is the newest */
	load();
	assert_int_equal(image.members[3].standing, IMAGE_MISSING);
	assert_counts(0, 0, 4, 0, 0, 1);
}

static void test_two_pools(void **state)
{
	struct pools pools;

	load();
	supers[5].pool.pool_uuid[0] ^= 1;
	put_super(5);
	unload();
	for (unsigned int i = 0; i < BACKENDS; i++)
		assert_int_equal(scan_device(&scan, path_of(i)), 0);
	pools_group(&scan, &pools);
	assert_int_equal(pools.nr, 2);
	assert_int_equal(pools.all[0].nr, 5);
	assert_int_equal(pools.all[1].nr, 1);
	pools_free(&pools);
	scan_free(&scan);
}

static u64 random_state = 88172645463325252ull;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* A page or ring block or superblock with random bytes behind a right crc. */
static void damage(void)
{
	unsigned int i = random64() % BACKENDS, n;
	const struct qbd_geometry *g = &supers[i].geometry;
	u64 places[] = { g->volume_start, g->layer_start,
			 g->slot_start,	  g->slot_start + QBD_PAGE_SIZE,
			 g->ring_start,	  0 };
	u64 at = places[random64() % 6];
	size_t size = at ? QBD_PAGE_SIZE : QBD_SUPER_SIZE;
	u8 *raw = device_buffer(size);

	assert_int_equal(device_read(&backends[i].device, at, raw, size), 0);
	for (n = 0; n < 1 + random64() % 40; n++)
		raw[(at ? 4 : 8) + random64() % 600] = random64() >> 32;
	if (at) {
		u32 crc = cpu_to_le32(crc32c(~0u, raw + 4, size - 4));

		memcpy(raw, &crc, 4);
	} else {
		struct qbd_super_disk *d = (struct qbd_super_disk *)raw;

		d->crc = 0;
		d->crc = cpu_to_le32(crc32c(~0u, raw, size));
	}
	put_bytes(i, at, raw, size);
	free(raw);
}

static void test_hostile(void **state)
{
	unsigned int round, i;

	for (round = 0; round < 60; round++) {
		struct qbd_record record = chunk_record(0, 10, INSYNC_ALL, 9);

		if (round)
			assert_int_equal(setup(state), 0);
		put_whole_volume();
		put_ring(0x1f, 0, 30, &record, 1);
		for (i = 0; i < 12; i++)
			damage();
		unload();
		memset(&scan, 0, sizeof(scan));
		for (i = 0; i < BACKENDS; i++)
			scan_device(&scan, path_of(i));
		if (!image_assemble(&image, &scan, 0)) {
			image_load_tables(&image);
			image_load_slots(&image);
			verify_image(&image, &result);
			verify_free(&result);
			image_free(&image);
		}
		scan_free(&scan);
		if (round < 59)
			teardown(state);
	}
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(test_empty_pool),
		image_test(test_ring_is_spread),
		image_test(test_whole),
		image_test(test_devices_missing),
		image_test(test_stale_legs),
		image_test(test_a_leg_freed),
		image_test(test_newest_gen_rules),
		image_test(test_strange_legs),
		image_test(test_out_member_is_not_asked),
		image_test(test_epoch_half_written),
		image_test(test_return_half_written),
		image_test(test_split_brain),
		image_test(test_very_old_member),
		image_test(test_former_member),
		image_test(test_torn_slot_page),
		image_test(test_all_in_the_ring),
		image_test(test_page_and_record),
		image_test(test_last_record_stands),
		image_test(test_record_over_damaged_page),
		image_test(test_ring_lost_records),
		image_test(test_newest_table_page),
		image_test(test_mirror),
		image_test(test_two_devices_of_one_backend),
		image_test(test_other_shape),
		image_test(test_two_pools),
		image_test(test_hostile),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
