// SPDX-License-Identifier: GPL-2.0-only
#include "verb.h"
#include "parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/**
 * next_option - getopt_long(), which has said by itself what is wrong with one
 *
 * Return: the option's value, -1 after the last one; ends the program for one that
 * is not known.
 */
int next_option(int argc, char **argv, const char *letters, const struct option *options)
{
	int c = getopt_long(argc, argv, letters, options, NULL);

	if (c == '?')
		exit(QBD_USAGE);
	return c;
}

/**
 * usage - one line that says what is wrong with the arguments
 *
 * Return: QBD_USAGE
 */
int usage(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	complain("%s", text ? text : format);
	free(text);
	return QBD_USAGE;
}

/**
 * wrong_value - usage() for the value of an option
 */
int wrong_value(const char *option, const char *must_be, const char *value)
{
	return usage("--%s must be %s, not \"%s\"", option, must_be, value);
}

/**
 * confirm - ask, on a terminal
 *
 * Return: whether the answer was yes; false without a terminal.
 */
bool confirm(const char *format, ...)
{
	char answer[16];
	va_list args;

	if (!isatty(STDIN_FILENO)) {
		complain("--yes is needed where nobody can be asked");
		return false;
	}
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" [y/N] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/**
 * find_pool - a running pool by the name in a command line; says what is wrong
 *
 * Return: QBD_FINE, QBD_USAGE for what is no name, QBD_FAILED.
 */
int find_pool(const char *name, struct live_pool *pool)
{
	int err;

	if (!parse_name(name, strlen(name)))
		return usage("\"%s\" is not a pool's name", name);
	err = live_find(name, pool);
	if (err == -ENOENT)
		complain("no pool \"%s\" is running", name);
	else if (err)
		complain("device mapper cannot be asked: %s", strerror(-err));
	return err ? QBD_FAILED : QBD_FINE;
}

/**
 * split_volume - POOL/VOL in its two names
 *
 * Return: QBD_FINE or QBD_USAGE
 */
int split_volume(const char *argument, char pool[QBD_NAME_SIZE], char volume[QBD_NAME_SIZE])
{
	const char *slash = strchr(argument, '/');

	if (!slash)
		return usage("\"%s\" is not POOL/VOLUME", argument);
	if (!parse_name(argument, slash - argument))
		return usage("\"%.*s\" is not a pool's name", (int)(slash - argument), argument);
	if (!parse_name(slash + 1, strlen(slash + 1)))
		return usage("\"%s\" is not a volume's name", slash + 1);
	memset(pool, 0, QBD_NAME_SIZE);
	memcpy(pool, argument, slash - argument);
	strscpy(volume, slash + 1, QBD_NAME_SIZE);
	return QBD_FINE;
}

void json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, need(value))) {
		complain("out of memory");
		exit(QBD_FAILED);
	}
}

/**
 * print_json - write it to stdout, and free it
 *
 * Return: 0 or a negative errno
 */
int print_json(struct json_object *object)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			  JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = json_object_to_json_string_ext(object, flags);
	int err = puts(need((void *)text)) < 0 || fflush(stdout) ? -EIO : 0;

	json_object_put(object);
	return err;
}
