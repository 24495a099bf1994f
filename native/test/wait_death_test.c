/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits is told of the end of those that hold something: the killed, those that close, come
 * later, come and go, or are forked; what that costs; and where nobody can be watched.
 */
#include "wait.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static atomic_int *step; /* shared with the children */

static void begin_counting(int64_t permits) {
    *step = 0;
    begin(permits);
}

static void join_by_name(void) {
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "s", 3, 0, &semaphore));
}

/* This process has threads, one of them the library's, and its children are to have some. */
static bool cannot_fork(void) {
    if (CHECK_TSAN)
        printf("    skipped: TSan does not follow forks of several threads\n");
    return CHECK_TSAN;
}

/* ---- deaths ---- */

static void hold(void *argument) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, *(const int64_t *)argument, endless, NULL));
    ++*step;
    for (;;)
        pause();
}

static void hold_by_name(void *argument) {
    join_by_name();
    hold(argument);
}

static pid_t start_holder(void (*body)(void *), int64_t permits) {
    const int before = *step;
    pid_t pid = start(body, &permits);
    AWAIT(*step == before + 1);
    return pid;
}

static void hold_and_close(void *argument) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, *(const int64_t *)argument, endless, NULL));
    ++*step;
    AWAIT(*step == 2);
    CHECK_OK(pshm_segment_close(segment));
    for (;;)
        pause();
}

static void shouldTellOfTheHoldersEnd(void) {
    for (int way = 0; way < 4; way++) {
        waiter one = {.permits = 3, .timeout_ns = -1};
        begin_counting(3);
        pid_t holder = start_holder(way == 0 ? hold : way == 1 ? hold_by_name : hold_and_close, 2);
        start_waiter(&one);
        AWAIT(sleepers() == 1);
        if (way == 3) {
            CHECK_OK(pshm_semaphore_release(semaphore, 0)); /* and when it sleeps again */
            sleep_ms(5);
        }
        if (way < 2)
            kill_child(holder);
        else
            *step = 2;
        expect_code(&one, 0);
        CHECK_EQ(inspect().held_here, 3);
        if (way >= 2)
            kill_child(holder);
        end();
    }
}

static void shouldNotTellOfAHolderThatIsStopped(void) {
    waiter one = {.permits = 3, .timeout_ns = -1};
    begin_counting(3);
    pid_t holder = start_holder(hold, 2);
    start_waiter(&one);
    AWAIT(sleepers() == 1);
    stop_child(holder);
    sleep_ms(200); /* for who would be wrong */
    CHECK_EQ(one.code, WAITING);
    CHECK_EQ(inspect().available, 1);
    kill_child(holder);
    expect_code(&one, 0);
    end();
}

static void shouldTellOfOneThatCameLater(void) {
    for (int way = 0; way < 4; way++) {
        waiter one = {.permits = 3, .timeout_ns = -1};
        begin_counting(3);
        CHECK_OK(pshm_semaphore_acquire(semaphore, 1, 0, NULL));
        start_waiter(&one);
        AWAIT(sleepers() == 1);
        pid_t late = start_holder(way % 2 == 0 ? hold : hold_by_name, 2);
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        if (way < 2)
            AWAIT(sleepers() == 1);
        CHECK_EQ(one.code, WAITING);
        kill_child(late);
        expect_code(&one, 0);
        end();
    }
}

static void die_at_once(void *argument) {
    join_by_name();
    CHECK_OK(pshm_semaphore_acquire(semaphore, *(const int64_t *)argument, endless, NULL));
    raise(SIGKILL);
}

/* So short that it may be gone before anybody could have listed it. */
static void shouldTellOfManyThatComeAndGo(void) {
    const int64_t permits = 3;
    if (cannot_fork())
        return;
    begin_counting(3);
    for (int round = 0; round < 100; round++) {
        waiter one = {.permits = 3, .timeout_ns = -1};
        pid_t visitor = start(die_at_once, (void *)(uintptr_t)&permits);
        start_waiter(&one);
        expect_code(&one, 0); /* the first, or told of the visitor's end */
        CHECK_OK(pshm_semaphore_release(semaphore, 3));
        CHECK_EQ(wait_for(visitor), SIGKILL);
    }
    CHECK_EQ(inspect().available, 3);
    end();
}

static void wait_in_child(void *argument) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, *(const int64_t *)argument, endless, NULL));
    ++*step;
    for (;;)
        pause();
}

