// SPDX-License-Identifier: GPL-2.0-only
#include "create.h"
#include "nbd.h"
#include "parse.h"
#include "signature.h"
#include "verb.h"

#include <stdio.h>
#include <stdlib.h>

/* "DEV,host=B,ssd" */
static int take_argument(const char *argument, struct create_backend *b, char **path)
{
	const char *comma = strchr(argument, ',');

	*path = need(comma ? strndup(argument, comma - argument) : strdup(argument));
	if (!**path)
		return usage("\"%s\" names no device", argument);
	if (comma && (!comma[1] || !parse_tags(comma + 1, b->tags)))
		return usage("\"%s\" is no list of tags", comma + 1);
	return QBD_FINE;
}

static int check_device(const struct create_backend *b, bool force)
{
	char text[SIGNATURE_SIZE];
	int ret;

	if (b->device.bytes < create_min_bytes()) {
		complain("%s: is too small: a backend has at least %llu MiB", b->device.path,
			 (unsigned long long)create_min_bytes() >> 20);
		return QBD_FAILED;
	}
	if (force)
		return QBD_FINE;
	ret = signature_find(&b->device, text);
	if (ret < 0)
		complain("%s: cannot be read: %s", b->device.path, strerror(-ret));
	else if (ret)
		complain("%s: has %s; --force overwrites it", b->device.path, text);
	return ret ? QBD_FAILED : QBD_FINE;
}

static int open_devices(struct create_backend *backends, unsigned int nr, char **paths, bool force)
{
	unsigned int i, j;
	int err, ret;

	for (i = 0; i < nr; i++) {
		/* Before O_EXCL says that we have it ourselves. */
		for (j = 0; j < i; j++)
			if (!strcmp(paths[i], paths[j]))
				return usage("%s: is named twice", paths[i]);
		err = device_open_exclusive(&backends[i].device, paths[i]);
		for (j = 0; err == -EBUSY && j < i; j++) {
			struct qbd_device again;

			if (device_open(&again, paths[i]))
				continue;
			ret = device_same(&again, &backends[j].device);
			device_close(&again);
			if (ret)
				return usage("%s and %s are the same device", paths[j], paths[i]);
		}
		if (err == -EBUSY) {
			complain("%s: is in use", paths[i]);
			return QBD_FAILED;
		}
		if (err == -ENOTBLK)
			return usage("%s: is not a block device", paths[i]);
		if (err) {
			complain("%s: cannot be opened: %s", paths[i], strerror(-err));
			return QBD_FAILED;
		}
	}
	for (i = 0; i < nr; i++) {
		ret = check_device(&backends[i], force);
		if (ret)
			return ret;
	}
	return QBD_FINE;
}

static int write_all(const struct create_backend *backends, const struct qbd_super *supers,
		     unsigned int nr)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < nr; i++) {
		err = signature_wipe(&backends[i].device);
		if (!err)
			err = create_tables(&backends[i].device, &supers[i]);
		if (err)
			complain("%s: cannot be written: %s", backends[i].device.path,
				 strerror(-err));
	}
	for (i = 0; !err && i < nr; i++) {
		err = create_super(&backends[i].device, &supers[i]);
		if (err)
			complain("%s: cannot be written: %s", backends[i].device.path,
				 strerror(-err));
	}
	return err ? QBD_FAILED : QBD_FINE;
}

static int create_pool(const char *name, struct create_backend *backends, unsigned int nr,
		       char **paths, const struct create_options *options, bool force)
{
	struct qbd_super *supers;
	unsigned int small = 0;
	int ret, err;

	ret = open_devices(backends, nr, paths, force);
	if (ret)
		return ret;
	supers = new_array(struct qbd_super, nr);
	err = create_plan(supers, name, backends, nr, options, &small);
	if (err == -EINVAL) {
		ret = usage("--csum-bytes must be a multiple of %u, and no more than an extent",
			    QBD_PAGE_PLACES);
	} else if (err == -ENOSPC) {
		complain("%s: is too small for %s", paths[small],
			 backends[small].role == QBD_ROLE_JOURNAL ? "the ring" : "one extent");
		ret = QBD_FAILED;
	} else if (err) {
		complain("no random numbers: %s", strerror(-err));
		ret = QBD_FAILED;
	} else {
		for (unsigned int i = 0; i < nr; i++)
			nbd_prepare(backends[i].device.rdev);
		ret = write_all(backends, supers, nr);
	}
	free(supers);
	return ret;
}

