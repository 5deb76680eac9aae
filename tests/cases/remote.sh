#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Deadlines with the protocols of other hosts that stock kernels have: NBD over a link that drops all packets, an
# iSCSI target that goes away, an AoE shelf that is frozen; then all three. Users wait for one deadline, once, and
# see no error; nothing hangs on what was not answered; what returns is brought up to date by what it missed.
# Lanes: guest
# Timeout: 60
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/far.sh
. "$ROOT/tests/lib/far.sh"

# In ms. Longer than what a busy machine takes from an emulated one, and half of it:
deadline=3000
late=$((deadline / 2))

kinds=(here nbd iscsi aoe)		# by the index of the backend
how=('' cut gone frozen)		# it falls silent
v=/dev/mapper/p-v
load_at=9				# MiB: the fourth chunk of the volume

# Each chunk has a leg on each: it is of 3 MiB. Without a journal a write goes to all of them at once.
make_pool() {
	local i pids=()
	module_load
	loop_disk d0 48
	devs=("$REPLY")
	for i in 1 2 3; do
		far_disk "${kinds[i]}" "r$i" "$i" 48 &
		pids+=($!)
	done
	for i in 1 2 3; do
		wait "${pids[i - 1]}"
		devs+=("$(<"$WORK/far/r$i.dev")")
	done
	printf '%s\n' "${devs[@]}" >"$WORK/devs"
	qbd pool create p "${devs[@]}" --extent-size 1M --journal off
	qbd pool start p
	for i in "${!devs[@]}"; do
		assert_eq "$(backend_field deadline "$i")" 15000 "deadline of backend $i"
		message deadline "$i" $deadline
	done
	volume ec=3+1 24M
	qbd volume create p/other --size 3M --ec 3+1
	random_file "$WORK/data" 6
	put "$WORK/data"
	split -b 1M -d -a 1 "$WORK/data" "$WORK/data."
	random_file "$WORK/load.0" 3
	random_file "$WORK/load.1" 3
	put "$WORK/load.0" $load_at
}

# --- users ----------------------------------------------------------------------------------------

# waits USER COMMAND...: how long the request took: in USER.late if that is long, the longest in USER.longest.
waits() {
	local user=$1 ms
	shift
	took "$@"
	if [ "$ms" -ge $late ]; then
		echo "$ms" >>"$WORK/$user.late"
	fi
	if [ "$ms" -gt "$longest" ]; then
		longest=$ms
		echo "$ms" >"$WORK/$user.longest"
	fi
}

# Overwrites 3 MiB again and again, with one of two contents in turn, and flushes often.
writer() {
	local round=0 block flush longest=0
	until [ -e "$WORK/enough" ]; do
		round=$((round + 1))
		for ((block = 0; block < 48; block++)); do
			flush=
			[ $((block % 16)) != 15 ] || flush=,fsync
			waits writer dd if="$WORK/load.$((round % 2))" of="$v" bs=64k count=1 skip=$block \
				seek=$((load_at * 16 + block)) oflag=direct conv=notrunc$flush status=none
		done
		waits writer holds "$v" "$WORK/load.$((round % 2))" $load_at
		echo $round >"$WORK/rounds"
	done
}

reader() {
	local mib longest=0
	until [ -e "$WORK/enough" ]; do
		for mib in 0 1 2 3 4 5; do
			waits reader holds "$v" "$WORK/data.$mib" $mib
		done
	done
}

users_begin() {
	rm -f "$WORK"/{enough,rounds} "$WORK"/{writer,reader}.*
	touch "$WORK"/{writer,reader}.late
	writer &
	writer_pid=$!
	reader &
	reader_pid=$!
	users_go_on 1
}

rounds_are() { # COUNT
	[ -e "$WORK/rounds" ] && [ "$(<"$WORK/rounds")" -ge "$1" ]
}

# users_go_on ROUNDS: the writer gets so much further.
users_go_on() {
	local rounds=0
	[ ! -e "$WORK/rounds" ] || rounds=$(<"$WORK/rounds")
	wait_until 20 rounds_are $((rounds + $1))
}

users_end() {
	touch "$WORK/enough"
	wait "$writer_pid" || fail "the writer saw an error, or read what it did not write"
	wait "$reader_pid" || fail "the reader saw an error, or what was not written"
	cp "$WORK/load.$(($(<"$WORK/rounds") % 2))" "$WORK/load"
}

