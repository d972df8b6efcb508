#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The generic algorithms against the drivers' own code, operation by operation.
. "$(dirname "$0")/lib.sh"
run_selftest compare "$@"
