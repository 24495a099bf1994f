// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Native;
import io.polyshm.internal.NativeLock;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.binding.Natives;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A reentrant lock between the threads of any number of processes.
 *
 * <pre>{@code
 * Lock lock = Lock.in(memory, "book");
 * lock.lock();
 * try {
 *     // what the lock guards
 * } finally {
 *     lock.unlock();
 * }
 * }</pre>
 *
 * <p><b>Owner death.</b> If a thread, or its process, dies holding the lock, the next to take it
 * gets {@link OwnerDiedException}, which says who died, and does not hold the lock. The lock is
 * then <em>abandoned</em>: everyone who tries to take it is told so, until somebody runs {@link
 * #repair}, or takes it through an object that was made with a repair handler, which does that by
 * itself. A thread that ends without having given the lock back counts as dead. One that waits for
 * a {@link Condition} has the lock again when it is told of such a death, and releases it as usual:
 * the lock remains abandoned then.
 *
 * <p><b>Repair handler.</b> One thread at a time repairs. A call that finds another at it waits for
 * that as it would for the lock: for what is left of its time, {@link #tryLock()} not at all, and
 * until the caller is interrupted if the method throws {@link InterruptedException}. The handler
 * itself, once it runs in the call, is ended by none of these.
 *
 * <p><b>Threads.</b> The lock belongs to the thread that took it, platform or virtual: only that
 * thread can unlock it, and it can take it again any number of times. A virtual thread may hold it
 * while it is parked, and release it in another carrier. However many virtual threads wait, they
 * leave the carriers free and take a few threads of the system. The lock is not fair.
 *
 * <p><b>Memory effects.</b> What a thread did before it unlocked happens-before what another does
 * after it has locked, across processes too, and in C and Python as well as in Java. A failed or
 * timed out attempt has no memory effect. What an owner did before its death is visible to {@link
 * #repair}, as far as it went.
 *
 * <p><b>Close.</b> A lock from {@link #create} or {@link #attach(String)} has a segment of its own,
 * which {@link #close} closes. For one that lives in a segment of the caller's, {@code close} does
 * nothing: the segment's close ends it. Then every method throws {@link ClosedException}; threads
 * that wait get it too, at once. Nobody holds a lock whose segment is closed, so an {@link #unlock}
 * after a wait that a close has ended throws it as well.
 *
 * <p><b>Serialization.</b> A lock travels as a handle, with its repair handler, if that is
 * serializable as well.
 */
public final class Lock implements java.util.concurrent.locks.Lock, AutoCloseable, Serializable {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "lock";
    private static final int CONDITIONS = 8; // for which a segment of its own has room

    /**
     * Who holds a lock.
     *
     * @param pid the process id
     * @param threadName the thread's name when it first took a lock of this library, cut to 23
     *     bytes of UTF-8
     * @param since when it took the lock, to a few milliseconds
     */
    public record Owner(long pid, String threadName, Instant since) implements Serializable {}

    /**
     * An owner that died.
     *
     * @param pid the process id it had
     * @param threadName as {@link Owner#threadName()}
     * @param since when it had taken the lock
     * @param deaths how many owners of this lock have died so far, this one included
     */
    public record Death(long pid, String threadName, Instant since, long deaths)
            implements Serializable {}

    /** What puts in order what a death may have left half-done; it can travel with its lock. */
    @FunctionalInterface
    public interface RepairHandler extends Consumer<Death>, Serializable {}

    private final transient NativeLock lock;
    private final transient SharedMemory memory;
    private final transient String name;
    private final transient SharedArray array; // that it belongs to, null if it stands alone
    private final transient RepairHandler handler;
    private final transient boolean owned;

    private Lock(
            SharedMemory memory,
            String name,
            SharedArray array,
            NativeLock lock,
            RepairHandler handler,
            boolean owned) {
        this.memory = memory;
        this.name = name;
        this.array = array;
        this.lock = lock;
        this.handler = handler;
        this.owned = owned;
    }

    // ---- how to get one ----

    /**
     * A new lock in an anonymous segment of its own, which has room for 8 conditions.
     *
     * @return the lock, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Lock create() {
        return create(null);
    }

    /**
     * A new lock in an anonymous segment of its own, which has room for 8 conditions, and which
     * repairs by itself.
     *
     * @param handler what {@link #repair} is called with when an owner has died; null for none
     * @return the lock, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Lock create(RepairHandler handler) {
        SharedMemory memory =
                SharedMemory.anonymous(
                        Native.objectBytes(Natives.PSHM_LOCK, 0, 0)
                                + CONDITIONS * Native.objectBytes(Natives.PSHM_CONDITION, 0, 0));
        return open(memory, ANONYMOUS, handler, true);
    }

    /**
     * The lock of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @return the lock
     * @throws TypeMismatchException if an object of another kind has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Lock in(SharedMemory memory, String name) {
        return in(memory, name, null);
    }

    /**
     * The lock of that name in a segment, created if there is none, which repairs by itself.
     *
     * @param memory where; stays the caller's
     * @param name as for {@link #in(SharedMemory, String)}
     * @param handler what {@link #repair} is called with when an owner has died; null for none.
     *     Other processes that take the lock have handlers of their own, or are told of the death.
     * @return the lock
     * @throws TypeMismatchException if an object of another kind has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Lock in(SharedMemory memory, String name, RepairHandler handler) {
        return open(memory, Objects.requireNonNull(name, "name"), handler, false);
    }

    /**
     * The lock that another program has made known by its {@link #handle}, as it is. This opens the
     * segment, and {@link #close} closes it.
     *
     * @param handle {@code <segment name>/<object name>}
     * @return the lock, to be closed by the caller
     * @throws NotFoundException if there is no such segment, or no such object in it
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws IllegalArgumentException if the handle does not have that form
     * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are opened
     */
    public static Lock attach(String handle) {
        return TextHandle.attach(handle, Lock::existing);
    }

    /**
     * The lock of that name in a segment, as it is; never creates one.
     *
     * @param memory where; stays the caller's
     * @param name of the object
     * @return the lock
     * @throws NotFoundException if there is no object of that name
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Lock attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static Lock existing(SharedMemory memory, String name, boolean owned) {
        SegmentInfo.find(memory.attachment(), name, Natives.PSHM_LOCK, 0);
        return open(memory, name, null, owned);
    }

    private static Lock open(
            SharedMemory memory, String name, RepairHandler handler, boolean owned) {
        memory.attachment().ensureOpen("lock");
        Native.ObjectHandles handles =
                Native.object(memory.attachment().segment(), Natives.PSHM_LOCK, name, 0, 0);
        return new Lock(
                memory, name, null, memory.attachment().lock(handles.lock()), handler, owned);
    }

    /** The lock that belongs to an array, which it travels with. */
    static Lock of(SharedMemory memory, String name, SharedArray array, NativeLock lock) {
        return new Lock(memory, name, array, lock, null, false);
    }

    /**
     * This lock with a repair handler.
     *
     * @param handler what {@link #repair} is called with when an owner has died; null for none
     * @return the same lock, through an object that repairs by itself; this object is not changed,
     *     and remains the one to close
     */
    public Lock withRepair(RepairHandler handler) {
        return new Lock(memory, name, array, lock, handler, false);
    }

    // ---- taking and giving back ----

    /**
     * Takes the lock, waiting as long as it takes. An interrupt does not end the wait, and is still
     * set afterwards.
     *
     * @throws OwnerDiedException if the lock is abandoned; the caller does not hold it
     * @throws ClosedException if the segment is closed
     * @throws PolyshmException if the calling thread holds 2000 locks of this library already
     */
    @Override
    public void lock() {
        if (handler == null) {
            lock.lock();
        } else {
            lock.takeUninterruptibly(
                    handler,
                    NativeSynchronizer.FOREVER,
                    left -> {
                        lock.lock();
                        return true;
                    });
        }
    }

    /**
     * Takes the lock unless the caller is interrupted, which ends the wait at once.
     *
     * @throws InterruptedException if the caller was interrupted before or while it waited
     * @throws OwnerDiedException if the lock is abandoned; the caller does not hold it
     * @throws ClosedException if the segment is closed
     * @throws PolyshmException if the calling thread holds 2000 locks of this library already
     */
    @Override
    public void lockInterruptibly() throws InterruptedException {
        lock.take(
                handler,
                NativeSynchronizer.FOREVER,
                left -> {
                    lock.lockInterruptibly();
                    return true;
                });
    }

    /**
     * Takes the lock if nobody holds it, or the caller does. Who repairs it holds it. A virtual
     * thread does not get it before others of this JVM that wait.
     *
     * @return whether the caller holds it now
     * @throws OwnerDiedException if the lock is abandoned; the caller does not hold it
     * @throws ClosedException if the segment is closed
     * @throws PolyshmException if the calling thread holds 2000 locks of this library already
     */
    @Override
    public boolean tryLock() {
        return lock.takeUninterruptibly(handler, 0, left -> lock.tryLock());
    }

    /**
     * Takes the lock unless the time is over first or the caller is interrupted.
     *
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return whether the caller holds it now
     * @throws InterruptedException if the caller was interrupted before or while it waited
     * @throws OwnerDiedException if the lock is abandoned; the caller does not hold it
     * @throws ClosedException if the segment is closed
     * @throws PolyshmException if the calling thread holds 2000 locks of this library already
     */
    @Override
    public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
        return lock.take(
                handler,
                NativeSynchronizer.nanos(time, unit),
                left -> lock.tryLock(left, TimeUnit.NANOSECONDS));
    }

    /**
     * Gives the lock back once; others get it when the caller has done so as often as it took it.
     *
     * @throws IllegalMonitorStateException if the calling thread does not hold it
     * @throws ClosedException if the segment is closed, as nobody holds it then
     */
    @Override
    public void unlock() {
        lock.unlock();
    }

    /**
     * A new condition of this lock, with a name that no other has. It lives in the lock's segment,
     * and as long as that does: a condition that is needed more than once had better have a name.
     *
     * @return the condition
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     */
    @Override
    public Condition newCondition() {
        return condition("condition-" + UUID.randomUUID());
    }

    /**
     * The condition of that name of this lock, created if there is none. All objects that this
     * returns for one name are the same condition, in whatever process.
     *
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot; one
     *     that nothing else in the segment has
     * @return the condition
     * @throws TypeMismatchException if a condition of another lock, or an object of another kind,
     *     has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public Condition condition(String name) {
        try {
            return new Condition(this, name, lock.condition(Objects.requireNonNull(name, "name")));
        } catch (MemoryFullException full) {
            throw new MemoryFullException(
                    full.errorName(),
                    full.getMessage()
                            + ": a lock from Lock.create has room for "
                            + CONDITIONS
                            + " conditions, that of an array or value of its own for none; take"
                            + " Lock.in, or the array, in a SharedMemory that is large enough",
                    full);
        }
    }

    /**
     * Runs an action holding the lock.
     *
     * @param action not null
     * @throws OwnerDiedException if the lock is abandoned; the action has not run
     * @throws ClosedException if the segment is closed
     */
    public void withLock(Runnable action) {
        lock();
        try {
            action.run();
        } finally {
            unlock();
        }
    }

    /**
     * Computes something holding the lock.
     *
     * @param action not null
     * @param <T> what it computes
     * @return what the action returned
     * @throws OwnerDiedException if the lock is abandoned; the action has not run
     * @throws ClosedException if the segment is closed
     */
    public <T> T withLock(Supplier<T> action) {
        lock();
        try {
            return action.get();
        } finally {
            unlock();
        }
    }

    // ---- owner death ----

    /**
     * Repairs what an owner's death may have left half-done, if the lock is abandoned: takes the
     * lock, waiting for others that repair it or hold it, runs the action, declares the lock good
     * if that returns, and gives it back. If the action throws, or its process dies, the lock stays
     * abandoned.
     *
     * @param action gets the last death; it runs holding the lock; not null
     * @return true if the action has run, false if the lock is not abandoned
     * @throws ClosedException if the segment is closed
     */
    public boolean repair(Consumer<? super Death> action) {
        return lock.repair(Objects.requireNonNull(action, "action"));
    }

    /**
     * Whether an owner died and nobody has repaired the lock. A death that no one has been told of
     * is not known here: the next to take the lock finds it out.
     *
     * @return as of a moment ago
     * @throws ClosedException if the segment is closed
     */
    public boolean isAbandoned() {
        return lock.isAbandoned();
    }

    /**
     * The last owner that died.
     *
     * @return empty if none has died
     * @throws ClosedException if the segment is closed
     */
    public Optional<Death> lastDeath() {
        return lock.lastDeath();
    }

    /** Throws if the current thread does not hold it; for conditions. */
    void ensureHeld(String operation) {
        lock.ensureHeld(operation);
    }

    /** A wait has ended by a death, with the lock held: it is repaired, or the death thrown. */
    void repairHeld(OwnerDiedException death) {
        if (handler == null) {
            throw death;
        }
        lock.repair(handler);
    }

    // ---- who holds it ----

    /**
     * Who holds the lock, in whatever process.
     *
     * @return as of a moment ago; empty if nobody did
     * @throws ClosedException if the segment is closed
     */
    public Optional<Owner> owner() {
        return lock.owner();
    }

    /**
     * Whether the current thread holds the lock.
     *
     * @return true if it does
     */
    public boolean isHeldByCurrentThread() {
        return lock.holdCount() > 0;
    }

    /**
     * How often the current thread has to unlock before others get the lock.
     *
     * @return 0 if it does not hold it
     */
    public int getHoldCount() {
        return lock.holdCount();
    }

    // ---- name, close, handle ----

    /**
     * The name within its segment.
     *
     * @return the name, also after close
     */
    public String name() {
        return name;
    }

    /**
     * What any program attaches it by, as {@link #attach(String)} does: {@code <segment
     * name>/<object name>}. It can be an argument of a command. It is good for as long as the
     * segment is there, so this lock stays open until whoever gets it has attached. The lock of an
     * array or value has the handle of that, and is attached with it.
     *
     * @return the handle, also after close
     */
    public String handle() {
        return TextHandle.of(memory, name);
    }

    /**
     * Closes the segment of a lock from {@link #create} or {@link #attach(String)}; does nothing
     * for others.
     *
     * @throws LockHeldException if a thread of this JVM holds the lock; nothing has changed then
     */
    @Override
    public void close() {
        if (owned) {
            memory.close();
        }
    }

    @Override
    public String toString() {
        return "Lock[name=" + name + ", memory=" + memory.name() + "]";
    }

    @Serial
    private Object writeReplace() {
        return array == null
                ? new Handle(memory, name, handler, owned)
                : new ArrayHandle(array, handler);
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("a lock travels as a handle");
    }

    private record Handle(SharedMemory memory, String name, RepairHandler handler, boolean owned)
            implements Serializable {
        @Serial
        private Object readResolve() {
            return open(memory, name, handler, owned);
        }
    }

    private record ArrayHandle(SharedArray array, RepairHandler handler) implements Serializable {
        @Serial
        private Object readResolve() {
            return array.lock().withRepair(handler);
        }
    }
}
