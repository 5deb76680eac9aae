// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm: device-mapper requests from within the shell of a test, in the words of dmsetup.
 *
 * A user-mode kernel takes some 50 ms to run a dynamically linked program, and a test looks at status
 * lines all the time; this costs an ioctl. What dm does not know (a command, an option) it leaves to
 * dmsetup itself, by status TEST_ELSEWHERE: tests/lib/test.sh has the function that asks it.
 */
#include "shell.h"

#include <inttypes.h>
#include <libdevmapper.h>
#include <string.h>
#include <unistd.h>

#include <variables.h>

/* Where a request's output goes: standard output, or what becomes a variable. */
static FILE *out;

static void list_message(WORD_LIST *words, char *to, size_t size)
{
	size_t used = 0;

	to[0] = '\0';
	for (; words; words = words->next)
		used += snprintf(to + used, used < size ? size - used : 0, "%s%s", used ? " " : "",
				 words->word->word);
}

/* dm message DEVICE SECTOR WORD... */
static int message(WORD_LIST *list)
{
	struct dm_task *task;
	const char *answer;
	char text[4096];
	int rc = EXECUTION_FAILURE;

	if (!list || !list->next || !list->next->next)
		return TEST_ELSEWHERE;
	list_message(list->next->next, text, sizeof(text));
	task = dm_task_create(DM_DEVICE_TARGET_MSG);
	if (!task)
		return EXECUTION_FAILURE;
	if (dm_task_set_name(task, list->word->word) &&
	    dm_task_set_sector(task, strtoull(list->next->word->word, NULL, 10)) &&
	    dm_task_set_message(task, text) && dm_task_run(task)) {
		answer = dm_task_get_message_response(task);
		if (answer && answer[0])
			fprintf(out, "%s%s", answer,
				answer[strlen(answer) - 1] == '\n' ? "" : "\n");
		rc = EXECUTION_SUCCESS;
	}
	dm_task_destroy(task);
	return rc;
}

static struct dm_task *run(int type, const char *name)
{
	struct dm_task *task = dm_task_create(type);
	struct dm_info info;

	if (!task)
		return NULL;
	if (dm_task_set_name(task, name) && dm_task_run(task) &&
	    (type == DM_DEVICE_SUSPEND || type == DM_DEVICE_RESUME ||
	     (dm_task_get_info(task, &info) && info.exists)))
		return task;
	if (dm_task_get_errno(task) == 0)
		fprintf(stderr, "Device %s not found\n", name);
	dm_task_destroy(task);
	return NULL;
}

/* dm status|table DEVICE */
static int lines(int type, WORD_LIST *list)
{
	struct dm_task *task;
	void *next = NULL;

	if (!list || list->next || list->word->word[0] == '-')
		return TEST_ELSEWHERE;
	task = run(type, list->word->word);
	if (!task)
		return EXECUTION_FAILURE;
	do {
		char *target, *words;
		uint64_t start, length;

		next = dm_get_next_target(task, next, &start, &length, &target, &words);
		if (target)
			fprintf(out, "%" PRIu64 " %" PRIu64 " %s %s\n", start, length, target,
				words);
	} while (next);
	dm_task_destroy(task);
	return EXECUTION_SUCCESS;
}

/* dm suspend|resume DEVICE */
static int simple(int type, WORD_LIST *list)
{
	struct dm_task *task;

	if (!list || list->next || list->word->word[0] == '-')
		return TEST_ELSEWHERE;
	task = run(type, list->word->word);
	if (!task)
		return EXECUTION_FAILURE;
	dm_task_destroy(task);
	dm_task_update_nodes();
	return EXECUTION_SUCCESS;
}

static bool is_target(const char *name, const char *wanted)
{
	struct dm_task *task = run(DM_DEVICE_TABLE, name);
	char *target = NULL, *words;
	uint64_t start, length;
	bool is;

	if (!task)
		return false;
	dm_get_next_target(task, NULL, &start, &length, &target, &words);
	is = target && !strcmp(target, wanted);
	dm_task_destroy(task);
	return is;
}

/* dm ls [--target TARGET] */
static int ls(WORD_LIST *list)
{
	const char *wanted = NULL;
	struct dm_task *task;
	struct dm_names *names;
	unsigned int found = 0;

	if (list && !strcmp(list->word->word, "--target") && list->next && !list->next->next)
		wanted = list->next->word->word;
	else if (list)
		return TEST_ELSEWHERE;
	task = dm_task_create(DM_DEVICE_LIST);
	if (!task)
		return EXECUTION_FAILURE;
	names = dm_task_run(task) ? dm_task_get_names(task) : NULL;
	while (names && names->dev) {
		if (!wanted || is_target(names->name, wanted)) {
			fprintf(out, "%s\n", names->name);
			found++;
		}
		if (!names->next)
			break;
		names = (struct dm_names *)((char *)names + names->next);
	}
	if (!found)
		fprintf(out, "No devices found\n");
	dm_task_destroy(task);
	return EXECUTION_SUCCESS;
}

