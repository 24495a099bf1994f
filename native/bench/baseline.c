/* SPDX-License-Identifier: Apache-2.0
 *
 * What scripts/bench compares the Java figures with, by the same C library that Java calls:
 *
 *   bench_baseline lock       pshm_lock_acquire and pshm_lock_release of a free lock
 *   bench_baseline lock N     the same by N processes that all want it to increment a counter
 *   bench_baseline mutex [N]  the same of a bare robust, recursive, process-shared mutex
 *   bench_baseline attach     open a segment, get an array of it, close it
 *   bench_baseline futex      a process wakes another, on the same core and by turns
 *   bench_baseline sem        the same by sem_post and sem_wait
 *
 * Prints the nanoseconds of one such operation: the lowest of several slices of time; with N the
 * mean of a second, by whichever process.
 */
#define _GNU_SOURCE
#include <polyshm.h>

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICES 8
#define SLICE_NS 100000000
#define WARM_UP_NS 300000000
#define CONTENDED_NS 1000000000
#define ARRAY_LENGTH 1024
#define MOST_PROCESSES 64

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

static void *map_shared(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
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

/* ---- in one process ---- */

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

static void init_mutex(pthread_mutex_t *mutex) {
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) != 0 ||
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) != 0 ||
        pthread_mutex_init(mutex, &attributes) != 0)
        fail("mutex");
}

static double mutex_ns(void) {
    pthread_mutex_t *mutex = map_shared(sizeof *mutex);
    init_mutex(mutex);
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

/* ---- between processes ---- */

/* To one of the cores that this process may use: the scheduler likes to put those that wait for
 * each other on the same one, or not, and the figures are worlds apart. */
static void pin(int turn) {
    cpu_set_t allowed;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        fail("sched_getaffinity");
    size_t core = 0;
    for (int before = turn % CPU_COUNT(&allowed); !CPU_ISSET(core, &allowed) || before-- > 0;)
        core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        fail("sched_setaffinity");
}

/* As fork, but the child ends with its parent. */
static pid_t fork_child(void) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
        _exit(1);
    return child;
}

static void sleep_ns(int64_t ns) {
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    nanosleep(&time, NULL);
}

/* A counter, and what it is incremented under; in shared memory. */
struct counter {
    _Alignas(64) pthread_mutex_t mutex;
    pshm_lock *lock;
    _Atomic int64_t *value;
    atomic_bool stop;
    _Alignas(64) _Atomic int64_t own_value;
};

static void increment(struct counter *counter) {
    int64_t value = atomic_load_explicit(counter->value, memory_order_relaxed);
    atomic_store_explicit(counter->value, value + 1, memory_order_relaxed);
}

static void increment_with_lock(struct counter *counter) {
    check(pshm_lock_acquire(counter->lock), "lock");
    increment(counter);
    check(pshm_lock_release(counter->lock), "unlock");
}

static void increment_with_mutex(struct counter *counter) {
    if (pthread_mutex_lock(&counter->mutex) != 0)
        fail("mutex");
    increment(counter);
    if (pthread_mutex_unlock(&counter->mutex) != 0)
        fail("mutex");
}

/* From one increment to the next, by whichever process. */
static double contended_ns(void (*run)(struct counter *), struct counter *counter, int processes) {
    for (int i = 0; i < processes; i++) {
        if (fork_child() == 0) {
            pin(i);
            while (!atomic_load_explicit(&counter->stop, memory_order_relaxed))
                run(counter);
            _exit(0);
        }
    }
    sleep_ns(WARM_UP_NS);
    int64_t start = now_ns();
    int64_t first = atomic_load(counter->value);
    sleep_ns(CONTENDED_NS);
    int64_t count = atomic_load(counter->value) - first;
    double ns = (double)(now_ns() - start) / (double)count;
    atomic_store(&counter->stop, true);
    for (int i = 0; i < processes; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            fail("child");
    }
    return ns;
}

static double contended_lock_ns(int processes) {
    struct counter *counter = map_shared(sizeof *counter);
    pshm_segment *segment;
    pshm_value *value;
    int64_t bytes = pshm_object_bytes(PSHM_VALUE, PSHM_INT64, 1);
    check(pshm_segment_create(NULL, bytes, NULL, &segment), "create");
    check(pshm_value_open(segment, "value", PSHM_INT64, &value), "value");
    counter->lock = pshm_value_lock(value);
    counter->value = pshm_value_data(value);
    double ns = contended_ns(increment_with_lock, counter, processes);
    check(pshm_segment_close(segment), "close");
    return ns;
}

static double contended_mutex_ns(int processes) {
    struct counter *counter = map_shared(sizeof *counter);
    init_mutex(&counter->mutex);
    counter->value = &counter->own_value;
    return contended_ns(increment_with_mutex, counter, processes);
}

/* One process gives it and so wakes the other, which takes it. */
union token {
    _Alignas(64) atomic_int word;
    sem_t semaphore;
};

struct players {
    void (*give)(union token *);
    void (*take)(union token *);
    union token *tokens; /* one for each of the two */
};

static void give_word(union token *token) {
    atomic_store(&token->word, 1);
    syscall(SYS_futex, &token->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void take_word(union token *token) {
    while (atomic_exchange(&token->word, 0) == 0)
        syscall(SYS_futex, &token->word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void give_semaphore(union token *token) {
    if (sem_post(&token->semaphore) != 0)
        fail("semaphore");
}

static void take_semaphore(union token *token) {
    if (sem_wait(&token->semaphore) != 0)
        fail("semaphore");
}

static void play(void *context, int times) {
    struct players *players = context;
    for (int i = 0; i < times; i++) {
        players->give(&players->tokens[0]);
        players->take(&players->tokens[1]);
    }
}

static double ping_pong_ns(struct players *players) {
    pin(0);
    pid_t child = fork_child();
    if (child == 0) {
        for (;;) {
            players->take(&players->tokens[0]);
            players->give(&players->tokens[1]);
        }
    }
    double ns = measure(play, players, 100) / 2; /* as each wakes the other */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return ns;
}

static double futex_ns(void) {
    struct players players = {give_word, take_word, map_shared(2 * sizeof(union token))};
    return ping_pong_ns(&players);
}

static double semaphore_ns(void) {
    struct players players = {give_semaphore, take_semaphore, map_shared(2 * sizeof(union token))};
    for (int i = 0; i < 2; i++) {
        if (sem_init(&players.tokens[i].semaphore, 1, 0) != 0)
            fail("semaphore");
    }
    return ping_pong_ns(&players);
}

static const struct {
    const char *name;
    double (*ns)(void);
    double (*contended_ns)(int processes);
} operations[] = {
    {"lock", lock_ns, contended_lock_ns}, {"mutex", mutex_ns, contended_mutex_ns},
    {"attach", attach_ns, NULL},          {"futex", futex_ns, NULL},
    {"sem", semaphore_ns, NULL},
};

int main(int argc, char **argv) {
    int processes = argc == 3 ? atoi(argv[2]) : 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (argc < 2 || strcmp(argv[1], operations[i].name) != 0)
            continue;
        if (argc == 2) {
            printf("%.3f\n", operations[i].ns());
            return 0;
        }
        if (operations[i].contended_ns != NULL && processes > 0 && processes <= MOST_PROCESSES) {
            printf("%.3f\n", operations[i].contended_ns(processes));
            return 0;
        }
    }
    fprintf(stderr,
            "Usage: bench_baseline lock|mutex|attach|futex|sem\n"
            "       bench_baseline lock|mutex PROCESSES, 1 to %d\n",
            MOST_PROCESSES);
    return 2;
}
