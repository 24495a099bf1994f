// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
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

    int[] indexes;

    void makeIndexes() {
        indexes = new SplittableRandom(1).ints(reads, 0, length).toArray();
    }
}
