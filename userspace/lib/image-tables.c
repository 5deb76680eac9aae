// SPDX-License-Identifier: GPL-2.0-only
/*
 * The volume, layer and slot tables of an image, each page with the ring records
 * that are newer than it.
 */
#include "image.h"
#include "report.h"

#include <stdlib.h>

/**
 * image_read_pages - show @fn every page of an area, in order
 * @start: of the area, in bytes
 *
 * Pages without a valid place are counted in the member's bad_pages.
 */
void image_read_pages(struct image_member *member, u32 type, u64 start, u64 nr_pages,
		      image_page_fn *fn, void *context)
{
	const u8 *uuid = member->found->super.geometry.uuid;
	u8 *buffer = device_buffer(DEVICE_CHUNK), *both;
	struct qbd_page_id id;
	u64 page, at, n, i;
	int place, err;

	for (page = 0; page < nr_pages; page += n) {
		n = DEVICE_CHUNK / QBD_PAGE_PLACES;
		if (n > nr_pages - page)
			n = nr_pages - page;
		at = start + page * QBD_PAGE_PLACES;
		err = device_read(&member->device, at, buffer, n * QBD_PAGE_PLACES);
		for (i = 0; i < n; i++, at += QBD_PAGE_PLACES) {
			both = buffer + i * QBD_PAGE_PLACES;
			place = -EIO;
			/* A bad sector takes no more than its own page with it. */
			if (!err || !device_read(&member->device, at, both, QBD_PAGE_PLACES))
				place = qbd_page_newest(both, uuid, type, page + i, 0, &id);
			if (place < 0) {
				member->bad_pages++;
				fn(context, NULL, NULL, page + i);
			} else {
				both += place * QBD_PAGE_SIZE;
				fn(context, qbd_page_payload(both), &id, page + i);
			}
		}
	}
	free(buffer);
}

/* The volume or the layer table: the newest copy of each page, over all members. */
struct table {
	u32 pages;
	u64 *lsn; /* of the page whose entries were taken */
	bool *there;
	struct qbd_volume_entry *volumes; /* one of these two */
	struct qbd_layer_entry *layers;
};

static void table_page(void *context, const void *page, const struct qbd_page_id *id, u64 number)
{
	struct table *t = context;
	unsigned int i;

	if (!page || (t->there[number] && t->lsn[number] >= id->lsn))
		return;
	t->there[number] = true;
	t->lsn[number] = id->lsn;
	for (i = 0; t->volumes && i < QBD_VOLUMES_PER_PAGE; i++)
		qbd_volume_get(page, i, &t->volumes[number * QBD_VOLUMES_PER_PAGE + i]);
	for (i = 0; t->layers && i < QBD_LAYERS_PER_PAGE; i++)
		qbd_layer_get(page, i, &t->layers[number * QBD_LAYERS_PER_PAGE + i]);
}

struct tables {
	struct qbd_image *image;
	struct table volumes;
	struct table layers;
};

static void add_override(struct qbd_image *image, u64 lsn, const struct qbd_record *r,
			 unsigned int i)
{
	struct image_override *o;

	image->overrides = grow(image->overrides, image->nr_overrides, sizeof(*o));
	o = &image->overrides[image->nr_overrides++];
	o->lsn = lsn;
	o->leg.slot = r->legs[i].slot;
	o->leg.backend = r->legs[i].backend;
	qbd_replay_slot(r, i, &o->leg.entry);
}

