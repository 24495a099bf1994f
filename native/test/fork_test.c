/* SPDX-License-Identifier: Apache-2.0
 *
 * A forked child takes part by itself in what its parent has open: each outlives the other, neither
 * has the other's locks, and the death of either is told.
 */
#include "check.h"

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

typedef struct steps {
    atomic_int at, go;
    int pid;
} steps;

/* The participants, with a bit for each of these two, and 4 for each other. */
static int who_is_in(pshm_segment *segment, pid_t one, pid_t two) {
    uint64_t cursor = 0;
    pshm_participant_info info;
    int who = 0, code;
    while ((code = pshm_segment_next_participant(segment, &cursor, &info)) == 1)
        who += info.pid == one ? 1 : info.pid == two ? 2 : 4;
    CHECK_OK(code);
    return who;
}

static void make(pshm_segment **segment, pshm_lock **lock) {
    CHECK_OK(pshm_segment_create(name_of("s"), 4096, &last_out, segment));
    CHECK_OK(pshm_lock_open(*segment, "l", lock));
}

/* ---- lives ---- */

static void fork_and_stay(void *argument) {
    steps *shared = argument;
    pshm_segment *segment;
    pshm_lock *lock;
    make(&segment, &lock);
    if (shared->go == 1)
        CHECK_OK(pshm_segment_unlink(name_of("s")));
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        alarm(check_seconds);
        shared->pid = getpid();
        CHECK_EQ(who_is_in(segment, getppid(), getpid()), 3);
        shared->at = 1;
        AWAIT(shared->at == 3);
        CHECK_EQ(who_is_in(segment, getpid(), 0), 1);
        CHECK_OK(pshm_lock_acquire(lock));
        CHECK_OK(pshm_lock_release(lock));
        shared->at = 4;
        for (;;)
            pause();
    }
    AWAIT(shared->at == 1);
    CHECK_EQ(who_is_in(segment, getpid(), shared->pid), 3);
    shared->at = 2;
    for (;;)
        pause();
}

static void shouldOutliveItsParent(void) {
    enum { NAMED, WITHOUT_A_NAME };
    for (int way = NAMED; way <= WITHOUT_A_NAME; way++) {
        steps *shared = shared_zeroes(sizeof(*shared));
        pshm_segment *segment;
        shared->go = way;
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid_t parent = start(fork_and_stay, shared);
        AWAIT(shared->at == 2);
        kill_child(parent);
        pshm_reap();
        CHECK_EQ(exists(name_of("s")), way == NAMED);
        shared->at = 3;
        AWAIT(shared->at == 4);
        if (way == NAMED) {
            CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
            CHECK_EQ(who_is_in(segment, getpid(), shared->pid), 3);
            CHECK_OK(pshm_segment_close(segment));
            CHECK(exists(name_of("s")));
        }
        kill_child(shared->pid);
        pshm_reap();
        CHECK(!exists(name_of("s")));
    }
}

static void stay(void *argument) {
    *(atomic_int *)argument = 1;
    for (;;)
        pause();
}

