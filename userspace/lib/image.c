// SPDX-License-Identifier: GPL-2.0-only
#include "image.h"
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

/* Does @a say more of the pool than @b, of two devices with one index? */
static bool says_more(const struct qbd_super *a, const struct qbd_super *b)
{
	if (a->pool.epochs[0].number != b->pool.epochs[0].number)
		return a->pool.epochs[0].number > b->pool.epochs[0].number;
	return a->seq > b->seq;
}

/* One device an index. Of two backends the older one was replaced. */
static void choose_devices(struct qbd_image *image, const struct qbd_scan *scan)
{
	unsigned int i;

	for (i = 0; i < scan->nr; i++) {
		const struct qbd_found *f = &scan->found[i];
		struct image_member *m;

		if (f->error || f->shadowed)
			continue;
		m = &image->members[f->super.geometry.index];
		if (!m->found) {
			m->found = f;
		} else if (!memcmp(m->found->super.geometry.uuid, f->super.geometry.uuid, 16)) {
			m->trouble = "two devices say that they are this backend";
		} else {
			image->nr_strangers++;
			if (says_more(&f->super, &m->found->super)) {
				m->found = f;
				m->trouble = NULL;
			}
		}
	}
}

/* The membership with the highest epoch, or with the newest epoch of that tag. */
static const struct qbd_membership *last_membership(const struct qbd_image *image, u64 tag)
{
	const struct qbd_super *last = NULL, *s;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (!image->members[i].found)
			continue;
		s = &image->members[i].found->super;
		if ((!tag || s->pool.epochs[0].tag == tag) && (!last || says_more(s, last)))
			last = s;
	}
	return last ? &last->pool : NULL;
}

/*
 * Which history, by the rules of the kernel. What was a member once and was
 * replaced is left out first: it says nothing of what the others did since.
 */
static int find_history(struct qbd_image *image, u64 force, struct qbd_history *history)
{
	const struct qbd_super *supers[QBD_MAX_BACKENDS] = {};
	const struct qbd_membership *last = last_membership(image, force);
	unsigned int i;
	int err;

	if (!last)
		return -ENOENT;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_found *f = image->members[i].found;

		if (f && !memcmp(last->members[i].uuid, f->super.geometry.uuid, 16)) {
			supers[i] = &f->super;
		} else if (f) {
			image->members[i].found = NULL;
			image->nr_strangers++;
		}
	}
	err = qbd_history_find(supers, force, history);
	if (err && err != -EEXIST)
		return err;
	image->newest = supers[history->newest];
	if (history->begun) {
		image->reverted = new_array(struct qbd_super, 1);
		*image->reverted = *image->newest;
		qbd_history_revert(&image->reverted->pool, history->begun);
		image->newest = image->reverted;
	}
	return 0;
}

static void place_member(struct qbd_image *image, unsigned int i, const struct qbd_history *h)
{
	const struct qbd_membership *pool = &image->newest->pool;
	struct image_member *m = &image->members[i];

	if (pool->members[i].state == QBD_MEMBER_OUT) {
		m->standing = IMAGE_OUT;
		return;
	}
	if (pool->members[i].state != QBD_MEMBER_IN)
		return;
	m->standing = IMAGE_MISSING;
	if (!m->found || m->trouble)
		return;
	if (h->diverged & BIT_ULL(i)) {
		m->standing = IMAGE_DIVERGED;
		m->trouble = "it went on without the others";
	} else if (!(h->in & BIT_ULL(i))) {
		m->trouble = "its superblock is too old";
	} else if (!same_shape(&m->found->super.pool, pool)) {
		m->trouble = "its sizes are not the pool's";
	} else {
		m->standing = IMAGE_IN;
	}
}

/**
 * image_assemble - find the newest history, and each member's place in it
 * @scan: devices of one pool; must stay until image_free()
 * @force: tag of the newest epoch of the history to keep; 0: the newest
 *
 * Return: 0; -ENOENT when no superblock (of that history) could be read; -EINVAL
 * when memberships contradict each other.
 */
int image_assemble(struct qbd_image *image, const struct qbd_scan *scan, u64 force)
{
	struct qbd_history history;
	unsigned int i;
	int err;

	memset(image, 0, sizeof(*image));
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		image->members[i].device.fd = -1;
	image->ring_error = -ENODATA;
	choose_devices(image, scan);
	err = find_history(image, force, &history);
	if (err)
		return err;
	image->diverged = history.diverged;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct image_member *m = &image->members[i];

		place_member(image, i, &history);
		if (m->standing != IMAGE_IN)
			continue;
		err = device_open(&m->device, m->found->path);
		if (err) {
			m->standing = IMAGE_MISSING;
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
	free(image->reverted);
	free(image->replay.places);
	memset(image, 0, sizeof(*image));
}
