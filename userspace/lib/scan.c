// SPDX-License-Identifier: GPL-2.0-only
/*
 * All disks and partitions are in /sys/block. Left out are those without a
 * medium, and our own volumes and pools: a guest may have a pool of its own on
 * its virtual disk, and that is not for this host to start.
 *
 * One backend can show at several paths: a disk, and the multipath device on top
 * of it. The lower one has the upper one in its holders folder and is passed over.
 */
#include "scan.h"
#include "device.h"
#include "report.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool read_line(const char *folder, const char *file, char *line, size_t size)
{
	char path[512];
	FILE *f;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(line, size, f);
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = 0;
	return ok;
}

static bool node_is(const char *path, dev_t rdev)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == rdev;
}

/* A node for a device whose folder in /sys is that; NULL when there is none. */
static char *node_of(const char *folder, dev_t rdev)
{
	char path[512], name[256];
	const char *base;

	if (read_line(folder, "dm/name", name, sizeof(name))) {
		snprintf(path, sizeof(path), "/dev/mapper/%s", name);
		if (node_is(path, rdev))
			return need(strdup(path));
	}
	base = strrchr(folder, '/') + 1;
	snprintf(path, sizeof(path), "/dev/%s", base);
	/* "cciss!c0d0" is cciss/c0d0 in /dev. */
	for (char *c = path; *c; c++)
		if (*c == '!')
			*c = '/';
	return node_is(path, rdev) ? need(strdup(path)) : NULL;
}

/**
 * device_path - the name that a device has today; free() it
 *
 * Return: a path in /dev, or "major:minor" when no node was found.
 */
char *device_path(dev_t rdev)
{
	char folder[64], real[4096], *path = NULL;

	snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	if (realpath(folder, real))
		path = node_of(real, rdev);
	if (!path && asprintf(&path, "%u:%u", major(rdev), minor(rdev)) < 0)
		path = need(NULL);
	return path;
}

/**
 * scan_error - what an error of scan_device(), or of a superblock, means
 */
const char *scan_error(int err)
{
	switch (err) {
	case -ENOMEDIUM:
		return qbd_super_error(-ENOENT);
	case -EILSEQ:
	case -EPROTONOSUPPORT:
	case -ENOSPC:
	case -EINVAL:
		return qbd_super_error(err);
	default:
		return strerror(-err);
	}
}

/**
 * scan_device - look at one device or file
 *
 * Return: 0 when it has our magic and is in the list now, -ENOMEDIUM when it has
 * not, else a negative errno.
 */
int scan_device(struct qbd_scan *scan, const char *path)
{
	struct qbd_device device;
	struct qbd_found *found;
	void *both;
	int err;

	err = device_open(&device, path);
	if (err)
		return err;
	if (device.bytes < 2 * QBD_SUPER_SIZE) {
		device_close(&device);
		return -ENOMEDIUM;
	}
	both = device_buffer(2 * QBD_SUPER_SIZE);
	err = device_read(&device, 0, both, 2 * QBD_SUPER_SIZE);
	if (!err) {
		scan->found = need(realloc(scan->found, (scan->nr + 1) * sizeof(*found)));
		found = &scan->found[scan->nr];
		memset(found, 0, sizeof(*found));
		found->error = qbd_super_newest(both, device.bytes, &found->super);
		if (found->error == -ENOENT) {
			err = -ENOMEDIUM;
		} else {
			found->path = need(strdup(path));
			found->rdev = device.rdev;
			found->bytes = device.bytes;
			scan->nr++;
		}
	}
	free(both);
	device_close(&device);
	return err;
}

static void scan_node(struct qbd_scan *scan, const char *folder)
{
	char line[256], *path;
	unsigned int ma, mi;
	u64 sectors;

	if (!read_line(folder, "size", line, sizeof(line)))
		return;
	sectors = strtoull(line, NULL, 10);
	if (sectors < QBD_TABLES_START / 512)
		return;
	if (read_line(folder, "dm/uuid", line, sizeof(line)) && !strncmp(line, "qbd-", 4))
		return;
	if (!read_line(folder, "dev", line, sizeof(line)) || sscanf(line, "%u:%u", &ma, &mi) != 2)
		return;
	path = node_of(folder, makedev(ma, mi));
	/* What cannot be read is no backend that could be used. */
	if (path)
		scan_device(scan, path);
	free(path);
}

static bool has_holders(dev_t rdev)
{
	char folder[64];
	struct dirent *e;
	bool any = false;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u/holders", major(rdev), minor(rdev));
	dir = opendir(folder);
	if (!dir)
		return false;
	while (!any && (e = readdir(dir)))
		any = e->d_name[0] != '.';
	closedir(dir);
	return any;
}

/**
 * scan_shadows - mark what lies under another path of the same backend
 */
void scan_shadows(struct qbd_scan *scan)
{
	unsigned int i, j;

	for (i = 0; i < scan->nr; i++) {
		struct qbd_found *low = &scan->found[i];

		if (low->error || !low->rdev || !has_holders(low->rdev))
			continue;
		for (j = 0; j < scan->nr; j++) {
			const struct qbd_found *high = &scan->found[j];

			if (i != j && !high->error && !high->shadowed &&
			    !memcmp(low->super.geometry.uuid, high->super.geometry.uuid, 16))
				low->shadowed = true;
		}
	}
}

/**
 * scan_system - look at every block device of the system
 *
 * Return: 0, or a negative errno when /sys/block cannot be read.
 */
int scan_system(struct qbd_scan *scan)
{
	DIR *disks = opendir("/sys/block"), *parts;
	struct dirent *disk, *part;
	char folder[512], sub[1024];

	if (!disks)
		return -errno;
	while ((disk = readdir(disks))) {
		if (disk->d_name[0] == '.')
			continue;
		snprintf(folder, sizeof(folder), "/sys/block/%s", disk->d_name);
		scan_node(scan, folder);
		parts = opendir(folder);
		while (parts && (part = readdir(parts))) {
			if (strncmp(part->d_name, disk->d_name, strlen(disk->d_name)))
				continue;
			snprintf(sub, sizeof(sub), "%s/%s", folder, part->d_name);
			scan_node(scan, sub);
		}
		if (parts)
			closedir(parts);
	}
	closedir(disks);
	scan_shadows(scan);
	return 0;
}

void scan_free(struct qbd_scan *scan)
{
	unsigned int i;

	for (i = 0; i < scan->nr; i++)
		free(scan->found[i].path);
	free(scan->found);
	memset(scan, 0, sizeof(*scan));
}
