#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The codecs, the ring's replay, histories and the offline reader of images take whatever is on a
# disk: libFuzzer, with address and undefined-behaviour sanitizers, first over the corpus, then a
# fixed number of runs from a fixed seed (QBD_SEED). In a soak for its time, from a new seed: half an hour
# is more than 10 million.
# Lanes: host
# Timeout: 600
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

programs=$(realpath -m "$ROOT/${BUILD:-build}")/fuzz
export ASAN_OPTIONS=quarantine_size_mb=4

# fuzz NAME RUNS SHARE: that many runs, or in a soak that many hundredths of its time.
fuzz() {
	local name=$1 limits=("-runs=$2") seed=${QBD_SEED:-1} corpus=$ROOT/tests/fuzz/corpus/$1
	if ! command -v clang >/dev/null; then
		skip "clang is missing: see tests/install-deps"
	fi
	make -s -C "$ROOT/tests/fuzz" O="$programs" "$programs/fuzz-$name"
	if [ "${QBD_SOAK_SECONDS:-0}" -gt 0 ]; then
		limits=("-max_total_time=$((QBD_SOAK_SECONDS * $3 / 100 + 1))")
		seed=${QBD_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
	fi
	mkdir "$WORK/$name"
	echo "seed $seed"
	# The first folder is where new inputs go. What makes it fail is printed, in base64, too.
	nice -n 10 "$programs/fuzz-$name" -seed="$seed" "${limits[@]}" -max_len=256 -timeout=20 \
		-print_final_stats=1 -artifact_prefix="$WORK/$name/" "$WORK/$name" "$corpus" \
		2>"$WORK/$name.log" || { tail -n 60 "$WORK/$name.log"; fail "see above"; }
	grep -E 'DONE|average_exec' "$WORK/$name.log"
	sed -n 's/^stat::number_of_executed_units: *//p' "$WORK/$name.log" >>"$WORK/runs"
}

enough_runs() {
	local runs sum=0
	while read -r runs; do
		sum=$((sum + runs))
	done <"$WORK/runs"
	echo "$sum runs"
	[ "${QBD_SOAK_SECONDS:-0}" -lt 1800 ] || assert_ge "$sum" 10000000 runs
}

subtest history fuzz history 100000 16
subtest super fuzz super 25000 10
subtest heartbeat fuzz heartbeat 100000 16
subtest page fuzz page 150000 23
subtest ring fuzz ring 80000 22
subtest image fuzz image 3000 13
subtest enough-runs enough_runs
finish
