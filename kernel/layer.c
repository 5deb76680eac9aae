// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layers and volumes: what there is, and making and removing it.
 *
 * A layer is one generation of a volume's content; a volume is a name and a top
 * layer. Both are entries of small tables that are on every backend. Today a
 * volume has one layer, with its own number.
 *
 * Making a volume, one batch of records: the layer counter, the layer, the
 * volume. They are durable together or, after a crash, a prefix of them: a layer
 * that no volume names is removed at activation.
 *
 * Removing one: its entries become DELETING, durable; then its chunks are freed,
 * one record each; then the entries go. A crash anywhere after the first step
 * finds DELETING, and goes on.
 */
#include <linux/slab.h>

#include "qbd.h"

static u32 rounddown_rows(u64 bytes, u32 row_bytes, u32 rows)
{
	u32 n = max_t(u32, 1, div_u64(bytes, row_bytes));

	return min_t(u32, rounddown_pow_of_two(n), rows);
}

/**
 * qbd_layer_create - a layer in memory, with no chunks yet
 * @pool: the pool
 * @index: in the table
 * @entry: its entry in the table
 * @tag: a tag, or an empty string
 */
struct qbd_layer *qbd_layer_create(struct qbd_pool *pool, u32 index,
				   const struct qbd_layer_entry *entry, const char *tag)
{
	struct qbd_layer *layer = kzalloc(sizeof(*layer), GFP_KERNEL);
	u32 row_bytes;

	if (!layer)
		return NULL;
	layer->pool = pool;
	layer->number = entry->number;
	layer->volume = entry->volume;
	layer->index = index;
	layer->policy = entry->policy;
	layer->sectors = entry->sectors;
	strscpy(layer->tag, tag, sizeof(layer->tag));
	layer->block_size = 1u << entry->policy.block_shift;
	layer->block_pages = layer->block_size / PAGE_SIZE;
	layer->units = qbd_policy_units(&entry->policy);
	layer->rows = pool->members.extent_size >> entry->policy.block_shift;
	layer->chunk_bytes = (u64)entry->policy.k * pool->members.extent_size;
	layer->nr_chunks = div64_u64((layer->sectors << SECTOR_SHIFT) + layer->chunk_bytes - 1,
				     layer->chunk_bytes);
	layer->csum_pages = DIV_ROUND_UP(layer->rows * layer->units, QBD_CSUMS_PER_PAGE);
	row_bytes = entry->policy.k * layer->block_size;
	layer->io_rows = rounddown_rows(QBD_RANGE_BYTES, row_bytes, layer->rows);
	layer->range_rows = max(layer->io_rows, layer->rows / QBD_MAX_RANGES);
	layer->nr_ranges = layer->rows / layer->range_rows;
	xa_init(&layer->map);
	xa_init(&layer->chunks);
	if (entry->policy.kind == QBD_EC) {
		layer->code = kzalloc(sizeof(*layer->code), GFP_KERNEL);
		if (!layer->code || ec_code_init(layer->code, entry->policy.k, entry->policy.m)) {
			kfree(layer->code);
			kfree(layer);
			return NULL;
		}
		qbd_journal_layer(layer);
	}
	return layer;
}

/**
 * qbd_layer_destroy - free a layer and its maps; no chunk of it is in use
 * @layer: the layer
 */
void qbd_layer_destroy(struct qbd_layer *layer)
{
	struct qbd_map *map;
	unsigned long n;

	xa_for_each(&layer->map, n, map)
		kfree(map);
	xa_destroy(&layer->map);
	xa_destroy(&layer->chunks);
	kfree(layer->code);
	kfree(layer);
}

static struct qbd_layer_entry layer_at(struct qbd_pool *pool, u32 index)
{
	struct qbd_layer_entry entry;

	qbd_layer_get(pool->layer_table.pages[index / QBD_LAYERS_PER_PAGE].payload,
		      index % QBD_LAYERS_PER_PAGE, &entry);
	return entry;
}

