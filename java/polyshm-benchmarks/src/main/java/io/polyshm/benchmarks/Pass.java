// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** How large an array is, and which of its elements are read at random. */
@State(Scope.Benchmark)
public abstract class Pass {
    /** Elements of the array. */
    @Param("65536")
    public int length;

    /** Reads of one pass. */
    @Param("65536")
    public int reads;

    /** Those to be read at random. */
    int[] indexes;

    static boolean isLarge(int length) {
        return length > 1 << 24;
    }

    /**
     * Makes the array, and for each iteration one more: which pages of memory the system gives an
     * array is luck, and makes a difference of a tenth. A large one has its share of all kinds.
     */
    @Setup(Level.Iteration)
    public void begin() {
        if (indexes == null || !isLarge(length)) {
            indexes = new SplittableRandom(1).ints(reads, 0, length).toArray();
            makeArray();
        }
    }

    /** Makes another array, while those before stay, and touches all of it. */
    abstract void makeArray();
}
