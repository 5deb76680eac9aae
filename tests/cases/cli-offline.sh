#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# qbd's offline verbs on files: create with its refusals, verify, examine. No module, no root.
# Lanes: host
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

# images COUNT MIB: fresh 1.img.. in an empty folder of the subtest's own.
images() {
	local i
	rm -rf "$WORK/images"
	mkdir "$WORK/images"
	cd "$WORK/images" || exit
	for ((i = 1; i <= $1; i++)); do
		truncate -s "$2M" "$i.img"
	done
}

untouched() {
	cmp -n "$(stat -c %s "$1")" "$1" /dev/zero
}

creates_a_pool() {
	images 6 64
	qbd pool create tank ./1.img,host=A ./2.img,host=A,ssd ./3.img,host=B ./4.img,host=B \
		./5.img,host=C ./6.img,host=C
	assert_eq "$(qbd verify ./*.img)" 'tank: whole' verify
	qbd examine ./2.img >examined
	grep -q '^pool  *tank, ' examined
	grep -q '^backend  *1, ' examined
	grep -q '^slots .* of 4194304 bytes, 57344 bytes of checksums' examined
	grep -q '^log  *no records' examined
	grep -q '^1  .* in  .* host=A ssd$' examined
	# Five of six have the ring.
	assert_eq "$(sed -n 's/^ring .*members//p' examined | wc -w)" 5 'ring members'
}

shapes() {
	images 3 64
	qbd pool create p ./1.img ./2.img --extent-size 1M --csum-bytes 48k
	qbd examine ./1.img | grep -q 'of 1048576 bytes, 49152 bytes of checksums'
	qbd pool create --force p ./1.img --extent-size 8M
	qbd examine ./1.img | grep -q 'of 8388608 bytes, 106496 bytes of checksums'
	# The ring follows the smallest backend: 1/256 of it, or with a journal 1/16.
	truncate -s 1G 3.img
	truncate -s 2G 4.img
	qbd pool create big ./3.img ./4.img --journal off
	qbd examine ./4.img | grep -qE '^ring area .* 1024 blocks'
	truncate -s 512M 3.img
	qbd pool create --force big ./3.img ./4.img --journal on
	qbd examine ./4.img | grep -qE '^ring area .* 8192 blocks'
	# A journal device may be nearly all ring.
	truncate -s 16M 1.img
	qbd pool create --force big ./3.img ./4.img --journal on --journal ./1.img,host=J
	qbd examine ./1.img >examined
	grep -qE '^ring area .* 3072 blocks' examined
	grep -q '^slots  *0 of ' examined
	grep -qE '^2  .* journal +in .* host=J$' examined
	assert_fails 'no use for journal devices' qbd pool create --force big ./3.img ./4.img --journal off \
		--journal ./1.img
}

# mkfs and the like, each with what qbd should call it.
refuses_what_is_used() {
	images 1 32
	mkfs.ext4 -q 1.img
	sha256sum 1.img >before
	assert_fails '1.img: has ext4; --force' qbd pool create p ./1.img
	assert_status 3 qbd pool create p ./1.img 2>/dev/null
	sha256sum --quiet -c before
	images 1 32
	mkswap -q 1.img >/dev/null
	assert_fails '1.img: has swap' qbd pool create p ./1.img
	images 1 32
	echo 'start=2048, type=83' | sfdisk -q 1.img
	assert_fails 'a partition table \(dos\)' qbd pool create p ./1.img
	images 1 32
	printf 'label: gpt\nsize=8MiB\n' | sfdisk -q 1.img
	assert_fails 'a partition table \(gpt\)' qbd pool create p ./1.img
	# With --force nothing of it is left, at the end of the device either.
	qbd pool create p ./1.img --force
	blkid -p 1.img && fail 'blkid still finds something'
	qbd verify ./1.img
}

refuses_another_pool() {
	images 2 32
	qbd pool create first ./1.img
	sha256sum 1.img >before
	assert_fails '1.img: has a backend of the pool "first"; --force' qbd pool create other ./1.img ./2.img
	sha256sum --quiet -c before
	untouched 2.img
	# Also one whose superblock is damaged.
	printf x | dd of=1.img bs=1 seek=100 conv=notrunc status=none
	assert_fails '1.img: has a backend of a pool \(superblock is damaged\)' qbd pool create other ./1.img
	qbd pool create other ./1.img --force
	qbd verify ./1.img | grep -q '^other: whole'
}

