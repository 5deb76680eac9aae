// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histories: superblocks of some backends, each of which decodes, that say any two things
 * of the pool's past. What is found is among what was given, and can be reverted to.
 */
#include "fuzz.h"
#include "history.h"
#include "parts.h"

#define BACKENDS 5
#define EPOCHS 6

const unsigned int fuzz_parts = BACKENDS;
const unsigned int fuzz_bytes = 16 + EPOCHS * 20 + BACKENDS * 8;

static struct qbd_super base[BACKENDS];

/* The words of a superblock that a history is made of. */
struct words {
	u32 nr_epochs;
	u32 ring_generation;
	u32 seq;
	u8 absent;
	u8 index;
	u8 reserved[2];
	struct {
		__le32 number;
		__le32 tag;
		__le32 in;
		u8 reserved[8];
	} epochs[EPOCHS];
	struct {
		__le32 state;
		__le32 uuid;
	} members[BACKENDS];
};

static_assert(sizeof(struct words) == 16 + EPOCHS * 20 + BACKENDS * 8, "as the mutator is told");

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	tiny_plan(base, BACKENDS, 24ull << 20);
	return 0;
}

static void words_default(struct words *w, u32 index)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->nr_epochs = EPOCHS - 1;
	w->index = index;
	for (i = 0; i < EPOCHS; i++) {
		w->epochs[i].number = 2 * (EPOCHS - i);
		w->epochs[i].tag = 100 + i;
		w->epochs[i].in = i % 2 ? 0x1f : 0x0f;
	}
	for (i = 0; i < BACKENDS; i++)
		w->members[i].state = i == 4 ? QBD_MEMBER_OUT : QBD_MEMBER_IN;
}

/* False where no superblock that decodes says this. */
static bool words_super(const struct words *w, struct qbd_super *s)
{
	unsigned int i;

	if (w->absent || w->nr_epochs < 1 || w->nr_epochs > QBD_EPOCHS ||
	    w->index >= QBD_MAX_BACKENDS)
		return false;
	*s = base[w->index % BACKENDS];
	s->seq = w->seq;
	s->geometry.index = w->index;
	s->pool.ring_generation = w->ring_generation;
	s->pool.nr_epochs = w->nr_epochs;
	for (i = 0; i < w->nr_epochs; i++) {
		/* More than the words have: older ones follow. */
		u32 n = i < EPOCHS ? i : EPOCHS - 1, older = i - n;

		s->pool.epochs[i].number = w->epochs[n].number - older;
		s->pool.epochs[i].tag = w->epochs[n].tag;
		s->pool.epochs[i].in = w->epochs[n].in;
		if (i && s->pool.epochs[i].number >= s->pool.epochs[i - 1].number)
			return false;
	}
	for (i = 0; i < BACKENDS; i++) {
		if (w->members[i].state > QBD_MEMBER_OUT)
			return false;
		s->pool.members[i].state = w->members[i].state;
		s->pool.members[i].uuid[0] += w->members[i].uuid;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct qbd_super supers[BACKENDS];
	static struct qbd_membership reverted;
	const struct qbd_super *by_index[QBD_MAX_BACKENDS] = {};
	struct words words[BACKENDS];
	struct qbd_history h;
	struct input in;
	unsigned int i;
	u64 force = 0, all = 0;
	int err;

	input_read(&in, data, size);
	for (i = 0; i < BACKENDS; i++)
		words_default(&words[i], i);
	for (i = 0; i < in.nr; i++) {
		const struct op *op = &in.ops[i];

		if (op->kind == OP_UNSEAL)
			force = op->value;
		else if (op->kind == OP_MOVE)
			words[op->what % BACKENDS].epochs[op->at % EPOCHS].number += op->value % 7;
		else
			op_apply(op, &words[op->what % BACKENDS], sizeof(struct words));
	}
	for (i = 0; i < BACKENDS; i++)
		if (words_super(&words[i], &supers[i])) {
			by_index[supers[i].geometry.index] = &supers[i];
			all |= BIT_ULL(supers[i].geometry.index);
		}
	err = qbd_history_find(by_index, force, &h);
	must(err == 0 || err == -ENOENT || err == -EEXIST || err == -EINVAL);
	if (err && err != -EEXIST)
		return 0;
	must(h.newest < QBD_MAX_BACKENDS && by_index[h.newest]);
	must(h.begun < by_index[h.newest]->pool.nr_epochs);
	must(!(h.in & ~all) && !(h.diverged & ~all) && !(h.in & h.diverged) && !(h.in & h.missing));
	must(!force || by_index[h.newest]->pool.epochs[0].tag == force);
	must((err == -EEXIST) == (h.diverged && !force));
	reverted = by_index[h.newest]->pool;
	qbd_history_revert(&reverted, h.begun);
	must(reverted.nr_epochs == by_index[h.newest]->pool.nr_epochs - h.begun);
	must(qbd_history_has(&reverted, &by_index[h.newest]->pool.epochs[h.begun]));
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		must(reverted.members[i].state <= QBD_MEMBER_OUT);
		if (h.in & BIT_ULL(i))
			must(reverted.members[i].state == QBD_MEMBER_IN);
	}
	return 0;
}
