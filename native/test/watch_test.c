/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of participants: told at once when they are killed, never when they are stopped, and
 * never of another that has their pid or their slot. And what they hold, as long as they live.
 */
#include "check.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};
static const int64_t without_end = -1;

typedef struct steps {
    atomic_int at, go;
} steps;

static steps *shared; /* with the children */
static pshm_segment *segment;

static void begin(void) {
    memset(shared, 0, sizeof(*shared));
    CHECK_OK(pshm_segment_create(name_of("s"), 4096, &last_out, &segment));
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

/* A forked child takes part in it. */
static void take_part(void *argument) {
    (void)argument;
    shared->at++;
    for (;;)
        pause();
}

/* Another participant than this process, or one with this pid. */
static bool find(pid_t pid, pshm_participant_info *out) {
    uint64_t cursor = 0;
    while (pshm_segment_next_participant(segment, &cursor, out) == 1) {
        if (out->pid == pid)
            return true;
    }
    return false;
}

static pid_t start_participant(pshm_participant_info *out) {
    int before = shared->at;
    pid_t pid = start(take_part, NULL);
    AWAIT(shared->at == before + 1);
    CHECK(find(pid, out));
    return pid;
}

/* ---- told ---- */

static void shouldTellWhenKilled(void) {
    pshm_participant_info peer, told;
    begin();
    int before = descriptors();
    pid_t pid = start_participant(&peer);
    CHECK_OK(pshm_segment_watch(segment, &peer));
    CHECK_OK(pshm_segment_watch(segment, &peer)); /* the same watch */
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_segment_next_exit(segment, 1000000, &told), PSHM_ETIMEDOUT);
    kill(pid, SIGKILL);
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    CHECK_EQ(memcmp(&told, &peer, sizeof(told)), 0);
    CHECK(!find(pid, &told)); /* its lock is gone as well */
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_segment_watch(segment, &peer), 1); /* while it is a zombie */
    wait_for(pid);
    CHECK_CODE(pshm_segment_watch(segment, &peer), 1);
    CHECK_EQ(descriptors(), before + 2);
    end();
    CHECK_EQ(descriptors(), before - 1);
}

static void shouldTellOfEachOfMany(void) {
    enum { MANY = 20 };
    pshm_participant_info peers[MANY], told;
    int order[MANY];
    begin();
    for (int i = 0; i < MANY; i++) {
        order[i] = start_participant(&peers[i]);
        CHECK_OK(pshm_segment_watch(segment, &peers[i]));
    }
    for (int i = 0; i < MANY; i++) { /* by pairs, some later than others */
        int which = i * 7 % MANY;
        kill(order[which], SIGKILL);
        CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
        CHECK_EQ(told.pid, order[which]);
        wait_for(order[which]);
    }
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    end();
}

static void *next_exit(void *out) {
    return (void *)(intptr_t)pshm_segment_next_exit(segment, without_end, out);
}

static void shouldTellEachEndToOneThread(void) {
    enum { THREADS = 4 };
    pshm_participant_info peers[THREADS], told[THREADS];
    pthread_t threads[THREADS];
    int pids[THREADS], seen = 0;
    begin();
    for (int i = 0; i < THREADS; i++) {
        pids[i] = start_participant(&peers[i]);
        CHECK_EQ(pthread_create(&threads[i], NULL, next_exit, &told[i]), 0);
        CHECK_OK(pshm_segment_watch(segment, &peers[i])); /* while threads wait */
    }
    for (int i = 0; i < THREADS; i++)
        kill_child(pids[i]);
    for (int i = 0; i < THREADS; i++) {
        void *code;
        pthread_join(threads[i], &code);
        CHECK_EQ((intptr_t)code, 0);
        for (int j = 0; j < THREADS; j++)
            seen += told[i].pid == pids[j] ? 1 << 4 * j : 0;
    }
    CHECK_EQ(seen, 0x1111);
    end();
}

