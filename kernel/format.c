// SPDX-License-Identifier: GPL-2.0-only
/*
 * Codecs of superblocks and metadata pages, for the kernel and for userspace.
 *
 * With record.c the only code that touches a byte of metadata. Everything that
 * comes from a disk is checked here, before anyone uses it: sizes, counts,
 * indexes, strings. Nothing here allocates, sleeps or keeps state.
 */
#include <qbd/format.h>

static void check_layout(void)
{
	BUILD_BUG_ON(sizeof(struct qbd_page) != QBD_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct qbd_super_disk) != QBD_SUPER_SIZE);
	BUILD_BUG_ON(offsetof(struct qbd_super_disk, epochs) != 512);
	BUILD_BUG_ON(offsetof(struct qbd_super_disk, members) != 1280);
	BUILD_BUG_ON(sizeof(struct qbd_heartbeat_disk) != QBD_PAGE_SIZE);
	BUILD_BUG_ON(QBD_STANDBY_START + QBD_PAGE_SIZE > QBD_TABLES_START);
	BUILD_BUG_ON(sizeof(struct qbd_member_disk) != 96);
	BUILD_BUG_ON(sizeof(struct qbd_volume_disk) != 256);
	BUILD_BUG_ON(sizeof(struct qbd_layer_disk) != 128);
	BUILD_BUG_ON(sizeof(struct qbd_slot_disk) != 32);
}

/* Strings on disk fill a fixed field, end in it, and are printable. */
static bool string_valid(const char *s, size_t size)
{
	size_t i;

	for (i = 0; i < size && s[i]; i++)
		if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] == 0x7f)
			return false;
	return i < size;
}

static void string_copy(char *to, const char *from, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && from[n])
		n++;
	memset(to, 0, size);
	memcpy(to, from, n);
}

/**
 * qbd_policy_valid - is this a policy that a volume can have
 * @p: the policy
 */
bool qbd_policy_valid(const struct qbd_policy *p)
{
	if (p->block_shift < 12 || p->block_shift > 16)
		return false;
	if (p->kind == QBD_REPLICAS)
		return p->k == 1 && p->m < QBD_MAX_REPLICAS;
	return p->kind == QBD_EC && p->k >= 2 && p->k <= QBD_MAX_K &&
	       p->m >= 1 && p->m <= QBD_MAX_M;
}

/**
 * qbd_csum_table_bytes - room that a chunk's checksum table needs in a slot
 * @p: the policy
 * @extent_size: bytes of an extent
 *
 * Return: bytes, with both places of each page.
 */
u32 qbd_csum_table_bytes(const struct qbd_policy *p, u32 extent_size)
{
	u32 units = (extent_size >> p->block_shift) * qbd_policy_units(p);

	return DIV_ROUND_UP(units, QBD_CSUMS_PER_PAGE) * QBD_PAGE_PLACES;
}

/**
 * qbd_csum_seed - where a block belongs, as the start of its checksum
 * @layer: the layer
 * @chunk: the chunk
 * @gen: the chunk's gen
 * @row: the row, of the chunk
 * @leg: 0 for replicas, whose legs are all the same
 */
u32 qbd_csum_seed(u32 layer, u32 chunk, u64 gen, u32 row, u32 leg)
{
	struct {
		__le32 layer, chunk;
		__le64 gen;
		__le32 row, leg;
	} s = { cpu_to_le32(layer), cpu_to_le32(chunk), cpu_to_le64(gen),
		cpu_to_le32(row), cpu_to_le32(leg) };

	BUILD_BUG_ON(sizeof(s) != 24);
	return crc32c(~0u, &s, sizeof(s));
}

/* Superblock */

static u32 super_crc(const struct qbd_super_disk *d)
{
	const size_t at = offsetof(struct qbd_super_disk, crc);
	static const u8 zero[4];
	u32 crc = crc32c(~0u, d, at);

	crc = crc32c(crc, zero, sizeof(zero));
	return crc32c(crc, (const u8 *)d + at + 4, sizeof(*d) - at - 4);
}

/**
 * qbd_journal_devices - members that are there for the ring alone
 * @pool: the pool
 *
 * Return: a bitmap of indexes.
 */
