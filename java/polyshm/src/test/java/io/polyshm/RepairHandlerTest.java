// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.ThreadKind.Task;
import io.polyshm.internal.Attachment;
import io.polyshm.internal.Native;
import io.polyshm.internal.NativeSynchronizer;
import io.polyshm.internal.RobustLock;
import io.polyshm.internal.binding.Natives;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Several threads want a lock by an object that repairs by itself, and one of them repairs. */
@Timeout(120)
class RepairHandlerTest {
    private static final int WAITERS = 4;

    private final SharedMemory memory = SharedMemory.anonymous(100_000);
    private final List<Task<Boolean>> waiters = new ArrayList<>();
    private final AtomicInteger repairs = new AtomicInteger();

    @AfterEach
    void close() {
        memory.close();
    }

    /** What one can have, to write if it is not said. */
    enum Target {
        LOCK,
        READ,
        WRITE;

        /** The lock that its taker takes. */
        java.util.concurrent.locks.Lock in(SharedMemory memory, Lock.RepairHandler handler) {
            if (this == LOCK) {
                return Lock.in(memory, "lock", handler);
            }
            ReadWriteLock lock = ReadWriteLock.in(memory, "read-write-lock", handler);
            return this == READ ? lock.readLock() : lock.writeLock();
        }

        /** The one that makes it abandoned. */
        java.util.concurrent.locks.Lock exclusiveIn(SharedMemory memory) {
            return (this == READ ? WRITE : this).in(memory, null);
        }
    }

    record Case(ThreadKind kind, Target target) {}

    static Stream<Case> cases() {
        return Arrays.stream(ThreadKind.values())
                .filter(ThreadKind::isSupported)
                .flatMap(
                        kind ->
                                Arrays.stream(Target.values())
                                        .map(target -> new Case(kind, target)));
    }

    /** What its taker takes it by. */
    private RobustLock robust(Target target) {
        Attachment attachment = memory.attachment();
        return target == Target.LOCK
                ? attachment.lock(
                        Native.object(attachment.segment(), Natives.PSHM_LOCK, "lock", 0, 0).lock())
                : attachment.readWriteLock(
                        ReadWriteLock.in(memory, "read-write-lock").synchronizer,
                        "read-write-lock");
    }

    private ForkedJvm startHolder(Target target) throws Exception {
        java.util.concurrent.locks.Lock theirs = target.exclusiveIn(memory);
        Event held = Event.in(memory, "held");
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            theirs.lock();
                            held.set();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        held.await();
        return holder;
    }

    /** Holds the lock until all others have come back that need not wait for that. */
    private void repair(boolean interrupting) {
        repairs.getAndIncrement();
        List<Task<Boolean>> others =
                waiters.stream().filter(each -> each.thread() != Thread.currentThread()).toList();
        assertThat(others).hasSizeBetween(WAITERS - 1, WAITERS);
        if (interrupting) {
            others.forEach(each -> each.thread().interrupt());
        }
        ThreadKind.soon().until(() -> others.stream().allMatch(each -> each.result().isDone()));
    }

