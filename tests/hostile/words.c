// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile table lines and messages: valid ones of which words were dropped, doubled,
 * moved, made longer, or had their numbers and characters changed.
 *
 * The recorder's clock counts every write, flush and discard to any backend, so that
 * it stands still says that nothing was changed on a disk; what the pool says of
 * itself must be the same, too. What is taken changes the pool: then it is left to
 * end what it does, and now and then begun anew.
 */
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "hostile.h"
#include "mapped.h"
#include "pool.h"
#include "recorder.h"

#define WORDS	24
#define LINE	16384
#define ANEW	40	/* lines that are taken, until the pool is begun anew */

static const char *const messages[] = {
	"create_volume new 8192 replicas=2",
	"create_volume new 16384 ec=2+1 block_size=16384",
	"create_volume new 8192 replicas=1 block_size=65536",
	"create_volume new 8192 replicas=2 tag=host=A",
	"remove_volume v0",
	"remove_volume new",
	"fail 1",
	"readd 1 /dev/cuts1",
	"replace 1 /dev/cuts1",
	"resync start",
	"resync stop",
	"resync rate 100",
	"scrub start",
	"scrub stop",
	"checkpoint",
	"volumes",
	"volumes 0",
	"verify",
	"verify 1",
	"backends",
};

static const char *const volume_lines[] = {
	"/dev/mapper/" POOL_NAME " v0",
	"/dev/mapper/" POOL_NAME " 1",
	"/dev/mapper/" POOL_NAME " v0 1 read_only",
	"/dev/mapper/" POOL_NAME " v0 0",
};

static const char *const features[] = {
	"", "0", "1 allow_degraded", "1 read_only", "2 on_loss error", "2 cache_mb 8",
	"2 force_history 0123456789abcdef", "3 allow_degraded cache_mb 1",
};

static const char *const odd[] = {
	"0", "1", "2", "3", "7", "8", "9", "16", "17", "63", "64", "65", "255", "256", "4095", "4096",
	"65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296", "4294967298",
	"34359738368", "9223372036854775807", "9223372036854775808", "18446744073709551615",
	"18446744073709551616", "99999999999999999999999999", "-1", "-0", "+1", "0x10", "010",
	"1.5", "1e3", "NaN", "", "-", "--", "/", "/dev", "/dev/null", "/dev/cuts0", "/dev/cuts99",
	"/dev/mapper/" POOL_NAME, "7:0", "0:0", "4294967295:4294967295", "replicas=0",
	"replicas=4294967298", "ec=0+0", "ec=16+4", "ec=255+255", "block_size=0",
	"block_size=4294971392", "tag=", "%s%n%n%n", "\\", "\\\\", "\"", "'", "\t", "\x7f", "\xff\xfe",
};

/* --- changing a line --------------------------------------------------------------------------- */

struct line {
	char *words[WORDS];
	unsigned int nr;
};

static char *copy(const char *word)
{
	char *new = strdup(word);

	if (!new)
		fail("no memory");
	return new;
}

static void split(struct line *l, const char *text)
{
	size_t n;

	for (l->nr = 0; *text && l->nr < WORDS; text += strspn(text + n, " ") + n) {
		n = strcspn(text, " ");
		l->words[l->nr] = strndup(text, n);
		if (!l->words[l->nr++])
			fail("no memory");
	}
}

static void drop(struct line *l, unsigned int i)
{
	free(l->words[i]);
	l->nr--;
	memmove(&l->words[i], &l->words[i + 1], (l->nr - i) * sizeof(char *));
}

static void insert(struct line *l, unsigned int i, const char *word)
{
	if (l->nr == WORDS)
		return;
	memmove(&l->words[i + 1], &l->words[i], (l->nr - i) * sizeof(char *));
	l->words[i] = copy(word);
	l->nr++;
}

