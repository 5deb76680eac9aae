# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Swap areas, and memory that is scarce: sourced after pool.sh.

# swap_on DEVICE: all of these take turns.
swap_on() {
	mkswap "$1" >/dev/null
	swapon -p 1 "$1"
}

swap_off() {
	swapoff -a
	local lines
	mapfile -t lines </proc/swaps
	assert_eq "${#lines[@]}" 1 "number of lines of /proc/swaps"
}

# vm_event NAME: a counter of /proc/vmstat, in REPLY.
vm_event() {
	local name
	while read -r name REPLY; do
		[ "$name" != "$1" ] || return 0
	done </proc/vmstat
	fail "no $1 in /proc/vmstat"
}

# swap_mark: from here on was_swapped and swap_report count.
swap_mark() {
	vm_event pswpout
	echo "$REPLY" >"$WORK/pswpout"
	vm_event pswpin
	echo "$REPLY" >"$WORK/pswpin"
}

# was_swapped MIB: at least that much, out and in together.
was_swapped() {
	local sum=0 name
	for name in pswpout pswpin; do
		vm_event $name
		sum=$((sum + REPLY - $(<"$WORK/$name")))
	done
	[ $sum -ge $(($1 * 256)) ]
}

swap_report() {
	local out
	vm_event pswpout
	out=$((REPLY - $(<"$WORK/pswpout")))
	vm_event pswpin
	echo "swapped out $((out / 256)) MiB, in $(((REPLY - $(<"$WORK/pswpin")) / 256)) MiB"
}

# shrink_caches: for ever, what shrinkers can have of caches: inodes, and the checksums of pools.
shrink_caches() {
	echo 4 >/proc/sys/vm/drop_caches	# and say nothing about it
	while :; do
		echo 2 >/proc/sys/vm/drop_caches
		pause 0.2
	done
}

# while_shrinking COMMAND...: beside that.
while_shrinking() {
	local shrinker status=0
	shrink_caches &
	shrinker=$!
	"$@" || status=$?
	kill $shrinker
	return $status
}

# hog MIB SECONDS: touches that much memory again and again, for that long and at least once, and
# looks whether it holds what it should.
hog() {
	exec "$ROOT/${BUILD:-build}/memory/hog" "$@"
}

# squeezed MIB COMMAND...: in a cgroup with no more memory than that, swap apart. It waits until it has given
# some back; with twice as much it would be killed.
squeezed() {
	local group=/sys/fs/cgroup/squeezed mib=$1
	shift
	mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p $group
	echo "${mib}M" >$group/memory.high
	echo "$((2 * mib))M" >$group/memory.max
	(
		echo $BASHPID >$group/cgroup.procs
		"$@"
	)
}
