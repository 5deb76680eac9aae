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

#include "qbd.h"

/**
 * qbd_super_write - write a membership to some backends
 * @members: the pool's part; the rest is each backend's own
 * @which: bitmap of backends, all of which are open
 *
 * Sleeps. Context: member_lock. Buffers were allocated when the backends were
 * opened, for this happens when memory may be short.
 *
 * Return: bitmap of the backends on which it is not, or maybe not, durable.
 */
u64 qbd_super_write(struct qbd_pool *pool, const struct qbd_membership *members, u64 which)
{
	struct qbd_super *super = pool->super;
	struct qbd_wait wait;
	unsigned int i;

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
		qbd_backend_submit(b, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA | REQ_SYNC | REQ_META,
				   (super->seq & 1) * QBD_SUPER_SIZE, b->super_buffer,
				   QBD_SUPER_SIZE, &wait);
	}
	return qbd_wait_for(&wait);
}

/**
 * qbd_epoch_known - is an epoch in a history
 *
 * One that is older than the history reaches is not: such a backend is
 * resynchronised whole.
 */
bool qbd_epoch_known(const struct qbd_membership *m, struct qbd_epoch epoch)
{
	u32 i;

	for (i = 0; i < m->nr_epochs; i++)
		if (m->epochs[i].number == epoch.number)
			return m->epochs[i].tag == epoch.tag;
	return false;
}

/* Did a history go on from an epoch, or end before it: or did they diverge? */
static bool diverged(const struct qbd_membership *newest, const struct qbd_membership *m)
{
	const struct qbd_epoch *oldest = &newest->epochs[newest->nr_epochs - 1];

	return m->epochs[0].number >= oldest->number &&
	       !qbd_epoch_known(newest, m->epochs[0]);
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
 * qbd_history_check - which history the pool goes on from, and who is in (rule 5)
 * @supers: of each backend that is there, by index
 * @present: bitmap of these
 * @missing: set to members that should be in and are not there
 * @error: what was wrong
 *
 * Sets pool->members and pool->in. Return: 0 or -EINVAL.
 */
int qbd_history_check(struct qbd_pool *pool, const struct qbd_super *supers, u64 present,
		      u64 *missing, const char **error)
{
	const struct qbd_super *newest = NULL;
	unsigned int i;
	u64 in = 0;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_membership *m = &supers[i].pool;

		if (!(present & BIT_ULL(i)))
			continue;
		if (pool->features.force_history ? m->epochs[0].tag == pool->features.force_history :
		    !newest || m->epochs[0].number > newest->pool.epochs[0].number)
			newest = &supers[i];
	}
	*error = "No device has the history that force_history names";
	if (!newest)
		return -EINVAL;

	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *m = &newest->pool.members[i];

		if (!(present & BIT_ULL(i)))
			continue;
		*error = "Device was replaced in this pool by another one";
		if (m->state == QBD_MEMBER_NONE || memcmp(m->uuid, supers[i].geometry.uuid, 16))
			return -EINVAL;
		if (diverged(&newest->pool, &supers[i].pool)) {
			DMERR("%s: backend %u went on alone to epoch %u:%016llx, others to %u:%016llx",
			      newest->pool.pool_name, i, supers[i].pool.epochs[0].number,
			      supers[i].pool.epochs[0].tag, newest->pool.epochs[0].number,
			      newest->pool.epochs[0].tag);
			*error = "Split brain: two histories; name the one to keep with force_history";
			if (!pool->features.force_history)
				return -EINVAL;
			continue;
		}
		if (m->state == QBD_MEMBER_IN && qbd_epoch_known(&newest->pool,
								 supers[i].pool.epochs[0]))
			in |= BIT_ULL(i);
	}
	*missing = 0;
	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (newest->pool.members[i].state == QBD_MEMBER_IN && !(in & BIT_ULL(i)))
			*missing |= BIT_ULL(i);
	pool->members = newest->pool;
	pool->in = in;
	*error = "Members are missing that are not known to be out; see allow_degraded";
	if (*missing && !pool->features.allow_degraded && !pool->features.force_history)
		return -EINVAL;
	*error = "Not more than half of the members are there; force_history has to name the history";
	if (*missing && !pool->features.force_history && hweight64(in) <= hweight64(*missing))
		return -EINVAL;
	*error = "No ring member is there";
	if (!(pool->members.ring_members & in))
		return -EINVAL;
	return 0;
}
