// SPDX-License-Identifier: GPL-2.0-only
/*
 * The erasure code in a kernel: its sources, and what shows that they work
 * there. tests/cases/gf256.sh loads it once for each instruction set:
 *
 *	gf256=NAME	the instruction set; loading fails if it codes wrong
 *	threads=N	threads that code, and check it, until the module goes
 *	run		written to: code, and check it, in the caller's context,
 *			with whatever the caller has in its vector registers
 *	rounds, errors	read: what threads and writers did so far
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "ec.h"

#define LEG_BYTES	4096
#define MAX_THREADS	16

/* The buffers of one coder: a row and what is rebuilt of it. */
struct coder {
	struct ec_code code;
	u8 *legs[EC_MAX_LEGS];
	u8 *out[EC_MAX_LEGS];
	u8 delta[LEG_BYTES];
};

static atomic_t rounds, errors;
static struct task_struct *tasks[MAX_THREADS];
static struct coder *writers_coder;
static DEFINE_MUTEX(writers_mutex);

static unsigned int threads;
module_param(threads, uint, 0444);

static int get_rounds(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&rounds));
}

static int get_errors(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&errors));
}

static const struct kernel_param_ops rounds_ops = { .get = get_rounds };
static const struct kernel_param_ops errors_ops = { .get = get_errors };
module_param_cb(rounds, &rounds_ops, NULL, 0444);
module_param_cb(errors, &errors_ops, NULL, 0444);

static void free_coder(struct coder *c)
{
	unsigned int i;

	if (!c)
		return;
	for (i = 0; i < EC_MAX_LEGS; i++) {
		kfree(c->legs[i]);
		kfree(c->out[i]);
	}
	kfree(c);
}

static struct coder *new_coder(void)
{
	struct coder *c = kzalloc(sizeof(*c), GFP_KERNEL);
	unsigned int i;

	if (!c)
		return NULL;
	for (i = 0; i < EC_MAX_LEGS; i++) {
		c->legs[i] = kmalloc(LEG_BYTES, GFP_KERNEL);
		c->out[i] = kmalloc(LEG_BYTES, GFP_KERNEL);
		if (!c->legs[i] || !c->out[i]) {
			free_coder(c);
			return NULL;
		}
		get_random_bytes(c->legs[i], LEG_BYTES);
	}
	get_random_bytes(c->delta, LEG_BYTES);
	return c;
}

/* Parity @r of the row by the definition, one byte at a time. */
static bool parity_is_right(struct coder *c, unsigned int r, size_t len)
{
	unsigned int col;
	size_t i;

	for (i = 0; i < len; i++) {
		u8 v = 0;

		for (col = 0; col < c->code.k; col++)
			v ^= gf256_mul(ec_coef(r, col), c->legs[col][i]);
		if (v != c->legs[c->code.k + r][i])
			return false;
	}
	return true;
}

/* Lose @lost and rebuild it. */
static bool rebuild_is_right(struct coder *c, u32 lost, size_t len)
{
	u32 all = BIT(c->code.k + c->code.m) - 1;
	struct gf256_section sec;
	u8 *legs[EC_MAX_LEGS];
	struct ec_plan plan;
	unsigned int i;

	if (ec_make_plan(&c->code, all & ~lost, lost, &plan))
		return false;
	for (i = 0; i < EC_MAX_LEGS; i++)
		legs[i] = lost & BIT(i) ? c->out[i] : c->legs[i];
	gf256_section_begin(&sec);
	ec_rebuild(&sec, &plan, len, legs);
	gf256_section_end(&sec);
	for (i = 0; i < EC_MAX_LEGS; i++)
		if (lost & BIT(i) && memcmp(c->out[i], c->legs[i], len))
			return false;
	return true;
}

