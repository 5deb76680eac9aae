// SPDX-License-Identifier: GPL-2.0-only
#include "dm.h"
#include "report.h"

#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

/* The library talks on its own; one line of ours, with the errno, says it all. */
static void be_silent(int level, const char *file, int line, int errno_or_class, const char *format,
		      ...)
{
}

__attribute__((constructor)) static void set_log(void)
{
	dm_log_with_errno_init(be_silent);
}

static int task_error(struct dm_task *task)
{
	int err = dm_task_get_errno(task);

	return err > 0 ? -err : -EIO;
}

/* NULL where the kernel has no device mapper, or for a name that cannot be. */
static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *task = dm_task_create(type);

	if (task && name && !dm_task_set_name(task, name)) {
		dm_task_destroy(task);
		return NULL;
	}
	return task;
}

/* Run it and, when udev is there, wait until the node is. */
static int run_with_udev(struct dm_task *task, u16 flags)
{
	u32 cookie = 0;
	int err = 0;

	if (!dm_task_set_cookie(task, &cookie, flags))
		return -EIO;
	if (!dm_task_run(task))
		err = task_error(task);
	dm_udev_wait(cookie);
	dm_task_update_nodes();
	return err;
}

/* Read one device's table; NULL params when it is not one target of that kind. */
static int read_entry(const char *name, const char *target, struct dm_entry *entry)
{
	struct dm_task *task = new_task(DM_DEVICE_TABLE, name);
	char *type = NULL, *params = NULL;
	struct dm_info info;
	u64 start, length;
	void *more;
	int err = 0;

	memset(entry, 0, sizeof(*entry));
	if (!task)
		return -ENODEV;
	if (!dm_task_run(task) || !dm_task_get_info(task, &info)) {
		err = task_error(task);
		goto out;
	}
	if (!info.exists)
		goto out;
	more = dm_get_next_target(task, NULL, &start, &length, &type, &params);
	if (more || !type || strcmp(type, target))
		goto out;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	snprintf(entry->uuid, sizeof(entry->uuid), "%s", dm_task_get_uuid(task));
	entry->rdev = makedev(info.major, info.minor);
	entry->open_count = info.open_count;
	entry->suspended = info.suspended;
	entry->params = need(strdup(params ? params : ""));
out:
	dm_task_destroy(task);
	return err;
}

/**
 * dm_entries - all devices with that target
 * @entries: to be freed with dm_entries_free()
 */
int dm_entries(const char *target, struct dm_entry **entries, unsigned int *nr)
{
	struct dm_task *task = new_task(DM_DEVICE_LIST, NULL);
	struct dm_names *names;
	struct dm_entry entry;
	int err = 0;

	*entries = NULL;
	*nr = 0;
	if (!task)
		return -ENODEV;
	if (!dm_task_run(task)) {
		err = task_error(task);
		goto out;
	}
	names = dm_task_get_names(task);
	if (!names || !names->dev)
		goto out;
	for (;; names = (struct dm_names *)((char *)names + names->next)) {
		/* One that is gone by now is not there. */
		if (!read_entry(names->name, target, &entry) && entry.params) {
			*entries = need(realloc(*entries, (*nr + 1) * sizeof(entry)));
			(*entries)[(*nr)++] = entry;
		}
		if (!names->next)
			break;
	}
out:
	dm_task_destroy(task);
	return err;
}

void dm_entries_free(struct dm_entry *entries, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		free(entries[i].params);
	free(entries);
}

/**
 * dm_create - create a device with a table of one line, and start it
 */
int dm_create(const struct dm_table *table)
{
	struct dm_task *task = new_task(DM_DEVICE_CREATE, table->name);
	u16 flags = 0;
	int err;

	if (!task)
		return -ENODEV;
	if (table->private)
		flags = DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG |
			DM_UDEV_DISABLE_OTHER_RULES_FLAG;
	if (!dm_task_set_uuid(task, table->uuid) || (table->read_only && !dm_task_set_ro(task)) ||
	    !dm_task_add_target(task, 0, table->sectors, table->target, table->params))
		err = -EINVAL;
	else
		err = run_with_udev(task, flags);
	dm_task_destroy(task);
	return err;
}

/**
 * dm_remove - remove a device that nobody has open
 */
int dm_remove(const char *name)
{
	struct dm_task *task = new_task(DM_DEVICE_REMOVE, name);
	int err;

	if (!task)
		return -ENODEV;
	/* udev's own scanners have it open for a moment, now and then. */
	dm_task_retry_remove(task);
	err = run_with_udev(task, 0);
	dm_task_destroy(task);
	return err;
}

/**
 * dm_message - send a message to a device's target
 * @reply: set to its answer, to be freed; NULL where there is none. May be NULL
 */
int dm_message(const char *name, const char *message, char **reply)
{
	struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, name);
	const char *text;
	int err = 0;

	if (reply)
		*reply = NULL;
	if (!task)
		return -ENODEV;
	if (!dm_task_set_sector(task, 0) || !dm_task_set_message(task, message) ||
	    !dm_task_run(task)) {
		err = task_error(task);
	} else if (reply) {
		text = dm_task_get_message_response(task);
		*reply = text ? need(strdup(text)) : NULL;
	}
	dm_task_destroy(task);
	return err;
}

/**
 * dm_status - a device's status line
 * @params: set to it, to be freed
 */
int dm_status(const char *name, char **params)
{
	struct dm_task *task = new_task(DM_DEVICE_STATUS, name);
	char *type = NULL, *text = NULL;
	u64 start, length;
	int err = 0;

	*params = NULL;
	if (!task)
		return -ENODEV;
	/* Without a flush: a status must never wait for I/O. */
	dm_task_no_flush(task);
	if (!dm_task_run(task)) {
		err = task_error(task);
	} else {
		dm_get_next_target(task, NULL, &start, &length, &type, &text);
		*params = need(strdup(text ? text : ""));
	}
	dm_task_destroy(task);
	return err;
}

/**
 * dm_has_target - does the kernel have that target now
 */
bool dm_has_target(const char *target)
{
	struct dm_task *task = new_task(DM_DEVICE_LIST_VERSIONS, NULL);
	struct dm_versions *v, *last = NULL;
	bool has = false;

	if (!task)
		return false;
	if (dm_task_run(task)) {
		for (v = dm_task_get_versions(task); v && v != last && !has;
		     v = (struct dm_versions *)((char *)v + v->next)) {
			last = v;
			has = !strcmp(v->name, target);
		}
	}
	dm_task_destroy(task);
	return has;
}

/**
 * dm_volume_name - POOL-VOLUME, with the dashes inside either one doubled
 *
 * Return: false when that is longer than a device's name may be.
 */
bool dm_volume_name(const char *pool, const char *volume, char name[DM_NAME_SIZE])
{
	const char *parts[3] = { pool, NULL, volume };
	size_t n = 0;
	unsigned int i, times;
	const char *c;

	for (i = 0; i < 3; i++) {
		for (c = parts[i] ? parts[i] : "-"; *c; c++) {
			times = parts[i] && *c == '-' ? 2 : 1;
			if (n + times >= DM_NAME_SIZE)
				return false;
			memset(name + n, *c, times);
			n += times;
		}
	}
	name[n] = 0;
	return true;
}
