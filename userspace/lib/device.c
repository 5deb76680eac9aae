// SPDX-License-Identifier: GPL-2.0-only
#include "device.h"
#include "report.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_around_cache(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	return fd < 0 && errno == EINVAL ? open(path, flags) : fd;
}

static int open_with(struct qbd_device *d, const char *path, int flags)
{
	struct stat st;
	int err;

	memset(d, 0, sizeof(*d));
	d->fd = -1;
	if (stat(path, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return -ENOTBLK;
	d->file = S_ISREG(st.st_mode);
	/* O_EXCL without O_CREAT has a meaning for block devices only. */
	if (d->file)
		d->fd = open(path, (flags & ~O_EXCL) | O_CLOEXEC);
	else
		d->fd = open_around_cache(path, flags | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	if (fstat(d->fd, &st))
		goto fail;
	d->bytes = st.st_size;
	if (!d->file && ioctl(d->fd, BLKGETSIZE64, &d->bytes))
		goto fail;
	if (d->file && (flags & O_EXCL) && flock(d->fd, LOCK_EX | LOCK_NB)) {
		errno = EBUSY;
		goto fail;
	}
	d->rdev = d->file ? 0 : st.st_rdev;
	d->st_dev = st.st_dev;
	d->ino = st.st_ino;
	d->path = need(strdup(path));
	return 0;

fail:
	err = -errno;
	close(d->fd);
	d->fd = -1;
	return err;
}

/**
 * device_open - open to read
 *
 * Return: 0, or a negative errno; -ENOTBLK for what is no device and no file.
 */
int device_open(struct qbd_device *device, const char *path)
{
	return open_with(device, path, O_RDONLY);
}

/**
 * device_open_exclusive - open to write, when nobody else has it
 *
 * Return: as device_open(); -EBUSY when it is mounted or otherwise in use.
 */
int device_open_exclusive(struct qbd_device *device, const char *path)
{
	return open_with(device, path, O_RDWR | O_EXCL);
}

void device_close(struct qbd_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
	free(device->path);
	device->path = NULL;
}

/**
 * device_read - read all of it, or fail
 * @at: a multiple of the page size, as @bytes
 * @buffer: from device_buffer()
 *
 * Return: 0, or a negative errno; -ENODATA beyond the end.
 */
int device_read(const struct qbd_device *device, u64 at, void *buffer, size_t bytes)
{
	char *to = buffer;

	while (bytes) {
		ssize_t n = pread(device->fd, to, bytes, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		to += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

int device_write(const struct qbd_device *device, u64 at, const void *buffer, size_t bytes)
{
	const char *from = buffer;

	while (bytes) {
		ssize_t n = pwrite(device->fd, from, bytes, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

/**
 * device_flush - what was written is on the medium
 */
int device_flush(const struct qbd_device *device)
{
	return fsync(device->fd) ? -errno : 0;
}

/**
 * device_same - two paths of one device
 */
bool device_same(const struct qbd_device *a, const struct qbd_device *b)
{
	if (a->file != b->file)
		return false;
	return a->file ? a->st_dev == b->st_dev && a->ino == b->ino : a->rdev == b->rdev;
}

/**
 * device_busy - does someone hold the device exclusively: a pool, a mount
 */
bool device_busy(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

/**
 * device_buffer - zeroed memory that devices can be read into; free() it
 */
void *device_buffer(size_t bytes)
{
	void *buffer = NULL;

	if (posix_memalign(&buffer, QBD_PAGE_SIZE, bytes))
		buffer = NULL;
	return memset(need(buffer), 0, bytes);
}
