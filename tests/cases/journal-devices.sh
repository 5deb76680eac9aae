#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Devices that are there for the journal alone: they have the ring and no chunk, are found by their superblocks,
# and as many of them as legs of a chunk may be lost, and replaced.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$(dirname "$0")/../lib/pool.sh"
# shellcheck source=../lib/cut.sh
. "$(dirname "$0")/../lib/cut.sh"

# journal_pool DISKS DEVICES [OPTION...]: as cut_pool, with journal devices behind the disks in devs.
journal_pool() {
	local i nr=$1 options=()
	discard_all
	devs=() below=()
	for ((i = 0; i < $1 + $2; i++)); do
		cut_disk "$i" $((i < $1 ? 64 : 16))
		[ "$i" -lt "$1" ] || options+=(--journal "${devs[i]}")
	done
	shift 2
	qbd pool create p "${devs[@]:0:nr}" "${options[@]}" --extent-size 1M "$@"
	qbd pool start p
}

ring_is() { # INDEX...
	[ "$(ring_members)" = " $*" ]
}

# All records and journaled blocks go there, and nothing else does.
hold_the_ring() {
	local i
	journal_pool 6 3
	ring_is 6 7 8 || fail "ring members are $(ring_members)"
	volume ec=4+2 32M
	ring_is 6 7 8 || fail "ring members are $(ring_members)"
	filled 8
	assert_eq "$(pool_status journal_devs)" 3/3 "journal devices"
	part() { change 16 1; }
	devs=("${below[@]}")
	measure : part
	for i in 0 1 2 3 4 5; do
		assert_eq "${writes[i]}" 0 "writes of disk $i"
	done
	for i in 6 7 8; do
		assert_eq "${writes[i]}" 1 "writes of journal device $i"
	done
	for i in 6 7 8; do
		assert_eq "$(message backends | awk -v i=$i '$1 == i { print $7 }')" 0 "slots of $i"
	done
	dmsetup table p | grep -q "^0 [0-9]* qbd-pool 6 .* 6 journal_dev .* journal_dev .* journal_dev " ||
		fail "the table is '$(dmsetup table p)'"
	qbd pool status p | grep -q '3 of 3 journal devices' || fail "status of the pool"
	qbd examine "${devs[7]}" | grep -q '^slots  *0 ' || fail "examine of a journal device"
	qbd examine "${devs[0]}" | awk '$1 == 7 && $3 == "journal"' | grep -q . || fail "its role"
	same "$WORK/a"
	restart
	same "$WORK/a"
	qbd verify p | grep -q whole || fail "verify"
	scrub_finds 0
}

# With two of three, and the power, goes nothing.
two_lost_with_the_power() {
	journal_pool 6 3
	volume ec=4+2 32M
	filled 4
	change 1 1
	change 33 2
	change 70 6
	cut
	lose_for_good 6 8
	all_is_there
}

# Ordinary backends help out until it is replaced.
lost_and_replaced() {
	journal_pool 6 3
	volume ec=4+2 32M
	filled 4
	change 1 1
	lose 7
	change 17 1
	message checkpoint
	wait_until 20 ring_is 0 6 8
	lose 6
	change 33 1
	message checkpoint
	wait_until 20 ring_is 0 1 8
	cut_disk 9 16
	qbd backend replace p 7 "${devs[9]}"
	change 49 1
	qbd backend readd p "${devs[6]}"
	message checkpoint
	wait_until 20 ring_is 6 7 8
	change 65 1
	cut
	lose_for_good 6 7
	qbd pool start p --allow-degraded
	same "$WORK/a"
	scrub_finds 0
}

# One alone is not enough: others have the ring with it.
one_helps() {
	journal_pool 4 1
	volume ec=2+1 16M
	[ "$(ring_members | wc -w)" -ge 2 ] || fail "ring members are $(ring_members)"
	[[ $(ring_members) = *' 4' ]] || fail "ring members are $(ring_members)"
	filled 4
	change 1 1
	cut
	lose_for_good 4
	qbd pool start p --allow-degraded
	same "$WORK/a"
	scrub_finds 0
}

wrong_devices() {
	journal_pool 3 2
	volume replicas=2 16M
	qbd pool stop p
	assert_fails 'has no use for journal devices' qbd pool create q "${devs[@]:0:3}" --force \
		--journal off --journal "${devs[3]}"
	assert_fails 'cannot be opened' qbd pool create q "${devs[@]:0:3}" --force --journal /dev/none
	log_mark
	assert_fails . dmsetup create p --table \
		"0 2048 qbd-pool 2 ${devs[0]} ${devs[1]} 6 journal_dev ${devs[2]} journal_dev ${devs[3]} journal_dev ${devs[4]}"
	assert_log 'is no journal device of the pool'
	assert_fails . dmsetup create p --table "0 2048 qbd-pool 3 ${devs[*]:0:3} 1 journal_dev"
	# Among the others, too.
	dmsetup create p --table "0 2048 qbd-pool 5 ${devs[*]}"
	dmsetup remove p
}

subtest hold-the-ring hold_the_ring
subtest two-lost-with-the-power two_lost_with_the_power
subtest lost-and-replaced lost_and_replaced
subtest one-helps one_helps
subtest wrong-devices wrong_devices
finish
