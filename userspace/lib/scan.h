/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which devices carry a superblock of ours.
 */
#ifndef QBD_SCAN_H
#define QBD_SCAN_H

#include <qbd/format.h>
#include <sys/types.h>

/* A device with our magic. */
struct qbd_found {
	char *path;
	dev_t rdev; /* 0 for a regular file */
	u64 bytes;
	int error; /* of the superblock: 0, or as qbd_super_decode() */
	bool shadowed; /* the same backend was found at a better path */
	struct qbd_super super; /* when there was no error */
};

struct qbd_scan {
	struct qbd_found *found;
	unsigned int nr;
};

int scan_system(struct qbd_scan *scan);
int scan_device(struct qbd_scan *scan, const char *path);
const char *scan_error(int err);
void scan_shadows(struct qbd_scan *scan);
void scan_free(struct qbd_scan *scan);
char *device_path(dev_t rdev);

#endif
