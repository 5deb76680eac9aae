// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of command lines, and the kernel's lines: status and answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/sysmacros.h>

#include "live.h"
#include "parse.h"
#include "progress.h"
#include "repair.h"
#include "text.h"
#include "words.h"

static void test_sizes(void **state)
{
	static const char *const bad[] = { "",		"k",
					   "-1",	"+1",
					   " 1",	"1 ",
					   "1kk",	"1kB",
					   "1x",	"0x10",
					   "1.5G",	"99999999999999999999",
					   "16777216T", "18446744073709551615k" };
	unsigned int i;
	u64 n;

	assert_true(parse_size("0", &n) && n == 0);
	assert_true(parse_size("512", &n) && n == 512);
	assert_true(parse_size("4k", &n) && n == 4096);
	assert_true(parse_size("4K", &n) && n == 4096);
	assert_true(parse_size("3m", &n) && n == 3u << 20);
	assert_true(parse_size("10G", &n) && n == 10ull << 30);
	assert_true(parse_size("16T", &n) && n == 16ull << 40);
	assert_true(parse_size("16777215T", &n) && n == 16777215ull << 40);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse_size(bad[i], &n))
			fail_msg("\"%s\" is a size", bad[i]);
}

static void test_numbers(void **state)
{
	u64 n;

	assert_true(parse_number("63", 63, &n) && n == 63);
	assert_false(parse_number("64", 63, &n));
	assert_false(parse_number("", 63, &n));
	assert_false(parse_number("-1", 63, &n));
	assert_false(parse_number("6x", 63, &n));
	assert_false(parse_number("99999999999999999999", UINT64_MAX, &n));
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "vm-1", "A_b.c+d", "+x", "_", ".x", "..x", "7" };
	static const char *const bad[] = { "",	  "-a",	 ".",	     "..",  "a b",
					   "a/b", "a\n", "\xc3\xa9", "a,b", "a\"" };
	char longest[QBD_NAME_SIZE + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		if (!parse_name(good[i], strlen(good[i])))
			fail_msg("\"%s\" is no name", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse_name(bad[i], strlen(bad[i])))
			fail_msg("\"%s\" is a name", bad[i]);
	memset(longest, 'a', sizeof(longest));
	assert_true(parse_name(longest, 63));
	assert_false(parse_name(longest, 64));
}

static void test_policies(void **state)
{
	static const char *const bad[] = { "",	      "replicas=0", "replicas=9",    "replicas=",
					   "ec=1+1",  "ec=17+1",    "ec=4+0",	     "ec=4+5",
					   "ec=4",    "ec=+2",	    "ec=4+",	     "ec=4+2+1",
					   "ec=4 +2", "raid5",	    "ec=123456789+1" };
	struct qbd_policy p = { .block_shift = 12 };
	char text[16];
	unsigned int i, k, m;

	for (i = 1; i <= 8; i++) {
		snprintf(text, sizeof(text), "replicas=%u", i);
		assert_true(parse_policy(text, &p) && qbd_policy_valid(&p));
		assert_int_equal(qbd_policy_legs(&p), i);
		memset(text, 0, sizeof(text));
		format_policy(&p, text);
		assert_int_equal(text[9], '0' + i);
	}
	for (k = 2; k <= 16; k++)
		for (m = 1; m <= 4; m++) {
			snprintf(text, sizeof(text), "ec=%u+%u", k, m);
			assert_true(parse_policy(text, &p) && qbd_policy_valid(&p));
			assert_true(p.k == k && p.m == m);
		}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse_policy(bad[i], &p))
			fail_msg("\"%s\" is a policy", bad[i]);
}

static void test_tags(void **state)
{
	char tags[QBD_TAGS_SIZE], longest[QBD_TAGS_SIZE + 1];

	assert_true(parse_tags("host=B,ssd", tags));
	assert_string_equal(tags, "host=B ssd");
	assert_false(parse_tags("a,,b", tags));
	assert_false(parse_tags(",a", tags));
	assert_false(parse_tags("a,", tags));
	assert_false(parse_tags("a b", tags));
	memset(longest, 'a', sizeof(longest));
	longest[QBD_TAGS_SIZE] = 0;
	assert_false(parse_tags(longest, tags));
	longest[QBD_TAGS_SIZE - 1] = 0;
	assert_true(parse_tags(longest, tags));
}

