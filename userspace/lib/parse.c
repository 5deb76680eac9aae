// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/**
 * parse_number - a whole decimal number and nothing else
 */
bool parse_number(const char *text, u64 max, u64 *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && !*end && *number <= max;
}

/**
 * parse_size - bytes, or with a suffix k, M, G, T: binary, in either case
 */
bool parse_size(const char *text, u64 *bytes)
{
	static const char suffixes[] = "kmgt";
	const char *suffix;
	unsigned int shift;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (!*end)
		return true;
	suffix = strchr(suffixes, tolower((unsigned char)*end));
	if (!suffix || !*suffix)
		return false;
	shift = 10 * (suffix - suffixes + 1);
	if (end[1] || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

/**
 * parse_name - may a pool or a volume be called that
 * @length: of @text to look at
 */
bool parse_name(const char *text, size_t length)
{
	size_t i;

	if (!length || length >= QBD_NAME_SIZE || *text == '-')
		return false;
	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("+_.-", text[i]))
			return false;
	/* They would be folders in /dev/mapper. */
	return strncmp(text, "..", length) != 0;
}

static const char *const journal_words[] = {
	[QBD_JOURNAL_OFF] = "off",
	[QBD_JOURNAL_ON] = "on",
	[QBD_JOURNAL_FULL] = "full",
};

/**
 * parse_journal - the word of an enum qbd_journal_mode
 */
bool parse_journal(const char *text, u8 *mode)
{
	for (*mode = 0; *mode < ARRAY_SIZE(journal_words); ++*mode)
		if (!strcmp(text, journal_words[*mode]))
			return true;
	return false;
}

const char *format_journal(u8 mode)
{
	return journal_words[mode];
}

/**
 * parse_tags - "host=B,ssd" as the format has it, with blanks between
 */
bool parse_tags(const char *text, char tags[QBD_TAGS_SIZE])
{
	size_t n = strlen(text), i;

	if (n >= QBD_TAGS_SIZE)
		return false;
	memset(tags, 0, QBD_TAGS_SIZE);
	for (i = 0; i < n; i++) {
		if (text[i] == ',') {
			if (!i || text[i - 1] == ',' || i + 1 == n)
				return false;
			tags[i] = ' ';
		} else if (isalnum((unsigned char)text[i]) || strchr("=:+_.-", text[i])) {
			tags[i] = text[i];
		} else {
			return false;
		}
	}
	return true;
}

/**
 * parse_replicas - "2"; the block size is the caller's
 */
bool parse_replicas(const char *text, struct qbd_policy *policy)
{
	u64 replicas;

	if (!parse_number(text, QBD_MAX_REPLICAS, &replicas) || !replicas)
		return false;
	policy->kind = QBD_REPLICAS;
	policy->k = 1;
	policy->m = replicas - 1;
	return true;
}

/**
 * parse_ec - "4+2"; the block size is the caller's
 */
bool parse_ec(const char *text, struct qbd_policy *policy)
{
	char k[8];
	const char *plus = strchr(text, '+');
	u64 data, parity;

	if (!plus || plus - text >= (ptrdiff_t)sizeof(k))
		return false;
	memset(k, 0, sizeof(k));
	memcpy(k, text, plus - text);
	if (!parse_number(k, QBD_MAX_K, &data) || data < 2 ||
	    !parse_number(plus + 1, QBD_MAX_M, &parity) || !parity)
		return false;
	policy->kind = QBD_EC;
	policy->k = data;
	policy->m = parity;
	return true;
}

/**
 * parse_policy - "replicas=2" or "ec=4+2", as the kernel writes it
 */
bool parse_policy(const char *text, struct qbd_policy *policy)
{
	if (!strncmp(text, "replicas=", 9))
		return parse_replicas(text + 9, policy);
	if (!strncmp(text, "ec=", 3))
		return parse_ec(text + 3, policy);
	return false;
}

void format_policy(const struct qbd_policy *policy, char text[16])
{
	if (policy->kind == QBD_EC)
		snprintf(text, 16, "ec=%u+%u", policy->k, policy->m);
	else
		snprintf(text, 16, "replicas=%u", policy->m + 1);
}

/**
 * format_size - for people: three digits at most before the unit
 */
const char *format_size(u64 bytes, char text[16])
{
	static const char units[] = "BKMGTPE";
	double value = bytes;
	unsigned int unit = 0;

	while (value >= 1024 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (value >= 100 || value == (u64)value)
		snprintf(text, 16, "%.0f%c", value, units[unit]);
	else
		snprintf(text, 16, "%.1f%c", value, units[unit]);
	return text;
}
