/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers: what CyclicBarrier's contract says and what Python's suite tries, between processes and
 * threads; and who breaks one: the late, the interrupted, those that abort or reset it.
 */
#include "barrier.h"

static atomic_int *ran; /* actions, in all processes */

static void count_up(void *unused) {
    (void)unused;
    atomic_fetch_add(ran, 1);
}

/* ---- in steps ---- */

static void shouldRefuseParties(void) {
    pshm_barrier *barrier, *other;
    pshm_segment *segment = make(2, &barrier);
    static const int64_t wrong[] = {0, -1, INT64_MIN, (int64_t)INT32_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[40];
        snprintf(text, sizeof(text), "parties=%" PRId64, wrong[i]);
        CHECK_CODE(pshm_barrier_open(segment, "other", wrong[i], &other), PSHM_EINVAL);
        CHECK_DETAIL(text);
        CHECK(other == NULL);
    }
    CHECK_CODE(pshm_barrier_open(segment, "b", 3, &other), PSHM_ETYPE);
    CHECK_DETAIL("parties=2");
    CHECK_OK(pshm_barrier_open(segment, "b", 2, &other));
    CHECK(other == barrier);
    CHECK_OK(pshm_barrier_open(segment, "many", INT32_MAX, &other));
    pshm_wait wait;
    CHECK_CODE(arrive(other, 1, &wait), PSHM_EBUSY);
    CHECK_OK(pshm_barrier_reset(other));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBROKEN);
    CHECK_EQ(look(barrier).parties, 2);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    pshm_barrier_info info;
    CHECK_CODE(pshm_barrier_inspect(barrier, &info), PSHM_ECLOSED);
    CHECK_CODE(pshm_barrier_abort(barrier), PSHM_ECLOSED);
    CHECK_CODE(pshm_barrier_reset(barrier), PSHM_ECLOSED);
    CHECK_CODE(pshm_barrier_await(barrier, 0, NULL, NULL, NULL), PSHM_ECLOSED);
    CHECK_CODE(pshm_barrier_open(segment, "b", 2, &other), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
}

static void shouldPassAlone(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(1, &barrier);
    *ran = 0;
    for (int i = 0; i < 200; i++) {
        CHECK_CODE(pshm_barrier_await(barrier, i % 3 - 1, NULL, i % 2 ? count_up : NULL, NULL), 0);
        CHECK_EQ(look(barrier).waiting, 0);
    }
    CHECK_EQ(*ran, 100);
    CHECK_OK(pshm_segment_close(segment));
}

