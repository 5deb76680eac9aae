/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of a chunk in the target's own pages.
 */
#ifndef QBD_ROWS_H
#define QBD_ROWS_H

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/workqueue.h>

#include "chunk.h"
#include "layer.h"

struct qbd_io;

/* rows.c */

/* Who waits for a write that is no user's. */
struct qbd_waiter {
	struct completion done;
	blk_status_t status;
	u64 unread;
};

/**
 * struct qbd_rows - blocks of some rows, all legs, in the target's own pages
 * @pages: block_pages pages of leg l, row r at [(l * nr + r) * block_pages]; a
 *	replicas chunk has leg 0 only
 * @csums: of leg l, row r at [l * nr + r]
 * @have: blocks that hold their right content, a mask of legs a row
 * @write: blocks that a write changes, likewise; for replicas a bit a leg
 * @ring: blocks that a write puts into the journal, likewise
 * @bad: current legs whose block was wrong or unreadable
 * @avoid: legs that are not read where others have what it takes
 * @strict: they are not read at all
 * @blamed: backends of which that was counted against their limit
 * @want: blocks that are being read or mended
 * @lock: of the rows, while a write of them is in flight
 * @io: the user's bio, if it is one
 */
struct qbd_rows {
	struct qbd_chunk *chunk;
	u32 first;
	u32 nr;
	u32 nr_legs;
	unsigned int nr_pages;
	bool pooled;
	bool any_bad;
	bool fua;
	bool strict;
	bool ranged;		/* a write straight to its place: of active ranges */
	u32 again;		/* reconcile writes these legs, right or not */
	bool lose;		/* and takes for gone what it cannot read */
	u64 unread;		/* backends that failed reads */
	u32 lost;		/* blocks that reconcile gave up */
	u64 lsn;		/* the last journal record of a write */
	struct page **pages;
	u32 *csums;
	u32 *have;
	u32 *write;
	u32 *ring;
	u32 *bad;
	u32 *want;

	u32 avoid;
	u64 blamed;
	atomic_t left;
	atomic64_t failed;
	void (*done)(struct qbd_rows *rows);
	struct completion *wait;
	struct bio_list bios;

	struct qbd_row_lock lock;
	struct qbd_io *io;
	struct qbd_waiter *waiter;
	struct work_struct work;
};

size_t qbd_rows_max(void);
struct qbd_rows *qbd_rows_alloc(struct qbd_chunk *chunk, u32 first, u32 nr, gfp_t gfp);
void qbd_rows_free(struct qbd_rows *rows);
void qbd_rows_csums(struct qbd_rows *rows);
void qbd_rows_zero(struct qbd_rows *rows, u32 leg, u32 row);
void qbd_rows_sum(struct qbd_rows *rows, u32 leg, u32 row);
bool qbd_rows_verify(struct qbd_rows *rows, u32 leg, u32 row);
void qbd_rows_encode(struct qbd_rows *rows, u32 row, u32 nr);
bool qbd_rows_submit(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs,
		     gfp_t gfp);
u64 qbd_rows_io(struct qbd_rows *rows, blk_opf_t opf, const u32 *masks, u32 legs);
u32 qbd_rows_nearest(const struct qbd_chunk *chunk, u32 legs);
void qbd_rows_blame(struct qbd_rows *rows, u32 leg, u32 row);
int qbd_rows_read(struct qbd_rows *rows, u32 row, u32 nr, u32 want);
unsigned int qbd_rows_repair(struct qbd_rows *rows);
bool qbd_rows_lost(struct qbd_rows *rows, u32 row, u32 legs);
bool qbd_rows_begin_read(struct qbd_rows *rows, u32 row, u32 want);
void qbd_rows_end_read(struct qbd_rows *rows, u32 row);
u32 qbd_rows_wanted(const struct qbd_rows *rows, u32 row, u32 whole, u32 part);
int qbd_rows_prepare(struct qbd_rows *rows, u32 row, u32 whole, u32 part);
void qbd_rows_fold(struct qbd_rows *rows, u32 row, u32 legs);

static inline struct page **qbd_rows_block(struct qbd_rows *rows, u32 leg, u32 row)
{
	return rows->pages + (size_t)(leg * rows->nr + row) * rows->chunk->layer->block_pages;
}

static inline u32 *qbd_rows_csum(struct qbd_rows *rows, u32 leg, u32 row)
{
	return &rows->csums[leg * rows->nr + row];
}

#endif
