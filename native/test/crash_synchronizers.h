/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the crash matrix that is about synchronizers. A cell has one of each; the victim
 * operates on one, and is killed before a step; a rival operates on the same:
 *
 *   AFTER    the death
 *   AT_WORK  since the victim has stopped before the step
 *   WAITING  since before the victim began
 *
 * What is in shared memory when the victim has stopped says what must come of the rival: it ends by
 * itself if what it waits for has come, or comes by the death, and otherwise sleeps until the cell
 * helps. Where the victim is to wait, the cell makes it, and helps it as well.
 */
#ifndef PSHM_TEST_CRASH_SYNCHRONIZERS_H
#define PSHM_TEST_CRASH_SYNCHRONIZERS_H

#include "crash_matrix.h"

static const int64_t MINUTE_NS = 60000000000;

static pshm_semaphore *semaphore;
static pshm_event *event;
static pshm_latch *latch;
static pshm_barrier *barrier;
static pshm_rwlock *rwlock;
static pshm_condition *condition;
static pshm_lock *its_lock;

/* Of the state, when the victim had stopped. */
static struct {
    bool passes_on; /* it may end by itself: a dead one's signal goes to who waits then */
    bool due;       /* the rival need not be helped */
    bool abandoned; /* the lock is, or will be by the death */
    int64_t total;  /* permits */
} truth;

static void open_them(void) {
    CHECK_OK(pshm_semaphore_open(segment, "semaphore", 1, 0, &semaphore));
    CHECK_OK(pshm_event_open(segment, "event", &event));
    CHECK_OK(pshm_latch_open(segment, "latch", 1, &latch));
    CHECK_OK(pshm_rwlock_open(segment, "rwlock", &rwlock));
    CHECK_OK(pshm_lock_open(segment, "lock", &its_lock));
    CHECK_OK(pshm_condition_open(its_lock, "condition", &condition));
    if (current->about == BARRIER) /* who opens it is a party */
        CHECK_OK(pshm_barrier_open(segment, "barrier", 2, &barrier));
}

static void attach_to_them(void) {
    CHECK_OK(pshm_segment_open(victims_name(), NULL, &segment));
    open_them();
    shared->number = segment->number;
}

struct rival {
    const char *name;
    int (*operate)(void);
};

static const struct rival *current_rival(void);

/* ---- semaphores: 1 permit ---- */

static void return_permit(void) { CHECK_OK(pshm_semaphore_release(semaphore, 1)); }

static void acquire_permit(void) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, 1, MINUTE_NS, NULL));
    CHECK_OK(pshm_semaphore_release(semaphore, 1));
}

/* In vain, if no rival releases one meanwhile. */
static void acquire_permit_in_vain(void) {
    int code = pshm_semaphore_acquire(semaphore, 1, 1000000, NULL);
    if (code == 0)
        return_permit();
    else
        CHECK_EQ(code, PSHM_ETIMEDOUT);
}

static void drain_permits(void) {
    int64_t permits;
    CHECK_OK(pshm_semaphore_drain(semaphore, &permits));
    CHECK_OK(pshm_semaphore_release(semaphore, permits));
}

/* One that it holds, and one more. */
static void release_permits(void) {
    CHECK_OK(pshm_semaphore_try_acquire(semaphore, 1));
    CHECK_OK(pshm_semaphore_release(semaphore, 2));
}

static void drain_what_is_owed(void) {
    int64_t permits;
    CHECK_OK(pshm_semaphore_reduce(semaphore, 2));
    CHECK_OK(pshm_semaphore_drain(semaphore, &permits));
}

static void reduce_permits(void) { CHECK_OK(pshm_semaphore_reduce(semaphore, 1)); }

static void consume_permit(void) {
    CHECK_OK(pshm_semaphore_acquire(semaphore, 1, MINUTE_NS, NULL));
    CHECK_OK(pshm_semaphore_consume(semaphore, 1));
}

static void inspect_semaphore(void) {
    pshm_semaphore_info info;
    CHECK_OK(pshm_semaphore_inspect(semaphore, &info));
}

