/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables for people: columns as wide as their widest cell.
 */
#ifndef QBD_TEXT_H
#define QBD_TEXT_H

#include "words.h"

#include <stdio.h>

#define TEXT_COLUMNS 16

struct text_table {
	char **cells; /* row after row */
	unsigned int nr_cells;
	unsigned int columns;
	bool right[TEXT_COLUMNS];
};

void text_begin(struct text_table *table, const char *const *columns);
void text_cell(struct text_table *table, const char *format, ...) __printf(2, 3);
void text_print(struct text_table *table, FILE *out);

#endif