static void shouldNotTellOfOneThatIsStopped(void) {
    pshm_participant_info peer, told;
    begin();
    pid_t pid = start_participant(&peer);
    CHECK_OK(pshm_segment_watch(segment, &peer));
    stop_child(pid);
    for (int i = 0; i < 20; i++) {
        CHECK_CODE(pshm_segment_next_exit(segment, 100000000, &told), PSHM_ETIMEDOUT);
        CHECK(find(pid, &told));
    }
    CHECK_CODE(pshm_segment_watch(segment, &peer), 0);
    kill(pid, SIGCONT);
    CHECK_CODE(pshm_segment_next_exit(segment, 100000000, &told), PSHM_ETIMEDOUT);
    stop_child(pid);
    kill(pid, SIGKILL); /* without having gone on */
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    wait_for(pid);
    end();
}

static void *stay(void *argument) {
    shared->at++;
    AWAIT(shared->go != 0);
    _exit(0);
    return argument;
}

static void end_main_thread(void *argument) {
    pthread_t thread;
    pthread_create(&thread, NULL, stay, argument);
    pthread_exit(NULL);
}

/* A process whose main thread has ended looks like a zombie to those who ask for its state. */
static void shouldNotTellBeforeTheLastThreadHasEnded(void) {
    pshm_participant_info peer, told;
    begin();
    pid_t pid = start(end_main_thread, NULL);
    AWAIT(shared->at == 1);
    char path[64], line[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    do {
        FILE *file = fopen(path, "re");
        CHECK(file != NULL && fgets(line, sizeof(line), file) != NULL);
        fclose(file);
    } while (strstr(line, ") Z ") == NULL);
    CHECK(find(pid, &peer));
    CHECK_OK(pshm_segment_watch(segment, &peer));
    CHECK_CODE(pshm_segment_next_exit(segment, 100000000, &told), PSHM_ETIMEDOUT);
    shared->go = 1;
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    CHECK_JOIN(pid);
    end();
}

/* ---- others with the same pid or the same slot ---- */

/* As start, with this pid; 0 if the system does not let us choose one. */
static pid_t start_as(pid_t pid, void (*body)(void *)) {
    struct clone_args arguments = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
    fflush(NULL);
    long made = syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (made < 0) {
        printf("    skipped: clone3 with a pid: %s\n", strerror(errno));
        return 0;
    }
    if (made == 0) { /* the libraries take it for its parent, which it has to know */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(check_seconds);
        body(NULL);
        _exit(0);
    }
    CHECK_EQ(made, pid);
    return pid;
}

static void just_stay(void *argument) {
    (void)argument;
    for (;;)
        pause();
}

static void open_by_exec(void *argument) {
    (void)argument;
    execl("/proc/self/exe", "watch_test", "open", name_of("s"), NULL);
    _exit(4);
}

static void shouldNotTakeAnotherForOneWhosePidItHas(void) {
    pshm_participant_info peer, told, second;
    begin();
    pid_t pid = start_participant(&peer);
    CHECK_OK(pshm_segment_watch(segment, &peer));
    kill_child(pid);
    if (start_as(pid, just_stay) == 0) {
        end();
        return;
    }
    /* Neither is its end hidden, nor is it listed, nor can it be watched, nor is the other told of.
     */
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    CHECK_EQ(told.pid, pid);
    CHECK(!find(pid, &told));
    CHECK_CODE(pshm_segment_watch(segment, &peer), 1);
    CHECK_EQ(kill(pid, 0), 0);
    kill_child(pid);
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);

    /* One that takes part itself, in the same slot, is a participant of its own. */
    if (start_as(pid, open_by_exec) == 0) {
        end();
        return;
    }
    AWAIT(find(pid, &second));
    CHECK_EQ(second.slot, peer.slot);
    CHECK_CODE(pshm_segment_watch(segment, &peer), 1);
    CHECK_OK(pshm_segment_watch(segment, &second));
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    kill(pid, SIGKILL);
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    CHECK_EQ(memcmp(&told, &second, sizeof(told)), 0);
    wait_for(pid);
    end();
}

/* A slot that is being joined holds, for a moment, what a killed predecessor has left. */
static void shouldNotTakeOneThatJoinsForItsPredecessor(void) {
    pshm_participant_info peer, told;
    pshm__file joining;
    begin();
    pid_t pid = start_participant(&peer);
    kill_child(pid);
    pid_t other = start_as(pid, just_stay);
    CHECK_OK(pshm__os_file_open(name_of("s"), &joining));
    uint64_t slot = PSHM_PARTICIPANT_OFFSET + peer.slot * sizeof(pshm__participant);
    CHECK_OK(pshm__os_file_lock(joining, slot));
    CHECK(!find(pid, &told));
    CHECK_CODE(pshm_segment_watch(segment, &peer), 1);
    pshm__os_file_unlock(joining, slot);
    pshm__os_file_close(joining);
    if (other != 0)
        kill_child(other);
    end();
}

