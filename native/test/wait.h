/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of waiting share: a semaphore, an event and a latch in a segment, and threads that
 * wait for them.
 */
#ifndef PSHM_TEST_WAIT_H
#define PSHM_TEST_WAIT_H

#include "check.h"

#include "internal.h"

enum { WAITING = 1 }; /* no code */

static const int64_t endless = -1;

static pshm_segment *segment;
static pshm_semaphore *semaphore;
static pshm_event *event;
static pshm_latch *latch;

static void begin(int64_t permits) {
    CHECK_OK(pshm_segment_create(name_of("s"), 16384, NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "s", permits, 0, &semaphore));
    CHECK_OK(pshm_event_open(segment, "e", &event));
    CHECK_OK(pshm_latch_open(segment, "l", 1, &latch));
}

static void end(void) {
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("s")));
    CHECK_EQ(mappings(), 0);
}

static pshm_semaphore_info inspect(void) {
    pshm_semaphore_info info;
    CHECK_OK(pshm_semaphore_inspect(semaphore, &info));
    return info;
}

static uint32_t sleepers_of(const pshm__sync *sync) {
    return atomic_load((const _Atomic uint32_t *)&sync->events->waiters);
}

static uint32_t sleepers(void) { return sleepers_of(&semaphore->sync); }

/* ---- threads that wait ---- */

typedef struct waiter {
    pthread_t thread;
    int kind; /* a semaphore if zero */
    int64_t permits, timeout_ns;
    pshm_interrupt *interrupt;
    atomic_int code;
} waiter;

static void *wait_in_thread(void *argument) {
    waiter *self = argument;
    switch (self->kind) {
    case PSHM_EVENT: self->code = pshm_event_await(event, self->timeout_ns, self->interrupt); break;
    case PSHM_LATCH: self->code = pshm_latch_await(latch, self->timeout_ns, self->interrupt); break;
    default:
        self->code =
            pshm_semaphore_acquire(semaphore, self->permits, self->timeout_ns, self->interrupt);
    }
    return NULL;
}

static void start_waiter(waiter *self) {
    self->code = WAITING;
    CHECK_EQ(pthread_create(&self->thread, NULL, wait_in_thread, self), 0);
}

static void expect_code(waiter *self, int code) {
    pthread_join(self->thread, NULL);
    CHECK_CODE(self->code, code);
}

#endif
