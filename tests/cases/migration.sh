#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A VM moves to another host while it runs, with the pool that it is on, and fio in it notices nothing: user-mode kernels
# that share disks, and QEMU in them.
# Lanes: host
# Boots: uml-fast
# Timeout: 200
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" fast 2>/dev/null)}"
# shellcheck source=../lib/migration.sh
. "$ROOT/tests/lib/migration.sh"

moves_with_the_pool() {
	local host
	pool_of_hosts
	for host in alpha beta; do
		host_boot "$host" --mem 1G --share "$stream"
	done
	vm_moves 'tcg -cpu max' 'qbd pool start /dev/ubda /dev/ubdb /dev/ubdc'
}

subtest moves-with-the-pool moves_with_the_pool
subtest hosts-end hosts_end
finish
