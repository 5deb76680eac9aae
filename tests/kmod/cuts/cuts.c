// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks in memory that remember, to cut the power at any instant.
 *
 * Whatever is written to any of the disks is kept, with the number of the event of
 * its issue and of its completion; one count for all disks, so that an instant is
 * one for all of them. A power cut at the instant T leaves on each disk
 *
 *	- every write that was durable: with FUA and completed before T, or completed
 *	  before a flush was issued that completed before T;
 *	- any of the others that were issued before T, whole or some of their sectors,
 *	  in the order of their issue;
 *	- anything where a discard was issued.
 *
 * A disk that failed and works again has lost its power alone: of the writes that
 * were not durable it has some, from then on for good (their fate).
 *
 * Content is in levels. Level n has pages that are newer than those of the levels
 * below (its base), and a log of what was written on top. Live I/O goes to the
 * pages of the level above, which are nobody's base. A crash moves what is durable
 * at T from the head of the log into the base, which is never undone, so crashes of
 * a level go forward in time; makes what the disks hold of the rest of the log in
 * the pages of the level above; and goes up to that level, whose base this is. So
 * what the recovery from a crash writes is recorded as well, and can be cut.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "cuts.h"

#define EVENTS		(1u << 20)	/* of a level, at most */
#define NEVER		U64_MAX
#define DISCARDED	0xd5		/* what a discarded sector holds, until written */

static unsigned int disks = 4;
module_param(disks, uint, 0444);
MODULE_PARM_DESC(disks, "how many disks");
static unsigned int mib = 32;
module_param(mib, uint, 0444);
MODULE_PARM_DESC(mib, "size of each");

/**
 * struct written - a write, or a discard (data is NULL), as it was issued
 * @completed: event of that, or NEVER
 * @fated: event at which its disk lost its power, or NEVER; then as a cut with @fate
 */
struct written {
	struct list_head list;
	u64 issued;
	u64 completed;
	u64 fated;
	u64 fate;
	u64 sector;
	u32 nr;
	bool fua;
	u8 *data;
};

struct flush {
	struct list_head list;
	u64 issued;
	u64 completed;
};

/**
 * struct content - the pages of a disk that a level changes
 * @changed: their numbers, @nr of them
 */
struct content {
	u8 **pages;
	u32 *changed;
	u32 nr;
};

/**
 * struct log - what was written to a disk on top of a level
 * @covered: the newest issue of a flush that completed before the last cut
 */
struct log {
	struct list_head writes;
	struct list_head flushes;
	u64 covered;
};

struct disk {
	struct gendisk *gd;
	unsigned int index;
	struct content content[CUTS_LEVELS + 1];
	struct log log[CUTS_LEVELS];
};

/* A write or flush that is to be completed. */
struct waiting {
	struct list_head list;
	struct disk *disk;
	struct bio *bio;
	struct written *write;
	struct flush *flush;
	bool fails;
};

static DEFINE_MUTEX(lock);	/* all of this */
static struct disk *all;
static unsigned int level;
static u64 *clock_page;		/* its first word: the number of the next event */
static u64 first_event[CUTS_LEVELS];
static u64 last_cut[CUTS_LEVELS];
static u8 *kinds[CUTS_LEVELS];
static bool full;
static u64 failing;
static u64 order;		/* state of the random order; 0: at once */
static LIST_HEAD(waiting);
static unsigned int nr_waiting;
static struct task_struct *completer;
static u8 *discarded;
static int major;

