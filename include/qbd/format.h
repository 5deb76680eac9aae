/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The on-disk format, little-endian. Only this file, kernel/format.c, record.c and
 * heartbeat.c know bytes; everything else works on the host-order structs declared
 * at the end.
 *
 * A backend, from its first byte:
 *
 *	superblock	two places of 16 KiB
 *	heartbeat	the owner's block of 4 KiB, then a standby's, in 32 KiB
 *	volume table	metadata pages, each with two places of 4 KiB
 *	layer table	metadata pages
 *	slot table	metadata pages, one 32-byte entry a slot
 *	checksum area	csum_bytes_per_slot for each slot: metadata pages
 *	ring area	ring_blocks blocks of 4 KiB
 *	data area	slot i at data_start + i * extent_size
 *
 * Metadata pages. Each has two places next to each other, written in turn (an
 * even seq in the first, an odd one in the second), and at most one write of a
 * page is unflushed. So one 8 KiB read finds the newest valid one, and a crash
 * in the middle of a write leaves the one before it. A page names the backend,
 * its type and its number: a misdirected write does not pass for another page.
 * Its lsn is that of the last ring record applied to it: replay applies newer
 * ones only, and can be repeated.
 *
 * Superblock. One crc over 16 KiB; two places, as a page. What is said of the
 * pool in it (epochs, members, ring) is the same on all members that are in.
 *
 * Ring. Block number n is at n modulo ring_blocks, the same bytes on every ring
 * member. Records lie in a block back to back, each 8-byte aligned, none across
 * two blocks; the first has first_lsn, each further one the next LSN. A block is
 * written once, with others of its group commit (its batch) in one write; the
 * next batch only when the last one is durable. tail is the number of the oldest
 * block that replay needed when this one was written; the log is [tail(h), h] for
 * the highest h for which all of these are there, in the newest generation.
 *
 * Journal devices. A member may have the role of a journal device: it holds the ring
 * and all that says who it is, and no slots (nr_slots is 0, and its slot table, checksum
 * area and data area are empty). While enough of them are in, they are the ring members.
 *
 * Journal. Blocks that wait in the ring for their place (JOURNAL records) are part
 * of the volume's content. Their data lies in records like all else, in pieces, so
 * that no content of a volume can ever pass for a block of the ring.
 *
 * Checksums. One u32 a unit. ec: unit = row * (K + M) + leg; replicas: unit =
 * row. A page holds 1008. The value is crc32c over the block's bytes, started
 * with the seed; one below 16 has 16 added, for those say a state. The seed is
 * crc32c(~0, s) over these 24 bytes, little-endian: layer u32, chunk u32, gen
 * u64, row u32, leg u32 (0 for replicas).
 *
 * gen of a chunk: the LSN of the record that made it. LSNs are never used twice,
 * so neither are gens.
 */
#ifndef QBD_FORMAT_H
#define QBD_FORMAT_H

#include <qbd/types.h>

#define QBD_VERSION		1
#define QBD_MAGIC		"dm-qbd\r\n"
#define QBD_RING_MAGIC		0x676e6952	/* "Ring" */
#define QBD_HEARTBEAT_MAGIC	0x74616542	/* "Beat" */

#define QBD_MAX_BACKENDS	64
#define QBD_MAX_K		16
#define QBD_MAX_M		4
#define QBD_MAX_REPLICAS	8
#define QBD_MAX_LEGS		(QBD_MAX_K + QBD_MAX_M)
#define QBD_MIN_EXTENT		(1024u << 10)
#define QBD_MAX_EXTENT		(64u << 20)
#define QBD_MIN_BLOCK		4096u
#define QBD_MAX_BLOCK		65536u
#define QBD_MAX_VOLUME		(16ull << 40)	/* bytes */
#define QBD_MAX_SLOTS		(64u << 20)	/* of a backend */
#define QBD_NAME_SIZE		64		/* with its final 0 */
#define QBD_TAGS_SIZE		64		/* with its final 0 */
#define QBD_HOST_SIZE		64		/* with its final 0 */
#define QBD_EPOCHS		32		/* kept in a superblock */

