// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the JDK says of {@link java.util.concurrent.locks.Condition}, and of the conditions of
 * {@code ReentrantLock} where that holds for every lock, sentence by sentence: for each way in
 * which a thread may hold the lock, and with signals from a thread of this JVM and from another
 * JVM.
 */
@Timeout(120)
class ConditionConformanceTest {
    private static final int NONE = 0;
    private static final int ONE = 1;
    private static final int ALL = 2;
    private static final int END = 3;

    private static SharedMemory memory;
    private static Lock lock;
    private static Condition condition;
    private static SharedValue.OfInt wanted;
    private static ForkedJvm otherJvm;

    @BeforeAll
    static void startOtherJvm() {
        memory = SharedMemory.anonymous(100_000);
        lock = Lock.in(memory, "lock");
        condition = lock.condition("condition");
        wanted = SharedValue.ofInt(memory, "wanted");
        Condition condition = ConditionConformanceTest.condition;
        SharedValue.OfInt wanted = ConditionConformanceTest.wanted;
        otherJvm =
                ForkedJvm.start(
                        () -> {
                            for (int what = NONE; what != END; what = wanted.getVolatile()) {
                                if (what == NONE) {
                                    Thread.sleep(1);
                                } else {
                                    condition.lock().lock();
                                    signal(condition, what);
                                    condition.lock().unlock();
                                    wanted.setVolatile(NONE);
                                }
                            }
                        });
    }

    @AfterAll
    static void endOtherJvm() throws InterruptedException {
        wanted.setVolatile(END);
        otherJvm.join();
        memory.close();
    }

    @AfterEach
    void nobodyWaits() {
        assertThat(waiting()).isZero();
    }

    private static void signal(Condition condition, int what) {
        if (what == ALL) {
            condition.signalAll();
        } else {
            condition.signal();
        }
    }

    // ---- what varies ----

    /** Who waits, and by which thread of the system it holds the lock. */
    enum Waiter {
        PLATFORM(ThreadKind.PLATFORM),
        VIRTUAL(ThreadKind.VIRTUAL);

        final ThreadKind kind;

        Waiter(ThreadKind kind) {
            this.kind = kind;
        }

        /** Runs in a thread of this sort that holds the lock, which it gives back afterwards. */
        <T> ThreadKind.Task<T> start(Callable<T> work) {
            return kind.start(
                    () -> {
                        lock.lock();
                        return holding(work);
                    });
        }

        private static <T> T holding(Callable<T> work) throws Exception {
            int holds = lock.getHoldCount();
            try {
                return work.call();
            } finally {
                assertThat(lock.getHoldCount()).isEqualTo(holds);
                lock.unlock();
            }
        }

        <T> T run(Callable<T> work) throws Exception {
            return start(work).get();
        }
    }

    /** A way to wait. */
    enum Way {
        AWAIT,
        UNINTERRUPTIBLY,
        NANOS,
        TIMED,
        DATE;

        boolean await() throws InterruptedException {
            return await(3_600_000);
        }

        /** True unless the time was over. */
        boolean await(int millis) throws InterruptedException {
            return switch (this) {
                case AWAIT -> {
                    condition.await();
                    yield true;
                }
                case UNINTERRUPTIBLY -> {
                    condition.awaitUninterruptibly();
                    yield true;
                }
                case NANOS -> condition.awaitNanos(TimeUnit.MILLISECONDS.toNanos(millis)) > 0;
                case TIMED -> condition.await(millis, TimeUnit.MILLISECONDS);
                case DATE -> condition.awaitUntil(new Date(System.currentTimeMillis() + millis));
            };
        }

        boolean isInterruptible() {
            return this != UNINTERRUPTIBLY;
        }

        boolean isTimed() {
            return this != AWAIT && isInterruptible();
        }
    }

    /** Who signals. */
    enum Signaller {
        THREAD,
        JVM;

        void signal(int what) {
            if (this == THREAD) {
                lock.withLock(() -> ConditionConformanceTest.signal(condition, what));
            } else {
                wanted.setVolatile(what);
                ThreadKind.soon().until(() -> wanted.getVolatile() == NONE);
            }
        }
    }

    record Case(Waiter waiter, Way way, Signaller signaller) {
        /** Waits, and says how that has ended. */
        ThreadKind.Task<Boolean> start() {
            return waiter.start(way::await);
        }
    }

