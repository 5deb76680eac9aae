#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Erasure codes likewise, with a journal: after an unclean stop without legs no row is lost but those that were
# being overwritten wholly, and with journal=full not these.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../reference/case.sh
. "$ROOT/tests/reference/case.sh"

subtest ec-2+1 reference 4 3 5 --extent 1M --journal on --volume ec=2+1,4096,24
subtest ec-4+2 reference 6 3 5 --extent 1M --journal on --volume ec=4+2,4096,16
subtest ec-4+2-large-blocks reference 6 2 4 --extent 1M --journal on --volume ec=4+2,16384,16
subtest ec-4+2-full reference 6 2 5 --extent 1M --journal full --volume ec=4+2,4096,16
subtest beside-replicas reference 6 2 4 --extent 1M --journal on --volume ec=4+2,4096,16 --volume replicas=2,4096,8
finish
