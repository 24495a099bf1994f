/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told when the holder of a lock dies: always, to everybody, until it has been repaired;
 * and never when nobody died inside.
 */
#include "check.h"

#include "internal.h"

static pshm_segment *make(pshm_lock **lock) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", lock));
    return segment;
}

static pshm_lock *join(void) {
    pshm_segment *segment;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    return lock;
}

static void drop(pshm_segment *segment) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static pshm_lock_info inspect(pshm_lock *lock) {
    pshm_lock_info info;
    CHECK_OK(pshm_lock_inspect(lock, &info));
    return info;
}

static void expect_abandoned(pshm_lock *lock) {
    for (int i = 0; i < 2; i++) {
        CHECK_CODE(pshm_lock_acquire(lock), PSHM_EOWNERDIED);
        CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EOWNERDIED);
        CHECK_CODE(pshm_lock_timed_acquire(lock, 1000000), PSHM_EOWNERDIED);
        CHECK_CODE(pshm_lock_timed_acquire(lock, -1), PSHM_EOWNERDIED);
        CHECK_EQ(pshm_lock_depth(lock), 0);
        CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
        CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ENOTOWNER);
        CHECK_EQ(inspect(lock).abandoned, 1);
        CHECK_EQ(inspect(lock).holder.pid, 0);
    }
}

static void expect_good(pshm_lock *lock) {
    CHECK_EQ(inspect(lock).abandoned, 0);
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EGOOD);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_EQ(pshm_lock_depth(lock), 1);
    CHECK_OK(pshm_lock_release(lock));
}

static void repair(pshm_lock *lock) {
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    CHECK_EQ(pshm_lock_depth(lock), 1);
    CHECK_EQ(inspect(lock).abandoned, 1);
    CHECK_EQ(inspect(lock).holder.pid, getpid());
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
    expect_good(lock);
}

static void die_holding(void *argument) {
    const int depth = argument == NULL ? 1 : *(const int *)argument;
    pshm_lock *lock = join();
    pshm_thread_set_name("the deceased");
    for (int i = 0; i < depth; i++)
        CHECK_OK(pshm_lock_acquire(lock));
    raise(SIGKILL);
}

static void exit_holding(void *argument) {
    (void)argument;
    CHECK_OK(pshm_lock_acquire(join()));
    exit(0);
}

static void acquire_elsewhere(void *argument) {
    pshm_lock *lock = join();
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EOWNERDIED);
    CHECK_DETAIL("the deceased");
    CHECK_DETAIL((const char *)argument);
    CHECK_OK(pshm_segment_close(lock->segment));
}

static void be_told(void *argument) {
    (void)argument;
    CHECK_CODE(pshm_lock_acquire(join()), PSHM_EOWNERDIED);
}

static void shouldTellEverybodyUntilRepaired(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    int32_t pid = start(die_holding, NULL);
    char text[32];
    CHECK_EQ(wait_for(pid), SIGKILL);
    snprintf(text, sizeof(text), "pid=%d", pid);
    CHECK_EQ(inspect(lock).holder.pid, pid); /* nobody has looked yet */
    expect_abandoned(lock);
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EOWNERDIED);
    CHECK_DETAIL(text);
    CHECK_DETAIL("lock: segment=");
    CHECK_DETAIL(", name=l: its holder");
    CHECK_DETAIL("repair");
    CHECK_JOIN(start(acquire_elsewhere, text));

    pshm_lock_info info = inspect(lock);
    CHECK_EQ(info.deaths, 1); /* one death, however many were told */
    CHECK_EQ(info.dead.pid, pid);
    CHECK_EQ(info.dead.tid, pid);
    CHECK_STR(info.dead.thread_name, "the deceased");
    CHECK(info.dead.start_time > 0);
    CHECK(info.dead.since_ns > 1600000000000000000);
    repair(lock);
    info = inspect(lock);
    CHECK_EQ(info.deaths, 1);
    CHECK_EQ(info.dead.pid, pid); /* who it was, is still known */

    CHECK_JOIN(start(exit_holding, NULL)); /* an end in good order is a death as well */
    CHECK_JOIN(start(be_told, NULL));
    CHECK_EQ(inspect(lock).deaths, 2);
    pshm_lock_told(&info); /* but not this thread, yet */
    CHECK_EQ(info.deaths, 1);
    CHECK_EQ(info.dead.pid, pid);
    expect_abandoned(lock);
    pshm_lock_told(&info);
    CHECK_EQ(info.deaths, 2);
    repair(lock);
    drop(segment);
}

