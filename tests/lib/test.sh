# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The library of the tests that run in a kernel: tests/cases/NAME.sh sources it, tests/run boots
# a kernel and runs the file. tests/README.md says how to write one.
#
# Each subtest is a function that runs in a subshell with "set -e": what it makes stays (devices,
# servers, files in $WORK), what it sets does not. So the library keeps its state in files.
#
# Results are lines "ok NAME", "not ok NAME", "skipped NAME why"; all else is indented.

set -uo pipefail
case ${QBD_LANE-} in
uml-*|guest-*|host) ;;
*) echo "$0: to be run by tests/run: this is not a kernel of the tests" >&2; exit 2;;
esac

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d)
mkdir "$WORK"/{nbd,loop}
export ROOT WORK
PATH=$ROOT/${BUILD:-build}/userspace:$PATH

# What tests do all the time, without a process: in a user-mode kernel one costs 20 to 50 ms, and
# twice that in the debug kernel.
if [ "$QBD_LANE" != host ]; then
	enable -f "$ROOT/${BUILD:-build}/builtins/builtins.so" \
		dm holds io_flusher log_line loop_attach loop_clear random_file test_dd || exit 2
	# builtin_or_program BUILTIN PROGRAM [ARG...]: what the builtin does not know goes to the program.
	builtin_or_program() {
		local status=0
		"$1" "${@:3}" || status=$?
		[ "$status" != 125 ] || { command "${@:2}"; return; }
		return "$status"
	}
	dmsetup() { builtin_or_program dm dmsetup "$@"; }
	dd() { builtin_or_program test_dd dd "$@"; }
fi

# A pipe that nobody writes to, to wait at.
exec {quiet_pipe}<> <(:)

# pause SECONDS: as sleep.
pause() {
	local REPLY
	read -r -t "$1" -u "$quiet_pipe" || :
}

# --- results --------------------------------------------------------------------------------------

failures=0

# subtest NAME COMMAND [ARG...]: run COMMAND, usually a function, as the subtest NAME.
# Its status says whether it succeeded; the next one runs in any case. The output has how long it took.
# QBD_SUBTEST: a pattern; others are not run.
subtest() {
	local name=$1 begun=$EPOCHREALTIME ended
	shift
	# shellcheck disable=SC2053 # it is a pattern
	case $name in
	leaves-nothing-behind|no-leaks) ;;
	*) [[ $name = ${QBD_SUBTEST-*} ]] || return 0;;
	esac
	{
		(
			set -eE
			trap 'report_failure "status $? of $BASH_COMMAND"' ERR
			trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
			"$@"
		) 2>&1
		echo $? >"$WORK/status"
	} | sed -u 's/^/    /'
	ended=$EPOCHREALTIME
	echo "# $name: $(((${ended/[.,]/} - ${begun/[.,]/}) / 1000)) ms"
	case $(<"$WORK/status") in
	0) echo "ok $name";;
	77) echo "skipped $name $(<"$WORK/why")";;
	*) echo "not ok $name"; failures=$((failures + 1)); return 1;;
	esac
}

# skip WHY: end the subtest; it can not run here.
skip() {
	echo "$*" >"$WORK/why"
	exit 77
}

# fail MESSAGE: end the subtest as failed, with the lines that led here.
fail() {
	report_failure "$*"
	exit 1
}

report_failure() { # MESSAGE
	local i
	echo "failed: $1"
	for ((i = 1; i < ${#FUNCNAME[@]} - 1; i++)); do
		[ "${FUNCNAME[i]}" != subtest ] || break
		case ${FUNCNAME[i]} in fail|assert_*) continue;; esac
		echo "  at ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]} ${FUNCNAME[i]}"
	done
} >&2

assert_eq() { # ACTUAL EXPECTED [WHAT]
	[ "$1" = "$2" ] || fail "${3:-value} is '$1', not '$2'"
}

assert_le() { # ACTUAL MOST [WHAT]
	[ "$1" -le "$2" ] || fail "${3:-value} is $1, more than $2"
}

assert_ge() { # ACTUAL LEAST [WHAT]
	[ "$1" -ge "$2" ] || fail "${3:-value} is $1, less than $2"
}

assert_match() { # STRING REGEX [WHAT]
	[[ $1 =~ $2 ]] || fail "${3:-value} is '$1', which does not match '$2'"
}

# assert_status STATUS COMMAND [ARG...]
assert_status() {
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" = "$want" ] || fail "status $got, not $want: $*"
}

# assert_fails REGEX COMMAND [ARG...]: COMMAND fails and says what matches REGEX.
assert_fails() {
	local regex=$1 output
	shift
	! output=$("$@" 2>&1) || fail "succeeded: $*"
	grep -qE -- "$regex" <<<"$output" || fail "'$output' does not match '$regex': $*"
}

# How much slower than the fast kernel a lane may be on a busy host.
case $QBD_LANE in
uml-debug) slowness=4;;
guest-*) slowness=8;;
*) slowness=2;;
esac

