// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codecs of the on-disk format: what is written is read again, sizes are what
 * they were, and nothing that a disk can hold is taken for more than it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "replay.h"
#include "words.h"

#define DEVICE_BYTES (256ull << 20)

static u64 random_state = 88172645463325252ull;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void fill_random(void *p, size_t n)
{
	u8 *b = p;

	while (n--)
		*b++ = random64() >> 24;
}

/* The check value that every description of CRC-32C gives. */
static void test_crc32c(void **state)
{
	u8 bytes[300];
	size_t i, n;
	u32 crc;

	assert_int_equal(~crc32c(~0u, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(5, "", 0), 5);
	/* Bit by bit, for every length and alignment that its parts meet. */
	fill_random(bytes, sizeof(bytes));
	for (n = 0; n < 64; n++) {
		crc = 0x12345678;
		for (i = 0; i < 8 * n; i++) {
			u32 bit = (bytes[n % 8 + i / 8] >> i % 8 ^ crc) & 1;

			crc = crc >> 1 ^ (bit ? 0x82f63b78u : 0);
		}
		assert_int_equal(crc32c(0x12345678, bytes + n % 8, n), crc);
	}
}

static void make_super(struct qbd_super *s)
{
	struct qbd_membership *p = &s->pool;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->seq = 7;
	s->compat = 5;
	fill_random(p->pool_uuid, 16);
	strscpy(p->pool_name, "tank", sizeof(p->pool_name));
	p->extent_size = 4u << 20;
	p->csum_bytes_per_slot = 56u << 10;
	p->volume_pages = 64;
	p->layer_pages = 32;
	p->ring_blocks = 256;
	p->nr_epochs = 3;
	for (i = 0; i < 3; i++) {
		p->epochs[i].number = 10 - i;
		p->epochs[i].tag = random64();
		p->epochs[i].in = random64();
	}
	p->ring_generation = 4;
	p->ring_members = 3;
	p->ring_first_lsn = 1000;
	p->ring_first_block = 99;
	p->journal = QBD_JOURNAL_ON;
	p->lease_ms = 20000;
	for (i = 0; i < 3; i++) {
		fill_random(p->members[i].uuid, 16);
		strscpy(p->members[i].tags, "host=A ssd", QBD_TAGS_SIZE);
		p->members[i].state = QBD_MEMBER_IN;
	}
	p->members[2].state = QBD_MEMBER_OUT;
	p->members[2].out_epoch = 9;
	memcpy(s->geometry.uuid, p->members[1].uuid, 16);
	s->geometry.index = 1;
	assert_int_equal(qbd_geometry_make(&s->geometry, p, DEVICE_BYTES), 0);
}

static void test_super_round_trip(void **state)
{
	static u8 raw[QBD_SUPER_SIZE], again[QBD_SUPER_SIZE];
	static struct qbd_super s, t;

	make_super(&s);
	qbd_super_encode(&s, raw);
	assert_int_equal(qbd_super_decode(raw, DEVICE_BYTES, &t), 0);
	assert_memory_equal(&s, &t, sizeof(s));
	qbd_super_encode(&t, again);
	assert_memory_equal(raw, again, sizeof(raw));
}

/* A journal device: it has the ring, and no slots. */
static void test_journal_device(void **state)
{
	static u8 raw[QBD_SUPER_SIZE];
	static struct qbd_super s, t;
	struct qbd_super_disk *d = (struct qbd_super_disk *)raw;
	u64 least;

	make_super(&s);
	assert_int_equal(qbd_journal_devices(&s.pool), 0);
	s.pool.members[1].role = QBD_ROLE_JOURNAL;
	s.pool.members[2].role = QBD_ROLE_JOURNAL;
	assert_int_equal(qbd_journal_devices(&s.pool), 6);
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, DEVICE_BYTES), 0);
	assert_int_equal(s.geometry.nr_slots, 0);
	least = s.geometry.data_start;
	assert_true(least >= s.geometry.ring_start + (u64)s.pool.ring_blocks * QBD_PAGE_SIZE);
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, least), 0);
	qbd_super_encode(&s, raw);
	assert_true(le64_to_cpu(d->incompat) & QBD_INCOMPAT_JOURNAL_DEV);
	assert_int_equal(qbd_super_decode(raw, least, &t), 0);
	assert_memory_equal(&s, &t, sizeof(s));
	assert_int_equal(qbd_super_decode(raw, least - 4096, &t), -ENOSPC);
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, least - 4096), -ENOSPC);
	/* One without slots that is none, and one with slots that is. */
	s.pool.members[1].role = QBD_ROLE_DATA;
	qbd_super_encode(&s, raw);
	assert_int_equal(qbd_super_decode(raw, least, &t), -EINVAL);
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, DEVICE_BYTES), 0);
	s.pool.members[1].role = QBD_ROLE_JOURNAL;
	qbd_super_encode(&s, raw);
	assert_int_equal(qbd_super_decode(raw, DEVICE_BYTES, &t), -EINVAL);
}

