#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Starts, stops and what waits for room in the ring, when something else happens just then: an outage, a member of the
# ring that fails. Whoever does the one is held at named places meanwhile (kernel/moment.c), as in moments.sh.
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

# Flushes fill what they may have of the ring, for the checkpoint is held that would make room; the next one waits. Sets
# writer.
ring_filled() {
	hold checkpoint-looked
	message checkpoint 2>/dev/null &
	wait_until 30 is_held checkpoint-looked
	hold no-room
	fio --name=flushes --filename="$v" --direct=1 --ioengine=psync --rw=write --bs=4k --size=1M --fsync=1 \
		--time_based --runtime=600 --output="$WORK/fio.out" 2>/dev/null &
	writer=$!
	wait_until 60 is_held no-room
	go no-room
}

# A pool is started read-only, with a log so long that a flush would wait for room.
flush_of_a_read_only_pool() {
	local writer flush
	cut_pool 3 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/a" 2
	put "$WORK/a"
	ring_filled
	set_tables error "${!devs[@]}"
	go checkpoint-looked
	wait
	cut
	dmsetup create p --readonly --table "0 8192 qbd-pool 3 ${devs[*]} 1 read_only"
	dmsetup create p-v --readonly --table "0 32768 qbd /dev/mapper/p v 1 read_only"
	pool_status ring
	sync "$v" >/dev/null 2>&1 &
	flush=$!
	wait_until 10 ended $flush
	wait $flush
	cmp -i 1M -n 1M "$v" "$WORK/a"
}

# A member of the ring fails while a start stamps the chunks, and a checkpoint is to find another one, before their
# ranges are reconciled. The other backend that is missing is why there are stamps.
checkpoint_in_a_start() {
	local failing missing i start there=()
	cut_pool 4 --extent-size 1M
	volume replicas=3 16M
	random_file "$WORK/a" 4
	put "$WORK/a"
	# None before the cut: it would record what is changed now.
	hold checkpoint-comes
	for i in 0 256 512 768; do
		change $i 4
	done
	read -r failing missing _ < <(ring_members)
	set_tables error "${!devs[@]}"
	go checkpoint-comes
	cut
	for i in 0 1 2 3; do
		[ $i = "$missing" ] || there+=("${devs[i]}")
	done
	hold start-stamps
	hold start-stamped
	hold checkpoint-comes
	dmsetup create p --table "0 8192 qbd-pool 3 ${there[*]} 1 allow_degraded" &
	start=$!
	wait_until 30 is_held start-stamps
	set_tables "flakey DEV 0 0 1 1 error_writes" "$failing"
	go start-stamps
	wait_until 30 is_held start-stamped
	wait_until 30 is_held checkpoint-comes
	# It is through, or comes again.
	go checkpoint-comes
	hold checkpoint-comes
	wait_until 30 it_was_there
	go checkpoint-comes
	go start-stamped
	wait $start
	assert_eq "$(backend_field state "$failing")" out "the member that failed"
	dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
	same "$WORK/a"
}

it_was_there() {
	is_held checkpoint-comes || [ "$(pool_status checkpoints)" -gt 0 ]
}

all_goes_on() {
	log_line 'backends that failed are there again'
}

