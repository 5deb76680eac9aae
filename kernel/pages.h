/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata pages, and the tables of volumes and layers, which are made of them.
 */
#ifndef QBD_PAGES_H
#define QBD_PAGES_H

#include <linux/types.h>

#include <qbd/format.h>

#include "bio.h"

struct qbd_backend;
struct qbd_pool;

#define QBD_PAGES_GROUP	64

/* Writes metadata pages in groups. */
struct qbd_pages {
	u8 *buffers;
	unsigned int nr;
	u64 failed;
	struct qbd_wait wait;
};

/* A volume or layer table: small, whole in memory, the same on all backends. */
struct qbd_table {
	u32 type;
	u32 nr_pages;
	struct qbd_table_page {
		u64 lsn;
		bool dirty;
		u8 *payload;
		u32 round;		/* in which it was written last */
		u64 sent;		/* to these backends */
		u64 seq[QBD_MAX_BACKENDS];	/* of each backend's copy */
	} *pages;
};

/* pages.c */
int qbd_pages_init(struct qbd_pages *out);
void qbd_pages_exit(struct qbd_pages *out);
void *qbd_pages_next(struct qbd_pages *out);
void qbd_pages_write(struct qbd_pages *out, struct qbd_backend *b, u64 start, void *raw,
		     const struct qbd_page_id *id);
u64 qbd_pages_send(struct qbd_pages *out);
int qbd_table_init(struct qbd_table *table, u32 type, u32 nr_pages);
void qbd_table_exit(struct qbd_table *table);
void qbd_table_write(struct qbd_pool *pool, struct qbd_table *table, u64 which, bool all,
		     struct qbd_pages *out);
void qbd_table_unwrite(struct qbd_pool *pool, struct qbd_table *table);
int qbd_table_find(struct qbd_table *table, struct qbd_backend *b);

#endif
