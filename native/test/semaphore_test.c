/* SPDX-License-Identifier: Apache-2.0
 *
 * Semaphores: how many permits there are, whose they are, and that those of the dead come back.
 */
#include "check.h"

#include "internal.h"

static pshm_segment *segment;
static pshm_semaphore *semaphore;

static void begin(int64_t permits, int bounded) {
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "permits", permits, bounded, &semaphore));
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

static void expect(int64_t available, int64_t held_here, int64_t total) {
    pshm_semaphore_info info;
    CHECK_OK(pshm_semaphore_inspect(semaphore, &info));
    CHECK_EQ(info.available, available);
    CHECK_EQ(info.held_here, held_here);
    CHECK_EQ(info.total, total);
}

static int acquire(int64_t permits) { return pshm_semaphore_acquire(semaphore, permits, -1, NULL); }

static uint32_t sleepers(void) {
    return atomic_load((const _Atomic uint32_t *)&semaphore->sync.events->waiters);
}

static const pshm__semaphore *in_memory(void) {
    return (const pshm__semaphore *)(const void *)semaphore->sync.events;
}

/* ---- one process ---- */

static void shouldCountPermits(void) {
    begin(5, 0);
    expect(5, 0, 5);
    CHECK_OK(acquire(3));
    expect(2, 3, 5);
    CHECK_CODE(pshm_semaphore_try_acquire(semaphore, 3), PSHM_EBUSY);
    CHECK_OK(pshm_semaphore_try_acquire(semaphore, 2));
    expect(0, 5, 5);
    CHECK_OK(acquire(0)); /* which are always there */
    CHECK_OK(pshm_semaphore_release(semaphore, 0));
    CHECK_CODE(pshm_semaphore_acquire(semaphore, 1, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_semaphore_release(semaphore, 5));
    expect(5, 0, 5);
    end();
}

static void shouldMakeNewPermitsOfWhatIsNotHeld(void) {
    begin(0, 0);
    CHECK_OK(pshm_semaphore_release(semaphore, 2));
    expect(2, 0, 2);
    CHECK_OK(acquire(1));
    CHECK_OK(pshm_semaphore_release(semaphore, 3)); /* one of its own, and two */
    expect(4, 0, 4);
    CHECK_OK(pshm_semaphore_release(semaphore, INT64_MAX - 4));
    expect(INT64_MAX, 0, INT64_MAX);
    CHECK_CODE(pshm_semaphore_release(semaphore, 1), PSHM_EOVERFLOW);
    CHECK_DETAIL("name=permits: permits=1, held here=0, total=9223372036854775807, "
                 "most=9223372036854775807");
    CHECK_OK(acquire(INT64_MAX));
    CHECK_OK(pshm_semaphore_release(semaphore, INT64_MAX));
    expect(INT64_MAX, 0, INT64_MAX);
    end();
}

static void shouldNeverHaveMoreThanAtFirstWhenBounded(void) {
    begin(2, 1);
    CHECK_CODE(pshm_semaphore_release(semaphore, 1), PSHM_EOVERFLOW);
    CHECK_DETAIL("most=2");
    CHECK_OK(acquire(1));
    CHECK_CODE(pshm_semaphore_release(semaphore, 2), PSHM_EOVERFLOW);
    CHECK_CODE(pshm_semaphore_release(semaphore, INT64_MAX), PSHM_EOVERFLOW);
    expect(1, 1, 2); /* nothing has changed */
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    CHECK_OK(pshm_semaphore_reduce(semaphore, 5));
    expect(-3, 0, -3);
    CHECK_CODE(pshm_semaphore_release(semaphore, 6), PSHM_EOVERFLOW);
    CHECK_OK(pshm_semaphore_release(semaphore, 5));
    expect(2, 0, 2);
    end();
}

static void shouldUseUpWhatIsHeld(void) {
    begin(2, 1);
    CHECK_CODE(pshm_semaphore_consume(semaphore, 1), PSHM_ENOTOWNER);
    CHECK_DETAIL("name=permits: permits=1, held here=0");
    CHECK_CODE(pshm_semaphore_consume(semaphore, -1), PSHM_EINVAL);
    CHECK_OK(acquire(2));
    CHECK_OK(pshm_semaphore_consume(semaphore, 1));
    expect(0, 1, 1);
    CHECK_OK(pshm_semaphore_consume(semaphore, 0));
    CHECK_CODE(pshm_semaphore_consume(semaphore, 2), PSHM_ENOTOWNER);
    CHECK_OK(pshm_semaphore_release(semaphore, 2)); /* one that is held, and a new one */
    expect(2, 0, 2);
    CHECK_CODE(pshm_semaphore_release(semaphore, 1), PSHM_EOVERFLOW);
    end();
}

static void shouldDrainAndReduce(void) {
    int64_t drained;
    begin(7, 0);
    CHECK_OK(acquire(2));
    CHECK_OK(pshm_semaphore_drain(semaphore, &drained));
    CHECK_EQ(drained, 5);
    expect(0, 7, 7);
    CHECK_OK(pshm_semaphore_drain(semaphore, &drained));
    CHECK_EQ(drained, 0);
    CHECK_OK(pshm_semaphore_reduce(semaphore, 3));
    CHECK_OK(pshm_semaphore_reduce(semaphore, 0));
    expect(-3, 7, 4);
    CHECK_OK(acquire(0));
    CHECK_CODE(pshm_semaphore_try_acquire(semaphore, 1), PSHM_EBUSY);
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    expect(-2, 6, 4);
    CHECK_OK(pshm_semaphore_drain(semaphore, &drained));
    CHECK_EQ(drained, -2);
    expect(0, 6, 6);
    CHECK_OK(pshm_semaphore_release(semaphore, 6));
    expect(6, 0, 6);
    CHECK_OK(pshm_semaphore_reduce(semaphore, INT64_MAX));
    expect(6 - INT64_MAX, 0, 6 - INT64_MAX);
    CHECK_CODE(pshm_semaphore_reduce(semaphore, 8), PSHM_EINVAL);
    CHECK_DETAIL("name=permits: permits=8");
    CHECK_OK(pshm_semaphore_reduce(semaphore, 7));
    expect(INT64_MIN, 0, INT64_MIN);
    CHECK_OK(pshm_semaphore_release(semaphore, INT64_MAX));
    expect(-1, 0, -1);
    end();
}

static void shouldRefuseBadArguments(void) {
    int64_t drained;
    pshm_wait wait;
    pshm_semaphore_info info;
    pshm_semaphore *other;
    begin(1, 0);
    CHECK_CODE(acquire(-1), PSHM_EINVAL);
    CHECK_DETAIL("name=permits: permits=-1; take 0 or more");
    CHECK_CODE(pshm_semaphore_try_acquire(semaphore, INT64_MIN), PSHM_EINVAL);
    CHECK_CODE(pshm_semaphore_prepare(semaphore, -1, &wait), PSHM_EINVAL);
    CHECK_CODE(pshm_semaphore_release(semaphore, -1), PSHM_EINVAL);
    CHECK_DETAIL("release: segment=");
    CHECK_CODE(pshm_semaphore_reduce(semaphore, -1), PSHM_EINVAL);
    CHECK_CODE(pshm_semaphore_open(segment, "other", -1, 0, &other), PSHM_EINVAL);
    CHECK(other == NULL);
    CHECK_CODE(pshm_semaphore_open(segment, "permits", 2, 0, &other), PSHM_ETYPE);
    CHECK_DETAIL("permits=1");
    CHECK_CODE(pshm_semaphore_open(segment, "permits", 1, 1, &other), PSHM_ETYPE);
    CHECK_DETAIL("bounded");
    CHECK_OK(pshm_semaphore_open(segment, "permits", 1, 0, &other));
    CHECK(other == semaphore);
    expect(1, 0, 1);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment)); /* it holds none of its locks */
    CHECK_CODE(acquire(1), PSHM_ECLOSED);
    CHECK_CODE(acquire(0), PSHM_ECLOSED);
    CHECK_CODE(pshm_semaphore_try_acquire(semaphore, 1), PSHM_ECLOSED);
    CHECK_CODE(pshm_semaphore_release(semaphore, 1), PSHM_ECLOSED);
    CHECK_CODE(pshm_semaphore_drain(semaphore, &drained), PSHM_ECLOSED);
    CHECK_CODE(pshm_semaphore_reduce(semaphore, 1), PSHM_ECLOSED);
    CHECK_CODE(pshm_semaphore_inspect(semaphore, &info), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

/* ---- the dead ---- */

typedef struct peer {
    int64_t permits;
    atomic_int step;
} peer;

static void hold(void *argument) {
    peer *self = argument;
    CHECK_OK(acquire(self->permits));
    self->step = 1;
    AWAIT(self->step == 2);
    CHECK_OK(pshm_segment_close(segment));
    self->step = 3;
    for (;;)
        pause();
}

static void hold_by_name(void *argument) {
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "permits", 5, 0, &semaphore));
    hold(argument);
}

