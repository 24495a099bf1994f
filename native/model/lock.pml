/* SPDX-License-Identifier: Apache-2.0
 *
 * Waits for a lock that can be left (native/src/lock.c) among those within the C library: nobody
 * sleeps for ever on a lock that is free, or after an interrupt, and no death is made up or missed.
 *
 * The word is that of a robust mutex: its owner's number, the bit that somebody waits, and the mark
 * of a dead owner. Each thread takes the lock once and gives it back; it is a process of its own,
 * which may be killed between any two steps, when the kernel looks at the word for it. A step is
 * one access of the word or one call of futex; what is local goes with its neighbour.
 *
 * Left open, and so excused: a thread that comes new takes a 0, without the bit, and then one that
 * owes a wake-up is killed: this the C library's waiters do among themselves. Left out: what is
 * left out of wait.inc, a lock that is taken more than once, and a close, which is as an interrupt.
 *
 * run: two of each kind: -DLIBRARY=2 -DOURS=2
 * run: one and two, a kill: -DLIBRARY=1 -DOURS=2 -DKILL
 * run: two and one, a kill: -DLIBRARY=2 -DOURS=1 -DKILL
 * run: one and two, an interrupt, a time: -DLIBRARY=1 -DOURS=2 -DINTERRUPT -DTIME
 * run: one and two, an interrupt, and a kill: -DLIBRARY=1 -DOURS=2 -DKILL -DINTERRUPT
 * run: a lock that is never given back, and an interrupt: -DLIBRARY=2 -DOURS=1 -DKEEPS -DINTERRUPT
 * mistake: what is free is taken without a mark: -DLIBRARY=1 -DOURS=2 -DKILL -DNO_MARK
 * mistake: the bit is stored, not swapped in: -DLIBRARY=2 -DOURS=1 -DNO_SWAP
 * mistake: not marked again when it is ours: -DLIBRARY=2 -DOURS=2 -DKILL -DMARKED_ONCE
 * mistake: the kernel is not told where we are: -DLIBRARY=1 -DOURS=2 -DKILL -DNO_PENDING
 * mistake: one that is woken leaves before it looks: -DLIBRARY=2 -DOURS=1 -DINTERRUPT -DLEAVES_EARLY
 * mistake: the kernel compares the word only: -DLIBRARY=1 -DOURS=1 -DKEEPS -DINTERRUPT -DONE_WORD
 * mistake: a marked word says that somebody died: -DLIBRARY=1 -DOURS=2 -DBELIEVES_MARKS
 */
#define bit(n) (1 << (n))

byte owner;          /* the word: thread + 1, */
bool waiters, died;  /* and two bits */
byte inside;         /* the holder's identity: thread + 1 */
byte asleep;         /* bit t: the thread is in FUTEX_WAIT */
byte pending;        /* bit t: list_op_pending leads to the mutex */
byte owes;           /* bit t: it has been woken, or given back a word with the bit */
byte killed;         /* bit t */
bool interrupted;    /* the last of ours */
bool kept;           /* the owner has it for ever */
bool new;            /* the owner took a 0 without having waited */
bool excused;

inline wake() { /* any of those that sleep */
    d_step {
        owes = owes & ~bit(t);
        if
        :: asleep & bit(0) -> asleep = asleep & ~bit(0); owes = owes | bit(0)
        :: asleep & bit(1) -> asleep = asleep & ~bit(1); owes = owes | bit(1)
        :: asleep & bit(2) -> asleep = asleep & ~bit(2); owes = owes | bit(2)
        :: asleep & bit(3) -> asleep = asleep & ~bit(3); owes = owes | bit(3)
        :: asleep == 0
        fi
    }
}

inline take(with_bit, comes_new) {
    owner = t + 1;
    waiters = with_bit;
    new = comes_new && !died;
    told = died;
    died = false;
    if
    :: waiters -> owes = owes & ~bit(t)
    :: else
    fi
}

