/* SPDX-License-Identifier: Apache-2.0
 *
 * What the C tests share: checks that tell file, line and values; children that cannot outlive
 * their test; a watchdog; names that nobody else uses, and their removal however the test ends.
 * One program includes it once, before any other header.
 */
#ifndef PSHM_TEST_CHECK_H
#define PSHM_TEST_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "polyshm.h"

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define CHECK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_ASAN 1
#elif __has_feature(thread_sanitizer)
#define CHECK_TSAN 1
#endif
#endif
#ifndef CHECK_ASAN
#define CHECK_ASAN 0
#endif
#ifndef CHECK_TSAN
#define CHECK_TSAN 0
#endif

#define UNUSED __attribute__((unused))

#define CHECK_FOLDER "/dev/shm"
#define CHECK_PREFIX "polyshm."
#define CHECK_SKIPPED 77 /* the exit code of a test that cannot run here */

static pid_t check_main_pid;
static pid_t check_children[1024];
static int check_child_count;
static unsigned check_seconds;
static _Thread_local unsigned long check_count; /* of the main thread, for what is printed */

/* ---- the end of a test ---- */

static bool check_is_ours(const char *file) {
    char start[64];
    snprintf(start, sizeof(start), CHECK_PREFIX "test-%d-", check_main_pid);
    if (strncmp(file, start, strlen(start)) == 0)
        return true;
    for (int i = -1; i < check_child_count; i++) {
        snprintf(start, sizeof(start), CHECK_PREFIX "anonymous-%d-",
                 i < 0 ? check_main_pid : check_children[i]);
        if (strncmp(file, start, strlen(start)) == 0)
            return true;
    }
    return false;
}