static int give_back(int code, int64_t permits) {
    if (code == 0)
        CHECK_OK(pshm_semaphore_release(semaphore, permits));
    return code;
}

static int rival_acquires(void) {
    return give_back(pshm_semaphore_acquire(semaphore, 1, MINUTE_NS, NULL), 1);
}

static int rival_tries(void) { return give_back(pshm_semaphore_try_acquire(semaphore, 1), 1); }

static int rival_drains(void) {
    int64_t permits;
    int code = pshm_semaphore_drain(semaphore, &permits);
    return give_back(code, code == 0 && permits > 0 ? permits : 0);
}

static int rival_releases(void) { return pshm_semaphore_release(semaphore, 1); }

static void hold_permit(void) { CHECK_OK(pshm_semaphore_try_acquire(semaphore, 1)); }

static const pshm__semaphore *permits_of(void) {
    return (const pshm__semaphore *)(const void *)semaphore->sync.events;
}

static void look_at_semaphore(bool done_before) {
    pshm_semaphore_info info;
    CHECK_OK(pshm_semaphore_inspect(semaphore, &info));
    CHECK_EQ(info.held_here, 0);
    CHECK_EQ(info.available, info.total);
    int64_t expected_total = truth.total;
    if (!done_before && current_rival()->operate == rival_releases)
        expected_total++;
    else if (!done_before && current_rival()->operate == rival_drains && truth.total < 0)
        expected_total = 0; /* what was owed is made up for */
    CHECK_EQ(info.total, expected_total);
    if (info.total < 1)
        CHECK_OK(pshm_semaphore_release(semaphore, 1 - info.total));
    CHECK_OK(rival_tries());
}

/* ---- events ---- */

static void set_event(void) { CHECK_OK(pshm_event_set(event)); }
static void clear_event(void) { CHECK_OK(pshm_event_clear(event)); }
static void await_event(void) { CHECK_OK(pshm_event_await(event, MINUTE_NS, NULL)); }

static int rival_sets(void) { return pshm_event_set(event); }
static int rival_clears(void) { return pshm_event_clear(event); }
static int rival_awaits_event(void) { return pshm_event_await(event, MINUTE_NS, NULL); }

static void look_at_event(bool done_before) {
    (void)done_before;
    CHECK_OK(pshm_event_clear(event));
    CHECK_CODE(pshm_event_await(event, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_event_set(event));
    CHECK_OK(pshm_event_await(event, 0, NULL));
}

/* ---- latches: 1 to count down ---- */

static void count_down(void) { CHECK_OK(pshm_latch_count_down(latch, 1)); }
static void await_latch(void) { CHECK_OK(pshm_latch_await(latch, MINUTE_NS, NULL)); }

static int rival_counts(void) { return pshm_latch_count_down(latch, 1); }
static int rival_awaits_latch(void) { return pshm_latch_await(latch, MINUTE_NS, NULL); }

static void look_at_latch(bool done_before) {
    (void)done_before;
    CHECK_OK(pshm_latch_count_down(latch, 1));
    CHECK_OK(pshm_latch_await(latch, 0, NULL));
}

/* ---- barriers: 2 parties ---- */

static void act(void *unused) {
    (void)unused;
    PSHM__KILL_POINT("action", 0);
}

static int at_barrier(int code) {
    CHECK(code == 0 || code == 1 || code == PSHM_EBROKEN);
    return code;
}

static void await_barrier(void) {
    at_barrier(pshm_barrier_await(barrier, MINUTE_NS, NULL, act, NULL));
}

static void await_barrier_in_vain(void) {
    int code = pshm_barrier_await(barrier, 1000000, NULL, NULL, NULL);
    CHECK(code == PSHM_ETIMEDOUT || at_barrier(code) == code);
}

static void await_broken_barrier(void) {
    CHECK_CODE(pshm_barrier_await(barrier, MINUTE_NS, NULL, NULL, NULL), PSHM_EBROKEN);
}

static void abort_barrier(void) { CHECK_OK(pshm_barrier_abort(barrier)); }
static void reset_barrier(void) { CHECK_OK(pshm_barrier_reset(barrier)); }

static void open_barrier(void) { CHECK_OK(pshm_barrier_open(segment, "barrier", 2, &barrier)); }

static void attach_but_to_the_barrier(void) {
    CHECK_OK(pshm_segment_open(victims_name(), NULL, &segment));
    shared->number = segment->number;
}

static void end_as_a_party(void) { exit(0); }
static void close_as_a_party(void) { CHECK_OK(pshm_segment_close(segment)); }

static pthread_t party;

static void *await_as_a_party(void *unused) {
    pshm_barrier_await(barrier, MINUTE_NS, NULL, NULL, NULL);
    return unused;
}

static void attach_and_arrive(void) {
    pshm_barrier_info info;
    attach_to_them();
    CHECK_EQ(pthread_create(&party, NULL, await_as_a_party, NULL), 0);
    do {
        CHECK_OK(pshm_barrier_inspect(barrier, &info));
    } while (info.waiting == 0);
}

static int rival_awaits_barrier(void) {
    return at_barrier(pshm_barrier_await(barrier, MINUTE_NS, NULL, NULL, NULL));
}

static int rival_aborts(void) { return pshm_barrier_abort(barrier); }
static int rival_resets(void) { return pshm_barrier_reset(barrier); }

static pshm_wait first_arrival, arrival;

static void arrive_first(void) {
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &first_arrival));
    CHECK_CODE(pshm_wait_poll(&first_arrival), PSHM_EBUSY);
}