#define QBD_PAGE_SIZE		4096u
#define QBD_PAGE_PLACES		(2 * QBD_PAGE_SIZE)
#define QBD_PAGE_PAYLOAD	(QBD_PAGE_SIZE - 64)
#define QBD_SUPER_SIZE		16384u
#define QBD_HEARTBEAT_START	(2 * QBD_SUPER_SIZE)
#define QBD_STANDBY_START	(QBD_HEARTBEAT_START + QBD_PAGE_SIZE)
#define QBD_TABLES_START	65536u
#define QBD_MIN_RING_BLOCKS	256u
#define QBD_MAX_RING_BLOCKS	(1024u << 10)

/* Incompatible features: a reader that does not know a bit keeps out. */
#define QBD_INCOMPAT_BLOCK_MAP	BIT_ULL(0)	/* reserved: dedupe */
#define QBD_INCOMPAT_JOURNAL	BIT_ULL(1)	/* the ring may hold journal records */
#define QBD_INCOMPAT_LEASE	BIT_ULL(2)	/* only who owns the pool may write */
#define QBD_INCOMPAT_JOURNAL_DEV	BIT_ULL(3)	/* members without slots, for the ring */
#define QBD_INCOMPAT_KNOWN \
	(QBD_INCOMPAT_JOURNAL | QBD_INCOMPAT_LEASE | QBD_INCOMPAT_JOURNAL_DEV)

#define QBD_MIN_LEASE_MS	200u
#define QBD_MAX_LEASE_MS	600000u

/* Which writes of ec volumes go through the ring with their data. */
enum qbd_journal_mode {
	QBD_JOURNAL_OFF = 0,
	QBD_JOURNAL_ON = 1,	/* those of parts of rows */
	QBD_JOURNAL_FULL = 2,	/* all */
};

enum qbd_page_type {
	QBD_PAGE_VOLUME = 1,
	QBD_PAGE_LAYER = 2,
	QBD_PAGE_SLOT = 3,
	QBD_PAGE_CSUM = 4,
	QBD_PAGE_BLOCK_MAP = 5,		/* reserved */
};

struct qbd_page {
	__le32 crc;		/* crc32c(~0) of all that follows */
	__le32 type;
	u8 uuid[16];		/* of the backend */
	__le64 number;		/* within its table or area */
	__le64 gen;		/* CSUM: of the chunk; else 0 */
	__le64 seq;		/* rises by one a write; its parity is the place */
	__le64 lsn;		/* of the last record applied */
	u8 reserved[8];
	u8 payload[QBD_PAGE_PAYLOAD];
};

/* Membership of one backend. */
enum qbd_member_state {
	QBD_MEMBER_NONE = 0,	/* no such index */
	QBD_MEMBER_IN = 1,
	QBD_MEMBER_OUT = 2,	/* out, or a suspect */
};

/* What a member is for. */
enum qbd_member_role {
	QBD_ROLE_DATA = 0,
	QBD_ROLE_JOURNAL = 1,	/* the ring; any such: the feature bit is set */
};

struct qbd_member_disk {
	u8 uuid[16];
	char tags[QBD_TAGS_SIZE];	/* "host=B ssd", separated by blanks */
	u8 state;
	u8 unseen;		/* out by a forced start: it may have chunks of its own */
	u8 role;		/* enum qbd_member_role */
	u8 reserved0;
	__le32 out_epoch;	/* the epoch in which it dropped out */
	u8 reserved[8];
};

struct qbd_epoch_disk {
	__le32 number;
	__le32 reserved;
	__le64 tag;		/* random: two hosts never make the same epoch */
	__le64 in;		/* bitmap of the backends that are in by it */
};

