// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an nbd device does with a request that its server does not answer. A
 * backend has 15 seconds, then the pool goes on without it; but what it was asked
 * stays in flight as long as the device likes, and so long it cannot come back.
 *
 * nbd-client sets up devices that like it for ever. Such a one gets a timeout here,
 * and, where it is controlled by netlink, no time to wait for a new connection in:
 * requests that are held back for one, and sent again there, are of no use to a pool
 * that has gone on without them.
 *
 * sysfs says 30 s of a device without a timeout, which then lasts for ever; only
 * debugfs tells these apart.
 */
#include "nbd.h"
#include "report.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NBD_MAJOR 43
#define DEADLINE_MS 15000
#define TIMEOUT 60 /* seconds; well above the deadline */

static bool read_number(const char *path, unsigned long *number)
{
	FILE *file = fopen(path, "r");
	bool ok = file && fscanf(file, "%lu", number) == 1;

	if (file)
		fclose(file);
	return ok;
}

/* A device that was set up with -nonetlink takes it from anybody. */
static bool set_by_ioctl(unsigned int number)
{
	char path[32];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/dev/nbd%u", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ok = fd >= 0 && !ioctl(fd, NBD_SET_TIMEOUT, TIMEOUT);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* NULL: no memory. */
static struct nl_msg *reconfigure(int family, unsigned int number)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg &&
	    genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, NBD_CMD_RECONFIGURE, 0) &&
	    !nla_put_u32(msg, NBD_ATTR_INDEX, number) &&
	    !nla_put_u64(msg, NBD_ATTR_TIMEOUT, TIMEOUT) &&
	    !nla_put_u64(msg, NBD_ATTR_DEAD_CONN_TIMEOUT, 0))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static bool set_by_netlink(unsigned int number)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg = NULL;
	bool ok = false;
	int family;

	if (!sock)
		return false;
	if (!genl_connect(sock)) {
		family = genl_ctrl_resolve(sock, NBD_GENL_FAMILY_NAME);
		if (family >= 0)
			msg = reconfigure(family, number);
		/* It frees the message. */
		ok = msg && nl_send_sync(sock, msg) >= 0;
	}
	nl_socket_free(sock);
	return ok;
}

/**
 * nbd_prepare - have an nbd device end what its server does not answer
 * @rdev: a device; nothing is done to one that is no nbd device
 *
 * One without a timeout gets one, and that is told; so is a timeout that is too
 * short, which is the operator's and stays.
 */
void nbd_prepare(dev_t rdev)
{
	static const char for_ever[] =
		"/dev/nbd%u: keeps requests for ever that its server does not answer: "
		"a backend that hung cannot come back before \"nbd-client -d\"; "
		"use -timeout %u";
	static const char too_short[] =
		"/dev/nbd%u: gives up requests after %lu s, before a backend's deadline of %u s: its "
		"server may still write what it was sent; use -timeout 60";
	char link[64], path[PATH_MAX], resolved[PATH_MAX];
	unsigned long jiffies, ms;
	unsigned int number;
	const char *name;

	if (major(rdev) != NBD_MAJOR)
		return;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	name = realpath(link, resolved) ? strstr(resolved, "/block/nbd") : NULL;
	if (!name || sscanf(name, "/block/nbd%u", &number) != 1)
		return;
	snprintf(path, sizeof(path), "/sys/kernel/debug/nbd/nbd%u/timeout", number);
	if (read_number(path, &jiffies) && !jiffies) {
		if (set_by_ioctl(number) || set_by_netlink(number))
			complain("/dev/nbd%u: had no timeout, and has one of %u s now", number,
				 TIMEOUT);
		else
			complain(for_ever, number, TIMEOUT);
		return;
	}
	snprintf(path, sizeof(path), "/sys/block/nbd%u/queue/io_timeout", number);
	if (read_number(path, &ms) && ms < DEADLINE_MS)
		complain(too_short, number, ms / 1000, DEADLINE_MS / 1000);
}