/* Seal again what a test changed, as one who wants to be believed does. */
static void reseal_super(u8 *raw)
{
	struct qbd_super_disk *d = (struct qbd_super_disk *)raw;

	d->crc = 0;
	d->crc = cpu_to_le32(crc32c(~0u, raw, QBD_SUPER_SIZE));
}

static void test_super_every_byte_counts(void **state)
{
	static u8 raw[QBD_SUPER_SIZE];
	static struct qbd_super s, t;
	size_t i;

	make_super(&s);
	qbd_super_encode(&s, raw);
	for (i = 0; i < QBD_SUPER_SIZE; i += i < 1024 ? 1 : 97) {
		raw[i] ^= 0x40;
		assert_int_equal(qbd_super_decode(raw, DEVICE_BYTES, &t),
				 i < 8 ? -ENOENT : -EILSEQ);
		raw[i] ^= 0x40;
	}
	assert_int_equal(qbd_super_decode(raw, DEVICE_BYTES - 1 - (4u << 20), &t), -ENOSPC);
}

/* One field is changed, the crc is right: what is said cannot be, and is refused. */
#define REFUSED(place, value, err)                                           \
	do {                                                                 \
		qbd_super_encode(&s, raw);                                   \
		(place) = (value);                                           \
		reseal_super(raw);                                           \
		if (qbd_super_decode(raw, DEVICE_BYTES, &t) != (err))        \
			fail_msg(#place " = " #value " gives %d, not " #err, \
				 qbd_super_decode(raw, DEVICE_BYTES, &t));   \
	} while (0)

static void test_super_refuses(void **state)
{
	static u64 room[QBD_SUPER_SIZE / 8];
	u8 *raw = (u8 *)room;
	struct qbd_super_disk *d = (struct qbd_super_disk *)raw;
	static struct qbd_super s, t;

	make_super(&s);
	REFUSED(d->version, cpu_to_le32(QBD_VERSION + 1), -EPROTONOSUPPORT);
	REFUSED(d->incompat, cpu_to_le64(QBD_INCOMPAT_BLOCK_MAP), -EPROTONOSUPPORT);
	REFUSED(d->incompat, 0, -EINVAL); /* a journal without its feature bit */
	REFUSED(d->incompat, cpu_to_le64(QBD_INCOMPAT_JOURNAL), -EINVAL); /* nor a lease */
	REFUSED(d->lease_ms, 0, -EINVAL);
	REFUSED(d->lease_ms, cpu_to_le32(QBD_MIN_LEASE_MS - 1), -EINVAL);
	REFUSED(d->lease_ms, cpu_to_le32(QBD_MAX_LEASE_MS + 1), -EINVAL);
	REFUSED(d->journal, QBD_JOURNAL_OFF, -EINVAL);
	REFUSED(d->journal, QBD_JOURNAL_FULL + 1, -EINVAL);
	REFUSED(d->incompat, cpu_to_le64(1ull << 63), -EPROTONOSUPPORT);
	REFUSED(d->index, cpu_to_le32(64), -EINVAL);
	REFUSED(d->nr_slots, 0, -EINVAL);
	REFUSED(d->nr_slots, cpu_to_le32(QBD_MAX_SLOTS + 1), -EINVAL);
	REFUSED(d->nr_slots, cpu_to_le32(s.geometry.nr_slots + 1), -EINVAL);
	REFUSED(d->nr_slots, cpu_to_le32(QBD_MAX_SLOTS), -EINVAL);
	REFUSED(d->volume_start, 0, -EINVAL);
	REFUSED(d->volume_start, cpu_to_le64(QBD_TABLES_START + 1), -EINVAL);
	REFUSED(d->layer_start, cpu_to_le64(s.geometry.volume_start), -EINVAL);
	REFUSED(d->slot_start, cpu_to_le64(s.geometry.layer_start + QBD_PAGE_SIZE), -EINVAL);
	REFUSED(d->csum_start, cpu_to_le64(s.geometry.slot_start), -EINVAL);
	REFUSED(d->ring_start, cpu_to_le64(s.geometry.csum_start), -EINVAL);
	REFUSED(d->ring_start, cpu_to_le64(~0ull << 12), -EINVAL);
	REFUSED(d->data_start, cpu_to_le64(s.geometry.ring_start), -EINVAL);
	REFUSED(d->data_start, cpu_to_le64(1ull << 63), -ENOSPC);
	REFUSED(d->extent_size, cpu_to_le32(QBD_MIN_EXTENT / 2), -EINVAL);
	REFUSED(d->extent_size, cpu_to_le32(3u << 20), -EINVAL);
	REFUSED(d->extent_size, cpu_to_le32(QBD_MAX_EXTENT * 2), -EINVAL);
	REFUSED(d->extent_size, 0, -EINVAL);
	REFUSED(d->csum_bytes_per_slot, 0, -EINVAL);
	REFUSED(d->csum_bytes_per_slot, cpu_to_le32(4096), -EINVAL);
	REFUSED(d->csum_bytes_per_slot, cpu_to_le32(8u << 20), -EINVAL);
	REFUSED(d->volume_pages, 0, -EINVAL);
	REFUSED(d->volume_pages, cpu_to_le32(4097), -EINVAL);
	REFUSED(d->layer_pages, 0, -EINVAL);
	REFUSED(d->layer_pages, cpu_to_le32(~0u), -EINVAL);
	REFUSED(d->ring_blocks, cpu_to_le32(QBD_MIN_RING_BLOCKS - 1), -EINVAL);
	REFUSED(d->ring_blocks, cpu_to_le32(QBD_MAX_RING_BLOCKS + 1), -EINVAL);
	REFUSED(d->nr_epochs, 0, -EINVAL);
	REFUSED(d->nr_epochs, cpu_to_le32(QBD_EPOCHS + 1), -EINVAL);
	REFUSED(d->epochs[1].number, cpu_to_le32(10), -EINVAL);
	REFUSED(d->ring_members, 0, -EINVAL);
	REFUSED(d->ring_members, cpu_to_le64(4), -EINVAL); /* is out */
	REFUSED(d->ring_members, cpu_to_le64(1ull << 63), -EINVAL);
	REFUSED(d->ring_first_lsn, cpu_to_le64(1ull << 62), -EINVAL);
	REFUSED(d->ring_first_block, cpu_to_le64(~0ull), -EINVAL);
	REFUSED(d->members[0].state, 3, -EINVAL);
	REFUSED(d->members[0].role, QBD_ROLE_JOURNAL + 1, -EINVAL);
	REFUSED(d->members[0].role, QBD_ROLE_JOURNAL, -EINVAL); /* without its feature bit */
	REFUSED(d->incompat, cpu_to_le64(QBD_INCOMPAT_KNOWN), -EINVAL); /* and the reverse */
	REFUSED(d->pool_name[0], '\n', -EINVAL);
	REFUSED(d->members[5].tags[0], 0x7f, -EINVAL);

	/* A string that does not end in its field. */
	qbd_super_encode(&s, raw);
	memset(d->pool_name, 'a', sizeof(d->pool_name));
	reseal_super(raw);
	assert_int_equal(qbd_super_decode(raw, DEVICE_BYTES, &t), -EINVAL);
}

