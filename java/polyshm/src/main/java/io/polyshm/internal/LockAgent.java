// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.OwnerDiedException;
import io.polyshm.internal.binding.Natives;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.FutureTask;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * A platform thread that waits for a lock, and holds it, on behalf of a virtual thread: that must
 * not block its carrier, and moves from one carrier to another, while the mutex belongs to a kernel
 * thread.
 *
 * <p><b>Waiting.</b> The requester parks until the agent has decided: GRANTED or FAILED. The agent
 * first tries, and only then waits; so one that gives up at once, or is late, still gets a lock
 * that is free. A requester that gives up while the agent tries makes it end if the lock is held.
 * One that gives up later leaves it waiting, CANCELLED, as nothing but its time ends a wait in the
 * kernel: the next requester takes it over, and if none comes until it has the lock, it gives that
 * back.
 *
 * <p><b>Holding.</b> While the agent holds the lock it waits for the end of the requester's thread.
 * An interrupt tells it of an operation to run, of which the release is one. If the thread ends,
 * the agent's thread ends as well, still holding the mutex, and the kernel tells the next taker of
 * the death, as it would have done of the requester's.
 *
 * <p>Agents are not limited in number, as each may be needed to release what the others wait for;
 * {@link NativeLock} lets one at a time wait for each lock.
 */
final class LockAgent implements Runnable {
    /** How to take a lock. */
    enum Way {
        LOCK(State.TRYING),
        AGAIN(State.WAITING),
        REPAIR(State.TRYING);

        private final State first;

        Way(State first) {
            this.first = first;
        }
    }

    private enum State {
        TRYING,
        ONLY_TRYING,
        WAITING,
        CANCELLED,
        GRANTED,
        FAILED
    }

    /** Ends an agent's thread; nobody sees it. */
    private static final class HolderDied extends Error {
        private static final long serialVersionUID = 1;

        HolderDied() {
            super(null, null, false, false);
        }
    }

    /** Who wants the lock, and for how long. */
    private record Request(Thread thread, long nanos, long since) {
        static Request ofCurrentThread(long nanos) {
            return new Request(Thread.currentThread(), nanos, System.nanoTime());
        }

        long left() {
            return nanos == FOREVER ? FOREVER : nanos - (System.nanoTime() - since);
        }
    }

    /** No limit of time. */
    static final long FOREVER = Long.MAX_VALUE;

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
    private final Way way;

    /** How often the requester holds the lock; only the requester looks at it. */
    private int depth = 1;

    private volatile Request request;
    private volatile State state;
    private volatile RuntimeException failure; // of AGAIN with the lock held, perhaps
    private volatile Thread thread;
    private volatile FutureTask<?> order;

    /** An agent for the current thread. */
    LockAgent(NativeLock lock, Way way, long nanos) {
        this.lock = lock;
        this.way = way;
        this.request = Request.ofCurrentThread(nanos);
        this.state = way.first;
    }

    // ---- the requester's side ----

    void start() {
        AGENTS.execute(this);
    }

    /** Makes it the current thread's, if it waits for nobody; false if that cannot be. */
    synchronized boolean takeOver(Way wanted, long nanos) {
        if (way != wanted || state != State.CANCELLED || nanos <= 0) { // it has tried already
            return false;
        }
        request = Request.ofCurrentThread(nanos);
        state = State.WAITING;
        return true;
    }

    /**
     * Waits until the agent holds the lock.
     *
     * @return false if it was not to be had in this time
     * @throws OwnerDiedException if it is abandoned; after AGAIN it is held
     * @throws InterruptedException if {@code interruptibly} and the caller was interrupted; it does
     *     not hold the lock then, even if the agent was granted it meanwhile
     */
    boolean await(boolean interruptibly) throws InterruptedException {
        Request mine = request;
        boolean interrupted = false;
        while (state != State.GRANTED && state != State.FAILED) {
            long left = mine.left();
            boolean givesUp = left <= 0 || (interrupted && interruptibly);
            if (givesUp
                    && !move(State.TRYING, State.ONLY_TRYING)
                    && move(State.WAITING, State.CANCELLED)) {
                break;
            }
            if (givesUp || left == FOREVER) {
                LockSupport.park(lock);
            } else {
                LockSupport.parkNanos(lock, left);
            }
            interrupted |= Thread.interrupted();
        }
        boolean gaveUp = state != State.GRANTED && failure == null;
        if (interrupted && interruptibly && failure == null) {
            if (!gaveUp) { // it came first all the same
                call(lock::release);
            }
            throw new InterruptedException();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure != null) {
            throw failure;
        }
        return !gaveUp;
    }

