# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For tests/cases/reference*.sh, after tests/lib/test.sh: runs of the program of this folder.
# QBD_SEED: replays one. QBD_SCALE: so many times the events, for a soak.

# reference DISKS SETS ROUNDS WORD...: a pool on that many disks. SETS: how many sets of lost
# backends, or all; ROUNDS: how many events after them; both for the fast kernel.
reference() {
	local disks=$1 sets=$2 rounds=$3 scale=${QBD_SCALE:-1} ops=160 i devices=()
	shift 3
	case $QBD_LANE in
	uml-fast) ;;
	*)
		ops=80
		[ "$sets" = all ] || sets=$(((sets + 4) / 5))
		[ "$sets" != all ] || [ "$scale" != 1 ] || sets=4
		rounds=$(((rounds + 1) / 2));;
	esac
	[ "$sets" = all ] || sets=$((sets * scale))
	for ((i = 0; i < disks; i++)); do
		[ -e "$WORK/loop/$i.dev" ] || loop_disk "$i" 192
		devices+=("$(cat "$WORK/loop/$i.dev")")
	done
	dm_remove_all	# what a run that failed left
	"$program" ${QBD_SEED:+--seed "$QBD_SEED"} --ops "$ops" --sets "$sets" \
		--rounds $((rounds * scale)) --patience $((30 * slowness)) "$@" "${devices[@]}"
}

program=$(realpath -m "$ROOT/${BUILD:-build}")/reference/reference
make -s -C "$ROOT/tests/reference" O="$(dirname "$program")" || exit 1
module_load
