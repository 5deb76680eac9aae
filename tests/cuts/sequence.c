// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sequences that the protocol's rules were made from, on a pool of one volume.
 *
 * A chunk is that of the volume's policy; places are told in chunks and rows, so
 * that one sequence serves all policies.
 */
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "sequence.h"

static u32 block;	/* sectors, as all here */
static u32 row;
static u32 chunk;

/* The start of row @n of chunk @c. */
static u32 at(u32 c, u32 n)
{
	return c * chunk + n * row;
}

/* Chunks that are begun, written on, and not all flushed. */
static void allocation(struct recording *r, struct random *numbers)
{
	recording_write(at(0, 0), 1);
	recording_write(at(1, 3), 2 * row);
	recording_flush();
	recording_write(at(2, 5) + 1, 3 * row);
	recording_write(at(0, 7), row);
	recording_flush();
}

/* What was flushed is written over, whole rows and parts, and over again. */
static void overwrite(struct recording *r, struct random *numbers)
{
	unsigned int i;

	recording_write(at(0, 0), 16 * row);
	recording_flush();
	for (i = 0; i < 4; i++) {
		recording_write(at(0, i), 4 * row);
		recording_write(at(0, 6 + i) + 1, row / 2 + 1);
		if (i == 1)
			recording_flush();
	}
}

/* Checkpoints with writes in flight. */
static void checkpoint(struct recording *r, struct random *numbers)
{
	unsigned int i;

	load_begin();
	for (i = 0; i < 4; i++) {
		usleep(2000);
		recording_message("checkpoint");
	}
	load_end(0);
	recording_message("checkpoint");
}

/* A leg is filled while its chunks are written to. */
static void resync(struct recording *r, struct random *numbers)
{
	struct outage *o;

	recording_write(at(0, 0), 8 * row);
	recording_write(at(1, 0), 8 * row);
	recording_flush();
	o = recording_lose(r, 1, false);
	recording_write(at(0, 4), 8 * row);
	recording_flush();
	recording_return(o);
	recording_write(at(0, 2), 4 * row);
	recording_write(at(1, 2), 4 * row);
	recording_wait_whole(r);
	recording_flush();
}

/*
 * Rows that are discarded, not yet recorded so, as a leg is filled; and written again.
 * Of three chunks, for some have their lowest leg there.
 */
static void discard_in_resync(struct recording *r, struct random *numbers)
{
	struct outage *o;
	unsigned int c, i;

	for (c = 0; c < 3; c++)
		recording_write(at(c, 0), 16 * row);
	recording_flush();
	o = recording_lose(r, 1, false);
	for (c = 0; c < 3; c++)
		recording_write(at(c, 0), 16 * row);
	recording_flush();
	recording_message("resync stop");
	recording_return(o);
	/* Nothing else is going to flush. */
	recording_message("checkpoint");
	for (c = 0; c < 3; c++)
		recording_discard(at(c, 4), 8 * row);
	recording_message("resync start");
	recording_wait_whole(r);
	recording_cut_from_here(r);
	for (i = 4; i < 12; i++)
		for (c = 0; c < 3; c++)
			recording_write(at(c, i), row);
	recording_flush();
}

/* Volumes are made and removed. */
static void volume(struct recording *r, struct random *numbers)
{
	unsigned int i;

	recording_write(at(0, 0), row);
	recording_flush();
	for (i = 0; i < 2; i++) {
		recording_side_create(r, numbers);
		recording_side_write(numbers);
		recording_side_write(numbers);
		recording_side_remove();
	}
	recording_side_create(r, numbers);
}

/* Members of the ring go and return, and others take their places. */
static void ring_member(struct recording *r, struct random *numbers)
{
	struct outage *o;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		o = recording_lose(r, i, i == 1);
		recording_write(at(i % 2, 2 * i), 2 * row);
		recording_flush();
		recording_return(o);
		recording_wait_whole(r);
		recording_message("checkpoint");
		recording_write(at(1, i), row);
	}
	recording_flush();
}

/* A backend's link breaks, and what it had in its cache is gone when it is back. */
static void cache_lost(struct recording *r, struct random *numbers)
{
	struct outage *o;

	recording_write(at(0, 0), 8 * row);
	recording_flush();
	recording_write(at(0, 0), 4 * row);
	recording_write(at(1, 0), 4 * row);
	o = recording_lose(r, 0, true);
	recording_write(at(0, 6), 4 * row);
	recording_return(o);
	recording_flush();
	recording_write(at(1, 2), row);
	recording_wait_whole(r);
	recording_flush();
}

/* Slots get another chunk. */
static void slot_reused(struct recording *r, struct random *numbers)
{
	recording_write(at(0, 0), 8 * row);
	recording_write(at(1, 0), 8 * row);
	recording_flush();
	recording_discard(at(0, 0), chunk);
	recording_write(at(2, 0), 4 * row);
	recording_flush();
	recording_discard(at(1, 0), chunk);
	recording_write(at(0, 2), 4 * row);
	recording_flush();
}

