/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads as participants: each opens the segment for itself, as often as it likes, and all that a
 * process keeps of its segments is shared between them. Made for ThreadSanitizer.
 */
#include "check.h"

enum { THREADS = 4, ROUNDS = CHECK_TSAN ? 100 : 300 };

static atomic_bool go;

static void *take_part(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    while (!go)
        sched_yield();
    for (int round = 0; round < ROUNDS; round++) {
        pshm_segment *segment;
        pshm_value *sum;
        pshm_array *array;
        pshm_lock_info info;
        pshm_participant_info participant;
        pshm_object_info object;
        uint64_t cursor = 0;
        char name[16];
        int code, seen = 0;
        code = pshm_segment_open_or_create(name_of("race"), 1 << 20, NULL, &segment);
        CHECK(code == 0 || code == 1);
        CHECK_OK(pshm_value_open(segment, "sum", PSHM_INT64, &sum));
        snprintf(name, sizeof(name), "a%u", (unsigned)(random_next(&seed) % 50));
        CHECK_OK(pshm_array_open(segment, name, PSHM_INT32, 100, &array));
        do {
            code = random_next(&seed) % 2 ? pshm_lock_acquire(pshm_value_lock(sum))
                                          : pshm_lock_timed_acquire(pshm_value_lock(sum), 100000);
        } while (code == PSHM_ETIMEDOUT);
        CHECK_OK(code);
        ++*(int64_t *)pshm_value_data(sum);
        CHECK_EQ(pshm_lock_depth(pshm_value_lock(sum)), 1);
        CHECK_OK(pshm_lock_release(pshm_value_lock(sum)));
        CHECK_OK(pshm_lock_inspect(pshm_value_lock(sum), &info));
        CHECK_EQ(info.deaths, 0);
        while (pshm_segment_next_object(segment, &cursor, &object) == 1)
            seen++;
        CHECK(seen >= 2 && seen <= 51);
        cursor = 0;
        seen = 0;
        while (pshm_segment_next_participant(segment, &cursor, &participant) == 1) {
            CHECK_EQ(participant.pid, getpid());
            seen++;
        }
        CHECK(seen >= 1 && seen <= THREADS + 1);
        if (round % 16 == 0)
            CHECK(pshm_reap() >= 0);
        while ((code = pshm_segment_close(segment)) == PSHM_EHELD)
            sched_yield(); /* by another thread, through an opening of its own */
        CHECK_OK(code);
    }
    return NULL;
}

static void shouldLetEachThreadTakePart(void) {
    pthread_t threads[THREADS];
    pshm_segment *segment;
    pshm_value *sum;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_part, (void *)(uintptr_t)i), 0);
    go = true;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(pshm_segment_open(name_of("race"), NULL, &segment));
    CHECK_OK(pshm_value_open(segment, "sum", PSHM_INT64, &sum));
    CHECK_EQ(*(int64_t *)pshm_value_data(sum), THREADS * ROUNDS);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("race")));
    CHECK_EQ(mappings(), 0);
}

int main(void) {
    check_begin(110);
    RUN(shouldLetEachThreadTakePart);
    return check_end();
}
