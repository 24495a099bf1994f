// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What the JDK says of {@link java.util.concurrent.CountDownLatch}, sentence by sentence, and what
 * is between processes; waits in {@link SynchronizerTest}.
 */
@Timeout(120)
class LatchTest {
    @RegisterExtension final Segments segments = new Segments();

    private Latch latch;

    @BeforeEach
    void create() {
        latch = Latch.create(5);
    }

    @AfterEach
    void close() {
        latch.close();
    }

    @Test
    void shouldCountDownAndStayAtZero() throws Exception {
        assertThat(latch.getCount()).isEqualTo(5);
        latch.countDown();
        assertThat(latch.getCount()).isEqualTo(4);
        latch.countDown(2);
        assertThat(latch.getCount()).isEqualTo(2);
        latch.countDown(3);
        assertThat(latch.getCount()).isZero();
        latch.countDown();
        latch.countDown(Long.MAX_VALUE);
        assertThat(latch.getCount()).isZero();
        latch.await();
        assertThat(latch.await(-1, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void shouldBeginWithWhatItIsGiven() throws Exception {
        try (Latch most = Latch.create(Long.MAX_VALUE);
                Latch zero = Latch.create(0)) {
            most.countDown();
            assertThat(most.getCount()).isEqualTo(Long.MAX_VALUE - 1);
            zero.await();
            assertThat(zero.await(0, TimeUnit.SECONDS)).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldReleaseAllWaitersAtZeroAndNotBefore(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        List<ThreadKind.Task<Boolean>> waiters = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            waiters.add(kind.start(() -> latch.await(1, TimeUnit.HOURS)));
        }
        waiters.forEach(ThreadKind.Task::awaitBlocked);
        latch.countDown(4);
        Thread.sleep(20);
        assertThat(waiters).noneMatch(waiter -> waiter.result().isDone());
        latch.countDown();
        for (ThreadKind.Task<Boolean> waiter : waiters) {
            assertThat(waiter.get()).isTrue();
        }
    }

    @Test
    void shouldCountExactlyWhenJvmsCountAtOnce() throws Exception {
        int jvms = 3;
        int each = 20_000;
        try (Latch many = Latch.create((long) jvms * each);
                SharedValue.OfLong sum = SharedValue.ofLong(0)) {
            List<ForkedJvm> children = new ArrayList<>();
            for (int jvm = 0; jvm < jvms; jvm++) {
                children.add(
                        ForkedJvm.start(
                                () -> {
                                    for (int i = 0; i < each; i++) {
                                        sum.getAndAdd(1);
                                        many.countDown();
                                    }
                                }));
            }
            many.await();
            assertThat(sum.get()).isEqualTo((long) jvms * each); // with what was done before
            for (ForkedJvm child : children) {
                child.join();
            }
            assertThat(many.getCount()).isZero();
        }
    }

    @Test
    void shouldRefuseWhatCannotBe() {
        assertThatThrownBy(() -> Latch.create(-1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("count=-1");
        for (long by : new long[] {0, -1, Long.MIN_VALUE}) {
            assertThatThrownBy(() -> latch.countDown(by))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("by=" + by);
        }
        assertThat(latch.getCount()).isEqualTo(5);
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            Latch.in(memory, "latch", 5).countDown();
            assertThat(Latch.in(memory, "latch", 5).getCount()).isEqualTo(4);
            assertThatThrownBy(() -> Latch.in(memory, "latch", 4))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContainingAll("count=5", "count=4");
        }
    }
}
