/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a mutation is: one change of some bytes, in eight bytes itself.
 *
 * Nothing here is fuzzed as raw bytes: a checksum would end nearly all of that at the
 * first line. An input is a list of changes to something valid, which is given its
 * checksums again after them. So inputs are small, and most reach past the checksum.
 */
#ifndef FUZZ_OP_H
#define FUZZ_OP_H

#include <qbd/types.h>

enum op_kind {
	OP_SET8,	/* to the value */
	OP_SET16,
	OP_SET32,
	OP_SET64,
	OP_ODD8,	/* to one of the numbers that code forgets */
	OP_ODD16,
	OP_ODD32,
	OP_ODD64,
	OP_ADD32,
	OP_ADD64,
	OP_FLIP,	/* one bit */
	OP_FILL,	/* some bytes */
	OP_COPY,	/* some bytes, from elsewhere in the same part */
	OP_UNSEAL,	/* not the bytes: the part does not get its checksum again */
	OP_MOVE,	/* the whole part, as it is, from elsewhere */
	OP_KINDS,
};

struct op {
	u8 kind;
	u8 what;	/* which of the parts that can be changed */
	u16 at;		/* the byte in it */
	u32 value;
};

static_assert(sizeof(struct op) == 8, "ops are eight bytes");

#define OPS_MAX		32	/* of an input */

/* Change @size bytes; the kinds that are not about bytes do nothing. */
void op_apply(const struct op *op, void *bytes, size_t size);

#endif