static pid_t start_holder(peer *self, void (*body)(void *), int64_t permits) {
    self->permits = permits;
    self->step = 0;
    pid_t pid = start(body, self);
    AWAIT(self->step == 1);
    return pid;
}

/* By each operation that would otherwise be without them. */
static void shouldGiveBackWhatTheDeadHeld(void) {
    peer *holder = shared_zeroes(sizeof(*holder));
    int64_t drained;
    begin(5, 0);
    for (int way = 0; way < 6; way++) {
        pid_t pid = start_holder(holder, way % 2 == 0 ? hold : hold_by_name, 4);
        expect(1, 0, 5);
        CHECK_CODE(pshm_semaphore_try_acquire(semaphore, 2), PSHM_EBUSY);
        kill_child(pid);
        switch (way) {
        case 0: CHECK_OK(pshm_semaphore_try_acquire(semaphore, 5)); break;
        case 1: CHECK_OK(acquire(5)); break;
        case 2: CHECK_OK(pshm_semaphore_acquire(semaphore, 5, 0, NULL)); break;
        case 3:
            CHECK_OK(pshm_semaphore_drain(semaphore, &drained));
            CHECK_EQ(drained, 5);
            break;
        case 4:
            CHECK_OK(pshm_semaphore_release(semaphore, 0));
            expect(5, 0, 5);
            CHECK_OK(acquire(5));
            break;
        default: /* what nobody lacks is not looked for */
            CHECK_OK(pshm_semaphore_try_acquire(semaphore, 1));
            CHECK_EQ(in_memory()->available, 0);
            CHECK_OK(acquire(4));
            break;
        }
        expect(0, 5, 5);
        CHECK_OK(pshm_semaphore_release(semaphore, 5));
        expect(5, 0, 5);
    }
    end();
}

