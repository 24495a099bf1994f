// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.ThreadKind.Task;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.function.Function;
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

/**
 * What the JDK says of {@link java.util.concurrent.locks.ReadWriteLock} and, where it is ours too,
 * of {@link java.util.concurrent.locks.ReentrantReadWriteLock}, sentence by sentence; deaths in
 * {@link ReadWriteLockDeathTest}.
 */
@Timeout(240)
class ReadWriteLockTest {
    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private ReadWriteLock lock;
    private Lock read;
    private Lock write;

    @BeforeEach
    void create() {
        memory = SharedMemory.anonymous(200_000);
        lock = ReadWriteLock.in(memory, "lock");
        read = lock.readLock();
        write = lock.writeLock();
    }

    @AfterEach
    void close() {
        memory.close();
    }

    static Stream<ThreadKind> kinds() {
        return Arrays.stream(ThreadKind.values()).filter(ThreadKind::isSupported);
    }

    /** How to take a lock. */
    private enum Way {
        LOCK,
        INTERRUPTIBLY,
        TIMED;

        void take(Lock lock) throws InterruptedException {
            switch (this) {
                case LOCK -> lock.lock();
                case INTERRUPTIBLY -> lock.lockInterruptibly();
                case TIMED -> assertThat(lock.tryLock(1, TimeUnit.HOURS)).isTrue();
            }
        }
    }

    /** A way to take one of the two locks in a thread of a kind. */
    record Case(ThreadKind kind, boolean writes, Way way) {
        Lock of(ReadWriteLock lock) {
            return writes ? lock.writeLock() : lock.readLock();
        }
    }

    static Stream<Case> all() {
        return kinds().flatMap(
                        kind ->
                                Stream.of(false, true)
                                        .flatMap(
                                                writes ->
                                                        Arrays.stream(Way.values())
                                                                .map(
                                                                        way ->
                                                                                new Case(
                                                                                        kind,
                                                                                        writes,
                                                                                        way))));
    }

    static Stream<Case> interruptible() {
        return all().filter(each -> each.way != Way.LOCK);
    }

    private static <T> T in(ThreadKind kind, Callable<T> work) throws Exception {
        return kind.start(work).get();
    }

    private static Boolean tryAndUnlock(Lock lock) {
        if (!lock.tryLock()) {
            return false;
        }
        lock.unlock();
        return true;
    }

    private Task<Void> startTaker(Case each) {
        Task<Void> taker =
                each.kind.start(
                        () -> {
                            each.way.take(each.of(lock));
                            each.of(lock).unlock();
                            return null;
                        });
        taker.awaitBlocked();
        return taker;
    }

