/* SPDX-License-Identifier: Apache-2.0
 *
 * Latches: counted down to zero, never below, and awaited; how to wait is in wait_test.c.
 */
#include "check.h"

#include "internal.h"

static pshm_segment *segment;
static pshm_latch *latch;

static void begin(int64_t count) {
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, NULL, &segment));
    CHECK_OK(pshm_latch_open(segment, "l", count, &latch));
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static void expect(int64_t expected) {
    int64_t count;
    CHECK_OK(pshm_latch_count(latch, &count));
    CHECK_EQ(count, expected);
    CHECK_EQ(*pshm_latch_state(latch), expected);
    CHECK_CODE(pshm_latch_await(latch, 0, NULL), expected == 0 ? 0 : PSHM_ETIMEDOUT);
}

static uint32_t sleepers(void) {
    return atomic_load((const _Atomic uint32_t *)&latch->sync.events->waiters);
}

static void shouldCountDownToZero(void) {
    begin(5);
    expect(5);
    CHECK_OK(pshm_latch_count_down(latch, 1));
    expect(4);
    CHECK_OK(pshm_latch_count_down(latch, 3));
    expect(1);
    CHECK_OK(pshm_latch_count_down(latch, INT64_MAX)); /* no further */
    expect(0);
    CHECK_OK(pshm_latch_count_down(latch, 1));
    expect(0);
    end();
    begin(INT64_MAX);
    CHECK_OK(pshm_latch_count_down(latch, INT64_MAX - 1));
    expect(1);
    end();
    begin(0);
    expect(0);
    end();
}

static void shouldRefuseBadArguments(void) {
    int64_t count;
    pshm_latch *other;
    begin(2);
    CHECK_CODE(pshm_latch_count_down(latch, 0), PSHM_EINVAL);
    CHECK_CODE(pshm_latch_count_down(latch, -1), PSHM_EINVAL);
    CHECK_DETAIL(": by=-1; take");
    CHECK_CODE(pshm_latch_open(segment, "m", -1, &other), PSHM_EINVAL);
    CHECK_CODE(pshm_latch_open(segment, "l", 3, &other), PSHM_ETYPE);
    CHECK_DETAIL("count=2");
    CHECK_OK(pshm_latch_count_down(latch, 1));
    CHECK_OK(pshm_latch_open(segment, "l", 2, &other)); /* what it began with */
    CHECK(other == latch);
    expect(1);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_latch_count_down(latch, 1), PSHM_ECLOSED);
    CHECK_CODE(pshm_latch_count(latch, &count), PSHM_ECLOSED);
    CHECK_CODE(pshm_latch_await(latch, -1, NULL), PSHM_ECLOSED);
    CHECK_EQ(*pshm_latch_state(latch), 1);
    pshm_segment_unpin(segment);
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static void await_and_count(void *argument) {
    (void)argument;
    CHECK_OK(pshm_latch_await(latch, -1, NULL));
    CHECK_OK(pshm_segment_close(segment));
}

static void count_down(void *argument) {
    for (int i = 0; i < *(const int *)argument; i++)
        CHECK_OK(pshm_latch_count_down(latch, 1));
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldEndEveryWaitAtZero(void) {
    enum { WAITERS = 4, COUNTERS = 4 };
    int each = 500;
    pid_t pids[WAITERS + COUNTERS];
    begin(COUNTERS * each + 1);
    for (int i = 0; i < WAITERS; i++)
        pids[i] = start(await_and_count, NULL);
    AWAIT(sleepers() == WAITERS);
    for (int i = WAITERS; i < WAITERS + COUNTERS; i++) {
        pids[i] = start(count_down, &each);
    }
    for (int i = WAITERS; i < WAITERS + COUNTERS; i++)
        CHECK_JOIN(pids[i]);
    expect(1); /* none is lost */
    CHECK_OK(pshm_latch_count_down(latch, 1));
    for (int i = 0; i < WAITERS; i++)
        CHECK_JOIN(pids[i]);
    end();
}

/* Killed after the store and before the wake-up. */
static void count_and_be_killed(void *argument) {
    (void)argument;
    *(_Atomic uint64_t *)(uintptr_t)pshm_latch_state(latch) = 0;
    raise(SIGKILL);
}

static void shouldEndAWaitWhenTheLastToCountIsKilled(void) {
    begin(1);
    pid_t waiter = start(await_and_count, NULL);
    AWAIT(sleepers() == 1);
    CHECK_EQ(wait_for(start(count_and_be_killed, NULL)), SIGKILL);
    CHECK_JOIN(waiter);
    end();
}

int main(void) {
    check_begin(110);
    RUN(shouldCountDownToZero);
    RUN(shouldRefuseBadArguments);
    RUN(shouldEndEveryWaitAtZero);
    RUN(shouldEndAWaitWhenTheLastToCountIsKilled);
    return check_end();
}
