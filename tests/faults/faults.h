/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's fault injection: one failure, of the Nth call of a kind.
 *
 * What this program does itself is counted by fail-nth of its own task. What the
 * pool's workers do is counted by the capability's "space", which each call takes
 * its size from; it is limited to the workers of the kernel, so that this program
 * and its commands live on.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "random.h"

enum fault {
	FAULT_SLAB,	/* kmalloc and the like */
	FAULT_PAGE,	/* pages */
	FAULT_REQUEST,	/* requests to the backends */
	NR_FAULTS,
};

extern const char *const fault_names[NR_FAULTS];

/* Once, with the disks below the pool; fails where the kernel has no such thing. */
void faults_init(char **disks, unsigned int nr);
/* The @nth call from now on fails: of this task, and of the workers. */
void fault_arm(enum fault fault, unsigned int nth);
/* No more failures. Returns whether there was one. */
bool fault_disarm(void);

#endif
