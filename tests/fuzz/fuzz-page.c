// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata pages of all types: whose place is taken, and that every entry read from one
 * is in its bounds, and the same when it is put back and read again.
 */
#include "fuzz.h"
#include "parts.h"

const unsigned int fuzz_parts = 2 * 4; /* two places of each type */
const unsigned int fuzz_bytes = 64 + 2 * 256;

static u8 base[4][QBD_PAGE_PLACES], both[QBD_PAGE_PLACES], other[QBD_PAGE_SIZE];
static u8 uuid[16] = "sixteen letters";

static void fill(u32 type, void *payload, u64 place)
{
	const struct qbd_policy ec = { QBD_EC, 4, 2, 12 }, two = { QBD_REPLICAS, 1, 1, 12 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct qbd_volume_entry v = {
			.number = i + 1, .state = QBD_LIVE, .top_layer = i + 1, .sectors = 8192,
			.policy = i ? ec : two, .name = "vm", .tag = "ssd",
		};
		struct qbd_layer_entry l = {
			.number = i + 1, .state = i ? QBD_LIVE : QBD_UNUSED, .volume = i,
			.sectors = 8192, .policy = i ? ec : two,
		};
		struct qbd_slot s = {
			.layer = 1, .chunk = i, .gen = 9, .insync = 7, .epoch = 1, .leg = i,
			.state = QBD_SLOT_LIVE, .flags = place,
		};

		if (type == QBD_PAGE_VOLUME)
			qbd_volume_put(payload, i, &v);
		else if (type == QBD_PAGE_LAYER)
			qbd_layer_put(payload, i, &l);
		else if (type == QBD_PAGE_SLOT)
			qbd_slot_put(payload, i, &s);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct qbd_page_id id = { .number = 3 };
	u32 type, place;

	for (type = QBD_PAGE_VOLUME; type <= QBD_PAGE_CSUM; type++)
		for (place = 0; place < 2; place++) {
			u8 *raw = base[type - 1] + place * QBD_PAGE_SIZE;

			id.type = type;
			id.gen = type == QBD_PAGE_CSUM ? 5 + place : 0;
			id.seq = 10 + place;
			id.lsn = 20 + place;
			fill(type, raw + QBD_PAGE_SIZE - QBD_PAGE_PAYLOAD, place);
			qbd_page_seal(raw, uuid, &id);
		}
	return 0;
}

static void check_policy(const struct qbd_policy *p)
{
	must(qbd_policy_legs(p) && qbd_policy_legs(p) <= QBD_MAX_LEGS);
	must(qbd_policy_csum_legs(p) <= qbd_policy_legs(p));
	must(p->block_shift >= 12 && p->block_shift <= 16);
	must(qbd_csum_table_bytes(p, QBD_MAX_EXTENT) % QBD_PAGE_PLACES == 0);
}

static void check_slots(const void *payload)
{
	struct qbd_slot a, b;
	unsigned int i;

	for (i = 0; i < QBD_SLOTS_PER_PAGE; i++) {
		memset(&a, 0xaa, sizeof(a));
		memset(&b, 0xaa, sizeof(b));
		qbd_slot_get(payload, i, &a);
		must(a.leg < QBD_MAX_LEGS && a.state <= QBD_SLOT_REBUILD);
		must(a.layer || a.state == QBD_SLOT_FREE);
		qbd_slot_put(other, i, &a);
		qbd_slot_get(other, i, &b);
		must(!memcmp(&a, &b, sizeof(a)));
	}
}

static void check_volumes(const void *payload)
{
	struct qbd_volume_entry a, b;
	unsigned int i;

	for (i = 0; i < QBD_VOLUMES_PER_PAGE; i++) {
		qbd_volume_get(payload, i, &a);
		qbd_volume_put(other, i, &a);
		qbd_volume_get(other, i, &b);
		must(!memcmp(&a, &b, sizeof(a)));
		if (a.state == QBD_UNUSED)
			continue;
		check_policy(&a.policy);
		must(a.number && a.top_layer && a.state <= QBD_DELETING);
		must(a.sectors && a.sectors <= QBD_MAX_VOLUME / 512);
		must(*a.name && memchr(a.name, 0, QBD_NAME_SIZE) && memchr(a.tag, 0, QBD_TAGS_SIZE));
	}
}

static void check_layers(const void *payload)
{
	struct qbd_layer_entry a, b;
	unsigned int i;

	for (i = 0; i < QBD_LAYERS_PER_PAGE; i++) {
		qbd_layer_get(payload, i, &a);
		qbd_layer_put(other, i, &a);
		qbd_layer_get(other, i, &b);
		must(!memcmp(&a, &b, sizeof(a)));
		if (a.state == QBD_UNUSED)
			continue;
		check_policy(&a.policy);
		must(a.number && a.state <= QBD_DELETING);
		must(a.sectors && a.sectors <= QBD_MAX_VOLUME / 512);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	bool sealed[2] = { true, true }, valid[2];
	struct qbd_page_id ids[2], id;
	u64 gen = 5;
	struct input in;
	unsigned int i;
	u32 type;
	int place;

	input_read(&in, data, size);
	type = in.nr ? in.ops[0].what / 2 % 4 + 1 : QBD_PAGE_SLOT;
	memcpy(both, base[type - 1], sizeof(both));
	for (i = 0; i < in.nr; i++) {
		const struct op *op = &in.ops[i];

		if (op->kind == OP_UNSEAL)
			sealed[op->what % 2] = false;
		else if (op->kind == OP_MOVE)
			gen = op->value;
		else
			op_apply(op, both + op->what % 2 * QBD_PAGE_SIZE, QBD_PAGE_SIZE);
	}
	for (i = 0; i < 2; i++) {
		u8 *raw = both + i * QBD_PAGE_SIZE;

		if (sealed[i])
			part_seal(raw, QBD_PAGE_SIZE);
		valid[i] = !qbd_page_check(raw, uuid, &ids[i]);
		must(!valid[i] || !(ids[i].lsn >> 62));
		valid[i] = valid[i] && ids[i].type == type && ids[i].number == 3 &&
			   (ids[i].seq & 1) == i;
	}
	if (type != QBD_PAGE_CSUM)
		gen = 0;
	place = qbd_page_newest(both, uuid, type, 3, gen, &id);
	must((place >= 0) == (valid[0] || valid[1]));
	if (place < 0)
		return 0;
	must(place < 2 && valid[place]);
	must(id.lsn == ids[place].lsn && id.gen == ids[place].gen && id.seq == ids[place].seq);
	/* With a place of the gen that is wanted, none of another is taken. */
	if (valid[0] && valid[1] && (ids[0].gen == gen || ids[1].gen == gen))
		must(id.gen == gen);
	if (valid[!place] && ids[!place].gen == id.gen)
		must(id.seq >= ids[!place].seq);
	if (type == QBD_PAGE_SLOT)
		check_slots(qbd_page_payload(both + place * QBD_PAGE_SIZE));
	else if (type == QBD_PAGE_VOLUME)
		check_volumes(qbd_page_payload(both + place * QBD_PAGE_SIZE));
	else if (type == QBD_PAGE_LAYER)
		check_layers(qbd_page_payload(both + place * QBD_PAGE_SIZE));
	return 0;
}
