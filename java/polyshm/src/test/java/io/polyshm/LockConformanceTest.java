// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the JDK says of {@link java.util.concurrent.locks.Lock}, and of {@code ReentrantLock} where
 * that holds for every reentrant lock, sentence by sentence: for each kind of thread, and with the
 * lock held by a thread of this JVM and by another JVM.
 */
@Timeout(120)
class LockConformanceTest {
    private static final int FREE = 0;
    private static final int HELD = 1;
    private static final int END = 2;

    private static SharedMemory memory;
    private static Lock lock;
    private static SharedValue.OfInt wanted;
    private static ForkedJvm otherJvm;

    private Runnable release = () -> {};

    @BeforeAll
    static void startOtherJvm() {
        memory = SharedMemory.anonymous(100_000);
        lock = Lock.in(memory, "lock");
        wanted = SharedValue.ofInt(memory, "wanted");
        Lock lock = LockConformanceTest.lock;
        SharedValue.OfInt wanted = LockConformanceTest.wanted;
        otherJvm =
                ForkedJvm.start(
                        () -> {
                            for (int what = FREE; what != END; what = wanted.getVolatile()) {
                                if (what == HELD) {
                                    lock.lock();
                                    awaitChange(wanted, HELD);
                                    lock.unlock();
                                } else {
                                    awaitChange(wanted, FREE);
                                }
                            }
                        });
    }

    private static void awaitChange(SharedValue.OfInt value, int from) throws InterruptedException {
        while (value.getVolatile() == from) {
            Thread.sleep(1);
        }
    }

    @AfterAll
    static void endOtherJvm() throws InterruptedException {
        wanted.setVolatile(END);
        otherJvm.join();
        memory.close();
    }

    @AfterEach
    void letGo() {
        release.run();
        ThreadKind.soon()
                .until(() -> lock.owner().isEmpty() && LockAgentsTest.waitingAgents() == 0);
    }

    // ---- what varies ----

    /** Who holds the lock that another wants. */
    private enum Holder {
        THREAD,
        JVM
    }

    /** A way to take the lock. */
    private enum Way {
        LOCK,
        INTERRUPTIBLY,
        TRY,
        TIMED;

        boolean take() throws InterruptedException {
            switch (this) {
                case LOCK -> lock.lock();
                case INTERRUPTIBLY -> lock.lockInterruptibly();
                case TRY -> {
                    return lock.tryLock();
                }
                case TIMED -> {
                    return lock.tryLock(1, TimeUnit.HOURS);
                }
            }
            return true;
        }

        boolean waits() {
            return this != TRY;
        }

        boolean isInterruptible() {
            return this == INTERRUPTIBLY || this == TIMED;
        }
    }

    record Case(ThreadKind kind, Way way, Holder holder) {
        ThreadKind.Task<Boolean> start() {
            return kind.start(
                    () -> {
                        boolean taken = way.take();
                        if (taken) {
                            assertThat(lock.getHoldCount()).isEqualTo(1);
                            lock.unlock();
                        }
                        return taken;
                    });
        }
    }

    static Stream<ThreadKind> kinds() {
        return Arrays.stream(ThreadKind.values()).filter(ThreadKind::isSupported);
    }

    static Stream<Case> cases() {
        return kinds().flatMap(
                        kind ->
                                Arrays.stream(Way.values())
                                        .flatMap(
                                                way ->
                                                        Arrays.stream(Holder.values())
                                                                .map(
                                                                        each ->
                                                                                new Case(
                                                                                        kind, way,
                                                                                        each))));
    }

    static Stream<Case> waiting() {
        return cases().filter(each -> each.way.waits());
    }

    static Stream<Case> uninterruptible() {
        return waiting().filter(each -> !each.way.isInterruptible());
    }

    static Stream<Case> interruptible() {
        return cases().filter(each -> each.way.isInterruptible());
    }

    /** From here on somebody else holds the lock, until {@code release} is run. */
    private void hold(Holder holder) throws Exception {
        if (holder == Holder.JVM) {
            wanted.setVolatile(HELD);
            ThreadKind.soon()
                    .until(
                            () ->
                                    lock.owner()
                                            .filter(owner -> owner.pid() == otherJvm.pid())
                                            .isPresent());
            release = () -> wanted.setVolatile(FREE);
            return;
        }
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch end = new CountDownLatch(1);
        ThreadKind.Task<Object> thread =
                ThreadKind.PLATFORM.start(
                        () -> {
                            lock.lock();
                            held.countDown();
                            end.await();
                            lock.unlock();
                            return null;
                        });
        release = end::countDown;
        ThreadKind.soon().until(() -> held.getCount() == 0 || thread.result().isDone());
        if (held.getCount() != 0) {
            thread.get(); // throws what it has failed with
        }
    }

