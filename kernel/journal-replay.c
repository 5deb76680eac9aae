// SPDX-License-Identifier: GPL-2.0-only
/*
 * The journal at activation: what the log has of it.
 *
 * Each record is shown here in the order of LSNs. A block is put together of its
 * pieces; whole, it replaces the one of the same place. A DESTAGE record takes what
 * its row has at that moment as *pending*; a DESTAGED record ends that, and what it
 * covers is live no more. Nor is it lacking when a DESTAGE record after that names it
 * again, for who wrote the row may not have known: the DESTAGED record was stalled, and
 * became durable when he had failed for it. At the end of the log
 *
 *	1. rows with a pending destage are written to their place, blocks and parity,
 *	   all of them from the ring; then their values are the place's. Before ranges
 *	   are reconciled: a row may be in one.
 *	2. what no destage covers is live, and is written to the new generation of the
 *	   ring, behind the log that was found, before the superblocks name it.
 *
 * A crash before 2 is complete finds the same log and does it all again; the blocks
 * of a generation that no superblock names are passed over, and no number of a
 * generation is tried twice.
 *
 * A chunk that has fewer than K legs now is not written: what was pending is live
 * again. A read-only pool writes nothing, and keeps such rows whole in memory.
 *
 * Model: tests/model/journal.pml.
 */
#include <linux/slab.h>

#include "qbd.h"

/*
 * What is needed of a row only until the log is read.
 *	filled	bytes of each leg's next block that are there, in coming
 *	parity	legs of which coming is whole, since the last DESTAGE record
 *	pending	legs of a destage that is not done, with its values and blocks; its
 *		data blocks are up to the LSN newest; lacking: the log has not all
 *	values	those of the last DESTAGE or DESTAGED record
 *	done	there was a DESTAGED record
 */
struct qbd_journal_replay {
	u32 filled[QBD_MAX_LEGS];
	u32 csums[QBD_MAX_LEGS];
	u32 parity;
	u32 pending;
	u64 newest;
	u32 lacking;
	bool done;
	__le32 values[QBD_MAX_LEGS];
	u8 *coming[QBD_MAX_LEGS];
	u8 *blocks[QBD_MAX_LEGS];	/* of the pending destage */
};

/**
 * qbd_journal_replay_free - what was needed of a row to read the log
 * @jr: the row
 */
void qbd_journal_replay_free(struct qbd_journal_row *jr)
{
	u32 l;

	if (!jr->replay)
		return;
	for (l = 0; l < QBD_MAX_LEGS; l++) {
		kvfree(jr->replay->coming[l]);
		kvfree(jr->replay->blocks[l]);
	}
	kfree(jr->replay);
	jr->replay = NULL;
}

/* The row of a record, which is made when it is the first. */
static struct qbd_journal_row *replay_row(struct qbd_chunk *chunk, u32 row)
{
	const struct qbd_layer *layer = chunk->layer;
	struct qbd_journal_row *jr = qbd_journal_find(chunk, row);
	struct qbd_journal_replay *replay;

	if (jr)
		return jr;
	jr = kzalloc(struct_size(jr, pages, layer->policy.k * layer->block_pages), GFP_KERNEL);
	replay = kzalloc(sizeof(*replay), GFP_KERNEL);
	if (!jr || !replay) {
		kfree(jr);
		kfree(replay);
		return NULL;
	}
	jr->replay = replay;
	return qbd_journal_add(chunk, row, jr);
}

/* Make a block live, of @data. */
static int install(struct qbd_journal_row *jr, u32 l, const u8 *data, u32 csum, u64 lsn)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_pool *pool = chunk->layer->pool;
	struct qbd_journal *j = &pool->journal;
	u32 pages = chunk->layer->block_pages, i;

	for (i = 0; i < pages; i++) {
		struct page **page = &jr->pages[l * pages + i];

		if (!*page) {
			/* More than a pool ever keeps: this is no log of its own. */
			if (j->nr_pages >= j->max_pages)
				return -EILSEQ;
			*page = mempool_alloc(&j->pages, GFP_KERNEL);
			spin_lock(&j->lock);
			j->nr_pages++;
			spin_unlock(&j->lock);
		}
		memcpy(page_address(*page), data + i * PAGE_SIZE, PAGE_SIZE);
	}
	jr->blocks[l].csum = csum;
	jr->blocks[l].lsn = lsn;
	jr->live |= BIT(l);
	return 0;
}

