/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks that lock: threads of the harness stand for CPUs. All zero is unlocked. RCU is left to the harness. */
#ifndef KSRC_LOCKS_H
#define KSRC_LOCKS_H

#include <sched.h>

typedef struct {
	int taken;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;
typedef spinlock_t rwlock_t;

struct mutex {
	spinlock_t lock;
};

#define __SPIN_LOCK_UNLOCKED(name) { 0 }
#define DEFINE_SPINLOCK(name) spinlock_t name
#define DEFINE_MUTEX(name) struct mutex name

static inline void spin_lock_init(spinlock_t *lock) { lock->taken = 0; }

static inline bool spin_trylock(spinlock_t *lock)
{
	return !__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE);
}

static inline void spin_lock(spinlock_t *lock)
{
	while (!spin_trylock(lock))
		sched_yield();
}

static inline void spin_unlock(spinlock_t *lock) { __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE); }

/* There are no interrupts. */
#define spin_lock_irqsave(lock, flags) do { (flags) = 0; spin_lock(lock); } while (0)
#define spin_unlock_irqrestore(lock, flags) do { (void)(flags); spin_unlock(lock); } while (0)
#define spin_lock_irq(lock) spin_lock(lock)
#define spin_unlock_irq(lock) spin_unlock(lock)
#define raw_spin_lock_init(lock) spin_lock_init(lock)
#define raw_spin_lock(lock) spin_lock(lock)
#define raw_spin_unlock(lock) spin_unlock(lock)
#define raw_spin_lock_irqsave(lock, flags) spin_lock_irqsave(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) spin_unlock_irqrestore(lock, flags)
#define mutex_init(mutex) spin_lock_init(&(mutex)->lock)
#define mutex_lock(mutex) spin_lock(&(mutex)->lock)
#define mutex_unlock(mutex) spin_unlock(&(mutex)->lock)
#define lockdep_assert_held(lock) ((void)(lock))
#define might_sleep() do { } while (0)
#define might_sleep_if(condition) ((void)(condition))
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
#define rcu_dereference(pointer) READ_ONCE(pointer)

/* Readers retry when the count was odd or has changed. */
typedef struct {
	unsigned int sequence;
} seqcount_t;
typedef struct {
	seqcount_t count;
	spinlock_t lock;
} seqlock_t;

static inline void seqcount_init(seqcount_t *count) { count->sequence = 0; }

static inline unsigned int read_seqcount_begin(const seqcount_t *count)
{
	unsigned int seen;

	while ((seen = __atomic_load_n(&count->sequence, __ATOMIC_ACQUIRE)) & 1)
		sched_yield();
	return seen;
}

static inline bool read_seqcount_retry(const seqcount_t *count, unsigned int seen)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&count->sequence, __ATOMIC_RELAXED) != seen;
}

static inline void write_seqcount_begin(seqcount_t *count)
{
	__atomic_fetch_add(&count->sequence, 1, __ATOMIC_SEQ_CST);
}

static inline void write_seqcount_end(seqcount_t *count)
{
	__atomic_fetch_add(&count->sequence, 1, __ATOMIC_SEQ_CST);
}

#endif
