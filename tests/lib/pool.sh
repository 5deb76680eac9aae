# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Pools for the tests in a kernel: sourced after test.sh. Each subtest that calls fresh_pool begins
# with devices of its own, whatever the one before it left.

# discard_all: no pool, no backend, no file of one.
discard_all() {
	local file
	local mounts=()
	while read -r _ file _; do
		[[ $file != "$WORK"* ]] || mounts=("$file" "${mounts[@]}")
	done </proc/mounts
	for file in "${mounts[@]}"; do
		umount "$file"
	done
	dm_remove_all
	for file in "$WORK"/nbd/*.pid; do
		[ -e "$file" ] || continue
		kill -CONT -- "-$(<"$file")" 2>/dev/null || :
		kill -KILL -- "-$(<"$file")" 2>/dev/null || :
		rm "$file"
	done
	for file in "$WORK"/nbd/*.dev; do
		[ ! -e "$file" ] || nbd-client -d "$(<"$file")" >/dev/null
	done
	for file in "$WORK"/loop/*.dev; do
		[ ! -e "$file" ] || loop_clear "$(<"$file")"
	done
	rm -f "$WORK"/loop/* "$WORK"/nbd/*
	module_load
}

# fresh_pool COUNT MIB [OPTION...]: start a pool p on new loop disks d0.. of MIB each; sets devs.
# Options are those of "qbd pool create"; those that begin with "," are tags, one for each disk.
fresh_pool() {
	local count=$1 mib=$2 i options=() tags=()
	shift 2
	for i; do
		case $i in
		,*) tags+=("$i");;
		*) options+=("$i");;
		esac
	done
	discard_all
	devs=()
	for ((i = 0; i < count; i++)); do
		loop_disk "d$i" "$mib"
		devs+=("$REPLY")
		tags[i]=$REPLY${tags[i]-}
	done
	qbd pool create p "${tags[@]}" "${options[@]}"
	qbd pool start p
}

# volume POLICY [SIZE [OPTION...]]: make the volume p/v; POLICY as in replicas=2, ec=4+2. Sets v.
volume() {
	local policy=$1 size=${2:-64M}
	shift
	[ $# -eq 0 ] || shift
	qbd volume create p/v --size "$size" "--${policy%%=*}" "${policy#*=}" "$@"
	v=/dev/mapper/p-v
}

# message WORD...: to the pool p.
message() {
	dmsetup message p 0 "$@"
}

# pool_status FIELD: a field of the status line of the pool p; abi.h has their order.
pool_status() {
	local column
	case $1 in
	mode) column=4;;
	health) column=5;;
	epoch) column=6;;
	slots) column=9;;
	used|total) column=9;;
	chunks) column=11;;
	degraded) column=12;;
	ring) column=13;;
	checkpoints) column=14;;
	resync) column=16;;
	resync_chunks) column=17;;
	resync_bytes) column=18;;
	scrub) column=20;;
	scrub_chunks) column=21;;
	scrub_bad) column=22;;
	repaired) column=23;;
	lost) column=24;;
	journal) column=26;;
	journal_rows) column=27;;
	destaged) column=28;;
	lease) column=30;;
	kept) column=34;;
	waiting) column=35;;
	hedge) column=37;;
	hedged) column=38;;
	hedges_won) column=39;;
	journal_devs) column=41;;
	reconcile) column=43;;
	reconciled|to_reconcile) column=44;;
	*) fail "no field $1 in the status line";;
	esac
	local line fields
	dm -v line status p
	read -r -a fields <<<"$line"
	line=${fields[column - 1]}
	case $1 in
	used|reconciled) echo "${line%/*}";;
	total|to_reconcile) echo "${line#*/}";;
	*) echo "$line";;
	esac
}

status_fields() { # FIELD...
	local field
	for field; do
		pool_status "$field"
	done
}

# tag_of_pool: of its newest epoch, as force_history takes it.
tag_of_pool() {
	pool_status epoch | sed 's/.*://'
}

# rows_are COUNT: so many are in the journal.
rows_are() {
	[ "$(pool_status journal_rows)" -eq "$1" ]
}