struct qbd_super_disk {
	u8 magic[8];
	__le32 crc;		/* crc32c(~0) of all 16 KiB, with this as 0 */
	__le32 version;
	__le64 compat;
	__le64 incompat;
	__le64 seq;
	u8 pool_uuid[16];
	u8 uuid[16];
	char pool_name[QBD_NAME_SIZE];
	/* this backend */
	__le32 index;
	__le32 nr_slots;
	__le64 volume_start;	/* all starts in bytes */
	__le64 layer_start;
	__le64 slot_start;
	__le64 csum_start;
	__le64 ring_start;
	__le64 data_start;
	/* the pool */
	__le32 extent_size;
	__le32 csum_bytes_per_slot;
	__le32 volume_pages;
	__le32 layer_pages;
	__le32 ring_blocks;
	__le32 nr_epochs;
	__le64 ring_generation;
	__le64 ring_members;	/* bitmap of indexes */
	__le64 ring_first_lsn;	/* all LSNs of this generation are at least this */
	__le64 ring_first_block;
	u8 journal;		/* enum qbd_journal_mode; not off: the feature bit is set */
	u8 reserved1[3];
	__le32 lease_ms;	/* T of docs/protocol.md; 0: no lease. Else the feature bit */
	u8 reserved0[256];
	struct qbd_epoch_disk epochs[QBD_EPOCHS];	/* newest first */
	struct qbd_member_disk members[QBD_MAX_BACKENDS];
	u8 reserved[8960];
};

enum qbd_heartbeat_kind {
	/* By the activation that has this nonce; next: that of the standby that it was, or 0 */
	QBD_HEARTBEAT_OWNED = 1,
	QBD_HEARTBEAT_RELEASED = 2,	/* by it; next is who may go on at once, or 0 */
	QBD_HEARTBEAT_STANDBY = 3,	/* the second block: who waits for a hand-over */
};

/* Written in one place, for a torn one says no more than that somebody writes. */
struct qbd_heartbeat_disk {
	__le32 crc;		/* crc32c(~0) of all that follows */
	__le32 magic;
	u8 pool_uuid[16];
	u8 uuid[16];		/* of the backend */
	__le64 nonce;		/* random, of an activation; never 0 */
	__le64 counter;		/* another one with each write */
	__le64 next;
	u8 kind;		/* enum qbd_heartbeat_kind */
	u8 reserved0[7];
	char host[QBD_HOST_SIZE];
	u8 reserved[3960];
};

enum qbd_policy_kind {
	QBD_REPLICAS = 1,
	QBD_EC = 2,
};

struct qbd_policy_disk {
	u8 kind;
	u8 k;			/* replicas: 1 */
	u8 m;			/* replicas: R - 1 */
	u8 block_shift;
	u8 reserved[4];
};

enum qbd_table_state {
	QBD_UNUSED = 0,
	QBD_LIVE = 1,
	QBD_DELETING = 2,	/* its chunks are being freed */
};

struct qbd_volume_disk {
	__le32 number;
	u8 state;
	u8 reserved0[3];
	__le32 top_layer;
	__le32 reserved1;
	__le64 sectors;
	struct qbd_policy_disk policy;	/* of layers to come */
	char name[QBD_NAME_SIZE];
	char tag[QBD_TAGS_SIZE];	/* empty, or only backends that have it */
	u8 reserved[96];
};

/*
 * Entry 0 of the layer table is no layer: its number is the next layer number.
 * A volume's number is that of its first layer. Neither is ever used again.
 */
struct qbd_layer_disk {
	__le32 number;
	u8 state;
	u8 reserved0[3];
	__le32 parent;		/* 0: none */
	__le32 volume;
	__le64 sectors;
	struct qbd_policy_disk policy;
	u8 reserved[96];
};

#define QBD_VOLUMES_PER_PAGE	(QBD_PAGE_PAYLOAD / 256)
#define QBD_LAYERS_PER_PAGE	(QBD_PAGE_PAYLOAD / 128)
#define QBD_SLOTS_PER_PAGE	(QBD_PAGE_PAYLOAD / 32)
#define QBD_CSUMS_PER_PAGE	(QBD_PAGE_PAYLOAD / 4)

enum qbd_slot_state {
	QBD_SLOT_FREE = 0,
	QBD_SLOT_LIVE = 1,
	QBD_SLOT_REBUILD = 2,	/* being filled; never current */
	/* 3 and 4 are reserved */
};

#define QBD_SLOT_ALLZERO	1	/* holes are zeros, never the parent */

struct qbd_slot_disk {
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le64 insync;		/* backends with a current leg, as of epoch */
	__le32 epoch;
	u8 leg;
	u8 state;
	__le16 flags;
};

