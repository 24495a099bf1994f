// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.internal.binding.Natives;
import java.lang.ref.Reference;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntUnaryOperator;

/**
 * A synchronizer of a segment as the threads of this JVM wait for it. There is one of these for
 * each synchronizer and attachment, whatever the number of public objects.
 *
 * <p>A platform thread blocks in a native call. A virtual thread would block its carrier there, so
 * it polls and parks, and a platform thread, the <em>waker</em>, sleeps in the native call on
 * behalf of all of them. There is a waker while there are virtual threads that wait; it ends when
 * it is woken and finds none, and when the segment is closed.
 *
 * <p>Why no wake-up is lost. A virtual thread (1) adds itself to {@code parked}, (2) polls, and if
 * its wait is not over (3) sees to it that there is a waker and (4) parks. The waker (a) reads the
 * object's sequence, (b) unparks all in {@code parked}, (c) sleeps until the sequence is another
 * one, again (a). What (2) came too early for changes the sequence after (1). If it has changed
 * before (a), then (b) finds the thread; else (c) does not sleep, or wakes, and the next (b) finds
 * it. A thread that is unparked before (4) does not park there. The waker ends after it has found
 * {@code parked} empty, said so in {@code hasWaker}, and found it empty once more: a thread that
 * came in between finds no waker in (3), and one that came before is found. A close changes the
 * sequence, too, and ends the waker after a last (b); a thread that comes later is told in (2).
 */
public final class NativeSynchronizer {
    /** For a wait without an end. */
    public static final long FOREVER = -1;

    private final Attachment attachment;
    private final long handle;

    /**
     * The virtual threads that wait, by number. It takes no Java monitor: a thread that waited for
     * one could go on with another carrier, which does not know the detail of its code.
     */
    private final Map<Long, Thread> parked = new ConcurrentSkipListMap<>();

    private final AtomicLong numbers = new AtomicLong();
    private final AtomicBoolean hasWaker = new AtomicBoolean();

    NativeSynchronizer(Attachment attachment, long handle) {
        this.attachment = attachment;
        this.handle = handle;
    }

    /** The native handle, valid while this object is reachable. */
    public long handle() {
        return handle;
    }

    public Attachment attachment() {
        return attachment;
    }

    /**
     * What a native call with the handle has returned, if that is success.
     *
     * @return the code
     */
    public int check(int code) {
        Reference.reachabilityFence(this);
        return Errors.check(code);
    }

    /** The exception for a code, by the thread that got it. */
    public RuntimeException exception(int code) {
        return Errors.exception(code);
    }

    // ---- waiting ----

    /** A native function whose name ends in {@code _prepare}. */
    @FunctionalInterface
    public interface Preparation {
        /**
         * Prepares a wait.
         *
         * @param address of the {@code pshm_wait}
         * @return its code
         */
        int prepare(long address);
    }

    /** A time as the waits take it: zero or less does not wait, and never is {@link #FOREVER}. */
    public static long nanos(long time, TimeUnit unit) {
        return Math.max(0, unit.toNanos(time));
    }

    /**
     * Waits as long as it takes, or until the time is over or the caller is interrupted.
     *
     * @return false if the time was over
     */
    public boolean await(Preparation preparation, long nanos) throws InterruptedException {
        int code = await(preparation, nanos, true);
        if (code == Natives.PSHM_EINTERRUPTED) {
            throw new InterruptedException();
        }
        return code != Natives.PSHM_ETIMEDOUT && check(code) >= 0;
    }

    /**
     * Waits.
     *
     * @param nanos zero does not wait, {@link #FOREVER} has no end
     * @return the code of the outcome; after {@code PSHM_EINTERRUPTED} the interrupt status is
     *     cleared, after any other it is as it was
     */
    public int await(Preparation preparation, long nanos, boolean interruptibly) {
        try (Waiting waiting = Waiting.begin()) {
            int code = preparation.prepare(waiting.address());
            return code != 0 ? code : await(waiting, nanos, interruptibly);
        }
    }

