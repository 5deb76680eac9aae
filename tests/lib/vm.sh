# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# VMs of the tests, which run a stock kernel in QEMU: sourced after test.sh.

# vm_prelude: how what a VM runs begins; try COMMAND... there says what failed.
vm_prelude() {
	cat <<'I'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /mod/*.ko; do insmod $module || echo "vm: failed: insmod $module"; done
try() {
	"$@" || echo "vm: failed: $*"
}
I
}

# What QEMU is told of every machine. Its console is standard input and output.
# shellcheck disable=SC2054 # QEMU's commas
vm_words=(-nodefaults -no-user-config -M pc,usb=off -display none -vga none -no-reboot
	-append 'console=ttyS0 loglevel=4 panic=-1 oops=panic mitigations=off no_timer_check random.trust_cpu=on'
	-chardev stdio,id=console,signal=off -serial chardev:console)

# vm_saw_nothing CONSOLE...: of what a kernel or a filesystem says that got an error, or waits too long.
vm_saw_nothing() {
	! grep -ahiE 'vm: failed|error|warning|blocked for|corrupt|read-only' "$@" || fail "the VM saw that"
}

# vm_initramfs KERNEL INIT FILE: busybox, the modules that it takes to reach a filesystem on a virtio disk,
# and INIT, which loads them.
vm_initramfs() {
	local kernel=$1 ir=$WORK/initramfs abi module what path name n=100
	local -A seen=()
	abi=$(cat "$kernel/abi")
	mkdir -p "$ir"/{bin,mod,proc,sys,dev}
	cp "$(command -v busybox)" "$ir/bin/"
	for module in virtio_pci virtio_blk ext4; do
		while read -r what path _; do
			[ "$what" = insmod ] && [ -z "${seen[$path]-}" ] || continue
			seen[$path]=1
			# Numbered: to be loaded in this order.
			n=$((n + 1))
			name=$ir/mod/$n-${path##*/}
			case $path in
			*.xz) xz -dc "$path" >"${name%.xz}";;
			*) cp "$path" "$name";;
			esac
		done < <(modprobe -d "$kernel" -S "$abi" --show-depends "$module")
	done
	cp "$2" "$ir/init"
	chmod +x "$ir/init"
	(cd "$ir" && find . | cpio -o -H newc --quiet -R 0:0) >"$3"
}

# vm_tools IMAGE PROGRAM...: a filesystem with these programs, and lib, where all is that they load.
vm_tools() {
	local image=$1 dir=$WORK/tools program
	shift
	mkdir -p "$dir/lib"
	for program; do
		program=$(command -v "$program")
		cp "$program" "$dir"
		ldd "$program" | grep -o '/[^ ]*' | xargs -I LIB cp -Lu LIB "$dir/lib"
	done
	truncate -s $(($(du -sm "$dir" | cut -f 1) * 5 / 4 + 16))M "$image"
	mke2fs -q -t ext4 -d "$dir" "$image"
}