/* Values of a unit's checksum that are none. */
#define QBD_CSUM_HOLE		0u
#define QBD_CSUM_ZERO		1u	/* zeros that hide a parent */
#define QBD_CSUM_REFERENCE	2u	/* reserved: see the block map */
#define QBD_CSUM_LOST		3u	/* an I/O error until rewritten */
#define QBD_CSUM_STATES		16u	/* values below are states */

/* The ring */

struct qbd_ring_disk {
	__le32 crc;		/* crc32c(~0) of all that follows */
	__le32 magic;
	u8 pool_uuid[16];
	__le64 generation;
	__le64 number;
	__le64 tail;		/* number of the oldest block still needed */
	__le64 first_lsn;
	__le16 nr_records;
	__le16 used;		/* bytes of payload */
	__le32 batch_index;	/* all blocks before number - batch_index were durable */
	u8 payload[QBD_PAGE_PAYLOAD];
};

enum qbd_record_type {
	QBD_RECORD_CHUNK = 1,
	QBD_RECORD_RANGE = 2,
	QBD_RECORD_CSUM = 3,
	QBD_RECORD_VOLUME = 4,
	QBD_RECORD_LAYER = 5,
	QBD_RECORD_CHECKPOINT = 6,
	QBD_RECORD_BLOCK_MAP = 7,	/* reserved: dedupe */
	QBD_RECORD_JOURNAL = 8,
	QBD_RECORD_DESTAGE = 9,
	QBD_RECORD_DESTAGED = 10,
};

struct qbd_record_disk {
	u8 type;
	u8 op;			/* enum qbd_chunk_op, for people */
	__le16 length;		/* with this header; a multiple of 8 */
	u8 reserved[4];
};

/* Why a chunk record was written: for dumps, not needed to apply it. */
enum qbd_chunk_op {
	QBD_CHUNK_ALLOC = 1,
	QBD_CHUNK_FREE = 2,
	QBD_CHUNK_STAMP = 3,	/* legs left insync; a new epoch */
	QBD_CHUNK_REBUILD = 4,	/* a leg has a new slot, to be filled */
	QBD_CHUNK_INSYNC = 5,	/* a leg entered insync */
};

/*
 * The whole new state of a chunk's slots: each named slot's entry becomes what
 * the record says. A leg that moves names its old slot as FREE. A slot not named
 * keeps its entry. So allocation, freeing and stamps are one record for all legs.
 */
struct qbd_chunk_leg_disk {
	__le32 slot;
	u8 backend;
	u8 leg;
	u8 state;
	u8 reserved;
};

#define QBD_CHUNK_RECORD_LEGS	(2 * QBD_MAX_LEGS)

struct qbd_chunk_record_disk {
	struct qbd_record_disk head;
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le64 insync;
	__le32 epoch;
	__le16 flags;
	u8 nr_legs;
	u8 reserved;
	struct qbd_chunk_leg_disk legs[];
};

/* Rows that are going to be written: durable before the first data write. */
struct qbd_range_record_disk {
	struct qbd_record_disk head;
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le32 first_row;
	__le32 nr_rows;
};

struct qbd_csum_record_disk {
	struct qbd_record_disk head;
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le32 first_unit;
	__le32 nr_units;
	__le32 values[];
};

/*
 * A piece of a block, with its data. The pieces of a block follow one another from
 * offset 0 on, maybe with other records between them; it counts when it is whole,
 * and replaces the one of the same place that was whole before. A leg of K and
 * more is new parity, for the DESTAGE record that follows it.
 */
struct qbd_journal_record_disk {
	struct qbd_record_disk head;
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le32 row;
	__le32 csum;		/* of the whole block, as it will be in its place */
	__le32 offset;		/* of the piece in the block */
	__le16 bytes;		/* a multiple of 8 */
	u8 leg;
	u8 reserved;
	u8 data[];
};

/*
 * DESTAGE: these legs of a row are going to be written: data blocks that are
 * whole in JOURNAL records up to an LSN, and parity. DESTAGED: they are in their
 * place, durably. values: what all units of the row are then.
 */
