/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of conditions share: a condition of a lock in a segment, and children that wait
 * for it. Who waits does so in a child, so that the main process, which forks, has one thread.
 */
#ifndef PSHM_TEST_CONDITION_H
#define PSHM_TEST_CONDITION_H

#include "check.h"

#include "internal.h"

static const int64_t MS = 1000000;

typedef struct table {
    atomic_int ready, woken, told, stop;
    atomic_long received;
    atomic_int order[16];
    int64_t state; /* guarded by the lock */
} table;

/* What a process has open, and its part. */
typedef struct party {
    table *shared;
    pshm_segment *segment;
    pshm_lock *lock;
    pshm_condition *condition;
    int64_t timeout_ns;
    uint64_t seed;
    int number;
} party;

static table *new_table(void) { return shared_zeroes(sizeof(table)); }

static party attend(table *shared) {
    party here = {.shared = shared, .timeout_ns = -1};
    CHECK(pshm_segment_open_or_create(name_of("s"), 65536, NULL, &here.segment) >= 0);
    CHECK_OK(pshm_lock_open(here.segment, "l", &here.lock));
    CHECK_OK(pshm_condition_open(here.lock, "c", &here.condition));
    return here;
}

static int waiting(const party *here) {
    CHECK_OK(pshm_lock_acquire(here->lock));
    const int count = pshm_condition_waiting(here->condition);
    CHECK(count >= 0);
    CHECK_OK(pshm_lock_release(here->lock));
    return count;
}

/* Nobody is counted any more. */
static void drop(party *here) {
    CHECK_EQ(waiting(here), 0);
    CHECK(here->condition->first == NULL && here->condition->last == NULL);
    CHECK_OK(pshm_segment_close(here->segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static int signal_some(const party *here, int64_t count) {
    CHECK_OK(pshm_lock_acquire(here->lock));
    const int reached = pshm_condition_signal(here->condition, count);
    CHECK(reached >= 0);
    CHECK_OK(pshm_lock_release(here->lock));
    return reached;
}

/* ---- what children do ---- */

enum { THREADS = 3 };

static void *wait_once(void *argument) {
    const party *here = argument;
    CHECK_OK(pshm_lock_acquire(here->lock));
    CHECK_OK(pshm_condition_wait(here->condition, here->timeout_ns, NULL));
    CHECK_EQ(pshm_lock_depth(here->lock), 1);
    here->shared->woken++;
    CHECK_OK(pshm_lock_release(here->lock));
    return NULL;
}

static void in_threads(const party *here, void *(*body)(void *), int count) {
    pthread_t threads[16];
    party parties[16];
    for (int i = 0; i < count; i++) {
        parties[i] = *here;
        parties[i].number = i;
        parties[i].seed = here->seed + (uint64_t)i;
        CHECK_EQ(pthread_create(&threads[i], NULL, body, &parties[i]), 0);
    }
    for (int i = 0; i < count; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void wait_in_threads(void *shared) {
    party here = attend(shared);
    in_threads(&here, wait_once, THREADS);
    CHECK_OK(pshm_segment_close(here.segment));
}

static void time_out(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    for (int64_t timeout_ns = 0; timeout_ns <= 20 * MS; timeout_ns += 10 * MS) {
        const int64_t begin = now_ns();
        CHECK_CODE(pshm_condition_wait(here.condition, timeout_ns, NULL), PSHM_ETIMEDOUT);
        CHECK(now_ns() - begin >= timeout_ns); /* never early */
        CHECK_EQ(pshm_lock_depth(here.lock), 1);
        CHECK_EQ(pshm_condition_waiting(here.condition), 0);
        CHECK_EQ(pshm_condition_signal(here.condition, 1), 0);
        CHECK_EQ(pshm_condition_signal(here.condition, -1), 0);
    }
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

#endif
