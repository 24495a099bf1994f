/* SPDX-License-Identifier: Apache-2.0
 *
 * storm_worker SEGMENT SERIAL SEED ACCOUNTS GROUPS SERIALS: transfers amounts between accounts
 * until it is told to stop, is killed, or its input ends. The protocol stands in Bank.java, of the
 * storm of the Java tests, which starts it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "polyshm.h"

enum { CELL_INSIDE, CELL_REPAIRED, CELL_REPAIRS, CELL_UNDONE, CELL_WORDS };
enum { STATE, FROM, TO, FROM_BEFORE, TO_BEFORE, TRANSFERS, TOLD, DOOMED, RECORD_WORDS };
enum { STOP, VIOLATIONS, SUM, CONTROL_WORDS };
enum { AMOUNT = 100, TRANSFERS_PER_AUDIT = 1000, STEPS_PER_NAP = 20 };
enum { REPAIRS_PER_REFUSAL = 8, VIOLATIONS_TOLD = 100 };
enum { TIMEOUT_NS = 5000000, LONGEST_NAP_NS = 500000 };

typedef _Atomic int64_t word;

static word *accounts, *cells, *journal, *control;
static pshm_lock **locks;
static int64_t account_count, group_count, serial_count, serial;
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

static void count(word *what) { store(what, load(what) + 1); }

/* Others get their turn, and a death can come between any two steps. */
static void linger(void) {
    struct timespec nap = {.tv_nsec = (long)random_below(LONGEST_NAP_NS)};
    if (random_below(STEPS_PER_NAP) == 0)
        nanosleep(&nap, NULL);
}

static void check(int code) {
    if (code >= 0)
        return;
    fprintf(stderr, "storm_worker: %s\n", pshm_error_detail());
    exit(1);
}

static void expect(int good, const char *text, int64_t group, int64_t one, int64_t other) {
    if (good)
        return;
    int64_t before = atomic_fetch_add(control + VIOLATIONS, 1);
    store(control + STOP, 1);
    if (before < VIOLATIONS_TOLD)
        fprintf(stderr, "violation: c storm-%lld: lock-%lld: %s: %lld, %lld\n", (long long)serial,
                (long long)group, text, (long long)one, (long long)other);
}

static int64_t doomed(int64_t of) {
    return of > 0 && of < serial_count ? load(record(of) + DOOMED) : 0;
}

/* ---- locks ---- */

static int64_t hear(int64_t group, const pshm_lock_info *told, int64_t repaired) {
    long long dead = 0;
    count(record(serial) + TOLD);
    sscanf(told->dead.thread_name, "storm-%9lld", &dead);
    expect(told->dead.pid == doomed(dead), "was told of a death that never was (pid, serial)",
           group, told->dead.pid, dead);
    expect((int64_t)told->deaths > repaired, "a death is told after its repair (number, repaired)",
           group, (int64_t)told->deaths, repaired);
    return (int64_t)told->deaths;
}

static void restore(int64_t group, const word *account, const word *before) {
    if (load(account) % group_count == group)
        store(accounts + load(account), load(before));
}

static void repair(int64_t group) {
    int code = pshm_lock_acquire_abandoned(locks[group]);
    if (code == PSHM_EGOOD)
        return;
    check(code);
    if (random_below(REPAIRS_PER_REFUSAL) == 0) {
        check(pshm_lock_release(locks[group])); /* it stays abandoned */
        return;
    }
    pshm_lock_info info;
    check(pshm_lock_inspect(locks[group], &info));
    int64_t death = hear(group, &info, load(cell(group) + CELL_REPAIRED));
    int64_t dead = load(cell(group) + CELL_INSIDE);
    expect(dead == 0 || doomed(dead) != 0, "was cut off alive (serial)", group, dead, 0);
    if (dead != 0 && load(record(dead) + STATE) == 1) {
        restore(group, record(dead) + FROM, record(dead) + FROM_BEFORE);
        restore(group, record(dead) + TO, record(dead) + TO_BEFORE);
        count(cell(group) + CELL_UNDONE);
    }
    store(cell(group) + CELL_INSIDE, 0);
    store(cell(group) + CELL_REPAIRED, death);
    count(cell(group) + CELL_REPAIRS);
    check(pshm_lock_mark_good(locks[group]));
    check(pshm_lock_release(locks[group]));
}

static int acquire(pshm_lock *lock, int64_t way) {
    switch (way) {
    case 0: return pshm_lock_timed_acquire(lock, TIMEOUT_NS);
    case 1: return pshm_lock_try_acquire(lock);
    default: return pshm_lock_acquire(lock);
    }
}

