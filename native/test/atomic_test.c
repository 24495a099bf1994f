/* SPDX-License-Identifier: Apache-2.0
 *
 * Atomic access by type: what each does with every type, to the bit, beside nothing else; that none
 * is lost between threads and processes; and what it refuses.
 */
#include "check.h"

enum { PROCESSES = 3, THREADS = 2, ROUNDS = CHECK_TSAN ? 2000 : 20000 };

/* Elements stand between two that must not change. */
#define GUARD 0x5a

/* `low` and `high` are any two values that differ, `one` is 1, and `sum` is high + 1. */
#define CHECK_TYPE(type, T, low, high, one, sum)                               \
    do {                                                                       \
        T cells[3], is, to = low, next = high, by = one, expected;             \
        memset(cells, GUARD, sizeof(cells));                                   \
        T *cell = &cells[1];                                                   \
        CHECK_OK(pshm_atomic_store(cell, type, &to));                          \
        CHECK(memcmp(cell, &to, sizeof(T)) == 0);                              \
        CHECK_OK(pshm_atomic_exchange(cell, type, &next, &is));                \
        CHECK(memcmp(&is, &to, sizeof(T)) == 0);                               \
        CHECK_OK(pshm_atomic_load(cell, type, &is));                           \
        CHECK(memcmp(&is, &next, sizeof(T)) == 0);                             \
        expected = to;                                                         \
        CHECK_EQ(pshm_atomic_compare_exchange(cell, type, &expected, &to), 0); \
        CHECK(memcmp(&expected, &next, sizeof(T)) == 0);                       \
        CHECK(memcmp(cell, &next, sizeof(T)) == 0);                            \
        CHECK_EQ(pshm_atomic_compare_exchange(cell, type, &expected, &to), 1); \
        CHECK(memcmp(cell, &to, sizeof(T)) == 0);                              \
        *cell = next;                                                          \
        if ((type) != PSHM_BOOLEAN) {                                          \
            T after = (T)(sum);                                                \
            CHECK_OK(pshm_atomic_fetch_add(cell, type, &by, &is));             \
            CHECK(memcmp(&is, &next, sizeof(T)) == 0);                         \
            CHECK(memcmp(cell, &after, sizeof(T)) == 0);                       \
        }                                                                      \
        for (size_t i = 0; i < sizeof(cells); i++)                             \
            CHECK(i / sizeof(T) == 1 || ((uint8_t *)cells)[i] == GUARD);       \
    } while (0)

static void shouldAccessEachType(void) {
    CHECK_TYPE(PSHM_BOOLEAN, uint8_t, 0, 1, 1, 0);
    CHECK_TYPE(PSHM_INT8, int8_t, -1, INT8_MAX, 1, INT8_MIN);
    CHECK_TYPE(PSHM_INT16, int16_t, -1, INT16_MAX, 1, INT16_MIN);
    CHECK_TYPE(PSHM_CHAR16, uint16_t, 1, UINT16_MAX, 1, 0);
    CHECK_TYPE(PSHM_INT32, int32_t, -1, INT32_MAX, 1, INT32_MIN);
    CHECK_TYPE(PSHM_INT64, int64_t, -1, INT64_MAX, 1, INT64_MIN);
    CHECK_TYPE(PSHM_FLOAT32, float, -1.5F, 0x1p23F, 1, 8388609.0F);
    CHECK_TYPE(PSHM_FLOAT64, double, -1.5, 0x1p52, 1, 4503599627370497.0);
}

static void shouldCompareFloatsByTheirBits(void) {
    double cell = 0.0, expected = -0.0, nan, one = 1;
    memset(&nan, 0xff, sizeof(nan));
    CHECK_EQ(pshm_atomic_compare_exchange(&cell, PSHM_FLOAT64, &expected, &one), 0);
    CHECK_EQ(pshm_atomic_compare_exchange(&cell, PSHM_FLOAT64, &expected, &nan), 1);
    CHECK_EQ(pshm_atomic_compare_exchange(&cell, PSHM_FLOAT64, &nan, &one), 1);
    CHECK(cell == 1);
    memcpy(&cell, &nan, sizeof(cell)); /* an addition ends, too */
    CHECK_OK(pshm_atomic_fetch_add(&cell, PSHM_FLOAT64, &one, &expected));
    CHECK(memcmp(&expected, &nan, sizeof(nan)) == 0);
}

