// SPDX-License-Identifier: GPL-2.0-only
#include "signature.h"
#include "report.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* blkid reads where it likes: it needs a descriptor that goes through the cache. */
static blkid_probe new_probe(const struct qbd_device *device, int flags, int *fd)
{
	blkid_probe probe = blkid_new_probe();

	*fd = open(device->path, flags | O_CLOEXEC);
	if (!probe || *fd < 0 || blkid_probe_set_device(probe, *fd, 0, 0)) {
		blkid_free_probe(probe);
		if (*fd >= 0)
			close(*fd);
		return NULL;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC |
							 BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC);
	return probe;
}

static int find_ours(const struct qbd_device *device, char text[SIGNATURE_SIZE])
{
	struct qbd_super *super = new_array(struct qbd_super, 1);
	void *both = device_buffer(2 * QBD_SUPER_SIZE);
	int err;

	err = device_read(device, 0, both, 2 * QBD_SUPER_SIZE);
	if (!err) {
		err = qbd_super_newest(both, device->bytes, super);
		if (!err)
			snprintf(text, SIGNATURE_SIZE, "a backend of the pool \"%s\"",
				 super->pool.pool_name);
		else if (err != -ENOENT)
			snprintf(text, SIGNATURE_SIZE, "a backend of a pool (%s)",
				 qbd_super_error(err));
		err = err != -ENOENT;
	}
	free(both);
	free(super);
	return err;
}

/**
 * signature_find - a pool, filesystem, partition table or the like
 * @device: at least two superblocks large
 * @text: what it is, for people
 *
 * Return: 1 when there is one, 0 when not, or a negative errno.
 */
int signature_find(const struct qbd_device *device, char text[SIGNATURE_SIZE])
{
	const char *type;
	blkid_probe probe;
	int fd, ret;

	ret = find_ours(device, text);
	if (ret)
		return ret;
	probe = new_probe(device, O_RDONLY, &fd);
	if (!probe)
		return -EIO;
	ret = blkid_do_probe(probe);
	if (!ret) {
		if (!blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
			snprintf(text, SIGNATURE_SIZE, "%s", type);
		else if (!blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL))
			snprintf(text, SIGNATURE_SIZE, "a partition table (%s)", type);
		else
			snprintf(text, SIGNATURE_SIZE, "data of an unknown kind");
	}
	blkid_free_probe(probe);
	close(fd);
	if (ret < 0)
		return -EIO;
	return ret == 0;
}

/**
 * signature_wipe - make the device one that nobody takes for something
 *
 * Superblocks of ours and what blkid knows are zeroed, and that is on the medium.
 *
 * Return: 0 or a negative errno.
 */
int signature_wipe(const struct qbd_device *device)
{
	void *zeros = device_buffer(2 * QBD_SUPER_SIZE);
	blkid_probe probe;
	int fd, err, ret;

	err = device_write(device, 0, zeros, 2 * QBD_SUPER_SIZE);
	free(zeros);
	if (!err)
		err = device_flush(device);
	if (err)
		return err;
	probe = new_probe(device, O_RDWR, &fd);
	if (!probe)
		return -EIO;
	while (!(ret = blkid_do_probe(probe)))
		if (blkid_do_wipe(probe, 0)) {
			ret = -1;
			break;
		}
	blkid_free_probe(probe);
	if (fsync(fd))
		ret = -1;
	close(fd);
	return ret < 0 ? -EIO : 0;
}
