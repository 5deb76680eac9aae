// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring's replay: which blocks are the log, after what a crash and the loss of
 * members can leave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "replay.h"
#include "words.h"

#define BLOCKS 16
#define MEMBERS 3

static const u8 uuid[16] = { 0x51 };
static u8 rings[MEMBERS][BLOCKS][QBD_PAGE_SIZE];
static struct qbd_replay_place places[BLOCKS];
static struct qbd_replay replay;

static u64 random_state;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int setup(void **state)
{
	memset(rings, 0, sizeof(rings));
	random_state = 88172645463325252ull;
	replay = (struct qbd_replay){
		.pool_uuid = uuid,
		.generation = 5,
		.first_block = 0,
		.first_lsn = 1,
		.ring_blocks = BLOCKS,
		.places = places,
	};
	return 0;
}

/* A block of @n records, on the members of a bitmap; each record is a checkpoint's. */
static void put(unsigned int members, u64 number, u64 tail, u64 first_lsn, unsigned int n,
		u32 batch_index)
{
	_Alignas(8) u8 raw[QBD_PAGE_SIZE];
	struct qbd_ring_disk *d = (struct qbd_ring_disk *)raw;
	struct qbd_ring_block b = {
		.generation = replay.generation,
		.number = number,
		.tail = tail,
		.first_lsn = first_lsn,
		.nr_records = n,
		.batch_index = batch_index,
	};
	struct qbd_record r = { .type = QBD_RECORD_CHECKPOINT };
	unsigned int i;

	for (i = 0; i < n; i++) {
		r.lsn = 1000 + first_lsn + i;
		b.used += qbd_record_encode(&r, d->payload + b.used);
	}
	qbd_ring_block_seal(raw, uuid, &b);
	for (i = 0; i < MEMBERS; i++)
		if (members & 1u << i)
			memcpy(rings[i][number % BLOCKS], raw, QBD_PAGE_SIZE);
}

static void tear(unsigned int members, u64 number)
{
	unsigned int i;

	for (i = 0; i < MEMBERS; i++)
		if (members & 1u << i)
			memset(rings[i][number % BLOCKS] + 2048, 0xa5, 512);
}

/* Show replay these members' rings. */
static int find(unsigned int members)
{
	unsigned int i, j;

	memset(places, 0, sizeof(places));
	replay.first = 0;
	replay.last = 0;
	replay.next_lsn = 0;
	for (i = 0; i < MEMBERS; i++)
		for (j = 0; members & 1u << i && j < BLOCKS; j++)
			qbd_replay_note(&replay, j, rings[i][j], i);
	return qbd_replay_find(&replay);
}

static int next_record(void *context, u64 lsn, const struct qbd_record *r)
{
	u64 *expected = context;

	assert_int_equal(lsn, *expected);
	assert_int_equal(r->lsn, 1000 + lsn);
	++*expected;
	return 0;
}

/* All records, in order, with no LSN left out. Returns how many. */
static u64 walk(void)
{
	const struct qbd_replay_place *p = &places[replay.first % BLOCKS];
	u64 lsn = p->first_lsn, first = lsn, number;

	for (number = replay.first; number <= replay.last; number++) {
		p = &places[number % BLOCKS];
		assert_int_equal(qbd_replay_block(&replay, number,
						  rings[p->member][number % BLOCKS], next_record,
						  &lsn),
				 0);
	}
	assert_int_equal(lsn, replay.next_lsn);
	return lsn - first;
}

static void test_empty(void **state)
{
	assert_int_equal(find(7), -ENODATA);
	assert_int_equal(replay.next_lsn, 1);
	replay.first_lsn = 500; /* a generation begins where the last one ended */
	assert_int_equal(find(7), -ENODATA);
	assert_int_equal(replay.next_lsn, 500);
}

static void test_plain(void **state)
{
	put(7, 0, 0, 1, 3, 0);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.first, 0);
	assert_int_equal(replay.last, 0);
	assert_int_equal(replay.next_lsn, 4);
	assert_int_equal(walk(), 3);
	put(7, 1, 0, 4, 1, 0);
	put(7, 2, 0, 5, 2, 1);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 2);
	assert_int_equal(replay.next_lsn, 7);
	assert_int_equal(walk(), 6);
}

