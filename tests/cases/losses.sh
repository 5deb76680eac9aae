#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Backends that die during I/O and come back: NBD servers over loopback TCP that are killed. Up to the
# redundancy nobody sees an I/O error; what returns is brought up to date, and only with what it lacks;
# beyond it what is lost is an error, what is not goes on, and all is there again when they return.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

# load SECONDS MIB: writes with a checksum in each, verified at the end; in the background.
load() {
	fio --name=load --filename="$v" --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite \
		--bsrange=4k-64k --bs_unaligned=0 --size="$2M" --offset=16M --rate=$(($2 * 1024 / $1))k \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --fsync=32 --output="$WORK/fio.out" &
	load=$!
}

load_succeeds() {
	wait "$load" || { cat "$WORK/fio.out"; fail "fio saw errors"; }
}

written() { # DISK SECTORS: since the mark
	[ "$(io_delta write_sectors "$1")" -ge "$2" ]
}

health_matches() {
	[[ $(pool_status health) =~ $1 ]]
}

killed_during_io() { # POLICY DISKS LOSSES SECTORS INDEX...
	local losses=$3 sectors=$4 i verified=0 backend
	nbd_pool "$2" 64 --extent-size 1M
	volume "$1" 48M
	random_file "$WORK/data" 12
	put "$WORK/data"
	shift 4
	io_mark "${devs[@]}"
	load 4 24
	for i; do
		wait_until 20 written "${devs[$i]}" "$sectors"
		nbd_kill "n$i"
		sectors=$((sectors + 500))
	done
	load_succeeds
	same "$WORK/data"
	# What is missing is named.
	for i; do
		assert_eq "$(backend_field state "$i")" out "state of backend $i"
	done
	qbd verify p >"$WORK/verify" || verified=$?
	cat "$WORK/verify"
	assert_eq $verified 1 "status of verify"
	for i; do
		grep -E "backend $i .* is out since epoch" "$WORK/verify" || fail "verify does not name backend $i"
	done
	assert_eq "$(awk '$1 == "v" { print $NF }' "$WORK/verify")" "$losses" "how many more it can lose"
	qbd pool status p >"$WORK/status" || :
	for i; do
		grep -E "^ *$i +.* out" "$WORK/status" || { cat "$WORK/status"; fail "backend $i is not named"; }
	done
	# And they come back, with the load's data wholly verified again.
	for i; do
		nbd_return "$i"
		qbd backend readd p "${devs[$i]}"
	done
	repaired 60
	scrub_finds 0
	same "$WORK/data"
}

