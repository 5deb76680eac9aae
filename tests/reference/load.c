// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guard.h"
#include "load.h"

enum kind {
	READ,
	WRITE,
	WRITE_FUA,
	FLUSH,
	DISCARD,
	ZEROES,
	FIND,	/* a read of what is not known */
};

static const char *const names[] = { "read", "write", "write-fua", "flush", "discard", "zeroes",
				     "find" };

struct overlap {
	u32 first;
	u32 nr;
	u32 value;
};

struct request {
	enum { FREE, QUEUED, RUNNING } state;
	enum kind kind;
	struct load_volume *volume;
	u32 first;
	u32 nr;
	u32 value;	/* of a write */
	u64 began;	/* of a flush */
	bool adopt;
	u8 *memory;
	u8 *data;	/* at some sector of memory */
	u32 *before;	/* of a read: the values when it began */
	struct overlap *overlaps;	/* writes in flight while a read is */
	u32 nr_overlaps;
	u32 room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct request requests[LOAD_DEPTH];
static struct load_volume *volumes;
static unsigned int nr_volumes;
static struct random numbers;
static u64 made, wanted;	/* requests: made, and to be made */
static bool endless, idle = true;
static bool may_fail, failed;
static u64 lost_blocks;
static u32 most_sectors = LOAD_MAX_SECTORS;
static unsigned int flush_percent = 3;
static u32 hot;			/* where more of the requests go */

static bool is_write(enum kind kind)
{
	return kind == WRITE || kind == WRITE_FUA || kind == DISCARD || kind == ZEROES;
}

static bool overlap(const struct request *a, const struct request *b)
{
	return a->volume == b->volume && a->first < b->first + b->nr &&
	       b->first < a->first + a->nr;
}

/* --- carrying out ------------------------------------------------------------------------------ */

static int run_io(struct request *r)
{
	u64 range[2] = { (u64)r->first * SECTOR_BYTES, (u64)r->nr * SECTOR_BYTES };
	struct iovec iov = { r->data, range[1] };
	int fd = r->volume->fd;
	ssize_t n;

	switch (r->kind) {
	case READ:
	case FIND:
		n = preadv2(fd, &iov, 1, range[0], 0);
		break;
	case WRITE:
	case WRITE_FUA:
		n = pwritev2(fd, &iov, 1, range[0], r->kind == WRITE_FUA ? RWF_DSYNC : 0);
		break;
	case FLUSH:
		return fdatasync(fd) ? -errno : 0;
	case DISCARD:
		return ioctl(fd, BLKDISCARD, range) ? -errno : 0;
	default:
		return ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
	}
	return n == (ssize_t)range[1] ? 0 : n < 0 ? -errno : -EIO;
}

static bool may_hold(const struct request *r, u32 sector, u32 before, const u8 *data)
{
	const struct model *m = &r->volume->model;
	u8 want[SECTOR_BYTES];
	u32 i;

	model_content(m, sector, before, want);
	if (!memcmp(data, want, SECTOR_BYTES))
		return true;
	for (i = 0; i < r->nr_overlaps; i++) {
		const struct overlap *o = &r->overlaps[i];

		if (sector < o->first || sector >= o->first + o->nr)
			continue;
		model_content(m, sector, o->value, want);
		if (!memcmp(data, want, SECTOR_BYTES))
			return true;
	}
	return false;
}

/* How far the same mistake goes, and what the sectors hold. */
static void wrong(const struct request *r, u32 i)
{
	const struct model *m = &r->volume->model;
	char text[120], next[120];
	u32 s = r->first + i, nr = 0, j;

	for (j = i; j < r->nr; j++)
		nr += !may_hold(r, r->first + j, r->before[j], r->data + j * SECTOR_BYTES);
	printf("%s %u +%u: %u sectors wrong; sector %u (block %u, row %u) is %s, then %s\n",
	       names[r->kind], r->first, r->nr, nr, s, s / m->block_sectors, s / m->row_sectors,
	       model_describe(r->data + i * SECTOR_BYTES, text, sizeof(text)),
	       i + 1 < r->nr ? model_describe(r->data + (i + 1) * SECTOR_BYTES, next,
					      sizeof(next)) : "the end");
	for (j = 0; j < m->nr_log; j++)
		if (s >= m->log[j].first && s < m->log[j].first + m->log[j].nr)
			printf("not yet durable there: value %u, %u +%u\n", m->log[j].value,
			       m->log[j].first, m->log[j].nr);
	printf("what happened to it:\n");
	model_tell(m, s);
	fail("volume %u sector %u has not value %u (durable %u)", m->id, s, r->before[i],
	     m->durable[s]);
}

static void compare(struct request *r)
{
	u32 i;

	for (i = 0; i < r->nr; i++)
		if (!may_hold(r, r->first + i, r->before[i], r->data + i * SECTOR_BYTES))
			wrong(r, i);
}

/* One block, or less, after a crash. */
static void find_block(struct request *r, u32 i, u32 nr)
{
	struct model *m = &r->volume->model;
	u32 s, row = (r->first + i) / m->row_sectors;
	struct iovec iov = { r->data + i * SECTOR_BYTES, nr * SECTOR_BYTES };
	bool lost = preadv2(r->volume->fd, &iov, 1, (u64)(r->first + i) * SECTOR_BYTES, 0) !=
		    (ssize_t)iov.iov_len;

	if (lost && !m->may_be_lost[row])
		fail("volume %u: sector %u +%u (row %u) cannot be read: %s", m->id, r->first + i,
		     nr, row, strerror(errno));
	for (s = i; s < i + nr; s++)
		r->before[s] = lost ? VALUE_LOST :
			       model_find(m, r->first + s, r->data + s * SECTOR_BYTES);
	if (lost)
		__atomic_add_fetch(&lost_blocks, 1, __ATOMIC_RELAXED);
}

static void find(struct request *r, int err)
{
	struct model *m = &r->volume->model;
	u32 i, nr;

	for (i = 0; i < r->nr; i++) {
		if (!err) {
			r->before[i] = model_find(m, r->first + i, r->data + i * SECTOR_BYTES);
		} else {
			nr = m->block_sectors - (r->first + i) % m->block_sectors;
			if (nr > r->nr - i)
				nr = r->nr - i;
			find_block(r, i, nr);
			i += nr - 1;
		}
	}
	for (i = 0; i < r->nr; i++) {
		u32 s = r->first + i, v = r->before[i];

		if (v == VALUE_LOST && !(err && m->may_be_lost[s / m->row_sectors])) {
			r->before[i] = m->durable[s];
			wrong(r, i);
		}
		if (r->adopt)
			m->values[s] = v;
	}
}

/* A read of sectors of which some are lost fails; the others are right. */
static bool has_lost(const struct request *r)
{
	u32 i;

	for (i = 0; i < r->nr; i++)
		if (r->before[i] == VALUE_LOST)
			return true;
	return false;
}

static void carry_out(struct request *r)
{
	struct model *m = &r->volume->model;
	u32 i;
	int err;

	for (i = 0; (r->kind == WRITE || r->kind == WRITE_FUA) && i < r->nr; i++)
		model_content(m, r->first + i, r->value, r->data + i * SECTOR_BYTES);
	guard_io_begin(r - requests, names[r->kind], r->first, r->nr);
	err = run_io(r);
	guard_io_end(r - requests);
	if (r->kind == FIND) {
		find(r, err);
		return;
	}
	pthread_mutex_lock(&lock);
	if (r->kind != READ)
		model_note(m, err ? "failed" : "done", r->first, r->nr, r->value);
	if (err)
		failed = true;
	else if (is_write(r->kind))
		model_write_end(m, r->value, r->kind == WRITE_FUA);
	else if (r->kind == FLUSH)
		model_flush_end(m, r->began);
	pthread_mutex_unlock(&lock);
	if (r->kind == READ && has_lost(r)) {
		if (!err)
			fail("volume %u: %u +%u has lost blocks and can be read", m->id, r->first,
			     r->nr);
		failed = false;
	} else if (err && !may_fail) {
		fail("volume %u: %s %u +%u: %s", m->id, names[r->kind], r->first, r->nr,
		     strerror(-err));
	} else if (!err && r->kind == READ) {
		compare(r);
	}
}

static void *worker(void *unused)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (;;) {
		for (i = 0; i < LOAD_DEPTH && requests[i].state != QUEUED; i++)
			;
		if (i == LOAD_DEPTH) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		requests[i].state = RUNNING;
		pthread_mutex_unlock(&lock);
		carry_out(&requests[i]);
		pthread_mutex_lock(&lock);
		requests[i].state = FREE;
		pthread_cond_broadcast(&changed);
	}
	return NULL;
}

