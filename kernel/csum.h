/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksums of a chunk: the pages of its table, and what is newer.
 */
#ifndef QBD_CSUM_H
#define QBD_CSUM_H

#include <linux/types.h>

#include <qbd/format.h>

struct page;
struct qbd_chunk;
struct qbd_layer;
struct qbd_pages;

#define QBD_SEGMENTS		8	/* of a checksum page */
#define QBD_SEGMENT_UNITS	(QBD_CSUMS_PER_PAGE / QBD_SEGMENTS)

/*
 * Checksums that are newer than their last durable record, of 126 units; csum.c
 * tells what pending and captured are. users: writes in flight. torn: one failed, and
 * its rows are not settled (kept.c).
 */
struct qbd_pending {
	DECLARE_BITMAP(pending, QBD_SEGMENT_UNITS);
	DECLARE_BITMAP(captured, QBD_SEGMENT_UNITS);
	u32 users;
	bool torn;
	u32 now[QBD_SEGMENT_UNITS];
	u32 snap[QBD_SEGMENT_UNITS];
};

/**
 * struct qbd_csum_page - one page of a chunk's checksum table
 * @recorded: durable records' values, the page as it goes to disk
 * @segments: what is newer. Guarded by chunk->lock, as all of it
 * @copies: where each leg's copy is, and its seq; not known for another place.
 *	Guarded by checkpoint_mutex once the page is in use
 * @round: in which it was written last, to the legs @sent; likewise
 */
struct qbd_csum_page {
	u64 lsn;
	bool dirty;
	struct qbd_csum_page *next;	/* while it is of no chunk */
	u8 sent;
	u32 round;
	__le32 *recorded;
	struct qbd_pending *segments[QBD_SEGMENTS];
	struct qbd_csum_copy {
		u64 place;	/* a leg, LIVE */
		u64 seq;
	} copies[QBD_MAX_REPLICAS];
};

/* csum-page.c */
bool qbd_csum_loaded(const struct qbd_chunk *chunk, u32 first, u32 last);
int qbd_csum_prepare_rows(struct qbd_chunk *chunk, u32 first, u32 nr);
struct qbd_chunk *qbd_chunk_get_rows(struct qbd_layer *layer, u32 number, u32 first, u32 nr);
int qbd_csum_fresh(struct qbd_chunk *chunk);
int qbd_csum_load(struct qbd_chunk *chunk, u32 first, u32 last, u64 *unread);
int qbd_csum_load_made(struct qbd_chunk *chunk);
int qbd_csum_replay(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values);
bool qbd_csum_compare(struct qbd_chunk *chunk, u32 unit);
bool qbd_csum_check(struct qbd_chunk *chunk);
void qbd_csum_drop(struct qbd_chunk *chunk);
void qbd_csum_unwrite(struct qbd_chunk *chunk, u32 round);
void qbd_csum_write(struct qbd_chunk *chunk, u32 legs, bool all, struct qbd_pages *out);

/* csum.c */
u32 qbd_csum_get(const struct qbd_chunk *chunk, u32 unit);
void qbd_csum_set(struct qbd_chunk *chunk, u32 unit, u32 value);
int qbd_csum_reserve(struct qbd_chunk *chunk, u32 first, u32 last);
bool qbd_csum_try_reserve(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_unreserve(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_keep(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_csum_settled(struct qbd_chunk *chunk);
void qbd_csum_capture(struct qbd_chunk *chunk);
u64 qbd_csum_append(struct qbd_chunk *chunk);
u64 qbd_csum_append_units(struct qbd_chunk *chunk, u32 first, u32 last);
u64 qbd_csum_overtaken(struct qbd_pool *pool);
void qbd_csum_record(struct qbd_chunk *chunk, u32 unit, u32 value);
void qbd_csum_apply(struct qbd_chunk *chunk, u64 lsn, u32 first, u32 nr,
		    const __le32 *values);
bool qbd_csum_recorded(const struct qbd_chunk *chunk, u32 first, u32 last);
bool qbd_csum_unwritten(struct qbd_chunk *chunk);
bool qbd_csum_all_holes(struct qbd_chunk *chunk);
u32 qbd_csum_block(const struct qbd_chunk *chunk, u64 gen, u32 row, u32 leg,
		   struct page *const *pages);

#endif