static struct qbd_volume_entry volume_at(struct qbd_pool *pool, u32 index)
{
	struct qbd_volume_entry entry;

	qbd_volume_get(pool->volume_table.pages[index / QBD_VOLUMES_PER_PAGE].payload,
		       index % QBD_VOLUMES_PER_PAGE, &entry);
	return entry;
}

static u32 nr_layers(struct qbd_pool *pool)
{
	return pool->layer_table.nr_pages * QBD_LAYERS_PER_PAGE;
}

static u32 nr_volumes(struct qbd_pool *pool)
{
	return pool->volume_table.nr_pages * QBD_VOLUMES_PER_PAGE;
}

static int volume_load(struct qbd_pool *pool, u32 index, const struct qbd_volume_entry *entry,
		       u32 layer_index, const struct qbd_layer_entry *layer)
{
	struct qbd_volume *v;

	/* A table of checksums that does not fit would overlap the next slot's. */
	if (qbd_csum_table_bytes(&layer->policy, pool->members.extent_size) >
	    pool->members.csum_bytes_per_slot ||
	    pool->members.extent_size < 1u << layer->policy.block_shift)
		return -EUCLEAN;
	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->index = index;
	v->entry = *entry;
	v->deleting = entry->state == QBD_DELETING;
	v->top = qbd_layer_create(pool, layer_index, layer, entry->tag);
	/* What can fail comes first: once it is seen, others may have it in hand. */
	if (!v->top || xa_reserve(&pool->volumes, index, GFP_KERNEL) ||
	    xa_err(xa_store(&pool->layers, layer->number, v->top, GFP_KERNEL))) {
		xa_release(&pool->volumes, index);
		if (v->top)
			qbd_layer_destroy(v->top);
		kfree(v);
		return -ENOMEM;
	}
	xa_store(&pool->volumes, index, v, GFP_KERNEL);
	return 0;
}

/**
 * qbd_volumes_load - make volumes and layers of what the tables say
 * @pool: the pool
 *
 * Context: activation. Return: 0, -ENOMEM, -EUCLEAN the tables contradict
 * themselves.
 */
int qbd_volumes_load(struct qbd_pool *pool)
{
	u32 i, l;
	int err;

	for (i = 0; i < nr_volumes(pool); i++) {
		struct qbd_volume_entry entry = volume_at(pool, i);

		if (entry.state == QBD_UNUSED)
			continue;
		if (xa_load(&pool->layers, entry.top_layer)) {
			DMERR("%s: entry %u of the volume table names layer %u, which another volume has",
			      pool->members.pool_name, i, entry.top_layer);
			return -EUCLEAN;
		}
		for (l = 1; l < nr_layers(pool); l++) {
			struct qbd_layer_entry layer = layer_at(pool, l);

			if (layer.state == QBD_UNUSED || layer.number != entry.top_layer)
				continue;
			err = volume_load(pool, i, &entry, l, &layer);
			if (err == -EUCLEAN)
				DMERR("%s: entry %u of the layer table has a policy that does not fit the pool's slots",
				      pool->members.pool_name, l);
			if (err)
				return err;
			break;
		}
		if (l == nr_layers(pool)) {
			DMERR("%s: entry %u of the volume table names layer %u, which is not in the layer table",
			      pool->members.pool_name, i, entry.top_layer);
			return -EUCLEAN;
		}
	}
	return 0;
}

void qbd_volumes_exit(struct qbd_pool *pool)
{
	struct qbd_volume *v;
	struct qbd_layer *layer;
	unsigned long i;

	xa_for_each(&pool->volumes, i, v)
		kfree(v);
	xa_destroy(&pool->volumes);
	xa_for_each(&pool->layers, i, layer)
		qbd_layer_destroy(layer);
	xa_destroy(&pool->layers);
}