/* Lines "START LENGTH TARGET WORD..." of a table. */
static bool add_targets(struct dm_task *task, char *table)
{
	char *line, *save;

	for (line = strtok_r(table, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint64_t start, length;
		char target[64];
		int at = 0;

		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %63s %n", &start, &length, target, &at) <
			    3 ||
		    !dm_task_add_target(task, start, length, target, line + at))
			return false;
	}
	return true;
}

/* dm create|load NAME [--readonly] [--table TABLE]; the table from standard input without */
static int table(int type, WORD_LIST *list)
{
	const char *name = NULL, *given = NULL;
	struct dm_task *task;
	char text[65536];
	bool readonly = false;
	ssize_t got;
	size_t size = 0;
	int rc = EXECUTION_FAILURE;

	for (; list; list = list->next) {
		const char *word = list->word->word;

		if (!strcmp(word, "--table") && list->next) {
			list = list->next;
			given = list->word->word;
		} else if (!strcmp(word, "--readonly") || !strcmp(word, "-r")) {
			readonly = true;
		} else if (word[0] == '-' || name) {
			return TEST_ELSEWHERE;
		} else {
			name = word;
		}
	}
	if (!name || (given && strlen(given) >= sizeof(text)))
		return TEST_ELSEWHERE;
	if (given) {
		strcpy(text, given);
	} else {
		while (size < sizeof(text) - 1 &&
		       (got = test_read(STDIN_FILENO, text + size, sizeof(text) - 1 - size)) > 0)
			size += got;
		text[size] = '\0';
	}
	task = dm_task_create(type);
	if (!task)
		return EXECUTION_FAILURE;
	if (dm_task_set_name(task, name) && (!readonly || dm_task_set_ro(task)) &&
	    add_targets(task, text) && dm_task_run(task))
		rc = EXECUTION_SUCCESS;
	dm_task_destroy(task);
	dm_task_update_nodes();
	return rc;
}

/* dm remove [--retry] DEVICE */
static int remove_device(WORD_LIST *list)
{
	struct dm_task *task;
	bool retry = false;
	int rc = EXECUTION_FAILURE;

	if (list && !strcmp(list->word->word, "--retry")) {
		retry = true;
		list = list->next;
	}
	if (!list || list->next || list->word->word[0] == '-')
		return TEST_ELSEWHERE;
	task = dm_task_create(DM_DEVICE_REMOVE);
	if (!task)
		return EXECUTION_FAILURE;
	if (dm_task_set_name(task, list->word->word) && (!retry || dm_task_retry_remove(task)) &&
	    dm_task_run(task))
		rc = EXECUTION_SUCCESS;
	dm_task_destroy(task);
	dm_task_update_nodes();
	return rc;
}

static int request(const char *command, WORD_LIST *list)
{
	if (!strcmp(command, "message"))
		return message(list);
	if (!strcmp(command, "status"))
		return lines(DM_DEVICE_STATUS, list);
	if (!strcmp(command, "table"))
		return lines(DM_DEVICE_TABLE, list);
	if (!strcmp(command, "suspend"))
		return simple(DM_DEVICE_SUSPEND, list);
	if (!strcmp(command, "resume"))
		return simple(DM_DEVICE_RESUME, list);
	if (!strcmp(command, "create"))
		return table(DM_DEVICE_CREATE, list);
	if (!strcmp(command, "load"))
		return table(DM_DEVICE_RELOAD, list);
	if (!strcmp(command, "remove"))
		return remove_device(list);
	if (!strcmp(command, "ls"))
		return ls(list);
	return TEST_ELSEWHERE;
}

/* dm [-v VARIABLE] COMMAND [WORD...]: with -v, what it would print is in the variable, as of $(...) */
static int dm_builtin(WORD_LIST *list)
{
	const char *variable = NULL;
	size_t size = 0;
	char *text = NULL;
	int rc;

	if (list && list->next && !strcmp(list->word->word, "-v")) {
		variable = list->next->word->word;
		list = list->next->next;
	}
	if (!list)
		return TEST_ELSEWHERE;
	out = variable ? open_memstream(&text, &size) : stdout;
	if (!out)
		return EXECUTION_FAILURE;
	rc = request(list->word->word, list->next);
	if (variable) {
		fclose(out);
		while (size && text[size - 1] == '\n')
			text[--size] = '\0';
		bind_variable(variable, text, 0);
		free(text);
	}
	return test_end(rc);
}

TEST_BUILTIN(dm, "dm [-v VARIABLE] COMMAND [WORD...]",
	     "Device-mapper requests, in the words of dmsetup.");
