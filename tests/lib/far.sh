# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Backends of other hosts, by the protocols of stock kernels: sourced after test.sh and pool.sh. A host is
# a network namespace at the other end of a veth pair, which can be cut: then packets are dropped,
# both ways, and nobody is told.
#
# Each backend NAME is on a host of its own, the one with the number HOST (1, 2...). Its device is in
# $WORK/far/NAME.dev, how it came to be, nbd, iscsi or aoe, in NAME.kind.

mkdir -p "$WORK/far"
configfs=/sys/kernel/config
iscsi_port=3260

# far_host HOST: make it.
far_host() {
	local host=$1
	[ ! -e "/run/netns/far$host" ] || return 0
	modprobe -a veth sch_netem
	ip netns add "far$host"
	ip link add "far$host" type veth peer name eth0 netns "far$host"
	ip addr add "10.77.$host.1/24" dev "far$host"
	# A frame of AoE has the pages of its bio, and no reference: one that was sent again and waits at the other end when
	# the first is answered would have pages that are something else by then. So a frame is copied, as by a wire.
	ethtool -K "far$host" tx-scatter-gather off >/dev/null
	# AoE has one frame for a request.
	ip link set "far$host" mtu 9000 up
	ip -n "far$host" addr add "10.77.$host.2/24" dev eth0
	ip -n "far$host" link set eth0 mtu 9000 up
	ip -n "far$host" link set lo up
}

link_cut() { # HOST
	tc qdisc add dev "far$1" root netem loss 100%
	tc -n "far$1" qdisc add dev eth0 root netem loss 100%
}

link_mend() { # HOST
	tc -n "far$1" qdisc del dev eth0 root
	tc qdisc del dev "far$1" root
}

# far_disk KIND NAME HOST MIB: serve a file of that size there, and connect to it; sets REPLY.
far_disk() {
	far_host "$3"
	"far_$1" "${@:2}"
	echo "$1" >"$WORK/far/$2.kind"
	echo "$3" >"$WORK/far/$2.host"
	echo "$REPLY" >"$WORK/far/$2.dev"
}

# --- NBD ------------------------------------------------------------------------------------------

far_nbd() { # NAME HOST MIB
	echo "$2" >"$WORK/nbd/$1.far"
	nbd_serve "$1" "$3" nbdkit
	nbd_connect "$1"
}

# --- iSCSI: the kernel's own target, which is not where its files are but where its portal was made -----

iscsi_target() { # NAME: its folder, in REPLY
	REPLY=$configfs/target/iscsi/iqn.2026-01.test.qbd:$1/tpgt_1
}

far_iscsi() { # NAME HOST MIB
	local name=$1 host=$2 mib=$3 store target word
	[ -d "$configfs/target" ] || {
		# Where it keeps what it knows of its initiators.
		mkdir -p /etc/target
		modprobe configfs
		mountpoint -q $configfs || mount -t configfs none $configfs
		modprobe -a target_core_mod target_core_file iscsi_target_mod iscsi_tcp sd_mod
	}
	store=$configfs/target/core/fileio_0/$name
	truncate -s "${mib}M" "$WORK/far/$name.img"
	mkdir -p "$store" $configfs/target/iscsi
	echo "fd_dev_name=$WORK/far/$name.img,fd_dev_size=$((mib << 20)),fd_buffered_io=1" >"$store/control"
	echo 1 >"$store/enable"
	iscsi_target "$name"
	target=$REPLY
	mkdir -p "$target/lun/lun_0"
	nsenter "--net=/run/netns/far$host" mkdir "$target/np/10.77.$host.2:$iscsi_port"
	ln -s "$store" "$target/lun/lun_0/store"
	for word in generate_node_acls=1 cache_dynamic_acls=1 demo_mode_write_protect=0 authentication=0; do
		echo "${word#*=}" >"$target/attrib/${word%=*}"
	done
	echo 1 >"$target/enable"
	iscsi_daemon
	target=${target%/*}
	iscsiadm -m node -o new -T "${target##*/}" -p "10.77.$host.2:$iscsi_port,1" >/dev/null
	iscsiadm -m node -T "${target##*/}" -p "10.77.$host.2:$iscsi_port,1" --login >/dev/null
	wait_until 10 iscsi_device "${target##*/}"
	iscsi_device "${target##*/}"
}

