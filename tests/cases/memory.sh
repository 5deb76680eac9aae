#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# No memory but what somebody waits for: each allocation that may not wait fails, in the writers and
# in the kernel's workers. What requests need comes from the reserves of kernel/memory.c: chunks and
# checksums for more chunks than these are enough for at once.
# Lanes: uml-debug
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# starve PROBABILITY: of failure, in percent.
starve() {
	local fault dir
	for fault in failslab fail_page_alloc; do
		dir=/sys/kernel/debug/$fault
		echo 0 >"$dir/verbose"
		echo Y >"$dir/task-filter"
		echo Y >"$dir/ignore-gfp-wait"
		echo 1 >"$dir/interval"
		echo -1 >"$dir/times"
		[ ! -e "$dir/min-order" ] || echo 0 >"$dir/min-order"
		echo "$1" >"$dir/probability"
	done
}

# The kernel's workers; those that are made later are children of kthreadd.
mark_workers() {
	local dir
	for dir in /proc/[0-9]*; do
		[[ $(cat "$dir/comm" 2>/dev/null) != @(kworker*|kthreadd) ]] ||
			echo 1 >"$dir/make-it-fail" 2>/dev/null || :
	done
}

# RAM disks: what is below the pool needs no memory once it is written.
starved_pool() { # VOLUME-OPTION...
	local i
	discard_all
	ram_disks 4 64
	devs=(/dev/ram[0-3])
	for i in "${devs[@]}"; do
		dd if=/dev/zero of="$i" bs=1M oflag=direct status=none 2>/dev/null || :
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	qbd volume create p/v --size 48M "$@"
	v=/dev/mapper/p-v
}

starved_fio() { # FIO OPTION...
	local status=0
	mark_workers
	starve 100
	(
		echo 1 >/proc/self/make-it-fail
		exec fio --name=all --filename="$v" --direct=1 --ioengine=libaio --iodepth=32 --size=40M \
			--verify=crc32c --verify_fatal=1 --verify_state_save=0 "$@" >"$WORK/fio.out" 2>&1
	) || status=$?
	starve 0
	[ "$status" = 0 ] || { cat "$WORK/fio.out"; fail "fio: status $status"; }
}

chunks_made_and_read() { # POLICY CHUNKS
	starved_pool "--${1%%=*}" "${1#*=}"
	starved_fio --rw=randwrite --bs=32k --do_verify=1 --end_fsync=1
	assert_eq "$(pool_status chunks)" "$2" chunks
	restart
	starved_fio --rw=randread --bs=32k --verify_only
	scrub_finds 0
}

subtest replicas chunks_made_and_read replicas=2 40
subtest ec chunks_made_and_read ec=2+2 20
finish
