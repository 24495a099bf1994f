/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the read-write lock share: one in a segment with two cells, and children that
 * take it. The main process never sleeps in a wait, so that it has one thread and can fork under
 * ThreadSanitizer as well.
 */
#ifndef PSHM_TEST_RWLOCK_H
#define PSHM_TEST_RWLOCK_H

#include "check.h"

#include "internal.h"

enum { SECONDS = 110, WITHOUT_END = -1 };

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

typedef struct steps {
    atomic_int at, go, stop, told;
    atomic_long rounds;
    pid_t pid;
} steps;

static steps *shared; /* with the children */
static pshm_segment *segment;
static pshm_rwlock *lock;
static volatile int64_t *cells; /* two, which those who write keep equal */

static void begin(void) {
    pshm_array *array;
    memset(shared, 0, sizeof(*shared));
    CHECK_OK(pshm_segment_create(name_of("s"), 8192, &last_out, &segment));
    CHECK_OK(pshm_rwlock_open(segment, "rw", &lock));
    CHECK_OK(pshm_array_open(segment, "cells", PSHM_INT64, 2, &array));
    cells = pshm_array_data(array);
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name_of("s")));
}

static int try(int mode) { return pshm_rwlock_acquire(lock, mode, 0, NULL); }
static int take(int mode) { return pshm_rwlock_acquire(lock, mode, WITHOUT_END, NULL); }
static int give(int mode) { return pshm_rwlock_release(lock, mode, 0); }

static pshm_rwlock_info inspect(void) {
    pshm_rwlock_info info;
    CHECK_OK(pshm_rwlock_inspect(lock, &info));
    return info;
}

static const pshm__rwlock *state(void) {
    return (const pshm__rwlock *)(const void *)lock->sync.events;
}

static uint32_t sleepers(void) {
    return atomic_load((const _Atomic uint32_t *)&state()->events.waiters);
}

static uint64_t waiting_writers(void) {
    uint64_t sum = 0;
    for (int i = 0; i < (int)PSHM_PARTICIPANTS; i++)
        sum += atomic_load((const _Atomic uint64_t *)&state()->stakes[i].amount);
    return sum;
}

/* Nobody has it, and anybody can take it. */
static void expect_free(void) {
    const pshm_rwlock_info info = inspect();
    CHECK_EQ(info.abandoned, 0);
    CHECK_EQ(info.writer.pid, 0);
    CHECK_EQ(info.depth, 0);
    CHECK_EQ(info.readers, 0);
    CHECK_CODE(try(PSHM_REPAIR), PSHM_EGOOD);
    CHECK_DETAIL("name=rw: mode=repair: it is not abandoned");
    CHECK_OK(try(PSHM_WRITE));
    CHECK_OK(give(PSHM_WRITE));
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
    CHECK_EQ(waiting_writers(), 0);
}

static void expect_abandoned(pid_t by, uint64_t deaths) {
    char text[32];
    snprintf(text, sizeof(text), "pid=%d", by);
    for (int i = 0; i < 2; i++) {
        pshm_lock_info told;
        CHECK_CODE(try(PSHM_READ), PSHM_EOWNERDIED);
        CHECK_DETAIL(text);
        CHECK_DETAIL("name=rw: its holder");
        CHECK_DETAIL("PSHM_REPAIR");
        CHECK_CODE(take(PSHM_WRITE), PSHM_EOWNERDIED);
        pshm_lock_told(&told);
        CHECK_EQ(told.dead.pid, by);
        CHECK_EQ(told.deaths, deaths);
        CHECK_CODE(give(PSHM_READ), PSHM_ENOTOWNER);
        CHECK_CODE(give(PSHM_WRITE), PSHM_ENOTOWNER);
        CHECK_CODE(pshm_rwlock_mark_good(lock, 0), PSHM_ENOTOWNER);
    }
    const pshm_rwlock_info info = inspect();
    CHECK_EQ(info.abandoned, 1);
    CHECK_EQ(info.writer.pid, 0);
    CHECK_EQ(info.dead.pid, by);
    CHECK_EQ(info.deaths, deaths);
}

static void repair(void) {
    CHECK_OK(try(PSHM_REPAIR));
    CHECK_OK(pshm_rwlock_mark_good(lock, 0));
    CHECK_OK(give(PSHM_REPAIR));
    expect_free();
}

/* ---- what children do ---- */

static void stay(int mode) {
    CHECK_OK(take(mode));
    shared->at++;
    AWAIT(shared->go);
    CHECK_OK(give(mode));
}

static void be_reading(void *unused) {
    (void)unused;
    stay(PSHM_READ);
}

static void be_writing(void *unused) {
    (void)unused;
    pshm_thread_set_name("the deceased");
    stay(PSHM_WRITE);
}

static pid_t start_and_have(void (*body)(void *)) {
    const int before = shared->at;
    pid_t pid = start(body, NULL);
    AWAIT(shared->at == before + 1);
    return pid;
}

static pid_t start_and_sleep(void (*body)(void *), void *argument) {
    const uint32_t before = sleepers();
    pid_t pid = start(body, argument);
    AWAIT(sleepers() > before);
    return pid;
}

#endif
