/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of port.h that differ from platform to platform, and what must be inline.
 */
#ifndef PSHM_OS_TYPES_H
#define PSHM_OS_TYPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

typedef int pshm__file;
#define PSHM__NO_FILE (-1)

/* A descriptor of this library: a forked child closes it. Closes it itself if it cannot be kept,
 * and returns the code. For the files of this folder. */
int pshm__os_keep(int fd);

/* A failure that is nobody's special case. For the files of this folder. */
int pshm__os_failed(const char *call, int error);

/* Have a forked child close the descriptors, save its own. For the files of this folder. */
void pshm__os_hook_files(void);

typedef int pshm__process; /* a pidfd */

typedef struct pshm__alarm {
    int set;  /* an epoll of pidfds and bell */
    int bell; /* an eventfd */
} pshm__alarm;

/* A mutex between the threads of this process. */
typedef pthread_mutex_t pshm__guard;
#define PSHM__GUARD_INIT PTHREAD_MUTEX_INITIALIZER

static inline void pshm__guard_init(pshm__guard *guard) { pthread_mutex_init(guard, NULL); }
static inline void pshm__guard_lock(pshm__guard *guard) { pthread_mutex_lock(guard); }
static inline bool pshm__guard_try(pshm__guard *guard) { return pthread_mutex_trylock(guard) == 0; }
static inline void pshm__guard_unlock(pshm__guard *guard) { pthread_mutex_unlock(guard); }
static inline void pshm__guard_destroy(pshm__guard *guard) { pthread_mutex_destroy(guard); }

/* Known from the first segment on: membarrier(2) works here. */
extern bool pshm__os_has_heavy_barrier;

static inline void pshm__os_light_barrier(void) {
    if (pshm__os_has_heavy_barrier) {
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_thread_fence(memory_order_seq_cst);
    }
}

/* A time as system calls take it. For the files of this folder. */
#define PSHM__NS_PER_S 1000000000LL

static inline struct timespec pshm__timespec(int64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / PSHM__NS_PER_S),
                             .tv_nsec = (long)(ns % PSHM__NS_PER_S)};
}

/* A function that is compiled for several CPUs; the loader chooses. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(PSHM__ONE_CPU)
#define PSHM__FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PSHM__FOR_EACH_CPU
#endif

#endif
