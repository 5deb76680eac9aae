// SPDX-License-Identifier: GPL-2.0-only
/*
 * Codecs of the ring: its blocks, and the records in them. For the kernel and for
 * userspace, and by the rules of format.c.
 */
#include <qbd/format.h>

static void check_layout(void)
{
	BUILD_BUG_ON(sizeof(struct qbd_ring_disk) != QBD_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct qbd_record_disk) != 8);
	BUILD_BUG_ON(sizeof(struct qbd_chunk_record_disk) != 40);
	BUILD_BUG_ON(sizeof(struct qbd_chunk_leg_disk) != 8);
	BUILD_BUG_ON(sizeof(struct qbd_range_record_disk) != 32);
	BUILD_BUG_ON(sizeof(struct qbd_csum_record_disk) != 32);
	BUILD_BUG_ON(sizeof(struct qbd_volume_record_disk) != 272);
	BUILD_BUG_ON(sizeof(struct qbd_layer_record_disk) != 144);
	BUILD_BUG_ON(sizeof(struct qbd_checkpoint_record_disk) != 16);
	BUILD_BUG_ON(sizeof(struct qbd_journal_record_disk) != 40);
	BUILD_BUG_ON(sizeof(struct qbd_destage_record_disk) != 48);
}

/**
 * qbd_ring_block_seal - write a ring block's header around its records
 * @raw: QBD_PAGE_SIZE bytes
 * @pool_uuid: of the pool
 * @b: the header
 */
void qbd_ring_block_seal(void *raw, const u8 *pool_uuid, const struct qbd_ring_block *b)
{
	struct qbd_ring_disk *d = raw;

	d->magic = cpu_to_le32(QBD_RING_MAGIC);
	memcpy(d->pool_uuid, pool_uuid, 16);
	d->generation = cpu_to_le64(b->generation);
	d->number = cpu_to_le64(b->number);
	d->tail = cpu_to_le64(b->tail);
	d->first_lsn = cpu_to_le64(b->first_lsn);
	d->nr_records = cpu_to_le16(b->nr_records);
	d->used = cpu_to_le16(b->used);
	d->batch_index = cpu_to_le32(b->batch_index);
	memset(d->payload + b->used, 0, QBD_PAGE_PAYLOAD - b->used);
	d->crc = cpu_to_le32(crc32c(~0u, &d->magic, QBD_PAGE_SIZE - 4));
}

/**
 * qbd_ring_block_check - is this a whole block of that pool's ring
 * @raw: QBD_PAGE_SIZE bytes
 * @pool_uuid: of the pool
 * @b: its header
 *
 * Return: 0 and its header in @b, or -EILSEQ.
 */
int qbd_ring_block_check(const void *raw, const u8 *pool_uuid, struct qbd_ring_block *b)
{
	const struct qbd_ring_disk *d = raw;

	if (le32_to_cpu(d->magic) != QBD_RING_MAGIC ||
	    memcmp(d->pool_uuid, pool_uuid, 16) ||
	    crc32c(~0u, &d->magic, QBD_PAGE_SIZE - 4) != le32_to_cpu(d->crc))
		return -EILSEQ;
	b->generation = le64_to_cpu(d->generation);
	b->number = le64_to_cpu(d->number);
	b->tail = le64_to_cpu(d->tail);
	b->first_lsn = le64_to_cpu(d->first_lsn);
	b->nr_records = le16_to_cpu(d->nr_records);
	b->used = le16_to_cpu(d->used);
	b->batch_index = le32_to_cpu(d->batch_index);
	if (b->used > QBD_PAGE_PAYLOAD || b->tail > b->number ||
	    b->batch_index > b->number - b->tail || b->number >> 62 ||
	    b->first_lsn >> 62)
		return -EILSEQ;
	return 0;
}

/**
 * qbd_record_size - bytes that a record takes in a ring block
 * @r: the record
 */