/* One who has slept meanwhile is told of his own generation, however many have come. */
static void shouldRememberEachGeneration(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    pshm_wait early, late, hasty;
    for (int way = 0; way < 2; way++) {
        CHECK_CODE(arrive(barrier, 0, &early), PSHM_EBUSY);
        if (way == 0)
            CHECK_CODE(arrive(barrier, 0, &late), 0);
        else
            CHECK_OK(pshm_barrier_reset(barrier));
        for (int i = 0; i < 50; i++)
            check_good(barrier);
        CHECK_CODE(arrive(barrier, 0, &hasty), PSHM_EBUSY);
        CHECK_CODE(pshm_wait_poll(&early), way == 0 ? 1 : PSHM_EBROKEN);
        CHECK_CODE(pshm_wait_cancel(&hasty, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
        CHECK_OK(pshm_barrier_reset(barrier));
    }
    CHECK_CODE(arrive(barrier, 0, &early), PSHM_EBUSY);
    CHECK_CODE(arrive(barrier, 0, &late), 0);
    for (int i = 0; i < 100; i++) {
        check_good(barrier);
        CHECK_OK(pshm_barrier_reset(barrier));
    }
    CHECK_CODE(pshm_wait_poll(&early), 1);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldBreakWhenAborted(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(3, &barrier);
    pshm_wait one, two;
    CHECK_EQ(look(barrier).cause, PSHM_BREAK_NONE);
    CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
    CHECK_OK(pshm_barrier_abort(barrier));
    CHECK_BROKEN(barrier, PSHM_BREAK_ABORT, getpid());
    CHECK_CODE(pshm_wait_poll(&one), PSHM_EBROKEN);
    CHECK_DETAIL("name=b: parties=3");
    CHECK_DETAIL("has aborted it; reset it");
    CHECK_CODE(arrive(barrier, 0, &two), PSHM_EBROKEN);
    CHECK_CODE(pshm_barrier_await(barrier, 0, NULL, NULL, NULL), PSHM_EBROKEN);
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &two));
    CHECK_CODE(pshm_wait_cancel(&two, PSHM_EINTERRUPTED), PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_ABORT, getpid()); /* the first cause stays */
    CHECK_OK(pshm_barrier_reset(barrier));
    CHECK_EQ(look(barrier).broken, 0);
    CHECK_EQ(look(barrier).cause, PSHM_BREAK_ABORT);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldBeginAnewWhenReset(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    pshm_wait one;
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_CODE(pshm_wait_poll(&one), PSHM_EBROKEN);
    CHECK_DETAIL("has reset it; await it again");
    CHECK_EQ(look(barrier).cause, PSHM_BREAK_RESET);
    CHECK_EQ(look(barrier).pid, getpid());
    CHECK_OK(pshm_barrier_abort(barrier)); /* abort and reset */
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldBreakWhenGivenUp(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(3, &barrier);
    pshm_wait one, two;
    static const int whys[] = {PSHM_ETIMEDOUT, PSHM_EINTERRUPTED};
    static const int causes[] = {PSHM_BREAK_TIMEOUT, PSHM_BREAK_INTERRUPT};
    for (int i = 0; i < 2; i++) {
        for (int arrives = 0; arrives < 2; arrives++) {
            CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
            CHECK_OK(pshm_barrier_prepare(barrier, 0, &two));
            if (arrives)
                CHECK_CODE(pshm_wait_poll(&two), PSHM_EBUSY);
            CHECK_CODE(pshm_wait_cancel(&two, whys[i]), whys[i]);
            CHECK_BROKEN(barrier, causes[i], getpid());
            CHECK_CODE(pshm_wait_cancel(&one, PSHM_ETIMEDOUT), PSHM_EBROKEN);
            CHECK_DETAIL(i == 0 ? "was timed out" : "was interrupted");
            CHECK_OK(pshm_barrier_reset(barrier));
        }
    }
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldTellTheIndexWhenTrippedBeforeItIsGivenUp(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    pshm_wait one, two;
    static const int whys[] = {PSHM_ETIMEDOUT, PSHM_EINTERRUPTED};
    for (int i = 0; i < 2; i++) {
        CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
        CHECK_CODE(arrive(barrier, 0, &two), 0);
        CHECK_CODE(pshm_wait_cancel(&one, whys[i]), 1);
        check_good(barrier);
    }
    /* And before the segment is closed; one that has not tripped is closed. */
    pshm_segment_pin(segment);
    CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
    CHECK_CODE(arrive(barrier, 0, &two), 0);
    CHECK_CODE(arrive(barrier, 0, &two), PSHM_EBUSY);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_wait_poll(&one), 1);
    CHECK_CODE(pshm_wait_poll(&two), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
}

static void shouldRunTheActionInSteps(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    pshm_wait one, two, more, most;
    CHECK_CODE(arrive(barrier, 1, &one), PSHM_EBUSY);
    CHECK_CODE(pshm_barrier_trip(&one), PSHM_EINVAL);
    CHECK_DETAIL("name=b: this wait has no action");
    CHECK_CODE(arrive(barrier, 1, &two), PSHM_BARRIER_ACTION);
    CHECK_EQ(look(barrier).waiting, 2);
    CHECK_CODE(pshm_wait_poll(&one), PSHM_EBUSY);
    /* Those that come now are not of this generation; if they give up they break nothing. */
    CHECK_CODE(arrive(barrier, 1, &more), PSHM_EBUSY);
    CHECK_CODE(pshm_barrier_await(barrier, 0, NULL, NULL, NULL), PSHM_ETIMEDOUT);
    CHECK_CODE(arrive(barrier, 0, &most), PSHM_EBUSY);
    CHECK_CODE(pshm_wait_cancel(&most, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_EQ(look(barrier).waiting, 2);
    CHECK_CODE(pshm_barrier_trip(&two), 0);
    CHECK_CODE(pshm_barrier_trip(&two), PSHM_EINVAL);
    CHECK_CODE(pshm_wait_poll(&one), 1);
    CHECK_EQ(look(barrier).waiting, 0);
    CHECK_CODE(pshm_wait_poll(&more), PSHM_EBUSY);
    CHECK_EQ(look(barrier).waiting, 1);
    CHECK_CODE(arrive(barrier, 1, &two), PSHM_BARRIER_ACTION);
    /* It does not end well. */
    CHECK_CODE(pshm_wait_cancel(&two, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_BROKEN(barrier, PSHM_BREAK_ACTION, getpid());
    CHECK_CODE(pshm_wait_poll(&more), PSHM_EBROKEN);
    CHECK_DETAIL("has not ended its action well");
    CHECK_OK(pshm_barrier_reset(barrier));
    /* Meanwhile another breaks it: by giving up, abort, or reset. */
    for (int way = 0; way < 3; way++) {
        CHECK_CODE(arrive(barrier, 1, &one), PSHM_EBUSY);
        CHECK_CODE(arrive(barrier, 1, &two), PSHM_BARRIER_ACTION);
        if (way == 0)
            CHECK_CODE(pshm_wait_cancel(&one, PSHM_ETIMEDOUT), PSHM_ETIMEDOUT);
        else
            CHECK_OK(way == 1 ? pshm_barrier_abort(barrier) : pshm_barrier_reset(barrier));
        CHECK_CODE(pshm_barrier_trip(&two), PSHM_EBROKEN);
        if (way < 2)
            CHECK_OK(pshm_barrier_reset(barrier));
        check_good(barrier);
    }
    CHECK_OK(pshm_segment_close(segment));
}

/* With the most parties that there can be, the first index is one below PSHM_BARRIER_ACTION. */
static void shouldRunNoActionThatAPeerMakesUp(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(INT32_MAX, &barrier);
    const pshm__barrier *shared = (const pshm__barrier *)(const void *)barrier->sync.events;
    const pshm__stake *mine = &shared->stakes[segment->slot];
    pshm_wait wait;
    PSHM__STORE(mine->amount, 1, memory_order_relaxed);
    PSHM__STORE(mine->count, UINT32_MAX, memory_order_relaxed);
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &wait));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    PSHM__STORE(shared->ends[1], 1 << 8, memory_order_relaxed); /* it has tripped */
    CHECK_EQ(pshm_wait_poll(&wait), INT32_MAX - 1);
    CHECK_OK(pshm_segment_close(segment));
}

/* ---- between processes ---- */

static void shouldTellTheIndexOfArrival(void) {
    enum { COUNT = 5 };
    pshm_barrier *barrier;
    pshm_segment *segment = make(COUNT, &barrier);
    party *all = parties_of(COUNT);
    *ran = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i].action = count_up;
        invite(&all[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(look(barrier).waiting, i);
        CHECK_EQ(*ran, 0);
        all[i].go = AWAIT_NOW;
        AWAIT(look(barrier).waiting == (i + 1) % COUNT);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(farewell(&all[i]), COUNT - 1 - i);
    CHECK_EQ(*ran, 1);
    CHECK_OK(pshm_segment_close(segment));
}

enum { ROUNDS = 1000, PROCESSES = 5 };

typedef struct rounds {
    atomic_int came[ROUNDS], first[ROUNDS], acted[ROUNDS];
    int threads, parties;
    int64_t done;
} rounds;

static void tick(void *context) {
    rounds *shared = context;
    CHECK_EQ(shared->came[shared->done], shared->parties);
    shared->acted[shared->done++] = 1; /* one at a time, and the next sees it */
}

static void go_round(rounds *shared) {
    pshm_barrier *barrier;
    pshm_segment *segment = attach(shared->parties, &barrier);
    for (int i = 0; i < ROUNDS; i++) {
        shared->came[i]++;
        int code = pshm_barrier_await(barrier, -1, NULL, tick, shared);
        if (code < 0 || code >= shared->parties)
            CHECK_FAIL("round %d: %d %s", i, code, pshm_error_detail());
        CHECK_EQ(shared->came[i], shared->parties);
        CHECK_EQ(shared->acted[i], 1);
        CHECK_EQ(shared->done, i + 1);
        if (code == 0)
            shared->first[i]++;
    }
    CHECK_OK(pshm_segment_close(segment));
}

static void *go_round_thread(void *shared) {
    go_round(shared);
    return NULL;
}

static void go_round_here(void *argument) {
    rounds *shared = argument;
    pthread_t threads[8];
    for (int i = 1; i < shared->threads; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, go_round_thread, shared), 0);
    go_round(shared);
    for (int i = 1; i < shared->threads; i++)
        pthread_join(threads[i], NULL);
}

static void try_rounds(int processes, int threads) {
    rounds *shared = shared_zeroes(sizeof(*shared));
    pshm_barrier *barrier;
    pid_t pids[PROCESSES];
    shared->threads = threads;
    shared->parties = processes * threads;
    pshm_segment *segment = make(shared->parties, &barrier);
    for (int i = 0; i < processes; i++)
        pids[i] = start(go_round_here, shared);
    for (int i = 0; i < processes; i++)
        CHECK_JOIN(pids[i]);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(shared->first[i], 1);
    CHECK_EQ(look(barrier).broken, 0);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldGoThroughAThousandRounds(void) {
    try_rounds(PROCESSES, 1);
    try_rounds(2, 3);
    try_rounds(1, 4);
}

/* One of two waits, as many as `timeout_ns` says; the other comes too late. */
static void shouldBreakWhenTimedOut(void) {
    static const int64_t times[] = {0, 1, 20000000};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        pshm_barrier *barrier;
        pshm_segment *segment = make(3, &barrier);
        party *all = parties_of(3);
        char pid[32];
        invite(&all[0]);
        invite(&all[1]);
        all[0].go = AWAIT_NOW;
        AWAIT(look(barrier).waiting == 1);
        all[1].timeout_ns = times[i];
        all[1].go = AWAIT_NOW;
        CHECK_CODE(farewell(&all[1]), PSHM_ETIMEDOUT);
        CHECK_CODE(farewell(&all[0]), PSHM_EBROKEN);
        snprintf(pid, sizeof(pid), "pid=%d was timed out", all[1].pid);
        CHECK(strstr(all[0].detail, pid) != NULL);
        CHECK_BROKEN(barrier, PSHM_BREAK_TIMEOUT, all[1].pid);
        CHECK_CODE(pshm_barrier_await(barrier, times[i], NULL, NULL, NULL), PSHM_EBROKEN);
        CHECK_OK(pshm_segment_close(segment));
    }
}

/* A time that is not needed does not count, zero not even for the last. */
static void shouldPassInTime(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    all[0].timeout_ns = 3600 * INT64_C(1000000000);
    all[1].timeout_ns = 0;
    invite(&all[0]);
    invite(&all[1]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    all[1].go = AWAIT_NOW;
    CHECK_CODE(farewell(&all[1]), 0);
    CHECK_CODE(farewell(&all[0]), 1);
    CHECK_OK(pshm_segment_close(segment));
}

/* ---- interrupts ---- */

static void ignore(int signal) { (void)signal; }

static void be_interrupted(void *argument) {
    (void)argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(3, &barrier);
    pshm_interrupt interrupt;
    guest one, two;
    /* In the midst. */
    begin_guest(&one, barrier);
    begin_guest(&two, barrier);
    AWAIT(look(barrier).waiting == 2);
    pshm_interrupt_raise(&one.interrupt);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    CHECK_CODE(one.code, PSHM_EINTERRUPTED);
    CHECK_CODE(two.code, PSHM_EBROKEN);
    CHECK(strstr(two.detail, "was interrupted") != NULL);
    CHECK_BROKEN(barrier, PSHM_BREAK_INTERRUPT, getpid());
    /* Before, when it is broken, and when it is not. */
    pshm_interrupt_init(&interrupt);
    pshm_interrupt_raise(&interrupt);
    CHECK_CODE(pshm_barrier_await(barrier, -1, &interrupt, NULL, NULL), PSHM_EBROKEN);
    CHECK_OK(pshm_barrier_reset(barrier));
    begin_guest(&two, barrier);
    AWAIT(look(barrier).waiting == 1);
    CHECK_CODE(pshm_barrier_await(barrier, -1, &interrupt, NULL, NULL), PSHM_EINTERRUPTED);
    pthread_join(two.thread, NULL);
    CHECK_CODE(two.code, PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_INTERRUPT, getpid());
    /* By a signal. */
    CHECK_OK(pshm_barrier_reset(barrier));
    struct sigaction action = {.sa_handler = ignore};
    sigaction(SIGUSR1, &action, NULL);
    begin_guest(&one, barrier);
    AWAIT(look(barrier).waiting == 1);
    while (look(barrier).waiting == 1) {
        pthread_kill(one.thread, SIGUSR1);
        sleep_ms(1);
    }
    pthread_join(one.thread, NULL);
    CHECK_CODE(one.code, PSHM_EINTERRUPTED);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldBreakWhenInterrupted(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(3, &barrier);
    CHECK_JOIN(start(be_interrupted, NULL));
    CHECK_OK(pshm_segment_close(segment));
}

/* ---- more threads than parties ---- */

static atomic_int *gate;

static void wait_at_gate(void *unused) {
    (void)unused;
    atomic_fetch_add(ran, 1);
    AWAIT(*gate != 0);
}

static void *await_gate(void *argument) {
    guest *self = argument;
    self->code = pshm_barrier_await(self->barrier, -1, NULL, wait_at_gate, NULL);
    return NULL;
}

static void be_many(void *argument) {
    enum { COUNT = 6 };
    (void)argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(2, &barrier);
    guest all[COUNT];
    int indices[2] = {0, 0};
    for (int i = 0; i < COUNT; i++) {
        all[i].barrier = barrier;
        CHECK_EQ(pthread_create(&all[i].thread, NULL, await_gate, &all[i]), 0);
    }
    AWAIT(*ran == 1);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(look(barrier).waiting, 2); /* the others are kept out */
        sleep_ms(1);
    }
    CHECK_EQ(*ran, 1);
    *gate = 1;
    for (int i = 0; i < COUNT; i++) {
        pthread_join(all[i].thread, NULL);
        CHECK(all[i].code == 0 || all[i].code == 1);
        indices[all[i].code]++;
    }
    CHECK_EQ(indices[0], COUNT / 2);
    CHECK_EQ(indices[1], COUNT / 2);
    CHECK_EQ(*ran, COUNT / 2);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldLetMoreThreadsThanPartiesThrough(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    *ran = 0;
    *gate = 0;
    CHECK_JOIN(start(be_many, NULL));
    CHECK_OK(pshm_segment_close(segment));
}

int main(void) {
    check_begin(100);
    ran = shared_zeroes(sizeof(*ran));
    gate = shared_zeroes(sizeof(*gate));
    RUN(shouldRefuseParties);
    RUN(shouldRunNoActionThatAPeerMakesUp);
    RUN(shouldPassAlone);
    RUN(shouldRememberEachGeneration);
    RUN(shouldBreakWhenAborted);
    RUN(shouldBeginAnewWhenReset);
    RUN(shouldBreakWhenGivenUp);
    RUN(shouldTellTheIndexWhenTrippedBeforeItIsGivenUp);
    RUN(shouldRunTheActionInSteps);
    RUN(shouldTellTheIndexOfArrival);
    RUN(shouldGoThroughAThousandRounds);
    RUN(shouldBreakWhenTimedOut);
    RUN(shouldPassInTime);
    RUN(shouldBreakWhenInterrupted);
    RUN(shouldLetMoreThreadsThanPartiesThrough);
    return check_end();
}
