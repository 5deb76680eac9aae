/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flushes and checkpoints.
 */
#ifndef QBD_FLUSH_H
#define QBD_FLUSH_H

struct bio;
struct qbd_chunk;
struct qbd_pool;

/* flush.c */
int qbd_named_each(struct qbd_pool *pool, int (*fn)(struct qbd_chunk *chunk, void *context),
		   void *context);
void qbd_flush_init(struct qbd_pool *pool);
int qbd_flush(struct qbd_pool *pool);
void qbd_flush_bio(struct qbd_pool *pool, struct bio *bio);
int qbd_checkpoint(struct qbd_pool *pool);
void qbd_checkpoint_soon(struct qbd_pool *pool);
void qbd_checkpoint_idle(struct qbd_pool *pool);

#endif