static void arrive(void) {
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &arrival));
    int code = pshm_wait_poll(&arrival);
    if (code == PSHM_EBUSY) /* the victim did not wait any more */
        code = pshm_wait_cancel(&arrival, PSHM_ETIMEDOUT);
    CHECK(code == PSHM_ETIMEDOUT || at_barrier(code) == code);
}

/* The victim is one, so its death is told. */
static bool is_party(void) {
    const pshm__barrier *of = (const pshm__barrier *)(const void *)barrier->sync.events;
    for (uint32_t slot = 0; slot < PSHM_PARTICIPANTS; slot++) {
        if (of->stakes[slot].number != 0 && of->stakes[slot].number == shared->number)
            return true;
    }
    return false;
}

static void look_at_barrier(bool done_before) {
    pshm_barrier_info info;
    pshm_wait second_arrival;
    (void)done_before;
    CHECK_OK(pshm_barrier_reset(barrier));
    if (current->hold != NULL)
        at_barrier(pshm_wait_poll(&first_arrival));
    CHECK_OK(pshm_barrier_inspect(barrier, &info));
    CHECK_EQ(info.broken, 0);
    CHECK_EQ(info.waiting, 0);
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &arrival));
    CHECK_CODE(pshm_wait_poll(&arrival), PSHM_EBUSY);
    CHECK_OK(pshm_barrier_prepare(barrier, 0, &second_arrival));
    CHECK_OK(pshm_wait_poll(&second_arrival));
    CHECK_CODE(pshm_wait_poll(&arrival), 1);
}

/* ---- read-write locks ---- */

static int take_lock(int mode, int64_t timeout_ns) {
    int code = pshm_rwlock_acquire(rwlock, mode, timeout_ns, NULL);
    if (code == 0 && mode == PSHM_REPAIR)
        CHECK_OK(pshm_rwlock_mark_good(rwlock, 0));
    if (code == 0)
        CHECK_OK(pshm_rwlock_release(rwlock, mode, 0));
    return code;
}

static void read_it(void) { CHECK_OK(take_lock(PSHM_READ, MINUTE_NS)); }
static void write_it(void) { CHECK_OK(take_lock(PSHM_WRITE, MINUTE_NS)); }
static void write_in_vain(void) { CHECK_CODE(take_lock(PSHM_WRITE, 1000000), PSHM_ETIMEDOUT); }

/* A rival may have repaired it, and a corpse may have given it back just in time. */
static void read_or_be_told(void) {
    int code = take_lock(PSHM_READ, -1);
    CHECK(code == 0 || code == PSHM_EOWNERDIED);
}

