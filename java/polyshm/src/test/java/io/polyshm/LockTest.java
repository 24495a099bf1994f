// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What is this lock's own, in one JVM; between JVMs in {@link OwnerDeathTest} and {@link
 * TravelTest}, and what holds for every lock in {@link LockConformanceTest}.
 */
@Timeout(120)
class LockTest {
    @RegisterExtension final Segments segments = new Segments();

    private Lock lock;

    @BeforeEach
    void create() {
        lock = Lock.create();
    }

    @AfterEach
    void close() {
        lock.close();
    }

    /** Runs in a thread of its own. */
    private static <T> FutureTask<T> start(String name, Callable<T> work) {
        FutureTask<T> task = new FutureTask<>(work);
        new Thread(task, name).start();
        return task;
    }

    private static <T> T inThread(Callable<T> work) throws Exception {
        return start("other", work).get();
    }

    // ---- taking and giving back ----

    @Test
    void shouldTellItsOwner() throws Exception {
        assertThat(lock.owner()).isEmpty();
        Instant before = Instant.now().minusSeconds(1);
        FutureTask<Object> holder =
                start(
                        "the holder",
                        () -> {
                            lock.lock();
                            try {
                                synchronized (this) {
                                    wait();
                                }
                            } finally {
                                lock.unlock();
                            }
                            return null;
                        });
        await().until(() -> lock.owner().isPresent());
        Lock.Owner owner = lock.owner().orElseThrow();
        assertThat(owner.pid()).isEqualTo(ProcessHandle.current().pid());
        assertThat(owner.threadName()).isEqualTo("the holder");
        assertThat(owner.since()).isBetween(before, Instant.now().plusSeconds(1));
        assertThat(lock.isHeldByCurrentThread()).isFalse();
        while (!holder.isDone()) {
            synchronized (this) {
                notifyAll();
            }
            Thread.onSpinWait();
        }
        holder.get();
        assertThat(lock.owner()).isEmpty();
    }

    @Test
    void shouldGuardTheActionAndReturnItsResult() {
        assertThat(lock.<Boolean>withLock(() -> lock.isHeldByCurrentThread())).isTrue();
        lock.withLock((Runnable) () -> assertThat(lock.isHeldByCurrentThread()).isTrue());
        assertThatThrownBy(
                        () ->
                                lock.withLock(
                                        (Runnable)
                                                () -> {
                                                    throw new IllegalStateException("mine");
                                                }))
                .hasMessage("mine");
        assertThat(lock.isHeldByCurrentThread()).isFalse();
    }

