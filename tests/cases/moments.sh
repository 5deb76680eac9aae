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

module_load
moments_or_skip
subtest recorded-while-forgotten recorded_while_forgotten
finish