/* --- making ------------------------------------------------------------------------------------ */

static struct request *free_request(void)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < LOAD_DEPTH; i++)
			if (requests[i].state == FREE)
				return &requests[i];
		pthread_cond_wait(&changed, &lock);
	}
}

static bool conflicts(const struct request *r)
{
	unsigned int i;

	for (i = 0; i < LOAD_DEPTH; i++)
		if (requests[i].state != FREE && is_write(requests[i].kind) &&
		    overlap(r, &requests[i]))
			return true;
	return false;
}

static void add_overlap(struct request *read, const struct request *write)
{
	if (read->nr_overlaps == read->room) {
		read->room = read->room ? 2 * read->room : 16;
		read->overlaps = realloc(read->overlaps, read->room * sizeof(struct overlap));
		if (!read->overlaps)
			fail("no memory");
	}
	read->overlaps[read->nr_overlaps++] =
		(struct overlap){ write->first, write->nr, write->value };
}

/* Queue a copy of *@what; lock held, given up while it waits. */
static void submit(const struct request *what, u32 offset)
{
	struct model *m = &what->volume->model;
	struct request *r;
	unsigned int i;

	while (is_write(what->kind) && conflicts(what))
		pthread_cond_wait(&changed, &lock);
	r = free_request();
	r->kind = what->kind;
	r->volume = what->volume;
	r->first = what->first;
	r->nr = what->nr;
	r->adopt = what->adopt;
	r->data = r->memory + offset * SECTOR_BYTES;
	r->nr_overlaps = 0;
	r->value = 0;
	if (is_write(r->kind))
		r->value = model_write_begin(m, r->first, r->nr,
					     r->kind == DISCARD || r->kind == ZEROES);
	if (r->kind == FLUSH)
		r->began = model_flush_begin(m);
	if (r->kind != READ && r->kind != FIND)
		model_note(m, names[r->kind], r->first, r->nr, r->value);
	if (r->kind == READ)
		memcpy(r->before, m->values + r->first, r->nr * sizeof(u32));
	for (i = 0; i < LOAD_DEPTH; i++) {
		struct request *other = &requests[i];

		if (other->state == FREE || !overlap(r, other))
			continue;
		if (r->kind == READ && is_write(other->kind))
			add_overlap(r, other);
		else if (is_write(r->kind) && other->kind == READ)
			add_overlap(other, r);
	}
	r->state = QUEUED;
	pthread_cond_broadcast(&changed);
}

