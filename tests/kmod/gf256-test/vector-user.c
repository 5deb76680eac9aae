// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the kernel keep a process's vector registers?
 *	vector-user has UNIT		status 0 if the CPU has it, else 1
 *	vector-user keep SECONDS FILE	fill all registers, write to FILE or
 *					compute for a while, compare them
 * "keep" prints the number of comparisons and the unit. Status 1: a register
 * was not kept; 3: the write failed.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES	(32 * 64)

static uint8_t before[MAX_BYTES] __attribute__((aligned(64)));
static uint8_t after[MAX_BYTES] __attribute__((aligned(64)));

/*
 * Load all registers, make a system call, or turn for a while where there is
 * none to make (@number < 0), store them all: one statement, so that nothing
 * else touches them.
 */
#define EACH_16(f)							\
	f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)				\
	f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define EACH_32(f)							\
	EACH_16(f) f(16) f(17) f(18) f(19) f(20) f(21) f(22) f(23)	\
	f(24) f(25) f(26) f(27) f(28) f(29) f(30) f(31)

#define KEEP(name, load, store, each)					\
static long name(long number, long fd, const char *buf, long len)	\
{									\
	long ret = number, turns = 30000;				\
									\
	asm volatile(each(load)						\
		     "test %%rax, %%rax\n\t"				\
		     "js 1f\n\t"					\
		     "syscall\n\t"					\
		     "jmp 2f\n"						\
		     "1: pause\n\t"					\
		     "dec %[turns]\n\t"					\
		     "jnz 1b\n"						\
		     "2:\n\t"						\
		     each(store)					\
		     : "+a" (ret), [turns] "+r" (turns)			\
		     : "D" (fd), "S" (buf), "d" (len),			\
		       [b] "r" (before), [a] "r" (after)		\
		     : "rcx", "r11", "cc", "memory",			\
		       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",	\
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",	\
		       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");	\
	return ret;							\
}

#define LOAD_X(n)	"movdqa 16*" #n "(%[b]), %%xmm" #n "\n\t"
#define STORE_X(n)	"movdqa %%xmm" #n ", 16*" #n "(%[a])\n\t"
#define LOAD_Y(n)	"vmovdqa 32*" #n "(%[b]), %%ymm" #n "\n\t"
#define STORE_Y(n)	"vmovdqa %%ymm" #n ", 32*" #n "(%[a])\n\t"
#define LOAD_Z(n)	"vmovdqa64 64*" #n "(%[b]), %%zmm" #n "\n\t"
#define STORE_Z(n)	"vmovdqa64 %%zmm" #n ", 64*" #n "(%[a])\n\t"

KEEP(keep_sse, LOAD_X, STORE_X, EACH_16)
KEEP(keep_avx, LOAD_Y, STORE_Y, EACH_16)
KEEP(keep_avx512, LOAD_Z, STORE_Z, EACH_32)

static int has(const char *unit)
{
	__builtin_cpu_init();
	if (!strcmp(unit, "scalar"))
		return 1;
	if (!strcmp(unit, "ssse3"))
		return __builtin_cpu_supports("ssse3") != 0;
	if (!strcmp(unit, "avx2"))
		return __builtin_cpu_supports("avx2") != 0;
	if (!strcmp(unit, "avx512"))
		return __builtin_cpu_supports("avx512bw") != 0;
	if (!strcmp(unit, "gfni-avx2"))
		return has("avx2") && __builtin_cpu_supports("gfni") != 0;
	if (!strcmp(unit, "gfni-avx512"))
		return has("avx512") && __builtin_cpu_supports("gfni") != 0;
	errx(2, "no such unit: %s", unit);
}

static int keep(double seconds, const char *file)
{
	long (*fn)(long number, long fd, const char *buf, long len) = keep_sse;
	const char *unit = "SSE";
	size_t bytes = 16 * 16, i;
	struct timespec start, now;
	unsigned long checks = 0;
	uint64_t x = getpid() * 0x9e3779b97f4a7c15ULL;
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		err(3, "%s", file);
	if (has("avx512")) {
		fn = keep_avx512;
		unit = "AVX-512";
		bytes = 32 * 64;
	} else if (has("avx2")) {
		fn = keep_avx;
		unit = "AVX";
		bytes = 16 * 32;
	}

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		long ret;

		for (i = 0; i < bytes; i += sizeof(x)) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memcpy(before + i, &x, sizeof(x));
		}
		memset(after, 0, sizeof(after));
		ret = fn(checks % 4 ? SYS_write : -1, fd, "1\n", 2);
		if (checks % 4 && ret != 2)
			errx(3, "%s: %s", file, strerror(-ret));
		if (memcmp(before, after, bytes)) {
			for (i = 0; before[i] == after[i]; i++)
				;
			errx(1, "%s register %zu changed, after %lu comparisons",
			     unit, i / (bytes / (bytes > 512 ? 32 : 16)), checks);
		}
		checks++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec +
		 (now.tv_nsec - start.tv_nsec) * 1e-9 < seconds);
	printf("%lu comparisons of the registers of %s\n", checks, unit);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "has"))
		return !has(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "keep"))
		return keep(strtod(argv[2], NULL), argv[3]);
	errx(2, "usage: vector-user has UNIT | keep SECONDS FILE");
}
