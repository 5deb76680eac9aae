// SPDX-License-Identifier: GPL-2.0-only
/*
 * qbd: pools, volumes and backends of dm-qbd. Each verb is a file in verbs/.
 */
#include "verbs/verb.h"

#include <stdio.h>

static const struct verb *const verbs[] = {
	&verb_pool_create,     &verb_pool_start,    &verb_pool_stop,	&verb_pool_list,
	&verb_pool_status,     &verb_volume_create, &verb_volume_list,	&verb_volume_remove,
	&verb_volume_start,    &verb_volume_stop,   &verb_backend_fail, &verb_backend_readd,
	&verb_backend_replace, &verb_verify,	    &verb_scrub,	&verb_repair,
	&verb_examine,	       &verb_pool_handover,
};

static void print_help(void)
{
	unsigned int i;

	puts("usage: qbd VERB ARGUMENT...\n");
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  qbd %s %s\n        %s\n", verbs[i]->name, verbs[i]->synopsis,
		       verbs[i]->help);
	puts("\nExit codes: 0 fine, 1 degraded or something was found, 2 usage, 3 failed.\n"
	     "See qbd(8).");
}

/* Does the verb begin the command line? Returns the number of its words. */
static int matches(const struct verb *verb, int argc, char **argv)
{
	const char *rest = verb->name;
	int words;

	for (words = 0; words < argc; words++) {
		size_t n = strcspn(rest, " ");

		if (strlen(argv[words]) != n || strncmp(argv[words], rest, n))
			return 0;
		rest += n;
		if (!*rest)
			return words + 1;
		rest++;
	}
	return 0;
}

static bool is_noun(const char *word)
{
	size_t n = strlen(word);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strncmp(verbs[i]->name, word, n) && verbs[i]->name[n] == ' ')
			return true;
	return false;
}

static bool asks_for_help(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	unsigned int i;
	int words, ret;

	if (argc < 2)
		return usage("a verb is missing; qbd --help lists them");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help();
		return QBD_FINE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("qbd " QBD_TOOL_VERSION);
		return QBD_FINE;
	}
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		words = matches(verbs[i], argc - 1, argv + 1);
		if (!words)
			continue;
		if (asks_for_help(argc - 1 - words, argv + 1 + words)) {
			printf("usage: qbd %s %s\n%s\n", verbs[i]->name, verbs[i]->synopsis,
			       verbs[i]->help);
			return QBD_FINE;
		}
		/* getopt() wants a name before the arguments, and says it in errors. */
		argv[words] = program_invocation_short_name;
		ret = verbs[i]->run(argc - words, argv + words);
		if (fflush(stdout) || ferror(stdout)) {
			complain("output cannot be written");
			ret = QBD_FAILED;
		}
		return ret;
	}
	if (is_noun(argv[1]) && argc == 2)
		return usage("%s: what about it? qbd --help lists the verbs", argv[1]);
	if (is_noun(argv[1]))
		return usage("%s has no verb \"%s\"; qbd --help lists them", argv[1], argv[2]);
	return usage("there is no verb \"%s\"; qbd --help lists them", argv[1]);
}
