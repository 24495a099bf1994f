/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions whose users are killed: each signal still ends exactly one wait, the death of the
 * lock's owner is told, and a bounded buffer goes on.
 */
#include "condition.h"

/* ---- deaths ---- */

static const pshm__stake *stakes_of(const party *here) {
    const pshm__events *events = here->condition->sync.events;
    return ((const pshm__condition *)(const void *)events)->stakes;
}

static void wait_alone(void *shared) {
    party here = attend(shared);
    wait_once(&here);
    CHECK_OK(pshm_segment_close(here.segment));
}

/* The dead one had its signal already, had none, or gets one when it is dead and nobody knows. */
static void shouldPassTheSignalsOfTheDeadOn(void) {
    enum { ROUNDS = CHECK_TSAN ? 6 : 30 };
    for (int round = 0; round < ROUNDS; round++) {
        party here = attend(new_table());
        pid_t dies = start(wait_in_threads, here.shared);
        AWAIT(waiting(&here) == THREADS);
        stop_child(dies);
        if (round % 3 == 0)
            CHECK_EQ(signal_some(&here, 1), 1);
        pid_t lives = start(wait_alone, here.shared);
        AWAIT(waiting(&here) == THREADS + (round % 3 != 0));
        if (round % 3 == 1)
            CHECK_EQ(signal_some(&here, 1), 1); /* the dead one's slot is the first */
        kill(dies, SIGKILL);
        if (round % 3 == 2) {
            wait_for(dies);
            CHECK_EQ(signal_some(&here, 1), 1);
            CHECK_JOIN(lives);
        } else {
            CHECK_JOIN(lives);
            wait_for(dies);
        }
        CHECK_EQ(here.shared->woken, 1);
        drop(&here);
    }
}

/* A dead one that nobody was told of has a signal, and waits for more: that is nothing to those
 * that begin later, and swallows none. */
static void shouldForgetTheSignalsOfTheDead(void) {
    party here = attend(new_table());
    for (int round = 0; round < 5; round++) {
        here.shared->woken = 0;
        pid_t dies = start(wait_in_threads, here.shared);
        AWAIT(waiting(&here) == THREADS);
        stop_child(dies);
        CHECK_EQ(signal_some(&here, 1), 1);
        kill_child(dies);
        CHECK_EQ(waiting(&here), 0);
        CHECK_JOIN(start(time_out, here.shared));
        pid_t lives = start(wait_alone, here.shared);
        AWAIT(waiting(&here) == 1);
        CHECK_EQ(signal_some(&here, 1), 1);
        CHECK_JOIN(lives);
        CHECK_EQ(here.shared->woken, 1);
    }
    for (uint32_t slot = 0; slot < PSHM_PARTICIPANTS; slot++)
        CHECK_EQ(stakes_of(&here)[slot].amount, 0);
    drop(&here);
}

static void *wait_later(void *argument) {
    const party *here = argument;
    pshm_event *event;
    CHECK_OK(pshm_event_open(here->segment, "e", &event));
    if (here->number == 0) {
        CHECK_OK(pshm_event_await(event, -1, NULL)); /* so that the process is told of deaths */
    } else {
        AWAIT(here->shared->ready == 1);
        wait_once(argument);
    }
    return NULL;
}

static void wait_later_in_threads(void *shared) {
    party here = attend(shared);
    in_threads(&here, wait_later, 2);
    CHECK_OK(pshm_segment_close(here.segment));
}

/* Its death was told when nobody waited for the condition, and nobody is told of it again. */
static void shouldSignalNoneThatDiedWhenNobodyWaited(void) {
    party here = attend(new_table());
    const uint32_t *departed = &pshm__directory_of(here.segment)->departed;
    pshm_event *event;
    CHECK_OK(pshm_event_open(here.segment, "e", &event));
    pid_t dies = start(wait_in_threads, here.shared);
    AWAIT(waiting(&here) == THREADS);
    pid_t lives = start(wait_later_in_threads, here.shared);
    AWAIT(atomic_load((const _Atomic uint32_t *)&event->sync.events->waiters) == 1);
    sleep_ms(50); /* all are watched by now */
    const uint32_t before = atomic_load((const _Atomic uint32_t *)departed);
    kill_child(dies);
    AWAIT(atomic_load((const _Atomic uint32_t *)departed) != before);
    here.shared->ready = 1;
    AWAIT(waiting(&here) == 1);
    CHECK_EQ(signal_some(&here, 1), 1);
    AWAIT(here.shared->woken == 1);
    CHECK_OK(pshm_event_set(event));
    CHECK_JOIN(lives);
    drop(&here);
}

static void wait_or_be_told(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    int code = pshm_condition_wait(here.condition, -1, NULL);
    CHECK_EQ(pshm_lock_depth(here.lock), 1);
    if (code == PSHM_EOWNERDIED) {
        CHECK_DETAIL("died holding it");
        CHECK_OK(pshm_lock_mark_good(here.lock));
        here.shared->told++;
    } else {
        CHECK_OK(code);
        here.shared->woken++;
    }
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_segment_close(here.segment));
}

