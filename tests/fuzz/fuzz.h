/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all fuzz targets share: the input as a list of changes, and an assertion.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "op.h"

#include <stdio.h>
#include <stdlib.h>

/* Where the mutator puts most changes: how many parts, and how far into them. */
extern const unsigned int fuzz_parts;
extern const unsigned int fuzz_bytes;

struct input {
	struct op ops[OPS_MAX];
	unsigned int nr;
};

/* Called once, when all constructors were: those of crc32c are needed. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed);

static inline void input_read(struct input *in, const u8 *data, size_t size)
{
	in->nr = size / sizeof(struct op);
	if (in->nr > OPS_MAX)
		in->nr = OPS_MAX;
	memcpy(in->ops, data, in->nr * sizeof(struct op));
}

#define must(condition)								\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
				__LINE__, #condition);				\
			abort();						\
		}								\
	} while (0)

#endif
