// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel decides what can be started; why it did not is in its log, and what
 * can be seen from here (members missing, a split brain) is said here first.
 */
#include "image.h"
#include "nbd.h"
#include "parse.h"
#include "pools.h"
#include "verb.h"
#include "volume.h"

#include <qbd/abi.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uuid/uuid.h>

struct start_options {
	bool allow_degraded;
	bool read_only;
	bool no_volumes;
	bool standby;
	bool take_over;
	const char *history; /* a tag, or NULL */
	const char *on_loss;
	const char *deadlines[QBD_MAX_BACKENDS]; /* INDEX:MS each */
	unsigned int nr_deadlines;
};

static u64 tag_value(const char *text)
{
	return strtoull(text, NULL, 16);
}

static bool is_tag(const char *text)
{
	return strlen(text) == 16 && strspn(text, "0123456789abcdefABCDEF") == 16;
}

static bool is_deadline(const char *text)
{
	unsigned int index, ms;
	char end;

	return sscanf(text, "%2u:%7u%c", &index, &ms, &end) == 2 && index < QBD_MAX_BACKENDS &&
	       ms <= 3600000;
}

static void say_histories(const char *name, const struct qbd_scan *group)
{
	unsigned int i;

	complain("%s: split brain: name the history to keep with --force-history TAG", name);
	for (i = 0; i < group->nr; i++) {
		const struct qbd_epoch *e = &group->found[i].super.pool.epochs[0];

		complain("%s: epoch %u, tag %016llx", group->found[i].path, e->number,
			 (unsigned long long)e->tag);
	}
}

/* What would keep the kernel from starting, said in words. */
static int check_members(const struct qbd_image *image, const struct qbd_scan *group,
			 const struct start_options *o)
{
	const char *name = image->newest->pool.pool_name;
	int ret = QBD_FINE;
	unsigned int i;

	if (image->diverged && !o->history) {
		say_histories(name, group);
		return QBD_FAILED;
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct image_member *m = &image->members[i];
		const char *tags = image->newest->pool.members[i].tags;

		if (m->found && m->trouble && m->standing == IMAGE_MISSING) {
			complain("%s: backend %u: %s: %s", name, i, m->found->path, m->trouble);
		} else if (m->standing == IMAGE_MISSING) {
			complain("%s: backend %u%s%s%s is missing", name, i, *tags ? " (" : "",
				 tags, *tags ? ")" : "");
		} else {
			continue;
		}
		if (!o->allow_degraded)
			ret = QBD_FAILED;
	}
	if (ret)
		complain("%s: --allow-degraded starts it without what is missing", name);
	return ret;
}

static void print_devices(const struct qbd_image *image, u64 which, const char *word, FILE *out)
{
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (which & BIT_ULL(i))
			fprintf(out, "%s %u:%u", word, major(image->members[i].found->rdev),
				minor(image->members[i].found->rdev));
}

static char *make_params(const struct qbd_image *image, const struct start_options *o)
{
	u64 journal = qbd_journal_devices(&image->newest->pool), data = 0;
	unsigned int i, nr_args;
	char *params = NULL;
	size_t size;
	FILE *out = need(open_memstream(&params, &size));

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (!image->members[i].found)
			journal &= ~BIT_ULL(i);
		else if (!(journal & BIT_ULL(i)))
			data |= BIT_ULL(i);
	}
	if (!data) {
		/* The kernel says what is wrong with that. */
		data = journal;
		journal = 0;
	}
	fprintf(out, "%d", __builtin_popcountll(data));
	print_devices(image, data, "", out);
	nr_args = o->allow_degraded + o->read_only + o->standby + o->take_over + 2 * !!o->history +
		  2 * !!o->on_loss + 2 * o->nr_deadlines + 2 * __builtin_popcountll(journal);
	if (nr_args)
		fprintf(out, " %u", nr_args);
	if (o->allow_degraded)
		fputs(" allow_degraded", out);
	if (o->read_only)
		fputs(" read_only", out);
	if (o->standby)
		fputs(" standby", out);
	if (o->take_over)
		fputs(" take_over", out);
	if (o->history)
		fprintf(out, " force_history %s", o->history);
	if (o->on_loss)
		fprintf(out, " on_loss %s", o->on_loss);
	for (i = 0; i < o->nr_deadlines; i++)
		fprintf(out, " deadline %s", o->deadlines[i]);
	print_devices(image, journal, " journal_dev", out);
	fclose(out);
	return need(params);
}

