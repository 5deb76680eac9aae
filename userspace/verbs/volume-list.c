// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "text.h"
#include "verb.h"
#include "volume.h"

static void add_json(struct json_object *array, const struct live_pool *pool,
		     const struct live_volume *v, const struct dm_entry *device)
{
	struct json_object *o = need(json_object_new_object());
	char policy[16];

	format_policy(&v->policy, policy);
	json_add_string(o, "pool", pool->name);
	json_add_string(o, "name", v->name);
	json_add_count(o, "number", v->number);
	json_add_string(o, "state", v->deleting ? "deleting" : "live");
	json_add_count(o, "bytes", v->sectors * 512);
	json_add_string(o, "policy", policy);
	json_add_count(o, "block_size", v->block_size);
	json_add_string(o, "tag", v->tag);
	if (device)
		json_add_string(o, "device", device->name);
	json_object_array_add(array, o);
}

static void add_row(struct text_table *t, const struct live_pool *pool, const struct live_volume *v,
		    const struct dm_entry *device)
{
	char policy[16], size[16], block[16];

	format_policy(&v->policy, policy);
	text_cell(t, "%s/%s", pool->name, v->name);
	text_cell(t, "%s", format_size(v->sectors * 512, size));
	text_cell(t, "%s", policy);
	text_cell(t, "%s", format_size(v->block_size, block));
	text_cell(t, "%s", *v->tag ? v->tag : "-");
	if (v->deleting)
		text_cell(t, "being removed");
	else if (device)
		text_cell(t, "/dev/mapper/%s", device->name);
	else
		text_cell(t, "not started");
}

static int list_pool(const struct live_pool *pool, struct text_table *t, struct json_object *array)
{
	struct volume_devices devices;
	struct live_volume *volumes;
	const struct dm_entry *device;
	unsigned int nr, i;
	int err;

	err = volume_devices(pool, &devices);
	if (!err) {
		err = live_volumes(pool, &volumes, &nr);
		for (i = 0; !err && i < nr; i++) {
			device = volume_device(&devices, &volumes[i]);
			if (array)
				add_json(array, pool, &volumes[i], device);
			else
				add_row(t, pool, &volumes[i], device);
		}
		free(volumes);
		volume_devices_free(&devices);
	}
	if (err)
		complain("%s: volumes cannot be listed: %s", pool->name, strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, {} };
	static const char *const columns[] = { "VOLUME", ">SIZE",  "POLICY", ">BLOCK",
					       "TAG",	 "DEVICE", NULL };
	struct json_object *array = NULL;
	struct live_pool *pools;
	struct text_table table;
	unsigned int nr, i;
	int c, ret = QBD_FINE, err;

	while ((c = next_option(argc, argv, "", options)) != -1)
		array = array ?: need(json_object_new_array());
	if (argc - optind > 1)
		return usage("volume list: name one pool, or none");
	if (optind < argc) {
		pools = new_array(struct live_pool, 1);
		nr = 1;
		ret = find_pool(argv[optind], pools);
		if (ret) {
			free(pools);
			return ret;
		}
	} else {
		err = live_pools(&pools, &nr);
		if (err) {
			complain("device mapper cannot be asked: %s", strerror(-err));
			return QBD_FAILED;
		}
	}
	text_begin(&table, columns);
	for (i = 0; i < nr; i++)
		ret = list_pool(&pools[i], &table, array) ?: ret;
	free(pools);
	if (array)
		return print_json(array) ? QBD_FAILED : ret;
	text_print(&table, stdout);
	return ret;
}

const struct verb verb_volume_list = {
	.name = "volume list",
	.synopsis = "[POOL] [--json]",
	.help = "List the volumes of running pools.",
	.run = run,
};
