#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A VM moves to another host while it runs, with the pool that it is on: the other host has that in standby,
# QEMU there gets the memory of the machine, and when that is paused here the pool is handed over. The machine
# notices nothing, and what it wrote before and behind that is there.
# Lanes: host
# Boots: uml-fast
# Timeout: 200
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
: "${QBD_MODULE:=$("$ROOT/tests/lib/build-module" fast 2>/dev/null)}"
# shellcheck source=../lib/hosts.sh
. "$ROOT/tests/lib/hosts.sh"
# shellcheck source=../lib/vm.sh
. "$ROOT/tests/lib/vm.sh"

lease=8000 # ms: a busy machine starves a kernel for a second or two
disks='/dev/ubda /dev/ubdb /dev/ubdc'
volume=/dev/mapper/tank-v
stream=$WORK/stream # the memory of the machine, on its way

# What the VM runs: files that it writes, and reads from the disk again, until it is told to stop.
vm_init() {
	vm_prelude
	cat <<'I'
mkdir /sums /vda
try mount -t ext4 /dev/vda /vda
(read line </dev/console; echo >/stop) &
n=0
while [ ! -e /stop ]; do
	n=$((n + 1))
	file=/vda/file$((n % 16))
	try dd if=/dev/urandom of=$file bs=16k count=16 conv=fsync 2>/dev/null
	sha256sum $file >/sums/$((n % 16))
	echo 1 >/proc/sys/vm/drop_caches
	# The one that was written longest ago, too.
	for sum in /sums/$((n % 16)) /sums/$(((n + 1) % 16)); do
		[ ! -e $sum ] || try sha256sum -c -s $sum
	done
	echo "vm: round $n"
done
try umount /vda
try mount -t ext4 /dev/vda /vda
cat /sums/* | sha256sum -c -s && echo "vm: all is right"
try umount /vda
echo "vm: ends"
poweroff -f
I
}

# vm_begin HOST CACHE [QEMU WORD...]: the machine, running or to come. Its console goes to the file console of the
# host. With a geometry, for QEMU would read the disk for one, and wait.
vm_begin() {
	local host=$1 cache=$2 dir=$WORK/host/$1
	shift 2
	cat >"$dir/vm" <<V
mkfifo /run/tmp/{console,monitor.in,monitor.out}
exec 7<>/run/tmp/console
setsid qemu-system-x86_64 -nodefaults -no-user-config -M pc,usb=off -accel tcg -cpu max -m 128 \\
	-display none -vga none -no-reboot -kernel "$kernel/vmlinuz" -initrd "$WORK/initrd" \\
	-append 'console=ttyS0 loglevel=4 panic=-1 oops=panic mitigations=off no_timer_check random.trust_cpu=on' \\
	-chardev stdio,id=console,signal=off -serial chardev:console \\
	-chardev pipe,id=monitor,path=/run/tmp/monitor -mon chardev=monitor \\
	-drive file=$volume,if=none,id=disk,format=raw,$cache \\
	-device virtio-blk-pci,drive=disk,cyls=96,heads=16,secs=63 $* \\
	<&7 >$dir/console 2>$dir/qemu &
echo \$! >$dir/vm.pid
V
	host "$host" "bash $dir/vm"
}

vm_rounds() { # HOST
	grep -ac '^vm: round' "$WORK/host/$1/console" || :
}

vm_has_done() { # HOST COUNT
	[ "$(vm_rounds "$1")" -ge "$2" ]
}

vm_has_ended() { # HOST
	grep -aq '^vm: ends' "$WORK/host/$1/console"
}

# Reads the pieces that are whole.
stream_reader() {
	cat <<R
n=0
while :; do
	piece=\$(printf $stream/s.%05d \$n)
	n=\$((n + 1))
	next=\$(printf $stream/s.%05d \$n)
	until [ -e \$next ] || [ -e $stream/end ]; do
		sleep 0.05
	done
	[ -e \$piece ] || break
	cat \$piece
done
touch $stream/taken
R
}

moves_with_the_pool() {
	local begun rounds host
	kernel=$("$ROOT/tests/guest/fetch-kernels" 6.12)
	mkdir "$stream"
	vm_init >"$WORK/init"
	vm_initramfs "$kernel" "$WORK/init" "$WORK/initrd"
	stream_reader >"$WORK/reader"
	shared_disks 3 64
	qbd pool create tank "$WORK"/disk/{0,1,2} --extent-size 1M --lease "$lease"
	for host in alpha beta; do
		host_boot "$host" --mem 1G --share "$stream"
	done
	host alpha "qbd pool start $disks && qbd volume create tank/v --size 48M --ec 2+1 && mkfs.ext4 -q $volume"
	vm_begin alpha cache=none,aio=native
	wait_until 100 vm_has_done alpha 3
	host beta "qbd pool start $disks --standby"
	vm_begin beta cache=writeback -incoming "'exec:bash $WORK/reader'"
	rounds=$(vm_rounds alpha)
	host alpha "echo 'migrate_set_parameter downtime-limit 2000' >/run/tmp/monitor.in
		echo 'migrate -d \"exec:split -b 1M -a 5 -d - $stream/s. && touch $stream/end\"' >/run/tmp/monitor.in"
	wait_until 100 test -e "$stream/taken"
	echo "$(($(vm_rounds alpha) - rounds)) rounds while the memory of the machine went to the other host"
	# It is paused here, and all of it is there: nothing goes on before the pool is there, too.
	assert_eq "$(vm_rounds beta)" 0 'rounds there before the hand-over'
	begun=$(date +%s%3N)
	host alpha 'qbd pool handover tank'
	wait_until 100 vm_has_done beta 1
	echo "$(($(date +%s%3N) - begun)) ms from the hand-over to the end of the first round there"
	wait_until 100 vm_has_done beta 20
	# Where it was it is no more.
	host alpha "kill \$(cat $WORK/host/alpha/vm.pid)"
	host alpha 'qbd pool stop tank'
	host beta 'echo stop >/run/tmp/console'
	wait_until 100 vm_has_ended beta
	cat "$WORK/host/alpha/console" "$WORK/host/beta/console" | tr -d '\r' >"$WORK/said"
	! grep -aiE 'vm: failed|error|warning|blocked for|corrupt|read-only' "$WORK/said" ||
		fail "the VM saw that"
	grep -x 'vm: all is right' "$WORK/said"
	host beta "e2fsck -fn $volume" >"$WORK/fsck" || { cat "$WORK/fsck"; fail "the filesystem is not clean"; }
	host beta 'qbd scrub tank --quiet'
	host beta 'qbd pool stop tank'
}

subtest moves-with-the-pool moves_with_the_pool
subtest hosts-end hosts_end
finish