# Only chunks that were written without it are copied.
returns_stale() { # POLICY DISKS CHUNK_MIB INDEX
	local i=$4 chunk=$(($3 << 20)) bytes done_todo
	nbd_pool "$2" 48 --extent-size 1M
	volume "$1" 48M
	random_file "$WORK/data" 32
	put "$WORK/data"
	message checkpoint
	nbd_kill "n$i"
	# A block in each of two chunks, and a chunk that is new.
	dd if=/dev/urandom of="$WORK/part" bs=4096 count=256 status=none
	for at in $((chunk + 8192)) $((2 * chunk + 40960)); do
		dd if="$WORK/part" of="$v" bs=4096 count=1 seek=$at oflag=direct,seek_bytes conv=notrunc status=none
		dd if="$WORK/part" of="$WORK/data" bs=4096 count=1 seek=$at oflag=seek_bytes conv=notrunc status=none
	done
	dd if="$WORK/part" of="$v" bs=4096 count=256 seek=$((40 << 20)) oflag=direct,seek_bytes \
		conv=notrunc,fsync status=none
	wait_until 20 health_matches '[DS]'
	same "$WORK/data"
	nbd_return "$i"
	io_mark "${devs[@]}"
	qbd backend readd p "${devs[$i]}"
	repaired
	bytes=$(pool_status resync_bytes)
	echo "$(pool_status resync_chunks) chunks, $bytes bytes"
	assert_ge "$bytes" 4096 "bytes of resync"
	# A leg of at most two chunks and a new one.
	assert_le "$bytes" $((3 << 20)) "bytes of resync"
	assert_le "$(io_delta write_sectors "${devs[$i]}")" $(((3 << 20) / 512 + 2048)) "sectors written"
	scrub_finds 0
	# It is as good as any other.
	for ((n = 0; n < ${#devs[@]} && n < $5; n++)); do
		[ "$n" = "$i" ] || { message fail "$n"; break; }
	done
	same "$WORK/data"
	cmp "$WORK/part" <(dd if="$v" bs=1M skip=40 count=1 iflag=direct status=none)
}

# Nothing was written without it: nothing is copied.
returns_current() {
	nbd_pool 3 48 --extent-size 1M
	volume replicas=2 16M
	random_file "$WORK/data" 8
	put "$WORK/data"
	message checkpoint
	message fail 1
	qbd backend readd p "${devs[1]}"
	repaired
	assert_eq "$(pool_status resync_bytes)" 0 "bytes of resync"
	same "$WORK/data"
}

returns_empty() { # POLICY DISKS INDEX
	local i=$3 legs
	nbd_pool "$2" 48 --extent-size 1M
	volume "$1" 32M
	random_file "$WORK/data" 24
	put "$WORK/data"
	map_legs
	legs=$(printf '%s\n' "${place[@]}" | grep -c "^$i ")
	nbd_kill "n$i"
	dd if="$WORK/data" of="$v" bs=1M count=4 oflag=direct conv=notrunc,fsync status=none
	wait_until 20 health_matches '[DS]'
	nbd_disconnect "n$i"
	truncate -s 0 "$WORK/nbd/n$i.img"
	truncate -s 48M "$WORK/nbd/n$i.img"
	nbd_start "n$i"
	nbd_connect "n$i"
	devs[i]=$REPLY
	qbd backend replace p "$i" "${devs[$i]}"
	repaired 60
	# All legs that it had, whole, are there again, and no others were copied.
	assert_eq "$(pool_status resync_bytes)" $((legs << 20)) "bytes of resync of $legs legs"
	scrub_finds 0
	same "$WORK/data"
	restart
	whole
	same "$WORK/data"
}

resync_is() { # STATE
	[ "$(pool_status resync)" = "$1" ]
}

resync_has_done() { # CHUNKS
	local progress
	progress=$(pool_status resync_chunks)
	[ "${progress%/*}" -ge "$1" ]
}

# stale_backend: backend 1 of a pool of three loop disks lacks 16 MiB.
stale_backend() {
	fresh_pool 3 48 --extent-size 1M
	volume replicas=3 32M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message fail 1
	random_file "$WORK/data" 16
	put "$WORK/data"
}

resync_resumes() {
	local progress did todo
	stale_backend
	message resync rate 4096
	qbd backend readd p "${devs[1]}"
	wait_until 20 resync_has_done 3
	message resync stop
	resync_is stopped
	assert_eq "$(pool_status health)" AaA health
	progress=$(pool_status resync_chunks)
	did=${progress%/*} todo=${progress#*/}
	assert_eq "$todo" 16 "chunks to do"
	[ "$did" -lt 16 ] || fail "it was done before it was stopped"
	same "$WORK/data"
	# Stopped, it stays so; and a restart goes on by itself where it was.
	restart
	repaired 30
	progress=$(pool_status resync_chunks)
	assert_eq "$progress" "$((16 - did))/$((16 - did))" "chunks of the second resync"
	assert_le "$(pool_status resync_bytes)" $(((16 - did) << 20)) "bytes of the second resync"
	scrub_finds 0
	lose 0 2
	same "$WORK/data"
}

resync_stops_and_starts() {
	stale_backend
	message resync rate 4096
	qbd backend readd p "${devs[1]}"
	wait_until 20 resync_has_done 2
	message resync stop
	resync_is stopped
	message resync rate 0
	message resync start
	repaired
	scrub_finds 0
}

# As "qbd repair" asks for what began when the backend came in.
asked_again_counts_on() {
	stale_backend
	message resync rate 4096
	qbd backend readd p "${devs[1]}"
	wait_until 20 resync_has_done 3
	message resync start
	message resync rate 0
	repaired
	assert_eq "$(pool_status resync_chunks)" 16/16 progress
	assert_eq "$(pool_status resync_bytes)" $((16 << 20)) bytes
	message resync start
	wait_until 20 resync_is idle
	assert_eq "$(pool_status resync_chunks)" 0/0 "progress of one with nothing to do"
}

rate_is_limited() {
	local start bytes ms
	stale_backend
	message resync rate 2048
	qbd backend readd p "${devs[1]}"
	start=$(date +%s%N)
	wait_until 30 resync_has_done 4
	bytes=$(pool_status resync_bytes)
	ms=$((($(date +%s%N) - start) / 1000000))
	echo "$bytes bytes in $ms ms"
	# The last step may be on its way: 1 MiB more.
	assert_le "$bytes" $((2048 * (ms + 300) * 1024 / 1000 + (2 << 20))) "bytes in $ms ms"
	resync_is running
	message resync rate 0
	repaired 15
	assert_eq "$(pool_status resync_chunks)" 16/16 progress
	assert_eq "$(pool_status resync_bytes)" $((16 << 20)) "bytes"
}

resync_has_written() { # BYTES
	[ "$(pool_status resync_bytes)" -ge "$1" ]
}

# What is written to rows that were filled, while others of the chunk are still to be, is on the leg that
# comes in. The first write waits for the range, the second for nothing, the third for old content.
filled_rows_stay_right() {
	local place
	fresh_pool 3 32 --extent-size 4M
	volume replicas=3 8M
	random_file "$WORK/data" 8
	put "$WORK/data"
	message fail 1
	random_file "$WORK/data" 8
	put "$WORK/data"
	message resync rate 32
	qbd backend readd p "${devs[1]}"
	wait_until 30 resync_has_written $((1 << 20))
	random_file "$WORK/part" 1
	for place in 'bs=8k seek=0' 'bs=8k seek=2' 'bs=1536 seek=20'; do
		# shellcheck disable=SC2086 # words
		dd if="$WORK/part" of="$v" $place count=1 oflag=direct conv=notrunc status=none
		# shellcheck disable=SC2086
		dd if="$WORK/part" of="$WORK/data" $place count=1 conv=notrunc status=none
	done
	resync_is running
	[ "$(pool_status resync_bytes)" -lt $((3 << 20)) ] || fail "too much was filled meanwhile"
	message resync rate 0
	repaired
	lose 0 2
	same "$WORK/data"
}

ring_members_lost() {
	local lost members i
	fresh_pool 6 48 --extent-size 1M
	volume ec=4+2 32M
	random_file "$WORK/data" 8
	put "$WORK/data"
	members=$(ring_members)
	lost=$(tr ' ' '\n' <<<"$members" | sed '/^$/d' | head -2 | tr '\n' ' ')
	# shellcheck disable=SC2086 # numbers
	lose $lost
	random_file "$WORK/data" 12
	put "$WORK/data"
	same "$WORK/data"
	restart
	same "$WORK/data"
	# The ring has moved to others, or stays on fewer; none of those lost is named.
	devs=("${devs[5]}" "${devs[@]:0:5}")
	for i in $lost; do
		[[ " $(ring_members) " != *" $i "* ]] || fail "ring members are $(ring_members), $i is out"
	done
}

checksum_holders_lost() {
	local disks
	fresh_pool 6 48 --extent-size 1M
	volume ec=4+2 16M
	random_file "$WORK/data" 4
	put "$WORK/data"
	map_legs
	disks="${place[1:0:0]% *} ${place[1:0:1]% *}"
	# shellcheck disable=SC2086 # numbers
	lose $disks
	restart
	same "$WORK/data"
	dd if="$WORK/data" of="$v" bs=4096 count=77 seek=9 oflag=direct conv=notrunc,fsync status=none
	dd if="$WORK/data" of="$WORK/new" bs=1M status=none
	dd if="$WORK/data" of="$WORK/new" bs=4096 count=77 seek=9 conv=notrunc status=none
	restart
	same "$WORK/new"
	# shellcheck disable=SC2086
	regain $disks
	scrub_finds 0
	same "$WORK/new"
}

none_degraded() {
	[ "$(pool_status degraded)" = 0 ]
}

# A start without a backend gives legs that only it had to others: of another host than the leg that is left.
legs_move_to_another_host() {
	local key chunk hosts=(A A A B)
	# The emptiest are those of A.
	fresh_pool 5 48 --extent-size 1M ,host=A ,host=A ,host=A ,host=B ,host=B
	volume replicas=2 32M
	random_file "$WORK/data" 16
	put "$WORK/data"
	message checkpoint
	lose 4
	restart
	wait_until 30 none_degraded
	# Without what the table of the one that is out says.
	devs=("${devs[@]:0:4}")
	map_legs
	assert_eq ${#place[@]} 32 "legs"
	for ((chunk = 0; chunk < 16; chunk++)); do
		key=1:$chunk
		[ "${hosts[${place[$key:0]% *}]}" != "${hosts[${place[$key:1]% *}]}" ] ||
			fail "chunk $chunk is on ${place[$key:0]% *} and ${place[$key:1]% *}"
	done
	same "$WORK/data"
}

dies_during_resync_of_another() {
	nbd_pool 6 48 --extent-size 1M
	volume ec=4+2 48M
	random_file "$WORK/data" 12
	put "$WORK/data"
	message fail 0
	random_file "$WORK/data" 12
	put "$WORK/data"
	message resync rate 1024
	qbd backend readd p "${devs[0]}"
	load 3 16
	wait_until 20 resync_has_done 1
	nbd_kill n3
	load_succeeds
	same "$WORK/data"
	message resync rate 0
	wait_until 60 health_matches '^A..[SD]AA$'
	wait_until 60 resync_is idle
	nbd_return 3
	qbd backend readd p "${devs[3]}"
	repaired 60
	scrub_finds 0
	same "$WORK/data"
}

# The one that is being filled dies again.
dies_during_its_resync() {
	nbd_pool 4 48 --extent-size 1M
	volume replicas=3 32M
	random_file "$WORK/data" 12
	put "$WORK/data"
	message fail 2
	random_file "$WORK/data" 12
	put "$WORK/data"
	message resync rate 1024
	qbd backend readd p "${devs[2]}"
	wait_until 20 resync_has_done 1
	nbd_kill n2
	message resync rate 0
	wait_until 20 health_matches '^..[SD].$'
	same "$WORK/data"
	put "$WORK/data"
	nbd_return 2
	qbd backend readd p "${devs[2]}"
	repaired 60
	scrub_finds 0
	same "$WORK/data"
}

# For who has to find out why a read failed that should not have.
what_was_so() { # CHUNK
	cat "$WORK/error"
	echo "try $try, legs on ${place[1:$1:0]} and ${place[1:$1:1]}"
	dmsetup status
	message backends
	dmesg -S | tail -n 40
}

# Chunk by chunk: what has a leg on the one that is left is right, the rest is an error.
beyond_redundancy() {
	local chunk leg alive good=0 bad=0 status
	nbd_pool 3 48 --extent-size 1M
	volume replicas=2 32M
	random_file "$WORK/data" 24
	put "$WORK/data"
	map_legs
	nbd_kill n0
	nbd_kill n1
	for try in 1 2; do
		for ((chunk = 0; chunk < 24; chunk++)); do
			alive=0 status=0
			for leg in 0 1; do
				[ "${place[1:$chunk:$leg]% *}" != 2 ] || alive=1
			done
			dd if="$v" of="$WORK/chunk" bs=1M skip=$chunk count=1 iflag=direct status=none \
				2>"$WORK/error" || status=$?
			if [ $alive = 1 ]; then
				[ $status = 0 ] || what_was_so $chunk
				assert_eq $status 0 "status of reading chunk $chunk"
				cmp "$WORK/chunk" <(dd if="$WORK/data" bs=1M skip=$chunk count=1 status=none)
				good=$((good + 1))
			else
				assert_eq $status 1 "status of reading chunk $chunk"
				grep -q 'Input/output error' "$WORK/error"
				bad=$((bad + 1))
			fi
		done
	done
	echo "$good good, $bad bad"
	assert_ge $good 4 "chunks with a leg that is left"
	assert_ge $bad 4 "chunks with none"
	# A write that cannot be kept twice or once on what is left is an error, not a lie.
	dd if="$WORK/data" of="$v" bs=1M count=1 skip=2 seek=30 oflag=direct conv=notrunc,fsync status=none \
		2>/dev/null || echo "a new chunk is an error"
	qbd pool stop p || :
	nbd_return 0
	nbd_return 1
	qbd pool start p
	same "$WORK/data"
	repaired 30
	scrub_finds 0
}

subtest killed-during-io-replicas killed_during_io replicas=2 4 0 300 1
subtest killed-during-io-ec killed_during_io ec=4+2 6 0 300 1 4
subtest stale-backend-gets-what-it-lacks-replicas returns_stale replicas=2 3 1 1 3
subtest stale-backend-gets-what-it-lacks-ec returns_stale ec=4+2 6 4 2 2
subtest current-backend-gets-nothing returns_current
subtest empty-disk-is-filled-replicas returns_empty replicas=2 3 0
subtest empty-disk-is-filled-ec returns_empty ec=4+2 6 3
subtest resync-resumes-after-a-restart resync_resumes
subtest resync-stops-and-starts resync_stops_and_starts
subtest resync-asked-again-counts-on asked_again_counts_on
subtest resync-keeps-to-its-rate rate_is_limited
subtest filled-rows-stay-right filled_rows_stay_right
subtest ring-members-lost ring_members_lost
subtest checksum-holders-lost checksum_holders_lost
subtest legs-move-to-another-host legs_move_to_another_host
subtest dies-during-resync-of-another dies_during_resync_of_another
subtest dies-during-its-resync dies_during_its_resync
subtest beyond-redundancy beyond_redundancy
finish
