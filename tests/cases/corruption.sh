#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Silent corruption: bytes that flip in data, parity and every kind of metadata, on as many backends
# as the redundancy allows, at once: what is read is right, it is counted and logged, and scrub leaves
# nothing of it. More than that is an I/O error, never wrong data.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$ROOT/tests/lib/cut.sh"

# damage DISK OFFSET BYTES: other bytes there, under the pool.
damage() {
	dd if=/dev/urandom of="$WORK/loop/d$1.img" bs="$3" count=1 seek="$2" iflag=fullblock oflag=seek_bytes \
		conv=notrunc status=none
}

# damage_leg CHUNK LEG ROW ROWS: of a volume with blocks of 4 KiB, extents of 1 MiB.
damage_leg() {
	local disk slot
	read -r disk slot <<<"${place[1:$1:$2]}"
	damage "$disk" $((data_start + slot * 1048576 + $3 * 4096)) $(($4 * 4096))
	damaged[disk]=$((${damaged[disk]-0} + $4))
}

filled_pool() { # POLICY DISKS MIB
	fresh_pool "$2" 32 --extent-size 1M
	fill_pool "$1" "$3"
}

fill_pool() { # POLICY MIB
	volume "$1" 16M
	random_file "$WORK/data" "$2"
	put "$WORK/data"
	map_legs
	geometry
	damaged=()
}

# stop_pool, start_pool: with the disks at rest in between.
stop_pool() {
	qbd pool stop p
}

start_pool() {
	qbd pool start p "$@"
}

