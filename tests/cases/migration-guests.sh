#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A VM moves to another host while it runs, with the pool that it is on, and fio in it notices nothing: hosts with
# Debian's kernel, and KVM, which is emulated; the backends are NBD servers.
# Lanes: host
# Timeout: 300
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" 6.12 2>/dev/null)}"
# shellcheck source=../lib/migration.sh
. "$ROOT/tests/lib/migration.sh"

moves_with_the_pool() {
	pool_of_hosts
	# One CPU: on two, KVM switches branches in its code while the other one runs it, and that does not always see it
	# when it is emulated: "Oops: int3" in kvm_arch_vcpu_ioctl_run(), in one of ten runs.
	guest_options=(--mem 1024 --smp 1 --share "$stream")
	guests_boot alpha beta
	host alpha 'modprobe kvm_amd && test -c /dev/kvm'
	host beta 'modprobe kvm_amd && test -c /dev/kvm'
	vm_moves 'kvm -cpu host' 'qbd pool start /dev/nbd0 /dev/nbd1 /dev/nbd2'
}

subtest moves-with-the-pool moves_with_the_pool
subtest hosts-end hosts_end
finish
