#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Hostile images, table lines and messages, in the kernel itself: see tests/hostile/hostile.c.
# QBD_SEED: replays one. QBD_SOAK_SECONDS: how much longer the images go on.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

program=$(realpath -m "$ROOT/${BUILD:-build}")/hostile/hostile

# hostile DISKS IMAGES WORDS WORD...
hostile() {
	local disks=$1 images=$2 words=$3
	shift 3
	dm_remove_all	# what a run that failed left
	[ ! -d /sys/module/cuts ] || rmmod cuts
	insmod "$(dirname "$QBD_MODULE")/cuts/cuts.ko" disks="$disks" mib=24
	"$program" ${QBD_SEED:+--seed "$QBD_SEED"} --seconds $((${QBD_SOAK_SECONDS:-0} / 3)) \
		--images "$images" --words "$words" --patience $((30 * slowness)) --disks "$disks" "$@"
	rmmod cuts
}

module_load
subtest replicas hostile 3 60 900 --volume replicas=2,4096,4
subtest ec hostile 4 60 0 --volume ec=2+1,4096,6 --volume replicas=3,16384,2
subtest ec-journal hostile 4 60 0 --journal on --volume ec=2+1,4096,6
finish
