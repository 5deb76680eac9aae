#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap areas on volumes, in a machine that has less memory than a program wants: what is written to
# them must not wait for memory that only these writes set free. A replicated and an erasure-coded one,
# thin, so that chunks are made meanwhile; whole, and without a backend.
# Lanes: uml-fast
# Timeout: 180
# Memory: 160M
# Disks: 4 400
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

program=$(realpath -m "$ROOT/${BUILD:-build}")/swap/hog
make -s -C "$ROOT/tests/swap" O="$(dirname "$program")" || exit 1
devs=(/dev/ubd[a-d])

swapped() { # MIB: used, at least
	awk -v mib="$1" '{ sum += $4 } END { exit sum < mib * 1024 }' /proc/swaps
}

begin() {
	module_load
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	qbd volume create p/mirror --size 200M --replicas 2
	qbd volume create p/coded --size 200M --ec 2+1
	for v in mirror coded; do
		mkswap "/dev/mapper/p-$v" >/dev/null
		swapon -p 1 "/dev/mapper/p-$v"
	done
}

hog() {
	local hog used=0
	"$program" 300 2 &
	hog=$!
	while kill -0 $hog 2>/dev/null; do
		! swapped 120 || used=1
		sleep 0.1
	done
	wait $hog
	assert_eq $used 1 "was there as much in the swap areas as it should be"
}

whole_pool() {
	begin
	hog
	assert_eq "$(pool_status health)" AAAA health
}

degraded_pool() {
	message fail 1
	hog
	assert_eq "$(pool_status lost)" 0 "blocks that are lost"
}

end() {
	swapoff "/dev/mapper/p-mirror" "/dev/mapper/p-coded"
	qbd backend readd p "${devs[1]}"
	repaired
	scrub_finds 0
}

subtest more-memory-than-there-is whole_pool
subtest degraded degraded_pool
subtest all-in-memory-again end
finish
