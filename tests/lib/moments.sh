# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Moments: places in the module at which whoever comes by is held (kernel/moment.c): sourced after pool.sh.

moments=/sys/kernel/debug/qbd_moments

# hold NAME: whoever comes to that place next stays there. go NAME: until this, or the end of the subtest.
hold() {
	trap 'all_go; kill $(jobs -p) 2>/dev/null || :' EXIT
	echo "hold $1" >$moments
}

go() {
	echo "go $1" >$moments
}

all_go() {
	local name _
	while read -r name _; do
		go "$name"
	done <$moments
}

is_held() { # NAME
	grep -q "^$1 held$" $moments
}

# moments_or_skip: the module is loaded; its kernel has them, or the whole file is skipped.
moments_or_skip() {
	[ -e $moments ] || skip "the kernel has no fault injection, and the module no moments"
}
