// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing superblocks: the one place where membership becomes durable.
 *
 * Each goes to the place that does not hold the newest one, so that a crash in
 * the middle of a write leaves the one before; with a flush before it, so that
 * what the new one lets others rely on is there; and with FUA.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "history.h"
#include "qbd.h"

/**
 * qbd_super_write - write a membership to some backends
 * @pool: the pool
 * @members: the pool's part; the rest is each backend's own
 * @which: bitmap of backends, all of which are open
 * @flags: QBD_PROBE, or 0
 *
 * Sleeps. Context: member_lock. Buffers were allocated when the backends were
 * opened, for this happens when memory may be short.
 *
 * Return: bitmap of the backends on which it is not, or maybe not, durable.
 */
u64 qbd_super_write(struct qbd_pool *pool, const struct qbd_membership *members, u64 which,
		    blk_opf_t flags)
{
	struct qbd_super *super = pool->super;
	struct qbd_wait wait;
	unsigned int i;
	u64 failed;

	lockdep_assert_held(&pool->member_lock);
	qbd_wait_init(&wait);
	memset(super, 0, sizeof(*super));
	super->pool = *members;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = pool->backend[i];

		if (!(which & BIT_ULL(i)))
			continue;
		super->seq = ++b->super_seq;
		super->geometry = b->geometry;
		qbd_super_encode(super, b->super_buffer);
		qbd_backend_submit(b, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA | REQ_SYNC | REQ_META |
				   flags, (super->seq & 1) * QBD_SUPER_SIZE, b->super_buffer,
				   QBD_SUPER_SIZE, &wait);
	}
	failed = qbd_wait_for(&wait);
	/* It may be there, or half of it: the next one goes to the same place. */
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (failed & BIT_ULL(i))
			pool->backend[i]->super_seq++;
	return failed;
}

static const char *host_of(const char *tags, unsigned int *length)
{
	while (*tags) {
		while (*tags == ' ')
			tags++;
		*length = strcspn(tags, " ");
		if (!strncmp(tags, "host=", 5))
			return tags;
		tags += *length;
	}
	return NULL;
}

/**
 * qbd_same_host - members on one host with a member, itself included: a bitmap
 * @m: the membership
 * @index: index of the backend
 */
u64 qbd_same_host(const struct qbd_membership *m, unsigned int index)
{
	unsigned int length, n, i;
	const char *host = host_of(m->members[index].tags, &length), *other;
	u64 same = BIT_ULL(index);

	for (i = 0; host && i < QBD_MAX_BACKENDS; i++) {
		if (m->members[i].state == QBD_MEMBER_NONE)
			continue;
		other = host_of(m->members[i].tags, &n);
		if (other && n == length && !memcmp(host, other, n))
			same |= BIT_ULL(i);
	}
	return same;
}

/**
 * qbd_super_check - which history the pool goes on from, and who is in (rule 5)
 * @pool: the pool
 * @supers: of the backends that are there, by index
 * @error: what was wrong
 *
 * Sets pool->members, pool->in and pool->missing. Return: 0 or -EINVAL.
 */
int qbd_super_check(struct qbd_pool *pool, const struct qbd_super *const *supers,
		    const char **error)
{
	u64 force = pool->features.force_history;
	struct qbd_history h;
	unsigned int i;
	int err = qbd_history_find(supers, force, &h);

	*error = "No device has the history that force_history names";
	if (err == -ENOENT)
		return -EINVAL;
	*error = "Device was replaced in this pool by another one";
	if (err == -EINVAL)
		return err;
	pool->members = supers[h.newest]->pool;
	qbd_history_revert(&pool->members, h.begun);
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (h.diverged & BIT_ULL(i))
			DMERR("%s: backend %u went on alone to epoch %u:%016llx, backend %u to %u:%016llx",
			      pool->members.pool_name, i, supers[i]->pool.epochs[0].number,
			      supers[i]->pool.epochs[0].tag, h.newest,
			      pool->members.epochs[0].number, pool->members.epochs[0].tag);
	*error = "Split brain: two histories; name the one to keep with force_history";
	if (err)
		return -EINVAL;
	pool->in = h.in;
	pool->missing = h.missing;
	pool->max_epoch = h.max_number;
	*error = "Members are missing that are not known to be out; see allow_degraded";
	if (h.missing && !pool->features.allow_degraded && !force)
		return -EINVAL;
	*error =
	"Not more than half of the members are there; force_history has to name the history";
	if (h.missing && !force && hweight64(h.in) <= hweight64(h.missing))
		return -EINVAL;
	*error = "No ring member is there";
	if (!(pool->members.ring_members & h.in))
		return -EINVAL;
	return 0;
}

/* One backend's superblock, which is that of before, only newer. */
static int super_read(struct qbd_backend *b, void *raw, struct qbd_super *super,
		      const char **error)
{
	int err;

	*error = "Cannot read superblock";
	if (qbd_backend_rw(b, REQ_OP_READ | REQ_META, 0, raw, 2 * QBD_SUPER_SIZE))
		return -EIO;
	err = qbd_super_newest(raw, bdev_nr_bytes(b->bdev.bdev), super);
	*error = qbd_super_error(err);
	if (err)
		return err;
	*error = "Device is another backend than it was";
	if (memcmp(super->geometry.uuid, b->geometry.uuid, 16) ||
	    memcmp(super->pool.pool_uuid, b->pool->members.pool_uuid, 16))
		return -ESTALE;
	b->super_seq = super->seq;
	return 0;
}

/**
 * qbd_supers_read - read all superblocks again, before this host owns the pool
 * @pool: the pool
 * @error: what was wrong
 *
 * Another host may have written them since the table was loaded. One that cannot be read
 * is not there. Sleeps. Sets what qbd_super_check() sets. Return: 0 or an error.
 */
int qbd_supers_read(struct qbd_pool *pool, const char **error)
{
	struct qbd_super **supers = kcalloc(QBD_MAX_BACKENDS, sizeof(*supers), GFP_KERNEL);
	void *raw = kmalloc(2 * QBD_SUPER_SIZE, GFP_KERNEL);
	bool any = false;
	unsigned int i;
	int err = 0;

	for (i = 0; supers && raw && i < QBD_MAX_BACKENDS && !err; i++) {
		struct qbd_backend *b = pool->backend[i];

		if (!b)
			continue;
		*error = "Out of memory";
		supers[i] = kmalloc(sizeof(**supers), GFP_KERNEL);
		err = supers[i] ? super_read(b, raw, supers[i], error) : -ENOMEM;
		/* It is not there, then; it may be out, and nobody may need it. */
		if (err == -EIO) {
			kfree(supers[i]);
			supers[i] = NULL;
			err = 0;
		}
		any |= !!supers[i];
	}
	if (!err && !any)
		err = -EIO;
	*error = supers && raw ? *error : "Out of memory";
	if (!supers || !raw)
		err = -ENOMEM;
	if (!err)
		err = qbd_super_check(pool, (const struct qbd_super *const *)supers, error);
	for (i = 0; supers && i < QBD_MAX_BACKENDS; i++)
		kfree(supers[i]);
	kfree(supers);
	kfree(raw);
	return err;
}
