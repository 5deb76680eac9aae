# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Two hosts and more that share disks: sourced after test.sh by tests of the lane host. A disk is a file
# $WORK/disk/N. A host is a user-mode kernel, where it is /dev/ubda, /dev/ubdb..., or one of Debian's kernels in
# QEMU, where it is /dev/nbd0, /dev/nbd1..., each by a server of its own. What a host has and does is in
# $WORK/host/NAME.

mkdir -p "$WORK/host" "$WORK/disk"

# shared_disks COUNT MIB: fresh ones, as no host has them yet.
shared_disks() {
	local i
	rm -f "$WORK"/disk/*
	for ((i = 0; i < $1; i++)); do
		truncate -s "$2M" "$WORK/disk/$i"
	done
}

# host_run NAME uml|guest WORD...: begin a host, which waits for commands. The words are those of tests/uml/run or
# tests/guest/run, before the "--".
host_run() {
	local dir=$WORK/host/$1
	[ ! -d "$dir" ] || host_fence "$1"
	rm -rf "$dir"
	mkdir "$dir"
	echo 0 >"$dir/number"
	{
		"$ROOT/tests/$2/run" --timeout 900 --no-check --share "$dir" --pid "$dir/pid" --dmesg "$dir/dmesg" \
			"${@:3}" -- bash "$ROOT/tests/lib/host-agent" "$dir" || echo "$1 ended with status $?"
		touch "$dir/ended"
	} </dev/null >"$dir/out" 2>&1 &
	disown
}

# host_boot NAME [OPTION...]: a user-mode kernel with the module loaded; options are those of tests/uml/run. Sets
# nothing. host NAME COMMAND runs there.
host_boot() {
	local file attached=()
	for file in "$WORK"/disk/*; do
		attached+=(--disk "$file")
	done
	host_run "$1" uml --mem 512M "${attached[@]}" "${@:2}" fast
	host "$1" "hostname $1 && insmod $QBD_MODULE"
}

# guests_boot NAME...: Debian's kernels, all at a time, with the module loaded and the disks attached. Of this machine
# they see, as 10.0.2.2, what listens on its loopback. guest_options: more for tests/guest/run.
guest_options=()
guests_boot() {
	local name i connect
	for name; do
		# One that was frozen looks to its own watchdogs as if it hung.
		host_run "$name" guest --kernel 6.12 --mem 512 --append 'nosoftlockup rcupdate.rcu_cpu_stall_suppress=1' \
			--qemu '-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=' "${guest_options[@]}"
		connect=''
		for ((i = 0; ; i++)); do
			[ -e "$WORK/disk/$i" ] || break
			host_serve "$name" "$WORK/disk/$i"
			connect+="nbd-client 10.0.2.2 $REPLY /dev/nbd$i -nonetlink -timeout 60 >$WORK/host/$name/client.$i 2>&1"$'\n'
			connect+="until [ \"\$(</sys/block/nbd$i/size)\" != 0 ]; do sleep 0.05; done"$'\n'
		done
		host_begin "$name" "set -e
			hostname $name
			modprobe -a libcrc32c dm-mod virtio_net
			modprobe nbd nbds_max=$i max_part=0
			ip address add 10.0.2.15/24 dev eth0
			ip link set eth0 up
			$connect
			insmod $QBD_MODULE"
	done
	for name; do
		host_end "$name"
	done
}

# host_serve NAME FILE: a server for that host; sets REPLY, its port, which is a free one, and none of those
# that connections get by themselves. It is in the process group of the test, and goes with it.
host_serve() {
	local dir=$WORK/host/$1 tries
	for ((tries = 0; tries < 20; tries++)); do
		REPLY=$((10000 + RANDOM % 20000))
		if nbdkit -i 127.0.0.1 -p "$REPLY" -P "$dir/server.$REPLY" file "$2" </dev/null >>"$dir/servers" 2>&1; then
			wait_until 10 test -s "$dir/server.$REPLY"
			return
		fi
	done
	cat "$dir/servers"
	fail "no server for host $1"
}

# host_fence NAME: its servers stop. What it sent to them is done now, or never.
host_fence() {
	local server
	for server in "$WORK/host/$1"/server.*; do
		[ -e "$server" ] || continue
		kill -KILL "$(cat "$server")"
		wait_until 10 is_free "${server##*.}"
		rm "$server"
	done
}

is_free() { # PORT
	! nbd_listens 127.0.0.1 "$1"
}

# host_begin NAME COMMAND: run a shell command there; host_end NAME waits for it, prints what it printed
# and has its status. One at a time.
host_begin() {
	local dir=$WORK/host/$1 n
	n=$(($(cat "$dir/number") + 1))
	echo "$n" >"$dir/number"
	printf 'export PATH=%q\n%s\n' "$PATH" "$2" >"$dir/new"
	mv "$dir/new" "$dir/command.$n"
}

host_end() {
	local dir=$WORK/host/$1 n
	n=$(cat "$dir/number")
	host_until "$1" 120 test -e "$dir/status.$n"
	cat "$dir/output.$n"
	return "$(cat "$dir/status.$n")"
}

# host_until NAME SECONDS COMMAND...: as wait_until, for what that host is to do; it is told if it died.
host_until() {
	wait_until "$2" host_did_or_ended "$1" "${@:3}"
	"${@:3}" || fail "host $1 died: $(<"$WORK/host/$1/out")"
}

host_did_or_ended() {
	"${@:2}" || [ -e "$WORK/host/$1/ended" ]
}

host() {
	host_begin "$@"
	host_end "$1"
}

# host_freeze NAME: nothing runs there, and it does not know. host_thaw: it goes on.
host_freeze() {
	kill -STOP "$(cat "$WORK/host/$1/pid")"
}

host_thaw() {
	kill -CONT "$(cat "$WORK/host/$1/pid")"
}

# host_kill NAME: its power goes. What it sent to a disk is there.
host_kill() {
	kill -KILL "$(cat "$WORK/host/$1/pid")"
	wait_until 10 host_dead "$1"
	rm "$WORK/host/$1/pid"
}

host_dead() {
	! kill -0 "$(cat "$WORK/host/$1/pid")" 2>/dev/null
}

# hosts_end: all of them stop, and what does not is killed; their kernel logs are looked at as those of any test.
hosts_end() (
	trap hosts_kill EXIT
	for dir in "$WORK"/host/*; do
		name=${dir##*/}
		[ -e "$dir/pid" ] || continue
		if ! host_dead "$name"; then
			host_thaw "$name"
			host_begin "$name" 'exit 200'
			wait_until 60 host_dead "$name"
		fi
		rm "$dir/pid"
		wait_until 10 test -e "$dir/ended"
		# Nobody has killed it: it died.
		! grep '^run: ' -A 100 "$dir/out" || fail "host $name died"
		"$ROOT/tests/lib/check-dmesg" "$dir/dmesg"
	done
)

hosts_kill() {
	local dir
	for dir in "$WORK"/host/*; do
		[ ! -e "$dir/pid" ] || host_dead "${dir##*/}" || host_kill "${dir##*/}" || :
		host_fence "${dir##*/}"
	done
}

# host_log NAME REGEX: the kernel's log there has it.
host_log() {
	host "$1" dmesg | grep -qE -- "$2" || fail "no '$2' in the log of host $1"
}

# lease_word HOST: what the pool tank there says of its lease.
lease_word() {
	host "$1" 'dmsetup status tank' | sed 's/.* lease \([a-z]*\) .*/\1/'
}

has_lease_word() { # HOST WORD
	[ "$(lease_word "$1")" = "$2" ]
}