static u64 mix(u64 z)
{
	z += 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static u64 event(char kind)
{
	u64 number = *clock_page, at = number - first_event[level];

	if (at < EVENTS)
		kinds[level][at] = kind;
	else
		full = true;
	WRITE_ONCE(*clock_page, number + 1);
	return number;
}

/* Content */

static u8 *page_of(const struct disk *d, unsigned int top, u32 n)
{
	int l;

	for (l = top; l >= 0; l--)
		if (d->content[l].pages[n])
			return d->content[l].pages[n];
	return NULL;
}

/* A page that this level has for itself. @whole: all of it is going to be written. */
static u8 *own_page(struct disk *d, unsigned int l, u32 n, bool whole)
{
	struct content *c = &d->content[l];
	const u8 *below;

	if (c->pages[n])
		return c->pages[n];
	below = page_of(d, l, n);
	c->pages[n] = (u8 *)__get_free_page(GFP_NOIO | __GFP_NOFAIL);
	c->changed[c->nr++] = n;
	if (below && !whole)
		memcpy(c->pages[n], below, PAGE_SIZE);
	else if (!whole)
		memset(c->pages[n], 0, PAGE_SIZE);
	return c->pages[n];
}

static void store(struct disk *d, unsigned int l, u64 sector, u32 nr, const u8 *data)
{
	while (nr) {
		u32 at = sector % PAGE_SECTORS, n = min_t(u32, nr, PAGE_SECTORS - at);
		u8 *page = own_page(d, l, sector / PAGE_SECTORS, n == PAGE_SECTORS);

		if (data)
			memcpy(page + at * SECTOR_SIZE, data, n * SECTOR_SIZE);
		else
			memcpy(page + at * SECTOR_SIZE, discarded, n * SECTOR_SIZE);
		if (data)
			data += n * SECTOR_SIZE;
		sector += n;
		nr -= n;
	}
}

static void forget_content(struct disk *d, unsigned int l)
{
	struct content *c = &d->content[l];

	while (c->nr) {
		u32 n = c->changed[--c->nr];

		free_page((unsigned long)c->pages[n]);
		c->pages[n] = NULL;
	}
}

static void free_written(struct written *w)
{
	list_del(&w->list);
	kvfree(w->data);
	kfree(w);
}

static void forget_log(struct log *log)
{
	struct written *w, *next;
	struct flush *f, *after;

	list_for_each_entry_safe(w, next, &log->writes, list)
		free_written(w);
	list_for_each_entry_safe(f, after, &log->flushes, list) {
		list_del(&f->list);
		kfree(f);
	}
	log->covered = 0;
}

static void begin_level(unsigned int l)
{
	unsigned int i;

	level = l;
	for (i = 0; i < disks; i++) {
		forget_log(&all[i].log[l]);
		forget_content(&all[i], l + 1);
	}
	first_event[l] = *clock_page;
	last_cut[l] = first_event[l];
}

/* Crashes */

static bool durable(const struct log *log, const struct written *w, u64 at)
{
	return w->fated >= at && w->completed < at && (w->fua || w->completed < log->covered);
}

static void store_sector(struct disk *d, unsigned int l, const struct written *w, u32 i)
{
	store(d, l, w->sector + i, 1, w->data ? w->data + i * SECTOR_SIZE : NULL);
}

/* Some sectors of a write: its start, its end, or any of them. */
static void store_torn(struct disk *d, unsigned int l, const struct written *w, u64 seed)
{
	u32 i, cut = mix(seed) % (w->nr + 1);
	unsigned int style = mix(seed + 1) % 4;

	for (i = 0; i < w->nr; i++) {
		bool there = style == 0 ? i >= cut : style == 1 ? mix(seed + 2 + i) % 2 : i < cut;

		if (there)
			store_sector(d, l, w, i);
	}
}

/*
 * What a loss of power leaves of a write that is not durable. Each has a mood:
 * everything is there, nothing is; what completed is, and of the rest the first
 * part, the same of all; or of each disk a share of its own, and some of it torn.
 */
static void leave(struct disk *d, unsigned int l, const struct written *w, u64 at, u64 seed)
{
	static const u8 shares[] = { 0, 10, 50, 50, 90, 100 };
	unsigned int mood = mix(seed) % 8, torn = mix(seed + 1) % 3 * 15, share;
	u64 chance = mix(seed ^ mix(w->issued));
	u32 i;

	if (mood >= 6) {
		u32 nr = w->completed < at ? w->nr : mix(seed + 1) % (w->nr + 1);

		for (i = 0; i < nr; i++)
			store_sector(d, l, w, i);
		return;
	}
	share = mood == 0 ? 0 : mood == 1 ? 100 :
		shares[mix(seed + 2 + (mood == 2 ? 0 : d->index)) % ARRAY_SIZE(shares)];
	if (chance % 100 >= share)
		return;
	if ((chance >> 32) % 100 < torn && w->nr > 1)
		store_torn(d, l, w, chance);
	else
		store(d, l, w->sector, w->nr, w->data);
}

/* A write is decided: it is durable, or its disk lost its power. */
static bool decided(const struct log *log, const struct written *w, u64 at)
{
	return durable(log, w, at) || w->fated < at;
}

static void store_decided(struct disk *d, unsigned int l, const struct written *w, u64 at)
{
	if (durable(&d->log[level], w, at))
		store(d, l, w->sector, w->nr, w->data);
	else
		leave(d, l, w, w->fated, w->fate);
}

/* Flushes that completed before @at, and the head of the log that is decided. */
static void advance(struct disk *d, u64 at)
{
	struct log *log = &d->log[level];
	struct written *w, *next;
	struct flush *f, *after;

	list_for_each_entry_safe(f, after, &log->flushes, list) {
		if (f->completed >= at)
			continue;
		log->covered = max(log->covered, f->issued);
		list_del(&f->list);
		kfree(f);
	}
	list_for_each_entry_safe(w, next, &log->writes, list) {
		if (!decided(log, w, at))
			break;
		store_decided(d, level, w, at);
		free_written(w);
	}
}

/* What the cut leaves of the rest of the log. */
static void leave_some(struct disk *d, u64 at, u64 seed)
{
	struct log *log = &d->log[level];
	struct written *w;

	list_for_each_entry(w, &log->writes, list) {
		if (w->issued >= at)
			break;
		if (decided(log, w, at))
			store_decided(d, level + 1, w, at);
		else
			leave(d, level + 1, w, at, seed);
	}
}

/*
 * A disk alone loses its power, at the event @now: its live content is what is left.
 * Flushes are not forgotten, for a cut may come to lie before this.
 */
static void lose_power(struct disk *d, u64 now)
{
	struct log *log = &d->log[level];
	u64 covered = log->covered;
	struct written *w;
	struct flush *f;

	list_for_each_entry(f, &log->flushes, list)
		if (f->completed < now)
			log->covered = max(log->covered, f->issued);
	forget_content(d, level + 1);
	list_for_each_entry(w, &log->writes, list) {
		if (durable(log, w, now)) {
			store(d, level + 1, w->sector, w->nr, w->data);
			continue;
		}
		if (w->fated == NEVER) {
			w->fated = now;
			w->fate = mix(now);
		}
		leave(d, level + 1, w, w->fated, w->fate);
	}
	log->covered = covered;
}

/* Disks that fail from now on, with all they have in flight, and those that work again. */
static void fail_disks(u64 which)
{
	struct waiting *w;
	unsigned int i;

	list_for_each_entry(w, &waiting, list)
		w->fails |= !!(which & BIT_ULL(w->disk->index));
	for (i = 0; i < disks; i++)
		if (failing & ~which & BIT_ULL(i))
			lose_power(&all[i], event('p'));
	failing = which;
}

static int crash(u64 at, u64 seed)
{
	unsigned int i;

	if (level + 1 >= CUTS_LEVELS || at < last_cut[level] || at > *clock_page)
		return -EINVAL;
	if (nr_waiting)
		return -EBUSY;
	for (i = 0; i < disks; i++) {
		forget_content(&all[i], level + 1);
		advance(&all[i], at);
		leave_some(&all[i], at, seed);
	}
	last_cut[level] = at;
	begin_level(level + 1);
	return 0;
}

static int back(void)
{
	unsigned int i;

	if (!level)
		return -EINVAL;
	if (nr_waiting)
		return -EBUSY;
	for (i = 0; i < disks; i++) {
		forget_log(&all[i].log[level]);
		forget_content(&all[i], level + 1);
		forget_content(&all[i], level);
	}
	level--;
	return 0;
}

static void settle_disk(struct disk *d)
{
	unsigned int l;
	u32 i;

	for (l = 1; l <= level + 1; l++) {
		struct content *c = &d->content[l];

		for (i = 0; i < c->nr; i++)
			store(d, 0, (u64)c->changed[i] * PAGE_SECTORS, PAGE_SECTORS,
			      c->pages[c->changed[i]]);
		forget_content(d, l);
	}
	for (l = 1; l <= level; l++)
		forget_log(&d->log[l]);
}

static int settle(bool empty)
{
	unsigned int i;

	if (nr_waiting)
		return -EBUSY;
	for (i = 0; i < disks; i++) {
		settle_disk(&all[i]);
		if (empty)
			forget_content(&all[i], 0);
	}
	full = false;
	begin_level(0);
	return 0;
}

/* I/O */

static void read_bio(struct disk *d, struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		u8 *to = bvec_kmap_local(&bv);
		u32 left = bv.bv_len >> SECTOR_SHIFT, done = 0;

		while (left) {
			u32 at = sector % PAGE_SECTORS, n = min_t(u32, left, PAGE_SECTORS - at);
			const u8 *page = page_of(d, level + 1, sector / PAGE_SECTORS);

			if (page)
				memcpy(to + done, page + at * SECTOR_SIZE, n * SECTOR_SIZE);
			else
				memset(to + done, 0, n * SECTOR_SIZE);
			done += n * SECTOR_SIZE;
			sector += n;
			left -= n;
		}
		kunmap_local(to);
	}
}

