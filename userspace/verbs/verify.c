// SPDX-License-Identifier: GPL-2.0-only
/*
 * A running pool is asked; of any other, slot tables and ring are read. Both give
 * the same: the volumes' chunks, and what is not as it should be, in words.
 */
#include "parse.h"
#include "pools.h"
#include "text.h"
#include "verb.h"

#include <stdarg.h>
#include <uuid/uuid.h>

struct result {
	char name[DM_NAME_SIZE];
	char uuid[37];
	bool online;
	struct verify verify;
	char **problems;
	unsigned int nr_problems;
};

static void __printf(2, 3) add_problem(struct result *r, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	r->problems = need(realloc(r->problems, (r->nr_problems + 1) * sizeof(*r->problems)));
	r->problems[r->nr_problems++] = need(text);
}

static void free_result(struct result *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_problems; i++)
		free(r->problems[i]);
	free(r->problems);
	verify_free(&r->verify);
}

static bool whole(const struct result *r)
{
	unsigned int i;

	for (i = 0; i < r->verify.nr_volumes; i++)
		if (!verify_volume_whole(&r->verify.volumes[i]))
			return false;
	return !r->nr_problems;
}

static void add_json(struct json_object *array, const struct result *r)
{
	struct json_object *o = need(json_object_new_object());
	struct json_object *volumes = need(json_object_new_array());
	struct json_object *problems = need(json_object_new_array());
	char policy[16];
	unsigned int i;

	json_add_string(o, "name", r->name);
	json_add_string(o, "uuid", r->uuid);
	json_add(o, "online", json_object_new_boolean(r->online));
	json_add(o, "whole", json_object_new_boolean(whole(r)));
	for (i = 0; i < r->verify.nr_volumes; i++) {
		const struct verify_volume *v = &r->verify.volumes[i];
		struct json_object *volume = need(json_object_new_object());

		format_policy(&v->policy, policy);
		json_add_count(volume, "number", v->number);
		json_add_string(volume, "name", v->name);
		json_add_string(volume, "policy", policy);
		json_add_count(volume, "whole", v->whole);
		json_add_count(volume, "degraded", v->degraded);
		json_add_count(volume, "stale", v->stale);
		json_add_count(volume, "lost", v->lost);
		json_add_count(volume, "losses", v->losses);
		json_object_array_add(volumes, volume);
	}
	json_add(o, "volumes", volumes);
	for (i = 0; i < r->nr_problems; i++)
		json_object_array_add(problems, json_object_new_string(r->problems[i]));
	json_add(o, "problems", problems);
	json_object_array_add(array, o);
}

static void print_text(const struct result *r)
{
	static const char *const columns[] = { "VOLUME", "POLICY", ">WHOLE",  ">DEGRADED",
					       ">STALE", ">LOST",  ">LOSSES", NULL };
	struct text_table t;
	char policy[16];
	unsigned int i;

	printf("%s: %s\n", r->name, whole(r) ? "whole" : "not whole");
	for (i = 0; i < r->nr_problems; i++)
		printf("  %s\n", r->problems[i]);
	if (!r->verify.nr_volumes)
		return;
	text_begin(&t, columns);
	for (i = 0; i < r->verify.nr_volumes; i++) {
		const struct verify_volume *v = &r->verify.volumes[i];

		format_policy(&v->policy, policy);
		text_cell(&t, "%s", v->name);
		text_cell(&t, "%s", policy);
		text_cell(&t, "%llu", (unsigned long long)v->whole);
		text_cell(&t, "%llu", (unsigned long long)v->degraded);
		text_cell(&t, "%llu", (unsigned long long)v->stale);
		text_cell(&t, "%llu", (unsigned long long)v->lost);
		text_cell(&t, "%u", v->losses);
	}
	text_print(&t, stdout);
}

static int finish(const struct result *r, struct json_object *array)
{
	if (array)
		add_json(array, r);
	else
		print_text(r);
	return whole(r) ? QBD_FINE : QBD_FOUND;
}

static int verify_online(const struct live_pool *pool, struct json_object *array)
{
	struct result r = { .online = true };
	struct live_backend *backends;
	unsigned int nr, i;
	int err, ret;

	memcpy(r.name, pool->name, sizeof(r.name));
	memcpy(r.uuid, pool->status.uuid, sizeof(r.uuid));
	err = live_backends(pool, &backends, &nr);
	for (i = 0; !err && i < nr; i++) {
		const struct live_backend *b = &backends[i];
		char *path = b->rdev ? device_path(b->rdev) : NULL;

		if (!b->in)
			add_problem(&r, "backend %u (%s) is out since epoch %u", b->index,
				    path       ? path
				    : *b->tags ? b->tags
					       : b->uuid,
				    b->out_epoch);
		else if (b->unsynced)
			add_problem(&r, "backend %u (%s) has %llu legs that are not in sync",
				    b->index, path ? path : b->uuid,
				    (unsigned long long)b->unsynced);
		free(path);
	}
	free(backends);
	if (!strcmp(pool->status.mode, "failed"))
		add_problem(&r, "the pool has failed; the kernel's log says why");
	if (!err)
		err = live_verify(pool, &r.verify);
	if (err)
		complain("%s: cannot be asked: %s", pool->name, strerror(-err));
	ret = err ? QBD_FAILED : finish(&r, array);
	free_result(&r);
	return ret;
}

static const char *ring_trouble(int err)
{
	if (err == -EUCLEAN)
		return "records that were acknowledged are on no ring member that is here";
	return "a record cannot be read";
}

