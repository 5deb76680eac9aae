#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory is short: a volume is the swap of what writes to another volume, in a cgroup that is squeezed, with
# the checksum cache shrunk all the time and the NBD servers of both volumes on the same machine, whose own
# memory may be swapped to the volume that they serve. Nothing stands still, and nothing is wrong.
# It goes on for QBD_SOAK_SECONDS, 20 s in the fast kernel if that is not set.
# Lanes: uml-fast uml-debug
# Timeout: 200
# Memory: 1G
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../lib/pool.sh
. "$ROOT/tests/lib/pool.sh"

cg=/sys/fs/cgroup

# The controllers of cgroup 2, and a group squeezed to so many MiB.
squeeze() { # NAME MIB
	mountpoint -q $cg || mount -t cgroup2 none $cg
	echo +memory >$cg/cgroup.subtree_control
	mkdir "$cg/$1"
	echo "$2M" >"$cg/$1/memory.max"
}

cg_stat() { # FIELD NAME
	awk -v f="$1" '$1 == f { print $2 }' "$cg/$2/memory.stat"
}

# Touches more memory than the group has, over and over, and checks what it finds.
hog() { # SECONDS MIB
	perl -e '
		my ($seconds, $mib) = @ARGV;
		my $page = 4096;
		my $memory = "\0" x ($mib << 20);
		my $end = time + $seconds;
		my ($round, $bad) = (0, 0);
		my $last = 0;
		while (time < $end) {
			for (my $at = 0; $at < length($memory); $at += $page) {
				$bad++ if $round && unpack("Q", substr($memory, $at, 8)) != $round * 1000003 + $at;
				substr($memory, $at, 8) = pack("Q", ($round + 1) * 1000003 + $at);
			}
			$round++;
		}
		print "$round rounds, $bad bad\n";
		exit($bad ? 1 : 0);
	' "$1" "$2"
}

shrinks() { # for ever
	while :; do
		echo 2 >/proc/sys/vm/drop_caches
		sleep 0.3
	done
}

pressed() { # POLICY DISKS SECONDS
	local policy=$1 disks=$2 seconds=$3 hog load shrinker status=0
	nbd_pool "$disks" 192 --extent-size 1M
	qbd volume create p/swap --size 256M "--${policy%%=*}" "${policy#*=}"
	volume "$policy" 128M
	mkswap -q /dev/mapper/p-swap >/dev/null
	swapon /dev/mapper/p-swap
	squeeze hog 48
	squeeze load 32
	(echo $BASHPID >$cg/hog/cgroup.procs; hog "$seconds" 128 >"$WORK/hog.out" 2>&1) & hog=$!
	# Buffered: its dirty pages are written when the group has no room for more.
	(echo $BASHPID >$cg/load/cgroup.procs
	 exec fio --name=load --filename="$v" --ioengine=psync --rw=randrw --bsrange=4k-128k \
		--size=96M --numjobs=1 --time_based --runtime="$seconds" --verify=crc32c --verify_fatal=1 \
		--fsync=64 --output="$WORK/fio.out") & load=$!
	shrinks & shrinker=$!
	wait "$hog" || status=$?
	cat "$WORK/hog.out"
	assert_eq $status 0 "status of what was swapped"
	wait "$load" || { cat "$WORK/fio.out"; fail "fio saw errors"; }
	kill "$shrinker"
	echo "swapped out: $(awk '/^pswpout/ { print $2 }' /proc/vmstat) pages, in: $(awk '/^pswpin/ { print $2 }' /proc/vmstat)"
	assert_ge "$(awk '/^pswpout/ { print $2 }' /proc/vmstat)" 1000 "pages swapped out"
	swapoff /dev/mapper/p-swap
	rmdir $cg/hog $cg/load
	whole
	scrub_finds 0
}

seconds=${QBD_SOAK_SECONDS:-20}
if [ "$QBD_LANE" = uml-debug ] && [ -z "${QBD_SOAK_SECONDS-}" ]; then
	seconds=15
fi
subtest short-memory-replicas pressed replicas=2 3 $((seconds / 2))
subtest short-memory-ec pressed ec=2+1 3 $((seconds / 2))
finish