/* Random damage that is sealed again: what is believed lies inside the device. */
static void test_super_random_damage(void **state)
{
	static _Alignas(8) u8 raw[QBD_SUPER_SIZE];
	static struct qbd_super s, t;
	unsigned int round, believed = 0, i;

	make_super(&s);
	for (round = 0; round < 20000; round++) {
		qbd_super_encode(&s, raw);
		for (i = 0; i < 1 + round % 3; i++)
			raw[8 + random64() % (round & 1 ? 280 : 3000)] = random64();
		reseal_super(raw);
		if (qbd_super_decode(raw, DEVICE_BYTES, &t))
			continue;
		believed++;
		assert_true(t.geometry.index < QBD_MAX_BACKENDS);
		assert_true(t.pool.nr_epochs && t.pool.nr_epochs <= QBD_EPOCHS);
		assert_true(t.geometry.data_start + (u64)t.geometry.nr_slots * t.pool.extent_size <=
			    DEVICE_BYTES);
		assert_true(t.geometry.ring_start + (u64)t.pool.ring_blocks * QBD_PAGE_SIZE <=
			    t.geometry.data_start);
		assert_true(t.geometry.slot_start < t.geometry.csum_start);
	}
	assert_true(believed > 100);
}

static void test_super_newest(void **state)
{
	static u8 both[2 * QBD_SUPER_SIZE];
	static struct qbd_super s, t;

	make_super(&s);
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), -ENOENT);
	s.seq = 8;
	qbd_super_encode(&s, both);
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), 0);
	assert_int_equal(t.seq, 8);
	s.seq = 9;
	qbd_super_encode(&s, both + QBD_SUPER_SIZE);
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), 0);
	assert_int_equal(t.seq, 9);
	s.seq = 10;
	qbd_super_encode(&s, both);
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), 0);
	assert_int_equal(t.seq, 10);
	both[900]++; /* torn: the one before it stands */
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), 0);
	assert_int_equal(t.seq, 9);
	both[QBD_SUPER_SIZE + 900]++;
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), -EILSEQ);
	memset(both + QBD_SUPER_SIZE, 0, QBD_SUPER_SIZE);
	assert_int_equal(qbd_super_newest(both, DEVICE_BYTES, &t), -EILSEQ);
}

static void test_geometry(void **state)
{
	static struct qbd_super s, t;
	static u8 raw[QBD_SUPER_SIZE];
	u64 bytes;

	make_super(&s);
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, 4u << 20), -ENOSPC);
	/* What was made fits, and one slot more would not. */
	for (bytes = 16ull << 20; bytes < 200ull << 40; bytes = bytes * 3 / 2 + 12345) {
		assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, bytes), 0);
		qbd_super_encode(&s, raw);
		assert_int_equal(qbd_super_decode(raw, bytes, &t), 0);
		assert_true(s.geometry.data_start % QBD_MIN_EXTENT == 0);
		if (s.geometry.nr_slots < QBD_MAX_SLOTS)
			assert_true(s.geometry.data_start +
					    (s.geometry.nr_slots + 2ull) * s.pool.extent_size >
				    bytes - s.pool.csum_bytes_per_slot - (1u << 20));
	}
	/* 10 TiB in extents of 4 MiB lose 1.4 % to their checksums. */
	assert_int_equal(qbd_geometry_make(&s.geometry, &s.pool, 10ull << 40), 0);
	assert_in_range(s.geometry.nr_slots, 2580000, 2590000);
}

