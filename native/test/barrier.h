/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of barriers share: one in a segment, and parties that await it, each in a process
 * or a thread of its own. The main process only looks and polls, so that it has one thread when it
 * forks.
 */
#ifndef PSHM_TEST_BARRIER_H
#define PSHM_TEST_BARRIER_H

#include "check.h"

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

/* One that awaits, in another process; what it does, and what has become of it. */
typedef struct party {
    int64_t parties;
    int64_t timeout_ns;
    void (*action)(void *);
    atomic_int at, go;
    atomic_int code;
    pid_t pid;
    char detail[640];
} party;

enum { OPENED = 1, DONE }; /* `at` */
enum { AWAIT_NOW = 1, LEAVE };

static pshm_segment *make(int64_t parties, pshm_barrier **out) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 1 << 16, &last_out, &segment));
    CHECK_OK(pshm_barrier_open(segment, "b", parties, out));
    return segment;
}

static pshm_segment *attach(int64_t parties, pshm_barrier **out) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
    CHECK_OK(pshm_barrier_open(segment, "b", parties, out));
    return segment;
}

static void come(void *argument) {
    party *self = argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(self->parties, &barrier);
    self->at = OPENED;
    AWAIT(self->go >= AWAIT_NOW);
    self->code = pshm_barrier_await(barrier, self->timeout_ns, NULL, self->action, NULL);
    snprintf(self->detail, sizeof(self->detail), "%s", pshm_error_detail());
    self->at = DONE;
    AWAIT(self->go == LEAVE);
    CHECK_OK(pshm_segment_close(segment));
}

static party *parties_of(int count) {
    party *all = shared_zeroes((size_t)count * sizeof(*all));
    for (int i = 0; i < count; i++)
        all[i] = (party){.parties = count, .timeout_ns = -1};
    return all;
}

/* Start it; it has opened the barrier then. */
static void invite(party *one) {
    one->pid = start(come, one);
    AWAIT(one->at == OPENED);
}

/* Its outcome, after which it is gone. */
static int farewell(party *one) {
    AWAIT(one->at == DONE);
    one->go = LEAVE;
    CHECK_JOIN(one->pid);
    return one->code;
}

static pshm_barrier_info look(pshm_barrier *barrier) {
    pshm_barrier_info info;
    CHECK_OK(pshm_barrier_inspect(barrier, &info));
    return info;
}

#define CHECK_BROKEN(barrier, by, of)                 \
    do {                                              \
        const pshm_barrier_info seen = look(barrier); \
        CHECK_EQ(seen.broken, 1);                     \
        CHECK_EQ(seen.waiting, 0);                    \
        CHECK_EQ(seen.cause, by);                     \
        CHECK_EQ(seen.pid, of);                       \
    } while (0)

/* The first poll of a wait of this thread. */
static int arrive(pshm_barrier *barrier, int has_action, pshm_wait *wait) {
    CHECK_OK(pshm_barrier_prepare(barrier, has_action, wait));
    return pshm_wait_poll(wait);
}

/* It is good: two of this thread's waits, of which all consists, go through. */
static void check_good(pshm_barrier *barrier) {
    pshm_wait one, two;
    CHECK_EQ(look(barrier).broken, 0);
    CHECK_EQ(look(barrier).waiting, 0);
    CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
    CHECK_EQ(look(barrier).waiting, 1);
    CHECK_CODE(arrive(barrier, 0, &two), 0);
    CHECK_CODE(pshm_wait_poll(&one), 1);
    CHECK_EQ(look(barrier).waiting, 0);
}

/* ---- threads that await ---- */

typedef struct guest {
    pthread_t thread;
    pshm_barrier *barrier;
    pshm_interrupt interrupt;
    int code;
    char detail[640];
} guest;

static void *await_interruptibly(void *argument) {
    guest *self = argument;
    self->code = pshm_barrier_await(self->barrier, -1, &self->interrupt, NULL, NULL);
    snprintf(self->detail, sizeof(self->detail), "%s", pshm_error_detail());
    return NULL;
}

static void begin_guest(guest *self, pshm_barrier *barrier) {
    self->barrier = barrier;
    pshm_interrupt_init(&self->interrupt);
    CHECK_EQ(pthread_create(&self->thread, NULL, await_interruptibly, self), 0);
}

#endif
