// SPDX-License-Identifier: GPL-2.0-only
/*
 * dd, for the operands that tests use, and data to write and compare.
 */
#include "shell.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGNMENT 4096

ssize_t test_read(int fd, void *data, size_t size)
{
	ssize_t got;

	do {
		got = read(fd, data, size);
	} while (got < 0 && errno == EINTR);
	return got;
}

bool test_write(int fd, const void *data, size_t size)
{
	const char *from = data;

	while (size) {
		ssize_t put = write(fd, from, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		from += put;
		size -= put;
	}
	return true;
}

/* What was printed goes out before bash does anything else, such as a fork. */
int test_end(int rc)
{
	fflush(stdout);
	fflush(stderr);
	return rc;
}

/* "4k", "1M", "512": bytes. */
static bool parse_size(const char *word, uint64_t *size)
{
	char *end;

	*size = strtoull(word, &end, 10);
	switch (*end) {
	case 'k':
	case 'K':
		*size <<= 10;
		end++;
		break;
	case 'M':
		*size <<= 20;
		end++;
		break;
	case 'G':
		*size <<= 30;
		end++;
		break;
	}
	return end != word && !*end;
}

struct dd {
	const char *in, *out;
	uint64_t size, count, skip, seek;
	bool skip_bytes, seek_bytes, full, quiet, keep, sync;
	int in_flags, out_flags;
};

static bool input_flag(struct dd *dd, const char *word)
{
	if (!strcmp(word, "direct"))
		dd->in_flags |= O_DIRECT;
	else if (!strcmp(word, "fullblock"))
		dd->full = true;
	else if (!strcmp(word, "skip_bytes"))
		dd->skip_bytes = true;
	else
		return false;
	return true;
}

static bool output_flag(struct dd *dd, const char *word)
{
	if (!strcmp(word, "direct"))
		dd->out_flags |= O_DIRECT;
	else if (!strcmp(word, "seek_bytes"))
		dd->seek_bytes = true;
	else
		return false;
	return true;
}

static bool conversion(struct dd *dd, const char *word)
{
	if (!strcmp(word, "notrunc"))
		dd->keep = true;
	else if (!strcmp(word, "fsync"))
		dd->sync = true;
	else
		return false;
	return true;
}

/* Words with commas between them, each of which @parse knows. */
static bool parse_words(struct dd *dd, const char *words,
			bool (*parse)(struct dd *dd, const char *word))
{
	char copy[128], *word, *save;

	if (strlen(words) >= sizeof(copy))
		return false;
	strcpy(copy, words);
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (!parse(dd, word))
			return false;
	return true;
}

static bool parse_operands(struct dd *dd, WORD_LIST *list)
{
	for (; list; list = list->next) {
		const char *word = list->word->word, *value = strchr(word, '=');
		size_t length;
		bool good;

		if (!value)
			return false;
		length = value++ - word;
#define IS(name) (length == strlen(name) && !strncmp(word, name, length))
		if (IS("if"))
			good = (dd->in = value);
		else if (IS("of"))
			good = (dd->out = value);
		else if (IS("bs"))
			good = parse_size(value, &dd->size) && dd->size && dd->size <= 64 << 20;
		else if (IS("count"))
			good = parse_size(value, &dd->count);
		else if (IS("skip"))
			good = parse_size(value, &dd->skip);
		else if (IS("seek"))
			good = parse_size(value, &dd->seek);
		else if (IS("iflag"))
			good = parse_words(dd, value, input_flag);
		else if (IS("oflag"))
			good = parse_words(dd, value, output_flag);
		else if (IS("conv"))
			good = parse_words(dd, value, conversion);
		else if (IS("status"))
			good = (dd->quiet = !strcmp(value, "none"));
		else
			good = false;
#undef IS
		if (!good)
			return false;
	}
	/* How many records it were is what dd itself says. */
	return dd->quiet;
}

static int dd_error(const char *what, const char *name, const char *why)
{
	fprintf(stderr, "dd: %s '%s': %s\n", what, name, why);
	return EXECUTION_FAILURE;
}

/* Read and written from where the operands say, to the end of either. */
static int copy_blocks(const struct dd *dd, int in, int out, char *data)
{
	uint64_t n;

	for (n = 0; n < dd->count; n++) {
		ssize_t got, size = 0;

		do {
			got = test_read(in, data + size, dd->size - size);
			size += got > 0 ? got : 0;
		} while (dd->full && got > 0 && (uint64_t)size < dd->size);
		if (got < 0)
			return dd_error("error reading", dd->in, strerror(errno));
		if (!size)
			break;
		if (size % 512 && dd->out_flags & O_DIRECT)
			fcntl(out, F_SETFL, fcntl(out, F_GETFL) & ~O_DIRECT);
		if (!test_write(out, data, size))
			return dd_error("error writing", dd->out, strerror(errno));
	}
	return EXECUTION_SUCCESS;
}

static int test_dd_builtin(WORD_LIST *list)
{
	struct dd dd = { .size = 512, .count = UINT64_MAX };
	int in = STDIN_FILENO, out = STDOUT_FILENO, rc = EXECUTION_FAILURE;
	uint64_t skip, seek;
	struct stat st;
	void *data;

	if (!parse_operands(&dd, list))
		return TEST_ELSEWHERE;
	skip = dd.skip_bytes ? dd.skip : dd.skip * dd.size;
	seek = dd.seek_bytes ? dd.seek : dd.seek * dd.size;
	/* The start of a pipe would have to be read. */
	if ((!dd.in && skip) || (!dd.out && seek))
		return TEST_ELSEWHERE;
	if (posix_memalign(&data, ALIGNMENT, dd.size))
		return dd_error("no memory for", "bs", strerror(errno));
	if (dd.in)
		in = open(dd.in, O_RDONLY | O_CLOEXEC | dd.in_flags);
	else
		dd.in = "standard input";
	if (in < 0) {
		rc = dd_error("failed to open", dd.in, strerror(errno));
		goto out;
	}
	if (dd.out)
		out = open(dd.out,
			   O_WRONLY | O_CREAT | O_CLOEXEC | dd.out_flags |
				   (dd.keep || seek ? 0 : O_TRUNC),
			   0666);
	else
		dd.out = "standard output";
	if (out < 0) {
		rc = dd_error("failed to open", dd.out, strerror(errno));
		goto out;
	}
	if (seek && !dd.keep && !fstat(out, &st) && S_ISREG(st.st_mode) && ftruncate(out, seek))
		rc = dd_error("failed to truncate", dd.out, strerror(errno));
	else if (skip && lseek(in, skip, SEEK_SET) < 0)
		rc = dd_error("cannot skip in", dd.in, strerror(errno));
	else if (seek && lseek(out, seek, SEEK_SET) < 0)
		rc = dd_error("cannot seek in", dd.out, strerror(errno));
	else
		rc = copy_blocks(&dd, in, out, data);
	if (dd.sync && fsync(out) && !rc)
		rc = dd_error("fsync failed for", dd.out, strerror(errno));
out:
	/* On some filesystems an error of writing is told here. */
	if (out > STDERR_FILENO && close(out) && !rc)
		rc = dd_error("error closing", dd.out, strerror(errno));
	if (in > STDERR_FILENO)
		close(in);
	free(data);
	return test_end(rc);
}

/* random_file FILE MIB: different each time */
static int random_file_builtin(WORD_LIST *list)
{
	static uint64_t data[(1 << 20) / 8];
	uint64_t state, mib, i;
	int fd, rc = EXECUTION_SUCCESS;

	if (!list || !list->next || !parse_size(list->next->word->word, &mib) ||
	    getrandom(&state, sizeof(state), 0) != sizeof(state))
		return EXECUTION_FAILURE;
	fd = open(list->word->word, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	while (fd >= 0 && mib-- && !rc) {
		/* splitmix64 (Steele, Lea, Flood 2014) */
		for (i = 0; i < sizeof(data) / 8; i++) {
			uint64_t z = state += 0x9e3779b97f4a7c15;

			z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
			z = (z ^ z >> 27) * 0x94d049bb133111eb;
			data[i] = z ^ z >> 31;
		}
		if (!test_write(fd, data, sizeof(data)))
			rc = EXECUTION_FAILURE;
	}
	if (fd < 0 || rc || close(fd)) {
		fprintf(stderr, "random_file: %s: %s\n", list->word->word, strerror(errno));
		rc = EXECUTION_FAILURE;
	}
	return test_end(rc);
}

/* holds DEVICE FILE OFFSET_MIB: DEVICE has at that offset what FILE has, read from the device itself */
static int holds_builtin(WORD_LIST *list)
{
	static char want[1 << 20];
	const char *device, *file;
	int dev = -1, fd = -1, rc = EXECUTION_FAILURE;
	uint64_t offset, at = 0;
	ssize_t got, size;
	void *data = NULL;

	if (!list || !list->next || !list->next->next ||
	    !parse_size(list->next->next->word->word, &offset))
		return EXECUTION_FAILURE;
	device = list->word->word;
	file = list->next->word->word;
	dev = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (dev < 0 || fd < 0 || posix_memalign(&data, ALIGNMENT, sizeof(want))) {
		fprintf(stderr, "holds: %s: %s\n", dev < 0 ? device : file, strerror(errno));
		goto out;
	}
	for (;; at += size) {
		size = test_read(fd, want, sizeof(want));
		if (size <= 0)
			break;
		do {
			got = pread(dev, data, (size + 511) & ~511, (offset << 20) + at);
		} while (got < 0 && errno == EINTR);
		if (got < size) {
			fprintf(stderr, "holds: %s: read of %zd bytes at %llu: %s\n", device, size,
				(unsigned long long)at, got < 0 ? strerror(errno) : "cut short");
			goto out;
		}
		if (memcmp(want, data, size)) {
			for (got = 0; want[got] == ((char *)data)[got]; got++)
				;
			fprintf(stderr, "holds: %s and %s differ at byte %llu of the file\n",
				device, file, (unsigned long long)at + got);
			goto out;
		}
	}
	if (!size)
		rc = EXECUTION_SUCCESS;
out:
	free(data);
	if (fd >= 0)
		close(fd);
	if (dev >= 0)
		close(dev);
	return test_end(rc);
}

TEST_BUILTIN(test_dd, "test_dd OPERAND...", "dd, without a process.");
TEST_BUILTIN(random_file, "random_file FILE MIB", "Fill a file with random data.");
TEST_BUILTIN(holds, "holds DEVICE FILE OFFSET_MIB", "Compare a part of a device with a file.");
