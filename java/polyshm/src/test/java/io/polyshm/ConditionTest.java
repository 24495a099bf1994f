// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Conditions between JVMs, and what becomes of them when threads, JVMs and segments end. */
@Timeout(240)
class ConditionTest {
    /** Of a JVM in all; if each that waits has one it is thousands. */
    private static final int FEW_THREADS = 256;

    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private Lock lock;
    private Condition condition;

    @BeforeEach
    void create() {
        memory = SharedMemory.create(segments.name(), 100_000);
        lock = Lock.in(memory, "lock");
        condition = lock.condition("condition");
    }

    @AfterEach
    void close() {
        memory.close();
    }

    // ---- how threads wait here ----

    /** By which thread of the system who waits holds the lock. */
    enum Waiter {
        PLATFORM(ThreadKind.PLATFORM),
        VIRTUAL(ThreadKind.VIRTUAL);

        private final ThreadKind kind;

        Waiter(ThreadKind kind) {
            this.kind = kind;
        }

        /** What it returns is got by a thread of this sort that holds the condition's lock. */
        ThreadKind.Task<Boolean> start(Condition condition, Wait wait) {
            assumeTrue(kind.isSupported());
            Lock lock = condition.lock();
            return kind.start(
                    () -> {
                        lock.lockInterruptibly();
                        try {
                            return wait.run(condition);
                        } finally {
                            lock.unlock();
                        }
                    });
        }

        ThreadKind.Task<Boolean> start(Condition condition) {
            return start(condition, each -> each.await(1, TimeUnit.HOURS));
        }
    }

    private interface Wait {
        boolean run(Condition condition) throws InterruptedException;
    }

    private int waiting() {
        lock.lock();
        try {
            return condition.getWaitQueueLength();
        } finally {
            lock.unlock();
        }
    }

    private void awaitWaiting(int count) {
        ThreadKind.soon().until(() -> waiting() == count);
    }

    private int signal(int count) {
        return lock.withLock(() -> condition.signal(count));
    }

    private static long done(List<ThreadKind.Task<Boolean>> tasks) {
        return tasks.stream().filter(task -> task.result().isDone()).count();
    }

    /** A JVM of which so many threads wait, of both kinds if it has them. */
    private ForkedJvm startWaiters(int count) {
        Condition condition = this.condition;
        int before = waiting();
        ForkedJvm jvm =
                ForkedJvm.start(
                        () -> {
                            List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
                            for (int i = 0; i < count; i++) {
                                Waiter sort = Waiter.values()[i % Waiter.values().length];
                                all.add(
                                        (sort.kind.isSupported() ? sort : Waiter.PLATFORM)
                                                .start(condition));
                            }
                            for (ThreadKind.Task<Boolean> waiter : all) {
                                assertThat(waiter.get()).isTrue();
                            }
                        });
        awaitWaiting(before + count);
        return jvm;
    }

    private static void kill(ForkedJvm jvm) {
        jvm.kill();
        jvm.onExit().join();
    }

    /** A JVM that has taken the lock is killed. */
    private void killHolder() {
        Lock lock = this.lock;
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            lock.lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        ThreadKind.soon()
                .until(() -> lock.owner().filter(o -> o.pid() == holder.pid()).isPresent());
        kill(holder);
    }

    // ---- names ----

    @Test
    void shouldBeTheSameConditionWhenTheNameIsTheSame() throws Exception {
        Condition same = Lock.in(memory, "lock").condition("condition");
        ThreadKind.Task<Boolean> waiter = Waiter.PLATFORM.start(same);
        awaitWaiting(1);
        String name = memory.name();
        ForkedJvm.start(
                        () -> {
                            try (SharedMemory memory = SharedMemory.open(name)) {
                                Lock lock = Lock.in(memory, "lock");
                                lock.withLock(() -> lock.condition("condition").signalAll());
                            }
                        })
                .join();
        assertThat(waiter.get()).isTrue();
        assertThat(condition.name()).isEqualTo("condition");
        assertThat(condition.lock()).isSameAs(lock);
        assertThat(condition).asString().contains("condition", "lock", name);
    }