    private static <T> T in(ThreadKind kind, Callable<T> work) throws Exception {
        return kind.start(work).get();
    }

    // ---- lock(), lockInterruptibly(), tryLock(), tryLock(time, unit) ----

    /** "Acquires the lock." For each way, if it is available, and then nobody else has it. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldAcquireTheLockWhenItIsAvailable(ThreadKind kind) throws Exception {
        for (Way way : Way.values()) {
            in(
                    kind,
                    () -> {
                        assertThat(way.take()).isTrue();
                        assertThat(lock.isHeldByCurrentThread()).isTrue();
                        for (ThreadKind other : kinds().toList()) {
                            assertThat(in(other, () -> lock.tryLock())).isFalse();
                        }
                        lock.unlock();
                        return null;
                    });
        }
    }

    /**
     * "If the lock is not available [the thread] lies dormant until the lock has been acquired."
     */
    @ParameterizedTest
    @MethodSource("waiting")
    void shouldWaitUntilTheLockIsAcquiredWhenItIsNotAvailable(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter = each.start();
        waiter.awaitBlocked();
        assertThat(waiter.result().isDone()).isFalse();
        release.run();
        assertThat(waiter.get()).isTrue();
    }

    /** "If the current thread already holds the lock then the hold count is incremented by one." */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldIncrementTheHoldCountWhenTheThreadHoldsTheLock(ThreadKind kind) throws Exception {
        for (Way first : Way.values()) {
            in(
                    kind,
                    () -> {
                        assertThat(first.take()).isTrue();
                        int holds = 1;
                        for (Way again : Way.values()) {
                            assertThat(again.take()).isTrue();
                            assertThat(lock.getHoldCount()).isEqualTo(++holds);
                        }
                        assertThat(lock.tryLock(0, TimeUnit.SECONDS)).isTrue();
                        assertThat(lock.tryLock(-1, TimeUnit.SECONDS)).isTrue();
                        assertThat(lock.getHoldCount()).isEqualTo(holds + 2);
                        for (int i = 0; i < holds + 2; i++) {
                            lock.unlock();
                        }
                        return null;
                    });
        }
    }

    /** The same for a thread that had to wait, which may hold the lock by other means. */
    @ParameterizedTest
    @MethodSource("waiting")
    void shouldIncrementTheHoldCountWhenTheThreadHadToWait(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Integer> waiter =
                each.kind.start(
                        () -> {
                            each.way.take();
                            for (Way again : Way.values()) {
                                again.take();
                            }
                            int holds = lock.getHoldCount();
                            for (int i = holds; i > 0; i--) {
                                lock.unlock();
                            }
                            return holds;
                        });
        waiter.awaitBlocked();
        release.run();
        assertThat(waiter.get()).isEqualTo(1 + Way.values().length);
    }

    // ---- interrupts ----

    /** lock() and tryLock() are not interruptible; the interrupt is still there afterwards. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldKeepTheInterruptWhenInterruptedBeforeAndNotInterruptible(ThreadKind kind)
            throws Exception {
        for (Way way : List.of(Way.LOCK, Way.TRY)) {
            in(
                    kind,
                    () -> {
                        Thread.currentThread().interrupt();
                        assertThat(way.take()).isTrue();
                        assertThat(Thread.currentThread().isInterrupted()).isTrue();
                        lock.unlock();
                        assertThat(Thread.interrupted()).isTrue();
                        return null;
                    });
        }
    }

    /** The same while it waits: it goes on waiting. */
    @ParameterizedTest
    @MethodSource("uninterruptible")
    void shouldKeepTheInterruptWhenInterruptedWhileItWaits(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter =
                each.kind.start(
                        () -> {
                            lock.lock();
                            boolean interrupted = Thread.interrupted();
                            lock.unlock();
                            return interrupted;
                        });
        for (int i = 0; i < 3; i++) {
            waiter.awaitBlocked();
            waiter.thread().interrupt();
        }
        waiter.awaitBlocked();
        assertThat(waiter.result().isDone()).isFalse();
        release.run();
        assertThat(waiter.get()).isTrue();
    }

