/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pools that a scan found: its devices, put together by their pool's UUID.
 */
#ifndef QBD_POOLS_H
#define QBD_POOLS_H

#include "scan.h"

struct pools {
	struct qbd_scan *all; /* each of one pool; paths belong to the scan */
	unsigned int nr;
};

void pools_group(const struct qbd_scan *scan, struct pools *pools);
const struct qbd_super *pools_super(const struct qbd_scan *group);
void pools_free(struct pools *pools);

#endif
