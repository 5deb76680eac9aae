#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# qbd on a running pool: every verb, its tables, JSON and exit codes, from create to repair.
# Lanes: uml-fast uml-debug
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

dev() { # NAME
	cat "$WORK/loop/$1.dev"
}

# says STATUS REGEX ARGUMENT...: qbd ends so, and one of its lines matches.
says() {
	local want=$1 regex=$2 status=0
	shift 2
	qbd "$@" >"$WORK/said" 2>&1 </dev/null || status=$?
	[ "$status" = "$want" ] || fail "status $status, not $want: qbd $*: $(cat "$WORK/said")"
	grep -qE -- "$regex" "$WORK/said" || fail "'$(cat "$WORK/said")' does not match '$regex': qbd $*"
}

json() { # FILTER ARGUMENT...: what jq says of qbd's JSON
	local filter=$1
	shift
	{ qbd "$@" --json || [ $? = 1 ]; } | jq -r "$filter"
}

starts() {
	local i
	module_load
	for i in 1 2 3 4 5 6 7; do
		loop_disk "$i" 64
	done
	qbd pool create tank "$(dev 1),host=A" "$(dev 2),host=A" "$(dev 3),host=B" \
		"$(dev 4),host=B" "$(dev 5),host=C" "$(dev 6),host=C,ssd"
	says 0 '^tank +stopped +6 ' pool list
	says 0 '^tank: whole' verify tank
	qbd pool start tank
	says 0 '^tank +running +6 +AAAAAA ' pool list
	assert_eq "$(json '.[0].state' pool list)" running state
	assert_match "$(dmsetup info -c --noheadings -o uuid tank)" '^qbd-pool-[0-9a-f-]{36}$' uuid
	qbd pool start tank # again: nothing to do
	assert_fails 'is in use' qbd pool create other "$(dev 1)" --force
}

makes_volumes() {
	qbd volume create tank/vm-1 --size 40M --ec 4+2
	qbd volume create tank/mirror --size 20M --replicas 2 --block-size 16k --tag host=A
	qbd volume create tank/later --size 8M --replicas 3 --no-start
	[ -b /dev/mapper/tank-vm--1 ]
	assert_eq "$(blockdev --getsize64 /dev/mapper/tank-vm--1)" $((40 << 20)) size
	[ ! -e /dev/mapper/tank-later ]
	assert_match "$(dmsetup info -c --noheadings -o uuid tank-mirror)" '^qbd-[0-9a-f-]{36}-[0-9]+$' uuid
	says 0 '^tank/vm-1 +40M +ec=4\+2 +4K +- +/dev/mapper/tank-vm--1$' volume list
	says 0 '^tank/mirror +20M +replicas=2 +16K +host=A +/dev/mapper/tank-mirror$' volume list tank
	says 0 '^tank/later .* not started$' volume list
	assert_eq "$(json 'map(.name) | sort | join(" ")' volume list)" 'later mirror vm-1' names
	assert_eq "$(json '.[] | select(.name == "mirror") | .block_size' volume list)" 16384 blocks
	says 3 'tank/vm-1: exists already' volume create tank/vm-1 --size 8M --replicas 1
	says 3 'has 6 backends, and the volume needs 7' volume create tank/x --size 8M --ec 5+2
	says 3 'has 1 backends with the tag ssd, and .* needs 2' volume create tank/x --size 8M --replicas 2 --tag ssd
	says 3 'no pool "nil" is running' volume create nil/x --size 8M --replicas 2
	says 3 'tank: has no volume "nil"' volume start tank/nil
	qbd volume start tank/later
	[ -b /dev/mapper/tank-later ]
	qbd volume stop tank/later
	qbd volume stop tank/later
	[ ! -e /dev/mapper/tank-later ]
}

fill() { # VOLUME
	dd if=/dev/urandom of="$WORK/$1" bs=1M count=16 status=none
	dd if="$WORK/$1" of="/dev/mapper/tank-$1" bs=1M oflag=direct conv=fsync status=none
}

same() { # VOLUME
	dd if="/dev/mapper/tank-$1" bs=1M count=16 iflag=direct status=none | cmp - "$WORK/$1"
}

