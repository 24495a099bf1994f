/* SPDX-License-Identifier: Apache-2.0
 *
 * The semaphore (native/src/semaphore.c) on the wait of wait.inc: never more permits in use than
 * there are; at rest available + held is their number, and nobody who lives waits while as many are
 * free as it wants. Permits that no living participant holds count as free.
 *
 * Process 0 waits for a permit, and gives it back or keeps it. Process 1 takes one without waiting,
 * or has had it from the beginning, and may be killed at any step, in the monitor too. Process 2
 * joins, gets the slot of the dead one if that is free, takes a permit and may be killed. Left out:
 * the path without the monitor, and what wait.inc leaves out.
 *
 * run: a holder that is killed:
 * run: a holder that is killed, and a joiner in its slot: -DREUSE
 * run: two that wait for what a dead holder had: -DRIVAL -DTOTAL=2
 * run: the process of the holder is closed: -DCLOSE=1
 * run: the process that waits is closed: -DCLOSE=0
 * mistake: permits of the dead stay theirs: -DNO_RECLAIM
 * mistake: a monitor whose owner died is used as it is: -DNO_RECOUNT
 * mistake: whether a holder lives is asked of the first byte: -DREUSE -DASK_FIRST_BYTE
 * mistake: only the lock is asked, not the number: -DREUSE -DNO_NUMBER
 * mistake: a release does not notify: -DNO_NOTIFY
 * mistake: a departure is counted in the sequence only if somebody waits: -DQUIET
 * mistake: a close does not wait for operations: -DCLOSE=1 -DNO_DRAIN
 */
#define THREADS_OF(p) bit(p)
#include "wait.inc"

#ifndef TOTAL
#define TOTAL 1
#endif


byte available = TOTAL;
byte held[PROCESSES];  /* by slot */
byte stamp[PROCESSES]; /* by slot: whose they are, process + 1 */
byte user[PROCESSES];  /* what the program may count on; no memory of the semaphore */

#define HELD (held[0] + held[1] + held[2])
#define USES(p) (alive[p] && !closed[p] -> user[p] : 0)
#define USED (USES(0) + USES(1) + USES(2))

inline enter() {
    atomic { owner == 0 -> owner = p + 1 };
    if
    :: owner_died ->
#ifndef NO_RECOUNT
        available = TOTAL - HELD;
#endif
        owner_died = false
    :: else
    fi
}

inline leave() { owner = 0 }

inline give_back(s) {
#ifdef NO_RECLAIM
    skip
#else
    atomic { q = held[s]; held[s] = 0 };
    atomic { available = available + q; q = 0 }
#endif
}

/* The lock first, then the number: whoever has the lock has written the number before. */
inline look_at_the_dead() {
    s = 0;
    do
    :: atomic { s < PROCESSES && (held[s] == 0 || stamp[s] == p + 1) -> s++ }
    :: s < PROCESSES && held[s] > 0 && stamp[s] != p + 1 ->
        if
#ifdef ASK_FIRST_BYTE
        :: taken[s] ->
#else
        :: written[s] ->
#endif
            if
#ifndef NO_NUMBER
            :: number[s] != stamp[s] -> give_back(s)
#endif
            :: else
            fi
        :: else -> give_back(s)
        fi;
        s++
    :: atomic { s == PROCESSES -> s = 0 };
        break
    od
}

inline acquire() {
    outcome = AGAIN;
    do
    :: look_out();
        enter_operation();
        if
        :: outcome == AGAIN ->
            enter();
            if
            :: waits && looked != looked_last ->
                look_at_the_dead();
                looked_last = looked
            :: else
            fi;
            if
            :: available >= n ->
                if
                :: stamp[slot[p]] != p + 1 ->
                    give_back(slot[p]);
                    stamp[slot[p]] = p + 1
                :: else
                fi;
                held[slot[p]] = held[slot[p]] + n;
                available = available - n;
                outcome = DONE
            :: else
            fi;
            leave()
        :: else
        fi;
        inside[p]--;
        if
        :: outcome == DONE ->
            atomic { user[p] = user[p] + n; assert(USED <= TOTAL) };
            break
        :: outcome == AGAIN && waits -> rest()
        :: else -> break
        fi;
        if
        :: outcome != AGAIN -> break
        :: else
        fi
    od;
    atomic { looked = 0; seen = 0; looked_last = NEVER }
}

inline release() {
    outcome = AGAIN;
    enter_operation();
    if
    :: outcome == AGAIN ->
        user[p] = user[p] - n;
        enter();
        held[slot[p]] = held[slot[p]] - n;
        available = available + n;
        leave();
#ifndef NO_NOTIFY
        notify()
#endif
    :: else
    fi;
    inside[p]--
}

proctype taker(byte p, t, n; bool joins, waits, patient) {
    byte seen, looked, now, s, q;
    byte looked_last = NEVER;
    mtype outcome = AGAIN;
    {
        if
        :: joins -> join()
        :: else
        fi;
        acquire();
        if
        :: outcome == DONE -> release()
        :: true
        fi;
        outcome = AGAIN
    } unless { !alive[p] }
}

#define FREE (TOTAL - USED)
#define HANGS(p, n) ((asleep & bit(p)) && alive[p] && (closed[p] || FREE >= n))

init {
    atomic {
        alive[0] = true; alive[1] = true; alive[2] = true;
        joined = 2;
        slot[0] = 0; taken[0] = 1; number[0] = 1; written[0] = true;
        slot[1] = 1; taken[1] = 2; number[1] = 2; written[1] = true;
        run taker(0, 0, 1, false, true, true); run sentry(0);
        run killer(1);
#if defined(REUSE) || defined(RIVAL)
        available = 0; held[1] = TOTAL; stamp[1] = 2; user[1] = TOTAL;
#else
        run taker(1, 1, 1, false, false, true);
#endif
#ifdef REUSE
        run taker(2, 2, 1, true, false, true); run killer(2);
#endif
#ifdef RIVAL
        joined = 3; slot[2] = 2; taken[2] = 3; number[2] = 3; written[2] = true;
        run taker(2, 2, 1, false, true, true); run sentry(2);
#endif
#ifdef CLOSE
        run closer(CLOSE);
#endif
    }
    timeout;
    assert(!HANGS(0, 1));
    assert(!HANGS(2, 1));
    assert(owner_died || available + HELD == TOTAL)
}