# wait_until SECONDS COMMAND [ARG...]: poll until COMMAND succeeds; more seconds in slow lanes.
wait_until() {
	local end=$((SECONDS + $1 * slowness))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || fail "still not so: $*"
		pause 0.05
	done
}

ended() { # PID: it did, well or not
	! kill -0 "$1" 2>/dev/null
}

# took COMMAND...: run it; sets ms.
took() {
	local begin=${EPOCHREALTIME/[.,]/}
	"$@"
	ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
}

# at_once COMMAND...: it waits for nothing that does not answer: a second in the fast kernel is too long.
at_once() {
	local ms
	took "$@"
	echo "$*: $ms ms"
	assert_le "$ms" $((500 * slowness)) "ms of $*"
}

# --- the kernel's log -----------------------------------------------------------------------------

# expect_log REGEX: the test provokes reports that match (extended regular expression); they do
# not fail it. Without this, every report in the log does.
expect_log() {
	echo "qbd-test: expect: $1" >/dev/kmsg
}

# log_mark: what assert_log looks at begins here.
log_mark() {
	echo "qbd-test: mark" >/dev/kmsg
}

assert_log() { # REGEX, extended: in a line since the last mark
	log_line "$1" || fail "no '$1' in the kernel's log"
}

assert_no_log() { # REGEX
	local REPLY
	! log_line "$1" || fail "in the kernel's log: $REPLY"
}

# --- the module -----------------------------------------------------------------------------------

module_load() { # [PARAMETER=VALUE...]
	[ ! -d /sys/module/dm_qbd ] || return 0
	modprobe -q libcrc32c 2>/dev/null || :
	modprobe dm-mod 2>/dev/null || :
	insmod "$QBD_MODULE" "$@"
}

# Devices are closed by a worker after their pool is gone: the module is busy for a moment.
module_unload() {
	[ -d /sys/module/dm_qbd ] || return 0
	wait_until 15 rmmod dm-qbd
}

# --- backends -------------------------------------------------------------------------------------

# ram_disks COUNT MIB: fresh RAM disks /dev/ram0..; their memory is taken as it is written. All of a
# boot are remade together, so nothing may use one. They neither flush nor discard, and some kernels
# keep no statistics of them.
ram_disks() {
	if [ -d /sys/module/brd ]; then
		rmmod brd
	fi
	modprobe brd rd_nr="$1" rd_size=$(($2 * 1024))
}

# loop_disk NAME MIB: a loop device over a sparse file in memory; sets REPLY. It flushes and
# discards. Again with the same NAME: the same file, with what it holds.
loop_disk() {
	local file=$WORK/loop/$1.img
	[ -e /dev/loop-control ] || modprobe loop
	loop_attach "$file" "$2"
	echo "$REPLY" >"$WORK/loop/$1.dev"
}

loop_detach() { # NAME
	loop_clear "$(<"$WORK/loop/$1.dev")"
	rm "$WORK/loop/$1.dev"
}

# An NBD export NAME has a file $WORK/nbd/NAME.img, a port, a server, and while connected a device. What serves
# it may be elsewhere: lib/far.sh.

# nbd_address NAME: sets address, and inside: what runs a command where that is.
nbd_address() {
	address=127.0.0.1 inside=()
	if [ -e "$WORK/nbd/$1.far" ]; then
		address=10.77.$(<"$WORK/nbd/$1.far").2
		inside=(nsenter "--net=/run/netns/far$(<"$WORK/nbd/$1.far")")
	fi
}