static void test_people(void **state)
{
	char text[16];

	assert_string_equal(format_size(0, text), "0B");
	assert_string_equal(format_size(1536, text), "1.5K");
	assert_string_equal(format_size(10ull << 30, text), "10G");
	assert_string_equal(format_size(UINT64_MAX, text), "16E");
}

static void test_volume_device_names(void **state)
{
	char name[DM_NAME_SIZE], part[QBD_NAME_SIZE];

	assert_true(dm_volume_name("pool", "vol", name));
	assert_string_equal(name, "pool-vol");
	assert_true(dm_volume_name("a-b", "c--d", name));
	assert_string_equal(name, "a--b-c----d");
	/* Two pairs never have one name. */
	assert_true(dm_volume_name("a", "b-c", name));
	assert_string_equal(name, "a-b--c");
	memset(part, '-', 63);
	part[63] = 0;
	assert_false(dm_volume_name(part, part, name));
	memset(part, 'a', 63);
	assert_true(dm_volume_name(part, part, name));
	assert_int_equal(strlen(name), 127);
}

static void test_status_line(void **state)
{
	static const char pool[] =
		"rw AAaD- 7:0123456789abcdef 2b1c5c0e-64c5-4b6a-9f0c-8f6a3f3c9d11";
	static const char counts[] = "8192 100/400 3 50 2 17/256 4";
	static const char jobs[] = "resync running 3/10 4194304 scrub idle 0/0 0 5 1";
	struct live_status s;
	char line[256], cut[256];
	size_t i, length;

	length = snprintf(line, sizeof(line), "%s %s %s", pool, counts, jobs);
	assert_true(live_parse_status(line, &s));
	assert_string_equal(s.health, "AAaD-");
	assert_int_equal(s.epoch, 7);
	assert_string_equal(s.tag, "0123456789abcdef");
	assert_int_equal(s.extent_sectors, 8192);
	assert_int_equal(s.used_slots, 100);
	assert_int_equal(s.slots, 400);
	assert_int_equal(s.degraded_chunks, 2);
	assert_int_equal(s.ring_blocks, 256);
	assert_int_equal(s.checkpoints, 4);
	assert_string_equal(s.resync.state, "running");
	assert_int_equal(s.resync.done, 3);
	assert_int_equal(s.resync.total, 10);
	assert_int_equal(s.resync.count, 4194304);
	assert_string_equal(s.scrub.state, "idle");
	assert_int_equal(s.repaired, 5);
	assert_int_equal(s.lost, 1);
	assert_int_equal(s.journal_devices, 0);
	snprintf(line + length, sizeof(line) - length, " journal on 12 4711 new 1 journal_devs 2/3 more");
	assert_true(live_parse_status(line, &s));
	assert_string_equal(s.journal, "on");
	assert_int_equal(s.journal_rows, 12);
	assert_int_equal(s.destaged_rows, 4711);
	assert_int_equal(s.journal_devices_in, 2);
	assert_int_equal(s.journal_devices, 3);
	line[length] = 0;
	assert_true(live_parse_status(line, &s));
	assert_false(live_healthy(&s));
	strscpy(s.health, "AA--", sizeof(s.health));
	assert_false(live_healthy(&s)); /* chunks are degraded */
	s.degraded_chunks = 0;
	assert_true(live_healthy(&s));
	strscpy(s.mode, "failed", sizeof(s.mode));
	assert_false(live_healthy(&s));
	/* Any part of a line is no status. */
	for (i = 0; i < length - 2; i++) {
		memcpy(cut, line, i);
		cut[i] = 0;
		assert_false(live_parse_status(cut, &s));
	}
}

