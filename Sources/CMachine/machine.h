/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Swift cannot say: system calls that glibc has no function for, and accesses of registers, which must be one of
 * exactly this width.
 */
#ifndef PTKIT_CMACHINE_H
#define PTKIT_CMACHINE_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long machine_finit_module(int descriptor, const char *parameters, int flags)
{
	return syscall(SYS_finit_module, descriptor, parameters, flags);
}

static inline long machine_delete_module(const char *name, unsigned int flags)
{
	return syscall(SYS_delete_module, name, flags);
}

/* An argument of 64 bits, which may be an address or a number. */
static inline int machine_ioctl(int descriptor, uint64_t request, uint64_t argument)
{
	return ioctl(descriptor, (unsigned long)request, (unsigned long)argument);
}

static inline uint64_t machine_load(uint64_t address, int width)
{
	switch (width) {
	case 1:
		return *(const volatile uint8_t *)(uintptr_t)address;
	case 2:
		return *(const volatile uint16_t *)(uintptr_t)address;
	case 4:
		return *(const volatile uint32_t *)(uintptr_t)address;
	default:
		return *(const volatile uint64_t *)(uintptr_t)address;
	}
}

static inline void machine_store(uint64_t address, int width, uint64_t value)
{
	switch (width) {
	case 1:
		*(volatile uint8_t *)(uintptr_t)address = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)(uintptr_t)address = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)(uintptr_t)address = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)(uintptr_t)address = value;
	}
}

#endif
