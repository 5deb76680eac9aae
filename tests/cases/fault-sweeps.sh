#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# An allocation of the slab, a page, or a request fails, the Nth, in whatever a pool does: see tests/faults/sweep.c.
# QBD_STEP=1: every N to 200, instead of some that the time of day draws.
# Lanes: uml-debug
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

program=$(realpath -m "$ROOT/${BUILD:-build}")/faults/sweep
step=${QBD_STEP:-50}

sweep() { # FAULT
	local i devices=()
	for ((i = 0; i < 5; i++)); do
		loop_disk "$i" 64
		devices+=("$REPLY")
	done
	# The kernel itself tells of memory that cannot be had; nothing else may be in its log.
	expect_log 'page allocation failure'
	"$program" --first $((1 + EPOCHSECONDS % step)) --step "$step" --patience $((30 * slowness)) \
		--fault "$1" "${devices[@]}"
}

module_load
subtest failslab sweep failslab
subtest fail-page-alloc sweep fail_page_alloc
subtest fail-make-request sweep fail_make_request
finish
