#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is borne of a backend: errors up to a limit, failing again and again, being slow. A slow one is
# avoided and told of; it is not dead. Resync beside users goes at a pace that they hardly see.
# Lanes: uml-fast uml-debug
# Waits: yes
# Subtests: independent
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# behave DISK TARGET ARGS: what the disk does from now on: lower it gets instead of the word.
behave() { # DISK TARGET [ARG...]
	local disk=$1 target=$2 lower
	shift 2
	lower=$(cat "$WORK/loop/$disk.dev")
	dmsetup reload "$disk" --table \
		"0 $(blockdev --getsz "$lower") $target $(sed "s|lower|$lower|g" <<<"$*")"
	dmsetup suspend --noflush --nolockfs "$disk"
	dmsetup resume "$disk"
}

sound() { # DISK
	behave "$1" linear lower 0
}

fails_reads() {
	behave "$1" flakey lower 0 0 1 1 error_reads
}

fails_writes() {
	behave "$1" flakey lower 0 0 1 1 error_writes
}

takes() { # DISK MS: for each read; writes are as they were
	behave "$1" delay lower 0 "$2" lower 0 0
}

# fickle_pool COUNT MIB [OPTION...]: as fresh_pool, of disks d0.. that "behave" changes.
fickle_pool() {
	local count=$1 mib=$2 i
	shift 2
	discard_all
	devs=()
	lower=()
	for ((i = 0; i < count; i++)); do
		loop_disk "d$i" "$mib"
		lower+=("$REPLY")
		dmsetup create "d$i" --table "0 $(blockdev --getsz "$REPLY") linear $REPLY 0"
		devs+=("/dev/mapper/d$i")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M "$@"
	qbd pool start p
}

state_is() { # INDEX STATE
	[ "$(backend_field state "$1")" = "$2" ]
}

# limits_field FIELD INDEX: of the answer to the message "limits".
limits_field() {
	local column
	case $1 in
	state) column=2;;
	p50) column=3;;
	p99) column=4;;
	errors) column=5;;
	outs) column=6;;
	held) column=7;;
	*) fail "no field $1 of limits";;
	esac
	answer_field limits "$2" $column
}

limits_say() { # INDEX STATE
	[ "$(limits_field state "$1")" = "$2" ]
}

events() {
	dmsetup info -c --noheadings -o events p
}

more_events_than() { # COUNT
	[ "$(events)" -gt "$1" ]
}

# --- errors ---------------------------------------------------------------------------------------

errors_of_reads() {
	local before
	fickle_pool 3 48
	volume ec=2+1 24M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message error_limit 0 3600
	fails_reads d1
	# No limit: whatever it does. A third of the chunks have parity on it, which nobody reads.
	same "$WORK/data"
	same "$WORK/data"
	assert_ge "$(limits_field errors 1)" 8 "errors that count"
	state_is 1 in
	message error_limit 1000000 3600
	same "$WORK/data"
	state_is 1 in
	before=$(events)
	log_mark
	message error_limit 8 3600
	while state_is 1 in; do
		same "$WORK/data"
	done
	assert_log 'backend 1 .*: 8 reads failed or were wrong in 3600 s, which is its limit'
	wait_until 10 more_events_than "$before"
	same "$WORK/data"
	# It comes back as any other.
	sound d1
	qbd backend readd p "${devs[1]}"
	repaired
	scrub_finds 0
	same "$WORK/data"
}

errors_of_checksums() {
	fickle_pool 3 48
	volume replicas=2 16M
	random_file "$WORK/data" 12
	put "$WORK/data"
	message checkpoint
	start=$(qbd examine "${devs[0]}" | sed -n 's/^data area  *\([0-9]*\).*/\1/p')
	[ -n "$start" ]
	head -c 24M /dev/urandom | dd of="$WORK/loop/d0.img" bs=64k seek="$start" oflag=seek_bytes \
		conv=notrunc status=none
	echo 3 >/proc/sys/vm/drop_caches
	message error_limit 3 3600
	log_mark
	# A damaged extent is one error or a few, not 256.
	qbd scrub p --quiet >/dev/null || :
	wait_until 10 state_is 0 out
	assert_log 'backend 0 .*: 3 reads failed or were wrong'
	same "$WORK/data"
}

