/* SPDX-License-Identifier: GPL-2.0-only */
/* Minimum, rounding, alignment, logarithms, sizes, overflow checks. */
#ifndef KSRC_ARITHMETIC_H
#define KSRC_ARITHMETIC_H

/* Arguments are evaluated once; their types need not be the same. */
#define min(left, right) ({ \
	__typeof__(left) ksrc_left = (left); \
	__typeof__(right) ksrc_right = (right); \
	ksrc_left < ksrc_right ? ksrc_left : ksrc_right; })
#define max(left, right) ({ \
	__typeof__(left) ksrc_left = (left); \
	__typeof__(right) ksrc_right = (right); \
	ksrc_left > ksrc_right ? ksrc_left : ksrc_right; })
#define min_t(type, left, right) min((type)(left), (type)(right))
#define max_t(type, left, right) max((type)(left), (type)(right))
#define umin(left, right) min_t(u64, left, right)
#define umax(left, right) max_t(u64, left, right)
#define min3(first, second, third) min(min(first, second), third)
#define max3(first, second, third) max(max(first, second), third)
#define clamp(value, low, high) min(max(value, low), high)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define MIN(left, right) ((left) < (right) ? (left) : (right))
#define MAX(left, right) ((left) > (right) ? (left) : (right))
#define swap(left, right) do { \
	__typeof__(left) ksrc_kept = (left); \
	(left) = (right); \
	(right) = ksrc_kept; \
} while (0)

#define DIV_ROUND_UP(number, divisor) (((number) + (divisor) - 1) / (divisor))
#define DIV_ROUND_UP_ULL(number, divisor) DIV_ROUND_UP((u64)(number), (u64)(divisor))
/* To powers of two. */
#define ALIGN(value, unit) (((value) + ((__typeof__(value))(unit) - 1)) & ~((__typeof__(value))(unit) - 1))
#define ALIGN_DOWN(value, unit) ((value) & ~((__typeof__(value))(unit) - 1))
#define round_up(value, unit) ALIGN(value, unit)
#define round_down(value, unit) ALIGN_DOWN(value, unit)
#define IS_ALIGNED(value, unit) (((value) & ((__typeof__(value))(unit) - 1)) == 0)
#define PTR_ALIGN(pointer, unit) ((__typeof__(pointer))ALIGN((unsigned long)(pointer), (unit)))

/* The number of the highest set bit; a constant expression when its argument is. */
#define ilog2(value) (63 - __builtin_clzll((unsigned long long)(value)))
#define const_ilog2(value) ilog2(value)
static inline bool is_power_of_2(unsigned long value) { return value && !(value & (value - 1)); }
#define roundup_pow_of_two(value) (1UL << ((value) <= 1 ? 0 : ilog2((unsigned long)(value) - 1) + 1))
#define rounddown_pow_of_two(value) (1UL << ilog2(value))
#define order_base_2(value) ((value) <= 1 ? 0 : ilog2((unsigned long)(value) - 1) + 1)

#define check_add_overflow(left, right, result) __builtin_add_overflow(left, right, result)
#define check_sub_overflow(left, right, result) __builtin_sub_overflow(left, right, result)
#define check_mul_overflow(left, right, result) __builtin_mul_overflow(left, right, result)
#define size_mul(left, right) ({ \
	size_t ksrc_product; \
	__builtin_mul_overflow((size_t)(left), (size_t)(right), &ksrc_product) ? SIZE_MAX : ksrc_product; })
#define struct_size(pointer, member, count) (sizeof(*(pointer)) + sizeof((pointer)->member[0]) * (count))

/* Sizes that fit are ints, as in the kernel: the type shows in arithmetic with other operands. */
#define SZ_1K 0x400
#define SZ_2K 0x800
#define SZ_4K 0x1000
#define SZ_8K 0x2000
#define SZ_16K 0x4000
#define SZ_32K 0x8000
#define SZ_64K 0x10000
#define SZ_128K 0x20000
#define SZ_256K 0x40000
#define SZ_512K 0x80000
#define SZ_1M 0x100000
#define SZ_2M 0x200000
#define SZ_4M 0x400000
#define SZ_8M 0x800000
#define SZ_16M 0x1000000
#define SZ_32M 0x2000000
#define SZ_64M 0x4000000
#define SZ_128M 0x8000000
#define SZ_256M 0x10000000
#define SZ_512M 0x20000000
#define SZ_1G 0x40000000
#define SZ_2G 0x80000000
#define SZ_4G 0x100000000ULL
#define SZ_8G 0x200000000ULL
#define SZ_16G 0x400000000ULL
#define SZ_32G 0x800000000ULL
#define SZ_64G 0x1000000000ULL
#define SZ_128G 0x2000000000ULL
#define SZ_512G 0x8000000000ULL
#define SZ_1T 0x10000000000ULL
#define SZ_4T 0x40000000000ULL

#endif