/* Chunks are freed, and made, while a backend is out. */
static void freed_while_out(struct recording *r, struct random *numbers)
{
	struct outage *o;

	recording_write(at(0, 0), 4 * row);
	recording_write(at(1, 0), 4 * row);
	recording_flush();
	o = recording_lose(r, 0, true);
	recording_discard(at(0, 0), chunk);
	recording_write(at(2, 0), 4 * row);
	recording_flush();
	recording_return(o);
	recording_write(at(0, 2), 2 * row);
	recording_wait_whole(r);
	recording_discard(at(2, 0), chunk);
	recording_flush();
}

/* Rows are discarded, and parts of rows, and written again. */
static void discarded_rows(struct recording *r, struct random *numbers)
{
	recording_write(at(0, 0), 24 * row);
	recording_flush();
	recording_discard(at(0, 2), 6 * row);
	recording_flush();
	recording_write(at(0, 3) + 1, 2 * row);
	recording_discard(at(0, 12) + 1, 4 * row);
	recording_flush();
	recording_write(at(0, 14), row);
	recording_discard(at(0, 0), 24 * row);
	recording_flush();
}

/*
 * The records of a discard are cut in the middle of a row: with holes in each row it
 * has some of them, and all are some blocks of the ring.
 */
static void discard_is_cut(struct recording *r, struct random *numbers)
{
	unsigned int i;

	for (i = 0; i < 80; i++) {
		recording_write(at(0, i), block);
		recording_write(at(0, i) + row / 2, block);
	}
	recording_flush();
	recording_cut_from_here(r);
	recording_discard(at(0, 0), 80 * row);
	recording_flush();
}

/* Backends go one after another and return, each with newer chunks than others. */
static void in_turn(struct recording *r, struct random *numbers)
{
	struct outage *first, *second;

	recording_write(at(0, 0), 4 * row);
	recording_write(at(1, 0), 4 * row);
	recording_flush();
	first = recording_lose(r, 0, false);
	recording_write(at(0, 0), 2 * row);
	recording_flush();
	if (r->tolerance < 2) {
		recording_return(first);
		recording_wait_whole(r);
		second = recording_lose(r, 1, false);
	} else {
		second = recording_lose(r, 1, false);
		recording_write(at(1, 0), 2 * row);
		recording_flush();
		recording_return(first);
	}
	recording_write(at(0, 1), 2 * row);
	recording_write(at(1, 1), 2 * row);
	recording_flush();
	recording_return(second);
	recording_wait_whole(r);
}

/*
 * Pages of all tables are written, again and again, and torn: each checkpoint has new
 * values, a new chunk, a new volume.
 */
static void torn_page(struct recording *r, struct random *numbers)
{
	unsigned int i;

	recording_write(at(0, 0), 8 * row);
	recording_message("checkpoint");
	for (i = 0; i < 3; i++) {
		recording_write(at(0, 4 * i), 4 * row);
		recording_write(at(i, 9), row);
		recording_side_create(r, numbers);
		recording_side_write(numbers);
		recording_flush();
		if (!i)
			recording_cut_from_here(r);
		recording_message("checkpoint");
		recording_side_remove();
	}
	recording_message("checkpoint");
}

/* Whole rows over blocks that are in the journal, and blocks over these. */
static void row_after_journal(struct recording *r, struct random *numbers)
{
	unsigned int i;

	recording_write(at(0, 0), 12 * row);
	recording_flush();
	for (i = 0; i < 6; i++)
		recording_write(at(0, 2 * i) + i % 2 * block, block);
	recording_flush();
	recording_write(at(0, 0), 8 * row);
	recording_write(at(0, 3) + 1, block);
	recording_flush();
	recording_write(at(0, 3), 2 * row);
	recording_message("checkpoint");
	for (i = 0; i < 4; i++) {
		recording_write(at(0, i), block);
		recording_write(at(0, i), row);
	}
	recording_flush();
}

static const struct {
	const char *name;
	void (*make)(struct recording *r, struct random *numbers);
} sequences[] = {
	{ "allocation", allocation },
	{ "overwrite", overwrite },
	{ "checkpoint", checkpoint },
	{ "resync", resync },
	{ "discard-in-resync", discard_in_resync },
	{ "volume", volume },
	{ "ring-member", ring_member },
	{ "cache-lost", cache_lost },
	{ "slot-reused", slot_reused },
	{ "freed-while-out", freed_while_out },
	{ "discarded-rows", discarded_rows },
	{ "discard-is-cut", discard_is_cut },
	{ "in-turn", in_turn },
	{ "torn-page", torn_page },
	{ "row-after-journal", row_after_journal },
};

void sequence_make(struct recording *r, struct random *numbers, const char *name)
{
	const struct policy *p = &r->policies[0];
	unsigned int i;

	block = p->block / SECTOR_BYTES;
	row = p->k * block;
	chunk = p->k << 11;	/* of an extent of 1 MiB each */
	for (i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		if (strcmp(sequences[i].name, name))
			continue;
		recording_begin(r, numbers);
		sequences[i].make(r, numbers);
		recording_end(r);
		return;
	}
	fail("no sequence %s", name);
}
