#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How a host ends to own a pool while someone is half through with it, as moments.sh: its standby is another pool
# of the same kernel, over the same disks.
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

lease=4000 # ms

# owned_pool: p with the volume v, of which the first 2 MiB are written, and their ranges are active; and q, which waits
# for it, with the same volume.
owned_pool() {
	local i twins=()
	cut_pool 3 --extent-size 1M --lease $lease
	volume replicas=3 16M
	filled 2
	for i in 0 1 2; do
		dmsetup create "twin$i" --table "0 262144 linear ${below[i]} 0"
		twins+=("/dev/mapper/twin$i")
	done
	dmsetup create q --table "0 8192 qbd-pool 3 ${twins[*]} 1 standby"
	dmsetup create q-v --table "0 32768 qbd /dev/mapper/q v"
	assert_eq "$(pool_status lease)" owns "the lease of p"
}

mode_of() { # POOL
	local line fields
	dm -v line status "$1"
	read -r -a fields <<<"$line"
	echo "${fields[3]}"
}

# A write was found to be in time, and is not sent yet: the pool is not handed over before it is. Here that takes longer
# than the lease does, so it is not handed over at all.
write_on_its_way() {
	local writer
	owned_pool
	change 0 1
	hold write-sent
	change 0 1 2>/dev/null &
	writer=$!
	wait_until 20 is_held write-sent
	log_mark
	! message hand_over 2>/dev/null || fail "handed over while a write was on its way"
	assert_log 'writes do not end: the pool is not released'
	assert_eq "$(pool_status lease)" lost "the lease of p"
	assert_eq "$(mode_of q)" standby "the mode of q"
	go write-sent
	wait $writer || :
}

# The lease runs out after the last write, and before a heartbeat finds that: p says so.
runs_out_on_the_way() {
	local hand_over i
	owned_pool
	hold release-begins
	message hand_over 2>/dev/null &
	hand_over=$!
	wait_until 20 is_held release-begins
	# Heartbeats wait for the disks.
	for i in 0 1 2; do
		dmsetup suspend --noflush "cut$i"
	done
	sleep $((lease / 1000 + 1))
	assert_eq "$(pool_status lease)" owns "the lease of p"
	go release-begins
	for i in 0 1 2; do
		dmsetup resume "cut$i"
	done
	! wait $hand_over || fail "handed over, without a lease"
	assert_eq "$(pool_status lease)" lost "the lease of p"
	assert_eq "$(pool_status mode)" failed "the mode of p"
}

module_load
moments_or_skip
subtest write-on-its-way write_on_its_way
subtest runs-out-on-the-way runs_out_on_the_way
finish
