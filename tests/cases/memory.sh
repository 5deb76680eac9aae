#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory is short: what is written to a volume must not wait for memory that only these writes set free. Swap areas
# on volumes, programs in a cgroup with less memory than they want, NBD servers in the machine that uses them; and
# beside all of it the checksums that the target keeps are given up all the time. QBD_MEMORY_SECONDS: how long each
# goes on; in a soak for its share of the time.
# Lanes: uml-fast
# Subtests: independent
# Timeout: 400
# Memory: 256M
# Disks: 4 400
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/memory.sh
. "$ROOT/tests/lib/memory.sh"

seconds=${QBD_MEMORY_SECONDS:-100}
[ "${QBD_SOAK_SECONDS:-0}" = 0 ] || seconds=$((QBD_SOAK_SECONDS / 3))
mnt=$WORK/mnt
mkdir -p "$mnt"

module_load
# A kernel's stack is 64 KiB in one piece here, and pages are not moved to make room for one: a thread
# that cannot be made for that is no fault.
expect_log 'page allocation failure: order:4'
# The sockets of nbd may have the last page that there is, and wait when that is gone.
expect_log 'page allocation failure: order:0, mode:[^)]*__GFP_MEMALLOC'

disks_pool() {
	devs=(/dev/ubd[a-d])
	discard_all
	qbd pool create p "${devs[@]}" --extent-size 1M --force
	qbd pool start p
}

all_is_well() {
	assert_eq "$(pool_status lost)" 0 "blocks that are lost"
	assert_eq "$(pool_status health)" AAAA health
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# Two swap areas, thin, so that chunks are made meanwhile; who wants the memory has a third of it.
swap_areas() {
	local status=0
	disks_pool
	qbd volume create p/mirror --size 128M --replicas 2
	qbd volume create p/coded --size 128M --ec 2+1
	swap_on /dev/mapper/p-mirror
	swap_on /dev/mapper/p-coded
	swap_mark
	while_shrinking squeezed 48 hog 144 "$seconds" || status=$?
	swap_report
	assert_eq $status 0 "status of what was swapped"
	was_swapped 100 || fail "no more than that was swapped"
	swap_off
	all_is_well
}

# files_hold MIB [COMMAND...]: files of so much in all on the volume, through the page cache, by fio, which looks
# whether they hold what they should.
files_hold() {
	local mib=$1 status=0
	shift
	mkfs.ext4 -q "$v"
	mount "$v" "$mnt"
	while_shrinking "$@" fio --name=load --directory="$mnt" --ioengine=psync --rw=randwrite --bsrange=4k-64k \
		--size="${mib}M" --fsync=200 --time_based --runtime="$seconds" --verify=crc32c --verify_fatal=1 \
		--output="$WORK/fio.out" || status=$?
	[ $status = 0 ] || { cat "$WORK/fio.out"; fail "fio"; }
	umount "$mnt"
	e2fsck -fn "$v" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail "ext4 is not clean"; }
	all_is_well
}

# Files, by programs that may have a quarter of what they write, with the pages of it.
files_of_who_is_squeezed() {
	disks_pool
	volume ec=2+1 256M
	files_hold 128 squeezed 32
}

# Servers that need memory to take what is written, in the machine that has none left for what is written to them. They
# are those that others wait for, and have to be known as such (docs/operations.md): one that has to wait until less is dirty
# waits for itself.
servers_in_the_same_machine() {
	local i disk kinds=(nbd-server nbdkit)
	discard_all
	devs=()
	mkdir -p "$WORK/nbd"
	disk=(/dev/ubd[a-d])
	for i in 0 1 2 3; do
		ln -sf "${disk[i]}" "$WORK/nbd/n$i.img"
		(
			io_flusher
			nbd_serve "n$i" 400 "${kinds[i % 2]}"
		)
		nbd_connect "n$i"
		devs+=("$REPLY")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M --force
	qbd pool start "${devs[@]}"
	volume ec=2+1 512M
	files_hold 384
}

subtest swap-areas swap_areas
subtest files-of-who-is-squeezed files_of_who_is_squeezed
subtest servers-in-the-same-machine servers_in_the_same_machine
finish
