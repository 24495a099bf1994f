/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers: what CyclicBarrier's contract says and what Python's suite tries, between processes and
 * threads; and who breaks one: the dead, the late, the interrupted, those that leave. This process
 * only looks and polls, so that it has one thread when it forks.
 */
#include "check.h"

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

/* One that awaits, in another process; what it does, and what has become of it. */
typedef struct party {
    int64_t parties;
    int64_t timeout_ns;
    void (*action)(void *);
    atomic_int at, go;
    atomic_int code;
    pid_t pid;
    char detail[640];
} party;

enum { OPENED = 1, DONE }; /* `at` */
enum { AWAIT_NOW = 1, LEAVE };

static atomic_int *ran; /* actions, in all processes */

static void count_up(void *unused) {
    (void)unused;
    atomic_fetch_add(ran, 1);
}

static void be_killed(void *unused) {
    (void)unused;
    kill(getpid(), SIGKILL);
}

static pshm_segment *make(int64_t parties, pshm_barrier **out) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 1 << 16, &last_out, &segment));
    CHECK_OK(pshm_barrier_open(segment, "b", parties, out));
    return segment;
}

static pshm_segment *attach(int64_t parties, pshm_barrier **out) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_barrier_open(segment, "b", parties, out));
    return segment;
}

static void come(void *argument) {
    party *self = argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(self->parties, &barrier);
    self->at = OPENED;
    AWAIT(self->go >= AWAIT_NOW);
    self->code = pshm_barrier_await(barrier, self->timeout_ns, NULL, self->action, NULL);
    snprintf(self->detail, sizeof(self->detail), "%s", pshm_error_detail());
    self->at = DONE;
    AWAIT(self->go == LEAVE);
    CHECK_OK(pshm_segment_close(segment));
}

static party *parties_of(int count) {
    party *all = shared_zeroes((size_t)count * sizeof(*all));
    for (int i = 0; i < count; i++)
        all[i] = (party){.parties = count, .timeout_ns = -1};
    return all;
}

/* Start it; it has opened the barrier then. */
static void invite(party *one) {
    one->pid = start(come, one);
    AWAIT(one->at == OPENED);
}

/* Its outcome, after which it is gone. */
static int farewell(party *one) {
    AWAIT(one->at == DONE);
    one->go = LEAVE;
    CHECK_JOIN(one->pid);
    return one->code;
}

static pshm_barrier_info look(pshm_barrier *barrier) {
    pshm_barrier_info info;
    CHECK_OK(pshm_barrier_inspect(barrier, &info));
    return info;
}

#define CHECK_BROKEN(barrier, by, of)                 \
    do {                                              \
        const pshm_barrier_info seen = look(barrier); \
        CHECK_EQ(seen.broken, 1);                     \
        CHECK_EQ(seen.waiting, 0);                    \
        CHECK_EQ(seen.cause, by);                     \
        CHECK_EQ(seen.pid, of);                       \
    } while (0)

/* The first poll of a wait of this thread. */
static int arrive(pshm_barrier *barrier, int has_action, pshm_wait *wait) {
    CHECK_OK(pshm_barrier_prepare(barrier, has_action, wait));
    return pshm_wait_poll(wait);
}

