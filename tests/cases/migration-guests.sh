#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A VM moves to another host while it runs, with the pool that it is on, and fio in it notices nothing: hosts with
# Debian's kernel, and KVM, which is emulated; the backends are NBD servers.
# Lanes: host
# Timeout: 600
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" 6.12 2>/dev/null)}"
# shellcheck source=../lib/migration.sh
. "$ROOT/tests/lib/migration.sh"

migrate() {
	hosts_kill
	rm -f "$stream"/*
	pool_of_hosts
	# One CPU: on two, KVM switches branches in its code while the other one runs it, and that does not always see it
	# when it is emulated: "Oops: int3" in kvm_arch_vcpu_ioctl_run(), in one of ten runs.
	guest_options=(--mem 1024 --smp 1 --share "$stream")
	guests_boot alpha beta
	host alpha 'modprobe kvm_amd && test -c /dev/kvm'
	host beta 'modprobe kvm_amd && test -c /dev/kvm'
	vm_moves 'kvm -cpu host' 'qbd pool start /dev/nbd0 /dev/nbd1 /dev/nbd2'
}

# In one of some twenty runs the emulated CPU of a host that runs a machine has a pointer in its flags, VM86 mode among
# them, and dies of a double fault wherever the next interrupt finds it. No module does that; a stack that is too deep,
# which is a double fault, too, is reported as such.
died_of_emulation() {
	local dir
	for dir in "$WORK"/host/*; do
		[ -e "$dir/ended" ] || continue
		! grep -aq 'stack guard page' "$dir/dmesg" || continue
		! grep -aE 'Oops: (double fault|int3)' -A 5 "$dir/dmesg" || return 0
	done
	false
}

moves_with_the_pool() {
	local try pid
	for try in 1 2 3; do
		# A process of its own, and waited for, so that it ends with what fails in it first.
		migrate &
		pid=$!
		if wait "$pid"; then
			return
		fi
		died_of_emulation || fail "no migration"
		echo "a host died as only an emulated CPU does, in try $try"
	done
	fail "no try of $try went through"
}

subtest moves-with-the-pool moves_with_the_pool
subtest hosts-end hosts_end
finish
