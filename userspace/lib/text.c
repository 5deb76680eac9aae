// SPDX-License-Identifier: GPL-2.0-only
#include "text.h"
#include "report.h"

#include <stdarg.h>
#include <string.h>

static void add_cell(struct text_table *t, char *cell)
{
	t->cells = need(realloc(t->cells, (t->nr_cells + 1) * sizeof(*t->cells)));
	t->cells[t->nr_cells++] = cell;
}

/**
 * text_begin - start a table with its header
 * @columns: at most TEXT_COLUMNS, then NULL; one that begins with ">" is numbers
 */
void text_begin(struct text_table *table, const char *const *columns)
{
	memset(table, 0, sizeof(*table));
	for (; columns[table->columns]; table->columns++) {
		const char *name = columns[table->columns];

		table->right[table->columns] = *name == '>';
		add_cell(table, need(strdup(name + (*name == '>'))));
	}
}

/**
 * text_cell - the next cell; after the last of a row comes the next row
 */
void text_cell(struct text_table *table, const char *format, ...)
{
	char *cell = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&cell, format, args) < 0)
		cell = NULL;
	va_end(args);
	add_cell(table, need(cell));
}

/**
 * text_print - write the table, and free it
 */
void text_print(struct text_table *table, FILE *out)
{
	size_t width[TEXT_COLUMNS] = {};
	unsigned int i, column;

	for (i = 0; i < table->nr_cells; i++) {
		column = i % table->columns;
		if (strlen(table->cells[i]) > width[column])
			width[column] = strlen(table->cells[i]);
	}
	for (i = 0; i < table->nr_cells; i++) {
		column = i % table->columns;
		if (table->right[column])
			fprintf(out, "%*s", (int)width[column], table->cells[i]);
		else if (column + 1 == table->columns)
			fputs(table->cells[i], out);
		else
			fprintf(out, "%-*s", (int)width[column], table->cells[i]);
		fputs(column + 1 == table->columns ? "\n" : "  ", out);
		free(table->cells[i]);
	}
	free(table->cells);
	memset(table, 0, sizeof(*table));
}
