#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Things that happen just when something else is half done: whoever does that is held at a named place of
# the module (kernel/moment.c) meanwhile. Defects that reading found, and that two CPUs would meet once in a year.
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

# A checkpoint saw that nothing of a chunk is unwritten; then a value of it is recorded; then it is let go of.
recorded_while_forgotten() {
	cut_pool 3 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/a" 2
	put "$WORK/a"
	hold checkpoint-looked
	message checkpoint &
	wait_until 30 is_held checkpoint-looked
	change 3 1
	sync_volume
	go checkpoint-looked
	wait
	message checkpoint
	cut
	qbd pool start p
	same "$WORK/a"
	scrub_finds 0
}

# A chunk's record is durable, and not in effect: it is not there yet, for whoever looks.
read_while_made() {
	cut_pool 3 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/a" 1
	hold chunk-record-durable
	put "$WORK/a" &
	wait_until 30 is_held chunk-record-durable
	timeout 30 cmp -n 1048576 /dev/zero "$v"
	go chunk-record-durable
	wait
	same "$WORK/a"
}

held_or_through() {
	is_held checkpoint-has-legs || is_held checkpoint-looked
}

# A checkpoint finds a chunk that is being made: it does not take its checksums for written, for it saw no legs.
checkpoint_while_made() {
	local i writer
	cut_pool 3 --extent-size 8M
	volume replicas=3 96M
	random_file "$WORK/a" 8
	# Wherever the new chunk will be, another one's checksums are there.
	for ((i = 0; i < 12; i++)); do
		put "$WORK/a" $((8 * i))
	done
	message checkpoint
	blkdiscard "$v"
	message checkpoint
	hold chunk-record-durable
	hold checkpoint-has-legs
	hold checkpoint-looked
	dd if="$WORK/a" of="$v" bs=4k count=1 oflag=direct conv=notrunc status=none &
	writer=$!
	wait_until 30 is_held chunk-record-durable
	message checkpoint &
	wait_until 30 held_or_through
	go chunk-record-durable
	wait "$writer"
	go checkpoint-has-legs
	go checkpoint-looked
	wait
	message checkpoint
	cut
	qbd pool start p
	cmp -n 4096 "$WORK/a" "$v"
	cmp -n $((8388608 - 4096)) -i 4096:0 "$v" /dev/zero
	scrub_finds 0
}

module_load
moments_or_skip
subtest read-while-made read_while_made
subtest checkpoint-while-made checkpoint_while_made
subtest recorded-while-forgotten recorded_while_forgotten
finish
