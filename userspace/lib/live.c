// SPDX-License-Identifier: GPL-2.0-only
#include "live.h"
#include "parse.h"
#include "report.h"

#include <errno.h>
#include <qbd/abi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

/**
 * live_parse_status - read the status line of a pool
 *
 * Fields after the known ones are passed over: the line only grows.
 */
bool live_parse_status(const char *line, struct live_status *s)
{
	unsigned long long v[18];
	const char *journal = strstr(line, " journal "), *devices = strstr(line, " journal_devs ");
	unsigned int epoch;

	memset(s, 0, sizeof(*s));
	if (sscanf(line,
		   "%15s %64s %u:%16s %36s %llu %llu/%llu %llu %llu %llu %llu/%llu %llu resync %15s %llu/%llu %llu scrub %15s %llu/%llu %llu %llu %llu",
		   s->mode, s->health, &epoch, s->tag, s->uuid, &v[0], &v[1], &v[2], &v[3], &v[4],
		   &v[5], &v[6], &v[7], &v[8], s->resync.state, &v[9], &v[10], &v[11],
		   s->scrub.state, &v[12], &v[13], &v[14], &v[15], &v[16]) != 24)
		return false;
	s->epoch = epoch;
	s->extent_sectors = v[0];
	s->used_slots = v[1];
	s->slots = v[2];
	s->volumes = v[3];
	s->chunks = v[4];
	s->degraded_chunks = v[5];
	s->ring_used = v[6];
	s->ring_blocks = v[7];
	s->checkpoints = v[8];
	s->resync.done = v[9];
	s->resync.total = v[10];
	s->resync.count = v[11];
	s->scrub.done = v[12];
	s->scrub.total = v[13];
	s->scrub.count = v[14];
	s->repaired = v[15];
	s->lost = v[16];
	if (journal && sscanf(journal, " journal %7s %llu %llu", s->journal, &v[0], &v[1]) == 3) {
		s->journal_rows = v[0];
		s->destaged_rows = v[1];
	}
	if (devices && sscanf(devices, " journal_devs %llu/%llu", &v[0], &v[1]) == 2) {
		s->journal_devices_in = v[0];
		s->journal_devices = v[1];
	}
	return true;
}

/**
 * live_parse_backend - read a line of the answer to "backends"
 */
bool live_parse_backend(const char *line, struct live_backend *b)
{
	unsigned long long v[10];
	unsigned int index, suspect, out_epoch, ma, mi;
	char device[32], state[8];
	int n = -1;

	memset(b, 0, sizeof(*b));
	if (sscanf(line,
		   "%u %36s %31s %7s %u %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %n",
		   &index, b->uuid, device, state, &suspect, &out_epoch, &v[0], &v[1], &v[2], &v[3],
		   &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &n) != 16 ||
	    n < 0)
		return false;
	if (index >= QBD_MAX_BACKENDS)
		return false;
	if (sscanf(device, "%u:%u", &ma, &mi) == 2)
		b->rdev = makedev(ma, mi);
	b->index = index;
	b->in = !strcmp(state, "in");
	b->suspect = suspect;
	b->out_epoch = out_epoch;
	b->slots = v[0];
	b->free_slots = v[1];
	b->unsynced = v[2];
	b->read_errors = v[3];
	b->write_errors = v[4];
	b->csum_errors = v[5];
	b->repaired = v[6];
	b->deadline_ms = v[7];
	b->timeouts = v[8];
	b->orphans = v[9];
	if (strcmp(line + n, "-"))
		snprintf(b->tags, sizeof(b->tags), "%s", line + n);
	return true;
}

/**
 * live_parse_limits - read a line of the answer to "limits"
 * @backends: the one that it is about is completed
 */
bool live_parse_limits(const char *line, struct live_backend *backends, unsigned int nr)
{
	unsigned int index, v[5], i;
	char state[8];

	if (sscanf(line, "%u %7s %u %u %u %u %u", &index, state, &v[0], &v[1], &v[2], &v[3],
		   &v[4]) != 7)
		return false;
	for (i = 0; i < nr; i++) {
		struct live_backend *b = &backends[i];

		if (b->index != index)
			continue;
		b->slow = !strcmp(state, "slow");
		b->p50_us = v[0];
		b->p99_us = v[1];
		b->errors = v[2];
		b->outs = v[3];
		b->held = v[4];
	}
	return true;
}

