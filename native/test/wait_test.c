/* SPDX-License-Identifier: Apache-2.0
 *
 * How to wait: time, interrupts, closes and steps, for every synchronizer; tried with semaphores,
 * and with events and latches where many wait for different things.
 */
#include "wait.h"

/* ---- time ---- */

static void shouldEndWhenTheTimeIsOver(void) {
    const int64_t times[] = {0, 1, 1000000, 30000000};
    begin(1);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        const int64_t since = now_ns();
        CHECK_CODE(pshm_semaphore_acquire(semaphore, 2, times[i], NULL), PSHM_ETIMEDOUT);
        CHECK(now_ns() - since >= times[i]); /* and not before */
        CHECK_CODE(pshm_event_await(event, times[i], NULL), PSHM_ETIMEDOUT);
        CHECK_CODE(pshm_latch_await(latch, times[i], NULL), PSHM_ETIMEDOUT);
        CHECK_OK(pshm_semaphore_acquire(semaphore, 1, times[i], NULL));
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
    }
    CHECK_EQ(sleepers(), 0);
    CHECK_EQ(inspect().available, 1);
    end();
}

static void shouldWaitAsLongAsItTakes(void) {
    const int64_t times[] = {-1, INT64_MIN, INT64_MAX, 3600000000000};
    begin(0);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        waiter one = {.permits = 1, .timeout_ns = times[i]};
        start_waiter(&one);
        AWAIT(sleepers() == 1);
        for (int spurious = 0; spurious < 5; spurious++) {
            CHECK_OK(pshm_semaphore_release(semaphore, 0)); /* wakes, and there is nothing */
            sleep_ms(1);
            AWAIT(sleepers() == 1);
            CHECK_EQ(one.code, WAITING);
        }
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        expect_code(&one, 0);
    }
    CHECK_EQ(inspect().held_here, 1); /* those of its own first */
    CHECK_EQ(inspect().total, 1);
    end();
}

/* ---- interrupts ---- */

