/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a volume must contain.
 *
 * Every write, discard or write-zeroes has a number that rises: its value. A
 * sector's content follows from volume, sector and value, so the model keeps one
 * value a sector, and what a sector holds can be told from its first 16 bytes.
 * No two writes that are in flight together touch the same sector; so the values
 * of one sector were written in the order of their numbers.
 *
 *	value	what a read gives: the last write that was acknowledged, or what
 *		was found after an unclean stop
 *	durable	the newest value that no crash may lose: acknowledged before a flush
 *		began that succeeded, or with FUA
 *	log	the writes that began and are not durable. After a crash a sector
 *		holds its durable value or that of any newer entry here, each sector
 *		on its own; what the first read finds stays.
 *	may_be_lost	rows whose blocks may be lost (an error, the same at every
 *		read): an erasure-coded row that was being written at an unclean stop
 *		that a leg was missing from, too
 */
#ifndef REFERENCE_MODEL_H
#define REFERENCE_MODEL_H

#include <stddef.h>

#include "random.h"

#define SECTOR_BYTES 512
#define VALUE_ZERO 1u /* this bit of a value: the content is zeros */
#define VALUE_LOST 0xffffffffu

struct log_entry {
	u32 first;
	u32 nr;
	u32 value;
	u64 done; /* when it was acknowledged; 0: in flight, or it failed */
};

/* What happened, for people: to a sector, or to all (nr is 0). */
struct event {
	const char *what;
	u32 first;
	u32 nr;
	u32 value;
	u64 tick;
};

/*
 * One thing that changed what may be found, with the time of a clock of the
 * caller's, so that a second model can follow the first up to any time.
 */
struct model_step {
	enum { STEP_BEGIN, STEP_END, STEP_FLUSHED } kind;
	u32 first;
	u32 nr;
	u32 value;
	bool fua;
	u64 tick;	/* of the end of a write, of the beginning of a flush */
	u64 clock;
};

struct model {
	u32 id;
	u32 nr_sectors;
	u32 block_sectors;
	u32 row_sectors;
	u32 *values;
	u32 *durable;
	bool *may_be_lost; /* by row */
	struct log_entry *log;
	u32 nr_log;
	u32 room;
	u32 next_value;
	u64 tick; /* counts what begins and ends */
	struct event *events;
	u32 nr_events;
	u32 events_room;
	const volatile u64 *clock; /* NULL: no steps are kept */
	struct model_step *steps;
	u32 nr_steps;
	u32 steps_room;
	u32 followed;	/* steps of another model that this one took */
};

void model_init(struct model *m, u32 id, u32 nr_sectors, u32 block_sectors, u32 row_sectors);
void model_exit(struct model *m);

/* The content of a sector with a value, and what one holds, for people. */
void model_content(const struct model *m, u32 sector, u32 value, void *data);
const char *model_describe(const void *data, char *text, size_t size);

/* Note what happened, and print the last things that did to a sector. */
void model_note(struct model *m, const char *what, u32 first, u32 nr, u32 value);
void model_tell(const struct model *m, u32 sector);

/* A write begins. Returns its value. */
u32 model_write_begin(struct model *m, u32 first, u32 nr, bool zeros);
/* It was acknowledged. One that failed just stays in the log. */
void model_write_end(struct model *m, u32 value, bool fua);
/* A flush: returns its time; then that it succeeded. */
u64 model_flush_begin(struct model *m);
void model_flush_end(struct model *m, u64 began);

/*
 * A model that takes the steps of another one: all up to a time, forward only. What
 * began at that very time may be taken or not; a write that was acknowledged is.
 */
void model_follow(struct model *m, const struct model *other, u64 until);

/*
 * A crash: from now on the log tells what may be found, and whether blocks may be
 * lost: none; in every row that was being written; in those alone that one write
 * wholly covers; in any row.
 */
enum model_losses { LOSE_NONE, LOSE_ROWS, LOSE_WHOLE_ROWS, LOSE_ANY };
void model_crash(struct model *m, enum model_losses losses);
/* What may be found in a sector: is it this? Returns the value, or VALUE_LOST: none. */
u32 model_find(const struct model *m, u32 sector, const void *data);
/* All was read once after a crash and is in @values: there is no other possibility any more. */
void model_settled(struct model *m);

#endif
