/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making a pool: the shape that is common to all members, and each one's bytes.
 */
#ifndef QBD_CREATE_H
#define QBD_CREATE_H

#include "device.h"

struct create_backend {
	struct qbd_device device;
	char tags[QBD_TAGS_SIZE];
	u8 role; /* enum qbd_member_role */
};

struct create_options {
	u32 extent_size;
	u32 csum_bytes_per_slot; /* 0: what ec=4+2 of 4 KiB blocks needs */
	u8 journal; /* enum qbd_journal_mode */
	u32 lease_ms; /* 0: none */
};

u64 create_min_bytes(void);
int create_plan(struct qbd_super *supers, const char *name, const struct create_backend *backends,
		unsigned int nr, const struct create_options *options, unsigned int *small);
int create_tables(const struct qbd_device *device, const struct qbd_super *super);
int create_super(const struct qbd_device *device, const struct qbd_super *super);

#endif
