// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for every wait, whatever it is for, in each kind of thread. */
@Timeout(240)
class SynchronizerTest {
    /** Of a JVM in all; if each virtual thread that waits takes one it is thousands. */
    private static final int FEW_THREADS = 100;

    private static final int WAITERS = 8;

    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private Event event;
    private Latch latch;
    private Semaphore semaphore;

    @BeforeEach
    void create() {
        memory = SharedMemory.anonymous(100_000);
        event = Event.in(memory, "event");
        latch = Latch.in(memory, "latch", 2);
        semaphore = Semaphore.in(memory, "semaphore", 0);
    }

    @AfterEach
    void close() {
        memory.close();
    }

    /** A way to wait, for what is not there at first. */
    private enum Way {
        EVENT,
        EVENT_TIMED,
        LATCH,
        LATCH_TIMED,
        SEMAPHORE,
        SEMAPHORE_TIMED,
        SEMAPHORE_UNINTERRUPTIBLE;

        boolean isTimed() {
            return name().endsWith("_TIMED");
        }

        boolean isInterruptible() {
            return this != SEMAPHORE_UNINTERRUPTIBLE;
        }
    }

    record Case(ThreadKind kind, Way way) {}

    static Stream<Case> all() {
        return Arrays.stream(ThreadKind.values())
                .filter(ThreadKind::isSupported)
                .flatMap(kind -> Arrays.stream(Way.values()).map(way -> new Case(kind, way)));
    }

    static Stream<Case> interruptible() {
        return all().filter(each -> each.way.isInterruptible());
    }

    static Stream<Case> timed() {
        return all().filter(each -> each.way.isTimed());
    }

    private boolean await(Way way) throws InterruptedException {
        return await(way, 1, TimeUnit.HOURS);
    }

    private boolean await(Way way, long time, TimeUnit unit) throws InterruptedException {
        switch (way) {
            case EVENT -> event.await();
            case LATCH -> latch.await();
            case SEMAPHORE -> semaphore.acquire();
            case SEMAPHORE_UNINTERRUPTIBLE -> semaphore.acquireUninterruptibly();
            case EVENT_TIMED -> {
                return event.await(time, unit);
            }
            case LATCH_TIMED -> {
                return latch.await(time, unit);
            }
            case SEMAPHORE_TIMED -> {
                return semaphore.tryAcquire(time, unit);
            }
        }
        return true;
    }

    /** For one that waits in any way. */
    private void end() {
        event.set();
        latch.countDown(2);
        semaphore.release();
    }

    private ThreadKind.Task<Boolean> startWaiter(Case each) {
        ThreadKind.Task<Boolean> waiter = each.kind.start(() -> await(each.way));
        waiter.awaitBlocked();
        return waiter;
    }

