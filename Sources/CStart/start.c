// SPDX-License-Identifier: GPL-2.0-only

#include <stdlib.h>
#include <unistd.h>

// Of the Swift runtime, which has no header for it.
extern void _swift_stdlib_overrideUnsafeArgvArgc(char **argv, int argc);

// The Swift runtime asks /proc/self/exe where it lies, before main(), and /proc/self/cmdline for the arguments. Where there is
// no /proc, in a bare chroot or as the first process of an initramfs, it gives up over the one and sees no arguments. A static
// binary has nothing to find beside itself, so any folder will do; and glibc passes the arguments to constructors.
__attribute__((constructor(101))) static void ptkit_start(int argc, char **argv)
{
	char path[1];

	if (readlink("/proc/self/exe", path, sizeof(path)) >= 0)
		return;
	setenv("SWIFT_ROOT", "/", 0);
	_swift_stdlib_overrideUnsafeArgvArgc(argv, argc);
}
