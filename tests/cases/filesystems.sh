#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# ext4 and XFS on a volume: made, filled, degraded while in use, checked by their own tools, there
# again after a restart, and the space of what is deleted given back.
# Lanes: uml-fast uml-debug
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

mnt=$WORK/mnt
mkdir -p "$mnt"

check() { # KIND
	case $1 in
	ext4) e2fsck -fn "$v";;
	xfs) xfs_repair -n "$v";;
	esac >"$WORK/check.out" 2>&1 || { cat "$WORK/check.out"; fail "$1 is not clean"; }
}

# files NAME COUNT: many small ones, some large ones, and their checksums.
files() {
	local i
	mkdir "$mnt/$1"
	for ((i = 0; i < 4; i++)); do
		random_file "$mnt/$1/large$i" 3
	done
	tar -C "$ROOT" -cf - tests/cases tests/lib tests/mutations | tar -C "$mnt/$1" -xf -
	(cd "$mnt/$1" && find . -type f -print0 | sort -z | xargs -0 cksum) >"$WORK/$1.sums"
}

files_are_right() { # NAME...
	local name
	for name; do
		(cd "$mnt/$name" && find . -type f -print0 | sort -z | xargs -0 cksum) |
			cmp - "$WORK/$name.sums" || fail "files of $name are not what they were"
	done
}

gives_back() { # SLOTS: after it there are less in use
	fstrim "$mnt"
	[ "$(pool_status used)" -lt "$1" ]
}

lives_through() { # KIND POLICY DISKS INDEX...
	local kind=$1 size=128M used
	# xfsprogs make nothing smaller than this.
	[ "$kind" != xfs ] || size=320M
	fresh_pool "$3" 128 --extent-size 1M
	volume "$2" $size
	mkfs."$kind" -q "$v"
	mount "$v" "$mnt"
	files before
	sync
	lose "${@:4}"
	echo 3 >/proc/sys/vm/drop_caches
	files_are_right before
	files degraded
	rm -r "$mnt"/before/large*
	umount "$mnt"
	check "$kind"
	restart
	check "$kind"
	mount "$v" "$mnt"
	find "$mnt/before" -type f | wc -l
	files_are_right degraded
	umount "$mnt"
	regain "${@:4}"
	check "$kind"
	mount "$v" "$mnt"
	files_are_right degraded
	used=$(pool_status used)
	rm -r "$mnt/degraded" "$mnt/before"
	sync
	# XFS frees what was removed a moment later.
	wait_until 20 gives_back "$used"
	umount "$mnt"
	check "$kind"
	scrub_finds 0
}

subtest ext4-on-replicas lives_through ext4 replicas=2 3 1
subtest ext4-on-ec lives_through ext4 ec=4+2 6 0 5
subtest xfs-on-replicas lives_through xfs replicas=3 4 0 2
subtest xfs-on-ec lives_through xfs ec=4+2 6 2 3
finish