    @Test
    void shouldRefuseANameWhenSomethingElseHasIt() {
        Lock other = Lock.in(memory, "other");
        assertThatThrownBy(() -> other.condition("condition"))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageMatching(
                        "(?s).*condition.*exists as condition, lock at offset=\\d+,"
                                + ".*asked for as condition, lock at offset=\\d+.*");
        assertThatThrownBy(() -> other.condition("lock"))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContaining("exists as lock");
        assertThatThrownBy(() -> Lock.in(memory, "condition"))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContaining("exists as condition");
        assertThatThrownBy(() -> lock.condition("no/name"))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> lock.condition(null)).isInstanceOf(NullPointerException.class);
        assertThatThrownBy(() -> condition.signal(-1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("count=-1");
    }

    @ParameterizedTest
    @EnumSource
    void shouldBeAnotherConditionWhenItIsNew(Waiter sort) throws Exception {
        Condition first = lock.newCondition();
        Condition second = lock.newCondition();
        assertThat(first.name()).isNotEqualTo(second.name());
        ThreadKind.Task<Boolean> one = sort.start(first);
        ThreadKind.Task<Boolean> two = sort.start(second);
        ThreadKind.soon().until(() -> lock.withLock(first::getWaitQueueLength) == 1);
        ThreadKind.soon().until(() -> lock.withLock(second::getWaitQueueLength) == 1);
        lock.withLock(() -> second.signalAll());
        assertThat(two.get()).isTrue();
        assertThat(lock.withLock(first::getWaitQueueLength)).isEqualTo(1);
        lock.withLock(() -> first.signalAll());
        assertThat(one.get()).isTrue();
    }

    @Test
    void shouldSayWhatToDoWhenThereIsNoRoom() throws Exception {
        try (Lock own = Lock.create();
                SharedArray.OfInt array = SharedArray.ofInts(1_000_000)) {
            List<Condition> all = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                all.add(own.newCondition());
            }
            assertThatThrownBy(own::newCondition)
                    .isInstanceOf(MemoryFullException.class)
                    .hasMessageContainingAll("need=", "room for 8 conditions", "Lock.in");
            assertThatThrownBy(() -> array.lock().newCondition())
                    .isInstanceOf(MemoryFullException.class)
                    .hasMessageContainingAll("need=", "SharedMemory");
            own.lock();
            assertThat(all.get(7).awaitNanos(1)).isLessThanOrEqualTo(0);
            own.unlock();
        }
    }

    @Test
    void shouldTakeItsLockAlongWhenItTravels() throws Exception {
        SharedArray.OfInt array = SharedArray.ofInts(memory, "array", 10);
        SharedValue.OfInt value = SharedValue.ofInt(memory, "value");
        for (Lock each : List.of(lock, array.lock(), value.lock())) {
            Condition condition = each.newCondition();
            ThreadKind.Task<Boolean> waiter =
                    Waiter.PLATFORM.start(
                            condition,
                            it -> it.awaitUntil(() -> array.get(0) == 1, 1, TimeUnit.HOURS));
            ThreadKind.soon().until(() -> each.withLock(condition::getWaitQueueLength) == 1);
            ForkedJvm.start(
                            () -> {
                                assertThat(condition.lock().name()).isEqualTo(each.name());
                                each.lock();
                                array.set(0, 1);
                                condition.signal();
                                condition.lock().unlock();
                            })
                    .join();
            assertThat(waiter.get()).isTrue();
            array.set(0, 0);
        }
    }

    // ---- what Python's own tests of conditions ask for, between JVMs ----

    @Test
    void shouldWakeOneAfterTheOtherWhenNotified() throws Exception {
        List<ForkedJvm> jvms = List.of(startWaiters(3), startWaiters(3));
        for (int left = 6; left > 0; left--) {
            assertThat(signal(1)).isEqualTo(1);
            assertThat(waiting()).isEqualTo(left - 1);
        }
        assertThat(signal(1)).isZero();
        for (ForkedJvm jvm : jvms) {
            jvm.join();
        }
    }

    @Test
    void shouldWakeSoManyWhenNotifiedByACount() throws Exception {
        List<ForkedJvm> jvms = List.of(startWaiters(3), startWaiters(3));
        assertThat(signal(1)).isEqualTo(1);
        assertThat(waiting()).isEqualTo(5);
        assertThat(signal(2)).isEqualTo(2);
        assertThat(waiting()).isEqualTo(3);
        assertThat(signal(4)).isEqualTo(3);
        assertThat(signal(3)).isZero();
        for (ForkedJvm jvm : jvms) {
            jvm.join();
        }
    }

