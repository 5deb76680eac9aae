// SPDX-License-Identifier: GPL-2.0-only
/* backend fail, backend readd and backend replace: one message each */
#include "create.h"
#include "nbd.h"
#include "parse.h"
#include "signature.h"
#include "verb.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uuid/uuid.h>

/* The rdev of a path; says when it is no block device. */
static int device_of(const char *path, dev_t *rdev)
{
	struct stat st;

	if (stat(path, &st)) {
		complain("%s: %s", path, strerror(errno));
		return QBD_FAILED;
	}
	if (!S_ISBLK(st.st_mode))
		return usage("%s: is not a block device", path);
	*rdev = st.st_rdev;
	return QBD_FINE;
}

/* The UUID that a device's superblock says, or an empty string. */
static void uuid_of(const char *path, char uuid[37])
{
	struct qbd_scan scan = {};

	uuid[0] = 0;
	if (!scan_device(&scan, path) && !scan.found[0].error)
		uuid_unparse_lower(scan.found[0].super.geometry.uuid, uuid);
	scan_free(&scan);
}

static const struct live_backend *find(const struct live_backend *all, unsigned int nr, u64 index,
				       dev_t rdev, const char *uuid)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if ((rdev && all[i].rdev == rdev) || all[i].index == index ||
		    (*uuid && !strcasecmp(all[i].uuid, uuid)))
			return &all[i];
	return NULL;
}

/*
 * Which backend a command line names: its device, its index, or its UUID. A device
 * that returned under another name is known by its superblock, which is read only
 * then: one that hangs would never give it.
 */
static int find_backend(const struct live_pool *pool, const char *argument,
			struct live_backend *backend)
{
	const struct live_backend *found;
	struct live_backend *all;
	bool path = strchr(argument, '/');
	u64 index = QBD_MAX_BACKENDS;
	unsigned int nr;
	char uuid[37] = "";
	dev_t rdev = 0;
	int err, ret;

	if (path) {
		ret = device_of(argument, &rdev);
		if (ret)
			return ret;
	} else if (!parse_number(argument, QBD_MAX_BACKENDS - 1, &index)) {
		index = QBD_MAX_BACKENDS;
		if (strlen(argument) != 36)
			return usage("\"%s\" is not a device, an index or a UUID", argument);
		strscpy(uuid, argument, sizeof(uuid));
	}
	err = live_backends(pool, &all, &nr);
	if (err) {
		complain("%s: backends cannot be listed: %s", pool->name, strerror(-err));
		return QBD_FAILED;
	}
	found = find(all, nr, index, rdev, uuid);
	if (!found && path) {
		uuid_of(argument, uuid);
		found = find(all, nr, index, 0, uuid);
	}
	if (found)
		*backend = *found;
	else
		complain("%s: has no backend %s", pool->name, argument);
	free(all);
	return found ? QBD_FINE : QBD_FAILED;
}

