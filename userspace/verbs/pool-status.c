// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "text.h"
#include "verb.h"

#include <qbd/abi.h>
#include <sys/sysmacros.h>

struct view {
	const struct live_pool *pool;
	struct live_backend *backends;
	unsigned int nr_backends;
	struct verify verify;
};

static const char *backend_state(const struct live_status *s, const struct live_backend *b)
{
	char health = b->index < strlen(s->health) ? s->health[b->index] : QBD_HEALTH_NONE;

	if (!b->in && b->held)
		return "out, held off";
	if (b->in && b->slow)
		return "in, slow";
	switch (health) {
	case QBD_HEALTH_WHOLE:
		return "in";
	case QBD_HEALTH_RESYNC:
		return "in, not whole";
	case QBD_HEALTH_KEPT:
		return "in, fails";
	case QBD_HEALTH_SUSPECT:
		return "out, device is there";
	default:
		return b->in ? "in" : "out";
	}
}

static struct json_object *job_json(const struct live_job *job, const char *count)
{
	struct json_object *o = need(json_object_new_object());

	json_add_string(o, "state", job->state);
	json_add_count(o, "chunks_done", job->done);
	json_add_count(o, "chunks", job->total);
	json_add_count(o, count, job->count);
	return o;
}

static struct json_object *backend_json(const struct view *v, const struct live_backend *b)
{
	struct json_object *o = need(json_object_new_object());
	char *path;

	json_add_count(o, "index", b->index);
	json_add_string(o, "uuid", b->uuid);
	if (b->rdev) {
		path = device_path(b->rdev);
		json_add_string(o, "device", path);
		free(path);
	}
	json_add_string(o, "state", backend_state(&v->pool->status, b));
	json_add(o, "in", json_object_new_boolean(b->in));
	json_add(o, "suspect", json_object_new_boolean(b->suspect));
	json_add_count(o, "out_epoch", b->out_epoch);
	json_add_count(o, "slots", b->slots);
	json_add_count(o, "free_slots", b->free_slots);
	json_add_count(o, "legs_not_in_sync", b->unsynced);
	json_add_count(o, "read_errors", b->read_errors);
	json_add_count(o, "write_errors", b->write_errors);
	json_add_count(o, "checksum_errors", b->csum_errors);
	json_add_count(o, "blocks_repaired", b->repaired);
	json_add_count(o, "deadline_ms", b->deadline_ms);
	json_add_count(o, "timeouts", b->timeouts);
	json_add_count(o, "orphans", b->orphans);
	json_add_string(o, "tags", b->tags);
	json_add(o, "slow", json_object_new_boolean(b->slow));
	json_add_count(o, "read_p50_us", b->p50_us);
	json_add_count(o, "read_p99_us", b->p99_us);
	json_add_count(o, "errors_counted", b->errors);
	json_add_count(o, "failures", b->outs);
	json_add_count(o, "held_off_seconds", b->held);
	return o;
}

static struct json_object *volume_json(const struct verify_volume *volume)
{
	struct json_object *o = need(json_object_new_object());
	char policy[16];

	format_policy(&volume->policy, policy);
	json_add_count(o, "number", volume->number);
	json_add_string(o, "name", volume->name);
	json_add_string(o, "policy", policy);
	json_add_count(o, "whole", volume->whole);
	json_add_count(o, "degraded", volume->degraded);
	json_add_count(o, "stale", volume->stale);
	json_add_count(o, "lost", volume->lost);
	json_add_count(o, "losses", volume->losses);
	return o;
}

static struct json_object *view_json(const struct view *v)
{
	struct json_object *o = need(json_object_new_object()), *array;
	const struct live_status *s = &v->pool->status;
	unsigned int i;

