// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_holder;
import io.polyshm.internal.binding.pshm_lock_info;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.LongToIntFunction;
import java.util.function.Supplier;

/**
 * A lock of a segment as the threads of this JVM take it. There is one of these for each lock and
 * attachment, whatever the number of {@link Lock} objects.
 *
 * <p>A platform thread takes the lock by a native call, and owns the mutex itself. For a virtual
 * thread a {@link LockAgent} does. The lock is exclusive, so there is at most one agent that holds
 * it; {@code holder} is that one.
 *
 * <p>However many threads want the lock by an agent, one at a time has one that waits; the others
 * wait for their turn to do so, which takes no thread of the system from them. The turn is given
 * back once the lock is had, or not to be had: while one agent holds the lock the next waits for
 * it, and between two the kernel gives other processes their chance.
 */
public final class NativeLock extends RobustLock {
    private static final long FOREVER = NativeSynchronizer.FOREVER;

    private final Attachment attachment;
    private final long handle;
    private final Semaphore turn = new Semaphore(1, true);
    private final Set<LockAgent> agents = ConcurrentHashMap.newKeySet();
    private volatile LockAgent holder;

    NativeLock(Attachment attachment, long handle) {
        this.attachment = attachment;
        this.handle = handle;
    }

    /** The native handle, valid while this object is reachable. */
    long handle() {
        return handle;
    }

    // ---- taking and giving back ----

    /** Takes the lock, however long it takes. */
    public void lock() {
        if (reenter()) {
            return;
        }
        if (Threads.isVirtual(Thread.currentThread())) {
            byAgent(LockAgent.Way.LOCK);
            return;
        }
        int code = Natives.pshm_lock_acquire(handle);
        if (code == Natives.PSHM_EUNNAMED) {
            tellName();
            code = Natives.pshm_lock_acquire(handle);
        }
        if (code != 0) {
            throw exception(code);
        }
        Reference.reachabilityFence(this);
    }

    /** Takes the lock if it is free. */
    public boolean tryLock() {
        if (reenter()) {
            return true;
        }
        if (Threads.isVirtual(Thread.currentThread())) {
            return byAgentUninterruptibly(LockAgent.Way.LOCK, 0);
        }
        return tryDirectly();
    }

    /** Takes the lock unless the caller is interrupted. */
    public void lockInterruptibly() throws InterruptedException {
        tryLockInterruptibly(FOREVER);
    }