/* Each block is on one member only: the union is the log. */
static void test_union_of_members(void **state)
{
	unsigned int i;

	for (i = 0; i < 9; i++)
		put(1u << i % 3, i, 0, 1 + 2 * i, 2, 0);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 8);
	assert_int_equal(walk(), 18);
	/* Without a member, what it alone had and was acknowledged is missed. */
	assert_int_equal(find(3), -EUCLEAN);
}

/* The last block is torn on one member and whole on another, then on all. */
static void test_torn_end(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 3, 2, 0);
	tear(1, 1);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 1);
	assert_int_equal(walk(), 4);
	tear(6, 1);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 0);
	assert_int_equal(replay.next_lsn, 3);
}

/* A crash cut a batch: what follows the gap in it was not acknowledged. */
static void test_gap_in_the_last_batch(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 3, 2, 0);
	put(7, 2, 0, 5, 2, 1);
	put(7, 3, 0, 7, 2, 2);
	tear(7, 2);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 1);
	assert_int_equal(walk(), 4);
	/* Its first block is missing: the log is what was before the batch. */
	tear(7, 1);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 0);
}

/* A later batch proves that the gap's batch was acknowledged: an error. */
static void test_acknowledged_loss(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 3, 2, 0);
	put(7, 2, 0, 5, 2, 0);
	tear(7, 1);
	assert_int_equal(find(7), -EUCLEAN);
	/* Also when the first one of the generation is lost. */
	put(7, 1, 0, 3, 2, 0);
	tear(7, 0);
	assert_int_equal(find(7), -EUCLEAN);
	/* And when nothing but a later block is left. */
	tear(7, 1);
	assert_int_equal(find(7), -EUCLEAN);
}

/* A block lost below every tail is not needed any more. */
static void test_lost_below_the_tail(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 3, 2, 0);
	put(7, 2, 1, 5, 2, 0);
	tear(7, 0);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.first, 1);
	assert_int_equal(replay.last, 2);
	assert_int_equal(walk(), 4);
}

/* The tail moved in a batch that was cut: the one before stands, with all it needs. */
static void test_tail_moved_in_a_cut_batch(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 3, 2, 0);
	put(7, 2, 0, 5, 2, 0);
	put(7, 3, 2, 7, 2, 1);
	tear(7, 2);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.first, 0);
	assert_int_equal(replay.last, 1);
}

static void test_lsn_gap(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, 1, 0, 4, 2, 0); /* 3 is nowhere */
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 0);
	assert_int_equal(replay.next_lsn, 3);
	put(7, 2, 0, 6, 2, 0);
	assert_int_equal(find(7), -EUCLEAN);
}

static void test_wrap(void **state)
{
	u64 n, lsn = 1;

	for (n = 0; n < 5 * BLOCKS + 3; n++) {
		put(7, n, n > 6 ? n - 6 : 0, lsn, 1 + n % 3, 0);
		lsn += 1 + n % 3;
		assert_int_equal(find(7), 0);
		assert_int_equal(replay.first, n > 6 ? n - 6 : 0);
		assert_int_equal(replay.last, n);
		assert_int_equal(replay.next_lsn, lsn);
		walk();
	}
	/* As long as the ring is: all of it. */
	for (; n < 7 * BLOCKS; n++) {
		put(7, n, n - BLOCKS + 1, lsn, 1, 0);
		lsn++;
	}
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last - replay.first, BLOCKS - 1);
}

