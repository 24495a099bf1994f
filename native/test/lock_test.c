/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks between living threads and processes: exclusion, recursion, waiting, and closing.
 * What a death does to them is in owner_death_test.c.
 */
#include "check.h"

#include "internal.h"

static pshm_segment *make(const char *name, pshm_lock **lock) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, 16384, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", lock));
    return segment;
}

static pshm_segment *join(const char *name, pshm_lock **lock) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", lock));
    return segment;
}

static void drop(pshm_segment *segment, const char *name) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static pshm_lock_info inspect(pshm_lock *lock) {
    pshm_lock_info info;
    memset(&info, 0x55, sizeof(info));
    CHECK_OK(pshm_lock_inspect(lock, &info));
    return info;
}

/* ---- exclusion ---- */

enum { PROCESSES = 6, TURNS = CHECK_TSAN ? 3000 : 20000 };

typedef struct counters {
    atomic_int ready, go;
    int64_t plain[4]; /* guarded by the lock: four that must stay equal */
} counters;

static void count(counters *shared, pshm_lock *lock, int way) {
    int code;
    for (int i = 0; i < TURNS; i++) {
        switch ((i + way) % 3) {
        case 0: CHECK_OK(pshm_lock_acquire(lock)); break;
        case 1:
            while ((code = pshm_lock_try_acquire(lock)) == PSHM_EBUSY)
                continue;
            CHECK_OK(code);
            break;
        default:
            while ((code = pshm_lock_timed_acquire(lock, 100000)) == PSHM_ETIMEDOUT)
                continue;
            CHECK_OK(code);
        }
        for (int k = 0; k < 4; k++)
            *(volatile int64_t *)&shared->plain[k] += 1;
        for (int k = 1; k < 4; k++)
            CHECK_EQ(shared->plain[k], shared->plain[0]);
        CHECK_OK(pshm_lock_release(lock));
    }
}

static void count_in_process(void *argument) {
    counters *shared = argument;
    pshm_lock *lock;
    pshm_segment *segment = join(name_of("count"), &lock);
    int way = shared->ready++;
    while (!shared->go)
        continue;
    count(shared, lock, way);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldExcludeProcesses(void) {
    counters *shared = shared_zeroes(sizeof(*shared));
    pid_t children[PROCESSES];
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("count"), &lock);
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(count_in_process, shared);
    AWAIT(shared->ready == PROCESSES);
    shared->go = 1;
    for (int i = 0; i < PROCESSES; i++)
        CHECK_JOIN(children[i]);
    CHECK_EQ(shared->plain[0], (int64_t)PROCESSES * TURNS);
    pshm_lock_info info = inspect(lock);
    CHECK_EQ(info.holder.pid, 0);
    CHECK_EQ(info.deaths, 0);
    CHECK_EQ(info.abandoned, 0);
    drop(segment, name_of("count"));
}

typedef struct thread_count {
    counters *shared;
    pshm_lock *lock;
} thread_count;

static void *count_in_thread(void *argument) {
    thread_count *work = argument;
    count(work->shared, work->lock, work->shared->ready++);
    return NULL;
}

static void shouldExcludeThreads(void) {
    enum { THREADS = 4 };
    counters shared;
    pthread_t threads[THREADS];
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("threads"), &lock);
    memset(&shared, 0, sizeof(shared));
    thread_count work = {&shared, lock};
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, count_in_thread, &work), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(shared.plain[0], (int64_t)THREADS * TURNS);
    drop(segment, name_of("threads"));
}

/* ---- one holder ---- */

