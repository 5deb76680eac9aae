#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The reference model with losses, returns and restarts, and power cuts, on two CPUs in a kernel with KASAN
# and lockdep: for some ten minutes, from new seeds. QBD_SEED replays one.
# Lanes: guest-debug
# Timeout: 180
# Guest-memory: 3072
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

# for_seconds SECONDS COMMAND...: again and again, each time from another seed.
for_seconds() {
	local end=$((SECONDS + $1)) n=0
	shift
	while [ "$SECONDS" -lt "$end" ]; do
		"$@"
		n=$((n + 1))
	done
	echo "$n times"
}

subtest replicas-3 for_seconds 160 reference 5 2 2 --extent 1M --volume replicas=3,4096,8
subtest ec-2+1 for_seconds 140 reference 4 2 2 --extent 1M --journal off --volume ec=2+1,4096,8
subtest ec-4+2-journal for_seconds 160 reference 6 2 2 --extent 1M --journal on --volume ec=4+2,4096,8
subtest two-volumes for_seconds 140 reference 6 2 2 --extent 1M --volume replicas=2,8192,8 --volume ec=4+2,4096,8
finish
