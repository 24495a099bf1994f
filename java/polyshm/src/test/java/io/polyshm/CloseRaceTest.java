// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.IntBuffer;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Readers, writers, lockers and those who look things up race with closers: they get
 * ClosedException or the real memory, which is unmapped meanwhile as soon as nobody can reach it.
 */
@Timeout(300)
class CloseRaceTest {
    private static final int SECONDS = Integer.getInteger("polyshm.closeRaceSeconds", 3);
    private static final int LENGTH = 10_000;
    private static final int USERS = 5;
    private static final int CLOSERS = 2;
    private static final int ROUNDS_PER_COLLECTION = 8;

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
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
        long rounds = 0;
        while (rounds == 0 || System.nanoTime() - end < 0) {
            SharedMemory memory = SharedMemory.anonymous(1 << 16);
            List<Use> uses = new ArrayList<>(uses(memory));
            Collections.shuffle(uses); // with few at a time there are more races
            race(uses.subList(0, USERS), () -> closeDespiteHolders(memory));
            if (++rounds % ROUNDS_PER_COLLECTION == 0) {
                System.gc();
            }
        }
        System.out.printf("close race: %d rounds%n", rounds);
    }

    private static List<Use> uses(SharedMemory memory) {
        SharedArray.OfInt array = SharedArray.ofInts(memory, "a", LENGTH);
        array.fill(7);
        int[] sevens = array.toArray();
        Lock lock = Lock.in(memory, "l");
        Event event = Event.in(memory, "e");
        Latch latch = Latch.in(memory, "c", Long.MAX_VALUE);
        Semaphore semaphore = Semaphore.in(memory, "s", 1);
        Barrier barrier = Barrier.in(memory, "b", 2);
        ReadWriteLock readWriteLock = ReadWriteLock.in(memory, "r");
        Condition condition = lock.condition("lc");
        return List.of(
                // readers
                () -> {
                    int sum = 0;
                    for (int i = 0; i < LENGTH; i++) {
                        sum += array.get(i);
                    }
                    assertThat(sum).isEqualTo(7 * LENGTH);
                },
                () -> assertThat(array.toArray()).isEqualTo(sevens),
                () -> assertThat(array.asBuffer()).isEqualTo(IntBuffer.wrap(sevens)),
                // writers
                () -> {
                    for (int i = 0; i < LENGTH; i++) {
                        array.set(i, 7);
                    }
                },
                () -> array.copyFrom(sevens),
                () -> assertThat(array.getAndAdd(5, 0)).isEqualTo(7),
                // lockers, with breaks, as a close is refused while one of them is in
                () -> {
                    lock.withLock(() -> array.set(1, 7));
                    LockSupport.parkNanos(1);
                },
                () -> {
                    if (lock.tryLock(1, TimeUnit.MILLISECONDS)) {
                        lock.unlock();
                    }
                    LockSupport.parkNanos(1);
                },
                () -> {
                    lock.lockInterruptibly();
                    lock.unlock();
                    LockSupport.parkNanos(1);
                },
                () -> {
                    if (readWriteLock.readLock().tryLock(1, TimeUnit.MILLISECONDS)) {
                        readWriteLock.readLock().unlock();
                    }
                    LockSupport.parkNanos(1);
                },
                () -> {
                    readWriteLock.writeLock().lock();
                    readWriteLock.writeLock().unlock();
                    LockSupport.parkNanos(1);
                },
                // waiters
                () -> {
                    lock.lock();
                    try {
                        condition.await(1, TimeUnit.MILLISECONDS);
                    } finally {
                        lock.unlock(); // which throws, too, if the close has ended the wait
                    }
                },
                () -> {
                    lock.withLock(condition::signalAll);
                    LockSupport.parkNanos(1);
                },
                () -> {
                    try {
                        barrier.await(1, TimeUnit.MILLISECONDS);
                    } catch (BrokenBarrierException | TimeoutException expected) {
                        barrier.reset();
                    }
                },
                () -> {
                    if (semaphore.tryAcquire(1, TimeUnit.MILLISECONDS)) {
                        semaphore.release();
                    }
                },
                () -> {
                    event.await(1, TimeUnit.MILLISECONDS);
                    event.clear();
                },
                () -> {
                    assertThat(latch.await(1, TimeUnit.MICROSECONDS)).isFalse();
                    latch.countDown();
                    event.set();
                },
                // and lookers-up
                () -> assertThat(SharedArray.ofInts(memory, "a", LENGTH).get(6)).isEqualTo(7),
                () -> assertThat(memory.participants()).hasSize(1),
                () -> assertThat(lock.isAbandoned()).isFalse());
    }

    /**
     * Each use goes on in a thread of its own until it gets ClosedException, and nothing else;
     * several threads close.
     */
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
        for (int i = 0; i < CLOSERS; i++) {
            Thread thread =
                    new Thread(
                            () -> {
                                try {
                                    close.run();
                                } catch (Throwable other) {
                                    failures.add(other);
                                }
                            });
            thread.start();
            threads.add(thread);
        }
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