u64 qbd_journal_devices(const struct qbd_membership *pool)
{
	u64 which = 0;
	unsigned int i;

	for (i = 0; i < QBD_MAX_BACKENDS; i++)
		if (pool->members[i].state != QBD_MEMBER_NONE &&
		    pool->members[i].role == QBD_ROLE_JOURNAL)
			which |= BIT_ULL(i);
	return which;
}

static u64 incompat_of(const struct qbd_membership *p)
{
	return (p->journal != QBD_JOURNAL_OFF ? QBD_INCOMPAT_JOURNAL : 0) |
	       (p->lease_ms ? QBD_INCOMPAT_LEASE : 0) |
	       (qbd_journal_devices(p) ? QBD_INCOMPAT_JOURNAL_DEV : 0);
}

/**
 * qbd_super_encode - a superblock's bytes
 * @super: the superblock
 * @raw: QBD_SUPER_SIZE bytes, written whole
 */
void qbd_super_encode(const struct qbd_super *super, void *raw)
{
	const struct qbd_membership *p = &super->pool;
	const struct qbd_geometry *g = &super->geometry;
	struct qbd_super_disk *d = raw;
	unsigned int i;

	check_layout();
	memset(d, 0, sizeof(*d));
	memcpy(d->magic, QBD_MAGIC, sizeof(d->magic));
	d->version = cpu_to_le32(QBD_VERSION);
	d->compat = cpu_to_le64(super->compat);
	d->seq = cpu_to_le64(super->seq);
	memcpy(d->pool_uuid, p->pool_uuid, 16);
	memcpy(d->uuid, g->uuid, 16);
	string_copy(d->pool_name, p->pool_name, sizeof(d->pool_name));
	d->index = cpu_to_le32(g->index);
	d->nr_slots = cpu_to_le32(g->nr_slots);
	d->volume_start = cpu_to_le64(g->volume_start);
	d->layer_start = cpu_to_le64(g->layer_start);
	d->slot_start = cpu_to_le64(g->slot_start);
	d->csum_start = cpu_to_le64(g->csum_start);
	d->ring_start = cpu_to_le64(g->ring_start);
	d->data_start = cpu_to_le64(g->data_start);
	d->extent_size = cpu_to_le32(p->extent_size);
	d->csum_bytes_per_slot = cpu_to_le32(p->csum_bytes_per_slot);
	d->volume_pages = cpu_to_le32(p->volume_pages);
	d->layer_pages = cpu_to_le32(p->layer_pages);
	d->ring_blocks = cpu_to_le32(p->ring_blocks);
	d->nr_epochs = cpu_to_le32(p->nr_epochs);
	d->ring_generation = cpu_to_le64(p->ring_generation);
	d->ring_members = cpu_to_le64(p->ring_members);
	d->ring_first_lsn = cpu_to_le64(p->ring_first_lsn);
	d->ring_first_block = cpu_to_le64(p->ring_first_block);
	d->journal = p->journal;
	d->lease_ms = cpu_to_le32(p->lease_ms);
	d->incompat = cpu_to_le64(incompat_of(p));
	for (i = 0; i < p->nr_epochs; i++) {
		d->epochs[i].number = cpu_to_le32(p->epochs[i].number);
		d->epochs[i].tag = cpu_to_le64(p->epochs[i].tag);
		d->epochs[i].in = cpu_to_le64(p->epochs[i].in);
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		const struct qbd_member *m = &p->members[i];

		memcpy(d->members[i].uuid, m->uuid, 16);
		string_copy(d->members[i].tags, m->tags, QBD_TAGS_SIZE);
		d->members[i].state = m->state;
		d->members[i].unseen = m->unseen;
		d->members[i].role = m->role;
		d->members[i].out_epoch = cpu_to_le32(m->out_epoch);
	}
	d->crc = cpu_to_le32(super_crc(d));
}

