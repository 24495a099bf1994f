/* SPDX-License-Identifier: Apache-2.0
 *
 * Waits for a lock that can be left: by time, interrupt, signal and close, among waits of the other
 * kind, and with deaths at the steps that matter and at any.
 */
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "internal.h"

static const int64_t endless = -1;

static pshm_lock *open_lock(pshm_segment *segment) {
    pshm_lock *lock;
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    return lock;
}

static bool forbidden; /* futex_waitv */
static pshm_segment *segment;
static pshm_lock *lock;

static void begin(void) {
    CHECK_OK(pshm_segment_create(name_of("await"), 16384, NULL, &segment));
    lock = open_lock(segment);
}

static void join(void) {
    CHECK_OK(pshm_segment_open(name_of("await"), NULL, &segment));
    lock = open_lock(segment);
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("await")));
}

static pshm_lock_info inspect(void) {
    pshm_lock_info info;
    CHECK_OK(pshm_lock_inspect(lock, &info));
    return info;
}

/* ---- steps ---- */

typedef struct page {
    atomic_int step, armed, stopped, go, held, done;
    int64_t plain[2]; /* guarded by the lock: two that must stay equal */
    atomic_long turns[8];
} page;

static page *shared;

/* Before this step the thread does `at_step`, once that is armed. */
static _Thread_local const char *stops_before;
static _Thread_local int stops_after; /* so many that it passes */
static void (*at_step)(void);

#ifdef PSHM_KILL_POINTS
void pshm__at_kill_point(const pshm__kill_point *point, uint64_t at) {
    (void)at;
    if (stops_before != NULL && shared->armed && strcmp(point->function, "await_mutex") == 0 &&
        strcmp(point->step, stops_before) == 0 && stops_after-- == 0)
        at_step();
}
#endif

static void die(void) { raise(SIGKILL); }

static void rest(void) {
    shared->stopped = 1;
    AWAIT(shared->go == 1);
}

static char state_of(pid_t tid) {
    char path[48], line[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t length = read(fd, line, sizeof(line) - 1);
    CHECK(length > 0);
    close(fd);
    line[length] = '\0';
    return strrchr(line, ')')[2];
}

/* It has begun to wait, as the count of contentions says, and sleeps. */
static void await_sleepers(uint64_t contentions, pid_t last) {
    AWAIT(inspect().contentions == contentions);
    AWAIT(state_of(last) == 'S');
}

typedef struct waiter {
    bool repairs;
    int64_t timeout_ns;
    pshm_interrupt *interrupt;
    pthread_t thread;
    atomic_int tid, code;
} waiter;

enum { WAITING = 99 };

static int take(const waiter *self) {
    return self->repairs ? pshm_lock_await_abandoned(lock, self->timeout_ns, self->interrupt)
                         : pshm_lock_await(lock, self->timeout_ns, self->interrupt);
}

static void *wait_in_thread(void *argument) {
    waiter *self = argument;
    self->tid = gettid();
    const int code = take(self);
    if (code == 0)
        CHECK_OK(pshm_lock_release(lock));
    self->code = code;
    return NULL;
}

static void start_waiter(waiter *self) {
    const uint64_t contentions = inspect().contentions;
    self->code = WAITING;
    self->tid = 0;
    CHECK_EQ(pthread_create(&self->thread, NULL, wait_in_thread, self), 0);
    AWAIT(self->tid != 0);
    await_sleepers(contentions + 1, self->tid);
}

static void expect_code(waiter *self, int code) {
    CHECK_EQ(pthread_join(self->thread, NULL), 0);
    CHECK_CODE(self->code, code);
}

static void hold_in_process(void *argument) {
    (void)argument;
    join();
    CHECK_OK(pshm_lock_acquire(lock));
    shared->held = 1;
    AWAIT(shared->go == 1);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
}

static pid_t start_holder(void) {
    shared->held = shared->go = 0;
    pid_t child = start(hold_in_process, NULL);
    AWAIT(shared->held == 1);
    return child;
}

static void end_holder(pid_t child) {
    shared->go = 1;
    CHECK_JOIN(child);
}

/* ---- alone ---- */

static void shouldTakeWhatIsFree(void) {
    begin();
    CHECK_OK(pshm_lock_await(lock, 0, NULL));
    CHECK_OK(pshm_lock_await(lock, endless, NULL)); /* and once more */
    CHECK_OK(pshm_lock_await(lock, INT64_MAX, NULL));
    CHECK_EQ(pshm_lock_depth(lock), 3);
    CHECK_EQ(inspect().holder.tid, gettid());
    CHECK_CODE(pshm_lock_await_abandoned(lock, endless, NULL), PSHM_EGOOD);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pshm_lock_release(lock));
    CHECK_CODE(pshm_lock_await_abandoned(lock, 0, NULL), PSHM_EGOOD);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    CHECK_EQ(inspect().contentions, 0);
    end();
}