# Rule 4 is stronger than a limit; and what it wrote is as good as before, so flushes succeed.
last_legs_stay() {
	fickle_pool 2 48
	volume replicas=1 24M
	random_file "$WORK/data" 16
	put "$WORK/data"
	fails_reads d0
	message error_limit 2 3600
	log_mark
	dd if="$v" of=/dev/null bs=64k iflag=direct conv=noerror status=none 2>/dev/null || :
	wait_until 10 log_line 'backend 0 is over its limit of errors, but holds last current legs'
	state_is 0 in
	sound d0
	put "$WORK/data"
	same "$WORK/data"
	whole
}

falls_out() { # INDEX
	fails_writes "d$1"
	dd if=/dev/urandom of="$v" bs=64k count=32 oflag=direct conv=fsync,notrunc status=none
	wait_until 10 state_is "$1" out
	sound "d$1"
}

flapping() {
	local held before
	fickle_pool 3 48
	volume replicas=3 8M
	message hold_off 1000
	# An operator's word is no failure.
	message fail 1
	qbd backend readd p "${devs[1]}"
	for n in 1 2; do
		falls_out 1
		assert_eq "$(limits_field outs 1)" $n "times it failed"
		assert_eq "$(limits_field held 1)" 0 "seconds of hold-off"
		before=$(events)
		qbd backend readd p "${devs[1]}"
		wait_until 10 more_events_than "$before"
		repaired
	done
	falls_out 1
	held=$(limits_field held 1)
	assert_ge "$held" 500 "seconds of hold-off"
	assert_le "$held" 1000 "seconds of hold-off"
	log_mark
	assert_fails 'not let in for [0-9]+ s.*--now' qbd backend readd p "${devs[1]}"
	assert_log 'backend 1 failed 3 times: it is not let in for [0-9]+ s'
	# Nor by a timer, which forgets all.
	assert_status 1 qbd-repair p
	state_is 1 out
	qbd backend readd p "${devs[1]}" --now
	repaired
	falls_out 1
	assert_ge "$(limits_field held 1)" $((held + 500)) "seconds of hold-off the next time"
	message hold_off 0
	qbd backend readd p "${devs[1]}"
	repaired
	scrub_finds 0
}

# --- slow backends --------------------------------------------------------------------------------

reads_go_on() {
	fio --name=reads --filename="$v" --direct=1 --ioengine=libaio --iodepth=4 --rw=randread --bs=4k \
		--size=16M --time_based --runtime=600 --rate_iops=400 --output="$WORK/fio.out" &
	reader=$!
}

slow_is_avoided() { # POLICY DISKS
	local before got start
	fickle_pool "$2" 48
	volume "$1" 24M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message checkpoint
	same "$WORK/data"
	reads_go_on
	log_mark
	before=$(events)
	takes d0 60
	wait_until 60 limits_say 0 slow
	assert_log 'backend 0 .* is slow: half of its reads take [0-9]+ us, those of others [0-9]+ us'
	wait_until 10 more_events_than "$before"
	assert_ge "$(limits_field p50 0)" 50000 "microseconds for half of its reads"
	state_is 0 in
	whole
	# What was sent before has ended: nothing is read from it but what sees whether it still is slow.
	wait_until 10 idle_disk "${lower[0]}"
	io_mark "${lower[@]}"
	start=$SECONDS
	same "$WORK/data"
	got=$(io_delta reads "${lower[0]}")
	assert_le "$got" $((SECONDS - start + 5)) "reads of the slow backend in $((SECONDS - start)) s"
	assert_eq "$(csum_errors)" 0 "checksum errors"
	before=$(events)
	sound d0
	wait_until 90 limits_say 0 ok
	assert_log 'backend 0 .* is slow no longer'
	wait_until 10 more_events_than "$before"
	kill "$reader"
	wait "$reader" || :
	scrub_finds 0
}

