#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Starts after an unclean stop, and without all members.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$(dirname "$0")/../lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$(dirname "$0")/../lib/cut.sh"

sums() {
	md5sum "${below[@]}"
}

unclean_start() { # POLICY COUNT
	cut_pool "$2"
	volume "$1" 40M
	random_file "$WORK/a" 20
	put "$WORK/a"
	# Written and not flushed: ranges are active.
	dd if="$WORK/a" of="$v" bs=64k count=20 oflag=direct conv=notrunc status=none
	cut
	qbd pool start p
	same "$WORK/a"
	scrub_finds 0
	qbd verify p
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

reconciles() {
	[ "$(pool_status reconcile)" = running ] && [ "$(pool_status reconciled)" != "$(pool_status to_reconcile)" ]
}

# What a start is busy with is in the status line, while it is.
reconcile_is_told() {
	local start
	cut_pool 3
	volume replicas=2 40M
	random_file "$WORK/a" 20
	put "$WORK/a"
	dd if="$WORK/a" of="$v" bs=256k count=80 oflag=direct conv=notrunc status=none
	cut
	set_tables "delay DEV 0 20" "${!devs[@]}"
	qbd pool start p &
	start=$!
	wait_until 60 reconciles
	wait "$start"
	assert_eq "$(pool_status reconcile)" idle "reconcile after the start"
	assert_ge "$(pool_status to_reconcile)" 20 "ranges to reconcile"
	assert_eq "$(pool_status reconciled)" "$(pool_status to_reconcile)" "ranges that were reconciled"
	set_tables "linear DEV 0" "${!devs[@]}"
	same "$WORK/a"
	scrub_finds 0
}

# Rule 12: an unclean pool that is opened read-only is read, and stays as it is.
read_only_changes_nothing() {
	local before i errors=0
	cut_pool 3
	volume replicas=2 40M
	random_file "$WORK/a" 20
	put "$WORK/a"
	# Other data, not flushed: what is recorded is on no leg, and one leg's is taken.
	random_file "$WORK/b" 2
	dd if="$WORK/b" of="$v" bs=64k oflag=direct conv=notrunc status=none
	cut
	before=$(sums)
	io_mark "${below[@]}"
	dmsetup create p --readonly --table "0 8192 qbd-pool 3 ${devs[*]} 4 read_only error_limit 1 3600"
	dmsetup create p-v --readonly --table "0 81920 qbd /dev/mapper/p v 1 read_only"
	assert_eq "$(pool_status mode)" ro mode
	dd if="$v" of="$WORK/read-only" bs=1M count=20 iflag=direct status=none
	assert_fails 'failed' message checkpoint
	# Nor does it say who is out. Copies are read from the nearest, which is one of them.
	for i in 0 1 2; do
		set_tables "flakey DEV 0 0 1 1 error_reads" $i
		same "$WORK/read-only"
		errors=$((errors + $(backend_field read_errors $i)))
		set_tables "linear DEV 0" $i
	done
	assert_ge $errors 1 "errors of reads"
	assert_eq "$(pool_status health)" AAA health
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	assert_eq "$(io_delta writes "${below[@]}")" 0 "number of writes"
	assert_eq "$(sums)" "$before" "what is on the backends"
	qbd pool start p
	same "$WORK/read-only"
	cmp -i 2M "$WORK/read-only" "$WORK/a"
}

# log_is DEVICE: sets last, the number of the log's last block, and unit, the one behind its last record of checksums.
log_is() {
	local nr
	last=$(qbd examine "$1" | sed -n 's/^log .* to \([0-9]*\),.*/\1/p')
	IFS=+ read -r unit nr <<<"$(qbd examine "$1" --ring | sed -n 's/^.*csum layer 1 .* units \([0-9+]*\).*/\1/p' | tail -n 1)"
	unit=$((unit + nr))
}

# A discard of 200 rows, each of which has two blocks: its records take some blocks of the ring. Without the last
# of these, as a cut leaves them, the end is within a row: each of its units is right, and its parity is not that of
# the data, if it is left as it was.
discard_is_cut_in_a_row() {
	local i last unit round in_a_row=0
	cut_pool 6 --journal off
	volume ec=4+2 16M
	fio --name=every-other --filename="$v" --rw=write:4k --bs=4k --size=3200k --direct=1 --ioengine=psync \
		--output="$WORK/fio.out"
	# Or the chunk would be freed.
	dd if=/dev/urandom of="$v" bs=16k count=1 seek=300 oflag=direct conv=notrunc status=none
	sync_volume
	message checkpoint
	blkdiscard -f -l $((200 * 16384)) "$v"
	sync_volume
	cut
	geometry
	for round in 1 2; do
		log_is "${below[0]}"
		for i in "${!below[@]}"; do
			dd if=/dev/zero of="${below[i]}" bs=4k count=1 seek=$((ring_start / 4096 + last % ring_blocks)) oflag=direct \
				conv=notrunc status=none
			cp --sparse=always "$WORK/loop/d$i.img" "$WORK/image$i"
		done
		log_is "${below[0]}"
		[ $((unit % 6)) = 0 ] || in_a_row=$((in_a_row + 1))
		qbd pool start p
		dd if="$v" of="$WORK/read" bs=1M count=8 iflag=direct status=none
		for ((i = 0; i < 6; i += 2)); do
			lose "$i" $((i + 1))
			same "$WORK/read"
			regain "$i" $((i + 1))
		done
		assert_eq "$(pool_status lost)" 0 "lost blocks"
		qbd pool stop p
		for i in "${!below[@]}"; do
			dd if="$WORK/image$i" of="${below[i]}" bs=1M conv=notrunc,fsync status=none
		done
	done
	assert_ge $in_a_row 1 "ends within a row"
}

# Backends of the ring go and come one after another: each time another takes its place.
ring_is_kept_up() {
	local i
	fresh_pool 6 128
	volume ec=4+2 40M
	random_file "$WORK/a" 10
	put "$WORK/a"
	# The last of the first members could not go, had nobody come in its place.
	for i in 0 1 2 3 4 5; do
		lose "$i"
		regain "$i"
		wait_until 10 ring_has 3
	done
	restart
	same "$WORK/a"
	lose 0 1
	same "$WORK/a"
	put "$WORK/a"
	regain 0 1
	restart
	same "$WORK/a"
	scrub_finds 0
}

ring_has() { # COUNT
	[ "$(ring_members | wc -w)" -ge "$1" ]
}

# A leg that was not filled yet, when the backend goes that has the other one.
needed_legs_are_waited_for() {
	local chunk tag lost=()
	fresh_pool 3 48 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/a" 8
	put "$WORK/a"
	message fail 1
	random_file "$WORK/a" 8
	put "$WORK/a"
	message resync stop
	qbd backend readd p "${devs[1]}"
	assert_eq "$(pool_status health)" AaA health
	tag=$(tag_of_pool)
	qbd pool stop p
	log_mark
	assert_fails . dmsetup create p --table "0 8192 qbd-pool 2 ${devs[1]} ${devs[2]} 1 allow_degraded"
	assert_log 'chunk [0-9]+ needs legs that only missing backends have'
	dmsetup remove p 2>/dev/null || :
	# The operator says so. What he cannot have he does not lose: not by writes that fail, either.
	dmsetup create p --table "0 8192 qbd-pool 2 ${devs[1]} ${devs[2]} 2 force_history $tag"
	dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
	for ((chunk = 0; chunk < 8; chunk++)); do
		dd if="$v" of=/dev/null bs=1M skip=$chunk count=1 iflag=direct status=none 2>/dev/null ||
			lost+=("$chunk")
	done
	echo "without them: ${lost[*]}"
	assert_ge "${#lost[@]}" 2 "chunks that cannot be read"
	assert_le "${#lost[@]}" 6 "chunks that cannot be read"
	for chunk in "${lost[@]}"; do
		assert_fails 'Input/output error' dd if=/dev/urandom of="$v" bs=64k seek=$((16 * chunk)) count=1 \
			oflag=direct conv=notrunc,fsync status=none
	done
	qbd backend readd p "${devs[0]}"
	message resync start
	repaired
	same "$WORK/a"
	scrub_finds 0
}

# Chunks of which no table tells that is there are errors, not holes, and nobody makes them anew.
chunks_that_nobody_names() {
	local chunk tag alone=() round
	fresh_pool 3 48 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/a" 8
	put "$WORK/a"
	tag=$(tag_of_pool)
	qbd pool stop p
	for round in "2 force_history $tag" 0; do
		dmsetup create p --table "0 8192 qbd-pool 1 ${devs[2]} $round"
		dmsetup create p-v --table "0 32768 qbd /dev/mapper/p v"
		alone=()
		for ((chunk = 0; chunk < 8; chunk++)); do
			dd if="$v" of=/dev/null bs=1M skip=$chunk count=1 iflag=direct status=none 2>/dev/null ||
				alone+=("$chunk")
		done
		echo "on the others alone: ${alone[*]}"
		assert_ge "${#alone[@]}" 2 "chunks that cannot be read"
		for chunk in "${alone[@]}"; do
			assert_fails 'Input/output error' dd if=/dev/urandom of="$v" bs=64k seek=$((16 * chunk)) \
				count=1 oflag=direct conv=notrunc,fsync status=none
		done
		[ "$round" = 0 ] || { dmsetup remove p-v; dmsetup remove --retry p; }
	done
	qbd backend readd p "${devs[0]}"
	same "$WORK/a"
	qbd backend readd p "${devs[1]}"
	message resync start
	repaired
	same "$WORK/a"
	put "$WORK/a" 8
	scrub_finds 0
}

# Four disks, and rows that were being written; two disks are away, and the operator starts without them. Sets away:
# chunks of which one leg is there.
start_without_two() {
	local tag chunk block failed
	away=()
	cut_pool 4
	volume ec=2+1 40M
	random_file "$WORK/a" 32
	put "$WORK/a"
	message checkpoint
	tag=$(tag_of_pool)
	random_file "$WORK/b" 32
	dd if="$WORK/b" of="$v" bs=1M oflag=direct conv=notrunc status=none
	cut
	dmsetup create p --table "0 8192 qbd-pool 2 ${devs[2]} ${devs[3]} 2 force_history $tag"
	dmsetup create p-v --table "0 81920 qbd /dev/mapper/p v"
	# With two legs a block of each row is lost, or none; with one leg none can be read.
	for chunk in 0 1 2 3; do
		failed=0
		for block in 0 1; do
			dd if="$v" of=/dev/null bs=4k skip=$((chunk * 2048 + block)) count=1 iflag=direct \
				status=none 2>/dev/null || failed=$((failed + 1))
		done
		[ "$failed" != 2 ] || away+=("$chunk")
	done
	echo "too few legs: ${away[*]}"
	assert_ge "${#away[@]}" 1 "chunks with one leg"
	# A checkpoint does not let go of them.
	message checkpoint
}

# Those chunks hold what was written last.
away_are_right() {
	local chunk
	for chunk in "${away[@]}"; do
		cmp <(dd if="$v" bs=1M skip=$((8 * chunk)) count=8 iflag=direct status=none) \
			<(dd if="$WORK/b" bs=1M skip=$((8 * chunk)) count=8 status=none)
	done
}

# Rows that were being written, of chunks that have too few legs at the start: made whole when these return.
rows_are_made_whole_later() {
	local away
	start_without_two
	qbd backend readd p "${devs[0]}"
	qbd backend readd p "${devs[1]}"
	message resync start
	repaired
	away_are_right
	scrub_finds 0
}

# The same takes long. A checkpoint meanwhile, as there is one when a backend returns, neither lets go of these rows nor
# miscounts them; then the power goes.
checkpoint_while_they_are() {
	local away
	start_without_two
	qbd backend readd p "${devs[0]}"
	set_tables "delay DEV 0 100 DEV 0 0" 2 3
	qbd backend readd p "${devs[1]}"
	message checkpoint
	random_file "$WORK/c" 1
	at_once put "$WORK/c" 36
	assert_ge "$(pool_status to_reconcile)" $(($(pool_status reconciled) + 1)) "ranges to reconcile, that are not yet"
	cut 0 1 2 3
	qbd pool start p
	repaired
	away_are_right
	same "$WORK/c" 36
	scrub_finds 0
}

subtest unclean-replicas-2 unclean_start replicas=2 3
subtest unclean-ec-4-2 unclean_start ec=4+2 6
subtest reconcile-is-told reconcile_is_told
subtest read-only-changes-nothing read_only_changes_nothing
subtest needed-legs-are-waited-for needed_legs_are_waited_for
subtest chunks-that-nobody-names chunks_that_nobody_names
subtest rows-are-made-whole-later rows_are_made_whole_later
subtest checkpoint-while-they-are checkpoint_while_they_are
subtest discard-is-cut-in-a-row discard_is_cut_in_a_row
subtest ring-is-kept-up ring_is_kept_up
finish
