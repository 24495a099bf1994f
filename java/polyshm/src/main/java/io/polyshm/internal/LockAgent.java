// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.internal.binding.Natives;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A platform thread that waits for a lock, and holds it, on behalf of another thread: of one that
 * wants to be interruptible while it waits, which a wait in the kernel is not, or of a virtual
 * thread, which changes its kernel thread, while the mutex belongs to one.
 *
 * <p>The requester parks until the agent has set {@code state}. A requester that gives up sets it
 * to CANCELLED; an agent that finds that when it has the lock gives it back. While the agent holds
 * the lock it waits for the end of the requester's thread; the requester orders the release by an
 * interrupt. If the thread ends without one, the agent's thread ends as well, still holding the
 * mutex, and the kernel tells the next taker of the death, as it would have done of the
 * requester's. Agents are not limited in number: each may be needed to release what the others wait
 * for.
 */
final class LockAgent implements Runnable {
    private enum State {
        WAITING,
        GRANTED,
        FAILED,
        CANCELLED,
        RELEASED
    }

    /** How to take a lock. */
    enum Need {
        GOOD,
        ABANDONED
    }

    /** Ends an agent's thread; nobody sees it. */
    private static final class HolderDied extends Error {
        private static final long serialVersionUID = 1;

        HolderDied() {
            super(null, null, false, false);
        }
    }

    private static final ExecutorService AGENTS =
            new ThreadPoolExecutor(
                    0,
                    Integer.MAX_VALUE,
                    10,
                    TimeUnit.SECONDS,
                    new SynchronousQueue<>(),
                    task -> {
                        Thread thread = new Thread(task, "polyshm-lock-agent");
                        thread.setDaemon(true);
                        thread.setUncaughtExceptionHandler((dead, why) -> {});
                        return thread;
                    });

    private final NativeLock lock;
    private final Thread requester = Thread.currentThread();
    private final Need need;
    private final long timeoutNanos;

    /** How often the requester holds the lock; only the requester looks at it. */
    private int depth = 1;

    private volatile State state = State.WAITING;
    private volatile RuntimeException failure;
    private volatile boolean markGood;
    private volatile Thread thread;

    /**
     * An agent for the current thread.
     *
     * @param timeoutNanos below zero for no limit
     */
    LockAgent(NativeLock lock, Need need, long timeoutNanos) {
        this.lock = lock;
        this.need = need;
        this.timeoutNanos = timeoutNanos;
    }

    // ---- the requester's side ----

    void start() {
        AGENTS.execute(this);
    }

    /** Takes up a wait again that the current thread has given up; false if that cannot be. */
    boolean resume(Need wanted, long nanos) {
        return isMine()
                && need == wanted
                && timeoutNanos < 0
                && nanos < 0
                && move(State.CANCELLED, State.WAITING);
    }

    /**
     * Waits until the agent holds the lock.
     *
     * @return false if the time was over
     * @throws InterruptedException if {@code interruptibly} and the caller was interrupted
     */
    boolean await(boolean interruptibly) throws InterruptedException {
        boolean interrupted = false;
        while (state == State.WAITING) {
            LockSupport.park(lock);
            if (Thread.interrupted()) {
                if (interruptibly && move(State.WAITING, State.CANCELLED)) {
                    throw new InterruptedException();
                }
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure != null) {
            throw failure;
        }
        return state == State.GRANTED;
    }

    /** Whether the current thread is the one that the lock is held for. */
    boolean isMine() {
        return requester == Thread.currentThread();
    }

    int depth() {
        return depth;
    }

    void reenter() {
        depth++;
    }

    /** Gives back one hold of the requester's; true if it was the last. */
    boolean exit() {
        return --depth == 0;
    }

    /** Has the agent release the lock, and waits until it has. */
    void release(boolean good) {
        markGood = good;
        thread.interrupt();
        boolean interrupted = false;
        while (state == State.GRANTED) {
            LockSupport.park(lock);
            interrupted |= Thread.interrupted();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends the requester's wait: with an exception, or with none if the time is over. */
    synchronized void fail(RuntimeException why) {
        if (state == State.WAITING) {
            failure = why;
            state = State.FAILED;
            LockSupport.unpark(requester);
        }
    }

    private synchronized boolean move(State from, State to) {
        if (state != from) {
            return false;
        }
        state = to;
        return true;
    }

    // ---- the agent's side ----

    @Override
    public void run() {
        thread = Thread.currentThread();
        Natives.pshm_thread_set_name(requester.getName());
        try {
            int code = acquire();
            if (code != 0) {
                fail(code == Natives.PSHM_ETIMEDOUT ? null : lock.exception(code));
                move(State.CANCELLED, State.FAILED); // nobody can resume one that has ended
            } else if (grant()) {
                hold();
            } else {
                Natives.pshm_lock_release(lock.handle());
            }
        } finally {
            lock.done(this);
        }
    }

    private int acquire() {
        if (need == Need.ABANDONED) {
            return Natives.pshm_lock_acquire_abandoned(lock.handle());
        }
        return timeoutNanos < 0
                ? Natives.pshm_lock_acquire(lock.handle())
                : Natives.pshm_lock_timed_acquire(lock.handle(), timeoutNanos);
    }

    private synchronized boolean grant() {
        if (state != State.WAITING) {
            move(State.CANCELLED, State.RELEASED); // nobody can resume one that has ended
            return false;
        }
        lock.setHolder(this); // before the requester can go on
        state = State.GRANTED;
        LockSupport.unpark(requester);
        return true;
    }

    private void hold() {
        try {
            requester.join();
            throw new HolderDied();
        } catch (InterruptedException released) {
            if (markGood) {
                Natives.pshm_lock_mark_good(lock.handle());
            }
        } finally {
            lock.setHolder(null); // before anyone else can be granted the lock
        }
        Natives.pshm_lock_release(lock.handle());
        move(State.GRANTED, State.RELEASED);
        LockSupport.unpark(requester);
    }
}
