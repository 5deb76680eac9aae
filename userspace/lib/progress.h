/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A job of the kernel from its start to its end, with its rate and the time that is left.
 */
#ifndef QBD_PROGRESS_H
#define QBD_PROGRESS_H

#include "live.h"

enum progress_job {
	PROGRESS_RESYNC,
	PROGRESS_SCRUB,
};

int progress_run(const struct live_pool *pool, enum progress_job job, bool quiet,
		 struct live_status *last);
void progress_line(enum progress_job job, const struct live_job *state, double seconds,
		   u64 done_before, u64 count_before, char *line, size_t size);

#endif
