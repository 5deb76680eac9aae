#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Space: taken by the first write, given back by discard and write-zeroes, placed on backends; what
# is left after, with its parity; the sizes of extents and blocks.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# The file $WORK/model has what the volume should have.
model() { # MIB: of random bytes, and the volume likewise
	random_file "$WORK/model" "$1"
	put "$WORK/model"
}

# zero OFFSET BYTES COMMAND...: COMMAND makes that part of the volume zeros; so does the model.
zero() {
	dd if=/dev/zero of="$WORK/model" bs="$2" count=1 seek="$1" oflag=seek_bytes conv=notrunc status=none
	"${@:3}"
}

discard() { # OFFSET BYTES
	zero "$1" "$2" blkdiscard -f -o "$1" -l "$2" "$v" 2>/dev/null
}

write_zeroes() { # OFFSET BYTES
	zero "$1" "$2" blkdiscard -f -z -o "$1" -l "$2" "$v" 2>/dev/null
}

# Whichever legs are there, they give what was written.
right_without() { # INDEX...
	lose "$@"
	same "$WORK/model"
	regain "$@"
}

used_is() {
	[ "$(pool_status used)" = "$1" ]
}

first_write_allocates() {
	fresh_pool 4 32 --extent-size 1M
	volume replicas=3 16M
	assert_eq "$(pool_status used)" 0 "used slots"
	dd if="$v" of=/dev/null bs=1M iflag=direct status=none
	assert_eq "$(pool_status used)" 0 "used slots after reading all"
	dd if=/dev/urandom of="$v" bs=512 count=1 seek=5000 oflag=direct status=none
	assert_eq "$(pool_status used)" 3 "used slots after a write of a sector"
	dd if=/dev/urandom of="$v" bs=512 count=1 seek=4999 oflag=direct status=none
	assert_eq "$(pool_status used)" 3 "used slots after another in the chunk"
	assert_eq "$(dmsetup status p-v | awk '{ print $5 }')" 1/16 "chunks of the volume"
}

discard_frees_chunks() { # POLICY LEGS CHUNK_MIB
	local chunk=$(($3 << 20))
	fresh_pool 6 32 --extent-size 1M
	volume "$1" 32M
	model $((4 * $3))
	assert_eq "$(pool_status used)" $((4 * $2)) "used slots"
	discard $chunk $chunk
	wait_until 5 used_is $((3 * $2))
	same "$WORK/model"
	# Two at once, and parts of those beside them, which stay.
	discard $((2 * chunk - 8192)) $((2 * chunk + 4096))
	wait_until 5 used_is $((2 * $2))
	same "$WORK/model"
	restart
	same "$WORK/model"
	assert_eq "$(pool_status used)" $((2 * $2)) "used slots after a restart"
}

# A chunk of which every part was discarded, one after the other, is given back, too.
discard_in_parts_frees() {
	fresh_pool 6 32 --extent-size 1M
	volume ec=4+2 32M
	model 4
	discard 0 1048576
	discard 1048576 2097152
	assert_eq "$(pool_status used)" 6 "used slots"
	discard 3145728 1048576
	wait_until 5 used_is 0
	same "$WORK/model"
}

zeros_and_parity() { # COMMAND
	fresh_pool 6 32 --extent-size 1M
	volume ec=4+2 16M
	model 4
	# Rows are 16 KiB: some whole ones, parts of one, across two, a block, sectors.
	"$1" 65536 131072
	"$1" 262144 4096
	"$1" 278528 8192
	"$1" $((327680 + 4096)) 20480
	"$1" $((524288 + 512)) 1024
	"$1" $((1048576 - 1536)) 70144
	same "$WORK/model"
	right_without 0 1
	right_without 2 5
	scrub_finds 0
	# Writes to what was discarded: rows of holes and data.
	dd if=/dev/urandom of="$WORK/part" bs=4096 count=5 status=none
	dd if="$WORK/part" of="$WORK/model" bs=4096 seek=17 conv=notrunc status=none
	dd if="$WORK/part" of="$v" bs=4096 seek=17 oflag=direct conv=notrunc status=none
	same "$WORK/model"
	restart
	same "$WORK/model"
	right_without 3 4
}

write_zeroes_frees() {
	fresh_pool 3 32 --extent-size 1M
	volume replicas=2 16M
	assert_ge "$(cat "/sys/dev/block/$(stat -c %Hr:%Lr "$v")/queue/write_zeroes_max_bytes")" \
		1048576 write_zeroes_max_bytes
	model 4
	write_zeroes 1048576 2097152
	wait_until 5 used_is 4
	same "$WORK/model"
	zero 0 8192 fallocate -z -o 0 -l 8192 "$v"
	same "$WORK/model"
	zero 3145728 1048576 fallocate -p -o 3145728 -l 1048576 "$v"
	wait_until 5 used_is 2
	same "$WORK/model"
}