    // ---- who may have it at a time ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBeReadByManyAtATime(ThreadKind kind) throws Exception {
        CountDownLatch all = new CountDownLatch(4);
        List<Task<Void>> readers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            readers.add(
                    kind.start(
                            () -> {
                                read.lock();
                                all.countDown();
                                all.await(); // each is in with the others
                                assertThat(lock.getReadLockCount()).isBetween(1L, 4L);
                                read.unlock();
                                return null;
                            }));
        }
        for (Task<Void> reader : readers) {
            reader.get();
        }
        assertThat(lock.getReadLockCount()).isZero();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldWaitWhileAnotherWrites(Case each) throws Exception {
        write.lock();
        assertThat(in(each.kind, () -> tryAndUnlock(each.of(lock)))).isFalse();
        Task<Void> taker = startTaker(each);
        Thread.sleep(20);
        assertThat(taker.result().isDone()).isFalse();
        write.unlock();
        taker.get();
        assertThat(in(each.kind, () -> tryAndUnlock(each.of(lock)))).isTrue();
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldWaitToWriteWhileAnotherReads(Case each) throws Exception {
        read.lock();
        assertThat(in(each.kind, () -> tryAndUnlock(write))).isFalse();
        Task<Void> taker = startTaker(new Case(each.kind, true, each.way));
        Thread.sleep(20);
        assertThat(taker.result().isDone()).isFalse();
        read.unlock();
        taker.get();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldStayBehindAWriterThatWaitsUnlessOneReadsAlready(ThreadKind kind) throws Exception {
        read.lock();
        Task<Void> writer = startTaker(new Case(kind, true, Way.LOCK));
        Task<Void> reader = startTaker(new Case(kind, false, Way.LOCK));
        assertThat(in(kind, () -> tryAndUnlock(read))).isFalse();
        read.lock(); // it would wait for itself otherwise
        read.unlock();
        assertThat(reader.result().isDone()).isFalse();
        read.unlock();
        writer.get();
        reader.get();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldLetReadersInWhenTheWriterGivesUp(ThreadKind kind) throws Exception {
        read.lock();
        Task<Boolean> writer =
                kind.start(
                        () -> {
                            assertThatThrownBy(write::lockInterruptibly)
                                    .isInstanceOf(InterruptedException.class);
                            return Thread.currentThread().isInterrupted();
                        });
        writer.awaitBlocked();
        Task<Void> reader = startTaker(new Case(kind, false, Way.LOCK));
        writer.thread().interrupt();
        reader.get();
        assertThat(writer.get()).isFalse();
        assertThat(in(kind, () -> write.tryLock(1, TimeUnit.MILLISECONDS))).isFalse();
        assertThat(in(kind, () -> tryAndUnlock(read))).isTrue();
        read.unlock();
    }

    /** A reader sees all that the writers before it have done, and nothing half-done. */
    @Test
    void shouldCountExactlyInAllJvms() throws Exception {
        SharedArray.OfInt pair = SharedArray.ofInts(memory, "pair", 2);
        ReadWriteLock lock = this.lock;
        List<ForkedJvm> children = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            children.add(ForkedJvm.start(() -> count(lock, pair)));
        }
        count(lock, pair);
        for (ForkedJvm child : children) {
            child.join();
        }
        int kinds = (int) kinds().count();
        assertThat(pair.toArray()).containsOnly(3 * kinds * 2 * 500);
        assertThat(lock.getReadLockCount()).isZero();
        assertThat(lock.isWriteLocked()).isFalse();
    }

    private static void count(ReadWriteLock lock, SharedArray.OfInt pair) throws Exception {
        List<Task<Void>> tasks = new ArrayList<>();
        for (ThreadKind kind : ThreadKind.values()) {
            for (int i = 0; kind.isSupported() && i < 4; i++) {
                boolean writes = i % 2 == 0;
                Way way = Way.values()[i % Way.values().length];
                tasks.add(
                        kind.start(
                                () -> {
                                    for (int n = 0; n < 500; n++) {
                                        if (writes) {
                                            way.take(lock.writeLock());
                                            pair.set(0, pair.get(0) + 1);
                                            Thread.yield();
                                            pair.set(1, pair.get(1) + 1);
                                            lock.writeLock().unlock();
                                        } else {
                                            way.take(lock.readLock());
                                            assertThat(pair.get(0)).isEqualTo(pair.get(1));
                                            lock.readLock().unlock();
                                        }
                                    }
                                    return null;
                                }));
            }
        }
        for (Task<Void> task : tasks) {
            task.get();
        }
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldBeReadByTenThousandVirtualThreadsAndThenBeWritten() throws Exception {
        int count = 10_000;
        write.lock();
        CountDownLatch in = new CountDownLatch(count);
        CountDownLatch out = new CountDownLatch(1);
        List<Task<Integer>> readers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            readers.add(
                    ThreadKind.VIRTUAL.start(
                            () -> {
                                read.lock();
                                in.countDown();
                                out.await();
                                int holds = lock.getReadHoldCount();
                                read.unlock();
                                return holds;
                            }));
        }
        ThreadKind.soon().until(() -> readers.stream().allMatch(Task::isParked));
        assertThat(in.getCount()).isEqualTo(count);
        write.unlock();
        in.await();
        assertThat(lock.getReadLockCount()).isEqualTo(count);
        Task<Void> writer = startTaker(new Case(ThreadKind.PLATFORM, true, Way.LOCK));
        assertThat(writer.result().isDone()).isFalse();
        out.countDown();
        for (Task<Integer> reader : readers) {
            assertThat(reader.get()).isEqualTo(1);
        }
        writer.get();
    }

    // ---- to take it again ----

    @ParameterizedTest
    @MethodSource("all")
    void shouldBeTakenAgainAndGivenBackAsOften(Case each) throws Exception {
        in(
                each.kind,
                () -> {
                    Lock mine = each.of(lock);
                    for (int i = 0; i < 3; i++) {
                        each.way.take(mine);
                    }
                    assertThat(mine.tryLock()).isTrue();
                    for (int left = 4; left > 0; left--) {
                        int holds =
                                each.writes ? lock.getWriteHoldCount() : lock.getReadHoldCount();
                        assertThat(holds).isEqualTo(left);
                        assertThat(lock.isWriteLockedByCurrentThread()).isEqualTo(each.writes);
                        assertThat(lock.isWriteLocked()).isEqualTo(each.writes);
                        assertThat(lock.getReadLockCount()).isEqualTo(each.writes ? 0 : 1);
                        assertThat(ThreadKind.PLATFORM.start(() -> tryAndUnlock(write)).get())
                                .isFalse();
                        mine.unlock();
                    }
                    assertThat(lock.getReadHoldCount() + lock.getWriteHoldCount()).isZero();
                    return null;
                });
        assertThat(tryAndUnlock(write)).isTrue();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldNotLetReadersInBeforeTheWriterHasGivenAllBack(ThreadKind kind) throws Exception {
        write.lock();
        write.lock();
        write.unlock();
        assertThat(in(kind, () -> tryAndUnlock(read))).isFalse();
        write.unlock();
        assertThat(in(kind, () -> tryAndUnlock(read))).isTrue();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldGoOverFromWritingToReading(ThreadKind kind) throws Exception {
        in(
                kind,
                () -> {
                    write.lock();
                    read.lock();
                    read.lock();
                    assertThat(ThreadKind.PLATFORM.start(() -> tryAndUnlock(read)).get()).isFalse();
                    write.unlock();
                    assertThat(lock.isWriteLocked()).isFalse();
                    assertThat(lock.getReadHoldCount()).isEqualTo(2);
                    assertThat(ThreadKind.PLATFORM.start(() -> tryAndUnlock(read)).get()).isTrue();
                    assertThat(ThreadKind.PLATFORM.start(() -> tryAndUnlock(write)).get())
                            .isFalse();
                    read.unlock();
                    read.unlock();
                    return null;
                });
        assertThat(tryAndUnlock(write)).isTrue();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldRefuseToGoOverFromReadingToWriting(ThreadKind kind) throws Exception {
        in(
                kind,
                () -> {
                    read.lock();
                    for (ThrowingCallable each :
                            List.<ThrowingCallable>of(write::lock, write::lockInterruptibly)) {
                        assertThatThrownBy(each)
                                .isInstanceOf(IllegalStateException.class)
                                .hasMessageContainingAll("lock=lock", "wait for itself", "first");
                    }
                    assertThat(write.tryLock()).isFalse();
                    assertThat(write.tryLock(1, TimeUnit.HOURS)).isFalse();
                    assertThat(lock.getReadHoldCount()).isEqualTo(1);
                    assertThat(ThreadKind.PLATFORM.start(() -> tryAndUnlock(read)).get()).isTrue();
                    read.unlock();
                    return tryAndUnlock(write);
                });
    }

    @Test
    void shouldBeOneLockWhenOpenedTwice() throws Exception {
        ReadWriteLock second = ReadWriteLock.in(memory, "lock");
        write.lock();
        assertThat(second.isWriteLockedByCurrentThread()).isTrue();
        second.readLock().lock();
        second.writeLock().unlock();
        assertThat(lock.getReadHoldCount()).isEqualTo(1);
        read.unlock();
        assertThat(lock.readLock()).isSameAs(lock.readLock());
        assertThat(lock.writeLock()).isSameAs(lock.writeLock());
    }

    // ---- to give it back ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldRefuseToUnlockWhatTheThreadDoesNotHave(ThreadKind kind) throws Exception {
        assertRefused(kind, read);
        assertRefused(kind, write);
        read.lock();
        assertRefused(kind, read); // a reader of this JVM is another thread
        assertThatThrownBy(write::unlock).isInstanceOf(IllegalMonitorStateException.class);
        assertThat(lock.getReadLockCount()).isEqualTo(1);
        read.unlock();
        write.lock();
        assertRefused(kind, write);
        assertRefused(kind, read);
        assertThatThrownBy(read::unlock).isInstanceOf(IllegalMonitorStateException.class);
        assertThat(lock.isWriteLockedByCurrentThread()).isTrue();
        write.unlock();
    }

    private static void assertRefused(ThreadKind kind, Lock lock) {
        assertThatThrownBy(
                        () ->
                                in(
                                        kind,
                                        () -> {
                                            lock.unlock();
                                            return null;
                                        }))
                .isInstanceOf(ExecutionException.class)
                .cause()
                .isInstanceOf(IllegalMonitorStateException.class)
                .hasMessageContainingAll("unlock", "lock=lock", "does not have it");
    }

    @Test
    void shouldHaveNoConditions() {
        assertThatThrownBy(read::newCondition).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(write::newCondition).isInstanceOf(UnsupportedOperationException.class);
    }

    // ---- interrupts and timeouts ----

    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedBefore(Case each) throws Exception {
        in(
                each.kind,
                () -> {
                    for (boolean holds : new boolean[] {false, true}) {
                        if (holds) {
                            each.of(lock).lock();
                        }
                        Thread.currentThread().interrupt();
                        assertThatThrownBy(() -> each.way.take(each.of(lock)))
                                .isInstanceOf(InterruptedException.class);
                        assertThat(Thread.currentThread().isInterrupted()).isFalse();
                    }
                    each.of(lock).unlock();
                    return null;
                });
        assertThat(tryAndUnlock(write)).isTrue();
    }

    @ParameterizedTest
    @MethodSource("interruptible")
    void shouldThrowWhenInterruptedMeanwhile(Case each) throws Exception {
        write.lock();
        Task<Boolean> taker =
                each.kind.start(
                        () -> {
                            assertThatThrownBy(() -> each.way.take(each.of(lock)))
                                    .isInstanceOf(InterruptedException.class);
                            return Thread.currentThread().isInterrupted();
                        });
        taker.awaitBlocked();
        taker.thread().interrupt();
        assertThat(taker.get()).isFalse();
        write.unlock();
        assertThat(tryAndUnlock(write)).isTrue();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldGoOnWaitingWhenInterruptedButNotInterruptible(ThreadKind kind) throws Exception {
        for (Lock each : List.of(read, write)) {
            write.lock();
            Task<Boolean> taker =
                    kind.start(
                            () -> {
                                each.lock();
                                each.unlock();
                                return Thread.currentThread().isInterrupted();
                            });
            taker.awaitBlocked();
            taker.thread().interrupt();
            Thread.sleep(20);
            assertThat(taker.result().isDone()).isFalse();
            write.unlock();
            assertThat(taker.get()).as("interrupt status").isTrue();
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldReturnFalseWhenTheTimeIsOver(ThreadKind kind) throws Exception {
        write.lock();
        for (long millis : new long[] {Long.MIN_VALUE, -1, 0, 1, 20}) {
            for (Lock each : List.of(read, write)) {
                assertThat(in(kind, () -> each.tryLock(millis, TimeUnit.MILLISECONDS))).isFalse();
            }
        }
        write.unlock();
        for (Lock each : List.of(read, write)) {
            for (long days : new long[] {0, Long.MAX_VALUE}) {
                in(
                        kind,
                        () -> {
                            assertThat(each.tryLock(days, TimeUnit.DAYS)).isTrue();
                            each.unlock();
                            return null;
                        });
            }
        }
    }

    // ---- what is known of it ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldTellWhoWrites(ThreadKind kind) throws Exception {
        assertThat(lock.owner()).isEmpty();
        for (int i = 0; i < 30; i++) { // more than there are carriers
            String name = "writer " + i;
            in(
                    kind,
                    () -> {
                        Thread.currentThread().setName(name);
                        write.lock();
                        io.polyshm.Lock.Owner owner = lock.owner().orElseThrow();
                        assertThat(owner.pid()).isEqualTo(ProcessHandle.current().pid());
                        assertThat(owner.threadName()).isEqualTo(name);
                        write.unlock();
                        return null;
                    });
        }
        assertThat(lock.owner()).isEmpty();
        read.lock();
        assertThat(lock.owner()).isEmpty();
        read.unlock();
    }

    @Test
    void shouldCountReadersOfAllJvms() throws Exception {
        ReadWriteLock theirs = lock;
        try (Event go = Event.create()) {
            ForkedJvm child =
                    ForkedJvm.start(
                            () -> {
                                theirs.readLock().lock();
                                theirs.readLock().lock();
                                go.await();
                            });
            ThreadKind.soon().until(() -> lock.getReadLockCount() == 1);
            read.lock();
            assertThat(lock.getReadLockCount()).isEqualTo(2);
            assertThat(lock.getReadHoldCount()).isEqualTo(1);
            go.set();
            child.join(); // which ends with what it has
            assertThat(lock.getReadLockCount()).isEqualTo(1);
            read.unlock();
        }
    }

    @Test
    void shouldTravelAsAWholeOrAsOneOfTheTwo() throws Exception {
        try (ReadWriteLock own = ReadWriteLock.create()) {
            Lock reads = own.readLock();
            Lock writes = own.writeLock();
            own.readLock().lock();
            boolean done =
                    ForkedJvm.call(
                                    () -> {
                                        assertThat(writes.tryLock()).isFalse();
                                        assertThat(reads.tryLock()).isTrue();
                                        assertThat(own.getReadHoldCount()).isEqualTo(1);
                                        assertThat(own.getReadLockCount()).isEqualTo(2);
                                        reads.unlock();
                                        return true;
                                    })
                            .get();
            assertThat(done).isTrue();
            own.readLock().unlock();
            assertThat(reads).hasToString(own + ".readLock()");
        }
    }

    // ---- close ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldNotCloseWhenAThreadOfThisJvmHasIt(ThreadKind kind) throws Exception {
        for (Lock each : List.of(read, write)) {
            CountDownLatch out = new CountDownLatch(1);
            Task<Void> holder =
                    kind.start(
                            () -> {
                                each.lock();
                                out.await();
                                each.unlock();
                                return null;
                            });
            ThreadKind.soon().until(() -> lock.getReadLockCount() == 1 || lock.isWriteLocked());
            assertThatThrownBy(memory::close).isInstanceOf(LockHeldException.class);
            out.countDown();
            holder.get();
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    void shouldThrowAtOnceWhenClosedWithWaitersInside(Case each) throws Exception {
        try (SharedMemory another = SharedMemory.open(memory.name())) {
            ReadWriteLock theirs = ReadWriteLock.in(another, "lock");
            theirs.writeLock().lock(); // by another participant
            List<Task<Void>> waiters = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                waiters.add(startTaker(each));
            }
            memory.close();
            for (Task<Void> waiter : waiters) {
                assertThatThrownBy(waiter::get)
                        .isInstanceOf(ExecutionException.class)
                        .hasCauseInstanceOf(ClosedException.class)
                        .hasMessageContaining(memory.name());
            }
            theirs.writeLock().unlock();
            assertThat(theirs.readLock().tryLock()).isTrue(); // no writer is left behind
            theirs.readLock().unlock();
        }
    }

    @Test
    void shouldThrowInEveryMethodWhenClosed() {
        memory.close();
        for (Lock each : List.of(read, write)) {
            for (ThrowingCallable call :
                    List.<ThrowingCallable>of(
                            each::lock,
                            each::lockInterruptibly,
                            each::tryLock,
                            () -> each.tryLock(1, TimeUnit.HOURS),
                            each::unlock)) {
                assertThatThrownBy(call)
                        .isInstanceOf(ClosedException.class)
                        .hasMessageContaining(memory.name());
            }
        }
        for (Function<ReadWriteLock, Object> call :
                List.<Function<ReadWriteLock, Object>>of(
                        ReadWriteLock::owner,
                        ReadWriteLock::isWriteLocked,
                        ReadWriteLock::isAbandoned,
                        ReadWriteLock::lastDeath,
                        ReadWriteLock::getReadLockCount,
                        each -> each.repair(death -> {}),
                        each -> ReadWriteLock.in(memory, "lock"))) {
            assertThatThrownBy(() -> call.apply(lock))
                    .isInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
        assertThat(lock).hasToString("ReadWriteLock[name=lock, memory=" + memory.name() + "]");
    }

    // ---- bad input ----

    @Test
    void shouldRefuseOtherKindsAndNames() {
        assertThatThrownBy(() -> Latch.in(memory, "lock", 0))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContainingAll("read-write lock", "latch");
        assertThatThrownBy(() -> ReadWriteLock.in(memory, ".hidden"))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> ReadWriteLock.in(memory, null))
                .isInstanceOf(NullPointerException.class);
        assertThatThrownBy(() -> lock.repair(null)).isInstanceOf(NullPointerException.class);
        assertThatThrownBy(() -> read.tryLock(1, null)).isInstanceOf(NullPointerException.class);
        assertThat(memory.objects())
                .singleElement()
                .extracting(each -> each.name() + " " + each.kind())
                .isEqualTo("lock READ_WRITE_LOCK");
    }
}
