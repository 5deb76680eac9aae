# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For tests/cases/power-cut*.sh, after tests/lib/test.sh: runs of the program of this folder.
# QBD_SEED: replays one. QBD_KEEP: a folder that gets the disks as the cut left them that a check
# failed after. QBD_SOAK_SECONDS: how long all runs of a file go on.

# cuts DISKS COUNT WORD...: a pool on that many disks, COUNT power cuts in the fast kernel; in the
# one with the checkers a fortieth, which takes it as long.
cuts() {
	local disks=$1 count=$2 each=100
	shift 2
	[ "$QBD_LANE" = uml-fast ] || { count=$((count / 40)); each=$count; }
	dm_remove_all	# what a run that failed left
	[ ! -d /sys/module/cuts ] || rmmod cuts
	insmod "$(dirname "$QBD_MODULE")/cuts/cuts.ko" disks="$disks" mib=24
	"$program" ${QBD_SEED:+--seed "$QBD_SEED"} ${QBD_KEEP:+--keep "$QBD_KEEP"} \
		--seconds $((${QBD_SOAK_SECONDS:-0} / runs)) --cuts "$count" --each "$each" \
		--patience $((30 * slowness)) --disks "$disks" "$@"
	rmmod cuts
}

program=$(realpath -m "$ROOT/${BUILD:-build}")/cuts/cuts
# Runs of this file, which share the time of a soak.
runs=$(grep -c '^subtest' "$0")
module_load