/* Bytes from the tables to the data area, each area where the last one ends. */
static u64 geometry_place(struct qbd_geometry *g, const struct qbd_membership *p)
{
	u64 at = QBD_TABLES_START;

	g->volume_start = at;
	at += (u64)p->volume_pages * QBD_PAGE_PLACES;
	g->layer_start = at;
	at += (u64)p->layer_pages * QBD_PAGE_PLACES;
	g->slot_start = at;
	at += (u64)DIV_ROUND_UP(g->nr_slots, QBD_SLOTS_PER_PAGE) * QBD_PAGE_PLACES;
	g->csum_start = at;
	at += (u64)g->nr_slots * p->csum_bytes_per_slot;
	g->ring_start = at;
	at += (u64)p->ring_blocks * QBD_PAGE_SIZE;
	/* Aligned for disks that like it; an extent's size may be larger. */
	at = (at + QBD_MIN_EXTENT - 1) & ~(u64)(QBD_MIN_EXTENT - 1);
	g->data_start = at;
	return at + (u64)g->nr_slots * p->extent_size;
}

/**
 * qbd_geometry_make - lay out a new backend
 * @g: the new backend's; uuid and index are the caller's, the rest is set here
 * @p: the policy
 * @device_bytes: size of the device
 *
 * Return: 0, or -ENOSPC when not even one slot fits, or not the ring of a journal
 * device.
 */
int qbd_geometry_make(struct qbd_geometry *g, const struct qbd_membership *p,
		      u64 device_bytes)
{
	u32 low = 0, high = QBD_MAX_SLOTS;

	if (p->members[g->index].role == QBD_ROLE_JOURNAL) {
		g->nr_slots = 0;
		return geometry_place(g, p) <= device_bytes ? 0 : -ENOSPC;
	}
	/* The largest number of slots that fits: the size rises with it. */
	while (low < high) {
		g->nr_slots = low + (high - low + 1) / 2;
		if (geometry_place(g, p) <= device_bytes)
			low = g->nr_slots;
		else
			high = g->nr_slots - 1;
	}
	g->nr_slots = low;
	geometry_place(g, p);
	return low ? 0 : -ENOSPC;
}

static bool area_fits(u64 start, u64 size, u64 end)
{
	return !(start % QBD_PAGE_SIZE) && start <= end && size <= end - start;
}

static int geometry_check(const struct qbd_geometry *g, const struct qbd_membership *p,
			  u64 device_bytes)
{
	u64 slot_bytes = (u64)DIV_ROUND_UP(g->nr_slots, QBD_SLOTS_PER_PAGE) *
			 QBD_PAGE_PLACES;
	bool journal;

	if (g->index >= QBD_MAX_BACKENDS || g->nr_slots > QBD_MAX_SLOTS)
		return -EINVAL;
	journal = p->members[g->index].role == QBD_ROLE_JOURNAL;
	if (journal != !g->nr_slots)
		return -EINVAL;
	if (g->volume_start < QBD_TABLES_START ||
	    !area_fits(g->volume_start, (u64)p->volume_pages * QBD_PAGE_PLACES,
		       g->layer_start) ||
	    !area_fits(g->layer_start, (u64)p->layer_pages * QBD_PAGE_PLACES,
		       g->slot_start) ||
	    !area_fits(g->slot_start, slot_bytes, g->csum_start) ||
	    !area_fits(g->csum_start, (u64)g->nr_slots * p->csum_bytes_per_slot,
		       g->ring_start) ||
	    !area_fits(g->ring_start, (u64)p->ring_blocks * QBD_PAGE_SIZE,
		       g->data_start))
		return -EINVAL;
	if (!area_fits(g->data_start, (u64)g->nr_slots * p->extent_size, device_bytes))
		return -ENOSPC;
	return 0;
}