# Each backend is blamed for what was damaged there and for nothing else.
blamed() {
	local i errors
	for ((i = 0; i < ${#devs[@]}; i++)); do
		errors=$(backend_field csum_errors $i)
		if [ "${damaged[i]-0}" = 0 ]; then
			assert_eq "$errors" 0 "checksum errors of disk $i, which is sound,"
		else
			assert_ge "$errors" 1 "checksum errors of disk $i"
			assert_ge "$(backend_field repaired $i)" 1 "blocks repaired on disk $i"
		fi
	done
}

clean() {
	scrub_finds 0
	[[ $(pool_status health) =~ ^A+$ ]] || fail "health is $(pool_status health)"
	assert_eq "$(pool_status degraded)" 0 "degraded chunks"
}

# Under the running volume, whose checksums and page cache are warm.
data_at_run_time() { # POLICY DISKS LEGS...: of the first two chunks
	local leg first=0 policy=$1
	filled_pool "$1" "$2" 8
	shift 2
	same "$WORK/data"
	log_mark
	for leg; do
		# Overlapping rows: all of the legs named are bad in some.
		damage_leg 0 "$leg" $first 40
		damage_leg 1 "$leg" $((200 + first)) 20
		first=$((first + 10))
	done
	echo 3 >/proc/sys/vm/drop_caches
	same "$WORK/data"
	same "$WORK/data"
	# Replicas and parity that nobody read are what is left to do.
	qbd scrub p --quiet >/dev/null || :
	blamed
	# The log is limited to some a time, for all subtests together: the first has to show it.
	[ "$policy" != replicas=3 ] ||
		assert_log 'volume 1 chunk [01] row [0-9]+ leg [0-9]: bad block on backend'
	clean
	same "$WORK/data"
}

# Parity is read by no one but scrub, and counts to the block.
data_at_rest() { # POLICY DISKS LEGS...
	local leg count=0
	filled_pool "$1" "$2" 8
	shift 2
	stop_pool
	for leg; do
		damage_leg 0 "$leg" 3 17
		damage_leg 1 "$leg" $((leg * 9)) 9
		count=$((count + 26))
	done
	start_pool
	scrub_finds $count
	blamed
	clean
	same "$WORK/data"
	restart
	same "$WORK/data"
}

# What scrub wrote back is right: read it from there alone.
parity_is_repaired() {
	filled_pool ec=4+2 6 8
	damage_leg 0 4 0 100
	damage_leg 0 5 50 100
	damage_leg 1 4 0 256
	damage_leg 1 5 0 256
	scrub_finds $((200 + 512))
	local disks
	disks="${place[1:0:0]% *} ${place[1:0:1]% *}"
	# shellcheck disable=SC2086 # two numbers
	lose $disks
	same "$WORK/data"
}

# What is overwritten is bad, and so is the parity: more than the row can lose, but none of it is needed.
destaged_over_what_is_bad() {
	# Of one block in four the parity is updated, with the old data.
	filled_pool ec=4+1 5 8
	damage_leg 0 0 0 1
	damage_leg 0 4 0 1
	random_file "$WORK/block" 1
	dd if="$WORK/block" of="$v" bs=4096 count=1 oflag=direct conv=notrunc status=none
	assert_eq "$(pool_status journal_rows)" 1 "rows in the journal"
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 conv=notrunc status=none
	same "$WORK/data"
	scrub_finds 0
	lose "${place[1:0:1]%% *}"
	same "$WORK/data"
}

# Rows of ec=4+1 that are written in part, though what their parity needs is bad.
stuck_rows() { # ROWS
	local i
	cut_pool 5 --extent-size 1M
	fill_pool ec=4+1 8
	[ "$1" -lt 32 ] || message error_limit 0 60
	damage_leg 0 0 0 "$1"
	damage_leg 0 2 0 "$1"
	random_file "$WORK/block" 1
	for ((i = 0; i < $1; i++)); do
		dd if="$WORK/block" of="$v" bs=4096 count=1 seek=$((4 * i)) oflag=direct conv=notrunc status=none || return
		dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 seek=$((4 * i)) conv=notrunc status=none
	done
}

# written SIZE: the second half of 8 MiB, several times, in pieces of that size.
written() {
	timeout $((60 * slowness)) fio --name=round --filename="$v" --direct=1 --rw=randwrite --bs="$1" --offset=4M --size=4M \
		--loops=3 --refill_buffers --output="$WORK/fio" || fail "with rows that stay in the journal: $(cat "$WORK/fio")"
	dd if="$v" of="$WORK/data" bs=4M skip=1 seek=1 count=1 conv=notrunc status=none
}

# blocks_are_there ROWS: of stuck_rows, from the journal.
blocks_are_there() {
	local i
	for ((i = 0; i < $1; i++)); do
		cmp -n 4096 -i 0:$((16384 * i)) "$WORK/block" "$v" || fail "block $((4 * i)) is wrong"
	done
}

# They stay in the journal, and in nobody's way: the ring goes round, more than once.
stays_in_the_journal() {
	local errors begun
	log_mark
	stuck_rows 8
	message checkpoint && fail "a checkpoint of all, with rows that cannot be destaged"
	assert_eq "$(pool_status journal_rows)" 8 "rows in the journal"
	assert_log 'volume 1 chunk 0 row [0-9]+ cannot be destaged now'
	errors=$(backend_field csum_errors 2)
	begun=$SECONDS
	until [ $((SECONDS - begun)) -ge 12 ]; do
		written 4k
		written 16k
	done
	# Each try of a row counts its bad block once more: there are few, and less and less.
	assert_le $((($(backend_field csum_errors 2) - errors) / 8)) $(((SECONDS - begun) / 3 + 1)) "tries of each row"
	assert_eq "$(pool_status health)" AAAAA "health"
	blocks_are_there 8
	restart
	blocks_are_there 8
	written 4k
	cut
	qbd pool start p
	blocks_are_there 8
	put "$WORK/data"
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	same "$WORK/data"
	scrub_finds 0
}

# More of them than the journal takes: who writes into it has an error, and soon; all else goes on.
journal_full_of_what_stays() {
	local status=0
	stuck_rows 256 2>"$WORK/error" || status=$?
	assert_eq "$status" 1 "writes into a journal that is full of rows that cannot be destaged"
	grep -q 'Input/output error' "$WORK/error" || fail "$(cat "$WORK/error")"
	cmp -n $((4 << 20)) -i $((4 << 20)) "$WORK/data" "$v"
	# Whole rows, each with a flush, so that the ring goes round with ordinary records.
	timeout $((60 * slowness)) fio --name=rows --filename="$v" --direct=1 --rw=write --bs=16k --offset=5M --size=3M --loops=7 \
		--fsync=1 --output="$WORK/fio" || fail "with a journal that is full of what stays: $(cat "$WORK/fio")"
	assert_eq "$(pool_status mode)" rw "mode"
	qbd volume create p/w --size 2M --replicas 2
	dd if="$WORK/data" of=/dev/mapper/p-w bs=1M count=2 oflag=direct conv=fsync status=none
	cmp -n $((2 << 20)) "$WORK/data" /dev/mapper/p-w
	dmsetup remove --retry p-v
	qbd volume remove --yes p/v
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	volume ec=4+1 16M
	put "$WORK/data"
	dd if="$WORK/block" of="$v" bs=4096 count=1 seek=1 oflag=direct conv=notrunc status=none
	message checkpoint
	scrub_finds 0
}

# csum_page CHUNK LEG PAGE: sets disk and at, the position of its first place.
csum_page() {
	local slot
	read -r disk slot <<<"${place[1:$1:$2]}"
	at=$((csum_start + slot * csum_bytes + $3 * 8192))
}

checksum_pages() { # POLICY DISKS LEGS...
	local leg chunk disk at
	filled_pool "$1" "$2" 8
	shift 2
	stop_pool
	for leg; do
		for chunk in 0 1; do
			csum_page $chunk "$leg" 0
			damage "$disk" "$at" 8192
		done
	done
	start_pool
	log_mark
	same "$WORK/data"
	assert_log 'checksum page 0 of leg [0-9] cannot be read'
	qbd scrub p --quiet >/dev/null || :
	clean
	# The copies that were damaged are the only ones now.
	stop_pool
	for leg in 0 1 2; do
		[[ " $* " != *" $leg "* ]] || continue
		for chunk in 0 1; do
			csum_page $chunk "$leg" 0
			damage "$disk" "$at" 8192
		done
	done
	start_pool
	same "$WORK/data"
}

# damage_newest DISK OFFSET: of the two places of a page.
damage_newest() {
	local i places
	# seq is at 40 of a page; the newest is the one with the higher.
	places=$(for i in 0 4096; do
		od -An -tu8 -j $(($2 + i + 40)) -N 8 "$WORK/loop/d$1.img"
	done | tr -d ' ' | tr '\n' ' ')
	# shellcheck disable=SC2086 # two numbers
	set -- "$1" "$2" $places
	[ "$3" != "$4" ]
	damage "$1" $(($2 + ($4 > $3 ? 4096 : 0))) 4096
}

# The newest place of a page goes: the one before is older than the other copies and says "hole" of
# what was written since.
newest_checksum_place() { # POLICY DISKS LEGS...
	local leg disk at
	filled_pool "$1" "$2" 4
	shift 2
	# Two checkpoints of the same page, with more and more in it.
	random_file "$WORK/more" 2
	put "$WORK/more"
	message checkpoint
	random_file "$WORK/data" 4
	put "$WORK/data"
	message checkpoint
	stop_pool
	for leg; do
		csum_page 0 "$leg" 0
		damage_newest "$disk" "$at"
	done
	start_pool
	same "$WORK/data"
}

# Holes of then that are data now: all of the volume is written between the last two checkpoints.
stale_checksum_copy() { # POLICY DISKS
	local disk at
	fresh_pool "$2" 32 --extent-size 1M
	volume "$1" 16M
	random_file "$WORK/data" 4
	dd if="$WORK/data" of="$v" bs=64k count=1 oflag=direct conv=notrunc status=none
	message checkpoint
	map_legs
	geometry
	# The write that a backend loses: its page stays as it was, and valid.
	csum_page 0 0 0
	dd if="$WORK/loop/d$disk.img" of="$WORK/old" bs=4096 skip="$at" count=2 iflag=skip_bytes status=none
	put "$WORK/data"
	message checkpoint
	stop_pool
	dd if="$WORK/old" of="$WORK/loop/d$disk.img" bs=4096 seek="$at" oflag=seek_bytes conv=notrunc \
		status=none
	start_pool
	same "$WORK/data"
}

# The first page of a chunk's checksums is lost on one holder: what is there is of a chunk that had
# the slot before, or nothing. That says "holes", and the other holders say better.
first_checksum_page_lost() { # POLICY DISKS
	local disk at i
	fresh_pool "$2" 32 --extent-size 1M
	volume "$1" 16M
	random_file "$WORK/data" 12
	put "$WORK/data"
	message checkpoint
	blkdiscard -f "$v"
	message checkpoint
	for ((i = 0; i < $2; i++)); do
		cp --sparse=always "$WORK/loop/d$i.img" "$WORK/before-$i"
	done
	random_file "$WORK/data" 12
	put "$WORK/data"
	message checkpoint
	map_legs
	geometry
	csum_page 0 0 0
	stop_pool
	dd if="$WORK/before-$disk" of="$WORK/loop/d$disk.img" bs=4096 skip="$at" seek="$at" count=2 \
		iflag=skip_bytes oflag=seek_bytes conv=notrunc status=none
	start_pool
	same "$WORK/data"
	qbd scrub p --quiet >/dev/null || :
	restart
	same "$WORK/data"
	scrub_finds 0
}

slot_tables() { # POLICY DISKS BACKENDS...
	local i
	filled_pool "$1" "$2" 12
	shift 2
	stop_pool
	for i; do
		damage "$i" "$slot_start" 8192
	done
	start_pool
	log_mark
	same "$WORK/data"
	repaired 60
	clean
	same "$WORK/data"
	restart
	whole
	clean
	assert_no_log 'slot table cannot be read'
}

# The newest place of a slot table page goes: the one before has chunks that were freed since.
freed_chunks() { # POLICY DISKS BACKENDS...
	local i
	filled_pool "$1" "$2" 4
	shift 2
	message checkpoint
	blkdiscard "$v"
	message checkpoint
	assert_eq "$(pool_status chunks)" 0 'chunks after the discard'
	stop_pool
	for i; do
		damage_newest "$i" "$slot_start"
	done
	log_mark
	start_pool
	assert_eq "$(pool_status chunks)" 0 'chunks after the damage'
	assert_log 'a damaged slot table shows a chunk that was freed'
	cmp -n $((4 << 20)) "$v" /dev/zero
	put "$WORK/data"
	same "$WORK/data"
	clean
	restart
	same "$WORK/data"
}

tables() { # BACKENDS...
	local i
	filled_pool ec=4+2 6 8
	stop_pool
	for i; do
		damage "$i" "$volume_start" 8192
		damage "$i" "$layer_start" 8192
		# And pages that nothing is in yet.
		damage "$i" $((volume_start + 5 * 8192)) 16384
	done
	start_pool
	same "$WORK/data"
	clean
	# Now those that were damaged are all there is.
	stop_pool
	for i in 0 1 2 3 4 5; do
		[[ " $* " != *" $i "* ]] || continue
		damage "$i" "$volume_start" $((64 * 8192))
		damage "$i" "$layer_start" $((64 * 8192))
	done
	start_pool
	same "$WORK/data"
	clean
}

# A crash: what is on the disks now is what there is after.
crash() {
	local i
	mkdir -p "$WORK/crash"
	for ((i = 0; i < ${#devs[@]}; i++)); do
		cp --sparse=always "$WORK/loop/d$i.img" "$WORK/crash/"
	done
	stop_pool
	for ((i = 0; i < ${#devs[@]}; i++)); do
		losetup -d "${devs[i]}"
		mv "$WORK/crash/d$i.img" "$WORK/loop/d$i.img"
		devs[i]=$(losetup -f --show "$WORK/loop/d$i.img")
		echo "${devs[i]}" >"$WORK/loop/d$i.dev"
	done
}

ring() { # COUNT: members that are damaged, wholly and in parts
	local i n=0
	filled_pool ec=4+2 6 4
	random_file "$WORK/data" 8
	put "$WORK/data"
	crash
	for i in $(ring_members); do
		[ $((n++)) -lt "$1" ] || break
		if [ $n = 1 ]; then
			damage "$i" "$ring_start" $((256 * 4096))
		else
			damage "$i" $((ring_start + 4 * 4096)) $((40 * 4096))
		fi
	done
	start_pool
	same "$WORK/data"
	clean
	restart
	same "$WORK/data"
}

# What one member lacks another one has.
ring_in_turn() {
	local i n=0 members block
	filled_pool ec=4+2 6 4
	random_file "$WORK/data" 8
	for i in 0 1 2 3 4 5 6 7; do
		dd if="$WORK/data" of="$v" bs=1M seek=$i skip=$i count=1 oflag=direct conv=notrunc,fsync status=none
	done
	crash
	read -r -a members <<<"$(ring_members)"
	for i in "${members[@]}"; do
		# Every third block of one, the next of another ...
		for ((block = n; block < 60; block += ${#members[@]})); do
			damage "$i" $((ring_start + block * 4096)) 4096
		done
		n=$((n + 1))
	done
	start_pool
	same "$WORK/data"
	clean
}

superblock_place() {
	local i
	filled_pool ec=4+2 6 8
	for place_at in 0 16384; do
		stop_pool
		for i in 0 1 2 3 4 5; do
			damage $i $((place_at + 4096 * (i % 4))) 512
		done
		start_pool
		same "$WORK/data"
		# Scrub writes both, or the other round would find none.
		clean
	done
}

superblocks_gone() {
	local i
	filled_pool ec=4+2 6 8
	stop_pool
	for i in 1 4; do
		damage $i 0 32768
	done
	assert_fails 'allow-degraded|missing' qbd pool start p
	start_pool --allow-degraded
	same "$WORK/data"
	for i in 1 4; do
		qbd backend replace p $i "${devs[i]}" --force
	done
	repaired 60
	clean
	same "$WORK/data"
	restart
	same "$WORK/data"
}

# Bytes that flip all over a disk, but for where its superblocks are.
everywhere_on() { # DISK...
	local i n
	filled_pool ec=4+2 6 12
	stop_pool
	for i; do
		for n in {1..40}; do
			damage "$i" $((65536 + (RANDOM * 32768 + RANDOM) % 24000000)) 16
		done
	done
	start_pool
	same "$WORK/data"
	repaired 60
	qbd scrub p --quiet >/dev/null || :
	clean
	same "$WORK/data"
}

# read_block BLOCK FILE: to the same place there; status of the read.
read_block() {
	dd if="$v" of="$2" bs=4096 skip="$1" seek="$1" count=1 iflag=direct conv=notrunc status=none 2>"$WORK/error"
}

too_much() { # POLICY DISKS K LEGS...
	local k=$3 leg block n bad=0 status
	filled_pool "$1" "$2" 4
	shift 3
	for leg; do
		damage_leg 0 "$leg" 20 4
	done
	log_mark
	for n in 1 2 3; do
		cp "$WORK/data" "$WORK/got"
		dd if=/dev/zero of="$WORK/got" bs=$((4096 * k)) seek=18 count=8 conv=notrunc status=none
		[ "$n" != 3 ] || restart
		for ((block = 18 * k; block < 26 * k; block++)); do
			status=0
			read_block $block "$WORK/got" || status=$?
			if [ $status != 0 ]; then
				[[ $(<"$WORK/error") = *'Input/output error'* ]]
				bad=$((bad + 1))
				dd if="$WORK/data" of="$WORK/got" bs=4096 skip=$block seek=$block count=1 conv=notrunc status=none
				[ $((block / k)) -ge 20 ] && [ $((block / k)) -lt 24 ] ||
					fail "block $block cannot be read"
			fi
		done
		cmp "$WORK/got" "$WORK/data" || fail "what can be read is not what was written"
		# Data legs among the bad ones: each of their blocks, each time.
		assert_eq $bad $((n * 4 * lost_legs)) "number of blocks that could not be read, by round $n,"
	done
	# The log is limited to some a time, for all subtests together.
	[ "$lost_legs" != 1 ] || assert_log 'cannot read 4096 bytes'
	# The rest of the volume, and new data in the same place, are as ever.
	dd if="$WORK/data" of="$v" bs=$((k * 4096)) seek=20 skip=40 count=4 oflag=direct conv=notrunc status=none
	dd if="$WORK/data" of="$WORK/copy" bs=$((k * 4096)) seek=20 skip=40 count=4 conv=notrunc status=none
	cp "$WORK/data" "$WORK/new"
	dd if="$WORK/data" of="$WORK/new" bs=$((k * 4096)) seek=20 skip=40 count=4 conv=notrunc status=none
	same "$WORK/new"
	scrub_finds 0
}

subtest data-at-run-time-replicas data_at_run_time replicas=3 4 0 2
subtest data-at-run-time-ec data_at_run_time ec=4+2 6 1 2
subtest data-at-rest-replicas data_at_rest replicas=2 3 0
subtest data-and-parity-at-rest data_at_rest ec=4+2 6 0 5
subtest parity-is-repaired-right parity_is_repaired
subtest destaged-over-what-is-bad destaged_over_what_is_bad
subtest stays-in-the-journal stays_in_the_journal
subtest journal-full-of-what-stays journal_full_of_what_stays
subtest checksum-pages-replicas checksum_pages replicas=3 4 0 1
subtest checksum-pages-ec checksum_pages ec=4+2 6 0 2
subtest newest-place-of-a-checksum-page newest_checksum_place ec=4+2 6 0
subtest newest-places-of-checksum-pages newest_checksum_place replicas=3 4 0 1
subtest stale-checksum-copy-replicas stale_checksum_copy replicas=2 3
subtest stale-checksum-copy-ec stale_checksum_copy ec=4+2 6
subtest first-checksum-page-lost-on-one-holder-replicas first_checksum_page_lost replicas=2 3
subtest first-checksum-page-lost-on-one-holder-ec first_checksum_page_lost ec=4+2 6
subtest slot-tables-replicas slot_tables replicas=2 3 1
subtest slot-tables-ec slot_tables ec=4+2 6 0 3
subtest freed-chunks-replicas freed_chunks replicas=2 3 1
subtest freed-chunks-ec freed_chunks ec=4+2 6 0 3
subtest volume-and-layer-tables tables 0 1
subtest ring-of-a-member ring 1
subtest rings-of-two-members ring 2
subtest ring-in-turn ring_in_turn
subtest superblock-place superblock_place
subtest superblocks-gone superblocks_gone
subtest all-over-two-disks everywhere_on 2 4
lost_legs=1
subtest too-much-is-an-error-replicas too_much replicas=2 3 1 0 1
lost_legs=3
subtest too-much-is-an-error-ec too_much ec=4+2 6 4 0 1 3
lost_legs=2
subtest too-much-is-an-error-with-parity too_much ec=4+2 6 4 2 3 4
finish