static void shouldCountItsDepth(void) {
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("depth"), &lock);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_try_acquire(lock));
    CHECK_OK(pshm_lock_timed_acquire(lock, 0));
    CHECK_OK(pshm_lock_timed_acquire(lock, INT64_MAX));
    CHECK_EQ(pshm_lock_depth(lock), 4);
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EGOOD);
    CHECK_EQ(pshm_lock_depth(lock), 4);
    CHECK_OK(pshm_lock_mark_good(lock)); /* good already: nothing to do */
    for (int depth = 3; depth >= 0; depth--) {
        CHECK_OK(pshm_lock_release(lock));
        CHECK_EQ(pshm_lock_depth(lock), depth);
        CHECK_EQ(inspect(lock).holder.pid, depth > 0 ? getpid() : 0);
    }
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
    CHECK_DETAIL("unlock: segment=");
    CHECK_DETAIL(", name=l: the calling thread does not hold the lock");
    CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ENOTOWNER);
    CHECK_DETAIL("mark_good: segment=");
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EGOOD);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_release(lock));
    CHECK_EQ(inspect(lock).contentions, 0);
    drop(segment, name_of("depth"));
}

static void shouldTellWhenTakenTooOften(void) {
#ifdef __GLIBC__
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("often"), &lock);
    CHECK_OK(pshm_lock_acquire(lock));
    pthread_mutex_t *mutex = (pthread_mutex_t *)lock->shared->mutex;
    mutex->__data.__count = UINT32_MAX;
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EDEPTH);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EDEPTH);
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_EQ(pshm_lock_depth(lock), 1);
    mutex->__data.__count = 1;
    CHECK_OK(pshm_lock_release(lock));
    drop(segment, name_of("often"));
#endif
}

static void use_while_held(void *argument) {
    atomic_int *step = argument;
    pshm_lock *lock;
    pshm_lock_info info;
    pshm_segment *segment = join(name_of("held"), &lock);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EBUSY);
    CHECK_CODE(pshm_lock_timed_acquire(lock, 0), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_lock_timed_acquire(lock, -1), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_lock_timed_acquire(lock, INT64_MIN), PSHM_ETIMEDOUT);
    CHECK_EQ(inspect(lock).contentions, 0); /* none of these waited */
    int64_t before = now_ns();
    CHECK_CODE(pshm_lock_timed_acquire(lock, 20000000), PSHM_ETIMEDOUT);
    CHECK(now_ns() - before >= 20000000); /* never early */
    CHECK_EQ(inspect(lock).contentions, 1);
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ENOTOWNER);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_EQ(info.holder.pid, getppid());
    CHECK_EQ(info.holder.tid, getppid());
    CHECK_STR(info.holder.thread_name, "the holder");
    CHECK(info.holder.since_ns > 1600000000000000000);
    CHECK(info.holder.start_time > 0);
    CHECK_EQ(info.dead.pid, 0);
    /* That another process holds it is no reason to stay. */
    CHECK_OK(pshm_segment_close(segment));
    segment = join(name_of("held"), &lock);
    *step = 1;
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_EQ(inspect(lock).contentions, 2);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldBeBusyForOthersUntilReleased(void) {
    atomic_int *step = shared_zeroes(sizeof(*step));
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("held"), &lock);
    pshm_thread_set_name("the holder");
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_acquire(lock));
    pid_t child = start(use_while_held, step);
    AWAIT(*step == 1);
    AWAIT(inspect(lock).contentions == 2);
    CHECK_OK(pshm_lock_release(lock));
    sleep_ms(20);
    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0); /* one is still to come */
    CHECK_OK(pshm_lock_release(lock));
    CHECK_JOIN(child);
    drop(segment, name_of("held"));
}

static void *try_from_thread(void *lock) {
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EBUSY);
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    return NULL;
}

static void shouldBelongToOneThread(void) {
    pthread_t thread;
    pshm_lock *lock;
    pshm_segment *segment = make(name_of("thread"), &lock);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_EQ(pthread_create(&thread, NULL, try_from_thread, lock), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pshm_lock_depth(lock), 1);
    CHECK_OK(pshm_lock_release(lock));
    drop(segment, name_of("thread"));
}

