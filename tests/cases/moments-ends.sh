#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# As moments: how outages, volumes, backends and pools end while someone is half through with them.
# Lanes: uml-debug
# Subtests: independent
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$ROOT/tests/lib/cut.sh"
# shellcheck source=../lib/moments.sh
. "$ROOT/tests/lib/moments.sh"

fail_disks() { # INDEX...: all that is sent to them fails
	set_tables 'flakey DEV 0 0 1000000' "$@"
}

heal_disks() { # INDEX...
	set_tables 'linear DEV 0' "$@"
}

# ends_well PID: that command ends soon, without an error. Else it waits for backends: then it fails.
ends_well() {
	(wait_until 8 ended "$1") || message on_loss error
	wait "$1"
}

# --- what waits for backends ----------------------------------------------------------------------

# two_disks_one_fails: in a pool of two, disk 0 fails a write (pid: writer), and has not gone out yet, for that
# is held. A read fails on both (pid: reader).
two_disks_one_fails() {
	cut_pool 2 --extent-size 1M
	message on_loss queue
	volume replicas=2 16M
	filled 2
	hold backend-failed
	fail_disks 0
	change 3 1 &
	writer=$!
	wait_until 10 is_held backend-failed
	fail_disks 1
	dd if="$v" of="$WORK/read" bs=1M skip=1 count=1 iflag=direct status=none &
	reader=$!
}

# It waits for the one that fails. When that is out, nobody is kept, and what waits is begun anew.
parked_then_out() {
	two_disks_one_fails
	wait_until 30 waiting 1
	heal_disks 1
	go backend-failed
	ends_well $writer
	ends_well $reader
	cmp -n $((1 << 20)) "$WORK/read" "$WORK/a" 0 $((1 << 20))
}

# It is going to wait just when that one goes out, and who put it out saw nobody who waits.
parked_when_it_was_out() {
	hold parking
	two_disks_one_fails
	wait_until 10 is_held parking
	heal_disks 1
	go backend-failed
	ends_well $writer
	go parking
	ends_well $reader
	cmp -n $((1 << 20)) "$WORK/read" "$WORK/a" 0 $((1 << 20))
}

# Who began all anew that waited is not through yet when one comes that failed before.
parked_when_it_was_over() {
	cut_pool 2 --extent-size 1M
	message on_loss queue
	volume replicas=2 16M
	filled 2
	hold parking
	fail_disks 0 1
	change 3 1 &
	wait_until 10 is_held parking
	hold outage-over
	heal_disks 0 1
	wait_until 10 is_held outage-over
	go parking
	wait_until 30 waiting 1
	go outage-over
	ends_well $!
	same "$WORK/a"
}

# --- volumes --------------------------------------------------------------------------------------

# Who walks the volumes has one in hand that is just being made, and then cannot be recorded.
volume_not_made() {
	local creator
	cut_pool 2 --extent-size 1M
	volume replicas=2 16M
	filled 2
	hold layer-walked
	message scrub start
	wait_until 10 is_held layer-walked
	hold volume-seen
	qbd volume create p/w --size 16M --replicas 2 &
	creator=$!
	wait_until 10 is_held volume-seen
	hold layer-in-hand
	go layer-walked
	wait_until 10 is_held layer-in-hand
	fail_disks 0 1
	! dd if="$WORK/a" of="$v" bs=4096 count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
		fail "written to nowhere"
	log_mark
	go volume-seen
	! wait $creator || fail "a volume was made of nothing"
	go layer-in-hand
	heal_disks 0 1
	wait_until 20 kept_is 0
	wait_until 20 scrub_idle
	assert_no_log KASAN
	qbd volume create p/w --size 16M --replicas 2
}

# --- backends -------------------------------------------------------------------------------------

# A backend is out, and another device takes its place, while the end of its last request is not through.
replaced_while_a_request_ends() {
	local reader disk
	cut_pool 3 --extent-size 1M
	volume ec=2+1 16M
	filled 2
	map_legs
	disk=${place[1:0:0]% *}
	# A loop device ends what it does in a thread, which may sleep.
	hold request-ended
	dd if="$v" of="$WORK/read" bs=4096 count=1 iflag=direct status=none &
	reader=$!
	wait_until 10 is_held request-ended
	lose "$disk"
	cut_disk 3 128
	log_mark
	replace || :
	go request-ended
	wait $reader
	assert_no_log KASAN
	cmp -n 4096 "$WORK/read" "$WORK/a"
	wait_until 10 replaced
	repaired
	same "$WORK/a"
	scrub_finds 0
}

replace() {
	qbd backend replace p "$disk" "${devs[3]}"
}

replaced() {
	[ "$(backend_field state "$disk")" = in ] || replace
}

module_load
moments_or_skip
subtest parked-then-out parked_then_out
subtest parked-when-it-was-out parked_when_it_was_out
subtest parked-when-it-was-over parked_when_it_was_over
subtest volume-not-made volume_not_made
subtest replaced-while-a-request-ends replaced_while_a_request_ends
finish