static void shouldBeInterruptedBeforeDuringAndAfter(void) {
    pshm_interrupt interrupt;
    begin(1);
    pshm_interrupt_init(&interrupt);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0);
    pshm_interrupt_raise(&interrupt);
    for (int i = 0; i < 2; i++) { /* stays raised, whether there is a permit or not */
        CHECK_CODE(pshm_semaphore_acquire(semaphore, 1, endless, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_semaphore_acquire(semaphore, 2, endless, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_semaphore_acquire(semaphore, 2, 0, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_event_await(event, endless, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_latch_await(latch, endless, &interrupt), PSHM_EINTERRUPTED);
    }
    CHECK_CODE(pshm_semaphore_acquire(semaphore, 2, 1000000, NULL), PSHM_ETIMEDOUT);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0);

    const int kinds[] = {PSHM_SEMAPHORE, PSHM_EVENT, PSHM_LATCH};
    const pshm__sync *syncs[] = {&semaphore->sync, &event->sync, &latch->sync};
    for (int i = 0; i < 3; i++) {
        waiter one = {.kind = kinds[i], .permits = 2, .timeout_ns = -1, .interrupt = &interrupt};
        waiter other = {.kind = kinds[i], .permits = 2, .timeout_ns = -1};
        start_waiter(&one);
        start_waiter(&other);
        AWAIT(sleepers_of(syncs[i]) == 2);
        pshm_interrupt_raise(&interrupt);
        expect_code(&one, PSHM_EINTERRUPTED);
        CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
        AWAIT(sleepers_of(syncs[i]) == 1); /* it does not concern the other one */
        CHECK_EQ(other.code, WAITING);
        switch (kinds[i]) {
        case PSHM_SEMAPHORE: CHECK_OK(pshm_semaphore_release(semaphore, 1)); break;
        case PSHM_EVENT: CHECK_OK(pshm_event_set(event)); break;
        default: CHECK_OK(pshm_latch_count_down(latch, 1)); break;
        }
        expect_code(&other, 0);
    }

    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    CHECK_OK(pshm_semaphore_acquire(semaphore, 1, endless, &interrupt));
    pshm_interrupt_raise(&interrupt); /* after it: for the next one */
    CHECK_CODE(pshm_semaphore_acquire(semaphore, 1, endless, &interrupt), PSHM_EINTERRUPTED);
    end();
}

typedef struct raiser {
    pshm_interrupt interrupt;
    pthread_barrier_t ready;
    atomic_bool stop;
} raiser;

static void *raise_in_thread(void *argument) {
    raiser *self = argument;
    for (;;) {
        pthread_barrier_wait(&self->ready);
        if (self->stop)
            return NULL;
        pshm_interrupt_raise(&self->interrupt);
        pthread_barrier_wait(&self->ready);
    }
}

/* Either the one or the other, and neither a permit nor an interrupt is lost. */
static void shouldLoseNothingWhenInterruptMeetsRelease(void) {
    enum { ROUNDS = 3000 };
    raiser other = {.stop = false};
    pthread_t thread;
    uint64_t seed = 12;
    int interrupted = 0;
    begin(0);
    pshm_interrupt_init(&other.interrupt);
    pthread_barrier_init(&other.ready, NULL, 2);
    CHECK_EQ(pthread_create(&thread, NULL, raise_in_thread, &other), 0);
    for (int round = 0; round < ROUNDS; round++) {
        waiter one = {.permits = 1, .timeout_ns = -1, .interrupt = &other.interrupt};
        start_waiter(&one);
        if (random_next(&seed) % 2 == 0)
            AWAIT(sleepers() == 1);
        pthread_barrier_wait(&other.ready);
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        pthread_barrier_wait(&other.ready);
        pthread_join(one.thread, NULL);
        CHECK(one.code == 0 || one.code == PSHM_EINTERRUPTED);
        CHECK_EQ(pshm_interrupt_clear(&other.interrupt), 1);
        CHECK_EQ(inspect().available, one.code == 0 ? 0 : 1);
        interrupted += one.code != 0;
        if (one.code != 0)
            CHECK_OK(pshm_semaphore_acquire(semaphore, 1, 0, NULL));
        CHECK_EQ(inspect().total, 1);
    }
    other.stop = true;
    pthread_barrier_wait(&other.ready);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&other.ready);
    printf("    %d of %d interrupted\n", interrupted, ROUNDS);
    end();
}

static atomic_int handled;

static void handle(int signal) {
    (void)signal;
    handled++;
}

static void shouldBeEndedByASignalOnlyWithAnInterrupt(void) {
    pshm_interrupt interrupt, ignores;
    struct sigaction action = {.sa_handler = handle}, before;
    begin(0);
    pshm_interrupt_init(&interrupt);
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    pshm_interrupt_init(&ignores);
    pshm_interrupt_ignore_signals(&ignores);
    pshm_interrupt *const unmoved[] = {NULL, &ignores};
    for (int i = 0; i < 2; i++) {
        waiter without = {.permits = 1, .timeout_ns = -1, .interrupt = unmoved[i]};
        start_waiter(&without);
        handled = 0;
        for (int signals = 1; signals <= 20; signals++) {
            AWAIT(sleepers() == 1);
            pthread_kill(without.thread, SIGUSR1);
            AWAIT(handled == signals);
        }
        CHECK_EQ(without.code, WAITING);
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        expect_code(&without, 0);
    }

    waiter with = {.permits = 1, .timeout_ns = -1, .interrupt = &interrupt};
    start_waiter(&with);
    while (with.code == WAITING) { /* a handler that runs before it sleeps ends nothing */
        pthread_kill(with.thread, SIGUSR1);
        sleep_ms(1);
    }
    expect_code(&with, PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0);
    sigaction(SIGUSR1, &before, NULL);
    end();
}

/* ---- close ---- */

static void shouldEndEveryWaitWhenClosed(void) {
    enum { WAITERS = 8, ROUNDS = 50 };
    const int kinds[] = {PSHM_SEMAPHORE, PSHM_EVENT, PSHM_LATCH};
    pshm_interrupt interrupts[WAITERS];
    for (int round = 0; round < ROUNDS; round++) {
        waiter waiters[WAITERS];
        begin(1);
        pshm_segment_pin(segment); /* for those that have not begun */
        for (int i = 0; i < WAITERS; i++) {
            pshm_interrupt_init(&interrupts[i]);
            waiters[i] = (waiter){.kind = kinds[i % 3],
                                  .permits = 2,
                                  .timeout_ns = i % 2 == 0 ? -1 : 3600000000000,
                                  .interrupt = i < 4 ? &interrupts[i] : NULL};
            start_waiter(&waiters[i]);
        }
        if (round % 2 == 0)
            AWAIT(sleepers() + sleepers_of(&event->sync) + sleepers_of(&latch->sync) == WAITERS);
        CHECK_OK(pshm_segment_close(segment));
        CHECK_EQ(mappings(), 1);
        for (int i = 0; i < WAITERS; i++)
            expect_code(&waiters[i], PSHM_ECLOSED);
        pshm_segment_unpin(segment);
        CHECK_EQ(mappings(), 0);
        CHECK_OK(pshm_segment_unlink(name_of("s")));
    }
}

/* The waiters alone keep the mapping. */
static void shouldKeepTheMappingForThoseThatWait(void) {
    waiter one = {.permits = 1, .timeout_ns = -1};
    begin(0);
    start_waiter(&one);
    AWAIT(sleepers() == 1);
    CHECK_OK(pshm_segment_close(segment));
    expect_code(&one, PSHM_ECLOSED);
    CHECK_EQ(mappings(), 0);
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

typedef struct worker {
    pthread_t thread;
    int role;
    uint64_t seed;
    long taken, given;
    atomic_bool is_closed;
    pshm_interrupt interrupt;
    struct worker *next; /* whom it interrupts */
} worker;

static void *work(void *argument) {
    worker *self = argument;
    int code = 0;
    while (code != PSHM_ECLOSED) {
        pshm_semaphore_info info;
        switch (self->role == 0 ? (int)(random_next(&self->seed) % 8) : 8 + self->role) {
        case 0: code = pshm_semaphore_acquire(semaphore, 1, 50000, &self->interrupt); break;
        case 1: code = pshm_semaphore_acquire(semaphore, 1, endless, NULL); break;
        case 2: code = pshm_semaphore_try_acquire(semaphore, 1); break;
        default: code = pshm_semaphore_acquire(semaphore, 1, endless, &self->interrupt); break;
        case 9:
            pshm_interrupt_raise(&self->next->interrupt);
            code = pshm_semaphore_inspect(semaphore, &info);
            break;
        case 10:
            code = pshm_semaphore_release(semaphore, 1);
            self->given += code == 0;
            continue;
        }
        self->taken += self->role == 0 && code == 0;
        if (code == PSHM_EINTERRUPTED)
            pshm_interrupt_clear(&self->interrupt);
        else
            CHECK(code == 0 || code == PSHM_EBUSY || code == PSHM_ETIMEDOUT ||
                  code == PSHM_ECLOSED);
    }
    return NULL;
}

static void shouldSurviveACloseAmongEverything(void) {
    enum { WORKERS = 6, ROUNDS = CHECK_TSAN ? 100 : 300 };
    uint64_t seed = (uint64_t)now_ns();
    printf("    seed=%" PRIu64 "\n", seed);
    for (int round = 0; round < ROUNDS; round++) {
        worker workers[WORKERS];
        memset(workers, 0, sizeof(workers));
        begin(0);
        pshm_segment_pin(segment);
        for (int i = 0; i < WORKERS; i++)
            pshm_interrupt_init(&workers[i].interrupt);
        for (int i = 0; i < WORKERS; i++) {
            workers[i].role = i < WORKERS - 2 ? 0 : i == WORKERS - 2 ? 1 : 2;
            workers[i].seed = random_next(&seed);
            workers[i].next = &workers[i % (WORKERS - 2)];
            CHECK_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        struct timespec nap = {.tv_nsec = (long)(random_next(&seed) % 2000000)};
        nanosleep(&nap, NULL);
        CHECK_OK(pshm_segment_close(segment));
        long taken = 0, given = 0;
        for (int i = 0; i < WORKERS; i++) {
            pthread_join(workers[i].thread, NULL);
            taken += workers[i].taken;
            given += workers[i].given;
        }
        CHECK(taken <= given);
        pshm_segment_unpin(segment);
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
        CHECK_OK(pshm_semaphore_open(segment, "s", 0, 0, &semaphore));
        const pshm_semaphore_info left = inspect();
        CHECK(left.total <= given && left.total >= given - taken); /* some were given back */
        CHECK_EQ(left.available, left.total);                      /* the others, by the close */
        end();
    }
}

/* ---- in steps ---- */

static void *poll_in_thread(void *wait) { return (void *)(intptr_t)pshm_wait_poll(wait); }

static void shouldWaitInSteps(void) {
    pshm_wait wait;
    pshm_interrupt interrupt;
    pthread_t thread;
    void *code;
    begin(1);
    pshm_interrupt_init(&interrupt);
    CHECK_OK(pshm_semaphore_prepare(semaphore, 2, &wait));
    CHECK_EQ(inspect().available, 1);
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    uint32_t sequence = pshm_wait_sequence(&wait);
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    int slept;
    while ((slept = pshm_wait_sleep(&wait, sequence, 1000000, NULL)) == 0)
        sequence = pshm_wait_sequence(&wait); /* the first one may have covered */
    CHECK_CODE(slept, PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_wait_sleep(&wait, sequence, 0, NULL), PSHM_ETIMEDOUT);
    pshm_interrupt_raise(&interrupt);
    CHECK_CODE(pshm_wait_sleep(&wait, sequence, -1, &interrupt), PSHM_EINTERRUPTED);
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    CHECK(pshm_wait_sequence(&wait) != sequence);
    CHECK_OK(pshm_wait_sleep(&wait, sequence, -1, NULL)); /* not at all */
    CHECK_EQ(pthread_create(&thread, NULL, poll_in_thread, &wait), 0);
    pthread_join(thread, &code);
    CHECK_EQ((intptr_t)code, 0);
    CHECK_EQ(inspect().held_here, 2);

    CHECK_OK(pshm_semaphore_prepare(semaphore, 1, &wait));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    CHECK_CODE(pshm_wait_cancel(&wait, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_OK(pshm_semaphore_prepare(semaphore, 1, &wait));
    CHECK_CODE(pshm_wait_block(&wait, 1000000, NULL), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_semaphore_release(semaphore, 2));
    CHECK_EQ(inspect().available, 2);
    CHECK_OK(pshm_wait_block(&wait, 0, NULL));
    CHECK_EQ(inspect().available, 1);

    CHECK_OK(pshm_semaphore_prepare(semaphore, 2, &wait));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    sequence = pshm_wait_sequence(&wait);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_wait_sleep(&wait, sequence, -1, NULL), PSHM_ECLOSED);
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_ECLOSED);
    CHECK_CODE(pshm_wait_block(&wait, -1, NULL), PSHM_ECLOSED);
    CHECK_DETAIL("is closed");
    pshm_segment_unpin(segment);
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

int main(void) {
    check_begin(110);
    RUN(shouldEndWhenTheTimeIsOver);
    RUN(shouldWaitAsLongAsItTakes);
    RUN(shouldBeInterruptedBeforeDuringAndAfter);
    RUN(shouldLoseNothingWhenInterruptMeetsRelease);
    RUN(shouldBeEndedByASignalOnlyWithAnInterrupt);
    RUN(shouldEndEveryWaitWhenClosed);
    RUN(shouldKeepTheMappingForThoseThatWait);
    RUN(shouldSurviveACloseAmongEverything);
    RUN(shouldWaitInSteps);
    return check_end();
}
