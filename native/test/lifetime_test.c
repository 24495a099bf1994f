/* SPDX-License-Identifier: Apache-2.0
 *
 * When segments go and when they stay: last one out, killed ones, half-made ones; and the
 * participants table, in which the kernel tells who is alive.
 */
#include "check.h"

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

static int participants(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm_participant_info info;
    int count = 0, code;
    while ((code = pshm_segment_next_participant(segment, &cursor, &info)) == 1) {
        CHECK(info.pid > 0);
        count++;
    }
    CHECK_OK(code);
    return count;
}

typedef struct steps {
    atomic_int at, go;
    int pid;
} steps;

static pshm_segment *ours; /* what a test has open when it starts a child */

/* Take part in it as if not born into it. */
static pshm_segment *open_anew(void) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_close(ours));
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    return segment;
}

static void open_and_stay(void *argument) {
    steps *shared = argument;
    open_anew();
    shared->at++;
    for (;;)
        pause();
}

static void open_and_close(void *argument) {
    steps *shared = argument;
    pshm_segment *segment = open_anew();
    shared->at++;
    AWAIT(shared->go != 0);
    CHECK_OK(pshm_segment_close(segment));
}

static void open_and_exit(void *argument) {
    (void)argument;
    open_anew();
    exit(0);
}

/* ---- last one out ---- */

static void shouldGoWithTheLastClose(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
    ours = segment;
    pid_t child = start(open_and_close, shared);
    AWAIT(shared->at == 1);
    CHECK_OK(pshm_segment_close(segment));
    CHECK(exists(name_of("s")));
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_EQ(pshm_segment_lifetime(segment), PSHM_LAST_OUT);
    CHECK_OK(pshm_segment_close(segment));
    CHECK(exists(name_of("s")));
    shared->go = 1;
    CHECK_JOIN(child);
    CHECK(!exists(name_of("s")));
}

static void shouldGoWithTheLastExit(void) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
    ours = segment;
    CHECK_JOIN(start(open_and_exit, NULL));
    CHECK(exists(name_of("s")));
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

static void create_and_exit(void *argument) {
    const pshm_options *options = argument;
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, options, &segment));
    CHECK_OK(pshm_segment_create(name_of("t"), 64, options, &segment));
    exit(0);
}

static void shouldTidyUpWhenAProcessEndsWithoutClosing(void) {
    static const pshm_options persistent = {.lifetime = PSHM_PERSISTENT};
    CHECK_JOIN(start(create_and_exit, (void *)(uintptr_t)&last_out));
    CHECK(!exists(name_of("s")));
    CHECK(!exists(name_of("t")));
    CHECK_JOIN(start(create_and_exit, (void *)(uintptr_t)&persistent));
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name_of("s")));
    CHECK(exists(name_of("t")));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
    CHECK_OK(pshm_segment_unlink(name_of("t")));
}

static pshm_segment *closed_late;
static steps *late;

static void close_late(void) {
    late->at = 1; /* the slot is free again: let another take it */
    AWAIT(late->go != 0);
    CHECK_OK(pshm_segment_close(closed_late));
}

static void close_at_exit(void *argument) {
    late = argument;
    closed_late = open_anew();
    exit(0);
}

/* A slot that has been given up once is not given up again: it is another's by then. */
static void shouldLeaveOnceWhenClosedDuringExit(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment, *second;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
    ours = segment;
    pid_t child = start(close_at_exit, shared);
    AWAIT(shared->at == 1);
    CHECK_EQ(participants(segment), 1);
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &second));
    shared->go = 1;
    CHECK_JOIN(child);
    CHECK_EQ(participants(segment), 2);
    CHECK_OK(pshm_segment_close(second));
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

/* Each of these, in a process that is new to the library, reaps on its way. */
static void next_process(void *argument) {
    pshm_segment *segment;
    switch (*(const int *)argument) {
    case 0:
        CHECK_OK(pshm_segment_create(NULL, 64, NULL, &segment));
        CHECK_OK(pshm_segment_close(segment));
        break;
    case 1: CHECK_CODE(pshm_segment_open(name_of("absent"), NULL, &segment), PSHM_ENOENT); break;
    case 2:
        CHECK_CODE(pshm_segment_open_or_create(name_of("x"), 64, &last_out, &segment), 1);
        CHECK_OK(pshm_segment_close(segment));
        break;
    case 3:
        CHECK(pshm_reap() >= 0); /* another test's process may do it */
        break;
    case 4: CHECK_CODE(pshm_segment_open(name_of("s"), NULL, &segment), PSHM_ENOENT); break;
    default:
        CHECK_CODE(pshm_segment_open_or_create(name_of("s"), 64, &last_out, &segment), 1);
        CHECK_OK(pshm_segment_close(segment));
    }
}

