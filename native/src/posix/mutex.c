/* SPDX-License-Identifier: Apache-2.0
 *
 * Robust, process-shared, recursive pthread mutexes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "internal.h"

PSHM__ASSERT(sizeof(pthread_mutex_t) <= PSHM_MUTEX_BYTES, "the layout has room for the mutex");
PSHM__ASSERT(_Alignof(pthread_mutex_t) <= PSHM_ALIGN, "and it is aligned");

static int code_of(const char *call, int error) {
    switch (error) {
    case 0: return 0;
    case EOWNERDEAD: return PSHM_EOWNERDIED;
    case EBUSY: return PSHM_EBUSY;
    case ETIMEDOUT: return PSHM_ETIMEDOUT;
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
 * owner. So those who want the mutex look seldom, and ever more seldom: Anderson, "The Performance
 * of Spin Lock Alternatives for Shared-Memory Multiprocessors", IEEE TPDS 1(1), 1990. */
enum { FIRST_PAUSES = 32, LAST_PAUSES = 128 }; /* of about 10 to 50 ns */

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
    int code = PSHM_EBUSY;
    if (is_single_core())
        return code;
    for (int pauses = FIRST_PAUSES; code == PSHM_EBUSY && pauses <= LAST_PAUSES; pauses *= 2) {
        for (int i = 0; i < pauses; i++)
            pause_once();
        if (owner_of(mutex) == 0)
            code = pshm__os_mutex_try(mutex);
    }
    return code;
}

static struct timespec deadline(clockid_t clock, int64_t timeout_ns) {
    struct timespec now;
    clock_gettime(clock, &now);
    int64_t ns = now.tv_nsec + timeout_ns % PSHM__NS_PER_S;
    now.tv_sec += (time_t)(timeout_ns / PSHM__NS_PER_S + ns / PSHM__NS_PER_S);
    now.tv_nsec = (long)(ns % PSHM__NS_PER_S);
    return now;
}

static int lock_until(void *mutex, int64_t timeout_ns) {
#ifdef __GLIBC__
    struct timespec end = deadline(CLOCK_MONOTONIC, timeout_ns);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
#else /* musl has the wall clock only */
    struct timespec end = deadline(CLOCK_REALTIME, timeout_ns);
    return pthread_mutex_timedlock(mutex, &end);
#endif
}

/* Those that the C library has sleep on a mutex may be forgotten if one that was woken is killed
 * when another has come before it: see await_mutex in lock.c. So a wait without an end looks again;
 * the sections that are waited for so are short, and hardly any wait is. */
enum { LOOK_AGAIN_NS = 100000000 };

static int lock_without_end(void *mutex) {
    int code = pshm__os_mutex_try(mutex);
    while (code == PSHM_EBUSY || code == PSHM_ETIMEDOUT)
        code = pshm__os_mutex_lock(mutex, LOOK_AGAIN_NS);
    return code;
}

int pshm__os_mutex_lock(void *mutex, int64_t timeout_ns) {
    if (timeout_ns < 0)
        return lock_without_end(mutex);
#ifdef __SANITIZE_THREAD__ /* which does not know the timed calls, or not that an owner can die */
    unsigned flags = __tsan_mutex_write_reentrant | __tsan_mutex_try_lock;
    __tsan_mutex_pre_lock(mutex, flags);
    int error = lock_until(mutex, timeout_ns);
    if (error != 0 && error != EOWNERDEAD)
        flags |= __tsan_mutex_try_lock_failed;
    __tsan_mutex_post_lock(mutex, flags, 0);
#else
    int error = lock_until(mutex, timeout_ns);
#endif
    return code_of("pthread_mutex_timedlock", error);
}

void pshm__os_mutex_make_consistent(void *mutex) { pthread_mutex_consistent(mutex); }

/* What the kernel looks at when this thread dies; null in a sandbox that does not tell. Not kept
 * beyond a wait: musl begins again in a forked child. */
static _Thread_local struct robust_list_head *robust_list;

static void get_robust_list(void) {
    size_t bytes;
    if (syscall(SYS_get_robust_list, 0, &robust_list, &bytes) != 0)
        robust_list = NULL;
}

/* musl makes the list with the first robust mutex that the thread gets. */
static void make_robust_list(void) {
    pthread_mutex_t first;
    if (pshm__os_mutex_init(&first) != 0)
        return;
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    pthread_mutex_destroy(&first);
}

/* If the thread dies, the kernel looks at this word as well (null for none): if nobody has the
 * mutex, it wakes one that sleeps on it. The C library sets and clears the same around each change
 * of a robust mutex. */
static void set_pending(const uint32_t *word) {
    if (robust_list == NULL)
        return;
    const uintptr_t entry =
        word == NULL ? 0 : (uintptr_t)word - (uintptr_t)robust_list->futex_offset;
    atomic_signal_fence(memory_order_seq_cst); /* a kill comes between any two instructions */
    robust_list->list_op_pending = (struct robust_list *)entry;
    atomic_signal_fence(memory_order_seq_cst);
}

/* musl drops FUTEX_WAITERS when it takes a mutex, unless it has counted waiters next to it. */
static void count_waiters(void *mutex, int by) {
#ifdef __GLIBC__
    (void)mutex, (void)by;
#else
    atomic_fetch_add((_Atomic int *)mutex + WORD + 1, by);
#endif
}

void pshm__os_mutex_join(void *mutex) {
    get_robust_list();
    if (robust_list == NULL) {
        make_robust_list();
        get_robust_list();
    }
    count_waiters(mutex, 1);
}

bool pshm__os_mutex_mark(void *mutex, pshm__word *out) {
    uint32_t *word = (uint32_t *)mutex + WORD;
    uint32_t seen = atomic_load((_Atomic uint32_t *)word), marked;
    set_pending(word);
    do {
        const bool is_free = (seen & FUTEX_TID_MASK) == 0;
        marked = seen | FUTEX_WAITERS | (is_free ? FUTEX_OWNER_DIED : 0);
    } while (marked != seen && !__atomic_compare_exchange_n(word, &seen, marked, false,
                                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    *out = (pshm__word){word, marked};
    return (marked & FUTEX_TID_MASK) != 0;
}

void pshm__os_mutex_leave(void *mutex) {
    set_pending(NULL);
    count_waiters(mutex, -1);
}

int pshm__os_mutex_unlock(void *mutex) {
    return code_of("pthread_mutex_unlock", pthread_mutex_unlock(mutex));
}
