// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples.python;

import io.polyshm.SharedProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A plain list that a child in Python fills stays empty here: the child gets its text, and makes a
 * list of its own.
 */
public final class PlainList {
    private PlainList() {}

    /**
     * Prints the list as the child sees it, then as the parent does.
     *
     * @param args none for the parent; the list for a child of {@code plain_list.py}
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        if (args.length > 0) {
            child(args[0]);
        } else {
            parent();
        }
    }

    private static void parent() throws InterruptedException {
        var squares = new ArrayList<Integer>();
        SharedProcess child =
                SharedProcess.start("python3", "python/examples/plain_list.py", squares.toString());
        child.join();
        System.out.println("in the parent: " + squares);
    }

    private static void child(String text) {
        List<Integer> squares =
                Pattern.compile("-?\\d+")
                        .matcher(text)
                        .results()
                        .map(number -> Integer.valueOf(number.group()))
                        .collect(Collectors.toCollection(ArrayList::new));
        for (int item : new int[] {5, 6, 7, 8}) {
            squares.add(item * item);
        }
        System.out.println("in the child:  " + squares);
    }
}