static void member_problems(const struct qbd_image *image, struct result *r)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct image_member *m = &image->members[i];
		const struct qbd_member *member = &image->newest->pool.members[i];
		const char *path = m->found	   ? m->found->path
				   : *member->tags ? member->tags
						   : "no device";

		if (m->standing == IMAGE_MISSING || m->standing == IMAGE_DIVERGED)
			add_problem(r, "backend %u (%s) is missing%s%s", i, path,
				    m->trouble ? ": " : "", m->trouble ? m->trouble : "");
		else if (m->standing == IMAGE_OUT)
			add_problem(r, "backend %u (%s) is out since epoch %u", i, path,
				    member->out_epoch);
		if (m->bad_pages)
			add_problem(r, "backend %u (%s) has %llu damaged metadata pages", i, path,
				    (unsigned long long)m->bad_pages);
	}
	if (image->diverged)
		add_problem(r, "split brain: there are two histories");
	if (image->nr_strangers)
		add_problem(r, "%u devices are of this pool and no members of it now",
			    image->nr_strangers);
}

/* Of a chunk whose legs are all on backends that are not here, no table says a word. */
static void unseen_problems(const struct qbd_image *image, struct result *r)
{
	u64 journal = qbd_journal_devices(&image->newest->pool);
	unsigned int missing = 0, i;

	/* Those hold no chunk. */
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		missing += !(journal & BIT_ULL(i)) &&
			   (image->members[i].standing == IMAGE_MISSING ||
			    image->members[i].standing == IMAGE_DIVERGED);
	for (i = 0; i < r->verify.nr_volumes; i++)
		if (missing > r->verify.volumes[i].policy.m)
			add_problem(r, "volume %s: chunks may be lost that no table here names",
				    r->verify.volumes[i].name);
}

static int verify_offline(const struct qbd_scan *group, struct json_object *array)
{
	struct qbd_image image;
	struct result r = {};
	int ret;

	if (image_assemble(&image, group, 0)) {
		complain("no superblock could be read");
		return QBD_FAILED;
	}
	image_load_tables(&image);
	image_load_slots(&image);
	verify_image(&image, &r.verify);
	snprintf(r.name, sizeof(r.name), "%s", image.newest->pool.pool_name);
	uuid_unparse_lower(image.newest->pool.pool_uuid, r.uuid);
	member_problems(&image, &r);
	unseen_problems(&image, &r);
	if (image.ring_error && image.ring_error != -ENODATA)
		add_problem(&r, "ring: %s", ring_trouble(image.ring_error));
	if (image.bad_tables)
		add_problem(&r, "%llu pages of the volume and layer tables are on no backend",
			    (unsigned long long)image.bad_tables);
	ret = finish(&r, array);
	free_result(&r);
	image_free(&image);
	return ret;
}

static int verify_devices(char **paths, unsigned int nr, struct json_object *array)
{
	struct qbd_scan scan = {};
	struct pools pools;
	unsigned int i;
	int ret = QBD_FINE, one, err;
	bool busy = false;

	for (i = 0; i < nr; i++) {
		err = scan_device(&scan, paths[i]);
		if (!err)
			err = scan.found[scan.nr - 1].error;
		if (err == -ENOTBLK)
			ret = usage("%s: is not a block device", paths[i]);
		else if (err)
			complain("%s: %s", paths[i], scan_error(err));
		else
			busy |= device_busy(paths[i]);
		if (err && ret != QBD_USAGE)
			ret = QBD_FAILED;
	}
	if (busy)
		complain("devices are in use: the answer may be an old one");
	pools_group(&scan, &pools);
	for (i = 0; i < pools.nr && ret != QBD_USAGE; i++) {
		one = verify_offline(&pools.all[i], array);
		ret = one > ret ? one : ret;
	}
	pools_free(&pools);
	scan_free(&scan);
	return ret;
}

/* By name: one that runs, else the devices that say so. */
static int verify_named(const char *name, struct json_object *array)
{
	struct qbd_scan scan = {};
	struct live_pool pool;
	struct pools pools;
	int ret = QBD_FINE, one;
	bool found = false;
	unsigned int i;

	if (!parse_name(name, strlen(name)))
		return usage("\"%s\" is not a pool's name", name);
	if (!live_find(name, &pool))
		return verify_online(&pool, array);
	scan_system(&scan);
	pools_group(&scan, &pools);
	for (i = 0; i < pools.nr; i++) {
		if (strcmp(pools_super(&pools.all[i])->pool.pool_name, name))
			continue;
		found = true;
		one = verify_offline(&pools.all[i], array);
		ret = one > ret ? one : ret;
	}
	pools_free(&pools);
	scan_free(&scan);
	if (!found) {
		complain("no pool \"%s\" is running, and no device has it", name);
		ret = QBD_FAILED;
	}
	return ret;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, {} };
	struct json_object *array = NULL;
	int c, ret;

	while ((c = next_option(argc, argv, "", options)) != -1)
		array = array ?: need(json_object_new_array());
	if (optind == argc)
		return usage("verify: a pool or its devices are missing");
	if (!strchr(argv[optind], '/') && argc - optind > 1)
		return usage("verify: one pool at a time");
	if (strchr(argv[optind], '/'))
		ret = verify_devices(argv + optind, argc - optind, array);
	else
		ret = verify_named(argv[optind], array);
	if (array && ret != QBD_USAGE && print_json(array))
		ret = QBD_FAILED;
	return ret;
}

const struct verb verb_verify = {
	.name = "verify",
	.synopsis = "POOL|DEV... [--json]",
	.help = "Tell which chunks are whole, from the slot tables and the ring alone.",
	.run = run,
};