    /** The same for a wait that is prepared. */
    public int await(Waiting waiting, long nanos, boolean interruptibly) {
        int code;
        if (interruptibly && Thread.currentThread().isInterrupted()) {
            code = Natives.pshm_wait_cancel(waiting.address(), Natives.PSHM_EINTERRUPTED);
        } else {
            code = waiting.poll();
            if (code == Natives.PSHM_EBUSY) {
                if (nanos == 0) {
                    code = Natives.pshm_wait_cancel(waiting.address(), Natives.PSHM_ETIMEDOUT);
                } else if (Threads.isVirtual(Thread.currentThread())) {
                    code =
                            park(
                                    waiting,
                                    nanos,
                                    interruptibly,
                                    why -> Natives.pshm_wait_cancel(waiting.address(), why));
                } else {
                    code = waiting.block(nanos, interruptibly);
                }
            }
        }
        if (code == Natives.PSHM_EINTERRUPTED) {
            Thread.interrupted();
        }
        Reference.reachabilityFence(this);
        Reference.reachabilityFence(waiting);
        return code;
    }

    // ---- virtual threads ----

    /**
     * Waits in a virtual thread, by polling and parking.
     *
     * @param nanos not zero
     * @param giveUp ends the wait with {@code PSHM_EINTERRUPTED}, whereupon the interrupt status is
     *     still set, or {@code PSHM_ETIMEDOUT}; what it returns is the outcome
     */
    int park(Waiting waiting, long nanos, boolean interruptibly, IntUnaryOperator giveUp) {
        Thread thread = Thread.currentThread();
        long end = System.nanoTime() + nanos;
        boolean interrupted = false;
        int code = Natives.PSHM_EBUSY;
        long number = numbers.incrementAndGet();
        parked.put(number, thread);
        try {
            while ((code = waiting.poll()) == Natives.PSHM_EBUSY) {
                long left = end - System.nanoTime();
                int why = 0;
                if (interruptibly && thread.isInterrupted()) {
                    why = Natives.PSHM_EINTERRUPTED;
                } else if (nanos > 0 && left <= 0) {
                    why = Natives.PSHM_ETIMEDOUT;
                }
                if (why != 0) {
                    code = giveUp.applyAsInt(why);
                    break;
                }
                startWaker(waiting);
                if (!interruptibly) {
                    interrupted |= Thread.interrupted(); // which would not let it park
                }
                if (nanos < 0) {
                    LockSupport.park(this);
                } else {
                    LockSupport.parkNanos(this, left);
                }
            }
        } finally {
            parked.remove(number);
            if (code == Natives.PSHM_EBUSY) { // no thread could be had
                Natives.pshm_wait_cancel(waiting.address(), Natives.PSHM_EINTERRUPTED);
            }
            if (interrupted) {
                thread.interrupt();
            }
        }
        return code;
    }

    private void startWaker(Waiting waiting) {
        if (hasWaker.get() || !hasWaker.compareAndSet(false, true)) {
            return;
        }
        boolean started = false;
        try {
            Waiting object = waiting.sameObject();
            Thread thread = new Thread(null, () -> wake(object), "polyshm-waker", 0, false);
            thread.setDaemon(true);
            thread.start();
            started = true;
        } finally {
            if (!started) {
                hasWaker.set(false);
            }
        }
    }

    /** What the waker does. */
    private void wake(Waiting object) {
        boolean unneeded = false;
        try {
            int code = 0;
            while (code == 0 && !unneeded) {
                int sequence = Natives.pshm_wait_sequence(object.address());
                parked.values().forEach(LockSupport::unpark);
                if (parked.isEmpty()) {
                    hasWaker.set(false);
                    unneeded = parked.isEmpty() || !hasWaker.compareAndSet(false, true);
                } else {
                    code = Natives.pshm_wait_sleep(object.address(), sequence, FOREVER, 0);
                }
            }
        } finally {
            if (!unneeded) { // it is closed, or this thread fails: each looks for itself
                hasWaker.set(false);
                parked.values().forEach(LockSupport::unpark);
            }
        }
        Reference.reachabilityFence(object);
        Reference.reachabilityFence(this);
    }
}
