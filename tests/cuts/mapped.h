/* SPDX-License-Identifier: GPL-2.0-only */
/* The pool over the recorder's disks, and its volumes, as device-mapper devices. */
#ifndef CUTS_MAPPED_H
#define CUTS_MAPPED_H

#include "random.h"

/* 0, or the errno with which the kernel refused it. @absent: disks left out. */
int mapped_pool_start(unsigned int disks, u64 absent, const char *features);
void mapped_pool_stop(void);
/* Let a backend in again; waits for what it still has in flight. */
void mapped_readd(unsigned int backend);
/* Returns a descriptor for O_DIRECT. */
int mapped_volume_open(const char *name, u32 sectors);
void mapped_volume_close(const char *name, int fd);

#endif
