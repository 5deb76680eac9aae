// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heartbeat blocks: what is believed is in its bounds, and the same when it is sealed
 * and read again; a block without its checksum, or of another backend, is not believed.
 */
#include "fuzz.h"
#include "parts.h"

const unsigned int fuzz_parts = 1;
const unsigned int fuzz_bytes = sizeof(struct qbd_heartbeat_disk) - 3960;

static const u8 pool_uuid[16] = "a beating pool..", uuid[16] = "sixteen letters";
static u8 base[QBD_PAGE_SIZE], raw[QBD_PAGE_SIZE], again[QBD_PAGE_SIZE];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct qbd_heartbeat h = { QBD_HEARTBEAT_RELEASED, 1, 2, 3, "alpha" };

	qbd_heartbeat_seal(base, pool_uuid, uuid, &h);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct qbd_heartbeat a, b;
	bool sealed = true;
	struct input in;
	unsigned int i;
	int err;

	input_read(&in, data, size);
	memcpy(raw, base, sizeof(raw));
	for (i = 0; i < in.nr; i++) {
		if (in.ops[i].kind == OP_UNSEAL)
			sealed = false;
		else if (in.ops[i].kind == OP_MOVE)
			memset(raw, in.ops[i].value & 1, sizeof(raw));
		else
			op_apply(&in.ops[i], raw, sizeof(raw));
	}
	if (sealed && memcmp(raw, (u8[8]){}, 8))
		part_seal(raw, QBD_PAGE_SIZE);
	err = qbd_heartbeat_check(raw, pool_uuid, uuid, &a);
	must(!err || err == -ENOENT || err == -EILSEQ);
	if (err)
		return 0;
	must(a.nonce && a.kind >= QBD_HEARTBEAT_OWNED && a.kind <= QBD_HEARTBEAT_STANDBY);
	must(memchr(a.host, 0, sizeof(a.host)));
	qbd_heartbeat_seal(again, pool_uuid, uuid, &a);
	must(!qbd_heartbeat_check(again, pool_uuid, uuid, &b));
	must(a.kind == b.kind && a.nonce == b.nonce && a.counter == b.counter &&
	     a.next == b.next && !strcmp(a.host, b.host));
	must(qbd_heartbeat_check(raw, uuid, uuid, &b) == -EILSEQ);
	must(qbd_heartbeat_check(raw, pool_uuid, pool_uuid, &b) == -EILSEQ);
	return 0;
}
