// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring: a log on two members, in blocks that are changed, lost, stale or in another's
 * place. What replay takes for the log is what the rules say, found the slow way; and
 * every record that it hands out is in its bounds, and the same when it is encoded and
 * decoded again.
 */
#include "fuzz.h"
#include "parts.h"
#include "replay.h"

#define MEMBERS 2
#define BLOCKS 8
#define FIRST 3 /* number of the generation's first block */
#define FIRST_LSN 100

const unsigned int fuzz_parts = MEMBERS * BLOCKS;
const unsigned int fuzz_bytes = 64 + 300;

static const u8 pool_uuid[16] = "a pool with ring";
static u8 base[BLOCKS][QBD_PAGE_SIZE], rings[MEMBERS][BLOCKS][QBD_PAGE_SIZE];

static unsigned int add_records(u8 *payload, unsigned int n, u16 *used)
{
	const __le32 values[] = { 16, 17, 3, 1, 0, 99 };
	const struct qbd_policy ec = { QBD_EC, 4, 2, 12 };
	const struct qbd_record records[] = {
		{ .type = QBD_RECORD_CHUNK, .op = QBD_CHUNK_ALLOC, .layer = 1, .chunk = n,
		  .gen = 100, .insync = 3, .epoch = 1, .nr_legs = 2,
		  .legs = { { 1, 0, 0, QBD_SLOT_LIVE }, { 2, 1, 1, QBD_SLOT_REBUILD } } },
		{ .type = QBD_RECORD_RANGE, .layer = 1, .chunk = n, .gen = 100, .nr_rows = 256 },
		{ .type = QBD_RECORD_CSUM, .layer = 1, .chunk = n, .gen = 100, .nr_units = 6,
		  .values = values },
		{ .type = QBD_RECORD_LAYER, .index = 1,
		  .layer_entry = { 1, QBD_LIVE, 0, 1, 8192, ec } },
		{ .type = QBD_RECORD_VOLUME, .index = 1,
		  .volume = { 1, QBD_LIVE, 1, 8192, ec, "vm", "ssd" } },
		{ .type = QBD_RECORD_CHECKPOINT, .lsn = 100 },
		{ .type = QBD_RECORD_JOURNAL, .layer = 1, .gen = 100, .row = 2, .csum = 77, .leg = 1,
		  .bytes = 16, .data = (const u8 *)"a piece of data." },
		{ .type = QBD_RECORD_DESTAGE, .layer = 1, .gen = 100, .newest = 101, .first_unit = 6,
		  .nr_units = 6, .mask = 0x31, .values = values },
		{ .type = QBD_RECORD_DESTAGED, .layer = 1, .gen = 100, .newest = 101,
		  .first_unit = 6, .nr_units = 6, .mask = 0x31, .values = values },
	};
	unsigned int i;

	*used = 0;
	for (i = 0; i < 2; i++)
		*used += qbd_record_encode(&records[(2 * n + i) % 9], payload + *used);
	return 2;
}

/* Blocks 3..9, and what is left of another generation at the position of block 10. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	u64 number, lsn = FIRST_LSN;

	for (number = FIRST; number < FIRST + BLOCKS; number++) {
		u8 *raw = base[number % BLOCKS];
		struct qbd_ring_block b = {
			.generation = number == FIRST + BLOCKS - 1 ? 1 : 2, .number = number,
			.tail = number < 6 ? FIRST : 5, .first_lsn = lsn,
			.batch_index = number == 5 || number == 9,
		};

		b.nr_records = add_records(raw + 64, number, &b.used);
		lsn += b.nr_records;
		qbd_ring_block_seal(raw, pool_uuid, &b);
	}
	return 0;
}

static bool whole_down_to_tail(const struct qbd_replay *r, const struct qbd_replay_place *h)
{
	u64 n;

	for (n = h->tail; n <= h->number; n++) {
		const struct qbd_replay_place *p = &r->places[n % r->ring_blocks];
		const struct qbd_replay_place *next = &r->places[(n + 1) % r->ring_blocks];

		if (!p->there || p->number != n)
			return false;
		if (n < h->number && p->first_lsn + p->nr_records != next->first_lsn)
			return false;
	}
	return true;
}

/* The log as replay.h defines it, with no cleverness. */
static int find_slowly(const struct qbd_replay *r, const struct qbd_replay_place **log)
{
	u64 highest = 0, acknowledged = r->first_block;
	u32 i;

	*log = NULL;
	for (i = 0; i < r->ring_blocks; i++)
		if (r->places[i].there && r->places[i].number > highest)
			highest = r->places[i].number;
	for (i = 0; i < r->ring_blocks; i++) {
		const struct qbd_replay_place *p = &r->places[i];

		if (!p->there)
			continue;
		if (p->number - p->batch_index > acknowledged)
			acknowledged = p->number - p->batch_index;
		if (highest - p->number < r->ring_blocks && (!*log || p->number > (*log)->number) &&
		    whole_down_to_tail(r, p))
			*log = p;
	}
	if (!*log)
		return acknowledged > r->first_block ? -EUCLEAN : -ENODATA;
	return (*log)->number + 1 < acknowledged ? -EUCLEAN : 0;
}

