# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A VM that moves to another host while it runs, with the pool that it is on: the other host has that in standby,
# QEMU there gets the memory of the machine, and when that is paused here the pool is handed over. Sourced after test.sh
# by tests of the lane host; the hosts alpha and beta see the folder $stream.

# shellcheck source=hosts.sh
. "$ROOT/tests/lib/hosts.sh"
# shellcheck source=vm.sh
. "$ROOT/tests/lib/vm.sh"

volume=/dev/mapper/tank-v
stream=$WORK/stream # the memory of the machine, on its way
mkdir -p "$stream"

# What the VM runs: fio, which looks whether what it wrote is there, round after round until it is told to stop; and it
# says how much its disk has written.
vm_init() {
	vm_prelude
	cat <<'I'
mkdir /tools /vda
try mount -t ext4 -o ro /dev/vdb /tools
try mount -t ext4 /dev/vda /vda
verified() {
	/tools/lib/ld-linux-x86-64.so.2 --library-path /tools/lib /tools/fio --name=load --directory=/vda --thread \
		--ioengine=psync --direct=1 --rw=randwrite --size=2M --bsrange=4k-32k --fsync=16 \
		--verify=crc32c --verify_fatal=1 --verify_backlog=32 "$@" >/said 2>&1 || { cat /said; false; }
}
(read line </dev/console; echo >/stop) &
(
	last=0
	while [ ! -e /stop ]; do
		read _ _ _ _ writes _ </sys/block/vda/stat
		[ $writes = $last ] || echo "vm: wrote $writes"
		last=$writes
		sleep 0.1
	done
) &
n=0
while [ ! -e /stop ]; do
	try verified
	n=$((n + 1))
	echo "vm: round $n"
done
try umount /vda
try mount -t ext4 /dev/vda /vda
verified --verify_only && echo "vm: all is right"
try umount /vda
echo "vm: ends"
poweroff -f
I
}

# vm_begin HOST ACCELERATOR CACHE [QEMU WORD...]: the machine, running or to come. Its console goes to the file console of
# the host. With a geometry, for QEMU would read the disk for one, and wait.
vm_begin() {
	local host=$1 accelerator=$2 cache=$3 dir=$WORK/host/$1
	shift 3
	cat >"$dir/vm" <<V
mkfifo /run/tmp/{console,monitor.in,monitor.out}
exec 7<>/run/tmp/console
setsid qemu-system-x86_64 ${vm_words[*]@Q} -accel $accelerator -m 192 \\
	-kernel "$kernel/vmlinuz" -initrd "$WORK/initrd" \\
	-chardev pipe,id=monitor,path=/run/tmp/monitor -mon chardev=monitor \\
	-drive file=$volume,if=none,id=disk,format=raw,$cache \\
	-device virtio-blk-pci,drive=disk,cyls=96,heads=16,secs=63 \\
	-drive file.filename=$WORK/tools.img,file.locking=off,if=none,id=tools,format=raw,readonly=on \\
	-device virtio-blk-pci,drive=tools,cyls=96,heads=16,secs=63 $* \\
	<&7 >$dir/console 2>$dir/qemu &
echo \$! >$dir/vm.pid
V
	host "$host" "bash $dir/vm"
}

vm_said() { # HOST REGEX: how often
	grep -ac "$2" "$WORK/host/$1/console" || :
}

vm_has_said() { # HOST REGEX COUNT
	[ "$(vm_said "$1" "$2")" -ge "$3" ]
}

vm_says() { # HOST REGEX COUNT
	host_until "$1" 100 vm_has_said "$@"
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

# pool_of_hosts: of disks that no host has yet. The lease is long: a busy machine starves a kernel for a second or two.
pool_of_hosts() {
	shared_disks 3 64
	qbd pool create tank "$WORK"/disk/{0,1,2} --extent-size 1M --lease 8000
}

handed_over() { # sets begun
	begun=$(date +%s%3N)
	host alpha 'qbd pool handover tank'
}

# vm_moves ACCELERATOR START: both hosts are there, and none has the pool, which START starts on any. A machine on alpha
# goes to beta.
vm_moves() {
	local accelerator=$1 start=$2 begun
	kernel=$("$ROOT/tests/guest/fetch-kernels" 6.12)
	vm_init >"$WORK/init"
	vm_initramfs "$kernel" "$WORK/init" "$WORK/initrd"
	vm_tools "$WORK/tools.img" fio
	stream_reader >"$WORK/reader"
	host alpha "$start && qbd volume create tank/v --size 48M --ec 2+1 && mkfs.ext4 -q $volume"
	vm_begin alpha "$accelerator" cache=none,aio=native
	vm_says alpha '^vm: round' 1
	host beta "$start --standby"
	vm_begin beta "$accelerator" cache=writeback -incoming "'exec:bash $WORK/reader'"
	begun=$(vm_said alpha '^vm: wrote')
	host alpha "echo 'migrate_set_parameter downtime-limit 2000' >/run/tmp/monitor.in
		echo 'migrate -d \"exec:split -b 1M -a 5 -d - $stream/s. && touch $stream/end\"' >/run/tmp/monitor.in"
	host_until beta 100 test -e "$stream/taken"
	echo "it wrote $(($(vm_said alpha '^vm: wrote') - begun)) times while its memory went to the other host"
	# It is paused here, and all of it is there: nothing goes on before the pool is there, too.
	assert_eq "$(vm_said beta '^vm: wrote')" 0 'writes there before the hand-over'
	# A standby that a busy machine starved for 2 s is none, for the moment.
	wait_until 60 handed_over
	# What it says first may be of what was done here; then it is of a write there.
	vm_says beta '^vm: wrote' 2
	echo "$(($(date +%s%3N) - begun)) ms from the hand-over to a write there that ended"
	vm_says beta '^vm: round' 3
	# Where it was it is no more.
	host alpha "kill \$(cat $WORK/host/alpha/vm.pid)"
	host alpha 'qbd pool stop tank'
	host beta 'echo stop >/run/tmp/console'
	vm_says beta '^vm: ends' 1
	cat "$WORK"/host/{alpha,beta}/console | tr -d '\r' >"$WORK/said"
	vm_saw_nothing "$WORK/said"
	grep -x 'vm: all is right' "$WORK/said"
	host beta "e2fsck -fn $volume" >"$WORK/fsck" || { cat "$WORK/fsck"; fail "the filesystem is not clean"; }
	host beta 'qbd scrub tank --quiet'
	host beta 'qbd pool stop tank'
}