static void shouldGoWhenAllWereKilled(void) {
    for (int way = 0; way <= 5; way++) {
        steps *shared = shared_zeroes(sizeof(*shared));
        pid_t children[3];
        pshm_segment *segment;
        CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
        ours = segment;
        for (int i = 0; i < 3; i++)
            children[i] = start(open_and_stay, shared);
        AWAIT(shared->at == 3);
        CHECK_OK(pshm_segment_close(segment));
        kill_child(children[0]);
        stop_child(children[1]); /* stopped is not dead */
        stop_child(children[2]);
        CHECK(pshm_reap() >= 0);
        CHECK(exists(name_of("s")));
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
        CHECK_EQ(participants(segment), 3);
        CHECK_OK(pshm_segment_close(segment));
        kill_child(children[1]);
        pshm_reap();
        CHECK(exists(name_of("s")));
        kill_child(children[2]);
        CHECK_JOIN(start(next_process, &way));
        CHECK(!exists(name_of("s")));
    }
}

static void shouldKeepPersistentOnesWhenAllWereKilled(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, NULL, &segment));
    ours = segment;
    pid_t child = start(open_and_stay, shared);
    AWAIT(shared->at == 1);
    CHECK_OK(pshm_segment_close(segment));
    kill_child(child);
    const int way = 0;
    CHECK_JOIN(start(next_process, (void *)(uintptr_t)&way));
    CHECK(pshm_reap() >= 0);
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_EQ(participants(segment), 1);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
}

/* The last one out of an unlinked segment has no business with one that has its name by now. */
static void shouldNotRemoveAnotherOfItsName(void) {
    pshm_segment *first, *second;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &first));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &second));
    CHECK_OK(pshm_segment_close(first));
    CHECK(exists(name_of("s")));
    CHECK_OK(pshm_segment_close(second));
    CHECK(!exists(name_of("s")));
}

/* ---- creators that were killed ---- */

enum { CREATED, LOCKED, RESERVED, JOINED, MUTEX_MADE, HEADER_WRITTEN, STAGES };

static void create_up_to(const int *stage, const char *name) {
    pshm__file file;
    const uint64_t total = PSHM_HEAP_OFFSET + 4096;
    const pshm_options options = {.permissions = 0600, .lifetime = PSHM_PERSISTENT};
    pshm__header header;
    const void *mapped;
    CHECK_OK(pshm__os_file_create(name, 0600, &file));
    if (*stage >= LOCKED)
        CHECK_OK(pshm__os_file_lock(file, 0));
    if (*stage >= RESERVED)
        CHECK_OK(pshm__os_file_reserve(file, total));
    if (*stage >= JOINED)
        CHECK_OK(pshm__os_file_lock(file, PSHM_PARTICIPANT_OFFSET));
    if (*stage >= MUTEX_MADE) {
        CHECK_OK(pshm__os_map(file, name, total, &mapped));
        CHECK_OK(pshm__os_mutex_init((char *)mapped + PSHM_DIRECTORY_OFFSET + 64));
    }
    if (*stage >= HEADER_WRITTEN) {
        CHECK_OK(pshm__header_fill(&header, total, &options));
        memcpy((void *)mapped, &header, sizeof(header)); /* but the ready word */
    }
}

static void create_and_die(void *argument) {
    create_up_to(argument, name_of("s"));
    raise(SIGKILL);
}

static void shouldTakeOverFromACreatorThatWasKilled(void) {
    for (int stage = CREATED; stage < STAGES; stage++) {
        pshm_segment *segment;
        const int32_t whole = 4;
        for (int way = 0; way < 5; way++) {
            CHECK_EQ(wait_for(start(create_and_die, &stage)), SIGKILL);
            switch (way) {
            case 0: CHECK_OK(pshm_segment_create(name_of("s"), 4096, NULL, &segment)); break;
            case 1:
                CHECK_CODE(pshm_segment_open_or_create(name_of("s"), 4096, NULL, &segment), 1);
                break;
            case 2:
                CHECK_CODE(pshm_segment_open(name_of("s"), NULL, &segment), PSHM_ENOENT);
                CHECK(!exists(name_of("s")));
                continue;
            case 3:
                CHECK(pshm_reap() >= 0);
                CHECK(!exists(name_of("s")));
                continue;
            default:
                pshm_segment_unlink(name_of("s"));
                CHECK(!exists(name_of("s")));
                continue;
            }
            pshm_value *value;
            CHECK_OK(pshm_value_open(segment, "v", PSHM_INT32, &value));
            CHECK_EQ(*(int32_t *)pshm_value_data(value), 0);
            *(int32_t *)pshm_value_data(value) = whole;
            CHECK_EQ(participants(segment), 1);
            CHECK_OK(pshm_segment_close(segment));
            CHECK_OK(pshm_segment_unlink(name_of("s")));
        }
    }
}

