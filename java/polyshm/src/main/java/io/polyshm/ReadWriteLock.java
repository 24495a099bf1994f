// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.NativeReadWriteLock;
import io.polyshm.internal.NativeReadWriteLock.Mode;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.binding.Natives;
import java.io.Serial;
import java.io.Serializable;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;

/**
 * A reentrant lock between the threads of any number of processes that many may have at a time to
 * read, or one to write: a {@link ReentrantReadWriteLock} between processes.
 *
 * <pre>{@code
 * ReadWriteLock lock = ReadWriteLock.in(memory, "catalogue");
 * lock.readLock().lock();
 * try {
 *     // what others may read, too, and nobody writes
 * } finally {
 *     lock.readLock().unlock();
 * }
 * }</pre>
 *
 * <p><b>Process death.</b> If a process dies, its readers give the lock back, and others go on. If
 * one of its threads was writing, the lock is <em>abandoned</em>: everyone who tries to take it, to
 * read or to write, gets {@link OwnerDiedException}, which says who died, and does not have it,
 * until somebody runs {@link #repair}, or takes it through an object that was made with a repair
 * handler, which does that by itself. A process that ends in order while it writes counts as dead,
 * too. A <em>thread</em> that ends without having given the lock back keeps it until its JVM ends,
 * whether it reads or writes; unlike with a {@link Lock} nobody is told of that.
 *
 * <p><b>Repair handler.</b> One thread at a time repairs. A call that finds another at it waits for
 * that as it would for the lock: for what is left of its time, {@code tryLock()} not at all, and
 * until the caller is interrupted if the method throws {@link InterruptedException}. The handler
 * itself, once it runs in the call, is ended by none of these.
 *
 * <p><b>Threads.</b> The lock belongs to the thread that took it, platform or virtual: only that
 * thread can unlock it, and it can take it again any number of times, also while others wait. One
 * that writes can take it to read as well, and so go over to reading: take it to read, then give
 * the write lock back. One that reads cannot go over to writing, as it would wait for itself: the
 * write lock refuses that. A virtual thread may have it while it is parked, and does not occupy its
 * carrier when it waits.
 *
 * <p>Readers that come while a writer waits stay behind it, so that writers do not starve; writers
 * that come without a gap keep readers waiting. Among writers the lock is not fair.
 *
 * <p><b>Memory effects.</b> What a thread did before it gave the write lock back happens-before
 * what another does after it has taken the lock, to read or to write; what readers did before they
 * gave the lock back happens-before what a writer does after it has taken it. That holds across
 * processes too, and in C and Python as well as in Java. A failed attempt, and a wait that ends by
 * time, interrupt or close, has no memory effect. What a writer did before its death is visible to
 * {@link #repair}, as far as it went.
 *
 * <p><b>Close.</b> A lock from {@link #create} or {@link #attach(String)} has a segment of its own,
 * which {@link #close} closes; {@link LockHeldException} says that a thread of this JVM reads or
 * writes, and nothing has changed then. For one that lives in a segment of the caller's, {@code
 * close} does nothing: the segment's close ends it. Then every method that asks the segment throws
 * {@link ClosedException}, and threads that wait get it at once.
 *
 * <p><b>Serialization.</b> A lock travels as a handle, with its repair handler; its read lock and
 * its write lock travel with it.
 */
