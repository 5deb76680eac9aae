#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Starts after an unclean stop, and without all members.
# Lanes: uml-fast uml-debug
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$(dirname "$0")/../lib/pool.sh"

# Backends through a device each that can be made to fail, all at once, as a power cut does.
cut_pool() { # COUNT
	local i
	discard_all
	devs=() below=()
	for ((i = 0; i < $1; i++)); do
		loop_disk "d$i" 128
		below+=("$REPLY")
		dmsetup create "cut$i" --table "0 262144 linear $REPLY 0"
		devs+=("/dev/mapper/cut$i")
	done
	qbd pool create p "${devs[@]}"
	qbd pool start p
}

set_tables() { # TABLE INDEX...
	local table=$1 i
	shift
	for i; do
		dmsetup suspend --noflush "cut$i"
		dmsetup load "cut$i" --table "${table/DEV/${below[i]}}"
		dmsetup resume "cut$i"
	done
}

# The pool ends with what reached its backends until now.
cut() {
	set_tables "0 262144 error" "${!devs[@]}"
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	set_tables "0 262144 linear DEV 0" "${!devs[@]}"
}

sums() {
	md5sum "${below[@]}"
}

unclean_start() { # POLICY COUNT
	cut_pool "$2"
	volume "$1" 40M
	random_file "$WORK/a" 20
	put "$WORK/a"
	# Written and not flushed: ranges are active.
	dd if="$WORK/a" of="$v" bs=64k count=20 oflag=direct conv=notrunc status=none
	cut
	qbd pool start p
	same "$WORK/a"
	scrub_finds 0
	qbd verify p
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

# Rule 12: an unclean pool that is opened read-only is read, and stays as it is.
read_only_changes_nothing() {
	local before
	cut_pool 3
	volume replicas=2 40M
	random_file "$WORK/a" 20
	put "$WORK/a"
	# Other data, not flushed: what is recorded is on no leg, and one leg's is taken.
	random_file "$WORK/b" 2
	dd if="$WORK/b" of="$v" bs=64k oflag=direct conv=notrunc status=none
	cut
	before=$(sums)
	io_mark "${below[@]}"
	dmsetup create p --readonly --table "0 8192 qbd-pool 3 ${devs[*]} 1 read_only"
	dmsetup create p-v --readonly --table "0 81920 qbd /dev/mapper/p v 1 read_only"
	assert_eq "$(pool_status mode)" ro mode
	dd if="$v" of="$WORK/read-only" bs=1M count=20 iflag=direct status=none
	assert_fails 'failed' message checkpoint
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	assert_eq "$(io_delta writes "${below[@]}")" 0 "number of writes"
	assert_eq "$(sums)" "$before" "what is on the backends"
	qbd pool start p
	same "$WORK/read-only"
	cmp -i 2M "$WORK/read-only" "$WORK/a"
}

# Backends of the ring go and come one after another: each time another takes its place.
ring_is_kept_up() {
	local i
	fresh_pool 6 128
	volume ec=4+2 40M
	random_file "$WORK/a" 10
	put "$WORK/a"
	# The last of the first members could not go, had nobody come in its place.
	for i in 0 1 2 3 4 5; do
		lose "$i"
		regain "$i"
		wait_until 10 ring_has 3
	done
	restart
	same "$WORK/a"
	lose 0 1
	same "$WORK/a"
	put "$WORK/a"
	regain 0 1
	restart
	same "$WORK/a"
	scrub_finds 0
}

ring_has() { # COUNT
	[ "$(ring_members | wc -w)" -ge "$1" ]
}

subtest unclean-replicas-2 unclean_start replicas=2 3
subtest unclean-ec-4-2 unclean_start ec=4+2 6
subtest read-only-changes-nothing read_only_changes_nothing
subtest ring-is-kept-up ring_is_kept_up
finish