static int take_record(void *context, u64 lsn, const struct qbd_record *r)
{
	static u8 bytes[QBD_PAGE_SIZE], twice[QBD_PAGE_SIZE];
	struct qbd_record again;
	struct qbd_slot slot;
	u64 *next = context;
	unsigned int i;
	int n;

	must(lsn == *next);
	(*next)++;
	n = qbd_record_encode(r, bytes);
	must(n > 0 && n <= (int)QBD_MAX_RECORD && n == (int)qbd_record_size(r));
	must(qbd_record_decode(bytes, n, &again) == n);
	must(again.type == r->type && again.gen == r->gen && again.chunk == r->chunk);
	must((int)qbd_record_encode(&again, twice) == n && !memcmp(bytes, twice, n));
	switch (r->type) {
	case QBD_RECORD_CHUNK:
		must(r->layer && r->nr_legs <= QBD_CHUNK_RECORD_LEGS);
		for (i = 0; i < r->nr_legs; i++) {
			must(r->legs[i].backend < QBD_MAX_BACKENDS);
			must(r->legs[i].slot < QBD_MAX_SLOTS);
			qbd_replay_slot(r, i, &slot);
			must(slot.leg < QBD_MAX_LEGS && slot.state <= QBD_SLOT_REBUILD);
		}
		break;
	case QBD_RECORD_JOURNAL:
		must(r->bytes && r->bytes <= QBD_MAX_PIECE && r->leg < QBD_MAX_LEGS);
		must(r->offset + r->bytes <= QBD_MAX_BLOCK && r->csum >= QBD_CSUM_STATES);
		must(!memcmp(r->data, again.data, r->bytes));
		break;
	case QBD_RECORD_DESTAGE:
	case QBD_RECORD_DESTAGED:
		must(r->nr_units && r->nr_units <= QBD_MAX_LEGS && !(r->mask >> r->nr_units));
		must(r->first_unit % r->nr_units == 0);
		/* fall through */
	case QBD_RECORD_CSUM:
		for (i = 0; i < r->nr_units; i++)
			must(r->values[i] == again.values[i]);
		break;
	}
	return 0;
}

static void check_log(const struct qbd_replay *r)
{
	u64 number, lsn = r->places[r->first % BLOCKS].first_lsn;
	bool all = true;

	must(r->first <= r->last && r->last - r->first < BLOCKS && r->first >= FIRST);
	must(r->next_lsn >= FIRST_LSN);
	for (number = r->first; number <= r->last; number++) {
		const struct qbd_replay_place *p = &r->places[number % BLOCKS];

		must(p->there && p->number == number && p->member < MEMBERS);
		must(!all || p->first_lsn == lsn);
		if (qbd_replay_block(r, number, rings[p->member][number % BLOCKS], take_record,
				     &lsn))
			all = false;	/* refused, as activation then is */
		if (!all)
			lsn = p->first_lsn + p->nr_records;
	}
	must(lsn == r->next_lsn);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct qbd_replay_place places[BLOCKS];
	struct qbd_replay replay = {
		.pool_uuid = pool_uuid, .generation = 2, .first_block = FIRST,
		.first_lsn = FIRST_LSN, .ring_blocks = BLOCKS, .places = places,
	};
	const struct qbd_replay_place *log;
	bool touched[MEMBERS][BLOCKS] = {}, unsealed[MEMBERS][BLOCKS] = {};
	unsigned int i, m, b;
	struct input in;
	int err;

	input_read(&in, data, size);
	for (m = 0; m < MEMBERS; m++)
		memcpy(rings[m], base, sizeof(base));
	for (i = 0; i < in.nr; i++) {
		const struct op *op = &in.ops[i];

		b = op->what % BLOCKS;
		m = op->what / BLOCKS % MEMBERS;
		touched[m][b] = true;
		if (op->kind == OP_UNSEAL)
			unsealed[m][b] = true;
		else if (op->kind == OP_MOVE)
			memcpy(rings[m][b], base[op->value % BLOCKS], QBD_PAGE_SIZE);
		else
			op_apply(op, rings[m][b], QBD_PAGE_SIZE);
		/* On both, or the other member's copy is the one. */
		if (op->value & 0x80000000)
			continue;
		memcpy(rings[!m][b], rings[m][b], QBD_PAGE_SIZE);
		touched[!m][b] = true;
	}
	memset(places, 0, sizeof(places));
	for (m = 0; m < MEMBERS; m++)
		for (b = 0; b < BLOCKS; b++) {
			if (touched[m][b] && !unsealed[m][b])
				part_seal(rings[m][b], QBD_PAGE_SIZE);
			qbd_replay_note(&replay, b, rings[m][b], m);
		}
	err = qbd_replay_find(&replay);
	must(err == find_slowly(&replay, &log));
	if (err)
		return 0;
	must(replay.last == log->number && replay.first == log->tail);
	check_log(&replay);
	return 0;
}
