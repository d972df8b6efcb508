#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Growth of table memory while IOVA space is swept.
. "$(dirname "$0")/lib.sh"
run_selftest iova_stress "$@"