static struct written *note_write(struct disk *d, struct bio *bio)
{
	struct written *w = kmalloc(sizeof(*w), GFP_NOIO | __GFP_NOFAIL);
	bool discard = bio_op(bio) == REQ_OP_DISCARD;
	struct bvec_iter iter;
	struct bio_vec bv;
	u32 done = 0;

	w->sector = bio->bi_iter.bi_sector;
	w->nr = bio_sectors(bio);
	w->fua = bio->bi_opf & REQ_FUA;
	w->completed = NEVER;
	w->fated = NEVER;
	w->data = NULL;
	if (!discard) {
		w->data = kvmalloc(bio->bi_iter.bi_size, GFP_NOIO);
		if (!w->data) {
			kfree(w);
			return NULL;
		}
		bio_for_each_segment(bv, bio, iter) {
			memcpy_from_bvec(w->data + done, &bv);
			done += bv.bv_len;
		}
	}
	w->issued = event(discard ? 'd' : w->fua ? 'a' : 'w');
	list_add_tail(&w->list, &d->log[level].writes);
	store(d, level + 1, w->sector, w->nr, w->data);
	return w;
}

static struct flush *note_flush(struct disk *d)
{
	struct flush *f = kmalloc(sizeof(*f), GFP_NOIO | __GFP_NOFAIL);