static void shouldGiveBackWhatOneThatClosesHeld(void) {
    peer *holder = shared_zeroes(sizeof(*holder));
    begin(5, 0);
    pid_t pid = start_holder(holder, hold_by_name, 4);
    holder->step = 2;
    AWAIT(pshm_semaphore_try_acquire(semaphore, 5) == 0);
    AWAIT(holder->step == 3);
    expect(0, 5, 5);
    kill_child(pid);
    expect(0, 5, 5);
    end();
}

/* The newcomer has the dead one's slot before anybody has looked. */
static void shouldNotMixUpTwoThatHaveASlot(void) {
    peer *peers = shared_zeroes(2 * sizeof(*peers));
    begin(5, 0);
    for (int way = 0; way < 4; way++) {
        kill_child(start_holder(&peers[0], hold, 3));
        pid_t second = start_holder(&peers[1], hold, way % 2 == 0 ? 1 : 0);
        if (way < 2) { /* has the newcomer looked, or we? */
            CHECK_OK(pshm_semaphore_try_acquire(semaphore, 4));
            CHECK_OK(pshm_semaphore_release(semaphore, 4));
        }
        expect(way % 2 == 0 ? 4 : 5, 0, 5);
        kill_child(second);
        expect(5, 0, 5);
    }
    end();
}

static void release_beyond(void *argument) {
    (void)argument;
    CHECK_OK(acquire(1));
    CHECK_OK(pshm_semaphore_release(semaphore, 3));
    CHECK_OK(acquire(1));
    raise(SIGKILL);
}

static void shouldKeepWhatTheDeadHadReleased(void) {
    begin(1, 0);
    CHECK_EQ(wait_for(start(release_beyond, NULL)), SIGKILL);
    expect(3, 0, 3);
    end();
}

/* A process that died in the section has left the sum to be made again. */
static void shouldMakeTheSumAgain(void) {
    begin(5, 0);
    CHECK_OK(acquire(2));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_OK(acquire(1));
        CHECK_OK(pshm__monitor_enter(&semaphore->sync));
        ((pshm__semaphore *)(uintptr_t)in_memory())->available = 77;
        raise(SIGKILL);
    }
    CHECK_EQ(wait_for(pid), SIGKILL);
    expect(3, 2, 5);
    end();
}

/* ---- waits ---- */