static int membership_check(const struct qbd_membership *p)
{
	unsigned int i;

	if (!is_power_of_2(p->extent_size) || p->extent_size < QBD_MIN_EXTENT ||
	    p->extent_size > QBD_MAX_EXTENT)
		return -EINVAL;
	if (!p->csum_bytes_per_slot || p->csum_bytes_per_slot % QBD_PAGE_PLACES ||
	    p->csum_bytes_per_slot > p->extent_size)
		return -EINVAL;
	if (!p->volume_pages || p->volume_pages > 4096 || !p->layer_pages ||
	    p->layer_pages > 65536)
		return -EINVAL;
	if (p->ring_blocks < QBD_MIN_RING_BLOCKS || p->ring_blocks > QBD_MAX_RING_BLOCKS)
		return -EINVAL;
	if (!p->nr_epochs || p->nr_epochs > QBD_EPOCHS)
		return -EINVAL;
	for (i = 1; i < p->nr_epochs; i++)
		if (p->epochs[i].number >= p->epochs[i - 1].number)
			return -EINVAL;
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		if (p->members[i].state > QBD_MEMBER_OUT ||
		    p->members[i].role > QBD_ROLE_JOURNAL)
			return -EINVAL;
		if ((p->ring_members & BIT_ULL(i)) &&
		    p->members[i].state != QBD_MEMBER_IN)
			return -EINVAL;
	}
	/* Far from the end: a count from a disk is added to, never compared wrapped. */
	if (!p->ring_members || p->ring_first_lsn >> 62 || p->ring_first_block >> 62)
		return -EINVAL;
	return 0;
}

/**
 * qbd_super_decode - check one place of a superblock and read it
 * @super: the superblock
 * @raw: QBD_SUPER_SIZE bytes
 * @device_bytes: size of the device; what the superblock claims must fit
 *
 * Return: 0; -ENOENT no superblock of ours; -EILSEQ damaged; -EPROTONOSUPPORT
 * a version or feature that this code does not know; -ENOSPC the device is
 * smaller than it was; -EINVAL what it says cannot be.
 */
int qbd_super_decode(const void *raw, u64 device_bytes, struct qbd_super *super)
{
	const struct qbd_super_disk *d = raw;
	struct qbd_membership *p = &super->pool;
	struct qbd_geometry *g = &super->geometry;
	unsigned int i;
	int err;

	if (memcmp(d->magic, QBD_MAGIC, sizeof(d->magic)))
		return -ENOENT;
	if (super_crc(d) != le32_to_cpu(d->crc))
		return -EILSEQ;
	if (le32_to_cpu(d->version) != QBD_VERSION ||
	    (le64_to_cpu(d->incompat) & ~QBD_INCOMPAT_KNOWN))
		return -EPROTONOSUPPORT;

	memset(super, 0, sizeof(*super));
	super->seq = le64_to_cpu(d->seq);
	super->compat = le64_to_cpu(d->compat);
	memcpy(p->pool_uuid, d->pool_uuid, 16);
	memcpy(g->uuid, d->uuid, 16);
	if (!string_valid(d->pool_name, sizeof(d->pool_name)))
		return -EINVAL;
	string_copy(p->pool_name, d->pool_name, sizeof(p->pool_name));
	g->index = le32_to_cpu(d->index);
	g->nr_slots = le32_to_cpu(d->nr_slots);
	g->volume_start = le64_to_cpu(d->volume_start);
	g->layer_start = le64_to_cpu(d->layer_start);
	g->slot_start = le64_to_cpu(d->slot_start);
	g->csum_start = le64_to_cpu(d->csum_start);
	g->ring_start = le64_to_cpu(d->ring_start);
	g->data_start = le64_to_cpu(d->data_start);
	p->extent_size = le32_to_cpu(d->extent_size);
	p->csum_bytes_per_slot = le32_to_cpu(d->csum_bytes_per_slot);
	p->volume_pages = le32_to_cpu(d->volume_pages);
	p->layer_pages = le32_to_cpu(d->layer_pages);
	p->ring_blocks = le32_to_cpu(d->ring_blocks);
	p->nr_epochs = le32_to_cpu(d->nr_epochs);
	p->ring_generation = le64_to_cpu(d->ring_generation);
	p->ring_members = le64_to_cpu(d->ring_members);
	p->ring_first_lsn = le64_to_cpu(d->ring_first_lsn);
	p->ring_first_block = le64_to_cpu(d->ring_first_block);
	p->journal = d->journal;
	if (p->journal > QBD_JOURNAL_FULL)
		return -EINVAL;
	p->lease_ms = le32_to_cpu(d->lease_ms);
	if (p->lease_ms && (p->lease_ms < QBD_MIN_LEASE_MS || p->lease_ms > QBD_MAX_LEASE_MS))
		return -EINVAL;
	for (i = 0; i < p->nr_epochs && i < QBD_EPOCHS; i++) {
		p->epochs[i].number = le32_to_cpu(d->epochs[i].number);
		p->epochs[i].tag = le64_to_cpu(d->epochs[i].tag);
		p->epochs[i].in = le64_to_cpu(d->epochs[i].in);
	}
	for (i = 0; i < QBD_MAX_BACKENDS; i++) {
		memcpy(p->members[i].uuid, d->members[i].uuid, 16);
		if (!string_valid(d->members[i].tags, QBD_TAGS_SIZE))
			return -EINVAL;
		string_copy(p->members[i].tags, d->members[i].tags, QBD_TAGS_SIZE);
		p->members[i].state = d->members[i].state;
		p->members[i].unseen = d->members[i].unseen;
		p->members[i].role = d->members[i].role;
		p->members[i].out_epoch = le32_to_cpu(d->members[i].out_epoch);
	}
	err = membership_check(p);
	if (err)
		return err;
	if (incompat_of(p) != le64_to_cpu(d->incompat))
		return -EINVAL;
	return geometry_check(g, p, device_bytes);
}