iscsi_device() { # TARGET: sets REPLY
	local session block
	for session in /sys/class/iscsi_session/session*; do
		[ "$(<"$session/targetname")" = "$1" ] || continue
		for block in "$session"/device/target*/*/block/*; do
			[ -e "$block/size" ] || return 1
			REPLY=/dev/${block##*/}
			[ -b "$REPLY" ]
			return
		done
	done
	return 1
}

iscsi_daemon() {
	[ ! -s /run/iscsid.pid ] || return 0
	mkdir -p /run/lock/iscsi
	iscsid
	wait_until 10 grep -q ISCSIADM_ABSTRACT_NAMESPACE /proc/net/unix
}

# --- AoE ------------------------------------------------------------------------------------------

far_aoe() { # NAME HOST MIB
	local name=$1 host=$2
	truncate -s "$3M" "$WORK/far/$name.img"
	nsenter "--net=/run/netns/far$host" setsid --fork vblade "$host" 1 eth0 "$WORK/far/$name.img" \
		</dev/null >"$WORK/far/$name.log" 2>&1
	REPLY=/dev/etherd/e$host.1
	# Asks who is there when it is loaded.
	modprobe aoe
	wait_until 10 aoe_is_there "$name" "$REPLY"
}

aoe_is_there() { # NAME DEVICE
	[ -b "$2" ] && [ "$(blockdev --getsize64 "$2")" != 0 ] && return
	echo >/dev/etherd/discover
	return 1
}

aoe_signal() { # SIGNAL NAME
	kill "-$1" "$(sed -n 's/^pid \([0-9]*\):.*/\1/p' "$WORK/far/$2.log")"
}

# --- silence --------------------------------------------------------------------------------------

# silence HOW NAME: no answer comes from it, in the way that HOW says: the link is cut; its server is frozen
# (AoE); its target goes away, with all sessions, and its portal refuses new ones (iSCSI).
silence() {
	local how=$1 name=$2
	echo "$how" >"$WORK/far/$name.silent"
	case $how in
	cut)	link_cut "$(<"$WORK/far/$name.host")";;
	frozen)	aoe_signal STOP "$name";;
	gone)	iscsi_target "$name"; echo 0 >"$REPLY/enable";;
	esac
}

heard() { # NAME: it answers again
	local name=$1
	case $(<"$WORK/far/$name.silent") in
	cut)	link_mend "$(<"$WORK/far/$name.host")";;
	frozen)	aoe_signal CONT "$name";;
	gone)	iscsi_target "$name"; echo 1 >"$REPLY/enable";;
	esac
	rm "$WORK/far/$name.silent"
}

# all_heard: whatever a subtest left.
all_heard() {
	local file
	for file in "$WORK"/far/*.silent; do
		[ ! -e "$file" ] || heard "$(basename "$file" .silent)"
	done
}

# far_end: no backend, no server.
far_end() {
	local file name target
	all_heard
	discard_all
	module_unload
	for file in "$WORK"/far/*.kind; do
		[ -e "$file" ] || continue
		name=$(basename "$file" .kind)
		case $(<"$file") in
		iscsi)
			iscsi_target "$name"
			target=${REPLY%/*}
			iscsiadm -m node -T "${target##*/}" --logout >/dev/null
			iscsiadm -m node -T "${target##*/}" -o delete
			rm "$REPLY/lun/lun_0/store"
			rmdir "$REPLY"/np/* "$REPLY/lun/lun_0" "$REPLY" "$target" \
				"$configfs/target/core/fileio_0/$name"
			;;
		aoe)
			rmmod aoe
			aoe_signal KILL "$name"
			;;
		esac
	done
}