    /** Takes the lock unless the caller is interrupted or the time is over. */
    public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
        return tryLockInterruptibly(Math.max(0, unit.toNanos(time)));
    }

    private boolean tryLockInterruptibly(long nanos) throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        if (reenter()) {
            return true;
        }
        if (!Threads.isVirtual(Thread.currentThread())) {
            return tryDirectly() || (nanos != 0 && await(nanos));
        }
        return byAgent(LockAgent.Way.LOCK, nanos, true);
    }

    private boolean await(long nanos) throws InterruptedException {
        int code = block(interrupt -> Natives.pshm_lock_await(handle, nanos, interrupt), true);
        if (code != 0 && code != Natives.PSHM_ETIMEDOUT) {
            throw exception(code);
        }
        return code == 0;
    }

    /** Blocks the current thread, whose name is known. */
    private int block(LongToIntFunction function, boolean interruptibly)
            throws InterruptedException {
        int code;
        try (Waiting waiting = Waiting.begin()) {
            code = waiting.block(function, interruptibly);
        }
        if (code == Natives.PSHM_EINTERRUPTED) {
            Thread.interrupted();
            throw new InterruptedException();
        }
        Reference.reachabilityFence(this);
        return code;
    }

    private boolean tryDirectly() {
        int code = Natives.pshm_lock_try_acquire(handle);
        if (code == Natives.PSHM_EUNNAMED) {
            tellName();
            code = Natives.pshm_lock_try_acquire(handle);
        }
        if (code != 0 && code != Natives.PSHM_EBUSY) {
            throw exception(code);
        }
        Reference.reachabilityFence(this);
        return code == 0;
    }

    /** Gives one hold back. */
    public void unlock() {
        LockAgent agent = myAgent();
        if (agent == null) {
            release();
        } else if (agent.exit()) {
            agent.call(this::release);
        }
    }

    /** By the thread that owns the mutex. */
    Void release() {
        int code = Natives.pshm_lock_release(handle);
        if (code != 0) {
            throw exception(code);
        }
        Reference.reachabilityFence(this);
        return null;
    }

    /**
     * Runs an operation in the thread of the operating system that owns the mutex: the caller's, or
     * its agent's. It may give the mutex back and take it again; the caller holds the lock
     * afterwards, as often as before, if it has done so.
     *
     * @param what names it in the exception
     * @throws IllegalMonitorStateException if the calling thread does not hold the lock
     */
    public <T> T callHolding(String what, Supplier<T> operation) {
        LockAgent agent = myAgent();
        if (agent != null) {
            return agent.call(operation);
        }
        ensureHeld(what);
        return operation.get();
    }

    /**
     * Throws if the current thread does not hold the lock.
     *
     * @param what names the operation in the exception
     */
    public void ensureHeld(String what) {
        if (holdCount() == 0) {
            attachment.ensureOpen(what);
            // The core's words, which name the lock, for this operation.
            int code = Natives.pshm_lock_mark_good(handle);
            String told = Natives.pshm_error_detail();
            throw Errors.exception(
                    Natives.pshm_error_name(code), what + told.substring(told.indexOf(':')));
        }
    }

    /**
     * Takes the lock by an agent, abandoned or not, after a wait for which it was given back.
     *
     * @param depth how often the current thread held it
     * @return who died holding it if it is abandoned, else null; it is held in both cases
     */
    OwnerDiedException lockAgain(int depth) {
        OwnerDiedException death = null;
        try {
            byAgent(LockAgent.Way.AGAIN);
        } catch (OwnerDiedException abandoned) {
            death = abandoned;
        }
        holder.setDepth(depth);
        return death;
    }

    /** The condition of that name, created if there is none. */
    public NativeCondition condition(String name) {
        attachment.ensureOpen("condition");
        return new NativeCondition(this, attachment.synchronizer(Native.condition(handle, name)));
    }

    /** How often the current thread holds the lock. */
    public int holdCount() {
        LockAgent agent = myAgent();
        if (agent != null) {
            return agent.depth();
        }
        int depth = Natives.pshm_lock_depth(handle);
        Reference.reachabilityFence(this);
        return depth;
    }

    @Override
    int acquireAbandoned(long nanos, boolean interruptibly) throws InterruptedException {
        if (reenter()) {
            if (isAbandoned()) {
                return 0;
            }
            unlock();
            return Natives.PSHM_EGOOD;
        }
        if (Threads.isVirtual(Thread.currentThread())) {
            try {
                return byAgent(LockAgent.Way.REPAIR, nanos, interruptibly)
                        ? 0
                        : Natives.PSHM_ETIMEDOUT;
            } catch (NotAbandoned good) {
                return Natives.PSHM_EGOOD;
            }
        }
        tellName();
        int code =
                block(
                        interrupt -> Natives.pshm_lock_await_abandoned(handle, nanos, interrupt),
                        interruptibly);
        if (code != 0 && code != Natives.PSHM_EGOOD && code != Natives.PSHM_ETIMEDOUT) {
            throw exception(code);
        }
        return code;
    }

    @Override
    void markGood() {
        callHolding("repair", () -> Errors.check(Natives.pshm_lock_mark_good(handle)));
    }

    @Override
    void releaseRepaired() {
        unlock();
    }

    private boolean reenter() {
        LockAgent agent = myAgent();
        if (agent == null) {
            return false;
        }
        agent.reenter();
        return true;
    }

    /** The agent that holds the lock for the current thread; null if none does. */
    private LockAgent myAgent() {
        LockAgent agent = holder;
        return agent != null && agent.isMine() ? agent : null;
    }

    private static void tellName() {
        Natives.pshm_thread_set_name(Thread.currentThread().getName());
    }

    // ---- by an agent ----

    void byAgent(LockAgent.Way way) {
        byAgentUninterruptibly(way, FOREVER);
    }

    private boolean byAgentUninterruptibly(LockAgent.Way way, long nanos) {
        try {
            return byAgent(way, nanos, false);
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private boolean byAgent(LockAgent.Way way, long nanos, boolean interruptibly)
            throws InterruptedException {
        long end = System.nanoTime() + nanos;
        if (!takeTurn(nanos, interruptibly)) {
            attachment.ensureOpen("lock");
            return false;
        }
        try {
            long left = nanos == FOREVER ? LockAgent.FOREVER : end - System.nanoTime();
            return agent(way, left).await(interruptibly);
        } finally {
            turn.release();
        }
    }

    /**
     * Who does not wait, and has no turn at once, comes after one who is about to have the lock.
     */
    private boolean takeTurn(long nanos, boolean interruptibly) throws InterruptedException {
        if (nanos == 0) {
            return !turn.hasQueuedThreads() && turn.tryAcquire();
        }
        if (nanos != FOREVER) {
            return turn.tryAcquire(nanos, TimeUnit.NANOSECONDS);
        }
        if (interruptibly) {
            turn.acquire();
        } else {
            turn.acquireUninterruptibly();
        }
        return true;
    }

    /** An agent at work for the current thread: one that waits for nobody, or a new one. */
    private LockAgent agent(LockAgent.Way way, long nanos) {
        for (LockAgent agent : agents) {
            if (agent.takeOver(way, nanos)) {
                if (attachment.isClosed()) {
                    agent.fail(attachment.closed("lock")); // a close has passed it over, perhaps
                }
                return agent;
            }
        }
        LockAgent agent = new LockAgent(this, way, nanos);
        agents.add(agent);
        boolean started = false;
        try {
            attachment.ensureOpen("lock"); // after the add: a close sees one or the other
            agent.start();
            started = true;
        } finally {
            if (!started) {
                agents.remove(agent);
            }
        }
        return agent;
    }

    /** The agent that has the lock now, null if none has. */
    void setHolder(LockAgent agent) {
        holder = agent;
    }

    /** The agent has ended. */
    void done(LockAgent agent) {
        agents.remove(agent);
    }

    /** The segment has been closed. */
    void invalidate() {
        agents.forEach(agent -> agent.fail(attachment.closed("lock")));
    }

    // ---- what is known of it ----

    /** The lock is not abandoned, so there is nothing to repair; not for the public. */
    private static final class NotAbandoned extends RuntimeException {
        private static final long serialVersionUID = 1;

        NotAbandoned() {
            super(null, null, false, false);
        }
    }

    /** The exception for a code, by the thread that got it. */
    RuntimeException exception(int code) {
        if (code == Natives.PSHM_EGOOD) {
            return new NotAbandoned();
        }
        return code == Natives.PSHM_EOWNERDIED
                ? ownerDied(ByteBuffer.allocateDirect(Waiting.DEATH_BYTES))
                : Errors.exception(code);
    }

    /** That of {@code PSHM_EOWNERDIED}, which the calling thread was told last. */
    static OwnerDiedException ownerDied(ByteBuffer memory) {
        String name = Natives.pshm_error_name(Natives.PSHM_EOWNERDIED);
        String detail = Natives.pshm_error_detail();
        return new OwnerDiedException(
                name, detail, Native.told(memory, NativeLock::deathOf).orElseThrow());
    }

    /** Who holds the lock now, in any process. */
    public Optional<Lock.Owner> owner() {
        return inspect(info -> ownerOf(info.holder()));
    }

    static Optional<Lock.Owner> ownerOf(pshm_holder holder) {
        return ownerOf(holder, Lock.Owner::new);
    }

    @Override
    public Optional<Lock.Death> lastDeath() {
        return inspect(NativeLock::deathOf);
    }

    private static Optional<Lock.Death> deathOf(pshm_lock_info info) {
        return deathOf(info.dead(), info.deaths());
    }

    static Optional<Lock.Death> deathOf(pshm_holder dead, long deaths) {
        return ownerOf(dead, (pid, name, since) -> new Lock.Death(pid, name, since, deaths));
    }

    public boolean isAbandoned() {
        return inspect(info -> info.abandoned() != 0);
    }

    private <T> T inspect(Function<pshm_lock_info, T> read) {
        T result = Native.inspect(handle, read);
        Reference.reachabilityFence(this);
        return result;
    }

    private interface OwnerFactory<T> {
        T of(long pid, String threadName, Instant since);
    }

    private static <T> Optional<T> ownerOf(pshm_holder holder, OwnerFactory<T> factory) {
        if (holder.pid() == 0) {
            return Optional.empty();
        }
        return Optional.of(
                factory.of(
                        holder.pid(),
                        Text.of(holder.thread_name()),
                        Text.instant(holder.since_ns())));
    }
}
