// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.ForkedJvm;
import io.polyshm.Lock;
import io.polyshm.SharedValue;
import java.util.ArrayList;
import java.util.List;

/**
 * Several JVMs, on the cores by turns, that all want one lock and each time increment a counter:
 * the time from one increment to the next, by whichever of them. The other half of it is in
 * baseline.c.
 */
final class ContendedLock {
    /** Increments of a counter that nobody else wants, for the compiler. */
    private static final int WARM_UPS = 200_000;

    private static final long WARM_UP_MILLIS = 300;
    private static final long MEASURED_MILLIS = 1000;

    private static final int STARTING = 0;
    private static final int RUNNING = 1;
    private static final int OVER = 2;

    private ContendedLock() {}

    static Trial of(int processes) {
        return () -> nanos(processes);
    }

    private static double nanos(int processes) throws InterruptedException {
        try (SharedValue.OfLong counter = SharedValue.ofLong(0);
                SharedValue.OfInt ready = SharedValue.ofInt(0);
                SharedValue.OfInt phase = SharedValue.ofInt(STARTING)) {
            List<ForkedJvm> children = new ArrayList<>();
            for (int i = 0; i < processes; i++) {
                int turn = i;
                children.add(
                        Pinned.builder()
                                .start(
                                        () -> {
                                            Pinned.pin(turn);
                                            warmUp();
                                            ready.getAndAdd(1);
                                            takePart(counter, phase);
                                        }));
            }
            while (ready.getAcquire() < processes) {
                for (ForkedJvm child : children) {
                    if (!child.isAlive()) {
                        child.join(); // tells why
                    }
                }
                Thread.sleep(10);
            }
            phase.setRelease(RUNNING);
            Thread.sleep(WARM_UP_MILLIS);
            long start = System.nanoTime();
            long first = counter.getVolatile();
            Thread.sleep(MEASURED_MILLIS);
            long count = counter.getVolatile() - first;
            long nanos = System.nanoTime() - start;
            phase.setRelease(OVER);
            for (ForkedJvm child : children) {
                child.join();
            }
            return (double) nanos / count;
        }
    }

    private static void warmUp() {
        try (SharedValue.OfLong counter = SharedValue.ofLong(0)) {
            Lock lock = counter.lock();
            for (int i = 0; i < WARM_UPS; i++) {
                increment(counter, lock);
            }
        }
    }

    private static void takePart(SharedValue.OfLong counter, SharedValue.OfInt phase)
            throws InterruptedException {
        Lock lock = counter.lock();
        while (phase.getAcquire() == STARTING) {
            Thread.sleep(1);
        }
        while (phase.getAcquire() == RUNNING) {
            increment(counter, lock);
        }
    }

    private static void increment(SharedValue.OfLong counter, Lock lock) {
        lock.lock();
        try {
            counter.set(counter.get() + 1);
        } finally {
            lock.unlock();
        }
    }
}