/* The one that waits looks only when a newcomer has the dead one's slot. */
static void shouldNotMixUpOneThatTakesTheSlot(void) {
    const int64_t permits = 2;
    if (cannot_fork())
        return;
    for (int way = 0; way < 2; way++) {
        begin_counting(3);
        pid_t holder = start_holder(hold, 2);
        pid_t one = start(wait_in_child, (void *)(uintptr_t)&permits);
        AWAIT(sleepers() == 1);
        stop_child(one);
        kill_child(holder);
        pid_t newcomer = start_holder(way == 0 ? hold : hold_by_name, 1);
        kill(one, SIGCONT);
        AWAIT(*step == 3);
        CHECK_EQ(inspect().available, 0);
        kill_child(newcomer);
        CHECK_EQ(inspect().available, 1);
        kill_child(one);
        CHECK_EQ(inspect().available, 3);
        end();
    }
}

static void shouldNotCountAWaitersDeath(void) {
    const int64_t permits = 1;
    if (cannot_fork())
        return;
    begin_counting(0);
    for (int round = 0; round < 20; round++) {
        waiter one = {.permits = 1, .timeout_ns = -1};
        pid_t dies = start(wait_in_child, (void *)(uintptr_t)&permits);
        const uint32_t dead = (uint32_t)round; /* they stay counted */
        AWAIT(sleepers() == dead + 1);
        start_waiter(&one);
        AWAIT(sleepers() == dead + 2);
        kill_child(dies);
        CHECK_OK(pshm_semaphore_release(semaphore, 1));
        expect_code(&one, 0);
        CHECK_EQ(inspect().available, 0);
    }
    end();
}

/* ---- forks ---- */

static void wait_as_the_parent_does(void *argument) {
    waiter one = {.permits = *(const int64_t *)argument, .timeout_ns = -1};
    start_waiter(&one);
    expect_code(&one, 0);
    ++*step;
    for (;;)
        pause();
}

static void shouldWaitInAForkedChildAsWell(void) {
    const int64_t permits = 1;
    waiter one = {.permits = 2, .timeout_ns = -1};
    if (cannot_fork())
        return;
    begin_counting(3);
    pid_t holder = start_holder(hold, 3);
    start_waiter(&one);
    AWAIT(sleepers() == 1);
    pid_t child = start(wait_as_the_parent_does, (void *)(uintptr_t)&permits);
    AWAIT(sleepers() == 2);
    kill_child(holder);
    expect_code(&one, 0);
    AWAIT(*step == 2);
    CHECK_EQ(inspect().available, 0);
    one.permits = 1;
    start_waiter(&one);
    kill_child(child);
    expect_code(&one, 0);
    end();
}

/* ---- what it costs ---- */

/* How often the threads of this process other than the main one were switched. */
static long switches(void) {
    long sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], line[128];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *status = fopen(path, "re");
        while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
            const char *count = strstr(line, "ctxt_switches:");
            if (count != NULL)
                sum += atol(count + strlen("ctxt_switches:"));
        }
        if (status != NULL)
            fclose(status);
    }
    closedir(tasks);
    return sum;
}

static void shouldBurnNothingWhileIdle(void) {
    enum { WAITERS = 8 };
    const int kinds[] = {PSHM_SEMAPHORE, PSHM_EVENT, PSHM_LATCH};
    waiter waiters[WAITERS];
    if (CHECK_TSAN) {
        printf("    skipped: TSan has a thread of its own, which is not idle\n");
        return;
    }
    begin_counting(3);
    pid_t holder = start_holder(hold, 2);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.kind = kinds[i % 3], .permits = 2, .timeout_ns = -1};
        start_waiter(&waiters[i]);
    }
    AWAIT(sleepers() + sleepers_of(&event->sync) + sleepers_of(&latch->sync) == WAITERS);
    sleep_ms(100);
    const long before = switches();
    sleep_ms(3000);
    const long after = switches();
    printf("    %ld context switches, %ld before\n", after - before, before);
    CHECK_EQ(after - before, 0);
    kill_child(holder); /* for one of three */
    AWAIT(waiters[0].code == 0 || waiters[3].code == 0 || waiters[6].code == 0);
    CHECK_OK(pshm_event_set(event));
    CHECK_OK(pshm_latch_count_down(latch, 1));
    CHECK_OK(pshm_semaphore_release(semaphore, 4));
    for (int i = 0; i < WAITERS; i++)
        expect_code(&waiters[i], 0);
    end();
}