static void create_and_wait(void *argument) {
    steps *shared = argument;
    const int stage = HEADER_WRITTEN;
    create_up_to(&stage, name_of("s"));
    shared->at = 1;
    for (;;)
        pause();
}

/* A creator that lives is never overtaken, however long it takes; and a dead one at once. */
static void shouldBeBusyWhileTheCreatorLives(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    pid_t child = start(create_and_wait, shared);
    AWAIT(shared->at == 1);
    stop_child(child);
    CHECK(pshm_reap() >= 0); /* does not wait */
    CHECK(exists(name_of("s")));
    CHECK_CODE(pshm_segment_open(name_of("s"), NULL, &segment), PSHM_EBUSY);
    CHECK_DETAIL(name_of("s"));
    CHECK_DETAIL("continue it or end it");
    CHECK(exists(name_of("s")));
    kill_child(child);
    CHECK_CODE(pshm_segment_open_or_create(name_of("s"), 64, &last_out, &segment), 1);
    CHECK_OK(pshm_segment_close(segment));
}

static void create_in_turn(void *argument) {
    steps *shared = argument;
    pshm_segment *segment;
    shared->at++;
    AWAIT(shared->go != 0);
    int code = pshm_segment_create(name_of("s"), 4096, &last_out, &segment);
    CHECK(code == 0 || code == PSHM_EEXIST);
    if (code == 0) {
        shared->pid++;
        AWAIT(shared->go == 2);
    }
    shared->at--;
    exit(0);
}

/* What a dead creator left does not stand in the way of many: one of them gets the name. */
static void shouldHaveOneCreatorAfterADeadOne(void) {
    enum { PROCESSES = 12 };
    steps *shared = shared_zeroes(sizeof(*shared));
    for (int round = 0; round < 20; round++) {
        const int stage = round % STAGES;
        pid_t children[PROCESSES];
        memset(shared, 0, sizeof(*shared));
        for (int i = 0; i < PROCESSES; i++)
            children[i] = start(create_in_turn, shared);
        AWAIT(shared->at == PROCESSES);
        CHECK_EQ(wait_for(start(create_and_die, (void *)(uintptr_t)&stage)), SIGKILL);
        shared->go = 1;
        AWAIT(shared->at == 1 && shared->pid > 0);
        CHECK_EQ(shared->pid, 1);
        shared->go = 2;
        for (int i = 0; i < PROCESSES; i++)
            CHECK_JOIN(children[i]);
        pshm_reap();
        CHECK(!exists(name_of("s")));
    }
}

/* Processes that come, go and are killed at any instruction, all on one name. */
static void come_and_go(void *argument) {
    (void)argument;
    for (;;) {
        pshm_segment *segment;
        pshm_value *value;
        int code = pshm_segment_open_or_create(name_of("s"), 4096, &last_out, &segment);
        CHECK(code == 0 || code == 1 || (fprintf(stderr, "%s\n", pshm_error_detail()), false));
        CHECK_OK(pshm_value_open(segment, "v", PSHM_INT64, &value));
        atomic_fetch_add((_Atomic int64_t *)pshm_value_data(value), 1);
        CHECK_OK(pshm_segment_close(segment));
    }
}

static void shouldSurviveAStormOfComingAndGoing(void) {
    enum { PROCESSES = 4, KILLS = CHECK_TSAN ? 60 : 300 };
    uint64_t seed = 99;
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(come_and_go, NULL);
    for (int i = 0; i < KILLS; i++) {
        struct timespec nap = {.tv_nsec = (long)(random_next(&seed) % 3000000)};
        nanosleep(&nap, NULL);
        int which = (int)(random_next(&seed) % PROCESSES);
        int status;
        kill(children[which], SIGKILL);
        CHECK_EQ(waitpid(children[which], &status, 0), children[which]);
        CHECK_EQ(status, SIGKILL);
        children[which] = start(come_and_go, NULL);
    }
    for (int i = 0; i < PROCESSES; i++)
        kill_child(children[i]);
    pshm_reap();
    CHECK(!exists(name_of("s")));
}

/* ---- participants ---- */

