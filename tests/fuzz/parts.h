/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool that is as small as the format allows, and the parts of a backend that have a
 * checksum of their own, so that they can be changed and sealed again.
 */
#ifndef FUZZ_PARTS_H
#define FUZZ_PARTS_H

#include <qbd/format.h>

#define TINY_CSUM_BYTES (6 * QBD_PAGE_PLACES) /* of a slot: up to 4 data legs and 2 more */

struct part {
	u64 at; /* on the backend */
	u32 size;
};

/* The superblocks of @nr backends of @bytes each; the same ones each time. */
void tiny_plan(struct qbd_super *supers, unsigned int nr, u64 bytes);

/*
 * The parts of a backend: superblock places first, then metadata page places, then the
 * first @ring blocks of the ring. Returns how many; at most @max are listed.
 */
unsigned int parts_list(const struct qbd_super *super, unsigned int ring, struct part *parts,
			unsigned int max);

/* Give a part the checksum that its bytes should have. */
void part_seal(void *bytes, u32 size);

#endif
