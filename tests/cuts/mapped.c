// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "mapped.h"
#include "pool.h"

static void be_silent(int level, const char *file, int line, int errno_or_class,
		      const char *format, ...)
{
}

static int run_task(int type, const char *name, const char *target, u64 sectors,
		    const char *params)
{
	struct dm_task *t;
	uint32_t cookie = 0;
	int err = 0;

	dm_log_with_errno_init(be_silent);
	t = dm_task_create(type);
	if (!t || !dm_task_set_name(t, name) ||
	    (target && !dm_task_add_target(t, 0, sectors, target, params)) ||
	    !dm_task_set_cookie(t, &cookie, 0))
		fail("no dm task for %s", name);
	if (!dm_task_run(t))
		err = dm_task_get_errno(t) ?: EIO;
	dm_udev_wait(cookie);
	dm_task_update_nodes();
	dm_task_destroy(t);
	return err;
}

int mapped_pool_start(unsigned int disks, u64 absent, const char *features)
{
	char params[2000];
	size_t n = snprintf(params, sizeof(params), "%u", disks);
	unsigned int i;

	for (i = 0; i < disks; i++) {
		if (absent >> i & 1)
			n += snprintf(params + n, sizeof(params) - n, " -");
		else
			n += snprintf(params + n, sizeof(params) - n, " /dev/cuts%u", i);
	}
	snprintf(params + n, sizeof(params) - n, "%s", features);
	return run_task(DM_DEVICE_CREATE, POOL_NAME, "qbd-pool", 2048, params);
}

/* What has a device open for a moment (a probe of it) makes it busy. */
static void must_remove(const char *name)
{
	unsigned int tries;
	int err = EBUSY;

	for (tries = 0; err == EBUSY && tries < 200; tries++) {
		if (tries)
			usleep(5000);
		err = run_task(DM_DEVICE_REMOVE, name, NULL, 0, NULL);
	}
	if (err)
		fail("%s cannot be removed: %s", name, strerror(err));
}

void mapped_pool_stop(void)
{
	must_remove(POOL_NAME);
}

void mapped_readd(unsigned int backend)
{
	unsigned int tries;
	int err = EBUSY;

	guard_stage(2, "letting backend %u in", backend);
	for (tries = 0; err == EBUSY && tries < 1000; tries++) {
		if (tries)
			usleep(5000);
		err = pool_message(NULL, 0, "readd %u /dev/cuts%u now", backend, backend);
	}
	if (err)
		fail("readd %u: %s", backend, strerror(err));
}

int mapped_volume_open(const char *name, u32 sectors)
{
	char device[100], params[200], path[120];
	int fd, err;

	snprintf(device, sizeof(device), POOL_NAME "-%s", name);
	snprintf(params, sizeof(params), "/dev/mapper/" POOL_NAME " %s", name);
	err = run_task(DM_DEVICE_CREATE, device, "qbd", sectors, params);
	if (err)
		fail("%s cannot be opened: %s", name, strerror(err));
	snprintf(path, sizeof(path), "/dev/mapper/%s", device);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

void mapped_volume_close(const char *name, int fd)
{
	char device[100];

	close(fd);
	snprintf(device, sizeof(device), POOL_NAME "-%s", name);
	must_remove(device);
}
