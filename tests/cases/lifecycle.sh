#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What happens to a pool's and a volume's devices in their life, with I/O on them: suspend, resume,
# reload, rename, remove, stop, start under other device names; what is left in the end.
# Lanes: uml-fast uml-debug
# Timeout: 180
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

pool=/dev/mapper/tank
volume=/dev/mapper/tank-vol

# load: I/O in the background, each block verified, until load_end, which says whether all was right.
load() {
	rm -f "$WORK/load-end"
	(
		until [ -e "$WORK/load-end" ]; do
			fio --name=load --filename="$volume" --size=39M --rw=randwrite --bs=12k --direct=1 \
				--ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 \
				--verify_backlog=64 --time_based --runtime=2 || exit 1
		done
	) >"$WORK/load.out" 2>&1 &
	echo $! >"$WORK/load"
	wait_until 10 io_flows "$volume"
}

io_flows() { # DEVICE: some I/O ended since the last call
	local now last=0
	now=$(io_stat writes "$1")
	[ ! -e "$WORK/io" ] || last=$(cat "$WORK/io")
	echo "$now" >"$WORK/io"
	[ "$now" -gt "$last" ]
}

load_runs() {
	kill -0 "$(cat "$WORK/load")"
}

load_end() {
	local status=0
	load_runs || status=$?
	touch "$WORK/load-end"
	wait "$(cat "$WORK/load")" || status=$?
	rm -f "$WORK/io"
	[ "$status" = 0 ] || { tail -n 30 "$WORK/load.out"; fail "the load ended with status $status"; }
}

status_word() { # NUMBER: of the pool's status line after start, length and target
	dmsetup status tank | cut -d ' ' -f "$((3 + $1))"
}

used_slots() {
	status_word 6 | cut -d / -f 1
}

devices() {
	local i REPLY line=
	for i in 0 1 2 3 4 5; do
		read -r <"$WORK/loop/d$i.dev"
		line+=" $REPLY"
	done
	echo "${line# }"
}

whole() {
	[[ $(dmsetup status tank) =~ \ rw\ AAAAAA\  ]] && [ "$(status_word 9)" = 0 ]
}

start_tables() {
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devices)"
	dmsetup create tank-vol --table "0 131072 qbd $pool vol"
}

remove_tables() {
	dmsetup remove tank-vol
	dmsetup remove tank
}

# --- the tests --------------------------------------------------------------------------------------

plain_dmsetup() {
	local i table
	module_load
	for i in 0 1 2 3 4 5; do
		loop_disk "d$i" 96
	done
	# shellcheck disable=SC2046 # devices
	qbd pool create tank $(devices)
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devices)"
	dmsetup message tank 0 create_volume vol 131072 ec=4+2
	dmsetup create tank-vol --table "0 131072 qbd $pool vol"
	head -c 20M /dev/urandom >"$WORK/data"
	dd if="$WORK/data" of="$volume" bs=1M oflag=direct conv=fsync status=none
	assert_match "$(dmsetup status tank-vol)" '^0 131072 qbd ok [0-9]+/4 0 0 ec=4\+2 4096$' 'volume status'
	# What "dmsetup table" says is a table: the same devices come of it.
	for i in tank tank-vol; do
		dmsetup table "$i" >"$WORK/table-$i"
	done
	remove_tables
	dmsetup create tank <"$WORK/table-tank"
	dmsetup create tank-vol <"$WORK/table-tank-vol"
	cmp -n 20M "$WORK/data" "$volume"
	dmsetup remove tank-vol
	# By number, smaller than the volume, and read-only.
	dmsetup create tank-vol --table "0 65536 qbd $pool 1"
	assert_eq "$(blockdev --getsz "$volume")" 65536 sectors
	dmsetup remove tank-vol
	dmsetup create tank-vol --readonly --table "0 131072 qbd $pool vol 1 read_only"
	cmp -n 20M "$WORK/data" "$volume"
	! dd if=/dev/zero of="$volume" bs=4k count=1 oflag=direct status=none 2>/dev/null || fail 'written'
	! dmsetup message tank 0 remove_volume vol 2>/dev/null || fail 'removed while it is in use'
	table=$(dmsetup table tank-vol)
	assert_match "$table" ' vol 1 read_only$' table
	dmsetup remove tank-vol
	# Writable device, read-only table.
	dmsetup create tank-vol --table "0 131072 qbd $pool vol 1 read_only"
	! dd if=/dev/zero of="$volume" bs=4k count=1 oflag=direct status=none 2>/dev/null || fail 'written'
	cmp -n 20M "$WORK/data" "$volume"
	remove_tables
}

