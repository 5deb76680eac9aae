// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two device-mapper targets: table lines, and a bio's way in.
 *
 * qbd-pool makes or finds the pool of its device; I/O to it fails. qbd is a
 * volume of a pool. docs/target.md describes both, field by field.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "gf256.h"
#include "qbd.h"

static int table_error(struct dm_target *ti, char *error, int err)
{
	ti->error = error;
	return err;
}

/* qbd-pool */

/* The devices of a table line, in its list and as journal_dev. */
struct pool_devices {
	unsigned int nr;
	unsigned int nr_journal;	/* the last so many of them */
	const char *paths[QBD_MAX_BACKENDS];
};

static int pool_feature(struct qbd_features *features, struct pool_devices *devices,
			struct dm_arg_set *as, unsigned int *left, char **error)
{
	const char *word = dm_shift_arg(as), *value;
	unsigned int mb;

	(*left)--;
	if (!strcasecmp(word, "allow_degraded")) {
		features->allow_degraded = true;
		return 0;
	}
	if (!strcasecmp(word, "read_only")) {
		features->read_only = true;
		return 0;
	}
	*error = "Unknown feature of qbd-pool";
	if (strcasecmp(word, "force_history") && strcasecmp(word, "on_loss") &&
	    strcasecmp(word, "cache_mb") && strcasecmp(word, "journal_dev"))
		return -EINVAL;
	*error = "A feature of qbd-pool needs a value";
	if (!*left)
		return -EINVAL;
	value = dm_shift_arg(as);
	(*left)--;
	if (!strcasecmp(word, "journal_dev")) {
		*error = "A pool has at most 64 devices, with those of the journal";
		if (devices->nr == QBD_MAX_BACKENDS)
			return -EINVAL;
		devices->paths[devices->nr++] = value;
		devices->nr_journal++;
		return 0;
	}
	if (!strcasecmp(word, "force_history")) {
		*error = "force_history is not a tag of 16 hexadecimal digits";
		return strlen(value) == 16 && !kstrtou64(value, 16, &features->force_history) ?
		       0 : -EINVAL;
	}
	if (!strcasecmp(word, "cache_mb")) {
		*error = "cache_mb is not a number from 1 to 65536";
		if (kstrtouint(value, 10, &mb) || !mb || mb > 65536)
			return -EINVAL;
		features->cache_mb = mb;
		return 0;
	}
	*error = "on_loss is neither error nor queue";
	if (!strcasecmp(value, "error"))
		return 0;
	if (!strcasecmp(value, "queue"))
		*error = "on_loss queue is not supported yet";
	return -EINVAL;
}

/* What never changes in a pool. */
static bool same_pool(const struct qbd_membership *a, const struct qbd_membership *b)
{
	return a->extent_size == b->extent_size &&
	       a->csum_bytes_per_slot == b->csum_bytes_per_slot &&
	       a->volume_pages == b->volume_pages && a->layer_pages == b->layer_pages &&
	       a->ring_blocks == b->ring_blocks;
}