/**
 * qbd_volume_find - by name or number
 * @pool: the pool
 * @name: its name
 *
 * Context: volume_mutex. Return: NULL if there is none.
 */
struct qbd_volume *qbd_volume_find(struct qbd_pool *pool, const char *name)
{
	struct qbd_volume *v, *numbered = NULL;
	unsigned long i;
	u32 number;

	if (kstrtou32(name, 10, &number))
		number = 0;
	xa_for_each(&pool->volumes, i, v) {
		if (!strcmp(v->entry.name, name))
			return v;
		if (number && v->entry.number == number)
			numbered = v;
	}
	return numbered;
}

/**
 * qbd_pool_max_m - the largest number of legs that a chunk of any volume may lose
 * @pool: the pool
 */
unsigned int qbd_pool_max_m(struct qbd_pool *pool)
{
	struct qbd_layer *layer;
	unsigned int m = 0;
	unsigned long i;

	xa_for_each(&pool->layers, i, layer)
		m = max_t(unsigned int, m, layer->policy.m);
	return m;
}

static u64 append_volume(struct qbd_pool *pool, u32 index, const struct qbd_volume_entry *entry)
{
	struct qbd_record r = { .type = QBD_RECORD_VOLUME, .index = index, .volume = *entry };

	return qbd_ring_append(pool, &r);
}

static u64 append_layer(struct qbd_pool *pool, u32 index, const struct qbd_layer_entry *entry)
{
	struct qbd_record r = {
		.type = QBD_RECORD_LAYER, .index = index, .layer_entry = *entry,
	};

	return qbd_ring_append(pool, &r);
}

/* Members, in or out, that a volume with that tag may use. */
static unsigned int usable_members(struct qbd_pool *pool, const char *tag)
{
	u64 journal = qbd_journal_devices(&pool->members);
	unsigned int i, n = 0;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (pool->members.members[i].state != QBD_MEMBER_NONE &&
		    !(journal & BIT_ULL(i)) &&
		    qbd_tag_match(pool->members.members[i].tags, tag))
			n++;
	return n;
}

/**
 * qbd_layer_blind - may there be chunks that no table names which is there
 * @layer: the layer
 *
 * After a start that the operator forced without more of the volume's backends than
 * it may lose: a chunk may be on these alone. What no table names is an I/O error
 * then, never a hole, and is not made anew (rule 5).
 */
bool qbd_layer_blind(const struct qbd_layer *layer)
{
	const struct qbd_membership *m = &layer->pool->members;
	unsigned int i, gone = 0;
	bool unseen = false;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		unseen |= READ_ONCE(m->members[i].unseen);
	if (likely(!unseen))
		return false;
	unseen = false;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *member = &m->members[i];

		if (member->state == QBD_MEMBER_NONE || (layer->pool->in & BIT_ULL(i)) ||
		    !qbd_tag_match(member->tags, layer->tag))
			continue;
		gone++;
		unseen |= member->unseen;
	}
	return unseen && gone > layer->policy.m;
}

/*
 * A volume that was removed, or could not be made. Who walks the layers may have its
 * own in hand: it stays until the pool ends. Sleeps. Context: volume_mutex.
 */
static void volume_forget(struct qbd_pool *pool, struct qbd_volume *v)
{
	xa_erase(&pool->volumes, v->index);
	xa_erase(&pool->layers, v->top->number);
	synchronize_rcu();
	list_add(&v->top->dead, &pool->dead_layers);
	kfree(v);
}

/**
 * qbd_volume_create - make a volume
 * @pool: the pool
 * @error: set to what was wrong
 * @entry: its name, size, policy and tag; the rest is set here
 *
 * Sleeps. Return: 0, or an error and what was wrong.
 */
