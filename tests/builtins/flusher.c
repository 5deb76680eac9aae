// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that others wait for to write back their memory.
 */
#include "shell.h"

#include <string.h>
#include <sys/prctl.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* io_flusher: this shell, and what it starts, is one of them (prctl(2), PR_SET_IO_FLUSHER) */
static int io_flusher_builtin(WORD_LIST *list)
{
	if (!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		return test_end(EXECUTION_SUCCESS);
	fprintf(stderr, "io_flusher: %s\n", strerror(errno));
	return test_end(EXECUTION_FAILURE);
}

TEST_BUILTIN(io_flusher, "io_flusher", "Have what is started from here write back for others.");
