#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The erasure code in a kernel: each instruction set of the CPU codes right, those that it has not
# got are refused, and none of them spoils the vector registers of a process.
# Lanes: uml-fast uml-debug guest
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

TEST=$ROOT/${BUILD:-build}/$QBD_LANE/gf256-test
PARAMETERS=/sys/module/gf256_test/parameters

# How long processes and threads of the kernel compete.
SECONDS_EACH=3
THREADS=$(nproc)

# load [PARAMETER=VALUE...]: in place of one that a failed subtest left.
load() {
	[ ! -d /sys/module/gf256_test ] || wait_until 10 rmmod gf256-test
	insmod "$TEST/gf256-test.ko" "$@"
}

codes_right() { # UNIT
	log_mark
	load gf256="$1"
	assert_log "erasure code uses $1\$"
	assert_log "$1: [1-9][0-9]* checks passed"
	rmmod gf256-test
}

is_refused() { # UNIT
	log_mark
	assert_fails 'not supported' load gf256="$1"
	assert_log "gf256=$1: this CPU does not have it"
}

# Processes that have something in every vector register, most of the time in the kernel where it
# codes for them, else turning in place, while threads of the kernel code as well.
keeps_registers() { # UNIT
	local n pids=()
	load gf256="$1" threads="$THREADS"
	for ((n = 0; n < 2 * $(nproc); n++)); do
		"$TEST/vector-user" keep "$SECONDS_EACH" "$PARAMETERS/run" & pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
	done
	assert_eq "$(cat "$PARAMETERS/errors")" 0 'number of errors in coding'
	assert_ge "$(cat "$PARAMETERS/rounds")" 100 'number of rounds of coding'
	rmmod gf256-test
}

chooses_the_best() {
	local unit
	for unit in gfni-avx512 gfni-avx2 avx512 avx2 ssse3 scalar; do
		! "$TEST/vector-user" has "$unit" || break
	done
	log_mark
	load
	assert_log "erasure code uses $unit\$"
	rmmod gf256-test
}

refuses_nonsense() {
	log_mark
	assert_fails 'Invalid parameters' load gf256=avx3
	assert_log 'gf256=avx3: no such instruction set'
}

# The runner builds it for the lane, as it does the module.
is_built() {
	[ -e "$TEST/gf256-test.ko" ] || fail "no $TEST/gf256-test.ko: tests/kmod/build makes it"
}

subtest gf256-is-built is_built || finish
for unit in scalar ssse3 avx2 avx512 gfni-avx2 gfni-avx512; do
	if "$TEST/vector-user" has "$unit"; then
		subtest "gf256-$unit-codes-right" codes_right "$unit"
		subtest "gf256-$unit-keeps-registers" keeps_registers "$unit"
	else
		subtest "gf256-$unit-is-refused" is_refused "$unit"
	fi
done
subtest gf256-chooses-the-best chooses_the_best
subtest gf256-refuses-nonsense refuses_nonsense
finish