mkfs_and_fstrim_give_back() {
	local full after
	fresh_pool 6 64 --extent-size 1M
	volume ec=4+2 128M
	model 64
	full=$(pool_status used)
	mkfs.ext4 -q -F "$v"
	after=$(pool_status used)
	assert_le "$after" $((full / 2)) "used slots after mkfs, of $full"
	mkdir -p "$WORK/mnt"
	mount "$v" "$WORK/mnt"
	random_file "$WORK/mnt/file" 40
	sync
	full=$(pool_status used)
	assert_ge "$full" $((after + 40)) "used slots with a file"
	rm "$WORK/mnt/file"
	sync
	fstrim "$WORK/mnt"
	assert_le "$(pool_status used)" $((full - 30)) "used slots after fstrim, of $full"
	umount "$WORK/mnt"
	e2fsck -fn "$v"
}

# fill: write until there is no space; sets filled to what was accepted, in MiB.
fill() { # FROM
	local out
	! out=$(dd if=/dev/zero bs=1M 2>/dev/null | tr '\0' x |
		dd of="$v" bs=1M seek="$1" oflag=direct iflag=fullblock conv=notrunc 2>&1) ||
		fail "nothing said that it is full"
	grep -q 'No space left' <<<"$out" || fail "full: $out"
	filled=$(sed -n 's/+.* records out//p' <<<"$out")
}

full_pool() { # POLICY CHUNK_MIB LEGS
	local chunk=$2 total
	fresh_pool 6 16 --extent-size 1M
	volume "$1" 200M
	model $((2 * chunk))
	fill $((2 * chunk))
	total=$(pool_status total)
	assert_ge "$(pool_status used)" $((total - $3 - 5)) "used slots, of $total"
	# Overwrites and reads go on, beside writes that fail.
	random_file "$WORK/model" $((2 * chunk))
	put "$WORK/model"
	same "$WORK/model"
	assert_fails 'No space' dd if=/dev/urandom of="$v" bs=4096 count=1 seek=45000 oflag=direct
	dd if="$v" bs=1M skip=45 count=1 iflag=direct status=none >/dev/null
	[[ $(pool_status health) =~ ^A+$ ]] || fail "a backend is out: $(pool_status health)"
	# What is freed can be used at once, and only that.
	discard 0 $((chunk << 20))
	dd if=/dev/urandom of="$WORK/last" bs=1M count="$chunk" status=none
	dd if="$WORK/last" of="$v" bs=1M seek=$((200 - chunk - 200 % chunk)) oflag=direct \
		conv=notrunc status=none
	same "$WORK/last" $((200 - chunk - 200 % chunk))
	assert_fails 'No space' dd if=/dev/urandom of="$v" bs=4096 count=1 oflag=direct
	same "$WORK/model"
	restart
	same "$WORK/model"
	same "$WORK/last" $((200 - chunk - 200 % chunk))
	scrub_finds 0
}

# A slot's second chunk is not taken for the first, nor for empty, after a restart.
slot_is_used_again() { # POLICY DISKS CHUNK_MIB
	local i slots
	fresh_pool "$2" 32 --extent-size 1M
	volume "$1" $((20 * $3))M
	random_file "$WORK/model" "$3"
	# The first one has its checksum pages written many times.
	for i in 1 2 3 4 5 6; do
		put "$WORK/model"
		message checkpoint
	done
	for i in 1 2 3; do
		discard 0 $(($3 << 20))
		random_file "$WORK/model" "$3"
		# All slots are taken in turn: fill the others, so that this one is.
		put "$WORK/model"
		message checkpoint
	done
	slots=$(pool_status total)
	for ((i = 1; i < 20; i++)); do
		put "$WORK/model" $((i * $3))
	done
	message checkpoint
	[ "$slots" -gt 0 ]
	restart
	same "$WORK/model"
	for ((i = 1; i < 20; i += 3)); do
		same "$WORK/model" $((i * $3))
	done
}

# Every slot, of small disks: written, often; freed; given to other chunks.
all_slots_are_used_again() {
	fresh_pool 2 16 --extent-size 1M
	volume replicas=2 32M
	model 10
	for _ in 1 2 3 4 5; do
		put "$WORK/model"
		message checkpoint
	done
	blkdiscard -f "$v" 2>/dev/null
	random_file "$WORK/model" 10
	put "$WORK/model" 12
	message checkpoint
	restart
	same "$WORK/model" 12
	scrub_finds 0
}

