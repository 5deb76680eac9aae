// SPDX-License-Identifier: GPL-2.0-only
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

void tiny_plan(struct qbd_super *supers, unsigned int nr, u64 bytes)
{
	struct qbd_membership pool = {
		.pool_name = "tiny",
		.extent_size = QBD_MIN_EXTENT,
		.csum_bytes_per_slot = TINY_CSUM_BYTES,
		.volume_pages = 1,
		.layer_pages = 1,
		.ring_blocks = QBD_MIN_RING_BLOCKS,
		.nr_epochs = 1,
		.ring_generation = 1,
		.ring_first_lsn = 1,
	};
	unsigned int i;

	memset(pool.pool_uuid, 0x77, 16);
	pool.epochs[0] = (struct qbd_epoch){ .number = 1, .tag = 0x1122334455667788 };
	for (i = 0; i < nr; i++) {
		memset(pool.members[i].uuid, 0x10 + i, 16);
		snprintf(pool.members[i].tags, QBD_TAGS_SIZE, "host=%c", 'A' + i);
		pool.members[i].state = QBD_MEMBER_IN;
		pool.epochs[0].in |= BIT_ULL(i);
	}
	pool.ring_members = pool.epochs[0].in & 7;
	for (i = 0; i < nr; i++) {
		memset(&supers[i], 0, sizeof(supers[i]));
		supers[i].pool = pool;
		supers[i].geometry.index = i;
		memcpy(supers[i].geometry.uuid, pool.members[i].uuid, 16);
		if (qbd_geometry_make(&supers[i].geometry, &pool, bytes))
			abort();
	}
}

unsigned int parts_list(const struct qbd_super *super, unsigned int ring, struct part *parts,
			unsigned int max)
{
	const struct qbd_geometry *g = &super->geometry;
	const struct qbd_membership *p = &super->pool;
	u32 slot_pages = DIV_ROUND_UP(g->nr_slots, QBD_SLOTS_PER_PAGE);
	u32 csum_pages = g->nr_slots * (p->csum_bytes_per_slot / QBD_PAGE_PLACES);
	const struct { u64 start; u32 nr, size; } areas[] = {
		{ 0, 2, QBD_SUPER_SIZE },
		{ g->volume_start, 2 * p->volume_pages, QBD_PAGE_SIZE },
		{ g->layer_start, 2 * p->layer_pages, QBD_PAGE_SIZE },
		{ g->slot_start, 2 * slot_pages, QBD_PAGE_SIZE },
		{ g->csum_start, 2 * csum_pages, QBD_PAGE_SIZE },
		{ g->ring_start, ring, QBD_PAGE_SIZE },
	};
	unsigned int a, nr = 0;
	u32 i;

	for (a = 0; a < sizeof(areas) / sizeof(areas[0]); a++)
		for (i = 0; i < areas[a].nr && nr < max; i++)
			parts[nr++] = (struct part){
				.at = areas[a].start + (u64)i * areas[a].size,
				.size = areas[a].size,
			};
	return nr;
}

void part_seal(void *bytes, u32 size)
{
	struct qbd_super_disk *super = bytes;
	__le32 *crc = bytes;

	if (size == QBD_SUPER_SIZE) {
		super->crc = 0;
		super->crc = cpu_to_le32(crc32c(~0u, bytes, size));
	} else {
		*crc = cpu_to_le32(crc32c(~0u, (u8 *)bytes + 4, size - 4));
	}
}
