/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes, annotations and the small macros of the preprocessor that kernel code takes for granted. */
#ifndef KSRC_COMPILER_H
#define KSRC_COMPILER_H

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define __noinline __attribute__((noinline))
#define __maybe_unused __attribute__((unused))
#undef __always_unused
#define __always_unused __attribute__((unused))
#undef __must_check
#define __must_check
#undef __packed
#define __packed __attribute__((packed))
#undef __aligned
#define __aligned(bytes) __attribute__((aligned(bytes)))
#undef __printf
#define __printf(text, arguments) __attribute__((__format__(__printf__, text, arguments)))
#define __pure __attribute__((pure))
#define __noipa
#define __weak __attribute__((weak))
#define __ro_after_init
#define __read_mostly
#define __init
#define __exit
#define __initdata
#define __initconst
#define __force
#define __bitwise
#define __user
#define __iomem
#define __rcu
#define __percpu
#define __counted_by(member)
#define __private
#define __acquires(lock)
#define __releases(lock)
#define fallthrough __attribute__((fallthrough))
#undef unreachable
#define unreachable() __builtin_unreachable()
#define barrier() __asm__ __volatile__("" ::: "memory")

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define KSRC_JOIN(left, right) left##right
#define CONCATENATE(left, right) KSRC_JOIN(left, right)
#define __PASTE(left, right) KSRC_JOIN(left, right)
#define KSRC_TEXT(...) #__VA_ARGS__
#define __stringify(...) KSRC_TEXT(__VA_ARGS__)
#define __UNIQUE_ID(name) CONCATENATE(CONCATENATE(name, _), __COUNTER__)

/* With or without a message, as both are written. */
#undef static_assert
#define KSRC_ASSERT(condition, message, ...) _Static_assert(condition, message)
#define static_assert(condition, ...) KSRC_ASSERT(condition, ##__VA_ARGS__, #condition, "")
#define BUILD_BUG_ON(condition) static_assert(!(condition))
#define BUILD_BUG_ON_MSG(condition, message) static_assert(!(condition))
#define BUILD_BUG_ON_ZERO(condition) ((int)sizeof(struct { int : (-!!(condition)); }))
/* A call that an optimizing compiler is expected to remove; where it does not, reaching it is fatal. */
#define BUILD_BUG() ksrc_bug(__FILE__, __LINE__, "BUILD_BUG()")

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define container_of_const(pointer, type, member) container_of(pointer, type, member)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member) (offsetof(type, member) + sizeof_field(type, member))
#undef typeof
#define typeof __typeof__

/* __free() and guard() of linux/cleanup.h. */
#define __cleanup(function) __attribute__((cleanup(function)))

#endif
