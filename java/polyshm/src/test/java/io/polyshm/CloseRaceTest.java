// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
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
    void shouldNeverFaultWhenALargeArrayIsClosedAndUnmappedMeanwhile() throws Exception {
        FileStore store = Files.getFileStore(Path.of("/dev/shm"));
        assumeTrue(store.getUsableSpace() > 3L << 30, "/dev/shm has no 3 GiB left");
        for (int round = 0; round < 3; round++) {
            SharedArray.OfInt array = SharedArray.ofInts(1L << 29);
            List<Use> uses =
                    List.of(
                            () -> {
                                for (long i = 0; i < 1L << 29; i += 4099) {
                                    assertThat(array.get(i)).isZero();
                                }
                            },
                            () -> {
                                for (long i = 0; i < 1L << 29; i += 4099) {
                                    array.set(i, 0);
                                }
                            },
                            () -> array.fill(0, 1 << 20, 0));
            race(
                    uses,
                    () -> {
                        array.close();
                        System.gc();
                    });
        }
    }

    @Test
    void shouldNeverFaultNorReadAnythingElseWhenClosedMeanwhile() throws Exception {
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
                            () -> array.fill(7),
                            () -> assertThat(array.getAndAdd(5, 0)).isEqualTo(7),
                            () -> lock.withLock(() -> array.set(1, 7)),
                            () -> {
                                if (lock.tryLock(1, TimeUnit.MILLISECONDS)) {
                                    lock.unlock();
                                }
                            });
            race(uses, () -> closeDespiteHolders(memory));
        }
    }

    /** Each use goes on in a thread of its own until it gets ClosedException, and nothing else. */
    private static void race(List<Use> uses, Runnable close) throws InterruptedException {
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        CountDownLatch started = new CountDownLatch(uses.size());
        List<Thread> threads = new ArrayList<>();
        for (Use use : uses) {
            Thread thread =
                    new Thread(
                            () -> {
                                try {
                                    use.run();
                                    started.countDown();
                                    while (true) {
                                        use.run();
                                    }
                                } catch (ClosedException expected) {
                                    // That is how the race ends.
                                } catch (Throwable other) {
                                    failures.add(other);
                                    started.countDown();
                                }
                            });
            thread.start();
            threads.add(thread);
        }
        started.await();
        close.run();
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(failures).isEmpty();
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
