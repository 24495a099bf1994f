// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.Barrier;
import io.polyshm.ForkedJvm;
import io.polyshm.SharedArray;
import io.polyshm.SharedValue;
import java.util.Arrays;
import java.util.concurrent.BrokenBarrierException;
import java.util.stream.IntStream;

/**
 * Three JVMs compute the running sums of 1 to 12, each a third of them, in phases: in each they add
 * to every item the one that stands so far before it, first 1, then 2, 4 and 8. None may begin a
 * phase before all have done the one before.
 */
public final class Phases {
    private static final int JVMS = 3;
    private static final int ITEMS = 12;
    private static final int SHARE = ITEMS / JVMS;

    private Phases() {}

    /**
     * Prints what is there after each phase, and how many of the sums are right in the end.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (var even = SharedArray.ofInts(ITEMS); // what the phases 0, 2, 4... read
                var odd = SharedArray.ofInts(ITEMS);
                var phases = SharedValue.ofInt(0);
                var barrier =
                        Barrier.create(
                                JVMS,
                                () -> { // by the JVM that comes last, before any goes on
                                    int done = phases.getAndAdd(1) + 1;
                                    var result = done % 2 == 0 ? even : odd;
                                    System.out.println(
                                            "phase "
                                                    + done
                                                    + ": "
                                                    + Arrays.toString(result.toArray()));
                                })) {
            even.copyFrom(IntStream.rangeClosed(1, ITEMS).toArray());
            ForkedJvm[] children = new ForkedJvm[JVMS];
            for (int i = 0; i < JVMS; i++) {
                int first = i * SHARE;
                children[i] = ForkedJvm.start(() -> add(first, even, odd, barrier));
            }
            for (ForkedJvm child : children) {
                child.join();
            }

            var sums = phases.get() % 2 == 0 ? even : odd;
            long right =
                    IntStream.range(0, ITEMS)
                            .filter(i -> sums.get(i) == (i + 1) * (i + 2) / 2)
                            .count();
            System.out.println("right:   " + right + " of " + ITEMS);
        }
    }

    private static void add(
            int first, SharedArray.OfInt even, SharedArray.OfInt odd, Barrier barrier)
            throws InterruptedException, BrokenBarrierException {
        var from = even;
        var to = odd;
        for (int distance = 1; distance < ITEMS; distance *= 2) {
            for (int i = first; i < first + SHARE; i++) {
                to.set(i, from.get(i) + (i < distance ? 0 : from.get(i - distance)));
            }
            barrier.await(); // what the others have done is there
            var next = from;
            from = to;
            to = next;
        }
    }
}
