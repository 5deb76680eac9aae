#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# One owner, as operators have it: two hosts with Debian's kernel, two CPUs each, and three backends over NBD, with a
# server for each host and disk, so that stopping a host's servers fences it. Who may start a pool and when, hand-over,
# and what a host writes that was frozen while it wrote, with fencing and without.
# Lanes: host
# Timeout: 200
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" 6.12 2>/dev/null)}"
# shellcheck source=../lib/hosts.sh
. "$ROOT/tests/lib/hosts.sh"

lease=4000 # ms: a busy machine starves a kernel for a second or two
start='qbd pool start /dev/nbd0 /dev/nbd1 /dev/nbd2'
# The writers of alpha have one volume, what beta has to keep is in the other.
load=/dev/mapper/tank-load
kept=/dev/mapper/tank-kept
writers=4

now() { # in microseconds
	echo "${EPOCHREALTIME/[.,]/}"
}

letters() { # LETTER
	head -c 1M /dev/zero | tr '\0' "$1"
}

put() { # HOST LETTER: the first MiB of the volume that is kept, durable
	host "$1" "head -c 1M /dev/zero | tr '\0' $2 | dd of=$kept bs=64k oflag=direct conv=fsync status=none"
}

assert_holds() { # HOST LETTER
	assert_eq "$(host "$1" "dd if=$kept bs=64k count=16 iflag=direct status=none | md5sum")" \
		"$(letters "$2" | md5sum)" "what $1 reads"
}

second_is_refused() {
	shared_disks 3 48
	qbd pool create tank "$WORK"/disk/{0,1,2} --extent-size 1M --lease "$lease"
	guests_boot alpha beta
	host alpha "$start"
	host alpha 'qbd volume create tank/load --size 8M --ec 2+1 && qbd volume create tank/kept --size 8M --replicas 2'
	put alpha a
	assert_status 3 host beta "$start"
	host_log beta 'host alpha owns the pool'
	assert_eq "$(lease_word alpha)" owns "alpha's lease"
	assert_holds alpha a
}

# The heartbeats of an owner that is silent have to grow old, by beta's clock, and then there is the wait of any start.
# Should an emulated CPU's clock have leapt, this says so.
beta_takes_over() {
	local ms begun
	begun=$(now)
	ms=$(host beta "begun=\${EPOCHREALTIME/[.,]/}; $start && echo \$(((\${EPOCHREALTIME/[.,]/} - begun) / 1000))" |
		tail -n 1)
	echo "takeover: $ms ms, with a lease of $lease ms"
	assert_le "$ms" $((($(now) - begun) / 1000 + 500)) "ms of the takeover by beta's clock"
	assert_ge "$ms" $((2 * lease)) 'ms until the takeover'
}

takeover_waits() {
	host_kill alpha
	beta_takes_over
	host_log beta 'host alpha owned the pool and did not release it'
	assert_holds beta a
}

# standby_takes_over FROM TO: the volume is there, its I/O waits, and goes on when the owner hands over. What the two
# hosts do is timed by the one clock that they share: that of the machine which has the files.
standby_takes_over() {
	local from=$1 to=$2 begun=$WORK/host/$1/begun written=$WORK/host/$2/written
	rm -f "$begun" "$written"
	host "$to" "$start --standby"
	assert_match "$(host "$to" 'dmsetup status tank')" ' standby '
	host "$to" "{ head -c 4k /dev/zero | tr '\0' d | dd of=$kept bs=4k seek=1024 oflag=direct status=none &&
		: >$written; } >/dev/null 2>&1 &"
	# It has begun, and waits.
	wait_until 10 host "$to" 'grep -q "[1-9]" /sys/block/dm-*/inflight'
	[ ! -e "$written" ] || fail 'a write of a standby'
	host "$from" ": >$begun; qbd pool handover tank"
	wait_until 20 test -e "$written"
	echo "from the hand-over of $from to the first write of $to:" \
		"$((($(date -r "$written" +%s%N) - $(date -r "$begun" +%s%N)) / 1000000)) ms"
	assert_holds "$to" a
	assert_eq "$(lease_word "$from")" released "the lease of $from"
	assert_eq "$(lease_word "$to")" owns "the lease of $to"
	assert_fails 'error' host "$from" "dd if=$kept of=/dev/null bs=4k count=1 iflag=direct"
	host "$from" 'qbd pool stop tank'
}

# alpha is booted anew, and gets the pool from beta.
hand_over() {
	guests_boot alpha
	standby_takes_over beta alpha
}

# --- what a host writes that was frozen -----------------------------------------------------------

# writers_begin HOST: direct writes of 4 KiB to the volume for them, each with the time at which it was issued, until they
# fail.
writers_begin() {
	local dir=$WORK/host/$1
	cat >"$dir/writers" <<W
enable -f $ROOT/${BUILD:-build}/builtins/builtins.so test_dd
work() {
	local n file=/run/tmp/stamp.\$1
	for ((n = 0; ; n++)); do
		printf '%-4095s\n' "issued by $1 at \${EPOCHREALTIME/[.,]/}" >\$file
		test_dd if=\$file of=$load bs=4k seek=\$((n % 512 * $writers + \$1)) oflag=direct conv=notrunc \\
			status=none || break
		[ \$n != 3 ] || touch $dir/writes.\$1
	done
	touch $dir/failed.\$1
}
for ((i = 0; i < $writers; i++)); do
	work \$i &
done
W
	rm -f "$dir"/{writes,failed}.*
	host "$1" "bash $dir/writers >/dev/null 2>&1"
	wait_until 30 all_writers "$1" writes
}

