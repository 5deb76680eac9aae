#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A backend that does not answer delays nobody by more than its deadline, and what is still in flight to it
# then, its orphans, hinders nothing and hurts nobody when it is answered late: NBD servers over loopback
# TCP that are frozen in the middle of writes, flushes, discards and reads, and go on later.
# Lanes: uml-fast uml-debug
# Waits: yes
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

deadline=300

# hang INDEX: its server answers no more, which is known soon.
hang() {
	message deadline "$1" $deadline
	nbd_freeze "n$1"
}

field_is() { # FIELD INDEX VALUE
	[ "$(backend_field "$1" "$2")" = "$3" ]
}

has_orphans() { # INDEX
	[ "$(backend_field orphans "$1")" -gt 0 ]
}

is_out() { # INDEX
	wait_until 20 field_is state "$1" out
	has_orphans "$1" || fail "backend $1 is out, and has no orphans"
}

# thaw INDEX: what it was sent is answered, late, and it comes back.
thaw() {
	nbd_thaw "n$1"
	wait_until 20 field_is orphans "$1" 0
	message deadline "$1" 15000
	qbd backend readd p "${devs[$1]}"
	repaired
}

# timed COMMAND...: say how long it took.
timed() {
	local ms
	took "$@"
	echo "$*: $ms ms"
}

read_block() { # MIB
	dd if="$v" of=/dev/null bs=4096 count=1 skip=$(($1 * 256)) iflag=direct status=none
}

flush() {
	dd if=/dev/null of="$v" oflag=direct conv=fsync,notrunc status=none
}

# disk_of MIB: the index of the disk that has the block at that offset of an ec volume: sets REPLY.
disk_of() {
	local i
	for i in "${!devs[@]}"; do
		io_mark "${devs[$i]}"
		read_block "$1"
		REPLY=$i
		[ "$(io_delta reads "${devs[$i]}")" = 0 ] || return 0
	done
	fail "no disk was read"
}

# The pool that most subtests share: four disks, data in the first 4 MiB of a volume.
prepare() { # POLICY
	nbd_pool 4 48 --extent-size 1M
	volume "$1" 32M
	random_file "$WORK/data" 4
	put "$WORK/data"
	message checkpoint
}

unhurt() {
	same "$WORK/data"
	scrub_finds 0
}

# A write, its flush, and a discard, of whose chunk the slots are discarded.
writes() { # POLICY INDEX
	local i=$2
	prepare "$1"
	put "$WORK/data" 16
	message checkpoint
	hang "$i"
	timed put "$WORK/data" 8
	is_out "$i"
	# What is asked of it now waits for nothing.
	timed put "$WORK/data" 24
	same "$WORK/data" 8
	assert_fails 'still has .* in flight' qbd backend readd p "${devs[$i]}"
	log_mark
	assert_status 1 message readd "$i" "${devs[$i]}" 2>/dev/null
	assert_log 'message readd: .* still in flight'
	thaw "$i"
	same "$WORK/data" 24
	hang "$i"
	timed blkdiscard -o $((16 << 20)) -l $((4 << 20)) "$v"
	timed flush
	is_out "$i"
	put "$WORK/data" 16
	thaw "$i"
	same "$WORK/data" 16
	unhurt
}

# Reads: of what is there alone the time is lost. Whoever reads on while answers come late gets right data.
reads() {
	local hung
	prepare ec=2+1
	disk_of 0
	hung=$REPLY
	hang "$hung"
	timed same "$WORK/data"
	is_out "$hung"
	fio --name=on --filename="$v" --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw --offset=8M --size=16M \
		--bs=16k --io_size=16M --verify=crc32c --do_verify=1 --verify_fatal=1 --output="$WORK/fio.out" &
	nbd_thaw "n$hung"
	wait $! || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	thaw "$hung"
	unhurt
}

# All that waits for a pool's I/O ends, but for the module and the devices of the orphans.
ends() {
	prepare ec=2+1
	hang 0
	timed put "$WORK/data" 8
	is_out 0
	timed dmsetup suspend p-v
	timed dmsetup resume p-v
	timed dmsetup remove p-v
	timed qbd pool stop p
	assert_fails 'in use' rmmod dm-qbd
	assert_fails . timeout 20 dmsetup create q --table "0 8192 qbd-pool 4 ${devs[*]}"
	assert_log 'still has I/O in flight'
	nbd_thaw n0
	module_unload
	module_load
	qbd pool start p
	same "$WORK/data"
	same "$WORK/data" 8
	qbd backend readd p "${devs[0]}"
	repaired
	unhurt
}

subtest writes-replicas writes replicas=2 0
subtest writes-ec writes ec=2+1 1
subtest reads reads
subtest pool-ends ends
finish
