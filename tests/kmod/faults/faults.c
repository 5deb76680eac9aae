// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on purpose, one a load: does the harness see them?
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "what to do: overrun, leak, sleep, deadlock, warn, die");

static DEFINE_SPINLOCK(lock);
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void overrun(void)
{
	u8 *bytes = kmalloc(40, GFP_KERNEL);
	size_t end = 40;

	OPTIMIZER_HIDE_VAR(end);
	if (bytes)
		WRITE_ONCE(bytes[end], 1);
	kfree(bytes);
}

static void leak(void)
{
	u8 *bytes = kmalloc(4096, GFP_KERNEL);

	if (bytes)
		memset(bytes, 0x5a, 4096);
}

static void sleep_under_spinlock(void)
{
	spin_lock(&lock);
	msleep(100);	/* long enough to be asleep on a slow machine, too */
	spin_unlock(&lock);
}

static void lock_both_ways(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static int __init faults_init(void)
{
	if (!strcmp(fault, "overrun"))
		overrun();
	else if (!strcmp(fault, "leak"))
		leak();
	else if (!strcmp(fault, "sleep"))
		sleep_under_spinlock();
	else if (!strcmp(fault, "deadlock"))
		lock_both_ways();
	else if (!strcmp(fault, "warn"))
		WARN(1, "a fault on purpose\n");
	else if (!strcmp(fault, "die"))
		panic("a fault on purpose\n");
	else if (strcmp(fault, "none"))
		return -EINVAL;
	return 0;
}
module_init(faults_init);

static void __exit faults_exit(void)
{
}
module_exit(faults_exit);

MODULE_DESCRIPTION("Faults on purpose, to test the harness");
MODULE_LICENSE("GPL");
