/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls without a C library, so that the compiler which builds the kit builds the agent for every architecture. The
 * numbers are Linux's ABI: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
 */
#ifndef PTKIT_SYSTEM_H
#define PTKIT_SYSTEM_H

#include <stdint.h>

#ifdef __x86_64__
enum {
	NR_read = 0, NR_write = 1, NR_close = 3, NR_mmap = 9, NR_munmap = 11, NR_ioctl = 16, NR_pread64 = 17,
	NR_pwrite64 = 18, NR_mincore = 27, NR_madvise = 28, NR_getpid = 39, NR_uname = 63, NR_syslog = 103,
	NR_mlock = 149, NR_mount = 165, NR_umount2 = 166, NR_reboot = 169, NR_delete_module = 176,
	NR_getdents64 = 217, NR_clock_gettime = 228, NR_exit_group = 231, NR_openat = 257, NR_mkdirat = 258,
	NR_readlinkat = 267, NR_faccessat = 269, NR_finit_module = 313,
};

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define ENTRY "_start: xor %ebp, %ebp\n and $-16, %rsp\n call run\n"

#elif defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
enum {
	NR_ioctl = 29, NR_mkdirat = 34, NR_umount2 = 39, NR_mount = 40, NR_faccessat = 48, NR_openat = 56,
	NR_close = 57, NR_getdents64 = 61, NR_read = 63, NR_write = 64, NR_pread64 = 67, NR_pwrite64 = 68,
	NR_readlinkat = 78, NR_exit_group = 94, NR_delete_module = 106, NR_clock_gettime = 113, NR_syslog = 116,
	NR_reboot = 142, NR_uname = 160, NR_getpid = 172, NR_munmap = 215, NR_mmap = 222, NR_mlock = 228,
	NR_mincore = 232, NR_madvise = 233, NR_finit_module = 273,
};

#ifdef __aarch64__
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

#define ENTRY "_start: mov x29, #0\n bl run\n"

#else
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = number;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
	return a0;
}

#define ENTRY "_start: call run\n"
#endif

#else
#error "the agent knows x86-64, aarch64 and riscv64"
#endif

#define call(name, ...) call_n(NR_##name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define call_n(number, a, b, c, d, e, f, ...) \
	call6(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
