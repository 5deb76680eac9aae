// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutations of an input keep it a list of changes: one is added, dropped, doubled, or
 * has one of its words changed. Most places are whole words: fields are.
 */
#include "../reference/random.h"
#include "fuzz.h"

static void new_op(struct random *r, struct op *op)
{
	op->kind = random_below(r, OP_KINDS);
	op->what = random_below(r, fuzz_parts);
	op->at = random_below(r, random_percent(r, 95) ? fuzz_bytes : 65536);
	if (random_percent(r, 80))
		op->at &= ~3;
	op->value = random_percent(r, 50) ? random_below(r, 256) : random_next(r);
}

static void change_op(struct random *r, struct op *op)
{
	struct op other;

	new_op(r, &other);
	switch (random_below(r, 5)) {
	case 0:
		op->kind = other.kind;
		break;
	case 1:
		op->what = other.what;
		break;
	case 2:
		op->at = other.at;
		break;
	case 3:
		op->at += 4 * (int)random_below(r, 9) - 16;
		break;
	default:
		op->value = random_percent(r, 50) ? other.value :
						    op->value + random_below(r, 9) - 4;
	}
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	struct random r = { .state = seed };
	size_t most = max / sizeof(struct op), i;
	struct input in;

	if (!most)
		return 0;
	most = most < OPS_MAX ? most : OPS_MAX;
	input_read(&in, data, size);
	if (in.nr > most)
		in.nr = most;
	do {
		i = in.nr ? random_below(&r, in.nr) : 0;
		if (in.nr < most && (!in.nr || random_percent(&r, 30))) {
			in.ops[in.nr] = in.ops[i];
			if (!in.nr || random_percent(&r, 80))
				new_op(&r, &in.ops[in.nr]);
			in.nr++;
		} else if (in.nr > 1 && random_percent(&r, 20)) {
			in.ops[i] = in.ops[--in.nr];
		} else {
			change_op(&r, &in.ops[i]);
		}
	} while (random_percent(&r, 40));
	memcpy(data, in.ops, in.nr * sizeof(struct op));
	return in.nr * sizeof(struct op);
}