static void take(int64_t group) {
    int64_t way = random_below(4);
    int code;
    do {
        int64_t repaired = load(cell(group) + CELL_REPAIRED);
        code = acquire(locks[group], way);
        if (code == PSHM_EOWNERDIED) {
            pshm_lock_info told;
            pshm_lock_told(&told);
            hear(group, &told, repaired);
            repair(group);
        } else if (code == PSHM_EBUSY) {
            way = 0; /* no spinning */
        } else if (code != PSHM_ETIMEDOUT) {
            check(code);
        }
    } while (code != 0);
    int64_t inside = load(cell(group) + CELL_INSIDE);
    expect(inside == 0, "was given away with somebody inside (serial)", group, inside, 0);
    store(cell(group) + CELL_INSIDE, serial);
}

static void give(int64_t group) {
    int64_t inside = load(cell(group) + CELL_INSIDE);
    expect(inside == serial, "somebody came in meanwhile (serial)", group, inside, 0);
    store(cell(group) + CELL_INSIDE, 0);
    check(pshm_lock_release(locks[group]));
}

/* ---- work ---- */

static int64_t add_up(void) {
    int64_t total = 0;
    for (int64_t i = 0; i < account_count; i++)
        total += load(accounts + i);
    return total;
}

static void audit(void) {
    for (int64_t group = 0; group < group_count; group++)
        take(group);
    int64_t total = add_up();
    for (int64_t group = group_count - 1; group >= 0; group--)
        give(group);
    int64_t sum = load(control + SUM);
    expect(total == sum, "the sum of all accounts is wrong (it, the right one)", 0, total, sum);
}

static void move(int64_t from, int64_t to, int64_t amount) {
    word *mine = record(serial);
    int64_t from_before = load(accounts + from);
    int64_t to_before = load(accounts + to);
    store(mine + FROM, from);
    store(mine + TO, to);
    store(mine + FROM_BEFORE, from_before);
    store(mine + TO_BEFORE, to_before);
    store(mine + STATE, 1);
    linger();
    store(accounts + from, from_before - amount);
    linger();
    store(accounts + to, to_before + amount);
    linger();
    store(mine + STATE, 0);
    count(mine + TRANSFERS);
}

static void transfer(void) {
    int64_t from = random_below(account_count);
    int64_t to = (from + 1 + random_below(account_count - 1)) % account_count;
    int64_t lower = from % group_count, upper = to % group_count;
    if (lower > upper) {
        lower = to % group_count;
        upper = from % group_count;
    }
    linger();
    take(lower);
    linger();
    if (upper != lower)
        take(upper);
    move(from, to, random_below(AMOUNT));
    if (upper != lower)
        give(upper);
    give(lower);
}

/* Whoever has started us is gone. */
static void *end_with_input(void *unused) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    exit(1);
    return unused;
}

static word *open_array(pshm_segment *segment, const char *name, int64_t length) {
    pshm_array *array;
    check(pshm_array_open(segment, name, PSHM_INT64, length, &array));
    return pshm_array_data(array);
}

int main(int argc, char **argv) {
    pshm_segment *segment;
    pthread_t watch;
    char name[24];
    if (argc != 7) {
        fprintf(stderr, "usage: storm_worker SEGMENT SERIAL SEED ACCOUNTS GROUPS SERIALS < pipe\n");
        return 2;
    }
    serial = strtoll(argv[2], NULL, 10);
    random_state = (uint64_t)strtoll(argv[3], NULL, 10);
    account_count = strtoll(argv[4], NULL, 10);
    group_count = strtoll(argv[5], NULL, 10);
    serial_count = strtoll(argv[6], NULL, 10);
    locks = calloc((size_t)group_count, sizeof(*locks));
    if (locks == NULL || pthread_create(&watch, NULL, end_with_input, NULL) != 0)
        return 1;
    check(pshm_segment_open(argv[1], NULL, &segment));
    accounts = open_array(segment, "accounts", account_count);
    cells = open_array(segment, "cells", group_count * CELL_WORDS);
    journal = open_array(segment, "journal", serial_count * RECORD_WORDS);
    control = open_array(segment, "control", CONTROL_WORDS);
    for (int64_t group = 0; group < group_count; group++) {
        snprintf(name, sizeof(name), "lock-%d", (int)group);
        check(pshm_lock_open(segment, name, &locks[group]));
    }
    snprintf(name, sizeof(name), "storm-%d", (int)serial);
    pshm_thread_set_name(name);

    while (load(control + STOP) == 0) {
        transfer();
        if (random_below(TRANSFERS_PER_AUDIT) == 0)
            audit();
    }
    check(pshm_segment_close(segment));
    free(locks);
    return 0;
}