	f->issued = event('f');
	f->completed = NEVER;
	list_add_tail(&f->list, &d->log[level].flushes);
	return f;
}

/* Lock held, but for the end of the bio itself. */
static void complete_bio(struct waiting *w)
{
	bool fails = w->fails;

	if (!fails && w->flush)
		w->flush->completed = event('F');
	if (!fails && w->write)
		w->write->completed = event(!w->write->data ? 'D' : w->write->fua ? 'A' : 'W');
	mutex_unlock(&lock);
	if (fails)
		bio_io_error(w->bio);
	else
		bio_endio(w->bio);
	kfree(w);
	mutex_lock(&lock);
}

static void submit(struct bio *bio)
{
	struct disk *d = bio->bi_bdev->bd_disk->private_data;
	bool writes = bio_op(bio) == REQ_OP_WRITE || bio_op(bio) == REQ_OP_DISCARD;
	struct waiting *w;

	mutex_lock(&lock);
	if (failing & BIT_ULL(d->index)) {
		mutex_unlock(&lock);
		bio_io_error(bio);
		return;
	}
	if (bio_op(bio) == REQ_OP_READ) {
		read_bio(d, bio);
		mutex_unlock(&lock);
		bio_endio(bio);
		return;
	}
	w = kzalloc(sizeof(*w), GFP_NOIO | __GFP_NOFAIL);
	w->disk = d;
	w->bio = bio;
	if (bio->bi_opf & REQ_PREFLUSH)
		w->flush = note_flush(d);
	if (writes && bio_sectors(bio)) {
		w->write = note_write(d, bio);
		if (!w->write) {
			mutex_unlock(&lock);
			kfree(w);
			bio_io_error(bio);
			return;
		}
	}
	if (order) {
		list_add_tail(&w->list, &waiting);
		nr_waiting++;
		wake_up_process(completer);
	} else {
		complete_bio(w);
	}
	mutex_unlock(&lock);
}

