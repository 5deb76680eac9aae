// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages and status lines; include/qbd/abi.h has their words and fields.
 *
 * A message that is wrong in any way says in the kernel log what was wrong, and
 * changes nothing.
 */
#include <linux/ctype.h>
#include <linux/slab.h>

#include "qbd.h"

/* How long a message that needs the ring waits for it. */
#define STALL_PATIENCE	(5 * HZ)

static int refuse(struct qbd_pool *pool, const char *message, const char *why, int err)
{
	DMERR("%s: message %s: %s", pool->members.pool_name, message, why);
	return err ?: -EINVAL;
}

/* Chunks of a layer, by how they are. */
struct counts {
	u64 whole;
	u64 degraded;
	u64 stale;
	u64 lost;
	unsigned int losses;	/* how many more any chunk can take */
};

static void count_chunks(struct qbd_layer *layer, struct counts *c)
{
	struct qbd_pool *pool = layer->pool;
	u64 in = READ_ONCE(pool->in);
	struct qbd_map *map;
	unsigned long n;

	memset(c, 0, sizeof(*c));
	c->losses = layer->policy.m;
	for (n = 0;; n++) {
		unsigned int l, good = 0;
		bool stale = false;

		spin_lock(&pool->map_lock);
		map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
		for (l = 0; map && l < map->nr_legs; l++) {
			u64 leg = map->legs[l], bit = BIT_ULL(qbd_leg_backend(leg));

			if (leg == QBD_LEG_NONE || !(in & bit))
				continue;
			if (qbd_leg_state(leg) == QBD_SLOT_LIVE && (map->insync & bit))
				good++;
			else
				stale = true;
		}
		spin_unlock(&pool->map_lock);
		if (!map)
			break;
		if (good == map->nr_legs)
			c->whole++;
		else if (good < layer->policy.k)
			c->lost++;
		else if (stale)
			c->stale++;
		else
			c->degraded++;
		c->losses = min(c->losses, good > layer->policy.k ? good - layer->policy.k : 0u);
		if (!(n % 1024))
			cond_resched();
	}
	/* What a chunk that is made now could lose. */
	if (!layer->nr_allocated)
		c->losses = min_t(unsigned int, layer->policy.m,
				  max_t(int, hweight64(in) - layer->policy.k, 0));
}

static void policy_name(const struct qbd_policy *p, char *name, size_t size)
{
	if (p->kind == QBD_REPLICAS)
		snprintf(name, size, "replicas=%u", p->m + 1);
	else
		snprintf(name, size, "ec=%u+%u", p->k, p->m);
}

static int parse_policy(const char *word, struct qbd_policy *p)
{
	unsigned int a, b;
	char end;

	/* Two digits: %u alone takes 4294967298 for 2. */
	if (sscanf(word, "replicas=%2u%c", &a, &end) == 1 && a >= 1 && a <= QBD_MAX_REPLICAS) {
		p->kind = QBD_REPLICAS;
		p->k = 1;
		p->m = a - 1;
		return 0;
	}
	if (sscanf(word, "ec=%2u+%2u%c", &a, &b, &end) == 2 && a >= 2 && a <= QBD_MAX_K &&
	    b >= 1 && b <= QBD_MAX_M) {
		p->kind = QBD_EC;
		p->k = a;
		p->m = b;
		return 0;
	}
	return -EINVAL;
}

static bool name_valid(const char *name)
{
	const char *c;

	if (!*name || strlen(name) >= QBD_NAME_SIZE || *name == '-')
		return false;
	for (c = name; *c; c++)
		if (!isalnum(*c) && !strchr("+_.-", *c))
			return false;
	/* A name that is a number could not be told from one. */
	return strspn(name, "0123456789") != strlen(name);
}

