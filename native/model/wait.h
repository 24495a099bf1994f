/* SPDX-License-Identifier: Apache-2.0
 *
 * The one wait mechanism, for the models that wait with it: the event count, the participants, the
 * sentry, close, interrupt, and what the kernel does when a process is killed. It follows
 * native/src/wait.c and sentry.c; inlines use the p (process), t (thread), patient and the local
 * variables of the proctype that they stand in.
 *
 * What is a step. Each access of memory that others change at the same time is one, and a process
 * may be killed between any two; its threads stop at once, its robust mutex goes to the next taker
 * with a mark, then its slot is free, then its pidfd tells. What is local, or guarded by a lock, is
 * one step with its neighbour: nobody else sees in between. Steps are sequentially consistent. The
 * C code has to order them so: the argument needs seq_cst for waiters++ before the loads of joined,
 * closed, interrupted and departed, and for the stores of these before the load of waiters. The
 * rest needs acquire and release.
 *
 * How a hang is seen. Each thread acts a bounded number of times, so every run comes to rest. There
 * `timeout` lets init judge: who sleeps, must have a reason. Deaths, closes, interrupts and giving
 * up are choices, so that each run without them is judged as well.
 *
 * Left out: the wrap of the counters, process ids that are used again, spurious returns of futex
 * (they only add rounds), objects that are made meanwhile, fork, more participants than three.
 */
#define PROCESSES 3
#define NEVER 255
#define bit(n) (1 << (n))

/* ---- shared memory ---- */

byte sequence, waiters; /* of the object */
byte joined, departed;  /* of the segment */
byte number[PROCESSES]; /* who is in the slot, process + 1; kept when it dies */

/* ---- the kernel ---- */

byte taken[PROCESSES];   /* the slot's first byte is locked, by process - 1 */
bool written[PROCESSES]; /* its second */
bool ended[PROCESSES];   /* what a pidfd of the process tells */
byte asleep;             /* bit t: the thread is in FUTEX_WAIT */
byte owner;              /* of the robust mutex, thread + 1 */
bool owner_died;

/* ---- each process's own ---- */

bool alive[PROCESSES];
bool closed[PROCESSES];
byte inside[PROCESSES]; /* threads in an operation */
byte slot[PROCESSES];
bool guard[PROCESSES];
byte covered[PROCESSES];
byte watched[PROCESSES]; /* bit q: has a pidfd of process q */
byte interrupted;        /* bit t */

mtype = { AGAIN, DONE, CLOSED, INTERRUPTED, TIMED_OUT };

inline wake() { d_step { asleep = 0 } }

inline notify() {
    sequence++;
    if
    :: waiters > 0 -> wake()
    :: else
    fi
}

inline wake_waiters() { /* of each object of the segment */
    if
    :: waiters > 0 ->
        sequence++;
        wake()
    :: else
    fi
}

/* A participant that has gone before it is listed, or while it is added, needs nothing more: it
 * counts as departed with all the others. */
inline cover() {
    atomic {
        !guard[p] -> guard[p] = true;
        now = joined;
        if
        :: covered[p] == now -> guard[p] = false; s = NEVER
        :: else
        fi
    }
    if
    :: s == NEVER -> s = 0
    :: else ->
        do
        :: atomic { s < PROCESSES && !written[s] -> s++ }
        :: atomic { s < PROCESSES && written[s] -> q = number[s] - 1 };
            atomic {
                if
                :: q == p || ended[q]
                :: else -> watched[p] = watched[p] | bit(q)
                fi;
                s++;
                q = 0
            }
        :: s == PROCESSES -> break
        od;
#ifndef NO_DEPARTURE
        departed++;
#endif
        atomic { covered[p] = now; guard[p] = false; s = 0 }
    fi
}

inline look_out() {
    looked = departed;
    seen = sequence
}

inline rest() {
#ifdef LATE_HINT
    cover();
    waiters++;
#else
    waiters++;
    cover();
#endif
    atomic {
        now = 0;
        if
        :: closed[p] -> outcome = CLOSED
        :: else
        fi
    }
    atomic {
        if
        :: outcome == AGAIN && (interrupted & bit(t)) -> outcome = INTERRUPTED
        :: else
        fi
    }
    if
#ifndef NO_SECOND_LOOK
    :: outcome == AGAIN && departed != looked
#endif
    :: outcome != AGAIN
    :: else ->
#ifdef SEEN_LATE
        seen = sequence;
#endif
        atomic {
            if
            :: sequence == seen -> asleep = asleep | bit(t)
            :: else
            fi
        };
end_asleep:
        if
        :: !(asleep & bit(t))
        :: !patient -> atomic { outcome = TIMED_OUT; asleep = asleep & ~bit(t) }
        fi
    fi;
    waiters--
}

proctype sentry(byte p) {
    byte q;
    {
end_idle:
        do
        :: atomic {
                if
                :: (watched[p] & bit(0)) && ended[0] -> q = 0
                :: (watched[p] & bit(1)) && ended[1] -> q = 1
                :: (watched[p] & bit(2)) && ended[2] -> q = 2
                fi;
                watched[p] = watched[p] & ~bit(q);
                q = 0
            }
            departed++;
#ifndef NO_SENTRY
            wake_waiters()
#endif
        od
    } unless { !alive[p] }
}

inline join() {
    atomic {
        if
        :: !taken[0] -> slot[p] = 0
        :: taken[0] && !taken[1] -> slot[p] = 1
        :: taken[0] && taken[1] -> slot[p] = 2
        fi;
        taken[slot[p]] = p + 1
    };
    number[slot[p]] = p + 1;
    written[slot[p]] = true;
    joined++;
#ifndef NO_JOIN_WAKE
    wake_waiters()
#endif
}

inline enter_operation() { /* not after the participation has ended */
    inside[p]++;
    if
    :: closed[p] -> outcome = CLOSED
    :: else
    fi
}

inline free_slot(p) {
    written[slot[p]] = false;
    taken[slot[p]] = 0
}

#ifndef MAY_CLOSE
#define MAY_CLOSE(p) true
#endif

proctype closer(byte p) {
    {
        if
        :: atomic { taken[slot[p]] == p + 1 && written[slot[p]] && MAY_CLOSE(p) -> closed[p] = true };
#ifndef NO_DRAIN
            inside[p] == 0;
#endif
            wake_waiters();
            free_slot(p);
            departed++;
            wake_waiters()
        :: true
        fi
    } unless { !alive[p] }
}

proctype interrupter(byte p, t) {
    {
        if
        :: interrupted = interrupted | bit(t);
            sequence++;
            wake()
        :: true
        fi
    } unless { !alive[p] }
}

/* The kernel stops the threads and tells the next taker of a mutex, then frees the slot, then ends
 * the process. */
proctype killer(byte p) {
    if
    :: d_step {
            alive[p] = false;
            asleep = asleep & ~THREADS_OF(p);
            if
            :: owner > 0 && (THREADS_OF(p) & bit(owner - 1)) -> owner = 0; owner_died = true
            :: else
            fi
        }
        d_step {
            if
            :: taken[slot[p]] == p + 1 -> free_slot(p)
            :: else
            fi
        }
        ended[p] = true
    :: true
    fi
}
