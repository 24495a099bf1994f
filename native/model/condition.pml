/* SPDX-License-Identifier: Apache-2.0
 *
 * The condition (native/src/condition.c) on the wait of wait.inc. A signal that finds nobody alive
 * who waits is never consumed. One that finds some ends the wait of one that lives, even if the one
 * that it was given to is killed; so at rest no grant stands in a dead slot while a live one waits.
 * Who sleeps is counted in its slot, so the next signal, or signalAll, reaches it. To signal
 * takes the lock and waits for nobody else.
 *
 * Process 0 waits in one thread, or two that stand in its queue. Process 1 waits and may be killed
 * at any step. Process 2 signals, and may be killed too. Left out: participants that join
 * (semaphore.pml), a lock that stays abandoned (here the one that is told has repaired it), and
 * what wait.inc leaves out.
 *
 * run: one that was signalled is killed:
 * run: two signals, one for each of the others: -DTIMES=2
 * run: two threads of a process, two signals, a signaller that is killed: -DFIFO -DTIMES=2 -DSIGNALLER_DIES
 * run: giving up, and the other is killed: -DPATIENT=false
 * run: giving up in the queue: -DFIFO -DTIMES=2 -DPATIENT=false -DINTERRUPT
 * run: the process that was signalled is closed: -DCLOSE=1
 * mistake: the grants of the dead are lost: -DNO_INHERITANCE
 * mistake: the dead are not cleaned when a wait begins: -DNO_CLEAN_AT_START
 * mistake: waiting and granted are two stores: -DFIFO -DTWO_STORES -DSIGNALLER_DIES
 * mistake: grant and place are not read at once: -DFIFO -DTIMES=2 -DTORN
 * mistake: a dead participant's end wakes nobody: -DNO_SENTRY
 */
#ifdef FIFO
#define THREADS_OF(p) (p == 0 -> 3 : (p == 1 -> 0 : 4))
#else
#define THREADS_OF(p) bit(p)
#endif
#define MAY_CLOSE(p) (owner == 0 || !(THREADS_OF(p) & bit(owner - 1)))
#include "wait.inc"
#ifndef TIMES
#define TIMES 1
#endif
#ifndef PATIENT
#define PATIENT true
#endif

byte waiting[PROCESSES], granted[PROCESSES]; /* by slot: two halves of one word */
byte stamp[PROCESSES];                       /* by slot: whose they are, process + 1 */
byte place[3];                               /* of a thread in its process's queue */
byte queued[PROCESSES];                      /* how many are in it */

/* No memory of the condition: */
byte given, signals;  /* grants by a signal; signals while one lived that waited */
byte taken_up, spare; /* waits that have ended; grants that are in two slots at once */
byte dropped;         /* grants of the dead when nobody waited */

inline lock() {
    atomic {
        owner == 0 -> owner = t + 1;
        if
        :: closed[p] -> outcome = CLOSED; owner = 0
        :: !closed[p] && owner_died -> told = true; owner_died = false
        :: else
        fi
    }
}

inline unlock() { owner = 0 }

#define WAITS(s) (waiting[s] > 0)

#ifdef TWO_STORES
#define GRANT(s, count) waiting[s] = waiting[s] - 1; granted[s] = granted[s] + 1; count++
#else
#define GRANT(s, count) \
    d_step { waiting[s] = waiting[s] - 1; granted[s] = granted[s] + 1; count++ }
#endif

inline choose(not) { /* q is a slot that waits */
    if
    :: WAITS(0) && not != 0 -> q = 0
    :: WAITS(1) && not != 1 -> q = 1
    :: WAITS(2) && not != 2 -> q = 2
    :: else -> q = NEVER
    fi
}

/* Slot s is a dead participant's: its grants go to others that wait, then it is cleared. */
inline inherit() {
    do
    :: atomic { granted[s] > 0 -> choose(s) };
        if
        :: q == NEVER -> break
        :: else ->
#ifndef NO_INHERITANCE
            GRANT(q, spare);
#endif
            d_step { granted[s] = granted[s] - 1; spare--; q = 0; passed = true }
        fi
    :: atomic { granted[s] == 0 -> break }
    od;
    atomic { q = 0; dropped = dropped + granted[s]; waiting[s] = 0; granted[s] = 0 };
    if
    :: passed -> passed = false; notify() /* sooner: each waiter is told of a departure anyway */
    :: else
    fi
}

/* The lock's byte and the number are read at once: semaphore.pml reads them one by one. */
#define DEAD(s) \
    (waiting[s] + granted[s] > 0 && stamp[s] != p + 1 && !(written[s] && number[s] == stamp[s]))

inline clean() {
    do
    :: atomic { s < PROCESSES && !DEAD(s) -> s++ }
    :: atomic { s < PROCESSES && DEAD(s) -> skip };
        inherit();
        s++
    :: atomic { s == PROCESSES -> s = 0; break }
    od
}