static void wait_for_permits(void *argument) {
    peer *self = argument;
    CHECK_OK(acquire(self->permits));
    self->step = 1;
    AWAIT(self->step == 2);
    CHECK_OK(pshm_semaphore_release(semaphore, self->permits));
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldEndAWaitByARelease(void) {
    enum { WAITERS = 4 };
    peer *peers = shared_zeroes(WAITERS * sizeof(*peers));
    pid_t pids[WAITERS];
    begin(2, 1);
    CHECK_OK(acquire(2));
    for (int i = 0; i < WAITERS; i++) {
        peers[i].permits = 1 + i % 2;
        pids[i] = start(wait_for_permits, &peers[i]);
        AWAIT(sleepers() == (uint32_t)i + 1);
    }
    CHECK_OK(pshm_semaphore_release(semaphore, 1)); /* one that wants one */
    AWAIT(peers[0].step + peers[2].step == 1);
    CHECK_EQ(peers[1].step + peers[3].step, 0);
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    for (int left = WAITERS; left > 0;) {
        for (int i = 0; i < WAITERS; i++) {
            if (peers[i].step == 1) {
                peers[i].step = 2;
                left--;
            }
        }
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK_JOIN(pids[i]);
    expect(2, 0, 2);
    end();
}

/* ---- a storm ---- */

enum { PERMITS = 3, PROCESSES = 8 };

typedef struct storm {
    atomic_uint places; /* bit n: the process of place n is inside; n + 16: it is being killed */
    atomic_long entered;
} storm;

static storm *storm_shared;

static void work(void *argument) {
    const unsigned bit = 1u << *(const int *)argument;
    uint64_t seed = (uint64_t)getpid();
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "permits", PERMITS, 1, &semaphore));
    for (;;) {
        int code = 0;
        switch (random_next(&seed) % 4) {
        case 0: code = pshm_semaphore_try_acquire(semaphore, 1); break;
        case 1: code = pshm_semaphore_acquire(semaphore, 1, 100000, NULL); break;
        default: code = acquire(1); break;
        }
        if (code == PSHM_EBUSY || code == PSHM_ETIMEDOUT)
            continue;
        CHECK_OK(code);
        const unsigned now = atomic_fetch_or(&storm_shared->places, bit) | bit;
        CHECK(__builtin_popcount(now & 0xffff & ~(now >> 16)) <= PERMITS);
        pshm_semaphore_info info;
        CHECK_OK(pshm_semaphore_inspect(semaphore, &info));
        CHECK_EQ(info.total, PERMITS);
        CHECK_EQ(info.held_here, 1);
        CHECK(info.available >= 0 && info.available < PERMITS);
        storm_shared->entered++;
        if (random_next(&seed) % 8 == 0)
            sched_yield();
        atomic_fetch_and(&storm_shared->places, ~bit);
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
    }
}

static void kill_worker(pid_t pid, int place) {
    const unsigned bits = 0x10001u << place;
    atomic_fetch_or(&storm_shared->places, bits & 0xffff0000);
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL); /* and not a failed check of its own */
    atomic_fetch_and(&storm_shared->places, ~bits);
}

static void shouldLoseNoPermitInAStormOfKills(void) {
    enum { KILLS = CHECK_TSAN ? 60 : 400 };
    static int places[PROCESSES];
    pid_t pids[PROCESSES];
    uint64_t seed = (uint64_t)now_ns();
    printf("    seed=%" PRIu64 "\n", seed);
    storm_shared = shared_zeroes(sizeof(*storm_shared));
    begin(PERMITS, 1);
    for (int i = 0; i < PROCESSES; i++) {
        places[i] = i;
        pids[i] = start(work, &places[i]);
    }
    for (int kills = 0; kills < KILLS; kills++) {
        const int place = (int)(random_next(&seed) % PROCESSES);
        struct timespec nap = {.tv_nsec = (long)(random_next(&seed) % 3000000)};
        nanosleep(&nap, NULL);
        kill_worker(pids[place], place);
        pids[place] = start(work, &places[place]);
    }
    long before = storm_shared->entered; /* they are not stuck */
    AWAIT(storm_shared->entered > before + PROCESSES);
    for (int i = 0; i < PROCESSES; i++)
        kill_worker(pids[i], i);
    printf("    kills=%d, entered=%ld\n", KILLS, (long)storm_shared->entered);
    CHECK_OK(acquire(PERMITS));
    expect(0, PERMITS, PERMITS);
    end();
}

int main(void) {
    check_begin(110);
    RUN(shouldCountPermits);
    RUN(shouldMakeNewPermitsOfWhatIsNotHeld);
    RUN(shouldNeverHaveMoreThanAtFirstWhenBounded);
    RUN(shouldUseUpWhatIsHeld);
    RUN(shouldDrainAndReduce);
    RUN(shouldRefuseBadArguments);
    RUN(shouldGiveBackWhatTheDeadHeld);
    RUN(shouldGiveBackWhatOneThatClosesHeld);
    RUN(shouldNotMixUpTwoThatHaveASlot);
    RUN(shouldKeepWhatTheDeadHadReleased);
    RUN(shouldMakeTheSumAgain);
    RUN(shouldEndAWaitByARelease);
    RUN(shouldLoseNoPermitInAStormOfKills);
    return check_end();
}