static void shouldTellWhateverTheDepth(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    for (int depth = 1; depth <= 5; depth++) {
        CHECK_EQ(wait_for(start(die_holding, &depth)), SIGKILL);
        expect_abandoned(lock);
        CHECK_OK(pshm_lock_acquire_abandoned(lock));
        CHECK_EQ(pshm_lock_depth(lock), 1);
        CHECK_OK(pshm_lock_acquire(lock)); /* within the repair, once more is no news */
        CHECK_OK(pshm_lock_acquire_abandoned(lock));
        CHECK_EQ(pshm_lock_depth(lock), 3);
        CHECK_OK(pshm_lock_mark_good(lock));
        for (int i = 0; i < 3; i++)
            CHECK_OK(pshm_lock_release(lock));
        expect_good(lock);
    }
    drop(segment);
}

static void *die_as_thread(void *lock) {
    pshm_thread_set_name("worker");
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_acquire(lock));
    return (void *)(uintptr_t)pshm__os_tid();
}

static int32_t thread_death(pshm_lock *lock) {
    pthread_t thread;
    void *tid;
    CHECK_EQ(pthread_create(&thread, NULL, die_as_thread, lock), 0);
    CHECK_EQ(pthread_join(thread, &tid), 0);
    return (int32_t)(uintptr_t)tid;
}

static void shouldTellOfAThreadsDeath(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    int32_t tid = thread_death(lock);
    expect_abandoned(lock);
    CHECK_EQ(inspect(lock).dead.pid, getpid());
    CHECK_EQ(inspect(lock).dead.tid, tid);
    CHECK_STR(inspect(lock).dead.thread_name, "worker");
    repair(lock);

    /* Nobody here holds what a dead thread has left, so nobody need release it before a close. */
    thread_death(lock);
    CHECK_OK(pshm_segment_close(segment));
    lock = join();
    expect_abandoned(lock);
    CHECK_EQ(inspect(lock).deaths, 2);
    repair(lock);
    drop(lock->segment);
}

/* ---- repair ---- */

static void die_repairing(void *argument) {
    pshm_lock *lock = join();
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    if (*(const int *)argument == 1)
        CHECK_OK(pshm_lock_acquire(lock));
    if (*(const int *)argument == 2) {
        CHECK_OK(pshm_lock_mark_good(lock)); /* repaired, and then died in a section of its own */
    }
    raise(SIGKILL);
}

static void shouldStayAbandonedWhenTheRepairDies(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    CHECK_EQ(wait_for(start(die_holding, NULL)), SIGKILL);
    for (int way = 0; way < 3; way++) {
        int32_t pid = start(die_repairing, &way);
        CHECK_EQ(wait_for(pid), SIGKILL);
        expect_abandoned(lock);
        CHECK_EQ(inspect(lock).dead.pid, pid);
        CHECK_EQ(inspect(lock).deaths, way + 2);
    }
    repair(lock);
    drop(segment);
}

static void shouldStayAbandonedWhenReleasedWithoutMarkGood(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    CHECK_EQ(wait_for(start(die_holding, NULL)), SIGKILL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(pshm_lock_acquire_abandoned(lock));
        CHECK_OK(pshm_lock_release(lock));
        expect_abandoned(lock);
    }
    CHECK_EQ(inspect(lock).deaths, 1);
    repair(lock);
    drop(segment);
}

static void repair_slowly(void *argument) {
    atomic_int *step = argument;
    pshm_lock *lock = join();
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    *step = 1;
    AWAIT(*step == 2);
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(lock->segment));
}

static void shouldWaitForARepairUnderWay(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    atomic_int *step = shared_zeroes(sizeof(*step));
    CHECK_EQ(wait_for(start(die_holding, NULL)), SIGKILL);
    pid_t child = start(repair_slowly, step);
    AWAIT(*step == 1);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EBUSY);
    CHECK_CODE(pshm_lock_timed_acquire(lock, 1000000), PSHM_ETIMEDOUT);
    *step = 2;
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EGOOD);
    CHECK_JOIN(child);
    expect_good(lock);
    drop(segment);
}

