#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The running kernel: mappings through VFIO and iommufd, their tables and their accounting, KUnit suites.
. "$(dirname "$0")/lib.sh"
run_selftest --target kernel "$@"