# nbd_serve NAME MIB [nbd-server|nbdkit [NBDKIT ARG...]]: start a server over loopback TCP. With
# nbdkit, arguments such as --filter=delay may follow. Again with the same NAME: the same file,
# port and server program.
nbd_serve() {
	local name=$1 mib=$2 kind=${3-} dir=$WORK/nbd port
	shift 2
	[ $# -eq 0 ] || shift
	[ -e "$dir/$name.img" ] || truncate -s "${mib}M" "$dir/$name.img"
	if [ ! -e "$dir/$name.port" ]; then
		port=$((10800 + $(find "$dir" -name '*.port' | wc -l) + 1))
		echo "$port" >"$dir/$name.port"
		echo "${kind:-nbd-server}" >"$dir/$name.kind"
		printf '%s\n' "$@" >"$dir/$name.args"
	fi
	nbd_start "$name"
}

# nbd_start NAME: start the server of an export again.
nbd_start() {
	local name=$1 dir=$WORK/nbd port args address inside
	nbd_address "$name"
	port=$(<"$dir/$name.port")
	case $(<"$dir/$name.kind") in
	nbd-server)
		cat >"$dir/$name.conf" <<-C
			[generic]
			listenaddr = $address
			port = $port
			[$name]
			exportname = $dir/$name.img
			flush = true
			fua = true
			trim = true
		C
		# Goes to the background by itself, as the leader of a session.
		rm -f "$dir/$name.pid"
		"${inside[@]}" nbd-server -C "$dir/$name.conf" -p "$dir/$name.pid" </dev/null >"$dir/$name.log" 2>&1
		wait_until 10 test -s "$dir/$name.pid"
		;;
	nbdkit)
		mapfile -t args < <(sed '/^$/d' "$dir/$name.args")
		# Not with -f: then it goes with the process that started it, which is a subtest. As a
		# daemon it is not the leader of its group.
		rm -f "$dir/$name.pid" "$dir/$name.daemon"
		"${inside[@]}" setsid nbdkit -i "$address" -p "$port" -P "$dir/$name.daemon" -e "$name" file \
			"$dir/$name.img" "${args[@]}" </dev/null >"$dir/$name.log" 2>&1
		wait_until 10 test -s "$dir/$name.daemon"
		ps -o pgid= -p "$(<"$dir/$name.daemon")" | tr -d ' ' >"$dir/$name.pid"
		;;
	*)
		fail "no such NBD server: $(<"$dir/$name.kind")";;
	esac
	wait_until 10 nbd_listens "$address" "$port"
}

nbd_listens() { # ADDRESS PORT
	(exec 8<>"/dev/tcp/$1/$2") 2>/dev/null
}

# nbd_connect NAME [NBD-CLIENT OPTION...]: connect a device to the export; sets REPLY. By ioctl, with
# a client process that waits: when the connection ends, so do the requests, in errors. A device set
# up by netlink keeps what it has sent to a dead server until its timeout, by default for ever. The timeout
# is longer than any test, unless another is given.
nbd_connect() {
	local name=$1 n=0 address inside
	shift
	[[ " $* " = *" -timeout "* ]] || set -- -timeout 3600 "$@"
	nbd_address "$name"
	[ -d /sys/module/nbd ] || modprobe nbd nbds_max=32 max_part=0
	while [ -e "/sys/block/nbd$n/pid" ] || [ "$(<"/sys/block/nbd$n/size")" != 0 ]; do
		n=$((n + 1))
	done
	REPLY=/dev/nbd$n
	nbd-client "$address" "$(<"$WORK/nbd/$name.port")" "$REPLY" -N "$name" -nonetlink "$@" \
		</dev/null >"$WORK/nbd/$name.client" 2>&1
	echo "$REPLY" >"$WORK/nbd/$name.dev"
	wait_until 10 nbd_has_size "$n"
}

nbd_has_size() { # NUMBER
	[ "$(<"/sys/block/nbd$1/size")" != 0 ]
}

nbd_disconnect() { # NAME
	nbd-client -d "$(<"$WORK/nbd/$1.dev")" >/dev/null
	rm "$WORK/nbd/$1.dev"
}

# nbd_disk NAME MIB [nbd-server|nbdkit [ARG...]]: serve and connect; sets REPLY.
nbd_disk() {
	nbd_serve "$@"
	nbd_connect "$1"
}

# All of a server: it may have forked a process for each connection.
nbd_signal() { # SIGNAL NAME
	kill "-$1" -- "-$(<"$WORK/nbd/$2.pid")"
}

# nbd_kill NAME: the server dies at once, with its connections.
nbd_kill() {
	nbd_signal KILL "$1"
	rm "$WORK/nbd/$1.pid"
}

# nbd_freeze NAME: the server no longer answers; connections stay. nbd_thaw: it goes on.
nbd_freeze() {
	local group
	group=$(<"$WORK/nbd/$1.pid")
	nbd_signal STOP "$1"
	# A thread may answer once more before it sees the signal.
	wait_until 10 group_is_stopped "$group"
}

