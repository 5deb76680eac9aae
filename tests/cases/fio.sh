#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# fio with a checksum in every block: several jobs, both asynchronous engines, blocks of 4 to 256 KiB,
# on a whole pool, a degraded one, and one that is being rebuilt meanwhile.
# Lanes: uml-fast uml-debug
# Timeout: 180
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

case $QBD_LANE in
uml-debug) mib=6;;
*) mib=12;;
esac

# verify_jobs ENGINE: three jobs, each on a part of the volume of its own.
verify_jobs() {
	local part=$((16 << 20))
	cat >"$WORK/jobs" <<-J
		[global]
		filename=$v
		direct=1
		ioengine=$1
		iodepth=8
		verify=crc32c
		verify_fatal=1
		do_verify=1
		size=${mib}M
		thread=1
		[small]
		offset=0
		rw=randwrite
		bsrange=4k-16k
		fsync=64
		[mixed]
		offset=$part
		rw=randrw
		bsrange=4k-256k
		fsync=16
		[large]
		offset=$((2 * part))
		rw=write
		bs=256k
	J
	fio --output="$WORK/fio.out" "$WORK/jobs" || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	# Each job has to have verified something.
	[ "$(grep -c 'READ: bw=\|^ *read: IOPS' "$WORK/fio.out")" -ge 3 ]
}

# A second time only to read: what the first wrote is there, whatever came between.
fresh_volume() { # POLICY DISKS
	fresh_pool "$2" 64 --extent-size 1M
	volume "$1" 48M
}

healthy() { # POLICY DISKS ENGINE
	fresh_volume "$1" "$2"
	verify_jobs "$3"
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

degraded() { # POLICY DISKS ENGINE INDEX...
	fresh_volume "$1" "$2"
	random_file "$WORK/data" 48
	put "$WORK/data"
	lose "${@:4}"
	verify_jobs "$3"
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# The rebuild lasts as long as the load does.
rebuilding() { # POLICY DISKS ENGINE INDEX...
	local i
	fresh_volume "$1" "$2"
	lose "${@:4}"
	random_file "$WORK/data" 48
	put "$WORK/data"
	message resync rate 4096
	for i in "${@:4}"; do
		qbd backend readd p "${devs[i]}"
	done
	verify_jobs "$3"
	message resync rate 0
	repaired 60
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
	# What was rebuilt under the load is right: read it without others.
	for i in 0 1 2 3 4 5; do
		[ $i -lt "$2" ] && [[ " ${*:4} " != *" $i "* ]] || continue
		lose $i
		break
	done
	fio --output="$WORK/fio.out" --verify_only "$WORK/jobs" ||
		{ cat "$WORK/fio.out"; fail "what was rebuilt is not right"; }
}

# Overwrites of an active range need no room in the ring, but their flushes do: several times what it
# has, before any checkpoint comes by itself.
flushes() { # POLICY DISKS
	fresh_volume "$1" "$2"
	fio --name=flushes --filename="$v" --direct=1 --ioengine=psync --rw=randwrite --bs=16k --size=1M \
		--fsync=1 --io_size=20M --output="$WORK/fio.out" ||
		{ cat "$WORK/fio.out"; fail "fio saw errors"; }
	assert_eq "$(pool_status mode)" rw mode
	scrub_finds 0
}

subtest healthy-replicas-libaio healthy replicas=2 3 libaio
subtest healthy-replicas-io_uring healthy replicas=2 3 io_uring
subtest healthy-ec-libaio healthy ec=4+2 6 libaio
subtest healthy-ec-io_uring healthy ec=4+2 6 io_uring
subtest degraded-replicas degraded replicas=2 3 io_uring 1
subtest degraded-ec degraded ec=4+2 6 libaio 0 3
subtest rebuilding-replicas rebuilding replicas=2 3 libaio 2
subtest rebuilding-ec rebuilding ec=4+2 6 io_uring 1 4
subtest flushes-never-fill-the-ring-replicas flushes replicas=2 2
subtest flushes-never-fill-the-ring-ec flushes ec=4+2 6
finish
