/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A block device, or a regular file in its place, that is read or formatted.
 *
 * Block devices are read and written around the page cache: the kernel module
 * goes around it too, and a page cached before would be an old one.
 */
#ifndef QBD_DEVICE_H
#define QBD_DEVICE_H

#include <qbd/format.h>
#include <sys/types.h>

#ifndef DEVICE_CHUNK
#define DEVICE_CHUNK 1048576u /* bytes of one large read or write */
#endif

struct qbd_device {
	char *path;
	int fd;
	bool file;
	u64 bytes;
	dev_t rdev; /* 0 for a file */
	dev_t st_dev; /* of a file, with ino: two paths of one device */
	ino_t ino;
};

int device_open(struct qbd_device *device, const char *path);
int device_open_exclusive(struct qbd_device *device, const char *path);
void device_close(struct qbd_device *device);
int device_read(const struct qbd_device *device, u64 at, void *buffer, size_t bytes);
int device_write(const struct qbd_device *device, u64 at, const void *buffer, size_t bytes);
int device_flush(const struct qbd_device *device);
bool device_same(const struct qbd_device *a, const struct qbd_device *b);
bool device_busy(const char *path);
void *device_buffer(size_t bytes);

#endif