static void take_part_and_close(void *argument) {
    (void)argument;
    shared->at = 1;
    AWAIT(shared->go == 1);
    CHECK_OK(pshm_segment_close(segment));
    shared->at = 2;
    AWAIT(shared->go == 2);
}

/* One that has left is gone; one that leaves later is told of when it ends. */
static void shouldTellAtTheEndWhenItHasClosedBefore(void) {
    for (int watched = 0; watched <= 1; watched++) {
        pshm_participant_info peer, told;
        pshm_segment *second;
        begin();
        pid_t pid = start(take_part_and_close, NULL);
        AWAIT(shared->at == 1);
        CHECK(find(pid, &peer));
        if (watched)
            CHECK_OK(pshm_segment_watch(segment, &peer));
        shared->go = 1;
        AWAIT(shared->at == 2);
        CHECK(!find(pid, &told));
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &second)); /* has its slot now */
        CHECK_CODE(pshm_segment_watch(segment, &peer), watched ? 0 : 1);
        CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
        shared->go = 2;
        CHECK_JOIN(pid);
        CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), watched ? 0 : PSHM_ETIMEDOUT);
        CHECK_OK(pshm_segment_close(second));
        end();
    }
}

static void shouldNeverTellOfItself(void) {
    pshm_participant_info self, again, told;
    pshm_segment *second;
    begin();
    CHECK(find(getpid(), &self));
    CHECK_OK(pshm_segment_watch(segment, &self));
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &second));
    uint64_t cursor = self.slot + 1;
    CHECK_CODE(pshm_segment_next_participant(segment, &cursor, &again), 1);
    CHECK_EQ(again.pid, self.pid);
    CHECK(again.slot != self.slot);
    CHECK_OK(pshm_segment_watch(segment, &again));
    CHECK_OK(pshm_segment_close(second));
    CHECK_CODE(pshm_segment_next_exit(segment, 10000000, &told), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_segment_watch(segment, &again), 0);
    end();
}

/* ---- refused, and ended ---- */

static void shouldRefuseWhatIsNoParticipantOfTheSegment(void) {
    pshm_participant_info self;
    pshm_segment *other;
    begin();
    CHECK(find(getpid(), &self));
    CHECK_OK(pshm_segment_create(NULL, 64, NULL, &other));
    CHECK_CODE(pshm_segment_watch(other, &self), PSHM_EINVAL);
    CHECK_DETAIL("watch: ");
    CHECK_DETAIL("no participant of this segment");
    CHECK_OK(pshm_segment_close(other));
    pshm_participant_info bad = self;
    bad.slot = PSHM_PARTICIPANTS_MAX;
    CHECK_CODE(pshm_segment_watch(segment, &bad), PSHM_EINVAL);
    bad = self;
    bad.pid = 0;
    CHECK_CODE(pshm_segment_watch(segment, &bad), PSHM_EINVAL);
    end();
}

