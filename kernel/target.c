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

/* "INDEX:MS" */
static bool parse_deadline(const char *word, struct qbd_features *features)
{
	unsigned int index, ms;
	char end;

	if (sscanf(word, "%2u:%7u%c", &index, &ms, &end) != 2 || index >= QBD_MAX_BACKENDS ||
	    ms > QBD_MAX_DEADLINE_MS)
		return false;
	features->deadline_ms[index] = ms;
	return true;
}

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
	unsigned int number;

	(*left)--;
	if (!strcasecmp(word, "allow_degraded")) {
		features->allow_degraded = true;
		return 0;
	}
	if (!strcasecmp(word, "read_only")) {
		features->read_only = true;
		return 0;
	}
	if (!strcasecmp(word, "standby")) {
		features->standby = true;
		return 0;
	}
	if (!strcasecmp(word, "take_over")) {
		features->take_over = true;
		return 0;
	}
	if (!strcasecmp(word, "hedge=off")) {
		features->hedge = false;
		return 0;
	}
	*error = "Unknown feature of qbd-pool";
	if (strcasecmp(word, "force_history") && strcasecmp(word, "on_loss") &&
	    strcasecmp(word, "cache_mb") && strcasecmp(word, "deadline") &&
	    strcasecmp(word, "error_limit") && strcasecmp(word, "hold_off") &&
	    strcasecmp(word, "slow_factor") && strcasecmp(word, "journal_dev"))
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
		if (kstrtouint(value, 10, &number) || !number || number > 65536)
			return -EINVAL;
		features->cache_mb = number;
		return 0;
	}
	if (!strcasecmp(word, "deadline")) {
		*error = "deadline is not the index of a backend, \":\" and up to 3600000 ms";
		return parse_deadline(value, features) ? 0 : -EINVAL;
	}
	if (!strcasecmp(word, "error_limit")) {
		*error = "error_limit is not a number and a number of seconds";
		if (kstrtouint(value, 10, &features->error_limit) || !*left)
			return -EINVAL;
		value = dm_shift_arg(as);
		(*left)--;
		return kstrtouint(value, 10, &features->error_seconds) ||
		       !features->error_seconds || features->error_seconds > QBD_MAX_SECONDS ?
		       -EINVAL : 0;
	}
	if (!strcasecmp(word, "hold_off")) {
		*error = "hold_off is not a number of seconds, a week at most";
		return kstrtouint(value, 10, &features->hold_off) ||
		       features->hold_off > QBD_MAX_SECONDS ? -EINVAL : 0;
	}
	if (!strcasecmp(word, "slow_factor")) {
		*error = "slow_factor is not a number up to 1000000";
		return kstrtouint(value, 10, &features->slow_factor) ||
		       features->slow_factor > 1000000 ? -EINVAL : 0;
	}
	*error = "on_loss is neither error nor queue";
	if (strcasecmp(value, "error") && strcasecmp(value, "queue"))
		return -EINVAL;
	features->on_loss_queue = !strcasecmp(value, "queue");
	return 0;
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
		err = qbd_backend_deadline(b);
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
		{ 0, 320, "Number of feature words is not from 0 to 320" },
	};
	struct dm_arg_set as = { argc, argv };
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct qbd_features features = {
		.cache_mb = QBD_CACHE_MB,
		.error_limit = QBD_ERROR_LIMIT,
		.error_seconds = QBD_ERROR_SECONDS,
		.hold_off = QBD_HOLD_OFF,
		.slow_factor = QBD_SLOW_FACTOR,
		.hedge = true,
	};
	struct pool_devices devices = {};
	struct qbd_pool *pool, *running;
	unsigned int nr, left = 0;
	int err;

	memset32(features.deadline_ms, QBD_DEADLINE_DEFAULT, QBD_MAX_BACKENDS);
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
	pool->on_loss_queue = features.on_loss_queue;
	if (!features.read_only && !qbd_table_writable(ti->table)) {
		ti->error = "A pool needs a writable table";
		err = -EROFS;
		goto put;
	}
	err = pool_open(pool, &devices, &ti->error);
	if (err)
		goto put;
	if (features.standby && (features.read_only || !pool->members.lease_ms)) {
		ti->error = "standby is for a pool with a lease, and not read-only";
		err = -EINVAL;
		goto put;
	}
	ti->private = pool;
	return 0;
put:
	qbd_pool_put(pool);
	return err;
}

static void pool_dtr(struct dm_target *ti)
{
	qbd_event_forget(ti->private, ti->table);
	qbd_pool_put(ti->private);
}

static int pool_map(struct dm_target *ti, struct bio *bio)
{
	return DM_MAPIO_KILL;
}

static int pool_preresume(struct dm_target *ti)
{
	qbd_event_table(ti->private, ti->table);
	return qbd_pool_start(ti->private);
}