    static Stream<Waiter> waiters() {
        return Arrays.stream(Waiter.values()).filter(each -> each.kind.isSupported());
    }

    static Stream<Case> ways() {
        return waiters()
                .flatMap(
                        waiter ->
                                Arrays.stream(Way.values())
                                        .map(way -> new Case(waiter, way, Signaller.THREAD)));
    }

    static Stream<Case> cases() {
        return ways().flatMap(
                        each ->
                                Arrays.stream(Signaller.values())
                                        .map(by -> new Case(each.waiter, each.way, by)));
    }

    static Stream<Case> interruptible() {
        return ways().filter(each -> each.way.isInterruptible());
    }

    static Stream<Case> timed() {
        return ways().filter(each -> each.way.isTimed());
    }

    private static int waiting() {
        lock.lock();
        try {
            return condition.getWaitQueueLength();
        } finally {
            lock.unlock();
        }
    }

    private static void awaitWaiting(int count) {
        ThreadKind.soon().until(() -> waiting() == count);
    }

    // ---- await: the lock is released, and the thread lies dormant ----

    /**
     * "The lock associated with this Condition is atomically released and the current thread [...]
     * lies dormant until [...] some other thread invokes the signal() method for this Condition and
     * the current thread happens to be chosen."
     */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldReleaseTheLockAndLieDormantUntilSignalled(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter = each.start();
        awaitWaiting(1); // which takes the lock
        assertThat(waiter.result().isDone()).isFalse();
        each.signaller.signal(ONE);
        assertThat(waiter.get()).isTrue();
    }