static void shouldSayWhatIsMissingWhenThereAreNoDescriptors(void) {
    pshm_participant_info self;
    struct rlimit limit, none;
    begin();
    CHECK(find(getpid(), &self));
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int highest = dup(0);
    close(highest);
    for (int room = 0; room < 3; room++) { /* for the set, the bell, the process */
        none = limit;
        none.rlim_cur = (rlim_t)(highest + room);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        CHECK_CODE(pshm_segment_watch(segment, &self), PSHM_EOS);
        CHECK_DETAIL("watch: ");
        CHECK_DETAIL("ulimit -n");
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_OK(pshm_segment_watch(segment, &self));
    end();
}

/* As in a container whose profile does not know the call, or does not allow it. */
static void watch_without_pidfds(void *argument) {
    pshm_participant_info self;
    const uint32_t error = (uint32_t) * (const int *)argument;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK(find(getpid(), &self));
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    CHECK_CODE(pshm_segment_watch(segment, &self), PSHM_EUNAVAILABLE);
    CHECK_DETAIL("watch: segment=");
    CHECK_DETAIL("pidfd_open: ");
    CHECK_DETAIL("take Linux 5.3 or later");
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldSayWhatIsMissingWhenTheSystemRefuses(void) {
    const int errors[] = {ENOSYS, EPERM};
    begin();
    for (int i = 0; i < 2; i++)
        CHECK_JOIN(start(watch_without_pidfds, (void *)(uintptr_t)&errors[i]));
    end();
}

static void shouldEndTheWaitWhenClosed(void) {
    for (int way = 0; way < 2; way++) {
        enum { THREADS = 3 };
        pshm_participant_info peer, told[THREADS];
        pthread_t threads[THREADS];
        begin();
        int before = descriptors();
        pid_t pid = start_participant(&peer);
        CHECK_OK(pshm_segment_watch(segment, &peer));
        pshm_segment_pin(segment);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, next_exit, &told[i]), 0);
        AWAIT(atomic_load(&segment->pins) == 2 + THREADS); /* they wait */
        if (way == 0)
            pshm_segment_end_watch(segment);
        else
            CHECK_OK(pshm_segment_close(segment));
        for (int i = 0; i < THREADS; i++) {
            void *code;
            pthread_join(threads[i], &code);
            CHECK_EQ((intptr_t)code, PSHM_ECLOSED);
        }
        CHECK_CODE(pshm_segment_watch(segment, &peer), PSHM_ECLOSED);
        CHECK_DETAIL(name_of("s"));
        CHECK_CODE(pshm_segment_next_exit(segment, 0, &told[0]), PSHM_ECLOSED);
        CHECK_EQ(descriptors(), way == 0 ? before : before - 1);
        if (way == 0)
            CHECK_OK(pshm_segment_close(segment));
        pshm_segment_unpin(segment);
        kill_child(pid);
        pshm_reap();
        CHECK(!exists(name_of("s")));
    }
}

static void *close_segment(void *argument) {
    AWAIT(shared->go != 0);
    CHECK_OK(pshm_segment_close(segment));
    return argument;
}

/* Watches, waits, ends and a close at once: nothing is touched that has gone. */
static void shouldSurviveACloseAtAnyMoment(void) {
    for (int round = 0; round < 30; round++) {
        pshm_participant_info peer, told[2];
        pthread_t threads[3];
        begin();
        pid_t pid = start_participant(&peer);
        pshm_segment_pin(segment);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, next_exit, &told[i]), 0);
        CHECK_EQ(pthread_create(&threads[2], NULL, close_segment, NULL), 0);
        shared->go = 1;
        int code = pshm_segment_watch(segment, &peer);
        CHECK(code == 0 || code == PSHM_ECLOSED);
        kill_child(pid);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        pshm_segment_unpin(segment);
        CHECK_EQ(mappings(), 0);
        pshm_reap();
        CHECK(!exists(name_of("s")));
    }
}

static void expect_no_watch(void *argument) {
    pshm_participant_info told;
    CHECK_EQ(descriptors(), shared->go);
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_segment_watch(segment, argument));
    CHECK_EQ(descriptors(), shared->go + 3);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_EQ(descriptors(), shared->go - 1);
    shared->at = 9;
}

static void shouldLeaveAForkedChildNoWatch(void) {
    pshm_participant_info peer, told;
    begin();
    int before = descriptors();
    pid_t pid = start_participant(&peer);
    CHECK_OK(pshm_segment_watch(segment, &peer));
    shared->go = before;
    CHECK_JOIN(start(expect_no_watch, &peer));
    CHECK_EQ(shared->at, 9);
    CHECK_CODE(pshm_segment_next_exit(segment, 0, &told), PSHM_ETIMEDOUT);
    kill(pid, SIGKILL);
    CHECK_OK(pshm_segment_next_exit(segment, without_end, &told));
    wait_for(pid);
    end();
}

/* ---- what is told of a participant ---- */

static void hold_two(void *argument) {
    pshm_array *array;
    pshm_lock *lock;
    (void)argument;
    CHECK_OK(pshm_array_open(segment, "third", PSHM_INT8, 8, &array));
    CHECK_OK(pshm_lock_open(segment, "first", &lock));
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_acquire(pshm_array_lock(array)));
    CHECK_OK(pshm_lock_acquire(pshm_array_lock(array)));
    shared->at = 1;
    AWAIT(shared->go == 1);
    CHECK_OK(pshm_lock_release(lock));
    shared->at = 2;
    for (;;)
        pause();
}