/* ---- waiters ---- */

static void hold_until_killed(void *argument) {
    atomic_int *step = argument;
    CHECK_OK(pshm_lock_acquire(join()));
    *step = 1;
    for (;;)
        pause();
}

static void wait_and_be_told(void *argument) {
    pshm_lock *lock = join();
    int64_t timeout = *(const int64_t *)argument;
    int code = timeout < 0 ? pshm_lock_acquire(lock) : pshm_lock_timed_acquire(lock, timeout);
    CHECK_CODE(code, PSHM_EOWNERDIED);
    CHECK_OK(pshm_segment_close(lock->segment));
}

static void shouldTellThoseWhoWaitAlready(void) {
    enum { WAITERS = 4 };
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    atomic_int *step = shared_zeroes(sizeof(*step));
    const int64_t timeouts[WAITERS] = {-1, 40000000000, -1, INT64_MAX};
    for (int round = 0; round < 10; round++) {
        pid_t children[WAITERS];
        *step = 0;
        uint64_t before = inspect(lock).contentions;
        pid_t holder = start(hold_until_killed, step);
        AWAIT(*step == 1);
        for (int i = 0; i < WAITERS; i++)
            children[i] = start(wait_and_be_told, (void *)(uintptr_t)&timeouts[i]);
        AWAIT(inspect(lock).contentions == before + WAITERS);
        sleep_ms(round);
        kill_child(holder);
        for (int i = 0; i < WAITERS; i++)
            CHECK_JOIN(children[i]);
        CHECK_EQ(inspect(lock).deaths, round + 1);
        repair(lock);
    }
    drop(segment);
}

static void wait_until_killed(void *argument) {
    (void)argument;
    pshm_lock_acquire(join());
    for (;;)
        pause();
}

/* A waiter that dies takes nothing with it, not even the wake-up that was meant for it. */
static void shouldNotCountAWaitersDeath(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    for (int round = 0; round < 20; round++) {
        uint64_t before = inspect(lock).contentions;
        CHECK_OK(pshm_lock_acquire(lock));
        pid_t waiter = start(wait_until_killed, NULL);
        AWAIT(inspect(lock).contentions == before + 1);
        kill_child(waiter);
        CHECK_OK(pshm_lock_release(lock));
        expect_good(lock);
    }
    CHECK_EQ(inspect(lock).deaths, 0);
    drop(segment);
}

/* ---- a storm; crash_matrix_test.c kills at each step ---- */

/* Killed at chance. Two cells that the lock keeps equal. */
static void add_until_killed(void *argument) {
    (void)argument;
    pshm_segment *segment;
    pshm_array *array;
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT64, 2, &array));
    volatile int64_t *cells = pshm_array_data(array);
    pshm_lock *lock = pshm_array_lock(array);
    for (;;) {
        int code = pshm_lock_acquire(lock);
        if (code == PSHM_EOWNERDIED) {
            code = pshm_lock_acquire_abandoned(lock);
            if (code == PSHM_EGOOD)
                continue;
            CHECK_OK(code);
            cells[0] = cells[1] = cells[0] > cells[1] ? cells[0] : cells[1];
            CHECK_OK(pshm_lock_mark_good(lock));
        }
        CHECK_OK(code);
        CHECK_EQ(cells[0], cells[1]); /* never handed out torn */
        cells[0]++;
        cells[1]++;
        CHECK_OK(pshm_lock_release(lock));
    }
}

