#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Erasure codes likewise; for 4+2 every set of up to two lost backends.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

subtest ec-2+1 reference 4 3 5 --extent 1M --journal off --volume ec=2+1,4096,24
subtest ec-4+2-every-set reference 6 all 4 --extent 1M --journal off --volume ec=4+2,16384,16
subtest ec-4+2-large-extents reference 7 2 4 --extent 4M --journal off --volume ec=4+2,4096,48
finish