static int send(const struct live_pool *pool, const struct live_backend *b, const char *message,
		const dev_t *rdev)
{
	int err;

	if (rdev) {
		nbd_prepare(*rdev);
		err = live_message(pool, NULL, "%s %u %u:%u", message, b->index, major(*rdev),
				   minor(*rdev));
	} else {
		err = live_message(pool, NULL, "%s %u", message, b->index);
	}
	if (err)
		complain("%s: backend %u: %s: %s; the kernel's log says why", pool->name, b->index,
			 message, strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

static int check_out(const struct live_pool *pool, const struct live_backend *b,
		     const char *trouble)
{
	if (b->in)
		complain("%s: backend %u %s", pool->name, b->index, trouble);
	else if (b->orphans)
		complain("%s: backend %u still has %llu requests in flight: first its device has "
			 "to answer or fail them",
			 pool->name, b->index, (unsigned long long)b->orphans);
	else
		return QBD_FINE;
	return QBD_FAILED;
}

static int run_fail(int argc, char **argv)
{
	static const struct option options[] = { {} };
	struct live_backend backend;
	struct live_pool pool;
	int ret;

	next_option(argc, argv, "", options);
	if (argc - optind != 2)
		return usage("backend fail: name a pool and a backend");
	ret = find_pool(argv[optind], &pool);
	if (!ret)
		ret = find_backend(&pool, argv[optind + 1], &backend);
	return ret ? ret : send(&pool, &backend, "fail", NULL);
}

static int send_readd(const struct live_pool *pool, const struct live_backend *b, dev_t rdev,
		      bool now)
{
	int err;

	nbd_prepare(rdev);
	err = live_readd(pool, b->index, rdev, now);
	if (err == -EAGAIN && b->held)
		complain("%s: backend %u failed %u times, and is not let in for %u s; --now does",
			 pool->name, b->index, b->outs, b->held);
	else if (err)
		complain("%s: backend %u: readd: %s; the kernel's log says why", pool->name,
			 b->index, strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

static int run_readd(int argc, char **argv)
{
	static const struct option options[] = { { "now", no_argument, NULL, 'n' }, {} };
	struct live_backend backend;
	struct live_pool pool;
	bool now = false;
	dev_t rdev;
	int c, ret;

	while ((c = next_option(argc, argv, "", options)) != -1)
		now = c == 'n';
	if (argc - optind != 2)
		return usage("backend readd: name a pool and a device");
	ret = find_pool(argv[optind], &pool);
	if (!ret)
		ret = device_of(argv[optind + 1], &rdev);
	if (!ret)
		ret = find_backend(&pool, argv[optind + 1], &backend);
	if (!ret)
		ret = live_kept(&pool.status, backend.index)
			      ? QBD_FINE
			      : check_out(&pool, &backend, "is in already");
	return ret ? ret : send_readd(&pool, &backend, rdev, now);
}

/* Nothing that is worth something may be on the new device. */
static int check_new(const char *path, bool force)
{
	char text[SIGNATURE_SIZE];
	struct qbd_device device;
	int err, ret = QBD_FINE;

	err = device_open_exclusive(&device, path);
	if (err == -EBUSY) {
		complain("%s: is in use", path);
		return QBD_FAILED;
	}
	if (err) {
		complain("%s: cannot be opened: %s", path, strerror(-err));
		return QBD_FAILED;
	}
	if (device.bytes < create_min_bytes()) {
		complain("%s: is too small: a backend has at least %llu MiB", path,
			 (unsigned long long)create_min_bytes() >> 20);
		ret = QBD_FAILED;
	} else {
		err = signature_find(&device, text);
		if (err > 0 && !force) {
			complain("%s: has %s; --force overwrites it", path, text);
			ret = QBD_FAILED;
		} else if (err > 0) {
			err = signature_wipe(&device);
		}
	}
	if (err < 0) {
		complain("%s: %s", path, strerror(-err));
		ret = QBD_FAILED;
	}
	device_close(&device);
	return ret;
}

static int run_replace(int argc, char **argv)
{
	static const struct option options[] = { { "force", no_argument, NULL, 'f' }, {} };
	struct live_backend backend;
	struct live_pool pool;
	const char *new_device;
	bool force = false;
	dev_t rdev;
	int c, ret;

	while ((c = next_option(argc, argv, "f", options)) != -1)
		force = c == 'f';
	if (argc - optind != 3)
		return usage("backend replace: name a pool, a backend and a new device");
	new_device = argv[optind + 2];
	ret = find_pool(argv[optind], &pool);
	if (!ret)
		ret = find_backend(&pool, argv[optind + 1], &backend);
	if (!ret)
		ret = check_out(&pool, &backend, "is in; qbd backend fail takes it out");
	if (!ret)
		ret = device_of(new_device, &rdev);
	if (!ret)
		ret = check_new(new_device, force);
	return ret ? ret : send(&pool, &backend, "replace", &rdev);
}

const struct verb verb_backend_fail = {
	.name = "backend fail",
	.synopsis = "POOL DEV|INDEX|UUID",
	.help = "Take a backend out.",
	.run = run_fail,
};

const struct verb verb_backend_readd = {
	.name = "backend readd",
	.synopsis = "POOL DEV [--now]",
	.help = "Let a backend that was out in again.",
	.run = run_readd,
};

const struct verb verb_backend_replace = {
	.name = "backend replace",
	.synopsis = "POOL DEV|INDEX|UUID NEWDEV [--force]",
	.help = "Put an empty device in a backend's place.",
	.run = run_replace,
};
