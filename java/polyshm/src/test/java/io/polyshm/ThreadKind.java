// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.awaitility.core.ConditionFactory;

/** The threads that Java has, for tests that hold for both. */
enum ThreadKind {
    PLATFORM,
    VIRTUAL;

    private static final Set<Thread.State> PARKED =
            Set.of(Thread.State.WAITING, Thread.State.TIMED_WAITING);

    private static final Set<String> BLOCKING =
            Set.of(
                    "pshm_lock_acquire",
                    "pshm_lock_await",
                    "pshm_lock_await_abandoned",
                    "pshm_wait_block");

    /** A thread and what becomes of it. */
    record Task<T>(Thread thread, FutureTask<T> result) {
        void awaitParked() {
            soon().until(this::isParked);
        }

        /** Whether it waits in Java; one that waits in C is RUNNABLE. */
        boolean isParked() {
            return PARKED.contains(thread.getState());
        }

        /** Waits for a lock or a synchronizer, in Java or in C. */
        boolean isBlocked() {
            return isParked() || isIn(BLOCKING);
        }

        void awaitBlocked() {
            soon().until(this::isBlocked);
        }

        private boolean isIn(Set<String> functions) {
            StackTraceElement[] frames = thread.getStackTrace();
            return frames.length > 0 && functions.contains(frames[0].getMethodName());
        }

        T get() throws Exception {
            return result.get();
        }
    }

    /** For what comes at once. */
    static ConditionFactory soon() {
        return await().pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(2))
                .atMost(Duration.ofSeconds(60));
    }

    /** Whether this JVM has such threads. */
    boolean isSupported() {
        return this == PLATFORM || Runtime.version().feature() >= 21;
    }

    /** Runs in a thread of its own. */
    <T> Task<T> start(Callable<T> work) {
        return start("other", work);
    }

    /** The same by name, which a virtual one does not get. */
    <T> Task<T> start(String name, Callable<T> work) {
        FutureTask<T> result = new FutureTask<>(work);
        if (this == VIRTUAL) {
            return new Task<>(startVirtual(result), result);
        }
        Thread thread = new Thread(result, name);
        thread.start();
        return new Task<>(thread, result);
    }

    /** {@code Thread.startVirtualThread}, of JDK 21. */
    static Thread startVirtual(Runnable work) {
        try {
            return (Thread)
                    Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, work);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(e.getMessage(), e);
        }
    }
}