suspend_and_resume() {
	local i device
	start_tables
	load
	for i in 1 2; do
		for device in tank-vol tank; do
			dmsetup suspend "$device"
			dmsetup resume "$device"
			io_flows "$volume" || :
			wait_until 10 io_flows "$volume"
			dmsetup suspend --noflush "$device"
			dmsetup resume "$device"
			dmsetup suspend --nolockfs "$device"
			dmsetup resume "$device"
		done
	done
	load_end
	remove_tables
}

# A suspended volume keeps its I/O until it is resumed.
suspended_waits() {
	local reader
	start_tables
	dmsetup suspend tank-vol
	dd if="$volume" of="$WORK/late" bs=4k count=1 iflag=direct status=none &
	reader=$!
	wait_until 5 sleeps_in_io "$reader"
	[ ! -s "$WORK/late" ] || fail 'read while suspended'
	dmsetup resume tank-vol
	wait "$reader"
	assert_eq "$(stat -c %s "$WORK/late")" 4096 'bytes read'
	remove_tables
}

sleeps_in_io() { # PID
	grep -q '^State:.*D' "/proc/$1/status"
}

reload_the_same() {
	local i device
	start_tables
	load
	for i in 1 2; do
		for device in tank tank-vol; do
			dmsetup table "$device" >"$WORK/table"
			dmsetup load "$device" <"$WORK/table"
			dmsetup resume "$device"
			io_flows "$volume" || :
			wait_until 10 io_flows "$volume"
			# One that is loaded and then thrown away.
			dmsetup load "$device" <"$WORK/table"
			dmsetup clear "$device"
		done
	done
	load_end
	remove_tables
}

# The pool belongs to its device and to the volumes: an error table does not take it from those.
pool_table_replaced() {
	start_tables
	load
	dmsetup load tank --table '0 8192 error'
	dmsetup resume tank
	io_flows "$volume" || :
	wait_until 10 io_flows "$volume"
	dmsetup load tank --table "0 8192 qbd-pool 6 $(devices)"
	dmsetup resume tank
	dmsetup status tank | grep -q ' rw AAAAAA '
	load_end
	remove_tables
}

rename() {
	start_tables
	# By a name that stays.
	volume=/dev/dm-$(dmsetup info -c --noheadings -o minor tank-vol)
	load
	dmsetup rename tank-vol other-name
	dmsetup rename tank other
	wait_until 10 io_flows /dev/mapper/other-name
	! dmsetup remove other 2>/dev/null || fail 'removed a pool with a volume'
	dmsetup rename other tank
	dmsetup rename other-name tank-vol
	load_end
	remove_tables
}

pool_in_use() {
	start_tables
	! dmsetup remove tank 2>"$WORK/err" || fail 'removed a pool with a volume'
	grep -q busy "$WORK/err"
	! rmmod dm-qbd 2>/dev/null || fail 'the module went'
	assert_status 1 dmsetup remove tank 2>/dev/null
	exec 9<"$volume"
	assert_status 3 qbd pool stop tank 2>"$WORK/err"
	! dmsetup remove tank-vol 2>/dev/null || fail 'removed an open volume'
	exec 9<&-
	dd if="$volume" of=/dev/null bs=1M count=4 iflag=direct status=none
	remove_tables
}

# Volumes come and go beside one that is busy; their slots come back.
remove_volume_frees() {
	local i before
	start_tables
	wait_until 20 whole
	before=$(used_slots)
	load
	for i in 1 2 3; do
		dmsetup message tank 0 create_volume "temp$i" 65536 replicas=3
		dmsetup create temp --table "0 65536 qbd $pool temp$i"
		dd if=/dev/urandom of=/dev/mapper/temp bs=1M count=12 oflag=direct conv=fsync status=none
		dmsetup remove temp
		[ "$(used_slots)" -ge $((before + 9)) ] || fail "only $(used_slots) slots are used"
		dmsetup message tank 0 remove_volume "temp$i"
		! dmsetup message tank 0 remove_volume "temp$i" 2>/dev/null || fail 'removed twice'
		! dmsetup create temp --table "0 65536 qbd $pool temp$i" 2>/dev/null || fail 'it is still there'
		wait_until 20 gone "temp$i"
	done
	load_end
	# The load may have filled more chunks of its own volume: 4 of 6 legs at most.
	dmsetup message tank 0 checkpoint
	wait_until 10 used_at_most 24
	remove_tables
	start_tables
	assert_le "$(used_slots)" 24 'used slots after a restart'
	remove_tables
}