    private static boolean takenAndGivenBack(java.util.concurrent.locks.Lock lock) {
        lock.unlock();
        return true;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void shouldNotBeHadWhenTheTimeEndsDuringTheRepair(Case wanted) throws Exception {
        java.util.concurrent.locks.Lock lock = wanted.target.in(memory, death -> repair(false));
        ForkedJvm holder = startHolder(wanted.target);
        for (int i = 0; i < WAITERS; i++) {
            waiters.add(
                    wanted.kind.start(
                            () -> lock.tryLock(1, TimeUnit.SECONDS) && takenAndGivenBack(lock)));
        }
        Task<Boolean> patient =
                wanted.kind.start(
                        () -> {
                            lock.lock();
                            return takenAndGivenBack(lock);
                        });
        for (Task<Boolean> waiter : waiters) { // whose time may be over on a busy machine
            ThreadKind.soon().until(() -> waiter.isBlocked() || waiter.result().isDone());
        }
        patient.awaitBlocked();
        holder.kill();
        assertThat(patient.get()).isTrue();
        int had = 0;
        for (Task<Boolean> waiter : waiters) {
            had += waiter.get() ? 1 : 0;
        }
        assertThat(had).as("of those with a time").isLessThanOrEqualTo(1);
        assertThat(repairs).hasValue(1);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void shouldThrowWhenInterruptedDuringTheRepair(Case wanted) throws Exception {
        java.util.concurrent.locks.Lock lock = wanted.target.in(memory, death -> repair(true));
        ForkedJvm holder = startHolder(wanted.target);
        for (int i = 0; i < WAITERS; i++) {
            boolean timed = i % 2 == 0;
            waiters.add(
                    wanted.kind.start(
                            () -> {
                                if (timed) {
                                    assertThat(lock.tryLock(1, TimeUnit.HOURS)).isTrue();
                                } else {
                                    lock.lockInterruptibly();
                                }
                                return takenAndGivenBack(lock);
                            }));
        }
        waiters.forEach(Task::awaitBlocked);
        holder.kill();
        int had = 0;
        for (Task<Boolean> waiter : waiters) {
            try {
                had += waiter.get() ? 1 : 0;
            } catch (ExecutionException failed) {
                assertThat(failed).hasCauseInstanceOf(InterruptedException.class);
            }
        }
        assertThat(had).as("the one that repaired").isEqualTo(1);
        assertThat(repairs).hasValue(1);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void shouldNotBeHadWhenOnlyTriedDuringTheRepair(Case wanted) throws Exception {
        java.util.concurrent.locks.Lock lock = wanted.target.in(memory, death -> repair(false));
        ForkedJvm holder = startHolder(wanted.target);
        holder.kill();
        holder.onExit().join();
        CyclicBarrier start = new CyclicBarrier(WAITERS + 1);
        for (int i = 0; i < WAITERS; i++) {
            waiters.add(
                    wanted.kind.start(
                            () -> {
                                start.await();
                                return lock.tryLock() && takenAndGivenBack(lock);
                            }));
        }
        start.await();
        int had = 0;
        for (Task<Boolean> waiter : waiters) {
            had += waiter.get() ? 1 : 0;
        }
        assertThat(had).as("the one that repaired").isEqualTo(1);
        assertThat(repairs).hasValue(1);
    }

    /** Each has been told of the death before one repairs. */
    @ParameterizedTest
    @MethodSource("cases")
    void shouldWaitForARepairAsForTheLock(Case wanted) throws Exception {
        java.util.concurrent.locks.Lock lock = wanted.target.in(memory, null);
        RobustLock robust = robust(wanted.target);
        Lock.RepairHandler handler = death -> repairs.getAndIncrement();
        Semaphore told = new Semaphore(0);
        Semaphore repairing = new Semaphore(0);
        RobustLock.Attempt attempt =
                left -> {
                    try {
                        lock.lock();
                        return takenAndGivenBack(lock);
                    } catch (OwnerDiedException death) {
                        told.release();
                        repairing.acquireUninterruptibly();
                        throw death;
                    }
                };
        ForkedJvm holder = startHolder(wanted.target);
        holder.kill();
        holder.onExit().join();
        List<Task<Boolean>> timed = new ArrayList<>();
        for (long nanos : new long[] {0, 1, 100_000_000, 1_000_000_000}) {
            timed.add(wanted.kind.start(() -> robust.take(handler, nanos, attempt)));
        }
        timed.add(wanted.kind.start(() -> robust.takeUninterruptibly(handler, 0, attempt)));
        List<Task<Boolean>> interrupted = new ArrayList<>();
        for (long nanos : new long[] {NativeSynchronizer.FOREVER, Long.MAX_VALUE}) {
            interrupted.add(wanted.kind.start(() -> robust.take(handler, nanos, attempt)));
        }
        List<Task<Boolean>> patient = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            patient.add(
                    wanted.kind.start(
                            () -> {
                                robust.takeUninterruptibly(
                                        handler, NativeSynchronizer.FOREVER, attempt);
                                return Thread.interrupted();
                            }));
        }
        int all = timed.size() + interrupted.size() + patient.size();
        told.acquire(all);
        boolean repaired =
                robust.repair(
                        death -> {
                            repairing.release(all);
                            assertOutcomes(timed, interrupted, patient);
                        });
        assertThat(repaired).isTrue();
        for (Task<Boolean> each : patient) {
            assertThat(each.get()).as("is interrupted still").isTrue();
        }
        assertThat(repairs).as("by those that waited").hasValue(0);
    }

    private static void assertOutcomes(
            List<Task<Boolean>> timed,
            List<Task<Boolean>> interrupted,
            List<Task<Boolean>> patient) {
        patient.forEach(each -> each.thread().interrupt());
        for (Task<Boolean> each : interrupted) {
            each.thread().interrupt();
            assertThatThrownBy(() -> each.result().get(1, TimeUnit.MINUTES))
                    .hasCauseInstanceOf(InterruptedException.class);
        }
        for (Task<Boolean> each : timed) {
            assertThat(each.result()).succeedsWithin(1, TimeUnit.MINUTES).isEqualTo(false);
        }
        assertThat(patient).noneMatch(each -> each.result().isDone());
    }
}
