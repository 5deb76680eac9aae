// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an nbd device does with a request that its server does not answer. A
 * backend has 15 seconds, then the pool goes on without it; but what it was asked
 * stays in flight as long as the device likes.
 *
 * sysfs says 30 s of a device without a timeout, which then lasts for ever; only
 * debugfs tells these apart.
 */
#include "nbd.h"
#include "report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define NBD_MAJOR 43
#define DEADLINE_MS 15000

static bool read_number(const char *path, unsigned long *number)
{
	FILE *file = fopen(path, "r");
	bool ok = file && fscanf(file, "%lu", number) == 1;

	if (file)
		fclose(file);
	return ok;
}

/**
 * nbd_check - warn of a timeout that does not suit a backend
 * @rdev: a device; nothing is said of one that is no nbd device
 */
void nbd_check(dev_t rdev)
{
	static const char for_ever[] =
		"/dev/%s: keeps requests for ever that its server does not answer: a backend that "
		"hung cannot come back before \"nbd-client -d\"; use -timeout 60";
	static const char too_short[] =
		"/dev/%s: gives up requests after %lu s, before a backend's deadline of %u s: its "
		"server may still write what it was sent; use -timeout 60";
	char link[64], path[PATH_MAX], resolved[PATH_MAX];
	unsigned long jiffies, ms;
	const char *name;

	if (major(rdev) != NBD_MAJOR)
		return;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	if (!realpath(link, resolved))
		return;
	name = strrchr(resolved, '/') + 1;
	snprintf(path, sizeof(path), "/sys/kernel/debug/nbd/%.32s/timeout", name);
	if (read_number(path, &jiffies) && !jiffies) {
		complain(for_ever, name);
		return;
	}
	snprintf(path, sizeof(path), "%s/queue/io_timeout", link);
	if (read_number(path, &ms) && ms < DEADLINE_MS)
		complain(too_short, name, ms / 1000, DEADLINE_MS / 1000);
}
