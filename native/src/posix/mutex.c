/* SPDX-License-Identifier: Apache-2.0
 *
 * Robust, process-shared, recursive pthread mutexes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

PSHM__ASSERT(sizeof(pthread_mutex_t) <= PSHM_MUTEX_BYTES, "the layout has room for the mutex");
PSHM__ASSERT(_Alignof(pthread_mutex_t) <= PSHM_ALIGN, "and it is aligned");

static int code_of(const char *call, int error) {
    switch (error) {
    case 0: return 0;
    case EOWNERDEAD: return PSHM_EOWNERDIED;
    case EBUSY: return PSHM_EBUSY;
    case EAGAIN:
        return pshm__fail(PSHM_EDEPTH, "%s: the thread has taken the lock too often; unlock it",
                          call);
    case EPERM: return PSHM_ENOTOWNER;
    default: return pshm__fail(PSHM_EOS, "%s: %s (errno %d)", call, strerror(error), error);
    }
}

int pshm__os_mutex_init(void *mutex) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error != 0)
        return code_of("pthread_mutexattr_init", error);
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (error == 0)
        error = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    if (error == 0)
        error = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return code_of("pthread_mutex_init", error);
}

int pshm__os_mutex_try(void *mutex) {
    return code_of("pthread_mutex_trylock", pthread_mutex_trylock(mutex));
}

/* The word that the kernel clears when its thread dies. Each libc has a place of its own for it,
 * and both are part of the fingerprint. */
#ifdef __GLIBC__
enum { WORD = offsetof(pthread_mutex_t, __data.__lock) / sizeof(uint32_t) };
#else
enum { WORD = 1 };
#endif

/* 0 if nobody has the mutex. */
static uint32_t owner_of(const void *mutex) {
    const uint32_t *word = (const uint32_t *)mutex + WORD;
    return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_relaxed) &
           FUTEX_TID_MASK;
}

bool pshm__os_mutex_is_mine(const void *mutex, uint32_t tid) { return owner_of(mutex) == tid; }

/* The kernel's part in a sleep and a wake-up costs as much as hundreds of short sections, and under
 * contention both sides pay it; so does each look at the word, which takes its cache line from the
 * owner, and each change of owners takes all lines that the section touches. So one who wants the
 * mutex looks once more, after some sections, before it says that it waits: Anderson, "The
 * Performance of Spin Lock Alternatives for Shared-Memory Multiprocessors", IEEE TPDS 1(1), 1990.
 * After that the owner is in the kernel for a while when it gives the mutex back, to wake one; then
 * the mutex is free, and a sleeper that is on its way into the kernel would miss that. */
enum { SPIN_PAUSES = 128, LINGER_PAUSES = 16 }; /* of about 10 to 50 ns */

static void pause_once(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* "yield" does not wait on most cores */
#endif
}

/* On one core the owner goes on only when we sleep. Counted are those of the host, not those that
 * we may run on: an owner may be bound to another. */
static bool is_single_core(void) {
    static atomic_long online;
    if (atomic_load_explicit(&online, memory_order_relaxed) == 0)
        atomic_store_explicit(&online, sysconf(_SC_NPROCESSORS_ONLN), memory_order_relaxed);
    return atomic_load_explicit(&online, memory_order_relaxed) == 1;
}

int pshm__os_mutex_spin(void *mutex) {
    if (is_single_core())
        return PSHM_EBUSY;
    for (int i = 0; i < SPIN_PAUSES; i++)
        pause_once();
    return owner_of(mutex) == 0 ? pshm__os_mutex_try(mutex) : PSHM_EBUSY;
}

bool pshm__os_word_changes(const pshm__word *word) {
    const uint32_t *now = word->word;
    bool changes = false;
    const int pauses = is_single_core() ? 0 : LINGER_PAUSES;
    for (int i = 0; i < pauses && !changes; i++) {
        pause_once();
        changes = PSHM__LOAD_EXPLICIT(*now, memory_order_relaxed) != word->seen;
    }
    return changes;
}

void pshm__os_mutex_make_consistent(void *mutex) { pthread_mutex_consistent(mutex); }

/* musl drops FUTEX_WAITERS when it takes a mutex, unless it has counted waiters next to it. */
static void count_waiters(void *mutex, int by) {
#ifdef __GLIBC__
    (void)mutex, (void)by;
#else
    atomic_fetch_add((_Atomic int *)mutex + WORD + 1, by);
#endif
}

void pshm__os_mutex_join(void *mutex) { count_waiters(mutex, 1); }

bool pshm__os_mutex_mark(void *mutex, pshm__word *out) {
    uint32_t *word = (uint32_t *)mutex + WORD;
    uint32_t seen = atomic_load((_Atomic uint32_t *)word);
    while ((seen & FUTEX_TID_MASK) != 0 && (seen & FUTEX_WAITERS) == 0 &&
           !__atomic_compare_exchange_n(word, &seen, seen | FUTEX_WAITERS, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    *out = (pshm__word){word, seen | FUTEX_WAITERS};
    return (seen & FUTEX_TID_MASK) != 0;
}

void pshm__os_mutex_leave(void *mutex) { count_waiters(mutex, -1); }

int pshm__os_mutex_unlock(void *mutex) {
    return code_of("pthread_mutex_unlock", pthread_mutex_unlock(mutex));
}