inline leave_queue() {
    if
    :: THREADS_OF(p) & bit(0) && place[0] > place[t] -> place[0] = place[0] - 1
    :: else
    fi;
    if
    :: THREADS_OF(p) & bit(1) && place[1] > place[t] -> place[1] = place[1] - 1
    :: else
    fi;
    place[t] = 0;
    queued[p] = queued[p] - 1
}

inline take_up() { /* under the lock and the process's own mutex */
    d_step {
        granted[slot[p]] = granted[slot[p]] - 1;
        taken_up++;
        assert(taken_up <= signals + spare);
        leave_queue();
        outcome = DONE
    }
}

inline give_up() {
    d_step {
        waiting[slot[p]] = waiting[slot[p]] - 1;
        leave_queue()
    }
}

inline await() { /* holds the lock at the beginning, and at the end unless CLOSED */
    cleaned = departed;
#ifndef NO_CLEAN_AT_START
    clean();
#endif
    atomic {
        stamp[slot[p]] = p + 1;
        waiting[slot[p]] = waiting[slot[p]] + 1;
        place[t] = queued[p];
        queued[p] = queued[p] + 1
    }
    unlock();
    do
    :: look_out();
#ifdef TORN
        q = place[t];
        atomic { calls = (granted[slot[p]] > q || looked != cleaned); q = 0 };
#else
        calls = (granted[slot[p]] > place[t] || looked != cleaned);
#endif
        if
        :: calls ->
            calls = false;
            lock();
            if
            :: outcome == CLOSED -> break
            :: outcome != CLOSED && looked != cleaned ->
                clean();
                cleaned = looked
            :: else
            fi;
            if
            :: granted[slot[p]] > place[t] ->
                take_up();
                break
            :: granted[slot[p]] <= place[t] && told ->
                give_up();
                break
            :: else -> unlock()
            fi
        :: else ->
            rest();
            if
            :: outcome == AGAIN
            :: outcome == CLOSED -> break
            :: else ->
                lock();
                if
                :: outcome == CLOSED
                :: outcome != CLOSED && granted[slot[p]] > place[t] -> take_up()
                :: else -> give_up()
                fi;
                break
            fi
        fi
    od;
    atomic { seen = 0; looked = 0; cleaned = 0 }
}

proctype waiter(byte p, t; bool patient) {
    byte seen, looked, cleaned, now, s, q;
    bool calls, passed, told;
    mtype outcome = AGAIN;
    {
        lock();
        if
        :: outcome == AGAIN ->
            await();
            if
            :: outcome != CLOSED -> unlock()
            :: else
            fi
        :: else
        fi;
        outcome = AGAIN;
        told = false
    } unless { !alive[p] }
}

#define LIVE(s) (WAITS(s) && written[s] && number[s] == stamp[s])

proctype signaller(byte p, t, times) {
    byte q;
    bool told;
    mtype outcome = AGAIN;
    {
        do
        :: times > 0 ->
            lock();
            atomic {
                choose(NEVER);
                if
                :: LIVE(0) || LIVE(1) || LIVE(2) -> signals++
                :: else
                fi
            };
            if
            :: q != NEVER ->
                GRANT(q, given);
                notify()
            :: else
            fi;
            atomic { unlock(); q = 0; told = false; times-- }
        :: else -> break
        od
    } unless { !alive[p] }
}

#define SLEEPS(p, t) ((asleep & bit(t)) && alive[p])
#define MINE(p) (stamp[slot[p]] == p + 1)
#define LOST(s) (granted[s] > 0 && !(written[s] && number[s] == stamp[s]))
#define RIGHT(p, t) (!SLEEPS(p, t) || (!closed[p] && !(interrupted & bit(t)) && MINE(p) && \
    granted[slot[p]] <= place[t] && waiting[slot[p]] + granted[slot[p]] == queued[p] && \
    !LOST(0) && !LOST(1) && !LOST(2)))

init {
    atomic {
        alive[0] = true; alive[1] = true; alive[2] = true;
        slot[0] = 0; taken[0] = 1; number[0] = 1; written[0] = true;
        slot[1] = 1; taken[1] = 2; number[1] = 2; written[1] = true;
        joined = 3;
        covered[0] = 3; covered[1] = 3; watched[0] = 6; watched[1] = 5;
        slot[2] = 2; taken[2] = 3; number[2] = 3; written[2] = true;
        run waiter(0, 0, PATIENT); run sentry(0);
#ifdef FIFO
        run waiter(0, 1, true);
#else
        run waiter(1, 1, true);
#ifndef CLOSE
        run killer(1);
#endif
#endif
        run signaller(2, 2, TIMES);
#ifdef SIGNALLER_DIES
        run killer(2);
#endif
#ifdef CLOSE
        run closer(CLOSE);
#endif
#ifdef INTERRUPT
        run interrupter(0, 0);
#endif
    }
    timeout;
    assert(given + spare == taken_up + dropped + granted[0] + granted[1] + granted[2]);
    assert(RIGHT(0, 0));
#ifdef FIFO
    assert(RIGHT(0, 1))
#endif
}