# An outage ends just before the ring finds that it cannot be written: it stands alone in the way of all. Then the pool
# is stopped, with a row in the journal. (It was suspended before: what that does would be the first to wait, and not for
# ever.)
stopped_while_the_ring_stands() {
	local writer stop
	cut_pool_journal 3 --extent-size 1M
	volume ec=2+1 16M
	random_file "$WORK/a" 4
	put "$WORK/a"
	message checkpoint
	dmsetup suspend p
	change 1 1
	hold ring-stalls
	log_mark
	set_tables "flakey DEV 0 0 1000000" 3 4
	dd if="$WORK/a" of="$v" bs=4096 skip=9 seek=9 count=1 oflag=direct conv=notrunc status=none 2>/dev/null &
	writer=$!
	wait_until 20 is_held ring-stalls
	# Nothing more gets as far as the ring: not a checkpoint, nor a destage, which cannot read what it needs.
	hold checkpoint-comes
	set_tables "flakey DEV 0 0 1 1 error_reads" 0 1 2
	set_tables "linear DEV 0" 3 4
	wait_until 20 all_goes_on
	hold kept-comes
	hold stop-begun
	go ring-stalls
	! wait $writer || fail "written without a ring"
	wait_until 20 is_held kept-comes
	assert_ge "$(pool_status journal_rows)" 1 "rows in the journal"
	dmsetup remove --retry p-v
	dmsetup remove --retry p >/dev/null 2>&1 &
	stop=$!
	wait_until 20 is_held stop-begun
	go kept-comes
	go stop-begun
	go checkpoint-comes
	wait_until 10 ended $stop
	wait $stop
	set_tables "linear DEV 0" 0 1 2
	qbd pool start p
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

# A discard waits for room in the ring when an outage begins in which none can be made, though the ring itself can be
# written: it records nothing before there is some.
outage_while_there_is_no_room() {
	local writer trim reader full used
	cut_pool_journal 3 --extent-size 1M
	message on_loss queue
	qbd volume create p/w --size 2M --replicas 2
	random_file "$WORK/w" 1
	dd if="$WORK/w" of=/dev/mapper/p-w bs=1M oflag=direct conv=fsync status=none
	volume replicas=2 16M
	random_file "$WORK/a" 4
	put "$WORK/a"
	ring_filled
	full=$(pool_status ring)
	blkdiscard -o $((3 << 20)) -l $((1 << 20)) "$v" &
	trim=$!
	wait_until 20 worker_waits io
	set_tables "flakey DEV 0 0 1000000" 0 1 2
	dd if=/dev/mapper/p-w of="$WORK/read" bs=1M count=1 iflag=direct status=none &
	reader=$!
	wait_until 20 all_wait $trim
	used=$(pool_status ring)
	set_tables "linear DEV 0" 0 1 2
	go checkpoint-looked
	wait $trim
	wait $reader
	kill $writer
	wait
	assert_eq "$used" "$full" "blocks of the ring that were used in the outage"
	cmp "$WORK/read" "$WORK/w"
	cmp -n $((1 << 20)) -i $((3 << 20)):0 "$v" /dev/zero
	message checkpoint
	scrub_finds 0
}

# All three: a flush, a discard, a read; or the discard has ended.
all_wait() { # PID
	waiting 3 || ended "$1"
}

# A row is in its place, but that it is so cannot be recorded: the ring stands. It can be when the ring goes on, and
# nobody is told: the row is destaged again. In the middle of that the power goes.
done_record_stalled() {
	local checkpoint
	cut_pool_journal 3 --extent-size 1M
	volume ec=2+1 16M
	filled 4
	# All data of the first row, a block at a time.
	change 0 1
	change 1 1
	hold destage-flushed
	message checkpoint 2>/dev/null &
	checkpoint=$!
	wait_until 20 is_held destage-flushed
	set_tables "flakey DEV 0 0 1000000 1 error_writes" 3 4
	log_mark
	go destage-flushed
	wait_until 20 log_line 'the ring cannot be written now'
	wait_until 20 ended $checkpoint
	wait $checkpoint || :
	hold destage-flushed
	set_tables "linear DEV 0" 3 4
	wait_until 20 is_held destage-flushed
	assert_eq "$(pool_status journal_rows)" 1 "rows in the journal"
	set_tables error "${!devs[@]}"
	go destage-flushed
	cut
	all_is_there
}

module_load
moments_or_skip
subtest flush-of-a-read-only-pool flush_of_a_read_only_pool
subtest checkpoint-in-a-start checkpoint_in_a_start
subtest stopped-while-the-ring-stands stopped_while_the_ring_stands
subtest outage-while-there-is-no-room outage_while_there_is_no_room
subtest done-record-stalled done_record_stalled
finish