/**
 * qbd_super_newest - read a superblock from its two places
 * @device_bytes: size of the device
 * @super: the superblock
 * @both: 2 * QBD_SUPER_SIZE bytes from the start of the device
 *
 * Return: as qbd_super_decode(), of the better place.
 */
int qbd_super_newest(const void *both, u64 device_bytes, struct qbd_super *super)
{
	const struct qbd_super_disk *d = both;
	int first = qbd_super_decode(&d[0], device_bytes, super);
	u64 seq = super->seq;
	int second = qbd_super_decode(&d[1], device_bytes, super);

	if (!first && (second || seq > super->seq))
		return qbd_super_decode(&d[0], device_bytes, super);
	/* One that is damaged says more than one that is not there. */
	return second == -ENOENT ? first : second;
}

/**
 * qbd_super_error - what an error of qbd_super_decode() means, for people
 * @err: of qbd_super_decode()
 */
const char *qbd_super_error(int err)
{
	switch (err) {
	case 0:
		return "fine";
	case -ENOENT:
		return "no qbd superblock";
	case -EILSEQ:
		return "superblock is damaged";
	case -EPROTONOSUPPORT:
		return "superblock has a version or feature that is not known here";
	case -ENOSPC:
		return "device is smaller than its superblock says";
	case -EINVAL:
		return "superblock makes no sense";
	default:
		return "superblock cannot be read";
	}
}

/**
 * qbd_tag_match - is @tag one of the blank-separated @tags
 * @tags: blank-separated tags
 * @tag: a tag, or an empty string
 *
 * An empty @tag matches every backend.
 */
bool qbd_tag_match(const char *tags, const char *tag)
{
	size_t n = strlen(tag);

	while (n) {
		while (*tags == ' ')
			tags++;
		if (!*tags)
			return false;
		if (!strncmp(tags, tag, n) && (!tags[n] || tags[n] == ' '))
			return true;
		while (*tags && *tags != ' ')
			tags++;
	}
	return true;
}

/* Metadata pages */

/**
 * qbd_page_seal - write a page's header around its payload
 * @uuid: of the backend
 * @id: the page's header
 * @raw: QBD_PAGE_SIZE bytes with the payload in place
 */
void qbd_page_seal(void *raw, const u8 *uuid, const struct qbd_page_id *id)
{
	struct qbd_page *d = raw;

	d->type = cpu_to_le32(id->type);
	memcpy(d->uuid, uuid, 16);
	d->number = cpu_to_le64(id->number);
	d->gen = cpu_to_le64(id->gen);
	d->seq = cpu_to_le64(id->seq);
	d->lsn = cpu_to_le64(id->lsn);
	memset(d->reserved, 0, sizeof(d->reserved));
	d->crc = cpu_to_le32(crc32c(~0u, &d->type, QBD_PAGE_SIZE - 4));
}

/**
 * qbd_page_check - is this one place of a page of that backend
 * @raw: QBD_PAGE_SIZE bytes
 * @uuid: of the backend
 * @id: the page's header
 *
 * Return: 0 and its header in @id, or -EILSEQ.
 */
