#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What reads, writes and flushes cost in I/Os of the backends, as the architecture promises it:
# counted by the statistics of loop disks. A write with FUA is a write and a flush for these.
# Lanes: uml-fast uml-debug
# Timeout: 180
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# costs READS READ_SECTORS WRITES WRITE_SECTORS FLUSHES: what was measured, over all disks.
costs() {
	local field want
	for field in reads read_sectors writes write_sectors flushes; do
		want=$1
		shift
		local -n each=$field
		sum "${each[@]}"
		assert_eq "$REPLY" "$want" "$field of the disks (${each[*]})"
	done
}

# at_most COUNT FIELD: no disk did more.
at_most() {
	local -n each=$2
	local number
	for number in "${each[@]}"; do
		assert_le "$number" "$1" "$2 of a disk (${each[*]})"
	done
}

nothing() {
	:
}

# write_at BLOCK COUNT [BYTES]: COUNT blocks in one write.
write_at() {
	local bytes=${3:-4096}
	dd if="$WORK/data" of="$v" bs=$(($2 * bytes)) count=1 seek=$(($1 * bytes)) \
		oflag=direct,seek_bytes conv=notrunc status=none
}

# read_at BLOCK COUNT
read_at() {
	dd if="$v" of=/dev/null bs=$(($2 * 4096)) count=1 skip=$(($1 * 4096)) \
		iflag=direct,skip_bytes status=none
}

# A pool for one policy, with a chunk that has data from its first byte on.
filled() { # POLICY DISKS [JOURNAL]
	fresh_pool "$2" 64 --extent-size 1M --csum-bytes 56k --journal "${3:-off}"
	volume "$1" 32M
	random_file "$WORK/data" 2
	put "$WORK/data"
	members=$(ring_members | wc -w)
	assert_ge "$members" 1 "number of ring members"
}

read_of_a_block() { # POLICY DISKS
	filled "$@"
	small_read() { read_at 5 1; }
	measure small_read small_read
	costs 1 8 0 0 0
}

read_of_a_mib() {
	filled ec=4+2 6
	mib_read() { read_at 0 256; }
	measure mib_read mib_read
	costs 4 2048 0 0 0
	at_most 1 reads
	at_most 512 read_sectors
}

overwrite_of_replicas() { # R
	filled "replicas=$1" 5
	first_write() { write_at 7 1; }
	overwrite() { write_at 9 1; }
	measure first_write overwrite
	costs 0 0 "$1" $((8 * $1)) 0
	at_most 1 writes
}

full_row() { # K M DISKS
	filled "ec=$1+$2" "$3"
	eval "first_write() { write_at 0 $1; }
		overwrite() { write_at $((3 * $1)) $1; }"
	measure first_write overwrite
	costs 0 0 $(($1 + $2)) $((8 * ($1 + $2))) 0
	at_most 1 writes
}

# Rows that follow one another are one write a leg.
full_rows() {
	filled ec=4+2 6
	first_write() { write_at 0 4; }
	overwrite() { write_at 0 64; }
	measure first_write overwrite
	costs 0 0 6 $((16 * 6 * 8)) 0
	at_most 1 writes
}

part_of_a_row() { # K M DISKS W...
	local k=$1 m=$2 w n
	filled "ec=$k+$m" "$3"
	shift 3
	first_write() { write_at 0 "$k"; }
	for w; do
		n=$((w + m < k - w ? w + m : k - w))
		eval "part() { write_at $((2 * k + (k - w) / 2)) $w; }"
		echo "$w blocks of $k+$m"
		measure first_write part
		costs $n $((8 * n)) $((w + m)) $((8 * (w + m))) 0
		at_most 1 reads
	done
}

# With a journal a part of a row is one write of the ring, with the data, and reads nothing.
journaled_part() { # K M DISKS W...
	local k=$1 m=$2 w
	filled "ec=$k+$m" "$3" on
	shift 3
	first_write() { write_at 0 "$k"; }
	for w; do
		eval "part() { write_at $((2 * k + (k - w) / 2)) $w; }"
		echo "$w blocks of $k+$m"
		measure first_write part destaged
		# The blocks, and a block of the ring for what the headers take.
		costs 0 0 "$members" $((8 * (w + 1) * members)) "$members"
		at_most 1 writes
	done
	# Durable already: a flush finds nothing.
	flush_it() { sync "$v"; }
	flushed_part() { first_write; sync "$v"; part; }
	measure flushed_part flush_it destaged
	costs 0 0 0 0 0
}