/* Killed at a moment of chance around the signal: it was woken itself, or the other one is. */
static void shouldLoseNoSignalToADeath(void) {
    enum { ROUNDS = CHECK_TSAN ? 8 : 150 };
    uint64_t seed = 7;
    int taken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        party here = attend(new_table());
        pid_t dies = start(wait_or_be_told, here.shared);
        AWAIT(waiting(&here) == 1);
        pid_t lives = start(wait_or_be_told, here.shared);
        AWAIT(waiting(&here) == 2);
        const uint64_t chance = random_next(&seed);
        if (chance % 2 == 0)
            kill(dies, SIGKILL);
        CHECK(signal_some(&here, 1) == 1);
        const int64_t end = now_ns() + (int64_t)(chance >> 8) % 200000;
        while (now_ns() < end)
            continue;
        kill(dies, SIGKILL);
        wait_for(dies);
        int status = 0;
        bool ended = false;
        while (!ended && here.shared->woken + here.shared->told == 0) {
            ended = waitpid(lives, &status, WNOHANG) == lives;
            sched_yield();
        }
        if (!ended) { /* one of them, and the other one waits still, if it lives */
            CHECK_OK(pshm_lock_acquire(here.lock));
            taken += pshm_condition_waiting(here.condition) != 0;
            pshm_condition_signal(here.condition, -1);
            CHECK_OK(pshm_lock_release(here.lock));
            status = wait_for(lives);
        }
        CHECK_EQ(status, 0);
        drop(&here);
    }
    printf("    taken by the one that died later: %d of %d\n", taken, ROUNDS);
}

static void signal_and_die(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    CHECK_EQ(pshm_condition_signal(here.condition, here.shared->state), here.shared->state);
    raise(SIGKILL);
}

static void shouldTellThatAnOwnerHasDied(void) {
    for (int signals = 0; signals < 3; signals++) {
        party here = attend(new_table());
        pid_t children[2];
        for (int i = 0; i < 2; i++)
            children[i] = start(wait_or_be_told, here.shared);
        AWAIT(waiting(&here) == 2);
        here.shared->state = signals;
        CHECK_EQ(wait_for(start(signal_and_die, here.shared)), SIGKILL);
        AWAIT(here.shared->told == 1); /* it has repaired, so the other one is not told */
        if (signals < 2) {             /* and may have had the signal */
            CHECK_OK(pshm_lock_acquire(here.lock));
            pshm_condition_signal(here.condition, 1);
            CHECK_OK(pshm_lock_release(here.lock));
        }
        for (int i = 0; i < 2; i++)
            CHECK_JOIN(children[i]);
        CHECK_EQ(here.shared->told, 1);
        CHECK_EQ(here.shared->woken, 1);
        drop(&here);
    }
}

static void hold_lock(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    here.shared->ready = 1;
    pause();
}

/* As one that is about to find out that the holder has died. */
static void hold_mutex(void *argument) {
    const party *here = argument;
    const uint8_t *mutex = here->lock->shared->mutex;
    if (pshm__mutex_enter(here->segment, mutex) == 0) { /* the one that waits was first */
        PSHM__MUTEX(unlock, mutex);
        here->shared->ready = 3;
        return;
    }
    here->shared->ready = 2;
    pause();
}

static void shouldTellThatAnOwnerHasDiedWhenAnotherLooksAtTheSameTime(void) {
    party here = attend(new_table());
    pid_t waits = start(wait_or_be_told, here.shared);
    AWAIT(waiting(&here) == 1);
    pid_t holds = start(hold_lock, here.shared);
    AWAIT(here.shared->ready == 1);
    pid_t looks = start(hold_mutex, &here);
    sleep_ms(50); /* it waits for the mutex, which the kernel gives it, as a rule */
    const uint64_t before = here.lock->shared->contentions;
    kill_child(holds);
    AWAIT(here.shared->ready >= 2);
    if (here.shared->ready == 2)
        AWAIT(here.lock->shared->contentions != before); /* the one that waits goes and sees */
    kill_child(looks);
    CHECK_JOIN(waits);
    CHECK_EQ(here.shared->told, 1);
    drop(&here);
}

static void die_holding(void *shared) {
    party here = attend(shared);
    CHECK_OK(pshm_lock_acquire(here.lock));
    raise(SIGKILL);
}