all_writers() { # HOST writes|failed
	writers_are "$@" $writers
}

writers_are() { # HOST writes|failed COUNT
	[ "$(find "$WORK/host/$1" -name "$2.*" | wc -l)" = "$3" ]
}

# Freezes alpha while it writes; sets frozen_at, by alpha's clock, or up to a second later: nothing that was issued before
# has a later stamp.
freeze_writing_alpha() {
	local begun ahead
	begun=$(now)
	# No less than what alpha's clock is ahead of ours.
	ahead=$(($(host alpha "echo \${EPOCHREALTIME/[.,]/}") - begun))
	writers_begin alpha
	host_freeze alpha
	frozen_at=$(($(now) + ahead + 1000000))
	writers_are alpha failed 0 || fail 'alpha had an error before'
}

# stamps: when the blocks of alpha that are on the disks were issued.
stamps() {
	grep -aohE 'issued by alpha at [0-9]+' "$WORK"/disk/* | cut -d ' ' -f 5 | sort -nu
}

# The disks as they are before alpha is thawed.
keep_disks() {
	rm -rf "$WORK/before"
	cp -r --sparse=always "$WORK/disk" "$WORK/before"
}

changed_blocks() {
	local disk
	for disk in 0 1 2; do
		cmp -l "$WORK/before/$disk" "$WORK/disk/$disk" | awk '{ print int(($1 - 1) / 4096) }' | uniq
	done | wc -l
}

# alpha goes on, knows that it has lost the pool, and its users do.
thaw_alpha() {
	host_thaw alpha
	wait_until 30 all_writers alpha failed
	wait_until 20 has_lease_word alpha lost
	host_log alpha 'this host does not own the pool any more'
	assert_fails 'error' host alpha "dd if=$kept of=/dev/null bs=4k count=1 iflag=direct"
	host alpha 'qbd pool stop tank'
}

# What alpha had sent before may lie in QEMU, which has the guest's network, and come to the servers when it goes on:
# blocks that were issued before, in its own volume. That is what fencing is for.
frozen_writes_nothing() {
	local frozen_at late
	freeze_writing_alpha
	beta_takes_over
	put beta b
	host beta 'qbd pool stop tank'
	keep_disks
	thaw_alpha
	late=$(changed_blocks)
	echo "$late blocks that alpha had sent before came late"
	assert_ge "$(stamps | wc -l)" $writers 'stamps on the disks'
	assert_le "$(stamps | tail -n 1)" "$frozen_at" 'the last stamp on the disks'
	host beta "$start"
	assert_holds beta b
	# Who writes what they hit mends it.
	[ "$late" = 0 ] || host beta "dd if=/dev/zero of=$load bs=1M count=8 oflag=direct status=none"
	host beta 'qbd scrub tank --quiet'
	put beta a
	assert_holds beta a
}

fenced_writes_nothing() {
	local frozen_at
	freeze_writing_alpha
	host_fence alpha
	beta_takes_over
	put beta b
	host beta 'qbd pool stop tank'
	keep_disks
	thaw_alpha
	assert_eq "$(changed_blocks)" 0 'blocks that changed'
	assert_le "$(stamps | tail -n 1)" "$frozen_at" 'the last stamp on the disks'
	host beta "$start"
	assert_holds beta b
	host beta 'qbd scrub tank --quiet'
}

waiting_is() { # HOST REGEX
	[[ "$(host "$1" 'dmsetup status tank')" =~ \ on_loss\ queue\ [0-9a-f]+\ $2\  ]]
}

# Its servers are stopped, and it runs: what waits for them does so no longer than the lease, though none went out.
waits_no_longer_than_the_lease() {
	host beta 'dmsetup message tank 0 on_loss queue'
	writers_begin beta
	host_fence beta
	wait_until 10 waiting_is beta '[1-9][0-9]*'
	assert_eq "$(lease_word beta)" owns "beta's lease"
	wait_until 20 has_lease_word beta lost
	wait_until 20 all_writers beta failed
	waiting_is beta 0 || fail 'something waits'
	assert_fails 'error' host beta "dd if=$kept of=/dev/null bs=4k count=1 iflag=direct"
	host beta 'qbd pool stop tank'
}

subtest second-is-refused second_is_refused &&
	subtest takeover-waits takeover_waits &&
	subtest hand-over hand_over &&
	subtest frozen-writes-nothing frozen_writes_nothing &&
	subtest back-again standby_takes_over beta alpha &&
	subtest fenced-writes-nothing fenced_writes_nothing &&
	subtest waits-no-longer-than-the-lease waits_no_longer_than_the_lease
subtest hosts-end hosts_end
finish