/* The names of the locks that a participant holds, one after the other. */
static const char *held(const pshm_participant_info *participant) {
    static char names[256];
    pshm_object_info object;
    uint64_t cursor = 0;
    int code;
    names[0] = '\0';
    while ((code = pshm_segment_next_held(segment, participant, &cursor, &object)) == 1) {
        CHECK(object.kind == PSHM_LOCK || object.length == 8);
        strcat(strcat(names, object.name), " ");
    }
    CHECK_OK(code);
    return names;
}

static void shouldTellWhichLocksAParticipantHolds(void) {
    pshm_participant_info self, peer;
    pshm_object_info object;
    pshm_lock *first, *second;
    pshm_array *third;
    begin();
    CHECK_OK(pshm_lock_open(segment, "first", &first));
    CHECK_OK(pshm_lock_open(segment, "second", &second));
    CHECK_OK(pshm_array_open(segment, "third", PSHM_INT8, 8, &third));
    pid_t pid = start(hold_two, NULL);
    AWAIT(shared->at == 1);
    CHECK(find(pid, &peer) && find(getpid(), &self));
    CHECK_STR(held(&self), "");
    CHECK_STR(held(&peer), "first third ");
    CHECK_OK(pshm_lock_acquire(second));
    CHECK_STR(held(&self), "second ");
    CHECK_STR(held(&peer), "first third ");
    CHECK_OK(pshm_lock_release(second));
    CHECK_STR(held(&self), "");
    shared->go = 1;
    AWAIT(shared->at == 2);
    CHECK_STR(held(&peer), "third ");
    pshm_participant_info reused = peer;
    reused.start_time++;
    CHECK_STR(held(&reused), "");
    kill_child(pid);
    pshm_segment_pin(segment);
    end();
    uint64_t cursor = 0;
    CHECK_CODE(pshm_segment_next_held(segment, &peer, &cursor, &object), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
}

static void shouldTellWhenItsProcessBegan(void) {
    pshm_participant_info peer;
    struct timespec before, after;
    begin();
    clock_gettime(CLOCK_REALTIME, &before);
    pid_t pid = start_participant(&peer);
    clock_gettime(CLOCK_REALTIME, &after);
    /* To a tick of 10 ms, rounded down; the clock may be slewed meanwhile. */
    CHECK(peer.started_ns >= before.tv_sec * 1000000000 + before.tv_nsec - 20000000);
    CHECK(peer.started_ns <= after.tv_sec * 1000000000 + after.tv_nsec + 10000000);
    CHECK(peer.started_ns <= peer.since_ns + 10000000);
    CHECK_EQ(memcmp(peer.segment_id, pshm_segment_id(segment), sizeof(peer.segment_id)), 0);
    kill_child(pid);
    end();
}

int main(int argc, char **argv) {
    if (argc == 3) { /* a program of its own, with the pid of another */
        pshm_segment *own;
        return pshm_segment_open(argv[2], NULL, &own) == 0 ? pause() : 1;
    }
    check_begin(110);
    shared = shared_zeroes(sizeof(*shared));
    RUN(shouldTellWhenKilled);
    RUN(shouldTellOfEachOfMany);
    RUN(shouldTellEachEndToOneThread);
    RUN(shouldNotTellOfOneThatIsStopped);
    RUN(shouldNotTellBeforeTheLastThreadHasEnded);
    RUN(shouldNotTakeAnotherForOneWhosePidItHas);
    RUN(shouldNotTakeOneThatJoinsForItsPredecessor);
    RUN(shouldTellAtTheEndWhenItHasClosedBefore);
    RUN(shouldNeverTellOfItself);
    RUN(shouldRefuseWhatIsNoParticipantOfTheSegment);
    RUN(shouldSayWhatIsMissingWhenThereAreNoDescriptors);
    RUN(shouldSayWhatIsMissingWhenTheSystemRefuses);
    RUN(shouldEndTheWaitWhenClosed);
    RUN(shouldSurviveACloseAtAnyMoment);
    RUN(shouldLeaveAForkedChildNoWatch);
    RUN(shouldTellWhichLocksAParticipantHolds);
    RUN(shouldTellWhenItsProcessBegan);
    return check_end();
}
