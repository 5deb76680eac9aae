#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What returns is brought up to date by exactly the extents that were written without it, to the byte:
# after one epoch or twenty, when it dies again in the middle, when another dies, and when the owner crashes.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 90
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# Extents of 1 MiB, replicas=3 on three disks: each chunk has a leg on each. Chunks that were written
# without disk 2 are noted in $WORK/missed.
returning_pool() {
	local i
	discard_all
	devs=()
	lower=()
	for i in 0 1 2 3; do
		loop_disk "d$i" 64
		lower+=("$REPLY")
		dmsetup create "d$i" --table "0 131072 linear $REPLY 0"
		devs+=("/dev/mapper/d$i")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	volume replicas=4 32M
	random_file "$WORK/data" 24
	put "$WORK/data"
	message checkpoint
	: >"$WORK/missed"
}

# table TARGET INDEX...: of the disks, under the pool.
table() {
	local target=$1 i
	shift
	# All at once, for who is left might put out who went first.
	for i; do
		dmsetup suspend --noflush "d$i"
		dmsetup load "d$i" --table "0 131072 ${target/DEV/${lower[i]}}"
	done
	for i; do
		dmsetup resume "d$i"
	done
}

# without CHUNK...: write 4 KiB in each.
without() {
	local chunk
	for chunk; do
		dd if=/dev/urandom of="$WORK/block" bs=4096 count=1 status=none
		dd if="$WORK/block" of="$WORK/data" bs=4096 seek=$((chunk * 256 + 7)) conv=notrunc status=none
		dd if="$WORK/block" of="$v" bs=4096 seek=$((chunk * 256 + 7)) oflag=direct conv=notrunc,fsync status=none
		echo "$chunk" >>"$WORK/missed"
	done
}

missed() {
	sort -u "$WORK/missed" | wc -l
}

# returns INDEX: it is let in, and brought up to date by what was noted.
returns() {
	message resync rate 0
	qbd backend readd p "${devs[$1]}"
	repaired
	assert_eq "$(pool_status resync_bytes)" $(($(missed) << 20)) "bytes of resync"
	good
}

good() {
	scrub_finds 0
	same "$WORK/data"
}

# alone INDEX: it is as good as any: the only one that is read.
alone() {
	local i
	# The ring comes to it by a checkpoint.
	for i in 0 1 2 3; do
		[ "$i" = "$1" ] || wait_until 20 message fail "$i"
	done
	same "$WORK/data"
}

resync_has_done() { # CHUNKS
	local progress
	progress=$(pool_status resync_chunks)
	[ "${progress%/*}" -ge "$1" ]
}

out() { # INDEX
	[ "$(backend_field state "$1")" = out ]
}

after_many_epochs() {
	local i
	returning_pool
	message fail 2
	without 3 11
	for ((i = 0; i < 10; i++)); do
		message fail 1
		without 5
		qbd backend readd p "${devs[1]}"
		wait_until 20 filled 1
	done
	without 20
	restart
	returns 2
	alone 2
}

# Older than the 32 epochs that are remembered: all of it.
after_too_many_epochs() {
	local i
	returning_pool
	message fail 2
	without 3
	for ((i = 0; i < 17; i++)); do
		message fail 1
		qbd backend readd p "${devs[1]}"
	done
	seq 0 23 >>"$WORK/missed"
	wait_until 20 filled 1
	returns 2
	alone 2
}

# begins INDEX CHUNKS: a resync of it, slow, has filled some of the chunks.
begins() {
	message resync rate 2048
	qbd backend readd p "${devs[$1]}"
	wait_until 20 resync_has_done "$2"
	# What is in the ring alone when a backend goes is not on that.
	message checkpoint
}

# returns_exactly INDEX MOST: it is let in; it has so many legs to fill at most, and they are filled.
returns_exactly() {
	local left
	message resync rate 0
	message resync stop
	qbd backend readd p "${devs[$1]}"
	left=$(backend_field stale "$1")
	echo "$left legs are to be filled"
	assert_le "$left" "$2" "legs to fill"
	message resync start
	repaired
	assert_eq "$(pool_status resync_bytes)" $((left << 20)) "bytes of resync"
	good
	alone "$1"
}