    @Test
    void shouldWakeAllWhenAllAreNotified() throws Exception {
        List<ForkedJvm> jvms = List.of(startWaiters(3), startWaiters(3));
        ThreadKind.Task<Boolean> here = Waiter.PLATFORM.start(condition);
        awaitWaiting(7);
        lock.withLock(() -> condition.signalAll());
        assertThat(waiting()).isZero();
        assertThat(here.get()).isTrue();
        for (ForkedJvm jvm : jvms) {
            jvm.join();
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldWaitForAStateThatAnotherJvmCounts(Waiter sort) throws Exception {
        assumeTrue(sort.kind.isSupported());
        Condition condition = this.condition;
        SharedValue.OfInt state = SharedValue.ofInt(memory, "state");
        ForkedJvm.Call<Boolean> child =
                ForkedJvm.call(
                        () ->
                                sort.start(
                                                condition,
                                                it -> {
                                                    state.set(1);
                                                    it.signal();
                                                    it.awaitUntil(() -> state.get() == 5);
                                                    return it.lock().isHeldByCurrentThread();
                                                })
                                        .get());
        lock.lock();
        condition.awaitUntil(() -> state.get() == 1);
        lock.unlock();
        for (int i = 2; i <= 5; i++) {
            lock.lock();
            state.set(i);
            condition.signal();
            lock.unlock();
        }
        assertThat(child.get()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void shouldSayThatAStateHasNotComeWhenTheTimeIsOver(Waiter sort) throws Exception {
        assumeTrue(sort.kind.isSupported());
        Condition condition = this.condition;
        SharedValue.OfInt state = SharedValue.ofInt(memory, "state");
        ForkedJvm.Call<Boolean> child =
                ForkedJvm.call(
                        () ->
                                sort.start(
                                                condition,
                                                it ->
                                                        it.awaitUntil(
                                                                () -> state.get() == 5,
                                                                50,
                                                                TimeUnit.MILLISECONDS))
                                        .get());
        for (int i = 1; i < 5; i++) {
            lock.lock();
            state.set(i);
            condition.signal();
            lock.unlock();
        }
        assertThat(child.get()).isFalse();
    }

    // ---- deaths ----

    /** Whoever the signal was for, and whether he has been told or not. */
    @ParameterizedTest
    @EnumSource
    void shouldGetTheSignalOfAJvmThatIsKilled(Waiter sort) throws Exception {
        for (int round = 0; round < 2; round++) { // the JVMs' turns alternate
            ThreadKind.Task<Boolean> waiter = sort.start(condition);
            awaitWaiting(1);
            ForkedJvm jvm = startWaiters(1);
            lock.lock();
            assertThat(condition.signal(1)).isEqualTo(1);
            kill(jvm);
            lock.unlock();
            assertThat(waiter.get()).isTrue();
        }
        assertThat(waiting()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void shouldGoOnWaitingWhenAJvmThatWaitsIsKilled(Waiter sort) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                sort.start(
                        condition,
                        it -> {
                            it.lock().lock();
                            boolean signalled = it.await(1, TimeUnit.HOURS);
                            assertThat(it.lock().getHoldCount()).isEqualTo(2);
                            it.lock().unlock();
                            return signalled;
                        });
        awaitWaiting(1);
        for (int round = 0; round < 2; round++) {
            kill(startWaiters(3));
            ThreadKind.soon().until(() -> waiting() == 1); // the dead are not counted
        }
        assertThat(waiter.result().isDone()).isFalse();
        assertThat(signal(1)).isEqualTo(1);
        assertThat(waiter.get()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void shouldTellOfADeathHoldingTheLockWhenTheOwnerIsKilled(Waiter sort) throws Exception {
        AtomicInteger held = new AtomicInteger();
        List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            all.add(
                    sort.start(
                            condition,
                            it -> {
                                it.lock().lock();
                                try {
                                    return it.await(1, TimeUnit.HOURS);
                                } finally {
                                    held.addAndGet(it.lock().getHoldCount());
                                    it.lock().unlock();
                                }
                            }));
        }
        awaitWaiting(2);
        killHolder();
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThatThrownBy(waiter::get)
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOfSatisfying(
                            OwnerDiedException.class,
                            told -> assertThat(told.death().deaths()).isEqualTo(1));
        }
        assertThat(held.get()).isEqualTo(4);
        assertThat(lock.isAbandoned()).isTrue();
        assertThatThrownBy(lock::lock).isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> {})).isTrue();
        assertThat(waiting()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void shouldWaitAgainWhenTheDeathIsRepairedInPlace(Waiter sort) throws Exception {
        ThreadKind.Task<Boolean> waiter =
                sort.start(
                        condition,
                        it -> {
                            assertThatThrownBy(it::await).isInstanceOf(OwnerDiedException.class);
                            assertThat(it.lock().repair(death -> {})).isTrue();
                            assertThat(it.lock().getHoldCount()).isEqualTo(1);
                            return it.await(1, TimeUnit.HOURS);
                        });
        awaitWaiting(1);
        killHolder();
        ThreadKind.soon().until(() -> !lock.isAbandoned() && isFree());
        awaitWaiting(1);
        assertThat(signal(1)).isEqualTo(1);
        assertThat(waiter.get()).isTrue();
    }

    /** The death may not have been found yet, or be under repair. */
    private boolean isFree() {
        try {
            boolean taken = lock.tryLock();
            if (taken) {
                lock.unlock();
            }
            return taken;
        } catch (OwnerDiedException notYet) {
            return false;
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldRepairAndGoOnWhenTheLockHasAHandler(Waiter sort) throws Exception {
        SharedValue.OfInt repaired = SharedValue.ofInt(memory, "repaired");
        SharedValue.OfInt state = SharedValue.ofInt(memory, "state");
        Lock healing = lock.withRepair(death -> repaired.set(repaired.get() + 1));
        Condition condition = healing.condition("condition");
        List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            all.add(
                    sort.start(
                            condition,
                            it -> {
                                it.awaitUntil(() -> state.get() == 1);
                                assertThat(it.lock().getHoldCount()).isEqualTo(1);
                                return true;
                            }));
        }
        awaitWaiting(2);
        killHolder();
        ThreadKind.soon().until(() -> repaired.getVolatile() == 1);
        ThreadKind.soon().until(this::isFree);
        awaitWaiting(2);
        assertThat(done(all)).isZero();
        lock.lock();
        state.set(1);
        condition.signalAll();
        lock.unlock();
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThat(waiter.get()).isTrue();
        }
        assertThat(repaired.get()).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource
    void shouldThrowHoldingTheLockWhenTheHandlerThrows(Waiter sort) throws Exception {
        Lock failing =
                lock.withRepair(
                        death -> {
                            throw new IllegalStateException("cannot");
                        });
        ThreadKind.Task<Boolean> waiter = sort.start(failing.condition("condition"));
        awaitWaiting(1);
        killHolder();
        assertThatThrownBy(waiter::get).cause().hasMessage("cannot").hasNoSuppressedExceptions();
        assertThat(lock.isAbandoned()).isTrue();
        assertThat(lock.repair(death -> {})).isTrue();
    }

    // ---- close ----

    @ParameterizedTest
    @EnumSource
    void shouldThrowInAllThatWaitWhenClosed(Waiter sort) throws Exception {
        AtomicInteger thrown = new AtomicInteger();
        List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
        Wait[] ways = {
            it -> it.await(1, TimeUnit.HOURS),
            it -> {
                it.await();
                return true;
            },
            it -> {
                it.awaitUninterruptibly();
                return true;
            }
        };
        for (Wait way : ways) {
            all.add(
                    sort.start(
                            condition,
                            it -> {
                                try {
                                    return way.run(it);
                                } catch (ClosedException closed) {
                                    assertThat(it.lock().isHeldByCurrentThread()).isFalse();
                                    thrown.incrementAndGet();
                                    throw closed;
                                }
                            }));
        }
        awaitWaiting(3);
        memory.close();
        for (ThreadKind.Task<Boolean> waiter : all) {
            assertThatThrownBy(waiter::get).hasCauseInstanceOf(ClosedException.class);
        }
        assertThat(thrown.get()).isEqualTo(3);
        assertThatThrownBy(condition::await).isInstanceOf(ClosedException.class);
        assertThatThrownBy(condition::signalAll).isInstanceOf(ClosedException.class);
        assertThatThrownBy(condition::getWaitQueueLength).isInstanceOf(ClosedException.class);
        assertThatThrownBy(() -> condition.awaitUntil(() -> true))
                .isInstanceOf(ClosedException.class);
        assertThatThrownBy(lock::newCondition).isInstanceOf(ClosedException.class);
        assertThat(condition.name()).isEqualTo("condition");
    }

    @ParameterizedTest
    @EnumSource
    void shouldLeaveTheSignalsToOthersWhenClosed(Waiter sort) throws Exception {
        assumeTrue(sort.kind.isSupported());
        ForkedJvm jvm = startWaiters(3);
        SharedMemory second = SharedMemory.open(memory.name());
        ThreadKind.Task<Boolean> waiter =
                sort.start(Lock.in(second, "lock").condition("condition"));
        awaitWaiting(4);
        second.close();
        assertThatThrownBy(waiter::get).hasCauseInstanceOf(ClosedException.class);
        assertThat(signal(3)).isEqualTo(3);
        jvm.join();
    }

    // ---- races ----

    /** What one JVM has received and its threads' waits have been interrupted. */
    private static int receive(
            Condition condition,
            SharedValue.OfInt started,
            SharedValue.OfInt end,
            boolean interrupts)
            throws Exception {
        AtomicInteger received = new AtomicInteger();
        AtomicBoolean done = new AtomicBoolean();
        List<ThreadKind.Task<Void>> all = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            ThreadKind kind = ThreadKind.values()[i % 2];
            if (kind.isSupported()) {
                all.add(
                        kind.start(
                                () -> {
                                    started.getAndAdd(1);
                                    while (end.getVolatile() == 0) {
                                        if (awaitShortly(condition)) {
                                            received.incrementAndGet();
                                        }
                                    }
                                    return null;
                                }));
            }
        }
        ThreadKind.Task<Void> interrupter =
                ThreadKind.PLATFORM.start(
                        () -> {
                            while (interrupts && !done.get()) {
                                int which = ThreadLocalRandom.current().nextInt(all.size());
                                all.get(which).thread().interrupt();
                                Thread.sleep(0, 100_000);
                            }
                            return null;
                        });
        for (ThreadKind.Task<Void> each : all) {
            each.get();
        }
        done.set(true);
        interrupter.get();
        return received.get();
    }

    /** True if it was signalled. */
    private static boolean awaitShortly(Condition condition) {
        int random = ThreadLocalRandom.current().nextInt(500);
        Lock lock = condition.lock();
        try {
            if (random % 2 == 0) {
                lock.lock();
            } else {
                lock.lockInterruptibly();
            }
        } catch (InterruptedException again) {
            return false;
        }
        try {
            return condition.await(random, TimeUnit.MICROSECONDS);
        } catch (InterruptedException again) {
            return false;
        } finally {
            lock.unlock();
        }
    }

    @Test
    void shouldLoseNoSignalWhenTimesAndInterruptsRaceWithIt() throws Exception {
        Condition condition = this.condition;
        SharedValue.OfInt end = SharedValue.ofInt(memory, "end");
        SharedValue.OfInt started = SharedValue.ofInt(memory, "started");
        ForkedJvm.Call<Integer> child =
                ForkedJvm.call(() -> receive(condition, started, end, true));
        ThreadKind.Task<Integer> here =
                ThreadKind.PLATFORM.start(() -> receive(condition, started, end, true));
        int all = ThreadKind.VIRTUAL.isSupported() ? 16 : 8;
        ThreadKind.soon().until(() -> started.getVolatile() == all);
        int sent = 0;
        for (int i = 0; i < 3_000; i++) {
            sent += signal(i % 4);
            Thread.yield();
        }
        end.setVolatile(1);
        assertThat(child.get() + here.get()).isEqualTo(sent);
        assertThat(sent).isPositive();
        assertThat(waiting()).isZero();
    }

    // ---- many virtual threads ----

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldTakeFewThreadsOfTheSystemWhenManyVirtualThreadsWait() throws Exception {
        int threads = 10_000;
        Condition condition = this.condition;
        SharedValue.OfLong sum = SharedValue.ofLong(memory, "sum");
        ForkedJvm.Call<Integer> child =
                ForkedJvm.call(
                        () -> {
                            List<ThreadKind.Task<Boolean>> all = new ArrayList<>();
                            for (int i = 0; i < threads; i++) {
                                all.add(
                                        Waiter.VIRTUAL.start(
                                                condition,
                                                it -> {
                                                    it.await();
                                                    sum.set(sum.get() + 1);
                                                    return true;
                                                }));
                            }
                            for (ThreadKind.Task<Boolean> waiter : all) {
                                waiter.get();
                            }
                            return ManagementFactory.getThreadMXBean().getPeakThreadCount();
                        });
        awaitWaiting(threads);
        assertThat(signal(10)).isEqualTo(10);
        ThreadKind.soon().until(() -> sum.getVolatile() == 10);
        lock.withLock(() -> condition.signalAll());
        assertThat(child.get()).as("threads of a JVM").isLessThan(FEW_THREADS);
        assertThat(sum.get()).isEqualTo(threads);
    }
}