/* Completes what waits, in any order, and takes its time now and then. */
static int complete_some(void *unused)
{
	while (!kthread_should_stop()) {
		struct waiting *w;
		u64 n;

		mutex_lock(&lock);
		if (!nr_waiting) {
			set_current_state(TASK_INTERRUPTIBLE);
			mutex_unlock(&lock);
			if (!kthread_should_stop())
				schedule();
			__set_current_state(TASK_RUNNING);
			continue;
		}
		order = mix(order) | 1;
		n = order / 2 % nr_waiting;
		list_for_each_entry(w, &waiting, list)
			if (!n--)
				break;
		list_del(&w->list);
		nr_waiting--;
		complete_bio(w);
		n = order >> 40;
		mutex_unlock(&lock);
		if (n % 16 == 0)
			usleep_range(20, 200);
		else if (n % 2)
			cond_resched();
	}
	return 0;
}

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.submit_bio = submit,
};

/* /dev/cuts */

static long control(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;
	struct cuts_info info = {};
	struct cuts_crash cut;
	struct written *w;
	unsigned int i;
	int err = 0;
	u64 word;

	if (command == CUTS_CRASH && copy_from_user(&cut, user, sizeof(cut)))
		return -EFAULT;
	if ((command == CUTS_FAIL || command == CUTS_DELAY) &&
	    copy_from_user(&word, user, sizeof(word)))
		return -EFAULT;
	mutex_lock(&lock);
	switch (command) {
	case CUTS_RESET:
		err = settle(true);
		break;
	case CUTS_CRASH:
		err = crash(cut.at, cut.seed);
		break;
	case CUTS_BACK:
		err = back();
		break;
	case CUTS_SETTLE:
		err = settle(false);
		break;
	case CUTS_FAIL:
		fail_disks(word);
		break;
	case CUTS_DELAY:
		order = word;
		break;
	case CUTS_INFO:
		info.level = level;
		info.first = first_event[level];
		info.next = *clock_page;
		info.full = full;
		for (i = 0; i < disks; i++)
			list_for_each_entry(w, &all[i].log[level].writes, list)
				info.pending++;
		break;
	default:
		err = -ENOTTY;
	}
	mutex_unlock(&lock);
	if (command == CUTS_INFO && copy_to_user(user, &info, sizeof(info)))
		err = -EFAULT;
	return err;
}

static ssize_t read_kinds(struct file *file, char __user *to, size_t bytes, loff_t *at)
{
	ssize_t n;

	mutex_lock(&lock);
	n = simple_read_from_buffer(to, bytes, at, kinds[level],
				    min_t(u64, EVENTS, *clock_page - first_event[level]));
	mutex_unlock(&lock);
	return n;
}

static int map_clock(struct file *file, struct vm_area_struct *vma)
{
	return vm_insert_page(vma, vma->vm_start, virt_to_page(clock_page));
}

static const struct file_operations control_ops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control,
	.read = read_kinds,
	.mmap = map_clock,
	.llseek = default_llseek,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "cuts",
	.fops = &control_ops,
};