static bool block_right(const struct qbd_journal_row *jr, u32 l, const u8 *data, u32 csum)
{
	const struct qbd_chunk *chunk = jr->chunk;
	u32 crc = qbd_csum_seed(chunk->layer->number, chunk->number, chunk->map->gen, jr->row, l);

	return qbd_csum_finish(crc32c(crc, data, chunk->layer->block_size)) == csum;
}

static int replay_piece(struct qbd_journal_row *jr, u64 lsn, const struct qbd_record *r)
{
	const struct qbd_layer *layer = jr->chunk->layer;
	struct qbd_journal_replay *replay = jr->replay;

	if (r->offset + r->bytes > layer->block_size)
		return -EILSEQ;
	if (!r->offset) {
		replay->filled[r->leg] = 0;
		replay->csums[r->leg] = r->csum;
	}
	/* Its first pieces lie before the tail: it is not needed. */
	if (replay->filled[r->leg] != r->offset || replay->csums[r->leg] != r->csum) {
		replay->filled[r->leg] = U32_MAX;
		return 0;
	}
	if (!replay->coming[r->leg])
		replay->coming[r->leg] = kvmalloc(layer->block_size, GFP_KERNEL);
	if (!replay->coming[r->leg])
		return -ENOMEM;
	memcpy(replay->coming[r->leg] + r->offset, r->data, r->bytes);
	replay->filled[r->leg] += r->bytes;
	if (replay->filled[r->leg] < layer->block_size)
		return 0;
	replay->filled[r->leg] = U32_MAX;
	if (!block_right(jr, r->leg, replay->coming[r->leg], r->csum))
		return -EILSEQ;
	if (r->leg < layer->policy.k)
		return install(jr, r->leg, replay->coming[r->leg], r->csum, lsn);
	replay->parity |= BIT(r->leg);
	return 0;
}

/* Did a DESTAGED record say that a leg's block, as the DESTAGE record @r has it, is there? */
static bool in_place_already(const struct qbd_journal_row *jr, u32 l, const struct qbd_record *r)
{
	return !(jr->live & BIT(l)) && jr->replay->done && jr->replay->values[l] == r->values[l];
}

/* A destage was begun: its blocks are those that the row has now. */
static int replay_destage(struct qbd_journal_row *jr, const struct qbd_record *r)
{
	const struct qbd_layer *layer = jr->chunk->layer;
	u32 k = layer->policy.k, pages = layer->block_pages, l, i;
	struct qbd_journal_replay *replay = jr->replay;

	replay->pending = r->mask;
	replay->newest = r->newest;
	replay->lacking = 0;
	for (l = 0; r->mask >> l; l++) {
		if (!(r->mask & BIT(l)))
			continue;
		if (l < k && in_place_already(jr, l, r)) {
			replay->pending &= ~BIT(l);
			continue;
		}
		if (l < k ? !(jr->live & BIT(l)) || jr->blocks[l].lsn > r->newest :
			    !(replay->parity & BIT(l))) {
			replay->lacking |= BIT(l);
			continue;
		}
		if (!replay->blocks[l])
			replay->blocks[l] = kvmalloc(layer->block_size, GFP_KERNEL);
		if (!replay->blocks[l])
			return -ENOMEM;
		for (i = 0; l < k && i < pages; i++)
			memcpy(replay->blocks[l] + i * PAGE_SIZE,
			       page_address(jr->pages[l * pages + i]), PAGE_SIZE);
		if (l >= k)
			memcpy(replay->blocks[l], replay->coming[l], layer->block_size);
		if (!block_right(jr, l, replay->blocks[l], le32_to_cpu(r->values[l])))
			replay->lacking |= BIT(l);
	}
	memcpy(replay->values, r->values, r->nr_units * sizeof(__le32));
	replay->parity = 0;
	return 0;
}

/* What is live up to an LSN is in its place. */
static void in_place(struct qbd_journal_row *jr, u64 newest)
{
	u32 legs = 0, l;

	for (l = 0; jr->live >> l; l++)
		if ((jr->live & BIT(l)) && jr->blocks[l].lsn <= newest)
			legs |= BIT(l);
	qbd_journal_drop(jr, legs);
}

