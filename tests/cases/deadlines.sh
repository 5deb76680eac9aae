#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A backend that does not answer delays nobody by more than its deadline, and what is still in flight to it
# then, its orphans, hinders nothing and hurts nobody when it is answered late: NBD servers over loopback
# TCP that are frozen in the middle of writes, flushes, discards and reads, and go on later.
# Lanes: uml-fast uml-debug
# Waits: yes
# Subtests: independent
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

deadline=300

# hang INDEX: its server answers no more, which is known soon.
hang() {
	message deadline "$1" $deadline
	nbd_freeze "n$1"
}

is_out() { # INDEX
	wait_until 20 field_is state "$1" out
	has_orphans "$1" || fail "backend $1 is out, and has no orphans"
}

# thaw INDEX: what it was sent is answered, late, and it comes back.
thaw() {
	nbd_thaw "n$1"
	wait_until 20 field_is orphans "$1" 0
	message deadline "$1" 15000
	qbd backend readd p "${devs[$1]}"
	repaired
}

# once COMMAND...: it waits no longer than for the deadline, and for who is out to be written down.
once() {
	took "$@"
	echo "$*: $ms ms, with a deadline of $deadline ms"
	assert_le "$ms" $((deadline + 500 * slowness)) "ms of $*"
}

# delayed COMMAND...: and for that it does wait.
delayed() {
	local ms
	once "$@"
	assert_ge "$ms" $deadline "ms of $*"
}

read_block() { # MIB
	dd if="$v" of=/dev/null bs=4096 count=1 skip=$(($1 * 256)) iflag=direct status=none
}

flush() {
	dd if=/dev/null of="$v" oflag=direct conv=fsync,notrunc status=none
}

# disk_of MIB: the index of the disk that has the block at that offset of an ec volume: sets REPLY.
disk_of() {
	local i
	for i in "${!devs[@]}"; do
		io_mark "${devs[$i]}"
		read_block "$1"
		REPLY=$i
		[ "$(io_delta reads "${devs[$i]}")" = 0 ] || return 0
	done
	fail "no disk was read"
}

# The pool that most subtests share: four disks, data in the first 4 MiB of a volume.
prepare() { # POLICY
	nbd_pool 4 48 --extent-size 1M
	message hold_off 0
	volume "$1" 32M
	random_file "$WORK/data" 4
	put "$WORK/data"
	message checkpoint
}

unhurt() {
	same "$WORK/data"
	scrub_finds 0
}

# A write, its flush, and a discard, of whose chunk the slots are discarded.
writes() { # POLICY INDEX
	local i=$2
	prepare "$1"
	put "$WORK/data" 16
	message checkpoint
	hang "$i"
	delayed put "$WORK/data" 8
	is_out "$i"
	# What is asked of it now waits for nothing.
	at_once put "$WORK/data" 24
	same "$WORK/data" 8
	assert_fails 'still has .* in flight' qbd backend readd p "${devs[$i]}"
	log_mark
	assert_status 1 message readd "$i" "${devs[$i]}" 2>/dev/null
	assert_log 'message readd: .* still in flight'
	thaw "$i"
	same "$WORK/data" 24
	hang "$i"
	# Of which one meets it.
	once blkdiscard -o $((16 << 20)) -l $((4 << 20)) "$v"
	once flush
	is_out "$i"
	put "$WORK/data" 16
	thaw "$i"
	same "$WORK/data" 16
	dd if="$WORK/data" of="$v" bs=1M seek=8 oflag=direct conv=notrunc status=none
	hang "$i"
	delayed flush
	is_out "$i"
	thaw "$i"
	unhurt
}

# Reads: of what is there alone the time is lost. Whoever reads on while answers come late gets right data.
reads() {
	local hung
	prepare ec=2+1
	disk_of 0
	hung=$REPLY
	hang "$hung"
	delayed same "$WORK/data"
	is_out "$hung"
	fio --name=on --filename="$v" --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw --offset=8M --size=16M \
		--bs=16k --io_size=16M --verify=crc32c --do_verify=1 --verify_fatal=1 --output="$WORK/fio.out" &
	nbd_thaw "n$hung"
	wait $! || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	thaw "$hung"
	unhurt
}

# All that waits for a pool's I/O ends, but for the module and the devices of the orphans.
ends() {
	prepare ec=2+1
	hang 0
	delayed put "$WORK/data" 8
	is_out 0
	at_once dmsetup suspend p-v
	at_once dmsetup resume p-v
	at_once dmsetup remove p-v
	at_once qbd pool stop p
	assert_fails 'in use' rmmod dm-qbd
	assert_fails . timeout 20 dmsetup create q --table "0 8192 qbd-pool 4 ${devs[*]}"
	assert_log 'still has I/O in flight'
	nbd_thaw n0
	module_unload
	module_load
	qbd pool start p
	same "$WORK/data"
	same "$WORK/data" 8
	qbd backend readd p "${devs[0]}"
	repaired
	unhurt
}

# --- answers that are late, that never come, that come from elsewhere --------------------------------