static void shouldNeverHandOutTornDataInAStormOfKills(void) {
    enum { PROCESSES = 3, KILLS = CHECK_TSAN ? 60 : 300 };
    uint64_t seed = 4711;
    pshm_segment *segment;
    pshm_array *array;
    pid_t children[PROCESSES];
    CHECK_OK(pshm_segment_create(name_of("s"), 4096, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT64, 2, &array));
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(add_until_killed, NULL);
    for (int i = 0; i < KILLS; i++) {
        struct timespec nap = {.tv_nsec = (long)(random_next(&seed) % 3000000)};
        nanosleep(&nap, NULL);
        int which = (int)(random_next(&seed) % PROCESSES);
        int status;
        kill(children[which], SIGKILL);
        CHECK_EQ(waitpid(children[which], &status, 0), children[which]);
        CHECK_EQ(status, SIGKILL); /* and not a failed check of its own */
        children[which] = start(add_until_killed, NULL);
    }
    for (int i = 0; i < PROCESSES; i++)
        kill_child(children[i]);
    pshm_lock *lock = pshm_array_lock(array);
    int code = pshm_lock_acquire(lock);
    printf("    seed=4711, kills=%d, deaths inside=%" PRIu64 ", value=%" PRId64 "\n", KILLS,
           inspect(lock).deaths, *(int64_t *)pshm_array_data(array));
    if (code == PSHM_EOWNERDIED) {
        CHECK_OK(pshm_lock_acquire_abandoned(lock));
        CHECK_OK(pshm_lock_mark_good(lock));
    } else {
        CHECK_OK(code);
        CHECK_EQ(((int64_t *)pshm_array_data(array))[0], ((int64_t *)pshm_array_data(array))[1]);
    }
    CHECK_OK(pshm_lock_release(lock));
    drop(segment);
}

/* ---- numbers that come again ---- */

/* The dead holder had the PID, the TID and even the start time that we have: a new thread of the
 * same process may, or what a process becomes by exec. */
static void shouldNotBeFooledByNumbersThatComeAgain(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(&lock);
    for (int way = 0; way < 5; way++) {
        const pshm__holder self = *pshm__thread_self();
        CHECK_EQ(wait_for(start(die_holding, NULL)), SIGKILL);
        pshm__lock *shared = (pshm__lock *)lock->shared;
        shared->holder.start_time = self.start_time;
        shared->holder.thread = self.thread;
        switch (way) {
        case 0: CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER); break;
        case 1: CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ENOTOWNER); break;
        case 2: CHECK_EQ(pshm_lock_depth(lock), 0); break;
        case 3:
            CHECK_OK(pshm_segment_close(segment));
            lock = join();
            segment = lock->segment;
            break;
        default: break;
        }
        expect_abandoned(lock);
        CHECK_EQ(inspect(lock).deaths, way + 1);
        repair(lock);
    }
    drop(segment);
}

static void shouldTellOfEachOfManyLocks(void) {
    enum { MOST = 2000 };
    if (CHECK_TSAN) {
        printf("    skipped: TSan follows at most 64 locks of a thread\n");
        return;
    }
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), MOST * pshm_object_bytes(PSHM_LOCK, 0, 0), NULL,
                                 &segment));
    static pshm_lock *locks[MOST];
    for (int i = 0; i < MOST; i++) {
        char text[16];
        snprintf(text, sizeof(text), "l%d", i);
        CHECK_OK(pshm_lock_open(segment, text, &locks[i]));
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
        for (int i = 0; i < MOST; i++) {
            char text[16];
            pshm_lock *lock;
            snprintf(text, sizeof(text), "l%d", i);
            CHECK_OK(pshm_lock_open(segment, text, &lock));
            CHECK_OK(pshm_lock_acquire(lock));
        }
        raise(SIGKILL);
    }
    CHECK_EQ(wait_for(child), SIGKILL);
    for (int i = 0; i < MOST; i++)
        CHECK_CODE(pshm_lock_acquire(locks[i]), PSHM_EOWNERDIED);
    drop(segment);
}

int main(void) {
    check_begin(110);
    RUN(shouldTellEverybodyUntilRepaired);
    RUN(shouldTellWhateverTheDepth);
    RUN(shouldTellOfAThreadsDeath);
    RUN(shouldStayAbandonedWhenTheRepairDies);
    RUN(shouldStayAbandonedWhenReleasedWithoutMarkGood);
    RUN(shouldWaitForARepairUnderWay);
    RUN(shouldTellThoseWhoWaitAlready);
    RUN(shouldNotCountAWaitersDeath);
    RUN(shouldNeverHandOutTornDataInAStormOfKills);
    RUN(shouldNotBeFooledByNumbersThatComeAgain);
    RUN(shouldTellOfEachOfManyLocks);
    return check_end();
}