refuses_small_and_busy() {
	local lock
	images 1 7
	assert_fails '1.img: is too small: a backend has at least 8 MiB' qbd pool create p ./1.img
	images 2 8
	assert_fails '1.img: is too small for one extent' qbd pool create p ./1.img ./2.img --extent-size 64M
	untouched 1.img
	images 1 32
	exec {lock}<1.img
	flock -n "$lock"
	assert_fails '1.img: is in use' qbd pool create p ./1.img
	exec {lock}<&-
	assert_fails 'none: cannot be opened: No such file' qbd pool create p ./1.img ./none
}

verify_tells_what_is_missing() {
	images 4 32
	qbd pool create tank ./1.img,host=A ./2.img,host=B ./3.img,host=C ./4.img
	assert_status 1 qbd verify ./1.img ./3.img >out
	grep -q '^tank: not whole' out
	grep -q 'backend 1 (host=B) is missing' out
	grep -q 'backend 3 (no device) is missing' out
	# The tables of one are damaged: 64 pages of volumes, in both places.
	dd if=/dev/urandom of=2.img bs=8k seek=8 count=64 conv=notrunc status=none
	assert_status 1 qbd verify ./*.img >out
	grep -q 'backend 1 (./2.img) has 64 damaged metadata pages' out
	assert_status 1 qbd examine ./2.img >out
	grep -q 'damaged metadata pages: 64' out
	assert_status 3 qbd verify ./1.img ./none 2>err >/dev/null
	grep -q 'none: No such file' err
	truncate -s 16M 3.img
	assert_status 3 qbd verify ./3.img 2>err
	grep -q '3.img: device is smaller than its superblock says' err
	head -c 1M /dev/zero >empty
	assert_status 3 qbd examine ./empty 2>err
	grep -q 'empty: no qbd superblock' err
}

verify_json() {
	images 4 32
	qbd pool create one ./1.img ./2.img
	qbd pool create two ./3.img
	qbd verify --json ./*.img >out 2>/dev/null && fail 'the empty one was verified'
	assert_eq "$(jq -r '[.[] | .name] | sort | join(" ")' out)" 'one two' pools
	assert_eq "$(jq -c '[.[] | .whole, .online, .volumes, .problems]' out)" \
		'[true,false,[],[],true,false,[],[]]' pools
	assert_status 1 qbd verify ./1.img --json >out
	assert_eq "$(jq -r '.[0].problems[0]' out)" 'backend 1 (no device) is missing' problem
}

# What lists and searches works where there is no device mapper, and no such pool.
lists_without_a_kernel() {
	cd "$WORK" || exit
	qbd pool list >out
	head -1 out | grep -q '^POOL'
	qbd pool list --json | jq -e 'type == "array"' >/dev/null
	assert_status 3 qbd verify no-such-pool 2>err
	grep -q 'no pool "no-such-pool" is running, and no device has it' err
	assert_status 3 qbd pool start no-such-pool 2>err
	grep -q 'no device has a pool "no-such-pool"' err
}

# Random bytes over a pool's metadata: an answer, never a signal.
survives_damage() {
	local round status
	images 3 32
	qbd pool create tank ./1.img ./2.img ./3.img
	for round in {1..60}; do
		dd if=/dev/urandom of="$((round % 3 + 1)).img" bs=512 count=1 conv=notrunc status=none \
			seek=$((RANDOM % (2 << 11)))
		for command in 'verify ./1.img ./2.img ./3.img' 'examine --ring --slots ./2.img'; do
			status=0
			# shellcheck disable=SC2086
			qbd $command >/dev/null 2>&1 || status=$?
			[ "$status" = 0 ] || [ "$status" = 1 ] || [ "$status" = 3 ] ||
				fail "status $status of qbd $command in round $round"
		done
	done
}

subtest creates-a-pool creates_a_pool
subtest shapes shapes
subtest refuses-what-is-used refuses_what_is_used
subtest refuses-another-pool refuses_another_pool
subtest refuses-small-and-busy refuses_small_and_busy
subtest verify-tells-what-is-missing verify_tells_what_is_missing
subtest verify-json verify_json
subtest lists-without-a-kernel lists_without_a_kernel
subtest survives-damage survives_damage
finish
