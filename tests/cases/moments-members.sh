#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Backends that go out, return, are replaced or get another device, just when something else that is about them
# is half done (kernel/moment.c). As in moments.sh, defects that reading found.
# Lanes: uml-debug
# Subtests: independent
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$ROOT/tests/lib/cut.sh"
# shellcheck source=../lib/moments.sh
. "$ROOT/tests/lib/moments.sh"

# A backend that is kept, for it has all last legs, gets another device; meanwhile a chunk is freed.
freed_while_reopened() {
	local pid
	cut_pool_journal 2 --extent-size 1M
	volume replicas=2 16M
	filled 4
	lose 1
	# What is said of chunks after this is what happens meanwhile, alone.
	change 0 1
	message checkpoint
	set_tables 'flakey DEV 0 0 1000000' 0
	! dd if="$WORK/a" of="$v" bs=4096 count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
		fail "written to nowhere"
	wait_until 30 kept_is 1
	dmsetup create again --table "0 $((128 * 2048)) linear ${below[0]} 0"
	hold reopening
	message readd 0 /dev/mapper/again &
	pid=$!
	wait_until 30 is_held reopening
	blkdiscard -f -o $((2 << 20)) -l $((1 << 20)) "$v"
	dd if=/dev/zero of="$WORK/a" bs=1M count=1 seek=2 conv=notrunc status=none
	go reopening
	wait $pid
	wait_until 30 nothing_failing
	dmsetup remove cut0
	devs[0]=/dev/mapper/again
	restart
	same "$WORK/a"
	regain 1
	scrub_finds 0
	assert_eq "$(pool_status used)" 6 "slots that are used"
}

# While one is let in another one goes out, and its stamps, which that waits for, meet a failure of the ring's.
ring_fails_while_let_in() {
	local let_in writer legs out=0
	cut_pool_journal 3 --extent-size 1M
	volume replicas=2 16M
	filled 1
	map_legs
	legs=("${place[1:0:0]%% *}" "${place[1:0:1]%% *}")
	while [[ " ${legs[*]} " = *" $out "* ]]; do
		out=$((out + 1))
	done
	lose "$out"
	change 3 1
	hold stamps-owed
	# If they hang nobody is to wait for what they say.
	message readd "$out" "${devs[out]}" &>"$WORK/said" &
	let_in=$!
	wait_until 30 is_held stamps-owed
	hold stamps-begin
	set_tables 'flakey DEV 0 0 1000000 1 error_writes' "${legs[0]}"
	change 3 1 &>"$WORK/said" &
	writer=$!
	wait_until 30 is_held stamps-begin
	set_tables 'flakey DEV 0 0 1000000 1 error_writes' 3
	log_mark
	go stamps-owed
	wait_until 10 log_line 'backend 3 .* is out'
	go stamps-begin
	wait $writer
	wait $let_in
	field_is state "$out" in
	field_is state 3 out
	set_tables 'linear DEV 0' "${legs[0]}" 3
	same "$WORK/a"
	regain "${legs[0]}" 3
	same "$WORK/a"
	scrub_finds 0
}