/* One K+M: encode, update, rebuild; the definition is slow and takes turns. */
static bool code_is_right(struct coder *c, unsigned int k, unsigned int m,
			  size_t len, bool by_definition)
{
	struct gf256_section sec;
	unsigned int leg, r;
	size_t i;

	if (ec_code_init(&c->code, k, m))
		return false;

	gf256_section_begin(&sec);
	ec_encode(&sec, &c->code, len, (const u8 *const *)c->legs, c->legs + k);
	gf256_section_end(&sec);
	if (by_definition)
		for (r = 0; r < m; r++)
			if (!parity_is_right(c, r, len))
				return false;

	leg = get_random_u32() % k;
	gf256_section_begin(&sec);
	ec_update(&sec, &c->code, len, leg, c->delta, c->legs + k);
	gf256_section_end(&sec);
	for (i = 0; i < len; i++)
		c->legs[leg][i] ^= c->delta[i];

	for (leg = 0; leg < k + m; leg++)
		if (!rebuild_is_right(c, BIT(leg), len))
			return false;
	/* The worst case. */
	return rebuild_is_right(c, BIT(min(k, m)) - 1, len);
}

static int check_all_codes(void)
{
	struct coder *c = new_coder();
	unsigned int k, m, checks = 0;

	if (!c)
		return -ENOMEM;
	for (k = EC_MIN_K; k <= EC_MAX_K; k++)
		for (m = EC_MIN_M; m <= EC_MAX_M; m++) {
			size_t odd = 1 + get_random_u32() % LEG_BYTES;

			if (!code_is_right(c, k, m, LEG_BYTES, true) ||
			    !code_is_right(c, k, m, odd, true)) {
				pr_err("%s: %u+%u is wrong\n", gf256_name(), k, m);
				free_coder(c);
				return -EIO;
			}
			checks += 2;
			cond_resched();
		}
	free_coder(c);
	pr_info("%s: %u checks passed\n", gf256_name(), checks);
	return 0;
}

static void count_round(bool right)
{
	atomic_inc(&rounds);
	if (!right)
		atomic_inc(&errors);
}

static int code_forever(void *data)
{
	struct coder *c = data;

	while (!kthread_should_stop()) {
		count_round(code_is_right(c, 4, 2, LEG_BYTES, false));
		cond_resched();
	}
	free_coder(c);
	return 0;
}

static int set_run(const char *val, const struct kernel_param *kp)
{
	bool right;

	mutex_lock(&writers_mutex);
	right = writers_coder &&
		code_is_right(writers_coder, 4, 2, LEG_BYTES, false);
	mutex_unlock(&writers_mutex);
	count_round(right);
	return right ? 0 : -EIO;
}

static const struct kernel_param_ops run_ops = { .set = set_run };
module_param_cb(run, &run_ops, NULL, 0200);

static void stop_threads(void)
{
	unsigned int i;

	for (i = 0; i < MAX_THREADS; i++)
		if (tasks[i])
			kthread_stop(tasks[i]);
}

static int __init gf256_test_init(void)
{
	unsigned int i;
	int r;

	if (threads > MAX_THREADS)
		return -EINVAL;
	r = gf256_init();
	if (r)
		return r;
	r = check_all_codes();
	if (r)
		return r;

	writers_coder = new_coder();
	if (!writers_coder)
		return -ENOMEM;
	for (i = 0; i < threads; i++) {
		struct coder *c = new_coder();
		struct task_struct *task;

		task = c ? kthread_create(code_forever, c, "gf256-test/%u", i) :
			   ERR_PTR(-ENOMEM);
		if (IS_ERR(task)) {
			free_coder(c);
			stop_threads();
			free_coder(writers_coder);
			return PTR_ERR(task);
		}
		tasks[i] = task;
		/* A thread that is stopped before it ran would keep its coder. */
		wake_up_process(task);
	}
	return 0;
}

static void __exit gf256_test_exit(void)
{
	stop_threads();
	free_coder(writers_coder);
	pr_info("%s: %d rounds, %d errors\n", gf256_name(),
		atomic_read(&rounds), atomic_read(&errors));
}

module_init(gf256_test_init);
module_exit(gf256_test_exit);
MODULE_DESCRIPTION("Test of the erasure code of dm-qbd");
MODULE_LICENSE("GPL");
