// SPDX-License-Identifier: GPL-2.0-only
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/**
 * complain - one line on stderr, with the program's name before it
 *
 * Written at once, so that it stays whole beside other programs' lines.
 */
void complain(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, text ? text : format);
	free(text);
}

/**
 * need - @memory, or the end of the program where there is none
 */
void *need(void *memory)
{
	if (!memory) {
		complain("out of memory");
		exit(QBD_FAILED);
	}
	return memory;
}

/**
 * grow - room for one more in an array that only grows by one
 * @nr: how many it has; its room doubles whenever that is a power of two
 * @size: of each
 *
 * Return: the array, which may have moved.
 */
void *grow(void *array, size_t nr, size_t size)
{
	if (nr & (nr - 1))
		return array;
	return need(reallocarray(array, nr ? 2 * nr : 1, size));
}
