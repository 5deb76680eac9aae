#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Wide erasure codes likewise, with sets of lost backends from the seed.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

subtest ec-8+3 reference 12 20 1 --extent 1M --csum-bytes 64K --journal off --volume ec=8+3,4096,16
subtest ec-10+4 reference 15 20 1 --extent 1M --csum-bytes 64K --journal off --volume ec=10+4,8192,20
subtest ec-16+4 reference 20 20 1 --extent 1M --csum-bytes 64K --journal off --volume ec=16+4,4096,32
finish
