#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Random maps, each range and its neighbours walked as the hardware would.
. "$(dirname "$0")/lib.sh"
run_selftest walker "$@"