static void shouldEndWithTheTime(void) {
    begin();
    pid_t holder = start_holder();
    CHECK_CODE(pshm_lock_await(lock, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_lock_await_abandoned(lock, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_EQ(inspect().contentions, 0); /* none of these waited */
    for (int64_t ns = 1; ns <= 25000000; ns *= 5) {
        const int64_t before = now_ns();
        CHECK_CODE(pshm_lock_await(lock, ns, NULL), PSHM_ETIMEDOUT);
        CHECK(now_ns() - before >= ns); /* never early */
    }
    CHECK_EQ(pshm_lock_depth(lock), 0);
    end_holder(holder);
    CHECK_OK(pshm_lock_await(lock, endless, NULL));
    CHECK_OK(pshm_lock_release(lock));
    end();
}

/* ---- interrupts ---- */

static void shouldBeInterruptedBeforeAndDuring(void) {
    pshm_interrupt interrupt;
    begin();
    pshm_interrupt_init(&interrupt);
    pshm_interrupt_raise(&interrupt);
    for (int i = 0; i < 2; i++) { /* stays raised, though the lock is free */
        CHECK_CODE(pshm_lock_await(lock, endless, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_lock_await(lock, 0, &interrupt), PSHM_EINTERRUPTED);
        CHECK_CODE(pshm_lock_await_abandoned(lock, endless, &interrupt), PSHM_EINTERRUPTED);
    }
    CHECK_EQ(pshm_lock_depth(lock), 0);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);

    pid_t holder = start_holder();
    for (int i = 0; i < 20; i++) {
        waiter one = {.timeout_ns = endless, .interrupt = &interrupt, .repairs = i % 2 == 1};
        waiter other = {.timeout_ns = endless};
        start_waiter(&one);
        start_waiter(&other);
        pshm_interrupt_raise(&interrupt);
        expect_code(&one, PSHM_EINTERRUPTED);
        CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
        CHECK_EQ(other.code, WAITING); /* it does not concern the other one */
        end_holder(holder);
        expect_code(&other, 0);
        holder = start_holder();
    }
    end_holder(holder);
    CHECK_OK(pshm_lock_await(lock, endless, &interrupt));
    CHECK_OK(pshm_lock_release(lock));
    end();
}

/* The interrupt has come first. */
static void shouldBeInterruptedThoughTheLockIsFreeThen(void) {
    pshm_interrupt interrupt;
    begin();
    pshm_interrupt_init(&interrupt);
    for (int round = 0; round < 300; round++) {
        waiter one = {.timeout_ns = endless, .interrupt = &interrupt};
        CHECK_OK(pshm_lock_acquire(lock));
        start_waiter(&one);
        pshm_interrupt_raise(&interrupt);
        CHECK_OK(pshm_lock_release(lock));
        expect_code(&one, PSHM_EINTERRUPTED);
        CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
    }
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

/* Who is woken by the release and leaves takes no wake-up along. */
static void shouldLoseNothingWhenInterruptMeetsRelease(void) {
    enum { ROUNDS = 1000 };
    raiser rival = {.stop = false};
    pthread_t thread;
    int interrupted = 0;
    begin();
    pshm_interrupt_init(&rival.interrupt);
    pthread_barrier_init(&rival.ready, NULL, 2);
    CHECK_EQ(pthread_create(&thread, NULL, raise_in_thread, &rival), 0);
    for (int round = 0; round < ROUNDS; round++) {
        waiter one = {.timeout_ns = endless, .interrupt = &rival.interrupt};
        waiter other = {.timeout_ns = endless};
        CHECK_OK(pshm_lock_acquire(lock));
        start_waiter(&one);
        start_waiter(&other);
        pthread_barrier_wait(&rival.ready);
        CHECK_OK(pshm_lock_release(lock));
        pthread_barrier_wait(&rival.ready);
        expect_code(&other, 0);
        pthread_join(one.thread, NULL);
        CHECK(one.code == 0 || one.code == PSHM_EINTERRUPTED);
        interrupted += one.code != 0;
        CHECK_EQ(pshm_interrupt_clear(&rival.interrupt), 1);
    }
    rival.stop = true;
    pthread_barrier_wait(&rival.ready);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&rival.ready);
    printf("    %d of %d interrupted\n", interrupted, ROUNDS);
    end();
}

static atomic_int handled;

static void handle(int signal) {
    (void)signal;
    handled++;
}

/* Whether it waits still. */
static bool outlasts_signals(waiter *self) {
    CHECK_OK(pshm_lock_acquire(lock));
    start_waiter(self);
    handled = 0;
    for (int signals = 1; signals <= 20 && self->code == WAITING; signals++) {
        pthread_kill(self->thread, SIGUSR1);
        if (!CHECK_TSAN) /* which calls the handler later */
            AWAIT(handled == signals || self->code != WAITING);
        sleep_ms(1);
    }
    const bool waits = self->code == WAITING;
    CHECK_OK(pshm_lock_release(lock));
    expect_code(self, waits ? 0 : PSHM_EINTERRUPTED);
    return waits;
}

static void shouldBeEndedByASignalOnlyWithAnInterrupt(void) {
    pshm_interrupt interrupt, ignores;
    struct sigaction action = {.sa_handler = handle}, before;
    begin();
    pshm_interrupt_init(&interrupt);
    pshm_interrupt_init(&ignores);
    pshm_interrupt_ignore_signals(&ignores);
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    CHECK(outlasts_signals(&(waiter){.timeout_ns = endless}));
    CHECK(outlasts_signals(&(waiter){.timeout_ns = endless, .interrupt = &ignores}));
    CHECK(!outlasts_signals(&(waiter){.timeout_ns = endless, .interrupt = &interrupt}));
    CHECK(!outlasts_signals(&(waiter){.timeout_ns = INT64_MAX, .interrupt = &interrupt}));
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 0);
    action.sa_flags = SA_RESTART;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(outlasts_signals(&(waiter){.timeout_ns = endless, .interrupt = &interrupt}),
             !forbidden);
    sigaction(SIGUSR1, &before, NULL);
    end();
}

/* ---- close ---- */

static void shouldTellOfACloseAtOnce(void) {
    pshm_interrupt interrupt;
    begin();
    pshm_interrupt_init(&interrupt);
    pid_t holder = start_holder();
    waiter waiters[3] = {{.timeout_ns = endless},
                         {.timeout_ns = INT64_MAX, .interrupt = &interrupt},
                         {.timeout_ns = endless, .repairs = true}};
    for (int i = 0; i < 3; i++)
        start_waiter(&waiters[i]);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    for (int i = 0; i < 3; i++)
        expect_code(&waiters[i], PSHM_ECLOSED);
    CHECK_EQ(shared->go, 0); /* it is held still */
    CHECK_CODE(pshm_lock_await(lock, endless, NULL), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
    end_holder(holder);
    CHECK_EQ(mappings(), 0);
    CHECK_OK(pshm_segment_unlink(name_of("await")));
}

/* ---- deaths ---- */

static void shouldBeToldThatTheOwnerDied(void) {
    pshm_interrupt interrupt;
    begin();
    pshm_interrupt_init(&interrupt);
    pid_t holder = start_holder();
    waiter one = {.timeout_ns = endless}, other = one;
    start_waiter(&one);
    start_waiter(&other);
    kill_child(holder);
    expect_code(&one, PSHM_EOWNERDIED);
    expect_code(&other, PSHM_EOWNERDIED);
    CHECK_EQ(inspect().deaths, 1);
    CHECK_EQ(inspect().dead.pid, holder);

    CHECK_OK(pshm_lock_await_abandoned(lock, endless, &interrupt));
    waiter second = {.timeout_ns = endless, .interrupt = &interrupt, .repairs = true};
    start_waiter(&second);
    pshm_interrupt_raise(&interrupt);
    expect_code(&second, PSHM_EINTERRUPTED);
    CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
    start_waiter(&second);
    CHECK_OK(pshm_lock_release(lock)); /* not repaired */
    expect_code(&second, 0);
    CHECK_OK(pshm_lock_await_abandoned(lock, endless, NULL));
    start_waiter(&second);
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
    expect_code(&second, PSHM_EGOOD);
    end();
}

/* Where the victim is stopped when it has been woken. */
typedef struct victim {
    const char *before;
    int passes;
} victim;

static void be_victim(void *argument) {
    const victim *self = argument;
    join();
    stops_before = self->before;
    stops_after = self->passes;
    shared->done += pshm_lock_await(lock, endless, NULL) == 0;
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
}

static void be_other(void *unused) {
    (void)unused;
    join();
    CHECK_OK(pshm_lock_acquire(lock));
    shared->done++;
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
}

/* Both sleep on the lock, the victim first, which the kernel wakes first, and we hold it. */
static void begin_with(const victim *first, pid_t *one, pid_t *other) {
    begin();
    shared->done = shared->armed = shared->stopped = shared->go = 0;
    CHECK_OK(pshm_lock_acquire(lock));
    *one = start(be_victim, (void *)(uintptr_t)first);
    await_sleepers(1, *one);
    *other = start(be_other, NULL);
    await_sleepers(2, *other);
    AWAIT(state_of(*one) == 'S'); /* again: the other has joined */
    shared->armed = 1;
}

/* It is killed before it has acted on its wake-up: at the look after it, before it takes the mutex,
 * and before it says that others wait. */
static void shouldWakeAnotherWhenTheOneThatWasWokenIsKilled(void) {
    static const victim victims[] = {{"mark", 0}, {"try", 0}, {"mark", 1}};
    pid_t one, other;
    at_step = die;
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        begin_with(&victims[i], &one, &other);
        CHECK_OK(pshm_lock_release(lock));
        CHECK_EQ(wait_for(one), SIGKILL);
        CHECK_JOIN(other);
        CHECK_EQ(shared->done, 1);
        CHECK_EQ(inspect().deaths, 0); /* it had touched nothing */
        end();
    }
}

/* Another takes the mutex from under the one that was woken, and gives it back: it wakes nobody. */
static void shouldNotForgetTheOthersWhenOvertaken(void) {
    static const victim slow = {"try", 0};
    pid_t one, other;
    at_step = rest;
    begin_with(&slow, &one, &other);
    CHECK_OK(pshm_lock_release(lock));
    AWAIT(shared->stopped == 1);
    CHECK_OK(pshm_lock_try_acquire(lock)); /* nobody has died */
    CHECK_EQ(inspect().deaths, 0);
    CHECK_OK(pshm_lock_release(lock));
    shared->go = 1;
    CHECK_JOIN(one);
    CHECK_JOIN(other);
    CHECK_EQ(shared->done, 2);
    end();
}

/* It is overtaken before it has said that it waits, and killed: nobody knows of those that sleep
 * then, but they are told of its death. */
static void shouldNotForgetTheOthersWhenOvertakenAndKilled(void) {
    static const victim slow = {"mark", 0};
    pid_t one, other;
    at_step = rest;
    begin_with(&slow, &one, &other);
    CHECK_OK(pshm_lock_release(lock));
    AWAIT(shared->stopped == 1);
    CHECK_OK(pshm_lock_try_acquire(lock));
    kill_child(one);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_JOIN(other);
    CHECK_EQ(shared->done, 1);
    end();
}

/* ---- storms ---- */

enum { WORKERS = 6, TURNS = CHECK_TSAN ? 600 : 4000, KILLS = CHECK_TSAN ? 40 : 150 };

static pshm_interrupt nagged;
static pthread_t nagged_thread;
static atomic_bool nagging;

static void *nag(void *unused) {
    for (uint64_t seed = 5; nagging; sched_yield()) {
        if (random_next(&seed) % 2 == 0)
            pshm_interrupt_raise(&nagged);
        else
            pthread_kill(nagged_thread, SIGUSR1);
    }
    return unused;
}

static int take_somehow(uint64_t way) {
    int code;
    switch (way % 4) {
    case 0: return pshm_lock_acquire(lock);
    case 1:
        while ((code = pshm_lock_await(lock, endless, &nagged)) == PSHM_EINTERRUPTED)
            pshm_interrupt_clear(&nagged);
        return code;
    case 2:
        while ((code = pshm_lock_await(lock, (int64_t)(way % 100000), NULL)) == PSHM_ETIMEDOUT)
            continue;
        return code;
    default:
        while ((code = pshm_lock_timed_acquire(lock, 50000)) == PSHM_ETIMEDOUT)
            continue;
        return code;
    }
}

static void work_once(uint64_t way) {
    int code;
    while ((code = take_somehow(way)) == PSHM_EOWNERDIED) {
        code = pshm_lock_await_abandoned(lock, endless, NULL);
        if (code == PSHM_EGOOD)
            continue; /* another has repaired it */
        CHECK_OK(code);
        if (shared->plain[1] != shared->plain[0])
            shared->plain[1] = shared->plain[0];
        CHECK_OK(pshm_lock_mark_good(lock));
        CHECK_OK(pshm_lock_release(lock));
    }
    CHECK_OK(code);
    CHECK_EQ(shared->plain[1], shared->plain[0]);
    *(volatile int64_t *)&shared->plain[0] += 1;
    if (way % 8 == 0)
        sched_yield(); /* so that others come to wait */
    *(volatile int64_t *)&shared->plain[1] += 1;
    CHECK_OK(pshm_lock_release(lock));
}

static void work(void *argument) {
    const int number = (int)(intptr_t)argument;
    struct sigaction action = {.sa_handler = handle};
    pthread_t nagger;
    uint64_t seed = (uint64_t)getpid();
    join();
    pshm_interrupt_init(&nagged);
    nagged_thread = pthread_self();
    nagging = true;
    sigaction(SIGUSR1, &action, NULL);
    if (number % 2 == 0)
        CHECK_EQ(pthread_create(&nagger, NULL, nag, NULL), 0);
    for (int i = 0; shared->step == 0 ? i < TURNS : shared->step == 1; i++) {
        work_once(shared->step == 0 ? (uint64_t)(i + number) : random_next(&seed) >> 32);
        shared->turns[number]++;
    }
    nagging = false;
    if (number % 2 == 0)
        CHECK_EQ(pthread_join(nagger, NULL), 0);
    CHECK_OK(pshm_segment_close(segment));
}

static pid_t start_worker(int number) { return start(work, (void *)(intptr_t)number); }

static void shouldCountExactlyInTheRain(void) {
    pid_t workers[WORKERS];
    begin();
    memset(shared, 0, sizeof(*shared));
    for (int i = 0; i < WORKERS; i++)
        workers[i] = start_worker(i);
    for (int i = 0; i < WORKERS; i++)
        CHECK_JOIN(workers[i]);
    CHECK_EQ(shared->plain[0], (int64_t)WORKERS * TURNS);
    CHECK_EQ(inspect().deaths, 0); /* none is made up */
    CHECK_EQ(inspect().abandoned, 0);
    printf("    contentions=%" PRIu64 "\n", inspect().contentions);
    end();
}

/* Each death costs one turn at most, and holds up nobody. */
static void shouldGoOnWhenWorkersAreKilled(void) {
    pid_t workers[WORKERS];
    uint64_t seed = 77;
    begin();
    memset(shared, 0, sizeof(*shared));
    shared->step = 1;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = start_worker(i);
    for (int kills = 0; kills < KILLS; kills++) {
        const int one = (int)(random_next(&seed) % WORKERS);
        const long before = shared->turns[one];
        if (kills % 2 == 0) /* not only those that have just come */
            AWAIT(shared->turns[one] > before);
        kill_child(workers[one]);
        workers[one] = start_worker(one);
    }
    for (int i = 0; i < WORKERS; i++) {
        const long before = shared->turns[i];
        AWAIT(shared->turns[i] > before);
    }
    shared->step = 2;
    for (int i = 0; i < WORKERS; i++)
        CHECK_JOIN(workers[i]);
    CHECK_EQ(shared->plain[1], shared->plain[0]);
    CHECK(inspect().deaths <= KILLS);
    printf("    %d killed, %" PRIu64 " of them within\n", KILLS, inspect().deaths);
    end();
}

/* ---- where the system waits for one word only ---- */

static void forbid_futex_waitv(void) {
    forbidden = true;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    errno = 0;
    CHECK(syscall(449, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS);
}

static void run_all(void) {
    RUN(shouldTakeWhatIsFree);
    RUN(shouldEndWithTheTime);
    RUN(shouldBeInterruptedBeforeAndDuring);
    RUN(shouldBeInterruptedThoughTheLockIsFreeThen);
    RUN(shouldLoseNothingWhenInterruptMeetsRelease);
    RUN(shouldBeEndedByASignalOnlyWithAnInterrupt);
    RUN(shouldTellOfACloseAtOnce);
    RUN(shouldBeToldThatTheOwnerDied);
#ifdef PSHM_KILL_POINTS
    RUN(shouldWakeAnotherWhenTheOneThatWasWokenIsKilled);
    RUN(shouldNotForgetTheOthersWhenOvertaken);
    RUN(shouldNotForgetTheOthersWhenOvertakenAndKilled);
#endif
    RUN(shouldCountExactlyInTheRain);
    RUN(shouldGoOnWhenWorkersAreKilled);
}

int main(void) {
    check_begin(110);
    shared = shared_zeroes(sizeof(*shared));
    run_all();
    printf("without futex_waitv\n");
    forbid_futex_waitv();
    run_all();
    return check_end();
}