/* A length from 1 sector on; each power of two is as likely. */
static u32 some_length(u32 most)
{
	u32 scale = random_below(&numbers, 13), nr;

	nr = (1u << scale) + random_below(&numbers, 1u << scale);
	if (random_percent(&numbers, 60))
		nr = 1u << scale;
	return nr < most ? nr : most;
}

static void make(struct request *r)
{
	const struct model *m;
	u32 align, percent, most = most_sectors;

	memset(r, 0, sizeof(*r));
	r->volume = &volumes[random_below(&numbers, nr_volumes)];
	m = &r->volume->model;
	percent = random_below(&numbers, 100);
	r->kind = percent < 34 ? READ : percent < 84 ? WRITE : percent < 88 ? WRITE_FUA :
		  percent < 91 ? FLUSH : percent < 96 ? DISCARD : ZEROES;
	/* More flushes come out of the reads. */
	if (percent < flush_percent - 3)
		r->kind = FLUSH;
	if (r->kind == DISCARD || r->kind == ZEROES)
		most = m->nr_sectors / 3;
	r->nr = some_length(most);
	if (r->kind == DISCARD && random_percent(&numbers, 20))
		r->nr = r->nr * 16 < most ? r->nr * 16 : most;
	if (r->nr > m->nr_sectors)
		r->nr = m->nr_sectors;
	percent = random_below(&numbers, 100);
	align = percent < 25 ? 1 : percent < 50 ? 8 : percent < 75 ? m->block_sectors :
		m->row_sectors;
	/* Half of all in an eighth of the volume, so that requests meet in rows. */
	if (random_percent(&numbers, 1))
		hot = random_next(&numbers);
	r->first = random_below(&numbers, m->nr_sectors);
	if (random_percent(&numbers, 50))
		r->first = hot % m->nr_sectors + r->first / 8;
	r->first -= r->first % align;
	/* Whole rows, or up to the end of one, or to anywhere. */
	if (r->nr >= align && random_percent(&numbers, 70))
		r->nr -= r->nr % align;
	r->first %= m->nr_sectors;
	if (r->first + r->nr > m->nr_sectors)
		r->first = m->nr_sectors - r->nr;
	if (r->kind == FLUSH)
		r->first = r->nr = 0;
}

