/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores into shared memory that are not of store.h, and so have no kill point. CTest compiles each
 * with the flags of the library, and expects the compiler to refuse it; STORE=0 is the right one.
 */
#include "internal.h"

void store(const pshm_segment *segment, const pshm__lock *shared, const pshm__holder *holder);

void store(const pshm_segment *segment, const pshm__lock *shared, const pshm__holder *holder) {
    (void)segment, (void)shared, (void)holder;
#if STORE == 0
    PSHM__STORE(shared->depth, 1, memory_order_relaxed);
#elif STORE == 1
    shared->depth = 1;
#elif STORE == 2
    segment->base[128] = 1;
#elif STORE == 3
    memset(&shared->holder, 0, sizeof(shared->holder));
#elif STORE == 4
    memcpy(&shared->holder, holder, sizeof(*holder));
#elif STORE == 5
    atomic_store_explicit((const _Atomic uint32_t *)&shared->depth, 1, memory_order_relaxed);
#elif STORE == 6
    atomic_store(&shared->depth, 1);
#elif STORE == 7
    atomic_store_explicit((_Atomic uint32_t *)&shared->depth, 1, memory_order_relaxed);
#elif STORE == 8
    pshm__os_mutex_unlock(shared->mutex);
#elif STORE == 9
    ((pshm__lock *)shared)->depth = 1;
#elif STORE == 10
    *(uint32_t *)pshm__writable(&shared->depth) = 1;
#elif STORE == 11
    pshm__store_32(&shared->depth, 1, memory_order_relaxed);
#endif
}