static void pool_postsuspend(struct dm_target *ti)
{
	struct qbd_pool *pool = ti->private;

	if (pool->active && READ_ONCE(pool->mode) == QBD_RW) {
		qbd_destage_all(pool, NULL);
		qbd_checkpoint(pool);
	}
}

static void pool_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			char *result, unsigned int maxlen)
{
	struct qbd_pool *pool = ti->private;
	const struct qbd_features *f = &pool->features;
	bool limited = f->error_limit != QBD_ERROR_LIMIT || f->error_seconds != QBD_ERROR_SECONDS;
	u64 journal = qbd_journal_devices(&pool->members), journal_there = 0;
	unsigned int sz = 0, i, nr = 0;
	struct qbd_backend *b;
	int idx;

	switch (type) {
	case STATUSTYPE_INFO:
		qbd_pool_status(pool, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		/* They come and go meanwhile. */
		idx = srcu_read_lock(&pool->backends_srcu);
		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			nr += pool->members.members[i].state != QBD_MEMBER_NONE;
			if ((journal & BIT_ULL(i)) && READ_ONCE(pool->backend[i]))
				journal_there |= BIT_ULL(i);
		}
		DMEMIT("%u", nr - (unsigned int)hweight64(journal));
		for (i = 0; i < QBD_MAX_BACKENDS; i++) {
			if (pool->members.members[i].state == QBD_MEMBER_NONE ||
			    (journal & BIT_ULL(i)))
				continue;
			b = READ_ONCE(pool->backend[i]);
			DMEMIT(" %s%s", b ? "/dev/" : "", b ? b->name : "-");
		}
		nr = f->allow_degraded + f->read_only + f->standby + f->take_over +
		     !f->hedge + 2 * !!f->force_history + 2 * (f->cache_mb != QBD_CACHE_MB) +
		     2 * READ_ONCE(pool->on_loss_queue) + 3 * limited +
		     2 * (f->hold_off != QBD_HOLD_OFF) +
		     2 * (f->slow_factor != QBD_SLOW_FACTOR) + 2 * hweight64(journal_there);
		for (i = 0; i < QBD_MAX_BACKENDS; i++)
			nr += 2 * (f->deadline_ms[i] != QBD_DEADLINE_DEFAULT);
		if (nr)
			DMEMIT(" %u", nr);
		if (f->allow_degraded)
			DMEMIT(" allow_degraded");
		if (f->read_only)
			DMEMIT(" read_only");
		if (f->standby)
			DMEMIT(" standby");
		if (f->take_over)
			DMEMIT(" take_over");
		if (f->force_history)
			DMEMIT(" force_history %016llx", f->force_history);
		if (f->cache_mb != QBD_CACHE_MB)
			DMEMIT(" cache_mb %u", f->cache_mb);
		for (i = 0; i < QBD_MAX_BACKENDS; i++)
			if (f->deadline_ms[i] != QBD_DEADLINE_DEFAULT)
				DMEMIT(" deadline %u:%u", i, f->deadline_ms[i]);
		if (READ_ONCE(pool->on_loss_queue))
			DMEMIT(" on_loss queue");
		if (limited)
			DMEMIT(" error_limit %u %u", f->error_limit, f->error_seconds);
		if (f->hold_off != QBD_HOLD_OFF)
			DMEMIT(" hold_off %u", f->hold_off);
		if (f->slow_factor != QBD_SLOW_FACTOR)
			DMEMIT(" slow_factor %u", f->slow_factor);
		if (!f->hedge)
			DMEMIT(" hedge=off");
		for (i = 0; i < QBD_MAX_BACKENDS; i++)
			if (journal_there & BIT_ULL(i)) {
				b = READ_ONCE(pool->backend[i]);
				DMEMIT(" journal_dev %s%s", b ? "/dev/" : "", b ? b->name : "-");
			}
		srcu_read_unlock(&pool->backends_srcu, idx);
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

/*
 * A volume's device.
 * volume: NULL while the pool is in standby
 * list: in pool->targets, then
 * held: I/O that waits until it is not
 * ended: it will not be
 * suspended: nothing is to be held
 * parks: what waits for backends; see parked.c
 */
struct volume_target {
	struct qbd_pool *pool;
	struct qbd_volume *volume;
	struct dm_target *ti;
	struct dm_dev *pool_dev;
	bool read_only;
	u32 block_size;
	u32 row_bytes;
	char name[QBD_NAME_SIZE];

	struct list_head list;
	spinlock_t lock;	/* volume, held, ended, suspended */
	struct bio_list held;
	bool ended;
	bool suspended;
	struct qbd_target parks;
};

/* What the device has to look like; nothing of it changes in a volume's life. */
static int volume_shape(struct volume_target *t, const struct qbd_volume *v)
{
	const struct qbd_layer *layer = v->top;
	struct dm_target *ti = t->ti;

	ti->error = "Table is larger than the volume";
	if (ti->begin || ti->len > layer->sectors)
		return -EINVAL;
	t->block_size = layer->block_size;
	t->row_bytes = layer->policy.k * layer->block_size;
	return dm_set_target_max_io_len(ti, layer->io_rows * (t->row_bytes >> SECTOR_SHIFT));
}

/* Context: volume_mutex. */
static int volume_attach(struct volume_target *t)
{
	struct qbd_volume *v = qbd_volume_find(t->pool, t->name);
	int err;

	t->ti->error = "No such volume in the pool";
	if (!v || v->deleting)
		return -ENOENT;
	err = volume_shape(t, v);
	if (err)
		return err;
	v->users++;
	/* Whoever finds it finds a pool that runs. */
	smp_store_release(&t->volume, v);
	return 0;
}

/* Of a pool in standby: as its owner's tables say; attached when it hands over. */
static int volume_await(struct volume_target *t)
{
	struct qbd_pool *pool = t->pool;
	struct qbd_volume *v;
	int err;

	mutex_lock(&pool->standby.mutex);
	mutex_lock(&pool->volume_mutex);
	t->ti->error = "The owner's tables cannot be read";
	err = qbd_standby_load(pool);
	if (!err) {
		v = qbd_volume_find(pool, t->name);
		t->ti->error = "No such volume in the pool";
		err = v && !v->deleting ? volume_shape(t, v) : -ENOENT;
	}
	if (!err)
		list_add_tail(&t->list, &pool->targets);
	mutex_unlock(&pool->volume_mutex);
	mutex_unlock(&pool->standby.mutex);
	return err;
}

static int volume_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	static const struct dm_arg args[] = {
		{ 0, 1, "Number of feature words is not 0 or 1" },
	};
	struct dm_arg_set as = { argc, argv };
	struct volume_target *t;
	struct mapped_device *md;
	unsigned int left = 0;
	const char *path, *name;
	int err;

	if (argc < 2)
		return table_error(ti, "A pool device and a volume are needed", -EINVAL);
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return table_error(ti, "Out of memory", -ENOMEM);
	t->ti = ti;
	INIT_LIST_HEAD(&t->list);
	spin_lock_init(&t->lock);
	bio_list_init(&t->held);
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
	ti->error = "No such volume in the pool";
	err = -ENOENT;
	if (strscpy(t->name, name, sizeof(t->name)) < 0)
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
	err = -EAGAIN;
	if (READ_ONCE(t->pool->mode) == QBD_STANDBY)
		err = volume_await(t);
	if (err == -EAGAIN) {
		ti->error = "The pool is not running";
		err = -EBUSY;
		if (!READ_ONCE(t->pool->active))
			goto put_pool;
		mutex_lock(&t->pool->volume_mutex);
		err = volume_attach(t);
		mutex_unlock(&t->pool->volume_mutex);
	}
	if (err)
		goto put_pool;
	t->parks.pool = t->pool;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct qbd_io);
	/* Or all memory would be on its way to a swap area at once, and programs be killed. */
	ti->limit_swap_bios = true;
	ti->private = t;
	return 0;

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
	list_del(&t->list);
	if (t->volume)
		t->volume->users--;
	mutex_unlock(&t->pool->volume_mutex);
	dm_put_device(ti, t->pool_dev);
	qbd_pool_put(t->pool);
	kfree(t);
}