static void repair_it(void) {
    int code = take_lock(PSHM_REPAIR, MINUTE_NS);
    CHECK(code == 0 || code == PSHM_EGOOD);
}

static void repair_what_is_fine(void) { CHECK_CODE(take_lock(PSHM_REPAIR, -1), PSHM_EGOOD); }

static void write_again_and_read(void) {
    CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_WRITE, -1, NULL));
    CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_WRITE, -1, NULL));
    CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_READ, -1, NULL));
    CHECK_OK(pshm_rwlock_release(rwlock, PSHM_WRITE, 0));
    CHECK_OK(pshm_rwlock_release(rwlock, PSHM_WRITE, 0));
    CHECK_OK(pshm_rwlock_release(rwlock, PSHM_READ, 0));
}

static int rival_reads(void) { return take_lock(PSHM_READ, MINUTE_NS); }
static int rival_writes(void) { return take_lock(PSHM_WRITE, MINUTE_NS); }

static int rival_tries_to_write(void) {
    int code = take_lock(PSHM_WRITE, 0);
    return code == PSHM_ETIMEDOUT ? PSHM_EBUSY : code;
}

static int rival_repairs(void) { return take_lock(PSHM_REPAIR, MINUTE_NS); }

static void hold_to_read(void) { CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_READ, 0, NULL)); }
static void hold_to_write(void) { CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_WRITE, 0, NULL)); }
static void end_reading(void) { CHECK_OK(pshm_rwlock_release(rwlock, PSHM_READ, 0)); }
static void end_writing(void) { CHECK_OK(pshm_rwlock_release(rwlock, PSHM_WRITE, 0)); }

static const pshm__rwlock *rwlock_state(void) {
    return (const pshm__rwlock *)(const void *)rwlock->sync.events;
}

/* By the victim or a corpse: neither by the cell nor by the rival, which may be at it just now. */
static bool is_written_by_a_victim(void) {
    const pid_t pid = (pid_t)(rwlock_state()->holder.thread >> 32);
    return rwlock_state()->writer != 0 && pid != getpid() && pid != second;
}

static void look_at_rwlock(bool done_before) {
    pshm_rwlock_info info;
    const int code = shared->code;
    const bool repairs = current_rival()->operate == rival_repairs;
    const bool ever = truth.abandoned || current->corpse != NONE;
    if (way == AFTER)
        CHECK_EQ(code, repairs           ? (truth.abandoned ? 0 : PSHM_EGOOD)
                       : truth.abandoned ? PSHM_EOWNERDIED
                                         : 0);
    CHECK(code == 0 || (code == PSHM_EOWNERDIED && ever) || (code == PSHM_EGOOD && repairs) ||
          (code == PSHM_EBUSY && current_rival()->operate == rival_tries_to_write));
    const bool abandoned = truth.abandoned && !(repairs && code == 0 && !done_before);
    CHECK_CODE(take_lock(PSHM_WRITE, MINUTE_NS), abandoned ? PSHM_EOWNERDIED : 0);
    CHECK_OK(pshm_rwlock_inspect(rwlock, &info));
    CHECK_EQ(info.abandoned, abandoned);
    CHECK_EQ(info.readers, 0);
    CHECK_EQ(info.writer.pid, 0);
    if (abandoned)
        CHECK_OK(take_lock(PSHM_REPAIR, MINUTE_NS));
    CHECK_OK(take_lock(PSHM_READ, 0));
    CHECK_CODE(take_lock(PSHM_REPAIR, 0), PSHM_EGOOD);
}

/* ---- conditions ---- */

/* Do it holding the lock. */
static int holding(int (*body)(void)) {
    int code = pshm_lock_acquire(its_lock);
    if (code == 0) {
        code = body();
        CHECK_OK(pshm_lock_release(its_lock));
    }
    return code;
}

static int wait_for_signal(void) { return pshm_condition_wait(condition, MINUTE_NS, NULL); }

static int wait_in_vain(void) {
    CHECK_CODE(pshm_condition_wait(condition, 1000000, NULL), PSHM_ETIMEDOUT);
    return 0;
}

