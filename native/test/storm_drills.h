/* SPDX-License-Identifier: Apache-2.0
 *
 * The drills of storm_worker.c, with every synchronizer; their protocol stands in Drills.java,
 * beside Bank.java.
 */
#ifndef POLYSHM_TEST_STORM_DRILLS_H
#define POLYSHM_TEST_STORM_DRILLS_H

#include "storm.h"

enum { PERMITS = 3, BARRIERS = 2, CAPACITY = 2, LATCHES = 16, LATCH_COUNT = 100 };
enum {
    DEATHS_OF_PARTIES = 1,
    PULSES_BEGUN = 2,
    PULSES_DONE = 3,
    PLACES = 4,
    FIRST = 8,
    SECOND = 9,
    PUTS = 10,
    TAKES = 11,
    AMOUNT_THERE = 12,
    ITEMS = 16,
    TRIPS = 20,   /* and then how often each index was told; for each barrier four words */
    COUNTED = 28, /* for each latch two words: count downs that were begun, and are done */
    DRILL_WORDS = 64
};
enum {
    DRILL_NAP_NS = 2000000,
    BARRIER_TIMEOUT_NS = 20000000,
    WAITS_PER_ENDLESS = 2,
    AWAITS_PER_ABORT = 16
};

static word *drills;
static pshm_lock *buffer_lock;
static pshm_semaphore *semaphore;
static pshm_rwlock *rwlock;
static pshm_barrier *barriers[BARRIERS];
static pshm_event *event, *pulse;
static pshm_latch *latches[LATCHES];
static pshm_condition *not_empty, *not_full;

static void take(int64_t group);
static void give(int64_t group);
static void mend(int64_t group, const pshm_lock_info *info);

static int64_t buffer_cell(void) { return group_count; }

static int64_t rwlock_cell(void) { return group_count + 1; }

/* By anybody at any time; returns what there is then. */
static int64_t count_up(word *what, int64_t by) { return atomic_fetch_add(what, by) + by; }

/* Now and then without end. */
static int64_t some_time(int64_t most_ns) {
    return random_below(WAITS_PER_ENDLESS) == 0 ? -1 : most_ns;
}

/* Whether what was waited for is there. */
static int came(int code) {
    if (code == PSHM_ETIMEDOUT || code == PSHM_EBUSY)
        return 0;
    check(code);
    return 1;
}

/* ---- semaphore ---- */

/* The place in which the caller has put himself; -1 if the living have taken all. */
static int64_t occupy(void) {
    static int64_t entries;
    int64_t mine = serial << 32 | ++entries, before[PERMITS] = {0};
    for (;;) {
        int same = 1;
        for (int64_t i = 0; i < PERMITS; i++) {
            int64_t other = load(drills + PLACES + i);
            if (other == 0 || doomed(other >> 32) != 0) {
                if (atomic_compare_exchange_strong(drills + PLACES + i, &other, mine))
                    return i;
                other = 0;
            }
            same = same && other != 0 && other == before[i];
            before[i] = other;
        }
        if (same) {
            expect_in(0, "semaphore", "more inside than permits (two of them)", before[0],
                      before[1]);
            return -1;
        }
    }
}

static void vacate(int64_t place) {
    static int64_t left;
    int64_t mine = serial << 32 | ++left;
    if (place >= 0 && !atomic_compare_exchange_strong(drills + PLACES + place, &mine, 0))
        expect_in(doomed(serial) != 0, "semaphore", "a living one was displaced (by, serial)", mine,
                  serial);
}

static void use_permits(void) {
    int64_t wanted = 1 + random_below(2), places[2];
    int code = random_below(4) == 0
                   ? pshm_semaphore_try_acquire(semaphore, wanted)
                   : pshm_semaphore_acquire(semaphore, wanted, some_time(TIMEOUT_NS), NULL);
    if (!came(code))
        return;
    for (int64_t i = 0; i < wanted; i++)
        places[i] = occupy();
    nap(DRILL_NAP_NS);
    for (int64_t i = 0; i < wanted; i++)
        vacate(places[i]);
    check(pshm_semaphore_release(semaphore, wanted));
}

/* ---- read-write lock ---- */

static void repair_pair(void) {
    pshm_rwlock_info info;
    int code = pshm_rwlock_acquire(rwlock, PSHM_REPAIR, -1, NULL);
    if (code == PSHM_EGOOD)
        return;
    check(code);
    if (random_below(REPAIRS_PER_REFUSAL) != 0) {
        check(pshm_rwlock_inspect(rwlock, &info));
        mend(rwlock_cell(), &(pshm_lock_info){.dead = info.dead, .deaths = info.deaths});
        check(pshm_rwlock_mark_good(rwlock, 0));
    }
    check(pshm_rwlock_release(rwlock, PSHM_REPAIR, 0));
}

static int enter(int mode) {
    int64_t timeout = random_below(8) == 0 ? 0 : some_time(TIMEOUT_NS);
    for (;;) {
        int64_t repaired = load(cell(rwlock_cell()) + CELL_REPAIRED);
        int code = pshm_rwlock_acquire(rwlock, mode, timeout, NULL);
        if (code != PSHM_EOWNERDIED)
            return came(code);
        pshm_lock_info told;
        pshm_lock_told(&told);
        hear(rwlock_cell(), &told, repaired);
        repair_pair();
    }
}

