#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A backend that does not answer delays nobody by more than its deadline, and what it still has in
# flight then, orphans, hinders nothing: NBD servers over loopback TCP that are frozen in the middle of
# every kind of I/O, and that answer late.
# Lanes: uml-fast uml-debug
# Timeout: 200
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

deadline=300

# deadlines INDEX...: short ones for these backends.
deadlines() {
	local i
	for i; do
		message deadline "$i" $deadline
	done
}

has_orphans() { # INDEX
	[ "$(backend_field orphans "$1")" -gt 0 ]
}

no_orphans() { # INDEX
	[ "$(backend_field orphans "$1")" = 0 ]
}

state_is() { # INDEX STATE
	[ "$(backend_field state "$1")" = "$2" ]
}

# timed COMMAND...: how long it took, in ms, in took.
timed() {
	local begin=${EPOCHREALTIME/./}
	"$@"
	took=$(((${EPOCHREALTIME/./} - begin) / 1000))
}

write_frozen() { # POLICY DISKS INDEX
	local i=$3
	nbd_pool "$2" 48 --extent-size 1M
	volume "$1" 24M
	random_file "$WORK/data" 8
	put "$WORK/data"
	message checkpoint
	deadlines "$i"
	nbd_freeze "n$i"
	timed put "$WORK/data" 8
	echo "a write and its flush took $took ms"
	assert_eq "$(backend_field state "$i")" out "state"
	has_orphans "$i"
	timed put "$WORK/data" 16
	echo "without it: $took ms"
	same "$WORK/data"
	same "$WORK/data" 8
	assert_fails 'still has .* in flight' qbd backend readd p "${devs[$i]}"
	log_mark
	assert_status 1 message readd "$i" "${devs[$i]}" 2>/dev/null
	assert_log 'message readd: .* still in flight'
	nbd_thaw "n$i"
	wait_until 10 no_orphans "$i"
	qbd backend readd p "${devs[$i]}"
	repaired
	scrub_finds 0
	same "$WORK/data"
	same "$WORK/data" 8
}

subtest write-frozen-replicas write_frozen replicas=2 3 0
finish