idle_disk() { # DEVICE: no read in a moment
	local before
	before=$(io_stat reads "$1")
	sleep 0.3
	[ "$(io_stat reads "$1")" -le $((before + 1)) ]
}

# --- hedged reads ---------------------------------------------------------------------------------

# Disks that take 3 ms, as over a network, until more than a hundred reads have said so.
hedging_pool() { # POLICY DISKS
	local i
	fickle_pool "$2" 48
	volume "$1" 24M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message checkpoint
	message slow_factor 0
	for ((i = 0; i < $2; i++)); do
		takes "d$i" 3
	done
	# All of it, so that the checksums are in memory; and often, for a read in 32 may be hedged.
	same "$WORK/data"
	read_all_over
	wait_until 10 is_known 0
	wait_until 10 is_known 1
}

# 4096 reads: for that many some more may be hedged.
read_all_over() {
	fio --name=known --filename="$v" --direct=1 --ioengine=libaio --iodepth=16 --rw=randread --bs=4k \
		--size=16M --output="$WORK/fio.out"
}

is_known() { # INDEX
	[ "$(limits_field p99 "$1")" -ge 1000 ]
}

# in_4k: some of the first 2 MiB, 4 KiB at a time; sets longest, in ms. Not many: when the first late answers
# have come a hundredth of all were that late.
in_4k() {
	local at from ms
	longest=0
	for ((at = 0; at < 512; at += 51)); do
		from=${EPOCHREALTIME/./}
		cmp <(dd if="$v" bs=4096 skip=$at count=1 iflag=direct status=none) \
			<(dd if="$WORK/data" bs=4096 skip=$at count=1 status=none)
		ms=$(((${EPOCHREALTIME/./} - from) / 1000))
		[ "$ms" -le "$longest" ] || longest=$ms
	done
}

# nobody_waits_for DISK MS: as long as it takes for a read. On a busy machine many are late by chance, and all hedges that
# there may be can be gone: after more reads there are more.
nobody_waits_for() {
	local try
	for ((try = 0; try < 4; try++)); do
		takes "$1" "$2"
		in_4k
		[ "$longest" -gt $(($2 - 500)) ] || return 0
		takes "$1" 3
		read_all_over
	done
	fail "a read took $longest ms"
}

hedged_reads() { # POLICY DISKS
	local won late=$((1500 * slowness)) try
	hedging_pool "$@"
	won=$(pool_status hedges_won)
	# Of copies one of the two is the nearest, and may be the other one a moment later.
	for ((try = 0; try < 4; try++)); do
		nobody_waits_for d1 $late
		takes d1 3
		nobody_waits_for d0 $late
		[ "$(pool_status hedges_won)" = "$won" ] || break
		takes d0 3
		read_all_over
	done
	echo "longest $longest ms, $(pool_status hedged) hedged, $(pool_status hedges_won) won"
	assert_ge "$(pool_status hedges_won)" $((won + 1)) "hedges that were first"
	# They are late, but come, when nobody waits any more; the pool stops after that.
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	sound d0
	sound d1
	[ "$2" = 2 ] || sound d2
	qbd pool start p
	same "$WORK/data"
	scrub_finds 0
}

hedges_are_few() {
	local reads hedged
	hedging_pool replicas=2 2
	io_mark "${lower[@]}"
	takes d0 30
	takes d1 30
	# In the first second nearly all are late, by what was known before.
	fio --name=reads --filename="$v" --direct=1 --ioengine=libaio --iodepth=32 --rw=randread --bs=4k \
		--size=16M --time_based --runtime=3 --output="$WORK/fio.out"
	reads=$(io_delta reads "${lower[@]}")
	echo "$(pool_status hedged) of $reads reads were hedged"
	assert_le "$(pool_status hedged)" $((reads / 32 + 90)) "hedged reads"
	message hedge=off
	hedged=$(pool_status hedged)
	takes d0 200
	in_4k
	assert_eq "$(pool_status hedged)" "$hedged" "hedged reads while that is off"
}

