/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The words of command lines: sizes, names, policies.
 */
#ifndef QBD_PARSE_H
#define QBD_PARSE_H

#include <qbd/format.h>

bool parse_number(const char *text, u64 max, u64 *number);
bool parse_size(const char *text, u64 *bytes);
bool parse_name(const char *text, size_t length);
bool parse_tags(const char *text, char tags[QBD_TAGS_SIZE]);
bool parse_replicas(const char *text, struct qbd_policy *policy);
bool parse_ec(const char *text, struct qbd_policy *policy);
bool parse_policy(const char *text, struct qbd_policy *policy);
bool parse_journal(const char *text, u8 *mode);
const char *format_journal(u8 mode);
void format_policy(const struct qbd_policy *policy, char text[16]);
const char *format_size(u64 bytes, char text[16]);

#endif
