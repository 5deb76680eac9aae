#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The allocator has nothing, ever: all that requests take comes from the target's reserves (kernel/memory.c).
# Everything goes on, and is right.
# Lanes: uml-debug
# Subtests: independent
# Timeout: 400
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

faults=/sys/kernel/debug

reserves_only() {
	local fault=$faults/fail_qbd_memory
	[ -d $fault ] || fail "the module has no fault injection"
	echo 0 >$fault/verbose
	echo -1 >$fault/times
	echo 100 >$fault/probability
	"$@"
	echo 0 >$fault/probability
}

# workers_get_nothing on|off: whatever the kernel's workers ask the allocator for.
workers_get_nothing() {
	local fault name pid probability=0
	[ "$1" = off ] || probability=100
	for fault in failslab fail_page_alloc; do
		echo 0 >$faults/$fault/verbose
		echo 1 >$faults/$fault/task-filter
		echo 0 >$faults/$fault/ignore-gfp-wait
		echo -1 >$faults/$fault/times
	done
	echo 0 >$faults/fail_page_alloc/min-order
	for pid in /proc/[0-9]*; do
		read -r name <"$pid/comm" || continue
		# And who makes more of them.
		[[ $name != kworker/* && $name != kthreadd ]] || echo 1 >"$pid/make-it-fail"
	done
	for fault in failslab fail_page_alloc; do
		echo $probability >$faults/$fault/probability
	done
}

ring_is_whole_without() { # INDEX
	[[ $(ring_members) != *" $1"* ]] && [ "$(ring_members | wc -w)" = 3 ]
}

# While the ring waits for another member, and writes with it, nobody gets memory back: none is asked for.
nothing_for_a_new_ring() {
	local member others
	ram_disks 4 32
	devs=(/dev/ram{0..3})
	discard_all
	qbd pool create p "${devs[@]}" --extent-size 1M --force
	qbd pool start p
	volume replicas=2 16M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message checkpoint
	# There are as many as there have to be, and none of the first disk's is missed: it is looked at.
	while read -r _ member others <<<"$(ring_members)" && [ "$(wc -w <<<"$others")" -gt 1 ]; do
		lose "$member"
		regain "$member"
	done
	workers_get_nothing on
	message fail "$member"
	random_file "$WORK/data" 16
	put "$WORK/data"
	wait_until 30 ring_is_whole_without "$member"
	put "$WORK/data"
	workers_get_nothing off
	same "$WORK/data"
	regain "$member"
	scrub_finds 0
}

large_writes() {
	fio --name=large --filename="$v" --rw=randwrite --bs=2M --iodepth=16 --ioengine=libaio --direct=1 \
		--verify=crc32c --verify_fatal=1 --loops=4 --output="$WORK/fio.out" || { cat "$WORK/fio.out"; fail "fio"; }
}

# More of them than the reserve of pending checksums is enough for.
large_writes_at_once() {
	fresh_pool 6 64 --extent-size 1M
	volume ec=4+2 64M
	large_writes
	reserves_only large_writes
	scrub_finds 0
}

subtest large-writes-at-once large_writes_at_once
subtest nothing-for-a-new-ring nothing_for_a_new_ring
subtest replicas-2 reserves_only reference 3 3 6 --extent 1M --volume replicas=2,4096,24
subtest ec-4+2 reserves_only reference 6 3 6 --extent 1M --journal off --volume ec=4+2,4096,16
subtest ec-4+2-journal reserves_only reference 6 3 6 --extent 1M --journal on --volume ec=4+2,4096,16
subtest two-volumes reserves_only reference 6 2 6 --extent 1M --journal on --volume ec=4+2,4096,16 \
	--volume replicas=2,4096,8
finish
