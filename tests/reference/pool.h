/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pool "ref" and what lies below it: backend i is the linear device ref-leg<i>
 * over a disk, whose table can be swapped for one that fails all I/O.
 */
#ifndef REFERENCE_POOL_H
#define REFERENCE_POOL_H

#include "random.h"

#define POOL_NAME "ref"
#define POOL_BACKENDS 64

struct pool_status {
	char mode[16];
	char health[80];
	char tag[20];	/* of the epoch */
	unsigned long long degraded;
	char resync[16];
	unsigned long long resync_done;
	unsigned long long resync_todo;
	char scrub[16];
	unsigned long long scrub_done;
	unsigned long long scrub_todo;
	unsigned long long bad;
	unsigned long long repaired;
	unsigned long long lost;
	unsigned long long kept; /* backends that fail and have to stay in */
};

/* Make the legs over @disks, empty. */
void pool_legs_create(char **disks, unsigned int nr);
void pool_legs_remove(void);
/* Fail all I/O to these from now on, or no longer. @atomic: nothing reaches one of
 * them after another failed. */
void pool_legs_fail(u64 which, bool atomic);
void pool_legs_heal(u64 which);
void pool_leg_wipe(unsigned int index);
const char *pool_leg(unsigned int index);

/* Run a command; its output is printed if it fails. Returns its exit status. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void must_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A message to the pool. Returns 0 or an error; the answer, if wanted, in @reply. */
int pool_message(char *reply, unsigned int size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void pool_status(struct pool_status *status);
/* The same, but false where it cannot be had. */
bool pool_try_status(struct pool_status *status);
/* How many checksum errors the backends showed. */
u64 pool_csum_errors(void);

/* What a volume keeps of its blocks. */
struct policy {
	unsigned int k;
	unsigned int m;
	bool ec;
	unsigned int block;	/* bytes */
	unsigned int mib;
	char words[40];		/* of the message that creates the volume */
};

/* A word "replicas=R,BLOCK,MIB" or "ec=K+M,BLOCK,MIB"; it ends all if it is neither. */
void policy_parse(struct policy *p, const char *word);

#endif
