/* SPDX-License-Identifier: Apache-2.0
 *
 * Waits for a mutex (native/src/mutex.c): nobody sleeps for ever on a mutex that is free, or after
 * an interrupt, and no death is made up or missed.
 *
 * The word is that of a robust mutex: its owner's number, the bit that somebody waits, and the mark
 * of a dead owner. Each thread takes the mutex once and gives it back; it is a process of its own,
 * which may be killed between any two steps, when the kernel looks at the word for it, and tells
 * the sentries later. A step is one access of the word or one call of futex; what is local goes
 * with its neighbour.
 *
 * Left out: what is left out of wait.inc, as participants that join; a lock that is taken more than
 * once; a close, which is as an interrupt; and that a word that changes soon is not slept on.
 *
 * run: three: -DTHREADS=3
 * run: three, and kills: -DTHREADS=3 -DKILL
 * run: four: -DTHREADS=4
 * run: three, an interrupt, a time: -DTHREADS=3 -DINTERRUPT -DTIME
 * run: three, an interrupt, and a kill: -DTHREADS=3 -DKILL -DKILLS=1 -DINTERRUPT
 * run: a mutex that is never given back, and an interrupt: -DTHREADS=3 -DKEEPS -DINTERRUPT
 * mistake: nobody is told of deaths: -DTHREADS=3 -DKILL -DNO_SENTRY
 * mistake: the bit is stored, not swapped in: -DTHREADS=3 -DNO_SWAP
 * mistake: not marked again when it is ours: -DTHREADS=3 -DMARKED_ONCE
 * mistake: one that is woken leaves before it looks: -DTHREADS=3 -DINTERRUPT -DLEAVES_EARLY
 * mistake: the kernel compares the word only: -DTHREADS=2 -DKEEPS -DINTERRUPT -DONE_WORD
 * mistake: the mark of a dead owner says that the section was torn: -DTHREADS=3 -DKILL -DBELIEVES_MARKS
 */
#define bit(n) (1 << (n))
#ifndef KILLS
#define KILLS THREADS
#endif

byte owner;         /* the word: thread + 1, */
bool waiters, died; /* and two bits */
byte inside;        /* the holder's identity: thread + 1 */
byte asleep;        /* bit t: the thread is in futex_waitv */
byte killed;        /* bit t */
byte kills;
byte departed;      /* the count of deaths that the sentries have been told of */
bool interrupted;   /* the last one */
bool kept;          /* the owner has it for ever */

inline wake() { /* any of those that sleep */
    d_step {
        if
        :: asleep & bit(0) -> asleep = asleep & ~bit(0)
        :: asleep & bit(1) -> asleep = asleep & ~bit(1)
        :: asleep & bit(2) -> asleep = asleep & ~bit(2)
        :: asleep & bit(3) -> asleep = asleep & ~bit(3)
        :: asleep == 0
        fi
    }
}

/* pthread_mutex_trylock: it keeps the bit of a dead owner's word. */
inline try() {
    atomic {
        if
        :: owner == 0 ->
            owner = t + 1; waiters = died && waiters; told = died; died = false; mine = true
        :: else
        fi
    }
}

/* It has the mutex: see whose death is to be recorded, be in the section, and give it back. */
inline use() {
    atomic {
        assert(inside == 0 || (told && (killed & bit(inside - 1))));
#ifdef BELIEVES_MARKS
        assert(!told || inside != 0);
#endif
        inside = t + 1;
    };
#ifdef KEEPS
    if
    :: t == 0 -> kept = true; goto end_kept
    :: else
    fi;
#endif
    inside = 0;
    atomic { told = waiters; owner = 0; waiters = false };
    if
    :: told -> wake(); told = false
    :: else
    fi
}

#define IS_INTERRUPTED (interrupted && t == THREADS - 1)
#define HAS_TIME (t == 0)
#ifdef ONE_WORD
#define SLEEPS (owner == seen && waiters && departed == seen_departed)
#else
#define SLEEPS (owner == seen && waiters && departed == seen_departed && !IS_INTERRUPTED)
#endif

proctype waiter(byte t) {
    byte seen, seen_departed;
    bool mine, left, told, woken;
    {
        try();
        if
        :: mine -> goto taken
        :: else
        fi;
        do
        ::
#ifdef LEAVES_EARLY
            if
            :: woken && IS_INTERRUPTED -> left = true; break
            :: else
            fi;
#endif
#ifdef MARKED_ONCE
            if
            :: mine -> break
            :: else
            fi;
#endif
#ifdef NO_SWAP
            seen = owner;
            if
            :: seen != 0 -> atomic { owner = seen; waiters = true }
            :: else
            fi;
#else
            atomic {
                seen = owner;
                if
                :: seen != 0 -> waiters = true
                :: else
                fi
            };
#endif
            if
            :: mine -> break
            :: !mine && seen == 0 -> try()
            :: !mine && seen != 0 ->
                seen_departed = departed;
                if
                :: IS_INTERRUPTED -> left = true; break
                :: else
                fi;
                atomic {
                    if
                    :: SLEEPS -> asleep = asleep | bit(t)
                    :: else
                    fi
                };
end_asleep:
                if
                :: !(asleep & bit(t)) -> woken = true
#ifdef TIME
                :: atomic { HAS_TIME && (asleep & bit(t)) -> asleep = asleep & ~bit(t); left = true }
                    break
#endif
                fi
            fi
        od;
taken:
        atomic { seen = 0; seen_departed = 0; woken = false };
        if
        :: !left -> use()
        :: else
        fi;
end_kept:
        skip
    } unless { killed & bit(t) }
}

proctype interrupter() {
    if
    :: interrupted = true;
        asleep = asleep & ~bit(THREADS - 1)
    :: true
    fi
}

/* What the kernel does for a thread that ends, and then the sentries. */
proctype killer(byte t) {
    bool wakes;
    if
    :: d_step { kills < KILLS -> kills++; killed = killed | bit(t); asleep = asleep & ~bit(t) }
        atomic {
            if
            :: owner == t + 1 -> owner = 0; died = true; wakes = waiters
            :: else
            fi
        };
        if
        :: wakes -> wake()
        :: else
        fi;
#ifndef NO_SENTRY
        d_step { departed++; asleep = 0 }
#endif
    :: true
    fi
}

#define HANGS(t) ((asleep & bit(t)) && (!kept || (interrupted && t == THREADS - 1)))

init {
    byte t;
    atomic {
        for (t : 0 .. THREADS - 1) {
            run waiter(t);
#ifdef KILL
            run killer(t)
#endif
        }
#ifdef INTERRUPT
        run interrupter();
#endif
    }
    timeout;
    assert(!HANGS(0) && !HANGS(1) && !HANGS(2) && !HANGS(3))
}
