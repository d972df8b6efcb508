/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * WARN and BUG. A warning goes to the harness each time, also where the kernel prints it once: a test has to see its
 * own. BUG ends the process; the harness contains that. What is printed otherwise is dropped.
 */
#ifndef KSRC_WARNINGS_H
#define KSRC_WARNINGS_H

void ksrc_warn(const char *file, int line, const char *condition);
void ksrc_bug(const char *file, int line, const char *condition) __attribute__((noreturn));

#define WARN_ON(condition) ({ \
	bool ksrc_failed = !!(condition); \
	if (unlikely(ksrc_failed)) \
		ksrc_warn(__FILE__, __LINE__, #condition); \
	unlikely(ksrc_failed); })
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN(condition, ...) WARN_ON(condition)
#define WARN_ONCE(condition, ...) WARN_ON(condition)
#define VM_WARN_ON(condition) WARN_ON(condition)
#define VM_WARN_ON_ONCE(condition) WARN_ON(condition)
#define BUG() ksrc_bug(__FILE__, __LINE__, "BUG()")
#define BUG_ON(condition) do { \
	if (unlikely(condition)) \
		ksrc_bug(__FILE__, __LINE__, #condition); \
} while (0)
#define VM_BUG_ON(condition) BUG_ON(condition)

/* Formats are the kernel's own (%pa); the arguments are still checked to exist. */
static inline void ksrc_print(const void *first, ...) { (void)first; }
#define pr_debug(...) ksrc_print(__VA_ARGS__)
#define pr_info(...) ksrc_print(__VA_ARGS__)
#define pr_info_once(...) ksrc_print(__VA_ARGS__)
#define pr_notice(...) ksrc_print(__VA_ARGS__)
#define pr_warn(...) ksrc_print(__VA_ARGS__)
#define pr_warn_once(...) ksrc_print(__VA_ARGS__)
#define pr_warn_ratelimited(...) ksrc_print(__VA_ARGS__)
#define pr_err(...) ksrc_print(__VA_ARGS__)
#define pr_err_once(...) ksrc_print(__VA_ARGS__)
#define pr_err_ratelimited(...) ksrc_print(__VA_ARGS__)
#define printk(...) ksrc_print(__VA_ARGS__)
#define dev_dbg(...) ksrc_print(__VA_ARGS__)
#define dev_info(...) ksrc_print(__VA_ARGS__)
#define dev_warn(...) ksrc_print(__VA_ARGS__)
#define dev_warn_once(...) ksrc_print(__VA_ARGS__)
#define dev_err(...) ksrc_print(__VA_ARGS__)
#define dev_err_ratelimited(...) ksrc_print(__VA_ARGS__)

/* Error numbers in pointers. */
#define MAX_ERRNO 4095
#define IS_ERR_VALUE(value) unlikely((unsigned long)(void *)(value) >= (unsigned long)-MAX_ERRNO)
static inline void *ERR_PTR(long error) { return (void *)error; }
static inline long PTR_ERR(const void *pointer) { return (long)pointer; }
static inline bool IS_ERR(const void *pointer) { return IS_ERR_VALUE((unsigned long)pointer); }
static inline bool IS_ERR_OR_NULL(const void *pointer) { return !pointer || IS_ERR(pointer); }
#define ERR_CAST(pointer) ((void *)(pointer))
#define PTR_ERR_OR_ZERO(pointer) (IS_ERR(pointer) ? (int)PTR_ERR(pointer) : 0)
/* Beyond errno.h: errors that only the kernel knows. */
#define ENOTSUPP 524
#define EPROBE_DEFER 517

#endif
