/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool that runs: what the kernel says of it.
 */
#ifndef QBD_LIVE_H
#define QBD_LIVE_H

#include "dm.h"
#include "words.h"
#include "verify.h"

struct live_backend {
	u32 index;
	char uuid[37];
	dev_t rdev; /* 0: no device */
	bool in;
	bool suspect;
	u32 out_epoch;
	u64 slots;
	u64 free_slots;
	u64 unsynced; /* legs that are not in sync */
	u64 read_errors;
	u64 write_errors;
	u64 csum_errors;
	u64 repaired;
	u64 deadline_ms; /* 0: none */
	u64 timeouts; /* requests that were not answered by then */
	u64 orphans; /* those still in flight */
	char tags[QBD_TAGS_SIZE];
	bool slow;
	u32 p50_us, p99_us; /* of reads, lately */
	u32 errors; /* against its limit */
	u32 outs; /* how often it failed lately */
	u32 held; /* seconds for which it is not let in */
};

struct live_volume {
	u32 number;
	char name[QBD_NAME_SIZE];
	bool deleting;
	u64 sectors;
	struct qbd_policy policy;
	u32 block_size;
	char tag[QBD_TAGS_SIZE];
};

struct live_job {
	char state[16]; /* idle, running, stopped */
	u64 done; /* chunks */
	u64 total;
	u64 count; /* resync: bytes written; scrub: bad blocks found */
};

struct live_status {
	char mode[16]; /* rw, ro, failed, standby */
	char health[QBD_MAX_BACKENDS + 1];
	u32 epoch;
	char tag[17];
	char uuid[37];
	u64 extent_sectors;
	u64 used_slots, slots;
	u64 volumes, chunks, degraded_chunks;
	u64 ring_used, ring_blocks, checkpoints;
	struct live_job resync, scrub;
	u64 repaired, lost;
	char journal[8]; /* off, on, full */
	u64 journal_rows, destaged_rows;
	u64 journal_devices_in, journal_devices;
};

struct live_pool {
	char name[DM_NAME_SIZE];
	dev_t rdev;
	struct live_status status;
};

int live_pools(struct live_pool **pools, unsigned int *nr);
int live_find(const char *name, struct live_pool *pool);
int live_read_status(const char *name, struct live_status *status);
bool live_parse_status(const char *line, struct live_status *status);
int live_backends(const struct live_pool *pool, struct live_backend **backends, unsigned int *nr);
int live_volumes(const struct live_pool *pool, struct live_volume **volumes, unsigned int *nr);
int live_verify(const struct live_pool *pool, struct verify *verify);
int live_message(const struct live_pool *pool, char **reply, const char *format, ...)
	__printf(3, 4);
int live_readd(const struct live_pool *pool, unsigned int index, dev_t rdev, bool now);
bool live_parse_backend(const char *line, struct live_backend *backend);
bool live_parse_limits(const char *line, struct live_backend *backends, unsigned int nr);
bool live_parse_volume(const char *line, struct live_volume *volume);
bool live_parse_verify(const char *line, struct verify_volume *volume);
bool live_healthy(const struct live_status *status);
bool live_kept(const struct live_status *status, unsigned int index);

#endif
