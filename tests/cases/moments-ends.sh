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

ended() { # PID
	! kill -0 "$1" 2>/dev/null
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
	wait_until 30 is_held backend-failed
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
	wait_until 30 is_held parking
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
	wait_until 30 is_held parking
	hold outage-over
	heal_disks 0 1
	wait_until 30 is_held outage-over
	go parking
	wait_until 30 waiting 1
	go outage-over
	ends_well $!
	same "$WORK/a"
}

module_load
moments_or_skip
subtest parked-then-out parked_then_out
subtest parked-when-it-was-out parked_when_it_was_out
subtest parked-when-it-was-over parked_when_it_was_over
finish