    @Test
    void shouldBeOneLockWhenOpenedTwice() throws Exception {
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            Lock first = Lock.in(memory, "one");
            Lock second = Lock.in(memory, "one");
            first.lock();
            assertThat(second.isHeldByCurrentThread()).isTrue();
            assertThat(inThread(() -> second.tryLock())).isFalse();
            second.unlock();
            assertThat(inThread(() -> second.tryLock() && unlocked(second))).isTrue();
        }
    }

    private static boolean unlocked(Lock lock) {
        lock.unlock();
        return true;
    }

    // ---- interrupts and timeouts ----

    @Test
    void shouldTakeTheLockWhenWaitedForAgainAfterAnInterrupt() throws Exception {
        lock.lock();
        ThreadKind.Task<Integer> waiter =
                ThreadKind.PLATFORM.start(
                        () -> {
                            int interrupts = 0;
                            while (true) {
                                try {
                                    lock.lockInterruptibly();
                                    lock.unlock();
                                    return interrupts;
                                } catch (InterruptedException again) {
                                    interrupts++;
                                }
                            }
                        });
        for (int i = 0; i < 20; i++) {
            waiter.awaitBlocked();
            waiter.thread().interrupt();
            await().until(() -> !waiter.thread().isInterrupted());
        }
        long agents = LockAgentsTest.waitingAgents();
        lock.unlock();
        assertThat(agents).as("threads that wait for another").isZero();
        assertThat(waiter.get()).isBetween(1, 20);
    }

    @Test
    void shouldNotHangWhenInterruptsMeetReleases() throws Exception {
        for (int round = 0; round < 300; round++) {
            lock.lock();
            ThreadKind.Task<Object> waiter =
                    ThreadKind.PLATFORM.start(
                            () -> {
                                while (true) {
                                    try {
                                        lock.lockInterruptibly();
                                        lock.unlock();
                                        return null;
                                    } catch (InterruptedException again) {
                                        // Waits again.
                                    }
                                }
                            });
            waiter.awaitBlocked();
            waiter.thread().interrupt();
            lock.unlock();
            waiter.get();
        }
    }

    // ---- close ----

    @Test
    void shouldNotCloseWhenHeldByAnyThreadOfThisProcess() throws Exception {
        FutureTask<Object> holder =
                start(
                        "holder",
                        () -> {
                            lock.lock();
                            synchronized (this) {
                                wait();
                            }
                            lock.unlock();
                            return null;
                        });
        await().until(() -> lock.owner().isPresent());
        assertThatThrownBy(lock::close).isInstanceOf(LockHeldException.class);
        while (!holder.isDone()) {
            synchronized (this) {
                notifyAll();
            }
            Thread.onSpinWait();
        }
        holder.get();
    }

    @Test
    void shouldThrowInWaitersWhenClosedBehindAnotherProcessesBack() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 10_000)) {
            SharedMemory mine = SharedMemory.open(memory.name());
            Lock here = Lock.in(mine, "x");
            ForkedJvm holder = holder(Lock.in(memory, "x"));
            await().until(() -> here.owner().isPresent());
            ThreadKind.Task<Object> interruptible =
                    ThreadKind.PLATFORM.start(
                            () -> {
                                here.lockInterruptibly();
                                return null;
                            });
            FutureTask<Object> plain =
                    start(
                            "plain",
                            () -> {
                                here.lock();
                                return null;
                            });
            interruptible.awaitBlocked();
            mine.close();
            assertThatThrownBy(interruptible::get)
                    .isInstanceOf(ExecutionException.class)
                    .hasCauseInstanceOf(ClosedException.class);
            assertThatThrownBy(plain::get)
                    .isInstanceOf(ExecutionException.class)
                    .hasCauseInstanceOf(ClosedException.class);
            assertThat(holder.isAlive()).isTrue();
            holder.kill();
        }
    }

    private static ForkedJvm holder(Lock lock) {
        return ForkedJvm.start(
                () -> {
                    lock.lock();
                    Thread.sleep(Long.MAX_VALUE);
                });
    }

    // ---- virtual threads ----

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldBeHeldByAVirtualThreadAcrossAPark() throws Exception {
        int[] unguarded = {0};
        List<Thread> threads = new ArrayList<>();
        for (int thread = 0; thread < 50; thread++) {
            threads.add(
                    ThreadKind.startVirtual(
                            () -> {
                                for (int i = 0; i < 20; i++) {
                                    lock.lock();
                                    int seen = unguarded[0];
                                    Thread.yield();
                                    sleep(0, 1000);
                                    lock.lock();
                                    unguarded[0] = seen + 1;
                                    lock.unlock();
                                    lock.unlock();
                                }
                            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(unguarded[0]).isEqualTo(1000);
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldTellOfTheDeathOfAVirtualThread() throws Exception {
        ThreadKind.startVirtual(() -> lock.lock()).join();
        assertThatThrownBy(lock::lock).isInstanceOf(OwnerDiedException.class);
        Thread repairer =
                ThreadKind.startVirtual(() -> lock.repair(death -> lock.withLock(() -> {})));
        repairer.join();
        lock.lock();
        lock.unlock();
    }

    private static void sleep(long millis, int nanos) {
        try {
            Thread.sleep(millis, nanos);
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }
}