static void test_csum_sizes(void **state)
{
	const struct qbd_policy replicas = { QBD_REPLICAS, 1, 1, 12 };
	const struct qbd_policy narrow = { QBD_EC, 4, 2, 12 }, wide = { QBD_EC, 16, 4, 12 };
	const struct qbd_policy large = { QBD_EC, 4, 2, 16 };

	assert_int_equal(qbd_csum_table_bytes(&replicas, 4u << 20), 16u << 10);
	assert_int_equal(qbd_csum_table_bytes(&narrow, 4u << 20), 56u << 10);
	assert_int_equal(qbd_csum_table_bytes(&wide, 4u << 20), 168u << 10);
	assert_int_equal(qbd_csum_table_bytes(&large, 4u << 20), 8u << 10);
}

static void test_policies(void **state)
{
	unsigned int kind, k, m, shift, valid = 0;

	for (kind = 0; kind < 4; kind++)
		for (k = 0; k < 20; k++)
			for (m = 0; m < 10; m++)
				for (shift = 10; shift < 19; shift++) {
					struct qbd_policy p = { kind, k, m, shift };

					valid += qbd_policy_valid(&p);
				}
	/* 8 replicas and 15 * 4 codes, with 5 block sizes each. */
	assert_int_equal(valid, (8 + 15 * 4) * 5);
}

static void test_pages(void **state)
{
	static u8 both[QBD_PAGE_PLACES];
	struct qbd_page_id id = { .type = QBD_PAGE_SLOT, .number = 5, .seq = 2, .lsn = 77 }, got;
	u8 uuid[16] = { 1, 2, 3 }, other[16] = { 3 };

	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), -EILSEQ);
	qbd_page_seal(both, uuid, &id);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), 0);
	assert_int_equal(got.type, id.type);
	assert_int_equal(got.number, id.number);
	assert_int_equal(got.seq, id.seq);
	assert_int_equal(got.lsn, id.lsn);
	id.seq = 3;
	id.lsn = 99;
	qbd_page_seal(both + QBD_PAGE_SIZE, uuid, &id);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), 1);
	assert_int_equal(got.lsn, 99);
	/* Another backend's, another page, another type: not this one. */
	assert_int_equal(qbd_page_newest(both, other, QBD_PAGE_SLOT, 5, 0, &got), -EILSEQ);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 6, 0, &got), -EILSEQ);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_CSUM, 5, 0, &got), -EILSEQ);
	/* Torn: the one before it. */
	both[QBD_PAGE_SIZE + 4000]++;
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), 0);
	assert_int_equal(got.lsn, 77);
	both[QBD_PAGE_SIZE + 4000]--;
	/* A place holds the writes of its parity only. */
	memcpy(both, both + QBD_PAGE_SIZE, QBD_PAGE_SIZE);
	memset(both + QBD_PAGE_SIZE, 0, QBD_PAGE_SIZE);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), -EILSEQ);
	/* Of a slot's many chunks the one that has it now, be it younger or older. */
	id.type = QBD_PAGE_CSUM;
	id.gen = 9;
	id.seq = 6;
	qbd_page_seal(both, uuid, &id);
	id.gen = 7;
	id.seq = 1;
	qbd_page_seal(both + QBD_PAGE_SIZE, uuid, &id);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_CSUM, 5, 7, &got), 1);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_CSUM, 5, 9, &got), 0);
	assert_in_range(qbd_page_newest(both, uuid, QBD_PAGE_CSUM, 5, 8, &got), 0, 1);
	assert_int_not_equal(got.gen, 8);
	id.type = QBD_PAGE_SLOT;
	id.gen = 0;
	/* An LSN near the end cannot be added to. */
	id.seq = 4;
	id.lsn = 1ull << 62;
	qbd_page_seal(both, uuid, &id);
	assert_int_equal(qbd_page_newest(both, uuid, QBD_PAGE_SLOT, 5, 0, &got), -EILSEQ);
}