used_at_most() { # SLOTS
	[ "$(used_slots)" -le "$1" ]
}

gone() { # VOLUME
	! dmsetup message tank 0 volumes | grep -q " $1 "
}

# All that fit the volume table: 64 pages of 15. Lists come in pieces.
many_volumes() {
	local names from answer
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devices)"
	printf 'create_volume v%d 8192 replicas=2\n' {2..960} | "$ROOT/tests/lib/messages" tank
	log_mark
	! dmsetup message tank 0 create_volume v961 8192 replicas=2 2>/dev/null || fail 'more than fit'
	assert_log 'message create_volume: No room in the volume table'
	from=0 names=
	while :; do
		answer=$(dmsetup message tank 0 volumes "$from")
		names+=$(grep -v '^more' <<<"$answer")$'\n'
		from=$(sed -n 's/^more //p' <<<"$answer")
		[ -n "$from" ] || break
	done
	assert_eq "$(sort -u <<<"$names" | grep -c ' live ')" 960 volumes
	dmsetup remove tank
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devices)"
	printf 'remove_volume v%d\n' {2..960} | "$ROOT/tests/lib/messages" tank
	wait_until 60 one_volume
	dmsetup message tank 0 create_volume again 8192 replicas=2
	answer=$(dmsetup message tank 0 volumes | sed -n 's/ again live.*//p')
	assert_ge "$answer" 961 'its number: none is used twice'
	dmsetup message tank 0 remove_volume again
	wait_until 10 one_volume
	dmsetup remove tank
}

one_volume() {
	[ "$(status_word 7)" = 1 ]
}

# Stopped right after writes: all is in pages, the ring holds nothing to replay.
stop_leaves_an_empty_ring() {
	local device
	start_tables
	dd if=/dev/urandom of="$volume" bs=64k count=200 oflag=direct status=none
	remove_tables
	for device in $(devices); do
		qbd examine --ring "$device" >"$WORK/examined"
		grep -q '^log  *\(no records\|blocks .* 1 records\)' "$WORK/examined" || {
			cat "$WORK/examined"
			fail "records are left in the ring of $device"
		}
	done
	# shellcheck disable=SC2046 # devices
	qbd verify $(devices)
	start_tables
	wait_until 10 whole
	remove_tables
}

messages_twice() {
	local REPLY
	start_tables
	wait_until 20 whole
	read -r <"$WORK/loop/d2.dev"
	load
	dmsetup message tank 0 fail 2
	! dmsetup message tank 0 fail 2 2>/dev/null || fail 'failed twice'
	wait_until 10 io_flows "$volume"
	dmsetup message tank 0 readd 2 "$REPLY"
	! dmsetup message tank 0 readd 2 "$REPLY" 2>/dev/null || fail 'let in twice'
	dmsetup message tank 0 resync start
	dmsetup message tank 0 resync start
	dmsetup message tank 0 scrub start
	dmsetup message tank 0 scrub start
	dmsetup message tank 0 resync stop
	dmsetup message tank 0 resync stop
	dmsetup message tank 0 scrub stop
	dmsetup message tank 0 scrub stop
	dmsetup message tank 0 resync rate 1000000
	dmsetup message tank 0 resync rate 0
	dmsetup message tank 0 resync start
	dmsetup message tank 0 checkpoint
	dmsetup message tank 0 checkpoint
	load_end
	wait_until 30 whole
	# Out and in again, as often as one likes.
	for _ in 1 2 3 4 5; do
		dmsetup message tank 0 fail 2
		# Refused while I/O to it is in flight.
		wait_until 10 dmsetup message tank 0 readd 2 "$REPLY"
	done
	wait_until 30 whole
	remove_tables
}

# Stopped while resync, scrub and a removal are under way.
stop_in_the_middle() {
	local REPLY
	start_tables
	read -r <"$WORK/loop/d3.dev"
	dmsetup message tank 0 create_volume doomed 65536 replicas=2
	dmsetup create doomed --table "0 65536 qbd $pool doomed"
	dd if=/dev/urandom of=/dev/mapper/doomed bs=1M count=24 oflag=direct conv=fsync status=none
	dmsetup remove doomed
	dmsetup message tank 0 fail 3
	dd if=/dev/urandom of="$volume" bs=1M count=40 oflag=direct conv=fsync status=none
	dd if="$volume" of="$WORK/data" bs=1M count=40 iflag=direct status=none
	dmsetup message tank 0 resync rate 64
	dmsetup message tank 0 readd 3 "$REPLY"
	dmsetup message tank 0 scrub start
	dmsetup message tank 0 remove_volume doomed
	remove_tables
	start_tables
	wait_until 30 whole
	wait_until 30 one_volume
	cmp -n 40M "$WORK/data" "$volume"
	remove_tables
}

