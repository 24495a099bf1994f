// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Native;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_semaphore_info;
import java.io.Serial;
import java.io.Serializable;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.ToLongFunction;

/**
 * Permits that threads of any number of processes take and give back: a {@link
 * java.util.concurrent.Semaphore} between processes.
 *
 * <pre>{@code
 * Semaphore cores = Semaphore.boundedIn(memory, "cores", 4);
 * cores.acquire();
 * try {
 *     // what only four at a time may do
 * } finally {
 *     cores.release();
 * }
 * }</pre>
 *
 * <p><b>Process death.</b> A permit that was acquired is held by the process that did so, more
 * precisely by the participant of the segment. If that dies, however it dies, or closes the
 * segment, its permits come back, and threads that wait for them get them. So a process that
 * crashes cannot use up what the semaphore guards; but unlike with a {@link Lock} nobody is told of
 * what the crash has left half-done. A release gives back what the process holds, whichever of its
 * threads has acquired it, and only beyond that adds permits, so that one process can release what
 * another has acquired; that one still holds it then, and if it dies the permits come back once
 * more. To count what one process hands over to another is therefore not for a semaphore: if the
 * consumer dies, the permits of what it has consumed come back, and somebody waits for what is not
 * there. Take a {@link Condition}, whose {@link Lock} guards such a count.
 *
 * <p><b>Threads.</b> All methods may be called by any thread, platform or virtual, at any time, and
 * the one that releases need not be the one that acquired. A virtual thread that waits does not
 * occupy its carrier. The semaphore is not fair: a thread that comes later may be served first.
 *
 * <p><b>Memory effects.</b> What a thread did before it released happens-before what another does
 * after it has acquired because of that, across processes too, and in C and Python as well as in
 * Java. A failed attempt, and a wait that ends by time, interrupt or close, has no memory effect
 * and takes no permit.
 *
 * <p><b>Close.</b> A semaphore from {@link #create}, {@link #bounded} or {@link #attach(String)}
 * has a segment of its own, which {@link #close} closes. For one that lives in a segment of the
 * caller's, {@code close} does nothing: the segment's close ends it. Then every method throws
 * {@link ClosedException}, threads that wait get it at once, and the permits that this process
 * holds are given back.
 *
 * <p><b>Serialization.</b> A semaphore travels as a handle: whoever reads it gets the same permits.
 */
public final class Semaphore extends Synchronizer {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "semaphore";

    private final transient long initial;
    private final transient boolean bounded;

    private Semaphore(
            SharedMemory memory, String name, boolean owned, long initial, boolean bounded) {
        super(memory, name, owned, Natives.PSHM_SEMAPHORE, initial, bounded);
        this.initial = initial;
        this.bounded = bounded;
    }

    // ---- how to get one ----

    /**
     * A new semaphore in an anonymous segment of its own.
     *
     * @param permits what is there at first, 0 or more
     * @return the semaphore, to be closed by the caller
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Semaphore create(long permits) {
        return create(permits, false);
    }

    /**
     * A new semaphore in an anonymous segment of its own, which never has more permits than at
     * first: a release of what was not acquired throws.
     *
     * @param permits what is there at first, 0 or more
     * @return the semaphore, to be closed by the caller
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Semaphore bounded(long permits) {
        return create(permits, true);
    }

    private static Semaphore create(long permits, boolean bounded) {
        SharedMemory memory = segmentFor(Natives.PSHM_SEMAPHORE, permits);
        return new Semaphore(memory, ANONYMOUS, true, permits, bounded);
    }

    /**
     * The semaphore of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @param permits what is there at first, 0 or more, the same for all that get it
     * @return the semaphore, however many permits it has now
     * @throws TypeMismatchException if an object of another kind, or a semaphore that is bounded or
     *     had other permits at first, has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid, or {@code permits} is negative
     */
    public static Semaphore in(SharedMemory memory, String name, long permits) {
        return new Semaphore(memory, Objects.requireNonNull(name, "name"), false, permits, false);
    }

    /**
     * The bounded semaphore of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name as for {@link #in}
     * @param permits what is there at first, and at most, 0 or more, the same for all that get it
     * @return the semaphore, however many permits it has now
     * @throws TypeMismatchException if an object of another kind, or a semaphore that is not
     *     bounded or had other permits at first, has that name
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid, or {@code permits} is negative
     */
    public static Semaphore boundedIn(SharedMemory memory, String name, long permits) {
        return new Semaphore(memory, Objects.requireNonNull(name, "name"), false, permits, true);
    }

    /**
     * The semaphore that another program has made known by its {@link #handle}, as it is. This
     * opens the segment, and {@link #close} closes it.
     *
     * @param handle {@code <segment name>/<object name>}
     * @return the semaphore, to be closed by the caller
     * @throws NotFoundException if there is no such segment, or no such object in it
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws IllegalArgumentException if the handle does not have that form
     * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are opened
     */
    public static Semaphore attach(String handle) {
        return TextHandle.attach(handle, Semaphore::existing);
    }

