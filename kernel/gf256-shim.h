/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the coding sources (gf256*.c, ec.c) need from the kernel, for the
 * kernel and for userspace (tests, benchmark, offline tools). The only place
 * of theirs that asks which of the two it is built for.
 */
#ifndef QBD_GF256_SHIM_H
#define QBD_GF256_SHIM_H

#ifdef __KERNEL__

#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>

#ifdef CONFIG_X86_64 /* User-mode Linux for it as well. */
#include <linux/preempt.h>
#include <asm/fpu/api.h>

static inline bool gf256_fpu_usable(void)
{
	return irq_fpu_usable();
}

/*
 * kernel_fpu_begin() switches preemption off, but for user-mode Linux, where
 * it does nothing: its debug kernel shall find who sleeps in a section, too.
 */
static inline void gf256_fpu_begin(void)
{
	preempt_disable();
	kernel_fpu_begin();
}

static inline void gf256_fpu_end(void)
{
	kernel_fpu_end();
	preempt_enable();
}

#else /* !CONFIG_X86_64 */

static inline bool gf256_fpu_usable(void)
{
	return false;
}

static inline void gf256_fpu_begin(void) { }
static inline void gf256_fpu_end(void) { }

#endif /* !CONFIG_X86_64 */

/* Costs nothing but in a kernel that is built to find bugs. */
#define GF256_WARN_ON(cond)						\
	do {								\
		if (IS_ENABLED(CONFIG_PROVE_LOCKING))			\
			WARN_ON_ONCE(cond);				\
	} while (0)

#else /* !__KERNEL__ */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define __init
#define __ro_after_init
#define __aligned(n)		__attribute__((aligned(n)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BIT(n)			(1UL << (n))
#define GENMASK(h, l)		((~0UL >> (63 - (h))) & (~0UL << (l)))
#define hweight32(v)		((unsigned int)__builtin_popcount(v))
#define __ffs(v)		((unsigned int)__builtin_ctzl(v))
#define min_t(t, a, b)		((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define round_down(v, n)	((v) / (n) * (n))

#define GF256_WARN_ON(cond)	assert(!(cond))
#define pr_info(...)		do { } while (0)
#define pr_err(...)		do { } while (0)
#define module_param_named(...)	struct gf256_shim_unused
#define MODULE_PARM_DESC(...)	struct gf256_shim_unused

static inline bool gf256_fpu_usable(void)
{
	return true;
}

static inline void gf256_fpu_begin(void) { }
static inline void gf256_fpu_end(void) { }

typedef int spinlock_t;

static inline void spin_lock_init(spinlock_t *lock)
{
	*lock = 0;
}

static inline void spin_lock(spinlock_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		;
}

static inline void spin_unlock(spinlock_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif /* !__KERNEL__ */

#endif /* QBD_GF256_SHIM_H */
