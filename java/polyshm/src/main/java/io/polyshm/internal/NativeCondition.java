// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.OwnerDiedException;
import io.polyshm.internal.binding.Natives;
import java.lang.ref.Reference;

/**
 * A condition as the threads of this JVM wait for it.
 *
 * <p>For a platform thread one native call gives the lock back, waits and takes the lock again. The
 * thread that owns the mutex makes it: the caller's own, or its agent's, to which an interrupt of
 * the caller is passed on.
 *
 * <p>A virtual thread takes these steps by itself: its agent begins the wait, gives the lock back
 * and is gone; the virtual thread parks; another agent takes the lock again and ends the wait, if
 * there is a signal for it or a reason. So nobody has a thread of the system while it waits. A wait
 * is ended with the lock held only, never by {@code pshm_wait_cancel}, since a signal that was
 * taken without the lock would be lost if this process were killed before it has the lock.
 */
public final class NativeCondition {
    private final NativeLock lock;
    private final NativeSynchronizer synchronizer;

    NativeCondition(NativeLock lock, NativeSynchronizer synchronizer) {
        this.lock = lock;
        this.synchronizer = synchronizer;
    }

    /**
     * Gives the lock back, waits, and takes it again as often as it was held.
     *
     * @param nanos zero does not wait, {@link NativeSynchronizer#FOREVER} has no end
     * @return 0 for a signal, {@code PSHM_ETIMEDOUT} or {@code PSHM_EINTERRUPTED}; after that the
     *     interrupt status is cleared, after any other outcome it is as it was
     * @throws OwnerDiedException if the lock, which is held again, is abandoned
     * @throws io.polyshm.ClosedException if the segment is closed; the lock is not held
     */
    public int await(long nanos, boolean interruptibly) {
        int code =
                Threads.isVirtual(Thread.currentThread())
                        ? park(nanos, interruptibly)
                        : block(nanos, interruptibly);
        if (code == Natives.PSHM_EINTERRUPTED) {
            Thread.interrupted();
        }
        return code;
    }

    /**
     * Ends waits.
     *
     * @param count how many, all if it is negative
     * @return how many there were
     */
    public int signal(String operation, int count) {
        return lock.callHolding(
                operation,
                () ->
                        synchronizer.check(
                                Natives.pshm_condition_signal(synchronizer.handle(), count)));
    }

    /** How many threads wait. */
    public int waiting() {
        return lock.callHolding(
                "waiting",
                () -> synchronizer.check(Natives.pshm_condition_waiting(synchronizer.handle())));
    }

    // ---- platform threads ----

    private int block(long nanos, boolean interruptibly) {
        lock.ensureHeld("await");
        try (Waiting waiting = Waiting.begin()) {
            return outcome(waiting.block(interrupt -> await(nanos, interrupt), interruptibly));
        }
    }

    private int await(long nanos, long interrupt) {
        int code = Natives.pshm_condition_wait(synchronizer.handle(), nanos, interrupt);
        Reference.reachabilityFence(this);
        return code;
    }

    /** A code that is one of the expected outcomes; by the thread that got it. */
    private int outcome(int code) {
        if (code != 0 && code != Natives.PSHM_ETIMEDOUT && code != Natives.PSHM_EINTERRUPTED) {
            throw lock.exception(code);
        }
        return code;
    }

    // ---- virtual threads ----

    private int park(long nanos, boolean interruptibly) {
        long end = System.nanoTime() + nanos;
        int depth = lock.holdCount();
        try (Waiting waiting = Waiting.begin()) {
            lock.callHolding("await", () -> prepare(waiting));
            try {
                int code = Natives.PSHM_EBUSY;
                while (code == Natives.PSHM_EBUSY) {
                    long left = nanos > 0 ? Math.max(0, end - System.nanoTime()) : nanos;
                    code = park(waiting, left, interruptibly, depth);
                }
                return code;
            } finally {
                // It is over, or the segment is closed; the library forgets the memory.
                Natives.pshm_wait_cancel(waiting.address(), Natives.PSHM_EINTERRUPTED);
                Reference.reachabilityFence(waiting);
                Reference.reachabilityFence(this);
            }
        }
    }

    private Void prepare(Waiting waiting) {
        synchronizer.check(
                Natives.pshm_condition_prepare(synchronizer.handle(), waiting.address()));
        return lock.release();
    }

    /** Parks once; returns {@code PSHM_EBUSY}, the lock given back, if the wait goes on. */
    private int park(Waiting waiting, long nanos, boolean interruptibly, int depth) {
        int why;
        OwnerDiedException death;
        try {
            why =
                    nanos == 0
                            ? Natives.PSHM_ETIMEDOUT
                            : synchronizer.park(waiting, nanos, interruptibly, each -> each);
        } finally {
            death = lock.lockAgain(depth);
        }
        int reason = death == null ? why : Natives.PSHM_EOWNERDIED;
        int code = lock.callHolding("await", () -> finish(waiting, reason));
        if (death != null) {
            throw death;
        }
        return code;
    }

    private int finish(Waiting waiting, int why) {
        int code = Natives.pshm_condition_finish(waiting.address(), why);
        if (code == Natives.PSHM_EBUSY) {
            lock.release();
        } else if (code != 0 && code != why) {
            throw lock.exception(code);
        }
        return code;
    }
}
