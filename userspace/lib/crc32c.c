// SPDX-License-Identifier: GPL-2.0-only
/*
 * crc32c for the shared codecs, which the kernel takes from its own library.
 *
 * Eight tables, so that eight bytes are folded in at a time ("slicing by 8",
 * Kounavis and Berry, "A Systematic Approach to Building High Performance,
 * Software-based, CRC Generators", 2005): a large pool's tables are hundreds of
 * megabytes.
 */
#include <qbd/types.h>

#define POLYNOMIAL 0x82f63b78u /* of Castagnoli, bits reversed */

static u32 tables[8][256];

__attribute__((constructor)) static void make_tables(void)
{
	u32 crc, i, j;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (j = 0; j < 8; j++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			tables[j][i] = tables[j - 1][i] >> 8 ^ tables[0][tables[j - 1][i] & 255];
}

/**
 * crc32c - fold bytes into a checksum
 * @crc: the checksum so far; nothing is inverted at either end
 */
u32 crc32c(u32 crc, const void *data, size_t length)
{
	const u8 *p = data;
	__le32 words[2];
	u32 a, b;

	for (; length >= 8; p += 8, length -= 8) {
		memcpy(words, p, 8);
		a = le32_to_cpu(words[0]) ^ crc;
		b = le32_to_cpu(words[1]);
		crc = tables[7][a & 255] ^ tables[6][a >> 8 & 255] ^ tables[5][a >> 16 & 255] ^
		      tables[4][a >> 24] ^ tables[3][b & 255] ^ tables[2][b >> 8 & 255] ^
		      tables[1][b >> 16 & 255] ^ tables[0][b >> 24];
	}
	while (length--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 255];
	return crc;
}
