#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every wrong command line: one clear line on stderr, status 2, and nothing changed on any device.
# Lanes: host
# Timeout: 60
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

# refused REGEX ARGUMENT...: qbd says one line that matches, and only that.
refused() {
	local regex=$1 status=0
	shift
	qbd "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
	[ "$status" = 2 ] || fail "status $status, not 2: qbd $*: $(cat "$WORK/err")"
	[ ! -s "$WORK/out" ] || fail "output of qbd $*: $(cat "$WORK/out")"
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "not one line of qbd $*: $(cat "$WORK/err")"
	grep -qE -- "^qbd: .*$regex" "$WORK/err" ||
		fail "'$(cat "$WORK/err")' does not match '$regex': qbd $*"
	count=$((count + 1))
}

make_devices() {
	local i
	cd "$WORK" || exit
	for i in 1 2 3 4; do
		truncate -s 64M "$i.img"
	done
	ln -s 1.img one
	qbd pool create tank ./1.img ./2.img
	sha256sum ./*.img >before
}

wrong_command_lines() {
	local count=0 long
	long=$(printf 'x%.0s' {1..64})
	cd "$WORK" || exit
	refused 'a verb is missing'
	refused 'no verb "nonsense"' nonsense
	refused 'pool: what about it' pool
	refused 'pool has no verb "destroy"' pool destroy
	refused 'volume has no verb "grow"' volume grow tank/a
	refused 'backend has no verb "kill"' backend kill tank 0
	refused 'no verb ""' ''
	refused "unrecognized option '--nonsense'" verify --nonsense ./1.img

	refused 'name and devices are missing' pool create
	refused 'devices are missing' pool create x
	refused '"-x" is not a name' pool create -- -x ./3.img
	refused '"a/b" is not a name' pool create a/b ./3.img
	refused '"\.\." is not a name' pool create .. ./3.img
	refused "\"$long\" is not a name" pool create "$long" ./3.img
	refused '"a b" is not a name' pool create 'a b' ./3.img
	refused '3.img: is named twice' pool create x ./3.img ./4.img ./3.img
	refused 'one and ./1.img are the same device' pool create --force x ./one ./1.img
	refused 'is not a block device' pool create x "$WORK"
	refused 'is not a block device' pool create x /dev/null
	refused 'names no device' pool create x ,host=A
	refused '"" is no list of tags' pool create x ./3.img,
	refused '"a,,b" is no list of tags' pool create x ./3.img,a,,b
	refused 'host="A"" is no list of tags' pool create x './3.img,host="A"'
	refused 'at most 64 backends' pool create x ./{1..65}.x
	refused 'extent-size must be a power of two' pool create x ./3.img --extent-size 3M
	refused 'extent-size must be a power of two' pool create x ./3.img --extent-size 128M
	refused 'extent-size must be .* not "4MB"' pool create x ./3.img --extent-size 4MB
	refused "'--extent-size' requires an argument" pool create x ./3.img --extent-size
	refused 'csum-bytes must be a multiple' pool create x ./3.img --csum-bytes 4k
	refused 'csum-bytes must be a multiple' pool create x ./3.img --csum-bytes 16M
	refused 'csum-bytes must be a size' pool create x ./3.img --csum-bytes 0

	refused 'a pool or its devices are missing' pool start
	refused 'is not a block device' pool start ./1.img ./2.img
	refused 'one pool at a time' pool start a b
	refused '"a,b" is not a pool.s name' pool start a,b
	refused '16 hexadecimal digits' pool start tank --force-history 12
	refused 'on-loss must be error or queue' pool start tank --on-loss panic
	refused 'name one pool' pool stop
	refused 'name one pool' pool stop a b
	refused '"a/b" is not a pool' pool stop a/b
	refused 'takes no pool' pool list tank
	refused 'name one pool, or none' pool status a b

	refused 'name one POOL/VOLUME' volume create
	refused '"vol" is not POOL/VOLUME' volume create vol --size 1G --replicas 2
	refused '"-a" is not a pool.s name' volume create --size 1G --replicas 2 -- -a/b
	refused '"b/c" is not a volume.s name' volume create a/b/c --size 1G --replicas 2
	refused '"" is not a volume.s name' volume create a/ --size 1G --replicas 2
	refused 'must not be a number' volume create a/12 --size 1G --replicas 2
	refused 'size is missing' volume create a/b --replicas 2
	refused 'replicas or --ec is missing' volume create a/b --size 1G
	refused 'one of --replicas and --ec' volume create a/b --size 1G --replicas 2 --ec 4+2
	refused 'replicas must be 1 to 8, not "9"' volume create a/b --size 1G --replicas 9
	refused 'replicas must be 1 to 8, not "0"' volume create a/b --size 1G --replicas 0
	refused 'ec must be K\+M .* not "4"' volume create a/b --size 1G --ec 4
	refused 'ec must be K\+M .* not "1\+1"' volume create a/b --size 1G --ec 1+1
	refused 'ec must be K\+M .* not "17\+2"' volume create a/b --size 1G --ec 17+2
	refused 'ec must be K\+M .* not "4\+5"' volume create a/b --size 1G --ec 4+5
	refused 'size must be .* not "0"' volume create a/b --size 0 --replicas 2
	refused 'size must be .* not "17T"' volume create a/b --size 17T --replicas 2
	refused 'size must be .* not "100"' volume create a/b --size 100 --replicas 2
	refused 'size must be .* not "1.5G"' volume create a/b --size 1.5G --replicas 2
	refused 'size must be .* not "-1G"' volume create a/b --size=-1G --replicas 2
	refused 'block-size must be .* not "2k"' volume create a/b --size 1G --ec 4+2 --block-size 2k
	refused 'block-size must be .* not "128k"' volume create a/b --size 1G --ec 4+2 --block-size 128k
	refused 'block-size must be .* not "12k"' volume create a/b --size 1G --ec 4+2 --block-size 12k
	refused '"a,b" is not a tag' volume create a/b --size 1G --ec 4+2 --tag a,b
	refused 'name one pool, or none' volume list a b
	refused 'name one POOL/VOLUME' volume remove a/b a/c
	refused 'name one POOL/VOLUME' volume start
	refused '"tank" is not POOL/VOLUME' volume stop tank

	refused 'name a pool and a backend' backend fail tank
	refused 'name a pool and a device' backend readd tank
	refused 'name a pool, a backend and a new device' backend replace tank 0
	refused '"a/b" is not a pool' backend fail a/b 0

	refused 'pool or its devices are missing' verify
	refused 'one pool at a time' verify tank x
	refused 'is not a pool.s name' verify 'ta nk'
	refused 'is not a block device' verify "$WORK/"
	refused 'name one pool' scrub
	refused 'name one pool' repair tank x
	refused 'rate must be .* not "fast"' repair tank --rate fast
	refused 'rate must be .* not "12"' repair tank --rate 12
	refused 'name one device' examine
	refused 'name one device' examine ./1.img ./2.img
	refused 'is not a block device' examine /dev/null
	echo "$count command lines"
	assert_ge "$count" 80 "command lines"
	sha256sum --quiet -c before
}

repair_is_used_wrongly() {
	local status=0
	assert_status 2 qbd-repair --nonsense
	qbd-repair 'a b' 2>"$WORK/err" || status=$?
	assert_eq "$status" 2 status
	assert_eq "$(cat "$WORK/err")" 'qbd-repair: "a b" is not a pool'"'"'s name'
}

# What is asked for is on stdout, and a success.
help_is_no_error() {
	qbd --help | grep -q 'volume create'
	qbd pool create --help | grep -q 'extent-size'
	qbd help | grep -q 'Exit codes'
	qbd --version | grep -qE '^qbd [0-9]'
	qbd-repair --help | grep -q 'POOL'
}

# Each verb is completed, and is in the manual.
verbs_are_documented() {
	local verb
	qbd --help | sed -n 's/^  qbd \([a-z]*\( [a-z]*\)\?\) .*/\1/p' >"$WORK/verbs"
	assert_ge "$(wc -l <"$WORK/verbs")" 17 verbs
	while read -r verb; do
		grep -qE "^\.B[RI]* +\"?qbd $verb" "$ROOT/userspace/man/qbd.8" || fail "no $verb in the manual"
		grep -q "'$verb'" "$ROOT/userspace/completion/qbd" || fail "no $verb in the completion"
	done <"$WORK/verbs"
}

subtest make-devices make_devices
subtest wrong-command-lines wrong_command_lines
subtest qbd-repair repair_is_used_wrongly
subtest help help_is_no_error
subtest documented verbs_are_documented
finish
