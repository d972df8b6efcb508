/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single loads and stores, compare-and-exchange, barriers. The stronger of two orderings is used where C has no exact
 * counterpart; barriers toward a device are compiler barriers, since the harness reads memory as the CPU does.
 */
#ifndef KSRC_ATOMICS_H
#define KSRC_ATOMICS_H

#define READ_ONCE(object) (*(const volatile __typeof__(object) *)&(object))
#define WRITE_ONCE(object, value) do { *(volatile __typeof__(object) *)&(object) = (value); } while (0)
#define data_race(expression) (expression)

/* Returns what was there; the new value was stored if that is `old`. */
#define cmpxchg(pointer, old, new) ({ \
	__typeof__(*(pointer)) ksrc_seen = (old); \
	__atomic_compare_exchange_n(pointer, &ksrc_seen, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	ksrc_seen; })
#define cmpxchg_relaxed(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg_acquire(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg_release(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg64(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg64_relaxed(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg64_release(pointer, old, new) cmpxchg(pointer, old, new)
#define cmpxchg64_local(pointer, old, new) cmpxchg(pointer, old, new)

/* Returns whether it was stored; *old becomes what was there. */
#define try_cmpxchg(pointer, old, new) \
	__atomic_compare_exchange_n(pointer, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define try_cmpxchg_relaxed(pointer, old, new) try_cmpxchg(pointer, old, new)
#define try_cmpxchg_acquire(pointer, old, new) try_cmpxchg(pointer, old, new)
#define try_cmpxchg_release(pointer, old, new) try_cmpxchg(pointer, old, new)
#define try_cmpxchg64(pointer, old, new) try_cmpxchg(pointer, old, new)
#define try_cmpxchg64_relaxed(pointer, old, new) try_cmpxchg(pointer, old, new)
#define try_cmpxchg64_release(pointer, old, new) try_cmpxchg(pointer, old, new)
#define xchg(pointer, value) __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST)
#define xchg_relaxed(pointer, value) xchg(pointer, value)

#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define mb() smp_mb()
#define rmb() smp_rmb()
#define wmb() smp_wmb()
#define dma_mb() smp_mb()
#define dma_rmb() smp_rmb()
#define dma_wmb() smp_wmb()
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()
#define smp_load_acquire(pointer) __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define smp_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
#define smp_store_mb(object, value) __atomic_store_n(&(object), value, __ATOMIC_SEQ_CST)
static inline void cpu_relax(void) { barrier(); }

#define ATOMIC_INIT(value) { (value) }
#define atomic_read(object) __atomic_load_n(&(object)->counter, __ATOMIC_RELAXED)
#define atomic_set(object, value) __atomic_store_n(&(object)->counter, value, __ATOMIC_RELAXED)
#define atomic_inc(object) ((void)__atomic_fetch_add(&(object)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic_dec(object) ((void)__atomic_fetch_sub(&(object)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic_add(value, object) ((void)__atomic_fetch_add(&(object)->counter, value, __ATOMIC_SEQ_CST))
#define atomic_inc_return(object) __atomic_add_fetch(&(object)->counter, 1, __ATOMIC_SEQ_CST)
#define atomic_dec_return(object) __atomic_sub_fetch(&(object)->counter, 1, __ATOMIC_SEQ_CST)
#define atomic_dec_and_test(object) (atomic_dec_return(object) == 0)
#define atomic64_read(object) atomic_read(object)
#define atomic64_set(object, value) atomic_set(object, value)
#define refcount_set(object, value) atomic_set(&(object)->refs, value)
#define refcount_inc(object) atomic_inc(&(object)->refs)
#define refcount_dec_and_test(object) atomic_dec_and_test(&(object)->refs)
#define refcount_read(object) atomic_read(&(object)->refs)

#endif