/* Linux reports a dead thread's locks up to a number, so that is as many as it may hold. */
static void shouldBoundTheLocksOfOneThread(void) {
    enum { MOST = 2000 };
    static pshm_lock *locks[MOST + 1];
    if (CHECK_TSAN) {
        printf("    skipped: TSan follows at most 64 locks of a thread\n");
        return;
    }
    const char *name = name_of("many");
    pshm_segment *segment;
    CHECK_OK(
        pshm_segment_create(name, (MOST + 1) * pshm_object_bytes(PSHM_LOCK, 0, 0), NULL, &segment));
    for (int i = 0; i <= MOST; i++) {
        char text[16];
        snprintf(text, sizeof(text), "l%d", i);
        CHECK_OK(pshm_lock_open(segment, text, &locks[i]));
    }
    for (int i = 0; i < MOST; i++)
        CHECK_OK(pshm_lock_acquire(locks[i]));
    CHECK_CODE(pshm_lock_acquire(locks[MOST]), PSHM_EDEPTH);
    CHECK_DETAIL(name);
    CHECK_DETAIL("name=l2000: the thread holds 2000 others");
    CHECK_EQ(pshm_lock_depth(locks[MOST]), 0);
    CHECK_OK(pshm_lock_acquire(locks[0])); /* once more is not one more */
    CHECK_OK(pshm_lock_release(locks[0]));
    CHECK_OK(pshm_lock_release(locks[0]));
    CHECK_OK(pshm_lock_acquire(locks[MOST]));
    for (int i = 1; i <= MOST; i++)
        CHECK_OK(pshm_lock_release(locks[i]));
    drop(segment, name);
}

/* ---- close ---- */

static void shouldRefuseToCloseWhileHeld(void) {
    const char *name = name_of("eheld");
    pshm_lock *lock;
    pshm_array *array;
    pshm_participant_info participant;
    uint64_t cursor = 0;
    pshm_segment *segment = make(name, &lock);
    CHECK_OK(pshm_array_open(segment, "book", PSHM_INT8, 3, &array));
    CHECK_OK(pshm_lock_acquire(pshm_array_lock(array)));
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_DETAIL(name);
    CHECK_DETAIL("lock=book");
    CHECK_DETAIL("release it first");
    /* Nothing has changed. */
    CHECK_CODE(pshm_segment_next_participant(segment, &cursor, &participant), 1);
    CHECK_EQ(participant.pid, getpid());
    CHECK_EQ(pshm_lock_depth(pshm_array_lock(array)), 1);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_OK(pshm_lock_release(pshm_array_lock(array)));
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_DETAIL("lock=l;");
    CHECK_OK(pshm_lock_release(lock));
    drop(segment, name);
}

static void *hold_until_told(void *argument) {
    thread_count *work = argument;
    CHECK_OK(pshm_lock_acquire(work->lock));
    work->shared->ready = 1;
    while (!work->shared->go)
        sleep_ms(1);
    CHECK_OK(pshm_lock_release(work->lock));
    work->shared->ready = 2;
    return NULL;
}

static void shouldRefuseToCloseWhileAnotherThreadHolds(void) {
    const char *name = name_of("eheld2");
    pthread_t thread;
    pshm_lock *lock;
    pshm_segment *segment = make(name, &lock);
    counters shared;
    memset(&shared, 0, sizeof(shared));
    thread_count work = {&shared, lock};
    CHECK_EQ(pthread_create(&thread, NULL, hold_until_told, &work), 0);
    AWAIT(shared.ready == 1);
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EBUSY);
    shared.go = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    drop(segment, name);
}

static void hold_for_a_while(void *argument) {
    atomic_int *step = argument;
    pshm_lock *lock;
    pshm_segment *segment = join(name_of("waiter"), &lock);
    CHECK_OK(pshm_lock_acquire(lock));
    *step = 1;
    AWAIT(*step == 2);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
}

