/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the legs of a chunk are.
 */
#ifndef QBD_MAP_H
#define QBD_MAP_H

#include <linux/types.h>

/* A leg's place: what a map keeps for each, in one word so that it changes at once. */
#define QBD_LEG_NONE	0ull

static inline u64 qbd_leg_make(unsigned int backend, u32 slot, unsigned int state)
{
	return (u64)slot << 32 | backend << 8 | state;
}

static inline unsigned int qbd_leg_backend(u64 leg)
{
	return (leg >> 8) & 0xff;
}

static inline u32 qbd_leg_slot(u64 leg)
{
	return leg >> 32;
}

static inline unsigned int qbd_leg_state(u64 leg)
{
	return leg & 0xff;
}

/**
 * struct qbd_map - where the legs of a chunk are
 *
 * One for each chunk that exists, 24 bytes and 8 a leg. Made and changed by
 * apply.c under map_lock; insync and legs[] are read without.
 */
struct qbd_map {
	u64 gen;
	u64 insync;
	u32 epoch;
	u16 flags;
	u8 nr_legs;
	u64 legs[];
};

/* chunk.c */
struct qbd_map *qbd_map_alloc(unsigned int nr_legs, gfp_t gfp);
u32 qbd_map_current(const struct qbd_map *map, u64 in);

#endif