    /** "Some other thread invokes the signalAll() method for this Condition." */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldLieDormantUntilAllAreSignalled(Case each) throws Exception {
        List<ThreadKind.Task<Boolean>> all = List.of(each.start(), each.start(), each.start());
        awaitWaiting(3);
        each.signaller.signal(ALL);
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThat(waiter.get()).isTrue();
        }
    }

    /** signal(): "If any threads are waiting on this condition then one is selected." */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldWakeOneOfThemWhenSignalledOnce(Case each) throws Exception {
        List<ThreadKind.Task<Boolean>> all = List.of(each.start(), each.start(), each.start());
        for (int left = 3; left > 0; left--) {
            awaitWaiting(left);
            each.signaller.signal(ONE);
            int before = 3 - left;
            ThreadKind.soon().until(() -> done(all) == before + 1);
        }
    }

    private static long done(List<ThreadKind.Task<Boolean>> tasks) {
        return tasks.stream().filter(task -> task.result().isDone()).count();
    }

    /** ReentrantLock: "Waiting threads are signalled in FIFO order." So it is within a JVM. */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldWakeTheOneThatHasWaitedLongest(Case each) throws Exception {
        List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            all.add(each.start());
            awaitWaiting(i + 1);
        }
        for (ThreadKind.Task<Boolean> next : all) {
            each.signaller.signal(ONE);
            assertThat(next.get()).isTrue();
        }
    }

    /** A signal is for those that wait; one that comes before a wait is not kept. */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldNotKeepASignalWhenNobodyWaits(Case each) throws Exception {
        each.signaller.signal(ONE);
        each.signaller.signal(ALL);
        ThreadKind.Task<Boolean> waiter = each.start();
        awaitWaiting(1);
        each.signaller.signal(ONE);
        assertThat(waiter.get()).isTrue();
    }

    /**
     * "In all cases, before this method can return the current thread must re-acquire the lock
     * associated with this condition. When the thread returns it is guaranteed to hold this lock."
     */
    @ParameterizedTest
    @MethodSource("ways")
    void shouldHoldTheLockAgainWhenItReturns(Case each) throws Exception {
        AtomicInteger released = new AtomicInteger();
        ThreadKind.Task<Integer> waiter =
                each.waiter.start(
                        () -> {
                            each.way.await();
                            assertThat(lock.isHeldByCurrentThread()).isTrue();
                            return released.get();
                        });
        awaitWaiting(1);
        lock.lock();
        condition.signal();
        each.waiter.kind.start(() -> lock.tryLock()).get(); // time in which it must not return
        assertThat(waiter.result().isDone()).isFalse();
        released.set(1);
        lock.unlock();
        assertThat(waiter.get()).isEqualTo(1);
    }

    /** ReentrantLock: the lock "is restored to its saved hold count". */
    @ParameterizedTest
    @MethodSource("ways")
    void shouldReleaseAllHoldsAndHaveThemAgainWhenHeldSeveralTimes(Case each) throws Exception {
        ThreadKind.Task<Integer> waiter =
                each.waiter.start(
                        () -> {
                            lock.lock();
                            lock.lock();
                            each.way.await();
                            int holds = lock.getHoldCount();
                            lock.unlock();
                            lock.unlock();
                            return holds;
                        });
        awaitWaiting(1);
        each.signaller.signal(ONE);
        assertThat(waiter.get()).isEqualTo(3);
    }

    /** ReentrantLock: "If the lock is not held [...] IllegalMonitorStateException is thrown." */
    @ParameterizedTest
    @MethodSource("waiters")
    void shouldThrowWhenTheLockIsNotHeld(Waiter waiter) throws Exception {
        for (boolean free : new boolean[] {true, false}) {
            if (!free) {
                lock.lock();
            }
            waiter.kind
                    .start(
                            () -> {
                                for (Way way : Way.values()) {
                                    assertNotHeld(way::await);
                                }
                                assertNotHeld(() -> condition.awaitNanos(0));
                                assertNotHeld(() -> condition.awaitUntil(() -> true));
                                assertNotHeld(
                                        () ->
                                                condition.awaitUntil(
                                                        () -> true, 1, TimeUnit.SECONDS));
                                assertNotHeld(condition::signal);
                                assertNotHeld(() -> condition.signal(0));
                                assertNotHeld(condition::signalAll);
                                assertNotHeld(condition::getWaitQueueLength);
                                return null;
                            })
                    .get();
            if (!free) {
                lock.unlock();
            }
        }
    }

    private static void assertNotHeld(
            org.assertj.core.api.ThrowableAssert.ThrowingCallable operation) {
        assertThatThrownBy(operation)
                .isInstanceOf(IllegalMonitorStateException.class)
                .hasMessageContaining("does not hold the lock");
    }

    // ---- interrupts ----

    /**
     * "If the current thread has its interrupted status set on entry to this method [...] then
     * InterruptedException is thrown and the current thread's interrupted status is cleared."
     */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowAndKeepTheLockWhenInterruptedBefore(Case each) throws Exception {
        each.waiter.run(
                () -> {
                    Thread.currentThread().interrupt();
                    assertThatThrownBy(each.way::await).isInstanceOf(InterruptedException.class);
                    assertThat(Thread.interrupted()).isFalse();
                    assertThat(lock.getHoldCount()).isEqualTo(1);
                    Thread.currentThread().interrupt();
                    assertThatThrownBy(() -> condition.awaitUntil(() -> true))
                            .isInstanceOf(InterruptedException.class);
                    assertThat(Thread.interrupted()).isFalse();
                    return null;
                });
    }

    /**
     * "... or is interrupted while waiting [...] then InterruptedException is thrown and the
     * current thread's interrupted status is cleared", after it has the lock again.
     */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowHoldingTheLockWhenInterruptedWhileItWaits(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                each.waiter.start(
                        () -> {
                            lock.lock();
                            assertThatThrownBy(each.way::await)
                                    .isInstanceOf(InterruptedException.class);
                            assertThat(lock.getHoldCount()).isEqualTo(2);
                            lock.unlock();
                            return Thread.currentThread().isInterrupted();
                        });
        awaitWaiting(1);
        lock.lock();
        waiter.thread().interrupt();
        assertThat(waiter.result().isDone()).isFalse();
        lock.unlock();
        assertThat(waiter.get()).isFalse();
    }

    /**
     * "If the current thread's interrupted status is set when it enters this method, or it is
     * interrupted while waiting, it will continue to wait until signalled. When it finally returns
     * from this method its interrupted status will still be set."
     */
    @ParameterizedTest
    @MethodSource("waiters")
    void shouldGoOnWaitingWhenInterruptedAndNotInterruptible(Waiter each) throws Exception {
        for (boolean before : new boolean[] {true, false}) {
            ThreadKind.Task<Boolean> waiter =
                    each.start(
                            () -> {
                                if (before) {
                                    Thread.currentThread().interrupt();
                                }
                                condition.awaitUninterruptibly();
                                return Thread.interrupted();
                            });
            awaitWaiting(1);
            if (!before) {
                waiter.thread().interrupt();
                waiter.thread().interrupt();
            }
            for (int i = 0; i < 3; i++) {
                assertThat(waiting()).isEqualTo(1);
            }
            Signaller.JVM.signal(ONE);
            assertThat(waiter.get()).isTrue();
        }
    }

    /** AbstractQueuedSynchronizer: what is signalled first and then interrupted returns. */
    @ParameterizedTest
    @MethodSource("ways")
    void shouldReturnWithTheInterruptSetWhenSignalledBefore(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                each.waiter.start(
                        () -> {
                            boolean signalled = each.way.await();
                            return signalled && Thread.interrupted();
                        });
        awaitWaiting(1);
        lock.lock();
        condition.signal();
        waiter.thread().interrupt();
        lock.unlock();
        assertThat(waiter.get()).isTrue();
    }

    /**
     * "An implementation can favor responding to an interrupt over normal method return in response
     * to a signal. In that case the implementation must ensure that the signal is redirected to
     * another waiting thread, if there is one."
     */
    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldLoseNoSignalWhenInterruptedAtTheSameTime(Case each) throws Exception {
        ThreadKind.Task<Boolean> first = each.start();
        awaitWaiting(1);
        ThreadKind.Task<Boolean> second = each.start();
        awaitWaiting(2);
        first.thread().interrupt();
        Signaller.THREAD.signal(ONE);
        boolean interrupted = isInterrupted(first);
        if (!interrupted) { // then the signal is spent
            second.thread().interrupt();
        }
        assertThat(isInterrupted(second)).isEqualTo(!interrupted);
    }

    private static boolean isInterrupted(ThreadKind.Task<Boolean> waiter) throws Exception {
        try {
            waiter.get();
            return false;
        } catch (ExecutionException failed) {
            assertThat(failed).hasCauseInstanceOf(InterruptedException.class);
            return true;
        }
    }

    // ---- times ----

    /** "The specified waiting time elapses": false, or zero or less, with the lock held. */
    @ParameterizedTest
    @MethodSource("timed")
    void shouldReturnFalseHoldingTheLockWhenTheTimeIsOver(Case each) throws Exception {
        each.waiter.run(
                () -> {
                    for (int millis : new int[] {9, 0, -1}) {
                        lock.lock();
                        assertThat(each.way.await(millis)).isFalse();
                        assertThat(lock.getHoldCount()).isEqualTo(2);
                        lock.unlock();
                    }
                    assertThat(condition.awaitNanos(Long.MIN_VALUE)).isLessThanOrEqualTo(0);
                    assertThat(condition.await(Long.MIN_VALUE, TimeUnit.DAYS)).isFalse();
                    assertThat(condition.awaitUntil(new Date(Long.MIN_VALUE))).isFalse();
                    return null;
                });
    }

    /** "false if the deadline has elapsed upon return, else true." */
    @ParameterizedTest
    @MethodSource("waiters")
    void shouldNotReturnBeforeTheDateWhenItIsNotSignalled(Waiter each) throws Exception {
        each.run(
                () -> {
                    Date deadline = new Date(System.currentTimeMillis() + 20);
                    assertThat(condition.awaitUntil(deadline)).isFalse();
                    assertThat(System.currentTimeMillis())
                            .isGreaterThanOrEqualTo(deadline.getTime());
                    return null;
                });
    }

    /** The largest times are no end. */
    @ParameterizedTest
    @MethodSource("waiters")
    void shouldWaitWhenTheTimeIsTheLargest(Waiter each) throws Exception {
        List<ThreadKind.Task<Boolean>> all =
                List.of(
                        each.start(() -> condition.await(Long.MAX_VALUE, TimeUnit.DAYS)),
                        each.start(() -> condition.awaitNanos(Long.MAX_VALUE) > 0),
                        each.start(() -> condition.awaitUntil(new Date(Long.MAX_VALUE))));
        awaitWaiting(3);
        Signaller.JVM.signal(ALL);
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThat(waiter.get()).isTrue();
        }
    }

    /**
     * awaitNanos: "an estimate of the nanosTimeout value minus the time spent waiting [...] A
     * positive value may be used as the argument to a subsequent call to this method".
     */
    @ParameterizedTest
    @MethodSource("waiters")
    void shouldTellWhatIsLeftOfTheTimeWhenSignalled(Waiter each) throws Exception {
        long hour = TimeUnit.HOURS.toNanos(1);
        ThreadKind.Task<Boolean> waiter =
                each.start(
                        () -> {
                            long left = condition.awaitNanos(hour);
                            assertThat(left).isPositive().isLessThanOrEqualTo(hour);
                            assertThat(condition.awaitNanos(left)).isPositive().isLessThan(left);
                            return true;
                        });
        awaitWaiting(1);
        Signaller.JVM.signal(ONE);
        awaitWaiting(1);
        Signaller.JVM.signal(ONE);
        assertThat(waiter.get()).isTrue();
    }

    /** A time that is over takes no signal with it: the next one gets it. */
    @ParameterizedTest
    @MethodSource("timed")
    void shouldLeaveTheSignalToOthersWhenTheTimeIsOver(Case each) throws Exception {
        each.waiter.run(() -> each.way.await(0));
        ThreadKind.Task<Boolean> waiter = each.start();
        awaitWaiting(1);
        each.waiter.run(() -> each.way.await(0));
        assertThat(waiting()).isEqualTo(1);
        Signaller.JVM.signal(ONE);
        assertThat(waiter.get()).isTrue();
    }

    // ---- a predicate ----

    @ParameterizedTest
    @MethodSource("waiters")
    void shouldWaitUntilThePredicateHolds(Waiter each) throws Exception {
        AtomicInteger state = new AtomicInteger();
        AtomicInteger tested = new AtomicInteger();
        List<ThreadKind.Task<Boolean>> all =
                List.of(
                        each.start(
                                () -> {
                                    condition.awaitUntil(() -> test(state, tested));
                                    return true;
                                }),
                        each.start(
                                () ->
                                        condition.awaitUntil(
                                                () -> test(state, tested), 1, TimeUnit.HOURS)));
        for (int i = 0; i < 4; i++) {
            int expected = 2 * (i + 1);
            awaitWaiting(2);
            assertThat(tested.get()).isEqualTo(expected);
            state.incrementAndGet();
            Signaller.JVM.signal(ALL);
        }
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThat(waiter.get()).isTrue();
        }
        assertThat(tested.get()).isEqualTo(10);
    }

    private static boolean test(AtomicInteger state, AtomicInteger tested) {
        assertThat(lock.isHeldByCurrentThread()).isTrue();
        tested.incrementAndGet();
        return state.get() == 4;
    }

    @ParameterizedTest
    @MethodSource("waiters")
    void shouldNotWaitWhenThePredicateHoldsOrThereIsNoTime(Waiter each) throws Exception {
        each.run(
                () -> {
                    condition.awaitUntil(() -> true);
                    assertThat(condition.awaitUntil(() -> true, 0, TimeUnit.SECONDS)).isTrue();
                    assertThat(condition.awaitUntil(() -> false, 0, TimeUnit.SECONDS)).isFalse();
                    assertThat(condition.awaitUntil(() -> false, -1, TimeUnit.SECONDS)).isFalse();
                    assertThat(condition.awaitUntil(() -> false, 9, TimeUnit.MILLISECONDS))
                            .isFalse();
                    assertThatThrownBy(
                                    () ->
                                            condition.awaitUntil(
                                                    () -> {
                                                        throw new IllegalStateException("no");
                                                    }))
                            .hasMessage("no");
                    return null;
                });
    }

    // ---- signalling several ----

    @ParameterizedTest
    @MethodSource("cases")
    void shouldWakeSoManyWhenACountIsSignalled(Case each) throws Exception {
        List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            all.add(each.start());
        }
        awaitWaiting(5);
        assertThat(each.waiter.run(() -> condition.signal(0))).isZero();
        assertThat(each.waiter.run(() -> condition.signal(2))).isEqualTo(2);
        assertThat(waiting()).isEqualTo(3);
        ThreadKind.soon().until(() -> done(all) == 2);
        assertThat(each.waiter.run(() -> condition.signal(Integer.MAX_VALUE))).isEqualTo(3);
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThat(waiter.get()).isTrue();
        }
        assertThat(each.waiter.run(() -> condition.signal(1))).isZero();
    }
}
