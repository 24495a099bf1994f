/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: set, cleared, awaited; that a set is missed by nobody; how to wait is in wait_test.c.
 */
#include "check.h"

#include "internal.h"

static pshm_segment *segment;
static pshm_event *event;

static void begin(void) {
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, NULL, &segment));
    CHECK_OK(pshm_event_open(segment, "e", &event));
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static int await_now(void) { return pshm_event_await(event, 0, NULL); }

static uint32_t sleepers(void) {
    return atomic_load((const _Atomic uint32_t *)&event->sync.events->waiters);
}

static void shouldBeSetAndCleared(void) {
    begin();
    const _Atomic uint64_t *state = (const _Atomic uint64_t *)pshm_event_state(event);
    CHECK_CODE(pshm_event_is_set(event), 0);
    CHECK_CODE(await_now(), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_event_clear(event));
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 2; i++) {
            CHECK_OK(pshm_event_set(event));
            CHECK_CODE(pshm_event_is_set(event), 1);
            CHECK_EQ(*state, 2 * round + 1);
            CHECK_OK(await_now());
            CHECK_OK(pshm_event_await(event, -1, NULL)); /* takes nothing */
        }
        for (int i = 0; i < 2; i++) {
            CHECK_OK(pshm_event_clear(event));
            CHECK_CODE(pshm_event_is_set(event), 0);
            CHECK_EQ(*state, 2 * round);
            CHECK_CODE(await_now(), PSHM_ETIMEDOUT);
        }
    }
    end();
}

static void shouldNotMissASetThatWasCleared(void) {
    pshm_wait before_any, before, after;
    begin();
    CHECK_OK(pshm_event_prepare(event, &before_any));
    CHECK_CODE(pshm_wait_poll(&before_any), PSHM_EBUSY);
    CHECK_OK(pshm_event_set(event));
    CHECK_OK(pshm_event_prepare(event, &before));
    CHECK_OK(pshm_event_clear(event));
    CHECK_OK(pshm_event_prepare(event, &after));
    CHECK_OK(pshm_wait_poll(&before_any)); /* it was set since */
    CHECK_OK(pshm_wait_poll(&before));     /* it was set then */
    CHECK_CODE(pshm_wait_poll(&after), PSHM_EBUSY);
    CHECK_OK(pshm_event_set(event));
    CHECK_OK(pshm_event_clear(event));
    CHECK_OK(pshm_wait_poll(&after));
    end();
}

typedef struct told {
    int rounds;
    atomic_int count, cleared;
} told;

static void await_in_child(void *argument) {
    told *ends = argument;
    for (int i = 0; i < ends->rounds; i++) {
        CHECK_OK(pshm_event_await(event, -1, NULL));
        ends->count++;
        AWAIT(ends->cleared > i); /* while it is set a wait ends at once */
    }
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldEndEveryWaitEvenIfClearedAtOnce(void) {
    enum { WAITERS = 6, ROUNDS = 50 };
    told *ends = shared_zeroes(sizeof(*ends));
    pid_t pids[WAITERS];
    ends->rounds = ROUNDS;
    begin();
    for (int i = 0; i < WAITERS; i++)
        pids[i] = start(await_in_child, ends);
    for (int round = 0; round < ROUNDS; round++) {
        AWAIT(ends->count == round * WAITERS && sleepers() == WAITERS);
        CHECK_OK(pshm_event_set(event));
        CHECK_OK(pshm_event_clear(event));
        ends->cleared++;
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK_JOIN(pids[i]);
    end();
}

/* Killed after the store and before the wake-up. */
static void set_and_be_killed(void *argument) {
    (void)argument;
    *(_Atomic uint64_t *)(uintptr_t)pshm_event_state(event) = 3;
    raise(SIGKILL);
}

static void shouldEndAWaitWhenTheSetterIsKilled(void) {
    told ends = {.rounds = 1, .cleared = 1};
    begin();
    pid_t waiter = start(await_in_child, &ends);
    AWAIT(sleepers() == 1);
    CHECK_EQ(wait_for(start(set_and_be_killed, NULL)), SIGKILL);
    CHECK_JOIN(waiter);
    CHECK_CODE(pshm_event_is_set(event), 1);
    end();
}

static void shouldRefuseWhenClosed(void) {
    begin();
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_event_set(event), PSHM_ECLOSED);
    CHECK_CODE(pshm_event_clear(event), PSHM_ECLOSED);
    CHECK_CODE(pshm_event_is_set(event), PSHM_ECLOSED);
    CHECK_CODE(pshm_event_await(event, -1, NULL), PSHM_ECLOSED);
    CHECK_EQ(*pshm_event_state(event), 0);
    pshm_segment_unpin(segment);
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

int main(void) {
    check_begin(110);
    RUN(shouldBeSetAndCleared);
    RUN(shouldNotMissASetThatWasCleared);
    RUN(shouldEndEveryWaitEvenIfClearedAtOnce);
    RUN(shouldEndAWaitWhenTheSetterIsKilled);
    RUN(shouldRefuseWhenClosed);
    return check_end();
}