# deadlines_wander MS...: of the first backends, from below that to above it, and then far above: one that cannot be done
# without has to be in time for as long as it takes to write again what it was late with.
deadlines_wander() {
	local i step percent=(50 80 100 120)
	for ((step = 0; ; step++)); do
		for ((i = 0; i < $#; i++)); do
			message deadline $i $((${*:i + 1:1} * ${percent[step]-5000} / 100))
		done
		[ ! -e "$WORK/enough" ] || break
		pause 0.1
	done
}

# late_pool WORD...: a server each, which is late as that word of nbdkit's delay filter says, or is not, with ''.
late_pool() {
	local i=0 late
	discard_all
	devs=()
	for late; do
		nbd_disk n$i 48 nbdkit ${late:+--filter=delay "$late"}
		devs+=("$REPLY")
		i=$((i + 1))
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	qbd pool start p
	message on_loss queue
	message hold_off 0
}

late_load_runs() { # PID: or it has ended
	io_in_flight "$v" || ended "$1"
}

# One server is late with what is read, one with what is written, by about the deadline: so answers come just before it,
# and just after, when nobody waits for them and all that they could hurt goes on. A third is late with all discards.
answers_late() { # POLICY LATE...: of these answers some are late for certain
	local policy=$1 round load i kinds=(read write trim) delays=(20 60 1000) # ms; to let one in takes some 100 reads
	shift
	late_pool "delay-read=${delays[0]}ms" "delay-write=${delays[1]}ms" "delay-trim=${delays[2]}ms" ''
	message hedge=off
	message slow_factor 0
	volume "$policy" 24M
	random_file "$WORK/data" 4
	put "$WORK/data"
	log_mark
	for ((round = 0; round < 3; round++)); do
		put "$WORK/data" 20
		# Who was kept may have to be settled first.
		wait_until 10 message checkpoint
		rm -f "$WORK/enough"
		message deadline 2 $((delays[2] / 2))
		blkdiscard -o $((20 << 20)) -l $((4 << 20)) "$v" &
		fio --name=late --filename="$v" --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw --offset=8M \
			--size=4M --bsrange=4k-64k --io_size=2M --verify=crc32c --do_verify=1 --verify_fatal=1 \
			--randrepeat=0 --output="$WORK/fio.out" &
		load=$!
		wait_until 10 late_load_runs "$load"
		deadlines_wander "${delays[0]}" "${delays[1]}" &
		wait $load || { cat "$WORK/fio.out"; fail "fio saw errors"; }
		touch "$WORK/enough"
		wait
		for i in 0 1 2; do
			wait_until 20 field_is orphans $i 0
			message deadline $i 15000
		done
		for i in 0 1 2; do
			! field_is state $i out || qbd backend readd p "${devs[i]}"
		done
		repaired 60
		same "$WORK/data"
	done
	for i in 0 1 2; do
		[[ " $* " != *" ${kinds[i]} "* ]] || assert_log "backend $i .* did not answer within .* left to it"
	done
	assert_eq "$(pool_status lost)" 0 "lost blocks"
	unhurt
}

# One that nobody can do without takes longer for a write than it may: what is written waits, and goes on when it may
# take longer.
was_too_short() {
	late_pool delay-write=200ms delay-write=200ms
	volume replicas=2 24M
	random_file "$WORK/data" 1
	put "$WORK/data"
	message deadline 0 100
	message deadline 1 100
	put "$WORK/data" 1 &
	wait_until 10 waiting 1
	# The ring, too, cannot be written now.
	message deadline 0 15000 || { message on_loss error; fail "it stays too short"; }
	message deadline 1 15000
	wait_until 20 none_waits
	wait $!
	same "$WORK/data" 1
	assert_eq "$(pool_status health)" AA health
	unhurt
}

# A server that takes connections and requests, and answers none: in the place of one that was killed. It is not let
# in; who asks for that waits for one deadline, that of any nbd device, and others for nothing.
answers_never() { # POLICY
	local i=1 answer # the second server of a pool is nbdkit
	prepare "$1"
	nbd_kill n$i
	put "$WORK/data" 8
	wait_until 20 field_is state $i out
	cp "$WORK/nbd/n$i.args" "$WORK/args"
	printf '%s\n' --filter=delay rdelay=3600 wdelay=3600 >"$WORK/nbd/n$i.args"
	nbd_return $i
	log_mark
	message readd $i "${devs[i]}" 2>"$WORK/said" &
	answer=$!
	wait_until 10 io_in_flight "${devs[i]}"
	at_once put "$WORK/data" 16
	at_once same "$WORK/data" 16
	at_once dmsetup status p
	assert_status 1 wait $answer
	assert_log 'message readd: '
	field_is state $i out
	# It dies, another one comes.
	nbd_kill n$i
	cp "$WORK/args" "$WORK/nbd/n$i.args"
	nbd_return $i
	qbd backend readd p "${devs[i]}"
	repaired
	same "$WORK/data" 16
	unhurt
}

# Two connections to a server. What it does not answer on one of them in time the device sends again on the other one,
# when the pool has long gone on without this backend: that waits for it, and fills then what was written since.
sent_again() {
	local i=1 timeout=2 # seconds
	prepare ec=2+1
	message fail $i
	nbd_disconnect n$i
	nbd_connect n$i -C 2 -timeout $timeout
	devs[i]=$REPLY
	qbd backend readd p "${devs[i]}"
	repaired
	log_mark
	hang $i
	delayed put "$WORK/data" 8
	is_out $i
	random_file "$WORK/newer" 4
	at_once put "$WORK/newer" 8
	wait_until 20 log_line 'nbd[0-9]*: Connection timed out, retrying'
	assert_fails 'still has .* in flight' qbd backend readd p "${devs[i]}"
	thaw $i
	same "$WORK/newer" 8
	unhurt
	# And without another one, for it has to be right where it is.
	message fail $(((i + 1) % 4))
	same "$WORK/newer" 8
	same "$WORK/data"
}

subtest writes-replicas writes replicas=2 0
subtest writes-ec writes ec=2+1 1
subtest reads reads
subtest pool-ends ends
subtest answers-late-replicas answers_late replicas=2 write trim
subtest answers-late-ec answers_late ec=2+1 read write trim
subtest deadline-was-too-short was_too_short
subtest answers-never answers_never ec=2+1
subtest sent-again sent_again
finish