int qbd_volume_create(struct qbd_pool *pool, struct qbd_volume_entry *entry, const char **error)
{
	struct qbd_layer_entry layer = {}, counter;
	u32 index, layer_index, legs = qbd_policy_legs(&entry->policy);
	u64 lsn = U64_MAX;
	int err;

	*error = "Volume exists";
	mutex_lock(&pool->volume_mutex);
	err = -EEXIST;
	if (qbd_volume_find(pool, entry->name))
		goto out;
	err = -EINVAL;
	*error = "Policy needs more backends than the pool has";
	if (legs > usable_members(pool, entry->tag))
		goto out;
	*error = "Checksums of this policy and block size do not fit the pool's slots";
	if (qbd_csum_table_bytes(&entry->policy, pool->members.extent_size) >
	    pool->members.csum_bytes_per_slot)
		goto out;
	*error = "No room in the volume table";
	err = -ENOSPC;
	for (index = 0; index < nr_volumes(pool); index++)
		if (volume_at(pool, index).state == QBD_UNUSED &&
		    !xa_load(&pool->volumes, index))
			break;
	for (layer_index = 1; layer_index < nr_layers(pool); layer_index++)
		if (layer_at(pool, layer_index).state == QBD_UNUSED)
			break;
	if (index == nr_volumes(pool) || layer_index == nr_layers(pool))
		goto out;

	counter = layer_at(pool, 0);
	entry->number = max(counter.number, 1u);
	*error = "The layer table's next number is in use, or the last one";
	err = -EUCLEAN;
	if (entry->number == U32_MAX || xa_load(&pool->layers, entry->number))
		goto out;

	*error = "Cannot put the ring on enough backends";
	err = qbd_ring_extend(pool, max_t(unsigned int, qbd_pool_max_m(pool), entry->policy.m));
	if (err)
		goto out;
	entry->top_layer = entry->number;
	entry->state = QBD_LIVE;
	counter.number = entry->number + 1;
	layer.number = entry->number;
	layer.state = QBD_LIVE;
	layer.volume = entry->number;
	layer.sectors = entry->sectors;
	layer.policy = entry->policy;
	*error = "Out of memory";
	err = volume_load(pool, index, entry, layer_index, &layer);
	if (err)
		goto out;
	qbd_moment("volume-seen");
	*error = "Cannot record the volume";
	err = qbd_ring_admit(pool);
	if (!err) {
		down_read(&pool->meta_sem);
		lsn = append_layer(pool, 0, &counter);
		lsn = max(lsn, append_layer(pool, layer_index, &layer));
		lsn = max(lsn, append_volume(pool, index, entry));
		err = qbd_ring_wait(pool, lsn);
		up_read(&pool->meta_sem);
	}
	/* What was appended is recorded when the ring can be written again. */
	if (err && lsn != U64_MAX && !READ_ONCE(pool->ring.error))
		*error = "The volume will be there when the ring can be written again";
	else if (err)
		volume_forget(pool, xa_load(&pool->volumes, index));
out:
	mutex_unlock(&pool->volume_mutex);
	return err;
}

/**
 * qbd_volume_remove - remove a volume that no target uses
 * @pool: the pool
 * @name: its name
 * @error: set to what was wrong
 *
 * Durable when it returns; its chunks are freed in the background.
 */
int qbd_volume_remove(struct qbd_pool *pool, const char *name, const char **error)
{
	struct qbd_volume_entry entry;
	struct qbd_volume *v;
	u64 lsn;
	int err;

	mutex_lock(&pool->volume_mutex);
	*error = "No such volume";
	err = -ENOENT;
	v = qbd_volume_find(pool, name);
	if (!v || v->deleting)
		goto out;
	*error = "Volume is in use";
	err = -EBUSY;
	if (v->users)
		goto out;
	*error = "Cannot record the removal";
	err = qbd_ring_admit(pool);
	if (err)
		goto out;
	entry = v->entry;
	entry.state = QBD_DELETING;
	down_read(&pool->meta_sem);
	lsn = append_volume(pool, v->index, &entry);
	err = qbd_ring_wait(pool, lsn);
	up_read(&pool->meta_sem);
	/* What was appended is recorded when the ring can be written again. */
	if (!err || lsn != U64_MAX) {
		v->entry = entry;
		v->deleting = true;
		mod_delayed_work(pool->repair_wq, &pool->free_work, 0);
	}
out:
	mutex_unlock(&pool->volume_mutex);
	return err;
}

