// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What the JDK says of {@link java.util.concurrent.Semaphore}, sentence by sentence, and what is
 * between processes; waits in {@link SynchronizerTest}.
 */
@Timeout(120)
class SemaphoreTest {
    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private Semaphore semaphore;

    @BeforeEach
    void create() {
        memory = SharedMemory.anonymous(200_000);
        semaphore = Semaphore.in(memory, "permits", 3);
    }

    @AfterEach
    void close() {
        memory.close();
    }

    // ---- permits ----

    @Test
    void shouldHaveItsPermitsAtFirst() {
        assertThat(semaphore.availablePermits()).isEqualTo(3);
        assertThat(semaphore.heldPermits()).isZero();
        try (Semaphore own = Semaphore.create(Long.MAX_VALUE);
                Semaphore none = Semaphore.create(0)) {
            assertThat(own.availablePermits()).isEqualTo(Long.MAX_VALUE);
            assertThat(none.tryAcquire()).isFalse();
        }
    }

    @Test
    void shouldTakeOneAndReduceThePermitsByOne() throws Exception {
        semaphore.acquire();
        semaphore.acquireUninterruptibly();
        assertThat(semaphore.availablePermits()).isEqualTo(1);
        assertThat(semaphore.tryAcquire()).isTrue();
        assertThat(semaphore.tryAcquire()).isFalse();
        assertThat(semaphore.tryAcquire(0, TimeUnit.SECONDS)).isFalse();
        assertThat(semaphore.heldPermits()).isEqualTo(3);
    }