group_is_stopped() { # GROUP
	local process thread state group
	for process in /proc/[0-9]*; do
		read -r _ _ _ _ group _ 2>/dev/null <"$process/stat" && [ "$group" = "$1" ] || continue
		for thread in "$process"/task/*; do
			read -r _ _ state _ <"$thread/stat"
			[ "$state" = T ] || return 1
		done
	done
}

nbd_thaw() {
	nbd_signal CONT "$1"
}

# --- statistics -----------------------------------------------------------------------------------

# io_counters DEVICE: the line of all its counters, in REPLY. A device without a volatile cache gets no
# flushes, and some (RAM disks) count nothing.
io_counters() {
	local name dir=/sys/class/block/${1##*/}
	# A device-mapper node has another name than its device.
	if [[ $1 = /dev/mapper/* ]]; then
		for dir in /sys/class/block/dm-*; do
			read -r name <"$dir/dm/name"
			[ "$name" != "${1##*/}" ] || break
		done
	fi
	read -r REPLY <"$dir/stat"
}

# io_field FIELD LINE: a counter of such a line, in REPLY.
io_field() {
	local fields
	read -r -a fields <<<"$2"
	case $1 in
	reads) REPLY=${fields[0]};;
	read_sectors) REPLY=${fields[2]};;
	writes) REPLY=${fields[4]};;
	write_sectors) REPLY=${fields[6]};;
	in_flight) REPLY=${fields[8]};;
	discards) REPLY=${fields[11]};;
	discard_sectors) REPLY=${fields[13]};;
	flushes) REPLY=${fields[15]};;
	*) fail "no field $1";;
	esac
}

# io_stat FIELD DEVICE: a counter of a block device since it exists.
io_stat() {
	local REPLY
	io_counters "$2"
	io_field "$1" "$REPLY"
	echo "$REPLY"
}

# io_in_flight DEVICE: is there a request that has not ended?
io_in_flight() {
	[ "$(io_stat in_flight "$1")" -gt 0 ]
}

# io_mark DEVICE...: from here on io_delta counts.
io_mark() {
	local REPLY dev
	for dev; do
		io_counters "$dev"
		echo "$REPLY" >"$WORK/mark-${dev##*/}"
	done
}

# io_delta FIELD DEVICE...: what was counted since io_mark, over all the devices.
io_delta() {
	local REPLY field=$1 dev now sum=0
	shift
	for dev; do
		io_counters "$dev"
		io_field "$field" "$REPLY"
		now=$REPLY
		io_field "$field" "$(<"$WORK/mark-${dev##*/}")"
		sum=$((sum + now - REPLY))
	done
	echo "$sum"
}

# --- the end --------------------------------------------------------------------------------------

# dm_remove_all: volumes, then pools, then what lies below them.
dm_remove_all() {
	local target name
	# What a test that failed left suspended holds up those above it.
	while read -r name _; do
		[ "$name" = No ] || dmsetup resume "$name" 2>/dev/null || :
	done < <(dmsetup ls)
	for target in qbd qbd-pool ''; do
		while read -r name _; do
			[ "$name" != No ] || continue
			dmsetup resume "$name" 2>/dev/null || :
			dmsetup remove --retry "$name" || return 1
		done < <(dmsetup ls ${target:+--target "$target"})
	done
}

# leave_nothing: remove all devices, unload the module, stop the servers.
leave_nothing() {
	local pid dev
	# A server that was frozen: its orphans keep the module.
	for pid in "$WORK"/nbd/*.pid; do
		[ ! -e "$pid" ] || kill -CONT -- "-$(<"$pid")" 2>/dev/null || :
	done
	sync
	dm_remove_all
	module_unload
	for dev in "$WORK"/loop/*.dev "$WORK"/nbd/*.dev; do
		[ -e "$dev" ] || continue
		case $dev in
		*/loop/*) loop_clear "$(<"$dev")";;
		*/nbd/*) nbd-client -d "$(<"$dev")" >/dev/null;;
		esac
		rm "$dev"
	done
	for pid in "$WORK"/nbd/*.pid; do
		[ -e "$pid" ] || continue
		kill -CONT -- "-$(<"$pid")" 2>/dev/null || :
		kill -KILL -- "-$(<"$pid")" 2>/dev/null || :
		rm "$pid"
	done
	rm -f "$WORK"/nbd/*.{img,port} "$WORK"/loop/*.img
}

# An object counts as leaked if two scans find no pointer to it and it is 5 s old.
no_leaks() {
	local leaks
	sleep 5
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	leaks=$(cat /sys/kernel/debug/kmemleak)
	[ -z "$leaks" ] || { echo "$leaks"; fail "leaked memory"; }
}

# finish: the last line of a test file. What is left behind, and leaks, are results of their own.
finish() {
	if [ "$QBD_LANE" != host ]; then
		subtest leaves-nothing-behind leave_nothing
		[ ! -e /sys/kernel/debug/kmemleak ] || subtest no-leaks no_leaks
	fi
	rm -rf "$WORK"
	[ "$failures" = 0 ]
	exit
}
