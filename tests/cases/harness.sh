#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The harness itself: backends of each kind, their losses, the counters, the kernel's log.
# Lanes: uml-fast uml-debug guest
# Timeout: 60
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

copy_in_out() { # DEVICE
	dd if=/dev/urandom of="$WORK/in" bs=64k count=16 status=none
	dd if="$WORK/in" of="$1" bs=64k oflag=direct status=none
	dd if="$1" of="$WORK/out" bs=64k count=16 iflag=direct status=none
	cmp "$WORK/in" "$WORK/out"
}

ram_disks_are_fresh() {
	ram_disks 3 64
	copy_in_out /dev/ram2
	ram_disks 2 32
	assert_eq "$(blockdev --getsize64 /dev/ram1)" $((32 << 20)) "size"
	[ ! -e /sys/block/ram2 ] || fail "three disks"
	cmp -n 65536 /dev/ram1 /dev/zero
}

loop_disk_counts() {
	loop_disk a 64
	io_mark "$REPLY"
	dd if=/dev/zero of="$REPLY" bs=4k count=10 oflag=direct status=none
	assert_eq "$(io_delta writes "$REPLY")" 10 writes
	assert_eq "$(io_delta write_sectors "$REPLY")" 80 sectors
	blkdiscard -o 0 -l 1048576 "$REPLY"
	assert_eq "$(io_delta discards "$REPLY")" 1 discards
	dd if=/dev/zero of="$REPLY" bs=4k count=1 conv=fsync status=none
	assert_ge "$(io_delta flushes "$REPLY")" 1 flushes
}

loop_disk_keeps() {
	copy_in_out "$(cat "$WORK/loop/a.dev")"
	loop_detach a
	loop_disk a 64
	cmp -n 1048576 "$REPLY" "$WORK/in"
}

nbd_lives_and_dies() { # KIND
	nbd_disk "$1" 64 "$1"
	copy_in_out "$REPLY"
	nbd_freeze "$1"
	dd if="$REPLY" of=/dev/null bs=4k count=1 iflag=direct status=none &
	wait_until 5 reads_wait "$REPLY"
	nbd_thaw "$1"
	wait $!
	nbd_kill "$1"
	# An error; or, when the client has let go of the device already, nothing to read.
	assert_eq "$(dd if="$REPLY" bs=4k count=1 iflag=direct 2>/dev/null | wc -c)" 0 \
		'bytes read from a dead server'
	nbd_disconnect "$1"
	nbd_start "$1"
	nbd_connect "$1"
	dd if="$REPLY" of="$WORK/out" bs=64k count=16 iflag=direct status=none
	cmp "$WORK/in" "$WORK/out"
}

reads_wait() { # DEVICE
	[ "$(io_stat in_flight "$1")" -gt 0 ]
}

log_is_read() {
	log_mark
	echo "a word of this test" >/dev/kmsg
	assert_log 'word of this'
	log_mark
	assert_no_log 'word of this'
	expect_log 'BUG: provoked'
	echo 'BUG: provoked by the test' >/dev/kmsg
}

subtest ram-disks-are-fresh ram_disks_are_fresh
subtest loop-disk-counts loop_disk_counts
subtest loop-disk-keeps loop_disk_keeps
subtest nbd-server nbd_lives_and_dies nbd-server
subtest nbdkit nbd_lives_and_dies nbdkit
subtest log log_is_read
finish