struct qbd_destage_record_disk {
	struct qbd_record_disk head;
	__le32 layer;
	__le32 chunk;
	__le64 gen;
	__le64 newest;
	__le32 first_unit;
	__le32 mask;
	__le32 nr_units;
	__le32 reserved;
	__le32 values[];
};

struct qbd_volume_record_disk {
	struct qbd_record_disk head;
	__le32 index;
	__le32 reserved;
	struct qbd_volume_disk entry;
};

struct qbd_layer_record_disk {
	struct qbd_record_disk head;
	__le32 index;
	__le32 reserved;
	struct qbd_layer_disk entry;
};

struct qbd_checkpoint_record_disk {
	struct qbd_record_disk head;
	__le64 lsn;		/* all records up to this one are in pages */
};

/* Host order: what the rest of the code sees */

struct qbd_policy {
	u8 kind;
	u8 k;
	u8 m;
	u8 block_shift;
};

/**
 * qbd_policy_legs - legs of a chunk, K + M or R
 */
static inline unsigned int qbd_policy_legs(const struct qbd_policy *p)
{
	return p->k + p->m;
}

/**
 * qbd_policy_units - checksums of a row: one a leg for ec, one for replicas
 */
static inline unsigned int qbd_policy_units(const struct qbd_policy *p)
{
	return p->kind == QBD_EC ? p->k + p->m : 1;
}

/**
 * qbd_policy_csum_legs - how many legs, from the first, hold the checksum table
 */
static inline unsigned int qbd_policy_csum_legs(const struct qbd_policy *p)
{
	return p->m + 1;
}

struct qbd_member {
	u8 uuid[16];
	char tags[QBD_TAGS_SIZE];
	u8 state;
	bool unseen;
	u8 role;
	u32 out_epoch;
};

struct qbd_epoch {
	u32 number;
	u64 tag;
	u64 in;
};

/* What is the same on all members. */
struct qbd_membership {
	u8 pool_uuid[16];
	char pool_name[QBD_NAME_SIZE];
	u32 extent_size;
	u32 csum_bytes_per_slot;
	u32 volume_pages;
	u32 layer_pages;
	u32 ring_blocks;
	u32 nr_epochs;
	u64 ring_generation;
	u64 ring_members;
	u64 ring_first_lsn;
	u64 ring_first_block;
	u8 journal;
	u32 lease_ms;
	struct qbd_epoch epochs[QBD_EPOCHS];
	struct qbd_member members[QBD_MAX_BACKENDS];
};

/* What is a backend's own. Starts in bytes. */
struct qbd_geometry {
	u8 uuid[16];
	u32 index;
	u32 nr_slots;
	u64 volume_start;
	u64 layer_start;
	u64 slot_start;
	u64 csum_start;
	u64 ring_start;
	u64 data_start;
};

struct qbd_super {
	u64 seq;
	u64 compat;
	struct qbd_geometry geometry;
	struct qbd_membership pool;
};

struct qbd_heartbeat {
	u8 kind;
	u64 nonce;
	u64 counter;
	u64 next;
	char host[QBD_HOST_SIZE];
};

struct qbd_page_id {
	u32 type;
	u64 number;
	u64 gen;
	u64 seq;
	u64 lsn;
	bool alone;		/* set by qbd_page_newest() */
};

struct qbd_slot {
	u32 layer;
	u32 chunk;
	u64 gen;
	u64 insync;
	u32 epoch;
	u8 leg;
	u8 state;
	u16 flags;
};

struct qbd_volume_entry {
	u32 number;
	u8 state;
	u32 top_layer;
	u64 sectors;
	struct qbd_policy policy;
	char name[QBD_NAME_SIZE];
	char tag[QBD_TAGS_SIZE];
};

struct qbd_layer_entry {
	u32 number;
	u8 state;
	u32 parent;
	u32 volume;
	u64 sectors;
	struct qbd_policy policy;
};

struct qbd_chunk_leg {
	u32 slot;
	u8 backend;
	u8 leg;
	u8 state;
};

struct qbd_ring_block {
	u64 generation;
	u64 number;
	u64 tail;
	u64 first_lsn;
	u16 nr_records;
	u16 used;
	u32 batch_index;
};

