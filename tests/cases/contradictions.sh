#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Metadata that is valid piece by piece, and that the target never writes: tests/hostile/contradict.c. What
# changes at random (hostile) does not hit.
# Lanes: uml-fast uml-debug
# Subtests: independent
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

contradict() {
	qbd pool stop p
	"$(realpath -m "$ROOT/${BUILD:-build}")/hostile/contradict" "$@" "${devs[@]}"
}

# The next volume's layer would take the place of one that is there.
next_layer_is_there() {
	fresh_pool 3 32 --extent-size 1M
	volume replicas=2 8M
	random_file "$WORK/data" 8
	put "$WORK/data"
	contradict next-layer 1
	qbd pool start p
	same "$WORK/data"
	log_mark
	assert_fails "." qbd volume create p/w --size 8M --replicas 2
	assert_log "next number is in use"
	same "$WORK/data"
	qbd pool stop p
	qbd pool start p
	same "$WORK/data"
	scrub_finds 0
	# After the last number comes none.
	contradict next-layer 0xffffffff
	qbd pool start p
	log_mark
	assert_fails "." qbd volume create p/w --size 8M --replicas 2
	assert_log "or the last one"
	same "$WORK/data"
}

# There is no room for another record, and a backend that is missing wants one. That is told; read-only all is
# there.
log_as_long_as_the_ring() {
	local leg gen
	fresh_pool 3 32 --extent-size 1M
	volume replicas=2 8M
	random_file "$WORK/data" 8
	put "$WORK/data"
	map_legs
	read -r leg _ <<<"${place[1:0:0]}"
	gen=$(qbd examine "${devs[leg]}" --slots | sed -n 's/^slot .* layer 1 chunk 0 .* gen \([0-9]*\).*/\1/p')
	contradict whole-ring "$gen"
	log_mark
	assert_fails "." qbd pool start "${devs[@]:0:leg}" "${devs[@]:leg + 1}" --allow-degraded
	assert_log 'the ring is full'
	assert_no_log 'WARNING'
	dmsetup create p --readonly --table "0 8192 qbd-pool 3 ${devs[*]} 1 read_only"
	dmsetup create p-v --readonly --table "0 16384 qbd /dev/mapper/p v 1 read_only"
	same "$WORK/data"
	dmsetup remove p-v
	dmsetup remove p
}

module_load
subtest next-layer-is-there next_layer_is_there
subtest log-as-long-as-the-ring log_as_long_as_the_ring
finish
