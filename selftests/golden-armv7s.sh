#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Golden vectors of armv7s: entries, operations and table images.
. "$(dirname "$0")/lib.sh"
run_golden armv7s "$@"
