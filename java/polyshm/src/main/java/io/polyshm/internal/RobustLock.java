// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.internal.binding.Natives;
import java.util.Optional;
import java.util.function.Consumer;

/** What the lock and the read-write lock have in common: to be abandoned, and repaired. */
public abstract class RobustLock {
    private static final long FOREVER = NativeSynchronizer.FOREVER;

    /** A way to take the lock. */
    @FunctionalInterface
    public interface Attempt {
        /**
         * Takes the lock.
         *
         * @param nanos what is left of the time
         * @return false if it was not to be had in this time
         */
        boolean take(long nanos) throws InterruptedException;
    }

    /**
     * Takes the lock, with repairs if there is a handler. A wait for another's repair ends as one
     * for the lock does: when the time is over or the caller is interrupted.
     *
     * @param handler null for none
     * @param nanos zero does not wait, {@link NativeSynchronizer#FOREVER} has no end
     * @return false if the time was over
     */
    public final boolean take(Lock.RepairHandler handler, long nanos, Attempt attempt)
            throws InterruptedException {
        return take(handler, nanos, true, attempt);
    }

    /** The same, but interrupts end no wait; of the attempt neither. */
    public final boolean takeUninterruptibly(
            Lock.RepairHandler handler, long nanos, Attempt attempt) {
        try {
            return take(handler, nanos, false, attempt);
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private boolean take(
            Lock.RepairHandler handler, long nanos, boolean interruptibly, Attempt attempt)
            throws InterruptedException {
        long end = nanos > 0 ? System.nanoTime() + nanos : 0;
        while (true) {
            try {
                return attempt.take(left(nanos, end));
            } catch (OwnerDiedException death) {
                if (handler == null) {
                    throw death;
                }
            }
            if (repair(handler, left(nanos, end), interruptibly) == Natives.PSHM_ETIMEDOUT) {
                return false;
            }
        }
    }

    private static long left(long nanos, long end) {
        return nanos > 0 ? Math.max(0, end - System.nanoTime()) : nanos;
    }

    /**
     * Runs the repair of an abandoned lock.
     *
     * @return false if the lock is not abandoned
     */
    public final boolean repair(Consumer<? super Lock.Death> action) {
        try {
            return repair(action, FOREVER, false) == 0;
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private int repair(Consumer<? super Lock.Death> action, long nanos, boolean interruptibly)
            throws InterruptedException {
        int code = acquireAbandoned(nanos, interruptibly);
        if (code == 0) {
            try {
                action.accept(lastDeath().orElseThrow());
                markGood();
            } finally {
                releaseRepaired();
            }
        }
        return code;
    }

    /**
     * Takes the lock to repair it.
     *
     * @return 0, {@code PSHM_EGOOD} if it is not abandoned, {@code PSHM_ETIMEDOUT}
     */
    abstract int acquireAbandoned(long nanos, boolean interruptibly) throws InterruptedException;

    abstract void markGood();

    abstract void releaseRepaired();

    /** The last owner that died. */
    public abstract Optional<Lock.Death> lastDeath();
}
