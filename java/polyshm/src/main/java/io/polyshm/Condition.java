// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.NativeCondition;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.binding.Natives;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;
import java.util.Date;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * What threads of any number of processes that hold a {@link Lock} wait for, until another one
 * signals that what the lock guards has changed. It comes from {@link Lock#newCondition} or {@link
 * Lock#condition}.
 *
 * <pre>{@code
 * Lock lock = Lock.in(memory, "book");
 * Condition notEmpty = lock.condition("book.not-empty");
 * lock.lock();
 * try {
 *     notEmpty.awaitUntil(() -> count.get() > 0);
 *     // take one
 * } finally {
 *     lock.unlock();
 * }
 * }</pre>
 *
 * <p>A wait gives the lock back, however often the thread has taken it, and has it again, as often,
 * when it returns or throws. It may also return without a signal, as {@link
 * java.util.concurrent.locks.Condition} allows; so it belongs in a loop that looks at what is
 * waited for, such as {@link #awaitUntil(BooleanSupplier)}. Within a process signals go to those
 * that have waited longest, and between processes in turn; a signal waits for nobody.
 *
 * <p><b>Threads.</b> All methods but {@link #lock()} and {@link #name()} are for the thread that
 * holds the lock, platform or virtual; another gets {@link IllegalMonitorStateException}. Virtual
 * threads that wait, however many, leave the carriers free and take one thread of the system.
 *
 * <p><b>Interrupts.</b> A thread that was interrupted before it waits keeps the lock and gets
 * {@link InterruptedException} at once. One that is interrupted while it waits takes the lock
 * again, and then gets that exception, with its interrupt status cleared; if it has been signalled
 * by then, it returns instead, with its interrupt status set, and no signal is lost.
 *
 * <p><b>Memory effects.</b> Those of the lock that is given back and taken again.
 *
 * <p><b>Process death.</b> A thread that dies while it waits, or after it was signalled and before
 * it has the lock again, swallows no signal: others get it. If a thread or process dies <em>holding
 * the lock</em>, those that wait take it again and get {@link OwnerDiedException}: they hold the
 * lock then, and it is abandoned; so the usual {@code finally} with {@link Lock#unlock} is right
 * and leaves it abandoned, until it is repaired, which may be done in place by {@link Lock#repair}.
 * If the lock has a repair handler, that is run before the wait returns, as if without a signal. A
 * wait within a repair, while the lock is still abandoned, is told of the death at once. Of the
 * death of a thread whose process lives, those that wait learn with the next signal or the next end
 * of a process.
 *
 * <p><b>Close.</b> When the segment is closed, threads of this JVM that wait get {@link
 * ClosedException} at once. They do not hold the lock then; {@link Lock#unlock} in a {@code
 * finally} throws the same.
 *
 * <p><b>Serialization.</b> A condition travels as a handle, with its lock.
 *
 * <p><b>Handle.</b> A condition has none: a program that has {@linkplain Lock#attach(String)
 * attached} the lock gets it by {@link Lock#condition} and its name.
 */
public final class Condition implements java.util.concurrent.locks.Condition, Serializable {
    @Serial private static final long serialVersionUID = 1;

    private final transient Lock lock;
    private final transient String name;
    private final transient NativeCondition condition;

    Condition(Lock lock, String name, NativeCondition condition) {
        this.lock = lock;
        this.name = name;
        this.condition = condition;
    }

    // ---- waiting ----

    /**
     * Waits for a signal, unless the caller is interrupted.
     *
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    @Override
    public void await() throws InterruptedException {
        awaitSignal(NativeSynchronizer.FOREVER);
    }

    /**
     * Waits for a signal. An interrupt does not end the wait, and is still set afterwards.
     *
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    @Override
    public void awaitUninterruptibly() {
        awaitSignal(NativeSynchronizer.FOREVER, false);
    }

    /**
     * Waits for a signal, unless the time is over first or the caller is interrupted.
     *
     * @param nanosTimeout at most this long; zero or less gives the lock back and takes it again
     * @return what is left of the time; zero or less if it is over
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    @Override
    public long awaitNanos(long nanosTimeout) throws InterruptedException {
        long nanos = Math.max(0, nanosTimeout);
        long end = System.nanoTime() + nanos;
        boolean signalled = awaitSignal(nanos);
        long left = end - System.nanoTime();
        return signalled ? left : Math.min(0, left);
    }

    /**
     * Waits for a signal, unless the time is over first or the caller is interrupted.
     *
     * @param time at most this long; zero or less gives the lock back and takes it again
     * @param unit of {@code time}
     * @return false if the time was over
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    @Override
    public boolean await(long time, TimeUnit unit) throws InterruptedException {
        return awaitSignal(NativeSynchronizer.nanos(time, unit));
    }

    /**
     * Waits for a signal, unless a time of day comes first or the caller is interrupted. If the
     * clock is set forward meanwhile the wait ends later than that time.
     *
     * @param deadline until then
     * @return false if that time has come
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    @Override
    public boolean awaitUntil(Date deadline) throws InterruptedException {
        long end = deadline.getTime();
        boolean signalled;
        do {
            long now = System.currentTimeMillis();
            signalled = await(end > now ? end - now : 0, TimeUnit.MILLISECONDS);
        } while (!signalled && System.currentTimeMillis() < end);
        return signalled;
    }

    /**
     * Waits until a predicate holds, which is tested first, and then after each signal, unless the
     * caller is interrupted.
     *
     * @param predicate is called by the caller while it holds the lock; what it throws is thrown
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    public void awaitUntil(BooleanSupplier predicate) throws InterruptedException {
        begin();
        while (!predicate.getAsBoolean()) {
            await();
        }
    }

    /**
     * Waits until a predicate holds, which is tested first, and then after each signal, unless the
     * time is over first or the caller is interrupted.
     *
     * @param predicate is called by the caller while it holds the lock; what it throws is thrown
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return what the predicate returned last
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws OwnerDiedException if the lock is abandoned; the caller holds it
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed; the caller does not hold the lock
     */
    public boolean awaitUntil(BooleanSupplier predicate, long time, TimeUnit unit)
            throws InterruptedException {
        begin();
        long left = NativeSynchronizer.nanos(time, unit);
        boolean holds = predicate.getAsBoolean();
        while (!holds && left > 0) {
            left = awaitNanos(left);
            holds = predicate.getAsBoolean();
        }
        return holds;
    }

    private void begin() throws InterruptedException {
        lock.ensureHeld("awaitUntil");
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
    }

    /** False if the time was over. */
    private boolean awaitSignal(long nanos) throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        int code = awaitSignal(nanos, true);
        if (code == Natives.PSHM_EINTERRUPTED) {
            throw new InterruptedException();
        }
        return code == 0;
    }

    /** The code of the outcome. */
    private int awaitSignal(long nanos, boolean interruptibly) {
        long end = System.nanoTime() + nanos;
        try {
            return condition.await(nanos, interruptibly);
        } catch (OwnerDiedException death) {
            lock.repairHeld(death);
            boolean late = nanos != NativeSynchronizer.FOREVER && end - System.nanoTime() <= 0;
            return late ? Natives.PSHM_ETIMEDOUT : 0;
        }
    }

    // ---- signalling ----

    /**
     * Ends the wait of one thread, if any waits.
     *
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed
     */
    @Override
    public void signal() {
        signal(1);
    }

    /**
     * Ends the waits of some threads.
     *
     * @param count how many, 0 or more
     * @return how many have been signalled: fewer if no more waited
     * @throws IllegalArgumentException if {@code count} is negative
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed
     */
    public int signal(int count) {
        if (count < 0) {
            throw new IllegalArgumentException(
                    "signal: count=" + count + " is negative; take 0 or more, or signalAll");
        }
        return condition.signal("signal", count);
    }

    /**
     * Ends the waits of all threads.
     *
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed
     */
    @Override
    public void signalAll() {
        condition.signal("signalAll", -1);
    }

    /**
     * How many threads of all processes wait and have not been signalled.
     *
     * @return 0 or more; those of dead processes do not count
     * @throws IllegalMonitorStateException if the caller does not hold the lock
     * @throws ClosedException if the segment is closed
     */
    public int getWaitQueueLength() {
        return condition.waiting();
    }

    // ---- lock, name, handle ----

    /**
     * The lock that it belongs to.
     *
     * @return that lock, through the object that the condition was obtained from
     */
    public Lock lock() {
        return lock;
    }

    /**
     * The name within its segment.
     *
     * @return the name, also after close
     */
    public String name() {
        return name;
    }

    @Override
    public String toString() {
        return "Condition[name=" + name + ", lock=" + lock + "]";
    }

    @Serial
    private Object writeReplace() {
        return new Handle(lock, name);
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("a condition travels as a handle");
    }

    private record Handle(Lock lock, String name) implements Serializable {
        @Serial
        private Object readResolve() {
            return lock.condition(name);
        }
    }
}