unsigned int qbd_record_size(const struct qbd_record *r)
{
	unsigned int n = 0;

	switch (r->type) {
	case QBD_RECORD_CHUNK:
		n = sizeof(struct qbd_chunk_record_disk) +
		    r->nr_legs * sizeof(struct qbd_chunk_leg_disk);
		break;
	case QBD_RECORD_RANGE:
		n = sizeof(struct qbd_range_record_disk);
		break;
	case QBD_RECORD_CSUM:
		n = sizeof(struct qbd_csum_record_disk) + r->nr_units * 4;
		break;
	case QBD_RECORD_VOLUME:
		n = sizeof(struct qbd_volume_record_disk);
		break;
	case QBD_RECORD_LAYER:
		n = sizeof(struct qbd_layer_record_disk);
		break;
	case QBD_RECORD_CHECKPOINT:
		n = sizeof(struct qbd_checkpoint_record_disk);
		break;
	case QBD_RECORD_JOURNAL:
		n = sizeof(struct qbd_journal_record_disk) + r->bytes;
		break;
	case QBD_RECORD_DESTAGE:
	case QBD_RECORD_DESTAGED:
		n = sizeof(struct qbd_destage_record_disk) + r->nr_units * 4;
		break;
	}
	return (n + 7) & ~7u;
}

/**
 * qbd_record_encode - write a record
 * @r: the record
 * @out: room for qbd_record_size() bytes
 *
 * Return: its size in bytes.
 */
unsigned int qbd_record_encode(const struct qbd_record *r, void *out)
{
	unsigned int size = qbd_record_size(r), i;
	struct qbd_record_disk *head = out;

	check_layout();
	memset(out, 0, size);
	head->type = r->type;
	head->op = r->op;
	head->length = cpu_to_le16(size);
	switch (r->type) {
	case QBD_RECORD_CHUNK: {
		struct qbd_chunk_record_disk *d = out;

		d->layer = cpu_to_le32(r->layer);
		d->chunk = cpu_to_le32(r->chunk);
		d->gen = cpu_to_le64(r->gen);
		d->insync = cpu_to_le64(r->insync);
		d->epoch = cpu_to_le32(r->epoch);
		d->flags = cpu_to_le16(r->flags);
		d->nr_legs = r->nr_legs;
		for (i = 0; i < r->nr_legs; i++) {
			d->legs[i].slot = cpu_to_le32(r->legs[i].slot);
			d->legs[i].backend = r->legs[i].backend;
			d->legs[i].leg = r->legs[i].leg;
			d->legs[i].state = r->legs[i].state;
		}
		break;
	}
	case QBD_RECORD_RANGE: {
		struct qbd_range_record_disk *d = out;

		d->layer = cpu_to_le32(r->layer);
		d->chunk = cpu_to_le32(r->chunk);
		d->gen = cpu_to_le64(r->gen);
		d->first_row = cpu_to_le32(r->first_row);
		d->nr_rows = cpu_to_le32(r->nr_rows);
		break;
	}
	case QBD_RECORD_CSUM: {
		struct qbd_csum_record_disk *d = out;

		d->layer = cpu_to_le32(r->layer);
		d->chunk = cpu_to_le32(r->chunk);
		d->gen = cpu_to_le64(r->gen);
		d->first_unit = cpu_to_le32(r->first_unit);
		d->nr_units = cpu_to_le32(r->nr_units);
		memcpy(d->values, r->values, r->nr_units * 4);
		break;
	}
	case QBD_RECORD_VOLUME: {
		struct qbd_volume_record_disk *d = out;

		d->index = cpu_to_le32(r->index);
		qbd_volume_put(&d->entry, 0, &r->volume);
		break;
	}
	case QBD_RECORD_LAYER: {
		struct qbd_layer_record_disk *d = out;

		d->index = cpu_to_le32(r->index);
		qbd_layer_put(&d->entry, 0, &r->layer_entry);
		break;
	}
	case QBD_RECORD_CHECKPOINT:
		((struct qbd_checkpoint_record_disk *)out)->lsn = cpu_to_le64(r->lsn);
		break;
	case QBD_RECORD_JOURNAL: {
		struct qbd_journal_record_disk *d = out;

		d->layer = cpu_to_le32(r->layer);
		d->chunk = cpu_to_le32(r->chunk);
		d->gen = cpu_to_le64(r->gen);
		d->row = cpu_to_le32(r->row);
		d->csum = cpu_to_le32(r->csum);
		d->offset = cpu_to_le32(r->offset);
		d->bytes = cpu_to_le16(r->bytes);
		d->leg = r->leg;
		memcpy(d->data, r->data, r->bytes);
		break;
	}
	case QBD_RECORD_DESTAGE:
	case QBD_RECORD_DESTAGED: {
		struct qbd_destage_record_disk *d = out;

		d->layer = cpu_to_le32(r->layer);
		d->chunk = cpu_to_le32(r->chunk);
		d->gen = cpu_to_le64(r->gen);
		d->newest = cpu_to_le64(r->newest);
		d->first_unit = cpu_to_le32(r->first_unit);
		d->mask = cpu_to_le32(r->mask);
		d->nr_units = cpu_to_le32(r->nr_units);
		memcpy(d->values, r->values, r->nr_units * 4);
		break;
	}
	}
	return size;
}

