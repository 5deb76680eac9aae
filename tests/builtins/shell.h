/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Builtins of bash for the tests: what tests do all the time, without a process. In a user-mode kernel
 * a process costs 20 to 50 ms, and twice that in its debug variant.
 */
#ifndef QBD_TEST_SHELL_H
#define QBD_TEST_SHELL_H

/* Bash's own, first: its config.h says what the others offer. */
#include <config.h>
#include <builtins.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define EXECUTION_SUCCESS 0
#define EXECUTION_FAILURE 1
/* Not for the builtin: the program of that name knows. */
#define TEST_ELSEWHERE 125

ssize_t test_read(int fd, void *data, size_t size);
bool test_write(int fd, const void *data, size_t size);
int test_end(int rc);

/* What bash looks for when it enables the builtin NAME: its function is NAME_builtin(). */
#define TEST_BUILTIN(builtin_name, usage, what)                   \
	static char *const builtin_name##_doc[] = { what, NULL }; \
	struct builtin builtin_name##_struct = {                  \
		.name = #builtin_name,                            \
		.function = builtin_name##_builtin,               \
		.flags = BUILTIN_ENABLED,                         \
		.long_doc = builtin_name##_doc,                   \
		.short_doc = usage,                               \
	}

#endif
