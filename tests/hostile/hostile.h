/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two parts of the test of hostile input share: images, and words. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "recording.h"

struct hostile_counts {
	u64 refused;
	u64 taken;
};

/*
 * One image: what the disks hold at the instant @at, with some bytes changed and their
 * checksums put right. It may be refused; if it is taken, everything is asked of it.
 */
void image_try(const struct recording *r, u64 at, struct random *numbers,
	       struct hostile_counts *counts);

/*
 * @nr table lines of pools, then messages to one, and table lines of volumes: valid ones with
 * some words changed. What is refused changed nothing; not a byte was written for it.
 */
void words_try(const struct recording *r, unsigned int nr, struct random *numbers,
	       struct hostile_counts *counts);

/* Nothing that the kernel reports by a flag: a warning, a bad page, an oops. */
void no_report(void);
/* A device-mapper device, made or not: 0 or an errno. */
int device_make(const char *name, const char *target, u64 sectors, const char *params);
int device_remove(const char *name);
/* A message of any length. */
int device_message(const char *name, const char *message, char *reply, size_t size);
/* Until the pool does nothing by itself. */
void wait_idle(void);

#endif
