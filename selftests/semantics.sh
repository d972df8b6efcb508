#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What map, unmap, phys and dirty return, case by case.
. "$(dirname "$0")/lib.sh"
run_selftest semantics "$@"
