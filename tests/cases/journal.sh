#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The journal: writes of parts of rows are in the ring, durable and readable, until they are in their place;
# no crash, with as many losses as may be, takes a block that was not being written.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$(dirname "$0")/../lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$(dirname "$0")/../lib/cut.sh"

# went_through COUNT: so many rows at least have been in the journal, or are.
went_through() {
	assert_le "$1" $(($(pool_status journal_rows) + $(pool_status destaged))) \
		"rows that went through the journal"
}

reads_its_writes() { # POLICY DISKS
	cut_pool "$2" --journal on
	volume "$1" 32M
	filled 8
	change 1 1
	change 9 2
	change 1 1
	change 2 7
	# Within a block: the rest of it comes from the journal, or from its place.
	dd if="$WORK/change" of="$v" bs=512 count=3 seek=9 oflag=direct conv=notrunc status=none
	dd if="$WORK/change" of="$WORK/a" bs=512 count=3 seek=9 conv=notrunc status=none
	dd if="$WORK/change" of="$v" bs=512 count=3 seek=901 oflag=direct conv=notrunc status=none
	dd if="$WORK/change" of="$WORK/a" bs=512 count=3 seek=901 conv=notrunc status=none
	went_through 3
	same "$WORK/a"
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	same "$WORK/a"
	scrub_finds 0
	change 30 1
	restart
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal after a stop"
	same "$WORK/a"
	scrub_finds 0
}

destaged_when_idle() {
	cut_pool 6 --journal on
	volume ec=4+2 32M
	filled 1
	change 1 1
	change 70 3
	went_through 2
	wait_until 15 rows_are 0
	same "$WORK/a"
	scrub_finds 0
}

# What was acknowledged is there after a crash, without a flush.
survives_a_crash() {
	cut_pool 6 --journal on
	volume ec=4+2 32M
	filled 4
	change 1 1
	change 40 2
	change 1 1
	change 500 5
	change 1023 1
	cut
	# The tools, too, read such a ring.
	qbd verify "${below[@]}" >"$WORK/verified" || :
	grep -q 'p: whole' "$WORK/verified" || fail "verify of a pool with a journal: $(cat "$WORK/verified")"
	qbd examine "${below[0]}" --ring | grep -q '^[0-9]* journal layer' || fail "no record of the journal"
	qbd pool start p
	[ "$(pool_status lost)" = 0 ] || fail "blocks are lost"
	same "$WORK/a"
	change 3 1
	cut
	qbd pool start p
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
	restart
	same "$WORK/a"
}

# block_of CHUNK ROW LEG: the number of that block in a volume of ec=4+2 and extents of 1 MiB.
block_of() {
	echo $(($1 * 1024 + $2 * 4 + $3))
}