    /**
     * The semaphore of that name in a segment, as it is; never creates one.
     *
     * @param memory where; stays the caller's
     * @param name of the object
     * @return the semaphore
     * @throws NotFoundException if there is no object of that name
     * @throws TypeMismatchException if the object is something else; the message says what
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Semaphore attach(SharedMemory memory, String name) {
        return existing(memory, Objects.requireNonNull(name, "name"), false);
    }

    private static Semaphore existing(SharedMemory memory, String name, boolean owned) {
        SegmentInfo.Found found =
                SegmentInfo.find(memory.attachment(), name, Natives.PSHM_SEMAPHORE, 0);
        return new Semaphore(memory, name, owned, found.parameter(), found.bounded());
    }

    // ---- to take ----

    /**
     * Takes a permit, waiting until there is one or the caller is interrupted.
     *
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void acquire() throws InterruptedException {
        acquire(1);
    }

    /**
     * Takes permits, all at once, waiting until there are that many or the caller is interrupted.
     *
     * @param permits 0 or more
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void acquire(long permits) throws InterruptedException {
        synchronizer.await(taking(permits), NativeSynchronizer.FOREVER);
    }

    /**
     * Takes a permit, waiting until there is one. An interrupt does not end the wait, and is still
     * set afterwards.
     *
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void acquireUninterruptibly() {
        acquireUninterruptibly(1);
    }

    /**
     * Takes permits, all at once, waiting until there are that many. An interrupt does not end the
     * wait, and is still set afterwards.
     *
     * @param permits 0 or more
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public void acquireUninterruptibly(long permits) {
        synchronizer.check(synchronizer.await(taking(permits), NativeSynchronizer.FOREVER, false));
    }

    /**
     * Takes a permit if there is one.
     *
     * @return whether it was taken
     * @throws ClosedException if the segment is closed
     */
    public boolean tryAcquire() {
        return tryAcquire(1);
    }

    /**
     * Takes permits, all at once, if there are that many.
     *
     * @param permits 0 or more
     * @return whether they were taken; if not, none was
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws ClosedException if the segment is closed
     */
    public boolean tryAcquire(long permits) {
        int code = Natives.pshm_semaphore_try_acquire(synchronizer.handle(), permits);
        return code != Natives.PSHM_EBUSY && synchronizer.check(code) == 0;
    }

    /**
     * Takes a permit, waiting until there is one, the time is over or the caller is interrupted.
     *
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return whether it was taken; false if the time was over
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public boolean tryAcquire(long time, TimeUnit unit) throws InterruptedException {
        return tryAcquire(1, time, unit);
    }

    /**
     * Takes permits, all at once, waiting until there are that many, the time is over or the caller
     * is interrupted.
     *
     * @param permits 0 or more
     * @param time at most this long; zero or less does not wait
     * @param unit of {@code time}
     * @return whether they were taken; false if the time was over, and none was
     * @throws InterruptedException if the caller was interrupted before or while it waited; its
     *     interrupt status is cleared then
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws ClosedException if the segment is closed, or is closed while the caller waits
     */
    public boolean tryAcquire(long permits, long time, TimeUnit unit) throws InterruptedException {
        return synchronizer.await(taking(permits), NativeSynchronizer.nanos(time, unit));
    }

    private NativeSynchronizer.Preparation taking(long permits) {
        return wait -> Natives.pshm_semaphore_prepare(synchronizer.handle(), permits, wait);
    }

    /**
     * Takes all permits that are there. If there are fewer than none, because of {@link
     * #reducePermits}, it makes up for them; none is there afterwards in either case.
     *
     * @return how many were taken; if negative, how many were made up for
     * @throws ClosedException if the segment is closed
     */
    public long drainPermits() {
        long[] out = new long[1];
        synchronizer.check(Natives.pshm_semaphore_drain(synchronizer.handle(), out));
        return out[0];
    }

    // ---- to give ----

    /**
     * Gives a permit back, or adds one if this process holds none.
     *
     * @throws IllegalStateException if there would be more than there were at first and the
     *     semaphore is bounded, or more than {@link Long#MAX_VALUE}; nothing has changed then
     * @throws ClosedException if the segment is closed
     */
    public void release() {
        release(1);
    }

    /**
     * Gives permits back: those that this process holds, and beyond these new ones.
     *
     * @param permits 0 or more
     * @throws IllegalArgumentException if {@code permits} is negative
     * @throws IllegalStateException if there would be more than there were at first and the
     *     semaphore is bounded, or more than {@link Long#MAX_VALUE}; nothing has changed then
     * @throws ClosedException if the segment is closed
     */
    public void release(long permits) {
        synchronizer.check(Natives.pshm_semaphore_release(synchronizer.handle(), permits));
    }

    /**
     * Takes permits away for good, without waiting until they are there: fewer than none may be
     * left, and as many have to be released before one can be acquired. What processes hold is not
     * taken from them.
     *
     * @param permits 0 or more
     * @throws IllegalArgumentException if {@code permits} is negative, or fewer than {@link
     *     Long#MIN_VALUE} would be left
     * @throws ClosedException if the segment is closed
     */
    public void reducePermits(long permits) {
        synchronizer.check(Natives.pshm_semaphore_reduce(synchronizer.handle(), permits));
    }

    // ---- what is known of it ----

    /**
     * The permits that are there, with those of processes that have died.
     *
     * @return as of a moment ago; below zero after {@link #reducePermits}
     * @throws ClosedException if the segment is closed
     */
    public long availablePermits() {
        return inspect(pshm_semaphore_info::available);
    }

    /**
     * The permits that this process has acquired by this opening of the segment and has not given
     * back. They come back if it dies or closes the segment.
     *
     * @return as of a moment ago, 0 or more
     * @throws ClosedException if the segment is closed
     */
    public long heldPermits() {
        return inspect(pshm_semaphore_info::held_here);
    }

    private long inspect(ToLongFunction<pshm_semaphore_info> read) {
        long result = Native.inspectSemaphore(synchronizer.handle(), read::applyAsLong);
        Reference.reachabilityFence(this);
        return result;
    }

    @Serial
    private Object writeReplace() {
        return new Handle(memory, name, owned, initial, bounded);
    }

    private record Handle(
            SharedMemory memory, String name, boolean owned, long initial, boolean bounded)
            implements Serializable {
        @Serial
        private Object readResolve() {
            return new Semaphore(memory, name, owned, initial, bounded);
        }
    }
}
