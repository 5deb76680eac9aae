// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moments: places in the code at which a test holds whoever comes by, so that something
 * else happens just then. What two CPUs meet once in a year is a test so, on one.
 *
 * In kernels with fault injection only; in others nothing of it is there. debugfs'
 * qbd_moments takes "hold NAME": the next one at that place stays there; and "go NAME":
 * he goes on, and nobody else stays. Read, it has a line "NAME waiting" or "NAME held"
 * for each that was named last.
 */
#include "qbd.h"

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#define MOMENTS		4u	/* at a time */
#define NAME		40u

enum state { FREE, WAITING, HELD };

static struct moment {
	char name[NAME];
	enum state state;
} moments[MOMENTS];

static DEFINE_SPINLOCK(moments_lock);	/* moments */
static DECLARE_WAIT_QUEUE_HEAD(moments_wait);
static struct dentry *moments_file;

/* Context: moments_lock. */
static struct moment *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < MOMENTS; i++)
		if (moments[i].state != FREE && !strcmp(moments[i].name, name))
			return &moments[i];
	return NULL;
}

static bool is_held(const char *name)
{
	const struct moment *m;
	bool held;

	spin_lock(&moments_lock);
	m = find(name);
	held = m && m->state == HELD;
	spin_unlock(&moments_lock);
	return held;
}

/**
 * qbd_moment - be held here, if a test wants that
 * @name: of the place
 *
 * Sleeps, with whatever the caller has locked.
 */
void qbd_moment(const char *name)
{
	struct moment *m;
	bool hold;

	might_sleep();
	spin_lock(&moments_lock);
	m = find(name);
	hold = m && m->state == WAITING;
	if (hold)
		m->state = HELD;
	spin_unlock(&moments_lock);
	if (hold)
		wait_event(moments_wait, !is_held(name));
}

static int hold(const char *name)
{
	unsigned int i;
	int err = -ENOSPC;

	spin_lock(&moments_lock);
	if (find(name)) {
		err = -EEXIST;
	} else {
		for (i = 0; i < MOMENTS && moments[i].state != FREE; i++)
			;
		if (i < MOMENTS) {
			strscpy(moments[i].name, name, NAME);
			moments[i].state = WAITING;
			err = 0;
		}
	}
	spin_unlock(&moments_lock);
	return err;
}

static int go(const char *name)
{
	struct moment *m;

	spin_lock(&moments_lock);
	m = find(name);
	if (m)
		m->state = FREE;
	spin_unlock(&moments_lock);
	wake_up_all(&moments_wait);
	return m ? 0 : -ENOENT;
}

static ssize_t moments_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	char line[NAME + 8] = "", *name;
	int err = -EINVAL;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	name = strim(line);
	if (!strncmp(name, "hold ", 5) && strlen(name + 5) < NAME)
		err = hold(name + 5);
	else if (!strncmp(name, "go ", 3))
		err = go(name + 3);
	return err ?: (ssize_t)count;
}

static int moments_show(struct seq_file *seq, void *unused)
{
	unsigned int i;

	spin_lock(&moments_lock);
	for (i = 0; i < MOMENTS; i++)
		if (moments[i].state != FREE)
			seq_printf(seq, "%s %s\n", moments[i].name,
				   moments[i].state == HELD ? "held" : "waiting");
	spin_unlock(&moments_lock);
	return 0;
}

static int moments_open(struct inode *inode, struct file *file)
{
	return single_open(file, moments_show, NULL);
}

static const struct file_operations moments_fops = {
	.owner = THIS_MODULE,
	.open = moments_open,
	.read = seq_read,
	.write = moments_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void qbd_moments_init(void)
{
	moments_file = debugfs_create_file("qbd_moments", 0600, NULL, NULL, &moments_fops);
}

void qbd_moments_exit(void)
{
	debugfs_remove(moments_file);
}
#endif