static int apply_record(void *context, u64 lsn, const struct qbd_record *r)
{
	struct tables *t = context;
	struct qbd_image *image = t->image;
	unsigned int i;

	image->nr_records++;
	switch (r->type) {
	case QBD_RECORD_VOLUME:
		if (r->index < image->nr_volumes &&
		    lsn > t->volumes.lsn[r->index / QBD_VOLUMES_PER_PAGE])
			image->volumes[r->index] = r->volume;
		break;
	case QBD_RECORD_LAYER:
		if (r->index < image->nr_layers &&
		    lsn > t->layers.lsn[r->index / QBD_LAYERS_PER_PAGE])
			image->layers[r->index] = r->layer_entry;
		break;
	case QBD_RECORD_CHUNK:
		for (i = 0; i < r->nr_legs; i++)
			add_override(image, lsn, r, i);
		break;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct image_override *x = a, *y = b;

	if (x->leg.backend != y->leg.backend)
		return x->leg.backend < y->leg.backend ? -1 : 1;
	if (x->leg.slot != y->leg.slot)
		return x->leg.slot < y->leg.slot ? -1 : 1;
	return x->lsn < y->lsn ? -1 : x->lsn > y->lsn;
}

/* Of each slot's records the last one stands: it has the whole new state. */
static void keep_last_overrides(struct qbd_image *image)
{
	struct image_override *o = image->overrides;
	size_t from, to = 0;

	if (!image->nr_overrides)
		return;
	qsort(o, image->nr_overrides, sizeof(*o), by_place);
	for (from = 0; from < image->nr_overrides; from++) {
		if (to && o[to - 1].leg.backend == o[from].leg.backend &&
		    o[to - 1].leg.slot == o[from].leg.slot)
			to--;
		o[to++] = o[from];
	}
	image->nr_overrides = to;
}

static void table_init(struct table *t, u32 pages)
{
	t->pages = pages;
	t->lsn = new_array(u64, pages);
	t->there = new_array(bool, pages);
}

static u64 table_done(struct table *t)
{
	u64 bad = 0;
	u32 i;

	for (i = 0; i < t->pages; i++)
		bad += !t->there[i];
	free(t->lsn);
	free(t->there);
	return bad;
}

/**
 * image_load_tables - read the volumes, the layers and the ring
 *
 * What could not be read is counted: bad_tables, ring_error, bad_pages.
 */
void image_load_tables(struct qbd_image *image)
{
	const struct qbd_membership *pool = &image->newest->pool;
	struct tables t = { .image = image };
	unsigned int i;
	int err;

	image->nr_volumes = pool->volume_pages * QBD_VOLUMES_PER_PAGE;
	image->nr_layers = pool->layer_pages * QBD_LAYERS_PER_PAGE;
	image->volumes = new_array(struct qbd_volume_entry, image->nr_volumes);
	image->layers = new_array(struct qbd_layer_entry, image->nr_layers);
	table_init(&t.volumes, pool->volume_pages);
	table_init(&t.layers, pool->layer_pages);
	t.volumes.volumes = image->volumes;
	t.layers.layers = image->layers;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct image_member *m = &image->members[i];

		if (m->standing != IMAGE_IN)
			continue;
		image_read_pages(m, QBD_PAGE_VOLUME, m->found->super.geometry.volume_start,
				 pool->volume_pages, table_page, &t.volumes);
		image_read_pages(m, QBD_PAGE_LAYER, m->found->super.geometry.layer_start,
				 pool->layer_pages, table_page, &t.layers);
	}
	image_load_ring(image);
	err = image_walk_ring(image, apply_record, &t);
	if (err)
		image->ring_error = err;
	keep_last_overrides(image);
	image->bad_tables = table_done(&t.volumes) + table_done(&t.layers);
}

/* Slot tables */

struct slots {
	struct qbd_image *image;
	u8 backend;
	u32 nr_slots;
	size_t next; /* override */
};

static void add_leg(struct qbd_image *image, const struct qbd_slot *entry, u8 backend, u32 slot)
{
	struct image_leg *leg;

	if (entry->state == QBD_SLOT_FREE)
		return;
	image->legs = grow(image->legs, image->nr_legs, sizeof(*leg));
	leg = &image->legs[image->nr_legs++];
	leg->entry = *entry;
	leg->backend = backend;
	leg->slot = slot;
}

/* Pages come in the order of slots, as the overrides of a backend do. */
static void slot_page(void *context, const void *page, const struct qbd_page_id *id, u64 number)
{
	struct slots *s = context;
	const struct image_override *o;
	u64 slot = number * QBD_SLOTS_PER_PAGE;
	struct qbd_slot entry;
	unsigned int i;

	for (i = 0; i < QBD_SLOTS_PER_PAGE && slot < s->nr_slots; i++, slot++) {
		if (page)
			qbd_slot_get(page, i, &entry);
		else
			memset(&entry, 0, sizeof(entry));
		o = s->next < s->image->nr_overrides ? &s->image->overrides[s->next] : NULL;
		if (o && o->leg.backend == s->backend && o->leg.slot == slot) {
			if (!page || o->lsn > id->lsn)
				entry = o->leg.entry;
			s->next++;
		}
		add_leg(s->image, &entry, s->backend, slot);
	}
}

/**
 * image_load_slots - collect the legs of all chunks
 *
 * Of backends that do not contribute, what the ring says of their slots: a chunk
 * may be named there alone.
 */
void image_load_slots(struct qbd_image *image)
{
	struct slots s = { .image = image };
	const struct image_override *o;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct image_member *m = &image->members[i];

		s.backend = i;
		if (m->standing == IMAGE_IN) {
			s.nr_slots = m->found->super.geometry.nr_slots;
			image_read_pages(m, QBD_PAGE_SLOT, m->found->super.geometry.slot_start,
					 DIV_ROUND_UP(s.nr_slots, QBD_SLOTS_PER_PAGE), slot_page,
					 &s);
		}
		for (; s.next < image->nr_overrides; s.next++) {
			o = &image->overrides[s.next];
			if (o->leg.backend != i)
				break;
			/* Beyond the end of a backend that is here there is no slot. */
			if (m->standing != IMAGE_IN)
				add_leg(image, &o->leg.entry, i, o->leg.slot);
		}
	}
}
