// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "pool.h"

static char paths[POOL_BACKENDS][80];
static char *disk_of[POOL_BACKENDS];
static u64 sectors_of[POOL_BACKENDS];
static unsigned int nr_legs;

static void be_silent(int level, const char *file, int line, int errno_or_class,
		      const char *format, ...)
{
}

static struct dm_task *task(int type, const char *name)
{
	struct dm_task *t;

	dm_log_with_errno_init(be_silent);
	t = dm_task_create(type);
	if (!t || !dm_task_set_name(t, name))
		fail("no dm task for %s", name);
	return t;
}

static void leg_task(int type, unsigned int i, bool failing)
{
	char params[120];
	struct dm_task *t = task(type, strrchr(paths[i], '/') + 1);
	uint32_t cookie = 0;

	snprintf(params, sizeof(params), "%s 0", disk_of[i]);
	if (type == DM_DEVICE_CREATE || type == DM_DEVICE_RELOAD)
		dm_task_add_target(t, 0, sectors_of[i], failing ? "error" : "linear",
				   failing ? "" : params);
	if (type == DM_DEVICE_SUSPEND) {
		/* I/O that waits is not failed, and nothing is flushed: a plug is pulled. */
		dm_task_no_flush(t);
		dm_task_skip_lockfs(t);
	}
	if ((type == DM_DEVICE_CREATE || type == DM_DEVICE_RESUME || type == DM_DEVICE_REMOVE) &&
	    !dm_task_set_cookie(t, &cookie, 0))
		fail("no dm cookie");
	if (!dm_task_run(t))
		fail("%s: dm task %d: %s", paths[i], type, strerror(dm_task_get_errno(t)));
	if (cookie)
		dm_udev_wait(cookie);
	dm_task_update_nodes();
	dm_task_destroy(t);
}

static int open_disk(const char *path, u64 *bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, bytes))
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void wipe(const char *path)
{
	u64 range[2] = { 0, 0 };
	int fd = open_disk(path, &range[1]);

	if (ioctl(fd, BLKDISCARD, range) && ioctl(fd, BLKZEROOUT, range))
		fail("%s: cannot be wiped: %s", path, strerror(errno));
	close(fd);
}

void pool_legs_create(char **disks, unsigned int nr)
{
	unsigned int i;
	u64 bytes;

	nr_legs = nr;
	for (i = 0; i < nr; i++) {
		disk_of[i] = disks[i];
		close(open_disk(disks[i], &bytes));
		sectors_of[i] = bytes / 512;
		wipe(disks[i]);
		snprintf(paths[i], sizeof(paths[i]), "/dev/mapper/" POOL_NAME "-leg%u", i);
		leg_task(DM_DEVICE_CREATE, i, false);
	}
}

void pool_legs_remove(void)
{
	unsigned int i;

	for (i = 0; i < nr_legs; i++)
		leg_task(DM_DEVICE_REMOVE, i, false);
}

static void swap(u64 which, bool failing, bool atomic)
{
	unsigned int i;

	for (i = 0; i < nr_legs; i++) {
		if (!(which >> i & 1))
			continue;
		leg_task(DM_DEVICE_RELOAD, i, failing);
		leg_task(DM_DEVICE_SUSPEND, i, failing);
		if (!atomic)
			leg_task(DM_DEVICE_RESUME, i, failing);
	}
	for (i = 0; atomic && i < nr_legs; i++)
		if (which >> i & 1)
			leg_task(DM_DEVICE_RESUME, i, failing);
}

void pool_legs_fail(u64 which, bool atomic)
{
	swap(which, true, atomic);
}

void pool_legs_heal(u64 which)
{
	swap(which, false, false);
}

void pool_leg_wipe(unsigned int index)
{
	wipe(paths[index]);
}

const char *pool_leg(unsigned int index)
{
	return paths[index];
}

static int run_command(const char *command)
{
	char line[8300], output[16384];
	size_t n;
	FILE *f;
	int status;

	snprintf(line, sizeof(line), "%s 2>&1", command);
	f = popen(line, "re");
	if (!f)
		fail("%s: %s", command, strerror(errno));
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = 0;
	status = pclose(f);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	if (status)
		say("%s: status %d\n%s", command, status, output);
	return status;
}

int run(const char *format, ...)
{
	char command[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return run_command(command);
}

void must_run(const char *format, ...)
{
	char command[8192];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = run_command(command);
	if (status)
		fail("status %d: %s", status, command);
}

int pool_message(char *reply, unsigned int size, const char *format, ...)
{
	struct dm_task *t = task(DM_DEVICE_TARGET_MSG, POOL_NAME);
	char message[200];
	const char *text;
	va_list args;
	int err = 0;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (!dm_task_set_sector(t, 0) || !dm_task_set_message(t, message))
		fail("no dm message");
	if (!dm_task_run(t))
		err = dm_task_get_errno(t) ?: EIO;
	else if (reply) {
		text = dm_task_get_message_response(t);
		snprintf(reply, size, "%s", text ? text : "");
	}
	dm_task_destroy(t);
	return err;
}

bool pool_try_status(struct pool_status *s)
{
	struct dm_task *t = task(DM_DEVICE_STATUS, POOL_NAME);
	uint64_t start, length;
	char *type, *params = NULL;
	bool good;

	memset(s, 0, sizeof(*s));
	good = dm_task_run(t);
	if (good)
		dm_get_next_target(t, NULL, &start, &length, &type, &params);
	good = params &&
	       sscanf(params, "%15s %79s %*[0-9]:%19s %*s %*s %*s %*s %*s %llu %*s %*s resync %15s %llu/%llu"
		      " %*s scrub %15s %llu/%llu %llu %llu %llu", s->mode, s->health,
		      s->tag, &s->degraded, s->resync, &s->resync_done, &s->resync_todo, s->scrub,
		      &s->scrub_done, &s->scrub_todo, &s->bad, &s->repaired, &s->lost) == 13;
	params = params ? strstr(params, " on_loss ") : NULL;
	good = good && params && sscanf(params, " on_loss %*s %llx", &s->kept) == 1;
	dm_task_destroy(t);
	return good;
}

void pool_status(struct pool_status *s)
{
	if (!pool_try_status(s))
		fail("no status of the pool");
}

u64 pool_csum_errors(void)
{
	char reply[16384], *line, *next;
	unsigned long long errors, sum = 0;

	if (pool_message(reply, sizeof(reply), "backends"))
		fail("no list of backends");
	for (line = reply; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		/* index uuid dev in/out suspect epoch slots free stale reads writes csums */
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &errors) != 1)
			fail("not a line of backends: %s", line);
		sum += errors;
	}
	return sum;
}

void policy_parse(struct policy *p, const char *word)
{
	unsigned int a, b;

	if (sscanf(word, "replicas=%u,%u,%u", &a, &p->block, &p->mib) == 3) {
		p->k = 1;
		p->m = a - 1;
		snprintf(p->words, sizeof(p->words), "replicas=%u", a);
	} else if (sscanf(word, "ec=%u+%u,%u,%u", &a, &b, &p->block, &p->mib) == 4) {
		p->k = a;
		p->m = b;
		p->ec = true;
		snprintf(p->words, sizeof(p->words), "ec=%u+%u", a, b);
	} else {
		fail("%s: not POLICY,BLOCK,MIB", word);
	}
}