hosts_are_spread() {
	local chunk leg i hosts host=(A A B B C C)
	fresh_pool 6 32 --extent-size 1M ,host=A ,host=A ,host=B ,host=B ,host=C ,host=C
	volume replicas=3 16M
	model 12
	map_legs
	for ((chunk = 0; chunk < 12; chunk++)); do
		hosts=''
		for leg in 0 1 2; do
			i=${place[1:$chunk:$leg]% *}
			hosts+="${host[i]} "
		done
		assert_eq "$(tr ' ' '\n' <<<"$hosts" | sort -u | wc -w)" 3 "number of hosts of chunk $chunk ($hosts)"
	done
}

# legs_of LEG...: how many of these legs each disk has, of chunks 0..count-1; sets held.
legs_of() {
	local leg chunk i
	held=(0 0 0 0 0 0)
	for ((chunk = 0; chunk < count; chunk++)); do
		for leg; do
			i=${place[1:$chunk:$leg]% *}
			held[i]=$((held[i] + 1))
		done
	done
}

parity_is_spread() {
	local count=24 i
	fresh_pool 6 64 --extent-size 1M
	volume ec=4+2 96M
	model 96
	map_legs
	legs_of 4 5
	for i in 0 1 2 3 4 5; do
		assert_ge "${held[i]}" 5 "number of parity legs on a disk (${held[*]})"
		assert_le "${held[i]}" 11 "number of parity legs on a disk (${held[*]})"
	done
	legs_of 0
	for i in 0 1 2 3 4 5; do
		assert_le "${held[i]}" 8 "number of first legs on a disk (${held[*]})"
	done
}

# What the largest of them has that no other can mirror is the most that may be left over.
unequal_disks_are_filled() {
	local i sizes=(16 32 48 96)
	discard_all
	devs=()
	for i in 0 1 2 3; do
		loop_disk "u$i" "${sizes[i]}"
		devs+=("$REPLY")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	volume replicas=2 200M
	fill 0
	assert_ge "$(pool_status used)" $(($(pool_status total) - 12)) "used slots of $(pool_status total)"
	for i in 0 1 2 3; do
		assert_le "$(backend_field free $i)" 8 "free slots of disk $i"
	done
	scrub_finds 0
}

volumes_by_tag() {
	local chunk leg i
	fresh_pool 5 32 --extent-size 1M ,ssd ,hdd ,ssd ,hdd ,ssd
	qbd volume create p/v --size 8M --replicas 2 --tag ssd
	v=/dev/mapper/p-v
	model 8
	map_legs
	for ((chunk = 0; chunk < 8; chunk++)); do
		for leg in 0 1; do
			i=${place[1:$chunk:$leg]% *}
			assert_eq $((i % 2)) 0 "disk of chunk $chunk, modulo 2,"
		done
	done
}

extent_size() { # MIB
	local bytes=$(($1 << 20)) disk=$((3 * $1 + 16))
	[ $disk -ge 48 ] || disk=48
	fresh_pool 4 $disk --extent-size "$1M"
	volume ec=2+1 $((4 * $1))M
	# Across the border of two chunks, and the last blocks.
	random_file "$WORK/model" 1
	for at in 0 $((2 * bytes - 524288)) $((4 * bytes - 1048576)); do
		dd if="$WORK/model" of="$v" bs=256k seek=$at oflag=direct,seek_bytes conv=notrunc status=none
	done
	sync "$v"
	assert_eq "$(pool_status used)" 6 "used slots"
	restart
	lose 1
	for at in 0 $((2 * bytes - 524288)) $((4 * bytes - 1048576)); do
		cmp "$WORK/model" <(dd if="$v" bs=256k count=4 skip=$at iflag=direct,skip_bytes status=none)
	done
}

block_size() { # KIB
	local queue i
	fresh_pool 6 32 --extent-size 1M
	volume ec=4+2 16M --block-size "$1k"
	queue=/sys/dev/block/$(stat -c %Hr:%Lr "$v")/queue
	assert_eq "$(cat $queue/logical_block_size)" 512 logical_block_size
	assert_eq "$(cat $queue/physical_block_size)" 4096 physical_block_size
	assert_eq "$(cat $queue/minimum_io_size)" $(($1 * 1024)) minimum_io_size
	assert_eq "$(cat $queue/optimal_io_size)" $(($1 * 4096)) optimal_io_size
	model 5
	# Smaller than a block, and across blocks, rows and chunks.
	dd if=/dev/urandom of="$WORK/part" bs=512 count=201 status=none
	for i in 3 100 801 8191 8100; do
		dd if="$WORK/part" of="$v" bs=$((201 * 512)) count=1 seek=$((i * 512)) \
			oflag=direct,seek_bytes conv=notrunc status=none
		dd if="$WORK/part" of="$WORK/model" bs=$((201 * 512)) count=1 seek=$((i * 512)) \
			oflag=seek_bytes conv=notrunc status=none
		dd if=/dev/urandom of="$WORK/sector" bs=512 count=1 status=none
		dd if="$WORK/sector" of="$v" bs=512 seek=$((i + 333)) oflag=direct conv=notrunc status=none
		dd if="$WORK/sector" of="$WORK/model" bs=512 seek=$((i + 333)) conv=notrunc status=none
	done
	same "$WORK/model"
	right_without 1 2
	restart
	same "$WORK/model"
	scrub_finds 0
}