    /**
     * "Has its interrupted status set on entry: InterruptedException is thrown, status cleared."
     */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedBefore(Case each) throws Exception {
        for (boolean free : new boolean[] {true, false}) {
            if (!free) {
                hold(each.holder);
            }
            in(
                    each.kind,
                    () -> {
                        Thread.currentThread().interrupt();
                        assertThatThrownBy(each.way::take).isInstanceOf(InterruptedException.class);
                        assertThat(Thread.currentThread().isInterrupted()).isFalse();
                        assertThat(lock.isHeldByCurrentThread()).isFalse();
                        return null;
                    });
        }
    }

    /** The same if it holds the lock, which it goes on doing, and if it would not have waited. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldThrowWhenInterruptedBeforeAndItNeedNotWait(ThreadKind kind) throws Exception {
        in(
                kind,
                () -> {
                    lock.lock();
                    for (Way way : List.of(Way.INTERRUPTIBLY, Way.TIMED)) {
                        Thread.currentThread().interrupt();
                        assertThatThrownBy(way::take).isInstanceOf(InterruptedException.class);
                    }
                    assertThat(lock.getHoldCount()).isEqualTo(1);
                    lock.unlock();
                    for (long time : new long[] {0, -1}) {
                        Thread.currentThread().interrupt();
                        assertThatThrownBy(() -> lock.tryLock(time, TimeUnit.SECONDS))
                                .isInstanceOf(InterruptedException.class);
                        assertThat(Thread.interrupted()).isFalse();
                    }
                    assertThat(lock.isHeldByCurrentThread()).isFalse();
                    return null;
                });
    }

    /**
     * "Is interrupted while acquiring the lock: InterruptedException is thrown, status cleared."
     */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedWhileItWaits(Case each) throws Exception {
        hold(each.holder);
        // The first waits by itself, the second in line behind it.
        ThreadKind.Task<Boolean> first = startAndExpectInterrupt(each);
        first.awaitBlocked();
        ThreadKind.Task<Boolean> second = startAndExpectInterrupt(each);
        second.awaitBlocked();
        second.thread().interrupt();
        assertThat(second.get()).isFalse();
        first.thread().interrupt();
        assertThat(first.get()).isFalse();
        assertThat(lock.owner()).isPresent();
    }

    /** The task's result is whether the interrupt is still set. */
    private static ThreadKind.Task<Boolean> startAndExpectInterrupt(Case each) {
        return each.kind.start(
                () -> {
                    assertThatThrownBy(each.way::take).isInstanceOf(InterruptedException.class);
                    assertThat(lock.isHeldByCurrentThread()).isFalse();
                    return Thread.currentThread().isInterrupted();
                });
    }

    /** The same if the lock becomes free before it has given up: the interrupt came first. */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedBeforeTheLockIsFree(Case each) throws Exception {
        for (int i = 0; i < 50; i++) {
            hold(each.holder);
            ThreadKind.Task<Boolean> waiter =
                    each.kind.start(
                            () -> {
                                try {
                                    each.way.take();
                                    lock.unlock();
                                    return false;
                                } catch (InterruptedException expected) {
                                    return !lock.isHeldByCurrentThread()
                                            && !Thread.currentThread().isInterrupted();
                                }
                            });
            waiter.awaitBlocked();
            waiter.thread().interrupt();
            release.run();
            assertThat(waiter.get()).isTrue();
            letGo();
        }
    }

    /** One that was interrupted can take the lock afterwards, and others can. */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldTakeTheLockWhenItWaitsAgainAfterAnInterrupt(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter =
                each.kind.start(
                        () -> {
                            assertThatThrownBy(each.way::take)
                                    .isInstanceOf(InterruptedException.class);
                            return each.start().get() && each.way.take() && unlocked();
                        });
        waiter.awaitBlocked();
        waiter.thread().interrupt();
        ThreadKind.soon().until(() -> !waiter.thread().isInterrupted());
        release.run();
        assertThat(waiter.get()).isTrue();
    }

    private static boolean unlocked() {
        lock.unlock();
        return true;
    }

    /** An interrupt that comes when it has the lock changes nothing about that. */
    @ParameterizedTest
    @MethodSource("waiting")
    void shouldHoldTheLockWhenInterruptedAfterwards(Case each) throws Exception {
        hold(each.holder);
        CountDownLatch taken = new CountDownLatch(1);
        ThreadKind.Task<Boolean> waiter =
                each.kind.start(
                        () -> {
                            each.way.take();
                            taken.countDown();
                            while (!Thread.currentThread().isInterrupted()) {
                                Thread.onSpinWait();
                            }
                            assertThat(lock.isHeldByCurrentThread()).isTrue();
                            lock.unlock();
                            return Thread.interrupted();
                        });
        waiter.awaitBlocked();
        release.run();
        taken.await();
        waiter.thread().interrupt();
        assertThat(waiter.get()).isTrue();
    }