static int volume_io(struct volume_target *t, struct bio *bio)
{
	struct qbd_io *io = dm_per_bio_data(bio, sizeof(*io));

	/* What is in memory may be old: another host may have the pool. */
	if (unlikely(!qbd_owner_has(t->pool)) && qbd_owner_lost(t->pool, NULL))
		return DM_MAPIO_KILL;
	if (unlikely(READ_ONCE(t->pool->stopping)))
		return DM_MAPIO_KILL;
	io->target = &t->parks;
	io->volume = t->volume;
	io->times = 0;
	io->doubted = 0;
	io->iter = bio->bi_iter;
	io->iter.bi_sector = dm_target_offset(t->ti, bio->bi_iter.bi_sector);
	if (op_is_write(bio_op(bio)) && bio->bi_iter.bi_size &&
	    (t->read_only || READ_ONCE(t->pool->mode) == QBD_RO))
		return DM_MAPIO_KILL;
	return qbd_io_start(io);
}

/* Of a pool in standby. Or it is so no more: then false. */
static bool volume_hold(struct volume_target *t, struct bio *bio, int *result)
{
	bool held;

	spin_lock_irq(&t->lock);
	held = !t->volume;
	if (held && t->suspended)
		*result = dm_noflush_suspending(t->ti) ? DM_MAPIO_REQUEUE : DM_MAPIO_KILL;
	else if (held && t->ended)
		*result = DM_MAPIO_KILL;
	else if (held)
		bio_list_add(&t->held, bio);
	spin_unlock_irq(&t->lock);
	return held;
}