static int create_volume(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	struct qbd_volume_entry entry = { .policy.block_shift = 12 };
	const char *why;
	unsigned int i, bytes;
	int err;

	if (argc < 4)
		return refuse(pool, argv[0], "needs a name, a size in sectors and a policy", 0);
	if (!name_valid(argv[1]))
		return refuse(pool, argv[0], "not a name for a volume", 0);
	strscpy(entry.name, argv[1], sizeof(entry.name));
	if (kstrtou64(argv[2], 10, &entry.sectors) || !entry.sectors || entry.sectors % 8 ||
	    entry.sectors > QBD_MAX_VOLUME >> SECTOR_SHIFT)
		return refuse(pool, argv[0],
			      "size is not a number of sectors up to 16 TiB that 4 KiB divide", 0);
	if (parse_policy(argv[3], &entry.policy))
		return refuse(pool, argv[0],
			      "policy is neither replicas=1..8 nor ec=2..16+1..4", 0);
	for (i = 4; i < argc; i++) {
		if (!strncmp(argv[i], "tag=", 4)) {
			const char *tag = argv[i] + 4;

			if (!*tag || strlen(tag) >= QBD_TAGS_SIZE || entry.tag[0])
				return refuse(pool, argv[0],
					      "tag is empty, too long or there twice", 0);
			strscpy(entry.tag, tag, sizeof(entry.tag));
		} else if (!strncmp(argv[i], "block_size=", 11)) {
			if (kstrtouint(argv[i] + 11, 10, &bytes) || !is_power_of_2(bytes) ||
			    bytes < QBD_MIN_BLOCK || bytes > QBD_MAX_BLOCK)
				return refuse(pool, argv[0],
					      "block_size is not a power of two from 4096 to 65536",
					      0);
			entry.policy.block_shift = ilog2(bytes);
		} else {
			return refuse(pool, argv[0], "unknown word at the end", 0);
		}
	}
	err = qbd_volume_create(pool, &entry, &why);
	return err ? refuse(pool, argv[0], why, err) : 0;
}

static int fail_backend(struct qbd_pool *pool, unsigned int index)
{
	int err;

	if (index >= QBD_MAX_BACKENDS ||
	    pool->members.members[index].state == QBD_MEMBER_NONE)
		return refuse(pool, "fail", "no such backend in this pool", 0);
	if (!qbd_backend_in(pool, index))
		return refuse(pool, "fail", "backend is out", 0);
	err = qbd_member_out(pool, index);
	return err ? refuse(pool, "fail", err == -EBUSY ?
			    "backend holds last current legs, or the last ring" :
			    "the epoch cannot be written", err) : 0;
}

static int deadline(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	unsigned int index, ms;

	if (argc != 3 || kstrtouint(argv[1], 10, &index) || kstrtouint(argv[2], 10, &ms))
		return refuse(pool, argv[0], "needs the index of a backend and milliseconds", 0);
	if (ms > QBD_MAX_DEADLINE_MS)
		return refuse(pool, argv[0], "more than an hour", 0);
	if (index >= QBD_MAX_BACKENDS || !pool->backend[index])
		return refuse(pool, argv[0], "no such backend is open", 0);
	if (qbd_deadline_set(pool->backend[index], ms))
		return refuse(pool, argv[0], "out of memory", -ENOMEM);
	/* Also when it comes back. */
	pool->features.deadline_ms[index] = ms;
	return 0;
}

static int resync(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	unsigned int rate;

	if (argc == 2 && !strcmp(argv[1], "start")) {
		WRITE_ONCE(pool->resync.stop, false);
		/* Whoever looks at once sees that it runs. */
		WRITE_ONCE(pool->resync.running, true);
		queue_work(pool->repair_wq, &pool->resync_work);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "stop")) {
		WRITE_ONCE(pool->resync.stop, true);
		wake_up_all(&pool->resync_wait);
		flush_work(&pool->resync_work);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "rate") && !kstrtouint(argv[2], 10, &rate)) {
		WRITE_ONCE(pool->resync_rate, rate);
		qbd_pace_changed(pool);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "least") && !kstrtouint(argv[2], 10, &rate)) {
		WRITE_ONCE(pool->resync_least, rate);
		qbd_pace_changed(pool);
		return 0;
	}
	return refuse(pool, argv[0], "neither start, stop nor rate or least and a number", 0);
}

static int scrub(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "start")) {
		WRITE_ONCE(pool->scrub.stop, false);
		WRITE_ONCE(pool->scrub.running, true);
		queue_work(pool->repair_wq, &pool->scrub_work);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "stop")) {
		WRITE_ONCE(pool->scrub.stop, true);
		flush_work(&pool->scrub_work);
		return 0;
	}
	return refuse(pool, argv[0], "neither start nor stop", 0);
}

static int on_loss(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	bool queue = argc == 2 && !strcasecmp(argv[1], "queue");

	if (argc != 2 || (!queue && strcasecmp(argv[1], "error")))
		return refuse(pool, argv[0], "neither error nor queue", 0);
	WRITE_ONCE(pool->on_loss_queue, queue);
	if (!queue)
		qbd_parked_fail(pool);
	return 0;
}