static int pool_open(struct qbd_pool *pool, const struct pool_devices *devices, char **error)
{
	const struct qbd_super **supers = kcalloc(QBD_MAX_BACKENDS, sizeof(*supers), GFP_KERNEL);
	const struct qbd_super *first = NULL;
	const char *why = "Out of memory";
	int err = supers ? 0 : -ENOMEM;
	struct qbd_backend *b;
	unsigned int i;

	for (i = 0; i < devices->nr && !err; i++) {
		bool journal = i >= devices->nr - devices->nr_journal;
		const char *path = devices->paths[i];
		struct qbd_super *super;

		if (!strcmp(path, "-"))
			continue;
		super = kmalloc(sizeof(*super), GFP_KERNEL);
		if (!super) {
			err = -ENOMEM;
			break;
		}
		b = qbd_backend_open(pool, path, super, &why);
		if (IS_ERR(b)) {
			err = PTR_ERR(b);
			DMERR("%s: %s", path, why);
			kfree(super);
			break;
		}
		if (first && memcmp(super->pool.pool_uuid, first->pool.pool_uuid, 16))
			why = "Devices of two pools";
		else if (first && !same_pool(&super->pool, &first->pool))
			why = "Superblocks of one pool contradict each other";
		else if (supers[b->index])
			why = "Two devices are the same backend of the pool";
		else if (journal &&
			 !(qbd_journal_devices(&super->pool) & BIT_ULL(b->index)))
			why = "journal_dev is no journal device of the pool";
		else
			why = NULL;
		if (why) {
			DMERR("%s: %s", path, why);
			qbd_backend_free(b);
			kfree(super);
			err = -EINVAL;
			break;
		}
		pool->backend[b->index] = b;
		supers[b->index] = super;
		first = first ?: super;
	}
	if (!err && !first) {
		why = "No device";
		err = -EINVAL;
	}
	if (!err)
		err = qbd_super_check(pool, supers, &why);
	for (i = 0; i < QBD_MAX_BACKENDS && !err; i++)
		if (pool->backend[i])
			pool->backend[i]->same_host = qbd_same_host(&pool->members, i);
	/* The words are constants, but dm wants to be able to write to them. */
	*error = (char *)why;
	for (i = 0; supers && i < QBD_MAX_BACKENDS; i++)
		kfree(supers[i]);
	kfree(supers);
	return err;
}

static int pool_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	static const struct dm_arg args[] = {
		{ 1, QBD_MAX_BACKENDS, "Number of devices is not from 1 to 64" },
		{ 0, 128, "Number of feature words is not from 0 to 128" },
	};
	struct dm_arg_set as = { argc, argv };
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct qbd_features features = { .cache_mb = QBD_CACHE_MB };
	struct pool_devices devices = {};
	struct qbd_pool *pool, *running;
	unsigned int nr, left = 0;
	int err;

	err = dm_read_arg(args, &as, &nr, &ti->error);
	if (err)
		return err;
	if (as.argc < nr)
		return table_error(ti, "Fewer devices than their number", -EINVAL);
	while (devices.nr < nr)
		devices.paths[devices.nr++] = dm_shift_arg(&as);
	if (as.argc) {
		err = dm_read_arg_group(args + 1, &as, &left, &ti->error);
		if (err)
			return err;
	}
	if (as.argc > left)
		return table_error(ti, "More words than the table line has", -EINVAL);
	while (left) {
		err = pool_feature(&features, &devices, &as, &left, &ti->error);
		if (err)
			return err;
	}
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_write_zeroes_bios = 1;

	running = qbd_pool_find(md);
	if (running) {
		/* The devices are open, and who they are is known: see readd, replace. */
		ti->private = running;
		return 0;
	}
	pool = qbd_pool_create(md);
	if (!pool)
		return table_error(ti, "Out of memory", -ENOMEM);
	pool->features = features;
	if (!features.read_only && !qbd_table_writable(ti->table)) {
		ti->error = "A pool needs a writable table";
		err = -EROFS;
		goto put;
	}
	err = pool_open(pool, &devices, &ti->error);
	if (err)
		goto put;
	ti->private = pool;
	return 0;
put:
	qbd_pool_put(pool);
	return err;
}

static void pool_dtr(struct dm_target *ti)
{
	qbd_pool_put(ti->private);
}

static int pool_map(struct dm_target *ti, struct bio *bio)
{
	return DM_MAPIO_KILL;
}

static int pool_preresume(struct dm_target *ti)
{
	return qbd_pool_start(ti->private);
}

static void pool_postsuspend(struct dm_target *ti)
{
	struct qbd_pool *pool = ti->private;

	if (pool->active && READ_ONCE(pool->mode) == QBD_RW) {
		qbd_destage_all(pool);
		qbd_checkpoint(pool);
	}
}

