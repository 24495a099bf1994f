/* SPDX-License-Identifier: Apache-2.0
 *
 * Every change of shared memory, and how it is read where it may change meanwhile. The library sees
 * a mapping through pointers to const, the compiler refuses to cast that away (-Wcast-qual), and
 * only this header can: so a change is one of these macros, and each has a kill point, where the
 * crash matrix ends a process. internal.h includes it.
 *
 * What the kernel keeps of a segment, its file and the locks on it, changes in the port's file.c,
 * with a kill point before each call.
 */
#ifndef PSHM_STORE_H
#define PSHM_STORE_H

#include <stdatomic.h>
#include <string.h>

#include "port.h"

#ifdef PSHM_KILL_POINTS
/* Two pointers, so that those of a program stand one behind the other in their section. */
typedef struct pshm__kill_point {
    const char *function;
    const char *step; /* unique in its function */
} pshm__kill_point;

/* The test defines it. */
void pshm__at_kill_point(const pshm__kill_point *point, uint64_t at);

/* The step that comes next is one that others can see; `at` says which one, if it has parts. */
#define PSHM__KILL_POINT(step, at)                                                 \
    __extension__({                                                                \
        static const pshm__kill_point pshm__point                                  \
            __attribute__((section("pshm_kill_points"), used,                      \
                           aligned(sizeof(pshm__kill_point)))) = {__func__, step}; \
        pshm__at_kill_point(&pshm__point, at);                                     \
    })
#else
#define PSHM__KILL_POINT(step, at) ((void)0)
#endif

static inline void *pshm__writable(const void *shared) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
    return (void *)shared;
#pragma GCC diagnostic pop
}

static inline void pshm__store_32(const uint32_t *field, uint32_t value, memory_order order) {
    atomic_store_explicit((_Atomic uint32_t *)pshm__writable(field), value, order);
}

static inline void pshm__store_i64(const int64_t *field, int64_t value, memory_order order) {
    atomic_store_explicit((_Atomic int64_t *)pshm__writable(field), value, order);
}

static inline void pshm__store_64(const uint64_t *field, uint64_t value, memory_order order) {
    atomic_store_explicit((_Atomic uint64_t *)pshm__writable(field), value, order);
}

static inline uint32_t pshm__add_32(const uint32_t *field, uint32_t value) {
    return atomic_fetch_add((_Atomic uint32_t *)pshm__writable(field), value);
}

static inline uint64_t pshm__add_64(const uint64_t *field, uint64_t value) {
    return atomic_fetch_add((_Atomic uint64_t *)pshm__writable(field), value);
}

static inline bool pshm__swap_64(const uint64_t *field, uint64_t *expected, uint64_t value) {
    return __atomic_compare_exchange_n((uint64_t *)pshm__writable(field), expected, value, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline void pshm__store_word(const void *to, const void *from, size_t word) {
    uint64_t value;
    memcpy(&value, (const char *)from + word * sizeof(value), sizeof(value));
    pshm__store_64((const uint64_t *)to + word, value,
                   word == 0 ? memory_order_release : memory_order_relaxed);
}

/* Load a field of 32 or 64 bits, atomically; <stdatomic.h> would want a pointer to _Atomic. */
#define PSHM__LOAD(field) PSHM__LOAD_EXPLICIT(field, memory_order_seq_cst)
#define PSHM__LOAD_EXPLICIT(field, order) __atomic_load_n(&(field), (int)(order))

/* Store into a field of 32 or 64 bits, atomically. */
#define PSHM__STORE(field, value, order)                    \
    do {                                                    \
        PSHM__KILL_POINT(#field, 0);                        \
        _Generic((field), uint32_t                          \
                 : pshm__store_32, int64_t                  \
                 : pshm__store_i64, uint64_t                \
                 : pshm__store_64)(&(field), value, order); \
    } while (0)

/* Add to a counter of 32 or 64 bits that others add to as well, and tell what it was before. */
#define PSHM__ADD(field, value)                                                   \
    (PSHM__KILL_POINT(#field " += " #value, 0), _Generic((field), uint32_t        \
                                                         : pshm__add_32, uint64_t \
                                                         : pshm__add_64)(&(field), value))

/* Store into a word of 64 bits if it is as expected, and tell; if not, *expected is what it is. */
#define PSHM__SWAP(field, expected, value) \
    (PSHM__KILL_POINT("swap " #field, 0), pshm__swap_64(&(field), expected, value))

/* Wake all that sleep on the word; no change of memory, but one that others can see. */
#define PSHM__WAKE(word) (PSHM__KILL_POINT("wake", 0), pshm__os_wake(&(word)))

/* Copy a struct word by word, each atomically, the first one last and with release order. */
#define PSHM__PUBLISH(to, from)                                             \
    do {                                                                    \
        PSHM__ASSERT(sizeof(*(to)) % sizeof(uint64_t) == 0, "whole words"); \
        for (size_t word = sizeof(*(to)) / sizeof(uint64_t); word-- > 0;) { \
            PSHM__KILL_POINT(#to, word);                                    \
            pshm__store_word(to, from, word);                               \
        }                                                                   \
    } while (0)

/* The functions of port.h, with a mutex in shared memory. */
#define PSHM__MUTEX(operation, mutex) \
    (PSHM__KILL_POINT(#operation, 0), pshm__os_mutex_##operation(pshm__writable(mutex)))
#define PSHM__MUTEX_MARK(mutex, out) \
    (PSHM__KILL_POINT("mark", 0), pshm__os_mutex_mark(pshm__writable(mutex), out))

#define PSHM__UNMAP(base, bytes) pshm__os_unmap(pshm__writable(base), bytes)

/* The elements of an object: what is stored there is the user's. */
#define PSHM__PAYLOAD(object) pshm__writable((object) + 1)

#pragma GCC poison pshm__writable pshm__store_32 pshm__store_i64 pshm__store_64 pshm__add_32 \
    pshm__add_64 pshm__swap_64
#pragma GCC poison pshm__store_word

/* GCC's <stdatomic.h> stores through a pointer to const without a word; its builtins refuse to, as
 * Clang's header does. Those that the library does not use are no longer there. */
#if defined(__GNUC__) && !defined(__clang__)
#undef atomic_init
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#define atomic_init(object, value) __atomic_store_n(object, value, __ATOMIC_RELAXED)
#define atomic_store(object, value) __atomic_store_n(object, value, __ATOMIC_SEQ_CST)
#define atomic_store_explicit(object, value, order) __atomic_store_n(object, value, order)
#define atomic_exchange(object, value) __atomic_exchange_n(object, value, __ATOMIC_SEQ_CST)
#endif

#endif
