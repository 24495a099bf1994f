/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers whose parties are killed, stopped or forked, or leave in order: which of them break one,
 * and what the others are told.
 */
#include "barrier.h"

/* ---- deaths ---- */

static void be_killed(void *unused) {
    (void)unused;
    kill(getpid(), SIGKILL);
}

static void check_death(const party *told, pid_t dead) {
    char text[64];
    CHECK_CODE(told->code, PSHM_EBROKEN);
    snprintf(text, sizeof(text), "it broke because pid=%d died; reset it", dead);
    if (strstr(told->detail, text) == NULL)
        CHECK_FAIL("\"%s\" has no \"%s\"", told->detail, text);
}

/* The one that waits is told without anybody else's help: this process does not look before. */
static void shouldBreakWhenAPartyDies(void) {
    enum { BEFORE, ARRIVED, IN_ACTION, AFTER_TRIP, STOPPED, WAYS };
    for (int way = BEFORE; way < WAYS; way++) {
        pshm_barrier *barrier;
        pshm_segment *segment = make(way == IN_ACTION || way == AFTER_TRIP ? 2 : 3, &barrier);
        party *all = parties_of(way == IN_ACTION || way == AFTER_TRIP ? 2 : 3);
        invite(&all[0]);
        invite(&all[1]);
        all[0].go = AWAIT_NOW;
        AWAIT(look(barrier).waiting == 1);
        if (way == STOPPED) {
            stop_child(all[1].pid);
            CHECK_EQ(look(barrier).broken, 0);
        }
        if (way == ARRIVED || way == AFTER_TRIP)
            all[1].go = AWAIT_NOW;
        if (way == ARRIVED)
            AWAIT(look(barrier).waiting == 2);
        if (way == AFTER_TRIP) {
            AWAIT(all[0].at == DONE && all[1].at == DONE);
            CHECK_CODE(all[0].code, 1);
        }
        if (way == IN_ACTION) {
            all[1].action = be_killed;
            all[1].go = AWAIT_NOW;
            wait_for(all[1].pid);
        } else {
            kill_child(all[1].pid);
        }
        if (way == AFTER_TRIP) {
            /* Those that come are told. */
            CHECK_CODE(farewell(&all[0]), 1);
            pshm_wait wait;
            CHECK_CODE(arrive(barrier, 0, &wait), PSHM_EBROKEN);
            CHECK_DETAIL("died; reset it");
        } else {
            farewell(&all[0]);
            check_death(&all[0], all[1].pid);
        }
        CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[1].pid);
        CHECK_OK(pshm_barrier_reset(barrier));
        CHECK_EQ(look(barrier).broken, 0); /* the dead break it once */
        if (look(barrier).parties == 2)
            check_good(barrier);
        CHECK_OK(pshm_segment_close(segment));
    }
}

/* He who has come before the death, and he who comes when nobody has looked. */
static void shouldTellTheLast(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    kill_child(all[0].pid);
    CHECK_CODE(arrive(barrier, 1, &mine), PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    /* A death while it is broken is forgiven with the rest. */
    invite(&all[1]);
    kill_child(all[1].pid);
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_EQ(look(barrier).pid, all[0].pid);
    CHECK_OK(pshm_segment_close(segment));
}

/* Killed when the end of the generation has been stored, and nothing else. */
static void end_by_halves(void *argument) {
    const uint64_t *how = argument;
    pshm_barrier *barrier;
    attach(3, &barrier);
    const pshm__barrier *shared = (const pshm__barrier *)(const void *)barrier->sync.events;
    CHECK_OK(pshm__monitor_enter(&barrier->sync));
    PSHM__STORE(shared->ends[1], UINT64_C(1) << 8 | *how, memory_order_relaxed);
    kill(getpid(), SIGKILL);
}

static void shouldCompleteWhatADeadOneHasBegun(void) {
    uint64_t hows[] = {PSHM_BREAK_NONE, PSHM_BREAK_RESET};
    for (int i = 0; i < 2; i++) {
        pshm_barrier *barrier;
        pshm_segment *segment = make(3, &barrier);
        pshm_wait wait;
        CHECK_CODE(arrive(barrier, 0, &wait), PSHM_EBUSY);
        pid_t pid = start(end_by_halves, &hows[i]);
        wait_for(pid);
        CHECK_CODE(pshm_wait_poll(&wait), i == 0 ? 2 : PSHM_EBROKEN);
        CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, pid); /* in the next generation */
        CHECK_OK(pshm_segment_close(segment));
    }
}

static void shouldTellAnActionOfADeath(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    CHECK_CODE(arrive(barrier, 1, &mine), PSHM_BARRIER_ACTION);
    kill_child(all[0].pid);
    CHECK_CODE(pshm_barrier_trip(&mine), PSHM_EBROKEN);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    CHECK_OK(pshm_barrier_reset(barrier));
    check_good(barrier);
    CHECK_OK(pshm_segment_close(segment));
}