/* A line of a list of volumes. */
static void emit_volume(struct qbd_volume *v, char *line, size_t size)
{
	char policy[24];

	policy_name(&v->top->policy, policy, sizeof(policy));
	snprintf(line, size, "%u %s %s %llu %s %u %s\n", v->entry.number, v->entry.name,
		 v->deleting ? "deleting" : "live", v->entry.sectors, policy,
		 v->top->block_size, v->entry.tag[0] ? v->entry.tag : "-");
}

static void emit_verify(struct qbd_volume *v, char *line, size_t size)
{
	struct counts c;

	count_chunks(v->top, &c);
	snprintf(line, size, "%u %s %llu %llu %llu %llu %u\n", v->entry.number, v->entry.name,
		 c.whole, c.degraded, c.stale, c.lost, c.losses);
}

static int each_volume(struct qbd_pool *pool, unsigned int argc, char **argv,
		       void (*emit)(struct qbd_volume *v, char *line, size_t size),
		       char *result, unsigned int maxlen)
{
	const unsigned int more = 24;	/* "more <number>" */
	char line[QBD_NAME_SIZE + QBD_TAGS_SIZE + 128];
	struct qbd_volume *v;
	unsigned int from = 0, sz = 0;
	unsigned long i;

	if (argc > 2 || (argc == 2 && kstrtouint(argv[1], 10, &from)))
		return refuse(pool, argv[0], "at most a number to begin at", 0);
	*result = 0;
	mutex_lock(&pool->volume_mutex);
	xa_for_each(&pool->volumes, i, v) {
		if (v->entry.number < from)
			continue;
		emit(v, line, sizeof(line));
		if (sz + strlen(line) + more > maxlen) {
			scnprintf(result + sz, maxlen - sz, "more %u\n", v->entry.number);
			break;
		}
		sz += scnprintf(result + sz, maxlen - sz, "%s", line);
	}
	mutex_unlock(&pool->volume_mutex);
	return 1;
}

/* Legs on each backend that is in and that are not in sync. */
static void count_stale(struct qbd_pool *pool, u64 *stale)
{
	u64 in = READ_ONCE(pool->in);
	struct qbd_layer *layer;
	struct qbd_map *map;
	unsigned long i, n;
	unsigned int l;

	memset(stale, 0, QBD_MAX_BACKENDS * sizeof(*stale));
	xa_for_each(&pool->layers, i, layer) {
		for (n = 0;; n++) {
			spin_lock(&pool->map_lock);
			map = xa_find(&layer->map, &n, ULONG_MAX, XA_PRESENT);
			for (l = 0; map && l < map->nr_legs; l++) {
				u64 leg = map->legs[l], bit = BIT_ULL(qbd_leg_backend(leg));

				if (leg != QBD_LEG_NONE &&
				    (!(in & bit) || !(map->insync & bit) ||
				     qbd_leg_state(leg) != QBD_SLOT_LIVE))
					stale[qbd_leg_backend(leg)]++;
			}
			spin_unlock(&pool->map_lock);
			if (!map)
				break;
			if (!(n % 1024))
				cond_resched();
		}
	}
}

static int backends(struct qbd_pool *pool, char *result, unsigned int maxlen)
{
	u64 stale[QBD_MAX_BACKENDS];
	unsigned int i, sz = 0;

	count_stale(pool, stale);
	*result = 0;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *m = &pool->members.members[i];
		struct qbd_backend *b = pool->backend[i];
		bool in = READ_ONCE(pool->in) & BIT_ULL(i);

		if (m->state == QBD_MEMBER_NONE)
			continue;
		DMEMIT("%u %pUb ", i, m->uuid);
		if (b && b->bdev.bdev)
			DMEMIT("%u:%u ", MAJOR(b->bdev.bdev->bd_dev),
			       MINOR(b->bdev.bdev->bd_dev));
		else
			DMEMIT("- ");
		DMEMIT("%s %u %u %u %u %llu", in ? "in" : "out", !in && b, m->out_epoch,
		       b ? b->geometry.nr_slots : 0, b && b->owners ? b->nr_free : 0, stale[i]);
		DMEMIT(" %llu %llu %llu %llu",
		       b ? (u64)atomic64_read(&b->stats.read_errors) : 0,
		       b ? (u64)atomic64_read(&b->stats.write_errors) : 0,
		       b ? (u64)atomic64_read(&b->stats.csum_errors) : 0,
		       b ? (u64)atomic64_read(&b->stats.repaired) : 0);
		DMEMIT(" %u %llu %u %s\n", b ? b->deadline_ms : 0,
		       b ? READ_ONCE(b->timeouts) : 0, b ? qbd_backend_orphans(b) : 0,
		       m->tags[0] ? m->tags : "-");
	}
	return 1;
}

