# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # v is set by pool.sh
# Pools whose power can be cut at one instant, and changes that are not flushed: sourced after pool.sh.

# Backends through a device each that can be held, or made to fail, all at once, as a power cut does.
cut_pool() { # COUNT [OPTION...]
	cut_disks "$1"
	qbd pool create p "${devs[@]}" "${@:2}"
	qbd pool start p
}

# cut_pool_journal COUNT [OPTION...]: and two more, from disk COUNT on, for the ring alone.
cut_pool_journal() {
	cut_disks $(($1 + 2))
	qbd pool create p "${devs[@]:0:$1}" --journal "${devs[$1]}" --journal "${devs[$1 + 1]}" "${@:2}"
	qbd pool start p
}

cut_disks() { # COUNT
	local i
	discard_all
	devs=() below=()
	for ((i = 0; i < $1; i++)); do
		cut_disk "$i" 128
	done
}

cut_disk() { # INDEX MIB: one more, in devs and below
	loop_disk "d$1" "$2"
	below[$1]=$REPLY
	dmsetup create "cut$1" --table "0 $(($2 * 2048)) linear $REPLY 0"
	devs[$1]=/dev/mapper/cut$1
}

# All of them are held before any of them changes: nothing that the pool does about one reaches another.
set_tables() { # TABLE INDEX..., of TABLE the target's words
	local table=$1 i
	shift
	for i; do
		dmsetup suspend --noflush "cut$i"
	done
	for i; do
		dmsetup load "cut$i" --table "0 $(cat "/sys/block/${below[i]##*/}/size") ${table//DEV/${below[i]}}"
		dmsetup resume "cut$i"
	done
}

# The pool ends with what reached its backends until now; those of the arguments were held, and are last.
cut() {
	local i others=() held=" $* "
	for i in "${!devs[@]}"; do
		[[ $held = *" $i "* ]] || others+=("$i")
	done
	set_tables error "${others[@]}" "$@"
	dmsetup remove --retry p-v
	dmsetup remove --retry p
	set_tables "linear DEV 0" "${!devs[@]}"
}

# lose_for_good INDEX...: they are no backends any more.
lose_for_good() {
	local i
	for i; do
		dd if=/dev/zero of="${below[i]}" bs=32k count=1 oflag=direct conv=notrunc status=none
	done
}

# all_is_there: the pool starts on what a cut left, and holds what it must, before what is in the journal is in
# its place and after.
all_is_there() {
	qbd pool start p --allow-degraded
	same "$WORK/a"
	assert_eq "$(pool_status lost)" 0 "lost blocks"
	message checkpoint
	same "$WORK/a"
	scrub_finds 0
}

# change BLOCK COUNT: COUNT blocks of random data, in one write that is not flushed.
change() {
	random_file "$WORK/change" 1
	dd if="$WORK/change" of="$v" bs=$((4096 * $2)) count=1 seek=$((4096 * $1)) \
		oflag=direct,seek_bytes conv=notrunc status=none
	dd if="$WORK/change" of="$WORK/a" bs=$((4096 * $2)) count=1 seek=$((4096 * $1)) \
		oflag=seek_bytes conv=notrunc status=none
}

# filled MIB: the volume and $WORK/a hold the same.
filled() {
	random_file "$WORK/a" "$1"
	put "$WORK/a"
	message checkpoint
}
