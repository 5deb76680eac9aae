// SPDX-License-Identifier: GPL-2.0-only
/*
 * The offline tools' reader on a small pool in memory, whose metadata was changed: it
 * says something of every image, and touches no byte that it does not own.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "create.h"
#include "fuzz.h"
#include "image.h"
#include "parts.h"
#include "verify.h"

#define BACKENDS 3
#define BYTES (5ull << 20)
#define RING 8 /* blocks of the ring that have something */
#define PARTS 128

const unsigned int fuzz_parts = 48;
const unsigned int fuzz_bytes = 64 + 300;

static struct create_backend backends[BACKENDS];
static struct qbd_super supers[BACKENDS];
static struct part parts[PARTS];
static unsigned int nr_parts;
static u8 *disk[BACKENDS], *pristine[BACKENDS];
static char paths[BACKENDS][32];

static void put_page(unsigned int i, u32 type, u64 start, u8 *payload)
{
	struct qbd_page_id id = { .type = type, .seq = 1, .lsn = 5 };
	u8 *raw = disk[i] + start + QBD_PAGE_SIZE;

	memcpy(raw + QBD_PAGE_SIZE - QBD_PAGE_PAYLOAD, payload, QBD_PAGE_PAYLOAD);
	qbd_page_seal(raw, supers[i].geometry.uuid, &id);
}

static void put_tables(unsigned int i)
{
	const struct qbd_policy two = { QBD_REPLICAS, 1, 1, 12 }, ec = { QBD_EC, 2, 1, 12 };
	const struct qbd_geometry *g = &supers[i].geometry;
	u8 payload[QBD_PAGE_PAYLOAD] = {};
	u32 n;

	for (n = 1; n <= 2; n++) {
		struct qbd_volume_entry v = {
			.number = n, .state = QBD_LIVE, .top_layer = n, .sectors = 8192,
			.policy = n == 1 ? two : ec, .name = "vm",
		};

		v.name[2] = '0' + n;
		qbd_volume_put(payload, n - 1, &v);
	}
	put_page(i, QBD_PAGE_VOLUME, g->volume_start, payload);
	memset(payload, 0, sizeof(payload));
	for (n = 0; n <= 2; n++) {
		struct qbd_layer_entry l = {
			.number = n ?: 3, .state = n ? QBD_LIVE : QBD_UNUSED, .volume = n,
			.sectors = 8192, .policy = n == 1 ? two : ec,
		};

		qbd_layer_put(payload, n, &l);
	}
	put_page(i, QBD_PAGE_LAYER, g->layer_start, payload);
	memset(payload, 0, sizeof(payload));
	for (n = 0; n < 2; n++) {
		struct qbd_slot s = {
			.layer = n + 1, .gen = 3 + n, .insync = n ? 7 : 3, .epoch = 1, .leg = i,
			.state = QBD_SLOT_LIVE,
		};

		qbd_slot_put(payload, n, &s);
	}
	put_page(i, QBD_PAGE_SLOT, g->slot_start, payload);
}