    // ---- tryLock(), and time ----

    /** "If the lock is not available then this method will return immediately with false." */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldReturnFalseWhenTriedAndHeldByAnother(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter = each.start(); // in line or not
        assertThat(in(each.kind, () -> lock.tryLock())).isFalse();
        release.run();
        waiter.get();
    }

    /** "If the time is less than or equal to zero, the method will not wait at all." */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldNotWaitWhenTheTimeIsZeroOrLess(Case each) throws Exception {
        for (long time : new long[] {0, -1, Long.MIN_VALUE}) {
            assertThat(in(each.kind, () -> lock.tryLock(time, TimeUnit.DAYS) && unlocked()))
                    .isTrue();
        }
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter = each.start();
        for (long time : new long[] {0, -1, Long.MIN_VALUE}) {
            assertThat(in(each.kind, () -> lock.tryLock(time, TimeUnit.DAYS))).isFalse();
        }
        release.run();
        waiter.get();
    }

    /** "If the specified waiting time elapses then the value false is returned." */
    @ParameterizedTest
    @MethodSource("waiting")
    void shouldReturnFalseWhenTheTimeIsOver(Case each) throws Exception {
        hold(each.holder);
        ThreadKind.Task<Boolean> waiter = each.start();
        waiter.awaitBlocked();
        for (long millis : new long[] {1, 20}) {
            assertThat(in(each.kind, () -> lock.tryLock(millis, TimeUnit.MILLISECONDS))).isFalse();
        }
        release.run();
        assertThat(waiter.get()).isTrue();
        assertThat(in(each.kind, () -> lock.tryLock(Long.MAX_VALUE, TimeUnit.DAYS) && unlocked()))
                .isTrue();
    }

    // ---- unlock() ----

    /** "If the current thread is not the holder then IllegalMonitorStateException is thrown." */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldThrowWhenNotTheHolderUnlocks(Case each) throws Exception {
        expectNotHeld(each.kind);
        hold(each.holder);
        expectNotHeld(each.kind);
        release.run();
        each.kind
                .start(
                        () -> {
                            while (!each.way.take()) {
                                Thread.onSpinWait();
                            }
                            for (ThreadKind other : kinds().toList()) {
                                expectNotHeld(other);
                            }
                            assertThat(lock.getHoldCount()).isEqualTo(1);
                            lock.unlock();
                            assertThatThrownBy(lock::unlock)
                                    .isInstanceOf(IllegalMonitorStateException.class);
                            return null;
                        })
                .get();
    }

    private static void expectNotHeld(ThreadKind kind) throws Exception {
        in(
                kind,
                () -> {
                    assertThatThrownBy(lock::unlock)
                            .isInstanceOf(IllegalMonitorStateException.class)
                            .hasMessageContaining("does not hold");
                    assertThat(lock.isHeldByCurrentThread()).isFalse();
                    assertThat(lock.getHoldCount()).isZero();
                    return null;
                });
    }

    /** "If the hold count is now zero then the lock is released", not before. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldReleaseTheLockWhenTheHoldCountIsZero(ThreadKind kind) throws Exception {
        in(
                kind,
                () -> {
                    for (Way way : Way.values()) {
                        way.take();
                    }
                    for (int left = Way.values().length - 1; left >= 0; left--) {
                        assertThat(in(kind, () -> lock.tryLock())).isFalse();
                        lock.unlock();
                        assertThat(lock.getHoldCount()).isEqualTo(left);
                    }
                    assertThat(in(kind, () -> lock.tryLock() && unlocked())).isTrue();
                    return null;
                });
    }

    // ---- memory ----

    /**
     * A successful lock has the memory effects of a Lock action, and unlock of an Unlock action.
     */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldShowWhatTheLastHolderDidWhenAcquired(ThreadKind kind) throws Exception {
        int[] plain = {0};
        List<ThreadKind.Task<Object>> tasks =
                Arrays.stream(Way.values())
                        .map(
                                way ->
                                        kind.start(
                                                () -> {
                                                    for (int i = 0; i < 1_000; i++) {
                                                        while (!way.take()) {
                                                            Thread.onSpinWait();
                                                        }
                                                        plain[0]++;
                                                        lock.unlock();
                                                    }
                                                    return null;
                                                }))
                        .toList();
        for (ThreadKind.Task<Object> task : tasks) {
            task.get();
        }
        assertThat(plain[0]).isEqualTo(1_000 * Way.values().length);
    }
}
