// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Native;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.Waiting;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_barrier_info;
import java.io.Serial;
import java.io.Serializable;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * Where threads of any number of processes wait for each other, again and again: a {@link
 * CyclicBarrier} between processes, and Python's {@code Barrier}.
 *
 * <pre>{@code
 * try (Barrier barrier = Barrier.create(2)) {
 *     ForkedJvm child = ForkedJvm.start(() -> {
 *         // its part of the first phase
 *         barrier.await();
 *         // its part of the second, when the other has done the first as well
 *     });
 *     // the other part
 *     barrier.await();
 *     child.join();
 * }
 * }</pre>
 *
 * <p>When all parties have arrived they go on, and the barrier is at once ready for the next time,
 * the next <em>generation</em>. An action that was given runs once in each generation, in the last
 * thread to arrive, before any goes on.
 *
 * <p><b>Breaking.</b> If one that waits is interrupted or its time is over, all others that wait
 * get {@link BrokenBarrierException} at once, and so does everyone who comes later, until {@link
 * #reset}. {@link #abort}, an action that throws and a process that dies break the barrier as well.
 * The message says what has happened, and to which process; {@link #lastBreak} tells it to
 * programs.
 *
 * <p><b>Process death.</b> A process is a party from when it makes or opens the barrier until it
 * closes the segment or ends in order. If it dies, whether one of its threads has arrived or not,
 * the barrier breaks at once for all that wait and all that come. One that leaves in order breaks
 * it only if one of its threads has arrived and waits. After {@link #reset} the dead no longer
 * count.
 *
 * <p><b>Threads.</b> All methods may be called by any thread, platform or virtual, at any time. A
 * virtual thread that waits does not occupy its carrier.
 *
 * <p><b>Memory effects.</b> What threads did before they arrived happens-before what the action
 * does, and that happens-before what they do after they have returned from {@code await}, across
 * processes too, and in C and Python as well as in Java. A wait that ends by an exception has no
 * memory effect.
 *
 * <p><b>Close.</b> A barrier from {@link #create} or {@link #attach(String)} has a segment of its
 * own, which {@link #close} closes. For one that lives in a segment of the caller's, {@code close}
 * does nothing: the segment's close ends it. Then every method throws {@link ClosedException}, and
 * threads that wait get it at once; the barrier breaks for those of other processes that wait with
 * them.
 *
 * <p><b>Serialization.</b> A barrier travels as a handle, with its action.
 */
public final class Barrier extends Synchronizer {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "barrier";

    /** What the last thread to arrive runs; it can travel with its barrier. */
    @FunctionalInterface
    public interface Action extends Runnable, Serializable {}

    /** Why a barrier broke. */
    public enum Cause {
        /** A process that is a party has died. */
        DEATH,
        /** The time of one that waited was over. */
        TIMEOUT,
        /** One that waited, or came to wait, was interrupted. */
        INTERRUPT,
        /** {@link Barrier#abort}. */
        ABORT,
        /** {@link Barrier#reset}, while threads waited or not. */
        RESET,
        /** A process with a thread that waited has closed the segment, or has ended. */
        CLOSE,
        /** An action has thrown. */
        ACTION
    }

    /**
     * What has broken a barrier.
     *
     * @param cause what it was
     * @param pid the process that did it, or died
     */
    public record Break(Cause cause, long pid) implements Serializable {}

    private final transient int parties;
    private final transient Action action;

    private Barrier(SharedMemory memory, String name, boolean owned, int parties, Action action) {
        super(memory, name, owned, Natives.PSHM_BARRIER, parties, false);
        this.parties = parties;
        this.action = action;
    }

    // ---- how to get one ----

    /**
     * A new barrier in an anonymous segment of its own.
     *
     * @param parties how many threads wait for each other, 1 or more
     * @return the barrier, to be closed by the caller
     * @throws IllegalArgumentException if {@code parties} is less than 1
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Barrier create(int parties) {
        return create(parties, null);
    }

    /**
     * A new barrier in an anonymous segment of its own, with an action.
     *
     * @param parties how many threads wait for each other, 1 or more
     * @param action what the last thread to arrive runs before any goes on; null for none
     * @return the barrier, to be closed by the caller
     * @throws IllegalArgumentException if {@code parties} is less than 1
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Barrier create(int parties, Action action) {
        return new Barrier(
                segmentFor(Natives.PSHM_BARRIER, parties), ANONYMOUS, true, parties, action);
    }

    /**
     * The barrier of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @param parties how many threads wait for each other, 1 or more, the same for all that get it
     * @return the barrier, of which this process is a party now
     * @throws TypeMismatchException if an object of another kind, or a barrier of another number of
     *     parties, has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid, or {@code parties} is less than 1
     */
    public static Barrier in(SharedMemory memory, String name, int parties) {
        return in(memory, name, parties, null);
    }

    /**
     * The barrier of that name in a segment, created if there is none, with an action.
     *
     * @param memory where; stays the caller's
     * @param name as for {@link #in(SharedMemory, String, int)}
     * @param parties how many threads wait for each other, 1 or more, the same for all that get it
     * @param action what is run, before any goes on, if the last thread to arrive does so by this
     *     object; null for none. Other processes have actions of their own, or none.
     * @return the barrier, of which this process is a party now
     * @throws TypeMismatchException if an object of another kind, or a barrier of another number of
     *     parties, has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid, or {@code parties} is less than 1
     */
    public static Barrier in(SharedMemory memory, String name, int parties, Action action) {
        return new Barrier(memory, Objects.requireNonNull(name, "name"), false, parties, action);
    }

    /**
     * The barrier that another program has made known by its {@link #handle}, as it is. This opens
     * the segment, and {@link #close} closes it.
     *
     * @param handle {@code <segment name>/<object name>}
     * @return the barrier, to be closed by the caller
     * @throws NotFoundException if there is no such segment, or no such object in it
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws IllegalArgumentException if the handle does not have that form
     * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are opened
     */
    public static Barrier attach(String handle) {
        return TextHandle.attach(handle, Barrier::existing);
    }

    /**
     * The barrier of that name in a segment, as it is; never creates one.
     *
     * @param memory where; stays the caller's
     * @param name of the object
     * @return the barrier
     * @throws NotFoundException if there is no object of that name
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Barrier attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static Barrier existing(SharedMemory memory, String name, boolean owned) {
        long parties =
                SegmentInfo.find(memory.attachment(), name, Natives.PSHM_BARRIER, 0).parameter();
        return new Barrier(memory, name, owned, (int) parties, null);
    }

    // ---- to wait ----

    /**
     * Arrives, and waits until all parties have. The last one to arrive runs the action, and the
     * others go on when that has returned; a thread that comes meanwhile waits, and arrives in the
     * next generation.
     *
     * <p>If the caller is interrupted, before or while it waits, also while the action runs, the
     * barrier breaks for all. If the generation is over when the interrupt comes, this returns and
     * the interrupt status is set.
     *
     * @return the index of arrival: {@link #getParties} {@code - 1} for the first, 0 for the last
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws BrokenBarrierException if the barrier is broken, breaks or is reset while the caller
     *     waits; the message says why, and names the process that caused it
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public int await() throws InterruptedException, BrokenBarrierException {
        try {
            return await(NativeSynchronizer.FOREVER);
        } catch (TimeoutException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /**
     * The same for a limited time; when that is over, also while the action runs, the barrier
     * breaks for all.
     *
     * @param time at most this long; with zero or less the caller arrives, and breaks the barrier
     *     unless it is the last
     * @param unit of {@code time}
     * @return the index of arrival: {@link #getParties} {@code - 1} for the first, 0 for the last
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws TimeoutException if the time was over
     * @throws BrokenBarrierException if the barrier is broken, breaks or is reset while the caller
     *     waits; the message says why, and names the process that caused it
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public int await(long time, TimeUnit unit)
            throws InterruptedException, BrokenBarrierException, TimeoutException {
        return await(NativeSynchronizer.nanos(time, unit));
    }

    private int await(long nanos)
            throws InterruptedException, BrokenBarrierException, TimeoutException {
        int code;
        try (Waiting waiting = Waiting.begin()) {
            code =
                    Natives.pshm_barrier_prepare(
                            synchronizer.handle(), action == null ? 0 : 1, waiting.address());
            if (code == 0) {
                code = synchronizer.await(waiting, nanos, true);
            }
            if (code == Natives.PSHM_BARRIER_ACTION) {
                code = runAction(waiting);
            }
        }
        if (code == Natives.PSHM_EINTERRUPTED) {
            throw new InterruptedException();
        }
        if (code == Natives.PSHM_ETIMEDOUT) {
            throw new TimeoutException(
                    "await: name="
                            + name
                            + ", parties="
                            + parties
                            + ", timeout_ns="
                            + nanos
                            + ": not all have arrived in time, and the barrier is broken; reset it");
        }
        if (code == Natives.PSHM_EBROKEN) {
            throw new BrokenBarrierException(Natives.pshm_error_detail());
        }
        return synchronizer.check(code);
    }

    private int runAction(Waiting waiting) {
        boolean done = false;
        try {
            action.run();
            done = true;
        } finally {
            if (!done) {
                Natives.pshm_wait_cancel(waiting.address(), Natives.PSHM_EINTERRUPTED);
            }
        }
        int code = Natives.pshm_barrier_trip(waiting.address());
        Reference.reachabilityFence(this);
        return code;
    }

    // ---- to break and to begin again ----

    /**
     * Breaks the barrier for all that wait and that come. One that is broken stays as it is.
     *
     * @throws ClosedException if the segment is closed
     */
    public void abort() {
        synchronizer.check(Natives.pshm_barrier_abort(synchronizer.handle()));
    }

    /**
     * Begins a new generation, whether the barrier is broken or not. Threads that wait get {@link
     * BrokenBarrierException}.
     *
     * @throws ClosedException if the segment is closed
     */
    public void reset() {
        synchronizer.check(Natives.pshm_barrier_reset(synchronizer.handle()));
    }

    // ---- what is known of it ----

    /**
     * Whether the barrier is broken: threads that come get {@link BrokenBarrierException}.
     *
     * @return as of a moment ago
     * @throws ClosedException if the segment is closed
     */
    public boolean isBroken() {
        return inspect(info -> info.broken() != 0);
    }

    /**
     * What has broken the barrier last, whether it has been reset since or not.
     *
     * @return as of a moment ago; empty if it never broke
     * @throws ClosedException if the segment is closed
     */
    public Optional<Break> lastBreak() {
        return inspect(
                info ->
                        info.cause() == Natives.PSHM_BREAK_NONE
                                ? Optional.empty()
                                : Optional.of(new Break(cause(info.cause()), info.pid())));
    }

    private static Cause cause(int how) {
        return switch (how) {
            case Natives.PSHM_BREAK_DEATH -> Cause.DEATH;
            case Natives.PSHM_BREAK_TIMEOUT -> Cause.TIMEOUT;
            case Natives.PSHM_BREAK_INTERRUPT -> Cause.INTERRUPT;
            case Natives.PSHM_BREAK_RESET -> Cause.RESET;
            case Natives.PSHM_BREAK_CLOSE -> Cause.CLOSE;
            case Natives.PSHM_BREAK_ACTION -> Cause.ACTION;
            default -> Cause.ABORT;
        };
    }

    /**
     * How many threads wait for each other. This takes no native call.
     *
     * @return what the barrier was made with
     */
    public int getParties() {
        return parties;
    }

    /**
     * How many threads have arrived and wait, of all processes.
     *
     * @return as of a moment ago; 0 if the barrier is broken
     * @throws ClosedException if the segment is closed
     */
    public int getNumberWaiting() {
        return inspect(info -> (int) info.waiting());
    }

    private <T> T inspect(Function<pshm_barrier_info, T> read) {
        T result = Native.inspectBarrier(synchronizer.handle(), read);
        Reference.reachabilityFence(this);
        return result;
    }

    @Serial
    private Object writeReplace() {
        return new Handle(memory, name, owned, parties, action);
    }

    private record Handle(
            SharedMemory memory, String name, boolean owned, int parties, Action action)
            implements Serializable {
        @Serial
        private Object readResolve() {
            return new Barrier(memory, name, owned, parties, action);
        }
    }
}