int qbd_page_check(const void *raw, const u8 *uuid, struct qbd_page_id *id)
{
	const struct qbd_page *d = raw;

	if (crc32c(~0u, &d->type, QBD_PAGE_SIZE - 4) != le32_to_cpu(d->crc) ||
	    memcmp(d->uuid, uuid, 16))
		return -EILSEQ;
	id->type = le32_to_cpu(d->type);
	id->number = le64_to_cpu(d->number);
	id->gen = le64_to_cpu(d->gen);
	id->seq = le64_to_cpu(d->seq);
	id->lsn = le64_to_cpu(d->lsn);
	id->alone = false;
	return id->lsn >> 62 ? -EILSEQ : 0;
}

/**
 * qbd_page_newest - find the newest valid place of a page
 * @both: QBD_PAGE_PLACES bytes
 * @uuid: of the backend
 * @type: of its pages
 * @number: its number
 * @gen: of the chunk whose checksums are wanted; 0 for other types
 * @id: the page's header
 *
 * A slot that is used again has pages of who had it before: of an older chunk, or
 * of a younger one, when a leg of an older chunk was moved here. A place of @gen
 * is the one, whatever the other is; with none, id->gen tells that it is another's.
 *
 * id->alone tells that the other place was written too, and is not valid: torn by
 * a crash, then this one is the right one to begin replay with; or damaged, then
 * it may have been the newer one.
 *
 * Return: 0 or 1, the place; -EILSEQ when neither is valid.
 */
int qbd_page_newest(const void *both, const u8 *uuid, u32 type, u64 number, u64 gen,
		    struct qbd_page_id *id)
{
	const u8 *raw = both;
	struct qbd_page_id ids[2];
	bool valid[2];
	int i;

	for (i = 0; i < 2; i++)
		valid[i] = !qbd_page_check(raw + i * QBD_PAGE_SIZE, uuid, &ids[i]) &&
			   ids[i].type == type && ids[i].number == number &&
			   (ids[i].seq & 1) == (u64)i;
	if (!valid[0] && !valid[1])
		return -EILSEQ;
	i = !valid[0] ||
	    (valid[1] && (ids[1].gen != ids[0].gen ? ids[1].gen == gen :
						     ids[1].seq > ids[0].seq));
	*id = ids[i];
	id->alone = !valid[!i] && id->seq;
	return i;
}

/**
 * qbd_slot_put - write an entry of a slot table page
 * @payload: QBD_PAGE_PAYLOAD bytes of a page
 * @s: the entry
 * @i: below QBD_SLOTS_PER_PAGE
 */
void qbd_slot_put(void *payload, unsigned int i, const struct qbd_slot *s)
{
	struct qbd_slot_disk *d = (struct qbd_slot_disk *)payload + i;

	d->layer = cpu_to_le32(s->layer);
	d->chunk = cpu_to_le32(s->chunk);
	d->gen = cpu_to_le64(s->gen);
	d->insync = cpu_to_le64(s->insync);
	d->epoch = cpu_to_le32(s->epoch);
	d->leg = s->leg;
	d->state = s->state;
	d->flags = cpu_to_le16(s->flags);
}

/**
 * qbd_slot_get - read an entry of a slot table page
 * @payload: QBD_PAGE_PAYLOAD bytes of a page
 * @i: index of the entry in the page
 * @s: the entry
 *
 * A state or leg that cannot be is read as FREE.
 */
void qbd_slot_get(const void *payload, unsigned int i, struct qbd_slot *s)
{
	const struct qbd_slot_disk *d = (const struct qbd_slot_disk *)payload + i;

	s->layer = le32_to_cpu(d->layer);
	s->chunk = le32_to_cpu(d->chunk);
	s->gen = le64_to_cpu(d->gen);
	s->insync = le64_to_cpu(d->insync);
	s->epoch = le32_to_cpu(d->epoch);
	s->leg = d->leg;
	s->state = d->state;
	s->flags = le16_to_cpu(d->flags);
	if (s->state > QBD_SLOT_REBUILD || s->leg >= QBD_MAX_LEGS || !s->layer)
		memset(s, 0, sizeof(*s));
}

static void policy_put(struct qbd_policy_disk *d, const struct qbd_policy *p)
{
	memset(d, 0, sizeof(*d));
	d->kind = p->kind;
	d->k = p->k;
	d->m = p->m;
	d->block_shift = p->block_shift;
}

