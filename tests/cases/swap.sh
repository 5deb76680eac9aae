#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap areas on volumes, in a machine that has less memory than a program wants: what is written to
# them must not wait for memory that only these writes set free. A replicated and an erasure-coded one,
# thin, so that chunks are made meanwhile. Beside that the checksums that the target keeps are given up all
# the time. QBD_SOAK_SECONDS: how much
# longer it goes on.
# Lanes: uml-fast
# Timeout: 120
# Memory: 128M
# Disks: 4 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/memory.sh
. "$ROOT/tests/lib/memory.sh"

devs=(/dev/ubd[a-d])

# A kernel's stack is 64 KiB in one piece here, and pages are not moved to make room for one: a thread
# that cannot be made for that is no fault. What is kept free is so that few cannot, and so that
# requests which may not wait for memory get none soon, and take from the target's reserves.
roomy_stacks() {
	expect_log 'page allocation failure: order:4'
	echo 8192 >/proc/sys/vm/min_free_kbytes
	echo 0 >/proc/sys/vm/watermark_boost_factor
}

more_than_there_is() {
	local hog shrinker status=0
	roomy_stacks
	module_load
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	qbd volume create p/mirror --size 128M --replicas 2
	qbd volume create p/coded --size 128M --ec 2+1
	swap_on /dev/mapper/p-mirror
	swap_on /dev/mapper/p-coded
	swap_mark
	hog 112 "${QBD_SOAK_SECONDS:-0}" &
	hog=$!
	shrink_caches &
	shrinker=$!
	wait $hog || status=$?
	kill $shrinker
	swap_report
	echo "checkpoints: $(pool_status checkpoints)"
	assert_eq $status 0 "status of what was swapped"
	was_swapped 40 || fail "no more than that was swapped"
	assert_eq "$(pool_status lost)" 0 "blocks that are lost"
	assert_eq "$(pool_status health)" AAAA health
}

in_memory_again() {
	swap_off
	scrub_finds 0
}

subtest more-memory-than-there-is more_than_there_is
subtest all-in-memory-again in_memory_again
finish