static int signal_one(void) { return pshm_condition_signal(condition, 1) < 0; }
static int signal_all(void) { return pshm_condition_signal(condition, -1) < 0; }

/* Waits of the cell: one that is signalled, and one that is not. */
static pshm_wait cells_waits[2];

static void begin_wait(pshm_wait *wait) {
    CHECK_OK(pshm_lock_acquire(its_lock));
    CHECK_OK(pshm_condition_prepare(condition, wait));
    CHECK_OK(pshm_lock_release(its_lock));
}

static void end_waits(void) {
    for (int i = 0; i < 2; i++) {
        int code = pshm_wait_cancel(&cells_waits[i], PSHM_ETIMEDOUT);
        CHECK(code == 0 || code == PSHM_ETIMEDOUT);
    }
}

static void wait_in_steps(void) {
    begin_wait(&cells_waits[0]);
    begin_wait(&cells_waits[1]);
}

/* A dead one has a signal that it did not take, and another waits for one. */
static void be_signalled(void) {
    pshm_wait wait;
    attach_to_them();
    begin_wait(&wait);
    shared->companion = getpid();
    for (;;)
        pause();
}

static void leave_signal_behind(void) {
    begin_wait(&cells_waits[0]);
    pid_t corpse = spawn(be_signalled);
    AWAIT(*(volatile pid_t *)&shared->companion == corpse);
    shared->companion = 0;
    CHECK_OK(pshm_lock_acquire(its_lock));
    CHECK_EQ(pshm_condition_signal(condition, 2), 2);
    CHECK_OK(pshm_lock_release(its_lock));
    begin_wait(&cells_waits[1]);
    kill_child(corpse);
}

static void signal_condition(void) { CHECK_OK(holding(signal_one)); }
static void signal_whole_condition(void) { CHECK_OK(holding(signal_all)); }
static void await_condition(void) { CHECK_OK(holding(wait_for_signal)); }
static void await_condition_in_vain(void) { CHECK_OK(holding(wait_in_vain)); }

static int rival_waits(void) { return holding(wait_for_signal); }
static int rival_signals(void) { return holding(signal_one); }
static int rival_signals_all(void) { return holding(signal_all); }

static void help_those_who_wait(void) {
    int code = pshm_lock_acquire_any(its_lock);
    CHECK(code == 0 || code == PSHM_EOWNERDIED);
    CHECK(pshm_condition_signal(condition, -1) >= 0);
    if (code != 0)
        CHECK_OK(pshm_lock_mark_good(its_lock));
    CHECK_OK(pshm_lock_release(its_lock));
}

/* A corpse's stake is what it left; a second one waits still. */
static void help_one(void) {
    if (!hears('v'))
        CHECK_OK(holding(signal_one));
}

static const pshm__stake *condition_stakes(void) {
    return ((const pshm__condition *)(const void *)condition->sync.events)->stakes;
}

static bool is_signalled(void) {
    for (uint32_t slot = 0; slot < PSHM_PARTICIPANTS; slot++) {
        if (condition_stakes()[slot].number != 0 && condition_stakes()[slot].amount >> 32 != 0)
            return true;
    }
    return false;
}

/* It has said so under the lock, which those who signal take. */
static bool rival_waits_for_signal(void) {
    uint64_t cursor = 0;
    pshm_participant_info info;
    while (pshm_segment_next_participant(segment, &cursor, &info) == 1) {
        const pshm__stake *stake = &condition_stakes()[info.slot];
        if (info.pid == second && pshm__participant_lives(segment, info.slot, stake->number) &&
            (uint32_t)stake->amount != 0)
            return true;
    }
    return false;
}

