/* SPDX-License-Identifier: Apache-2.0
 *
 * What scripts/bench compares the Java figures with, by the same C library that Java calls:
 *
 *   bench_baseline lock     pshm_lock_acquire and pshm_lock_release of a free lock
 *   bench_baseline mutex    the same of a bare robust, recursive, process-shared mutex
 *   bench_baseline attach   open a segment, get an array of it, close it
 *
 * Prints the nanoseconds of one such operation: the lowest of several slices of time.
 */
#define _GNU_SOURCE
#include <polyshm.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SLICES 8
#define SLICE_NS 100000000
#define ARRAY_LENGTH 1024

static void fail(const char *what) {
    fprintf(stderr, "bench_baseline: %s: %s\n", what, pshm_error_detail());
    exit(1);
}

static void check(int code, const char *what) {
    if (code < 0)
        fail(what);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Calls of the operation in one go, so that reading the clock does not count. */
typedef void operation(void *context, int times);

static double measure(operation *run, void *context, int times) {
    double lowest = 0;
    for (int slice = 0; slice < SLICES; slice++) {
        int64_t start = now_ns();
        int64_t end;
        int64_t count = 0;
        do {
            run(context, times);
            count += times;
            end = now_ns();
        } while (end - start < SLICE_NS);
        double each = (double)(end - start) / (double)count;
        if (slice == 0 || each < lowest)
            lowest = each;
    }
    return lowest;
}

/* ---- the operations -------------------------------------------------------------------------- */

static void lock_and_unlock(void *lock, int times) {
    for (int i = 0; i < times; i++) {
        check(pshm_lock_acquire(lock), "lock");
        check(pshm_lock_release(lock), "unlock");
    }
}

static double lock_ns(void) {
    pshm_segment *segment;
    pshm_lock *lock;
    check(pshm_segment_create(NULL, pshm_object_bytes(PSHM_LOCK, 0, 0), NULL, &segment), "create");
    check(pshm_lock_open(segment, "lock", &lock), "lock");
    double ns = measure(lock_and_unlock, lock, 10000);
    check(pshm_segment_close(segment), "close");
    return ns;
}

static void lock_and_unlock_mutex(void *mutex, int times) {
    for (int i = 0; i < times; i++) {
        if (pthread_mutex_lock(mutex) != 0 || pthread_mutex_unlock(mutex) != 0)
            fail("mutex");
    }
}

static double mutex_ns(void) {
    pthread_mutex_t *mutex =
        mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    if (mutex == MAP_FAILED || pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) != 0 ||
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) != 0 ||
        pthread_mutex_init(mutex, &attributes) != 0)
        fail("mutex");
    return measure(lock_and_unlock_mutex, mutex, 10000);
}

static void open_and_close(void *name, int times) {
    for (int i = 0; i < times; i++) {
        pshm_segment *segment;
        pshm_array *array;
        check(pshm_segment_open(name, NULL, &segment), "open");
        check(pshm_array_open(segment, "array", PSHM_INT32, ARRAY_LENGTH, &array), "array");
        check(pshm_segment_close(segment), "close");
    }
}

static double attach_ns(void) {
    char name[64];
    pshm_options options = {.lifetime = PSHM_LAST_OUT};
    int64_t bytes = pshm_object_bytes(PSHM_ARRAY, PSHM_INT32, ARRAY_LENGTH);
    pshm_segment *segment;
    pshm_array *array;
    snprintf(name, sizeof name, "bench-%ld", (long)getpid());
    check(pshm_segment_create(name, bytes, &options, &segment), "create");
    check(pshm_array_open(segment, "array", PSHM_INT32, ARRAY_LENGTH, &array), "array");
    double ns = measure(open_and_close, name, 10);
    check(pshm_segment_close(segment), "close");
    return ns;
}

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";
    double ns;
    if (strcmp(what, "lock") == 0) {
        ns = lock_ns();
    } else if (strcmp(what, "mutex") == 0) {
        ns = mutex_ns();
    } else if (strcmp(what, "attach") == 0) {
        ns = attach_ns();
    } else {
        fprintf(stderr, "Usage: bench_baseline lock|mutex|attach\n");
        return 2;
    }
    printf("%.3f\n", ns);
    return 0;
}
