#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A standby gets the pool in the end, however the hand-over went that it waited for: on some members only, to members
# that came in later, or cut off in the middle of the standby's own claim. Two hosts, each a kernel, over the same
# three disks, each disk behind a device mapper device, so that it can fail for one of them.
# Lanes: host
# Boots: uml-fast
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" fast 2>/dev/null)}"
# shellcheck source=../lib/hosts.sh
. "$ROOT/tests/lib/hosts.sh"

lease=2000 # ms
start='qbd pool start /dev/mapper/d0 /dev/mapper/d1 /dev/mapper/d2'
volume=/dev/mapper/tank-v
megabyte=$WORK/megabyte
head -c 1M /dev/zero | tr '\0' a >"$megabyte"

# disk HOST INDEX whole|mute|gone: that disk there is whole; its heartbeat blocks cannot be read or written; or nothing.
disk() {
	local dev size=$((48 << 11)) at=64 blocks=16 line
	dev=/dev/ubd$(tr 012 abc <<<"$2")
	case $3 in
	whole) line="0 $size linear $dev 0";;
	mute) line="0 $at linear $dev 0
		$at $blocks error
		$((at + blocks)) $((size - at - blocks)) linear $dev $((at + blocks))";;
	gone) line="0 $size error";;
	esac
	host "$1" "dmsetup load d$2 --table '$line' && dmsetup suspend --noflush --nolockfs d$2 && dmsetup resume d$2"
}

# fresh: alpha has a new pool tank with a volume v, whose first MiB is written, durable.
fresh() {
	local name i
	hosts_end
	shared_disks 3 48
	qbd pool create tank "$WORK"/disk/{0,1,2} --extent-size 1M --lease "$lease"
	for name in alpha beta; do
		host_boot "$name"
		host "$name" 'for i in 0 1 2; do dmsetup create d$i --notable; done'
		for i in 0 1 2; do
			disk "$name" "$i" whole
		done
	done
	host alpha "$start && qbd volume create tank/v --size 8M --replicas 3"
	host alpha "head -c 1M /dev/zero | tr '\0' a |
		dd of=$volume bs=64k iflag=fullblock oflag=direct conv=fsync status=none"
}

# has_the_pool HOST: in the end, and what was written is there.
has_the_pool() {
	wait_until 30 has_lease_word "$1" owns
	host "$1" "dd if=$volume bs=64k count=16 iflag=direct status=none" | cmp - "$megabyte"
}

heartbeat() { # INDEX: what its owner's block says
	qbd examine "$WORK/disk/$1" | grep '^heartbeat '
}

has_log() { # HOST REGEX
	host "$1" dmesg | grep -qE -- "$2"
}

# One member cannot be told: the others are released, and it says for ever that alpha owns it.
released_in_part() {
	fresh
	host beta "$start --standby"
	disk alpha 2 mute
	host alpha 'qbd pool handover tank'
	heartbeat 0 | grep -q 'released by alpha'
	heartbeat 2 | grep -q 'owned by alpha'
	has_the_pool beta
	host_log alpha 'backend 2 does not say that the pool is released'
}

# Devices fail while the standby claims a pool that was released for somebody else, and come back: its own nonce is in
# all blocks.
claim_cut_off() {
	local i
	fresh
	host beta "$start --standby"
	# It does not show that it is alive: the release is not for it.
	host_freeze beta
	host alpha 'qbd pool stop tank'
	host_thaw beta
	wait_until 20 has_log beta 'waiting .* for whoever else may want the pool'
	disk beta 1 mute
	disk beta 2 mute
	wait_until 20 has_log beta 'the heartbeat of backend . cannot be read'
	for i in 0 1 2; do
		heartbeat "$i" | grep -q 'owned by beta'
	done
	disk beta 1 whole
	disk beta 2 whole
	has_the_pool beta
}

# Those who were in when the standby began are out, and others are in.
others_are_in() {
	fresh
	host alpha 'dmsetup message tank 0 fail 1; dmsetup message tank 0 fail 2'
	host beta "$start --standby"
	host alpha 'qbd backend readd tank /dev/mapper/d1 && qbd backend readd tank /dev/mapper/d2'
	wait_until 30 whole_again
	host alpha 'dmsetup message tank 0 fail 0 && qbd pool handover tank'
	heartbeat 0 | grep -q 'owned by alpha'
	has_the_pool beta
}

whole_again() {
	host alpha 'dmsetup status tank' | grep -q ' AAA '
}

# A backend is out, and cannot be read, or only its heartbeat cannot: for a hand-over, and for a claim.
out_and_broken() {
	fresh
	host alpha 'dmsetup message tank 0 fail 2'
	host beta "$start --standby"
	disk beta 2 "$1"
	host alpha 'qbd pool handover tank && qbd pool stop tank'
	has_the_pool beta
	host alpha "$start --standby"
	disk alpha 2 "$1"
	host_freeze alpha
	host beta 'qbd pool stop tank'
	host_thaw alpha
	has_the_pool alpha
}

subtest released-in-part released_in_part
subtest claim-cut-off claim_cut_off
subtest others-are-in others_are_in
subtest out-and-unreadable out_and_broken gone
subtest out-and-mute out_and_broken mute
subtest hosts-end hosts_end
finish
