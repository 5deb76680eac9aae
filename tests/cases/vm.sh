#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A VM on volumes: QEMU boots a stock kernel with an erasure-coded and a mirrored volume as its disks,
# writes files to both, overwrites and reads them; a server is killed meanwhile, and the VM notices
# nothing. What it wrote is there after a restart, and when the server is back.
# Lanes: uml-fast uml-debug
# Stock-kernel: 6.12
# Timeout: 120
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"
# shellcheck source=../lib/vm.sh
. "$ROOT/tests/lib/vm.sh"

vm=$WORK/vm

# What the VM runs. It says what it does in lines "vm: ..." on its console, and goes on until it is
# told to stop there.
vm_init() {
	vm_prelude
	cat <<'I'
mkdir /sums
for disk in vda vdb; do
	mkdir /$disk
	try mount -t ext4 /dev/$disk /$disk
	try dd if=/dev/urandom of=/$disk/database bs=64k count=64 conv=fsync 2>/dev/null
done
(read line </dev/console; echo >/stop) &
n=0
while [ ! -e /stop ]; do
	n=$((n + 1))
	for disk in vda vdb; do
		file=/$disk/file$((n % 24))
		try dd if=/dev/urandom of=$file bs=64k count=12 conv=fsync 2>/dev/null
		sha256sum $file >/sums/$disk-$((n % 24))
		# Pages of a file that stays, as a database writes them.
		for page in 1 2 3 4; do
			try dd if=/dev/urandom of=/$disk/database bs=4k count=1 \
				seek=$(((n * 37 + page * 211) % 1024)) conv=notrunc,fsync 2>/dev/null
		done
	done
	echo "vm: round $n"
done
sha256sum /vda/database /vdb/database >/sums/database
echo 3 >/proc/sys/vm/drop_caches
cat /sums/* | sha256sum -c -s && echo "vm: all is right"
sed 's/^/vm: sum /' /sums/*
try umount /vda
try umount /vdb
echo "vm: ends"
poweroff -f
I
}

# vm_start DISK...: its console goes to $vm.out, what is written to descriptor 7 to its console.
vm_start() {
	local disk drives=()
	vm_init >"$vm.init"
	vm_initramfs "$QBD_STOCK_KERNEL" "$vm.init" "$vm.initrd"
	for disk; do
		drives+=(-drive "file=$disk,if=virtio,format=raw,cache=none,aio=native")
	done
	rm -f "$vm.in"
	mkfifo "$vm.in"
	exec 7<>"$vm.in"
	qemu-system-x86_64 "${vm_words[@]}" -accel tcg -cpu max -m 256 -kernel "$QBD_STOCK_KERNEL/vmlinuz" \
		-initrd "$vm.initrd" "${drives[@]}" \
		<&7 >"$vm.out" 2>"$vm.err" &
	vm_pid=$!
}

vm_rounds() {
	grep -ac '^vm: round' "$vm.out" || :
}

vm_goes_on() { # COUNT: wait until it has done so many rounds
	wait_until 200 vm_has_done "$1"
	! vm_ended || { cat "$vm.err" "$vm.out"; fail "QEMU has ended"; }
}

vm_has_done() { # COUNT
	vm_ended || [ "$(vm_rounds)" -ge "$1" ]
}

vm_ended() {
	ended "$vm_pid"
}

# vm_files_are_right MOUNTPOINT...: of vda, vdb...
vm_files_are_right() {
	local disk=a mnt
	for mnt; do
		sed -n "s,^vm: sum \([0-9a-f]*  \)/vd$disk,\1$mnt,p" "$vm.sums" >"$vm.check"
		assert_ge "$(wc -l <"$vm.check")" 8 "files on disk $disk"
		sha256sum --quiet -c "$vm.check" || fail "files of the VM are not what it wrote"
		disk=b
	done
}

check_on_host() {
	local i
	for i in v w; do
		e2fsck -fn "/dev/mapper/p-$i" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail "p-$i is not clean"; }
		mount "/dev/mapper/p-$i" "$WORK/$i"
	done
	vm_files_are_right "$WORK/v" "$WORK/w"
	umount "$WORK/v" "$WORK/w"
}

runs_on_when_a_server_dies() {
	local i rounds dev
	[ -n "${QBD_STOCK_KERNEL-}" ] || fail "no stock kernel: tests/guest/fetch-kernels 6.12"
	discard_all
	devs=()
	for i in 0 1 2; do
		loop_disk "d$i" 80
		devs+=("$REPLY,host=A")
	done
	for i in 3 4 5; do
		nbd_disk "n$i" 80
		devs+=("$REPLY,host=B")
	done
	qbd pool create p "${devs[@]}" --extent-size 1M
	devs=("${devs[@]%,*}")
	qbd pool start p
	volume ec=4+2 96M
	qbd volume create p/w --size 64M --replicas 2
	for dev in /dev/mapper/p-{v,w}; do
		mkfs.ext4 -q "$dev"
	done
	mkdir -p "$WORK"/{v,w}

	vm_start /dev/mapper/p-{v,w}
	vm_goes_on 3
	rounds=$(vm_rounds)
	nbd_kill n4
	wait_until 30 health_is AAAASA
	# It goes on: new files, overwritten pages, on both.
	vm_goes_on $((rounds + 4))
	echo stop >&7
	wait_until 60 vm_ended
	grep -a '^vm:' "$vm.out" | tr -d '\r' >"$vm.said"
	grep -v '^vm: sum' "$vm.said"
	vm_saw_nothing "$vm.out"
	tail -n 1 "$vm.said" | grep -x 'vm: ends'
	grep -x 'vm: all is right' "$vm.said"
	grep '^vm: sum' "$vm.said" >"$vm.sums"

	restart
	check_on_host
	nbd_return 4
	qbd backend readd p "${devs[4]}"
	repaired 60
	scrub_finds 0
	# What was rebuilt is as good as the rest: without two others.
	lose 0 1
	check_on_host
}

subtest runs-on-when-a-server-dies runs_on_when_a_server_dies
finish
