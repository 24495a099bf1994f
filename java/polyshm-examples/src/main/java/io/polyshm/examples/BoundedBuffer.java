// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.Condition;
import io.polyshm.ForkedJvm;
import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.SharedValue;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** JVMs produce what other JVMs consume, through a small buffer in shared memory. */
public final class BoundedBuffer implements Serializable {
    private static final long serialVersionUID = 1;

    private static final int PRODUCERS = 2;
    private static final int CONSUMERS = 2;
    private static final int ITEMS = 200; // of each producer
    private static final int ALL = PRODUCERS * ITEMS;
    private static final int PLACES = 4;

    private final SharedArray.OfInt places;
    private final SharedValue.OfInt put;
    private final SharedValue.OfInt taken;
    private final SharedArray.OfInt takenItems; // in the order in which they were
    private final Lock lock;
    private final Condition notFull;
    private final Condition notEmpty;

    private BoundedBuffer(SharedMemory memory) {
        places = SharedArray.ofInts(memory, "places", PLACES);
        put = SharedValue.ofInt(memory, "put");
        taken = SharedValue.ofInt(memory, "taken");
        takenItems = SharedArray.ofInts(memory, "taken-items", ALL);
        lock = Lock.in(memory, "lock");
        notFull = lock.condition("not-full");
        notEmpty = lock.condition("not-empty");
    }

    /**
     * Prints how many items have arrived, and how many of them after the one that their producer
     * had put before.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (SharedMemory memory = SharedMemory.anonymous(100_000)) {
            BoundedBuffer buffer = new BoundedBuffer(memory);
            List<ForkedJvm> jvms = new ArrayList<>();
            for (int i = 0; i < PRODUCERS; i++) {
                int first = i * ITEMS;
                jvms.add(
                        ForkedJvm.start(
                                () -> {
                                    for (int item = first; item < first + ITEMS; item++) {
                                        buffer.put(item);
                                    }
                                }));
            }
            for (int i = 0; i < CONSUMERS; i++) {
                jvms.add(
                        ForkedJvm.start(
                                () -> {
                                    while (buffer.take()) {
                                        Thread.yield(); // here it would be used
                                    }
                                }));
            }
            for (ForkedJvm jvm : jvms) {
                jvm.join();
            }
            buffer.print();
        }
    }

    private void put(int item) throws InterruptedException {
        lock.lock();
        try {
            notFull.awaitUntil(() -> put.get() - taken.get() < PLACES);
            places.set(put.get() % PLACES, item);
            put.set(put.get() + 1);
            notEmpty.signal();
        } finally {
            lock.unlock();
        }
    }

    /** False if all have been taken. */
    private boolean take() throws InterruptedException {
        lock.lock();
        try {
            notEmpty.awaitUntil(() -> put.get() > taken.get() || taken.get() == ALL);
            if (taken.get() == ALL) {
                notEmpty.signalAll(); // the other consumers wait for nothing
                return false;
            }
            takenItems.set(taken.get(), places.get(taken.get() % PLACES));
            taken.set(taken.get() + 1);
            notFull.signal();
            return true;
        } finally {
            lock.unlock();
        }
    }

    private void print() {
        int[] last = new int[PRODUCERS];
        Arrays.setAll(last, producer -> producer * ITEMS - 1);
        int inOrder = 0;
        for (int item : takenItems.toArray()) {
            int producer = item / ITEMS;
            inOrder += item == last[producer] + 1 ? 1 : 0;
            last[producer] = item;
        }
        long different = takenItems.stream().distinct().count();
        System.out.println("arrived:  " + different + " of " + ALL);
        System.out.println("in order: " + inOrder + " of " + ALL);
    }
}
