/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a test ends badly: a failure, or a stall.
 *
 * Everything that waits has a time by which it must be over. One thread looks at
 * that; it tells what the pool, the kernel's log and the blocked tasks say, and
 * ends the program, and the kernel if the program cannot end.
 */
#ifndef REFERENCE_GUARD_H
#define REFERENCE_GUARD_H

#include "random.h"

/**
 * guard_start - begin to watch
 * @replay: the words that replay this run, for messages
 * @patience: seconds that a single I/O or command may take
 */
void guard_start(const char *replay, unsigned int patience);

/* More words for that, of what is being tried now. */
void guard_replay(const char *words);

/* Called by fail(), once, before the program ends; must not wait for the pool. */
extern void (*guard_on_fail)(void);

/* What the main thread does next, and that it must be over within @factor patiences. */
void guard_stage(unsigned int factor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An I/O begins, in a slot of its own; guard_io_end() when it is over. */
void guard_io_begin(unsigned int slot, const char *what, u64 first, u32 nr);
void guard_io_end(unsigned int slot);

/* Print what happened, with the state of pool and kernel, and exit with 1. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A line of progress. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define GUARD_SLOTS 256

#endif