limits_of_replicas() {
	local queue
	fresh_pool 2 32 --extent-size 1M
	volume replicas=2 16M
	queue=/sys/dev/block/$(stat -c %Hr:%Lr "$v")/queue
	assert_eq "$(cat $queue/minimum_io_size)" 4096 minimum_io_size
	assert_eq "$(cat $queue/optimal_io_size)" 4096 optimal_io_size
	assert_eq "$(cat $queue/discard_granularity)" 4096 discard_granularity
	assert_ge "$(cat $queue/discard_max_bytes)" 1048576 discard_max_bytes
	assert_eq "$(blockdev --getsize64 "$v")" $((16 << 20)) size
}

# As many backends as a pool can have, and volumes as large as one can be: their first and last blocks, of
# as many chunks as there can be or of backends that have room for all of one.
largest() { # MIB EXTENT CSUM-BYTES
	local ms last=$(((16 << 20) - 1)) coded=/dev/mapper/p-coded
	# With a journal each of the rings has 64 MiB, and all of them are in memory.
	fresh_pool 64 "$1" --extent-size "$2" --csum-bytes "$3" --journal off
	assert_fails . qbd volume create p/coded --size $(((16 << 40) + 4096)) --ec 16+4
	qbd volume create p/coded --size 16T --ec 16+4
	volume replicas=2 16T
	assert_eq "$(blockdev --getsize64 "$v")" $((16 << 40)) "size of the volume"
	random_file "$WORK/data" 1
	put "$WORK/data"
	put "$WORK/data" $last
	v=$coded put "$WORK/data" $last
	assert_eq "$(pool_status chunks)" 3 chunks
	assert_eq "$(pool_status used)" 24 "used slots"
	assert_fails . dd if="$WORK/data" of="$v" bs=4096 count=1 seek=$((1 << 32)) oflag=direct conv=notrunc status=none
	took restart
	echo "stopped and started in $ms ms"
	lose 0 63
	assert_eq "$(pool_status health)" "S$(printf 'A%.0s' {1..62})S" health
	same "$WORK/data"
	same "$WORK/data" $last
	v=$coded same "$WORK/data" $last
	random_file "$WORK/data" 1
	put "$WORK/data" $last
	v=$coded put "$WORK/data" $last
	regain 0 63
	scrub_finds 0
	same "$WORK/data" $last
	v=$coded same "$WORK/data" $last
	qbd volume remove p/v --yes
	qbd volume remove p/coded --yes
	wait_until 10 used_is 0
	assert_eq "$(pool_status chunks)" 0 chunks
	restart
	assert_eq "$(pool_status slots)" "0/$(pool_status total)" slots
}

subtest first-write-allocates first_write_allocates
subtest discard-of-chunks-frees-them-replicas discard_frees_chunks replicas=2 2 1
subtest discard-of-chunks-frees-them-ec discard_frees_chunks ec=4+2 6 4
subtest discard-in-parts-frees-the-chunk discard_in_parts_frees
subtest discarded-parts-are-zeros-and-parity-is-right zeros_and_parity discard
subtest zeroed-parts-are-zeros-and-parity-is-right zeros_and_parity write_zeroes
subtest write-zeroes-frees write_zeroes_frees
subtest mkfs-and-fstrim-give-back mkfs_and_fstrim_give_back
subtest full-pool-refuses-new-chunks-only-replicas full_pool replicas=2 1 2
subtest full-pool-refuses-new-chunks-only-ec full_pool ec=4+2 4 6
subtest slots-are-used-again-replicas all_slots_are_used_again
subtest slots-are-used-again-ec slot_is_used_again ec=2+1 3 2
subtest legs-are-on-different-hosts hosts_are_spread
subtest parity-is-spread-evenly parity_is_spread
subtest disks-of-different-sizes-are-filled unequal_disks_are_filled
subtest volume-keeps-to-its-tag volumes_by_tag
for mib in 1 2 4 8 16 32 64; do
	subtest "extent-of-$mib-mib" extent_size $mib
done
for kib in 4 8 16 32 64; do
	subtest "block-of-$kib-kib" block_size $kib
done
subtest limits-of-replicas limits_of_replicas
subtest 64-backends-and-the-most-chunks largest 16 1M 48K
subtest 64-backends-and-32-tib largest $((512 << 10)) 64M 2688K
finish