static void put_ring(unsigned int i)
{
	u64 number, lsn = 6;

	for (number = 0; number < RING - 1; number++) {
		u8 *raw = disk[i] + supers[i].geometry.ring_start + number * QBD_PAGE_SIZE;
		struct qbd_ring_block b = {
			.generation = 1, .number = number, .first_lsn = lsn, .nr_records = 3,
		};
		struct qbd_record r[3] = {
			{ .type = QBD_RECORD_CHUNK, .layer = 1 + number % 2, .chunk = number / 2,
			  .gen = lsn, .insync = 7, .epoch = 1, .nr_legs = 2,
			  .legs = { { number % 3, 0, 0, QBD_SLOT_LIVE },
				    { number % 3, 1, 1, QBD_SLOT_LIVE } } },
			{ .type = QBD_RECORD_VOLUME, .index = 3,
			  .volume = { 3, QBD_LIVE, 3, 8192, { QBD_REPLICAS, 1, 1, 12 }, "new" } },
			{ .type = QBD_RECORD_LAYER, .index = 3,
			  .layer_entry = { 3, QBD_LIVE, 0, 3, 8192, { QBD_REPLICAS, 1, 1, 12 } } },
		};
		unsigned int n;

		for (n = 0; n < 3; n++)
			b.used += qbd_record_encode(&r[n], raw + 64 + b.used);
		lsn += 3;
		qbd_ring_block_seal(raw, supers[i].pool.pool_uuid, &b);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned int i;

	tiny_plan(supers, BACKENDS, BYTES);
	nr_parts = parts_list(&supers[0], RING, parts, PARTS);
	for (i = 0; i < BACKENDS; i++) {
		int fd = memfd_create("backend", 0);

		must(fd >= 0 && !ftruncate(fd, BYTES));
		snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", fd);
		disk[i] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(disk[i] != MAP_FAILED);
		must(!device_open_exclusive(&backends[i].device, paths[i]));
		must(!create_tables(&backends[i].device, &supers[i]));
		must(!create_super(&backends[i].device, &supers[i]));
		put_tables(i);
		put_ring(i);
		pristine[i] = malloc(supers[i].geometry.data_start);
		memcpy(pristine[i], disk[i], supers[i].geometry.data_start);
	}
	return 0;
}

static void look(void)
{
	struct qbd_scan scan = {};
	struct qbd_image image;
	struct verify verify;
	unsigned int i;
	size_t n;

	for (i = 0; i < BACKENDS; i++)
		must(scan_error(scan_device(&scan, paths[i])));
	if (!image_assemble(&image, &scan, 0)) {
		image_load_tables(&image);
		image_load_slots(&image);
		for (n = 0; n < image.nr_legs; n++) {
			must(image.legs[n].backend < QBD_MAX_BACKENDS);
			must(image.legs[n].entry.state != QBD_SLOT_FREE);
			must(image.members[image.legs[n].backend].standing != IMAGE_IN ||
			     image.legs[n].slot < image.members[image.legs[n].backend]
							  .found->super.geometry.nr_slots);
		}
		verify_image(&image, &verify);
		for (i = 0; i < verify.nr_volumes; i++)
			must(verify_volume_whole(&verify.volumes[i]) ||
			     verify.volumes[i].degraded || verify.volumes[i].stale ||
			     verify.volumes[i].lost);
		verify_free(&verify);
	}
	image_free(&image);
	scan_free(&scan);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	bool touched[BACKENDS][PARTS] = {}, unsealed[BACKENDS][PARTS] = {};
	struct input in;
	unsigned int i, b, p;

	input_read(&in, data, size);
	for (i = 0; i < in.nr; i++) {
		const struct op *op = &in.ops[i];

		/* Bits of the value that few kinds look at say on which backends. */
		p = op->what % nr_parts;
		for (b = 0; b < BACKENDS; b++) {
			u8 *bytes = disk[b] + parts[p].at;

			if (op->value >> 28 & 7 && !(op->value >> 28 & 1u << b))
				continue;
			touched[b][p] = true;
			if (op->kind == OP_UNSEAL)
				unsealed[b][p] = true;
			else if (op->kind == OP_MOVE &&
				 parts[op->at % nr_parts].size == parts[p].size)
				memcpy(bytes, pristine[op->value % BACKENDS] +
					      parts[op->at % nr_parts].at, parts[p].size);
			else
				op_apply(op, bytes, parts[p].size);
		}
	}
	for (b = 0; b < BACKENDS; b++)
		for (p = 0; p < nr_parts; p++)
			if (touched[b][p] && !unsealed[b][p])
				part_seal(disk[b] + parts[p].at, parts[p].size);
	look();
	for (b = 0; b < BACKENDS; b++)
		for (p = 0; p < nr_parts; p++)
			if (touched[b][p])
				memcpy(disk[b] + parts[p].at, pristine[b] + parts[p].at,
				       parts[p].size);
	return 0;
}
