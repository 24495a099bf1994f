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

/** What Python says of its {@code Event}, and its tests try; waits in {@link SynchronizerTest}. */
@Timeout(120)
class EventTest {
    @RegisterExtension final Segments segments = new Segments();

    private Event event;

    @BeforeEach
    void create() {
        event = Event.create();
    }

    @AfterEach
    void close() {
        event.close();
    }

    @Test
    void shouldBeSetAndCleared() throws Exception {
        assertThat(event.isSet()).isFalse();
        assertThat(event.await(0, TimeUnit.SECONDS)).isFalse();
        event.clear();
        event.set();
        event.set();
        assertThat(event.isSet()).isTrue();
        assertThat(event.await(0, TimeUnit.SECONDS)).isTrue();
        event.await();
        event.clear();
        assertThat(event.isSet()).isFalse();
        assertThat(event.await(1, TimeUnit.MILLISECONDS)).isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void shouldReleaseAllThatWaitWhenItIsClearedAtOnce(ThreadKind kind) throws Exception {
        if (!kind.isSupported()) {
            return;
        }
        for (int round = 0; round < 20; round++) {
            List<ThreadKind.Task<Boolean>> waiters = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                waiters.add(kind.start(() -> event.await(1, TimeUnit.HOURS)));
            }
            waiters.forEach(ThreadKind.Task::awaitBlocked);
            event.set();
            event.clear();
            for (ThreadKind.Task<Boolean> waiter : waiters) {
                assertThat(waiter.get()).isTrue();
            }
        }
    }

    @Test
    void shouldPassABallBetweenJvms() throws Exception {
        int rounds = 2_000;
        try (Event back = Event.create()) {
            Event there = event;
            ForkedJvm child =
                    ForkedJvm.start(
                            () -> {
                                for (int i = 0; i < rounds; i++) {
                                    there.await();
                                    there.clear();
                                    back.set();
                                }
                            });
            for (int i = 0; i < rounds; i++) {
                there.set();
                back.await();
                back.clear();
            }
            child.join();
            assertThat(there.isSet() || back.isSet()).isFalse();
        }
    }

    @Test
    void shouldBeTheSameWhenGotByName() {
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            Event.in(memory, "event").set();
            try (SharedMemory another = SharedMemory.open(memory.name())) {
                assertThat(Event.in(another, "event").isSet()).isTrue();
            }
            assertThatThrownBy(() -> Latch.in(memory, "event", 1))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContainingAll("event", "latch, count=1");
        }
    }
}
