/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users' I/O: bios to a volume's target, and where they go.
 */
#ifndef QBD_IO_H
#define QBD_IO_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

#include "pool.h"

struct qbd_layer;
struct qbd_volume;

#define QBD_FAST_READ	(16u << 10)	/* verified in the completion up to here */

enum qbd_leaving {
	QBD_STAYS,
	QBD_REQUEUE,	/* dm takes back what would wait */
	QBD_FAILS,	/* it fails */
};

/* What parked.c knows of a volume's target. */
struct qbd_target {
	struct qbd_pool *pool;
	enum qbd_leaving leaving;
};

/*
 * A user's bio: dm's per-bio data. times, recovered: the pool's when it began; unread:
 * backends that failed reads for it; doubted: those that were asked for that, since
 * any was kept.
 */
struct qbd_io {
	struct qbd_target *target;
	struct qbd_volume *volume;
	u64 unread;
	u64 doubted;
	u32 times;
	u32 recovered;
	struct bvec_iter iter;	/* as it came: completion advances the bio's own */
	enum pace_phase phase;
	u32 steps;		/* of resync that had begun, if it is timed */
	u64 start_ns;		/* likewise */
	struct work_struct work;
};

static inline struct bio *qbd_io_bio(struct qbd_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

/* target.c */
void qbd_targets_attach(struct qbd_pool *pool);

/* parked.c */
void qbd_parked_init(struct qbd_pool *pool);
int qbd_io_start(struct qbd_io *io);
bool qbd_io_end(struct qbd_io *io, int err);
void qbd_parked_go(struct qbd_pool *pool);
void qbd_parked_fail(struct qbd_pool *pool);
void qbd_parked_leave(struct qbd_target *t, enum qbd_leaving leaving);

/* read.c, write.c, discard.c */
int qbd_read_map(struct qbd_io *io);
int qbd_write_map(struct qbd_io *io);
int qbd_write_zeros(struct qbd_layer *layer, sector_t sector, u64 bytes, u64 *unread);
int qbd_discard_map(struct qbd_io *io);

/* pace.c */

/* A user's I/O begins; in map(), before anything can end it. */
static inline void qbd_pace_user_begins(struct qbd_pool *pool, struct qbd_io *io, bool timed)
{
	io->phase = timed ? READ_ONCE(pool->pace.phase) : PACE_UNTIMED;
	if (io->phase != PACE_UNTIMED) {
		io->steps = READ_ONCE(pool->pace.steps);
		io->start_ns = ktime_get_ns();
	}
	this_cpu_inc(pool->pace.cpu->begun);
}

/* It ended, or was not taken. */
static inline void qbd_pace_user_ends(struct qbd_pool *pool, struct qbd_io *io)
{
	if (io->phase != PACE_UNTIMED) {
		/* One that began in a pause may have waited for the next step. */
		if (io->steps != READ_ONCE(pool->pace.steps))
			io->phase = PACE_STEP;
		this_cpu_add(pool->pace.cpu->ns[io->phase], ktime_get_ns() - io->start_ns);
		this_cpu_inc(pool->pace.cpu->timed[io->phase]);
	}
	this_cpu_inc(pool->pace.cpu->ended);
}

#endif