static int journal_record_decode(const struct qbd_journal_record_disk *d, unsigned int length,
				 struct qbd_record *r)
{
	if (length < sizeof(*d))
		return -EILSEQ;
	r->layer = le32_to_cpu(d->layer);
	r->chunk = le32_to_cpu(d->chunk);
	r->gen = le64_to_cpu(d->gen);
	r->row = le32_to_cpu(d->row);
	r->csum = le32_to_cpu(d->csum);
	r->offset = le32_to_cpu(d->offset);
	r->bytes = le16_to_cpu(d->bytes);
	r->leg = d->leg;
	r->data = d->data;
	if (length != sizeof(*d) + r->bytes || !r->bytes || r->bytes % 8 ||
	    r->offset > QBD_MAX_BLOCK - r->bytes || r->leg >= QBD_MAX_LEGS ||
	    r->csum < QBD_CSUM_STATES)
		return -EILSEQ;
	return 0;
}

static int destage_record_decode(const struct qbd_destage_record_disk *d, unsigned int length,
				 struct qbd_record *r)
{
	if (length < sizeof(*d))
		return -EILSEQ;
	r->layer = le32_to_cpu(d->layer);
	r->chunk = le32_to_cpu(d->chunk);
	r->gen = le64_to_cpu(d->gen);
	r->newest = le64_to_cpu(d->newest);
	r->first_unit = le32_to_cpu(d->first_unit);
	r->mask = le32_to_cpu(d->mask);
	r->nr_units = le32_to_cpu(d->nr_units);
	r->values = d->values;
	if (!r->nr_units || r->nr_units > QBD_MAX_LEGS || r->first_unit % r->nr_units ||
	    r->mask >> r->nr_units || length != qbd_record_size(r))
		return -EILSEQ;
	return 0;
}

static int chunk_record_decode(const struct qbd_chunk_record_disk *d,
			       unsigned int length, struct qbd_record *r)
{
	unsigned int i;

	if (length < sizeof(*d) || d->nr_legs > QBD_CHUNK_RECORD_LEGS ||
	    length != sizeof(*d) + d->nr_legs * sizeof(d->legs[0]))
		return -EILSEQ;
	r->layer = le32_to_cpu(d->layer);
	r->chunk = le32_to_cpu(d->chunk);
	r->gen = le64_to_cpu(d->gen);
	r->insync = le64_to_cpu(d->insync);
	r->epoch = le32_to_cpu(d->epoch);
	r->flags = le16_to_cpu(d->flags);
	r->nr_legs = d->nr_legs;
	for (i = 0; i < d->nr_legs; i++) {
		r->legs[i].slot = le32_to_cpu(d->legs[i].slot);
		r->legs[i].backend = d->legs[i].backend;
		r->legs[i].leg = d->legs[i].leg;
		r->legs[i].state = d->legs[i].state;
		if (d->legs[i].backend >= QBD_MAX_BACKENDS ||
		    d->legs[i].leg >= QBD_MAX_LEGS ||
		    d->legs[i].state > QBD_SLOT_REBUILD ||
		    r->legs[i].slot >= QBD_MAX_SLOTS)
			return -EILSEQ;
	}
	return r->layer ? 0 : -EILSEQ;
}

