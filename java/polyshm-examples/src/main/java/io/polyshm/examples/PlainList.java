// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import java.util.ArrayList;

/** A plain list that a child JVM fills stays empty in the parent: the child fills a copy of it. */
public final class PlainList {
    private PlainList() {}

    /**
     * Prints the list as the child sees it, then as the parent does.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        var squares = new ArrayList<Integer>();

        ForkedJvm child =
                ForkedJvm.start(
                        () -> {
                            for (int item : new int[] {5, 6, 7, 8}) {
                                squares.add(item * item);
                            }
                            System.out.println("in the child:  " + squares);
                        });
        child.join();

        System.out.println("in the parent: " + squares);
    }
}
