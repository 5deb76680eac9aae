/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program says on stderr, and how it ends.
 */
#ifndef QBD_REPORT_H
#define QBD_REPORT_H

#include "words.h"

#include <stdlib.h>

enum qbd_exit {
	QBD_FINE = 0,
	QBD_FOUND = 1, /* degraded, or something was found */
	QBD_USAGE = 2,
	QBD_FAILED = 3,
};

void complain(const char *format, ...) __printf(1, 2);
void *need(void *memory);
void *grow(void *array, size_t nr, size_t size);

/**
 * new_array - zeroed memory for @n of a type; ends the program without it
 */
#define new_array(type, n) ((type *)need(calloc((n) + 1, sizeof(type))))

#endif