# backend_field FIELD INDEX: of the answer to the message "backends".
backend_field() {
	local column
	case $1 in
	uuid) column=2;;
	device) column=3;;
	state) column=4;;
	free) column=8;;
	stale) column=9;;
	read_errors) column=10;;
	write_errors) column=11;;
	csum_errors) column=12;;
	repaired) column=13;;
	deadline) column=14;;
	timeouts) column=15;;
	orphans) column=16;;
	*) fail "no field $1 of a backend";;
	esac
	answer_field backends "$2" $column
}

# answer_field MESSAGE INDEX COLUMN: of the line about a backend in the answer to a message.
answer_field() {
	local lines fields
	dm -v lines message p 0 "$1"
	while read -r -a fields; do
		[ "${fields[0]}" != "$2" ] || echo "${fields[$3 - 1]}"
	done <<<"$lines"
}

# csum_errors: of all backends.
csum_errors() {
	local lines fields sum=0
	dm -v lines message p 0 backends
	while read -r -a fields; do
		sum=$((sum + fields[11]))
	done <<<"$lines"
	echo "$sum"
}

health_is() {
	[ "$(pool_status health)" = "$1" ]
}

kept_is() { # MASK
	[ "$(pool_status kept)" = "$1" ]
}

waiting() { # COUNT: at least so many requests wait
	[ "$(pool_status waiting)" -ge "$1" ]
}

none_waits() {
	[ "$(pool_status waiting)" = 0 ]
}

# nothing_failing: all is as before an outage.
nothing_failing() {
	kept_is 0 && none_waits && sync_volume
}

scrub_idle() {
	[ "$(pool_status scrub)" = idle ]
}

field_is() { # FIELD INDEX VALUE: of a backend
	[ "$(backend_field "$1" "$2")" = "$3" ]
}

has_orphans() { # INDEX
	[ "$(backend_field orphans "$1")" -gt 0 ]
}

# whole: nothing is missing, nothing is being rebuilt.
whole() {
	[[ $(pool_status health) =~ ^A+$ ]] && [ "$(pool_status degraded)" = 0 ] &&
		[ "$(pool_status resync)" = idle ]
}

# put FILE [OFFSET_MIB]: write a file to the volume and flush it.
put() {
	dd if="$1" of="$v" bs=1M seek="${2:-0}" oflag=direct conv=fsync,notrunc status=none
}

# same FILE [OFFSET_MIB]: the volume holds that, read from its backends.
same() {
	holds "$v" "$1" "${2:-0}" || fail "the volume does not hold what was written"
}

# restart [OPTION...]: stop and start the pool.
restart() {
	qbd pool stop p
	qbd pool start p "$@"
}

# scrub_finds COUNT: a scrub finds that many bad blocks and pages.
scrub_finds() {
	local status=0
	qbd scrub p --quiet >/dev/null || status=$?
	assert_le "$status" 1 "status of scrub"
	assert_eq "$(pool_status scrub_bad)" "$1" "number of bad blocks that scrub found"
}

# repaired: wait until the resync that runs has made the pool whole.
repaired() {
	wait_until "${1:-30}" whole
}

# disk_counts ARRAY: the counters of the disks in devs: reads, their sectors, writes, theirs, and
# flushes, five words a disk. No process is made for it: what is measured lasts for moments.
disk_counts() {
	local -n counts=$1
	local dev fields
	counts=()
	for dev in "${devs[@]}"; do
		read -r -a fields <"/sys/class/block/${dev##*/}/stat"
		counts+=("${fields[0]}" "${fields[2]}" "${fields[4]}" "${fields[6]}" "${fields[15]}")
	done
}