/* Why the kernel may have refused: who has the pool, or had it last. */
static void say_owner(const struct qbd_image *image)
{
	const struct qbd_membership *pool = &image->newest->pool;
	struct qbd_heartbeat h;
	struct qbd_device device;
	unsigned int i;
	void *raw;

	for (i = 0; i < QBD_MAX_BACKENDS && pool->lease_ms; i++) {
		const struct qbd_found *found = image->members[i].found;
		bool read;

		if (!found || device_open(&device, found->path))
			continue;
		raw = device_buffer(QBD_PAGE_SIZE);
		read = !device_read(&device, QBD_HEARTBEAT_START, raw, QBD_PAGE_SIZE) &&
		       !qbd_heartbeat_check(raw, pool->pool_uuid, found->super.geometry.uuid, &h);
		free(raw);
		device_close(&device);
		if (!read)
			continue;
		if (h.kind == QBD_HEARTBEAT_OWNED)
			complain("%s: host %s owns it, or owned it last and did not release it",
				 pool->pool_name, h.host);
		return;
	}
}

static int start_image(const struct qbd_image *image, const struct start_options *o)
{
	const struct qbd_membership *pool = &image->newest->pool;
	char uuid[37], dm_uuid[DM_UUID_SIZE];
	struct dm_table table = {
		.name = pool->pool_name,
		.uuid = dm_uuid,
		.target = QBD_TARGET_POOL,
		.sectors = pool->extent_size / 512,
		.read_only = o->read_only,
		.private = true,
	};
	char *params;
	int err;

	if (!parse_name(pool->pool_name, strlen(pool->pool_name))) {
		complain("its superblock has no usable name");
		return QBD_FAILED;
	}
	uuid_unparse_lower(pool->pool_uuid, uuid);
	snprintf(dm_uuid, sizeof(dm_uuid), "qbd-pool-%s", uuid);
	params = make_params(image, o);
	table.params = params;
	err = dm_create(&table);
	free(params);
	if (!err)
		return QBD_FINE;
	if (err == -EBUSY || err == -EEXIST)
		complain("%s: a device of that name exists, or one of its backends is in use",
			 pool->pool_name);
	else if (!dm_has_target(QBD_TARGET_POOL))
		complain("%s: the kernel has no target \"%s\": is the module dm-qbd loaded?",
			 pool->pool_name, QBD_TARGET_POOL);
	else
		complain("%s: cannot be started: %s; the kernel's log says why", pool->pool_name,
			 strerror(-err));
	say_owner(image);
	return QBD_FAILED;
}

/* A pool that runs already: only its volumes may have to be started. */
static bool running(const u8 *pool_uuid, struct live_pool *pool)
{
	struct live_pool *pools;
	unsigned int nr, i;
	bool found = false;
	char uuid[37];

	uuid_unparse_lower(pool_uuid, uuid);
	if (live_pools(&pools, &nr))
		return false;
	for (i = 0; i < nr && !found; i++) {
		found = !strcmp(pools[i].status.uuid, uuid);
		if (found)
			*pool = pools[i];
	}
	free(pools);
	return found;
}

static int start_group(const struct qbd_scan *group, const struct start_options *o)
{
	u64 history = o->history ? tag_value(o->history) : 0;
	const u8 *uuid = group->found[0].super.pool.pool_uuid;
	struct live_pool pool;
	struct qbd_image image;
	int ret = QBD_FINE;

	if (!running(uuid, &pool)) {
		if (image_assemble(&image, group, history)) {
			complain("no device has a history that can be used%s%s",
				 o->history ? " with the tag " : "", o->history ?: "");
			return QBD_FAILED;
		}
		ret = check_members(&image, group, o);
		/* The kernel opens them exclusively. */
		for (unsigned int i = 0; i < QBD_MAX_BACKENDS; i++)
			if (image.members[i].device.fd >= 0)
				device_close(&image.members[i].device);
		for (unsigned int i = 0; i < QBD_MAX_BACKENDS && !ret; i++)
			if (image.members[i].found)
				nbd_prepare(image.members[i].found->rdev);
		if (!ret)
			ret = start_image(&image, o);
		image_free(&image);
		if (!ret && !running(uuid, &pool)) {
			complain("its status cannot be read");
			ret = QBD_FAILED;
		}
	}
	if (!ret && !o->no_volumes && volumes_start(&pool, o->read_only))
		ret = QBD_FAILED;
	return ret;
}