static void shouldEndAlone(void) {
    atomic_int *there = shared_zeroes(sizeof(*there));
    pshm_segment *segment;
    pshm_lock *lock;
    make(&segment, &lock);
    pid_t child = start(stay, there);
    AWAIT(*there == 1);
    CHECK_EQ(who_is_in(segment, getpid(), child), 3);
    kill_child(child);
    CHECK_EQ(who_is_in(segment, getpid(), child), 1);
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

typedef struct pair {
    pshm_segment *segment;
    pshm_lock *lock;
    steps *steps;
} pair;

static void close_here(void *argument) {
    const pair *shared = argument;
    AWAIT(shared->steps->go == 1);
    CHECK_EQ(who_is_in(shared->segment, getpid(), 0), 1); /* the parent has left */
    CHECK_OK(pshm_segment_close(shared->segment));
    CHECK(!exists(name_of("s")));
}

static void exit_here(void *argument) {
    (void)argument;
    exit(0);
}

/* The last one out takes it along, be it the child or the parent. */
static void shouldLeaveByItself(void) {
    pair shared = {.steps = shared_zeroes(sizeof(steps))};
    make(&shared.segment, &shared.lock);
    pid_t child = start(close_here, &shared);
    CHECK_OK(pshm_segment_close(shared.segment));
    CHECK(exists(name_of("s")));
    shared.steps->go = 1;
    CHECK_JOIN(child);

    make(&shared.segment, &shared.lock);
    CHECK_JOIN(start(exit_here, NULL));
    CHECK(exists(name_of("s")));
    CHECK_EQ(who_is_in(shared.segment, getpid(), 0), 1);
    CHECK_OK(pshm_segment_close(shared.segment));
    CHECK(!exists(name_of("s")));
}

static void have_as_many(void *argument) { CHECK_EQ(descriptors(), *(const int *)argument); }

static void fork_on(void *argument) {
    const pair *shared = argument;
    int mine = descriptors();
    CHECK_JOIN(start(have_as_many, &mine)); /* and none of its own opening */
    pid_t parent = getpid(), child = start(stay, &shared->steps->at);
    AWAIT(shared->steps->at == 1);
    CHECK_EQ(who_is_in(shared->segment, parent, child), 3 + 4);
    kill_child(child);
    CHECK_EQ(who_is_in(shared->segment, parent, child), 1 + 4);
}

static void shouldHaveChildrenOfItsOwn(void) {
    pair shared = {.steps = shared_zeroes(sizeof(steps))};
    make(&shared.segment, &shared.lock);
    CHECK_JOIN(start(fork_on, &shared));
    CHECK_OK(pshm_segment_close(shared.segment));
}

static void have_no_part(void *argument) {
    const pair *shared = argument;
    pshm_value *value;
    CHECK_CODE(pshm_value_open(shared->segment, "v", PSHM_INT8, &value), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_acquire(shared->lock), PSHM_ECLOSED);
    CHECK_OK(pshm_segment_close(shared->segment));
}

static void shouldFindItClosedWhenThereIsNoRoom(void) {
    pshm_segment *more[PSHM_PARTICIPANTS_MAX];
    pair shared;
    make(&shared.segment, &shared.lock);
    for (int i = 1; i < PSHM_PARTICIPANTS_MAX; i++)
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &more[i]));
    CHECK_JOIN(start(have_no_part, &shared));
    for (int i = 1; i < PSHM_PARTICIPANTS_MAX; i++)
        CHECK_OK(pshm_segment_close(more[i]));
    CHECK_JOIN(start(exit_here, NULL)); /* what was in vain has left nothing */
    CHECK_EQ(who_is_in(shared.segment, getpid(), 0), 1);
    CHECK_OK(pshm_segment_close(shared.segment));
}

/* ---- locks ---- */

static void be_without(void *argument) {
    const pair *shared = argument;
    CHECK_EQ(pshm_lock_depth(shared->lock), 0);
    CHECK_CODE(pshm_lock_release(shared->lock), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_lock_mark_good(shared->lock), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_lock_try_acquire(shared->lock), PSHM_EBUSY);
    CHECK_OK(pshm_segment_close(shared->segment)); /* it holds none */
}

static void shouldNotHaveItsParentsLocks(void) {
    pair shared;
    make(&shared.segment, &shared.lock);
    CHECK_OK(pshm_lock_acquire(shared.lock));
    CHECK_JOIN(start(be_without, &shared));
    CHECK_EQ(pshm_lock_depth(shared.lock), 1);
    CHECK_OK(pshm_lock_release(shared.lock));
    CHECK_OK(pshm_segment_close(shared.segment));
}

static void check_told(pshm_lock *lock, pid_t dead) {
    pshm_lock_info info;
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EOWNERDIED);
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_EQ(info.dead.pid, dead);
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
}

static void hold_and_die(void *argument) {
    CHECK_OK(pshm_lock_acquire(((const pair *)argument)->lock));
    raise(SIGKILL);
}