/* It is good: two of this thread's waits, of which all consists, go through. */
static void check_good(pshm_barrier *barrier) {
    pshm_wait one, two;
    CHECK_EQ(look(barrier).broken, 0);
    CHECK_EQ(look(barrier).waiting, 0);
    CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
    CHECK_EQ(look(barrier).waiting, 1);
    CHECK_CODE(arrive(barrier, 0, &two), 0);
    CHECK_CODE(pshm_wait_poll(&one), 1);
    CHECK_EQ(look(barrier).waiting, 0);
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
    CHECK_DETAIL("name=b, parties=3");
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
    CHECK_DETAIL("trip: name=b");
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

typedef struct guest {
    pthread_t thread;
    pshm_barrier *barrier;
    pshm_interrupt interrupt;
    int code;
    char detail[640];
} guest;

static void *await_interruptibly(void *argument) {
    guest *self = argument;
    self->code = pshm_barrier_await(self->barrier, -1, &self->interrupt, NULL, NULL);
    snprintf(self->detail, sizeof(self->detail), "%s", pshm_error_detail());
    return NULL;
}

static void begin_guest(guest *self, pshm_barrier *barrier) {
    self->barrier = barrier;
    pshm_interrupt_init(&self->interrupt);
    CHECK_EQ(pthread_create(&self->thread, NULL, await_interruptibly, self), 0);
}

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

/* ---- deaths ---- */

static void check_death(const party *told, pid_t dead) {
    char text[64];
    CHECK_CODE(told->code, PSHM_EBROKEN);
    snprintf(text, sizeof(text), "it broke because pid=%d died; reset it", dead);
    if (strstr(told->detail, text) == NULL)
        CHECK_FAIL("\"%s\" has no \"%s\"", told->detail, text);
}

/* The one that waits is told without anybody else's help: this process does not look before. */
static void shouldBreakWhenAPartyDies(void) {
    enum { BEFORE, ARRIVED, IN_ACTION, AFTER_TRIP, STOPPED, WAYS };
    for (int way = BEFORE; way < WAYS; way++) {
        pshm_barrier *barrier;
        pshm_segment *segment = make(way == IN_ACTION || way == AFTER_TRIP ? 2 : 3, &barrier);
        party *all = parties_of(way == IN_ACTION || way == AFTER_TRIP ? 2 : 3);
        invite(&all[0]);
        invite(&all[1]);
        all[0].go = AWAIT_NOW;
        AWAIT(look(barrier).waiting == 1);
        if (way == STOPPED) {
            stop_child(all[1].pid);
            CHECK_EQ(look(barrier).broken, 0);
        }
        if (way == ARRIVED || way == AFTER_TRIP)
            all[1].go = AWAIT_NOW;
        if (way == ARRIVED)
            AWAIT(look(barrier).waiting == 2);
        if (way == AFTER_TRIP) {
            AWAIT(all[0].at == DONE && all[1].at == DONE);
            CHECK_CODE(all[0].code, 1);
        }
        if (way == IN_ACTION) {
            all[1].action = be_killed;
            all[1].go = AWAIT_NOW;
            wait_for(all[1].pid);
        } else {
            kill_child(all[1].pid);
        }
        if (way == AFTER_TRIP) {
            /* Those that come are told. */
            CHECK_CODE(farewell(&all[0]), 1);
            pshm_wait wait;
            CHECK_CODE(arrive(barrier, 0, &wait), PSHM_EBROKEN);
            CHECK_DETAIL("died; reset it");
        } else {
            farewell(&all[0]);
            check_death(&all[0], all[1].pid);
        }
        CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[1].pid);
        CHECK_OK(pshm_barrier_reset(barrier));
        CHECK_EQ(look(barrier).broken, 0); /* the dead break it once */
        if (look(barrier).parties == 2)
            check_good(barrier);
        CHECK_OK(pshm_segment_close(segment));
    }
}

/* He who has come before the death, and he who comes when nobody has looked. */
static void shouldTellTheLast(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    kill_child(all[0].pid);
    CHECK_CODE(arrive(barrier, 1, &mine), PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    /* A death while it is broken is forgiven with the rest. */
    invite(&all[1]);
    kill_child(all[1].pid);
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_EQ(look(barrier).pid, all[0].pid);
    CHECK_OK(pshm_segment_close(segment));
}

/* Killed when the end of the generation has been stored, and nothing else. */
static void end_by_halves(void *argument) {
    const uint64_t *how = argument;
    pshm_barrier *barrier;
    attach(3, &barrier);
    const pshm__barrier *shared = (const pshm__barrier *)(const void *)barrier->sync.events;
    CHECK_OK(pshm__monitor_enter(&barrier->sync));
    PSHM__STORE(shared->ends[1], UINT64_C(1) << 8 | *how, memory_order_relaxed);
    kill(getpid(), SIGKILL);
}

static void shouldCompleteWhatADeadOneHasBegun(void) {
    uint64_t hows[] = {PSHM_BREAK_NONE, PSHM_BREAK_RESET};
    for (int i = 0; i < 2; i++) {
        pshm_barrier *barrier;
        pshm_segment *segment = make(3, &barrier);
        pshm_wait wait;
        CHECK_CODE(arrive(barrier, 0, &wait), PSHM_EBUSY);
        pid_t pid = start(end_by_halves, &hows[i]);
        wait_for(pid);
        CHECK_CODE(pshm_wait_poll(&wait), i == 0 ? 2 : PSHM_EBROKEN);
        CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, pid); /* in the next generation */
        CHECK_OK(pshm_segment_close(segment));
    }
}