    private static <T> T in(ThreadKind kind, Callable<T> work) throws Exception {
        return kind.start(work).get();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldReturnWhenAnotherThreadHasEndedTheWait(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter = startWaiter(each);
        end();
        assertThat(waiter.get()).isTrue();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldReturnAtOnceWhenThereIsNothingToWaitFor(Case each) throws Exception {
        end();
        assertThat(in(each.kind, () -> await(each.way))).isTrue();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldReturnWhenAnotherJvmHasEndedTheWait(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter = startWaiter(each);
        Event event = this.event;
        Latch latch = this.latch;
        Semaphore semaphore = this.semaphore;
        ForkedJvm.start(
                        () -> {
                            event.set();
                            latch.countDown(2);
                            semaphore.release();
                        })
                .join();
        assertThat(waiter.get()).isTrue();
    }

    // ---- interrupts ----

    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedBefore(Case each) throws Exception {
        end(); // even if there is nothing to wait for
        boolean still =
                in(
                        each.kind,
                        () -> {
                            Thread.currentThread().interrupt();
                            assertThatThrownBy(() -> await(each.way))
                                    .isInstanceOf(InterruptedException.class);
                            return Thread.currentThread().isInterrupted();
                        });
        assertThat(still).isFalse();
        assertThat(semaphore.availablePermits()).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedMeanwhileAndWaitAgainThen(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                each.kind.start(
                        () -> {
                            assertThatThrownBy(() -> await(each.way))
                                    .isInstanceOf(InterruptedException.class);
                            assertThat(Thread.currentThread().isInterrupted()).isFalse();
                            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
                            return await(each.way);
                        });
        waiter.awaitBlocked();
        waiter.thread().interrupt();
        Thread.sleep(40);
        assertThat(waiter.result().isDone()).isFalse();
        end();
        assertThat(waiter.get()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void shouldGoOnWaitingWhenInterruptedButNotInterruptible(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        for (boolean before : new boolean[] {true, false}) {
            ThreadKind.Task<Boolean> waiter =
                    kind.start(
                            () -> {
                                if (before) {
                                    Thread.currentThread().interrupt();
                                }
                                semaphore.acquireUninterruptibly();
                                return Thread.currentThread().isInterrupted();
                            });
            waiter.awaitBlocked();
            waiter.thread().interrupt();
            Thread.sleep(20);
            assertThat(waiter.result().isDone()).isFalse();
            semaphore.release();
            assertThat(waiter.get()).as("interrupt status").isTrue();
        }
    }

    /** A wait that is over when the interrupt comes tells it to the next, and nobody else. */
    @ParameterizedTest
    @EnumSource
    void shouldLoseNoPermitAndNoInterruptWhenBothComeAtOnce(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        for (int round = 0; round < 500; round++) {
            ThreadKind.Task<Boolean> waiter =
                    kind.start(
                            () -> {
                                try {
                                    semaphore.acquire();
                                } catch (InterruptedException first) {
                                    assertThat(Thread.interrupted()).isFalse();
                                    semaphore.acquire();
                                    return false;
                                }
                                while (!Thread.interrupted()) {
                                    Thread.onSpinWait();
                                }
                                // what is late must not end this one
                                return semaphore.tryAcquire(1, 1, TimeUnit.MICROSECONDS);
                            });
            if (round % 2 == 0) {
                Thread.yield();
            }
            waiter.thread().interrupt();
            semaphore.release();
            assertThat(waiter.get()).isFalse();
            assertThat(semaphore.drainPermits()).isZero();
        }
    }

    // ---- timeouts and spurious wake-ups ----

    @ParameterizedTest
    @MethodSource("timed")
    void shouldReturnFalseWhenTheTimeIsOver(Case each) throws Exception {
        for (long nanos : new long[] {Long.MIN_VALUE, -1, 0, 1, 1_000_000, 20_000_000}) {
            long begin = System.nanoTime();
            assertThat(in(each.kind, () -> await(each.way, nanos, TimeUnit.NANOSECONDS))).isFalse();
            assertThat(System.nanoTime() - begin).isGreaterThanOrEqualTo(Math.max(0, nanos));
        }
    }

    @ParameterizedTest
    @MethodSource("timed")
    void shouldReturnTrueWithoutTimeWhenThereIsNothingToWaitFor(Case each) throws Exception {
        end();
        assertThat(in(each.kind, () -> await(each.way, 0, TimeUnit.SECONDS))).isTrue();
    }

    @ParameterizedTest
    @MethodSource("timed")
    void shouldWaitWhenTheTimeIsTheLongest(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                each.kind.start(() -> await(each.way, Long.MAX_VALUE, TimeUnit.DAYS));
        waiter.awaitBlocked();
        end();
        assertThat(waiter.get()).isTrue();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldGoOnWaitingWhenWokenForNothing(Case each) throws Exception {
        ThreadKind.Task<Boolean> waiter = startWaiter(each);
        for (int i = 0; i < 20; i++) {
            LockSupport.unpark(waiter.thread());
            try (SharedMemory another = SharedMemory.open(memory.name())) {
                assertThat(another.participants()).hasSize(2); // coming and going wakes all
            }
        }
        assertThat(waiter.result().isDone()).isFalse();
        end();
        assertThat(waiter.get()).isTrue();
    }

    // ---- close ----

    @ParameterizedTest
    @MethodSource("all")
    void shouldThrowAtOnceWhenClosedMeanwhile(Case each) throws Exception {
        List<ThreadKind.Task<Boolean>> waiters = new ArrayList<>();
        for (int i = 0; i < WAITERS; i++) {
            waiters.add(each.kind.start(() -> await(each.way)));
        }
        waiters.forEach(ThreadKind.Task::awaitBlocked);
        memory.close();
        for (ThreadKind.Task<Boolean> waiter : waiters) {
            assertThatThrownBy(waiter::get)
                    .isInstanceOf(ExecutionException.class)
                    .hasCauseInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
        ThreadKind.soon().until(() -> !Processes.threads().contains("polyshm-waker"));
    }

    @Test
    void shouldThrowInEveryMethodWhenClosed() {
        memory.close();
        for (Way way : Way.values()) {
            assertThatThrownBy(() -> await(way)).isInstanceOf(ClosedException.class);
        }
        for (Runnable each :
                List.<Runnable>of(
                        event::set,
                        event::clear,
                        event::isSet,
                        latch::countDown,
                        latch::getCount,
                        semaphore::tryAcquire,
                        semaphore::release,
                        semaphore::drainPermits,
                        semaphore::availablePermits,
                        semaphore::heldPermits,
                        () -> semaphore.reducePermits(1),
                        () -> Event.in(memory, "event"))) {
            assertThatThrownBy(each::run)
                    .isInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
        assertThat(event).hasToString("Event[name=event, memory=" + memory.name() + "]");
        assertThat(latch.name()).isEqualTo("latch");
    }

    // ---- many virtual threads ----

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldWaitInOnePlatformThreadWhenManyVirtualThreadsDo() throws Exception {
        int count = 10_000;
        List<ThreadKind.Task<Boolean>> waiters = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            waiters.add(
                    ThreadKind.VIRTUAL.start(
                            () -> {
                                semaphore.acquire();
                                event.await();
                                semaphore.release();
                                return latch.await(1, TimeUnit.HOURS);
                            }));
        }
        ThreadKind.soon().until(() -> waiters.stream().allMatch(ThreadKind.Task::isParked));
        assertThat(Processes.threads()).containsOnlyOnce("polyshm-waker");
        assertThat(Thread.getAllStackTraces().size()).isLessThan(FEW_THREADS);
        semaphore.release(count / 2);
        ThreadKind.soon().until(() -> semaphore.heldPermits() == count / 2);
        event.set(); // half of them hand their permits on to the other half
        ThreadKind.soon().until(() -> semaphore.availablePermits() == count / 2);
        latch.countDown(2);
        for (ThreadKind.Task<Boolean> waiter : waiters) {
            assertThat(waiter.get()).isTrue();
        }
        assertThat(Thread.getAllStackTraces().size()).isLessThan(FEW_THREADS);
        assertThat(semaphore.heldPermits()).isZero();
    }

    // ---- idle ----

    @ParameterizedTest
    @EnumSource
    void shouldNotUseTheProcessorWhenItWaits(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        Event event = this.event;
        Semaphore semaphore = this.semaphore;
        ForkedJvm child =
                ForkedJvm.start(
                        () -> {
                            List<ThreadKind.Task<Boolean>> waiters = new ArrayList<>();
                            for (int i = 0; i < WAITERS; i++) {
                                int way = i;
                                waiters.add(
                                        kind.start(
                                                "idle waiter",
                                                () -> {
                                                    if (way % 2 == 0) {
                                                        event.await();
                                                        return true;
                                                    }
                                                    return semaphore.tryAcquire(1, TimeUnit.HOURS);
                                                }));
                            }
                            for (ThreadKind.Task<Boolean> waiter : waiters) {
                                assertThat(waiter.get()).isTrue();
                            }
                        });
        if (kind == ThreadKind.PLATFORM) {
            ContextSwitches.assertNone(child.pid(), WAITERS, "idle waiter");
        } else {
            ContextSwitches.assertNone(child.pid(), 2, "polyshm-waker", "ForkJoinPool");
        }
        event.set();
        semaphore.release(WAITERS);
        child.join();
    }
}
