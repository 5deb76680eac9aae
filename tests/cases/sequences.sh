#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The sequences of events that the protocol's rules were made from, each with the power cut all over
# it, for replicas and for erasure codes; and a split brain, which the operator resolves.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$(dirname "$0")/../lib/pool.sh"
# shellcheck source=../cuts/case.sh
. "$ROOT/tests/cuts/case.sh"

# The kernel with the checkers takes one of the two, by the time of day.
sequence() { # NAME
	local turn=both
	[ "$QBD_LANE" != uml-debug ] || turn=$((EPOCHSECONDS / 60 % 2))
	[ "$turn" = 1 ] || cuts 4 40 --each 40 --sequence "$1" --volume replicas=3,4096,3
	[ "$turn" = 0 ] || cuts 6 25 --each 25 --sequence "$1" --volume ec=4+2,4096,12
}

# The power takes backends with it, other ones at the second cut: what was told to one of them
# alone is there or it is not, for all.
on_one_backend() {
	cuts 4 40 --each 40 --losses --sequence volume --volume replicas=3,4096,3
	cuts 7 25 --each 25 --losses --sequence volume --volume ec=4+2,4096,12
}

with_journal() { # NAME
	cuts 4 40 --each 40 --journal on --sequence "$1" --volume ec=2+1,4096,6
	cuts 6 25 --each 25 --journal on --sequence "$1" --volume ec=4+2,4096,12
}

# history_of INDEX: the tag of the newest epoch of a backend.
history_of() {
	qbd examine "${devs[$1]}" | grep -oE -m 1 '\b[0-9a-f]{16}\b'
}

# half_starts INDEX...: these alone, by the operator's word.
half_starts() {
	local i half=()
	for i; do
		half+=("${devs[i]}")
	done
	qbd pool start --allow-degraded --force-history "$(history_of "$1")" "${half[@]}"
}

# Both halves of a pool go on without the other: together they are refused, and the operator names
# the one to keep; what the other one wrote is gone, and its backends are filled anew.
split_brain() {
	local tag
	fresh_pool 4 64 --extent-size 1M
	volume replicas=3 16M
	random_file "$WORK/a" 8
	random_file "$WORK/b" 8
	random_file "$WORK/c" 8
	put "$WORK/a"
	qbd pool stop p
	half_starts 0 1
	put "$WORK/b"
	qbd pool stop p
	half_starts 2 3
	put "$WORK/c"
	qbd pool stop p
	assert_fails 'split brain' qbd pool start "${devs[@]}"
	tag=$(history_of 1)
	qbd pool start --force-history "$tag" "${devs[@]}"
	same "$WORK/b"
	qbd backend readd p "${devs[2]}"
	qbd backend readd p "${devs[3]}"
	repaired
	same "$WORK/b"
	lose 0 1
	same "$WORK/b"
	regain 0 1
	scrub_finds 0
	restart
	same "$WORK/b"
	qbd verify p
}

subtest allocation-is-cut sequence allocation
subtest overwrite-of-a-flushed-block sequence overwrite
subtest checkpoint-with-writes-in-flight sequence checkpoint
subtest resync-is-cut sequence resync
subtest discard-while-a-leg-is-filled sequence discard-in-resync
subtest volume-is-made-and-removed sequence volume
subtest ring-member-lost-and-back sequence ring-member
subtest cache-lost-as-a-backend-drops sequence cache-lost
subtest slot-reused sequence slot-reused
subtest chunk-freed-while-a-backend-was-out sequence freed-while-out
subtest rows-discarded sequence discarded-rows
subtest discard-is-cut-in-a-row sequence discard-is-cut
subtest backends-return-in-turn sequence in-turn
subtest torn-metadata-page sequence torn-page
subtest volume-is-made-on-one-backend on_one_backend
subtest whole-row-after-a-journaled-block with_journal row-after-journal
subtest split-brain-is-the-operators split_brain
finish