static void pool_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			char *result, unsigned int maxlen)
{
	struct qbd_pool *pool = ti->private;
	const struct qbd_features *f = &pool->features;
	u64 journal = qbd_journal_devices(&pool->members);
	unsigned int sz = 0, i, nr = 0, nr_journal = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		qbd_pool_status(pool, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			nr += pool->members.members[i].state != QBD_MEMBER_NONE;
			nr_journal += (journal & BIT_ULL(i)) && pool->backend[i];
		}
		DMEMIT("%u", nr - (unsigned int)hweight64(journal));
		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			if (pool->members.members[i].state == QBD_MEMBER_NONE ||
			    (journal & BIT_ULL(i)))
				continue;
			if (pool->backend[i])
				DMEMIT(" /dev/%s", pool->backend[i]->name);
			else
				DMEMIT(" -");
		}
		nr = f->allow_degraded + f->read_only + 2 * !!f->force_history +
		     2 * (f->cache_mb != QBD_CACHE_MB) + 2 * nr_journal;
		if (nr)
			DMEMIT(" %u", nr);
		if (f->allow_degraded)
			DMEMIT(" allow_degraded");
		if (f->read_only)
			DMEMIT(" read_only");
		if (f->force_history)
			DMEMIT(" force_history %016llx", f->force_history);
		if (f->cache_mb != QBD_CACHE_MB)
			DMEMIT(" cache_mb %u", f->cache_mb);
		for (i = 0; i < QBD_MAX_BACKENDS; i++)
			if ((journal & BIT_ULL(i)) && pool->backend[i])
				DMEMIT(" journal_dev /dev/%s", pool->backend[i]->name);
		break;
	case STATUSTYPE_IMA:
		*result = 0;
		break;
	}
}

/*
 * dm lets a volume have write-zeroes only if the device below it does, and the
 * pool's device only if it says that nothing below it is against it.
 */
static void pool_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	limits->max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
}

static int pool_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				void *data)
{
	return 0;
}

static int pool_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			unsigned int maxlen)
{
	return qbd_pool_message(ti->private, argc, argv, result, maxlen);
}

static struct target_type pool_target = {
	.name = QBD_TARGET_POOL,
	.features = DM_TARGET_SINGLETON,
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = pool_ctr,
	.dtr = pool_dtr,
	.map = pool_map,
	.preresume = pool_preresume,
	.postsuspend = pool_postsuspend,
	.status = pool_status,
	.message = pool_message,
	.io_hints = pool_io_hints,
	.iterate_devices = pool_iterate_devices,
};

/* qbd */

struct volume_target {
	struct qbd_pool *pool;
	struct qbd_volume *volume;
	struct dm_dev *pool_dev;
	bool read_only;
};

static int volume_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	static const struct dm_arg args[] = {
		{ 0, 1, "Number of feature words is not 0 or 1" },
	};
	struct dm_arg_set as = { argc, argv };
	struct volume_target *t;
	struct mapped_device *md;
	const struct qbd_layer *layer;
	unsigned int left = 0;
	const char *path, *name;
	int err;

	if (argc < 2)
		return table_error(ti, "A pool device and a volume are needed", -EINVAL);
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return table_error(ti, "Out of memory", -ENOMEM);
	path = dm_shift_arg(&as);
	name = dm_shift_arg(&as);
	if (as.argc) {
		err = dm_read_arg_group(args, &as, &left, &ti->error);
		if (err)
			goto free;
	}
	err = -EINVAL;
	ti->error = "Unknown feature of qbd";
	if (left && strcasecmp(dm_shift_arg(&as), "read_only"))
		goto free;
	t->read_only = left;
	ti->error = "More words than the table line has";
	if (as.argc)
		goto free;
	ti->error = "Cannot open the pool device";
	err = dm_get_device(ti, path, dm_table_get_mode(ti->table), &t->pool_dev);
	if (err)
		goto free;
	md = dm_get_md(t->pool_dev->bdev->bd_dev);
	if (md) {
		t->pool = qbd_pool_find(md);
		dm_put(md);
	}
	ti->error = "Not a pool device";
	err = -EINVAL;
	if (!t->pool)
		goto put_device;
	ti->error = "The pool is not running";
	err = -EBUSY;
	if (!t->pool->active)
		goto put_pool;
	mutex_lock(&t->pool->volume_mutex);
	t->volume = qbd_volume_find(t->pool, name);
	if (t->volume && t->volume->deleting)
		t->volume = NULL;
	if (t->volume)
		t->volume->users++;
	mutex_unlock(&t->pool->volume_mutex);
	ti->error = "No such volume in the pool";
	err = -ENOENT;
	if (!t->volume)
		goto put_pool;
	layer = t->volume->top;
	ti->error = "Table is larger than the volume";
	err = -EINVAL;
	if (ti->begin || ti->len > layer->sectors)
		goto put_volume;
	err = dm_set_target_max_io_len(ti, layer->io_rows * layer->policy.k *
				       (layer->block_size >> SECTOR_SHIFT));
	if (err)
		goto put_volume;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct qbd_io);
	ti->private = t;
	return 0;

