#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The small ones of the protocol's models hold, and each of their switches gives a counterexample.
# Lanes: host
# Timeout: 1800
# shellcheck source=../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

quick_models() {
	make -s -C "$ROOT/tests/model" quick
}

subtest quick-models quick_models
finish
