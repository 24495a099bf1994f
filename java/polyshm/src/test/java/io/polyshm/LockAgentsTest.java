// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Many threads for which other threads wait for a lock and hold it. */
@Timeout(240)
class LockAgentsTest {
    /** Of a JVM in all; if each that waits has one it is thousands. */
    private static final int FEW_THREADS = 256;

    private SharedMemory memory;
    private Lock lock;
    private SharedValue.OfLong sum;

    @BeforeEach
    void create() {
        memory = SharedMemory.anonymous(100_000);
        lock = Lock.in(memory, "lock");
        sum = SharedValue.ofLong(memory, "sum");
    }

    @AfterEach
    void close() {
        memory.close();
    }

    /** What one of many threads does. */
    private interface Work {
        void run(int index) throws Exception;
    }

    private static List<ThreadKind.Task<Void>> startVirtual(int count, Work work) {
        List<ThreadKind.Task<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int index = i;
            tasks.add(
                    ThreadKind.VIRTUAL.start(
                            () -> {
                                work.run(index);
                                return null;
                            }));
        }
        return tasks;
    }

    private static void awaitParked(List<ThreadKind.Task<Void>> tasks) {
        await().until(() -> tasks.stream().allMatch(ThreadKind.Task::isParked));
    }

    private static void join(List<ThreadKind.Task<Void>> tasks) throws Exception {
        for (ThreadKind.Task<Void> task : tasks) {
            task.get();
        }
    }

    /** Takes it in one of the ways that wait. */
    private static void take(Lock lock, int way) throws InterruptedException {
        switch (way % 3) {
            case 0 -> lock.lock();
            case 1 -> lock.lockInterruptibly();
            default -> assertThat(lock.tryLock(1, TimeUnit.HOURS)).isTrue();
        }
    }

    /** The most threads of the system that this JVM has had for Java's. */
    private static int peakThreads() {
        return ManagementFactory.getThreadMXBean().getPeakThreadCount();
    }

    /** Agents that are in C, so not those that hold the lock. */
    static long waitingAgents() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("polyshm-lock-agent"))
                .filter(thread -> thread.getState() == Thread.State.RUNNABLE)
                .count();
    }

    // ---- virtual threads of several JVMs ----

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldCountExactlyWhenManyVirtualThreadsOfFourJvmsTakeTheLock() throws Exception {
        int threads = 10_000;
        int jvms = 4;
        Lock lock = this.lock;
        SharedValue.OfLong sum = this.sum;
        SharedValue.OfLong started = SharedValue.ofLong(memory, "started");
        lock.lock();
        List<ForkedJvm.Call<Integer>> children = new ArrayList<>();
        for (int jvm = 0; jvm < jvms; jvm++) {
            children.add(
                    ForkedJvm.call(
                            () -> {
                                join(
                                        startVirtual(
                                                threads,
                                                i -> {
                                                    started.getAndAdd(1);
                                                    take(lock, i);
                                                    long seen = sum.get();
                                                    Thread.yield();
                                                    sum.set(seen + 1);
                                                    lock.unlock();
                                                }));
                                return peakThreads();
                            }));
        }
        await().atMost(Duration.ofMinutes(2)).until(() -> started.get() == threads * jvms);
        lock.unlock();
        for (ForkedJvm.Call<Integer> child : children) {
            assertThat(child.get()).as("threads of a JVM").isLessThan(FEW_THREADS);
        }
        assertThat(sum.get()).isEqualTo(threads * jvms);
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldLeaveTheOnlyCarrierFreeWhenVirtualThreadsWait() throws Exception {
        int threads = 1_000;
        Lock lock = this.lock;
        SharedValue.OfLong sum = this.sum;
        lock.lock();
        ForkedJvm.Call<Integer> child =
                withCarriers(1)
                        .call(
                                () -> {
                                    List<ThreadKind.Task<Void>> waiters =
                                            startVirtual(
                                                    threads,
                                                    i -> {
                                                        take(lock, i);
                                                        lock.unlock();
                                                    });
                                    awaitParked(waiters);
                                    ThreadKind.VIRTUAL
                                            .start(() -> sum.getAndAdd(waiters.size()))
                                            .get();
                                    join(waiters);
                                    return peakThreads();
                                });
        await().atMost(Duration.ofMinutes(1)).until(() -> sum.get() == threads);
        lock.unlock();
        assertThat(child.get()).as("threads of a JVM").isLessThan(FEW_THREADS);
    }

    /** A JVM with so many threads of the system to run virtual ones. */
    private static ForkedJvm.Builder withCarriers(int count) {
        return ForkedJvm.builder()
                .jvmOptions(
                        "-Djdk.virtualThreadScheduler.parallelism=" + count,
                        "-Djdk.virtualThreadScheduler.maxPoolSize=" + count);
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldBeReleasedInAnotherCarrierThanItWasTakenIn() throws Exception {
        Lock lock = this.lock;
        withCarriers(2)
                .start(() -> ThreadKind.VIRTUAL.start(() -> releaseInAnotherCarrier(lock)).get())
                .join();
        assertThat(lock.tryLock()).isTrue();
        lock.unlock();
    }

    private static Void releaseInAnotherCarrier(Lock lock) throws Exception {
        lock.lock();
        String first = carrier();
        while (carrier().equals(first)) {
            AtomicBoolean done = new AtomicBoolean();
            ThreadKind.Task<Void> busy =
                    ThreadKind.VIRTUAL.start(
                            () -> {
                                while (!done.get()) {
                                    Thread.onSpinWait();
                                }
                                return null;
                            });
            Thread.sleep(1); // and go on in the one that is not busy
            done.set(true);
            busy.get();
        }
        assertThat(lock.isHeldByCurrentThread()).isTrue();
        lock.unlock();
        return null;
    }

    /** A virtual thread names it in its text, after the last {@code @}. */
    private static String carrier() {
        String text = Thread.currentThread().toString();
        return text.substring(text.lastIndexOf('@'));
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldLetAnotherProcessInWhenVirtualThreadsTakeItAgainAndAgain() throws Exception {
        Lock lock = this.lock;
        SharedValue.OfLong sum = this.sum;
        SharedValue.OfLong stop = SharedValue.ofLong(memory, "stop");
        ForkedJvm.Call<Integer> child =
                ForkedJvm.call(
                        () -> {
                            join(
                                    startVirtual(
                                            50,
                                            i -> {
                                                while (stop.getVolatile() == 0) {
                                                    take(lock, i);
                                                    sum.set(sum.get() + 1);
                                                    lock.unlock();
                                                }
                                            }));
                            return peakThreads();
                        });
        for (int round = 0; round < 20; round++) {
            long before = sum.getVolatile();
            await().until(() -> sum.getVolatile() > before);
            lock.lock();
            lock.unlock();
        }
        stop.setVolatile(1);
        assertThat(child.get()).as("threads of a JVM").isLessThan(FEW_THREADS);
    }

    // ---- who waits, and who gave up ----

    @ParameterizedTest
    @EnumSource
    void shouldLeaveOneAgentWaitingWhenManyThreadsGaveUp(ThreadKind kind) throws Exception {
        assumeTrue(kind.isSupported());
        lock.lock();
        for (int i = 0; i < 100; i++) {
            int way = i;
            ThreadKind.Task<Object> waiter =
                    kind.start(
                            () ->
                                    switch (way % 3) {
                                        case 0 -> lock.tryLock(1, TimeUnit.MILLISECONDS);
                                        case 1 -> lock.tryLock();
                                        default -> {
                                            lock.lockInterruptibly();
                                            yield true;
                                        }
                                    });
            if (way % 3 == 2) {
                waiter.awaitBlocked();
                waiter.thread().interrupt();
                assertThatThrownBy(waiter::get).hasCauseInstanceOf(InterruptedException.class);
            } else {
                assertThat(waiter.get()).isEqualTo(false);
            }
        }
        await().until(() -> waitingAgents() <= (kind == ThreadKind.VIRTUAL ? 1 : 0));
        lock.unlock();
        await().until(() -> waitingAgents() == 0);
        assertThat(kind.start(() -> lock.tryLock() && unlocked()).get()).isTrue();
    }

    private boolean unlocked() {
        lock.unlock();
        return true;
    }

    /** So it does not take the lock in passing when that becomes free. */
    @ParameterizedTest
    @EnumSource
    void shouldLeaveNoAgentWaitingWhenTheTimeIsOver(ThreadKind kind) throws Exception {
        assumeTrue(kind.isSupported());
        lock.lock();
        assertThat(kind.start(() -> lock.tryLock(20, TimeUnit.MILLISECONDS)).get()).isFalse();
        await().until(() -> waitingAgents() == 0);
        lock.unlock();
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldWaitForeverWhenItTookOverFromOneWithLittleTime() throws Exception {
        ThreadKind kind = ThreadKind.VIRTUAL;
        lock.lock();
        ThreadKind.Task<Boolean> first = kind.start(() -> lock.tryLock(1, TimeUnit.SECONDS));
        first.awaitParked();
        await().until(() -> waitingAgents() == 1);
        first.thread().interrupt();
        ThreadKind.Task<Boolean> second =
                kind.start(
                        () -> {
                            lock.lockInterruptibly();
                            return unlocked();
                        });
        Thread.sleep(1_500);
        assertThat(second.result().isDone()).isFalse();
        assertThat(waitingAgents()).isEqualTo(1);
        lock.unlock();
        assertThat(second.get()).isTrue();
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldNotTellOfARepairedDeathWhenItTookOverFromAnother() throws Exception {
        for (int i = 0; i < 200; i++) { // the agent is just about to tell, perhaps
            ThreadKind.Task<Object> dies = ThreadKind.PLATFORM.start("dies", this::lockAndWait);
            awaitState(dies.thread(), Thread.State.TIMED_WAITING);
            ThreadKind.Task<Object> first = ThreadKind.VIRTUAL.start(() -> takeAndWait("first"));
            awaitState(first.thread(), Thread.State.WAITING);
            Thread.sleep(2); // for its agent to be in C
            first.thread().interrupt();
            assertThatThrownBy(first::get).hasCauseInstanceOf(InterruptedException.class);
            dies.thread().interrupt();
            while (!lock.repair(death -> {})) {
                Thread.onSpinWait();
            }
            lock.lock();
            assertThat(ThreadKind.VIRTUAL.start(() -> lock.tryLock(1, TimeUnit.MILLISECONDS)).get())
                    .isFalse();
            lock.unlock();
        }
    }

    private Object lockAndWait() {
        lock.lock();
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException end) {
            // it is still held
        }
        return null;
    }

    private static void awaitState(Thread thread, Thread.State state) {
        while (thread.getState() != state) {
            Thread.onSpinWait();
        }
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldTellTheNameOfTheHolderWhenItTookOverFromAnother() throws Exception {
        lock.lock();
        ThreadKind.Task<Object> first = ThreadKind.VIRTUAL.start(() -> takeAndWait("the first"));
        first.awaitParked();
        first.thread().interrupt();
        assertThatThrownBy(first::get).hasCauseInstanceOf(InterruptedException.class);
        ThreadKind.Task<Object> second = ThreadKind.VIRTUAL.start(() -> takeAndWait("the second"));
        second.awaitParked();
        assertThat(waitingAgents()).isEqualTo(1);
        lock.unlock();
        await().untilAsserted(
                        () ->
                                assertThat(lock.owner().map(Lock.Owner::threadName))
                                        .contains("the second"));
        second.thread().interrupt();
        second.get();
    }

    private Object takeAndWait(String name) throws InterruptedException {
        Thread.currentThread().setName(name);
        lock.lockInterruptibly();
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException end) {
            // as it was meant
        } finally {
            lock.unlock();
        }
        return null;
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldNotWaitWhenOnlyTryingAndOthersQueue() throws Exception {
        lock.lock();
        List<ThreadKind.Task<Void>> waiters =
                startVirtual(
                        100,
                        i -> {
                            take(lock, i);
                            lock.unlock();
                        });
        for (int i = 0; i < 100; i++) {
            assertThat(ThreadKind.VIRTUAL.start(() -> lock.tryLock()).get()).isFalse();
            assertThat(ThreadKind.VIRTUAL.start(() -> lock.tryLock(0, TimeUnit.SECONDS)).get())
                    .isFalse();
        }
        lock.unlock();
        join(waiters);
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldGetAFreeLockHoweverShortTheTime() throws Exception {
        for (int i = 0; i < 100; i++) {
            long nanos = 1L << i % 20;
            assertThat(
                            ThreadKind.VIRTUAL
                                    .start(
                                            () ->
                                                    lock.tryLock(nanos, TimeUnit.NANOSECONDS)
                                                            && unlocked())
                                    .get())
                    .isTrue();
        }
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldThrowInAllThatQueueWhenClosed() throws Exception {
        Lock theirs = lock;
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            theirs.lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        await().until(() -> lock.owner().isPresent());
        List<ThreadKind.Task<Void>> waiters = startVirtual(200, i -> take(lock, i));
        awaitParked(waiters);
        memory.close();
        for (ThreadKind.Task<Void> waiter : waiters) {
            assertThatThrownBy(waiter::get).hasCauseInstanceOf(ClosedException.class);
        }
        holder.kill();
        holder.onExit().join();
    }

    // ---- who waits uses no processor ----

    @Test
    void shouldNotBeSwitchedToWhenWaiting() throws Exception {
        Lock lock = this.lock;
        SharedValue.OfLong sum = this.sum;
        lock.lock();
        ForkedJvm child =
                ForkedJvm.start(
                        () -> {
                            ThreadKind kind =
                                    ThreadKind.VIRTUAL.isSupported()
                                            ? ThreadKind.VIRTUAL
                                            : ThreadKind.PLATFORM;
                            List<ThreadKind.Task<Void>> waiters = new ArrayList<>();
                            for (int i = 0; i < 8; i++) {
                                int way = i < 4 ? 0 : i < 6 ? 1 : 2;
                                waiters.add(
                                        (way == 2 ? kind : ThreadKind.PLATFORM)
                                                .start(
                                                        "waiter-" + i,
                                                        () -> {
                                                            take(lock, way);
                                                            sum.set(sum.get() + 1);
                                                            lock.unlock();
                                                            return null;
                                                        }));
                            }
                            join(waiters);
                        });
        // Six platform threads, an agent, and at least one more that runs virtual ones; or eight.
        ContextSwitches.assertNone(
                child.pid(), 8, "waiter-", "polyshm-", "ForkJoinPool-", "VirtualThread-");
        lock.unlock();
        child.join();
        assertThat(sum.get()).isEqualTo(8);
    }

    // ---- deaths and repair ----

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldTellAllThatQueueWhenAVirtualThreadDies() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        ThreadKind.VIRTUAL.start(
                () -> {
                    lock.lock();
                    end.await();
                    return null;
                });
        await().until(() -> lock.owner().isPresent());
        List<ThreadKind.Task<Void>> waiters = startVirtual(50, i -> take(lock, i));
        awaitParked(waiters);
        end.countDown();
        for (ThreadKind.Task<Void> waiter : waiters) {
            assertThatThrownBy(waiter::get).hasCauseInstanceOf(OwnerDiedException.class);
        }
        assertThat(lock.repair(death -> assertThat(death.deaths()).isEqualTo(1))).isTrue();
        assertThat(lock.tryLock() && unlocked()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void shouldNotWaitForItselfWhenTheHolderRepairs(ThreadKind kind) throws Exception {
        assumeTrue(kind.isSupported());
        lock.lock();
        ThreadKind.Task<Boolean> holder =
                kind.start(
                        () -> {
                            lock.lockInterruptibly();
                            boolean repaired = lock.repair(death -> {});
                            lock.unlock();
                            return repaired;
                        });
        holder.awaitBlocked();
        lock.unlock();
        assertThat(holder.get()).isFalse();
        assertThat(lock.owner()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void shouldRepairWithinARepair(ThreadKind kind) throws Exception {
        assumeTrue(kind.isSupported());
        kind.start(
                        () -> {
                            lock.lock();
                            return null;
                        })
                .thread()
                .join();
        await().until(() -> !isFree());
        List<Integer> holds = new ArrayList<>();
        Lock lock = this.lock;
        kind.start(
                        () ->
                                lock.repair(
                                        outer -> {
                                            lock.repair(inner -> holds.add(lock.getHoldCount()));
                                            holds.add(lock.getHoldCount());
                                        }))
                .get();
        assertThat(holds).containsExactly(2, 1);
        assertThat(lock.isAbandoned()).isFalse();
        assertThat(lock.owner()).isEmpty();
        lock.lock();
        lock.unlock();
    }

    private boolean isFree() {
        try {
            return lock.tryLock() && unlocked();
        } catch (OwnerDiedException told) {
            return false;
        }
    }
}
