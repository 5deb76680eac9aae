/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots of a backend: which are free, and who has the others.
 */
#ifndef QBD_SLOTS_H
#define QBD_SLOTS_H

#include <linux/types.h>

#include <qbd/format.h>

struct qbd_backend;
struct qbd_layer;
struct qbd_map;
struct qbd_pages;
struct qbd_pool;

/* Who has a slot. layer 0: nobody. */
struct qbd_owner {
	u32 layer;
	u32 chunk;
};

/* What is known of a page of a backend's slot table. Guarded by slot_lock. */
struct qbd_slot_page {
	u64 lsn;
	u64 seq;
	u32 round;		/* in which it was written last */
	bool alone;		/* as it was read; see qbd_page_newest() */
};

/* slots.c */
int qbd_slots_alloc(struct qbd_backend *b);
void qbd_slots_free(struct qbd_backend *b);
int qbd_slots_read(struct qbd_backend *b, struct qbd_slot **entries);
int qbd_slots_choose(struct qbd_layer *layer, u32 chunk, u64 avoid, unsigned int nr,
		     u64 *legs, unsigned int *got);
void qbd_slots_set(struct qbd_pool *pool, u64 leg, u32 layer, u32 chunk, u64 lsn);
void qbd_slots_discard(struct qbd_pool *pool, const struct qbd_map *map, u64 lsn);
void qbd_slots_release(struct qbd_pool *pool, u64 leg, u64 lsn);
void qbd_slots_page(struct qbd_backend *b, u32 page, void *payload);
void qbd_slots_write(struct qbd_backend *b, bool all, struct qbd_pages *out);
void qbd_slots_unwrite(struct qbd_backend *b, u32 round);
void qbd_slots_sum(struct qbd_pool *pool, u64 *used, u64 *total);

#endif
