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

# hang: disk 0 does not answer p, which knows that soon; q's requests it answers.
hang() {
	dmsetup suspend --noflush --nolockfs cut0
	wait_until 20 log_line 'backend 0 .* did not answer within .* left to it'
}

unhang() {
	dmsetup resume cut0
}

mode_is() { # POOL MODE
	[ "$(mode_of "$1")" = "$2" ]
}

# What a backend has not answered it may do whenever it likes: the pool is not handed over before it has. Nothing is
# stopped for that.
orphans_stay_here() {
	owned_pool
	message deadline 0 300
	log_mark
	hang
	has_orphans 0 || fail "no orphans"
	if message hand_over 2>/dev/null; then
		unhang
		fail "handed over while requests are in flight"
	fi
	assert_log 'hand_over: a backend has orphans'
	assert_eq "$(pool_status lease)" owns "the lease of p"
	change 5 1
	unhang
	wait_until 20 field_is orphans 0 0
	message hand_over
	wait_until 20 mode_is q rw
	holds /dev/mapper/q-v "$WORK/a" 0
}

# As that, but it stops to answer when all is being stopped for the hand-over.
orphans_on_the_way() {
	local hand_over
	owned_pool
	message deadline 0 300
	log_mark
	hold stop-begun
	message hand_over 2>/dev/null &
	hand_over=$!
	wait_until 20 is_held stop-begun
	hang
	go stop-begun
	if wait $hand_over; then
		unhang
		fail "handed over while requests are in flight"
	fi
	assert_log 'the pool is not released'
	assert_eq "$(pool_status lease)" lost "the lease of p"
	assert_eq "$(mode_of q)" standby "the mode of q"
	unhang
}

heartbeats_fail() { # INDEX: or did
	[ "$(io_delta writes "${devs[$1]}")" -ge 2 ] || log_line 'is out, epoch'
}

# A heartbeat cannot be written in a start that does not know yet which chunks there are, and each chunk has one leg:
# nobody goes out, and when that backend can be written again all is there.
heartbeat_fails_in_a_start() {
	local start epoch i=0
	cut_pool 3 --extent-size 1M --lease $lease
	volume replicas=1 16M
	filled 6
	epoch=$(pool_status epoch)
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	hold start-maps
	dmsetup create p --table "0 8192 qbd-pool 3 ${devs[*]} 0" &
	start=$!
	wait_until 20 is_held start-maps
	log_mark
	set_tables 'flakey DEV 0 0 1 1 error_writes' $i
	io_mark "${devs[i]}"
	wait_until 20 heartbeats_fail $i
	set_tables 'linear DEV 0' $i
	go start-maps
	wait $start
	dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
	same "$WORK/a"
	assert_eq "$(pool_status epoch)" "$epoch" epoch
	assert_eq "$(pool_status health)" AAA health
	assert_no_log 'is out, epoch'
}

read_block() { # BLOCK: from the disks
	dd if="$v" of=/dev/null bs=4096 count=1 skip="$1" iflag=direct status=none 2>/dev/null
}

# A read is going to wait for disks that fail just when the lease runs out, and all that waits is failed: it fails, too.
parked_when_it_ran_out() {
	local late other
	cut_pool 2 --extent-size 1M --lease $lease
	message on_loss queue
	volume replicas=2 16M
	filled 2
	hold parking
	set_tables 'flakey DEV 0 0 1000000' 0 1
	read_block 0 &
	late=$!
	wait_until 10 is_held parking
	read_block 300 &
	other=$!
	wait_until 20 ended $other
	! wait $other || fail "read from nowhere"
	assert_eq "$(pool_status lease)" lost lease
	go parking
	(wait_until 10 ended $late) || {
		dmsetup suspend p-v
		fail "it waits, and nobody comes"
	}
	! wait $late || fail "read from nowhere"
}

module_load
moments_or_skip
subtest write-on-its-way write_on_its_way
subtest runs-out-on-the-way runs_out_on_the_way
subtest orphans-stay-here orphans_stay_here
subtest orphans-on-the-way orphans_on_the_way
subtest heartbeat-fails-in-a-start heartbeat_fails_in_a_start
subtest parked-when-it-ran-out parked_when_it_ran_out
finish