/**
 * live_parse_volume - read a line of the answer to "volumes"
 */
bool live_parse_volume(const char *line, struct live_volume *v)
{
	unsigned int number, block_size;
	unsigned long long sectors;
	char state[16], policy[32];

	memset(v, 0, sizeof(*v));
	if (sscanf(line, "%u %63s %15s %llu %31s %u %63s", &number, v->name, state, &sectors,
		   policy, &block_size, v->tag) != 7 ||
	    !parse_policy(policy, &v->policy))
		return false;
	v->number = number;
	v->deleting = strcmp(state, "live") != 0;
	v->sectors = sectors;
	v->block_size = block_size;
	if (!strcmp(v->tag, "-"))
		v->tag[0] = 0;
	return true;
}

/**
 * live_parse_verify - read a line of the answer to "verify"
 */
bool live_parse_verify(const char *line, struct verify_volume *v)
{
	unsigned long long n[4];
	unsigned int number, losses;

	memset(v, 0, sizeof(*v));
	if (sscanf(line, "%u %63s %llu %llu %llu %llu %u", &number, v->name, &n[0], &n[1], &n[2],
		   &n[3], &losses) != 7)
		return false;
	v->number = number;
	v->whole = n[0];
	v->degraded = n[1];
	v->stale = n[2];
	v->lost = n[3];
	v->losses = losses;
	return true;
}

int live_read_status(const char *name, struct live_status *status)
{
	char *line;
	int err = dm_status(name, &line);

	if (!err && !live_parse_status(line, status))
		err = -EPROTO;
	free(line);
	return err;
}

/**
 * live_pools - all pools that run, in the order of their names
 * @pools: to be freed
 */
int live_pools(struct live_pool **pools, unsigned int *nr)
{
	struct dm_entry *entries;
	unsigned int i, n;
	int err;

	*pools = NULL;
	*nr = 0;
	err = dm_entries(QBD_TARGET_POOL, &entries, &n);
	if (err)
		return err;
	*pools = new_array(struct live_pool, n);
	for (i = 0; i < n; i++) {
		struct live_pool *pool = &(*pools)[*nr];

		if (live_read_status(entries[i].name, &pool->status))
			continue;
		snprintf(pool->name, sizeof(pool->name), "%s", entries[i].name);
		pool->rdev = entries[i].rdev;
		(*nr)++;
	}
	dm_entries_free(entries, n);
	return 0;
}

/**
 * live_find - a running pool by its name
 *
 * Return: 0; -ENOENT when no pool of that name runs, else a negative errno.
 */
int live_find(const char *name, struct live_pool *pool)
{
	struct live_pool *pools;
	unsigned int nr, i;
	int err = live_pools(&pools, &nr);

	if (err)
		return err;
	err = -ENOENT;
	for (i = 0; i < nr && err; i++) {
		if (strcmp(pools[i].name, name))
			continue;
		*pool = pools[i];
		err = 0;
	}
	free(pools);
	return err;
}

/**
 * live_message - send a message to a pool
 * @reply: as for dm_message()
 */
int live_message(const struct live_pool *pool, char **reply, const char *format, ...)
{
	char *message = NULL;
	va_list args;
	int err;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	err = dm_message(pool->name, need(message), reply);
	free(message);
	return err;
}

/**
 * live_readd - let a backend in again
 * @pool: the pool
 * @index: of the backend
 * @rdev: its device
 * @now: also one that is held off
 *
 * Requests that were sent to it before it went out as a rule end in a moment; they are
 * waited for, for three seconds.
 *
 * Return: as dm_message().
 */
int live_readd(const struct live_pool *pool, unsigned int index, dev_t rdev, bool now)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	unsigned int tries = 60;
	int err;

	while ((err = live_message(pool, NULL, "readd %u %u:%u%s", index, major(rdev), minor(rdev),
				   now ? " now" : "")) == -EBUSY &&
	       --tries)
		nanosleep(&pause, NULL);
	return err;
}

