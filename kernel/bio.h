/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bios of the target's own, each to one backend, and waiting for them.
 */
#ifndef QBD_BIO_H
#define QBD_BIO_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/list.h>

struct qbd_backend;

/* A bio that is to find out whether a backend that is kept answers; never sent on. */
#define QBD_PROBE	REQ_DRV

enum qbd_bio_state {
	QBD_BIO_FREE,		/* it has no deadline */
	QBD_BIO_NEW,
	QBD_BIO_QUEUED,
	QBD_BIO_SENT,
	QBD_BIO_ORPHAN,
	QBD_BIO_DONE,
};

/**
 * struct qbd_bio - a bio of the target's own, to one backend
 * @done: called once, when it ended or its deadline passed, maybe in an interrupt;
 *	puts the bio
 * @status: how it ended, for done(): an orphan's own is still to come
 * @leg: for whoever made it, as are @context and @buffer
 * @state: orphan.c; all that is there under backend->lock
 */
struct qbd_bio {
	struct qbd_backend *backend;
	void (*done)(struct qbd_bio *bio);
	void *context;
	void *buffer;
	unsigned int leg;
	blk_status_t status;
	enum qbd_bio_state state;
	unsigned long since;	/* jiffies */
	struct list_head list;
	u64 start_ns;
	struct bio bio;		/* last: the bioset adds its vectors */
};

/* May it only have pages that qbd_page_free() frees: does it have a deadline? */
static inline bool qbd_bio_own_pages(const struct qbd_bio *qb)
{
	return qb->state != QBD_BIO_FREE;
}

/* Waits for any number of bios; knows which backends failed. */
struct qbd_wait {
	atomic_t left;
	struct completion done;
	atomic64_t failed;
};

/* backend.c */
void qbd_wait_init(struct qbd_wait *wait);
void qbd_wait_add(struct qbd_wait *wait);
void qbd_wait_end(struct qbd_wait *wait, u64 failed);
u64 qbd_wait_for(struct qbd_wait *wait);
struct qbd_bio *qbd_bio_alloc(struct qbd_backend *b, blk_opf_t opf, u64 offset,
			      unsigned int nr_vecs, gfp_t gfp);
bool qbd_bio_may_send(const struct qbd_bio *qb);
void qbd_bio_submit(struct qbd_bio *bio);
void qbd_bio_unanswered(struct qbd_bio *qb);

#endif
