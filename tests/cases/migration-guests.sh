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
	# In 2 of 6 runs a host stopped answering, and it is not known yet whose fault that is.
	[ -n "${QBD_NESTED-}" ] || skip 'a machine in an emulated machine hangs now and then: QBD_NESTED=1 runs it'
	pool_of_hosts
	guest_options=(--mem 1024 --share "$stream")
	guests_boot alpha beta
	host alpha 'modprobe kvm_amd && test -c /dev/kvm'
	host beta 'modprobe kvm_amd && test -c /dev/kvm'
	vm_moves 'kvm -cpu host' 'qbd pool start /dev/nbd0 /dev/nbd1 /dev/nbd2'
}

subtest moves-with-the-pool moves_with_the_pool
subtest hosts-end hosts_end
finish
