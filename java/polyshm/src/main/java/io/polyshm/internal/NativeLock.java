// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_holder;
import io.polyshm.internal.binding.pshm_lock_info;
import java.lang.ref.Reference;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * A lock of a segment as the threads of this JVM take it. There is one of these for each lock and
 * attachment, whatever the number of {@link Lock} objects.
 *
 * <p>A platform thread takes a lock that is free, or waits for it without being interruptible, by a
 * single native call, and owns the mutex itself. In all other cases a {@link LockAgent} does. The
 * lock is exclusive, so there is at most one agent that holds it; {@code holder} is that one.
 */
public final class NativeLock {
    private static final long FOREVER = -1;

    private final Attachment attachment;
    private final long handle;
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
            awaitUninterruptibly(LockAgent.Need.GOOD, FOREVER);
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
            return awaitUninterruptibly(LockAgent.Need.GOOD, 0);
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
            if (tryDirectly()) {
                return true;
            }
            if (nanos == 0) {
                return false;
            }
        }
        return await(LockAgent.Need.GOOD, nanos, true);
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
        LockAgent agent = holder;
        if (agent != null && agent.isMine()) {
            if (agent.exit()) {
                agent.release(false);
            }
            return;
        }
        int code = Natives.pshm_lock_release(handle);
        if (code != 0) {
            throw exception(code);
        }
        Reference.reachabilityFence(this);
    }

    /** How often the current thread holds the lock. */
    public int holdCount() {
        LockAgent agent = holder;
        if (agent != null && agent.isMine()) {
            return agent.depth();
        }
        int depth = Natives.pshm_lock_depth(handle);
        Reference.reachabilityFence(this);
        return depth;
    }

    /**
     * Runs the repair of an abandoned lock.
     *
     * @return false if the lock is not abandoned
     */
    public boolean repair(Consumer<? super Lock.Death> action) {
        if (Threads.isVirtual(Thread.currentThread())) {
            try {
                awaitUninterruptibly(LockAgent.Need.ABANDONED, FOREVER);
            } catch (NotAbandoned good) {
                return false;
            }
        } else {
            int code = Natives.pshm_lock_acquire_abandoned(handle);
            if (code == Natives.PSHM_EUNNAMED) {
                tellName();
                code = Natives.pshm_lock_acquire_abandoned(handle);
            }
            if (code == Natives.PSHM_EGOOD) {
                return false;
            }
            if (code != 0) {
                throw exception(code);
            }
        }
        boolean repaired = false;
        try {
            action.accept(lastDeath().orElseThrow());
            repaired = true;
        } finally {
            endRepair(repaired);
        }
        return true;
    }

    private void endRepair(boolean repaired) {
        LockAgent agent = holder;
        if (agent != null && agent.isMine()) {
            agent.release(repaired);
            return;
        }
        if (repaired) {
            Errors.check(Natives.pshm_lock_mark_good(handle));
        }
        Errors.check(Natives.pshm_lock_release(handle));
        Reference.reachabilityFence(this);
    }

    private boolean reenter() {
        LockAgent agent = holder;
        if (agent == null || !agent.isMine()) {
            return false;
        }
        agent.reenter();
        return true;
    }

    private static void tellName() {
        Natives.pshm_thread_set_name(Thread.currentThread().getName());
    }

    // ---- by an agent ----

    private boolean awaitUninterruptibly(LockAgent.Need need, long nanos) {
        try {
            return await(need, nanos, false);
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private boolean await(LockAgent.Need need, long nanos, boolean interruptibly)
            throws InterruptedException {
        for (LockAgent agent : agents) {
            if (agent.resume(need, nanos)) {
                return agent.await(interruptibly);
            }
        }
        LockAgent agent = new LockAgent(this, need, nanos);
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
        return agent.await(interruptibly);
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
        return code == Natives.PSHM_EOWNERDIED ? ownerDied(code) : Errors.exception(code);
    }

    /** That of {@code PSHM_EOWNERDIED}, which the calling thread was told last. */
    static OwnerDiedException ownerDied(int code) {
        String name = Natives.pshm_error_name(code);
        String detail = Natives.pshm_error_detail();
        return new OwnerDiedException(name, detail, Native.told(NativeLock::deathOf).orElseThrow());
    }

    /** Who holds the lock now, in any process. */
    public Optional<Lock.Owner> owner() {
        return inspect(info -> ownerOf(info.holder()));
    }

    static Optional<Lock.Owner> ownerOf(pshm_holder holder) {
        return ownerOf(holder, Lock.Owner::new);
    }

    /** The last holder that died. */
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
