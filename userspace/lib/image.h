/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: A pool as its devices tell it, without the kernel.
 *
 * Built from the superblocks (image_assemble), then the volume and layer tables and
 * the ring (image_load_tables), then the slot tables (image_load_slots): what the
 * kernel's activation does, but nothing is written. Each metadata page is taken with
 * the ring records that are newer than it, so a pool that was not stopped clean
 * is seen as its activation will see it.
 *
 * Only members that are in, by the newest membership, contribute: one that is out,
 * or went on by itself, may know less, or something else.
 */
#ifndef QBD_IMAGE_H
#define QBD_IMAGE_H

#include "device.h"
#include "history.h"
#include "scan.h"
#include "replay.h"

enum image_standing {
	IMAGE_NONE = 0, /* no such backend */
	IMAGE_IN, /* in, and here */
	IMAGE_MISSING, /* in, and not here */
	IMAGE_OUT, /* out; its device may be here */
	IMAGE_DIVERGED, /* went on without the others */
};

struct image_member {
	enum image_standing standing;
	const struct qbd_found *found; /* its device; NULL: not here */
	struct qbd_device device;
	const char *trouble; /* why a device that is here cannot be used */
	u64 bad_pages; /* metadata pages with no valid place */
};

/* A slot that is not free: a leg of a chunk. */
struct image_leg {
	struct qbd_slot entry;
	u32 slot;
	u8 backend;
};

/* What the ring says of a slot. */
struct image_override {
	struct image_leg leg;
	u64 lsn;
};

struct qbd_image {
	const struct qbd_super *newest;
	struct qbd_super *reverted; /* what newest is, where an epoch was only begun */
	struct image_member members[QBD_MAX_BACKENDS];
	u64 diverged; /* two histories that do not know each other */
	unsigned int nr_strangers; /* devices of this pool that are no members now */

	struct qbd_volume_entry *volumes;
	struct qbd_layer_entry *layers;
	u32 nr_volumes;
	u32 nr_layers;
	u64 bad_tables; /* volume and layer pages that no member has */

	struct qbd_replay replay;
	int ring_error; /* 0, -ENODATA: empty, else as qbd_replay_find() */
	u64 nr_records;

	struct image_override *overrides;
	size_t nr_overrides;

	struct image_leg *legs;
	size_t nr_legs;
};

typedef int image_record_fn(void *context, u64 lsn, const struct qbd_record *record);

/* A metadata page; @page is its payload, or NULL where no place of it is valid. */
typedef void image_page_fn(void *context, const void *page, const struct qbd_page_id *id,
			   u64 number);

int image_assemble(struct qbd_image *image, const struct qbd_scan *scan, u64 force);
void image_read_pages(struct image_member *member, u32 type, u64 start, u64 nr_pages,
		      image_page_fn *fn, void *context);
void image_load_tables(struct qbd_image *image);
void image_load_ring(struct qbd_image *image);
int image_walk_ring(struct qbd_image *image, image_record_fn *fn, void *context);
void image_load_slots(struct qbd_image *image);
void image_free(struct qbd_image *image);

#endif