/* How backends are doing; latency.c and limit.c tell what that is. */
static int limits(struct qbd_pool *pool, char *result, unsigned int maxlen)
{
	unsigned int i, sz = 0, held, outs;
	u32 p50, p99;

	*result = 0;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		struct qbd_backend *b = pool->backend[i];

		if (pool->members.members[i].state == QBD_MEMBER_NONE)
			continue;
		p50 = 0;
		p99 = 0;
		if (b)
			qbd_latency_get(b, &p50, &p99);
		held = qbd_limit_held(pool, i, &outs);
		DMEMIT("%u %s %u %u %u %u %u\n", i,
		       !qbd_backend_in(pool, i) ? "out" :
		       READ_ONCE(pool->slow) & BIT_ULL(i) ? "slow" : "ok",
		       p50, p99, b ? qbd_limit_errors(b) : 0, outs, held);
	}
	return 1;
}

/* Settings that are one number. */
static int set_number(struct qbd_pool *pool, unsigned int argc, char **argv, u32 *setting,
		      unsigned int most)
{
	unsigned int value;

	if (argc != 2 || kstrtouint(argv[1], 10, &value) || value > most)
		return refuse(pool, argv[0], "needs a number that is not too large", 0);
	WRITE_ONCE(*setting, value);
	return 0;
}

static int error_limit(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	unsigned int limit, seconds;

	if (argc != 3 || kstrtouint(argv[1], 10, &limit) || kstrtouint(argv[2], 10, &seconds) ||
	    !seconds || seconds > QBD_MAX_SECONDS)
		return refuse(pool, argv[0], "needs a number and a number of seconds", 0);
	WRITE_ONCE(pool->features.error_limit, limit);
	WRITE_ONCE(pool->features.error_seconds, seconds);
	return 0;
}

/* What does not change anything. Return: as message(), or -ENOENT: it does. */
static int query(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
		 unsigned int maxlen)
{
	if (!strcasecmp(argv[0], "volumes"))
		return each_volume(pool, argc, argv, emit_volume, result, maxlen);
	if (!strcasecmp(argv[0], "verify"))
		return each_volume(pool, argc, argv, emit_verify, result, maxlen);
	if (!strcasecmp(argv[0], "backends") && argc == 1)
		return backends(pool, result, maxlen);
	if (!strcasecmp(argv[0], "limits") && argc == 1)
		return limits(pool, result, maxlen);
	return -ENOENT;
}

/* Settings, which hold until the pool stops. Return: as query(). */
static int set(struct qbd_pool *pool, unsigned int argc, char **argv)
{
	if (!strcasecmp(argv[0], "deadline"))
		return deadline(pool, argc, argv);
	if (!strcasecmp(argv[0], "error_limit"))
		return error_limit(pool, argc, argv);
	if (!strcasecmp(argv[0], "hold_off"))
		return set_number(pool, argc, argv, &pool->features.hold_off, QBD_MAX_SECONDS);
	if (!strcasecmp(argv[0], "slow_factor"))
		return set_number(pool, argc, argv, &pool->features.slow_factor, 1000000);
	if (argc != 1 || (strcasecmp(argv[0], "hedge=on") && strcasecmp(argv[0], "hedge=off")))
		return -ENOENT;
	WRITE_ONCE(pool->features.hedge, !strcasecmp(argv[0], "hedge=on"));
	return 0;
}

