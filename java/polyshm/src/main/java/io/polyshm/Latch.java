// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.StateWord;
import io.polyshm.internal.binding.Natives;
import java.io.Serial;
import java.io.Serializable;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A count that threads of any number of processes wait for to be zero: a {@link CountDownLatch}
 * between processes.
 *
 * <pre>{@code
 * try (Latch done = Latch.create(3)) {
 *     for (int i = 0; i < 3; i++) {
 *         ForkedJvm.start(() -> done.countDown());
 *     }
 *     done.await();
 * }
 * }</pre>
 *
 * <p>A latch is used once: its count is never raised.
 *
 * <p><b>Threads.</b> All methods may be called by any thread, platform or virtual, at any time. A
 * virtual thread that waits does not occupy its carrier.
 *
 * <p><b>Memory effects.</b> What threads did before they counted down happens-before what another
 * does after it has found the count zero, by {@link #getCount} or by a wait that was successful,
 * across processes too, and in C and Python as well as in Java. A wait that ends by time, interrupt
 * or close has no memory effect.
 *
 * <p><b>Process death.</b> Nobody holds anything of a latch. A process that dies before it has
 * counted down does not count down: a program that has to know of its death uses {@link
 * SharedMemory#onExit}. One that is killed within {@link #countDown()} has counted, and if it was
 * to zero all that wait are told, or it has not.
 *
 * <p><b>Close.</b> A latch from {@link #create} or {@link #attach(String)} has a segment of its
 * own, which {@link #close} closes. For one that lives in a segment of the caller's, {@code close}
 * does nothing: the segment's close ends it. Then every method throws {@link ClosedException}, and
 * threads that wait get it at once.
 *
 * <p><b>Serialization.</b> A latch travels as a handle: whoever reads it gets the same count.
 */
public final class Latch extends Synchronizer {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "latch";

    private final transient long initial;
    private final transient StateWord count;

    private Latch(SharedMemory memory, String name, boolean owned, long initial) {
        super(memory, name, owned, Natives.PSHM_LATCH, initial, false);
        this.initial = initial;
        count = new StateWord(memory.attachment(), Natives.pshm_latch_state(synchronizer.handle()));
    }

    /**
     * A new latch in an anonymous segment of its own.
     *
     * @param count what it begins with, 0 or more
     * @return the latch, to be closed by the caller
     * @throws IllegalArgumentException if {@code count} is negative
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Latch create(long count) {
        return new Latch(segmentFor(Natives.PSHM_LATCH, count), ANONYMOUS, true, count);
    }

    /**
     * The latch of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @param count what it begins with, 0 or more, the same for all that get it
     * @return the latch, whatever its count is now
     * @throws TypeMismatchException if an object of another kind, or a latch that began with
     *     another count, has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid, or {@code count} is negative
     */
    public static Latch in(SharedMemory memory, String name, long count) {
        return new Latch(memory, Objects.requireNonNull(name, "name"), false, count);
    }

    /**
     * The latch that another program has made known by its {@link #handle}, as it is. This opens
     * the segment, and {@link #close} closes it.
     *
     * @param handle {@code <segment name>/<object name>}
     * @return the latch, to be closed by the caller
     * @throws NotFoundException if there is no such segment, or no such object in it
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws IllegalArgumentException if the handle does not have that form
     * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are opened
     */
    public static Latch attach(String handle) {
        return TextHandle.attach(handle, Latch::existing);
    }

    /**
     * The latch of that name in a segment, as it is; never creates one.
     *
     * @param memory where; stays the caller's
     * @param name of the object
     * @return the latch
     * @throws NotFoundException if there is no object of that name
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Latch attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static Latch existing(SharedMemory memory, String name, boolean owned) {
        long count = SegmentInfo.find(memory.attachment(), name, Natives.PSHM_LATCH, 0).parameter();
        return new Latch(memory, name, owned, count);
    }

    /**
     * Counts down by one, and ends every wait if that makes zero. Does nothing if it is zero
     * already. Unless it makes zero this takes no native call.
     *
     * @throws ClosedException if the segment is closed
     */
    public void countDown() {
        countDown(1);
    }

    /**
     * Counts down, but not below zero, and ends every wait if that makes zero. Unless it does this
     * takes no native call.
     *
     * @param by 1 or more
     * @throws IllegalArgumentException if {@code by} is less than 1
     * @throws ClosedException if the segment is closed
     */
    public void countDown(long by) {
        // What makes zero, or finds it, has to tell those that wait; so has what is refused.
        long now = count.getAcquire("countDown");
        while (by > 0 && now > by) {
            if (count.compareAndSet("countDown", now, now - by)) {
                return;
            }
            now = count.getAcquire("countDown");
        }
        synchronizer.check(Natives.pshm_latch_count_down(synchronizer.handle(), by));
    }

    /**
     * What is left. This takes no native call.
     *
     * @return as of a moment ago, 0 or more
     * @throws ClosedException if the segment is closed
     */
    public long getCount() {
        return count.getAcquire("getCount");
    }

    /**
     * Waits until the count is zero, unless the caller is interrupted. Returns at once, without a
     * native call, if it is.
     *
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void await() throws InterruptedException {
        awaitNanos(NativeSynchronizer.FOREVER);
    }

    /**
     * Waits until the count is zero, unless the time is over first or the caller is interrupted.
     * Returns at once, without a native call, if it is.
     *
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return true if the count is zero, false if the time was over
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public boolean await(long time, TimeUnit unit) throws InterruptedException {
        return awaitNanos(NativeSynchronizer.nanos(time, unit));
    }

    private boolean awaitNanos(long nanos) throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        return count.getAcquire("await") == 0
                || nanos != 0
                        && synchronizer.await(
                                wait -> Natives.pshm_latch_prepare(synchronizer.handle(), wait),
                                nanos);
    }

    @Serial
    private Object writeReplace() {
        return new Handle(memory, name, owned, initial);
    }

    private record Handle(SharedMemory memory, String name, boolean owned, long initial)
            implements Serializable {
        @Serial
        private Object readResolve() {
            return new Latch(memory, name, owned, initial);
        }
    }
}