static void disk_exit(struct disk *d)
{
	unsigned int l;

	if (d->gd) {
		del_gendisk(d->gd);
		put_disk(d->gd);
	}
	for (l = 0; l < CUTS_LEVELS; l++)
		forget_log(&d->log[l]);
	for (l = 0; l <= CUTS_LEVELS; l++) {
		if (d->content[l].changed)
			forget_content(d, l);
		kvfree(d->content[l].pages);
		kvfree(d->content[l].changed);
	}
}

static int disk_init(struct disk *d, unsigned int index)
{
	struct queue_limits limits = {
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
		.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT,
		.discard_granularity = SECTOR_SIZE,
	};
	u32 pages = mib << (20 - PAGE_SHIFT);
	struct gendisk *gd;
	unsigned int l;
	int err;

	d->index = index;
	for (l = 0; l <= CUTS_LEVELS; l++) {
		d->content[l].pages = kvcalloc(pages, sizeof(u8 *), GFP_KERNEL);
		d->content[l].changed = kvcalloc(pages, sizeof(u32), GFP_KERNEL);
		if (!d->content[l].pages || !d->content[l].changed)
			return -ENOMEM;
	}
	gd = blk_alloc_disk(&limits, NUMA_NO_NODE);
	if (IS_ERR(gd))
		return PTR_ERR(gd);
	gd->major = major;
	gd->first_minor = index;
	gd->minors = 1;
	gd->flags |= GENHD_FL_NO_PART;
	gd->fops = &disk_ops;
	gd->private_data = d;
	snprintf(gd->disk_name, sizeof(gd->disk_name), "cuts%u", index);
	set_capacity(gd, (u64)mib << (20 - SECTOR_SHIFT));
	err = add_disk(gd);
	if (err) {
		put_disk(gd);
		return err;
	}
	d->gd = gd;
	return 0;
}

static void cuts_exit(void)
{
	unsigned int i;

	if (control_device.this_device)
		misc_deregister(&control_device);
	if (completer)
		kthread_stop(completer);
	for (i = 0; all && i < disks; i++)
		disk_exit(&all[i]);
	kvfree(all);
	for (i = 0; i < CUTS_LEVELS; i++)
		vfree(kinds[i]);
	free_page((unsigned long)clock_page);
	free_page((unsigned long)discarded);
	if (major > 0)
		unregister_blkdev(major, "cuts");
}

static int __init cuts_init(void)
{
	unsigned int i;
	int err = -ENOMEM;

	if (!disks || disks > CUTS_DISKS || !mib || mib > 4096)
		return -EINVAL;
	all = kvcalloc(disks, sizeof(*all), GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	for (i = 0; i < disks * CUTS_LEVELS; i++) {
		struct log *log = &all[i / CUTS_LEVELS].log[i % CUTS_LEVELS];

		INIT_LIST_HEAD(&log->writes);
		INIT_LIST_HEAD(&log->flushes);
	}
	clock_page = (u64 *)get_zeroed_page(GFP_KERNEL);
	discarded = (u8 *)__get_free_page(GFP_KERNEL);
	if (!clock_page || !discarded)
		goto out;
	memset(discarded, DISCARDED, PAGE_SIZE);
	for (i = 0; i < CUTS_LEVELS; i++) {
		kinds[i] = vmalloc(EVENTS);
		if (!kinds[i])
			goto out;
	}
	major = register_blkdev(0, "cuts");
	err = major;
	if (major < 0)
		goto out;
	for (i = 0; i < disks; i++) {
		err = disk_init(&all[i], i);
		if (err)
			goto out;
	}
	completer = kthread_run(complete_some, NULL, "cuts");
	if (IS_ERR(completer)) {
		err = PTR_ERR(completer);
		completer = NULL;
		goto out;
	}
	err = misc_register(&control_device);
	if (!err)
		return 0;
out:
	cuts_exit();
	return err;
}
module_init(cuts_init);
module_exit(cuts_exit);

MODULE_DESCRIPTION("Disks in memory whose power can be cut at any instant");
MODULE_LICENSE("GPL");
