// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.ThreadKind.Task;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What becomes of a read-write lock when processes die that have it, or wait for it. */
@Timeout(240)
class ReadWriteLockDeathTest {
    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private ReadWriteLock lock;

    @BeforeEach
    void create() {
        memory = SharedMemory.create(segments.name(), 50_000);
        lock = ReadWriteLock.in(memory, "lock");
    }

    @AfterEach
    void close() {
        memory.close();
    }

    static Stream<ThreadKind> kinds() {
        return Arrays.stream(ThreadKind.values()).filter(ThreadKind::isSupported);
    }

    private ForkedJvm startReader() {
        ReadWriteLock theirs = lock;
        ForkedJvm reader =
                ForkedJvm.start(
                        () -> {
                            theirs.readLock().lock();
                            theirs.readLock().lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        ThreadKind.soon().until(() -> lock.getReadLockCount() == 1);
        return reader;
    }

    private ForkedJvm startWriter() {
        ReadWriteLock theirs = lock;
        ForkedJvm writer =
                ForkedJvm.start(
                        () -> {
                            Thread.currentThread().setName("the doomed one");
                            theirs.writeLock().lock();
                            theirs.writeLock().lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        ThreadKind.soon().until(() -> lock.isWriteLocked());
        return writer;
    }

    private long killWriter() {
        ForkedJvm writer = startWriter();
        writer.kill();
        writer.onExit().join();
        return writer.pid();
    }

    private static Void takeAndGiveBack(java.util.concurrent.locks.Lock lock) {
        lock.lock();
        lock.unlock();
        return null;
    }

    // ---- readers ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldGiveTheDeadReadersShareToAWriterThatWaits(ThreadKind kind) throws Exception {
        ForkedJvm reader = startReader();
        Task<Void> writer = kind.start(() -> takeAndGiveBack(lock.writeLock()));
        writer.awaitBlocked();
        assertThat(writer.result().isDone()).isFalse();
        reader.kill();
        writer.get();
        assertThat(lock.isAbandoned()).isFalse();
        assertThat(lock.lastDeath()).isEmpty();
        assertThat(lock.getReadLockCount()).isZero();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldLetReadersInWhenTheWriterThatWaitsIsKilled(ThreadKind kind) throws Exception {
        ReadWriteLock theirs = lock;
        lock.readLock().lock();
        ForkedJvm writer = ForkedJvm.start(() -> theirs.writeLock().lock());
        ThreadKind.soon()
                .until(
                        () ->
                                kind.start(
                                                () -> {
                                                    boolean in = lock.readLock().tryLock();
                                                    if (in) {
                                                        lock.readLock().unlock();
                                                    }
                                                    return !in;
                                                })
                                        .get());
        Task<Void> reader = kind.start(() -> takeAndGiveBack(lock.readLock()));
        reader.awaitBlocked();
        writer.kill();
        reader.get();
        lock.readLock().unlock();
        assertThat(lock.isAbandoned()).isFalse();
    }

    // ---- writers ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldTellEveryoneUntilRepairedWhenAWriterIsKilled(ThreadKind kind) throws Exception {
        long pid = killWriter();
        for (java.util.concurrent.locks.Lock each : List.of(lock.readLock(), lock.writeLock())) {
            for (ThrowingCallable call :
                    List.<ThrowingCallable>of(
                            each::lock,
                            each::lockInterruptibly,
                            each::tryLock,
                            () -> each.tryLock(1, TimeUnit.HOURS))) {
                kind.start(
                                () -> {
                                    assertThatThrownBy(call)
                                            .isInstanceOfSatisfying(
                                                    OwnerDiedException.class,
                                                    told -> assertDeath(told.death(), pid, 1))
                                            .hasMessageContainingAll(
                                                    "name=" + lock.name() + ": its holder",
                                                    "pid=" + pid,
                                                    "repair");
                                    assertThat(lock.getReadHoldCount()).isZero();
                                    assertThat(lock.isWriteLockedByCurrentThread()).isFalse();
                                    return null;
                                })
                        .get();
            }
        }
        assertThat(lock.isAbandoned()).isTrue();
        assertThat(lock.isWriteLocked()).isFalse();

        boolean repaired =
                kind.start(
                                () ->
                                        lock.repair(
                                                death -> {
                                                    assertDeath(death, pid, 1);
                                                    assertThat(lock.getWriteHoldCount())
                                                            .isEqualTo(1);
                                                    takeAndGiveBack(lock.writeLock());
                                                    takeAndGiveBack(lock.readLock());
                                                }))
                        .get();
        assertThat(repaired).isTrue();
        assertThat(lock.isAbandoned()).isFalse();
        assertThat(lock.repair(death -> assertThat(death).isNull())).isFalse();
        takeAndGiveBack(lock.writeLock());
        takeAndGiveBack(lock.readLock());
        assertDeath(lock.lastDeath().orElseThrow(), pid, 1);
    }

    /** What a call is told stands with its carrier, which has told others of other deaths. */
    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldTellVirtualThreadsOfTheRightDeathWhenThereAreTwo() throws Exception {
        long pid = killWriter();
        ReadWriteLock first = lock;
        lock = ReadWriteLock.in(memory, "other");
        long otherPid = killWriter();
        List<Task<Object>> tasks = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            java.util.concurrent.locks.Lock mine = (i % 2 == 0 ? first : lock).readLock();
            long expected = i % 2 == 0 ? pid : otherPid;
            tasks.add(
                    ThreadKind.VIRTUAL.start(
                            () -> {
                                for (int j = 0; j < 500; j++) {
                                    assertThatThrownBy(mine::tryLock)
                                            .isInstanceOfSatisfying(
                                                    OwnerDiedException.class,
                                                    told -> assertDeath(told.death(), expected, 1));
                                }
                                return null;
                            }));
        }
        for (Task<Object> task : tasks) {
            task.get();
        }
    }

    private static void assertDeath(Lock.Death death, long pid, long deaths) {
        assertThat(death.pid()).isEqualTo(pid);
        assertThat(death.threadName()).isEqualTo("the doomed one");
        assertThat(death.deaths()).isEqualTo(deaths);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldTellThoseThatWaitAtOnceWhenTheWriterIsKilled(ThreadKind kind) throws Exception {
        ForkedJvm writer = startWriter();
        List<Task<Void>> waiters = new ArrayList<>();
        for (java.util.concurrent.locks.Lock each : List.of(lock.readLock(), lock.writeLock())) {
            waiters.add(kind.start(() -> takeAndGiveBack(each)));
            waiters.add(
                    kind.start(
                            () -> {
                                each.lockInterruptibly();
                                each.unlock();
                                return null;
                            }));
        }
        waiters.forEach(Task::awaitBlocked);
        writer.kill();
        for (Task<Void> waiter : waiters) {
            assertThatThrownBy(waiter::get)
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOfSatisfying(
                            OwnerDiedException.class,
                            told -> assertThat(told.death().pid()).isEqualTo(writer.pid()));
        }
        assertThat(lock.repair(death -> {})).isTrue();
    }

    @Test
    void shouldBeAbandonedWhenAJvmEndsInOrderWhileItWrites() throws Exception {
        ReadWriteLock theirs = lock;
        ForkedJvm writer = ForkedJvm.start(() -> theirs.writeLock().lock());
        writer.join();
        assertThatThrownBy(lock.readLock()::lock)
                .isInstanceOfSatisfying(
                        OwnerDiedException.class,
                        told -> assertThat(told.death().pid()).isEqualTo(writer.pid()));
        assertThat(lock.repair(death -> {})).isTrue();
    }

    /** Neither its JVM nor another is told; its number is never another's. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldStayWrittenWhenAThreadEndsWithoutUnlocking(ThreadKind kind) throws Exception {
        ReadWriteLock theirs = lock;
        Event go = Event.in(memory, "go");
        ForkedJvm child =
                ForkedJvm.start(
                        () -> {
                            kind.start(
                                            () -> {
                                                theirs.writeLock().lock();
                                                return null;
                                            })
                                    .get();
                            for (int i = 0; i < 100; i++) {
                                kind.start(
                                                () -> {
                                                    assertThat(
                                                                    theirs
                                                                            .isWriteLockedByCurrentThread())
                                                            .isFalse();
                                                    assertThat(theirs.writeLock().tryLock())
                                                            .isFalse();
                                                    assertThat(theirs.readLock().tryLock())
                                                            .isFalse();
                                                    return null;
                                                })
                                        .get();
                            }
                            go.await();
                        });
        ThreadKind.soon().until(() -> lock.isWriteLocked());
        assertThat(lock.readLock().tryLock()).isFalse();
        go.set();
        child.join();
        assertThatThrownBy(lock.writeLock()::lock).isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> {})).isTrue();
    }

    // ---- repair ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldStayAbandonedWhenTheRepairFails(ThreadKind kind) throws Exception {
        killWriter();
        assertThatThrownBy(
                        () ->
                                kind.start(
                                                () ->
                                                        lock.repair(
                                                                death -> {
                                                                    throw new IllegalStateException(
                                                                            "mine");
                                                                }))
                                        .get())
                .isInstanceOf(ExecutionException.class)
                .hasRootCauseMessage("mine");
        assertThat(lock.isAbandoned()).isTrue();
        assertThat(lock.isWriteLocked()).isFalse();
        assertThatThrownBy(lock.readLock()::lock).isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> assertThat(death.deaths()).isEqualTo(1))).isTrue();
    }

    @Test
    void shouldStayAbandonedWhenTheRepairerIsKilled() throws Exception {
        killWriter();
        ReadWriteLock theirs = lock;
        ForkedJvm repairer =
                ForkedJvm.start(
                        () ->
                                theirs.repair(
                                        death -> {
                                            try {
                                                Thread.sleep(Long.MAX_VALUE);
                                            } catch (InterruptedException end) {
                                                throw new AssertionError(end);
                                            }
                                        }));
        ThreadKind.soon().until(() -> lock.isWriteLocked());
        repairer.kill();
        assertThat(
                        lock.repair(
                                death -> {
                                    assertThat(death.pid()).isEqualTo(repairer.pid());
                                    assertThat(death.deaths()).isEqualTo(2);
                                }))
                .isTrue();
        takeAndGiveBack(lock.readLock());
    }

    @Test
    void shouldRepairWithinARepairAndNotWhenTheCallerReads() {
        killWriter();
        assertThatThrownBy(
                        () ->
                                lock.repair(
                                        death -> {
                                            lock.readLock().lock();
                                            throw new IllegalStateException("mine");
                                        }))
                .hasMessage("mine");
        assertThatThrownBy(() -> lock.repair(death -> {}))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContainingAll("lock=lock", "wait for itself");
        lock.readLock().unlock();
        assertThat(lock.repair(death -> assertThat(lock.repair(again -> {})).isTrue())).isTrue();
        assertThat(lock.isWriteLocked()).isFalse();
        lock.readLock().lock();
        assertThat(lock.repair(death -> {})).isFalse();
        lock.readLock().unlock();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldRepairByItselfWhenItHasAHandler(ThreadKind kind) throws Exception {
        SharedValue.OfInt repairs = SharedValue.ofInt(memory, "repairs");
        ReadWriteLock repairing = lock.withRepair(death -> repairs.getAndAdd(1));
        java.util.concurrent.locks.Lock read = repairing.readLock();
        java.util.concurrent.locks.Lock write = repairing.writeLock();
        List<Callable<Void>> ways =
                List.of(
                        () -> takeAndGiveBack(read),
                        () -> {
                            write.lockInterruptibly();
                            write.unlock();
                            return null;
                        },
                        () -> {
                            assertThat(read.tryLock()).isTrue();
                            read.unlock();
                            return null;
                        },
                        () -> {
                            assertThat(write.tryLock(1, TimeUnit.HOURS)).isTrue();
                            write.unlock();
                            return null;
                        });
        for (int i = 0; i < ways.size(); i++) {
            killWriter();
            kind.start(ways.get(i)).get();
            assertThat(repairs.get()).isEqualTo(i + 1);
        }
        assertThatThrownBy(
                        () -> {
                            killWriter();
                            takeAndGiveBack(lock.readLock()); // which has none
                        })
                .isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> {})).isTrue();
    }

    @Test
    void shouldTravelWithItsHandler() throws Exception {
        SharedValue.OfInt repairs = SharedValue.ofInt(memory, "repairs");
        ReadWriteLock repairing =
                ReadWriteLock.in(memory, "lock", death -> repairs.getAndAdd((int) death.deaths()));
        killWriter();
        ForkedJvm.start(() -> takeAndGiveBack(repairing.readLock())).join();
        assertThat(repairs.get()).isEqualTo(1);
        takeAndGiveBack(lock.writeLock());
    }
}