# A write has chosen its legs; then one of them is forgotten, for its backend is replaced. On the other one the first
# slot is another chunk's.
leg_goes_before_write() {
	local writer replacing
	cut_pool 2 --extent-size 1M
	volume replicas=2 16M
	filled 2
	hold write-begins
	change 256 1 &
	writer=$!
	wait_until 30 is_held write-begins
	lose 1
	cut_disk 2 128
	hold legs-forgotten
	message replace 1 "${devs[2]}" &
	replacing=$!
	wait_until 30 is_held legs-forgotten
	go write-begins
	wait $writer
	go legs-forgotten
	wait $replacing
	same "$WORK/a"
	repaired
	lose 0
	same "$WORK/a"
	regain 0
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# One that was slow is read from by the pool itself, once a second. Such a read is answered, badly, when the pool has
# stopped.
read_ends_late() {
	local removing
	cut_pool_journal 2 --extent-size 1M
	message hedge=off
	message error_limit 1 3600
	volume replicas=2 16M
	filled 1
	dmsetup create under --table "0 $((128 * 2048)) linear ${below[0]} 0"
	set_tables 'delay DEV 0 300 DEV 0 0' 0
	scrub_finds 0
	set_tables 'linear /dev/mapper/under 0' 0
	dmsetup suspend under
	wait_until 10 io_in_flight /dev/mapper/cut0
	hold queues-gone
	dmsetup remove --retry p-v
	dmsetup remove --retry p &
	removing=$!
	wait_until 30 is_held queues-gone
	go queues-gone
	dmsetup load under --table "0 $((128 * 2048)) error"
	dmsetup resume under
	wait $removing
	set_tables 'linear DEV 0' 0
	dmsetup remove under
	qbd pool start p
	same "$WORK/a"
	scrub_finds 0
}

# A leg is half filled when its backend goes out and comes in again. What was written meanwhile is not on it, though its
# rows were filled: it is filled anew.
filled_leg_goes_and_returns() {
	cut_pool 2 --extent-size 4M
	volume replicas=2 8M
	filled 4
	message fail 1
	random_file "$WORK/a" 4
	put "$WORK/a"
	hold rows-filled
	message readd 1 "${devs[1]}"
	wait_until 30 is_held rows-filled
	message fail 1
	change 0 1
	message readd 1 "${devs[1]}"
	go rows-filled
	repaired
	scrub_finds 0
	lose 0
	same "$WORK/a"
	regain 0
}

# A chunk was freed, and what is left to do for its slots is held meanwhile: one of its backends comes back, and has
# another chunk in the same slot. Sets back and other: where that one will be, for these have most slots free.
slot_freed_before_return() { # COMMAND...: it lets the backend in
	cut_pool 3 --extent-size 1M
	volume replicas=2 16M
	filled 1
	map_legs
	back=${place[1:0:0]%% *}
	other=$((3 - back - ${place[1:0:1]%% *}))
	hold freed-chunk-reaped
	blkdiscard -f -l $((1 << 20)) "$v"
	wait_until 30 is_held freed-chunk-reaped
	lose "$back"
	"$@"
	repaired
	assert_eq "$(pool_status used)" 1 "slots that are used"
	random_file "$WORK/a" 1
}

fewer_used_than() { # COUNT
	[ "$(pool_status used)" -lt "$1" ]
}

# They are discarded: not where another chunk is now.
discarded_late() { # COMMAND...: it lets the backend in
	local back other
	slot_freed_before_return "$@"
	put "$WORK/a"
	assert_eq "$(pool_status used)" 3 "slots that are used"
	go freed-chunk-reaped
	wait_until 30 fewer_used_than 3
	map_legs
	assert_eq "${place[1:0:0]%% *} ${place[1:0:1]%% *}" "$back $other" "backends of the chunk"
	lose "$other"
	same "$WORK/a"
	regain "$other"
	scrub_finds 0
}

# They can be given out again: not that which was just chosen for another chunk.
released_late() {
	local back other writer
	slot_freed_before_return let_back_in
	hold chunk-record-durable
	put "$WORK/a" &
	writer=$!
	wait_until 30 is_held chunk-record-durable
	assert_eq "$(pool_status used)" 3 "slots that are used"
	go freed-chunk-reaped
	wait_until 30 fewer_used_than 3
	assert_eq "$(pool_status used)" 2 "slots that are used"
	go chunk-record-durable
	wait $writer
	same "$WORK/a"
	scrub_finds 0
}

let_back_in() {
	qbd backend readd p "${devs[back]}"
}

replace_it() {
	cut_disk 3 128
	qbd backend replace p "$back" "${devs[3]}"
	devs[back]=${devs[3]}
	below[back]=${below[3]}
	unset 'devs[3]' 'below[3]'
}

module_load
moments_or_skip
subtest freed-while-reopened freed_while_reopened
subtest ring-fails-while-let-in ring_fails_while_let_in
subtest leg-goes-before-write leg_goes_before_write
subtest read-ends-late read_ends_late
subtest filled-leg-goes-and-returns filled_leg_goes_and_returns
subtest discarded-late-after-readd discarded_late let_back_in
subtest discarded-late-after-replace discarded_late replace_it
subtest released-late released_late
finish
