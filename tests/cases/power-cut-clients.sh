#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Power cuts of what people run on a volume, while checkpoints, losses and returns go on: ext4 with work
# that is synced all the time mounts, has what was synced, and is clean for fsck; what fio flushed it finds
# right. QBD_SEED replays one. See tests/cuts/clients.c.
# Lanes: uml-fast uml-debug
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

program=$(realpath -m "$ROOT/${BUILD:-build}")/cuts/clients

# clients CLIENT DISKS CUTS WORD...
clients() {
	local client=$1 disks=$2 cuts=$3
	shift 3
	[ "$QBD_LANE" = uml-fast ] || cuts=$(((cuts + 3) / 4))
	# What a run that failed left.
	! mountpoint -q /run/tmp/cuts-ext4 || umount /run/tmp/cuts-ext4
	dm_remove_all
	[ ! -d /sys/module/cuts ] || rmmod cuts
	insmod "$(dirname "$QBD_MODULE")/cuts/cuts.ko" disks="$disks" mib=48
	"$program" ${QBD_SEED:+--seed "$QBD_SEED"} --patience $((30 * slowness)) --client "$client" \
		--cuts "$cuts" --disks "$disks" "$@"
	rmmod cuts
}

module_load
# Rows that are overwritten wholly without a leg may lose blocks unless all is journaled: so there
# the client would be right to complain.
subtest ext4-replicas-3 clients ext4 5 60 --volume replicas=3,4096,24
subtest ext4-ec-4+2 clients ext4 6 60 --going-on ckpt,scrub --journal on --volume ec=4+2,4096,32
subtest ext4-ec-2+1-full clients ext4 5 40 --journal full --volume ec=2+1,4096,24
subtest fio-replicas-2 clients fio 4 6 --volume replicas=2,4096,8
subtest fio-ec-4+2 clients fio 6 6 --going-on ckpt,scrub --journal on --volume ec=4+2,4096,16
finish