# measure PREPARE COMMAND [FIELD...]: run both, and count what COMMAND does to the disks in devs: sets the arrays
# reads, read_sectors, writes, write_sectors and flushes, an element a disk. A checkpoint that comes in
# between by itself would be counted, too, or a read that is late and hedged, so then it is done again; likewise when
# these fields of the pool's status change from the begin of PREPARE on. PREPARE follows a checkpoint.
measure() {
	local before after i try checkpoints fields
	for try in 1 2 3 4 5 6 7 8; do
		message checkpoint
		checkpoints=$(pool_status checkpoints)
		fields=$(status_fields hedged "${@:3}")
		$1
		disk_counts before
		$2
		disk_counts after
		[ "$(status_fields hedged "${@:3}")" = "$fields" ] || continue
		message checkpoint
		[ "$(pool_status checkpoints)" != $((checkpoints + 1)) ] || break
	done
	assert_le "$try" 7 "number of tries without a quiet moment"
	reads=() read_sectors=() writes=() write_sectors=() flushes=()
	for ((i = 0; i < ${#devs[@]}; i++)); do
		reads[i]=$((after[5 * i] - before[5 * i]))
		read_sectors[i]=$((after[5 * i + 1] - before[5 * i + 1]))
		writes[i]=$((after[5 * i + 2] - before[5 * i + 2]))
		write_sectors[i]=$((after[5 * i + 3] - before[5 * i + 3]))
		flushes[i]=$((after[5 * i + 4] - before[5 * i + 4]))
	done
}

# sum NUMBER...: sets REPLY.
sum() {
	local number
	REPLY=0
	for number; do
		REPLY=$((REPLY + number))
	done
}

# ring_members: the indexes of the backends that have the ring.
ring_members() {
	qbd examine "${devs[0]}" | sed -n 's/^ring .*members//p'
}

# map_legs: where the legs of the pool's chunks are, by the slot tables of the disks in devs, as they
# are after a checkpoint: sets the associative array place: "layer:chunk:leg" -> "disk slot".
map_legs() {
	local i line lines words
	declare -gA place=()
	message checkpoint 2>/dev/null || :
	for ((i = 0; i < ${#devs[@]}; i++)); do
		# All of it at once: "read" takes a pipe byte by byte.
		mapfile -t lines < <(qbd examine "${devs[i]}" --slots)
		for line in "${lines[@]}"; do
			read -r -a words <<<"$line"
			[[ "${words[0]} ${words[2]-}" != "slot live" ]] ||
				place[${words[4]}:${words[6]}:${words[8]}]="$i ${words[1]}"
		done
	done
}

# lose INDEX...: take backends out.
lose() {
	local i
	for i; do
		message fail "$i"
	done
}

# regain INDEX...: let them in again, and wait until all is whole.
regain() {
	local i
	for i; do
		qbd backend readd p "${devs[i]}"
	done
	repaired
}

worker_waits() { # NAME: one of that work queue's is in a sleep that nothing ends but what it waits for
	ps -e -o stat,comm | grep -q "^D.*kworker.*+qbd-$1"
}

# sync_volume: a flush.
sync_volume() {
	dd if=/dev/zero of="$v" count=0 conv=fsync,notrunc status=none
}

# geometry: the positions of disk 0, which those of all disks of a size are, in bytes.
geometry() {
	local area start
	while read -r area start; do
		case $area in
		'volume') volume_start=$start;;
		'layer') layer_start=$start;;
		'slot') slot_start=$start;;
		'checksum') csum_start=$start;;
		'ring') ring_start=$start;;
		'data') data_start=$start;;
		esac
	done < <(qbd examine "${devs[0]}" | sed -n 's/^\([a-z]*\) \(area\|table\)  *\([0-9]*\).*/\1 \3/p')
	csum_bytes=$(qbd examine "${devs[0]}" | sed -n 's/^slots .*, \([0-9]*\) bytes of checksums.*/\1/p')
	ring_blocks=$(qbd examine "${devs[0]}" | sed -n 's/^ring area .*, \([0-9]*\) blocks.*/\1/p')
	[ -n "$volume_start$layer_start$ring_start" ] && [ "$csum_bytes" -ge 8192 ] &&
		[ "$data_start" -gt "$csum_start" ] && [ "$csum_start" -gt "$slot_start" ]
}

# nbd_pool COUNT MIB [OPTION...]: as fresh_pool, of NBD exports n0.. of both servers in turn.
nbd_pool() {
	local count=$1 mib=$2 i kinds=(nbd-server nbdkit)
	shift 2
	discard_all
	devs=()
	for ((i = 0; i < count; i++)); do
		nbd_disk "n$i" "$mib" "${kinds[i % 2]}"
		devs+=("$REPLY")
	done
	qbd pool create p "${devs[@]}" "$@"
	qbd pool start p
}

# nbd_return INDEX: start the server of an export again, with what it holds, and connect to it.
nbd_return() {
	nbd_disconnect "n$1"
	nbd_start "n$1"
	nbd_connect "n$1"
	devs[$1]=$REPLY
}
