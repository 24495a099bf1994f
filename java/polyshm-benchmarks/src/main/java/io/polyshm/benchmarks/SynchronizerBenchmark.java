// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.Barrier;
import io.polyshm.Event;
import io.polyshm.Latch;
import io.polyshm.Lock;
import io.polyshm.ReadWriteLock;
import io.polyshm.Semaphore;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** What takes a synchronizer that nobody else uses and gives it back, ours and the JDK's. */
public class SynchronizerBenchmark {
    /** Ours. */
    @State(Scope.Benchmark)
    public static class Ours {
        final Semaphore semaphore = Semaphore.create(1);
        final ReadWriteLock readWriteLock = ReadWriteLock.create();
        final Event event = Event.create();
        final Latch latch = Latch.create(Integer.MAX_VALUE); // more than there is time for
        final Barrier barrier = Barrier.create(1);
        final Lock lock = Lock.create();
        final Condition condition = lock.newCondition();

        /** Closes them all. */
        @TearDown
        public void close() {
            semaphore.close();
            readWriteLock.close();
            event.close();
            latch.close();
            barrier.close();
            lock.close();
        }
    }

    /** What the JDK has within one process; nothing like an event, so a flag stands for it. */
    @State(Scope.Benchmark)
    public static class Jdk {
        final java.util.concurrent.Semaphore semaphore = new java.util.concurrent.Semaphore(1);
        final ReentrantReadWriteLock readWriteLock = new ReentrantReadWriteLock();
        final AtomicBoolean event = new AtomicBoolean();
        final CountDownLatch latch = new CountDownLatch(Integer.MAX_VALUE);
        final CyclicBarrier barrier = new CyclicBarrier(1);
        final ReentrantLock lock = new ReentrantLock();
        final Condition condition = lock.newCondition();
    }

    /** Ours. */
    @Benchmark
    public void semaphoreOurs(Ours ours) throws InterruptedException {
        ours.semaphore.acquire();
        ours.semaphore.release();
    }

    /** The reference. */
    @Benchmark
    public void semaphoreJdk(Jdk jdk) throws InterruptedException {
        jdk.semaphore.acquire();
        jdk.semaphore.release();
    }

    /** Ours. */
    @Benchmark
    public void readOurs(Ours ours) {
        ours.readWriteLock.readLock().lock();
        ours.readWriteLock.readLock().unlock();
    }

    /** The reference. */
    @Benchmark
    public void readJdk(Jdk jdk) {
        jdk.readWriteLock.readLock().lock();
        jdk.readWriteLock.readLock().unlock();
    }

    /** Ours. */
    @Benchmark
    public void writeOurs(Ours ours) {
        ours.readWriteLock.writeLock().lock();
        ours.readWriteLock.writeLock().unlock();
    }

    /** The reference. */
    @Benchmark
    public void writeJdk(Jdk jdk) {
        jdk.readWriteLock.writeLock().lock();
        jdk.readWriteLock.writeLock().unlock();
    }

    /** Ours. */
    @Benchmark
    public void eventOurs(Ours ours) {
        ours.event.set();
        ours.event.clear();
    }

    /** The reference. */
    @Benchmark
    public void eventJdk(Jdk jdk) {
        jdk.event.set(true);
        jdk.event.set(false);
    }

    /** Ours. */
    @Benchmark
    public void latchOurs(Ours ours) {
        ours.latch.countDown();
    }

    /** The reference. */
    @Benchmark
    public void latchJdk(Jdk jdk) {
        jdk.latch.countDown();
    }

    /** Ours. */
    @Benchmark
    public void barrierOurs(Ours ours) throws InterruptedException, BrokenBarrierException {
        ours.barrier.await();
    }

    /** The reference. */
    @Benchmark
    public void barrierJdk(Jdk jdk) throws InterruptedException, BrokenBarrierException {
        jdk.barrier.await();
    }

    /** Ours. */
    @Benchmark
    public void signalOurs(Ours ours) {
        ours.lock.lock();
        ours.condition.signal();
        ours.lock.unlock();
    }

    /** The reference. */
    @Benchmark
    public void signalJdk(Jdk jdk) {
        jdk.lock.lock();
        jdk.condition.signal();
        jdk.lock.unlock();
    }
}
