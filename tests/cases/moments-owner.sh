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
	assert_eq "$(lease_of p)" owns "the lease of p"
}

lease_of() { # POOL
	local line
	dm -v line status "$1"
	# shellcheck disable=SC2001 # no shell pattern has the word that is between
	sed 's/.* lease \([a-z]*\) .*/\1/' <<<"$line"
}

lease_is() { # POOL WORD
	[ "$(lease_of "$1")" = "$2" ]
}

mode_of() { # POOL
	dmsetup status "$1" | cut -d ' ' -f 4
}

is_standby() { # POOL
	[ "$(mode_of "$1")" = standby ]
}

# A write was found to be in time, and is not sent yet: the pool is not handed over before it is. Here that takes longer
# than the lease does, so it is not handed over at all.
write_on_its_way() {
	local writer hand_over
	owned_pool
	change 0 1
	hold write-sent
	change 0 1 &
	writer=$!
	wait_until 20 is_held write-sent
	log_mark
	! message hand_over 2>/dev/null || fail "handed over while a write was on its way"
	assert_log 'writes do not end: the pool is not released'
	assert_eq "$(mode_of q)" standby "the mode of q"
	go write-sent
	wait $writer || :
}

module_load
moments_or_skip
subtest write-on-its-way write_on_its_way
finish
