/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: How the parts fit
 *
 *	bio -> target -> chunk -> read | write | flush | discard -> backend
 *
 * A pool owns backends, the ring, the tables and the layers. A layer maps chunk
 * numbers to legs (struct qbd_map, small, one for each chunk that exists) and
 * holds the chunks in use (struct qbd_chunk, large, only while there is I/O or
 * something unwritten: row locks, active ranges, checksums).
 *
 * What is on disk changes by ring records only. Whoever wants a change appends a
 * record and waits for its LSN; the ring writes records in batches and, when a
 * batch is durable, applies it (apply.c) in the order of LSNs. The same code
 * applies records at replay.
 *
 * Contexts. Fast paths run in map() and in bio completion and never sleep. All
 * that may wait runs in work items, and simply waits:
 *	io_wq		slow reads and writes, discards: hold row locks, wait for all below
 *	kept_wq		backends that failed and stay in: waits as io_wq does
 *	settle_wq	ends of writes that failed somewhere, or with FUA: wait for member
 *			changes and the ring
 *	flush_wq	flush batches: wait for backends, ring and member changes
 *	checkpoint_wq	checkpoints: wait for a flush and for pages
 *	journal_wq	destages, two at a time: wait as io_wq does, for a flush, and for a
 *			checkpoint
 *	repair_wq	resync, scrub, freeing of deleted volumes: wait as io_wq does
 *	stamp_wq	stamps: the ring
 *	ring_wq		ring batches: wait for backends, and for epochs, not for stamps
 *	member_wq	epochs: superblocks only
 *	owner_wq	heartbeats: their blocks only
 *	event_wq	events of device mapper: nothing
 * Each waits only for those below it and for bios. An item that waits for room in
 * the ring holds no lock that a checkpoint needs.
 *
 * Locks, outermost first: row lock, pool->meta_sem, checkpoint_mutex, chunk->mutex,
 * member_lock, epoch_sem, chunk->lock, pool->map_lock, pool->slot_lock, journal->lock,
 * ring->lock, backend->lock. The last six are spinlocks; chunk->lock and backend->lock
 * are taken in interrupts. What is found under a spinlock is not looked at after it,
 * unless something keeps it: a reference, its row's lock, backends_srcu.
 */
#ifndef QBD_QBD_H
#define QBD_QBD_H

#include <linux/device-mapper.h>

#include <qbd/abi.h>
#include <qbd/format.h>

#include "backend.h"
#include "bio.h"
#include "chunk.h"
#include "compat.h"
#include "csum.h"
#include "ec.h"
#include "flush.h"
#include "io.h"
#include "journal.h"
#include "layer.h"
#include "lease.h"
#include "limit.h"
#include "map.h"
#include "member.h"
#include "moment.h"
#include "owner.h"
#include "pace.h"
#include "pages.h"
#include "pool.h"
#include "resync.h"
#include "ring.h"
#include "rows.h"
#include "slots.h"
#include "standby.h"

#define DM_MSG_PREFIX "qbd"

#endif