static void look_at_condition(bool done_before) {
    (void)done_before;
    help_those_who_wait();
    if (current->hold != NULL)
        end_waits();
    CHECK_OK(pshm_lock_acquire(its_lock));
    CHECK_EQ(pshm_condition_waiting(condition), 0);
    CHECK_EQ(pshm_condition_signal(condition, -1), 0);
    CHECK_CODE(pshm_condition_wait(condition, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_lock_release(its_lock));
}

/* ---- all of them ---- */

enum { RIVALS = 4 };

static const struct {
    struct rival rivals[RIVALS];
    void (*look)(bool done_before);
} kinds_of[] = {
    [SEMAPHORE] = {{{"acquire", rival_acquires},
                    {"try", rival_tries},
                    {"drain", rival_drains},
                    {"release", rival_releases}},
                   look_at_semaphore},
    [EVENT] = {{{"await", rival_awaits_event}, {"set", rival_sets}, {"clear", rival_clears}},
               look_at_event},
    [LATCH] = {{{"await", rival_awaits_latch}, {"count down", rival_counts}}, look_at_latch},
    [BARRIER] = {{{"await", rival_awaits_barrier},
                  {"abort", rival_aborts},
                  {"reset", rival_resets}},
                 look_at_barrier},
    [RWLOCK] = {{{"read", rival_reads},
                 {"write", rival_writes},
                 {"try", rival_tries_to_write},
                 {"repair", rival_repairs}},
                look_at_rwlock},
    [CONDITION] = {{{"wait", rival_waits},
                    {"signal", rival_signals},
                    {"signal all", rival_signals_all}},
                   look_at_condition},
};

static const struct rival *current_rival(void) {
    return &kinds_of[current->about].rivals[second_does];
}

/* What must come of the rival, as the victim has stopped for good. */
static void see_truth(bool waited_before) {
    const bool awaits = second_does == 0;
    switch (current->about) {
    case SEMAPHORE: truth.total = permits_of()->total; break;
    case RWLOCK:
        truth.abandoned = rwlock_state()->abandoned != 0 || is_written_by_a_victim();
        break;
    default: break;
    }
    switch (current->about) {
    case SEMAPHORE: truth.due = !awaits || truth.total > 0; break;
    case BARRIER:
        truth.due = !awaits || is_party();
        truth.passes_on = true; /* it may be broken already */
        break;
    case EVENT: truth.due = !awaits || pshm_event_is_set(event) == 1; break;
    case LATCH: {
        int64_t left;
        CHECK_OK(pshm_latch_count(latch, &left));
        truth.due = !awaits || left == 0;
        break;
    }
    case CONDITION:
        /* Where the cell waits as well, the rival's signal cannot be told from its. */
        truth.due =
            !awaits || shared->inside || (waited_before && is_signalled() && current->hold == NULL);
        truth.passes_on = is_signalled();
        break;
    default: truth.due = true;
    }
}

static void be_rival(void) {
    role = SECOND;
    attach_to_them();
    tell(to_cell[1], 'p');
    hear(to_second[0]);
    armed = true;
    shared->code = current_rival()->operate();
    tell(to_cell[1], 'd');
    hear(to_second[0]);
    CHECK_OK(pshm_segment_close(segment));
}

static void be_corpse_of_them(void) {
    role = CORPSE;
    attach_to_them();
    switch (current->about) {
    case SEMAPHORE: CHECK_OK(pshm_semaphore_try_acquire(semaphore, 1)); break;
    case RWLOCK: CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_WRITE, -1, NULL)); break;
    default: break;
    }
    armed = current->corpse == WITHIN;
    if (armed && current->about == SEMAPHORE)
        pshm_semaphore_release(semaphore, 1);
    else if (armed && current->about == RWLOCK)
        pshm_rwlock_release(rwlock, PSHM_WRITE, 0);
    else if (armed && current->about == BARRIER)
        pshm_barrier_await(barrier, -1, NULL, NULL, NULL);
    raise(SIGKILL);
}