static void expect_pair(int64_t first) {
    int64_t second = load(drills + SECOND);
    expect(first == second, "its cells differ", rwlock_cell(), first, second);
}

static void look_at_pair(void) {
    int64_t first = load(drills + FIRST);
    nap(DRILL_NAP_NS);
    expect_pair(first);
    int64_t writer = load(cell(rwlock_cell()) + CELL_INSIDE);
    expect(writer == 0, "somebody writes while others read (serial)", rwlock_cell(), writer, 0);
}

static void read_pair(void) {
    if (!enter(PSHM_READ))
        return;
    look_at_pair();
    check(pshm_rwlock_release(rwlock, PSHM_READ, 0));
}

static void write_pair(void) {
    if (!enter(PSHM_WRITE))
        return;
    int64_t next = load(drills + FIRST) + 1;
    come_in(rwlock_cell());
    expect_pair(next - 1);
    store(drills + FIRST, next);
    nap(DRILL_NAP_NS);
    store(drills + SECOND, next);
    int goes_on_reading = random_below(4) == 0;
    if (goes_on_reading)
        check(pshm_rwlock_acquire(rwlock, PSHM_READ, 0, NULL));
    go_out(rwlock_cell());
    check(pshm_rwlock_release(rwlock, PSHM_WRITE, 0));
    if (goes_on_reading) {
        look_at_pair();
        check(pshm_rwlock_release(rwlock, PSHM_READ, 0));
    }
}

/* ---- barriers ---- */

static void count_trip(void *trips) { count_up(trips, 1); }

static int was_killed(int64_t pid) {
    for (int64_t of = load(control + SERIALS) - 1; of > 0; of--)
        if (doomed(of) == pid)
            return 1;
    return 0;
}

static void meet(void) {
    int64_t which = random_below(BARRIERS);
    pshm_barrier *barrier = barriers[which];
    word *trips = drills + TRIPS + which * 4;
    if (random_below(AWAITS_PER_ABORT) == 0)
        check(pshm_barrier_abort(barrier));
    int code = pshm_barrier_await(barrier, some_time(BARRIER_TIMEOUT_NS), NULL, count_trip, trips);
    if (code >= 0) {
        expect_in(code < which + 2, "barrier", "no such index (it, parties)", code, which + 2);
        int64_t told = count_up(trips + 1 + code, 1), all = load(trips);
        expect_in(told <= all, "barrier", "an index is told too often (times, trips)", told, all);
        return;
    }
    if (code != PSHM_EBROKEN) {
        came(code);
        return;
    }
    pshm_barrier_info info;
    check(pshm_barrier_inspect(barrier, &info));
    if (info.cause == PSHM_BREAK_DEATH) {
        count_up(drills + DEATHS_OF_PARTIES, 1);
        expect_in(was_killed(info.pid), "barrier", "broken by a death that never was (pid)",
                  info.pid, 0);
    }
    if (random_below(2) == 0) {
        check(pshm_barrier_reset(barrier));
        if (load(control + STOP) != 0) /* others may wait by now */
            check(pshm_barrier_abort(barrier));
    }
}

/* ---- events ---- */

static void use_event(void) {
    switch (random_below(4)) {
    case 0: check(pshm_event_set(event)); break;
    case 1:
        check(pshm_event_clear(event));
        if (load(control + STOP) != 0) /* others may wait by now */
            check(pshm_event_set(event));
        break;
    default: came(pshm_event_await(event, some_time(TIMEOUT_NS), NULL));
    }
}

static void feel_pulse(void) {
    pshm_wait wait;
    int64_t begun_before = load(drills + PULSES_BEGUN);
    int is_quiet = load(drills + PULSES_DONE) == begun_before;
    int64_t timeout = some_time(BARRIER_TIMEOUT_NS);
    check(pshm_event_prepare(pulse, &wait));
    int64_t begun = load(drills + PULSES_BEGUN);
    for (;;) {
        uint32_t sequence = pshm_wait_sequence(&wait);
        int64_t done = load(drills + PULSES_DONE);
        int code = pshm_wait_poll(&wait);
        if (code != PSHM_EBUSY) {
            check(code);
            break;
        }
        expect_in(done <= begun, "pulse", "ends no wait (done, begun before)", done, begun);
        if (pshm_wait_sleep(&wait, sequence, timeout, NULL) == PSHM_ETIMEDOUT &&
            pshm_wait_cancel(&wait, PSHM_ETIMEDOUT) == PSHM_ETIMEDOUT)
            return;
    }
    int64_t now = load(drills + PULSES_BEGUN);
    expect_in(!is_quiet || now > begun_before, "pulse", "was felt before it came (number)", now, 0);
}

/* ---- latches ---- */

static int64_t left_of(int64_t counted) {
    return counted < LATCH_COUNT ? LATCH_COUNT - counted : 0;
}

