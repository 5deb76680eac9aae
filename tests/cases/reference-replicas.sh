#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Replicas under random I/O, losses, returns and restarts, compared with a model in memory.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

subtest replicas-1 reference 2 0 4 --extent 1M --volume replicas=1,4096,16
subtest replicas-2 reference 4 3 6 --extent 1M --volume replicas=2,4096,24
subtest replicas-3 reference 5 3 5 --extent 4M --volume replicas=3,65536,32
subtest two-volumes reference 7 3 6 --extent 1M --volume replicas=2,8192,16 \
	--volume ec=4+2,4096,16
finish