static int message(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen)
{
	const char *why;
	unsigned int index = QBD_MAX_BACKENDS;
	int err;

	err = query(pool, argc, argv, result, maxlen);
	if (err != -ENOENT)
		return err;
	if (READ_ONCE(pool->mode) == QBD_RO)
		return refuse(pool, argv[0], "the pool is read-only", -EROFS);
	if (READ_ONCE(pool->mode) != QBD_RW)
		return refuse(pool, argv[0], "the pool failed and has to be started anew", -EIO);
	if (!strcasecmp(argv[0], "on_loss"))
		return on_loss(pool, argc, argv);
	/* In an outage, too: it may be for a deadline that is too short. */
	err = set(pool, argc, argv);
	if (err != -ENOENT)
		return err;
	/* A backend may just have been let in, and be tried. */
	if (strcasecmp(argv[0], "readd") &&
	    !wait_event_timeout(pool->ring.wait, !READ_ONCE(pool->ring.stalled), STALL_PATIENCE))
		return refuse(pool, argv[0],
			      "backends that have the ring fail, and nothing can be recorded now",
			      -EIO);
	if (!strcasecmp(argv[0], "create_volume"))
		return create_volume(pool, argc, argv);
	if (!strcasecmp(argv[0], "remove_volume") && argc == 2) {
		err = qbd_volume_remove(pool, argv[1], &why);
		return err ? refuse(pool, argv[0], why, err) : 0;
	}
	if (!strcasecmp(argv[0], "hand_over") && argc == 1) {
		err = qbd_standby_hand_over(pool, &why);
		return err ? refuse(pool, argv[0], why, err) : 0;
	}
	if (!strcasecmp(argv[0], "checkpoint") && argc == 1)
		return qbd_destage_all(pool, NULL) ?: qbd_checkpoint(pool);
	if (!strcasecmp(argv[0], "resync"))
		return resync(pool, argc, argv);
	if (!strcasecmp(argv[0], "scrub"))
		return scrub(pool, argc, argv);
	if (!strcasecmp(argv[0], "fail") || !strcasecmp(argv[0], "readd") ||
	    !strcasecmp(argv[0], "replace")) {
		bool fail = !strcasecmp(argv[0], "fail");
		bool now = argc == 4 && !strcasecmp(argv[0], "readd") &&
			   !strcasecmp(argv[3], "now");

		argc -= now;
		if (argc != (fail ? 2 : 3) || kstrtouint(argv[1], 10, &index))
			return refuse(pool, argv[0], fail ? "needs the index of a backend" :
				      "needs the index of a backend and a device", 0);
		if (fail)
			return fail_backend(pool, index);
		err = !strcasecmp(argv[0], "readd") ?
		      qbd_member_readd(pool, index, argv[2], now, &why) :
		      qbd_member_replace(pool, index, argv[2], &why);
		return err ? refuse(pool, argv[0], why, err) : 0;
	}
	return refuse(pool, argv[0], "unknown, or wrong number of words", 0);
}

/* A pool in standby can be asked what its owner's tables say. */
static int standby_message(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
			   unsigned int maxlen)
{
	int err;

	mutex_lock(&pool->standby.mutex);
	mutex_lock(&pool->volume_mutex);
	err = qbd_standby_load(pool);
	mutex_unlock(&pool->volume_mutex);
	err = err ?: query(pool, argc, argv, result, maxlen);
	mutex_unlock(&pool->standby.mutex);
	return err == -ENOENT ? refuse(pool, argv[0], "the pool is in standby", -EBUSY) : err;
}

/**
 * qbd_pool_message - a message to a pool device. Sleeps.
 * @pool: the pool
 * @argc: how many words
 * @argv: the words
 * @result: where the answer goes
 * @maxlen: bytes of room in @result
 *
 * Return: 0; 1 when @result is the answer; an error.
 */
int qbd_pool_message(struct qbd_pool *pool, unsigned int argc, char **argv, char *result,
		     unsigned int maxlen)
{
	int err;

	if (!argc)
		return -EINVAL;
	if (READ_ONCE(pool->mode) == QBD_STANDBY) {
		err = standby_message(pool, argc, argv, result, maxlen);
		if (err != -EAGAIN)
			return err;
	}
	if (!READ_ONCE(pool->active))
		return refuse(pool, argv[0], "the pool is not running", 0);
	mutex_lock(&pool->message_mutex);
	err = message(pool, argc, argv, result, maxlen);
	mutex_unlock(&pool->message_mutex);
	return err;
}

static const char *progress_name(const struct qbd_progress *p)
{
	return READ_ONCE(p->running) ? "running" : READ_ONCE(p->stop) ? "stopped" : "idle";
}

/**
 * qbd_pool_status - the pool's status line
 * @pool: the pool
 * @result: where the answer goes
 * @maxlen: bytes of room in @result
 */
