// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

/** A JVM that does nothing but tell when it came to its first line. */
public final class Hello {
    private Hello() {}

    /**
     * Prints the clock, which on Linux all processes have in common.
     *
     * @param args none
     */
    public static void main(String... args) {
        System.out.println(System.nanoTime());
    }
}
