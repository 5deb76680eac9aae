/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What uses a volume while it is recorded, and knows by itself what must be there
 * after a cut: a filesystem, fio.
 */
#ifndef CUTS_CLIENT_H
#define CUTS_CLIENT_H

#include "random.h"

/**
 * struct client - one of them
 * @prepare: before the recording
 * @work: in a process of its own; what @check is to know it puts into memory that
 *	is shared
 * @check: after a cut at an instant
 */
struct client {
	const char *name;
	void (*prepare)(const char *device, u64 seed);
	void (*work)(const char *device, u64 seed);
	void (*check)(const char *device, u64 at);
};

extern const struct client client_ext4, client_fio;

/* Zeroed memory that a child shares. */
void *client_memory(size_t size);

#endif