static void shouldListWhoHasItOpen(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segment;
    pshm_participant_info info;
    uint64_t cursor = 0;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
    ours = segment;
    pid_t child = start(open_and_stay, shared);
    AWAIT(shared->at == 1);
    int seen = 0;
    while (pshm_segment_next_participant(segment, &cursor, &info) == 1) {
        char command[64] = "";
        FILE *file = fopen("/proc/self/comm", "re");
        CHECK(file != NULL && fgets(command, sizeof(command), file) != NULL);
        fclose(file);
        command[strcspn(command, "\n")] = '\0';
        CHECK_STR(info.command, command);
        CHECK(info.pid == getpid() || info.pid == child);
        CHECK(info.start_time > 0);
        CHECK(info.since_ns > 1600000000000000000);
        seen += info.pid == getpid() ? 1 : 100;
    }
    CHECK_EQ(seen, 101);
    kill_child(child);
    CHECK_EQ(participants(segment), 1);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldHaveRoomForItsCapacity(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_segment *segments[PSHM_PARTICIPANTS_MAX], *one_more;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segments[0]));
    ours = segments[0];
    pid_t child = start(open_and_stay, shared);
    AWAIT(shared->at == 1);
    for (int i = 1; i < PSHM_PARTICIPANTS_MAX - 1; i++)
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segments[i]));
    CHECK_EQ(participants(segments[0]), PSHM_PARTICIPANTS_MAX);
    for (int i = 0; i < 3; i++) {
        CHECK_CODE(pshm_segment_open(name_of("s"), NULL, &one_more), PSHM_EPARTICIPANTS);
        CHECK_DETAIL("128");
        CHECK_DETAIL(name_of("s"));
    }
    kill_child(child);
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &one_more));
    CHECK_EQ(participants(one_more), PSHM_PARTICIPANTS_MAX);
    CHECK_OK(pshm_segment_close(one_more));
    for (int i = 0; i < PSHM_PARTICIPANTS_MAX - 1; i++)
        CHECK_OK(pshm_segment_close(segments[i]));
    CHECK(!exists(name_of("s")));
}

static pshm_semaphore *late_semaphore;
static steps *late_steps;

static void release_late(void) {
    late_steps->at = 1;
    AWAIT(late_steps->go != 0);
    late_steps->pid = pshm_semaphore_release(late_semaphore, 1); /* what it returns */
}

static void exit_and_release(void *argument) {
    late_steps = argument;
    exit(0);
}

static void acquire_and_stay(void *argument) {
    steps *shared = argument;
    CHECK_OK(pshm_semaphore_acquire(late_semaphore, 1, -1, NULL));
    shared->at = 2;
    for (;;)
        pause();
}

static void shouldTouchNoStakeAfterItHasLeft(void) {
    steps *shared = shared_zeroes(sizeof(*shared));
    pshm_semaphore_info info;
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, &last_out, &ours));
    CHECK_OK(pshm_semaphore_open(ours, "permits", 1, 0, &late_semaphore));
    pid_t ends = start(exit_and_release, shared);
    AWAIT(shared->at == 1);
    pid_t holds = start(acquire_and_stay, shared); /* in the slot that the other has left */
    AWAIT(shared->at == 2);
    shared->go = 1;
    CHECK_JOIN(ends);
    CHECK_CODE(shared->pid, PSHM_ECLOSED);
    CHECK_OK(pshm_semaphore_inspect(late_semaphore, &info));
    CHECK_EQ(info.available, 0);
    CHECK_EQ(info.total, 1);
    kill_child(holds);
    CHECK_OK(pshm_segment_close(ours));
}

static void act_late_in_child(void) {
    if (late != NULL)
        close_late();
    if (late_steps != NULL)
        release_late();
}

int main(void) {
    check_begin(110);
    atexit(act_late_in_child); /* runs after the library's own, which is registered later */
    RUN(shouldGoWithTheLastClose);
    RUN(shouldGoWithTheLastExit);
    RUN(shouldTidyUpWhenAProcessEndsWithoutClosing);
    RUN(shouldLeaveOnceWhenClosedDuringExit);
    RUN(shouldTouchNoStakeAfterItHasLeft);
    RUN(shouldGoWhenAllWereKilled);
    RUN(shouldKeepPersistentOnesWhenAllWereKilled);
    RUN(shouldNotRemoveAnotherOfItsName);
    RUN(shouldTakeOverFromACreatorThatWasKilled);
    RUN(shouldBeBusyWhileTheCreatorLives);
    RUN(shouldHaveOneCreatorAfterADeadOne);
    RUN(shouldSurviveAStormOfComingAndGoing);
    RUN(shouldListWhoHasItOpen);
    RUN(shouldHaveRoomForItsCapacity);
    return check_end();
}