static void count_down(void) {
    int64_t which = 0, by = 1 + random_below(3), left = 0;
    for (; which < LATCHES - 1; which++) {
        check(pshm_latch_count(latches[which], &left));
        if (left > 0)
            break;
    }
    pshm_latch *latch = latches[which];
    word *begun = drills + COUNTED + which * 2, *done = begun + 1;
    count_up(begun, by);
    check(pshm_latch_count_down(latch, by));
    count_up(done, by);
    int64_t most = left_of(load(done));
    check(pshm_latch_count(latch, &left));
    int64_t least = left_of(load(begun));
    expect_in(left <= most, "latch", "counts too little (left, at most)", left, most);
    expect_in(left >= least, "latch", "counts too much (left, at least)", left, least);
    if (came(pshm_latch_await(latch, some_time(TIMEOUT_NS), NULL))) {
        check(pshm_latch_count(latch, &left));
        expect_in(left == 0, "latch", "does not hold (left)", left, 0);
    }
}

/* ---- conditions ---- */

static void signal_all(void) {
    check(pshm_condition_signal(not_empty, -1));
    check(pshm_condition_signal(not_full, -1));
}

/* After the death of who held the lock: any number of signals may be missing. */
static void mend_drill(int64_t group) {
    if (group == buffer_cell()) {
        store(drills + AMOUNT_THERE, load(drills + PUTS) - load(drills + TAKES));
        signal_all();
    } else {
        store(drills + SECOND, load(drills + FIRST));
    }
}

/* Whether the lock is held, and what it guards is whole. */
static int wait_for(pshm_condition *condition) {
    int64_t repaired = load(cell(buffer_cell()) + CELL_REPAIRED);
    go_out(buffer_cell());
    int code = pshm_condition_wait(condition, some_time(TIMEOUT_NS), NULL);
    if (code == PSHM_EOWNERDIED) {
        pshm_lock_info told;
        pshm_lock_told(&told);
        hear(buffer_cell(), &told, repaired);
        if (random_below(REPAIRS_PER_REFUSAL) == 0) {
            check(pshm_lock_release(buffer_lock)); /* it stays abandoned */
            return 0;
        }
        mend(buffer_cell(), &told);
        check(pshm_lock_mark_good(buffer_lock));
    } else {
        came(code);
    }
    come_in(buffer_cell());
    return 1;
}

static void expect_amount(void) {
    int64_t there = load(drills + AMOUNT_THERE);
    expect(there >= 0 && there <= CAPACITY, "no such amount", buffer_cell(), there, CAPACITY);
    int64_t right = load(drills + PUTS) - load(drills + TAKES);
    expect(there == right, "its amount is wrong (it, the right one)", buffer_cell(), there, right);
}

static void use_buffer(void) {
    int puts = random_below(2) == 0;
    int64_t in_vain = puts ? CAPACITY : 0;
    take(buffer_cell());
    expect_amount();
    if (load(drills + AMOUNT_THERE) == in_vain && load(control + STOP) == 0) {
        if (!wait_for(puts ? not_full : not_empty))
            return;
        expect_amount();
    }
    if (load(drills + AMOUNT_THERE) != in_vain) {
        int64_t number = load(drills + (puts ? PUTS : TAKES));
        word *item = drills + ITEMS + number % CAPACITY;
        if (puts)
            store(item, number);
        expect(load(item) == number, "not the next item (it, number)", buffer_cell(), load(item),
               number);
        store(drills + (puts ? PUTS : TAKES), number + 1);
        nap(DRILL_NAP_NS);
        store(drills + AMOUNT_THERE, load(drills + AMOUNT_THERE) + (puts ? 1 : -1));
        nap(DRILL_NAP_NS);
        check(pshm_condition_signal(puts ? not_empty : not_full, 1));
    }
    give(buffer_cell());
}

/* ---- all ---- */

static void open_drills(pshm_segment *segment, pshm_lock *lock_of_buffer) {
    char name[24];
    drills = open_array(segment, "drills", DRILL_WORDS);
    buffer_lock = lock_of_buffer;
    check(pshm_semaphore_open(segment, "semaphore", PERMITS, 1, &semaphore));
    check(pshm_rwlock_open(segment, "rwlock", &rwlock));
    for (int i = 0; i < BARRIERS; i++) {
        snprintf(name, sizeof(name), "barrier-%d", i);
        check(pshm_barrier_open(segment, name, i + 2, &barriers[i]));
    }
    check(pshm_event_open(segment, "event", &event));
    check(pshm_event_open(segment, "pulse", &pulse));
    for (int i = 0; i < LATCHES; i++) {
        snprintf(name, sizeof(name), "latch-%d", i);
        check(pshm_latch_open(segment, name, LATCH_COUNT, &latches[i]));
    }
    check(pshm_condition_open(buffer_lock, "not-empty", &not_empty));
    check(pshm_condition_open(buffer_lock, "not-full", &not_full));
}

static void drill(void) {
    static void (*const all[])(void) = {use_permits, read_pair,  write_pair, meet,
                                        use_event,   feel_pulse, count_down, use_buffer};
    all[random_below(sizeof(all) / sizeof(*all))]();
    count(record(serial) + DRILLS);
}

#endif