void qbd_pool_status(struct qbd_pool *pool, char *result, unsigned int maxlen)
{
	static const char *const modes[] = { "rw", "ro", "failed", "standby" };
	static const char *const journals[] = { "off", "on", "full" };
	u64 stale[QBD_MAX_BACKENDS];	/* no memory is needed to say how things are */
	struct qbd_ring *ring = &pool->ring;
	u64 in = READ_ONCE(pool->in), used, total, degraded = 0;
	u64 journal = qbd_journal_devices(&pool->members);
	char health[QBD_MAX_BACKENDS + 1] = "";
	unsigned int i, last = 0, sz = 0, volumes = 0;
	struct qbd_layer *layer;
	struct qbd_volume *v;
	unsigned long n;
	bool standby = READ_ONCE(pool->mode) == QBD_STANDBY;
	struct counts c;

	*result = 0;
	memset(stale, 0, sizeof(stale));
	if (!standby)
		count_stale(pool, stale);
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		bool member = pool->members.members[i].state != QBD_MEMBER_NONE;

		health[i] = !member ? QBD_HEALTH_NONE :
			    in & READ_ONCE(pool->kept) & BIT_ULL(i) ? QBD_HEALTH_KEPT :
			    in & BIT_ULL(i) ? stale[i] ? QBD_HEALTH_RESYNC : QBD_HEALTH_WHOLE :
			    pool->backend[i] ? QBD_HEALTH_SUSPECT : QBD_HEALTH_OUT;
		if (member)
			last = i;
	}
	health[last + 1] = 0;
	/* In standby these come and go with each look at the owner's tables. */
	if (!standby)
		xa_for_each(&pool->layers, n, layer) {
			count_chunks(layer, &c);
			degraded += c.degraded + c.stale + c.lost;
		}
	if (!standby)
		xa_for_each(&pool->volumes, n, v)
			volumes++;
	qbd_slots_sum(pool, &used, &total);
	DMEMIT("%s %s %u:%016llx %pUb %u %llu/%llu %u %llu %llu %llu/%u %llu",
	       modes[READ_ONCE(pool->mode)], health, pool->members.epochs[0].number,
	       pool->members.epochs[0].tag, pool->members.pool_uuid,
	       pool->members.extent_size >> SECTOR_SHIFT, used, total, volumes,
	       pool->nr_chunks, degraded, ring->next_block - ring->durable_tail,
	       ring->capacity, (u64)atomic64_read(&pool->checkpoints));
	DMEMIT(" resync %s %llu/%llu %llu", progress_name(&pool->resync),
	       (u64)atomic64_read(&pool->resync.done), (u64)atomic64_read(&pool->resync.todo),
	       (u64)atomic64_read(&pool->resync.bytes));
	DMEMIT(" scrub %s %llu/%llu %llu %llu %llu", progress_name(&pool->scrub),
	       (u64)atomic64_read(&pool->scrub.done), (u64)atomic64_read(&pool->scrub.todo),
	       (u64)atomic64_read(&pool->scrub.bad),
	       (u64)atomic64_read(&pool->blocks_repaired),
	       (u64)atomic64_read(&pool->blocks_lost));
	DMEMIT(" journal %s %u %llu", journals[pool->members.journal],
	       READ_ONCE(pool->journal.nr_rows), (u64)atomic64_read(&pool->journal.destaged));
	DMEMIT(" lease %s %u", qbd_owner_status(pool), pool->members.lease_ms);
	DMEMIT(" on_loss %s %llx %u", READ_ONCE(pool->on_loss_queue) ? "queue" : "error",
	       READ_ONCE(pool->kept), READ_ONCE(pool->nr_parked));
	DMEMIT(" hedge %s %llu %llu", READ_ONCE(pool->features.hedge) ? "on" : "off",
	       (u64)atomic64_read(&pool->hedged), (u64)atomic64_read(&pool->hedges_won));
	DMEMIT(" journal_devs %u/%u", (unsigned int)hweight64(journal & in),
	       (unsigned int)hweight64(journal));
	DMEMIT(" reconcile %s %llu/%llu", progress_name(&pool->reconcile),
	       (u64)atomic64_read(&pool->reconcile.done),
	       (u64)atomic64_read(&pool->reconcile.todo));
}

/**
 * qbd_volume_status - a volume's status line
 * @v: the volume
 * @result: where the answer goes
 * @maxlen: bytes of room in @result
 */
void qbd_volume_status(struct qbd_volume *v, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;
	char policy[24];
	struct counts c;

	count_chunks(v->top, &c);
	policy_name(&v->top->policy, policy, sizeof(policy));
	DMEMIT("%s %llu/%u %llu %llu %s %u",
	       c.lost || READ_ONCE(v->top->pool->mode) == QBD_FAILED ? "failed" :
	       c.degraded || c.stale ? "degraded" : "ok",
	       v->top->nr_allocated, v->top->nr_chunks, c.degraded + c.stale, c.lost, policy,
	       v->top->block_size);
}