static bool parse_lease(const char *text, u32 *ms)
{
	u64 number;

	if (!parse_number(text, QBD_MAX_LEASE_MS, &number) || (number && number < QBD_MIN_LEASE_MS))
		return false;
	*ms = number;
	return true;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "extent-size", required_argument, NULL, 'e' },
						 { "csum-bytes", required_argument, NULL, 'c' },
						 { "journal", required_argument, NULL, 'j' },
						 { "lease", required_argument, NULL, 'L' },
						 { "force", no_argument, NULL, 'f' },
						 {} };
	struct create_options shape = { .extent_size = 4u << 20, .journal = QBD_JOURNAL_ON };
	const char *journal[QBD_MAX_BACKENDS];
	struct create_backend *backends;
	unsigned int nr, nr_journal = 0, i;
	bool force = false;
	char **paths;
	u64 bytes;
	int c, ret = QBD_FINE;

	while ((c = next_option(argc, argv, "f", options)) != -1) {
		switch (c) {
		case 'e':
			if (!parse_size(optarg, &bytes) || bytes < QBD_MIN_EXTENT ||
			    bytes > QBD_MAX_EXTENT || !is_power_of_2(bytes))
				return wrong_value("extent-size", "a power of two from 1M to 64M",
						   optarg);
			shape.extent_size = bytes;
			break;
		case 'c':
			if (!parse_size(optarg, &bytes) || !bytes || bytes > QBD_MAX_EXTENT)
				return wrong_value("csum-bytes", "a size", optarg);
			shape.csum_bytes_per_slot = bytes;
			break;
		case 'j':
			if (strchr(optarg, '/')) {
				if (nr_journal == QBD_MAX_BACKENDS)
					return usage("a pool has at most %u backends",
						     QBD_MAX_BACKENDS);
				journal[nr_journal++] = optarg;
			} else if (!parse_journal(optarg, &shape.journal)) {
				return wrong_value("journal", "off, on or full, or a device's path",
						   optarg);
			}
			break;
		case 'L':
			if (!parse_lease(optarg, &shape.lease_ms))
				return wrong_value("lease", "0, or 200 to 600000 milliseconds",
						   optarg);
			break;
		case 'f':
			force = true;
			break;
		}
	}
	if (optind == argc)
		return usage("pool create: a name and devices are missing");
	if (!parse_name(argv[optind], strlen(argv[optind])))
		return usage("\"%s\" is not a name that a pool can have", argv[optind]);
	nr = argc - optind - 1;
	if (!nr)
		return usage("pool create: devices are missing");
	if (nr_journal && shape.journal == QBD_JOURNAL_OFF)
		return usage("a pool without a journal has no use for journal devices");
	nr += nr_journal;
	if (nr > QBD_MAX_BACKENDS)
		return usage("a pool has at most %u backends", QBD_MAX_BACKENDS);

	backends = new_array(struct create_backend, nr);
	paths = new_array(char *, nr);
	for (i = 0; i < nr; i++)
		backends[i].device.fd = -1;
	for (i = 0; i < nr && !ret; i++) {
		bool is_journal = i >= nr - nr_journal;

		backends[i].role = is_journal ? QBD_ROLE_JOURNAL : QBD_ROLE_DATA;
		ret = take_argument(is_journal ? journal[i - (nr - nr_journal)]
					       : argv[optind + 1 + i],
				    &backends[i], &paths[i]);
	}
	if (!ret)
		ret = create_pool(argv[optind], backends, nr, paths, &shape, force);
	for (i = 0; i < nr; i++) {
		device_close(&backends[i].device);
		free(paths[i]);
	}
	free(backends);
	free(paths);
	return ret;
}

const struct verb verb_pool_create = {
	.name = "pool create",
	.synopsis =
		"NAME DEV[,TAG]... [--extent-size SIZE] [--csum-bytes SIZE] "
		"[--journal off|on|full] [--journal DEV[,TAG]...]...\n          [--lease MS] [--force]",
	.help = "Make a pool of the devices. host=HOST is the tag of a failure domain.",
	.run = run,
};
