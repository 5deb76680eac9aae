#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The power goes, and takes backends with it: as many as may be lost, before, at and after the cut. No
# flushed sector of replicas is lost, and of erasure codes none but in rows that were being written;
# nothing is ever silently wrong. What is absent returns, and all is whole again.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 180
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../cuts/case.sh
. "$ROOT/tests/cuts/case.sh"

subtest replicas-2 cuts 4 150 --losses --requests 100 --volume replicas=2,4096,4
subtest replicas-3 cuts 5 150 --losses --requests 100 --volume replicas=3,4096,4
subtest ec-2+1 cuts 5 130 --losses --requests 100 --volume ec=2+1,4096,6
subtest ec-4+2 cuts 7 130 --losses --requests 100 --volume ec=4+2,4096,8
finish
