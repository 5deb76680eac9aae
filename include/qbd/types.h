/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few kernel words that the code shared by kernel and userspace needs.
 *
 * Shared are format.c and record.c (codecs), replay.c (the ring's contents) and
 * history.c (epochs); this is the only place where they see on which side they are compiled.
 */
#ifndef QBD_TYPES_H
#define QBD_TYPES_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/types.h>

#else

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define le16_to_cpu(v) le16toh(v)
#define le32_to_cpu(v) le32toh(v)
#define le64_to_cpu(v) le64toh(v)
#define cpu_to_le16(v) htole16(v)
#define cpu_to_le32(v) htole32(v)
#define cpu_to_le64(v) htole64(v)

#define BUILD_BUG_ON(cond) static_assert(!(cond), #cond)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define BIT_ULL(n) (1ULL << (n))

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

/* As the kernel's: no inversion at either end. */
u32 crc32c(u32 crc, const void *data, size_t length);

#endif

#endif