/* Some characters of it, or many more. */
static void garble(struct line *l, unsigned int i, struct random *numbers)
{
	size_t length = strlen(l->words[i]), n = 1 + random_below(numbers, 3), at;
	char *word = l->words[i], *longer;

	if (random_percent(numbers, 25)) {
		n = random_below(numbers, random_percent(numbers, 20) ? 3000 : 140);
		longer = calloc(1, length + n + 1);
		if (!longer)
			fail("no memory");
		memcpy(longer, word, length);
		memset(longer + length, length ? word[length - 1] : '1', n);
		free(word);
		l->words[i] = longer;
		return;
	}
	while (length && n--) {
		at = random_below(numbers, length);
		if (random_percent(numbers, 70))
			word[at] = 33 + random_below(numbers, 94);
		else
			word[at] = 1 + random_below(numbers, 255);
	}
}

static void add_to(struct line *l, unsigned int i, struct random *numbers)
{
	char *end, text[80];
	long long n = strtoll(l->words[i], &end, 10);

	if (end == l->words[i] || *end)
		return;
	snprintf(text, sizeof(text), "%lld", n + (long long)random_below(numbers, 17) - 8);
	free(l->words[i]);
	l->words[i] = copy(text);
}

static void change(struct line *l, struct random *numbers)
{
	unsigned int i = l->nr ? random_below(numbers, l->nr) : 0;
	unsigned int j = l->nr ? random_below(numbers, l->nr) : 0;
	const char *other = odd[random_below(numbers, sizeof(odd) / sizeof(odd[0]))];
	char *word;

	if (!l->nr) {
		insert(l, 0, other);
		return;
	}
	switch (random_below(numbers, 8)) {
	case 0:
		drop(l, i);
		break;
	case 1:
		insert(l, j, l->words[i]);
		break;
	case 2:
		word = l->words[i];
		l->words[i] = l->words[j];
		l->words[j] = word;
		break;
	case 3:
		insert(l, i, other);
		break;
	case 4:
		drop(l, i);
		insert(l, i, other);
		break;
	case 5:
		add_to(l, i, numbers);
		break;
	default:
		garble(l, i, numbers);
		break;
	}
}

static void make(const char *from, char *text, struct random *numbers)
{
	unsigned int n = 1 + random_below(numbers, 3), i;
	struct line l;
	size_t at = 0;

	split(&l, from);
	while (n--)
		change(&l, numbers);
	*text = 0;
	for (i = 0; i < l.nr; i++) {
		at += snprintf(text + at, LINE - at, "%s%s", i ? " " : "", l.words[i]);
		free(l.words[i]);
	}
}

/* --- nothing changed --------------------------------------------------------------------------- */

/* All that a pool says of itself. Counters of what was read are not in it. */
static void describe(char *text)
{
	struct pool_status s;
	size_t at;

	pool_status(&s);
	at = snprintf(text, LINE, "%s %s %llu %s %s\n", s.mode, s.health, s.degraded, s.resync, s.scrub);
	if (device_message(POOL_NAME, "volumes", text + at, LINE - at))
		fail("no list of volumes");
	at += strlen(text + at);
	if (device_message(POOL_NAME, "backends", text + at, LINE - at))
		fail("no list of backends");
}

static void settle(void)
{
	u64 before;

	do {
		wait_idle();
		device_message(POOL_NAME, "checkpoint", NULL, 0);
		before = *recorder_clock;
		usleep(3000);
	} while (*recorder_clock != before);
}

static void begin(const struct recording *r)
{
	recorder_crash(r->end, 1);
	if (mapped_pool_start(r->nr_disks, 0, ""))
		fail("the pool cannot be started");
	settle();
}

static void end(void)
{
	mapped_pool_stop();
	recorder_back();
}

static void begin_anew(const struct recording *r)
{
	end();
	begin(r);
}

/*
 * Refused, so nothing changed. The pool may have made a checkpoint of its own at that
 * moment: so it is asked once more.
 */
static void nothing_changed(int (*again)(const char *text), const char *text, const char *before,
			    u64 clock)
{
	static char after[LINE];

	describe(after);
	if (strcmp(before, after))
		fail("refused, and the pool is not as it was: %s\nbefore: %s\nafter: %s", text, before,
		     after);
	if (*recorder_clock == clock)
		return;
	settle();
	clock = *recorder_clock;
	if (!again(text))
		fail("refused, and taken the second time: %s", text);
	if (*recorder_clock != clock)
		fail("refused, and the disks were written to: %s", text);
}

