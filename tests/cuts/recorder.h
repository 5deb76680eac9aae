/* SPDX-License-Identifier: GPL-2.0-only */
/* The recorder of tests/kmod/cuts; cuts.h there tells what it does. */
#ifndef CUTS_RECORDER_H
#define CUTS_RECORDER_H

#include <cuts.h>

#include "random.h"

void recorder_open(void);
/* The number of the next event, by a look into memory. */
extern const volatile u64 *recorder_clock;

void recorder_reset(void);
void recorder_crash(u64 at, u64 seed);
void recorder_back(void);
void recorder_delay(u64 seed);
void recorder_fail(u64 disks);
/* Tell what the last cut was, and copy what the disks held then to files in @dir. */
void recorder_keep(const char *dir, unsigned int disks);
struct cuts_info recorder_info(void);
/* The kinds of all events of this level, and how many; to be freed. */
char *recorder_kinds(u64 *nr);

#endif
