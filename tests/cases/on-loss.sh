#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Backends that fail together and hold last current legs, or the last ring, stay in. I/O that needs them
# waits (on_loss queue) or fails (error), and all goes on when they return: nobody went out, no restart.
# Lanes: uml-fast uml-debug
# Waits: yes
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# legs_are TARGET REST INDEX...: the legs become that target over their disks, with what is in flight.
legs_are() {
	local target=$1 rest=$2 i
	shift 2
	for i; do
		dmsetup load "leg$i" --table "0 $sectors $target ${disks[i]} 0 $rest"
	done
	for i; do
		dmsetup suspend --nolockfs --noflush "leg$i"
	done
	for i; do
		dmsetup resume "leg$i"
	done
}

# Legs fail together. Not by the target error: a flush of that succeeds.
fail_legs() { # INDEX...
	legs_are flakey '0 1000000' "$@"
}

heal_legs() { # INDEX...
	legs_are linear '' "$@"
}

# leg_devices COUNT MIB: devices that fail_legs knows.
leg_devices() {
	local i
	discard_all
	devs=() disks=() all=()
	sectors=$(($2 << 11))
	for ((i = 0; i < $1; i++)); do
		loop_disk "d$i" "$2"
		disks+=("$REPLY")
		dmsetup create "leg$i" --table "0 $sectors linear $REPLY 0"
		devs+=("/dev/mapper/leg$i")
		all+=("$i")
	done
}

# leg_pool COUNT MIB error|queue [OPTION...]: a pool p on such devices.
leg_pool() {
	leg_devices "$1" "$2"
	qbd pool create p "${devs[@]}" "${@:4}"
	qbd pool start p --on-loss "$3"
}

# leg_pool_journal COUNT MIB error|queue [OPTION...]: and with two more, from leg COUNT on, for the journal alone.
leg_pool_journal() {
	leg_devices $(($1 + 2)) "$2"
	qbd pool create p "${devs[@]:0:$1}" --journal "${devs[$1]}" --journal "${devs[$1 + 1]}" "${@:4}"
	qbd pool start p --on-loss "$3"
}

hang_legs() { # INDEX...: requests to them wait until the next fail_legs or heal_legs
	local i
	for i; do
		dmsetup suspend --nolockfs --noflush "leg$i"
	done
}

remove_pool() {
	dmsetup remove --retry p-v
	dmsetup remove --retry p
}

# crash_without INDEX...: the pool ends while these legs fail; then they are there again.
crash_without() {
	fail_legs "$@"
	remove_pool
	heal_legs "$@"
}

write_block() { # FILE BLOCK: of 4 KiB, not flushed
	dd if="$1" of="$v" bs=4096 count=1 seek="$2" oflag=direct conv=notrunc status=none
}

# --- waits ----------------------------------------------------------------------------------------