static void test_entries(void **state)
{
	static u8 page[QBD_PAGE_PAYLOAD];
	struct qbd_slot slot = { 3, 4, 5, 0x8000000000000001ull, 6, 19, QBD_SLOT_REBUILD, 1 };
	struct qbd_slot slot2;
	struct qbd_volume_entry v = { .number = 9,
				      .state = QBD_LIVE,
				      .top_layer = 9,
				      .sectors = 2048,
				      .policy = { QBD_EC, 4, 2, 12 },
				      .name = "vol",
				      .tag = "ssd" },
				v2;
	struct qbd_layer_entry l = { .number = 9,
				     .state = QBD_LIVE,
				     .volume = 9,
				     .sectors = 2048,
				     .policy = { QBD_EC, 4, 2, 12 } },
			       l2;

	qbd_slot_put(page, QBD_SLOTS_PER_PAGE - 1, &slot);
	qbd_slot_get(page, QBD_SLOTS_PER_PAGE - 1, &slot2);
	assert_memory_equal(&slot, &slot2, sizeof(slot));
	slot.state = 3;
	qbd_slot_put(page, 0, &slot);
	qbd_slot_get(page, 0, &slot2);
	assert_int_equal(slot2.state, QBD_SLOT_FREE);
	slot.state = QBD_SLOT_LIVE;
	slot.leg = QBD_MAX_LEGS;
	qbd_slot_put(page, 0, &slot);
	qbd_slot_get(page, 0, &slot2);
	assert_int_equal(slot2.layer, 0);

	memset(page, 0, sizeof(page));
	qbd_volume_put(page, QBD_VOLUMES_PER_PAGE - 1, &v);
	qbd_volume_get(page, QBD_VOLUMES_PER_PAGE - 1, &v2);
	assert_int_equal(v2.number, v.number);
	assert_int_equal(v2.state, v.state);
	assert_int_equal(v2.top_layer, v.top_layer);
	assert_int_equal(v2.sectors, v.sectors);
	assert_memory_equal(&v2.policy, &v.policy, sizeof(v.policy));
	assert_string_equal(v2.name, v.name);
	assert_string_equal(v2.tag, v.tag);
	v.policy.k = 17;
	qbd_volume_put(page, 0, &v);
	qbd_volume_get(page, 0, &v2);
	assert_int_equal(v2.state, QBD_UNUSED);
	v.policy.k = 4;
	v.sectors = QBD_MAX_VOLUME / 512 + 1;
	qbd_volume_put(page, 0, &v);
	qbd_volume_get(page, 0, &v2);
	assert_int_equal(v2.state, QBD_UNUSED);

	memset(page, 0, sizeof(page));
	qbd_layer_put(page, QBD_LAYERS_PER_PAGE - 1, &l);
	qbd_layer_get(page, QBD_LAYERS_PER_PAGE - 1, &l2);
	assert_int_equal(l2.number, l.number);
	assert_int_equal(l2.state, l.state);
	assert_int_equal(l2.volume, l.volume);
	assert_int_equal(l2.sectors, l.sectors);
	assert_memory_equal(&l2.policy, &l.policy, sizeof(l.policy));
	l.state = QBD_UNUSED; /* the counter: a number without a state */
	qbd_layer_put(page, 0, &l);
	qbd_layer_get(page, 0, &l2);
	assert_int_equal(l2.number, 9);
	l.state = 3;
	qbd_layer_put(page, 0, &l);
	qbd_layer_get(page, 0, &l2);
	assert_int_equal(l2.number, 0);
}

static void test_tags(void **state)
{
	assert_true(qbd_tag_match("", ""));
	assert_true(qbd_tag_match("host=A ssd", ""));
	assert_true(qbd_tag_match("host=A ssd", "ssd"));
	assert_true(qbd_tag_match("  host=A  ssd", "host=A"));
	assert_false(qbd_tag_match("host=AB ssd", "host=A"));
	assert_false(qbd_tag_match("ssd2", "ssd"));
	assert_false(qbd_tag_match("", "ssd"));
}

/* Seeds and the states below 16 are the format: pinned. */
static void test_seeds(void **state)
{
	u32 seed = qbd_csum_seed(1, 2, 3, 4, 5);

	assert_int_equal(seed, qbd_csum_seed(1, 2, 3, 4, 5));
	assert_int_not_equal(seed, qbd_csum_seed(2, 2, 3, 4, 5));
	assert_int_not_equal(seed, qbd_csum_seed(1, 3, 3, 4, 5));
	assert_int_not_equal(seed, qbd_csum_seed(1, 2, 4, 4, 5));
	assert_int_not_equal(seed, qbd_csum_seed(1, 2, 3, 5, 5));
	assert_int_not_equal(seed, qbd_csum_seed(1, 2, 3, 4, 6));
	assert_int_equal(qbd_csum_seed(1, 2, 3, 4, 5),
			 crc32c(~0u, "\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\5\0\0\0", 24));
	assert_int_equal(qbd_csum_finish(0), 16);
	assert_int_equal(qbd_csum_finish(15), 31);
	assert_int_equal(qbd_csum_finish(16), 16);
}

static void record_round_trip(const struct qbd_record *r, unsigned int size)
{
	static _Alignas(8) u8 raw[QBD_MAX_RECORD];
	static _Alignas(8) u8 again[QBD_MAX_RECORD];
	struct qbd_record got;
	unsigned int n;

	assert_int_equal(qbd_record_size(r), size);
	assert_int_equal(qbd_record_encode(r, raw), size);
	assert_int_equal(qbd_record_decode(raw, size, &got), (int)size);
	assert_int_equal(got.type, r->type);
	assert_int_equal(qbd_record_encode(&got, again), size);
	assert_memory_equal(raw, again, size);
	/* Cut short anywhere, it is no record. */
	for (n = 0; n < size; n++)
		assert_true(qbd_record_decode(raw, n, &got) < 0);
	/* Nor with another length. */
	raw[2] += 8;
	if (size + 8 <= sizeof(raw))
		assert_true(qbd_record_decode(raw, size + 8, &got) < 0);
	raw[2] -= 16;
	assert_true(qbd_record_decode(raw, size, &got) < 0);
}