/**
 * qbd_journal_replay - a record of the log
 * @chunk: that it names
 * @lsn: LSN of the record
 * @r: JOURNAL, DESTAGE or DESTAGED; of the chunk's gen
 *
 * Context: activation. Return: 0; -ENOMEM; -EILSEQ it cannot be.
 */
int qbd_journal_replay(struct qbd_chunk *chunk, u64 lsn, const struct qbd_record *r)
{
	const struct qbd_layer *layer = chunk->layer;
	struct qbd_journal_row *jr;
	u32 row = r->type == QBD_RECORD_JOURNAL ? r->row : r->first_unit / r->nr_units;
	int err;

	if (!layer->code || layer->pool->members.journal == QBD_JOURNAL_OFF ||
	    row >= layer->rows ||
	    (r->type == QBD_RECORD_JOURNAL ? r->leg >= layer->units :
					     r->nr_units != layer->units))
		return -EILSEQ;
	jr = replay_row(chunk, row);
	if (!jr)
		return -ENOMEM;
	if (r->type == QBD_RECORD_JOURNAL)
		return replay_piece(jr, lsn, r);
	err = qbd_csum_replay(chunk, lsn, r->first_unit, r->nr_units, r->values);
	if (err)
		return err;
	if (r->type == QBD_RECORD_DESTAGE)
		return replay_destage(jr, r);
	memcpy(jr->replay->values, r->values, r->nr_units * sizeof(__le32));
	jr->replay->pending = 0;
	jr->replay->done = true;
	in_place(jr, r->newest);
	return 0;
}

/* The blocks of a pending destage, in the pages of a row. */
static void fill_row(struct qbd_rows *rows, const struct qbd_journal_replay *replay)
{
	u32 pages = rows->chunk->layer->block_pages, l, i;

	for (l = 0; replay->pending >> l; l++) {
		if (!(replay->pending & BIT(l)))
			continue;
		for (i = 0; i < pages; i++)
			memcpy(page_address(qbd_rows_block(rows, l, 0)[i]),
			       replay->blocks[l] + i * PAGE_SIZE, PAGE_SIZE);
		rows->have[0] |= BIT(l);
	}
}

/* Nothing may be written: the whole row is live. */
static int keep_row(struct qbd_journal_row *jr, struct qbd_rows *rows)
{
	const struct qbd_layer *layer = rows->chunk->layer;
	u32 all = BIT(layer->policy.k) - 1, pages = layer->block_pages, l, i;
	u8 *block = kvmalloc(layer->block_size, GFP_KERNEL);
	int err = block ? 0 : -ENOMEM;

	if (qbd_rows_read(rows, 0, 1, all))
		DMWARN("%s: volume %u chunk %u row %u: a part of it cannot be read",
		       layer->pool->members.pool_name, layer->volume, jr->chunk->number, jr->row);
	for (l = 0; l < layer->policy.k && !err; l++) {
		u32 csum = *qbd_rows_csum(rows, l, 0);

		/* What came after the destage is newer. */
		if ((jr->live & BIT(l)) || !(rows->have[0] & BIT(l)) || csum < QBD_CSUM_STATES)
			continue;
		for (i = 0; i < pages; i++)
			memcpy(block + i * PAGE_SIZE, page_address(qbd_rows_block(rows, l, 0)[i]),
			       PAGE_SIZE);
		err = install(jr, l, block, csum, jr->replay->newest);
	}
	kvfree(block);
	return err;
}

static int rewrite_row(struct qbd_journal_row *jr)
{
	struct qbd_chunk *chunk = jr->chunk;
	struct qbd_layer *layer = chunk->layer;
	struct qbd_pool *pool = layer->pool;
	u32 first = jr->row * layer->units, l;
	struct qbd_rows *rows;
	int err;

	/* Nobody can read it, so nobody can tell what it holds: until legs return. */
	if (hweight32(qbd_chunk_current(chunk)) < layer->policy.k)
		return 0;
	if (jr->replay->lacking) {
		DMERR("%s: volume %u chunk %u row %u: the ring has not all that a destage was begun with",
		      pool->members.pool_name, layer->volume, chunk->number, jr->row);
		return -EUCLEAN;
	}
	err = qbd_csum_load(chunk, first, first + layer->units - 1, NULL);
	if (err)
		return err;
	rows = qbd_rows_alloc(chunk, jr->row, 1, GFP_NOIO);
	qbd_rows_csums(rows);
	fill_row(rows, jr->replay);
	if (pool->features.read_only) {
		err = keep_row(jr, rows);
	} else {
		rows->want[0] = jr->replay->pending;
		if (qbd_rows_io(rows, REQ_OP_WRITE, rows->want, qbd_chunk_writable(chunk)))
			err = -EIO;
		else
			in_place(jr, jr->replay->newest);
		/* Whatever came after the record: this is what is there now. */
		spin_lock_irq(&chunk->lock);
		for (l = 0; !err && l < layer->units; l++)
			if (jr->replay->pending & BIT(l))
				qbd_csum_record(chunk, first + l,
						le32_to_cpu(jr->replay->values[l]));
		spin_unlock_irq(&chunk->lock);
	}
	qbd_rows_free(rows);
	return err;
}

