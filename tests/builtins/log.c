// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's log since the test's last mark.
 */
#include "shell.h"

#include <regex.h>
#include <string.h>
#include <sys/klog.h>

#include <variables.h>

#define READ_ALL 3
#define BUFFER_SIZE 10

static char *since_mark(char **buffer)
{
	static const char mark[] = "qbd-test: mark";
	char *from, *next;
	int size;

	*buffer = NULL;
	size = klogctl(BUFFER_SIZE, NULL, 0);
	if (size > 0)
		*buffer = malloc(size + 1);
	if (*buffer)
		size = klogctl(READ_ALL, *buffer, size);
	if (!*buffer || size < 0) {
		fprintf(stderr, "log: %s\n", strerror(errno));
		return NULL;
	}
	(*buffer)[size] = '\0';
	for (from = *buffer; (next = strstr(from, mark)); from = next + strlen(mark))
		;
	return from;
}

/* log_line REGEX: whether a line of it matches the extended regular expression; REPLY is the first */
static int log_line_builtin(WORD_LIST *list)
{
	char *buffer = NULL, *log, *line, *save;
	int rc = EXECUTION_FAILURE;
	regex_t regex;

	if (!list || regcomp(&regex, list->word->word, REG_EXTENDED | REG_NOSUB)) {
		fprintf(stderr, "log_line: wrong regular expression\n");
		return test_end(2);
	}
	log = since_mark(&buffer);
	for (line = log ? strtok_r(log, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!regexec(&regex, line, 0, NULL, 0)) {
			bind_variable("REPLY", line, 0);
			rc = EXECUTION_SUCCESS;
			break;
		}
	}
	regfree(&regex);
	free(buffer);
	return test_end(rc);
}

TEST_BUILTIN(log_line, "log_line REGEX", "Look for a line of the kernel's log.");