static int free_chunks(struct qbd_layer *layer)
{
	struct qbd_map *map;
	unsigned long n;
	int err = 0;

	xa_for_each(&layer->map, n, map) {
		struct qbd_row_lock lock;
		struct qbd_chunk *chunk;

		err = READ_ONCE(layer->pool->stopping) ? -EINTR : qbd_ring_admit(layer->pool);
		if (err)
			break;
		chunk = qbd_chunk_get(layer, n, GFP_NOIO);
		if (!chunk) {
			err = -EIO;
			break;
		}
		qbd_chunk_lock(chunk, &lock, 0, layer->rows - 1);
		err = qbd_chunk_free(chunk);
		qbd_chunk_unlock(chunk, &lock);
		qbd_chunk_put(chunk);
		if (err)
			break;
	}
	return err;
}

/* Nothing of the layer may be cached when it goes. */
static void layer_quiet(struct qbd_layer *layer)
{
	struct qbd_chunk *chunk;
	unsigned long n;

	xa_for_each(&layer->chunks, n, chunk) {
		/* A read of a hole leaves one; the reaper takes those that are dead. */
		chunk = qbd_chunk_find(layer, n);
		if (!chunk)
			continue;
		spin_lock(&layer->pool->map_lock);
		xa_erase(&layer->chunks, n);
		WRITE_ONCE(chunk->dead, true);
		spin_unlock(&layer->pool->map_lock);
		qbd_chunk_unnamed(chunk);
		qbd_chunk_put(chunk);
	}
	flush_work(&layer->pool->reap_work);
}

/* The first volume from @i on that is being removed; only free_work forgets such a one. */
static struct qbd_volume *next_deleted(struct qbd_pool *pool, unsigned long *i)
{
	struct qbd_volume *v;

	rcu_read_lock();
	xa_for_each_start(&pool->volumes, *i, v, *i)
		if (READ_ONCE(v->deleting))
			break;
	rcu_read_unlock();
	return v;
}

/**
 * qbd_free_deleted - free the chunks of volumes that were removed, then them
 * @work: the work item
 */
void qbd_free_deleted(struct work_struct *work)
{
	struct qbd_pool *pool = container_of(to_delayed_work(work), struct qbd_pool, free_work);
	struct qbd_volume *v;
	bool left = false;
	unsigned long i;

	for (i = 0; (v = next_deleted(pool, &i)); i++) {
		struct qbd_layer_entry layer = {};
		struct qbd_volume_entry entry = {};
		int err;

		if (free_chunks(v->top) || qbd_ring_admit(pool)) {
			left = true;
			continue;
		}
		mutex_lock(&pool->volume_mutex);
		down_read(&pool->meta_sem);
		/* Appended once: the places may be others' when it is tried again. */
		if (!v->freed_lsn) {
			u64 lsn = append_volume(pool, v->index, &entry);

			lsn = max(lsn, append_layer(pool, v->top->index, &layer));
			v->freed_lsn = lsn == U64_MAX ? 0 : lsn;
		}
		err = v->freed_lsn ? qbd_ring_wait(pool, v->freed_lsn) : -EIO;
		up_read(&pool->meta_sem);
		/* The records of its chunks are in effect, so nothing looks it up. */
		if (!err) {
			layer_quiet(v->top);
			volume_forget(pool, v);
		}
		mutex_unlock(&pool->volume_mutex);
	}
	/* After an outage kept.c asks for it; this is for want of room in the ring. */
	if (left && !qbd_pool_outage(pool) && !READ_ONCE(pool->stopping))
		queue_delayed_work(pool->repair_wq, &pool->free_work, 5 * HZ);
}