other_device_names() {
	local i before REPLY
	start_tables
	dd if="$WORK/data" of="$volume" bs=1M oflag=direct conv=fsync status=none
	remove_tables
	before=$(devices)
	for i in 0 1 2 3 4 5; do
		loop_detach "d$i"
	done
	# Something else has the first name; the rest come in another order.
	loop_disk elsewhere 8
	for i in 4 1 5 0 3 2; do
		loop_disk "d$i" 96
	done
	[ "$(devices)" != "$before" ] || fail 'the names are the same'
	qbd pool start tank
	dmsetup status tank | grep -q ' rw AAAAAA '
	cmp -n "$(stat -c %s "$WORK/data")" "$WORK/data" "$volume"
	qbd pool stop tank
	loop_detach elsewhere
}

names_are_escaped() {
	local i
	for i in 0 1; do
		loop_disk "e$i" 32
	done
	# shellcheck disable=SC2046 # devices
	qbd pool create my-pool $(cat "$WORK"/loop/e[01].dev)
	qbd pool start my-pool
	qbd volume create my-pool/a-b --size 16M --replicas 2
	qbd volume create my-pool/a--b --size 16M --replicas 2
	qbd volume create my-pool/plain --size 16M --replicas 2
	[ -b /dev/mapper/my-pool ]
	[ -b /dev/mapper/my--pool-a--b ]
	[ -b /dev/mapper/my--pool-a----b ]
	[ -b /dev/mapper/my--pool-plain ]
	qbd volume stop my-pool/a-b
	[ ! -e /dev/mapper/my--pool-a--b ]
	qbd volume start my-pool/a-b
	[ -b /dev/mapper/my--pool-a--b ]
	qbd pool stop my-pool
	[ ! -e /dev/mapper/my-pool ]
	loop_detach e0
	loop_detach e1
}

module_twice() {
	local i
	! insmod "$QBD_MODULE" 2>"$WORK/err" || fail 'loaded twice'
	grep -q 'File exists' "$WORK/err"
	for i in 1 2 3; do
		module_unload
		module_load
		start_tables
		dd if="$volume" of=/dev/null bs=1M count=4 iflag=direct status=none
		remove_tables
	done
}

# qbd_workers: rescuers of the module's queues, and who works for one. "-qbd-" would be an idle worker of all
# queues that did so last; the harness's own processes have qbd in their path.
qbd_workers() {
	ps ax -o comm= | grep -E '^qbd-|^kworker/(R-|.*\+)qbd-'
}

# Nothing of the module, and nobody holds its devices.
nothing_is_left() {
	local dev
	start_tables
	qbd_workers >/dev/null || fail 'no worker was seen: this test sees nothing'
	load
	load_end
	remove_tables
	for dev in $(devices); do
		python3 -c 'import os, sys; os.close(os.open(sys.argv[1], os.O_RDWR | os.O_EXCL))' "$dev"
	done
	module_unload
	! qbd_workers || fail 'a worker is left'
	! ls -d /sys/kernel/slab/qbd* 2>/dev/null || fail 'a slab is left'
	! grep qbd /proc/slabinfo || fail 'a slab is left'
	! dmsetup targets | grep qbd || fail 'a target is left'
}

# run NAME FUNCTION: a subtest that fails leaves nothing to the next one.
run() {
	local status
	# Not with || or if: there "set -e" would not hold in it.
	subtest "$@"
	status=$?
	[ "$status" = 0 ] || dm_remove_all
}

run plain-dmsetup plain_dmsetup
run suspend-and-resume suspend_and_resume
run suspended-waits suspended_waits
run reload-the-same reload_the_same
run pool-table-replaced pool_table_replaced
run rename rename
run pool-in-use pool_in_use
run remove-volume-frees remove_volume_frees
run many-volumes many_volumes
run stop-leaves-an-empty-ring stop_leaves_an_empty_ring
run messages-twice messages_twice
run stop-in-the-middle stop_in_the_middle
run other-device-names other_device_names
run names-are-escaped names_are_escaped
run module-twice module_twice
run nothing-is-left nothing_is_left
finish