# Reads, writes, flushes and discards, verified by who made them.
whole_outage_queue() { # POLICY DISKS [OPTION...]
	local load trim
	leg_pool "$2" 64 queue --extent-size 1M "${@:3}"
	volume "$1" 48M
	random_file "$WORK/data" 8
	put "$WORK/data"
	log_mark
	fio --name=load --filename="$v" --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite \
		--bsrange=4k-64k --bs_unaligned=0 --offset=16M --size=8M --loops=3 --verify=crc32c \
		--do_verify=1 --verify_fatal=1 --fsync=16 --output="$WORK/fio.out" &
	load=$!
	sleep 0.2
	fail_legs "${all[@]}"
	dd if="$v" of="$WORK/read" bs=1M count=8 iflag=direct status=none &
	blkdiscard -o $((30 << 20)) -l $((4 << 20)) "$v" &
	trim=$!
	wait_until 20 waiting 2
	kill -0 $load
	heal_legs "${all[@]}"
	wait $trim
	wait $load || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	wait
	cmp "$WORK/read" "$WORK/data"
	wait_until 20 nothing_failing
	assert_no_log 'is out, epoch'
	[[ $(pool_status health) =~ ^A+$ ]] || fail "health is $(pool_status health)"
	same "$WORK/data"
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

waits_and_succeeds() { # COMMAND...: while both legs fail; healed in any case, for nothing is removed while a flush waits
	local pid
	fail_legs 0 1
	"$@" &
	pid=$!
	waits_or_ended() { waiting 1 || ended $pid; }
	wait_until 20 waits_or_ended
	heal_legs 0 1
	wait $pid || fail "an error: $*"
	wait_until 20 nothing_failing
}

# Nothing but reads fails, so nobody is kept before they are asked.
reads_wait() {
	leg_pool 2 64 queue --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	restart --on-loss queue
	# Nothing of the chunk is in memory.
	waits_and_succeeds dd if="$v" of="$WORK/read" bs=1M skip=1 count=1 iflag=direct status=none
	message checkpoint
	# Parts of two blocks, which have to be read first; their range is active. (Zeroing would be tried twice.)
	write_block "$WORK/data" 0
	waits_and_succeeds blkdiscard -f -o $((4096 + 512)) -l 4096 "$v"
	cmp -n $((1 << 20)) "$WORK/read" "$WORK/data" 0 $((1 << 20))
	dd if=/dev/zero of="$WORK/data" bs=512 seek=9 count=8 conv=notrunc status=none
	same "$WORK/data"
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

backend_is_in() { # INDEX
	[ "$(backend_field state "$1")" = in ]
}

# After a crash a chunk is started with too few legs: it can be used when its rows were made whole, not before.
rows_are_made_whole_first() {
	local reader tag
	leg_pool 3 64 queue --extent-size 1M --journal off
	volume ec=2+1 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	# All that is known of the chunk is in its tables, but that the range is active.
	message checkpoint
	write_block "$WORK/data" 0
	tag=$(tag_of_pool)
	crash_without 0 1 2
	# The operator says so.
	dmsetup create p --table "0 8192 qbd-pool 1 ${devs[2]} 4 force_history $tag on_loss queue"
	dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
	dd if="$v" of="$WORK/read" bs=1M count=4 iflag=direct status=none &
	reader=$!
	wait_until 20 waiting 1
	qbd backend readd p "${devs[0]}"
	wait_until 20 backend_is_in 0
	# Two legs, but the third may have what they are to be made whole with.
	wait_until 20 waiting 1
	qbd backend readd p "${devs[1]}"
	wait $reader || fail "a read saw an error"
	cmp "$WORK/read" "$WORK/data"
	wait_until 20 nothing_failing
	repaired
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# What the log alone has of a chunk goes with a start that has too few legs to use it: no holes, but errors.
forced_start_is_no_zeros() {
	local tag i block
	for i in 0 1 2; do
		leg_pool 3 64 error --extent-size 1M --journal off
		volume ec=2+1 16M
		random_file "$WORK/data" 4
		put "$WORK/data"
		tag=$(tag_of_pool)
		crash_without 0 1 2
		dmsetup create p --table "0 8192 qbd-pool 1 ${devs[i]} 2 force_history $tag"
		dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
		for block in 0 1 2 600; do
			assert_fails 'Input/output error' dd if="$v" of=/dev/null bs=4096 skip=$block count=1 \
				iflag=direct status=none
		done
		remove_pool
		dm_remove_all
	done
}

# What waits is bounded by nobody, and holds no worker: more than any queue has.
many_wait() {
	local threads
	leg_pool 2 64 queue --extent-size 1M
	volume replicas=2 48M
	random_file "$WORK/data" 8
	put "$WORK/data"
	fail_legs 0 1
	fio --name=load --filename="$v" --direct=1 --ioengine=libaio --iodepth=2048 --rw=randwrite --bs=4k \
		--size=16M --offset=16M --verify=crc32c --do_verify=1 --verify_fatal=1 \
		--output="$WORK/fio.out" &
	wait_until 30 waiting 1000
	threads=$(ps -e -o stat,comm | grep -c '^D.*kworker.*qbd' || :)
	assert_le "$threads" 4 "workers that are blocked"
	heal_legs 0 1
	wait $! || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	wait_until 20 nothing_failing
	same "$WORK/data"
}

# The table says what is set; a message changes it, and who waits is told.
switched_while_waiting() {
	local writer status=0
	leg_pool 2 48 error --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	! dmsetup table p | grep -q on_loss || fail "the table names what is the default"
	assert_fails 'failed' message on_loss
	assert_fails 'failed' message on_loss panic
	message on_loss queue
	dmsetup table p | grep -q ' 2 on_loss queue$' || fail "table: $(dmsetup table p)"
	fail_legs 0 1
	write_block "$WORK/data" 10 &
	writer=$!
	wait_until 20 waiting 1
	message on_loss error
	wait $writer || status=$?
	assert_eq $status 1 "status of the writer"
	! write_block "$WORK/data" 11 2>/dev/null || fail "written to nowhere"
	heal_legs 0 1
	wait_until 20 nothing_failing
	write_block "$WORK/data" 0
	sync_volume
	same "$WORK/data"
}

# --- suspend, remove, stop ------------------------------------------------------------------------

noflush_suspend_requeues() {
	local writer
	leg_pool 2 48 queue --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	fail_legs 0 1
	write_block "$WORK/data" 0 &
	writer=$!
	wait_until 20 waiting 1
	dmsetup suspend --noflush --nolockfs p-v
	assert_eq "$(pool_status waiting)" 0 "requests that wait in the pool"
	kill -0 $writer
	dmsetup resume p-v
	wait_until 20 waiting 1
	dmsetup suspend --noflush --nolockfs p-v
	heal_legs 0 1
	wait_until 20 kept_is 0
	dmsetup resume p-v
	wait $writer
	wait_until 20 nothing_failing
	same "$WORK/data"
}

other_suspend_fails() {
	local writer status=0
	leg_pool 2 48 queue --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	fail_legs 0 1
	write_block "$WORK/data" 0 2>/dev/null &
	writer=$!
	wait_until 20 waiting 1
	dmsetup suspend p-v
	wait $writer || status=$?
	assert_eq $status 1 "status of the writer"
	dmsetup resume p-v
	heal_legs 0 1
	wait_until 20 nothing_failing
	same "$WORK/data"
}

removed_and_stopped_while_waiting() {
	local writer status=0
	leg_pool 2 48 queue --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	sync_volume
	fail_legs 0 1
	write_block "$WORK/data" 20 2>/dev/null &
	writer=$!
	wait_until 20 waiting 1
	dmsetup remove --force p-v 2>/dev/null || :
	wait $writer || status=$?
	assert_eq $status 1 "status of the writer"
	dmsetup remove --retry p-v 2>/dev/null || :
	dmsetup remove --retry p
	heal_legs 0 1
	qbd pool start p
	same "$WORK/data"
}

# --- error ----------------------------------------------------------------------------------------

errors_until_return() { # POLICY DISKS [OPTION...]
	local status=0
	leg_pool "$2" 64 error --extent-size 1M "${@:3}"
	volume "$1" 48M
	random_file "$WORK/data" 8
	put "$WORK/data"
	log_mark
	# It is cut in the middle: rows of any mixture.
	fio --name=load --filename="$v" --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite \
		--bsrange=4k-64k --bs_unaligned=0 --offset=16M --size=4M --time_based --runtime=60 \
		--output="$WORK/fio.out" 2>/dev/null &
	sleep 0.3
	fail_legs "${all[@]}"
	wait $! || status=$?
	[ $status != 0 ] || fail "fio saw no error"
	! sync_volume 2>/dev/null || fail "flushed to nowhere"
	! dd if="$v" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null || fail "read from nowhere"
	assert_match "$(pool_status health)" K health
	heal_legs "${all[@]}"
	wait_until 20 nothing_failing
	assert_no_log 'is out, epoch'
	# Rows that the writes left in any mixture are settled: all can be read, without a restart.
	dd if="$v" of=/dev/null bs=1M iflag=direct status=none
	assert_eq "$(pool_status lost)" 0 "lost blocks"
	same "$WORK/data"
	random_file "$WORK/data" 8
	put "$WORK/data"
	same "$WORK/data"
	scrub_finds 0
	restart
	same "$WORK/data"
	scrub_finds 0
}

# Half of the legs of a row have what was written when the others fail: it is settled when they return.
torn_rows_are_settled() {
	leg_pool 6 64 error --extent-size 1M --journal off
	volume ec=4+2 32M
	random_file "$WORK/data" 2
	put "$WORK/data"
	random_file "$WORK/row" 1
	# Its range is active: nothing but the row is written.
	legs_are flakey '0 1000000 1 error_writes' 3 4 5
	! dd if="$WORK/row" of="$v" bs=16384 count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
		fail "half a row was written"
	wait_until 20 kept_is 38
	heal_legs 3 4 5
	wait_until 20 nothing_failing
	# One of each, it does not matter which, but all can be read, and nothing else has changed.
	dd if="$v" of="$WORK/read" bs=1M count=2 iflag=direct status=none
	cmp -i 16384 "$WORK/read" "$WORK/data"
	lose 0 3
	same "$WORK/read"
	assert_eq "$(csum_errors)" 0 "checksum errors"
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

# A cache that is gone: what was acknowledged and not flushed is written again to the leg that lost it,
# before any flush succeeds. Not if a flush comes in between.
written_again() {
	local try i
	for ((try = 0; try < 10; try++)); do
		leg_pool 2 48 error --extent-size 1M
		volume replicas=2 16M
		random_file "$WORK/data" 4
		put "$WORK/data"
		message checkpoint
		# The ranges are active, and flushed.
		put "$WORK/data"
		io_mark "${disks[@]}"
		cp --sparse=never "$WORK/loop/d0.img" "$WORK/cache"
		random_file "$WORK/data" 4
		dd if="$WORK/data" of="$v" bs=1M oflag=direct conv=notrunc status=none
		fail_legs 0 1
		[ "$(io_delta flushes "${disks[@]}")" != 0 ] || break
	done
	assert_le $try 9 "tries without a quiet moment"
	! sync_volume 2>/dev/null || fail "flushed to nowhere"
	wait_until 20 kept_is 3
	cp --sparse=never "$WORK/cache" "$WORK/loop/d0.img"
	io_mark "${disks[@]}"
	heal_legs 0 1
	wait_until 20 nothing_failing
	for i in 0 1; do
		assert_ge "$(io_delta write_sectors "${disks[i]}")" $((4 << 11)) "sectors written again to disk $i"
	done
	# It is there, on that leg alone, also for a start.
	scrub_finds 0
	message fail 1
	same "$WORK/data"
	qbd pool stop p
	qbd pool start p
	same "$WORK/data"
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

chunk_legs() { # sets legs: where the legs of the first chunk of the first volume are
	local i
	map_legs
	legs=()
	for ((i = 0; i < 3; i++)); do
		legs+=("${place[1:0:$i]%% *}")
	done
}

# A pool in which the destage of a part of the first row, of which a leg is missing, was cut in the middle.
destage_cut() {
	leg_pool_journal 3 64 error --extent-size 1M
	volume ec=2+1 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	chunk_legs
	qbd backend fail p "${devs[legs[0]]}"
	random_file "$WORK/block" 1
	write_block "$WORK/block" 1
	legs_are flakey '0 1000000 1 error_writes' "${legs[1]}"
	! message checkpoint 2>/dev/null || fail "destaged to nowhere"
	wait_until 20 kept_is "$(printf %x $((1 << legs[1])))"
}

# A destage is cut in the middle, of a part of a row of which a leg is missing: its old parity is gone, and
# the new one says nothing without the data that it is of. It is completed as it was begun.
destage_is_completed() {
	destage_cut
	heal_legs "${legs[1]}"
	wait_until 20 nothing_failing
	dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 seek=1 conv=notrunc status=none
	same "$WORK/data"
	message checkpoint
	assert_eq "$(pool_status journal_rows)" 0 "rows in the journal"
	same "$WORK/data"
	regain "${legs[0]}"
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

# The chunk is freed by a record that fails, as it seems, and is durable later, while a destage waits to be completed.
freed_while_begun() {
	destage_cut
	legs_are flakey '0 1000000 1 error_writes' 3 4
	! blkdiscard -f -l $((2 << 20)) "$v" 2>/dev/null || fail "freed without a record"
	heal_legs "${legs[1]}" 3 4
	wait_until 20 nothing_failing
	# It goes on: others are destaged, and nothing is left of it.
	write_block "$WORK/block" 600
	message checkpoint
	wait_until 20 rows_are 0
	dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 seek=600 conv=notrunc status=none
	dd if="$v" of="$WORK/read" bs=1M count=4 iflag=direct status=none
	cmp -i $((2 << 20)) "$WORK/read" "$WORK/data"
	# Freed or not, but all of it.
	dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 seek=1 conv=notrunc status=none
	cmp -s -n $((2 << 20)) "$WORK/read" "$WORK/data" || cmp -n $((2 << 20)) "$WORK/read" /dev/zero
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# A write fails because the ring does, and the destage has waited for its row: nothing of it goes to its place,
# where a start would find it without a record.
nothing_in_place_without_record() {
	local writer pid
	leg_pool_journal 3 64 error --extent-size 1M --journal full
	volume ec=2+1 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	message checkpoint
	random_file "$WORK/block" 1
	write_block "$WORK/block" 1
	hang_legs 3 4
	dd if="$WORK/block" of="$v" bs=8192 count=1 oflag=direct conv=notrunc status=none 2>/dev/null &
	writer=$!
	wait_until 20 worker_waits io
	message checkpoint 2>/dev/null &
	pid=$!
	wait_until 20 worker_waits journal
	fail_legs 3 4
	! wait $writer || fail "written without a ring"
	! wait $pid || fail "destaged without a ring"
	remove_pool
	heal_legs 3 4
	qbd pool start p
	dd if="$WORK/block" of="$WORK/data" bs=4096 count=1 seek=1 conv=notrunc status=none
	same "$WORK/data"
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
}

# Of two that are kept one is gone for good: then it goes out.
one_does_not_return() { # error|queue
	local writer
	leg_pool 3 48 "$1" --extent-size 1M
	volume replicas=3 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	fail_legs 0 1 2
	if [ "$1" = queue ]; then
		put "$WORK/data" &
		writer=$!
		wait_until 20 waiting 1
	else
		! put "$WORK/data" 2>/dev/null || fail "written to nowhere"
	fi
	wait_until 20 kept_is 7
	heal_legs 0 2
	[ "$1" = error ] || wait $writer
	wait_until 60 nothing_failing
	assert_match "$(pool_status health)" '^A[SD]A$' health
	same "$WORK/data"
	heal_legs 1
	qbd backend readd p "${devs[1]}"
	repaired
	scrub_finds 0
	restart
	same "$WORK/data"
}

# One after another: whoever fails while the first one's epoch is being written cannot go out.
one_after_another() {
	local round i writer
	leg_pool 2 48 queue --extent-size 1M
	message hold_off 0
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	for ((round = 0; round < 6; round++)); do
		rm -f "$WORK/enough"
		{ until [ -e "$WORK/enough" ]; do put "$WORK/data"; done; } &
		writer=$!
		fail_legs $((round % 2))
		fail_legs $((1 - round % 2))
		wait_until 20 waiting 1
		touch "$WORK/enough"
		heal_legs 0 1
		wait $writer
		wait_until 20 nothing_failing
		# One may have been out before the other failed.
		for i in 0 1; do
			[ "$(backend_field state $i)" = in ] || qbd backend readd p "${devs[i]}"
		done
		repaired
		same "$WORK/data"
	done
	scrub_finds 0
	restart
	same "$WORK/data"
}

# Servers that are started again: their devices are others, and the pool is told.
devices_anew() {
	local writer
	nbd_pool 2 48 --extent-size 1M
	message on_loss queue
	volume replicas=2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	# Nothing is written between the two losses.
	message checkpoint
	log_mark
	nbd_kill n0
	nbd_kill n1
	random_file "$WORK/data" 4
	put "$WORK/data" &
	writer=$!
	wait_until 20 waiting 1
	wait_until 20 kept_is 3
	nbd_return 0
	qbd backend readd p "${devs[0]}"
	nbd_return 1
	qbd repair p --quiet >/dev/null
	wait $writer
	wait_until 20 nothing_failing
	assert_no_log 'is out, epoch'
	same "$WORK/data"
	scrub_finds 0
	restart
	same "$WORK/data"
}

superblock_number() {
	qbd examine "${devs[0]}" | sed -n 's/^superblock *write \([0-9]*\),.*/\1/p'
}

# super_sum PLACE: of disk 0, a sum of the superblock there.
super_sum() {
	dd if="${devs[0]}" bs=16k skip=$(($1 / 16384)) count=1 iflag=direct status=none | md5sum
}

write_errors_are() { # AT LEAST
	[ "$(backend_field write_errors 0)" -ge "$1" ]
}

# Superblocks that cannot be written, in an outage, do not change where the newest one is: the next one that can goes to
# the other place, however many failed.
newest_superblock_stays() {
	local round place before errors
	leg_pool 1 48 error --extent-size 1M
	volume replicas=1 8M
	random_file "$WORK/data" 1
	truncate -s 4096 "$WORK/data"
	for ((round = 0; round < 4; round++)); do
		place=$((16384 * ($(superblock_number) & 1)))
		before=$(super_sum $place)
		errors=$(backend_field write_errors 0)
		legs_are flakey '0 1000000 1 error_writes' 0
		! write_block "$WORK/data" 0 2>/dev/null || fail 'written to nowhere'
		wait_until 20 write_errors_are $((errors + 2))
		heal_legs 0
		wait_until 20 nothing_failing
		assert_eq "$(super_sum $place)" "$before" 'the superblock that was the newest'
	done
	write_block "$WORK/data" 0
	sync_volume
	restart
	same "$WORK/data"
}

subtest whole-outage-queue-replicas whole_outage_queue replicas=2 2
subtest whole-outage-queue-ec whole_outage_queue ec=4+2 6 --journal off
subtest whole-outage-queue-journal whole_outage_queue ec=4+2 6 --journal on
subtest reads-wait reads_wait
subtest rows-are-made-whole-first rows_are_made_whole_first
subtest forced-start-is-no-zeros forced_start_is_no_zeros
subtest many-wait many_wait
subtest switched-while-waiting switched_while_waiting
subtest noflush-suspend-requeues noflush_suspend_requeues
subtest other-suspend-fails other_suspend_fails
subtest removed-and-stopped-while-waiting removed_and_stopped_while_waiting
subtest errors-until-return-replicas errors_until_return replicas=2 2
subtest errors-until-return-ec errors_until_return ec=4+2 6 --journal off
subtest errors-until-return-journal errors_until_return ec=4+2 6 --journal on
subtest torn-rows-are-settled torn_rows_are_settled
subtest written-again written_again
subtest newest-superblock-stays newest_superblock_stays
subtest destage-is-completed destage_is_completed
subtest freed-while-begun freed_while_begun
subtest nothing-in-place-without-record nothing_in_place_without_record
subtest one-does-not-return-queue one_does_not_return queue
subtest one-does-not-return-error one_does_not_return error
subtest one-after-another one_after_another
subtest devices-anew devices_anew
finish
