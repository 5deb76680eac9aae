/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device mapper, through libdevmapper: the few calls that are needed here.
 *
 * All return 0 or a negative errno.
 */
#ifndef QBD_DM_H
#define QBD_DM_H

#include <qbd/format.h>
#include <sys/types.h>

#define DM_NAME_SIZE 128
#define DM_UUID_SIZE 129

/* A device whose table is one target of ours. */
struct dm_entry {
	char name[DM_NAME_SIZE];
	char uuid[DM_UUID_SIZE];
	dev_t rdev;
	int open_count;
	bool suspended;
	char *params; /* of its table */
};

struct dm_table {
	const char *name;
	const char *uuid;
	const char *target;
	const char *params;
	u64 sectors;
	bool read_only;
	bool private; /* no other udev rule or scanner should look into it */
};

int dm_entries(const char *target, struct dm_entry **entries, unsigned int *nr);
void dm_entries_free(struct dm_entry *entries, unsigned int nr);
int dm_create(const struct dm_table *table);
int dm_remove(const char *name);
int dm_message(const char *name, const char *message, char **reply);
int dm_status(const char *name, char **params);
bool dm_has_target(const char *target);
bool dm_volume_name(const char *pool, const char *volume, char name[DM_NAME_SIZE]);

#endif
