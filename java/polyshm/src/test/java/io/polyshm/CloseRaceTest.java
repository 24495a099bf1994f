// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Readers, writers and lockers race with closers: they get ClosedException or the real memory. */
@Timeout(300)
class CloseRaceTest {
    private static final int ROUNDS = Integer.getInteger("polyshm.closeRaceRounds", 300);

    @RegisterExtension final Segments segments = new Segments();

    private interface Use {
        void run() throws InterruptedException;
    }

    @Test
    void shouldNeverFaultNorReadAnythingElseWhenClosedMeanwhile() throws Exception {
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        AtomicLong accesses = new AtomicLong();
        for (int round = 0; round < ROUNDS; round++) {
            SharedMemory memory = SharedMemory.anonymous(1 << 16);
            SharedArray.OfInt array = SharedArray.ofInts(memory, "a", 10_000);
            array.fill(7);
            Lock lock = Lock.in(memory, "l");
            List<Use> uses =
                    List.of(
                            () -> {
                                int sum = 0;
                                for (int i = 0; i < 10_000; i++) {
                                    sum += array.get(i);
                                }
                                assertThat(sum).isEqualTo(70_000);
                            },
                            () -> {
                                for (int i = 0; i < 10_000; i++) {
                                    array.set(i, 7);
                                }
                            },
                            () -> assertThat(array.getAndAdd(5, 0)).isEqualTo(7),
                            () -> lock.withLock(() -> array.set(1, 7)),
                            () -> {
                                if (lock.tryLock(1, TimeUnit.MILLISECONDS)) {
                                    lock.unlock();
                                }
                            });
            AtomicBoolean started = new AtomicBoolean();
            List<Thread> threads = new ArrayList<>();
            for (Use use : uses) {
                Thread thread =
                        new Thread(
                                () -> {
                                    try {
                                        while (true) {
                                            use.run();
                                            accesses.incrementAndGet();
                                            started.set(true);
                                        }
                                    } catch (ClosedException expected) {
                                        // That is how the race ends.
                                    } catch (Throwable other) {
                                        failures.add(other);
                                    }
                                });
                thread.start();
                threads.add(thread);
            }
            while (!started.get()) {
                Thread.onSpinWait();
            }
            closeDespiteHolders(memory);
            for (Thread thread : threads) {
                thread.join();
            }
        }
        assertThat(failures).isEmpty();
        assertThat(accesses.get()).isGreaterThan(ROUNDS);
    }

    /** The close is refused while one of the others is in the lock. */
    private static void closeDespiteHolders(SharedMemory memory) {
        while (true) {
            try {
                memory.close();
                return;
            } catch (LockHeldException again) {
                Thread.onSpinWait();
            }
        }
    }
}