/**
 * qbd_journal_rewrite - the log was read: write the rows whose destage was not done
 * @pool: the pool
 *
 * Context: activation; the stamps are durable. Not flushed. Return: 0 or an error.
 */
int qbd_journal_rewrite(struct qbd_pool *pool)
{
	struct qbd_journal_row *jr, *next;
	int err = 0;

	list_for_each_entry_safe(jr, next, &pool->journal.rows, list) {
		if (jr->replay->pending && !err)
			err = rewrite_row(jr);
		qbd_journal_replay_free(jr);
		jr->promised = 0;
		if (!jr->live)
			qbd_journal_free(jr);
	}
	return err;
}

/* Room for the destages of what is live was promised to those who wrote it. */
static void promise_destages(struct qbd_pool *pool)
{
	struct qbd_journal_row *jr;

	list_for_each_entry(jr, &pool->journal.rows, list) {
		jr->promised = jr->chunk->layer->destage_room;
		pool->ring.promised += jr->promised;
	}
}

/**
 * qbd_journal_carry - write what is live to a new generation of the ring, durably
 * @pool: the pool
 * @members: the ring members of that generation
 * @generation: its number
 * @lsn: the next LSN; set to the one after those that are used here
 * @block: the next block, likewise
 *
 * Context: activation; what is found from pool->ring.tail up to @block stays as it
 * is. Return: 0; -EIO; -ENOMEM; -ENOSPC more is live than there is room for.
 */
int qbd_journal_carry(struct qbd_pool *pool, u64 members, u64 generation, u64 *lsn,
		      u64 *block)
{
	struct qbd_journal *j = &pool->journal;
	struct qbd_batch all = {}, part;
	struct qbd_journal_row *jr;
	int err = 0;
	u32 l, n;

	if (list_empty(&j->rows))
		return 0;
	if (qbd_batch_init(&all, j->nr_pages + j->nr_pages / 8 + 1)) {
		qbd_batch_exit(&all);
		return -ENOMEM;
	}
	list_for_each_entry(jr, &j->rows, list) {
		const struct qbd_chunk *chunk = jr->chunk;
		const struct qbd_layer *layer = chunk->layer;

		jr->pos = *block;
		for (l = 0; jr->live >> l && !err; l++) {
			struct qbd_record r = qbd_journal_record(jr->chunk, jr->row, l,
								 jr->blocks[l].csum);

			if (!(jr->live & BIT(l)))
				continue;
			jr->blocks[l].lsn = qbd_batch_add(&all, lsn, &r,
							  &jr->pages[l * layer->block_pages],
							  layer->block_size);
			if (!jr->blocks[l].lsn)
				err = -ENOSPC;
		}
	}
	if (*block + all.nr_blocks - pool->ring.tail > pool->ring.capacity)
		err = -ENOSPC;
	if (err)
		DMERR("%s: the journal does not fit into the ring", pool->members.pool_name);
	else
		qbd_batch_seal(pool, &all, generation, *block, *block);
	for (n = 0; n < all.nr_blocks && !err; n += part.nr_blocks) {
		part = all;
		part.blocks += (size_t)n * QBD_PAGE_SIZE;
		part.nr_blocks = min_t(u32, QBD_BATCH_BLOCKS, all.nr_blocks - n);
		if (qbd_batch_send(pool, &part, *block + n, members))
			err = -EIO;
	}
	*block += all.nr_blocks;
	qbd_batch_exit(&all);
	promise_destages(pool);
	return err;
}
