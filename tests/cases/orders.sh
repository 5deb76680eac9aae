#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every order of three losses, returns and crashes of every set of one or two backends, with I/O between;
# and every split brain, as the operator's word resolves it: see tests/cuts/orders.c. Of the larger sets of
# orders some, by the time of day; QBD_ALL=1: each. QBD_SEED replays one.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

program=$(realpath -m "$ROOT/${BUILD:-build}")/cuts/orders

# orders DISKS PARTS WORD...: one of that many parts
orders() {
	local disks=$1 parts=${QBD_ALL:+1}
	parts=${parts:-$2}
	# The kernel with the checkers takes several times as long.
	[ "$QBD_LANE" != uml-debug ] || [ -n "${QBD_ALL-}" ] || parts=$((4 * parts))
	shift 2
	dm_remove_all	# what a run that failed left
	[ ! -d /sys/module/cuts ] || rmmod cuts
	insmod "$(dirname "$QBD_MODULE")/cuts/cuts.ko" disks="$disks" mib=24
	"$program" ${QBD_SEED:+--seed "$QBD_SEED"} --patience $((30 * slowness)) \
		--part $((EPOCHSECONDS % parts))/$parts --disks "$disks" "$@"
	rmmod cuts
}

module_load
subtest replicas-2 orders 3 2 --volume replicas=2,4096,3
subtest replicas-3 orders 5 20 --volume replicas=3,4096,3
subtest ec-2+1 orders 3 2 --volume ec=2+1,4096,6
subtest ec-2+1-journal orders 4 4 --journal on --volume ec=2+1,4096,6
subtest ec-4+2 orders 6 40 --volume ec=4+2,4096,12
subtest split-replicas-2 orders 2 1 --split --volume replicas=2,4096,3
subtest split-replicas-3 orders 4 1 --split --volume replicas=3,4096,3
subtest split-ec-2+2 orders 4 1 --split --journal on --volume ec=2+2,4096,6
finish
