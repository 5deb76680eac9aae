/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened to a pool while the recorder ran, by the recorder's clock: what
 * volumes there were when, what they must hold, who was out.
 *
 * Times: a thing that began at b and was answered at e has an effect at an instant
 * T only if b <= T, and must have it if e <= T.
 */
#ifndef CUTS_RECORDING_H
#define CUTS_RECORDING_H

#include "load.h"
#include "pool.h"

#define RECORDING_VOLUMES 24
#define RECORDING_OUTAGES 64

/* A volume: the model of what was written, and one that follows it to the cut. */
struct recorded_volume {
	char name[40];
	const struct policy *policy;
	u32 sectors;
	u64 create_began, created;	/* NEVER: not */
	u64 remove_began, removed;
	struct model *live;
	struct model at;
};

struct outage {
	unsigned int backend;
	bool broken;	/* its disk fails; else the pool was told */
	u64 fail_began, failed;
	u64 return_began, whole;
};

struct recording {
	struct policy *policies;	/* of the volumes that the load uses */
	unsigned int nr_policies;
	unsigned int nr_disks;
	unsigned int tolerance;		/* losses that every policy takes */
	const char *extent;
	const char *journal;	/* NULL: off */

	struct recorded_volume volumes[RECORDING_VOLUMES];
	unsigned int nr_volumes;
	struct outage outages[RECORDING_OUTAGES];
	unsigned int nr_outages;
	u64 begin, end;
};

#define NEVER (~0ull)

/*
 * A new pool, @requests requests to its volumes, and everything else that goes on
 * at the same time as @words say: any of "ckpt", "side", "out", "scrub".
 */
void recording_make(struct recording *r, struct random *numbers, unsigned int requests,
		    const char *words);
void recording_free(struct recording *r);

/* A recording by hand: begin, what happens, end. */
void recording_begin(struct recording *r, struct random *numbers);
void recording_end(struct recording *r);
/* The volumes are for others to open: one that is open for writing cannot be mounted. */
void recording_leave(struct recording *r);
/* What was before leads to this, and is not cut. */
void recording_cut_from_here(struct recording *r);
/* One thing of what @words say, as above. */
void recording_go_on(struct recording *r, struct random *numbers, const char *words);
/* A message to the pool. */
void recording_message(const char *message);
/* Take a backend out: tell the pool, or have its disk fail all I/O. */
struct outage *recording_lose(struct recording *r, unsigned int backend, bool broken);
void recording_return(struct outage *o);
/* Until nothing is missing any more. */
void recording_wait_whole(struct recording *r);
/* A volume that comes and goes: make it; write to it, now and then with a flush; remove it. */
void recording_side_create(struct recording *r, struct random *numbers);
void recording_side_write(struct random *numbers);
void recording_side_remove(void);
/* To the first volume: a write, a discard, a flush. In sectors. */
void recording_write(u32 first, u32 nr);
void recording_discard(u32 first, u32 nr);
void recording_flush(void);

#endif
