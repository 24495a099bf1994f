// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.Lock;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_rwlock_info;
import java.lang.ref.Reference;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;

/**
 * A read-write lock of a segment as the threads of this JVM take it. There is one of these for each
 * lock and attachment, whatever the number of public objects.
 *
 * <p>The segment knows how many threads of a process read, and a number for the one that writes.
 * Which threads these are, and how often each has taken the lock, stands here, in a {@link Hold}
 * for each thread, so that only the first of a thread's holds and the last release are native
 * calls.
 */
public final class NativeReadWriteLock extends RobustLock {
    /** How to take it. */
    public enum Mode {
        READ(Natives.PSHM_READ),
        WRITE(Natives.PSHM_WRITE);

        private final int code;

        Mode(int code) {
            this.code = code;
        }
    }

    private static final AtomicLong NUMBERS = new AtomicLong();

    /** What one thread has. A thread's id would not do, as a subclass may make it up. */
    private static final class Hold {
        final long number = NUMBERS.incrementAndGet();
        final int[] counts = new int[Mode.values().length];

        int count(Mode mode) {
            return counts[mode.ordinal()];
        }
    }

    private final NativeSynchronizer synchronizer;
    private final String name;

    /** Absent where a thread has nothing. */
    private final ThreadLocal<Hold> holds = new ThreadLocal<>();

    NativeReadWriteLock(NativeSynchronizer synchronizer, String name) {
        this.synchronizer = synchronizer;
        this.name = name;
    }

    // ---- taking and giving back ----

    /** Takes the lock, however long it takes. */
    public void lock(Mode mode) {
        try {
            lock(mode, NativeSynchronizer.FOREVER, false);
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** Takes the lock if nobody is in the way. */
    public boolean tryLock(Mode mode) {
        try {
            return !wouldWaitForItself(mode) && lock(mode, 0, false);
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** Takes the lock unless the caller is interrupted. */
    public void lockInterruptibly(Mode mode) throws InterruptedException {
        throwIfInterrupted();
        lock(mode, NativeSynchronizer.FOREVER, true);
    }

    /** Takes the lock unless the caller is interrupted or the time is over. */
    public boolean tryLock(Mode mode, long nanos) throws InterruptedException {
        throwIfInterrupted();
        return !wouldWaitForItself(mode) && lock(mode, Math.max(0, nanos), true);
    }

    private static void throwIfInterrupted() throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
    }

    private boolean lock(Mode mode, long nanos, boolean interruptibly) throws InterruptedException {
        Hold hold = hold();
        if (hold.count(mode) == 0) {
            if (wouldWaitForItself(mode)) {
                throw new IllegalStateException(
                        "lock: "
                                + describe(mode)
                                + " has it to read, and would wait for itself; give the read lock"
                                + " back first");
            }
            int code = await(mode.code, hold.number, nanos, interruptibly);
            if (code == Natives.PSHM_ETIMEDOUT) {
                return false;
            }
            if (code == Natives.PSHM_EINTERRUPTED) {
                throw new InterruptedException();
            }
            synchronizer.check(code);
        }
        enter(hold, mode);
        return true;
    }

    private int await(int mode, long number, long nanos, boolean interruptibly) {
        int code;
        try (Waiting waiting = Waiting.begin()) {
            if (mode != Natives.PSHM_READ && Threads.isVirtual(Thread.currentThread())) {
                waiting.tellName();
            }
            code = await(waiting, mode, number, nanos, interruptibly);
            if (code == Natives.PSHM_EUNNAMED) {
                waiting.tellName();
                code = await(waiting, mode, number, nanos, interruptibly);
            }
            if (code == Natives.PSHM_EOWNERDIED) {
                throw NativeLock.ownerDied(waiting.death());
            }
        }
        return code;
    }

    private int await(Waiting waiting, int mode, long number, long nanos, boolean interruptibly) {
        int code =
                Natives.pshm_rwlock_prepare(synchronizer.handle(), mode, number, waiting.address());
        return code != 0 ? code : synchronizer.await(waiting, nanos, interruptibly);
    }

    /** Gives one hold back. */
    public void unlock(Mode mode) {
        Hold hold = hold();
        int count = hold.count(mode);
        if (count == 0) {
            synchronizer.attachment().ensureOpen("unlock");
            throw new IllegalMonitorStateException(
                    "unlock: "
                            + describe(mode)
                            + " does not have it; only the thread that took it can give it back");
        }
        if (count == 1) {
            synchronizer.check(
                    Natives.pshm_rwlock_release(synchronizer.handle(), mode.code, hold.number));
        }
        hold.counts[mode.ordinal()]--;
        if (hold.count(Mode.READ) == 0 && hold.count(Mode.WRITE) == 0) {
            holds.remove();
        }
    }

    @Override
    int acquireAbandoned(long nanos, boolean interruptibly) throws InterruptedException {
        Hold hold = hold();
        if (hold.count(Mode.WRITE) != 0 || wouldWaitForItself(Mode.WRITE)) {
            if (!isAbandoned()) {
                return Natives.PSHM_EGOOD;
            }
            lock(Mode.WRITE);
            return 0;
        }
        int code = await(Natives.PSHM_REPAIR, hold.number, nanos, interruptibly);
        if (code == Natives.PSHM_EINTERRUPTED) {
            throw new InterruptedException();
        }
        if (code != Natives.PSHM_EGOOD && code != Natives.PSHM_ETIMEDOUT) {
            synchronizer.check(code);
            enter(hold, Mode.WRITE);
        }
        return code;
    }

    @Override
    void markGood() {
        synchronizer.check(Natives.pshm_rwlock_mark_good(synchronizer.handle(), hold().number));
    }

    @Override
    void releaseRepaired() {
        unlock(Mode.WRITE);
    }

    // ---- what a thread has ----

    private Hold hold() {
        Hold hold = holds.get();
        return hold == null ? new Hold() : hold;
    }

    private void enter(Hold hold, Mode mode) {
        if (hold.count(mode) == Integer.MAX_VALUE) {
            throw new Error("Maximum lock count exceeded"); // as the JDK's locks
        }
        hold.counts[mode.ordinal()]++;
        holds.set(hold);
    }

    /** How often the current thread has it. */
    public int holdCount(Mode mode) {
        return hold().count(mode);
    }

    private boolean wouldWaitForItself(Mode mode) {
        Hold hold = hold();
        return mode == Mode.WRITE && hold.count(Mode.WRITE) == 0 && hold.count(Mode.READ) != 0;
    }

    private String describe(Mode mode) {
        return "read-write lock="
                + name
                + ", mode="
                + mode
                + ": thread="
                + Thread.currentThread().getName();
    }

    // ---- what is known of it ----

    /** Who writes now, in any process. */
    public Optional<Lock.Owner> owner() {
        return inspect(info -> NativeLock.ownerOf(info.writer()));
    }

    @Override
    public Optional<Lock.Death> lastDeath() {
        return inspect(info -> NativeLock.deathOf(info.dead(), info.deaths()));
    }

    public boolean isAbandoned() {
        return inspect(info -> info.abandoned() != 0);
    }

    /** How many threads of all processes read. */
    public long readers() {
        return inspect(pshm_rwlock_info::readers);
    }

    private <T> T inspect(Function<pshm_rwlock_info, T> read) {
        T result = Native.inspectReadWriteLock(synchronizer.handle(), read);
        Reference.reachabilityFence(this);
        return result;
    }
}