static void test_records(void **state)
{
	static _Alignas(8) u8 raw[QBD_MAX_RECORD];
	static __le32 values[QBD_MAX_CSUM_RUN];
	struct qbd_record r, got;
	struct qbd_slot slot;
	unsigned int i;

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_CHUNK;
	r.op = QBD_CHUNK_ALLOC;
	r.layer = 1;
	r.chunk = 2;
	r.gen = 3;
	r.insync = 0x3f;
	r.epoch = 4;
	r.flags = QBD_SLOT_ALLZERO;
	r.nr_legs = QBD_CHUNK_RECORD_LEGS;
	for (i = 0; i < r.nr_legs; i++) {
		r.legs[i].slot = 100 + i;
		r.legs[i].backend = i;
		r.legs[i].leg = i % QBD_MAX_LEGS;
		r.legs[i].state = i % 3;
	}
	record_round_trip(&r, 40 + 8 * QBD_CHUNK_RECORD_LEGS);
	qbd_record_encode(&r, raw);
	assert_true(qbd_record_decode(raw, sizeof(raw), &got) > 0);
	assert_int_equal(got.insync, 0x3f);
	assert_int_equal(got.legs[39].slot, 139);
	assert_int_equal(got.legs[39].leg, 19);
	qbd_replay_slot(&got, 38, &slot);
	assert_int_equal(slot.state, QBD_SLOT_REBUILD);
	assert_int_equal(slot.leg, 18);
	assert_int_equal(slot.gen, 3);
	assert_int_equal(slot.epoch, 4);
	assert_int_equal(slot.flags, QBD_SLOT_ALLZERO);
	qbd_replay_slot(&got, 39, &slot);
	assert_int_equal(slot.layer, 0); /* FREE says no more */

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_RANGE;
	r.layer = 1;
	r.gen = 9;
	r.first_row = 3;
	r.nr_rows = 64;
	record_round_trip(&r, 32);

	fill_random(values, sizeof(values));
	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_CSUM;
	r.layer = 1;
	r.values = values;
	for (i = 0; i <= QBD_MAX_CSUM_RUN; i += 37) {
		r.nr_units = i;
		record_round_trip(&r, 32 + (4 * i + 7) / 8 * 8);
	}
	r.nr_units = QBD_MAX_CSUM_RUN;
	record_round_trip(&r, QBD_MAX_RECORD);

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_VOLUME;
	r.index = 12;
	r.volume = (struct qbd_volume_entry){ .number = 9,
					      .state = QBD_LIVE,
					      .top_layer = 9,
					      .sectors = 8,
					      .policy = { QBD_REPLICAS, 1, 2, 13 },
					      .name = "v" };
	record_round_trip(&r, 272);

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_LAYER;
	r.index = 12;
	r.layer_entry = (struct qbd_layer_entry){ .number = 9,
						  .state = QBD_LIVE,
						  .volume = 9,
						  .sectors = 8,
						  .policy = { QBD_REPLICAS, 1, 2, 13 } };
	record_round_trip(&r, 144);

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_CHECKPOINT;
	r.lsn = 1234;
	record_round_trip(&r, 16);
}

