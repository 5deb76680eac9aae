// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of an image: the union of what its members have.
 */
#include "image.h"
#include "report.h"

#include <stdlib.h>

static bool contributes(const struct qbd_image *image, unsigned int i)
{
	return image->members[i].standing == IMAGE_IN &&
	       (image->newest->pool.ring_members & BIT_ULL(i));
}

static void note_area(struct qbd_image *image, u8 member)
{
	struct image_member *m = &image->members[member];
	u64 start = m->found->super.geometry.ring_start;
	u8 *buffer = device_buffer(DEVICE_CHUNK);
	u32 block, n, i;
	int err;

	for (block = 0; block < image->replay.ring_blocks; block += n) {
		u64 at = start + (u64)block * QBD_PAGE_SIZE;

		n = DEVICE_CHUNK / QBD_PAGE_SIZE;
		if (n > image->replay.ring_blocks - block)
			n = image->replay.ring_blocks - block;
		err = device_read(&m->device, at, buffer, (size_t)n * QBD_PAGE_SIZE);
		for (i = 0; i < n; i++, at += QBD_PAGE_SIZE) {
			u8 *raw = buffer + (size_t)i * QBD_PAGE_SIZE;

			if (!err || !device_read(&m->device, at, raw, QBD_PAGE_SIZE))
				qbd_replay_note(&image->replay, block + i, raw, member);
		}
	}
	free(buffer);
}

/**
 * image_load_ring - find the log of the newest ring generation
 *
 * ring_error says how that went.
 */
void image_load_ring(struct qbd_image *image)
{
	const struct qbd_membership *pool = &image->newest->pool;
	unsigned int i;

	image->replay = (struct qbd_replay){
		.pool_uuid = pool->pool_uuid,
		.generation = pool->ring_generation,
		.first_block = pool->ring_first_block,
		.first_lsn = pool->ring_first_lsn,
		.ring_blocks = pool->ring_blocks,
		.places = new_array(struct qbd_replay_place, pool->ring_blocks),
	};
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (contributes(image, i))
			note_area(image, i);
	image->ring_error = qbd_replay_find(&image->replay);
}

/**
 * image_walk_ring - show @fn all records of the log, oldest first
 *
 * Return: 0 (also when there is no log), what @fn returned when that was not 0,
 * or a negative errno of a block that cannot be read again.
 */
int image_walk_ring(struct qbd_image *image, image_record_fn *fn, void *context)
{
	const struct qbd_replay *replay = &image->replay;
	u32 position;
	u64 number;
	void *raw;
	int err = 0;

	if (image->ring_error)
		return 0;
	raw = device_buffer(QBD_PAGE_SIZE);
	for (number = replay->first; !err && number <= replay->last; number++) {
		struct image_member *m;

		position = number % replay->ring_blocks;
		m = &image->members[replay->places[position].member];
		err = device_read(&m->device,
				  m->found->super.geometry.ring_start +
					  (u64)position * QBD_PAGE_SIZE,
				  raw, QBD_PAGE_SIZE);
		if (!err)
			err = qbd_replay_block(replay, number, raw, fn, context);
	}
	free(raw);
	return err;
}
