/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O to volumes, compared with their models.
 *
 * One thread makes requests from a seed, one after another; a pool of threads
 * carries them out with O_DIRECT, so that many are in flight. A request that
 * writes waits until no other write to one of its sectors is in flight; reads
 * wait for nothing: what a read gives in a sector is the sector's value when it
 * began, or that of a write that was in flight meanwhile.
 */
#ifndef REFERENCE_LOAD_H
#define REFERENCE_LOAD_H

#include "model.h"

#define LOAD_VOLUMES 4
#define LOAD_DEPTH 24
#define LOAD_MAX_SECTORS 4096 /* of one read or write */

struct load_volume {
	struct model model;
	char path[96];
	int fd;
};

/* At most so many sectors a write, and so many flushes of 100 requests (3 if not said). */
void load_shape(u32 most, unsigned int flushes);
/* Start the threads. */
void load_init(u64 seed);
/* Use these volumes from now on; opens and closes are the caller's. */
void load_use(struct load_volume *volumes, unsigned int nr);

/* Begin to make requests, until load_stop(); at least @least of them. */
void load_begin(void);
void load_end(unsigned int least);
/* @nr requests, and wait for their end. */
void load_run(unsigned int nr);
/* From now on requests may fail: the first that does ends the making of requests. */
void load_expect_failure(void);
/* Wait for one that fails, and until nothing is in flight. */
void load_wait_failure(void);
/* How many requests were made. */
u64 load_made(void);

/* Read all of all volumes, and compare. */
void load_check(void);
/*
 * The same after writes of which it is not known whether they are there; what is
 * found is what must stay. Returns the number of blocks that are lost.
 */
u64 load_find(bool adopt);
/* Write the lost blocks anew. */
void load_mend(void);
void load_flush(void);

#endif
