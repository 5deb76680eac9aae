// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "pools.h"
#include "text.h"
#include "verb.h"

#include <uuid/uuid.h>

struct line {
	char name[DM_NAME_SIZE];
	char uuid[37];
	const char *state; /* running, stopped */
	char health[QBD_MAX_BACKENDS + 1]; /* of a running one */
	unsigned int members;
	u64 bytes, used; /* of data areas */
	u64 volumes;
	bool running;
};

static void from_live(struct line *l, const struct live_pool *pool)
{
	const struct live_status *s = &pool->status;
	const char *c;

	memcpy(l->name, pool->name, sizeof(l->name));
	memcpy(l->uuid, s->uuid, sizeof(l->uuid));
	memcpy(l->health, s->health, sizeof(l->health));
	for (c = s->health; *c; c++)
		l->members += *c != '-';
	l->running = true;
	l->state = !strcmp(s->mode, "rw")   ? "running"
		   : !strcmp(s->mode, "ro") ? "read-only"
					    : "failed";
	l->bytes = s->slots * s->extent_sectors * 512;
	l->used = s->used_slots * s->extent_sectors * 512;
	l->volumes = s->volumes;
}

static void from_scan(struct line *l, const struct qbd_scan *group)
{
	const struct qbd_super *super = pools_super(group);
	unsigned int i;

	snprintf(l->name, sizeof(l->name), "%s", super->pool.pool_name);
	uuid_unparse_lower(super->pool.pool_uuid, l->uuid);
	l->state = "stopped";
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		l->members += super->pool.members[i].state != QBD_MEMBER_NONE;
	for (i = 0; i < group->nr; i++)
		l->bytes += (u64)group->found[i].super.geometry.nr_slots * super->pool.extent_size;
}

static void add_json(struct json_object *array, const struct line *l)
{
	struct json_object *o = need(json_object_new_object());

	json_add_string(o, "name", l->name);
	json_add_string(o, "uuid", l->uuid);
	json_add_string(o, "state", l->state);
	json_add_count(o, "backends", l->members);
	json_add_count(o, "bytes", l->bytes);
	if (l->running) {
		json_add_string(o, "health", l->health);
		json_add_count(o, "used_bytes", l->used);
		json_add_count(o, "volumes", l->volumes);
	}
	json_object_array_add(array, o);
}

static void add_row(struct text_table *t, const struct line *l)
{
	char size[16], used[16];

	text_cell(t, "%s", l->name);
	text_cell(t, "%s", l->state);
	text_cell(t, "%u", l->members);
	text_cell(t, "%s", l->running ? l->health : "-");
	text_cell(t, "%s", format_size(l->bytes, size));
	text_cell(t, "%s", l->running ? format_size(l->used, used) : "-");
	text_cell(t, "%s", l->uuid);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, {} };
	static const char *const columns[] = { "POOL",	"STATE", ">BACKENDS", "HEALTH",
					       ">SIZE", ">USED", "UUID",      NULL };
	struct json_object *array = NULL;
	struct live_pool *live = NULL;
	unsigned int nr = 0, nr_lines = 0, i, j;
	struct qbd_scan scan = {};
	struct pools pools;
	struct text_table table;
	struct line *lines;
	int c, err;

	while ((c = next_option(argc, argv, "", options)) != -1)
		array = array ?: need(json_object_new_array());
	if (optind < argc)
		return usage("pool list: takes no pool; see pool status");
	/* Without device mapper nothing runs, and what is stopped can be listed. */
	live_pools(&live, &nr);
	err = scan_system(&scan);
	if (err)
		complain("devices cannot be listed: %s", strerror(-err));
	pools_group(&scan, &pools);
	lines = new_array(struct line, nr + pools.nr);
	for (i = 0; i < nr; i++)
		from_live(&lines[nr_lines++], &live[i]);
	for (i = 0; i < pools.nr; i++) {
		from_scan(&lines[nr_lines], &pools.all[i]);
		for (j = 0; j < nr && strcmp(live[j].status.uuid, lines[nr_lines].uuid); j++)
			;
		/* One that runs is in the list already. */
		if (j < nr)
			memset(&lines[nr_lines], 0, sizeof(*lines));
		else
			nr_lines++;
	}
	text_begin(&table, columns);
	for (i = 0; i < nr_lines; i++) {
		if (array)
			add_json(array, &lines[i]);
		else
			add_row(&table, &lines[i]);
	}
	if (array)
		err = print_json(array) ?: err;
	else
		text_print(&table, stdout);
	free(lines);
	free(live);
	pools_free(&pools);
	scan_free(&scan);
	return err ? QBD_FAILED : QBD_FINE;
}

const struct verb verb_pool_list = {
	.name = "pool list",
	.synopsis = "[--json]",
	.help = "List the pools that run, and those that were found on devices.",
	.run = run,
};