filled() { # INDEX
	[ "$(pool_status resync)" != running ] && [ "$(backend_field stale "$1")" = 0 ]
}

dies_in_the_middle() {
	returning_pool
	message fail 2
	without {0..11}
	begins 2 4
	table error 2
	without 15
	wait_until 10 out 2
	table "linear DEV 0" 2
	# Of 12 that were missed 4 were filled, and one is new.
	returns_exactly 2 9
}

another_dies() {
	returning_pool
	message fail 2
	without {0..11}
	begins 2 4
	table error 1
	without 15 16
	wait_until 10 out 1
	message resync rate 0
	message resync start
	wait_until 20 filled 2
	table "linear DEV 0" 1
	# What was written without it, and at most those that came into sync elsewhere without it.
	returns_exactly 1 10
}

owner_crashes() {
	local did progress
	returning_pool
	message fail 2
	without {0..11}
	begins 2 4
	# No backend takes anything any more, as when the power goes.
	table error 0 1 2 3
	progress=$(pool_status resync_chunks)
	did=${progress%/*}
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	table "linear DEV 0" 0 1 2 3
	qbd pool start p
	repaired
	# One may have been done and not counted.
	echo "$did done before, $(pool_status resync_chunks) and $(pool_status resync_bytes) bytes after"
	assert_le "$(pool_status resync_bytes)" $(((12 - did) << 20)) "bytes of resync"
	assert_ge "$(pool_status resync_bytes)" $(((11 - did) << 20)) "bytes of resync"
	good
	alone 2
}

# area_is TARGET INDEX FROM TO: that part of the disk, under the pool.
area_is() {
	command dmsetup load "d$2" <<T
0 $3 linear ${lower[$2]} 0
$3 $(($4 - $3)) $1
$4 $((131072 - $4)) linear ${lower[$2]} $4
T
	dmsetup suspend --noflush "d$2"
	dmsetup resume "d$2"
}

# Not for one moment only.
sleeps_deeply() { # PID
	local stat i
	for i in 1 2 3; do
		pause 0.1
		read -r stat <"/proc/$1/stat"
		[[ $stat = *') D '* ]] || return 1
	done
}

scrub_has_read_all() {
	local progress
	progress=$(pool_status scrub_chunks)
	[ "${progress%/*}" = "${progress#*/}" ]
}

# slow_goes_on FROM TO: sectors of the first disk.
slow_goes_on() {
	dmsetup load slow --table "0 $(($2 - $1)) linear ${lower[0]} $1"
	dmsetup suspend --nolockfs --noflush slow
	dmsetup resume slow
}

# A checkpoint writes the tables to all that are in, and hangs on one; another goes out meanwhile, and is
# taken away to come back.
taken_away_under_a_checkpoint() {
	local from to readd
	returning_pool
	geometry
	from=$((volume_start / 512)) to=$((layer_start / 512))
	# Its writes do; its flushes go on, or no superblock would be written.
	dmsetup create slow --table "0 $((to - from)) delay ${lower[0]} $from 0 ${lower[0]} $from 1000000 ${lower[0]} $from 0"
	# Or all that follows hangs, should this fail.
	trap 'slow_goes_on '"$from $to"'; kill $(jobs -p) 2>/dev/null || :' EXIT
	area_is 'linear /dev/mapper/slow 0' 0 "$from" "$to"
	message scrub start
	wait_until 20 scrub_has_read_all
	wait_until 20 io_in_flight "${devs[0]}"
	message fail 3
	# It waits for who may still look at the backend that it has taken away.
	message readd 3 "${devs[3]}" >"$WORK/readd" 2>&1 &
	readd=$!
	wait_until 20 sleeps_deeply $readd
	io_in_flight "${devs[0]}" || fail "the checkpoint does not hang"
	# What it held goes on.
	slow_goes_on "$from" "$to"
	wait $readd || { cat "$WORK/readd"; fail "it is not let in"; }
	wait_until 20 scrub_idle
	repaired
	good
	scrub_finds 0
}

subtest after-many-epochs after_many_epochs
subtest taken-away-under-a-checkpoint taken_away_under_a_checkpoint
subtest after-too-many-epochs after_too_many_epochs
subtest dies-in-the-middle dies_in_the_middle
subtest another-dies another_dies
subtest owner-crashes owner_crashes
finish
