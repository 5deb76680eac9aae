#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# One owner: two hosts, each a kernel, over the same three disks. Who may start a pool and when, what a
# host that was frozen still writes, hand-over to a standby.
# Lanes: host
# Boots: uml-fast
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" fast 2>/dev/null)}"
# shellcheck source=../lib/hosts.sh
. "$ROOT/tests/lib/hosts.sh"

lease=4000 # ms: a busy machine starves a kernel for a second or two
disks='/dev/ubda /dev/ubdb /dev/ubdc'
start="qbd pool start $disks"
volume=/dev/mapper/tank-v

now() {
	date +%s%3N
}

# put HOST LETTER [CONV]: the first MiB of the volume. dd flushes only with CONV fsync, not where a pipe gave it less than a
# block.
put() {
	host "$1" "head -c 1M /dev/zero | tr '\0' $2 |
		dd of=$volume bs=64k iflag=fullblock oflag=direct ${3:+conv=$3} status=none"
}

# fresh: no host owns a new pool tank with a volume v, of which alpha wrote the first MiB, durable: what was not flushed
# may be what it was before, once the owner is gone.
fresh() {
	hosts_end
	shared_disks 3 48
	qbd pool create tank "$WORK"/disk/{0,1,2} --extent-size 1M --lease "$lease"
	host_boot alpha
	host_boot beta
	host alpha "$start && qbd volume create tank/v --size 8M --replicas 2"
	put alpha a fsync
}

sum_a() {
	head -c 1M /dev/zero | tr '\0' a | md5sum | cut -c 1-32
}

sum() { # HOST
	host "$1" "dd if=$volume bs=64k count=16 iflag=direct status=none | md5sum | cut -c 1-32"
}

# waits HOST: how often the kernel there has waited for whoever else may want the pool.
waits() {
	host "$1" "dmesg | grep -c 'for whoever else may want the pool' || :"
}

second_is_refused() {
	fresh
	assert_status 3 host beta "$start"
	host_log beta 'host alpha owns the pool'
	assert_eq "$(lease_word alpha)" owns "alpha's lease"
	assert_eq "$(sum alpha)" "$(sum_a)" content
}

# A clean stop: at once on the same host; another one waits until nobody else can be at it.
released_at_once() {
	local begun
	assert_eq "$(waits alpha)" 1 'waits of alpha'
	host alpha 'qbd pool stop tank'
	qbd examine "$WORK/disk/0" | grep -q 'heartbeat .*released by alpha' || fail 'not released'
	host alpha "$start"
	assert_eq "$(waits alpha)" 1 'waits of alpha'
	assert_eq "$(sum alpha)" "$(sum_a)" content
	host alpha 'qbd pool stop tank'
	begun=$(now)
	host beta "$start"
	assert_ge $(($(now) - begun)) "$lease" 'ms until the start on the other host'
	assert_eq "$(sum beta)" "$(sum_a)" content
	host beta 'qbd pool stop tank'
	host alpha "$start"
}

# A host that dies leaves heartbeats that have to grow old, and then the wait of any start.
takeover_waits() {
	local begun
	host_kill alpha
	begun=$(now)
	host beta "$start"
	assert_ge $(($(now) - begun)) $((2 * lease)) 'ms until the takeover'
	host_log beta 'host alpha owned the pool and did not release it'
	assert_eq "$(sum beta)" "$(sum_a)" content
	host beta 'qbd pool stop tank'
}

# One of three: neither a history that is named nor a wait makes it a majority.
minority_needs_a_word() {
	local tag table
	host_boot alpha
	tag=$(qbd examine "$WORK/disk/0" | sed -n 's/^epochs *[0-9]*:\([0-9a-f]*\).*/\1/p')
	table="0 2048 qbd-pool 3 /dev/ubda - -"
	assert_fails '.' host alpha "dmsetup create tank --table '$table 1 allow_degraded'"
	assert_fails '.' host alpha "dmsetup create tank --table '$table 2 force_history $tag'"
	host_log alpha '1 of 3 members are there: .* take_over'
	host alpha "dmsetup remove tank 2>/dev/null || :"
	host alpha "dmsetup create tank --table '$table 3 force_history $tag take_over'"
	assert_eq "$(lease_word alpha)" owns "alpha's lease"
	host alpha 'dmsetup remove tank'
}

