// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.StateWord;
import io.polyshm.internal.binding.Natives;
import java.io.Serial;
import java.io.Serializable;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/**
 * A flag that threads of any number of processes wait for, as Python's {@code Event}.
 *
 * <pre>{@code
 * try (Event ready = Event.create()) {
 *     ForkedJvm child = ForkedJvm.start(() -> ready.set());
 *     ready.await();
 *     child.join();
 * }
 * }</pre>
 *
 * <p><b>Threads.</b> All methods may be called by any thread, platform or virtual, at any time. A
 * virtual thread that waits does not occupy its carrier.
 *
 * <p><b>Memory effects.</b> What a thread did before it set the flag happens-before what another
 * does after it has found it set, by {@link #isSet} or by a wait that was successful, across
 * processes too, and in C and Python as well as in Java. A wait that ends by time, interrupt or
 * close, and a flag that was found not set, have no memory effect.
 *
 * <p><b>Process death.</b> Nobody holds anything of an event. A process that is killed within
 * {@link #set} has set the flag, and all that wait are told, or it has not.
 *
 * <p><b>Close.</b> An event from {@link #create} or {@link #attach(String)} has a segment of its
 * own, which {@link #close} closes. For one that lives in a segment of the caller's, {@code close}
 * does nothing: the segment's close ends it. Then every method throws {@link ClosedException}, and
 * threads that wait get it at once.
 *
 * <p><b>Serialization.</b> An event travels as a handle: whoever reads it gets the same flag.
 */
public final class Event extends Synchronizer {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "event";

    private final transient StateWord state; // of which bit 0 says that it is set

    private Event(SharedMemory memory, String name, boolean owned) {
        super(memory, name, owned, Natives.PSHM_EVENT, 0, false);
        state = new StateWord(memory.attachment(), Natives.pshm_event_state(synchronizer.handle()));
    }

    /**
     * A new event, not set, in an anonymous segment of its own.
     *
     * @return the event, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Event create() {
        return new Event(segmentFor(Natives.PSHM_EVENT, 0), ANONYMOUS, true);
    }

    /**
     * The event of that name in a segment, created, not set, if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @return the event
     * @throws TypeMismatchException if an object of another kind has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Event in(SharedMemory memory, String name) {
        return new Event(memory, Objects.requireNonNull(name, "name"), false);
    }

    /**
     * The event that another program has made known by its {@link #handle}, as it is. This opens
     * the segment, and {@link #close} closes it.
     *
     * @param handle {@code <segment name>/<object name>}
     * @return the event, to be closed by the caller
     * @throws NotFoundException if there is no such segment, or no such object in it
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws IllegalArgumentException if the handle does not have that form
     * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are opened
     */
    public static Event attach(String handle) {
        return TextHandle.attach(handle, Event::existing);
    }

    /**
     * The event of that name in a segment, as it is; never creates one.
     *
     * @param memory where; stays the caller's
     * @param name of the object
     * @return the event
     * @throws NotFoundException if there is no object of that name
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Event attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static Event existing(SharedMemory memory, String name, boolean owned) {
        SegmentInfo.find(memory.attachment(), name, Natives.PSHM_EVENT, 0);
        return new Event(memory, name, owned);
    }

    /**
     * Sets the flag, and ends every wait for it, even if it is cleared at once. No wait is waited
     * for.
     *
     * @throws ClosedException if the segment is closed
     */
    public void set() {
        synchronizer.check(Natives.pshm_event_set(synchronizer.handle()));
    }

    /**
     * Clears the flag: from now on threads wait until it is set again.
     *
     * @throws ClosedException if the segment is closed
     */
    public void clear() {
        synchronizer.check(Natives.pshm_event_clear(synchronizer.handle()));
    }

    /**
     * Whether the flag is set. This takes no native call.
     *
     * @return as of a moment ago
     * @throws ClosedException if the segment is closed
     */
    public boolean isSet() {
        return isSet("isSet");
    }

    private boolean isSet(String operation) {
        return (state.getAcquire(operation) & 1) != 0;
    }

    /**
     * Waits until the flag is set, or was set since this call began, unless the caller is
     * interrupted. Returns at once, without a native call, if it is set.
     *
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void await() throws InterruptedException {
        awaitNanos(NativeSynchronizer.FOREVER);
    }

    /**
     * Waits until the flag is set, or was set since this call began, unless the time is over first
     * or the caller is interrupted. Returns at once, without a native call, if it is set.
     *
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return true if it was set, false if the time was over
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
        return isSet("await")
                || nanos != 0
                        && synchronizer.await(
                                wait -> Natives.pshm_event_prepare(synchronizer.handle(), wait),
                                nanos);
    }

    @Serial
    private Object writeReplace() {
        return new Handle(memory, name, owned);
    }

    private record Handle(SharedMemory memory, String name, boolean owned) implements Serializable {
        @Serial
        private Object readResolve() {
            return new Event(memory, name, owned);
        }
    }
}