/* A decoded record. values and data point into the ring block. */
struct qbd_record {
	u8 type;
	u8 op;
	u32 layer;
	u32 chunk;
	u64 gen;
	union {
		struct {
			u64 insync;
			u32 epoch;
			u16 flags;
			u8 nr_legs;
			struct qbd_chunk_leg legs[QBD_CHUNK_RECORD_LEGS];
		};
		struct {
			u32 first_row;
			u32 nr_rows;
		};
		struct {
			u32 first_unit;
			u32 nr_units;
			const __le32 *values;
			u32 mask;	/* DESTAGE, DESTAGED */
			u64 newest;
		};
		struct {
			u32 row;
			u32 csum;
			u32 offset;
			u32 bytes;
			u8 leg;
			const u8 *data;
		};
		struct {
			u32 index;
			union {
				struct qbd_volume_entry volume;
				struct qbd_layer_entry layer_entry;
			};
		};
		u64 lsn;
	};
};

#define QBD_MAX_RECORD		QBD_PAGE_PAYLOAD
#define QBD_MAX_PIECE \
	((QBD_MAX_RECORD - sizeof(struct qbd_journal_record_disk)) & ~7u)
#define QBD_MAX_CSUM_RUN \
	((QBD_MAX_RECORD - sizeof(struct qbd_csum_record_disk)) / 4)

/* kernel/format.c */
void qbd_super_encode(const struct qbd_super *super, void *raw);
int qbd_super_decode(const void *raw, u64 device_bytes, struct qbd_super *super);
int qbd_super_newest(const void *both, u64 device_bytes, struct qbd_super *super);
const char *qbd_super_error(int err);
int qbd_geometry_make(struct qbd_geometry *geometry, const struct qbd_membership *pool,
		      u64 device_bytes);
bool qbd_tag_match(const char *tags, const char *tag);
u64 qbd_journal_devices(const struct qbd_membership *pool);

/* kernel/heartbeat.c */
void qbd_heartbeat_seal(void *raw, const u8 *pool_uuid, const u8 *uuid,
			const struct qbd_heartbeat *h);
int qbd_heartbeat_check(const void *raw, const u8 *pool_uuid, const u8 *uuid,
			struct qbd_heartbeat *h);

void qbd_page_seal(void *raw, const u8 *uuid, const struct qbd_page_id *id);
int qbd_page_check(const void *raw, const u8 *uuid, struct qbd_page_id *id);
int qbd_page_newest(const void *both, const u8 *uuid, u32 type, u64 number, u64 gen,
		    struct qbd_page_id *id);
static inline void *qbd_page_payload(void *raw)
{
	return ((struct qbd_page *)raw)->payload;
}

void qbd_slot_put(void *payload, unsigned int i, const struct qbd_slot *slot);
void qbd_slot_get(const void *payload, unsigned int i, struct qbd_slot *slot);
void qbd_volume_put(void *payload, unsigned int i, const struct qbd_volume_entry *v);
void qbd_volume_get(const void *payload, unsigned int i, struct qbd_volume_entry *v);
void qbd_layer_put(void *payload, unsigned int i, const struct qbd_layer_entry *l);
void qbd_layer_get(const void *payload, unsigned int i, struct qbd_layer_entry *l);
bool qbd_policy_valid(const struct qbd_policy *policy);
u32 qbd_csum_table_bytes(const struct qbd_policy *policy, u32 extent_size);

u32 qbd_csum_seed(u32 layer, u32 chunk, u64 gen, u32 row, u32 leg);
static inline u32 qbd_csum_finish(u32 crc)
{
	return crc < QBD_CSUM_STATES ? crc + QBD_CSUM_STATES : crc;
}

/* kernel/record.c */
void qbd_ring_block_seal(void *raw, const u8 *pool_uuid, const struct qbd_ring_block *b);
int qbd_ring_block_check(const void *raw, const u8 *pool_uuid, struct qbd_ring_block *b);
unsigned int qbd_record_encode(const struct qbd_record *record, void *out);
unsigned int qbd_record_size(const struct qbd_record *record);
int qbd_record_decode(const void *raw, unsigned int left, struct qbd_record *record);

#endif