/* What is of another generation, pool or place is not of the log. */
static void test_strangers(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	replay.generation = 6;
	put(7, 1, 0, 3, 2, 0);
	replay.generation = 5;
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.last, 0);
	/* A misdirected write. */
	memcpy(rings[0][4], rings[0][0], QBD_PAGE_SIZE);
	assert_false(qbd_replay_note(&replay, 4, rings[0][4], 0));
	/* Below where the generation begins. */
	replay.first_block = 3;
	replay.first_lsn = 20;
	assert_int_equal(find(7), -ENODATA);
	put(7, 3, 3, 19, 2, 0);
	assert_int_equal(find(7), -ENODATA);
	put(7, 3, 2, 20, 2, 0);
	assert_int_equal(find(7), -ENODATA);
	put(7, 3, 3, 20, 2, 0);
	assert_int_equal(find(7), 0);
	assert_int_equal(replay.next_lsn, 22);
}

static void test_impossible_numbers(void **state)
{
	put(7, 0, 0, 1, 2, 0);
	put(7, BLOCKS * 1000000ull, 0, 3, 2, 0); /* a tail more than the ring away */
	assert_int_equal(find(7), -ENODATA);
	put(7, 0, 0, 1, 2, 0);
	put(7, (1ull << 61) + 1, 1ull << 61, 3, 2, 1);
	assert_int_equal(find(7), -EUCLEAN);
	/* More records than it holds: not one that can be walked. */
	setup(state);
	put(7, 0, 0, 1, 0, 0);
	((struct qbd_ring_disk *)rings[0][0])->nr_records = cpu_to_le16(9);
	((struct qbd_ring_disk *)rings[0][0])->crc =
		cpu_to_le32(crc32c(~0u, rings[0][0] + 4, QBD_PAGE_SIZE - 4));
	assert_int_equal(find(1), 0);
	assert_int_equal(qbd_replay_block(&replay, 0, rings[0][0], next_record, NULL), -EILSEQ);
}

/* The block changed between the two looks. */
static void test_changed_block(void **state)
{
	u64 lsn = 1;

	put(7, 0, 0, 1, 2, 0);
	assert_int_equal(find(7), 0);
	tear(7, 0);
	assert_int_equal(qbd_replay_block(&replay, 0, rings[0][0], next_record, &lsn), -EILSEQ);
	put(7, BLOCKS, BLOCKS, 1, 2, 0);
	assert_int_equal(qbd_replay_block(&replay, 0, rings[0][0], next_record, &lsn), -EILSEQ);
}

static int stop_at(void *context, u64 lsn, const struct qbd_record *r)
{
	return lsn == *(u64 *)context ? -ECANCELED : 0;
}

static void test_walk_can_be_ended(void **state)
{
	u64 lsn = 2;

	put(7, 0, 0, 1, 3, 0);
	assert_int_equal(find(7), 0);
	assert_int_equal(qbd_replay_block(&replay, 0, rings[0][0], stop_at, &lsn), -ECANCELED);
}

/*
 * A thousand lives of a ring: batches of random lengths, a tail that follows, and
 * at the end a crash that leaves any subset of the last batch's blocks, some torn,
 * on each member. Then all but one member may be lost, any of them: every batch
 * that was acknowledged is there, and nothing that was never written.
 */
static void test_random_crashes(void **state)
{
	unsigned int life, batch, batches, length, i, m, n, members;
	u64 number, tail, lsn, acked, acked_lsn, tail_on_disk;

	for (life = 0; life < 1000; life++) {
		memset(rings, 0, sizeof(rings));
		number = 0;
		tail = 0;
		tail_on_disk = 0;
		acked = 0;
		lsn = 1;
		acked_lsn = 1;
		batches = 1 + random64() % 30;
		for (batch = 0; batch < batches; batch++) {
			bool last = batch + 1 == batches;

			/* Over what is freed only by a tail that is durable. */
			length = 1 + random64() % 4;
			if (number + length > tail_on_disk + BLOCKS)
				length = tail_on_disk + BLOCKS - number;
			if (!length)
				break;
			for (i = 0; i < length; i++) {
				n = random64() % 4;
				for (m = 0; m < MEMBERS; m++) {
					if (last && random64() % 2)
						continue;
					put(1u << m, number, tail, lsn, n, i);
					if (last && random64() % 4 == 0)
						tear(1u << m, number);
				}
				number++;
				lsn += n;
			}
			if (last)
				break;
			acked = number;
			acked_lsn = lsn;
			tail_on_disk = tail;
			/* A checkpoint; and never so late that the ring is full. */
			if (number - tail > BLOCKS / 2 || random64() % 3 == 0)
				tail = number - random64() % (1 + number - tail) / 2;
		}
		members = 1 + random64() % 7;
		i = find(members);
		if (!acked) {
			assert_true(!i || i == (unsigned int)-ENODATA);
			continue;
		}
		assert_int_equal(i, 0);
		assert_true(replay.first <= tail);
		assert_true(replay.first >= tail_on_disk);
		assert_true(replay.last + 1 >= acked);
		assert_true(replay.last < number);
		assert_true(replay.next_lsn >= acked_lsn && replay.next_lsn <= lsn);
		walk();
	}
}

