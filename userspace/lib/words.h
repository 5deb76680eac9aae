/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * More words of the kernel that the tool and its tests use.
 */
#ifndef QBD_WORDS_H
#define QBD_WORDS_H

#include <qbd/types.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define __printf(format, first) __attribute__((__format__(printf, format, first)))

/**
 * strscpy - copy a string, as much as fits; @to always ends in a 0
 */
static inline void strscpy(char *to, const char *from, size_t size)
{
	size_t n = strlen(from);

	if (n >= size)
		n = size - 1;
	memcpy(to, from, n);
	to[n] = 0;
}

#endif
