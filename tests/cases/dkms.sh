#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# DKMS builds and installs the module for Debian's stock kernels, and takes it away again. All of
# it in folders of its own: nothing of the machine's DKMS or modules is touched, nothing booted.
# Lanes: host
# Timeout: 600
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

version=$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")

dkms_here() { # VERB ARG...
	dkms "$@" --dkmstree "$WORK/dkms" --sourcetree "$WORK/usr/src" --installtree "$WORK/modules" \
		--no-depmod
}

versions_agree() {
	assert_eq "$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$ROOT/dkms.conf")" "$version" \
		"version of dkms.conf"
}

add() {
	[ "$(id -u)" = 0 ] || skip "dkms wants root"
	mkdir -p "$WORK/dkms" "$WORK/modules"
	make -s -C "$ROOT" install-dkms DESTDIR="$WORK"
	dkms_here add "dm-qbd/$version"
}

install_for() { # 6.1|6.12
	local root abi module
	[ "$(id -u)" = 0 ] || skip "dkms wants root"
	root=$("$ROOT/tests/guest/fetch-kernels" "$1")
	abi=$(cat "$root/abi")
	mkdir -p "$WORK/modules/$abi"
	dkms_here install "dm-qbd/$version" -k "$abi" \
		--kernelsourcedir "$(readlink "$root/lib/modules/$abi/build")" ||
		{ cat "$WORK/dkms/dm-qbd/$version/build/make.log"; fail "dkms install"; }
	assert_eq "$(dkms_here status "dm-qbd/$version" -k "$abi")" \
		"dm-qbd/$version, $abi, x86_64: installed" status
	module=$(find "$WORK/modules/$abi" -name 'dm-qbd.ko*')
	assert_eq "$(modinfo -F vermagic "$module" | cut -d' ' -f1)" "$abi" vermagic
	assert_eq "$(modinfo -F license "$module")" GPL license
	! grep -i 'warning:' "$WORK/dkms/dm-qbd/$version/$abi/x86_64/log/make.log" || fail "warnings"
	dkms_here uninstall "dm-qbd/$version" -k "$abi"
	assert_eq "$(find "$WORK/modules/$abi" -name 'dm-qbd.ko*')" '' "what uninstall leaves"
}

subtest versions-agree versions_agree
subtest add add
subtest install-6.1 install_for 6.1
subtest install-6.12 install_for 6.12
finish
