/* SPDX-License-Identifier: Apache-2.0
 *
 * The event count (native/src/wait.c) and the sentry (sentry.c): no wake-up is lost. Once the state
 * that is waited for is there, nobody who lives sleeps for ever, nor after a close or an interrupt.
 *
 * Process 0 waits, in one thread or two. Process 1 joins, changes the state and notifies, and is
 * killed between any two of its steps or not. Process 2 takes part, and may wait, give up and be
 * killed. What wait.inc leaves out is left out.
 *
 * run: a notifier that is killed, two threads wait: -DTWO
 * run: another that waits, gives up and is killed: -DRIVAL
 * run: an interrupt: -DINTERRUPT
 * run: the process that waits is closed: -DCLOSE=0
 * run: the process that notifies is closed: -DCLOSE=1
 * mistake: a dead participant's end wakes nobody: -DNO_SENTRY
 * mistake: the sequence is read after the state: -DSEEN_LATE
 * mistake: who comes and dies before it is listed, is not counted: -DTWO -DNO_DEPARTURE
 * mistake: a departure is counted in the sequence only if somebody waits: -DQUIET
 * mistake: a joiner wakes nobody: -DNO_JOIN_WAKE
 * mistake: a close does not wait for operations: -DCLOSE=1 -DNO_DRAIN
 */
#define THREADS_OF(p) (p == 0 -> bit(0) | bit(1) : (p == 2 -> bit(2) : 0))
#include "wait.inc"

bool state; /* what is waited for: once true it stays so */

proctype waiter(byte p, t; bool patient) {
    byte seen, looked, now, s, q;
    mtype outcome = AGAIN;
    {
        do
        :: look_out();
            if
            :: state -> break
            :: else
            fi;
            rest();
            if
            :: outcome != AGAIN -> break
            :: else
            fi
        od;
        atomic { seen = 0; looked = 0 }
    } unless { !alive[p] }
}

proctype notifier(byte p) {
    mtype outcome = AGAIN;
    {
        join();
        enter_operation();
        if
        :: outcome == AGAIN ->
            state = true;
            notify()
        :: else
        fi;
        inside[p]--
    } unless { !alive[p] }
}

#define HANGS(p, t) \
    ((asleep & bit(t)) && alive[p] && (state || closed[p] || (interrupted & bit(t))))

init {
    atomic {
        alive[0] = true; alive[1] = true; alive[2] = true;
        joined = 2; slot[2] = 2;
        taken[0] = 1; number[0] = 1; written[0] = true;
        taken[2] = 3; number[2] = 3; written[2] = true;
        run waiter(0, 0, true); run sentry(0);
        run notifier(1);
#ifdef TWO
        run waiter(0, 1, true);
#endif
#ifdef RIVAL
        covered[0] = 2; covered[2] = 2; watched[0] = bit(2); /* for fewer states */
        run waiter(2, 2, false); run killer(2);
#else
        run killer(1);
#endif
#ifdef INTERRUPT
        run interrupter(0, 0);
#endif
#ifdef CLOSE
        run closer(CLOSE);
#endif
    }
    timeout;
    assert(!HANGS(0, 0));
    assert(!HANGS(0, 1))
}
