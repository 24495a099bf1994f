// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedArray;
import io.polyshm.SharedValue;
import java.util.Arrays;
import java.util.stream.IntStream;

/** A child JVM computes squares and their sum in memory that it shares with the parent. */
public final class Squares {
    private Squares() {}

    /**
     * Prints the squares and their sum.
     *
     * @param args whole numbers whose squares have a sum that fits an int; 5 6 7 8 if there are
     *     none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        int[] items = Arrays.stream(args).mapToInt(Integer::parseInt).toArray();
        print(items.length == 0 ? new int[] {5, 6, 7, 8} : items);
    }

    static void print(int... items) throws InterruptedException {
        try (var squares = SharedArray.ofInts(items.length);
                var sum = SharedValue.ofInt(0)) {
            ForkedJvm child =
                    ForkedJvm.start(
                            () -> {
                                for (int i = 0; i < items.length; i++) {
                                    squares.set(i, items[i] * items[i]);
                                }
                                sum.set(IntStream.of(squares.toArray()).sum());
                            });
            child.join();

            System.out.println(Arrays.toString(squares.toArray()));
            System.out.println(sum.get());
        }
    }
}
