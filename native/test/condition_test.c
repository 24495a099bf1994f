/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions: each signal ends exactly one wait, whoever is interrupted, gives up or closes
 * meanwhile, and the lock is held again after each.
 */
#include "condition.h"

/* ---- counts ---- */

static void shouldWakeAsManyAsAreSignalled(void) {
    enum { PROCESSES = 4, ALL = PROCESSES * THREADS };
    table *shared = new_table();
    party here = attend(shared);
    for (int round = 0; round < 5; round++) {
        pid_t children[PROCESSES];
        int woken = 0;
        shared->woken = 0;
        for (int i = 0; i < PROCESSES; i++)
            children[i] = start(wait_in_threads, shared);
        AWAIT(waiting(&here) == ALL);
        CHECK_EQ(signal_some(&here, 0), 0);
        for (int count = 1; count <= 3; count++) {
            CHECK_EQ(signal_some(&here, count), count);
            woken += count;
            CHECK_EQ(waiting(&here), ALL - woken);
            AWAIT(shared->woken == woken);
        }
        sleep_ms(20);
        CHECK_EQ(shared->woken, woken);
        CHECK_EQ(signal_some(&here, round % 2 == 0 ? -1 : INT64_MAX), ALL - woken);
        for (int i = 0; i < PROCESSES; i++)
            CHECK_JOIN(children[i]);
        CHECK_EQ(shared->woken, ALL);
    }
    drop(&here);
}

static void shouldNotKeepASignalForLater(void) {
    party here = attend(new_table());
    CHECK_EQ(signal_some(&here, 3), 0);
    CHECK_JOIN(start(time_out, here.shared));
    drop(&here);
}