    /** Whether the current thread is the one that the lock is held for. */
    boolean isMine() {
        return request.thread() == Thread.currentThread();
    }

    int depth() {
        return depth;
    }

    void reenter() {
        depth++;
    }

    /** The requester has got the lock again that it held so often. */
    void setDepth(int holds) {
        depth = holds;
    }

    /** Gives back one hold of the requester's; true if it was the last. */
    boolean exit() {
        return --depth == 0;
    }

    /**
     * Has the agent run an operation in its thread, which owns the mutex, and waits until it has.
     * The requester holds the lock afterwards if the thread still owns the mutex. An interrupt of
     * the requester stays set.
     */
    <T> T call(Supplier<T> operation) {
        FutureTask<T> task = new FutureTask<>(() -> run(operation));
        order = task;
        thread.interrupt();
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return task.get();
                } catch (InterruptedException meanwhile) {
                    interrupted = true;
                }
            }
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) failed.getCause(); // all else that a supplier throws
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Ends the requester's wait: with an exception, or with none if the lock is held. */
    synchronized void fail(RuntimeException why) {
        if (state != State.GRANTED && state != State.FAILED) {
            failure = why;
            state = State.FAILED;
            LockSupport.unpark(request.thread());
        }
    }

    /** Whoever has taken it over since the attempt began was not there then, and it tries anew. */
    private synchronized void fail(Request asked, RuntimeException why) {
        if (request == asked) {
            fail(why);
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
        try {
            do {
                Request asked = request;
                String name = asked.thread().getName();
                Natives.pshm_thread_set_name(name);
                int code = acquire();
                boolean heldAbandoned = way == Way.AGAIN && code == Natives.PSHM_EOWNERDIED;
                RuntimeException death = heldAbandoned ? lock.exception(code) : null;
                if (code != 0 && !heldAbandoned) {
                    fail(asked, isLate(code) ? null : lock.exception(code));
                } else if (grant(name, death)) {
                    hold();
                } else {
                    Natives.pshm_lock_release(lock.handle());
                }
            } while (isStillWanted());
        } catch (RuntimeException | Error broken) {
            fail(new IllegalStateException("lock: its agent has ended", broken)); // unless granted
            throw broken;
        } finally {
            lock.done(this);
        }
    }

    private int acquire() {
        if (way == Way.AGAIN) {
            return Natives.pshm_lock_acquire_any(lock.handle());
        }
        int code = acquire(0);
        if (isLate(code)) {
            move(State.TRYING, State.WAITING);
        }
        while (isLate(code) && !ends()) {
            code = acquire(Math.max(0, request.left()));
        }
        return code;
    }

    private int acquire(long nanos) {
        long handle = lock.handle();
        boolean forever = nanos == FOREVER;
        if (way == Way.REPAIR) {
            return Natives.pshm_lock_await_abandoned(handle, forever ? -1 : nanos, 0);
        }
        return forever
                ? Natives.pshm_lock_acquire(handle)
                : Natives.pshm_lock_timed_acquire(handle, nanos);
    }

    private static boolean isLate(int code) {
        return code == Natives.PSHM_ETIMEDOUT;
    }

    /** Has not got the lock in time; it goes on only if it is somebody else's by now. */
    private synchronized boolean ends() {
        if (state == State.WAITING && request.left() > 0) {
            return false;
        }
        fail(null); // from now on nobody can take it over
        return true;
    }

    /** Hands the lock to the requester, whose name has been told for it; false if it is not his. */
    private synchronized boolean grant(String name, RuntimeException death) {
        if (state == State.CANCELLED || !name.equals(request.thread().getName())) {
            return false;
        }
        lock.setHolder(this); // before the requester can go on
        if (death != null) {
            failure = death;
        }
        state = State.GRANTED;
        LockSupport.unpark(request.thread());
        return true;
    }

    /** Whether it has been taken over meanwhile; if not, it cannot be any more. */
    private boolean isStillWanted() {
        move(State.CANCELLED, State.FAILED);
        return state == State.WAITING;
    }

    private void hold() {
        while (isHolding()) {
            try {
                request.thread().join();
                lock.setHolder(null); // before anyone else can be told of the death
                throw new HolderDied();
            } catch (InterruptedException ordered) {
                order.run();
            }
        }
    }

    private <T> T run(Supplier<T> operation) {
        lock.setHolder(null); // before anyone else can be granted the lock
        try {
            return operation.get();
        } finally {
            if (isHolding()) {
                lock.setHolder(this);
            }
        }
    }

    private boolean isHolding() {
        return Natives.pshm_lock_depth(lock.handle()) > 0;
    }
}