static void shouldAcquireAnyLock(void) {
    party here = attend(new_table());
    pshm_lock_info info;
    CHECK_OK(pshm_lock_acquire_any(here.lock));
    CHECK_OK(pshm_lock_acquire_any(here.lock));
    CHECK_EQ(pshm_lock_depth(here.lock), 2);
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_lock_release(here.lock));
    int32_t pid = start(die_holding, here.shared);
    CHECK_EQ(wait_for(pid), SIGKILL);
    for (int i = 0; i < 2; i++) { /* released without a repair, it is told again */
        CHECK_CODE(pshm_lock_acquire_any(here.lock), PSHM_EOWNERDIED);
        CHECK_CODE(pshm_lock_acquire_any(here.lock), PSHM_EOWNERDIED);
        pshm_lock_told(&info);
        CHECK_EQ(info.dead.pid, pid);
        CHECK_EQ(pshm_lock_depth(here.lock), 2);
        CHECK_OK(pshm_lock_release(here.lock));
        CHECK_OK(pshm_lock_release(here.lock));
        CHECK_CODE(pshm_lock_acquire(here.lock), PSHM_EOWNERDIED);
    }
    CHECK_CODE(pshm_lock_acquire_any(here.lock), PSHM_EOWNERDIED);
    CHECK_OK(pshm_lock_mark_good(here.lock));
    CHECK_OK(pshm_lock_acquire_any(here.lock));
    CHECK_OK(pshm_lock_release(here.lock));
    CHECK_OK(pshm_lock_release(here.lock));
    drop(&here);
}

/* ---- a bounded buffer, whose users are killed ---- */

enum { ROOM = 4, ITEMS = CHECK_TSAN ? 10000 : 50000, WORKERS = 6 };

typedef struct buffer {
    table table;
    int64_t head, tail; /* guarded by the lock: put, and taken */
    int64_t slots[ROOM];
} buffer;

static int acquire_repaired(pshm_lock *lock, pshm_condition *empty, pshm_condition *full) {
    int code = pshm_lock_acquire_any(lock);
    if (code == PSHM_EOWNERDIED) { /* it may have taken a signal and done nothing yet */
        CHECK(pshm_condition_signal(empty, -1) >= 0);
        CHECK(pshm_condition_signal(full, -1) >= 0);
        CHECK_OK(pshm_lock_mark_good(lock));
        code = 0;
    }
    return code;
}

static int part; /* of the worker that is started next */

static void work(void *argument) {
    buffer *shared = argument;
    party here = attend(&shared->table);
    pshm_condition *full = here.condition, *empty;
    const bool puts = part % 2 == 0;
    CHECK_OK(pshm_condition_open(here.lock, "empty", &empty));
    pshm_condition *mine = puts ? full : empty, *theirs = puts ? empty : full;
    int64_t *done = puts ? &shared->head : &shared->tail;
    bool over = false;
    while (!over) {
        CHECK_OK(acquire_repaired(here.lock, empty, full));
        while (*done < ITEMS &&
               (puts ? shared->head - shared->tail == ROOM : shared->head == shared->tail)) {
            int code = pshm_condition_wait(mine, -1, NULL);
            if (code == PSHM_EOWNERDIED) {
                CHECK_OK(acquire_repaired(here.lock, empty, full));
                CHECK_OK(pshm_lock_release(here.lock));
            } else {
                CHECK_OK(code);
            }
        }
        over = *done >= ITEMS;
        if (!over && puts)
            shared->slots[shared->head % ROOM] = shared->head;
        else if (!over)
            CHECK_EQ(shared->slots[shared->tail % ROOM], shared->tail);
        if (!over)
            atomic_store((_Atomic int64_t *)done, *done + 1);
        CHECK(shared->head - shared->tail <= ROOM && shared->head >= shared->tail);
        CHECK(pshm_condition_signal(theirs, over ? -1 : 1) >= 0);
        if (over)
            CHECK(pshm_condition_signal(mine, -1) >= 0);
        CHECK_OK(pshm_lock_release(here.lock));
    }
    CHECK_OK(pshm_segment_close(here.segment));
}

static void shouldKeepABoundedBufferGoing(void) {
    enum { KILLS = 120 };
    buffer *shared = shared_zeroes(sizeof(*shared));
    party here = attend(&shared->table);
    pid_t workers[WORKERS];
    uint64_t seed = 11;
    int kills = 0;
    for (part = 0; part < WORKERS; part++)
        workers[part] = start(work, shared);
    for (; kills < KILLS && atomic_load((_Atomic int64_t *)&shared->tail) < ITEMS / 2; kills++) {
        part = (int)(random_next(&seed) % WORKERS);
        const int64_t end = now_ns() + (int64_t)(random_next(&seed) % 3000000);
        AWAIT(now_ns() > end);
        kill_child(workers[part]);
        workers[part] = start(work, shared);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK_JOIN(workers[i]);
    CHECK_EQ(shared->tail, ITEMS);
    printf("    kills=%d\n", kills);
    drop(&here);
}

int main(void) {
    check_begin(110);
    RUN(shouldPassTheSignalsOfTheDeadOn);
    RUN(shouldForgetTheSignalsOfTheDead);
    RUN(shouldSignalNoneThatDiedWhenNobodyWaited);
    RUN(shouldLoseNoSignalToADeath);
    RUN(shouldTellThatAnOwnerHasDied);
    RUN(shouldTellThatAnOwnerHasDiedWhenAnotherLooksAtTheSameTime);
    RUN(shouldAcquireAnyLock);
    RUN(shouldKeepABoundedBufferGoing);
    return check_end();
}
