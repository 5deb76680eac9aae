#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Wrong table lines, wrong messages, and devices that are not what they should be: each is refused,
# the kernel's log says what was wrong, and not a byte of any backend's metadata changes.
# Lanes: uml-fast uml-debug
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

cases=$WORK/cases
echo 0 >"$cases"

count_case() {
	echo $(($(<"$cases") + 1)) >"$cases"
}

# --- nothing changes --------------------------------------------------------------------------------

backends='t0 t1 t2 t3 t4 t5 o0 o1'

# After each case, that no backend was written to; before and after each subtest, the hashes of all
# that is on them. Of the files: the devices' page cache knows nothing of what the kernel writes.
hashes() {
	# shellcheck disable=SC2086 # names
	(cd "$WORK/loop" && b2sum -l 128 ${backends// /.img }.img)
}

count_writes() { # sets REPLY: writes and discards of all backends
	local name stat sum=0
	for name in $backends; do
		read -r <"$WORK/loop/$name.dev"
		read -r -a stat <"/sys/class/block/${REPLY#/dev/}/stat"
		sum=$((sum + stat[4] + stat[11]))
	done
	REPLY=$sum
}

# From here on the other two compare with what is there now.
watch_backends() {
	local REPLY
	hashes >"$WORK/hashes"
	count_writes
	echo "$REPLY" >"$WORK/writes"
}

assert_not_written() { # WHAT
	local REPLY before
	count_writes
	read -r before <"$WORK/writes"
	[ "$REPLY" = "$before" ] || { hashes | diff "$WORK/hashes" - || :; fail "written to: $1"; }
}

assert_unchanged() {
	hashes | diff "$WORK/hashes" - || fail 'metadata changed'
}

# --- refusals ---------------------------------------------------------------------------------------

# table_refused REGEX TABLE [DMSETUP OPTION...]: the device is not made, and the log says why.
table_refused() {
	local regex=$1 table=$2
	shift 2
	log_mark
	if dmsetup create wrong "$@" --table "$table" 2>"$WORK/err"; then
		dmsetup remove wrong
		fail "accepted: $table"
	fi
	assert_log "$regex"
	! dmsetup status wrong >/dev/null 2>&1 || fail "a device is left: $table"
	assert_not_written "$table"
	count_case
}

pool_refused() { # REGEX WORDS... after the target's name
	local regex=$1
	shift
	table_refused "$regex" "0 8192 qbd-pool $*"
}

volume_refused() { # REGEX WORDS... after the target's name
	local regex=$1
	shift
	table_refused "$regex" "0 8192 qbd $*"
}

# message_refused REGEX MESSAGE: the log names the message's first word, and why.
message_refused() {
	local regex=$1
	log_mark
	! dmsetup message tank 0 "$2" >/dev/null 2>"$WORK/err" || fail "accepted: $2"
	assert_log "qbd: tank: message ${2%% *}: .*$regex"
	assert_not_written "message $2"
	count_case
}

dev() { # NAME: the device of a loop file
	local REPLY
	read -r <"$WORK/loop/$1.dev"
	echo "$REPLY"
}

devs() { # NAME...: those of several, in one line; - stays -
	local name REPLY line=
	for name; do
		REPLY=-
		[ "$name" = - ] || read -r <"$WORK/loop/$name.dev"
		line+=" $REPLY"
	done
	echo "${line# }"
}

tag_of() { # NAME: the tag of its newest epoch, 16 digits
	qbd examine "$(dev "$1")" | sed -n 's/^epochs  *[0-9]*:\([0-9a-f]\{16\}\).*/\1/p'
}

# editor: begin to take lines "FILE CODE" for super; one process for all of a subtest.
editor() {
	cat >"$WORK/editor" <<-'P'
		import struct, sys
		table = []
		for n in range(256):
		    for _ in range(8):
		        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
		    table.append(n)
		def crc32c(data):
		    crc = 0xffffffff
		    for byte in data:
		        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
		    return crc
		for line in sys.stdin:
		    name, code = line.rstrip("\n").split(" ", 1)
		    with open(name, "r+b") as f:
		        for place in 0, 16384:
		            f.seek(place)
		            d = bytearray(f.read(16384))
		            if d[:8] != b"dm-qbd\r\n":
		                continue
		            struct.pack_into("<I", d, 8, 0)
		            put = lambda offset, form, value: struct.pack_into("<" + form, d, offset, value)
		            exec(code)
		            struct.pack_into("<I", d, 8, crc32c(d))
		            f.seek(place)
		            f.write(d)
		    print("done", flush=True)
	P
	coproc SUPER { python3 "$WORK/editor"; }
}

# super FILE CODE: run CODE on each of the two superblocks (d: a bytearray; put(offset, format,
# value)), and give it the checksum that it should have.
super() {
	local REPLY
	echo "$1 $2" >&"${SUPER[1]}"
	read -r <&"${SUPER[0]}"
	assert_eq "$REPLY" 'done' "answer of the editor to $2"
}

# --- the pool's table -------------------------------------------------------------------------------

prepare() {
	local i
	module_load
	for i in 0 1 2 3 4 5; do
		loop_disk "t$i" 12
	done
	for i in 0 1; do
		loop_disk "o$i" 12
	done
	loop_disk empty 12
	loop_disk ext4 12
	mkfs.ext4 -q "$(dev ext4)"
	loop_disk tiny 12
	truncate -s 16k "$WORK/loop/tiny.img"
	losetup -c "$(dev tiny)"
	# shellcheck disable=SC2046 # devices
	qbd pool create tank $(devs t0 t1 t2 t3 t4 t5) --extent-size 1M --csum-bytes 8k
	# shellcheck disable=SC2046 # devices
	qbd pool create other $(devs o0 o1) --extent-size 1M
	watch_backends
}

pool_words() {
	local all word
	all=$(devs t0 t1 t2 t3 t4 t5)
	table_refused 'Number of devices' '0 8192 qbd-pool'
	pool_refused 'Number of devices is not from 1 to 64' 0
	pool_refused 'Number of devices is not from 1 to 64' "65 $all"
	pool_refused 'Number of devices is not from 1 to 64' "x $all"
	pool_refused 'Number of devices is not from 1 to 64' "-1 $all"
	pool_refused 'Number of devices is not from 1 to 64' "6x $all"
	pool_refused 'Fewer devices than their number' "7 $all"
	pool_refused 'Fewer devices than their number' 6
	pool_refused 'Number of feature words is not from 0 to 320' "6 $all x"
	pool_refused 'Number of feature words is not from 0 to 320' "6 $all 321 $(printf "allow_degraded %.0s" {1..321})"
	pool_refused 'not enough arguments|Fewer|Number of feature words' "6 $all 2 allow_degraded"
	pool_refused 'More words than the table line has' "6 $all 1 allow_degraded allow_degraded"
	pool_refused 'Unknown feature of qbd-pool' "6 $all 1 nonsense"
	pool_refused 'A feature of qbd-pool needs a value' "6 $all 1 force_history"
	pool_refused 'A feature of qbd-pool needs a value' "6 $all 2 allow_degraded on_loss"
	pool_refused 'force_history is not a tag' "6 $all 2 force_history 1234"
	pool_refused 'force_history is not a tag' "6 $all 2 force_history 123456789abcdefg"
	pool_refused 'on_loss is neither error nor queue' "6 $all 2 on_loss panic"
	pool_refused 'cache_mb is not a number' "6 $all 2 cache_mb 0"
	pool_refused 'cache_mb is not a number' "6 $all 2 cache_mb 65537"
	pool_refused 'cache_mb is not a number' "6 $all 2 cache_mb 4x"
	for word in 64:1 -1:1 0 0: :1 0:x 0:3600001 0:10000000 0:1x; do
		pool_refused 'deadline is not the index' "6 $all 2 deadline $word"
	done
	pool_refused 'error_limit is not a number' "6 $all 2 error_limit 8"
	pool_refused 'error_limit is not a number' "6 $all 3 error_limit 8 0"
	pool_refused 'error_limit is not a number' "6 $all 3 error_limit many 60"
	pool_refused 'error_limit is not a number' "6 $all 3 error_limit 8 604801"
	pool_refused 'hold_off is not a number' "6 $all 2 hold_off -1"
	pool_refused 'hold_off is not a number' "6 $all 2 hold_off 604801"
	pool_refused 'slow_factor is not a number' "6 $all 2 slow_factor 2.5"
	table_refused 'read-only table|needs a writable table' "0 8192 qbd-pool 6 $all" --readonly
	# One target alone in a table: dm refuses by itself.
	table_refused 'singleton|target' "0 8192 qbd-pool 6 $all
8192 8192 error"
	assert_unchanged
}

pool_devices() {
	local held
	pool_refused 'No such block device' "1 /dev/no-such-device"
	pool_refused 'No such block device' "1 /dev/null"
	pool_refused 'No device' "1 -"
	pool_refused 'No device' "3 - - -"
	pool_refused 'no qbd superblock' "1 $(dev empty)"
	pool_refused 'no qbd superblock' "6 $(devs t0 t1 t2 t3 t4 empty)"
	pool_refused 'no qbd superblock' "6 $(devs t0 t1 t2 t3 t4 ext4)"
	pool_refused 'Cannot read superblock' "6 $(devs t0 t1 t2 t3 t4 tiny)"
	pool_refused 'Two devices are the same backend' "6 $(devs t0 t1 t2 t3 t4 t0)"
	pool_refused 'Two devices are the same backend' "7 $(devs t0 t1 t2 t3 t4 t5 t5)"
	pool_refused 'Devices of two pools' "6 $(devs t0 t1 t2 t3 t4 o1)"
	pool_refused 'Devices of two pools' "7 $(devs o0 t0 t1 t2 t3 t4 t5)"
	# Held by somebody else.
	held=$(dev t3)
	dmsetup create holder --table "0 8192 linear $held 0"
	pool_refused 'Cannot open device exclusively' "6 $(devs t0 t1 t2 t3 t4 t5)"
	dmsetup remove holder
	assert_unchanged
}

pool_members_missing() {
	pool_refused 'Members are missing' "5 $(devs t0 t1 t2 t3 t4)"
	pool_refused 'Members are missing' "6 $(devs t0 t1 - t3 t4 t5)"
	pool_refused 'Members are missing' "1 $(devs t0)"
	pool_refused 'Not more than half of the members' "6 $(devs t0 t1 t2 - - -) 1 allow_degraded"
	pool_refused 'Not more than half of the members' "1 $(devs t5) 1 allow_degraded"
	pool_refused 'No device has the history' "6 $(devs t0 t1 t2 t3 t4 t5) 2 force_history 0123456789abcdef"
	assert_unchanged
}

# Each damage on a copy of a backend in its place.
copy_backend() { # CODE [MIB]
	cp --sparse=always "$WORK/loop/t5.img" "$WORK/loop/copy.img"
	[ -z "$1" ] || super "$WORK/loop/copy.img" "$1"
	[ -z "${2-}" ] || truncate -s "$2M" "$WORK/loop/copy.img"
	loop_disk copy 12
}

copy_refused() { # REGEX CODE [MIB]
	copy_backend "$2" "${3-}"
	pool_refused "$1" "6 $(devs t0 t1 t2 t3 t4 copy)"
	loop_detach copy
}

pool_superblocks() {
	local field
	editor
	# Untouched it is taken: the cases below fail for what they change.
	copy_backend ''
	dmsetup create right --notable
	dmsetup load right --table "0 8192 qbd-pool 6 $(devs t0 t1 t2 t3 t4 copy)"
	dmsetup remove right
	loop_detach copy
	assert_not_written 'a table that was loaded and never resumed'

	copy_refused 'device is smaller than its superblock says' '' 11
	copy_backend ''
	printf x | dd of="$WORK/loop/copy.img" bs=1 seek=100 conv=notrunc status=none
	printf x | dd of="$WORK/loop/copy.img" bs=1 seek=16484 conv=notrunc status=none
	pool_refused 'superblock is damaged' "6 $(devs t0 t1 t2 t3 t4 copy)"
	loop_detach copy
	copy_refused 'version or feature' 'put(12, "I", 2)'
	copy_refused 'version or feature' 'put(24, "Q", 1 << 63)'
	copy_refused 'version or feature' 'put(24, "Q", 1)'
	# index, nr_slots, the starts, and what is said of the pool
	for field in '136, "I", 64' '136, "I", 0xffffffff' '140, "I", 0' '140, "I", 0xffffffff' \
		'144, "Q", 0' '144, "Q", 65537' '152, "Q", 65536' '160, "Q", 1 << 63' \
		'168, "Q", 0' '176, "Q", 0xfffffffffffff000' \
		'192, "I", 0' '192, "I", 3 << 20' '192, "I", 1 << 31' '196, "I", 5' \
		'200, "I", 0' '204, "I", 0' '208, "I", 1' '208, "I", 0xffffffff' \
		'212, "I", 0' '212, "I", 33' '72, "64s", b"x" * 64'; do
		copy_refused 'superblock makes no sense|smaller than its superblock' "put($field)"
	done
	copy_refused 'smaller than its superblock' 'put(184, "Q", 1 << 62)'
	# Valid alone, but not what the others say.
	copy_refused 'Device was replaced in this pool' 'd[56] ^= 1'
	copy_refused 'Two devices are the same backend' 'put(136, "I", 2)'
	assert_unchanged
}

# Of a hostile image the superblock may be fine and the rest not: it may fail to start, no more.
activation_refused() {
	local start
	copy_all() {
		local i
		for i in 0 1 2 3 4 5; do
			cp --sparse=always "$WORK/loop/t$i.img" "$WORK/loop/c$i.img"
			loop_disk "c$i" 12
		done
	}
	drop_all() {
		local i
		for i in 0 1 2 3 4 5; do
			loop_detach "c$i"
			rm "$WORK/loop/c$i.img"
		done
	}
	# Both places of the first page of the volume table, on every backend.
	copy_all
	for i in 0 1 2 3 4 5; do
		start=$(od -An -tu8 -j 144 -N 8 "$WORK/loop/c$i.img" | tr -d ' ')
		[ "$start" != 0 ] || start=$(od -An -tu8 -j $((16384 + 144)) -N 8 "$WORK/loop/c$i.img" | tr -d ' ')
		dd if=/dev/urandom of="$WORK/loop/c$i.img" bs=4k seek=$((start / 4096)) count=2 \
			conv=notrunc status=none
	done
	pool_refused 'tank: page 0 of the volume table cannot be read on any backend' \
		"6 $(devs c0 c1 c2 c3 c4 c5)"
	assert_log 'tank: cannot start'
	drop_all
	# On all but one it is mended.
	copy_all
	for i in 1 2 3 4 5; do
		dd if=/dev/urandom of="$WORK/loop/c$i.img" bs=4k seek=$((start / 4096)) count=2 \
			conv=notrunc status=none
	done
	dmsetup create right --table "0 8192 qbd-pool 6 $(devs c0 c1 c2 c3 c4 c5)"
	dmsetup remove right
	dmsetup create right --table "0 8192 qbd-pool 5 $(devs c1 c2 c3 c4 c5) 1 allow_degraded"
	dmsetup remove right
	drop_all
	assert_unchanged
}

# The order of the devices does not matter, nor do absent ones that are said to be absent.
order_does_not_matter() {
	dmsetup create right --table "0 8192 qbd-pool 6 $(devs t5 t3 t1 t0 t2 t4)"
	assert_match "$(dmsetup status right)" ' rw AAAAAA '
	dmsetup remove right
	dmsetup create right --table "0 8192 qbd-pool 8 - $(devs t4 t5 t0 t1 t2 t3) -"
	assert_match "$(dmsetup status right)" ' rw AAAAAA '
	dmsetup remove right
	dmsetup create right --table "0 8192 qbd-pool 6 $(devs t1 t2 t3 t4 t5 t0) 6 on_loss error cache_mb 8 ALLOW_DEGRADED force_history $(tag_of t0)" 2>/dev/null &&
		fail 'six words where five are not fewer'
	dmsetup create right --table "0 8192 qbd-pool 6 $(devs t1 t2 t3 t4 t5 t0) 5 on_loss error cache_mb 8 ALLOW_DEGRADED"
	assert_match "$(dmsetup status right)" ' rw AAAAAA '
	dmsetup remove right
}

# --- messages ---------------------------------------------------------------------------------------

start_pool() {
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devs t0 t1 t2 t3 t4 t5)"
	dmsetup message tank 0 create_volume vol 65536 replicas=2
	dmsetup message tank 0 create_volume gone 65536 replicas=2
	dmsetup message tank 0 remove_volume gone
	wait_until 10 removed gone
	dmsetup create tank-vol --table '0 65536 qbd /dev/mapper/tank vol'
	dd if=/dev/urandom of=/dev/mapper/tank-vol bs=1M count=8 oflag=direct conv=fsync status=none
	settled
}

removed() { # VOLUME
	! dmsetup message tank 0 volumes | grep -q " $1 "
}

# All is in pages, also what a checkpoint records of itself: nothing is written any more.
settled() {
	dmsetup message tank 0 checkpoint
	dmsetup message tank 0 checkpoint
	wait_until 20 quiet
}

quiet() {
	cp "$WORK/hashes" "$WORK/before"
	pause 0.3
	watch_backends
	cmp -s "$WORK/hashes" "$WORK/before"
}

messages_for_volumes() {
	local long
	long=$(printf 'x%.0s' {1..64})
	message_refused 'unknown' nonsense
	message_refused 'needs the index of a backend and milli' deadline
	message_refused 'needs the index of a backend and milli' 'deadline 0'
	message_refused 'needs the index of a backend and milli' 'deadline 0 1 2'
	message_refused 'needs the index of a backend and milli' 'deadline 0 x'
	message_refused 'needs the index of a backend and milli' 'deadline -1 1'
	message_refused 'more than an hour' 'deadline 0 3600001'
	message_refused 'no such backend is open' 'deadline 64 1'
	message_refused 'no such backend is open' 'deadline 63 1'
	message_refused 'needs a name, a size' create_volume
	message_refused 'needs a name, a size' 'create_volume a'
	message_refused 'needs a name, a size' 'create_volume a 8192'
	message_refused 'not a name' 'create_volume -a 8192 replicas=2'
	message_refused 'not a name' 'create_volume a/b 8192 replicas=2'
	message_refused 'not a name' "create_volume $long 8192 replicas=2"
	message_refused 'not a name' 'create_volume 12 8192 replicas=2'
	message_refused 'not a name' 'create_volume a@b 8192 replicas=2'
	message_refused 'size is not' 'create_volume a 0 replicas=2'
	message_refused 'size is not' 'create_volume a -8 replicas=2'
	message_refused 'size is not' 'create_volume a 8193 replicas=2'
	message_refused 'size is not' 'create_volume a 8G replicas=2'
	message_refused 'size is not' 'create_volume a 34359738376 replicas=2'
	message_refused 'size is not' 'create_volume a 18446744073709551624 replicas=2'
	message_refused 'policy is neither' 'create_volume a 8192 mirror'
	message_refused 'policy is neither' 'create_volume a 8192 replicas='
	message_refused 'policy is neither' 'create_volume a 8192 replicas=0'
	message_refused 'policy is neither' 'create_volume a 8192 replicas=9'
	message_refused 'policy is neither' 'create_volume a 8192 replicas=2x'
	message_refused 'policy is neither' 'create_volume a 8192 replicas=-1'
	message_refused 'policy is neither' 'create_volume a 8192 replicas=4294967298'
	message_refused 'policy is neither' 'create_volume a 8192 ec=4'
	message_refused 'policy is neither' 'create_volume a 8192 ec=1+1'
	message_refused 'policy is neither' 'create_volume a 8192 ec=17+1'
	message_refused 'policy is neither' 'create_volume a 8192 ec=4+0'
	message_refused 'policy is neither' 'create_volume a 8192 ec=4+5'
	message_refused 'policy is neither' 'create_volume a 8192 ec=4+2+1'
	message_refused 'policy is neither' 'create_volume a 8192 ec=4294967300+2'
	message_refused 'more backends than the pool has' 'create_volume a 8192 replicas=7'
	message_refused 'more backends than the pool has' 'create_volume a 8192 ec=5+2'
	message_refused 'more backends than the pool has' 'create_volume a 8192 replicas=1 tag=ssd'
	message_refused 'Checksums .* do not fit' 'create_volume a 8192 ec=4+2'
	message_refused 'block_size is not' 'create_volume a 8192 replicas=2 block_size=2048'
	message_refused 'block_size is not' 'create_volume a 8192 replicas=2 block_size=131072'
	message_refused 'block_size is not' 'create_volume a 8192 replicas=2 block_size=12288'
	message_refused 'block_size is not' 'create_volume a 8192 replicas=2 block_size=4k'
	message_refused 'block_size is not' 'create_volume a 8192 replicas=2 block_size='
	message_refused 'tag is empty, too long or there twice' 'create_volume a 8192 replicas=2 tag='
	message_refused 'tag is empty, too long or there twice' "create_volume a 8192 replicas=2 tag=$long"
	message_refused 'tag is empty, too long or there twice' 'create_volume a 8192 replicas=2 tag=a tag=b'
	message_refused 'unknown word' 'create_volume a 8192 replicas=2 thick'
	message_refused 'Volume exists' 'create_volume vol 8192 replicas=2'
	message_refused 'unknown, or wrong number of words' remove_volume
	message_refused 'unknown, or wrong number of words' 'remove_volume vol vol'
	message_refused 'No such volume' 'remove_volume nobody'
	message_refused 'No such volume' 'remove_volume gone'
	message_refused 'No such volume' 'remove_volume 77'
	message_refused 'Volume is in use' 'remove_volume vol'
	message_refused 'Volume is in use' 'remove_volume 1'
	message_refused 'at most a number' 'volumes x'
	message_refused 'at most a number' 'volumes 0 0'
	message_refused 'at most a number' 'volumes 4294967296'
	message_refused 'at most a number' 'verify vol'
	message_refused 'wrong number of words' 'backends 1'
	message_refused 'wrong number of words' 'checkpoint now'
	message_refused 'neither start, stop nor rate' resync
	message_refused 'neither start, stop nor rate' 'resync now'
	message_refused 'neither start, stop nor rate' 'resync rate'
	message_refused 'neither start, stop nor rate' 'resync rate fast'
	message_refused 'neither start, stop nor rate' 'resync rate -1'
	message_refused 'neither start, stop nor rate' 'resync rate 4294967296'
	message_refused 'neither start, stop nor rate' 'resync least'
	message_refused 'neither start, stop nor rate' 'resync least -1'
	message_refused 'needs a number and a number of seconds' 'error_limit 8'
	message_refused 'needs a number and a number of seconds' 'error_limit 8 0'
	message_refused 'needs a number and a number of seconds' 'error_limit 8 604801'
	message_refused 'needs a number and a number of seconds' 'error_limit x 60'
	message_refused 'needs a number' hold_off
	message_refused 'needs a number' 'hold_off 604801'
	message_refused 'needs a number' 'slow_factor -1'
	message_refused 'wrong number of words' 'limits 1'
	message_refused 'needs the index of a backend and a device' 'readd now'
	message_refused 'needs the index of a backend and a device' 'readd 1 now now now'
	message_refused 'unknown' hedge
	message_refused 'unknown' 'hedge=maybe'
	message_refused 'unknown' 'hedge=off 1'
	message_refused 'neither start nor stop' scrub
	message_refused 'neither start nor stop' 'scrub rate 1'
	message_refused 'neither error nor queue' on_loss
	message_refused 'neither error nor queue' 'on_loss panic'
	message_refused 'neither error nor queue' 'on_loss queue now'
	assert_eq "$(dmsetup message tank 0 volumes)" '1 vol live 65536 replicas=2 4096 -' volumes
	assert_unchanged
}

messages_for_backends() {
	settled
	message_refused 'needs the index' fail
	message_refused 'needs the index' 'fail x'
	message_refused 'needs the index' 'fail -1'
	message_refused 'needs the index' 'fail 4294967296'
	message_refused 'needs the index' 'fail 0 1'
	message_refused 'no such backend' 'fail 6'
	message_refused 'no such backend' 'fail 64'
	message_refused 'no such backend' 'fail 4294967295'
	message_refused 'needs the index of a backend and a device' readd
	message_refused 'needs the index of a backend and a device' 'readd 0'
	message_refused 'needs the index of a backend and a device' "readd 0 $(dev t0) soon"
	message_refused 'Backend is in' "readd 0 $(dev t0)"
	message_refused 'No such backend' "readd 6 $(dev t0)"
	message_refused 'No such backend' "readd 64 $(dev t0)"
	message_refused 'needs the index of a backend and a device' 'replace 0'
	message_refused 'Backend is in' "replace 0 $(dev empty)"
	message_refused 'No such backend' "replace 6 $(dev empty)"
	assert_match "$(dmsetup status tank)" ' rw AAAAAA '

	assert_unchanged

	# One that is out, and what may not come in its place.
	dmsetup message tank 0 fail 5
	settled
	message_refused 'backend is out' 'fail 5'
	message_refused 'No such block device' 'readd 5 /dev/no-such-device'
	message_refused 'Device is not that backend' "readd 5 $(dev o0)"
	message_refused 'no qbd superblock' "readd 5 $(dev empty)"
	message_refused 'Device is not that backend|in the pool already' "readd 5 $(dev t0)"
	message_refused 'No such block device' 'replace 5 /dev/no-such-device'
	message_refused 'Device is too small' "replace 5 $(dev tiny)"
	message_refused 'in the pool already' "replace 5 $(dev t0)"
	dmsetup create holder --table "0 8192 linear $(dev empty) 0"
	message_refused 'Cannot open device exclusively' "replace 5 $(dev empty)"
	message_refused 'Cannot open device exclusively' "readd 5 $(dev empty)"
	dmsetup remove holder
	assert_unchanged
	# None of it took away what is needed to let the right one in: it is open still.
	assert_match "$(dmsetup status tank)" ' rw AAAAAS '
	dmsetup message tank 0 readd 5 "$(dev t5)"
	wait_until 20 healthy
}

health_is() { # HEALTH
	[[ $(dmsetup status tank) =~ \ rw\ $1\  ]]
}

healthy() {
	health_is AAAAAA
}

# --- the volume's table -----------------------------------------------------------------------------

volume_tables() {
	settled
	table_refused 'A pool device and a volume are needed' '0 8192 qbd'
	volume_refused 'A pool device and a volume are needed' /dev/mapper/tank
	volume_refused 'Cannot open the pool device' '/dev/mapper/nobody vol'
	volume_refused 'Not a pool device' "$(dev empty) vol"
	volume_refused 'Not a pool device' '/dev/mapper/tank-vol vol'
	volume_refused 'No such volume in the pool' '/dev/mapper/tank nobody'
	volume_refused 'No such volume in the pool' '/dev/mapper/tank gone'
	volume_refused 'No such volume in the pool' '/dev/mapper/tank 99'
	volume_refused 'No such volume in the pool' '/dev/mapper/tank -1'
	volume_refused 'Number of feature words is not 0 or 1' '/dev/mapper/tank vol 2 read_only read_only'
	volume_refused 'Number of feature words is not 0 or 1' '/dev/mapper/tank vol x'
	volume_refused 'Unknown feature of qbd' '/dev/mapper/tank vol 1 fast'
	volume_refused 'More words' '/dev/mapper/tank vol 0 read_only'
	volume_refused 'not enough arguments|More words|feature' '/dev/mapper/tank vol 1'
	table_refused 'Table is larger than the volume' '0 65544 qbd /dev/mapper/tank vol'
	table_refused 'Table is larger than the volume' "0 8 linear $(dev empty) 0
8 8192 qbd /dev/mapper/tank vol"
	# Of a pool that runs no second device can be made.
	pool_refused 'Cannot open device exclusively' "6 $(devs t0 t1 t2 t3 t4 t5)"
	# A pool that was loaded and not resumed does not run.
	dmsetup create idle --notable
	dmsetup load idle --table "0 8192 qbd-pool 2 $(devs o0 o1)"
	volume_refused 'Cannot open the pool device|The pool is not running|Not a pool device' '/dev/mapper/idle vol'
	dmsetup remove idle
	assert_unchanged
}

stop_pool() {
	dmsetup remove tank-vol
	dmsetup remove tank
}

# --- missing members and split brain ----------------------------------------------------------------

# A volume with replicas=2 may miss one.
missing_more_than_a_volume_may_lose() {
	watch_backends
	pool_refused 'volume 1 misses 2 backends and may lose 1: force_history has to name' \
		"4 $(devs t0 t1 t2 t3) 1 allow_degraded"
	dmsetup create tank --table "0 8192 qbd-pool 6 $(devs t0 t1 t2 t3 t4) - 1 allow_degraded"
	# What was on it is filled elsewhere.
	wait_until 20 health_is AAAAAD
	dmsetup remove tank
	# It is known to be out now, so nothing has to be allowed.
	dmsetup create tank --table "0 8192 qbd-pool 5 $(devs t0 t1 t2 t3 t4)"
	dmsetup message tank 0 readd 5 "$(dev t5)"
	wait_until 20 healthy
	dmsetup remove tank
}

# Each copy of a two-way mirror goes on without the other.
split_brain() {
	local zero one was
	dmsetup create tank --table "0 8192 qbd-pool 2 $(devs o0 o1)"
	dmsetup message tank 0 create_volume vol 65536 replicas=2
	dmsetup create tank-vol --table '0 65536 qbd /dev/mapper/tank vol'
	echo both | dd of=/dev/mapper/tank-vol bs=4k count=1 conv=sync oflag=direct status=none
	stop_pool
	was=$(tag_of o0)
	watch_backends
	pool_refused 'Not more than half' "1 $(devs o0) 1 allow_degraded"
	dmsetup create tank --table "0 8192 qbd-pool 1 $(devs o0) 2 force_history $was"
	dmsetup create tank-vol --table '0 65536 qbd /dev/mapper/tank vol'
	echo zero | dd of=/dev/mapper/tank-vol bs=4k count=1 conv=sync oflag=direct status=none
	stop_pool
	dmsetup create tank --table "0 8192 qbd-pool 1 $(devs o1) 2 force_history $was"
	dmsetup create tank-vol --table '0 65536 qbd /dev/mapper/tank vol'
	echo one | dd of=/dev/mapper/tank-vol bs=4k count=1 conv=sync oflag=direct status=none
	stop_pool
	zero=$(tag_of o0) one=$(tag_of o1)
	[ "$zero" != "$one" ] || fail "one tag: $zero"

	watch_backends
	pool_refused 'Split brain' "2 $(devs o0 o1)"
	assert_log 'went on alone'
	pool_refused 'Split brain' "2 $(devs o1 o0)"
	pool_refused 'Split brain' "2 $(devs o0 o1) 1 allow_degraded"
	pool_refused 'No device has the history' "2 $(devs o0 o1) 2 force_history $was"
	assert_unchanged
	dmsetup create tank --table "0 8192 qbd-pool 2 $(devs o0 o1) 2 force_history $one"
	assert_match "$(dmsetup status tank)" ' rw SA '
	dmsetup create tank-vol --table '0 65536 qbd /dev/mapper/tank vol'
	assert_eq "$(head -c 3 /dev/mapper/tank-vol)" one content
	dmsetup message tank 0 readd 0 "$(dev o0)"
	wait_until 20 whole_pair
	assert_eq "$(dd if=/dev/mapper/tank-vol bs=4k count=1 iflag=direct status=none | head -c 3)" one content
	# The other history is gone: either one alone has the content that was kept.
	dmsetup message tank 0 fail 1
	assert_eq "$(dd if=/dev/mapper/tank-vol bs=4k count=1 iflag=direct status=none | head -c 3)" one content
	stop_pool
}

whole_pair() {
	[[ $(dmsetup status tank) =~ \ rw\ AA\  ]]
}

enough_cases() {
	echo "$(cat "$cases") cases"
	assert_ge "$(cat "$cases")" 150 cases
}

subtest prepare prepare
subtest pool-words pool_words
subtest pool-devices pool_devices
subtest pool-members-missing pool_members_missing
subtest pool-superblocks pool_superblocks
subtest activation-refused activation_refused
subtest order-does-not-matter order_does_not_matter
subtest start-pool start_pool
subtest messages-for-volumes messages_for_volumes
subtest messages-for-backends messages_for_backends
subtest volume-tables volume_tables
subtest stop-pool stop_pool
subtest missing-more-than-a-volume-may-lose missing_more_than_a_volume_may_lose
subtest split-brain split_brain
subtest enough-cases enough_cases
finish
