/* SPDX-License-Identifier: Apache-2.0
 *
 * storm_worker SEGMENT SERIAL SEED ACCOUNTS GROUPS SERIALS: transfers amounts between accounts
 * until it is told to stop or is killed. The protocol stands in Bank.java, of the storm of the Java
 * tests, which starts it.
 */
#define _GNU_SOURCE
#include "storm_drills.h"

enum { AMOUNT = 100, TRANSFERS_PER_AUDIT = 1000, MOST_TRANSFERS_PER_DRILL = 64 };

static word *accounts;
static pshm_lock **locks;
static int64_t account_count;

/* ---- locks ---- */

static void restore(int64_t group, const word *account, const word *before) {
    if (load(account) % group_count == group)
        store(accounts + load(account), load(before));
}

/* The caller has got the abandoned lock. */
static void mend(int64_t group, const pshm_lock_info *info) {
    int64_t dead = hear(group, info, load(cell(group) + CELL_REPAIRED));
    int64_t inside = load(cell(group) + CELL_INSIDE);
    expect(inside == 0 || doomed(inside) != 0, "was cut off alive (serial)", group, inside, 0);
    if (group >= group_count) {
        mend_drill(group);
    } else if (inside != 0 && load(record(inside) + STATE) == 1) {
        restore(group, record(inside) + FROM, record(inside) + FROM_BEFORE);
        restore(group, record(inside) + TO, record(inside) + TO_BEFORE);
        count(cell(group) + CELL_UNDONE);
    }
    store(cell(group) + CELL_INSIDE, 0);
    store(cell(group) + CELL_REPAIRED, (int64_t)info->deaths);
    count(cell(group) + CELL_REPAIRS);
    if (doomed(dead) != 0)
        count_up(record(dead) + LEFT, 1);
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
    mend(group, &info);
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
    come_in(group);
}

static void give(int64_t group) {
    go_out(group);
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

int main(int argc, char **argv) {
    pshm_segment *segment;
    char name[24];
    if (argc != 7) {
        fprintf(stderr, "usage: storm_worker SEGMENT SERIAL SEED ACCOUNTS GROUPS SERIALS\n");
        return 2;
    }
    serial = strtoll(argv[2], NULL, 10);
    random_state = (uint64_t)strtoll(argv[3], NULL, 10);
    account_count = strtoll(argv[4], NULL, 10);
    group_count = strtoll(argv[5], NULL, 10);
    serial_count = strtoll(argv[6], NULL, 10);
    locks = calloc((size_t)(group_count + 1), sizeof(*locks));
    if (locks == NULL)
        return 1;
    check(pshm_segment_open(argv[1], NULL, &segment));
    accounts = open_array(segment, "accounts", account_count);
    cells = open_array(segment, "cells", (group_count + 2) * CELL_WORDS);
    journal = open_array(segment, "journal", serial_count * RECORD_WORDS);
    control = open_array(segment, "control", CONTROL_WORDS);
    for (int64_t group = 0; group <= group_count; group++) {
        snprintf(name, sizeof(name), "lock-%d", (int)group);
        check(pshm_lock_open(segment, name, &locks[group]));
    }
    open_drills(segment, locks[group_count]);
    snprintf(name, sizeof(name), "storm-%d", (int)serial);
    pshm_thread_set_name(name);

    int64_t transfers_per_drill = 1 + random_below(MOST_TRANSFERS_PER_DRILL);
    while (load(control + STOP) == 0) {
        transfer();
        if (random_below(transfers_per_drill) == 0)
            drill();
        if (random_below(TRANSFERS_PER_AUDIT) == 0)
            audit();
    }
    count_up(control + ENDED, 1);
    while (load(control + STOP) == 1)
        nap(LONGEST_NAP_NS);
    check(pshm_segment_close(segment));
    free(locks);
    return 0;
}