static void run_cell_of_them(void) {
    const pshm_options with = options();
    bool helped = current->help == NULL, done = false;
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    CHECK(pipe(to_cell) == 0 && pipe(to_second) == 0 && pipe(to_victim) == 0);
    memset(heard, 0, sizeof(heard));
    CHECK_OK(pshm_segment_create(victims_name(), 32768, &with, &segment));
    open_them();
    if (current->corpse != NONE)
        make_corpse(be_corpse_of_them);
    if (current->hold != NULL)
        current->hold();
    second = spawn(be_rival);
    await("p");
    victim = spawn(be_victim);
    await("r");
    if (way == WAITING) {
        start_second();
        is_done_before_it_sleeps();
    }
    tell(to_victim[1], 'g');
    if (current->contended) {
        await("bv");
        while (!hears('v') && !is_asleep(victim))
            sched_yield();
        if (!hears('v')) {
            current->help();
            helped = true;
        }
        while (current->about == CONDITION && !hears('v')) {
            if (hears('d') && is_asleep(victim)) /* the rival had the signal */
                current->help();
            sched_yield();
        }
    }
    await("v");
    if (way == WAITING)
        done = is_done_before_it_sleeps(); /* or sleeps again */
    if (way == AT_WORK) {
        start_second();
        done = is_done_before_it_sleeps();
    }
    see_truth(way == WAITING);
    kill_child(victim);
    if (!helped && current->hold != NULL)
        current->help(); /* the cell lets go of what it holds */
    if (way == AFTER)
        tell(to_second[1], 'g');
    if (!truth.due && !done) {
        const struct timespec nap = {.tv_nsec = 20000};
        await("dw");
        while (!hears('d') && !is_asleep(second))
            nanosleep(&nap, NULL);
        CHECK(truth.passes_on || !hears('d'));
        switch (current->about) {
        case SEMAPHORE:
            CHECK_OK(pshm_semaphore_release(semaphore, 1 - truth.total));
            truth.total = 1;
            break;
        case EVENT: set_event(); break;
        case LATCH: count_down(); break;
        case BARRIER: arrive(); break;
        default:
            while (!hears('d') && !rival_waits_for_signal()) /* it may sleep on its way there */
                nanosleep(&nap, NULL);
            help_those_who_wait();
        }
    }
    await("d");
    kinds_of[current->about].look(done);
    tell(to_second[1], 'e');
    CHECK_EQ(wait_for(second), 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_EQ(check_files(false), 0);
}

#define ABOUT() PSHM_LAST_OUT, OBSERVED
#define FREE NONE, false
#define AFTER_A_DEATH HOLDING, false
#define AFTER_A_DEATH_WITHIN WITHIN, false
#define CONTENDED NONE, true

static const scenario synchronizer_scenarios[] = {
    {"semaphore", ABOUT(), FREE, attach_to_them, acquire_permit, SEMAPHORE, NULL, NULL},
    {"semaphore, waiting", ABOUT(), CONTENDED, attach_to_them, acquire_permit, SEMAPHORE,
     hold_permit, return_permit},
    {"semaphore, after a death", ABOUT(), AFTER_A_DEATH, attach_to_them, acquire_permit, SEMAPHORE,
     NULL, NULL},
    {"semaphore, after a death within", ABOUT(), AFTER_A_DEATH_WITHIN, attach_to_them,
     acquire_permit, SEMAPHORE, NULL, NULL},
    {"semaphore, timed out", ABOUT(), NONE, false, attach_to_them, acquire_permit_in_vain,
     SEMAPHORE, hold_permit, return_permit},
    {"semaphore, drain", ABOUT(), FREE, attach_to_them, drain_permits, SEMAPHORE, NULL, NULL},
    {"semaphore, drain what is owed", ABOUT(), FREE, attach_to_them, drain_what_is_owed, SEMAPHORE,
     NULL, NULL},
    {"semaphore, release more", ABOUT(), FREE, attach_to_them, release_permits, SEMAPHORE, NULL,
     NULL},
    {"semaphore, reduce", ABOUT(), FREE, attach_to_them, reduce_permits, SEMAPHORE, NULL, NULL},
    {"semaphore, consume", ABOUT(), FREE, attach_to_them, consume_permit, SEMAPHORE, NULL, NULL},
    {"semaphore, inspect", ABOUT(), AFTER_A_DEATH, attach_to_them, inspect_semaphore, SEMAPHORE,
     NULL, NULL},
    {"event, set", ABOUT(), FREE, attach_to_them, set_event, EVENT, NULL, NULL},
    {"event, clear", ABOUT(), FREE, attach_to_them, clear_event, EVENT, set_event, NULL},
    {"event, waiting", ABOUT(), CONTENDED, attach_to_them, await_event, EVENT, NULL, set_event},
    {"latch, count down", ABOUT(), FREE, attach_to_them, count_down, LATCH, NULL, NULL},
    {"latch, waiting", ABOUT(), CONTENDED, attach_to_them, await_latch, LATCH, NULL, count_down},
    {"barrier, new party", ABOUT(), FREE, attach_but_to_the_barrier, open_barrier, BARRIER, NULL,
     NULL},
    {"barrier, waiting", ABOUT(), CONTENDED, attach_to_them, await_barrier, BARRIER, NULL, arrive},
    {"barrier, the last", ABOUT(), CONTENDED, attach_to_them, await_barrier, BARRIER, arrive_first,
     arrive},
    {"barrier, timed out", ABOUT(), FREE, attach_to_them, await_barrier_in_vain, BARRIER, NULL,
     NULL},
    {"barrier, after a death", ABOUT(), AFTER_A_DEATH, attach_to_them, await_broken_barrier,
     BARRIER, NULL, NULL},
    {"barrier, after a death within", ABOUT(), AFTER_A_DEATH_WITHIN, attach_to_them,
     await_broken_barrier, BARRIER, NULL, NULL},
    {"barrier, abort", ABOUT(), FREE, attach_to_them, abort_barrier, BARRIER, NULL, NULL},
    {"barrier, reset", ABOUT(), FREE, attach_to_them, reset_barrier, BARRIER, NULL, NULL},
    {"barrier, end in order", ABOUT(), FREE, attach_to_them, end_as_a_party, BARRIER, NULL, NULL},
    {"barrier, close", ABOUT(), FREE, attach_to_them, close_as_a_party, BARRIER, NULL, NULL},
    {"barrier, close waiting", ABOUT(), FREE, attach_and_arrive, close_as_a_party, BARRIER, NULL,
     NULL},
    {"read", ABOUT(), FREE, attach_to_them, read_it, RWLOCK, NULL, NULL},
    {"read, waiting", ABOUT(), CONTENDED, attach_to_them, read_it, RWLOCK, hold_to_write,
     end_writing},
    {"read, told", ABOUT(), AFTER_A_DEATH, attach_to_them, read_or_be_told, RWLOCK, NULL, NULL},
    {"read, told of a death within", ABOUT(), AFTER_A_DEATH_WITHIN, attach_to_them, read_or_be_told,
     RWLOCK, NULL, NULL},
    {"write", ABOUT(), FREE, attach_to_them, write_it, RWLOCK, NULL, NULL},
    {"write, waiting", ABOUT(), CONTENDED, attach_to_them, write_it, RWLOCK, hold_to_read,
     end_reading},
    {"write, timed out", ABOUT(), NONE, false, attach_to_them, write_in_vain, RWLOCK, hold_to_read,
     end_reading},
    {"write again, and read", ABOUT(), FREE, attach_to_them, write_again_and_read, RWLOCK, NULL,
     NULL},
    {"repair of a read-write lock", ABOUT(), AFTER_A_DEATH, attach_to_them, repair_it, RWLOCK, NULL,
     NULL},
    {"repair of a good one", ABOUT(), FREE, attach_to_them, repair_what_is_fine, RWLOCK, NULL,
     NULL},
    {"condition, signal", ABOUT(), FREE, attach_to_them, signal_condition, CONDITION, NULL, NULL},
    {"condition, signal all", ABOUT(), FREE, attach_to_them, signal_whole_condition, CONDITION,
     wait_in_steps, NULL},
    {"condition, after a death", ABOUT(), FREE, attach_to_them, await_condition_in_vain, CONDITION,
     leave_signal_behind, NULL},
    {"condition, waiting", ABOUT(), CONTENDED, attach_to_them, await_condition, CONDITION, NULL,
     help_one},
    {"condition, timed out", ABOUT(), FREE, attach_to_them, await_condition_in_vain, CONDITION,
     NULL, NULL},
};

#endif
