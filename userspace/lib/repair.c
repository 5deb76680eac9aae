// SPDX-License-Identifier: GPL-2.0-only
/*
 * First the backends that are out and whose device is there are let in again, by
 * their superblocks, whatever the devices are called today; then a resync rebuilds
 * what is missing or stale on those that are in. Each step can be repeated.
 */
#include "repair.h"
#include "nbd.h"
#include "progress.h"
#include "report.h"

#include <stdio.h>
#include <sys/sysmacros.h>
#include <uuid/uuid.h>

static const char held_off[] = "%s: backend %u, %s: failed %u times, is not let in for %u s; "
			       "\"qbd backend readd --now\" does";

static const struct qbd_found *find_device(const struct qbd_scan *scan,
					   const struct live_pool *pool,
					   const struct live_backend *backend)
{
	char uuid[37], pool_uuid[37];
	unsigned int i;

	for (i = 0; i < scan->nr; i++) {
		const struct qbd_found *f = &scan->found[i];

		if (f->error || f->shadowed)
			continue;
		uuid_unparse_lower(f->super.geometry.uuid, uuid);
		uuid_unparse_lower(f->super.pool.pool_uuid, pool_uuid);
		if (!strcasecmp(uuid, backend->uuid) && !strcasecmp(pool_uuid, pool->status.uuid))
			return f;
	}
	return NULL;
}

/**
 * repair_readmit - let in again what is out and has its device
 *
 * Return: 0, or a negative errno when the pool cannot be asked. A backend that is
 * refused is told of, and counted as out.
 */
int repair_readmit(const struct live_pool *pool, struct repair *repair)
{
	struct live_backend *backends;
	struct qbd_scan scan = {};
	bool scanned = false;
	unsigned int nr, i;
	int err, one;

	err = live_backends(pool, &backends, &nr);
	for (i = 0; !err && i < nr; i++) {
		const struct live_backend *b = &backends[i];
		const struct qbd_found *found;
		bool kept = live_kept(&pool->status, b->index);

		if (b->in && !b->suspect && !kept)
			continue;
		if (!scanned) {
			scan_system(&scan);
			scanned = true;
		}
		found = find_device(&scan, pool, b);
		if (!found) {
			repair->out++;
			continue;
		}
		/* The kernel tries it by itself. */
		if (kept && found->rdev == b->rdev)
			continue;
		nbd_prepare(found->rdev);
		one = live_readd(pool, b->index, found->rdev, false);
		if (one == -EAGAIN && b->held) {
			complain(held_off, pool->name, b->index, found->path, b->outs, b->held);
			repair->out++;
		} else if (one) {
			complain("%s: backend %u, %s: is not let in: %s", pool->name, b->index,
				 found->path, strerror(-one));
			repair->out++;
		} else {
			repair->readmitted++;
		}
	}
	free(backends);
	scan_free(&scan);
	return err;
}

/**
 * repair_pool - let in, rebuild, look again
 * @wait: until the resync is done
 *
 * Return: 0 when all that could be done was done (@repair says whether that was
 * enough), or a negative errno.
 */
int repair_pool(const struct live_pool *pool, bool wait, bool quiet, struct repair *repair)
{
	struct live_status status;
	struct verify verify;
	unsigned int i;
	int err;

	memset(repair, 0, sizeof(*repair));
	err = repair_readmit(pool, repair);
	if (err) {
		complain("%s: cannot be asked: %s", pool->name, strerror(-err));
		return err;
	}
	if (wait)
		err = progress_run(pool, PROGRESS_RESYNC, quiet, &status);
	else
		err = live_message(pool, NULL, "resync start");
	if (err) {
		complain("%s: resync failed: %s", pool->name, strerror(-err));
		return err;
	}
	if (wait)
		repair->chunks = status.resync.done;
	err = live_verify(pool, &verify);
	if (err) {
		complain("%s: cannot be asked: %s", pool->name, strerror(-err));
		return err;
	}
	repair->whole = true;
	for (i = 0; i < verify.nr_volumes; i++) {
		repair->whole &= verify_volume_whole(&verify.volumes[i]);
		repair->lost |= verify.volumes[i].lost > 0;
	}
	verify_free(&verify);
	return 0;
}

/**
 * repair_sentence - what was done and how it stands, in one line
 */
void repair_sentence(const struct repair *repair, char *text, size_t size)
{
	const char *state = repair->lost     ? "chunks are lost"
			    : !repair->whole ? "degraded"
			    : repair->out    ? "whole"
					     : "fine";
	int n = snprintf(text, size, "%s", state);

	if (repair->out && n < (int)size)
		n += snprintf(text + n, size - n, ", %u backend%s out", repair->out,
			      repair->out == 1 ? "" : "s");
	if (repair->readmitted && n < (int)size)
		n += snprintf(text + n, size - n, ", %u backend%s let in", repair->readmitted,
			      repair->readmitted == 1 ? "" : "s");
	if (repair->chunks && n < (int)size)
		snprintf(text + n, size - n, ", %llu chunk%s rebuilt",
			 (unsigned long long)repair->chunks, repair->chunks == 1 ? "" : "s");
}