/* Is the group the one that a command line names, by name or UUID? */
static bool is_called(const struct qbd_scan *group, const char *name)
{
	const struct qbd_membership *pool = &pools_super(group)->pool;
	char uuid[37];

	uuid_unparse_lower(pool->pool_uuid, uuid);
	return !strcmp(pool->pool_name, name) || !strcasecmp(uuid, name);
}

static int start_named(const char *name, const struct start_options *o)
{
	const struct qbd_scan *group = NULL;
	struct qbd_scan scan = {};
	struct pools pools;
	unsigned int i;
	int ret = QBD_FAILED, err;

	err = scan_system(&scan);
	if (err) {
		complain("devices cannot be listed: %s", strerror(-err));
		return QBD_FAILED;
	}
	pools_group(&scan, &pools);
	for (i = 0; i < pools.nr; i++) {
		if (!is_called(&pools.all[i], name))
			continue;
		if (group) {
			complain("two pools are called \"%s\": name its devices or its UUID", name);
			goto out;
		}
		group = &pools.all[i];
	}
	if (group)
		ret = start_group(group, o);
	else
		complain("no device has a pool \"%s\"", name);
out:
	pools_free(&pools);
	scan_free(&scan);
	return ret;
}

static int start_devices(char **paths, unsigned int nr, const struct start_options *o)
{
	struct qbd_scan scan = {};
	struct pools pools;
	int ret = QBD_FINE, err;
	unsigned int i;
	struct stat st;

	for (i = 0; i < nr && !ret; i++) {
		if (!stat(paths[i], &st) && !S_ISBLK(st.st_mode)) {
			ret = usage("%s: is not a block device", paths[i]);
			break;
		}
		err = scan_device(&scan, paths[i]);
		if (!err)
			err = scan.found[scan.nr - 1].error;
		if (err) {
			complain("%s: %s", paths[i], scan_error(err));
			ret = QBD_FAILED;
		}
	}
	if (!ret) {
		pools_group(&scan, &pools);
		if (pools.nr == 1)
			ret = start_group(&pools.all[0], o);
		else
			ret = usage("the devices are of %u pools", pools.nr);
		pools_free(&pools);
	}
	scan_free(&scan);
	return ret;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "allow-degraded", no_argument, NULL, 'd' },
						 { "read-only", no_argument, NULL, 'r' },
						 { "force-history", required_argument, NULL, 'H' },
						 { "on-loss", required_argument, NULL, 'l' },
						 { "deadline", required_argument, NULL, 'D' },
						 { "no-volumes", no_argument, NULL, 'n' },
						 { "standby", no_argument, NULL, 's' },
						 { "take-over", no_argument, NULL, 't' },
						 {} };
	struct start_options o = {};
	int c;

	while ((c = next_option(argc, argv, "", options)) != -1) {
		switch (c) {
		case 'd':
			o.allow_degraded = true;
			break;
		case 'r':
			o.read_only = true;
			break;
		case 'n':
			o.no_volumes = true;
			break;
		case 's':
			o.standby = true;
			break;
		case 't':
			o.take_over = true;
			break;
		case 'D':
			if (o.nr_deadlines == QBD_MAX_BACKENDS || !is_deadline(optarg))
				return usage("--deadline \"%s\" is not the index of a backend, "
					     "\":\" and up to 3600000 ms",
					     optarg);
			o.deadlines[o.nr_deadlines++] = optarg;
			break;
		case 'H':
			if (!is_tag(optarg))
				return wrong_value("force-history", "16 hexadecimal digits",
						   optarg);
			o.history = optarg;
			break;
		case 'l':
			if (strcmp(optarg, "error") && strcmp(optarg, "queue"))
				return wrong_value("on-loss", "error or queue", optarg);
			o.on_loss = optarg;
			break;
		}
	}
	if (optind == argc)
		return usage("pool start: a pool or its devices are missing");
	if (strchr(argv[optind], '/'))
		return start_devices(argv + optind, argc - optind, &o);
	if (argc - optind > 1)
		return usage("pool start: one pool at a time");
	if (!parse_name(argv[optind], strlen(argv[optind])))
		return usage("\"%s\" is not a pool's name", argv[optind]);
	return start_named(argv[optind], &o);
}

const struct verb verb_pool_start = {
	.name = "pool start",
	.synopsis =
		"NAME|UUID|DEV... [--allow-degraded] [--read-only] [--no-volumes]\n          [--on-loss error|queue] [--force-history TAG]\n          [--standby | --take-over] [--deadline INDEX:MS]...",
	.help = "Start a pool and its volumes; its devices are found by their superblocks.",
	.run = run,
};