	json_add_string(o, "name", v->pool->name);
	json_add_string(o, "uuid", s->uuid);
	json_add_string(o, "mode", s->mode);
	json_add_string(o, "health", s->health);
	json_add_count(o, "epoch", s->epoch);
	json_add_string(o, "tag", s->tag);
	json_add_count(o, "extent_bytes", s->extent_sectors * 512);
	json_add_count(o, "slots", s->slots);
	json_add_count(o, "used_slots", s->used_slots);
	json_add_count(o, "chunks", s->chunks);
	json_add_count(o, "degraded_chunks", s->degraded_chunks);
	json_add_count(o, "ring_blocks", s->ring_blocks);
	json_add_count(o, "ring_blocks_used", s->ring_used);
	json_add_count(o, "checkpoints", s->checkpoints);
	json_add_string(o, "journal", s->journal);
	json_add_count(o, "journal_rows", s->journal_rows);
	json_add_count(o, "rows_destaged", s->destaged_rows);
	json_add_count(o, "journal_devices", s->journal_devices);
	json_add_count(o, "journal_devices_in", s->journal_devices_in);
	json_add_count(o, "blocks_repaired", s->repaired);
	json_add_count(o, "blocks_lost", s->lost);
	json_add(o, "resync", job_json(&s->resync, "bytes_written"));
	json_add(o, "scrub", job_json(&s->scrub, "bad_blocks"));
	array = need(json_object_new_array());
	for (i = 0; i < v->nr_backends; i++)
		json_object_array_add(array, backend_json(v, &v->backends[i]));
	json_add(o, "backends", array);
	array = need(json_object_new_array());
	for (i = 0; i < v->verify.nr_volumes; i++)
		json_object_array_add(array, volume_json(&v->verify.volumes[i]));
	json_add(o, "volumes", array);
	return o;
}

/* What happened, and what can be done about it. */
static const char *advice(const struct view *v)
{
	const struct live_status *s = &v->pool->status;
	unsigned int i;

	if (!strcmp(s->mode, "failed"))
		return "the pool has failed; the kernel's log says why";
	for (i = 0; i < v->verify.nr_volumes; i++)
		if (v->verify.volumes[i].lost)
			return "chunks are lost until backends return";
	if (!strcmp(s->resync.state, "running"))
		return "missing legs are being rebuilt";
	if (!live_healthy(s))
		return "redundancy is not whole; \"qbd repair\" lets backends in and rebuilds";
	return "all is well";
}

