#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What else happens while a flush is half done (kernel/moment.c). As in moments.sh, defects that reading found.
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

# flush_until_answered: its backends have flushed what it captured, and it has no records yet. Sets flusher.
flush_until_answered() {
	hold flush-answered
	sync_volume 2>/dev/null &
	flusher=$!
	wait_until 30 is_held flush-answered
}

# A FUA write of a block that a flush captured takes it away from that. The flush is acknowledged when the record of the
# FUA write is durable, and not before: until then no record says what is in the block.
overtaken_by_fua() {
	local flusher writer tries
	cut_pool 2 --extent-size 1M
	volume replicas=2 16M
	filled 1
	change 0 1
	flush_until_answered
	hold ring-sends
	command dd if="$WORK/a" of="$v" bs=4096 count=1 oflag=direct,dsync conv=notrunc status=none &
	writer=$!
	wait_until 30 is_held ring-sends
	go flush-answered
	for ((tries = 0; tries < 10; tries++)); do
		! ended $flusher || fail "a flush was acknowledged before a record of what it flushed is durable"
		pause 0.05
	done
	go ring-sends
	wait $flusher
	wait $writer
	same "$WORK/a"
}

# The backends of a chunk fail and stay in; one of them answered a flush when its cache was gone already. What the flush
# captured has no record, for what has one is not written again when they return.
cache_goes_before_the_flush() {
	local flusher
	cut_pool_journal 2 --extent-size 1M
	volume replicas=2 16M
	filled 4
	# The range is active.
	change 0 1
	sync_volume
	cp --sparse=never "$WORK/loop/d0.img" "$WORK/cache"
	change 0 1
	flush_until_answered
	set_tables 'flakey DEV 0 0 1000000' 0 1
	! dd if="$WORK/change" of="$v" bs=4096 count=1 seek=900 oflag=direct conv=notrunc status=none 2>/dev/null ||
		fail 'written to nowhere'
	wait_until 30 kept_is 3
	go flush-answered
	! wait $flusher || fail 'a flush succeeded in an outage'
	cp --sparse=never "$WORK/cache" "$WORK/loop/d0.img"
	set_tables 'linear DEV 0' 0 1
	wait_until 30 nothing_failing
	# Before anyone reads, who would repair it.
	scrub_finds 0
	same "$WORK/a"
}

module_load
moments_or_skip
subtest overtaken-by-fua overtaken_by_fua
subtest cache-goes-before-the-flush cache_goes_before_the_flush
finish