static void policy_get(const struct qbd_policy_disk *d, struct qbd_policy *p)
{
	p->kind = d->kind;
	p->k = d->k;
	p->m = d->m;
	p->block_shift = d->block_shift;
}

static void volume_encode(struct qbd_volume_disk *d, const struct qbd_volume_entry *v)
{
	memset(d, 0, sizeof(*d));
	d->number = cpu_to_le32(v->number);
	d->state = v->state;
	d->top_layer = cpu_to_le32(v->top_layer);
	d->sectors = cpu_to_le64(v->sectors);
	policy_put(&d->policy, &v->policy);
	string_copy(d->name, v->name, sizeof(d->name));
	string_copy(d->tag, v->tag, sizeof(d->tag));
}

static void volume_decode(const struct qbd_volume_disk *d, struct qbd_volume_entry *v)
{
	memset(v, 0, sizeof(*v));
	v->number = le32_to_cpu(d->number);
	v->state = d->state;
	v->top_layer = le32_to_cpu(d->top_layer);
	v->sectors = le64_to_cpu(d->sectors);
	policy_get(&d->policy, &v->policy);
	if (v->state == QBD_UNUSED || v->state > QBD_DELETING || !v->number ||
	    !v->top_layer || !qbd_policy_valid(&v->policy) || !v->sectors ||
	    v->sectors > QBD_MAX_VOLUME / 512 || !d->name[0] ||
	    !string_valid(d->name, sizeof(d->name)) ||
	    !string_valid(d->tag, sizeof(d->tag))) {
		memset(v, 0, sizeof(*v));
		return;
	}
	string_copy(v->name, d->name, sizeof(v->name));
	string_copy(v->tag, d->tag, sizeof(v->tag));
}

static void layer_encode(struct qbd_layer_disk *d, const struct qbd_layer_entry *l)
{
	memset(d, 0, sizeof(*d));
	d->number = cpu_to_le32(l->number);
	d->state = l->state;
	d->parent = cpu_to_le32(l->parent);
	d->volume = cpu_to_le32(l->volume);
	d->sectors = cpu_to_le64(l->sectors);
	policy_put(&d->policy, &l->policy);
}

/* The counter, entry 0, has a number and no state. */
static void layer_decode(const struct qbd_layer_disk *d, struct qbd_layer_entry *l)
{
	memset(l, 0, sizeof(*l));
	l->number = le32_to_cpu(d->number);
	l->state = d->state;
	if (l->state == QBD_UNUSED)
		return;
	l->parent = le32_to_cpu(d->parent);
	l->volume = le32_to_cpu(d->volume);
	l->sectors = le64_to_cpu(d->sectors);
	policy_get(&d->policy, &l->policy);
	if (l->state > QBD_DELETING || !l->number || !qbd_policy_valid(&l->policy) ||
	    !l->sectors || l->sectors > QBD_MAX_VOLUME / 512)
		memset(l, 0, sizeof(*l));
}

void qbd_volume_put(void *payload, unsigned int i, const struct qbd_volume_entry *v)
{
	volume_encode((struct qbd_volume_disk *)payload + i, v);
}

/**
 * qbd_volume_get - read an entry of a volume table page
 * @payload: QBD_PAGE_PAYLOAD bytes of a page
 * @i: index of the entry in the page
 * @v: the volume
 *
 * One that makes no sense is read as unused.
 */
void qbd_volume_get(const void *payload, unsigned int i, struct qbd_volume_entry *v)
{
	volume_decode((const struct qbd_volume_disk *)payload + i, v);
}

void qbd_layer_put(void *payload, unsigned int i, const struct qbd_layer_entry *l)
{
	layer_encode((struct qbd_layer_disk *)payload + i, l);
}

/**
 * qbd_layer_get - read an entry of a layer table page
 * @payload: QBD_PAGE_PAYLOAD bytes of a page
 * @i: index of the entry in the page
 * @l: the entry
 *
 * One that makes no sense is read as unused.
 */
void qbd_layer_get(const void *payload, unsigned int i, struct qbd_layer_entry *l)
{
	layer_decode((const struct qbd_layer_disk *)payload + i, l);
}