/* pthread_mutex_trylock. */
inline try(comes_new) {
    atomic {
        pending = pending | bit(t);
        if
        :: owner == 0 -> take(died && waiters, comes_new); mine = true
        :: else
        fi
    };
    pending = pending & ~bit(t)
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
    atomic {
        pending = pending | bit(t);
        told = waiters;
        if
        :: waiters -> owes = owes | bit(t)
        :: else
        fi;
        owner = 0; waiters = false; new = false
    };
    if
    :: told -> wake(); told = false
    :: else
    fi;
    pending = pending & ~bit(t)
}

/* pthread_mutex_lock. */
proctype library(byte t) {
    byte seen;
    bool seen_waiters, seen_died, waited, told;
    {
        do
        :: atomic {
                pending = pending | bit(t);
                seen = owner; seen_waiters = waiters; seen_died = died
            };
            if
            :: seen == 0 ->
                atomic {
                    if
                    :: owner == 0 && waiters == seen_waiters && died == seen_died ->
                        take(seen_waiters || waited, !waited); break
                    :: else
                    fi
                }
            :: seen != 0 ->
                atomic { /* add the bit */
                    if
                    :: owner == seen && waiters == seen_waiters -> waiters = true; waited = true
                    :: else -> seen = 0
                    fi
                };
                atomic { /* and sleep */
                    if
                    :: seen != 0 && owner == seen && waiters ->
                        asleep = asleep | bit(t); owes = owes & ~bit(t)
                    :: else
                    fi
                };
end_asleep:
                !(asleep & bit(t))
            fi
        od;
        atomic { pending = pending & ~bit(t); seen = 0; seen_waiters = false; seen_died = false; waited = false };
        use();
end_kept:
        skip
    } unless { killed & bit(t) }
}

#define IS_INTERRUPTED (interrupted && t == LIBRARY + OURS - 1)
#define HAS_TIME (t == LIBRARY)
#ifdef ONE_WORD
#define SLEEPS (owner == seen && waiters)
#else
#define SLEEPS (owner == seen && waiters && !IS_INTERRUPTED)
#endif
#ifdef NO_PENDING
#define SET_PENDING skip
#else
#define SET_PENDING pending = pending | bit(t)
#endif

/* pshm_lock_await. */
proctype ours(byte t) {
    byte seen;
    bool mine, left, told, woken;
    {
        try(true);
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
            atomic { owner = seen; waiters = true; died = (seen == 0) };
#else
            atomic {
                SET_PENDING;
                seen = owner;
                if
                :: seen != 0 -> waiters = true; owes = owes & ~bit(t)
#ifndef NO_MARK
                :: seen == 0 -> waiters = true; died = true
#else
                :: seen == 0
#endif
                fi
            };
#endif
            if
            :: mine -> break
            :: !mine && seen == 0 -> try(false)
            :: !mine && seen != 0 ->
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
        pending = pending & ~bit(t);
taken:
        atomic { seen = 0; woken = false };
        if
        :: !left -> use()
        :: else
        fi;
end_kept:
        skip
    } unless { killed & bit(t) }
}

proctype interrupter(byte t) {
    if
    :: interrupted = true;
        asleep = asleep & ~bit(t)
    :: true
    fi
}

/* What the kernel does for a thread that ends. */
proctype killer(byte t) {
    bool wakes;
    if
    :: d_step { killed == 0 -> killed = bit(t); asleep = asleep & ~bit(t) }
        atomic {
            if
            :: owner == t + 1 -> owner = 0; died = true; new = false; wakes = waiters
            :: owner == 0 && (pending & bit(t)) -> wakes = true
            :: else -> excused = excused || ((owes & bit(t)) && new && !waiters)
            fi
        };
        if
        :: wakes -> wake()
        :: else -> owes = owes & ~bit(t)
        fi
    :: true
    fi
}

#define HANGS(t) ((asleep & bit(t)) && !excused && (!kept || (interrupted && t == LIBRARY + OURS - 1)))

init {
    byte t;
    atomic {
        for (t : 0 .. LIBRARY + OURS - 1) {
            if
            :: t < LIBRARY -> run library(t)
            :: else -> run ours(t)
            fi;
#ifdef KILL
            run killer(t)
#endif
        }
#ifdef INTERRUPT
        run interrupter(LIBRARY + OURS - 1);
#endif
    }
    timeout;
    assert(!HANGS(0) && !HANGS(1) && !HANGS(2) && !HANGS(3))
}
