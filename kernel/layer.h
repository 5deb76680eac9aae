/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Volumes, and layers: what is in them.
 */
#ifndef QBD_LAYER_H
#define QBD_LAYER_H

#include <linux/list.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <qbd/format.h>

struct ec_code;
struct qbd_pool;

/**
 * struct qbd_layer - one generation of a volume's content
 * @map: chunk number -> struct qbd_map
 * @chunks: chunk number -> struct qbd_chunk
 */
struct qbd_layer {
	struct qbd_pool *pool;
	u32 number;
	u32 volume;
	u32 index;		/* in the layer table */
	struct qbd_policy policy;
	u64 sectors;
	char tag[QBD_TAGS_SIZE];
	u32 nr_chunks;
	u32 rows;		/* of a chunk */
	u32 range_rows;
	u32 io_rows;		/* of one request, at most */
	u32 nr_ranges;		/* of a chunk */
	u32 csum_pages;		/* of a chunk */
	u32 units;		/* of a row */
	u32 block_size;
	u32 block_pages;
	u32 destage_room;	/* ring blocks that the destage of a row takes; 0: no journal */
	u64 chunk_bytes;	/* of user data */
	struct ec_code *code;	/* NULL for replicas */
	struct xarray map;
	struct xarray chunks;
	u64 nr_allocated;
	struct list_head dead;	/* of a removed volume, until the pool ends */
};

struct qbd_volume {
	u32 index;		/* in the volume table */
	struct qbd_volume_entry entry;
	struct qbd_layer *top;
	unsigned int users;	/* targets */
	bool deleting;
	u64 freed_lsn;		/* of the last record of its removal */
};

/* layer.c: layers and volumes */
struct qbd_layer *qbd_layer_create(struct qbd_pool *pool, u32 index,
				   const struct qbd_layer_entry *entry, const char *tag);
void qbd_layer_destroy(struct qbd_layer *layer);
int qbd_volumes_load(struct qbd_pool *pool);
void qbd_volumes_exit(struct qbd_pool *pool);
struct qbd_volume *qbd_volume_find(struct qbd_pool *pool, const char *name);
int qbd_volume_create(struct qbd_pool *pool, struct qbd_volume_entry *entry,
		      const char **error);
int qbd_volume_remove(struct qbd_pool *pool, const char *name, const char **error);
unsigned int qbd_pool_max_m(struct qbd_pool *pool);
bool qbd_layer_blind(const struct qbd_layer *layer);
void qbd_free_deleted(struct work_struct *work);

#endif