static void print_text(const struct view *v)
{
	static const char *const backend_columns[] = { ">#",	"DEVICE",    "STATE", ">SIZE",
						       ">FREE", ">TO SYNC",  ">READ", ">WRITE",
						       ">CSUM", ">REPAIRED", "TAGS",  NULL };
	static const char *const volume_columns[] = { "VOLUME", "POLICY", ">WHOLE",  ">DEGRADED",
						      ">STALE", ">LOST",  ">LOSSES", NULL };
	const struct live_status *s = &v->pool->status;
	char used[16], size[16], free_size[16], policy[16];
	u64 extent = s->extent_sectors * 512;
	struct text_table t;
	unsigned int i;
	char *path;

	printf("pool    %s, %s\n", v->pool->name, s->uuid);
	printf("state   %s, epoch %u (%s): %s\n", s->mode, s->epoch, s->tag, advice(v));
	printf("space   %s of %s used, extents of %s\n", format_size(s->used_slots * extent, used),
	       format_size(s->slots * extent, size), format_size(extent, free_size));
	printf("chunks  %llu, %llu of them degraded; blocks repaired %llu, lost %llu\n",
	       (unsigned long long)s->chunks, (unsigned long long)s->degraded_chunks,
	       (unsigned long long)s->repaired, (unsigned long long)s->lost);
	printf("journal %s, %llu rows in it, %llu destaged; %llu of %llu journal devices are in\n",
	       s->journal, (unsigned long long)s->journal_rows,
	       (unsigned long long)s->destaged_rows, (unsigned long long)s->journal_devices_in,
	       (unsigned long long)s->journal_devices);
	printf("resync  %s, %llu/%llu chunks, %s written\n", s->resync.state,
	       (unsigned long long)s->resync.done, (unsigned long long)s->resync.total,
	       format_size(s->resync.count, size));
	printf("scrub   %s, %llu/%llu chunks, %llu bad blocks found\n\n", s->scrub.state,
	       (unsigned long long)s->scrub.done, (unsigned long long)s->scrub.total,
	       (unsigned long long)s->scrub.count);

	text_begin(&t, backend_columns);
	for (i = 0; i < v->nr_backends; i++) {
		const struct live_backend *b = &v->backends[i];

		path = b->rdev ? device_path(b->rdev) : NULL;
		text_cell(&t, "%u", b->index);
		text_cell(&t, "%s", path ? path : "-");
		text_cell(&t, "%s", backend_state(s, b));
		text_cell(&t, "%s", format_size(b->slots * extent, size));
		text_cell(&t, "%s", format_size(b->free_slots * extent, free_size));
		text_cell(&t, "%llu", (unsigned long long)b->unsynced);
		text_cell(&t, "%llu", (unsigned long long)b->read_errors);
		text_cell(&t, "%llu", (unsigned long long)b->write_errors);
		text_cell(&t, "%llu", (unsigned long long)b->csum_errors);
		text_cell(&t, "%llu", (unsigned long long)b->repaired);
		text_cell(&t, "%s", *b->tags ? b->tags : "-");
		free(path);
	}
	text_print(&t, stdout);
	puts("");
	text_begin(&t, volume_columns);
	for (i = 0; i < v->verify.nr_volumes; i++) {
		const struct verify_volume *volume = &v->verify.volumes[i];

		format_policy(&volume->policy, policy);
		text_cell(&t, "%s", volume->name);
		text_cell(&t, "%s", policy);
		text_cell(&t, "%llu", (unsigned long long)volume->whole);
		text_cell(&t, "%llu", (unsigned long long)volume->degraded);
		text_cell(&t, "%llu", (unsigned long long)volume->stale);
		text_cell(&t, "%llu", (unsigned long long)volume->lost);
		text_cell(&t, "%u", volume->losses);
	}
	text_print(&t, stdout);
}

static int show(const struct live_pool *pool, struct json_object *array)
{
	struct view v = { .pool = pool };
	unsigned int i;
	int err, ret;

	err = live_backends(pool, &v.backends, &v.nr_backends);
	if (!err)
		err = live_verify(pool, &v.verify);
	if (err)
		complain("%s: cannot be asked: %s", pool->name, strerror(-err));
	else if (array)
		json_object_array_add(array, view_json(&v));
	else
		print_text(&v);
	ret = err ? QBD_FAILED : live_healthy(&pool->status) ? QBD_FINE : QBD_FOUND;
	for (i = 0; i < v.verify.nr_volumes && !ret; i++)
		if (!verify_volume_whole(&v.verify.volumes[i]))
			ret = QBD_FOUND;
	free(v.backends);
	verify_free(&v.verify);
	return ret;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, {} };
	struct json_object *array = NULL;
	struct live_pool *pools;
	unsigned int nr, i;
	int c, ret, one, err;

	while ((c = next_option(argc, argv, "", options)) != -1)
		array = array ?: need(json_object_new_array());
	if (argc - optind > 1)
		return usage("pool status: name one pool, or none");
	if (optind < argc) {
		pools = new_array(struct live_pool, 1);
		nr = 1;
		ret = find_pool(argv[optind], pools);
	} else {
		err = live_pools(&pools, &nr);
		if (err)
			complain("device mapper cannot be asked: %s", strerror(-err));
		ret = err ? QBD_FAILED : QBD_FINE;
	}
	for (i = 0; i < nr && ret < QBD_USAGE; i++) {
		if (i && !array)
			puts("");
		one = show(&pools[i], array);
		ret = one > ret ? one : ret;
	}
	free(pools);
	if (array && ret != QBD_USAGE && print_json(array))
		ret = QBD_FAILED;
	return ret;
}

const struct verb verb_pool_status = {
	.name = "pool status",
	.synopsis = "[NAME] [--json]",
	.help = "Show what state running pools are in, and each backend and volume.",
	.run = run,
};