/* How many files of this test there are; with `remove`, they go. */
static int check_files(bool remove_them) {
    int count = 0;
    DIR *folder = opendir(CHECK_FOLDER);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (!check_is_ours(entry->d_name))
            continue;
        count++;
        if (remove_them && unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
        else if (!remove_them)
            fprintf(stderr, "left in " CHECK_FOLDER ": %s\n", entry->d_name);
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

/* A child that has been waited for is none any more; another process may have its pid. */
static bool check_is_child(pid_t pid) {
    siginfo_t info;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static _Noreturn void check_abort(void) {
    if (getpid() == check_main_pid) {
        for (int i = 0; i < check_child_count; i++) {
            if (check_is_child(check_children[i]))
                kill(check_children[i], SIGKILL);
        }
        check_files(true);
    }
    fflush(NULL);
    _exit(1);
}

static void check_alarm(int signal) {
    (void)signal;
    static const char text[] = "watchdog: the test has not ended in time\n";
    if (write(2, text, sizeof(text) - 1) < 0)
        _exit(2);
    check_abort();
}

/* Root gets a shared memory folder of its own, so that no other process reaps or looks in it. */
static void check_isolate(void) {
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", CHECK_FOLDER, "tmpfs", 0, "mode=1777") != 0)
        printf("  without a folder of its own: %s\n", strerror(errno));
}

UNUSED static void check_begin(unsigned seconds) {
    check_main_pid = getpid();
    check_isolate();
    check_seconds = seconds;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGALRM, check_alarm);
    alarm(seconds);
}

UNUSED static int check_end(void) {
    for (int i = 0; i < check_child_count; i++) {
        if (check_is_child(check_children[i])) {
            fprintf(stderr, "child pid=%d has not been waited for\n", check_children[i]);
            check_abort();
        }
    }
    if (check_files(false) != 0)
        check_abort();
    printf("ok: %lu checks\n", check_count);
    return 0;
}

#define RUN(subject)                \
    do {                            \
        printf("  " #subject "\n"); \
        subject();                  \
    } while (0)

/* ---- checks ---- */

#define CHECK_FAIL(...)                                               \
    do {                                                              \
        fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, __func__); \
        fprintf(stderr, __VA_ARGS__);                                 \
        fprintf(stderr, "\n");                                        \
        check_abort();                                                \
    } while (0)

#define CHECK(condition)                      \
    do {                                      \
        check_count++;                        \
        if (!(condition))                     \
            CHECK_FAIL("not %s", #condition); \
    } while (0)

#define CHECK_EQ(actual, expected)                                                               \
    do {                                                                                         \
        int64_t check_a = (int64_t)(actual), check_e = (int64_t)(expected);                      \
        check_count++;                                                                           \
        if (check_a != check_e)                                                                  \
            CHECK_FAIL("%s is %" PRId64 ", expected %s = %" PRId64, #actual, check_a, #expected, \
                       check_e);                                                                 \
    } while (0)

/* A call's code; what it says of itself is part of a failure. */
#define CHECK_CODE(call, expected)                                                        \
    do {                                                                                  \
        int check_a = (call), check_e = (expected);                                       \
        check_count++;                                                                    \
        if (check_a != check_e)                                                           \
            CHECK_FAIL("%s is %d %s, expected %d %s; detail: %s", #call, check_a,         \
                       check_a < 0 ? pshm_error_name(check_a) : "", check_e,              \
                       check_e < 0 ? pshm_error_name(check_e) : "", pshm_error_detail()); \
    } while (0)

#define CHECK_OK(call) CHECK_CODE(call, 0)

#define CHECK_STR(actual, expected)                                                 \
    do {                                                                            \
        const char *check_a = (actual), *check_e = (expected);                      \
        check_count++;                                                              \
        if (strcmp(check_a, check_e) != 0)                                          \
            CHECK_FAIL("%s is \"%s\", expected \"%s\"", #actual, check_a, check_e); \
    } while (0)

/* The last failure's detail contains the text. */
#define CHECK_DETAIL(text)                                                           \
    do {                                                                             \
        const char *check_t = (text);                                                \
        check_count++;                                                               \
        if (strstr(pshm_error_detail(), check_t) == NULL)                            \
            CHECK_FAIL("detail \"%s\" has no \"%s\"", pshm_error_detail(), check_t); \
    } while (0)

/* ---- names and time ---- */

/* A segment's name that only this test uses. The text is good for the next 64 calls. */
UNUSED static const char *name_of(const char *tag) {
    static _Thread_local char names[64][PSHM_NAME_MAX + 1];
    static _Thread_local unsigned next;
    char *name = names[next++ % 64];
    snprintf(name, PSHM_NAME_MAX + 1, "test-%d-%.60s", check_main_pid, tag);
    return name;
}

UNUSED static const char *path_of_name(const char *name) {
    static _Thread_local char paths[8][160];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 160, CHECK_FOLDER "/" CHECK_PREFIX "%s", name);
    return path;
}

UNUSED static bool exists(const char *name) {
    struct stat status;
    return lstat(path_of_name(name), &status) == 0;
}

UNUSED static int descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* How many mappings of this test's segments this process has. */
UNUSED static int mappings(void) {
    int count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL)
        count += strstr(line, CHECK_PREFIX "test-") != NULL;
    fclose(maps);
    return count;
}

UNUSED static void sleep_ms(int ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&time, &time) != 0)
        continue;
}

UNUSED static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The watchdog is the only limit. */
#define AWAIT(condition)     \
    do {                     \
        while (!(condition)) \
            sleep_ms(1);     \
    } while (0)

/* Seeded; the same everywhere. */
UNUSED static uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- processes ---- */

/* Zeroed memory that the children share. */
UNUSED static void *shared_zeroes(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        CHECK_FAIL("mmap: %s", strerror(errno));
    return memory;
}

/* A process that runs body(argument) and ends with 0. It dies with its parent. */
UNUSED static pid_t start(void (*body)(void *), void *argument) {
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        CHECK_FAIL("fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(3);
        alarm(check_seconds);
        body(argument);
        fflush(NULL);
        _exit(0);
    }
    if (getpid() == check_main_pid) {
        if (check_child_count == (int)(sizeof(check_children) / sizeof(check_children[0])))
            CHECK_FAIL("too many children");
        check_children[check_child_count++] = pid;
    }
    return pid;
}

UNUSED static int wait_for(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            CHECK_FAIL("waitpid: %s", strerror(errno));
    }
    return status;
}

#define CHECK_JOIN(pid) CHECK_EQ(wait_for(pid), 0)

UNUSED static void kill_child(pid_t pid) {
    kill(pid, SIGKILL);
    wait_for(pid);
}

UNUSED static void stop_child(pid_t pid) {
    int status;
    kill(pid, SIGSTOP);
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        CHECK_FAIL("pid=%d did not stop", pid);
}

#endif