keeps_data() {
	fill vm--1
	fill mirror
	says 0 '^vm-1 +ec=4\+2 +1 +0 +0 +0 +2$' verify tank
	says 0 '^mirror +replicas=2 +4 +0 +0 +0 +1$' verify tank
	says 0 'all is well' pool status tank
	assert_eq "$(json '.[0].volumes[] | select(.name == "vm-1") | .losses' verify tank)" 2 losses
	assert_eq "$(json '.[0].backends | length' pool status)" 6 backends
	says 0 '^tank: fine$' repair tank
	assert_eq "$(qbd-repair)" 'tank: fine' qbd-repair
}

in_use_is_kept() {
	exec 7<"/dev/mapper/tank-mirror"
	says 3 'tank-mirror: is in use' pool stop tank
	says 3 'tank-mirror: is in use' volume stop tank/mirror
	says 3 'tank-mirror: is in use' volume remove tank/mirror --yes
	exec 7<&-
	[ -b /dev/mapper/tank-vm--1 ]
	says 2 'yes is needed' volume remove tank/mirror
	same mirror
}

# Stopped clean, started again; offline and online say the same.
stops_and_starts() {
	qbd volume list | sort >"$WORK/list"
	qbd verify tank | sed 1d >"$WORK/online"
	qbd pool stop tank
	[ ! -e /dev/mapper/tank ]
	says 3 'no pool "tank" is running' pool stop tank
	qbd verify tank | sed 1d | cmp - "$WORK/online"
	qbd verify "$(dev 1)" "$(dev 2)" "$(dev 3)" "$(dev 4)" "$(dev 5)" "$(dev 6)" | sed 1d |
		cmp - "$WORK/online"
	qbd examine "$(dev 1)" --slots | grep -q '^slot .* live layer'
	qbd pool start "$(dev 6)" "$(dev 5)" "$(dev 4)" "$(dev 3)" "$(dev 2)" "$(dev 1)"
	same vm--1
	same mirror
	qbd volume stop tank/later
	qbd volume list | sort | cmp - "$WORK/list"
}

# To look at: nothing can be written, and nothing is.
starts_read_only() {
	qbd pool stop tank
	qbd pool start tank --read-only
	says 0 '^tank +read-only +6 +AAAAAA ' pool list
	assert_eq "$(blockdev --getro /dev/mapper/tank-vm--1)" 1 read-only
	same vm--1
	says 3 'cannot be created: Read-only' volume create tank/x --size 8M --replicas 2
	assert_eq "$(qbd-repair)" 'tank: fine' qbd-repair
	qbd pool stop tank
	qbd pool start tank
	same mirror
}

# One goes out, misses writes, comes back by its superblock: what it missed is rebuilt.
fails_and_returns() {
	says 2 'is not a device' backend fail tank nonsense
	says 3 'tank: has no backend 9' backend fail tank 9
	says 3 'tank: has no backend' backend fail tank "$(dev 7)"
	qbd backend fail tank "$(dev 3)"
	says 0 '^tank +running +6 +AAS(AAA|aaa) ' pool list
	says 1 'backend 2 .* is out since epoch' verify tank
	says 1 '^vm-1 +ec=4\+2 +0 +1 +0 +0 +1$' verify tank
	says 1 '2 +.*out' pool status tank
	assert_eq "$(json '.[0].whole' verify tank)" false whole
	fill vm--1
	same vm--1
	says 0 '^tank: fine, 1 backend let in' repair tank
	says 0 '^vm-1 +ec=4\+2 +1 +0 +0 +0 +2$' verify tank
	same vm--1
	says 3 'backend 2 is in already' backend readd tank "$(dev 3)"
}

# Its device is gone for good: an empty one takes its place.
is_replaced() {
	says 3 'backend 4 is in; qbd backend fail' backend replace tank 4 "$(dev 7)"
	qbd backend fail tank 4
	mkfs.ext4 -q "$(dev 7)"
	says 3 'has ext4; --force' backend replace tank 4 "$(dev 7)"
	says 3 "$(dev 1): is in use" backend replace tank 4 "$(dev 1)"
	qbd backend replace tank 4 "$(dev 7)" --force
	says 0 '^tank: ' repair tank
	says 0 '^tank: whole' verify tank
	same vm--1
	same mirror
	assert_eq "$(json ".[0].backends[4].device" pool status)" "$(dev 7)" device
}

