// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that one device says, as it stands there: nothing is repaired, and nothing is
 * taken from other members.
 */
#include "image.h"
#include "parse.h"
#include "text.h"
#include "verb.h"

#include <uuid/uuid.h>

static const char *member_word(u8 state)
{
	return state == QBD_MEMBER_IN ? "in" : state == QBD_MEMBER_OUT ? "out" : "-";
}

static void print_super(const struct qbd_found *found)
{
	static const char *const columns[] = { ">#",	  "UUID", "ROLE", "STATE",
					       ">OUT IN", "TAGS", NULL };
	const struct qbd_super *s = &found->super;
	const struct qbd_membership *p = &s->pool;
	const struct qbd_geometry *g = &s->geometry;
	struct text_table t;
	char uuid[37];
	unsigned int i;

	uuid_unparse_lower(p->pool_uuid, uuid);
	printf("device          %s, %llu bytes\n", found->path, (unsigned long long)found->bytes);
	printf("pool            %s, %s\n", p->pool_name, uuid);
	uuid_unparse_lower(g->uuid, uuid);
	printf("backend         %u, %s\n", g->index, uuid);
	printf("superblock      write %llu, compatible features %llx\n", (unsigned long long)s->seq,
	       (unsigned long long)s->compat);
	printf("slots           %u of %u bytes, %u bytes of checksums each\n", g->nr_slots,
	       p->extent_size, p->csum_bytes_per_slot);
	printf("volume table    %llu, %u pages\n", (unsigned long long)g->volume_start,
	       p->volume_pages);
	printf("layer table     %llu, %u pages\n", (unsigned long long)g->layer_start,
	       p->layer_pages);
	printf("slot table      %llu\n", (unsigned long long)g->slot_start);
	printf("checksum area   %llu\n", (unsigned long long)g->csum_start);
	printf("ring area       %llu, %u blocks\n", (unsigned long long)g->ring_start,
	       p->ring_blocks);
	printf("data area       %llu\n", (unsigned long long)g->data_start);
	printf("ring            generation %llu, first block %llu, first LSN %llu, members",
	       (unsigned long long)p->ring_generation, (unsigned long long)p->ring_first_block,
	       (unsigned long long)p->ring_first_lsn);
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (p->ring_members & BIT_ULL(i))
			printf(" %u", i);
	printf("\njournal         %s\n", format_journal(p->journal));
	if (p->lease_ms)
		printf("lease           %u ms\n", p->lease_ms);
	else
		puts("lease           none");
	for (i = 0; i < p->nr_epochs; i++)
		printf("%-15s %u:%016llx\n", i ? "" : "epochs", p->epochs[i].number,
		       (unsigned long long)p->epochs[i].tag);
	text_begin(&t, columns);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *m = &p->members[i];

		if (m->state == QBD_MEMBER_NONE)
			continue;
		uuid_unparse_lower(m->uuid, uuid);
		text_cell(&t, "%u", i);
		text_cell(&t, "%s", uuid);
		text_cell(&t, "%s", m->role == QBD_ROLE_JOURNAL ? "journal" : "data");
		text_cell(&t, "%s", member_word(m->state));
		text_cell(&t, "%u", m->out_epoch);
		text_cell(&t, "%s", *m->tags ? m->tags : "-");
	}
	text_print(&t, stdout);
}

static void print_heartbeat(const struct qbd_device *device, const struct qbd_super *super,
			    u64 start)
{
	static const char *const kinds[] = {
		[QBD_HEARTBEAT_OWNED] = "owned by",
		[QBD_HEARTBEAT_RELEASED] = "released by",
		[QBD_HEARTBEAT_STANDBY] = "standby",
	};
	const char *title = start == QBD_HEARTBEAT_START ? "heartbeat" : "standby";
	void *raw = device_buffer(QBD_PAGE_SIZE);
	struct qbd_heartbeat h;
	int err;

	if (device_read(device, start, raw, QBD_PAGE_SIZE)) {
		printf("%-15s cannot be read\n", title);
		free(raw);
		return;
	}
	err = qbd_heartbeat_check(raw, super->pool.pool_uuid, super->geometry.uuid, &h);
	if (err)
		printf("%-15s %s\n", title, err == -ENOENT ? "none" : "damaged");
	else
		printf("%-15s %s %s, nonce %016llx, counter %llu, next %016llx\n", title,
		       kinds[h.kind], *h.host ? h.host : "-", (unsigned long long)h.nonce,
		       (unsigned long long)h.counter, (unsigned long long)h.next);
	free(raw);
}

