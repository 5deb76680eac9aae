// SPDX-License-Identifier: GPL-2.0-only
/*
 * Superblocks: whatever decodes is within its device and its arrays, and is the same
 * when it is encoded and decoded again; the newer of two places is taken.
 */
#include "fuzz.h"
#include "parts.h"

#define BACKENDS 6
#define BYTES (24ull << 20)

const unsigned int fuzz_parts = 3; /* two places, and the device's size */
const unsigned int fuzz_bytes = 1280 + 8 * sizeof(struct qbd_member_disk);

static u8 base[2 * QBD_SUPER_SIZE], both[2 * QBD_SUPER_SIZE], again[QBD_SUPER_SIZE];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct qbd_super supers[BACKENDS];

	tiny_plan(supers, BACKENDS, BYTES);
	supers[2].pool.nr_epochs = 3;
	supers[2].pool.epochs[2] = supers[2].pool.epochs[0];
	supers[2].pool.epochs[1] = (struct qbd_epoch){ .number = 2, .tag = 7, .in = 0x1f };
	supers[2].pool.epochs[0] = (struct qbd_epoch){ .number = 3, .tag = 8, .in = 0x0f };
	supers[2].pool.members[4].state = QBD_MEMBER_OUT;
	supers[2].pool.members[5].state = QBD_MEMBER_OUT;
	supers[2].pool.journal = QBD_JOURNAL_ON;
	supers[2].seq = 4;
	qbd_super_encode(&supers[2], base);
	supers[2].seq = 5;
	qbd_super_encode(&supers[2], base + QBD_SUPER_SIZE);
	return 0;
}

static void check_geometry(const struct qbd_super *s, u64 bytes)
{
	const struct qbd_geometry *g = &s->geometry;
	const struct qbd_membership *p = &s->pool;
	/* In 128 bits, in which nothing here can wrap. */
	const struct { u64 start; __uint128_t size; } areas[] = {
		{ QBD_HEARTBEAT_START, QBD_TABLES_START - QBD_HEARTBEAT_START },
		{ g->volume_start, (__uint128_t)p->volume_pages * QBD_PAGE_PLACES },
		{ g->layer_start, (__uint128_t)p->layer_pages * QBD_PAGE_PLACES },
		{ g->slot_start, (__uint128_t)((g->nr_slots + QBD_SLOTS_PER_PAGE - 1ull) /
					       QBD_SLOTS_PER_PAGE) * QBD_PAGE_PLACES },
		{ g->csum_start, (__uint128_t)g->nr_slots * p->csum_bytes_per_slot },
		{ g->ring_start, (__uint128_t)p->ring_blocks * QBD_PAGE_SIZE },
		{ g->data_start, (__uint128_t)g->nr_slots * p->extent_size },
	};
	unsigned int i;

	for (i = 0; i < 7; i++) {
		must(areas[i].start % QBD_PAGE_SIZE == 0);
		must(areas[i].start + areas[i].size <= (i < 6 ? areas[i + 1].start : bytes));
	}
	must(g->index < QBD_MAX_BACKENDS && g->nr_slots && g->nr_slots <= QBD_MAX_SLOTS);
	must(p->nr_epochs && p->nr_epochs <= QBD_EPOCHS);
	must(memchr(p->pool_name, 0, QBD_NAME_SIZE));
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		must(memchr(p->members[i].tags, 0, QBD_TAGS_SIZE));
		must(p->members[i].state <= QBD_MEMBER_OUT);
		qbd_tag_match(p->members[i].tags, "host=A");
	}
	must(p->ring_members);
}

static int check_place(const u8 *raw, u64 bytes, struct qbd_super *s)
{
	static struct qbd_super other;
	int err = qbd_super_decode(raw, bytes, s);

	must(qbd_super_error(err));
	if (err)
		return err;
	check_geometry(s, bytes);
	qbd_super_encode(s, again);
	must(!qbd_super_decode(again, bytes, &other));
	must(!memcmp(s, &other, sizeof(other)));
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct qbd_super place[2], newest;
	bool sealed[2] = { true, true };
	u64 bytes = BYTES;
	struct input in;
	int err[2], got;
	unsigned int i;

	input_read(&in, data, size);
	memcpy(both, base, sizeof(both));
	for (i = 0; i < in.nr; i++) {
		const struct op *op = &in.ops[i];

		if (op->what % 3 == 2)
			op_apply(op, &bytes, sizeof(bytes));
		else if (op->kind == OP_UNSEAL)
			sealed[op->what % 3] = false;
		else
			op_apply(op, both + op->what % 3 * QBD_SUPER_SIZE, QBD_SUPER_SIZE);
	}
	for (i = 0; i < 2; i++) {
		if (sealed[i])
			part_seal(both + i * QBD_SUPER_SIZE, QBD_SUPER_SIZE);
		err[i] = check_place(both + i * QBD_SUPER_SIZE, bytes, &place[i]);
		must(sealed[i] || err[i] || !memcmp(both + i * QBD_SUPER_SIZE,
						    base + i * QBD_SUPER_SIZE, 64));
	}
	got = qbd_super_newest(both, bytes, &newest);
	must(!got == (!err[0] || !err[1]));
	if (!got) {
		i = err[0] || (!err[1] && place[1].seq >= place[0].seq);
		must(!memcmp(&newest, &place[i], sizeof(newest)));
	}
	return 0;
}