    @Test
    void shouldTakeSeveralAtOnceOrNone() throws Exception {
        assertThat(semaphore.tryAcquire(4)).isFalse();
        assertThat(semaphore.tryAcquire(4, 1, TimeUnit.MILLISECONDS)).isFalse();
        assertThat(semaphore.availablePermits()).isEqualTo(3);
        semaphore.acquire(2);
        assertThat(semaphore.tryAcquire(2)).isFalse();
        semaphore.release();
        semaphore.acquireUninterruptibly(2);
        assertThat(semaphore.availablePermits()).isZero();
        semaphore.release(3);
        assertThat(semaphore.tryAcquire(3, 0, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void shouldTakeNoneWhenAskedForNone() throws Exception {
        semaphore.reducePermits(5);
        semaphore.acquire(0);
        semaphore.acquireUninterruptibly(0);
        assertThat(semaphore.tryAcquire(0)).isTrue();
        semaphore.release(0);
        assertThat(semaphore.availablePermits()).isEqualTo(-2);
        assertThat(semaphore.heldPermits()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void shouldWaitUntilThereAreEnough(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        ThreadKind.Task<Boolean> waiter =
                kind.start(() -> semaphore.tryAcquire(5, 1, TimeUnit.HOURS));
        waiter.awaitBlocked();
        semaphore.release();
        Thread.sleep(20);
        assertThat(waiter.result().isDone()).isFalse();
        assertThat(semaphore.availablePermits()).isEqualTo(4);
        semaphore.release();
        assertThat(waiter.get()).isTrue();
        assertThat(semaphore.availablePermits()).isZero();
    }

    @Test
    void shouldNotRequireThatWhoReleasesHasAcquired() {
        semaphore.release(2);
        assertThat(semaphore.availablePermits()).isEqualTo(5);
        assertThat(semaphore.heldPermits()).isZero();
    }

    @Test
    void shouldTakeAllWhenDrained() {
        assertThat(semaphore.drainPermits()).isEqualTo(3);
        assertThat(semaphore.drainPermits()).isZero();
        assertThat(semaphore.heldPermits()).isEqualTo(3);
        semaphore.reducePermits(2);
        assertThat(semaphore.availablePermits()).isEqualTo(-2);
        assertThat(semaphore.drainPermits()).isEqualTo(-2);
        assertThat(semaphore.availablePermits()).isZero();
    }

    @Test
    void shouldNotWaitWhenReducedBelowZero() {
        semaphore.reducePermits(4);
        assertThat(semaphore.availablePermits()).isEqualTo(-1);
        semaphore.release();
        assertThat(semaphore.tryAcquire()).isFalse();
        semaphore.release();
        assertThat(semaphore.tryAcquire()).isTrue();
    }

    @Test
    void shouldLetNoMoreInThanItHasPermits() throws Exception {
        SharedValue.OfInt inside = SharedValue.ofInt(memory, "inside");
        SharedValue.OfInt most = SharedValue.ofInt(memory, "most");
        Semaphore semaphore = this.semaphore;
        List<ForkedJvm> children = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            children.add(ForkedJvm.start(() -> enter(semaphore, inside, most)));
        }
        enter(semaphore, inside, most);
        for (ForkedJvm child : children) {
            child.join();
        }
        assertThat(most.get()).isBetween(1, 3);
        assertThat(semaphore.availablePermits()).isEqualTo(3);
    }

    private static void enter(Semaphore semaphore, SharedValue.OfInt inside, SharedValue.OfInt most)
            throws Exception {
        List<ThreadKind.Task<Void>> tasks = new ArrayList<>();
        for (ThreadKind kind : ThreadKind.values()) {
            for (int i = 0; kind.isSupported() && i < 4; i++) {
                tasks.add(
                        kind.start(
                                () -> {
                                    for (int n = 0; n < 500; n++) {
                                        semaphore.acquire();
                                        int now = inside.getAndAdd(1) + 1;
                                        if (now > most.getVolatile()) {
                                            most.updateAndGet(was -> Math.max(was, now));
                                        }
                                        Thread.yield();
                                        inside.getAndAdd(-1);
                                        semaphore.release();
                                    }
                                    return null;
                                }));
            }
        }
        for (ThreadKind.Task<Void> task : tasks) {
            task.get();
        }
    }

    // ---- processes ----

    @ParameterizedTest
    @EnumSource
    void shouldGiveTheDeadsPermitsToAWaiter(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        Semaphore theirs = semaphore;
        ForkedJvm holder =
                ForkedJvm.start(
                        () -> {
                            theirs.acquire(3);
                            Thread.sleep(Long.MAX_VALUE);
                        });
        ThreadKind.soon().until(() -> semaphore.availablePermits() == 0);
        assertThat(semaphore.heldPermits()).isZero();
        ThreadKind.Task<Boolean> waiter =
                kind.start(() -> semaphore.tryAcquire(2, 1, TimeUnit.HOURS));
        waiter.awaitBlocked();
        holder.kill();
        assertThat(waiter.get()).isTrue();
        assertThat(semaphore.availablePermits()).isEqualTo(1);
        assertThat(semaphore.heldPermits()).isEqualTo(2);
    }

    @Test
    void shouldGiveThePermitsBackOnClose() {
        try (SharedMemory another = SharedMemory.open(memory.name())) {
            Semaphore theirs = Semaphore.in(another, "permits", 3);
            assertThat(theirs.tryAcquire(2)).isTrue();
            assertThat(theirs.heldPermits()).isEqualTo(2);
            assertThat(semaphore.heldPermits()).isZero();
            assertThat(semaphore.availablePermits()).isEqualTo(1);
        }
        assertThat(semaphore.availablePermits()).isEqualTo(3);
    }

    @Test
    void shouldBeTheSameInATaskThatCapturesIt() throws Exception {
        try (Semaphore own = Semaphore.bounded(1)) {
            own.acquire();
            boolean taken = ForkedJvm.call(() -> own.tryAcquire()).get();
            assertThat(taken).isFalse();
            own.release();
            long held =
                    ForkedJvm.call(
                                    () -> {
                                        own.acquire();
                                        assertThatThrownBy(() -> own.release(2))
                                                .isInstanceOf(IllegalStateException.class);
                                        return own.heldPermits();
                                    })
                            .get();
            assertThat(held).isEqualTo(1);
            assertThat(own.tryAcquire(1, TimeUnit.MINUTES)).isTrue(); // the child has ended
        }
    }

    // ---- bad input ----

    @Test
    void shouldRefuseNegativePermits() {
        for (ThrowingCallable each :
                List.<ThrowingCallable>of(
                        () -> semaphore.acquire(-7),
                        () -> semaphore.acquireUninterruptibly(-7),
                        () -> semaphore.tryAcquire(-7),
                        () -> semaphore.tryAcquire(-7, 1, TimeUnit.HOURS),
                        () -> semaphore.release(-7),
                        () -> semaphore.reducePermits(-7),
                        () -> Semaphore.in(memory, "other", -7),
                        () -> Semaphore.boundedIn(memory, "other", -7),
                        () -> Semaphore.create(-7),
                        () -> Semaphore.bounded(-7))) {
            Thread.currentThread()
                    .interrupt(); // which is looked at after the number, as in the JDK
            assertThatThrownBy(each)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("permits=-7");
            assertThat(Thread.interrupted()).isTrue();
        }
        assertThat(semaphore.availablePermits()).isEqualTo(3);
        assertThat(memory.objects()).hasSize(1);
    }

    @Test
    void shouldRefuseToReleaseMoreThanABoundedOneCanHave() throws Exception {
        Semaphore bounded = Semaphore.boundedIn(memory, "bounded", 2);
        assertThatThrownBy(bounded::release)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContainingAll("name=bounded", "permits=1", "held here=0", "most=2");
        bounded.acquire();
        assertThatThrownBy(() -> bounded.release(2))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContainingAll("permits=2", "held here=1");
        assertThat(bounded.availablePermits()).isEqualTo(1);
        assertThat(bounded.heldPermits()).isEqualTo(1);
        bounded.release();
        assertThat(bounded.availablePermits()).isEqualTo(2);
    }

    @Test
    void shouldRefuseMorePermitsThanCanBeCounted() {
        assertThatThrownBy(() -> semaphore.release(Long.MAX_VALUE))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("permits=" + Long.MAX_VALUE);
        assertThat(semaphore.availablePermits()).isEqualTo(3);
    }

    @Test
    void shouldRefuseOtherParameters() {
        assertThatThrownBy(() -> Semaphore.in(memory, "permits", 4))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContainingAll("permits=3", "permits=4");
        assertThatThrownBy(() -> Semaphore.boundedIn(memory, "permits", 3))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContaining("bounded");
        assertThatThrownBy(() -> Event.in(memory, "permits"))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContainingAll("semaphore", "event");
        assertThatThrownBy(() -> Semaphore.in(memory, "no such name", 3))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(Semaphore.in(memory, "permits", 3).tryAcquire(3)).isTrue();
        assertThat(semaphore.availablePermits()).isZero();
    }

    @Test
    void shouldBeListed() {
        Semaphore.boundedIn(memory, "bounded", 2);
        Event.in(memory, "event");
        Latch.in(memory, "latch", 7);
        assertThat(memory.objects())
                .allSatisfy(each -> assertThat(each.elementType()).isEqualTo(void.class))
                .extracting(each -> each.name() + " " + each.kind() + " " + each.length())
                .containsExactly(
                        "permits SEMAPHORE 3",
                        "bounded SEMAPHORE 2",
                        "event EVENT 0",
                        "latch LATCH 7");
    }
}