# And its destage reads what such a write reads without a journal; that of a whole row nothing.
destage() { # W READS
	local i
	filled ec=4+2 6 on
	for ((i = 0; i < $1; i++)); do
		write_at $((8 + i)) 1
	done
	disk_counts before
	message checkpoint
	disk_counts after
	REPLY=0
	for ((i = 0; i < ${#after[@]}; i += 5)); do
		REPLY=$((REPLY + after[i] - before[i]))
	done
	assert_eq "$REPLY" "$2" "reads of a destage"
}

new_range() { # POLICY LEGS BLOCKS
	filled "$1" 6
	eval "write_row() { write_at 0 $3; }"
	measure nothing write_row
	# The range that a checkpoint ended has to be active again: the ring, and the write.
	costs 0 0 $(($2 + members)) $((8 * ($2 + members))) "$members"
}

new_chunk() { # POLICY LEGS BLOCKS
	filled "$1" 6
	# Far from what there is, elsewhere at each try.
	next=0
	write_row() { next=$((next + 1)); write_at $((2048 + 1024 * next)) "$1"; }
	eval "write_new() { write_row $3; }"
	measure nothing write_new
	costs 0 0 $(($2 + members)) $((8 * ($2 + members))) "$members"
}

# Whatever the size of the extent: 4 KiB of data are 4 KiB on each leg, and no more is ever zeroed.
first_write_is_small() {
	fresh_pool 3 160 --extent-size 64M
	volume replicas=2 256M
	random_file "$WORK/data" 1
	members=$(ring_members | wc -w)
	next=-1
	write_new() { next=$((next + 1)); write_at $((next * 16384 + 77)) 1; }
	measure nothing write_new
	costs 0 0 $((2 + members)) $((8 * (2 + members))) "$members"
	same_zeros() { cmp -n $((76 * 4096)) "$v" /dev/zero; }
	same_zeros
}

# Records that come while a write of the ring is under way share the next one: on disks that stand
# still until all of them have come.
group_commit() {
	local chunks=24 disk
	discard_all
	devs=()
	for disk in 0 1 2; do
		loop_disk "d$disk" 128
		devs+=("$REPLY")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	for disk in 0 1 2; do
		dmsetup create "still$disk" --table "0 $((128 << 11)) linear ${devs[disk]} 0"
	done
	qbd pool start /dev/mapper/still{0,1,2}
	volume replicas=2 64M
	members=$(ring_members | wc -w)
	random_file "$WORK/data" 1
	nothing_there() {
		blkdiscard -f "$v" 2>/dev/null
	}
	all_wait() {
		[ "$(io_stat in_flight "$v")" = "$chunks" ]
	}
	write_many() {
		local i
		for i in 0 1 2; do
			dmsetup suspend "still$i"
		done
		for ((i = 0; i < chunks; i++)); do
			write_at $((256 * i)) 1 &
		done
		wait_until 20 all_wait
		for i in 0 1 2; do
			dmsetup resume "still$i"
		done
		wait
	}
	measure nothing_there write_many
	assert_eq "$(pool_status chunks)" $chunks chunks
	sum "${flushes[@]}"
	assert_ge "$REPLY" "$members" "ring writes of $chunks new chunks"
	assert_le "$REPLY" $((4 * members)) "ring writes of $chunks new chunks, on $members members"
}

flush() { # POLICY BLOCKS LEGS
	local i ring written=0
	filled "$1" 6
	first_write() { write_at 0 "$2"; write_at 64 "$2"; }
	eval "some_writes() { write_at 0 $2; write_at 64 $2; disk_counts written_before; }"
	flush_it() { sync "$v"; }
	measure some_writes flush_it
	sum "${reads[@]}"
	assert_eq "$REPLY" 0 reads
	# One ring block to each member, durable by a flush; a flush to each that has unflushed writes.
	sum "${write_sectors[@]}"
	assert_eq "$REPLY" $((8 * members)) "sectors written (${write_sectors[*]})"
	at_most 8 write_sectors
	for ((i = 0; i < 6; i++)); do
		ring=$((write_sectors[i] / 8))
		at_most 2 flushes
		written=$((written + flushes[i] - ring))
		assert_le $((flushes[i] - ring)) 1 "flushes of disk $i"
	done
	assert_eq "$written" "$3" "number of backends that were flushed"
	# And nothing at all when there is nothing unflushed.
	flush_twice() { some_writes; flush_it; }
	measure flush_twice flush_it
	costs 0 0 0 0 0
}

holes() { # POLICY DISKS
	filled "$1" "$2"
	# In the chunk with data but beyond it, and where there is no chunk.
	write_at 600 1
	hole_reads() { read_at 640 16; read_at 601 1; read_at 6000 256; }
	measure hole_reads hole_reads
	costs 0 0 0 0 0
}

discards() {
	filled ec=4+2 6
	# Whole rows: one record, at the next flush; the range has to be active.
	first_write() { write_at 0 4; }
	discard_rows() { blkdiscard -f -o 65536 -l 131072 "$v" 2>/dev/null; }
	measure first_write discard_rows
	sum "${reads[@]}"
	assert_eq "$REPLY" 0 reads
	sum "${write_sectors[@]}"
	assert_eq "$REPLY" 0 "sectors written"
	# A whole chunk, of 4 MiB: one record.
	whole_chunk() { write_at 0 4; }
	discard_chunk() { blkdiscard -f -o 0 -l 4194304 "$v" 2>/dev/null; }
	measure whole_chunk discard_chunk
	sum "${reads[@]}"
	assert_eq "$REPLY" 0 reads
	sum "${write_sectors[@]}"
	assert_eq "$REPLY" $((8 * members)) "sectors written (${write_sectors[*]})"
}

# What is recorded does not stay in the ring: 5 s later it is in pages, and then there is quiet.
idle_checkpoint() {
	local before
	filled replicas=2 3
	message checkpoint
	write_at 0 1
	sync "$v"
	before=$(pool_status checkpoints)
	no_checkpoint_yet() { [ "$(pool_status checkpoints)" = "$before" ]; }
	checkpoint_came() { ! no_checkpoint_yet; }
	no_checkpoint_yet
	wait_until 15 checkpoint_came
	# The range that was active, and the record of the checkpoint, take no more than one.
	before=$(pool_status checkpoints)
	sleep 7
	assert_le "$(pool_status checkpoints)" $((before + 1)) "number of checkpoints"
	before=$(pool_status checkpoints)
	sleep 7
	no_checkpoint_yet || fail "checkpoints go on with nothing to do"
}

subtest read-of-a-block-is-one-read-replicas read_of_a_block replicas=2 3
subtest read-of-a-block-is-one-read-ec read_of_a_block ec=4+2 6
subtest read-of-a-mib-is-a-read-a-data-leg read_of_a_mib
for r in 1 2 3; do
	subtest "overwrite-is-a-write-a-leg-replicas-$r" overwrite_of_replicas $r
done
subtest full-row-is-a-write-a-leg-4+2 full_row 4 2 6
subtest full-row-is-a-write-a-leg-2+1 full_row 2 1 4
subtest full-rows-are-a-write-a-leg full_rows
subtest part-of-a-row-reads-the-fewer-4+2 part_of_a_row 4 2 6 1 2 3
subtest part-of-a-row-reads-the-fewer-8+2 part_of_a_row 8 2 10 1 2 3 4 7
subtest part-of-a-row-is-a-ring-write-4+2 journaled_part 4 2 6 1 2 3
subtest part-of-a-row-is-a-ring-write-8+2 journaled_part 8 2 10 1 5 7
subtest destage-reads-the-fewer destage 1 3
subtest destage-of-a-whole-row-reads-nothing destage 4 0
subtest new-range-is-a-ring-write-more-replicas new_range replicas=2 2 1
subtest new-range-is-a-ring-write-more-ec new_range ec=4+2 6 4
subtest new-chunk-is-a-ring-write-more-replicas new_chunk replicas=2 2 1
subtest new-chunk-is-a-ring-write-more-ec new_chunk ec=4+2 6 4
subtest first-write-to-a-large-extent-is-small first_write_is_small
subtest records-are-committed-in-groups group_commit
subtest flush-is-one-a-backend-and-a-ring-write-replicas flush replicas=2 1 2
subtest flush-is-one-a-backend-and-a-ring-write-ec flush ec=4+2 4 6
subtest reads-of-holes-cost-nothing-replicas holes replicas=2 3
subtest reads-of-holes-cost-nothing-ec holes ec=4+2 6
subtest discards-cost-no-data-io discards
subtest checkpoint-comes-when-idle idle_checkpoint
finish
