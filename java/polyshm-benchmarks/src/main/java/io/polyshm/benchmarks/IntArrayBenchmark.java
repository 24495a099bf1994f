// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedArray;
import java.util.Arrays;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Sum, fill and random reads of ints. The figures are those of a whole pass. */
public class IntArrayBenchmark {
    /** Ours. */
    @State(Scope.Benchmark)
    public static class Shared extends Pass {
        SharedArray.OfInt array;

        /** Makes the array and touches all of it. */
        @Setup
        public void open() {
            makeIndexes();
            array = SharedArray.ofInts(length);
            array.fill(1);
        }

        /** Closes the array. */
        @TearDown
        public void close() {
            array.close();
        }
    }

    /** An array of the Java heap. */
    @State(Scope.Benchmark)
    public static class Heap extends Pass {
        int[] array;

        /** Makes the array and touches all of it. */
        @Setup
        public void open() {
            makeIndexes();
            array = new int[length];
            Arrays.fill(array, 1);
        }
    }

    /** Ours. */
    @Benchmark
    public int sumShared(Shared state) {
        SharedArray.OfInt array = state.array;
        int length = state.length;
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += array.get(i);
        }
        return sum;
    }

    /** The reference. */
    @Benchmark
    public int sumHeap(Heap state) {
        int[] array = state.array;
        int length = state.length;
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += array[i];
        }
        return sum;
    }

    /** Ours. */
    @Benchmark
    public void fillShared(Shared state) {
        state.array.fill(3);
    }

    /** The reference. */
    @Benchmark
    public void fillHeap(Heap state) {
        Arrays.fill(state.array, 3);
    }

    /** Ours. */
    @Benchmark
    public int randomShared(Shared state) {
        SharedArray.OfInt array = state.array;
        int sum = 0;
        for (int index : state.indexes) {
            sum += array.get(index);
        }
        return sum;
    }

    /** The reference. */
    @Benchmark
    public int randomHeap(Heap state) {
        int[] array = state.array;
        int sum = 0;
        for (int index : state.indexes) {
            sum += array[index];
        }
        return sum;
    }
}