/*
 * Send a message that is answered with a line for each thing, and once more for as
 * long as its last line is "more <from number>".
 */
static int read_lines(const struct live_pool *pool, const char *message,
		      bool (*line_fn)(void *context, const char *line), void *context)
{
	unsigned int from = 0, next;
	char *reply, *line, *rest;
	bool more = true;
	int err;

	while (more) {
		more = false;
		err = from ? live_message(pool, &reply, "%s %u", message, from)
			   : live_message(pool, &reply, "%s", message);
		if (err)
			return err;
		rest = reply;
		while (rest && (line = strsep(&rest, "\n"))) {
			if (!strncmp(line, "more ", 5)) {
				next = strtoul(line + 5, NULL, 10);
				more = next > from;
				from = next;
			} else if (*line && !line_fn(context, line)) {
				err = -EPROTO;
			}
		}
		free(reply);
		if (err)
			return err;
	}
	return 0;
}

struct backend_list {
	struct live_backend *all;
	unsigned int nr;
};

static bool backend_line(void *context, const char *line)
{
	struct backend_list *l = context;

	l->all = need(realloc(l->all, (l->nr + 1) * sizeof(*l->all)));
	return live_parse_backend(line, &l->all[l->nr++]);
}

static bool limits_line(void *context, const char *line)
{
	const struct backend_list *l = context;

	return live_parse_limits(line, l->all, l->nr);
}

/**
 * live_backends - all members of a pool
 * @backends: to be freed, also after an error
 */
int live_backends(const struct live_pool *pool, struct live_backend **backends, unsigned int *nr)
{
	struct backend_list list = {};
	int err = read_lines(pool, "backends", backend_line, &list);

	if (!err)
		err = read_lines(pool, "limits", limits_line, &list);
	*backends = list.all;
	*nr = list.nr;
	return err;
}

struct volume_list {
	struct live_volume *all;
	unsigned int nr;
};

static bool volume_line(void *context, const char *line)
{
	struct volume_list *l = context;

	l->all = need(realloc(l->all, (l->nr + 1) * sizeof(*l->all)));
	return live_parse_volume(line, &l->all[l->nr++]);
}

/**
 * live_volumes - all volumes of a pool
 * @volumes: to be freed, also after an error
 */
int live_volumes(const struct live_pool *pool, struct live_volume **volumes, unsigned int *nr)
{
	struct volume_list list = {};
	int err = read_lines(pool, "volumes", volume_line, &list);

	*volumes = list.all;
	*nr = list.nr;
	return err;
}

static bool verify_line(void *context, const char *line)
{
	struct verify *v = context;

	v->volumes = need(realloc(v->volumes, (v->nr_volumes + 1) * sizeof(*v->volumes)));
	return live_parse_verify(line, &v->volumes[v->nr_volumes++]);
}

/**
 * live_verify - what is whole and what is missing, as the kernel counts it
 * @verify: to be freed with verify_free(), also after an error
 */
int live_verify(const struct live_pool *pool, struct verify *verify)
{
	struct live_volume *volumes;
	unsigned int nr, i, j;
	int err;

	memset(verify, 0, sizeof(*verify));
	err = read_lines(pool, "verify", verify_line, verify);
	if (err)
		return err;
	err = live_volumes(pool, &volumes, &nr);
	for (i = 0; i < verify->nr_volumes; i++)
		for (j = 0; j < nr; j++)
			if (volumes[j].number == verify->volumes[i].number)
				verify->volumes[i].policy = volumes[j].policy;
	free(volumes);
	return err;
}

/**
 * live_kept - is a backend in, failing, and has to stay
 */
bool live_kept(const struct live_status *status, unsigned int index)
{
	return index < strlen(status->health) && status->health[index] == QBD_HEALTH_KEPT;
}

/**
 * live_healthy - are all members in and whole, and the pool working
 */
bool live_healthy(const struct live_status *status)
{
	const char *c;

	if (!strcmp(status->mode, "failed") || status->degraded_chunks)
		return false;
	for (c = status->health; *c; c++)
		if (*c != QBD_HEALTH_WHOLE && *c != QBD_HEALTH_NONE)
			return false;
	return true;
}
