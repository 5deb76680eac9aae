/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Members: which backends are in, which are not, and which have to stay.
 */
#ifndef QBD_MEMBER_H
#define QBD_MEMBER_H

#include <linux/bio.h>

#include <qbd/format.h>

#include "pool.h"

struct qbd_chunk;
struct qbd_rows;

/* super.c */
u64 qbd_super_write(struct qbd_pool *pool, const struct qbd_membership *members, u64 which,
		    blk_opf_t flags);
int qbd_supers_read(struct qbd_pool *pool, const char **error);
int qbd_super_check(struct qbd_pool *pool, const struct qbd_super *const *supers,
		    const char **error);
u64 qbd_same_host(const struct qbd_membership *m, unsigned int index);

/* member.c */
void qbd_member_init(struct qbd_pool *pool);
void qbd_member_fail(struct qbd_pool *pool, u64 which);
void qbd_member_limit(struct qbd_pool *pool, u64 which);
void qbd_member_end(struct qbd_pool *pool);
int qbd_member_settle(struct qbd_pool *pool, u64 which);
int qbd_member_leave(struct qbd_pool *pool, u64 which);
int qbd_member_out(struct qbd_pool *pool, unsigned int index);
int qbd_member_quiet(struct qbd_pool *pool);
u64 qbd_member_wait_epoch(struct qbd_pool *pool, u64 which);
int qbd_member_epoch(struct qbd_pool *pool, u64 out, u64 back);
void qbd_member_next_epoch(struct qbd_pool *pool, struct qbd_membership *m, u64 out, u64 back);
int qbd_member_stamp(struct qbd_pool *pool);

/* kept.c */
void qbd_kept_init(struct qbd_pool *pool);
bool qbd_kept_trouble(const struct qbd_pool *pool);
void qbd_kept_soon(struct qbd_pool *pool);
void qbd_kept_add(struct qbd_pool *pool, u64 which);
void qbd_kept_doubt(struct qbd_pool *pool, u64 which);
void qbd_kept_torn(struct qbd_chunk *chunk, u32 first, u32 last);
void qbd_kept_settle(struct qbd_rows *rows);

/*
 * Was any backend kept since @times was noted, or is there something to be written
 * again: then what was flushed meanwhile may not be there. 0 or -EIO.
 */
static inline int qbd_kept_since(const struct qbd_pool *pool, u32 times)
{
	return READ_ONCE(pool->kept_times) != times || READ_ONCE(pool->flush_error) ? -EIO : 0;
}

/* readmit.c */
int qbd_member_readd(struct qbd_pool *pool, unsigned int index, const char *path, bool now,
		     const char **error);
int qbd_member_replace(struct qbd_pool *pool, unsigned int index, const char *path,
		       const char **error);

#endif
