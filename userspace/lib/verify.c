// SPDX-License-Identifier: GPL-2.0-only
/*
 * The legs of all backends are sorted, so that a chunk's stand together, those of
 * its highest gen and then of its highest epoch first: only these can be current.
 */
#include "verify.h"
#include "report.h"

#include <stdlib.h>

static int by_chunk(const void *a, const void *b)
{
	const struct qbd_slot *x = &((const struct image_leg *)a)->entry;
	const struct qbd_slot *y = &((const struct image_leg *)b)->entry;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->chunk != y->chunk)
		return x->chunk < y->chunk ? -1 : 1;
	if (x->gen != y->gen)
		return x->gen > y->gen ? -1 : 1;
	return x->epoch > y->epoch ? -1 : x->epoch < y->epoch;
}

static bool leg_is_current(const struct qbd_image *image, const struct image_leg *leg,
			   const struct image_leg *best)
{
	return leg->entry.gen == best->entry.gen && leg->entry.epoch == best->entry.epoch &&
	       leg->entry.state == QBD_SLOT_LIVE && (leg->entry.insync & BIT_ULL(leg->backend)) &&
	       image->members[leg->backend].standing == IMAGE_IN;
}

/* One chunk: its legs on all backends, the best first. */
static void count_chunk(const struct qbd_image *image, const struct image_leg *legs, size_t n,
			const struct qbd_policy *policy, struct verify_volume *v)
{
	unsigned int nr_legs = qbd_policy_legs(policy), current;
	u32 have = 0, stale = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (legs[i].entry.leg >= nr_legs)
			continue;
		if (leg_is_current(image, &legs[i], &legs[0]))
			have |= 1u << legs[i].entry.leg;
		else if (image->members[legs[i].backend].standing == IMAGE_IN)
			stale |= 1u << legs[i].entry.leg;
	}
	current = __builtin_popcount(have);
	if (current < policy->k) {
		v->lost++;
		v->losses = 0;
		return;
	}
	if (current == nr_legs)
		v->whole++;
	else if (stale & ~have)
		v->stale++;
	else
		v->degraded++;
	if (current - policy->k < v->losses)
		v->losses = current - policy->k;
}

static int by_number(const void *a, const void *b)
{
	const struct qbd_layer_entry *x = *(const struct qbd_layer_entry *const *)a;
	const struct qbd_layer_entry *y = *(const struct qbd_layer_entry *const *)b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* The live layers in the order of their numbers, as the chunks are. */
static const struct qbd_layer_entry **sorted_layers(const struct qbd_image *image, size_t *nr)
{
	const struct qbd_layer_entry **layers;
	u32 i;

	layers = new_array(const struct qbd_layer_entry *, image->nr_layers);
	*nr = 0;
	/* Entry 0 is the counter. */
	for (i = 1; i < image->nr_layers; i++)
		if (image->layers[i].state == QBD_LIVE)
			layers[(*nr)++] = &image->layers[i];
	qsort(layers, *nr, sizeof(*layers), by_number);
	return layers;
}

static struct verify_volume *volume_of(struct verify *verify, const struct qbd_layer_entry *layer)
{
	unsigned int i;

	for (i = 0; i < verify->nr_volumes; i++)
		if (verify->volumes[i].number == layer->volume)
			return &verify->volumes[i];
	return NULL;
}

static u64 layer_chunks(const struct qbd_image *image, const struct qbd_layer_entry *layer)
{
	u64 bytes = (u64)image->newest->pool.extent_size * layer->policy.k;

	return DIV_ROUND_UP(layer->sectors * 512, bytes);
}

/* What a chunk that is made now could lose. */
static unsigned int losses_now(const struct qbd_policy *policy, unsigned int nr_in)
{
	unsigned int spare = nr_in > policy->k ? nr_in - policy->k : 0;

	return spare < policy->m ? spare : policy->m;
}

static void list_volumes(const struct qbd_image *image, struct verify *verify)
{
	u64 journal = qbd_journal_devices(&image->newest->pool);
	unsigned int nr_in = 0, i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		nr_in += image->members[i].standing == IMAGE_IN && !(journal & BIT_ULL(i));

	verify->volumes = new_array(struct verify_volume, image->nr_volumes);
	for (i = 0; i < image->nr_volumes; i++) {
		const struct qbd_volume_entry *entry = &image->volumes[i];
		struct verify_volume *v = &verify->volumes[verify->nr_volumes];

		if (entry->state != QBD_LIVE)
			continue;
		verify->nr_volumes++;
		v->number = entry->number;
		memcpy(v->name, entry->name, sizeof(v->name));
		v->policy = entry->policy;
		v->losses = losses_now(&entry->policy, nr_in);
	}
}

/**
 * verify_image - count every volume's chunks
 * @image: with tables and slots loaded; its legs are sorted
 */
void verify_image(const struct qbd_image *image, struct verify *verify)
{
	const struct qbd_layer_entry **layers;
	size_t nr_layers, layer = 0, i, n;
	const struct qbd_layer_entry *l = NULL;
	struct verify_volume *v = NULL;

	memset(verify, 0, sizeof(*verify));
	list_volumes(image, verify);
	layers = sorted_layers(image, &nr_layers);
	if (image->nr_legs)
		qsort(image->legs, image->nr_legs, sizeof(*image->legs), by_chunk);
	for (i = 0; i < image->nr_legs; i += n) {
		const struct image_leg *legs = &image->legs[i];
		const struct qbd_slot *first = &legs[0].entry;

		for (n = 1; i + n < image->nr_legs; n++)
			if (legs[n].entry.layer != first->layer ||
			    legs[n].entry.chunk != first->chunk)
				break;
		if (!i || legs[-1].entry.layer != first->layer) {
			while (layer < nr_layers && layers[layer]->number < first->layer)
				layer++;
			l = layer < nr_layers ? layers[layer] : NULL;
			if (l && l->number != first->layer)
				l = NULL;
			v = l ? volume_of(verify, l) : NULL;
		}
		if (v && first->chunk < layer_chunks(image, l))
			count_chunk(image, legs, n, &l->policy, v);
		else
			verify->unclaimed++;
	}
	free(layers);
}

/**
 * verify_volume_whole - is the volume as redundant as its policy says
 */
bool verify_volume_whole(const struct verify_volume *volume)
{
	return !volume->degraded && !volume->stale && !volume->lost;
}

void verify_free(struct verify *verify)
{
	free(verify->volumes);
	memset(verify, 0, sizeof(*verify));
}