static void wait_for_four(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    while (here.shared->state < 4)
        CHECK_OK(pshm_condition_wait(here.condition, -1, NULL));
    CHECK_EQ(here.shared->state, 4);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

static void wait_for_five(void *shared) {
    party here = attend(shared);
    const int64_t end = now_ns() + 100 * MS;
    int code = 0;
    CHECK_OK(pshm_lock_acquire(here.lock));
    while (here.shared->state < 5 && code == 0)
        code = pshm_condition_wait(here.condition, end - now_ns() < 0 ? 0 : end - now_ns(), NULL);
    CHECK_CODE(code, PSHM_ETIMEDOUT);
    CHECK_EQ(pshm_lock_depth(here.lock), 1);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldWaitForAPredicate(void) {
    party here = attend(new_table());
    pid_t four = start(wait_for_four, here.shared), five = start(wait_for_five, here.shared);
    for (int i = 0; i < 4; i++) {
        sleep_ms(5);
        CHECK_OK(pshm_lock_acquire(here.lock));
        here.shared->state++;
        CHECK(pshm_condition_signal(here.condition, -1) <= 2);
        CHECK_OK(pshm_lock_release(here.lock));
    }
    CHECK_JOIN(four);
    CHECK_JOIN(five);
    drop(&here);
}

static void *wait_in_order(void *argument) {
    const party *here = argument;
    AWAIT(here->shared->ready == here->number);
    CHECK_OK(pshm_lock_acquire(here->lock));
    here->shared->ready++; /* the next one can begin when this one waits */
    CHECK_OK(pshm_condition_wait(here->condition, -1, NULL));
    here->shared->order[here->shared->woken++] = here->number;
    CHECK_OK(pshm_lock_release(here->lock));
    return NULL;
}

static void queue_up(void *shared) {
    party here = attend(shared);
    in_threads(&here, wait_in_order, 6);
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldWakeTheThreadsOfAProcessInTheirOrder(void) {
    party here = attend(new_table());
    pid_t child = start(queue_up, here.shared);
    AWAIT(waiting(&here) == 6);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(signal_some(&here, 1), 1);
        AWAIT(here.shared->woken == i + 1);
        CHECK_EQ(here.shared->order[i], i);
    }
    CHECK_JOIN(child);
    drop(&here);
}

/* ---- the lock ---- */

static void wait_deeply(void *shared) {
    party here = attend(shared);
    pshm_lock *other;
    CHECK_OK(pshm_lock_open(here.segment, "other", &other));
    CHECK_OK(pshm_lock_acquire(other));
    for (int i = 0; i < 4; i++)
        CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_OK(pshm_condition_wait(here.condition, -1, NULL));
    CHECK_EQ(pshm_lock_depth(here.lock), 4);
    CHECK_CODE(pshm_condition_wait(here.condition, 1, NULL), PSHM_ETIMEDOUT);
    CHECK_EQ(pshm_lock_depth(here.lock), 4);
    CHECK_EQ(pshm_lock_depth(other), 1);
    CHECK_EQ(pshm__locks_held, 2);
    for (int i = 0; i < 4; i++)
        CHECK_OK(pshm_lock_release(here.lock));
    CHECK_CODE(pshm_lock_release(here.lock), PSHM_ENOTOWNER);
    CHECK_OK(pshm_lock_release(other));
    CHECK_EQ(pshm__locks_held, 0);
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldTakeTheLockAgainAsOften(void) {
    party here = attend(new_table());
    pid_t child = start(wait_deeply, here.shared);
    AWAIT(waiting(&here) == 1); /* so the lock is free */
    CHECK_EQ(signal_some(&here, 1), 1);
    CHECK_JOIN(child);
    drop(&here);
}

static void *use_without_lock(void *argument) {
    const party *here = argument;
    pshm_wait wait;
    CHECK_CODE(pshm_condition_wait(here->condition, 0, NULL), PSHM_ENOTOWNER);
    CHECK_DETAIL("wait: segment=");
    CHECK_DETAIL("name=c: ");
    CHECK_DETAIL("acquire it first");
    CHECK_CODE(pshm_condition_prepare(here->condition, &wait), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_condition_signal(here->condition, 1), PSHM_ENOTOWNER);
    CHECK_DETAIL("signal: ");
    CHECK_CODE(pshm_condition_signal(here->condition, -1), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_condition_waiting(here->condition), PSHM_ENOTOWNER);
    CHECK_DETAIL("waiting: ");
    return NULL;
}

static void shouldBeUsedByTheHolderOnly(void) {
    party here = attend(new_table());
    use_without_lock(&here);
    CHECK_OK(pshm_lock_acquire(here.lock));
    in_threads(&here, use_without_lock, 1); /* this thread holds it, not that one */
    CHECK_OK(pshm_lock_release(here.lock));
    drop(&here);
}

static void shouldBelongToOneLock(void) {
    party here = attend(new_table());
    pshm_condition *condition;
    pshm_latch *latch;
    pshm_array *array;
    pshm_lock *other;
    char text[64];
    CHECK_OK(pshm_condition_open(here.lock, "c", &condition));
    CHECK(condition == here.condition);
    CHECK_OK(pshm_array_open(here.segment, "a", PSHM_INT8, 5, &array));
    CHECK_OK(pshm_lock_open(here.segment, "other", &other));
    CHECK_OK(pshm_condition_open(pshm_array_lock(array), "of-array", &condition));
    CHECK_CODE(pshm_condition_open(other, "of-array", &condition), PSHM_ETYPE);
    CHECK(condition == NULL);
    for (int i = 0; i < 2; i++) {
        pshm_lock *lock = i == 0 ? other : pshm_array_lock(array);
        snprintf(text, sizeof(text), "condition, lock at offset=%td",
                 (const uint8_t *)lock->shared - here.segment->base -
                     (ptrdiff_t)(here.segment->heap_offset + offsetof(pshm__object, lock)));
        CHECK_DETAIL(text);
    }
    CHECK_CODE(pshm_condition_open(other, "a", &condition), PSHM_ETYPE);
    CHECK_CODE(pshm_condition_open(other, "", &condition), PSHM_ENAME);
    CHECK_CODE(pshm_latch_open(here.segment, "c", 1, &latch), PSHM_ETYPE);
    CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_OK(pshm_condition_open(pshm_array_lock(array), "of-array", &condition));
    CHECK_CODE(pshm_condition_signal(condition, 1), PSHM_ENOTOWNER); /* that is another lock */
    CHECK_OK(pshm_lock_release(here.lock));
    drop(&here);
}

static void wait_for_array(void *shared) {
    party here = attend(shared);
    pshm_value *value;
    CHECK_OK(pshm_value_open(here.segment, "v", PSHM_INT64, &value));
    pshm_lock *lock = pshm_value_lock(value);
    CHECK_OK(pshm_condition_open(lock, "of-value", &here.condition));
    CHECK_OK(pshm_lock_acquire(lock));
    while (*(int64_t *)pshm_value_data(value) == 0)
        CHECK_OK(pshm_condition_wait(here.condition, -1, NULL));
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldBeOfTheLockOfAValue(void) {
    party here = attend(new_table());
    pshm_value *value;
    party of_value = here;
    CHECK_OK(pshm_value_open(here.segment, "v", PSHM_INT64, &value));
    of_value.lock = pshm_value_lock(value);
    CHECK_OK(pshm_condition_open(of_value.lock, "of-value", &of_value.condition));
    pid_t child = start(wait_for_array, here.shared);
    AWAIT(waiting(&of_value) == 1);
    CHECK_OK(pshm_lock_acquire(of_value.lock));
    *(int64_t *)pshm_value_data(value) = 1;
    CHECK_EQ(pshm_condition_signal(of_value.condition, 1), 1);
    CHECK_OK(pshm_lock_release(of_value.lock));
    CHECK_JOIN(child);
    drop(&here);
}

/* ---- interrupts and steps ---- */

static void *raise_when_waiting(void *argument) {
    party *here = argument;
    AWAIT(waiting(here) == 1);
    pshm_interrupt_raise((pshm_interrupt *)(uintptr_t)here->seed);
    return NULL;
}

static void be_interrupted(void *shared) {
    party here = attend(shared);
    pthread_t thread;
    pshm_interrupt interrupt;
    pshm_interrupt_init(&interrupt);
    here.seed = (uintptr_t)&interrupt;
    pshm_interrupt_raise(&interrupt);
    CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_CODE(pshm_condition_wait(here.condition, -1, &interrupt), PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_lock_depth(here.lock), 1);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
    CHECK_EQ(pthread_create(&thread, NULL, raise_when_waiting, &here), 0);
    CHECK_CODE(pshm_condition_wait(here.condition, -1, &interrupt), PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_lock_depth(here.lock), 1);
    CHECK_EQ(pshm_condition_waiting(here.condition), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldBeInterrupted(void) {
    party here = attend(new_table());
    CHECK_JOIN(start(be_interrupted, here.shared));
    drop(&here);
}

static void *poll_elsewhere(void *wait) { return (void *)(intptr_t)pshm_wait_poll(wait); }

static void go_in_steps(void *shared) {
    party here = attend(shared);
    pshm_wait first, second;
    pthread_t thread;
    void *code;
    CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_OK(pshm_condition_prepare(here.condition, &first));
    CHECK_OK(pshm_condition_prepare(here.condition, &second));
    CHECK_EQ(pshm_condition_waiting(here.condition), 2);
    CHECK_CODE(pshm_condition_finish(&first, 0), PSHM_EBUSY);
    CHECK_EQ(pshm_condition_signal(here.condition, 1), 1);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_CODE(pshm_wait_poll(&second), PSHM_EBUSY); /* the first one's */
    CHECK_EQ(pthread_create(&thread, NULL, poll_elsewhere, &first), 0);
    CHECK_EQ(pthread_join(thread, &code), 0);
    CHECK_EQ((intptr_t)code, 0);
    CHECK_CODE(pshm_condition_finish(&first, 0), PSHM_ENOTOWNER);
    CHECK_OK(pshm_lock_acquire_any(here.lock));
    CHECK_CODE(pshm_condition_finish(&second, 0), PSHM_EBUSY);
    CHECK_OK(pshm_condition_finish(&first, PSHM_ETIMEDOUT)); /* the signal came before that */
    CHECK_OK(pshm_condition_finish(&first, 0));              /* it stays so */
    CHECK_OK(pshm_wait_poll(&first));
    CHECK_OK(pshm_wait_cancel(&first, PSHM_ETIMEDOUT));
    CHECK_CODE(pshm_condition_finish(&second, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_condition_waiting(here.condition), 0);

    /* Without the lock: the one that goes leaves nothing, and its signal to nobody else. */
    CHECK_OK(pshm_condition_prepare(here.condition, &first));
    CHECK_OK(pshm_condition_prepare(here.condition, &second));
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_CODE(pshm_wait_block(&second, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_wait_cancel(&first, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_CODE(pshm_wait_cancel(&second, PSHM_EINTERRUPTED), PSHM_ETIMEDOUT);
    CHECK_EQ(waiting(&here), 0);
    CHECK_EQ(signal_some(&here, -1), 0);
    CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_OK(pshm_condition_prepare(here.condition, &first));
    CHECK_OK(pshm_condition_prepare(here.condition, &second));
    CHECK_EQ(pshm_condition_signal(here.condition, 1), 1);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_CODE(pshm_wait_cancel(&second, PSHM_ETIMEDOUT), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_wait_cancel(&first, PSHM_ETIMEDOUT));
    CHECK_EQ(waiting(&here), 0);
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldGoInSteps(void) {
    party here = attend(new_table());
    CHECK_JOIN(start(go_in_steps, here.shared));
    drop(&here);
}

static party inherited; /* by a forked child, with the handles of its parent */
static pshm_wait inherited_wait;

static void wait_as_child(void *unused) {
    (void)unused;
    CHECK_CODE(pshm_wait_poll(&inherited_wait), PSHM_EINVAL); /* that is the parent's */
    CHECK_CODE(pshm_wait_cancel(&inherited_wait, PSHM_ETIMEDOUT), PSHM_EINVAL);
    wait_once(&inherited);
}

static void shouldLeaveTheParentsWaitsToIt(void) {
    inherited = attend(new_table());
    CHECK_OK(pshm_lock_acquire(inherited.lock));
    CHECK_OK(pshm_condition_prepare(inherited.condition, &inherited_wait));
    CHECK_OK(pshm_lock_release(inherited.lock));
    pid_t child = start(wait_as_child, NULL);
    AWAIT(waiting(&inherited) == 2);
    CHECK_EQ(signal_some(&inherited, 2), 2);
    CHECK_JOIN(child);
    CHECK_OK(pshm_lock_acquire(inherited.lock));
    CHECK_OK(pshm_condition_finish(&inherited_wait, 0));
    CHECK_OK(pshm_lock_release(inherited.lock));
    drop(&inherited);
}

/* Signals race with time-outs, interrupts and withdrawals without the lock: none is lost. */
enum { TURNS = CHECK_TSAN || CHECK_ASAN ? 400 : 1500 };

static int wait_in_steps(const party *here, int64_t timeout_ns) {
    pshm_wait wait;
    CHECK_OK(pshm_condition_prepare(here->condition, &wait));
    CHECK_OK(pshm_lock_release(here->lock));
    pshm_wait_block(&wait, timeout_ns, NULL); /* withdraws by itself */
    const int code = pshm_wait_cancel(&wait, PSHM_ETIMEDOUT);
    CHECK_OK(pshm_lock_acquire(here->lock));
    return code;
}

static void *wait_shortly(void *argument) {
    party *here = argument;
    pshm_interrupt interrupt;
    pshm_interrupt_init(&interrupt);
    for (int i = 0; i < TURNS; i++) {
        const uint64_t chance = random_next(&here->seed);
        const int64_t timeout_ns = (int64_t)(chance % 200000);
        int code;
        CHECK_OK(pshm_lock_acquire(here->lock));
        if (chance >> 62 == 0) {
            code = wait_in_steps(here, timeout_ns);
        } else {
            if (chance >> 62 == 1)
                pshm_interrupt_raise(&interrupt);
            code = pshm_condition_wait(here->condition, timeout_ns, &interrupt);
            pshm_interrupt_clear(&interrupt);
        }
        if (code == 0)
            here->shared->received++;
        else if (code != PSHM_EINTERRUPTED)
            CHECK_CODE(code, PSHM_ETIMEDOUT);
        CHECK_EQ(pshm_lock_depth(here->lock), 1);
        CHECK_OK(pshm_lock_release(here->lock));
    }
    return NULL;
}

static void wait_shortly_in_threads(void *shared) {
    party here = attend(shared);
    here.seed = (uint64_t)here.shared->ready++ << 8;
    in_threads(&here, wait_shortly, THREADS);
    here.shared->stop++;
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldLoseNoSignalToTimeOrInterrupt(void) {
    enum { PROCESSES = 3 };
    party here = attend(new_table());
    pid_t children[PROCESSES];
    uint64_t seed = 1;
    long sent = 0;
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(wait_shortly_in_threads, here.shared);
    while (here.shared->stop < PROCESSES) {
        sent += signal_some(&here, (int64_t)(random_next(&seed) % 4) - 1);
        if (random_next(&seed) % 4 == 0)
            sched_yield();
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_JOIN(children[i]);
    CHECK_EQ(here.shared->received, sent);
    CHECK(sent > 0);
    printf("    signals=%ld, waits=%d\n", sent, PROCESSES * THREADS * TURNS);
    drop(&here);
}

/* ---- close ---- */

static void *wait_until_closed(void *argument) {
    const party *here = argument;
    pshm_lock *lock = here->lock;
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_CODE(pshm_condition_wait(here->condition, here->timeout_ns, NULL), PSHM_ECLOSED);
    CHECK_EQ(pshm__locks_held, 0);
    here->shared->told++;
    return NULL;
}

static void *close_under_them(void *argument) {
    const party *here = argument;
    AWAIT(here->shared->ready == 1);
    CHECK_OK(pshm_segment_close(here->segment));
    return NULL;
}

static void *wait_or_close(void *argument) {
    const party *here = argument;
    return here->number == 0 ? close_under_them(argument) : wait_until_closed(argument);
}

static void close_with_waiters(void *shared) {
    party here = attend(shared);
    in_threads(&here, wait_or_close, THREADS + 1);
    AWAIT(here.shared->ready == 2);
}

static void shouldTellWaitersThatItWasClosed(void) {
    party here = attend(new_table());
    pid_t closes = start(close_with_waiters, here.shared);
    AWAIT(waiting(&here) == THREADS);
    pid_t stays = start(wait_in_threads, here.shared);
    AWAIT(waiting(&here) == 2 * THREADS);
    here.shared->ready = 1;
    AWAIT(here.shared->told == THREADS);
    AWAIT(waiting(&here) == THREADS); /* the process lives on */
    signal_some(&here, THREADS - 1);  /* some of them to those that left, perhaps */
    AWAIT(here.shared->woken == THREADS - 1);
    CHECK_EQ(waiting(&here), 1);
    signal_some(&here, 1);
    CHECK_JOIN(stays);
    here.shared->ready = 2;
    CHECK_JOIN(closes);
    drop(&here);
}

int main(void) {
    check_begin(110);
    RUN(shouldWakeAsManyAsAreSignalled);
    RUN(shouldNotKeepASignalForLater);
    RUN(shouldWaitForAPredicate);
    RUN(shouldWakeTheThreadsOfAProcessInTheirOrder);
    RUN(shouldTakeTheLockAgainAsOften);
    RUN(shouldBeUsedByTheHolderOnly);
    RUN(shouldBelongToOneLock);
    RUN(shouldBeOfTheLockOfAValue);
    RUN(shouldBeInterrupted);
    RUN(shouldGoInSteps);
    RUN(shouldLeaveTheParentsWaitsToIt);
    RUN(shouldLoseNoSignalToTimeOrInterrupt);
    RUN(shouldTellWaitersThatItWasClosed);
    return check_end();
}