static void shouldTellAnActionOfADeath(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    CHECK_CODE(arrive(barrier, 1, &mine), PSHM_BARRIER_ACTION);
    kill_child(all[0].pid);
    CHECK_CODE(pshm_barrier_trip(&mine), PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_OK(pshm_segment_close(segment));
}

/* Its successor in the slot finds what it has left. */
static void shouldBreakWhenTheDeadOnesSlotIsTaken(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(3, &barrier);
    party *all = parties_of(3);
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    kill_child(all[0].pid);
    invite(&all[1]);
    all[1].go = AWAIT_NOW;
    farewell(&all[1]);
    check_death(&all[1], all[0].pid);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldWaitForThoseThatAreStopped(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    stop_child(all[0].pid);
    CHECK_CODE(arrive(barrier, 0, &mine), 0);
    for (int i = 0; i < 10; i++)
        check_good(barrier);
    kill(all[0].pid, SIGCONT);
    CHECK_CODE(farewell(&all[0]), 1);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldKeepBarriersApart(void) {
    pshm_barrier *barrier, *other;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait waits[2];
    CHECK_OK(pshm_barrier_open(segment, "other", 2, &other));
    CHECK_CODE(arrive(other, 0, &waits[0]), PSHM_EBUSY);
    invite(&all[0]);
    kill_child(all[0].pid);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    CHECK_EQ(look(other).waiting, 1);
    CHECK_CODE(arrive(other, 0, &waits[1]), 0);
    CHECK_CODE(pshm_wait_poll(&waits[0]), 1);
    check_good(other);
    CHECK_OK(pshm_segment_close(segment));
}

/* ---- those that leave in order ---- */

/* Thread `two` waits, and the segment is closed, or the process ends. */
static void leave_with_a_waiter(void *argument) {
    party *self = argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(3, &barrier);
    static guest two;
    if (self->code != 0)
        begin_guest(&two, barrier);
    self->at = OPENED;
    AWAIT(self->go == LEAVE);
    if (self->timeout_ns == 0) {
        if (self->code != 0)
            pthread_detach(two.thread);
        exit(0);
    }
    CHECK_OK(pshm_segment_close(segment));
    if (self->code != 0) {
        pthread_join(two.thread, NULL);
        CHECK_CODE(two.code, PSHM_ECLOSED);
    }
}

static void shouldBreakWhenAWaiterLeaves(void) {
    enum { EXITS = 1, WAITS = 2, PERSISTS = 4 };
    for (int way = 0; way < 8; way++) {
        pshm_segment *segment;
        pshm_barrier *barrier;
        party *all = parties_of(3);
        const int waits = (way & WAITS) != 0;
        CHECK_OK(pshm_segment_create(name_of("s"), 1 << 16, way & PERSISTS ? NULL : &last_out,
                                     &segment));
        CHECK_OK(pshm_barrier_open(segment, "b", 3, &barrier));
        invite(&all[0]);
        all[0].go = AWAIT_NOW;
        all[1].timeout_ns = way & EXITS ? 0 : -1;
        all[1].code = waits;
        all[1].pid = start(leave_with_a_waiter, &all[1]);
        AWAIT(all[1].at == OPENED && look(barrier).waiting == 1 + waits);
        all[1].go = LEAVE;
        CHECK_JOIN(all[1].pid);
        if (waits) {
            CHECK_CODE(farewell(&all[0]), PSHM_EBROKEN);
            CHECK(strstr(all[0].detail, "closed the segment, or ended; reset it") != NULL);
            CHECK_BROKEN(barrier, PSHM_BREAK_CLOSE, all[1].pid);
        } else {
            pshm_wait one, two;
            CHECK_EQ(look(barrier).waiting, 1);
            CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
            CHECK_CODE(arrive(barrier, 0, &two), 0);
            CHECK_CODE(farewell(&all[0]), 2);
        }
        CHECK_OK(pshm_segment_close(segment));
        if (way & PERSISTS)
            CHECK_OK(pshm_segment_unlink(name_of("s")));
    }
}

/* ---- forks ---- */

typedef struct heir {
    pshm_barrier *barrier;
    atomic_int *at;
    bool takes_part;
} heir;

static void inherit(void *argument) {
    const heir *self = argument;
    if (self->takes_part)
        CHECK_EQ(look(self->barrier).waiting, 1);
    *self->at = 1;
    for (;;)
        pause();
}

/* A child is a party from its first call on; its parent's arrivals are not its own. */
static void shouldHaveAChildAsAPartyFromItsFirstCall(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    heir child = {.barrier = barrier, .at = shared_zeroes(sizeof(atomic_int))};
    for (int way = 0; way < 2; way++) {
        pshm_wait one, two;
        CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
        child.takes_part = way == 1;
        *child.at = 0;
        pid_t pid = start(inherit, &child);
        AWAIT(*child.at == 1);
        kill_child(pid);
        if (way == 0) {
            CHECK_CODE(arrive(barrier, 0, &two), 0);
            CHECK_CODE(pshm_wait_poll(&one), 1);
        } else {
            CHECK_CODE(arrive(barrier, 0, &two), PSHM_EBROKEN);
            CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, pid);
        }
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
    RUN(shouldBreakWhenAPartyDies);
    RUN(shouldTellTheLast);
    RUN(shouldCompleteWhatADeadOneHasBegun);
    RUN(shouldTellAnActionOfADeath);
    RUN(shouldBreakWhenTheDeadOnesSlotIsTaken);
    RUN(shouldWaitForThoseThatAreStopped);
    RUN(shouldKeepBarriersApart);
    RUN(shouldBreakWhenAWaiterLeaves);
    RUN(shouldHaveAChildAsAPartyFromItsFirstCall);
    return check_end();
}
