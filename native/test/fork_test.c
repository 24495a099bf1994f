/* SPDX-License-Identifier: Apache-2.0
 *
 * A process that forks: its child has no part in what it has open, opens the segment for itself,
 * and is a participant like any other from then on.
 */
#include "check.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

typedef struct family {
    atomic_int step;
    atomic_int child;
} family;

static pshm_segment *open_one(pshm_lock **lock) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name_of("f"), NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", lock));
    return segment;
}

/* That these processes, and no others, have it open. */
static void expect_participants(pshm_segment *segment, pid_t first, pid_t second) {
    pshm_participant_info info;
    uint64_t cursor = 0;
    int seen = 0;
    while (pshm_segment_next_participant(segment, &cursor, &info) == 1) {
        CHECK(info.pid == first || info.pid == second);
        seen += info.pid == first ? 1 : 100;
    }
    CHECK_EQ(seen, second == 0 ? 1 : 101);
}

static void expect_death_of(pshm_lock *lock, pid_t pid) {
    pshm_lock_info info;
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EOWNERDIED);
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_EQ(info.dead.pid, pid);
    CHECK_EQ(info.deaths, 1);
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
}

/* In the child: what is its parent's is of no use to it, held lock or not. */
static void expect_nothing_inherited(pshm_segment *segment, pshm_lock *lock) {
    pshm_lock *other;
    pshm_participant_info info;
    uint64_t cursor = 0;
    CHECK_CODE(pshm_lock_open(segment, "other", &other), PSHM_ECLOSED);
    CHECK_CODE(pshm_segment_next_participant(segment, &cursor, &info), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_release(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_ECLOSED);
    CHECK_EQ(pshm_lock_depth(lock), 0);
}

static pid_t fork_child(void) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, 0); /* it may outlive its parent here */
        alarm(check_seconds);
    }
    return pid;
}

/* The parent forks with the lock held; the child dies with it later. */
static void shouldTellTheParentOfItsChildsDeath(void) {
    family *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create(name_of("f"), 4096, &last_out, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    CHECK_OK(pshm_lock_acquire(lock));
    pid_t parent = getpid(), child = fork_child();
    if (child == 0) {
        pshm_lock *mine;
        expect_nothing_inherited(segment, lock);
        pshm_segment *own = open_one(&mine);
        expect_participants(own, parent, getpid());
        CHECK_CODE(pshm_lock_try_acquire(mine), PSHM_EBUSY);
        CHECK_CODE(pshm_lock_release(mine), PSHM_ENOTOWNER);
        CHECK_EQ(pshm_lock_depth(mine), 0);
        shared->step = 1;
        CHECK_OK(pshm_lock_acquire(mine)); /* when the parent has given it back */
        shared->step = 2;
        for (;;)
            pause();
    }
    AWAIT(shared->step == 1);
    expect_participants(segment, parent, child);
    CHECK_EQ(pshm_lock_depth(lock), 1); /* as ever */
    CHECK_OK(pshm_lock_release(lock));
    AWAIT(shared->step == 2);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EBUSY);
    kill_child(child);
    expect_death_of(lock, child);
    expect_participants(segment, parent, 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("f")));
}

/* A child that has never used it, and one that ends in good order, take nothing from the parent. */
static void shouldLeaveTheParentWhatItHas(void) {
    pshm_segment *segment;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create(name_of("f"), 4096, &last_out, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    CHECK_OK(pshm_lock_acquire(lock));
    for (int way = 0; way < 3; way++) {
        pid_t child = fork_child();
        if (child == 0) {
            if (way == 1)
                CHECK_OK(pshm_segment_close(segment));
            if (way == 2) {
                pshm_lock *mine;
                CHECK_OK(pshm_segment_close(open_one(&mine)));
            }
            exit(0);
        }
        CHECK_JOIN(child);
        CHECK(exists(name_of("f")));
        expect_participants(segment, getpid(), 0);
        CHECK_EQ(pshm_lock_depth(lock), 1);
    }
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_lock_acquire(lock)); /* nobody has died holding it */
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("f")));
}

static void fork_and_die_holding(void *argument) {
    family *shared = argument;
    pshm_lock *lock;
    pshm_segment *segment = open_one(&lock);
    CHECK_OK(pshm_lock_acquire(lock));
    pid_t parent = getpid();
    if (fork_child() == 0) {
        pshm_lock *mine;
        expect_nothing_inherited(segment, lock);
        pshm_segment *own = open_one(&mine);
        CHECK_CODE(pshm_lock_try_acquire(mine), PSHM_EBUSY);
        shared->child = getpid();
        AWAIT(shared->step == 1);
        expect_death_of(mine, parent);
        expect_participants(own, getpid(), 0);
        CHECK_OK(pshm_segment_close(own));
        _exit(0);
    }
    for (;;)
        pause();
}

static void shouldTellTheChildOfItsParentsDeath(void) {
    family *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create(name_of("f"), 4096, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    CHECK_OK(pshm_segment_close(segment));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t parent = start(fork_and_die_holding, shared);
    AWAIT(shared->child != 0);
    kill_child(parent);
    shared->step = 1;
    CHECK_JOIN(shared->child);
    CHECK_OK(pshm_segment_unlink(name_of("f")));
}

int main(void) {
    check_begin(110);
    RUN(shouldTellTheParentOfItsChildsDeath);
    RUN(shouldLeaveTheParentWhatItHas);
    RUN(shouldTellTheChildOfItsParentsDeath);
    return check_end();
}