static void shouldTellItsParentOfItsDeath(void) {
    pair shared;
    make(&shared.segment, &shared.lock);
    pid_t child = start(hold_and_die, &shared);
    CHECK_EQ(wait_for(child), SIGKILL);
    check_told(shared.lock, child);
    CHECK_OK(pshm_segment_close(shared.segment));
}

static void hold_fork_and_stay(void *argument) {
    steps *shared = argument;
    pshm_segment *segment;
    pshm_lock *lock;
    make(&segment, &lock);
    CHECK_OK(pshm_lock_acquire(lock));
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        alarm(check_seconds);
        pid_t parent = getppid();
        shared->pid = getpid();
        shared->at = 1;
        check_told(lock, parent);
        CHECK_OK(pshm_segment_close(segment));
        _exit(0);
    }
    for (;;)
        pause();
}

static void shouldBeToldOfItsParentsDeath(void) {
    if (CHECK_TSAN) {
        printf("    skipped: to TSan a forked child has its parent's locks\n");
        return;
    }
    steps *shared = shared_zeroes(sizeof(*shared));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t parent = start(hold_fork_and_stay, shared);
    AWAIT(shared->at == 1);
    kill_child(parent);
    CHECK_JOIN(shared->pid);
    pshm_reap(); /* a lock is told of before the last of a process has gone */
    CHECK(!exists(name_of("s")));
}

/* ---- in the midst of something ---- */

static void *open_for_ever(void *argument) {
    (void)argument;
    for (;;) {
        pshm_segment *segment;
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
        CHECK_OK(pshm_segment_close(segment));
    }
    return NULL;
}

enum { FORKED = 60 };

typedef struct forks {
    atomic_int count;
    atomic_int ready; /* of them: until then a child has what its parent has open */
    int pids[FORKED];
} forks;

static void fork_while_opening(void *argument) {
    forks *shared = argument;
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&thread, NULL, open_for_ever, NULL), 0);
    for (int i = 0; i < FORKED; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, 0);
            alarm(check_seconds);
            shared->ready++;
            for (;;)
                pause();
        }
        shared->pids[i] = child;
        shared->count = i + 1;
        sleep_ms(1);
    }
    for (;;)
        pause();
}

/* Forked while other threads open and close, a child has at most what was open, and in order. */
static void shouldHaveNoPartInWhatIsUnderWay(void) {
    if (CHECK_TSAN) {
        printf("    skipped: TSan does not follow a fork of several threads\n");
        return;
    }
    forks *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 4096, &last_out, &segment));
    pid_t parent = start(fork_while_opening, shared);
    AWAIT(shared->count == FORKED && shared->ready == FORKED);
    kill_child(parent);
    uint64_t cursor = 0;
    pshm_participant_info info;
    while (pshm_segment_next_participant(segment, &cursor, &info) == 1) {
        bool known = info.pid == getpid();
        for (int i = 0; i < FORKED; i++)
            known = known || info.pid == shared->pids[i];
        CHECK(known); /* the parent has gone, with all that was its own */
    }
    int inherited = who_is_in(segment, getpid(), 0) / 4;
    printf("    %d of %d children have part in it by their parent's threads\n", inherited - FORKED,
           FORKED);
    CHECK(inherited >= FORKED); /* that of this process, by way of its child */
    pshm_segment *another;
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &another)); /* the lifecycle lock is free */
    CHECK_OK(pshm_segment_close(another));
    for (int i = 0; i < FORKED; i++)
        kill_child(shared->pids[i]);
    CHECK_EQ(who_is_in(segment, getpid(), 0), 1);
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

int main(void) {
    check_begin(110);
    RUN(shouldOutliveItsParent);
    RUN(shouldEndAlone);
    RUN(shouldLeaveByItself);
    RUN(shouldHaveChildrenOfItsOwn);
    RUN(shouldFindItClosedWhenThereIsNoRoom);
    RUN(shouldNotHaveItsParentsLocks);
    RUN(shouldTellItsParentOfItsDeath);
    RUN(shouldBeToldOfItsParentsDeath);
    RUN(shouldHaveNoPartInWhatIsUnderWay);
    return check_end();
}
