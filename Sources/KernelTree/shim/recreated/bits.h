/* SPDX-License-Identifier: GPL-2.0-only */
/* Single bits, masks of bits, bit fields, and where the first and last set bits are (linux/bits.h, bitops.h, ...). */
#ifndef KSRC_BITS_H
#define KSRC_BITS_H

#define BIT(number) (1UL << (number))
#define BIT_ULL(number) (1ULL << (number))
#define BITS_TO_LONGS(count) (((count) + 63) / 64)
#define BIT_MASK(number) (1UL << ((number) % 64))
#define BIT_WORD(number) ((number) / 64)

/* All of them are constant expressions when their arguments are. */
#define GENMASK(high, low) ((~0UL << (low)) & (~0UL >> (63 - (high))))
#define GENMASK_ULL(high, low) ((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#define GENMASK_U64(high, low) ((u64)GENMASK_ULL(high, low))
#define GENMASK_U32(high, low) ((u32)GENMASK_ULL(high, low))
#define BIT_U64(number) ((u64)1 << (number))
#define BIT_U32(number) ((u32)1 << (number))

/* The number of the lowest set bit of a constant mask. */
#define KSRC_LOW(mask) (__builtin_ffsll((long long)(mask)) - 1)
#define __bf_shf(mask) KSRC_LOW(mask)
/* The result has the type of the mask, at least that of an int. */
#define FIELD_PREP(mask, value) ((__typeof__((mask) + 0))((((u64)(value)) << KSRC_LOW(mask)) & (u64)(mask)))
#define FIELD_PREP_CONST(mask, value) FIELD_PREP(mask, value)
#define FIELD_GET(mask, word) ((__typeof__((mask) + 0))((((u64)(word)) & (u64)(mask)) >> KSRC_LOW(mask)))
#define FIELD_MAX(mask) ((__typeof__((mask) + 0))((u64)(mask) >> KSRC_LOW(mask)))
#define FIELD_FIT(mask, value) (!((((u64)(value)) << KSRC_LOW(mask)) & ~(u64)(mask)))

/* From 0; undefined for no bit, as the instructions are. */
static inline unsigned long __ffs(unsigned long word) { return __builtin_ctzl(word); }
static inline unsigned long __fls(unsigned long word) { return 63 - __builtin_clzl(word); }
static inline unsigned long ffz(unsigned long word) { return __builtin_ctzl(~word); }
static inline unsigned int __ffs64(u64 word) { return __builtin_ctzll(word); }
/* From 1; 0 for no bit. */
static inline int fls(unsigned int word) { return word ? 32 - __builtin_clz(word) : 0; }
static inline int fls64(u64 word) { return word ? 64 - __builtin_clzll(word) : 0; }
static inline int fls_long(unsigned long word) { return fls64(word); }
#undef ffs
#define ffs(word) __builtin_ffs(word)

static inline unsigned int hweight32(u32 word) { return __builtin_popcount(word); }
static inline unsigned int hweight64(u64 word) { return __builtin_popcountll(word); }
#define hweight_long(word) hweight64(word)

/* Atomic bits of an array of longs. */
static inline void set_bit(long number, volatile unsigned long *words)
{
	__atomic_fetch_or(words + number / 64, 1UL << (number % 64), __ATOMIC_RELAXED);
}

static inline void clear_bit(long number, volatile unsigned long *words)
{
	__atomic_fetch_and(words + number / 64, ~(1UL << (number % 64)), __ATOMIC_RELAXED);
}

static inline bool test_bit(long number, const volatile unsigned long *words)
{
	return words[number / 64] >> (number % 64) & 1;
}

static inline bool test_and_clear_bit(long number, volatile unsigned long *words)
{
	return __atomic_fetch_and(words + number / 64, ~(1UL << (number % 64)), __ATOMIC_SEQ_CST) >> (number % 64) & 1;
}

static inline bool test_and_set_bit(long number, volatile unsigned long *words)
{
	return __atomic_fetch_or(words + number / 64, 1UL << (number % 64), __ATOMIC_SEQ_CST) >> (number % 64) & 1;
}

static inline unsigned long ksrc_next_bit(const unsigned long *words, unsigned long count, unsigned long from)
{
	while (from < count && !test_bit(from, words))
		from++;
	return from;
}
#define for_each_set_bit(bit, words, count) \
	for ((bit) = ksrc_next_bit(words, count, 0); (bit) < (count); (bit) = ksrc_next_bit(words, count, (bit) + 1))

#endif
