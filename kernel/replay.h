/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: The ring's contents, read back.
 *
 * Shared by the kernel's activation and by the offline tools: which blocks are
 * the log, and the records in it, in order. It does no I/O; who uses it shows it
 * every block of every ring member (qbd_replay_note), asks for the log
 * (qbd_replay_find), and then shows it the log's blocks again, one by one, for
 * their records (qbd_replay_block).
 */
#ifndef QBD_REPLAY_H
#define QBD_REPLAY_H

#include <qbd/format.h>

/* The best block seen at one position of the ring. */
struct qbd_replay_place {
	u64 number;
	u64 tail;
	u64 first_lsn;
	u16 nr_records;
	u8 member;		/* whose copy it was */
	bool there;
	u32 batch_index;
};

struct qbd_replay {
	const u8 *pool_uuid;
	u64 generation;
	u64 first_block;	/* of the generation */
	u64 first_lsn;		/* of the generation */
	u32 ring_blocks;
	struct qbd_replay_place *places;	/* ring_blocks, zeroed by the caller */
	/* the log, when qbd_replay_find() found one */
	u64 first;
	u64 last;
	u64 next_lsn;
};

bool qbd_replay_note(struct qbd_replay *replay, u32 position, const void *raw, u8 member);
int qbd_replay_find(struct qbd_replay *replay);
int qbd_replay_block(const struct qbd_replay *replay, u64 number, const void *raw,
		     int (*fn)(void *context, u64 lsn, const struct qbd_record *record),
		     void *context);
void qbd_replay_slot(const struct qbd_record *record, unsigned int i,
		     struct qbd_slot *slot);

#endif
