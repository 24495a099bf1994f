// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples.python;

import io.polyshm.SharedArray;
import io.polyshm.SharedProcess;
import io.polyshm.SharedValue;
import java.util.Arrays;

/** A child in Python squares numbers and adds them up, in memory that it shares with this JVM. */
public final class Squares {
    private Squares() {}

    /**
     * Prints the squares and their sum.
     *
     * @param args whole numbers for the parent, 5 6 7 8 if there are none; two handles for a child
     *     of {@code squares.py}
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        if (Arrays.stream(args).anyMatch(each -> each.contains("/"))) { // handles
            child(args[0], args[1]);
        } else {
            int[] items = Arrays.stream(args).mapToInt(Integer::parseInt).toArray();
            parent(items.length == 0 ? new int[] {5, 6, 7, 8} : items);
        }
    }

    private static void parent(int... items) throws InterruptedException {
        try (var squares = SharedArray.ofInts(items.length);
                var sum = SharedValue.ofInt(0)) {
            squares.copyFrom(items);
            SharedProcess child =
                    SharedProcess.start(
                            "python3",
                            "python/examples/squares.py",
                            squares.handle(),
                            sum.handle());
            child.join();

            System.out.println(Arrays.toString(squares.toArray()));
            System.out.println(sum.get());
        }
    }

    private static void child(String squaresHandle, String sumHandle) {
        try (var squares = SharedArray.OfInt.attach(squaresHandle);
                var sum = SharedValue.OfInt.attach(sumHandle)) {
            for (int i = 0; i < squares.length(); i++) {
                squares.set(i, Math.multiplyExact(squares.get(i), squares.get(i)));
            }
            sum.set(squares.stream().reduce(0, Math::addExact));
        }
    }
}