static void test_journal_records(void **state)
{
	static _Alignas(8) u8 raw[QBD_MAX_RECORD], data[QBD_MAX_PIECE];
	struct qbd_journal_record_disk *j = (struct qbd_journal_record_disk *)raw;
	struct qbd_destage_record_disk *d = (struct qbd_destage_record_disk *)raw;
	__le32 values[QBD_MAX_LEGS];
	struct qbd_record r, got;
	unsigned int i;

	fill_random(data, sizeof(data));
	fill_random(values, sizeof(values));
	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_JOURNAL;
	r.layer = 1;
	r.chunk = 2;
	r.gen = 3;
	r.row = 4;
	r.csum = 0x89abcdef;
	r.leg = 19;
	r.data = data;
	for (i = 8; i <= QBD_MAX_PIECE; i += 488) {
		r.bytes = i;
		r.offset = QBD_MAX_BLOCK - i;
		record_round_trip(&r, 40 + i);
	}
	r.bytes = QBD_MAX_PIECE;
	r.offset = 0;
	record_round_trip(&r, 40 + QBD_MAX_PIECE);
	qbd_record_encode(&r, raw);
	assert_int_equal(qbd_record_decode(raw, sizeof(raw), &got), 40 + QBD_MAX_PIECE);
	assert_int_equal(got.row, 4);
	assert_int_equal(got.csum, 0x89abcdef);
	assert_int_equal(got.leg, 19);
	assert_int_equal(got.bytes, QBD_MAX_PIECE);
	assert_memory_equal(got.data, data, QBD_MAX_PIECE);
	r.bytes = 16;
#define JOURNAL_REFUSED(place, value)                                              \
	do {                                                                       \
		qbd_record_encode(&r, raw);                                        \
		assert_int_equal(qbd_record_decode(raw, sizeof(raw), &got), 56);   \
		(place) = (value);                                                 \
		assert_true(qbd_record_decode(raw, sizeof(raw), &got) < 0);        \
	} while (0)
	JOURNAL_REFUSED(j->leg, QBD_MAX_LEGS);
	JOURNAL_REFUSED(j->bytes, cpu_to_le16(8));
	JOURNAL_REFUSED(j->bytes, cpu_to_le16(24));
	JOURNAL_REFUSED(j->offset, cpu_to_le32(QBD_MAX_BLOCK - 8));
	JOURNAL_REFUSED(j->offset, cpu_to_le32(~0u));
	JOURNAL_REFUSED(j->csum, cpu_to_le32(QBD_CSUM_LOST));

	memset(&r, 0, sizeof(r));
	r.type = QBD_RECORD_DESTAGE;
	r.layer = 1;
	r.chunk = 2;
	r.gen = 3;
	r.newest = 1ull << 40;
	r.mask = 0x31;
	r.values = values;
	for (i = 6; i <= QBD_MAX_LEGS; i++) {
		r.nr_units = i;
		r.first_unit = 7 * i;
		record_round_trip(&r, 48 + (4 * i + 7) / 8 * 8);
		r.type ^= QBD_RECORD_DESTAGE ^ QBD_RECORD_DESTAGED;
	}
	r.nr_units = 6;
	r.first_unit = 12;
	qbd_record_encode(&r, raw);
	assert_int_equal(qbd_record_decode(raw, sizeof(raw), &got), 72);
	assert_int_equal(got.newest, 1ull << 40);
	assert_int_equal(got.mask, 0x31);
	assert_memory_equal(got.values, values, 24);
#define DESTAGE_REFUSED(place, value)                                              \
	do {                                                                       \
		qbd_record_encode(&r, raw);                                        \
		assert_int_equal(qbd_record_decode(raw, sizeof(raw), &got), 72);   \
		(place) = (value);                                                 \
		assert_true(qbd_record_decode(raw, sizeof(raw), &got) < 0);        \
	} while (0)
	DESTAGE_REFUSED(d->mask, cpu_to_le32(0x40));
	DESTAGE_REFUSED(d->first_unit, cpu_to_le32(13));
	DESTAGE_REFUSED(d->nr_units, 0);
	DESTAGE_REFUSED(d->nr_units, cpu_to_le32(3));
	DESTAGE_REFUSED(d->nr_units, cpu_to_le32(QBD_MAX_LEGS + 1));
}

static void test_records_refused(void **state)
{
	_Alignas(8) u8 raw[64];
	struct qbd_chunk_record_disk *d = (struct qbd_chunk_record_disk *)raw;
	struct qbd_record r = { .type = QBD_RECORD_CHUNK, .layer = 1, .nr_legs = 1 }, got;
	unsigned int type;

#define CHUNK_REFUSED(place, value)                                     \
	do {                                                            \
		qbd_record_encode(&r, raw);                             \
		assert_int_equal(qbd_record_decode(raw, 48, &got), 48); \
		(place) = (value);                                      \
		assert_true(qbd_record_decode(raw, 48, &got) < 0);      \
	} while (0)
	CHUNK_REFUSED(d->layer, 0);
	CHUNK_REFUSED(d->nr_legs, 2);
	CHUNK_REFUSED(d->nr_legs, 0);
	CHUNK_REFUSED(d->nr_legs, 255);
	CHUNK_REFUSED(d->legs[0].backend, 64);
	CHUNK_REFUSED(d->legs[0].leg, QBD_MAX_LEGS);
	CHUNK_REFUSED(d->legs[0].state, 3);
	CHUNK_REFUSED(d->legs[0].slot, cpu_to_le32(QBD_MAX_SLOTS));

	/* Reserved types and those of no version: what is not known is not passed over. */
	memset(raw, 0, sizeof(raw));
	raw[2] = 16;
	for (type = 0; type < 256; type++) {
		raw[0] = type;
		if (type != QBD_RECORD_CHECKPOINT)
			assert_true(qbd_record_decode(raw, sizeof(raw), &got) < 0);
	}
}

static void test_ring_blocks(void **state)
{
	static _Alignas(8) u8 raw[QBD_PAGE_SIZE];
	struct qbd_ring_block b = { .generation = 2,
				    .number = 10,
				    .tail = 4,
				    .first_lsn = 50,
				    .nr_records = 3,
				    .used = 100,
				    .batch_index = 1 };
	struct qbd_ring_block bad, got;
	u8 uuid[16] = { 7 }, other[16] = { 8 };
	unsigned int i;

	fill_random(raw, sizeof(raw));
	qbd_ring_block_seal(raw, uuid, &b);
	assert_int_equal(qbd_ring_block_check(raw, uuid, &got), 0);
	assert_memory_equal(&got, &b, sizeof(b));
	assert_int_equal(qbd_ring_block_check(raw, other, &got), -EILSEQ);
	for (i = 0; i < QBD_PAGE_SIZE; i += i < 64 ? 1 : 511) {
		raw[i] ^= 1;
		assert_int_equal(qbd_ring_block_check(raw, uuid, &got), -EILSEQ);
		raw[i] ^= 1;
	}
#define BLOCK_REFUSED(place, value)                                               \
	do {                                                                      \
		bad = b;                                                          \
		(place) = (value);                                                \
		qbd_ring_block_seal(raw, uuid, &bad);                             \
		assert_int_equal(qbd_ring_block_check(raw, uuid, &got), -EILSEQ); \
	} while (0)
	BLOCK_REFUSED(bad.tail, 11);
	BLOCK_REFUSED(bad.batch_index, 7);
	BLOCK_REFUSED(bad.batch_index, ~0u);
	BLOCK_REFUSED(bad.number, 1ull << 62);
	BLOCK_REFUSED(bad.first_lsn, ~0ull);
}