put_volume:
	mutex_lock(&t->pool->volume_mutex);
	t->volume->users--;
	mutex_unlock(&t->pool->volume_mutex);
put_pool:
	qbd_pool_put(t->pool);
put_device:
	dm_put_device(ti, t->pool_dev);
free:
	kfree(t);
	return err;
}

static void volume_dtr(struct dm_target *ti)
{
	struct volume_target *t = ti->private;

	mutex_lock(&t->pool->volume_mutex);
	t->volume->users--;
	mutex_unlock(&t->pool->volume_mutex);
	dm_put_device(ti, t->pool_dev);
	qbd_pool_put(t->pool);
	kfree(t);
}

static int volume_map(struct dm_target *ti, struct bio *bio)
{
	struct qbd_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct volume_target *t = ti->private;

	io->volume = t->volume;
	io->iter = bio->bi_iter;
	io->iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (op_is_write(bio_op(bio)) && bio->bi_iter.bi_size &&
	    (t->read_only || READ_ONCE(t->pool->mode) == QBD_RO))
		return DM_MAPIO_KILL;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return qbd_read_map(io);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return qbd_discard_map(io);
	case REQ_OP_WRITE:
	case REQ_OP_FLUSH:
		if (bio->bi_iter.bi_size)
			return qbd_write_map(io);
		qbd_flush_bio(t->pool, bio);
		return DM_MAPIO_SUBMITTED;
	default:
		return DM_MAPIO_KILL;
	}
}

static void volume_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			  char *result, unsigned int maxlen)
{
	struct volume_target *t = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		qbd_volume_status(t->volume, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s%s", t->pool_dev->name, t->volume->entry.name,
		       t->read_only ? " 1 read_only" : "");
		break;
	case STATUSTYPE_IMA:
		*result = 0;
		break;
	}
}

static void volume_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct volume_target *t = ti->private;
	const struct qbd_layer *layer = t->volume->top;

	limits->logical_block_size = SECTOR_SIZE;
	limits->physical_block_size = QBD_MIN_BLOCK;
	limits->io_min = layer->block_size;
	limits->io_opt = layer->policy.k * layer->block_size;
	qbd_limits_discard(limits, UINT_MAX >> SECTOR_SHIFT, layer->block_size);
	limits->max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
}

static int volume_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				  void *data)
{
	struct volume_target *t = ti->private;

	/* The pool device has a size of its own, which says nothing. */
	return fn(ti, t->pool_dev, 0,
		  min_t(sector_t, ti->len, bdev_nr_sectors(t->pool_dev->bdev)), data);
}

static struct target_type volume_target = {
	.name = QBD_TARGET_VOLUME,
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = volume_ctr,
	.dtr = volume_dtr,
	.map = volume_map,
	.status = volume_status,
	.io_hints = volume_io_hints,
	.iterate_devices = volume_iterate_devices,
};

static int __init qbd_init(void)
{
	int err = gf256_init();

	if (err)
		return err;
	err = qbd_pool_init();
	if (err)
		return err;
	err = dm_register_target(&pool_target);
	if (err)
		goto exit;
	err = dm_register_target(&volume_target);
	if (!err)
		return 0;
	dm_unregister_target(&pool_target);
exit:
	qbd_pool_exit();
	return err;
}

static void __exit qbd_exit(void)
{
	dm_unregister_target(&volume_target);
	dm_unregister_target(&pool_target);
	qbd_pool_exit();
}

module_init(qbd_init);
module_exit(qbd_exit);

MODULE_DESCRIPTION("thin, checksummed, replicated or erasure-coded volumes over several block devices");
MODULE_AUTHOR("The dm-qbd developers");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-qbd-pool");
