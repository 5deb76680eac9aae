/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is whole, and what is missing: by volume, from slot tables and ring alone.
 */
#ifndef QBD_VERIFY_H
#define QBD_VERIFY_H

#include "image.h"

struct verify_volume {
	u32 number;
	char name[QBD_NAME_SIZE];
	struct qbd_policy policy;
	/* chunks of each kind; every chunk is of one */
	u64 whole; /* all legs are current */
	u64 degraded; /* fewer */
	u64 stale; /* fewer, and a leg that is not current is on a backend that is in */
	u64 lost; /* too few to read */
	unsigned int losses; /* how many more backends may go */
};

struct verify {
	struct verify_volume *volumes;
	unsigned int nr_volumes;
	u64 unclaimed; /* chunks that no live volume has; they are freed at activation */
};

void verify_image(const struct qbd_image *image, struct verify *verify);
bool verify_volume_whole(const struct verify_volume *volume);
void verify_free(struct verify *verify);

#endif
