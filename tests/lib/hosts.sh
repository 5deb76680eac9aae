# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Two hosts and more that share disks, each a user-mode kernel: sourced after test.sh by tests of the
# lane host. A disk is a file $WORK/disk/N, and /dev/ubda, /dev/ubdb... on every host. What a host
# has and does is in $WORK/host/NAME.

mkdir -p "$WORK/host" "$WORK/disk"

# shared_disks COUNT MIB: fresh ones, as no host has them yet.
shared_disks() {
	local i
	rm -f "$WORK"/disk/*
	for ((i = 0; i < $1; i++)); do
		truncate -s "$2M" "$WORK/disk/$i"
	done
}

# host_boot NAME [OPTION...]: a host with the module loaded; options are those of tests/uml/run. Sets nothing.
# host NAME COMMAND runs there.
host_boot() {
	local dir=$WORK/host/$1 args=("${@:2}") file
	rm -rf "$dir"
	mkdir "$dir"
	for file in "$WORK"/disk/*; do
		args+=(--disk "$file")
	done
	"$ROOT/tests/uml/run" --mem 512M --timeout 900 --no-check --share "$dir" "${args[@]}" \
		--pid "$dir/pid" --dmesg "$dir/dmesg" fast -- bash "$ROOT/tests/lib/host-agent" "$dir" \
		</dev/null >"$dir/out" 2>&1 &
	disown
	echo 0 >"$dir/number"
	host "$1" "hostname $1 && insmod $QBD_MODULE"
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
	wait_until 120 test -e "$dir/status.$n"
	cat "$dir/output.$n"
	return "$(cat "$dir/status.$n")"
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
}

host_dead() {
	! kill -0 "$(cat "$WORK/host/$1/pid")" 2>/dev/null
}

# hosts_end: all of them stop; their kernel logs are looked at as those of any test.
hosts_end() {
	local dir
	for dir in "$WORK"/host/*; do
		if [ ! -e "$dir/pid" ] || host_dead "${dir##*/}"; then
			continue
		fi
		host_thaw "${dir##*/}"
		host_begin "${dir##*/}" 'exit 200'
		wait_until 60 host_dead "${dir##*/}"
		wait_until 10 test -s "$dir/dmesg"
		"$ROOT/tests/lib/check-dmesg" "$dir/dmesg"
	done
}

# host_log NAME REGEX: the kernel's log there has it.
host_log() {
	host "$1" dmesg | grep -qE -- "$2" || fail "no '$2' in the log of host $1"
}
