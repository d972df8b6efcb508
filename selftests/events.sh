#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Order of entry writes, cache flushes, IOTLB syncs and table frees.
. "$(dirname "$0")/lib.sh"
run_selftest events "$@"