/* A process that comes and goes, and lives. */
static void come_and_go(void *argument) {
    CHECK_OK(pshm_segment_close(segment));
    for (int i = 0; i < *(const int *)argument; i++) {
        join_by_name();
        if (i % 10 == 0) /* let them look */
            sleep_ms(2);
        if (i < *(const int *)argument - 1)
            CHECK_OK(pshm_segment_close(segment));
    }
    CHECK_OK(pshm_semaphore_acquire(semaphore, 3, endless, NULL));
    ++*step;
    for (;;)
        pause();
}

static void shouldTakeOneDescriptorForAProcess(void) {
    int rounds = 200;
    waiter one = {.permits = 4, .timeout_ns = -1};
    if (cannot_fork())
        return;
    begin_counting(3);
    start_waiter(&one);
    AWAIT(sleepers() == 1);
    const int before = descriptors();
    pid_t visitor = start(come_and_go, &rounds);
    AWAIT(*step == 1);
    AWAIT(sleepers() == 1);
    CHECK(descriptors() <= before + 2); /* the child that was forked, perhaps, and itself again */
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
    kill_child(visitor);
    expect_code(&one, 0);
    end();
}

/* ---- where participants cannot be watched ---- */

static void refuse_pidfd(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void refuse_descriptors(void) {
    struct rlimit limit = {0, 0};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void wait_unwatched(void *refuse) {
    join_by_name();
    (*(void (*const *)(void))refuse)();
    CHECK_CODE(pshm_semaphore_acquire(semaphore, 3, 250000000, NULL), PSHM_ETIMEDOUT);
    ++*step;
    CHECK_OK(pshm_semaphore_acquire(semaphore, 3, endless, NULL));
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldEndWaitsWhereNobodyCanBeWatched(void) {
    void (*const ways[])(void) = {refuse_pidfd, refuse_descriptors};
    if (cannot_fork())
        return;
    for (int way = 0; way < 2; way++) {
        begin_counting(3);
        pid_t holder = start_holder(hold, 2);
        pid_t one = start(wait_unwatched, (void *)(uintptr_t)&ways[way]);
        AWAIT(*step == 2);
        AWAIT(sleepers() == 1);
        const uint32_t sequence = *(const volatile uint32_t *)&semaphore->sync.events->sequence;
        sleep_ms(300);
        /* It looks, and wakes nobody, itself included, by that. */
        CHECK_EQ(*(const volatile uint32_t *)&semaphore->sync.events->sequence, sequence);
        kill_child(holder);
        CHECK_JOIN(one);
        end();
    }
}

/* A child that no fork handler has seen keeps the locks of its parent; as one of vfork does. */
static void hold_with_heir(void *argument) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, *(const int64_t *)argument, endless, NULL));
    const pid_t heir = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (heir == 0) {
        alarm(check_seconds); /* it outlives its parent, but not a test that fails */
        for (;;)
            syscall(SYS_pause);
    }
    *step = heir;
    for (;;)
        pause();
}

static void shouldTellOfTheDeadWhoseLocksAreLeft(void) {
    for (int way = 0; way < 2; way++) {
        const int64_t permits = 2;
        waiter one = {.permits = 3, .timeout_ns = -1};
        begin_counting(3);
        pid_t holder = start(hold_with_heir, (void *)(uintptr_t)&permits);
        AWAIT(*step != 0);
        if (way == 0) {
            start_waiter(&one);
            AWAIT(sleepers() == 1);
        }
        kill_child(holder);
        if (way == 1) { /* there is no process to watch any more */
            start_waiter(&one);
            AWAIT(sleepers() == 1);
        }
        sleep_ms(50);
        CHECK_EQ(one.code, WAITING);
        kill(*step, SIGKILL);
        expect_code(&one, 0);
        end();
    }
}

int main(void) {
    check_begin(110);
    step = shared_zeroes(sizeof(*step));
    RUN(shouldTellOfTheHoldersEnd);
    RUN(shouldNotTellOfAHolderThatIsStopped);
    RUN(shouldTellOfOneThatCameLater);
    RUN(shouldTellOfManyThatComeAndGo);
    RUN(shouldNotMixUpOneThatTakesTheSlot);
    RUN(shouldNotCountAWaitersDeath);
    RUN(shouldWaitInAForkedChildAsWell);
    RUN(shouldBurnNothingWhileIdle);
    RUN(shouldTakeOneDescriptorForAProcess);
    RUN(shouldEndWaitsWhereNobodyCanBeWatched);
    RUN(shouldTellOfTheDeadWhoseLocksAreLeft);
    return check_end();
}
