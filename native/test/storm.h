/* SPDX-License-Identifier: Apache-2.0
 *
 * What storm_worker.c and storm_drills.h have in common: the shared words, chance, and what is
 * checked of a death that is told.
 */
#ifndef POLYSHM_TEST_STORM_H
#define POLYSHM_TEST_STORM_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "polyshm.h"

enum { CELL_INSIDE, CELL_REPAIRED, CELL_REPAIRS, CELL_UNDONE, CELL_WORDS };
enum {
    STATE,
    FROM,
    TO,
    FROM_BEFORE,
    TO_BEFORE,
    TRANSFERS,
    TOLD,
    DOOMED,
    DRILLS,
    LEFT,
    RECORD_WORDS
};
enum { STOP, VIOLATIONS, SUM, SERIALS, ENDED, CALM, CONTROL_WORDS };
enum { STEPS_PER_NAP = 20, REPAIRS_PER_REFUSAL = 8, VIOLATIONS_TOLD = 100 };
enum { TIMEOUT_NS = 5000000, LONGEST_NAP_NS = 500000 };

typedef _Atomic int64_t word;

static word *cells, *journal, *control;
static int64_t group_count, serial_count, serial;
static uint64_t random_state;

/* SplitMix64. The modulo is uneven by nothing that matters here. */
static int64_t random_below(int64_t bound) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (int64_t)((z ^ z >> 31) % (uint64_t)bound);
}

static int64_t load(const word *from) { return atomic_load_explicit(from, memory_order_acquire); }

static void store(word *to, int64_t value) {
    atomic_store_explicit(to, value, memory_order_release);
}

static word *cell(int64_t group) { return cells + group * CELL_WORDS; }

static word *record(int64_t of) { return journal + of * RECORD_WORDS; }

/* By who alone writes it. */
static void count(word *what) { store(what, load(what) + 1); }

/* Others get their turn, and a death can come here. */
static void nap(int64_t longest_ns) {
    struct timespec time = {.tv_nsec = (long)random_below(longest_ns)};
    nanosleep(&time, NULL);
}

/* The same now and then, between any two steps. */
static void linger(void) {
    if (random_below(STEPS_PER_NAP) == 0)
        nap(LONGEST_NAP_NS);
}

static void check(int code) {
    if (code >= 0)
        return;
    fprintf(stderr, "storm_worker: %s\n", pshm_error_detail());
    exit(1);
}

static void expect_in(int good, const char *where, const char *text, int64_t one, int64_t other) {
    if (good)
        return;
    int64_t before = atomic_fetch_add(control + VIOLATIONS, 1);
    atomic_compare_exchange_strong(control + STOP, &(int64_t){0}, 1);
    if (before < VIOLATIONS_TOLD)
        fprintf(stderr, "violation: c storm-%lld: %s: %s: %lld, %lld\n", (long long)serial, where,
                text, (long long)one, (long long)other);
}

/* The same, of the lock that the cell belongs to. */
static void expect(int good, const char *text, int64_t of, int64_t one, int64_t other) {
    char where[32];
    snprintf(where, sizeof(where), "lock-%lld", (long long)of);
    expect_in(good, where, text, one, other);
}

static int64_t doomed(int64_t of) {
    return of > 0 && of < serial_count ? load(record(of) + DOOMED) : 0;
}

static word *open_array(pshm_segment *segment, const char *name, int64_t length) {
    pshm_array *array;
    check(pshm_array_open(segment, name, PSHM_INT64, length, &array));
    return pshm_array_data(array);
}

/* ---- locks ---- */

/* Returns the serial of the dead. */
static int64_t hear(int64_t group, const pshm_lock_info *told, int64_t repaired) {
    long long dead = 0;
    count(record(serial) + TOLD);
    sscanf(told->dead.thread_name, "storm-%9lld", &dead);
    expect(told->dead.pid == doomed(dead), "was told of a death that never was (pid, serial)",
           group, told->dead.pid, dead);
    expect((int64_t)told->deaths > repaired, "a death is told after its repair (number, repaired)",
           group, (int64_t)told->deaths, repaired);
    return dead;
}

static void come_in(int64_t group) {
    int64_t inside = load(cell(group) + CELL_INSIDE);
    expect(inside == 0, "was given away with somebody inside (serial)", group, inside, 0);
    store(cell(group) + CELL_INSIDE, serial);
}

static void go_out(int64_t group) {
    int64_t inside = load(cell(group) + CELL_INSIDE);
    expect(inside == serial, "somebody came in meanwhile (serial)", group, inside, 0);
    store(cell(group) + CELL_INSIDE, 0);
}

#endif