/* Random bytes behind a right crc: read or refused, never out of bounds. */
static void test_records_random(void **state)
{
	u8 *raw = malloc(QBD_PAGE_PAYLOAD);
	struct qbd_record r;
	unsigned int round, left;
	int n;

	for (round = 0; round < 50000; round++) {
		left = random64() % 400;
		fill_random(raw, left);
		if (left > 4) {
			raw[0] = random64() % 12;
			raw[2] = round & 1 ? left & ~7u : random64();
			raw[3] = random64() % 2;
		}
		/* At the very end of the memory, where a step too far is seen. */
		memmove(raw + QBD_PAGE_PAYLOAD - left / 8 * 8, raw, left / 8 * 8);
		n = qbd_record_decode(raw + QBD_PAGE_PAYLOAD - left / 8 * 8, left / 8 * 8, &r);
		assert_true(n < 0 || (n >= 8 && n <= (int)left));
	}
	free(raw);
}

/* A heartbeat is read as it was written; any other byte, backend or pool is none. */
static void test_heartbeats(void **state)
{
	struct qbd_heartbeat h = { QBD_HEARTBEAT_RELEASED, 5, 6, 7, "alpha" }, g;
	static u8 raw[QBD_PAGE_SIZE], zeros[QBD_PAGE_SIZE];
	u8 pool[16], uuid[16];
	struct qbd_heartbeat_disk *d = (struct qbd_heartbeat_disk *)raw;
	size_t i;

	fill_random(pool, sizeof(pool));
	fill_random(uuid, sizeof(uuid));
	qbd_heartbeat_seal(raw, pool, uuid, &h);
	assert_int_equal(qbd_heartbeat_check(raw, pool, uuid, &g), 0);
	assert_memory_equal(&h, &g, sizeof(h));
	for (i = 0; i < sizeof(raw); i++) {
		raw[i] ^= 0x10;
		assert_int_equal(qbd_heartbeat_check(raw, pool, uuid, &g), -EILSEQ);
		raw[i] ^= 0x10;
	}
	assert_int_equal(qbd_heartbeat_check(raw, uuid, uuid, &g), -EILSEQ);
	assert_int_equal(qbd_heartbeat_check(raw, pool, pool, &g), -EILSEQ);
	assert_int_equal(qbd_heartbeat_check(zeros, pool, uuid, &g), -ENOENT);
	zeros[4000] = 1;
	assert_int_equal(qbd_heartbeat_check(zeros, pool, uuid, &g), -EILSEQ);
	zeros[4000] = 0;

	/* What cannot be, with a checksum that is right. */
#define BEAT_REFUSED(change)                                                  \
	do {                                                                  \
		qbd_heartbeat_seal(raw, pool, uuid, &h);                      \
		change;                                                       \
		d->crc = cpu_to_le32(crc32c(~0u, raw + 4, sizeof(raw) - 4));  \
		assert_int_equal(qbd_heartbeat_check(raw, pool, uuid, &g), -EILSEQ); \
	} while (0)
	BEAT_REFUSED(d->nonce = 0);
	BEAT_REFUSED(d->kind = 0);
	BEAT_REFUSED(d->kind = QBD_HEARTBEAT_STANDBY + 1);
	BEAT_REFUSED(d->magic = 0);
	BEAT_REFUSED(d->host[1] = 0x1b);
	BEAT_REFUSED(memset(d->host, 'h', sizeof(d->host)));

	/* A name that is too long is cut, and ends. */
	memset(h.host, 'x', sizeof(h.host));
	qbd_heartbeat_seal(raw, pool, uuid, &h);
	assert_int_equal(qbd_heartbeat_check(raw, pool, uuid, &g), 0);
	assert_int_equal(strlen(g.host), QBD_HOST_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_super_round_trip),
		cmocka_unit_test(test_super_every_byte_counts),
		cmocka_unit_test(test_super_refuses),
		cmocka_unit_test(test_super_random_damage),
		cmocka_unit_test(test_super_newest),
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_csum_sizes),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_heartbeats),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_journal_device),
		cmocka_unit_test(test_journal_records),
		cmocka_unit_test(test_records_refused),
		cmocka_unit_test(test_ring_blocks),
		cmocka_unit_test(test_records_random),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
