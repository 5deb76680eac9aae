#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Power cuts with a journal, alone and with the loss of backends: of erasure-coded volumes, too, nothing is
# lost but rows that were being overwritten wholly, and with journal=full not these.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 150
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../cuts/case.sh
. "$ROOT/tests/cuts/case.sh"

subtest ec-2+1 cuts 4 100 --requests 100 --journal on --volume ec=2+1,4096,6
subtest ec-4+2 cuts 6 100 --requests 100 --journal on --volume ec=4+2,4096,8
subtest ec-2+1-losses cuts 5 100 --losses --requests 100 --journal on --volume ec=2+1,4096,6
subtest ec-4+2-losses cuts 7 100 --losses --requests 100 --journal on --volume ec=4+2,4096,8
subtest ec-4+2-losses-full cuts 7 60 --losses --requests 100 --journal full --volume ec=4+2,4096,8
finish