static void *maker(void *unused)
{
	struct request r;

	pthread_mutex_lock(&lock);
	for (;;) {
		if ((!endless && made >= wanted) || (may_fail && failed)) {
			idle = true;
			pthread_cond_broadcast(&changed);
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		idle = false;
		make(&r);
		submit(&r, random_percent(&numbers, 50) ? 0 : random_below(&numbers, 8));
		made++;
	}
	return NULL;
}

void load_shape(u32 most, unsigned int flushes)
{
	most_sectors = most;
	flush_percent = flushes;
}

void load_init(u64 seed)
{
	pthread_t thread;
	unsigned int i;

	numbers.state = seed;
	for (i = 0; i < LOAD_DEPTH; i++) {
		struct request *r = &requests[i];

		r->before = calloc(LOAD_MAX_SECTORS, sizeof(u32));
		if (!r->before || posix_memalign((void **)&r->memory, 4096,
						 (LOAD_MAX_SECTORS + 8) * SECTOR_BYTES))
			fail("no memory");
		if (pthread_create(&thread, NULL, worker, NULL))
			fail("no thread");
	}
	if (pthread_create(&thread, NULL, maker, NULL))
		fail("no thread");
}

void load_use(struct load_volume *which, unsigned int nr)
{
	volumes = which;
	nr_volumes = nr;
}

/* Until nothing is in flight; lock held. */
static void wait_quiet(void)
{
	unsigned int i = 0;

	while (i < LOAD_DEPTH) {
		for (i = 0; i < LOAD_DEPTH && requests[i].state == FREE; i++)
			;
		if (i < LOAD_DEPTH || !idle) {
			pthread_cond_wait(&changed, &lock);
			i = 0;
		}
	}
}

void load_begin(void)
{
	pthread_mutex_lock(&lock);
	endless = true;
	wanted = made;
	idle = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void load_end(unsigned int least)
{
	pthread_mutex_lock(&lock);
	endless = false;
	wanted += least;
	pthread_cond_broadcast(&changed);
	wait_quiet();
	pthread_mutex_unlock(&lock);
}

void load_run(unsigned int nr)
{
	load_begin();
	load_end(nr);
}

void load_expect_failure(void)
{
	pthread_mutex_lock(&lock);
	may_fail = true;
	failed = false;
	pthread_mutex_unlock(&lock);
}

void load_wait_failure(void)
{
	pthread_mutex_lock(&lock);
	while (!failed)
		pthread_cond_wait(&changed, &lock);
	endless = false;
	wanted = made;
	wait_quiet();
	may_fail = false;
	failed = false;
	pthread_mutex_unlock(&lock);
}

u64 load_made(void)
{
	u64 n;

	pthread_mutex_lock(&lock);
	n = made;
	pthread_mutex_unlock(&lock);
	return n;
}

static void scan(enum kind kind, bool adopt)
{
	struct request r = { .kind = kind, .adopt = adopt };
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nr_volumes; i++) {
		u32 end = volumes[i].model.nr_sectors;

		r.volume = &volumes[i];
		for (r.first = 0; r.first < end; r.first += r.nr) {
			r.nr = 256u << random_below(&numbers, 5);
			if (random_percent(&numbers, 10))
				r.nr -= random_below(&numbers, 128);
			if (r.nr > end - r.first)
				r.nr = end - r.first;
			submit(&r, 0);
		}
	}
	wait_quiet();
	pthread_mutex_unlock(&lock);
}

void load_check(void)
{
	scan(READ, false);
}

u64 load_find(bool adopt)
{
	lost_blocks = 0;
	scan(FIND, adopt);
	return lost_blocks;
}

void load_mend(void)
{
	struct request r = { .kind = WRITE };
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nr_volumes; i++) {
		struct model *m = &volumes[i].model;

		r.volume = &volumes[i];
		r.nr = m->block_sectors;
		for (r.first = 0; r.first < m->nr_sectors; r.first += r.nr)
			if (m->values[r.first] == VALUE_LOST)
				submit(&r, 0);
	}
	wait_quiet();
	pthread_mutex_unlock(&lock);
}

void load_flush(void)
{
	struct request r = { .kind = FLUSH };
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nr_volumes; i++) {
		r.volume = &volumes[i];
		submit(&r, 0);
	}
	wait_quiet();
	pthread_mutex_unlock(&lock);
}