static void print_volumes(const struct qbd_image *image)
{
	static const char *const columns[] = { ">NUMBER", "NAME",   "STATE", ">TOP LAYER", ">SIZE",
					       "POLICY",  ">BLOCK", "TAG",   NULL };
	char policy[16], size[16], block[16];
	struct text_table t;
	u32 i;

	text_begin(&t, columns);
	for (i = 0; i < image->nr_volumes; i++) {
		const struct qbd_volume_entry *v = &image->volumes[i];

		if (v->state == QBD_UNUSED)
			continue;
		format_policy(&v->policy, policy);
		text_cell(&t, "%u", v->number);
		text_cell(&t, "%s", v->name);
		text_cell(&t, "%s", v->state == QBD_LIVE ? "live" : "deleting");
		text_cell(&t, "%u", v->top_layer);
		text_cell(&t, "%s", format_size(v->sectors * 512, size));
		text_cell(&t, "%s", policy);
		text_cell(&t, "%s", format_size(1u << v->policy.block_shift, block));
		text_cell(&t, "%s", *v->tag ? v->tag : "-");
	}
	text_print(&t, stdout);
}

static const char *slot_word(u8 state)
{
	return state == QBD_SLOT_LIVE ? "live" : state == QBD_SLOT_REBUILD ? "rebuild" : "free";
}

static const char *op_word(u8 op)
{
	static const char *const words[] = { "?", "alloc", "free", "stamp", "rebuild", "insync" };

	return words[op < sizeof(words) / sizeof(*words) ? op : 0];
}

static int print_record(void *context, u64 lsn, const struct qbd_record *r)
{
	unsigned int i;

	printf("%llu ", (unsigned long long)lsn);
	switch (r->type) {
	case QBD_RECORD_CHUNK:
		printf("chunk %s layer %u chunk %u gen %llu insync %llx epoch %u flags %x",
		       op_word(r->op), r->layer, r->chunk, (unsigned long long)r->gen,
		       (unsigned long long)r->insync, r->epoch, r->flags);
		for (i = 0; i < r->nr_legs; i++)
			printf(" %u:%u=%u/%s", r->legs[i].backend, r->legs[i].slot, r->legs[i].leg,
			       slot_word(r->legs[i].state));
		puts("");
		break;
	case QBD_RECORD_RANGE:
		printf("range layer %u chunk %u gen %llu rows %u+%u\n", r->layer, r->chunk,
		       (unsigned long long)r->gen, r->first_row, r->nr_rows);
		break;
	case QBD_RECORD_CSUM:
		printf("csum layer %u chunk %u gen %llu units %u+%u", r->layer, r->chunk,
		       (unsigned long long)r->gen, r->first_unit, r->nr_units);
		for (i = 0; i < r->nr_units; i++)
			printf(" %08x", le32_to_cpu(r->values[i]));
		puts("");
		break;
	case QBD_RECORD_VOLUME:
		printf("volume entry %u number %u state %u name \"%s\"\n", r->index,
		       r->volume.number, r->volume.state, r->volume.name);
		break;
	case QBD_RECORD_LAYER:
		printf("layer entry %u number %u state %u\n", r->index, r->layer_entry.number,
		       r->layer_entry.state);
		break;
	case QBD_RECORD_CHECKPOINT:
		printf("checkpoint lsn %llu\n", (unsigned long long)r->lsn);
		break;
	case QBD_RECORD_JOURNAL:
		printf("journal layer %u chunk %u gen %llu row %u leg %u csum %08x bytes %u+%u\n",
		       r->layer, r->chunk, (unsigned long long)r->gen, r->row, r->leg, r->csum,
		       r->offset, r->bytes);
		break;
	case QBD_RECORD_DESTAGE:
	case QBD_RECORD_DESTAGED:
		printf("%s layer %u chunk %u gen %llu row %u legs %x up to lsn %llu units",
		       r->type == QBD_RECORD_DESTAGE ? "destage" : "destaged", r->layer, r->chunk,
		       (unsigned long long)r->gen, r->first_unit / r->nr_units, r->mask,
		       (unsigned long long)r->newest);
		for (i = 0; i < r->nr_units; i++)
			printf(" %08x", le32_to_cpu(r->values[i]));
		puts("");
		break;
	}
	return 0;
}