# A deadline and the time to write down who is out, once, and then nothing.
waited_once() {
	local user
	for user in writer reader; do
		echo "longest wait of the $user: $(<"$WORK/$user.longest") ms, with a deadline of $deadline ms"
		assert_le "$(<"$WORK/$user.longest")" $((deadline + late)) "ms that the $user waited"
		assert_le "$(wc -l <"$WORK/$user.late")" 1 "times that the $user waited"
	done
	[ -s "$WORK/writer.late" ] || fail "nobody waited"
}

unhurt() {
	same "$WORK/data"
	same "$WORK/load" $load_at
	scrub_finds 0
	assert_eq "$(csum_errors)" 0 "checksum errors"
	assert_eq "$(pool_status lost)" 0 "lost blocks"
}

# --- silence --------------------------------------------------------------------------------------

one_is_silent() { # INDEX
	local i=$1
	mapfile -t devs <"$WORK/devs"
	message checkpoint
	users_begin
	silence "${how[i]}" "r$i"
	wait_until 10 field_is state "$i" out
	has_orphans "$i" || fail "it is out, and has no orphans"
	# All that the writer writes is written without it.
	users_go_on 2
	at_once dmsetup remove p-other
	at_once dmsetup create p-other --table '0 6144 qbd /dev/mapper/p other'
	at_once dmsetup suspend p-v
	at_once dmsetup resume p-v
	users_end
	has_orphans "$i" || fail "it has no orphans any more"
	waited_once
	heard "r$i"
	wait_until 20 field_is orphans "$i" 0
	qbd backend readd p "${devs[i]}"
	repaired
	# Its leg of one chunk.
	assert_eq "$(pool_status resync_bytes)" $((1 << 20)) "bytes of resync"
	unhurt
}

# Rule 4: nobody goes out, who needs them waits, and goes on when they are back.
all_are_silent() {
	local i
	message on_loss queue
	log_mark
	users_begin
	for i in 1 2 3; do
		silence "${how[i]}" "r$i"
	done
	wait_until 10 kept_is e
	wait_until 10 waiting 1
	assert_eq "$(pool_status health)" AKKK health
	at_once dmsetup suspend --noflush --nolockfs p-v
	at_once dmsetup resume p-v
	kill -0 "$writer_pid" "$reader_pid"
	# AoE and TCP may take half a minute to send again what was lost, and who is later than the others by that goes
	# out, if he may. None may as long as two are silent; the third is there soon.
	heard r1
	heard r3
	wait_until 20 field_is orphans 1 0
	wait_until 20 field_is orphans 3 0
	all_heard
	wait_until 20 kept_is 0
	users_go_on 2
	users_end
	assert_no_log 'is out, epoch'
	assert_eq "$(pool_status health)" AAAA health
	unhurt
}

# Reads of a data leg of each backend, of some chunk.
all_were_asked() {
	local block
	for block in 0 1 2 768 769 770 2304 2305 2306; do
		dd if="$v" of=/dev/null bs=4k count=1 skip=$block iflag=direct status=none 2>/dev/null || :
	done
	kept_is e
}

# What waits for the pool's I/O ends, but for the module, until the last of them answers.
pool_ends() {
	local i
	message on_loss error
	for i in 1 2 3; do
		silence "${how[i]}" "r$i"
	done
	! put "$WORK/load" $load_at 2>/dev/null || fail "written to nowhere"
	wait_until 10 all_were_asked
	for i in 1 2 3; do
		has_orphans $i || fail "backend $i has no orphans"
	done
	log_mark
	at_once dmsetup suspend p-v
	at_once dmsetup resume p-v
	at_once dmsetup remove p-v
	at_once qbd pool stop p
	for i in 1 2 3; do
		assert_fails 'in use' rmmod dm-qbd
		heard "r$i"
		wait_until 20 log_line 'the last request that was left to it has ended'
		log_mark
	done
	module_unload
	module_load
	qbd pool start p
	assert_eq "$(pool_status health)" AAAA health
	unhurt
}

# What one leaves the next one needs.
subtest make-pool make_pool &&
	subtest nbd-link-is-cut one_is_silent 1 &&
	subtest iscsi-target-goes-away one_is_silent 2 &&
	subtest aoe-shelf-is-frozen one_is_silent 3 &&
	subtest all-are-silent all_are_silent &&
	subtest pool-ends pool_ends
subtest far-end far_end
finish
