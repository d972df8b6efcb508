#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The reference decodes what it encodes.
. "$(dirname "$0")/lib.sh"
run_selftest roundtrip "$@"
