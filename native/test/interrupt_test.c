/* SPDX-License-Identifier: Apache-2.0
 *
 * A word that an interrupt watches: a signal whose handler stores to it ends the wait, at whatever
 * moment it comes. Each wait gets one signal only, so one that goes unnoticed is a test that hangs.
 */
#include "check.h"

enum { ROUNDS = 2000, LONGEST_DELAY = 3000 };

static pshm_segment *segment;
static pshm_lock *held, *lock; /* the first by the sender */
static pshm_condition *condition;
static pshm_event *event;
static pshm_semaphore *semaphore;
static pshm_interrupt interrupt;
static uint32_t noted;

static void store(uint32_t value) { atomic_store((_Atomic uint32_t *)&noted, value); }

static void handle(int signal) {
    (void)signal;
    store(1);
}

static void begin(void) {
    CHECK_OK(pshm_segment_create(name_of("s"), 65536, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "held", &held));
    CHECK_OK(pshm_lock_open(segment, "lock", &lock));
    CHECK_OK(pshm_condition_open(lock, "condition", &condition));
    CHECK_OK(pshm_event_open(segment, "event", &event));
    CHECK_OK(pshm_semaphore_open(segment, "semaphore", 1, 0, &semaphore));
    pshm_interrupt_init(&interrupt);
    pshm_interrupt_watch(&interrupt, &noted);
    store(0);
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

/* ---- one signal each ---- */

static int await_lock(int64_t timeout_ns) { return pshm_lock_await(held, timeout_ns, &interrupt); }

static int await_event(int64_t timeout_ns) {
    return pshm_event_await(event, timeout_ns, &interrupt);
}

/* There is one at most, which comes and goes: woken in vain. */
static int await_permits(int64_t timeout_ns) {
    return pshm_semaphore_acquire(semaphore, 2, timeout_ns, &interrupt);
}

static int await_condition(int64_t timeout_ns) {
    return pshm_condition_wait(condition, timeout_ns, &interrupt);
}

typedef struct sender {
    pthread_t target;
    pthread_barrier_t turn;
    atomic_bool stop;
    uint64_t seed;
} sender;

static void *send(void *argument) {
    sender *self = argument;
    CHECK_OK(pshm_lock_acquire(held));
    for (;;) {
        pthread_barrier_wait(&self->turn);
        if (self->stop)
            break;
        const uint64_t delay = random_next(&self->seed) % LONGEST_DELAY;
        for (uint64_t i = 0; i < delay; i++) {
            if (i % 64 == 63) {
                CHECK_OK(pshm_semaphore_acquire(semaphore, 1, 0, NULL));
                CHECK_OK(pshm_semaphore_release(semaphore, 1));
            }
        }
        pthread_kill(self->target, SIGUSR1);
        CHECK_OK(pshm_semaphore_acquire(semaphore, 1, 0, NULL));
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        pthread_barrier_wait(&self->turn);
    }
    CHECK_OK(pshm_lock_release(held));
    return NULL;
}

static void shouldBeEndedBySignalsThatComeAtAnyMoment(void) {
    int (*const waits[])(int64_t) = {await_lock, await_event, await_permits, await_condition};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;
    sender other = {.target = pthread_self(), .seed = 7};
    pthread_t thread;
    begin();
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    pthread_barrier_init(&other.turn, NULL, 2);
    CHECK_EQ(pthread_create(&thread, NULL, send, &other), 0);
    CHECK_OK(pshm_lock_acquire(lock));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 4; i++) {
            pthread_barrier_wait(&other.turn);
            CHECK_CODE(waits[i](round % 2 == 0 ? -1 : INT64_MAX), PSHM_EINTERRUPTED);
            pthread_barrier_wait(&other.turn);
            CHECK_EQ(noted, 1);
            store(0);
        }
    }
    CHECK_EQ(pshm_lock_depth(lock), 1);
    CHECK_OK(pshm_lock_release(lock));
    other.stop = true;
    pthread_barrier_wait(&other.turn);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&other.turn);
    sigaction(SIGUSR1, &before, NULL);
    end();
}

/* ---- the word ---- */

static void shouldEndEveryWaitWhileTheWordIsNotZero(void) {
    begin();
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0);
    store(1);
    CHECK_CODE(await_event(-1), PSHM_EINTERRUPTED);
    CHECK_CODE(await_event(-1), PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0); /* the word is the caller's */
    store(0);
    CHECK_CODE(await_event(1000), PSHM_ETIMEDOUT);
    store(1);
    pshm_interrupt_watch(&interrupt, NULL);
    CHECK_CODE(await_event(1000), PSHM_ETIMEDOUT);
    end();
}

static void *raise_it(void *argument) {
    (void)argument;
    sleep_ms(5);
    pshm_interrupt_raise(&interrupt);
    return NULL;
}

static void shouldBeRaisedBesideTheWord(void) {
    int (*const waits[])(int64_t) = {await_event, await_permits};
    begin();
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, raise_it, NULL), 0);
        CHECK_CODE(waits[i](-1), PSHM_EINTERRUPTED);
        pthread_join(thread, NULL);
        CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
        CHECK_CODE(waits[i](1000), PSHM_ETIMEDOUT);
    }
    end();
}

int main(void) {
    check_begin(110);
    if (!CHECK_TSAN) /* it calls the handler later */
        RUN(shouldBeEndedBySignalsThatComeAtAnyMoment);
    RUN(shouldEndEveryWaitWhileTheWordIsNotZero);
    RUN(shouldBeRaisedBesideTheWord);
    return check_end();
}
