/* SPDX-License-Identifier: Apache-2.0
 *
 * Who this process and this thread are, clocks, chance, and the ends of a process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#ifdef __GLIBC__
#define LIBC 1
#else
#define LIBC 2
#endif

#if defined(__x86_64__)
#define ARCHITECTURE 1
#elif defined(__aarch64__)
#define ARCHITECTURE 2
#else
#error "LAYOUT.md has no number for this architecture"
#endif

void pshm__os_fingerprint(pshm__header *header) {
    struct stat status;
    header->byte_order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 : 2;
    header->word_bytes = sizeof(void *);
    header->libc = LIBC;
    header->architecture = ARCHITECTURE;
    header->mutex_bytes = sizeof(pthread_mutex_t);
    header->pid_namespace = stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

uint32_t pshm__os_pid(void) { return (uint32_t)getpid(); }

uint32_t pshm__os_tid(void) { return (uint32_t)syscall(SYS_gettid); }

/* The first line of a file of /proc, without its end; empty if there is none. */
static void read_line(const char *file, char *out, size_t bytes) {
    ssize_t count = -1;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        count = read(fd, out, bytes - 1);
        close(fd);
    }
    out[count < 0 ? 0 : count] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

uint64_t pshm__os_start_time(void) {
    char line[1024];
    read_line("/proc/self/stat", line, sizeof(line));
    /* Field 22 of proc(5); the command, field 2, may hold blanks and ends at the last ")". */
    char *field = strrchr(line, ')');
    for (int number = 2; field != NULL && number < 22; number++)
        field = strchr(field + 1, ' ');
    return field == NULL ? 0 : strtoull(field + 1, NULL, 10);
}

void pshm__os_command(char *out, size_t bytes) { read_line("/proc/self/comm", out, bytes); }

void pshm__os_thread_name(char *out, size_t bytes) {
    char name[16] = ""; /* PR_GET_NAME writes 16 bytes */
    prctl(PR_GET_NAME, name);
    snprintf(out, bytes, "%s", name);
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * PSHM__NS_PER_S + now.tv_nsec;
}

int64_t pshm__os_wall_clock_ns(void) { return clock_ns(CLOCK_REALTIME); }

int64_t pshm__os_wall_clock_coarse_ns(void) { return clock_ns(CLOCK_REALTIME_COARSE); }

int64_t pshm__os_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

int64_t pshm__os_started_ns(uint64_t start_time) {
    if (start_time == 0)
        return 0;
    uint64_t tick_ns = PSHM__NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    /* Unsigned, as a peer may have written any number; in ticks, or it would differ each time. */
    int64_t before, now;
    do { /* again, if something came in between */
        before = clock_ns(CLOCK_BOOTTIME);
        now = clock_ns(CLOCK_REALTIME);
    } while (clock_ns(CLOCK_BOOTTIME) - before > 1000000);
    uint64_t boot = (uint64_t)(now - before) / tick_ns;
    return (int64_t)((boot + start_time) * tick_ns);
}

void pshm__os_sleep_ns(int64_t ns) {
    struct timespec time = pshm__timespec(ns);
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        continue;
}

int pshm__os_random(void *out, size_t bytes) {
    ssize_t count;
    do {
        count = getrandom(out, bytes, 0);
    } while (count < 0 && errno == EINTR);
    if (count == (ssize_t)bytes)
        return 0;
    int error = errno;
    return pshm__fail(PSHM_EOS, "getrandom: %s (errno %d)", strerror(error), error);
}

int pshm__os_thread_start(void *(*body)(void *)) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, body, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return pshm__fail(PSHM_EOS, "pthread_create: %s (errno %d)", strerror(error), error);
    pthread_detach(thread);
    return 0;
}

void pshm__os_at_exit(void (*at_exit)(void)) { atexit(at_exit); }

void pshm__os_at_fork(void (*before_fork)(void), void (*in_parent)(void), void (*in_child)(void)) {
    pshm__os_hook_files(); /* first, so that its guard is taken last */
    pthread_atfork(before_fork, in_parent, in_child);
}

int pshm__os_scratch_create(char *path, size_t bytes) {
    int fd = memfd_create("polyshm-scratch", MFD_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        return pshm__fail(error == ENOSYS ? PSHM_EUNAVAILABLE : PSHM_EOS,
                          "memfd_create: %s (errno %d)", strerror(error), error);
    }
    snprintf(path, bytes, "/proc/%u/fd/%d", pshm__os_pid(), fd);
    return fd;
}

void pshm__os_scratch_close(int descriptor) { close(descriptor); }
