# SPDX-License-Identifier: GPL-2.0-only
#
# For the tests of this folder: finds the binary and the golden files, and runs a test in place of the script.
#
#   PTKIT         the binary ptkit; else it is looked for beside the script, in the repository's build, in PATH
#   PTKIT_GOLDEN  the folder of golden files; else golden or Golden beside the script, then ../Golden
# shellcheck shell=sh

here=$(cd "$(dirname "$0")" && pwd) || exit 1

# Ends the script with a stream that skips all. kselftest's runner, which names itself by kselftest_timeout,
# looks at the exit status alone and wants 4; others take any status but 0 for a failure.
skip_all() {
	printf 'TAP version 13\n# %s\n1..0 # SKIP\n' "$1"
	[ -z "${kselftest_timeout+set}" ] || exit 4
	exit 0
}

find_ptkit() {
	if [ -n "${PTKIT:-}" ]; then
		[ -x "$PTKIT" ] || skip_all "PTKIT is '$PTKIT', which is no program"
		return
	fi
	for candidate in "$here/ptkit" "$here/../.build/release/ptkit"; do
		if [ -f "$candidate" ] && [ -x "$candidate" ]; then
			PTKIT=$candidate
			return
		fi
	done
	PTKIT=$(command -v ptkit) || skip_all "no ptkit: set PTKIT, or put it beside the tests or in PATH"
}

find_golden() {
	if [ -n "${PTKIT_GOLDEN:-}" ]; then
		[ -d "$PTKIT_GOLDEN" ] || skip_all "PTKIT_GOLDEN is '$PTKIT_GOLDEN', which is no folder"
		return
	fi
	for candidate in "$here/golden" "$here/Golden" "$here/../Golden"; do
		if [ -d "$candidate" ]; then
			PTKIT_GOLDEN=$candidate
			return
		fi
	done
	skip_all "no golden files: set PTKIT_GOLDEN, or put the folder Golden beside the tests"
}

# run_selftest NAME [ARGUMENT...]: the tests under that name.
run_selftest() {
	find_ptkit
	exec "$PTKIT" selftest "$@"
}

# run_golden FORMAT [ARGUMENT...]: all golden files of a format, a point per file and configuration.
run_golden() {
	format=$1
	shift
	find_ptkit
	find_golden
	export PTKIT_GOLDEN
	files=
	for candidate in "$PTKIT_GOLDEN/$format" "$PTKIT_GOLDEN/linux/generic-$format.golden" \
		"$PTKIT_GOLDEN/linux/legacy-$format.golden"; do
		[ ! -e "$candidate" ] || files=yes
	done
	[ -n "$files" ] || skip_all "no golden files of $format in $PTKIT_GOLDEN"
	# The list once more, as words of its own, so that a folder's name may have blanks in it.
	set -- --summary "$@"
	for candidate in "$PTKIT_GOLDEN/$format" "$PTKIT_GOLDEN/linux/generic-$format.golden" \
		"$PTKIT_GOLDEN/linux/legacy-$format.golden"; do
		[ ! -e "$candidate" ] || set -- "$@" "$candidate"
	done
	exec "$PTKIT" golden check "$@"
}
