#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What goes wrong in a kernel fails the test: memory overrun and leaked, sleep under a spinlock, locks
# taken both ways, a warning, a panic, a hang; and what a test says it provokes does not.
# Lanes: host
# Boots: uml-debug
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

faults=$WORK/faults
run=$ROOT/tests/uml/run

build_faults() {
	mkdir "$faults"
	cp "$ROOT"/tests/kmod/faults/* "$faults/"
	make -s -C "$("$ROOT/tests/uml/build-kernel" debug)" ARCH=um M="$faults" modules
}

# in_kernel STATUS REPORT COMMAND: a debug kernel that runs COMMAND ends with STATUS and says REPORT.
in_kernel() {
	local output status=0
	output=$("$run" --timeout 200 debug -- bash -c "$3" 2>&1) || status=$?
	[ "$status" = "$1" ] || { echo "$output"; fail "status $status, not $1"; }
	grep -qE "$2" <<<"$output" || { echo "$output"; fail "no '$2' in what it says"; }
}

is_reported() { # FAULT REPORT
	in_kernel 123 "$2" "insmod $faults/faults.ko fault=$1 && rmmod faults"
}

leak_is_reported() {
	cat >"$faults/leak.sh" <<-T
		. "$ROOT/tests/lib/test.sh"
		leak() { insmod $faults/faults.ko fault=leak; rmmod faults; }
		subtest leak leak
		finish
	T
	in_kernel 1 'not ok no-leaks' "bash $faults/leak.sh"
}

hang_times_out() {
	local output
	output=$("$run" --timeout 5 fast -- sleep 60 2>&1) && fail "it ended"
	assert_match "$output" 'timeout after 5 s'
}

expected_is_not_reported() {
	in_kernel 0 '' "echo 'qbd-test: expect: WARNING: .*faults' >/dev/kmsg; \
		echo 'qbd-test: expect: a fault on purpose' >/dev/kmsg; \
		insmod $faults/faults.ko fault=warn && rmmod faults"
}

subtest build build_faults
subtest nothing in_kernel 0 '' "insmod $faults/faults.ko && rmmod faults"
subtest overrun is_reported overrun 'KASAN: slab-out-of-bounds'
subtest sleep-under-spinlock is_reported sleep 'BUG: scheduling while atomic|sleeping function called'
subtest deadlock is_reported deadlock 'possible circular locking dependency'
subtest warning is_reported warn 'WARNING:'
subtest leak leak_is_reported
subtest panic in_kernel 125 'a fault on purpose' "insmod $faults/faults.ko fault=die; sleep 10"
subtest hang hang_times_out
subtest expected expected_is_not_reported
finish
