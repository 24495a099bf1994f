/* SPDX-License-Identifier: Apache-2.0
 *
 * Atomic access to an element whose type is known by number, for other languages.
 */
#include "internal.h"

/* An element that is not aligned falls through to the refusal. */
#define OF(ACCESS, number, T)                    \
    case number:                                 \
        if ((uintptr_t)element % sizeof(T) != 0) \
            break;                               \
        { ACCESS(T); }                           \
        return 0;
#define INTEGERS(ACCESS)              \
    OF(ACCESS, PSHM_INT8, int8_t)     \
    OF(ACCESS, PSHM_INT16, int16_t)   \
    OF(ACCESS, PSHM_CHAR16, uint16_t) \
    OF(ACCESS, PSHM_INT32, int32_t)   \
    OF(ACCESS, PSHM_INT64, int64_t)
#define FLOATS(ACCESS)              \
    OF(ACCESS, PSHM_FLOAT32, float) \
    OF(ACCESS, PSHM_FLOAT64, double)
#define ALL(ACCESS) OF(ACCESS, PSHM_BOOLEAN, uint8_t) INTEGERS(ACCESS) FLOATS(ACCESS)

static int refused(const char *operation, const void *element, int type, const char *types) {
    return pshm__fail(PSHM_EINVAL,
                      "atomic %s: type=%d, element=%p; take %s, and an aligned element", operation,
                      type, element, types);
}

static const char *const all = "a pshm_type";

int pshm_atomic_load(const void *element, int type, void *out) {
#define LOAD(T) __atomic_load((const T *)element, (T *)out, __ATOMIC_SEQ_CST)
    switch (type) { ALL(LOAD) }
    return refused("load", element, type, all);
}

int pshm_atomic_store(void *element, int type, const void *value) {
#define STORE(T)              \
    T to = *(const T *)value; \
    __atomic_store((T *)element, &to, __ATOMIC_SEQ_CST)
    switch (type) { ALL(STORE) }
    return refused("store", element, type, all);
}

int pshm_atomic_exchange(void *element, int type, const void *value, void *before) {
#define EXCHANGE(T)           \
    T to = *(const T *)value; \
    __atomic_exchange((T *)element, &to, (T *)before, __ATOMIC_SEQ_CST)
    switch (type) { ALL(EXCHANGE) }
    return refused("exchange", element, type, all);
}

int pshm_atomic_compare_exchange(void *element, int type, void *expected, const void *value) {
#define COMPARE_EXCHANGE(T)                                                              \
    T to = *(const T *)value;                                                            \
    if (__atomic_compare_exchange((T *)element, (T *)expected, &to, 0, __ATOMIC_SEQ_CST, \
                                  __ATOMIC_SEQ_CST))                                     \
    return 1
    switch (type) { ALL(COMPARE_EXCHANGE) }
    return refused("compare-exchange", element, type, all);
}

int pshm_atomic_fetch_add(void *element, int type, const void *value, void *before) {
#define ADD(T) *(T *)before = __atomic_fetch_add((T *)element, *(const T *)value, __ATOMIC_SEQ_CST)
#define ADD_FLOAT(T)                                                                 \
    T now, sum;                                                                      \
    __atomic_load((T *)element, &now, __ATOMIC_SEQ_CST);                             \
    do                                                                               \
        sum = now + *(const T *)value;                                               \
    while (!__atomic_compare_exchange((T *)element, &now, &sum, 0, __ATOMIC_SEQ_CST, \
                                      __ATOMIC_SEQ_CST));                            \
    *(T *)before = now
    switch (type) { INTEGERS(ADD) FLOATS(ADD_FLOAT) }
    return refused("fetch-add", element, type, "a pshm_type but PSHM_BOOLEAN");
}
