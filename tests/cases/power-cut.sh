#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The power goes at any instant, in all backends at once, with any of their unflushed writes: every
# flushed sector is right, every other is old or new, redundancy is whole, and the same again when
# the power goes while that is made so. Meanwhile checkpoints, volumes that come and go, backends that
# go out and return, resync, scrub.
# Lanes: uml-fast uml-debug
# Subtests: independent
# Timeout: 240
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=../cuts/case.sh
. "$ROOT/tests/cuts/case.sh"

subtest replicas-2 cuts 3 250 --requests 100 --volume replicas=2,4096,4
subtest replicas-3 cuts 4 200 --requests 100 --volume replicas=3,4096,4
subtest ec-2+1 cuts 4 250 --requests 100 --volume ec=2+1,4096,6
subtest ec-4+2 cuts 6 250 --requests 100 --volume ec=4+2,4096,8
subtest two-volumes cuts 6 150 --requests 120 --volume replicas=2,16384,4 --volume ec=4+2,4096,4
# Before and behind each flush of a short recording.
subtest every-flush-replicas cuts 3 1 --every-flush --requests 15 --volume replicas=2,4096,4
subtest every-flush-ec cuts 4 1 --every-flush --requests 15 --volume ec=2+1,4096,6
finish
