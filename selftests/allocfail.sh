#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Allocation failure at every point.
. "$(dirname "$0")/lib.sh"
run_selftest allocfail "$@"
