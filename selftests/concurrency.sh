#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Threads that map and unmap disjoint ranges which share tables.
. "$(dirname "$0")/lib.sh"
run_selftest concurrency "$@"
