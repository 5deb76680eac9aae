/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of the recorder, /dev/cuts, to the program that cuts the power.
 *
 * Its disks are /dev/cuts0 and so on. Everything that happens to any of them has a
 * number: one clock for all. The number of what happens next is the first word of
 * a page that can be mapped.
 *
 * read() at the offset n gives, for each event from the start of the present
 * level plus n on, one character:
 *
 *	w W	a write is issued, completes
 *	a A	the same, with FUA
 *	d D	a discard
 *	f F	a flush
 *	p	a disk that failed works again
 */
#ifndef CUTS_H
#define CUTS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CUTS_DISKS	64
#define CUTS_LEVELS	6

/**
 * struct cuts_crash - the power is cut
 * @at: after all events with a smaller number, before the others; not before that
 *	of an earlier crash of this level
 * @seed: what of the unflushed writes is there
 */
struct cuts_crash {
	__u64 at;
	__u64 seed;
};

/**
 * struct cuts_info - where the recorder is
 * @level: 0, and one more for each crash that was not gone back from
 * @first: number of the first event of this level
 * @next: number of the next event
 * @pending: writes that the next crash of this level may leave out
 * @full: more events than there is room for: they are not recorded
 */
struct cuts_info {
	__u64 level;
	__u64 first;
	__u64 next;
	__u64 pending;
	__u64 full;
};

/* Empty disks, nothing recorded. */
#define CUTS_RESET	_IO('Q', 0)
/* The disks hold what a power cut may leave; what comes now is a level of its own. */
#define CUTS_CRASH	_IOW('Q', 1, struct cuts_crash)
/* Forget this level: the level below can be cut again, at the same event or later. */
#define CUTS_BACK	_IO('Q', 2)
/* What the disks hold now is durable, and level 0. */
#define CUTS_SETTLE	_IO('Q', 3)
/*
 * A bitmap: disks whose I/O fails from now on. One that works again has lost its
 * power meanwhile, and what it may lose with that.
 */
#define CUTS_FAIL	_IOW('Q', 4, __u64)
/* Complete what is written in another order and later, by this seed; 0: at once. */
#define CUTS_DELAY	_IOW('Q', 5, __u64)
#define CUTS_INFO	_IOR('Q', 6, struct cuts_info)

#endif
