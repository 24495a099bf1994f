// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import io.polyshm.Latch;
import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.SharedValue;
import java.util.Arrays;

/**
 * Five philosophers, each a JVM, sit around a table with a fork between every two of them, and each
 * needs both forks beside him to eat. All take the fork with the lower number first, so that they
 * never wait for each other in a circle.
 */
public final class DiningPhilosophers {
    private static final int SEATS = 5;
    private static final int MEALS = 40;

    private DiningPhilosophers() {}

    /**
     * Prints how often each has eaten, and how often two neighbours have at the same time.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (SharedMemory memory = SharedMemory.anonymous(100_000)) {
            Lock[] forks = new Lock[SEATS];
            Arrays.setAll(forks, fork -> Lock.in(memory, "fork-" + fork));
            var meals = SharedArray.ofInts(memory, "meals", SEATS);
            var eating = SharedArray.ofInts(memory, "eating", SEATS);
            var collisions = SharedValue.ofInt(memory, "collisions");
            var seated = Latch.in(memory, "seated", SEATS);

            ForkedJvm[] philosophers = new ForkedJvm[SEATS];
            for (int i = 0; i < SEATS; i++) {
                int seat = i;
                philosophers[seat] =
                        ForkedJvm.start(
                                () -> {
                                    seated.countDown();
                                    seated.await(); // all begin together
                                    dine(seat, forks, meals, eating, collisions);
                                });
            }
            for (ForkedJvm philosopher : philosophers) {
                philosopher.join();
            }

            System.out.println("meals:      " + Arrays.toString(meals.toArray()));
            System.out.println("collisions: " + collisions.get());
        }
    }

    private static void dine(
            int seat,
            Lock[] forks,
            SharedArray.OfInt meals,
            SharedArray.OfInt eating,
            SharedValue.OfInt collisions) {
        int left = (seat + SEATS - 1) % SEATS;
        int right = (seat + 1) % SEATS;
        Lock first = forks[Math.min(seat, right)];
        Lock second = forks[Math.max(seat, right)];
        Runnable eat =
                () -> {
                    eating.setVolatile(seat, 1);
                    Thread.yield(); // time for a neighbour to eat as well, if he could
                    int others = eating.getVolatile(left) + eating.getVolatile(right);
                    collisions.getAndAdd(others);
                    meals.set(seat, meals.get(seat) + 1);
                    eating.setVolatile(seat, 0);
                };
        for (int meal = 0; meal < MEALS; meal++) {
            first.withLock(
                    () -> {
                        Thread.yield(); // time for the neighbour to take the other
                        second.withLock(eat);
                    });
        }
    }
}