/* Random damage to sealed blocks: an answer, never a step out of bounds. */
static void test_random_damage(void **state)
{
	unsigned int round, i;
	u64 lsn;

	for (round = 0; round < 3000; round++) {
		memset(rings, 0, sizeof(rings));
		for (i = 0; i < BLOCKS; i++)
			put(7, i, i / 2, 1 + 2 * i, 2, i % 2);
		for (i = 0; i < 4; i++) {
			u8 *raw = rings[random64() % MEMBERS][random64() % BLOCKS];

			raw[4 + random64() % 100] = random64();
			((struct qbd_ring_disk *)raw)->crc =
				cpu_to_le32(crc32c(~0u, raw + 4, QBD_PAGE_SIZE - 4));
		}
		if (find(1 + random64() % 7))
			continue;
		assert_true(replay.first <= replay.last);
		assert_true(replay.last - replay.first < BLOCKS);
		for (lsn = replay.first; lsn <= replay.last; lsn++) {
			u64 never = 0;
			int err = qbd_replay_block(&replay, lsn,
						   rings[places[lsn % BLOCKS].member][lsn % BLOCKS],
						   stop_at, &never);

			assert_true(!err || err == -EILSEQ || err == -ECANCELED);
		}
	}
}

static void too_long(int number)
{
	fail_msg("it takes too long");
}

/* A hostile ring: every block claims the whole log, and the oldest is not there. */
static void test_gap_below_a_long_log(void **state)
{
	const u32 blocks = QBD_MAX_RING_BLOCKS;
	struct qbd_replay_place *many = calloc(blocks, sizeof(*many));
	u32 i;

	assert_non_null(many);
	for (i = 1; i < blocks; i++)
		many[i] = (struct qbd_replay_place){
			.number = i, .first_lsn = i, .nr_records = 1, .there = true,
		};
	replay.ring_blocks = blocks;
	replay.places = many;
	/* Block by block down from each of them would take an hour. */
	signal(SIGALRM, too_long);
	alarm(20);
	assert_int_equal(qbd_replay_find(&replay), -EUCLEAN);
	alarm(0);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, setup),
		cmocka_unit_test_setup(test_plain, setup),
		cmocka_unit_test_setup(test_union_of_members, setup),
		cmocka_unit_test_setup(test_torn_end, setup),
		cmocka_unit_test_setup(test_gap_in_the_last_batch, setup),
		cmocka_unit_test_setup(test_acknowledged_loss, setup),
		cmocka_unit_test_setup(test_lost_below_the_tail, setup),
		cmocka_unit_test_setup(test_tail_moved_in_a_cut_batch, setup),
		cmocka_unit_test_setup(test_lsn_gap, setup),
		cmocka_unit_test_setup(test_wrap, setup),
		cmocka_unit_test_setup(test_strangers, setup),
		cmocka_unit_test_setup(test_impossible_numbers, setup),
		cmocka_unit_test_setup(test_gap_below_a_long_log, setup),
		cmocka_unit_test_setup(test_changed_block, setup),
		cmocka_unit_test_setup(test_walk_can_be_ended, setup),
		cmocka_unit_test_setup(test_random_crashes, setup),
		cmocka_unit_test_setup(test_random_damage, setup),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