/**
 * qbd_record_decode - check and read the record at @raw
 * @raw: in a block
 * @r: the record
 * @left: bytes from @raw to the end of the block's records
 *
 * What a record names (layer, chunk, rows, units, slots) may still not exist:
 * that is for who applies it to check.
 *
 * Return: its size in bytes, or -EILSEQ. A type that is not known is an error:
 * what cannot be applied must not be passed over.
 */
int qbd_record_decode(const void *raw, unsigned int left, struct qbd_record *r)
{
	const struct qbd_record_disk *head = raw;
	unsigned int length;

	if (left < sizeof(*head))
		return -EILSEQ;
	length = le16_to_cpu(head->length);
	if (length < sizeof(*head) || length > left || length % 8)
		return -EILSEQ;
	memset(r, 0, sizeof(*r));
	r->type = head->type;
	r->op = head->op;
	switch (head->type) {
	case QBD_RECORD_CHUNK:
		if (chunk_record_decode(raw, length, r))
			return -EILSEQ;
		break;
	case QBD_RECORD_RANGE: {
		const struct qbd_range_record_disk *d = raw;

		if (length != sizeof(*d))
			return -EILSEQ;
		r->layer = le32_to_cpu(d->layer);
		r->chunk = le32_to_cpu(d->chunk);
		r->gen = le64_to_cpu(d->gen);
		r->first_row = le32_to_cpu(d->first_row);
		r->nr_rows = le32_to_cpu(d->nr_rows);
		break;
	}
	case QBD_RECORD_CSUM: {
		const struct qbd_csum_record_disk *d = raw;

		if (length < sizeof(*d))
			return -EILSEQ;
		r->layer = le32_to_cpu(d->layer);
		r->chunk = le32_to_cpu(d->chunk);
		r->gen = le64_to_cpu(d->gen);
		r->first_unit = le32_to_cpu(d->first_unit);
		r->nr_units = le32_to_cpu(d->nr_units);
		r->values = d->values;
		if (r->nr_units > QBD_MAX_CSUM_RUN || length != qbd_record_size(r))
			return -EILSEQ;
		break;
	}
	case QBD_RECORD_VOLUME: {
		const struct qbd_volume_record_disk *d = raw;

		if (length != sizeof(*d))
			return -EILSEQ;
		r->index = le32_to_cpu(d->index);
		qbd_volume_get(&d->entry, 0, &r->volume);
		break;
	}
	case QBD_RECORD_LAYER: {
		const struct qbd_layer_record_disk *d = raw;

		if (length != sizeof(*d))
			return -EILSEQ;
		r->index = le32_to_cpu(d->index);
		qbd_layer_get(&d->entry, 0, &r->layer_entry);
		break;
	}
	case QBD_RECORD_CHECKPOINT: {
		const struct qbd_checkpoint_record_disk *d = raw;

		if (length != sizeof(*d))
			return -EILSEQ;
		r->lsn = le64_to_cpu(d->lsn);
		break;
	}
	case QBD_RECORD_JOURNAL:
		if (journal_record_decode(raw, length, r))
			return -EILSEQ;
		break;
	case QBD_RECORD_DESTAGE:
	case QBD_RECORD_DESTAGED:
		if (destage_record_decode(raw, length, r))
			return -EILSEQ;
		break;
	default:
		return -EILSEQ;
	}
	return length;
}
