// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec of heartbeat blocks, for the kernel and for userspace.
 *
 * A backend has two: the owner's, which says who owns the pool, or who did and
 * for whom it was released; and a standby's, by which the owner knows to whom it
 * can hand over. Each is written in its place as a whole: a torn one is not valid,
 * and who reads it knows no more than that it has changed.
 */
#include <qbd/format.h>

static u32 heartbeat_crc(const struct qbd_heartbeat_disk *d)
{
	return crc32c(~0u, (const u8 *)d + sizeof(d->crc), sizeof(*d) - sizeof(d->crc));
}

static bool host_valid(const char *host)
{
	unsigned int i;

	for (i = 0; i < QBD_HOST_SIZE && host[i]; i++)
		if ((unsigned char)host[i] < 0x20 || (unsigned char)host[i] == 0x7f)
			return false;
	return i < QBD_HOST_SIZE;
}

/**
 * qbd_heartbeat_seal - a heartbeat block's bytes
 * @raw: QBD_PAGE_SIZE bytes, written whole
 * @pool_uuid: of the pool
 * @uuid: of the backend
 * @h: what it says
 */
void qbd_heartbeat_seal(void *raw, const u8 *pool_uuid, const u8 *uuid,
			const struct qbd_heartbeat *h)
{
	struct qbd_heartbeat_disk *d = raw;
	unsigned int i;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(QBD_HEARTBEAT_MAGIC);
	memcpy(d->pool_uuid, pool_uuid, 16);
	memcpy(d->uuid, uuid, 16);
	d->nonce = cpu_to_le64(h->nonce);
	d->counter = cpu_to_le64(h->counter);
	d->next = cpu_to_le64(h->next);
	d->kind = h->kind;
	for (i = 0; i < QBD_HOST_SIZE - 1 && h->host[i]; i++)
		d->host[i] = h->host[i];
	d->crc = cpu_to_le32(heartbeat_crc(d));
}

/**
 * qbd_heartbeat_check - read a heartbeat block
 * @raw: QBD_PAGE_SIZE bytes
 * @pool_uuid: of the pool
 * @uuid: of the backend
 * @h: set to what it says
 *
 * Return: 0; -ENOENT nothing but zeros: nobody ever had the pool; -EILSEQ it is
 * damaged, or of another pool or backend.
 */
int qbd_heartbeat_check(const void *raw, const u8 *pool_uuid, const u8 *uuid,
			struct qbd_heartbeat *h)
{
	const struct qbd_heartbeat_disk *d = raw;
	unsigned int i;

	memset(h, 0, sizeof(*h));
	if (!d->magic && !d->crc) {
		for (i = 0; i < QBD_PAGE_SIZE && !((const u8 *)raw)[i]; i++)
			;
		return i == QBD_PAGE_SIZE ? -ENOENT : -EILSEQ;
	}
	if (le32_to_cpu(d->magic) != QBD_HEARTBEAT_MAGIC ||
	    heartbeat_crc(d) != le32_to_cpu(d->crc) || memcmp(d->pool_uuid, pool_uuid, 16) ||
	    memcmp(d->uuid, uuid, 16) || !d->nonce || d->kind < QBD_HEARTBEAT_OWNED ||
	    d->kind > QBD_HEARTBEAT_STANDBY || !host_valid(d->host))
		return -EILSEQ;
	h->kind = d->kind;
	h->nonce = le64_to_cpu(d->nonce);
	h->counter = le64_to_cpu(d->counter);
	h->next = le64_to_cpu(d->next);
	memcpy(h->host, d->host, QBD_HOST_SIZE);
	return 0;
}