/* Adds one to an element of each type that has it, and one to a sum by compare-and-exchange. */
static void *add(void *memory) {
    int64_t *cells = memory;
    int8_t one8 = 1, was8;
    int16_t one16 = 1, was16;
    int32_t one32 = 1, was32;
    int64_t one64 = 1, was64, seen = 0, next;
    float one_float = 1, was_float;
    double one_double = 1, was_double;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(pshm_atomic_fetch_add(&cells[0], PSHM_INT8, &one8, &was8));
        CHECK_OK(pshm_atomic_fetch_add(&cells[1], PSHM_INT16, &one16, &was16));
        CHECK_OK(pshm_atomic_fetch_add(&cells[2], PSHM_CHAR16, &one16, &was16));
        CHECK_OK(pshm_atomic_fetch_add(&cells[3], PSHM_INT32, &one32, &was32));
        CHECK_OK(pshm_atomic_fetch_add(&cells[4], PSHM_INT64, &one64, &was64));
        CHECK_OK(pshm_atomic_fetch_add(&cells[5], PSHM_FLOAT32, &one_float, &was_float));
        CHECK_OK(pshm_atomic_fetch_add(&cells[6], PSHM_FLOAT64, &one_double, &was_double));
        do
            next = seen + 1;
        while (pshm_atomic_compare_exchange(&cells[7], PSHM_INT64, &seen, &next) == 0);
    }
    return NULL;
}

static void add_in_threads(void *memory) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, add, memory), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void shouldLoseNoneBetweenThreadsAndProcesses(void) {
    const int64_t total = (int64_t)PROCESSES * THREADS * ROUNDS;
    int64_t *cells = shared_zeroes(8 * sizeof(int64_t));
    pid_t children[PROCESSES];
    for (int i = 1; i < PROCESSES; i++)
        children[i] = start(add_in_threads, cells);
    add_in_threads(cells);
    for (int i = 1; i < PROCESSES; i++)
        CHECK_EQ(wait_for(children[i]), 0);
    CHECK_EQ(*(uint8_t *)&cells[0], (uint8_t)total);
    CHECK_EQ(*(uint16_t *)&cells[1], (uint16_t)total);
    CHECK_EQ(*(uint16_t *)&cells[2], (uint16_t)total);
    CHECK_EQ(*(int32_t *)&cells[3], total);
    CHECK_EQ(cells[4], total);
    float sum_float;
    double sum_double;
    memcpy(&sum_float, &cells[5], sizeof(sum_float));
    memcpy(&sum_double, &cells[6], sizeof(sum_double));
    CHECK_EQ((int64_t)sum_float, total);
    CHECK_EQ((int64_t)sum_double, total);
    CHECK_EQ(cells[7], total);
}

static void shouldRefuseWhatIsNoElement(void) {
    int64_t cells[2] = {0, 0}, value = 1, out = 7;
    char *inside = (char *)cells + 1;
    static const int none[] = {INT32_MIN, -1, 0, 9, INT32_MAX};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        CHECK_CODE(pshm_atomic_load(cells, none[i], &out), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_store(cells, none[i], &value), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_exchange(cells, none[i], &value, &out), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_compare_exchange(cells, none[i], &out, &value), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_fetch_add(cells, none[i], &value, &out), PSHM_EINVAL);
        CHECK_DETAIL("type=");
    }
    for (int type = PSHM_INT16; type <= PSHM_FLOAT64; type++) {
        CHECK_CODE(pshm_atomic_load(inside, type, &out), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_store(inside, type, &value), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_exchange(inside, type, &value, &out), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_compare_exchange(inside, type, &out, &value), PSHM_EINVAL);
        CHECK_CODE(pshm_atomic_fetch_add(inside, type, &value, &out), PSHM_EINVAL);
    }
    CHECK_CODE(pshm_atomic_fetch_add(cells, PSHM_BOOLEAN, &value, &out), PSHM_EINVAL);
    CHECK_DETAIL("PSHM_BOOLEAN");
    CHECK_EQ(cells[0] | cells[1], 0);
    CHECK_EQ(out, 7);
}

int main(void) {
    check_begin(60);
    RUN(shouldAccessEachType);
    RUN(shouldCompareFloatsByTheirBits);
    RUN(shouldLoseNoneBetweenThreadsAndProcesses);
    RUN(shouldRefuseWhatIsNoElement);
    return check_end();
}