static int volume_map(struct dm_target *ti, struct bio *bio)
{
	struct qbd_io *io = dm_per_bio_data(bio, sizeof(*io));
	bool data = bio_op(bio) == REQ_OP_READ || bio_op(bio) == REQ_OP_WRITE;
	struct volume_target *t = ti->private;
	int result = DM_MAPIO_SUBMITTED;

	qbd_pace_user_begins(t->pool, io, data && bio->bi_iter.bi_size);
	/* Pairs with volume_attach(). */
	if (likely(smp_load_acquire(&t->volume)) || !volume_hold(t, bio, &result))
		result = volume_io(t, bio);
	/* The bio is ours no more where it was taken; else end_io does not see it. */
	if (result != DM_MAPIO_SUBMITTED)
		qbd_pace_user_ends(t->pool, io);
	return result;
}

static void end_held(struct bio_list *held, blk_status_t status)
{
	struct bio *bio;

	while ((bio = bio_list_pop(held))) {
		bio->bi_status = status;
		bio_endio(bio);
	}
}

/**
 * qbd_targets_attach - a pool that was in standby is so no more
 * @pool: the pool, which runs or has failed
 *
 * What waited goes on, or fails. Sleeps.
 */
void qbd_targets_attach(struct qbd_pool *pool)
{
	struct volume_target *t, *next;
	struct bio_list held;
	struct bio *bio;

	mutex_lock(&pool->volume_mutex);
	list_for_each_entry_safe(t, next, &pool->targets, list) {
		int err = pool->active ? volume_attach(t) : -EIO;

		if (err)
			DMERR("%s: volume %s: %s", pool->members.pool_name, t->name,
			      pool->active ? t->ti->error : "the pool failed");
		list_del_init(&t->list);
		spin_lock_irq(&t->lock);
		t->ended = err;
		bio_list_init(&held);
		bio_list_merge(&held, &t->held);
		bio_list_init(&t->held);
		spin_unlock_irq(&t->lock);
		if (err)
			end_held(&held, BLK_STS_IOERR);
		while ((bio = bio_list_pop(&held)))
			if (volume_io(t, bio) == DM_MAPIO_KILL)
				bio_io_error(bio);
	}
	mutex_unlock(&pool->volume_mutex);
}

/* Suspending waits for all I/O, and what is held would never end. */
static void volume_presuspend(struct dm_target *ti)
{
	struct volume_target *t = ti->private;
	struct bio_list held;

	bio_list_init(&held);
	spin_lock_irq(&t->lock);
	t->suspended = true;
	bio_list_merge(&held, &t->held);
	bio_list_init(&t->held);
	spin_unlock_irq(&t->lock);
	end_held(&held, dm_noflush_suspending(ti) ? BLK_STS_DM_REQUEUE : BLK_STS_IOERR);
	qbd_parked_leave(&t->parks, dm_noflush_suspending(ti) ? QBD_REQUEUE : QBD_FAILS);
}

static void volume_resume(struct dm_target *ti)
{
	struct volume_target *t = ti->private;

	spin_lock_irq(&t->lock);
	t->suspended = false;
	spin_unlock_irq(&t->lock);
	qbd_parked_leave(&t->parks, QBD_STAYS);
}

static int volume_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct volume_target *t = ti->private;

	qbd_pace_user_ends(t->pool, dm_per_bio_data(bio, sizeof(struct qbd_io)));
	return DM_ENDIO_DONE;
}

static void volume_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			  char *result, unsigned int maxlen)
{
	struct volume_target *t = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		/* Pairs with volume_attach(). */
		if (smp_load_acquire(&t->volume))
			qbd_volume_status(t->volume, result, maxlen);
		else
			DMEMIT("standby 0/0 0 0 - %u", t->block_size);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s%s", t->pool_dev->name,
		       t->volume ? t->volume->entry.name : t->name,
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

	limits->logical_block_size = SECTOR_SIZE;
	limits->physical_block_size = QBD_MIN_BLOCK;
	limits->io_min = t->block_size;
	limits->io_opt = t->row_bytes;
	qbd_limits_discard(limits, UINT_MAX >> SECTOR_SHIFT, t->block_size);
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
	.end_io = volume_end_io,
	.presuspend = volume_presuspend,
	.presuspend_undo = volume_resume,
	.resume = volume_resume,
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
	if (!err) {
		qbd_moments_init();
		return 0;
	}
	dm_unregister_target(&pool_target);
exit:
	qbd_pool_exit();
	return err;
}

static void __exit qbd_exit(void)
{
	qbd_moments_exit();
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