static void test_answers(void **state)
{
	static const char in[] =
		"3 2b1c5c0e-64c5-4b6a-9f0c-8f6a3f3c9d11 43:5 in 0 0 100 60 4 1 2 3 9 15000 8 7 "
		"A b";
	static const char out[] =
		"4 2b1c5c0e-64c5-4b6a-9f0c-8f6a3f3c9d11 - out 1 12 0 0 0 0 0 0 0 0 0 0 -";
	struct live_backend b;
	struct live_volume v;
	struct verify_volume c;

	assert_true(live_parse_backend(in, &b));
	assert_int_equal(b.index, 3);
	assert_true(b.rdev == makedev(43, 5));
	assert_true(b.in && !b.suspect);
	assert_int_equal(b.free_slots, 60);
	assert_int_equal(b.unsynced, 4);
	assert_int_equal(b.csum_errors, 3);
	assert_int_equal(b.repaired, 9);
	assert_true(b.deadline_ms == 15000 && b.timeouts == 8 && b.orphans == 7);
	assert_string_equal(b.tags, "A b");
	assert_true(live_parse_backend(out, &b));
	assert_true(!b.rdev && !b.in && b.suspect && b.out_epoch == 12 && !*b.tags);
	assert_false(live_parse_backend("64 x - out 1 12 0 0 0 0 0 0 0 0 0 0 -", &b));
	assert_false(live_parse_backend("", &b));

	b.index = 4;
	assert_true(live_parse_limits("4 out 0 0 7 3 41", &b, 1));
	assert_true(!b.slow && b.errors == 7 && b.outs == 3 && b.held == 41);
	assert_true(live_parse_limits("4 slow 60000 131072 0 0 0", &b, 1));
	assert_true(b.slow && b.p50_us == 60000 && b.p99_us == 131072 && !b.held);
	/* Of another, and of more to come. */
	assert_true(live_parse_limits("5 ok 1 2 3 4 5 6", &b, 1));
	assert_true(b.slow);
	assert_false(live_parse_limits("4 ok 1 2 3", &b, 1));

	assert_true(live_parse_volume("7 vm1 live 20971520 ec=4+2 4096 -", &v));
	assert_int_equal(v.number, 7);
	assert_string_equal(v.name, "vm1");
	assert_int_equal(v.policy.m, 2);
	assert_false(v.deleting || *v.tag);
	assert_true(live_parse_volume("7 vm1 deleting 8 replicas=2 4096 ssd", &v));
	assert_true(v.deleting);
	assert_string_equal(v.tag, "ssd");
	assert_false(live_parse_volume("7 vm1 live 8 raid=5 4096 -", &v));

	assert_true(live_parse_verify("7 vm1 100 2 3 4 1", &c));
	assert_true(c.whole == 100 && c.degraded == 2 && c.stale == 3 && c.lost == 4);
	assert_int_equal(c.losses, 1);
	assert_false(live_parse_verify("7 vm1 100 2 3 4", &c));
}

static void test_progress(void **state)
{
	struct live_job job = { "running", 30, 100, 300u << 20 };
	char line[160];

	/* 20 chunks and 200 MiB in 10 s: 70 more take 35 s. */
	progress_line(PROGRESS_RESYNC, &job, 10, 10, 100u << 20, line, sizeof(line));
	assert_string_equal(line, "resync  30%, 30/100 chunks, 20M/s, 0:00:35 left");
	progress_line(PROGRESS_SCRUB, &job, 10, 10, 0, line, sizeof(line));
	assert_string_equal(line, "scrub  30%, 30/100 chunks, 2.0 chunks/s, 0:00:35 left");
	/* Nothing done yet, or nothing to do: no time that was made up. */
	progress_line(PROGRESS_RESYNC, &job, 0, 30, 300u << 20, line, sizeof(line));
	assert_string_equal(line, "resync  30%, 30/100 chunks, 0B/s");
	job = (struct live_job){ "running", 0, 0, 0 };
	progress_line(PROGRESS_SCRUB, &job, 0, 0, 0, line, sizeof(line));
	assert_string_equal(line, "scrub 100%, 0/0 chunks, 0.0 chunks/s");
}

static void test_sentences(void **state)
{
	struct repair r = { .whole = true };
	char text[160];

	repair_sentence(&r, text, sizeof(text));
	assert_string_equal(text, "fine");
	r = (struct repair){ .whole = true, .readmitted = 1, .chunks = 12 };
	repair_sentence(&r, text, sizeof(text));
	assert_string_equal(text, "fine, 1 backend let in, 12 chunks rebuilt");
	r = (struct repair){ .out = 2, .lost = true };
	repair_sentence(&r, text, sizeof(text));
	assert_string_equal(text, "chunks are lost, 2 backends out");
}

static void test_tables(void **state)
{
	static const char *const columns[] = { "NAME", ">N", "LAST", NULL };
	static const char table[] =
		"NAME               N  LAST\na longer name      7  x\nb              12345  y\n";
	struct text_table t;
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	text_begin(&t, columns);
	text_cell(&t, "a longer name");
	text_cell(&t, "%u", 7);
	text_cell(&t, "x");
	text_cell(&t, "b");
	text_cell(&t, "%u", 12345);
	text_cell(&t, "y");
	text_print(&t, f);
	fclose(f);
	assert_string_equal(out, table);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_people),
		cmocka_unit_test(test_volume_device_names),
		cmocka_unit_test(test_status_line),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