static void print_ring(struct qbd_image *image, bool records)
{
	const struct qbd_replay *ring = &image->replay;

	if (image->ring_error == -ENODATA)
		puts("log             no records");
	else if (image->ring_error)
		puts("log             damaged: records are missing or cannot be read");
	else
		printf("log             blocks %llu to %llu, %llu records, next LSN %llu\n",
		       (unsigned long long)ring->first, (unsigned long long)ring->last,
		       (unsigned long long)image->nr_records, (unsigned long long)ring->next_lsn);
	if (records)
		image_walk_ring(image, print_record, NULL);
}

struct slot_printer {
	u32 nr_slots;
	u64 bad_pages;
};

static void print_slot(u64 slot, const struct qbd_slot *s, u64 lsn)
{
	printf("slot %llu %s layer %u chunk %u leg %u gen %llu", (unsigned long long)slot,
	       slot_word(s->state), s->layer, s->chunk, s->leg, (unsigned long long)s->gen);
	printf(" insync %llx epoch %u flags %x (page lsn %llu)\n", (unsigned long long)s->insync,
	       s->epoch, s->flags, (unsigned long long)lsn);
}

static void print_slot_page(void *context, const void *page, const struct qbd_page_id *id,
			    u64 number)
{
	struct slot_printer *printer = context;
	u64 slot = number * QBD_SLOTS_PER_PAGE;
	struct qbd_slot s;
	unsigned int i;

	if (!page) {
		printf("page %llu damaged\n", (unsigned long long)number);
		return;
	}
	for (i = 0; i < QBD_SLOTS_PER_PAGE && slot < printer->nr_slots; i++, slot++) {
		qbd_slot_get(page, i, &s);
		if (s.state != QBD_SLOT_FREE)
			print_slot(slot, &s, id->lsn);
	}
}

static void print_slots(struct image_member *member, const struct qbd_geometry *g)
{
	struct slot_printer printer = { .nr_slots = g->nr_slots };

	image_read_pages(member, QBD_PAGE_SLOT, g->slot_start,
			 DIV_ROUND_UP(g->nr_slots, QBD_SLOTS_PER_PAGE), print_slot_page, &printer);
}

static int examine(const struct qbd_scan *scan, bool records, bool slots)
{
	const struct qbd_found *found = &scan->found[0];
	struct image_member *member;
	struct qbd_image image;
	u64 bad;

	print_super(found);
	if (image_assemble(&image, scan, 0)) {
		complain("%s: its superblock cannot be used", found->path);
		return QBD_FAILED;
	}
	member = &image.members[found->super.geometry.index];
	if (member->standing != IMAGE_IN) {
		complain("%s: the backend is out by its own superblock; no tables are shown",
			 found->path);
		image_free(&image);
		return QBD_FOUND;
	}
	print_heartbeat(&member->device, &found->super, QBD_HEARTBEAT_START);
	print_heartbeat(&member->device, &found->super, QBD_STANDBY_START);
	image_load_tables(&image);
	print_ring(&image, records);
	print_volumes(&image);
	if (slots)
		print_slots(member, &found->super.geometry);
	bad = member->bad_pages;
	if (bad)
		printf("damaged metadata pages: %llu\n", (unsigned long long)bad);
	bad += image.ring_error && image.ring_error != -ENODATA;
	image_free(&image);
	return bad ? QBD_FOUND : QBD_FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "ring", no_argument, NULL, 'r' },
						 { "slots", no_argument, NULL, 's' },
						 {} };
	bool records = false, slots = false;
	struct qbd_scan scan = {};
	int c, ret, err;

	while ((c = next_option(argc, argv, "", options)) != -1) {
		records |= c == 'r';
		slots |= c == 's';
	}
	if (argc - optind != 1)
		return usage("examine: name one device");
	err = scan_device(&scan, argv[optind]);
	if (!err)
		err = scan.found[0].error;
	if (err == -ENOTBLK) {
		ret = usage("%s: is not a block device", argv[optind]);
	} else if (err) {
		complain("%s: %s", argv[optind], scan_error(err));
		ret = QBD_FAILED;
	} else {
		ret = examine(&scan, records, slots);
	}
	scan_free(&scan);
	return ret;
}

const struct verb verb_examine = {
	.name = "examine",
	.synopsis = "DEV [--ring] [--slots]",
	.help = "Print what a backend's superblock, tables and ring say.",
	.run = run,
};
