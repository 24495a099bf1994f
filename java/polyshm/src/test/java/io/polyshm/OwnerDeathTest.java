// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

@Timeout(120)
class OwnerDeathTest {
    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private Lock lock;

    @BeforeEach
    void create() {
        memory = SharedMemory.create(segments.name(), 10_000);
        lock = Lock.in(memory, "book");
    }

    @AfterEach
    void close() {
        memory.close();
    }

    /** A JVM that takes the lock and is killed. */
    private long killedHolder() throws InterruptedException {
        Lock theirs = lock;
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            Thread.currentThread().setName("the doomed one");
                            theirs.lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        await().until(() -> lock.owner().filter(o -> o.pid() == holder.pid()).isPresent());
        holder.kill();
        holder.onExit().join();
        return holder.pid();
    }

    private static void dieHolding(Lock lock) throws InterruptedException {
        Thread thread = new Thread(lock::lock, "mortal");
        thread.start();
        thread.join();
    }

    @Test
    void shouldTellEveryoneUntilRepairedWhenAJvmIsKilled() throws Exception {
        long pid = killedHolder();
        for (int i = 0; i < 3; i++) {
            assertThatThrownBy(lock::lock)
                    .isInstanceOfSatisfying(
                            OwnerDiedException.class,
                            told -> {
                                assertThat(told.death().pid()).isEqualTo(pid);
                                assertThat(told.death().threadName()).isEqualTo("the doomed one");
                                assertThat(told.death().deaths()).isEqualTo(1);
                                assertThat(told)
                                        .hasMessageContainingAll(
                                                "name=" + lock.name() + ": its holder",
                                                "pid=" + pid,
                                                "repair");
                            });
            assertThatThrownBy(lock::tryLock).isInstanceOf(OwnerDiedException.class);
            assertThatThrownBy(lock::lockInterruptibly).isInstanceOf(OwnerDiedException.class);
            assertThatThrownBy(() -> lock.tryLock(1, TimeUnit.HOURS))
                    .isInstanceOf(OwnerDiedException.class);
            assertThat(lock.isHeldByCurrentThread()).isFalse();
            assertThatThrownBy(lock::unlock).isInstanceOf(IllegalMonitorStateException.class);
        }
        assertThat(lock.isAbandoned()).isTrue();

        assertThat(lock.repair(death -> assertThat(lock.isHeldByCurrentThread()).isTrue()))
                .isTrue();
        assertThat(lock.isAbandoned()).isFalse();
        assertThat(lock.repair(death -> assertThat(death).isNull())).isFalse();
        lock.lock();
        lock.unlock();
        assertThat(lock.lastDeath().orElseThrow().pid()).isEqualTo(pid);
    }

    @Test
    void shouldTellWhenACProgramIsKilled() throws Exception {
        Process holder = startHoldLock();
        try {
            holder.destroyForcibly();
            holder.waitFor();
            assertThatThrownBy(lock::lock)
                    .isInstanceOfSatisfying(
                            OwnerDiedException.class,
                            told -> assertThat(told.death().pid()).isEqualTo(holder.pid()));
            assertThat(lock.repair(death -> {})).isTrue();
            lock.lock();
            lock.unlock();
        } finally {
            holder.destroyForcibly();
        }
    }

    @Test
    void shouldWaitForACProgramAndTakeOverWhenItReleases() throws Exception {
        Process holder = startHoldLock();
        try {
            assertThat(lock.tryLock()).isFalse();
            assertThat(lock.owner().orElseThrow().threadName()).isEqualTo("hold_lock");
            holder.getOutputStream().close();
            lock.lock();
            lock.unlock();
            assertThat(holder.waitFor()).isZero();
        } finally {
            holder.destroyForcibly();
        }
    }

    private Process startHoldLock() throws IOException {
        Path program = Path.of(System.getProperty("polyshm.native.tests"), "hold_lock");
        Process holder =
                new ProcessBuilder(program.toString(), memory.name(), lock.name())
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        assertThat(holder.inputReader().readLine()).isEqualTo("held");
        return holder;
    }

    @Test
    void shouldTellWhenAThreadDies() throws Exception {
        dieHolding(lock);
        assertThatThrownBy(lock::lock)
                .isInstanceOfSatisfying(
                        OwnerDiedException.class,
                        told -> {
                            assertThat(told.death().pid()).isEqualTo(ProcessHandle.current().pid());
                            assertThat(told.death().threadName()).isEqualTo("mortal");
                        });
        lock.repair(death -> {});
    }