# leg_of CHUNK LEG: sets disk and at, the place of the leg's first byte.
leg_of() {
	local where start
	where=${place["$layer:$1:$2"]}
	disk=${where% *}
	start=$(qbd examine "${below[disk]}" | awk '$1 == "data" && $2 == "area" { print $3 }')
	at=$((start + ${where#* } * 1048576))
}

# unit CHUNK ROW LEG: the sum of what the medium has there.
unit() {
	leg_of "$1" "$3"
	dd if="${below[disk]}" bs=4096 skip=$((at / 4096 + $2)) count=1 iflag=direct status=none | md5sum
}

# held_leg LEG: a chunk whose leg is on a backend that is no ring member. Sets chunk and held.
held_leg() {
	local members key
	members=" $(ring_members) "
	for key in "${!place[@]}"; do
		[ "${key##*:}" = "$1" ] || continue
		held=${place[$key]% *}
		layer=${key%%:*}
		chunk=${key#*:}
		chunk=${chunk%:*}
		[[ $members = *" $held "* ]] || return 0
	done
	skip "no chunk has its leg $1 beside the ring"
}

unit_changed() { # CHUNK ROW LEG OLD
	[ "$(unit "$1" "$2" "$3")" != "$4" ]
}

# A row is half in its place when the power goes, and with it go as many legs as may.
torn_row() { # MODE HELD-LEG SEEN-LEG LOST-LEGS BLOCK...
	local mode=$1 leg=$2 seen=$3 lost=$4 old b y
	shift 4
	cut_pool 9 --journal "$mode" --extent-size 1M
	volume ec=4+2 32M
	filled 32
	map_legs
	held_leg "$leg"
	old=$(unit "$chunk" 5 "$seen")
	for b; do
		change "$(block_of "$chunk" 5 "$b")" 1
	done
	went_through 1
	dmsetup suspend --noflush "cut$held"
	message checkpoint &
	wait_until 20 unit_changed "$chunk" 5 "$seen" "$old"
	gone=()
	for y in $lost; do
		leg_of "$chunk" "$y"
		gone+=("$disk")
	done
	cut "$held"
	lose_for_good "${gone[@]}"
	all_is_there
}

# Journal and checksum tables may lose two members of the ring with the power.
ring_members_lost() {
	local two
	cut_pool 7 --journal on
	volume ec=4+2 32M
	filled 4
	change 1 1
	change 33 2
	read -r -a two < <(ring_members)
	cut
	lose_for_good "${two[0]}" "${two[1]}"
	all_is_there
}

# A whole row over blocks in the journal, and after their destage: replay brings nothing old back.
newest_wins() {
	cut_pool 6 --journal on
	volume ec=4+2 32M
	filled 4
	# The range is active: whole rows could go straight.
	change 8 4
	change 1 1
	change 0 4
	same "$WORK/a"
	change 41 1
	wait_until 20 rows_are 0
	change 40 4
	sync "$v"
	change 0 4
	change 2 1
	cut
	qbd pool start p
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

discards_over_journal() {
	cut_pool 6 --journal on
	volume ec=4+2 32M
	filled 8
	change 1 1
	change 9 1
	change 1030 1
	# A row, a part of another, and a whole chunk.
	blkdiscard -f -o 0 -l 16384 "$v" 2>/dev/null
	blkdiscard -f -o 32768 -l 8192 "$v" 2>/dev/null
	blkdiscard -f -o 4194304 -l 4194304 "$v" 2>/dev/null
	dd if=/dev/zero of="$WORK/a" bs=4096 count=4 conv=notrunc status=none
	dd if=/dev/zero of="$WORK/a" bs=4096 seek=8 count=2 conv=notrunc status=none
	dd if=/dev/zero of="$WORK/a" bs=4096 seek=1024 count=1024 conv=notrunc status=none
	same "$WORK/a"
	sync "$v"
	change 1030 1
	cut
	qbd pool start p
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

# Blocks of a row that came one by one go to their place as one row: nothing is read.
# A row that becomes whole block by block, one of them written twice, is destaged without a read. What is
# idle for three seconds is destaged by itself: so all is written by two commands, and tried again
# where the machine took so long between them.
coalesces() {
	local before after destaged try i
	fresh_pool 6 64 --journal on --extent-size 1M
	volume ec=4+2 32M
	filled 2
	random_file "$WORK/change" 1
	dd if="$WORK/change" of="$WORK/a" bs=4096 count=4 seek=16 conv=notrunc status=none
	dd if="$WORK/change" of="$WORK/a" bs=4096 count=1 skip=7 seek=18 conv=notrunc status=none
	for try in 1 2 3 4 5 6 7 8; do
		message checkpoint
		destaged=$(pool_status destaged)
		disk_counts before
		dd if="$WORK/change" of="$v" bs=4096 count=4 seek=16 oflag=direct conv=notrunc status=none
		dd if="$WORK/change" of="$v" bs=4096 count=1 skip=7 seek=18 oflag=direct conv=notrunc \
			status=none
		message checkpoint
		disk_counts after
		[ "$(pool_status destaged)" != $((destaged + 1)) ] || break
	done
	assert_eq "$(pool_status destaged)" $((destaged + 1)) "rows destaged"
	for i in 0 1 2 3 4 5; do
		assert_eq "${after[5 * i]}" "${before[5 * i]}" "reads of disk $i"
	done
	same "$WORK/a"
	scrub_finds 0
	# Each block is what its checksum says. Is the parity that of the data, too?
	lose 0 1
	same "$WORK/a"
	regain 0 1
	lose 2 3
	same "$WORK/a"
}

# Whole rows go straight to their place, unless the chunk lacks a leg.
degraded_rows() {
	fresh_pool 6 64 --journal on --extent-size 1M
	volume ec=4+2 32M
	filled 8
	change 0 4
	went_through 0
	assert_eq "$(pool_status destaged)" 0 "rows that went through the journal"
	lose 0
	change 4 4
	change 64 9
	went_through 3
	same "$WORK/a"
	lose 3
	change 8 4
	change 65 1
	same "$WORK/a"
	regain 0 3
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

# The ring of a small backend holds some forty rows: who comes while it is full waits for a destage.
back_pressure() {
	fresh_pool 6 64 --journal "$1" --extent-size 1M
	volume ec=4+2 32M
	fio --name=small --filename="$v" --direct=1 --ioengine=libaio --iodepth=32 --rw=randwrite \
		--bsrange=512-24k --bs_unaligned=0 --blockalign=512 --size=24M --io_size=768k \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --output="$WORK/fio" ||
		fail "$(cat "$WORK/fio")"
	went_through 60
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	scrub_finds 0
}

# The oldest row cannot go to its place, so the ring gets no room back: still each row that was taken into the
# journal can be destaged, for that was promised to it; who comes then waits, and nothing fails.
promised_room() {
	local i tags=('b,a,c' 'b,a,c' b b b b a c) writer before
	discard_all
	devs=() below=()
	for i in "${!tags[@]}"; do
		loop_disk "d$i" 32
		below+=("$REPLY")
		dmsetup create "cut$i" --table "0 65536 linear $REPLY 0"
		devs+=("/dev/mapper/cut$i")
		tags[i]=/dev/mapper/cut$i,${tags[i]}
	done
	qbd pool create p "${tags[@]}" --journal on --extent-size 1M
	qbd pool start p
	qbd volume create p/a --size 2M --ec 2+1 --tag a
	qbd volume create p/c --size 2M --ec 2+1 --tag c
	volume ec=2+4 8M --tag b
	for i in a c v; do
		dd if=/dev/zero of="/dev/mapper/p-$i" bs=1M count=2 oflag=direct conv=fsync status=none
	done
	random_file "$WORK/a" 2
	put "$WORK/a"
	message checkpoint
	for i in 6:a 7:c; do
		dmsetup suspend --noflush "cut${i%:*}"
		dd if="$WORK/a" of="/dev/mapper/p-${i#*:}" bs=4k count=1 oflag=direct conv=notrunc status=none
		[ "$i" = 6:a ] || break
		# One of those that destage has this row, and no other, before the other one has the next.
		message checkpoint &
		wait_until 20 worker_waits journal
	done
	# Every second block: a row of two each.
	fio --name=rows --filename="$v" --direct=1 --rw=write:4k --bs=4k --size=1M --io_size=512k \
		--buffer_pattern='"abcd"' --output="$WORK/fio" &
	writer=$!
	stalled() {
		before=$(pool_status journal_rows)
		sleep 0.5
		[ "$before" -ge 8 ] && [ "$(pool_status journal_rows)" = "$before" ]
	}
	wait_until 30 stalled
	dmsetup resume cut7
	wait_until 30 rows_are 1
	assert_eq "$(pool_status mode)" rw "mode"
	dmsetup resume cut6
	wait "$writer" || fail "$(cat "$WORK/fio")"
	wait
	message checkpoint
	cmp "$WORK/a" /dev/mapper/p-a -n 4096
	cmp "$WORK/a" /dev/mapper/p-c -n 4096
	dd if="$v" of="$WORK/row" bs=4k count=1 iflag=direct status=none
	assert_eq "$(tr -d abcd <"$WORK/row" | wc -c)" 0 "bytes that fio did not write"
	scrub_finds 0
}

off_is_off() {
	fresh_pool 6 64 --journal off --extent-size 1M
	volume ec=4+2 32M
	filled 2
	assert_eq "$(pool_status journal)" off "journal"
	change 1 1
	change 5 6
	assert_eq "$(pool_status journal_rows)$(pool_status destaged)" 00 "rows that went through the journal"
	same "$WORK/a"
}

full_is_all() {
	fresh_pool 6 64 --journal full --extent-size 1M
	volume ec=4+2 32M
	filled 2
	change 0 4
	change 16 64
	went_through 17
	same "$WORK/a"
	restart
	same "$WORK/a"
	scrub_finds 0
}

# Replicas have no parity, and no use for a journal.
replicas_have_none() {
	fresh_pool 3 64 --journal full
	volume replicas=2 32M
	filled 2
	change 1 1
	assert_eq "$(pool_status journal_rows)$(pool_status destaged)" 00 "rows that went through the journal"
	same "$WORK/a"
}

# Whoever ends a pool, or a volume, or holds it for a while, leaves nothing behind.
volumes_end() {
	fresh_pool 6 64 --journal on --extent-size 1M
	volume ec=4+2 32M
	filled 2
	change 1 1
	dmsetup suspend p
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal of a pool that is suspended"
	dmsetup resume p
	change 2 1
	change 77 1
	dmsetup remove --retry p-v
	qbd volume remove --yes p/v
	no_volumes() { [ "$(pool_status chunks)" = 0 ]; }
	wait_until 20 no_volumes
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	restart
	volume ec=4+2 32M
	cmp -n 1048576 "$v" /dev/zero
}

# The ring moves to other members with what is in the journal.
moves_with_the_ring() {
	local i
	cut_pool 7 --journal on
	volume ec=4+2 32M
	filled 4
	for i in 0 1 2 3; do
		change $((i * 8 + 1)) 1
		lose "$i"
		change $((i * 8 + 129)) 1
		regain "$i"
		change $((i * 8 + 257)) 1
	done
	cut
	qbd pool start p
	same "$WORK/a"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

# A pool that is opened read-only reads what is in its journal, and leaves it there.
read_only_start() {
	cut_pool 6 --journal on
	volume ec=4+2 32M
	filled 2
	change 1 1
	change 70 2
	cut
	io_mark "${below[@]}"
	dmsetup create p --readonly --table "0 8192 qbd-pool 6 ${devs[*]} 1 read_only"
	dmsetup create p-v --readonly --table "0 65536 qbd /dev/mapper/p v 1 read_only"
	same "$WORK/a"
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	assert_eq "$(io_delta writes "${below[@]}")" 0 "number of writes"
	qbd pool start p
	same "$WORK/a"
}

subtest reads-its-writes-4+2 reads_its_writes ec=4+2 6
subtest reads-its-writes-2+1 reads_its_writes ec=2+1 4
subtest destaged-when-idle destaged_when_idle
subtest survives-a-crash survives_a_crash
subtest torn-row-data-in-place torn_row on 4 1 "2 0" 1
subtest torn-row-parity-in-place torn_row on 1 4 "2 3" 1
subtest torn-row-of-several torn_row on 2 5 "0 3" 1 2
subtest torn-whole-row torn_row on 2 5 "0 3" 0 1 2 3
subtest ring-members-lost ring_members_lost
subtest newest-wins newest_wins
subtest discards-over-the-journal discards_over_journal
subtest coalesces coalesces
subtest degraded-rows degraded_rows
subtest back-pressure back_pressure on
subtest back-pressure-full back_pressure full
subtest promised-room promised_room
subtest off-is-off off_is_off
subtest full-is-all full_is_all
subtest replicas-have-none replicas_have_none
subtest volumes-end volumes_end
subtest moves-with-the-ring moves_with_the_ring
subtest read-only-start read_only_start
finish