scrubs() {
	says 0 '^tank: [0-9]+ of [0-9]+ chunks read, 0 bad blocks found$' scrub tank
	qbd pool stop tank
	# Data of the first chunk on one backend: its slots begin where examine says.
	dd if=/dev/urandom of="$(dev 2)" bs=4k count=64 conv=notrunc,fsync status=none \
		seek=$(($(qbd examine "$(dev 2)" | sed -n 's/^data area *//p') / 4096))
	qbd pool start tank
	says 1 ' [1-9][0-9]* bad blocks found$' scrub tank
	says 0 ' 0 bad blocks found$' scrub tank
	same vm--1
	same mirror
}

# A member that is missing at the start, and that the others do not know to be out.
starts_degraded() {
	qbd pool stop tank
	loop_detach 6
	says 3 'backend 5 \(host=C ssd\) is missing' pool start tank
	grep -q 'allow-degraded starts it without' "$WORK/said"
	[ ! -e /dev/mapper/tank ]
	says 1 'backend 5 \(host=C ssd\) is missing' verify tank
	qbd pool start tank --allow-degraded 2>/dev/null
	says 1 'backend 5' verify tank
	same vm--1
	says 1 '^tank: .*1 backend out' repair tank
	assert_status 1 qbd-repair >"$WORK/said"
	grep -q '^tank: .*1 backend out' "$WORK/said"
	loop_disk 6 64
	assert_match "$(qbd-repair tank)" '^tank: fine, 1 backend let in' line
	says 0 '^tank: whole' verify tank
	same vm--1
}

# Two at a time: the second one says so.
repairs_once_at_a_time() {
	local lock
	exec {lock}>/run/lock/qbd-repair.lock
	flock -n "$lock"
	assert_status 3 qbd-repair 2>"$WORK/said"
	grep -q 'another one is running' "$WORK/said"
	exec {lock}>&-
	assert_status 0 qbd-repair
}

removes() {
	qbd volume remove tank/vm-1 --yes
	[ ! -e /dev/mapper/tank-vm--1 ]
	says 3 'has no volume "vm-1"' volume remove tank/vm-1 --yes
	qbd volume remove tank/mirror -y
	qbd volume remove tank/later -y
	wait_until 20 no_chunks
	qbd pool stop tank
	assert_eq "$(dmsetup ls)" 'No devices found' devices
}

no_chunks() {
	[ "$(json '.[0].chunks' pool status tank)" = 0 ]
}

# limit NUMBER: of an nbd device, in jiffies; 0: none.
limit() {
	cat "/sys/kernel/debug/nbd/nbd$1/timeout"
}

# One that nbd-client made as it does by itself keeps for ever what its server does not answer.
nbd_gets_a_timeout() {
	local made
	nbd_disk a 32	# has one
	made=("$REPLY")
	nbd_serve b 32
	nbd_connect b -timeout 0
	made+=("$REPLY")
	nbd_serve c 32
	made+=(/dev/nbd2)
	nbd-client 127.0.0.1 "$(<"$WORK/nbd/c.port")" /dev/nbd2 -N c >/dev/null
	wait_until 10 nbd_has_size 2
	assert_eq "$(limit 1) $(limit 2)" '0 0' timeouts
	qbd pool create far "${made[@]}" --extent-size 1M 2>"$WORK/said"
	cat "$WORK/said"
	assert_eq "$(grep -c 'had no timeout, and has one of 60 s now' "$WORK/said")" 2 "devices that got one"
	assert_eq "$(limit 0)" $((60 * $(limit 1))) "the timeout that was there, of 3600 s"
	assert_eq "$(limit 1)" "$(limit 2)" timeouts
	assert_ge "$(limit 2)" 1 timeout
	# Nothing more is to be said.
	qbd pool create far "${made[@]}" --extent-size 1M --force 2>"$WORK/said"
	assert_eq "$(cat "$WORK/said")" '' "what the second time says"
	nbd-client -d /dev/nbd2 >/dev/null
}

subtest nbd-gets-a-timeout nbd_gets_a_timeout
subtest starts starts
subtest makes-volumes makes_volumes
subtest keeps-data keeps_data
subtest in-use-is-kept in_use_is_kept
subtest stops-and-starts stops_and_starts
subtest starts-read-only starts_read_only
subtest fails-and-returns fails_and_returns
subtest is-replaced is_replaced
subtest scrubs scrubs
subtest starts-degraded starts_degraded
subtest repairs-once repairs_once_at_a_time
subtest removes removes
finish