# What the others have is wrong: a hedge that is first and not right is not taken.
hedges_are_checked() {
	local start hedged try
	hedging_pool replicas=2 2
	start=$(qbd examine "${devs[1]}" | sed -n 's/^data area  *\([0-9]*\).*/\1/p')
	head -c 24M /dev/urandom | dd of="$WORK/loop/d1.img" bs=64k seek="$start" oflag=seek_bytes \
		conv=notrunc status=none
	message error_limit 0 60
	echo 3 >/proc/sys/vm/drop_caches
	# So that d0 is the nearest.
	takes d1 40
	in_4k
	# On a busy machine many are late by chance, and it may have had its share of hedges.
	for ((try = 0; try < 5; try++)); do
		takes d0 3
		read_all_over
		hedged=$(pool_status hedged)
		takes d0 400
		in_4k
		[ "$(pool_status hedged)" = "$hedged" ] || break
	done
	echo "longest $longest ms, $(pool_status hedged) hedged, $(pool_status hedges_won) won"
	assert_ge "$(pool_status hedged)" $((hedged + 1)) "hedged reads"
	sound d0
	sound d1
	same "$WORK/data"
}

# --- resync beside users --------------------------------------------------------------------------

# mean_us: of the reads of the last fio.
mean_us() {
	awk -F'[:,]' '$0 ~ /"clat_ns"/ { c = 1 } c && /"mean"/ { printf "%d\n", $2 / 1000; exit }' "$WORK/fio.json"
}

reads_for() { # SECONDS
	fio --name=reads --filename="$v" --direct=1 --ioengine=libaio --iodepth=2 --rw=randread --bs=4k \
		--size=8M --time_based --runtime="$1" --output-format=json --output="$WORK/fio.json"
}

reads_run() {
	[ "$(io_delta reads "${devs[@]}")" -ge 100 ]
}

# 16 MiB to fill from one disk, which does one thing at a time, so that users' reads wait behind those of resync: it pauses
# for them, down to the least that it was told, they go on nearly as before, and it ends when they have.
beside_users() {
	local alone undisturbed beside bytes i pid ms
	discard_all
	devs=()
	for i in 0 1; do
		nbd_disk "n$i" 48 nbdkit --threads 1 --filter=delay delay-read=1ms
		devs+=("$REPLY")
		echo 16 >"/sys/block/${REPLY##*/}/queue/max_sectors_kb"
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	message hedge=off
	message resync least 512
	volume replicas=2 32M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message fail 1
	put "$WORK/data"
	reads_for 3
	alone=$(mean_us)
	let_in() { qbd backend readd p "${devs[1]}" && repaired 60; }
	took let_in
	undisturbed=$ms
	message fail 1
	put "$WORK/data"
	io_mark "${devs[@]}"
	reads_for 8 &
	pid=$!
	wait_until 10 reads_run
	qbd backend readd p "${devs[1]}"
	wait "$pid"
	bytes=$(pool_status resync_bytes)
	beside=$(mean_us)
	echo "a read takes $alone us alone, $beside us beside a resync of $bytes bytes in 8 s; alone that takes $undisturbed ms"
	assert_ge "$bytes" $((2 << 20)) "bytes of resync beside users"
	assert_le "$bytes" $((8 << 20)) "bytes of resync beside users"
	assert_le "$beside" $((alone * 4 + 1000)) "us of a read beside a resync"
	repaired 60
	assert_eq "$(pool_status resync_bytes)" $((16 << 20)) "bytes of resync"
	lose 0
	same "$WORK/data"
	qbd pool stop p
}

subtest errors-of-reads-have-a-limit errors_of_reads
subtest errors-of-checksums-have-a-limit errors_of_checksums
subtest last-legs-stay-in last_legs_stay
subtest flapping-is-held-off flapping
subtest slow-is-avoided-replicas slow_is_avoided replicas=2 3
subtest slow-is-avoided-ec slow_is_avoided ec=2+1 3
subtest hedged-reads-replicas hedged_reads replicas=2 2
subtest hedged-reads-ec hedged_reads ec=2+1 3
subtest hedges-are-few hedges_are_few
subtest hedges-are-checked hedges_are_checked
subtest resync-beside-users beside_users
finish
