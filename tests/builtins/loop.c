// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loop devices over files.
 */
#include "shell.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <variables.h>

static int loop_error(const char *what)
{
	fprintf(stderr, "loop: %s: %s\n", what, strerror(errno));
	return -1;
}

/* A free loop device over that file, as a name in "name". */
static int attach(int file, const char *path, char *name, size_t size)
{
	struct loop_config config = { .fd = file };
	int control, number, loop, rc;

	strncpy((char *)config.info.lo_file_name, path, LO_NAME_SIZE - 1);
	do {
		control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
		number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
		if (control >= 0)
			close(control);
		if (number < 0)
			return loop_error("/dev/loop-control");
		snprintf(name, size, "/dev/loop%d", number);
		loop = open(name, O_RDWR | O_CLOEXEC);
		if (loop < 0)
			return loop_error(name);
		rc = ioctl(loop, LOOP_CONFIGURE, &config);
		close(loop);
		/* Another was faster. */
	} while (rc && errno == EBUSY);
	return rc ? loop_error(name) : 0;
}

/* loop_attach FILE MIB: of that size if it is not there yet; sets REPLY to the device */
static int loop_attach_builtin(WORD_LIST *list)
{
	const char *path;
	char name[32];
	int fd, rc = EXECUTION_FAILURE;

	if (!list || !list->next)
		return EXECUTION_FAILURE;
	path = list->word->word;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, strtoll(list->next->word->word, NULL, 10) << 20))
		loop_error(path);
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		loop_error(path);
	} else {
		if (!attach(fd, path, name, sizeof(name))) {
			bind_variable("REPLY", name, 0);
			rc = EXECUTION_SUCCESS;
		}
		close(fd);
	}
	return test_end(rc);
}

/* loop_clear DEVICE */
static int loop_clear_builtin(WORD_LIST *list)
{
	int fd, rc = EXECUTION_FAILURE;

	if (!list)
		return EXECUTION_FAILURE;
	fd = open(list->word->word, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CLR_FD))
		loop_error(list->word->word);
	else
		rc = EXECUTION_SUCCESS;
	if (fd >= 0)
		close(fd);
	return test_end(rc);
}

TEST_BUILTIN(loop_attach, "loop_attach FILE MIB", "Attach a loop device to a file.");
TEST_BUILTIN(loop_clear, "loop_clear DEVICE", "Detach a loop device.");