/* --- trying ------------------------------------------------------------------------------------ */

static int try_message(const char *text)
{
	return device_message(POOL_NAME, text, NULL, 0);
}

static int try_volume(const char *text)
{
	unsigned long long sectors = strtoull(text, NULL, 10);

	return device_make(POOL_NAME "-w", "qbd", sectors, strchr(text, ' ') + 1);
}

static bool is_question(const char *text)
{
	return !strncasecmp(text, "volumes", 7) || !strncasecmp(text, "verify", 6) ||
	       !strncasecmp(text, "backends", 8);
}

static void messages_try(const struct recording *r, unsigned int nr, struct random *numbers,
			 struct hostile_counts *counts)
{
	static char text[LINE], before[LINE];
	unsigned int taken = 0;
	u64 clock;

	begin(r);
	while (nr--) {
		make(messages[random_below(numbers, sizeof(messages) / sizeof(messages[0]))], text,
		     numbers);
		guard_stage(4, "message %.200s", text);
		describe(before);
		clock = *recorder_clock;
		if (!try_message(text)) {
			counts->taken++;
			if (is_question(text))
				continue;
			if (++taken % ANEW)
				settle();
			else
				begin_anew(r);
		} else {
			counts->refused++;
			nothing_changed(try_message, text, before, clock);
		}
		no_report();
	}
	end();
}

static u64 some_sectors(struct random *numbers)
{
	static const u64 odds[] = { 0, 1, 7, 8, 9, 4096, 1 << 20, 1ull << 31, 1ull << 32, 1ull << 55,
				    1ull << 62, ~0ull >> 9, ~0ull >> 1, ~0ull };

	if (random_percent(numbers, 60))
		return 2048;
	return odds[random_below(numbers, sizeof(odds) / sizeof(odds[0]))];
}

static void volumes_try(const struct recording *r, unsigned int nr, struct random *numbers,
			struct hostile_counts *counts)
{
	static char text[LINE], before[LINE];
	u64 clock;
	int n;

	begin(r);
	while (nr--) {
		n = snprintf(text, sizeof(text), "%llu ", (unsigned long long)some_sectors(numbers));
		make(volume_lines[random_below(numbers, 4)], text + n, numbers);
		guard_stage(4, "volume %.200s", text);
		describe(before);
		clock = *recorder_clock;
		if (!try_volume(text)) {
			counts->taken++;
			if (device_remove(POOL_NAME "-w"))
				fail("a volume cannot be removed again: %s", text);
		} else {
			counts->refused++;
			nothing_changed(try_volume, text, before, clock);
		}
		no_report();
	}
	end();
}

static void pools_try(const struct recording *r, unsigned int nr, struct random *numbers,
		      struct hostile_counts *counts)
{
	static char text[LINE];
	char valid[1000];
	unsigned int i;
	u64 clock;
	size_t n;

	recorder_crash(r->end, 1);
	while (nr--) {
		n = snprintf(valid, sizeof(valid), "%u", r->nr_disks);
		for (i = 0; i < r->nr_disks; i++)
			n += snprintf(valid + n, sizeof(valid) - n, " /dev/cuts%u", i);
		snprintf(valid + n, sizeof(valid) - n, " %s", features[random_below(numbers, 8)]);
		make(valid, text, numbers);
		guard_stage(4, "pool %.200s", text);
		clock = *recorder_clock;
		if (!device_make(POOL_NAME, "qbd-pool", some_sectors(numbers), text)) {
			counts->taken++;
			mapped_pool_stop();
			recorder_back();
			recorder_crash(r->end, 1);
		} else {
			counts->refused++;
			if (*recorder_clock != clock)
				fail("refused, and the disks were written to: %s", text);
		}
		no_report();
	}
	recorder_back();
}

void words_try(const struct recording *r, unsigned int nr, struct random *numbers,
	       struct hostile_counts *counts)
{
	pools_try(r, nr / 3, numbers, counts);
	volumes_try(r, nr / 6, numbers, counts);
	messages_try(r, nr - nr / 3 - nr / 6, numbers, counts);
}