# A lease that ran out is not renewed, though nobody took over.
lapsed_is_lost() {
	fresh
	host_freeze alpha
	sleep $((lease / 1000 + 1))
	host_thaw alpha
	wait_until 20 has_lease_word alpha lost
	host_log alpha 'the lease ran out'
	assert_fails 'error' host alpha "dd if=/dev/zero of=$volume bs=4k count=1 oflag=direct"
	host alpha 'qbd pool stop tank'
	host alpha "$start"
	assert_eq "$(sum alpha)" "$(sum_a)" content
}

# The owner writes, is frozen, and another host takes over, writes and goes. Thawed, it writes nothing:
# the disks stay what they were, byte for byte. Nor does it read what is not true any more.
frozen_writes_nothing() {
	local before
	host_begin alpha "for ((n = 0; ; n++)); do
		head -c 64k /dev/zero | tr '\0' b | dd of=$volume bs=4k oflag=direct conv=notrunc status=none ||
			break
		[ \$n -lt 3 ] || touch $WORK/host/alpha/writes
	done"
	wait_until 30 test -e "$WORK/host/alpha/writes"
	host_freeze alpha
	host beta "$start"
	put beta c
	host beta 'qbd pool stop tank'
	before=$(md5sum "$WORK"/disk/*)
	host_thaw alpha
	host_end alpha
	wait_until 20 has_lease_word alpha lost
	assert_fails 'error' host alpha "dd if=$volume of=/dev/null bs=4k count=1 iflag=direct"
	# Time for a heartbeat or two, and for what an idle pool does.
	sleep 6
	assert_eq "$(md5sum "$WORK"/disk/*)" "$before" 'the disks'
	host alpha 'qbd pool stop tank'
	host beta "$start"
	assert_eq "$(sum beta)" "$(head -c 1M /dev/zero | tr '\0' c | md5sum | cut -c 1-32)" content
	host beta 'qbd pool stop tank'
}

# The volume is there, its I/O waits, and goes on when the owner hands over.
standby_takes_over() {
	local begun ms
	host alpha "$start"
	put alpha a
	host beta "$start --standby"
	assert_match "$(host beta 'dmsetup status tank')" ' standby '
	assert_eq "$(host beta "blockdev --getsize64 $volume")" $((8 << 20)) size
	host beta "(head -c 4k /dev/zero | tr '\0' d | dd of=$volume bs=4k seek=300 oflag=direct \
		status=none && date +%s%3N >$WORK/host/beta/written) >/dev/null 2>&1 &"
	sleep 1
	[ ! -e "$WORK/host/beta/written" ] || fail 'a write of a standby'
	begun=$(host alpha 'date +%s%3N; qbd pool handover tank')
	wait_until 20 test -s "$WORK/host/beta/written"
	ms=$(($(cat "$WORK/host/beta/written") - begun))
	echo "from hand_over to the first write of the new owner: $ms ms"
	host alpha dmesg | grep 'handed over'
	host beta dmesg | grep 'taken over'
	assert_le "$ms" $((1000 * slowness)) 'ms'
	assert_eq "$(sum beta)" "$(sum_a)" content
	assert_eq "$(lease_word alpha)" released "alpha's lease"
	assert_eq "$(lease_word beta)" owns "beta's lease"
	assert_fails 'error' host alpha "dd if=$volume of=/dev/null bs=4k count=1 iflag=direct"
	host alpha 'qbd pool stop tank'
	# And back, by a clean stop.
	host alpha "$start --standby"
	host beta 'qbd pool stop tank'
	wait_until 20 has_lease_word alpha owns
	assert_eq "$(sum alpha)" "$(sum_a)" content
	host alpha 'qbd pool stop tank'
}

subtest second-is-refused second_is_refused
subtest released-at-once released_at_once
subtest takeover-waits takeover_waits
subtest minority-needs-a-word minority_needs_a_word
subtest lapsed-is-lost lapsed_is_lost
subtest frozen-writes-nothing frozen_writes_nothing
subtest standby-takes-over standby_takes_over
subtest hosts-end hosts_end
finish
