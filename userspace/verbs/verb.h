/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a verb of qbd is, and what all of them need.
 */
#ifndef QBD_VERB_H
#define QBD_VERB_H

#include "live.h"
#include "report.h"

#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>

struct verb {
	const char *name; /* "pool create" */
	const char *synopsis; /* its arguments */
	const char *help;
	int (*run)(int argc, char **argv); /* returns an enum qbd_exit */
};

extern const struct verb verb_pool_create, verb_pool_start, verb_pool_stop, verb_pool_handover,
	verb_pool_list, verb_pool_status, verb_volume_create, verb_volume_list, verb_volume_remove,
	verb_volume_start, verb_volume_stop, verb_backend_fail, verb_backend_readd,
	verb_backend_replace, verb_verify, verb_scrub, verb_repair, verb_examine;

/* of next_option() */
#define LONG_ONLY 256

int next_option(int argc, char **argv, const char *letters, const struct option *options);
int wrong_value(const char *option, const char *must_be, const char *value);
int usage(const char *format, ...) __printf(1, 2);
bool confirm(const char *format, ...) __printf(1, 2);
int find_pool(const char *name, struct live_pool *pool);
int split_volume(const char *argument, char pool[QBD_NAME_SIZE], char volume[QBD_NAME_SIZE]);
int print_json(struct json_object *object);
void json_add(struct json_object *object, const char *key, struct json_object *value);
#define json_add_string(object, key, value) json_add(object, key, json_object_new_string(value))
#define json_add_count(object, key, value) json_add(object, key, json_object_new_uint64(value))

#endif