/* Its successor in the slot finds what it has left. */
static void shouldBreakWhenTheDeadOnesSlotIsTaken(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(3, &barrier);
    party *all = parties_of(3);
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    kill_child(all[0].pid);
    invite(&all[1]);
    all[1].go = AWAIT_NOW;
    farewell(&all[1]);
    check_death(&all[1], all[0].pid);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldWaitForThoseThatAreStopped(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait mine;
    invite(&all[0]);
    all[0].go = AWAIT_NOW;
    AWAIT(look(barrier).waiting == 1);
    stop_child(all[0].pid);
    CHECK_CODE(arrive(barrier, 0, &mine), 0);
    for (int i = 0; i < 10; i++)
        check_good(barrier);
    kill(all[0].pid, SIGCONT);
    CHECK_CODE(farewell(&all[0]), 1);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldKeepBarriersApart(void) {
    pshm_barrier *barrier, *other;
    pshm_segment *segment = make(2, &barrier);
    party *all = parties_of(2);
    pshm_wait waits[2];
    CHECK_OK(pshm_barrier_open(segment, "other", 2, &other));
    CHECK_CODE(arrive(other, 0, &waits[0]), PSHM_EBUSY);
    invite(&all[0]);
    kill_child(all[0].pid);
    CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, all[0].pid);
    CHECK_EQ(look(other).waiting, 1);
    CHECK_CODE(arrive(other, 0, &waits[1]), 0);
    CHECK_CODE(pshm_wait_poll(&waits[0]), 1);
    check_good(other);
    CHECK_OK(pshm_segment_close(segment));
}

/* ---- those that leave in order ---- */

/* Thread `two` waits, and the segment is closed, or the process ends. */
static void leave_with_a_waiter(void *argument) {
    party *self = argument;
    pshm_barrier *barrier;
    pshm_segment *segment = attach(3, &barrier);
    static guest two;
    if (self->code != 0)
        begin_guest(&two, barrier);
    self->at = OPENED;
    AWAIT(self->go == LEAVE);
    if (self->timeout_ns == 0) {
        if (self->code != 0)
            pthread_detach(two.thread);
        exit(0);
    }
    CHECK_OK(pshm_segment_close(segment));
    if (self->code != 0) {
        pthread_join(two.thread, NULL);
        CHECK_CODE(two.code, PSHM_ECLOSED);
    }
}

static void shouldBreakWhenAWaiterLeaves(void) {
    enum { EXITS = 1, WAITS = 2, PERSISTS = 4 };
    for (int way = 0; way < 8; way++) {
        pshm_segment *segment;
        pshm_barrier *barrier;
        party *all = parties_of(3);
        const int waits = (way & WAITS) != 0;
        CHECK_OK(pshm_segment_create(name_of("s"), 1 << 16, way & PERSISTS ? NULL : &last_out,
                                     &segment));
        CHECK_OK(pshm_barrier_open(segment, "b", 3, &barrier));
        invite(&all[0]);
        all[0].go = AWAIT_NOW;
        all[1].timeout_ns = way & EXITS ? 0 : -1;
        all[1].code = waits;
        all[1].pid = start(leave_with_a_waiter, &all[1]);
        AWAIT(all[1].at == OPENED && look(barrier).waiting == 1 + waits);
        all[1].go = LEAVE;
        CHECK_JOIN(all[1].pid);
        if (waits) {
            CHECK_CODE(farewell(&all[0]), PSHM_EBROKEN);
            CHECK(strstr(all[0].detail, "closed the segment, or ended; reset it") != NULL);
            CHECK_BROKEN(barrier, PSHM_BREAK_CLOSE, all[1].pid);
        } else {
            pshm_wait one, two;
            CHECK_EQ(look(barrier).waiting, 1);
            CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
            CHECK_CODE(arrive(barrier, 0, &two), 0);
            CHECK_CODE(farewell(&all[0]), 2);
        }
        CHECK_OK(pshm_segment_close(segment));
        if (way & PERSISTS)
            CHECK_OK(pshm_segment_unlink(name_of("s")));
    }
}

/* ---- forks ---- */

typedef struct heir {
    pshm_barrier *barrier;
    atomic_int *at;
    bool takes_part;
} heir;

static void inherit(void *argument) {
    const heir *self = argument;
    if (self->takes_part)
        CHECK_EQ(look(self->barrier).waiting, 1);
    *self->at = 1;
    for (;;)
        pause();
}

/* A child is a party from its first call on; its parent's arrivals are not its own. */
static void shouldHaveAChildAsAPartyFromItsFirstCall(void) {
    pshm_barrier *barrier;
    pshm_segment *segment = make(2, &barrier);
    heir child = {.barrier = barrier, .at = shared_zeroes(sizeof(atomic_int))};
    for (int way = 0; way < 2; way++) {
        pshm_wait one, two;
        CHECK_CODE(arrive(barrier, 0, &one), PSHM_EBUSY);
        child.takes_part = way == 1;
        *child.at = 0;
        pid_t pid = start(inherit, &child);
        AWAIT(*child.at == 1);
        kill_child(pid);
        if (way == 0) {
            CHECK_CODE(arrive(barrier, 0, &two), 0);
            CHECK_CODE(pshm_wait_poll(&one), 1);
        } else {
            CHECK_CODE(arrive(barrier, 0, &two), PSHM_EBROKEN);
            CHECK_BROKEN(barrier, PSHM_BREAK_DEATH, pid);
        }
    }
    CHECK_OK(pshm_segment_close(segment));
}

int main(void) {
    check_begin(100);
    RUN(shouldBreakWhenAPartyDies);
    RUN(shouldTellTheLast);
    RUN(shouldCompleteWhatADeadOneHasBegun);
    RUN(shouldTellAnActionOfADeath);
    RUN(shouldBreakWhenTheDeadOnesSlotIsTaken);
    RUN(shouldWaitForThoseThatAreStopped);
    RUN(shouldKeepBarriersApart);
    RUN(shouldBreakWhenAWaiterLeaves);
    RUN(shouldHaveAChildAsAPartyFromItsFirstCall);
    return check_end();
}
