/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making a running pool whole again.
 */
#ifndef QBD_REPAIR_H
#define QBD_REPAIR_H

#include "live.h"

struct repair {
	unsigned int readmitted; /* backends let in again */
	unsigned int out; /* still out, with a device or without */
	u64 chunks; /* rebuilt */
	bool whole; /* all chunks of all volumes */
	bool lost; /* chunks that cannot be read */
};

int repair_pool(const struct live_pool *pool, bool wait, bool quiet, struct repair *repair);
int repair_readmit(const struct live_pool *pool, struct repair *repair);
void repair_sentence(const struct repair *repair, char *text, size_t size);

#endif
