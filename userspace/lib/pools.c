// SPDX-License-Identifier: GPL-2.0-only
#include "pools.h"
#include "report.h"

#include <stdlib.h>

static struct qbd_scan *group_of(struct pools *pools, const u8 *uuid)
{
	struct qbd_scan *group;
	unsigned int i;

	for (i = 0; i < pools->nr; i++)
		if (!memcmp(pools->all[i].found->super.pool.pool_uuid, uuid, 16))
			return &pools->all[i];
	pools->all = need(realloc(pools->all, (pools->nr + 1) * sizeof(*group)));
	group = &pools->all[pools->nr++];
	memset(group, 0, sizeof(*group));
	return group;
}

/**
 * pools_group - sort what a scan found by pool
 * @scan: must stay until pools_free(); superblocks with an error are passed over
 */
void pools_group(const struct qbd_scan *scan, struct pools *pools)
{
	struct qbd_scan *group;
	unsigned int i;

	memset(pools, 0, sizeof(*pools));
	for (i = 0; i < scan->nr; i++) {
		if (scan->found[i].error || scan->found[i].shadowed)
			continue;
		group = group_of(pools, scan->found[i].super.pool.pool_uuid);
		group->found = need(realloc(group->found, (group->nr + 1) * sizeof(*group->found)));
		group->found[group->nr++] = scan->found[i];
	}
}

/**
 * pools_super - the superblock of a group with the highest epoch
 *
 * For names and counts; which history stands is for image_assemble() to say.
 */
const struct qbd_super *pools_super(const struct qbd_scan *group)
{
	const struct qbd_super *newest = &group->found[0].super;
	unsigned int i;

	for (i = 1; i < group->nr; i++)
		if (group->found[i].super.pool.epochs[0].number > newest->pool.epochs[0].number)
			newest = &group->found[i].super;
	return newest;
}

void pools_free(struct pools *pools)
{
	unsigned int i;

	for (i = 0; i < pools->nr; i++)
		free(pools->all[i].found);
	free(pools->all);
	memset(pools, 0, sizeof(*pools));
}