public final class ReadWriteLock extends Synchronizer
        implements java.util.concurrent.locks.ReadWriteLock {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "read-write-lock";

    private final transient NativeReadWriteLock lock;
    private final transient Lock.RepairHandler handler;
    private final transient View readLock = new View(this, Mode.READ);
    private final transient View writeLock = new View(this, Mode.WRITE);

    private ReadWriteLock(
            SharedMemory memory, String name, boolean owned, Lock.RepairHandler handler) {
        super(memory, name, owned, Natives.PSHM_RWLOCK, 0, false);
        this.lock = memory.attachment().readWriteLock(synchronizer, name);
        this.handler = handler;
    }

    // ---- how to get one ----

    /**
     * A new lock in an anonymous segment of its own.
     *
     * @return the lock, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static ReadWriteLock create() {
        return create(null);
    }

    /**
     * A new lock in an anonymous segment of its own, which repairs by itself.
     *
     * @param handler what {@link #repair} is called with when a writer has died; null for none
     * @return the lock, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static ReadWriteLock create(Lock.RepairHandler handler) {
        return new ReadWriteLock(segmentFor(Natives.PSHM_RWLOCK, 0), ANONYMOUS, true, handler);
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
    public static ReadWriteLock in(SharedMemory memory, String name) {
        return in(memory, name, null);
    }

    /**
     * The lock of that name in a segment, created if there is none, which repairs by itself.
     *
     * @param memory where; stays the caller's
     * @param name as for {@link #in(SharedMemory, String)}
     * @param handler what {@link #repair} is called with when a writer has died; null for none.
     *     Other processes that take the lock have handlers of their own, or are told of the death.
     * @return the lock
     * @throws TypeMismatchException if an object of another kind has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static ReadWriteLock in(SharedMemory memory, String name, Lock.RepairHandler handler) {
        return new ReadWriteLock(memory, Objects.requireNonNull(name, "name"), false, handler);
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
    public static ReadWriteLock attach(String handle) {
        return TextHandle.attach(handle, ReadWriteLock::existing);
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
    public static ReadWriteLock attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static ReadWriteLock existing(SharedMemory memory, String name, boolean owned) {
        SegmentInfo.find(memory.attachment(), name, Natives.PSHM_RWLOCK, 0);
        return new ReadWriteLock(memory, name, owned, null);
    }

    /**
     * This lock with a repair handler.
     *
     * @param handler what {@link #repair} is called with when a writer has died; null for none
     * @return the same lock, through an object that repairs by itself; this object is not changed,
     *     and remains the one to close
     * @throws ClosedException if the segment is closed
     */
    public ReadWriteLock withRepair(Lock.RepairHandler handler) {
        return new ReadWriteLock(memory, name, false, handler);
    }

    // ---- the two locks ----

    /**
     * The lock to read, which any number of threads may have at a time while nobody writes. A
     * thread that has it, or writes, can take it again without waiting.
     *
     * <p>Its methods do what {@link java.util.concurrent.locks.Lock} says of them. {@code tryLock}
     * does not take it if another writes, or waits to write. All but {@code unlock} throw {@link
     * OwnerDiedException} if the lock is abandoned, and do not take it then; {@link
     * ClosedException} if the segment is closed, also while the caller waits; and {@link
     * InterruptedException}, where it is declared, if the caller was interrupted before or while it
     * waited. {@code unlock} throws {@link IllegalMonitorStateException} if the caller does not
     * have it. {@code newCondition} throws {@link UnsupportedOperationException}, as that of a
     * {@link ReentrantReadWriteLock.ReadLock} does.
     *
     * @return always the same object; it is serializable
     */
    @Override
    public java.util.concurrent.locks.Lock readLock() {
        return readLock;
    }

    /**
     * The lock to write, which one thread may have at a time while nobody reads. A thread that has
     * it can take it again without waiting.
     *
     * <p>Its methods do what {@link java.util.concurrent.locks.Lock} says of them. A thread that
     * reads would wait for itself: then {@code lock} and {@code lockInterruptibly} throw {@link
     * IllegalStateException}, and {@code tryLock} returns false at once, with a time as well. All
     * but {@code unlock} throw {@link OwnerDiedException} if the lock is abandoned, and do not take
     * it then; {@link ClosedException} if the segment is closed, also while the caller waits; and
     * {@link InterruptedException}, where it is declared, if the caller was interrupted before or
     * while it waited. {@code unlock} throws {@link IllegalMonitorStateException} if the caller
     * does not have it. {@code newCondition} throws {@link UnsupportedOperationException}, other
     * than that of a {@link ReentrantReadWriteLock.WriteLock}.
     *
     * @return always the same object; it is serializable
     */
    @Override
    public java.util.concurrent.locks.Lock writeLock() {
        return writeLock;
    }

    /** The lock to read or to write. */
    private record View(ReadWriteLock of, Mode mode)
            implements java.util.concurrent.locks.Lock, Serializable {
        @Override
        public void lock() {
            of.lock.takeUninterruptibly(
                    of.handler,
                    NativeSynchronizer.FOREVER,
                    left -> {
                        of.lock.lock(mode);
                        return true;
                    });
        }

        @Override
        public void lockInterruptibly() throws InterruptedException {
            of.lock.take(
                    of.handler,
                    NativeSynchronizer.FOREVER,
                    left -> {
                        of.lock.lockInterruptibly(mode);
                        return true;
                    });
        }

        @Override
        public boolean tryLock() {
            return of.lock.takeUninterruptibly(of.handler, 0, left -> of.lock.tryLock(mode));
        }

        @Override
        public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
            return of.lock.take(
                    of.handler,
                    NativeSynchronizer.nanos(time, unit),
                    left -> of.lock.tryLock(mode, left));
        }

        @Override
        public void unlock() {
            of.lock.unlock(mode);
        }

        @Override
        public Condition newCondition() {
            throw new UnsupportedOperationException(
                    "newCondition: a read-write lock has no conditions; take a Lock");
        }

        @Override
        public String toString() {
            return of + "." + mode.name().toLowerCase(Locale.ROOT) + "Lock()";
        }
    }

    // ---- owner death ----

    /**
     * Repairs what a writer's death may have left half-done, if the lock is abandoned: takes the
     * lock to write, waiting for others that repair it or have it, runs the action, declares the
     * lock good if that returns, and gives it back. If the action throws, or its process dies, the
     * lock stays abandoned.
     *
     * @param action gets the last death; it runs holding the write lock; not null
     * @return true if the action has run, false if the lock is not abandoned
     * @throws IllegalStateException if the lock is abandoned and the caller reads, as it would wait
     *     for itself
     * @throws ClosedException if the segment is closed
     */
    public boolean repair(Consumer<? super Lock.Death> action) {
        return lock.repair(Objects.requireNonNull(action, "action"));
    }

    /**
     * Whether a writer has died and nobody has repaired the lock.
     *
     * @return as of a moment ago
     * @throws ClosedException if the segment is closed
     */
    public boolean isAbandoned() {
        return lock.isAbandoned();
    }

    /**
     * The last writer that died.
     *
     * @return empty if none has died
     * @throws ClosedException if the segment is closed
     */
    public Optional<Lock.Death> lastDeath() {
        return lock.lastDeath();
    }

    // ---- who has it ----

    /**
     * Who writes, in whatever process.
     *
     * @return as of a moment ago; empty if nobody did
     * @throws ClosedException if the segment is closed
     */
    public Optional<Lock.Owner> owner() {
        return lock.owner();
    }

    /**
     * Whether any thread of any process writes.
     *
     * @return as of a moment ago
     * @throws ClosedException if the segment is closed
     */
    public boolean isWriteLocked() {
        return lock.owner().isPresent();
    }

    /**
     * Whether the current thread writes.
     *
     * @return true if it does
     */
    public boolean isWriteLockedByCurrentThread() {
        return getWriteHoldCount() > 0;
    }

    /**
     * How often the current thread has to unlock the write lock before it is given back.
     *
     * @return 0 if it does not have it
     */
    public int getWriteHoldCount() {
        return lock.holdCount(Mode.WRITE);
    }

    /**
     * How often the current thread has to unlock the read lock before it is given back.
     *
     * @return 0 if it does not have it
     */
    public int getReadHoldCount() {
        return lock.holdCount(Mode.READ);
    }

    /**
     * How many threads of all processes read. A thread counts once, however often it has taken the
     * read lock, other than with {@link ReentrantReadWriteLock#getReadLockCount}.
     *
     * @return as of a moment ago; those of dead processes do not count
     * @throws ClosedException if the segment is closed
     */
    public long getReadLockCount() {
        return lock.readers();
    }

    @Serial
    private Object writeReplace() {
        return new Handle(memory, name, owned, handler);
    }

    private record Handle(
            SharedMemory memory, String name, boolean owned, Lock.RepairHandler handler)
            implements Serializable {
        @Serial
        private Object readResolve() {
            return new ReadWriteLock(memory, name, owned, handler);
        }
    }
}
