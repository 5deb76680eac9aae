// SPDX-License-Identifier: GPL-2.0-only
#include "image.h"
#include "history.h"
#include "report.h"

#include <stdlib.h>

/* Superblocks */

/* Sizes that must be the pool's before a member's areas are read by them. */
static bool same_shape(const struct qbd_membership *a, const struct qbd_membership *b)
{
	return a->extent_size == b->extent_size &&
	       a->csum_bytes_per_slot == b->csum_bytes_per_slot &&
	       a->volume_pages == b->volume_pages && a->layer_pages == b->layer_pages &&
	       a->ring_blocks == b->ring_blocks;
}

static const struct qbd_super *find_newest(const struct qbd_scan *scan, const u64 *history)
{
	const struct qbd_super *newest = NULL;
	unsigned int i;

	for (i = 0; i < scan->nr; i++) {
		const struct qbd_found *f = &scan->found[i];

		if (f->error || f->shadowed)
			continue;
		if (history && f->super.pool.epochs[0].tag != *history)
			continue;
		if (!newest || history_newer(&f->super, newest))
			newest = &f->super;
	}
	return newest;
}

static void place_member(struct qbd_image *image, const struct qbd_found *found)
{
	const struct qbd_membership *pool = &image->newest->pool;
	u32 index = found->super.geometry.index;
	struct image_member *m = &image->members[index];
	bool diverged = history_relation(&found->super.pool, pool) == HISTORY_DIVERGED;

	image->diverged |= diverged;
	if (pool->members[index].state == QBD_MEMBER_NONE ||
	    memcmp(pool->members[index].uuid, found->super.geometry.uuid, 16)) {
		image->nr_strangers++;
		return;
	}
	if (m->found) {
		m->trouble = "two devices say that they are this backend";
		return;
	}
	m->found = found;
	if (m->standing != IMAGE_MISSING)
		return;
	m->standing = IMAGE_IN;
	if (diverged) {
		m->standing = IMAGE_DIVERGED;
		m->trouble = "it went on without the others";
	} else if (history_relation(&found->super.pool, pool) == HISTORY_OLD) {
		m->standing = IMAGE_MISSING;
		m->trouble = "its superblock is too old";
	} else if (!same_shape(&found->super.pool, pool)) {
		m->standing = IMAGE_MISSING;
		m->trouble = "its sizes are not the pool's";
	}
}

/**
 * image_assemble - find the newest history, and each member's place in it
 * @scan: devices of one pool; must stay until image_free()
 * @history: tag of the newest epoch of the history to keep; NULL: the newest
 *
 * Return: 0, or -ENOENT when no superblock (of that history) could be read.
 */
int image_assemble(struct qbd_image *image, const struct qbd_scan *scan, const u64 *history)
{
	const struct qbd_membership *pool;
	unsigned int i;
	int err;

	memset(image, 0, sizeof(*image));
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		image->members[i].device.fd = -1;
	image->ring_error = -ENODATA;
	image->newest = find_newest(scan, history);
	if (!image->newest)
		return -ENOENT;
	pool = &image->newest->pool;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct image_member *m = &image->members[i];

		if (pool->members[i].state == QBD_MEMBER_IN)
			m->standing = IMAGE_MISSING;
		else if (pool->members[i].state == QBD_MEMBER_OUT)
			m->standing = IMAGE_OUT;
	}
	for (i = 0; i < scan->nr; i++)
		if (!scan->found[i].error && !scan->found[i].shadowed)
			place_member(image, &scan->found[i]);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct image_member *m = &image->members[i];

		if (m->standing != IMAGE_IN)
			continue;
		/* Of two that claim one place, neither can be trusted. */
		err = m->trouble ? -ENOTUNIQ : device_open(&m->device, m->found->path);
		if (err) {
			m->standing = IMAGE_MISSING;
			if (!m->trouble)
				m->trouble = strerror(-err);
		}
	}
	return 0;
}

void image_free(struct qbd_image *image)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (image->members[i].device.fd >= 0)
			device_close(&image->members[i].device);
	free(image->volumes);
	free(image->layers);
	free(image->overrides);
	free(image->legs);
	free(image->replay.places);
	memset(image, 0, sizeof(*image));
}
