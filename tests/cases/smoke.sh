#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The main job on kernels with two CPUs: a mirrored and an erasure-coded volume over loop devices
# and NBD servers of both kinds; a host with two servers dies under fio and returns; messages,
# suspends and losses while both volumes are busy.
# Lanes: uml-fast uml-debug guest
# Timeout: 90
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

volumes='mirror coded'
# One CPU meets less in the same time than two.
case $QBD_LANE in
guest-*) at_once=20;;
*) at_once=10;;
esac

status_word() { # NUMBER: of the pool's status line after start, length and target
	dmsetup status tank | cut -d ' ' -f "$((3 + $1))"
}

whole() {
	[[ $(status_word 2) =~ ^A+$ ]] && [ "$(status_word 9)" = 0 ]
}

lost_host() {
	[[ $(status_word 2) =~ ^AAAA[SD][SD]$ ]]
}

# load SECONDS: verified I/O on both volumes, two jobs each, in the background.
load() {
	local v
	rm -f "$WORK"/load-*
	for v in $volumes; do
		io_stat writes "/dev/mapper/tank-$v" >"$WORK/load-$v.before"
		fio --verify=crc32c --verify_fatal=1 --verify_backlog=32 --direct=1 \
			--ioengine=libaio --iodepth=8 --time_based --runtime="$1" --filename="/dev/mapper/tank-$v" \
			--name=large --offset=16M --size=16M --rw=randwrite --bs=64k \
			--name=small --offset=32M --size=12M --rw=randwrite --bs=4k --fsync=64 \
			--name=odd --offset=44M --size=12M --rw=randwrite --bs=6k \
			>"$WORK/load-$v.out" 2>&1 &
		echo $! >"$WORK/load-$v.pid"
	done
	for v in $volumes; do
		wait_until 30 io_flows "$v"
	done
}

io_flows() { # VOLUME: some I/O ended since the load began
	[ "$(io_stat writes "/dev/mapper/tank-$1")" -gt $(($(cat "$WORK/load-$1.before") + 20)) ]
}

load_end() {
	local v status
	for v in $volumes; do
		status=0
		wait "$(cat "$WORK/load-$v.pid")" || status=$?
		[ "$status" = 0 ] || { cat "$WORK/load-$v.out"; fail "fio on $v: status $status"; }
	done
}

# On 16 MiB that no load writes to.
put_files() {
	local v
	for v in $volumes; do
		head -c 16M /dev/urandom >"$WORK/data-$v"
		dd if="$WORK/data-$v" of="/dev/mapper/tank-$v" bs=1M oflag=direct conv=fsync,notrunc status=none
	done
}

same_files() {
	local v
	for v in $volumes; do
		dd if="/dev/mapper/tank-$v" bs=1M count=16 iflag=direct status=none | cmp - "$WORK/data-$v"
	done
}

# Without a timeout the driver keeps what it has sent to a dead server for ever; one that is too short
# takes a slow machine's servers for dead.
make_pool() {
	local devs='' i
	module_load
	for i in 0 1; do
		loop_disk "d$i" 128
		devs+=" $REPLY,host=A"
	done
	for i in 2 3; do
		nbd_serve "n$i" 128 nbd-server
		nbd_connect "n$i" -timeout $((3 * slowness))
		devs+=" $REPLY,host=B"
	done
	for i in 4 5; do
		nbd_serve "n$i" 128 nbdkit
		nbd_connect "n$i" -timeout $((3 * slowness))
		devs+=" $REPLY,host=C"
	done
	# shellcheck disable=SC2086 # devices
	qbd pool create tank $devs
	qbd pool start tank
	qbd volume create tank/mirror --size 56M --replicas 2
	qbd volume create tank/coded --size 56M --ec 4+2
	put_files
	same_files
	assert_eq "$(status_word 2)" AAAAAA health
}

losses_under_load() {
	load 8
	nbd_kill n4
	nbd_kill n5
	wait_until 20 lost_host
	same_files
	load_end
	same_files
	assert_status 1 qbd verify tank
}

returns_under_load() {
	local i
	for i in n4 n5; do
		nbd_disconnect "$i"
		nbd_start "$i"
		nbd_connect "$i" -timeout $((3 * slowness))
	done
	load 8
	# One is stale, and the other's place goes to an empty device.
	qbd backend readd tank "$(cat "$WORK/nbd/n4.dev")"
	nbd_serve n6 128 nbdkit
	nbd_connect n6 -timeout $((3 * slowness))
	qbd backend replace tank 5 "$REPLY"
	load_end
	wait_until 40 whole
	same_files
	qbd verify tank
	qbd scrub tank
}

restart() {
	qbd pool stop tank
	qbd pool start tank
	same_files
	wait_until 20 whole
	qbd verify tank
}

filesystems() {
	local v policy
	for v in $volumes; do
		policy='--ec=4+2'
		[ "$v" = coded ] || policy='--replicas=2'
		qbd volume create "tank/fs-$v" --size 48M "$policy"
		mkfs.ext4 -q "/dev/mapper/tank-fs--$v"
		mkdir -p "$WORK/mnt-$v"
		mount -o discard "/dev/mapper/tank-fs--$v" "$WORK/mnt-$v"
		cp -r "$ROOT/kernel" "$ROOT/include" "$WORK/mnt-$v/"
		rm -r "$WORK/mnt-$v/include"
		fstrim "$WORK/mnt-$v"
	done
	sync
	for v in $volumes; do
		diff -r "$ROOT/kernel" "$WORK/mnt-$v/kernel"
		umount "$WORK/mnt-$v"
		e2fsck -fn "/dev/mapper/tank-fs--$v" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail fsck; }
		qbd volume remove --yes "tank/fs-$v"
	done
}

# Everything that can be asked of a pool, while both volumes are busy.
many_things_at_once() {
	local i d0 end
	d0=$(cat "$WORK/loop/d0.dev")
	load $((at_once + 5))
	end=$((SECONDS + at_once))
	while [ "$SECONDS" -lt "$end" ]; do
		dmsetup message tank 0 scrub start
		dmsetup message tank 0 fail 0
		dmsetup status tank >/dev/null
		dmsetup message tank 0 checkpoint
		dmsetup message tank 0 readd 0 "$d0"
		dmsetup suspend tank-coded
		dmsetup message tank 0 create_volume extra 65536 ec=2+1
		dmsetup resume tank-coded
		dmsetup create extra --table '0 65536 qbd /dev/mapper/tank extra'
		dd if=/dev/zero of=/dev/mapper/extra bs=256k count=32 oflag=direct conv=fsync status=none
		dmsetup message tank 0 resync stop
		blkdiscard /dev/mapper/extra
		dmsetup message tank 0 resync start
		dmsetup remove extra
		dmsetup message tank 0 remove_volume extra
		dmsetup suspend --noflush tank-mirror
		dmsetup message tank 0 verify >/dev/null
		dmsetup resume tank-mirror
		dmsetup message tank 0 backends >/dev/null
		dmsetup message tank 0 scrub stop
		wait_until 20 extra_gone
	done
	load_end
	wait_until 40 whole
	same_files
	qbd scrub tank
}

extra_gone() {
	! dmsetup message tank 0 volumes | grep -q ' extra '
}

stop() {
	qbd pool stop tank
}

subtest make-pool make_pool
subtest losses-under-load losses_under_load
subtest returns-under-load returns_under_load
subtest restart restart
subtest filesystems filesystems
subtest many-things-at-once many_things_at_once
subtest restart-again restart
subtest stop stop
finish