static void *wait_for_closed(void *argument) {
    pshm_lock *lock = argument;
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_ECLOSED); /* and with that the lock may be gone */
    return NULL;
}

static void shouldTellWaitersThatItWasClosed(void) {
    enum { WAITERS = 3 };
    const char *name = name_of("waiter");
    atomic_int *step = shared_zeroes(sizeof(*step));
    pthread_t threads[WAITERS];
    pshm_lock *lock, *others;
    pshm_segment *segment = make(name, &lock), *watch;
    watch = join(name, &others);
    pid_t child = start(hold_for_a_while, step);
    AWAIT(*step == 1);
    for (int i = 0; i < WAITERS; i++) /* a wait is a pin */
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_closed, lock), 0);
    AWAIT(inspect(others).contentions == WAITERS);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment)); /* does not wait for them */
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_timed_acquire(lock, INT64_MAX), PSHM_ECLOSED); /* nor do later ones wait */
    pshm_segment_unpin(segment);
    *step = 2;
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_JOIN(child);
    CHECK_EQ(mappings(), 1);             /* only `watch` has */
    CHECK_OK(pshm_lock_acquire(others)); /* and they have left it good and free */
    CHECK_OK(pshm_lock_release(others));
    drop(watch, name);
}

typedef struct closing {
    pshm_segment *segment;
    pshm_lock *lock;
    atomic_long turns;
    atomic_bool closed;
    int64_t guarded;
} closing;

static void *lock_until_closed(void *argument) {
    closing *shared = argument;
    int code;
    for (unsigned i = 0;; i++) {
        switch (i % 3) {
        case 0: code = pshm_lock_acquire(shared->lock); break;
        case 1: code = pshm_lock_try_acquire(shared->lock); break;
        default: code = pshm_lock_timed_acquire(shared->lock, 1000);
        }
        if (code == PSHM_ECLOSED)
            break;
        if (code == PSHM_EBUSY || code == PSHM_ETIMEDOUT)
            continue;
        CHECK_OK(code);
        shared->guarded++;
        shared->turns++;
        CHECK(!shared->closed); /* while it is held, it cannot be */
        CHECK_OK(pshm_lock_release(shared->lock));
    }
    pshm_segment_unpin(shared->segment);
    return NULL;
}

static void shouldCloseWhileThreadsRaceForItsLock(void) {
    enum { THREADS = 4 };
    const char *name = name_of("racing");
    const int64_t end = now_ns() + 2000000000;
    int refused = 0, closed = 0;
    do {
        closing shared = {.guarded = 0};
        pthread_t threads[THREADS];
        shared.segment = make(name, &shared.lock);
        for (int i = 0; i < THREADS; i++)
            pshm_segment_pin(shared.segment);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, lock_until_closed, &shared), 0);
        AWAIT(shared.turns > 20);
        int code;
        while ((code = pshm_segment_close(shared.segment)) == PSHM_EHELD)
            refused++;
        shared.closed = true;
        CHECK_OK(code);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(shared.guarded, shared.turns);
        CHECK_EQ(mappings(), 0);
        closed++;
        CHECK_OK(pshm_segment_unlink(name));
    } while (now_ns() < end);
    printf("    closed=%d, refused=%d\n", closed, refused);
}

int main(void) {
    check_begin(110);
    RUN(shouldExcludeProcesses);
    RUN(shouldExcludeThreads);
    RUN(shouldCountItsDepth);
    RUN(shouldTellWhenTakenTooOften);
    RUN(shouldBeBusyForOthersUntilReleased);
    RUN(shouldBelongToOneThread);
    RUN(shouldBoundTheLocksOfOneThread);
    RUN(shouldRefuseToCloseWhileHeld);
    RUN(shouldRefuseToCloseWhileAnotherThreadHolds);
    RUN(shouldTellWaitersThatItWasClosed);
    RUN(shouldCloseWhileThreadsRaceForItsLock);
    return check_end();
}
