// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import io.polyshm.ReadWriteLock;
import io.polyshm.SharedArray;
import io.polyshm.SharedValue;

/**
 * Two JVMs read a price list, both at a time, while a third one changes all prices again and again:
 * nobody ever sees a list that is half changed.
 */
public final class Catalogue {
    private static final int ITEMS = 1000;
    private static final int CHANGES = 200;

    private Catalogue() {}

    /**
     * Prints how many times the list was changed, and how often a reader has found it half changed.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (var prices = SharedArray.ofInts(ITEMS);
                var halfChanged = SharedValue.ofInt(0);
                var lock = ReadWriteLock.create()) {
            ForkedJvm[] readers = new ForkedJvm[2];
            for (int i = 0; i < readers.length; i++) {
                readers[i] = ForkedJvm.start(() -> read(prices, halfChanged, lock));
            }
            ForkedJvm writer = ForkedJvm.start(() -> write(prices, lock));
            writer.join();
            for (ForkedJvm reader : readers) {
                reader.join();
            }

            System.out.println("changes:      " + prices.get(0));
            System.out.println("half changed: " + halfChanged.get());
        }
    }

    private static void write(SharedArray.OfInt prices, ReadWriteLock lock) {
        for (int change = 0; change < CHANGES; change++) {
            lock.writeLock().lock();
            try {
                for (int i = 0; i < ITEMS; i++) {
                    prices.set(i, prices.get(i) + 1);
                }
            } finally {
                lock.writeLock().unlock();
            }
            Thread.yield(); // others have a look
        }
    }

    private static void read(
            SharedArray.OfInt prices, SharedValue.OfInt halfChanged, ReadWriteLock lock) {
        int first = 0;
        while (first < CHANGES) {
            lock.readLock().lock();
            try {
                first = prices.get(0);
                if (prices.get(ITEMS - 1) != first) {
                    halfChanged.getAndAdd(1);
                }
            } finally {
                lock.readLock().unlock();
            }
        }
    }
}