    @Test
    void shouldTellWhenAThreadDiesThatHadToWait() throws Exception {
        lock.lock();
        ThreadKind.Task<Object> mortal =
                ThreadKind.PLATFORM.start(
                        "mortal",
                        () -> {
                            lock.lockInterruptibly();
                            return null;
                        });
        mortal.awaitBlocked();
        lock.unlock();
        mortal.get();
        mortal.thread().join();
        assertThatThrownBy(lock::lock)
                .isInstanceOfSatisfying(
                        OwnerDiedException.class,
                        told -> assertThat(told.death().threadName()).isEqualTo("mortal"));
        lock.repair(death -> {});
    }

    @Test
    void shouldTellOneThatWaitsAlready() throws Exception {
        Lock theirs = lock;
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            theirs.lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        await().until(() -> lock.owner().isPresent());
        ThreadKind.Task<Object> waiter =
                ThreadKind.PLATFORM.start(
                        () -> {
                            lock.lockInterruptibly();
                            return null;
                        });
        waiter.awaitBlocked();
        holder.kill();
        assertThatThrownBy(waiter::get).hasCauseInstanceOf(OwnerDiedException.class);
        lock.repair(death -> {});
    }

    @Test
    void shouldStayAbandonedWhenTheRepairThrows() throws Exception {
        dieHolding(lock);
        assertThatThrownBy(
                        () ->
                                lock.repair(
                                        death -> {
                                            throw new IllegalStateException("cannot");
                                        }))
                .hasMessage("cannot");
        assertThat(lock.isHeldByCurrentThread()).isFalse();
        assertThatThrownBy(lock::lock).isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> {})).isTrue();
    }

    @Test
    void shouldTellOfTheSecondDeathWhenTheRepairIsKilled() throws Exception {
        killedHolder();
        Lock theirs = lock;
        ForkedJvm repairer =
                ForkedJvm.start(
                        () ->
                                theirs.repair(
                                        death -> {
                                            while (true) {
                                                Thread.onSpinWait();
                                            }
                                        }));
        await().until(() -> lock.owner().filter(o -> o.pid() == repairer.pid()).isPresent());
        repairer.kill();
        repairer.onExit().join();
        assertThatThrownBy(lock::lock)
                .isInstanceOfSatisfying(
                        OwnerDiedException.class,
                        told -> {
                            assertThat(told.death().pid()).isEqualTo(repairer.pid());
                            assertThat(told.death().deaths()).isEqualTo(2);
                        });
        assertThat(lock.repair(death -> {})).isTrue();
        lock.lock();
        lock.unlock();
    }

    @Test
    void shouldRepairByItselfWhenBuiltWithAHandler() throws Exception {
        SharedValue.OfInt repaired = SharedValue.ofInt(memory, "repaired");
        Lock healing = Lock.in(memory, "book", death -> repaired.set(repaired.get() + 1));
        killedHolder();
        healing.lock();
        assertThat(repaired.get()).isEqualTo(1);
        healing.unlock();
        dieHolding(lock);
        assertThat(healing.tryLock(1, TimeUnit.HOURS)).isTrue();
        assertThat(repaired.get()).isEqualTo(2);
        healing.unlock();
        dieHolding(lock);
        while (!healing.tryLock()) { // a Java thread is joined before its kernel thread has ended
            Thread.onSpinWait();
        }
        healing.unlock();
        assertThat(repaired.get()).isEqualTo(3);
    }

    @Test
    void shouldTakeTheHandlerAlongWhenItTravels() throws Exception {
        SharedValue.OfInt repaired = SharedValue.ofInt(memory, "repaired");
        Lock healing = lock.withRepair(death -> repaired.set(1));
        dieHolding(lock);
        ForkedJvm.start(() -> healing.withLock(() -> {})).join();
        assertThat(repaired.get()).isEqualTo(1);
        assertThat(lock.isAbandoned()).isFalse();
    }

    @Test
    void shouldTellOfADepthWhenTakenSeveralTimes() throws Exception {
        Thread thread =
                new Thread(
                        () -> {
                            lock.lock();
                            lock.lock();
                            lock.lock();
                        });
        thread.start();
        thread.join();
        assertThatThrownBy(lock::lock).isInstanceOf(OwnerDiedException.class);
        assertThat(lock.repair(death -> {})).isTrue();
        lock.lock();
        assertThat(lock.getHoldCount()).isEqualTo(1);
        lock.unlock();
        assertThat(lock.isHeldByCurrentThread()).isFalse();
    }
}
