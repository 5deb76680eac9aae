// SPDX-License-Identifier: GPL-2.0-only
#include "op.h"

static const u64 odd[] = {
	0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 21, 31, 32, 33, 63, 64, 65, 126, 127, 128, 255,
	256, 257, 1007, 1008, 1009, 4031, 4032, 4033, 4095, 4096, 8192, 16384, 32767, 32768,
	65535, 65536, 1 << 20, (64 << 20) - 1, 64 << 20, 0x7fffffff, 0x80000000, 0xfffffffe,
	0xffffffff, 1ull << 32, 1ull << 61, (1ull << 62) - 1, 1ull << 62, 1ull << 63, -2ull, -1ull,
};

static size_t width(u8 kind)
{
	switch (kind) {
	case OP_SET8:
	case OP_ODD8:
	case OP_FLIP:
		return 1;
	case OP_SET16:
	case OP_ODD16:
		return 2;
	case OP_SET64:
	case OP_ODD64:
	case OP_ADD64:
		return 8;
	default:
		return 4;
	}
}

void op_apply(const struct op *op, void *bytes, size_t size)
{
	size_t n = width(op->kind), at = op->at % (size - n + 1), from, length;
	u8 *to = (u8 *)bytes + at;
	__le64 raw = 0;
	u64 number;

	memcpy(&raw, to, n);
	number = le64_to_cpu(raw);
	switch (op->kind) {
	case OP_SET8:
	case OP_SET16:
	case OP_SET32:
	case OP_SET64:
		number = op->value;
		break;
	case OP_ODD8:
	case OP_ODD16:
	case OP_ODD32:
	case OP_ODD64:
		number = odd[op->value % (sizeof(odd) / sizeof(odd[0]))];
		break;
	case OP_ADD32:
	case OP_ADD64:
		number += (u64)(int8_t)op->value;
		break;
	case OP_FLIP:
		number ^= 1u << op->value % 8;
		break;
	case OP_FILL:
		length = op->value >> 8 & 255;
		memset(to, op->value, length < size - at ? length : size - at);
		return;
	case OP_COPY:
		from = (op->value & 0xffff) % size;
		length = op->value >> 16 & 255;
		length = length < size - at ? length : size - at;
		length = length < size - from ? length : size - from;
		memmove(to, (u8 *)bytes + from, length);
		return;
	default:
		return;
	}
	raw = cpu_to_le64(number);
	memcpy(to, &raw, n);
}
