#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Golden vectors of arm_lpae32: entries, operations and table images.
. "$(dirname "$0")/lib.sh"
run_golden arm_lpae32 "$@"
