// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedArray;
import java.util.Arrays;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Sum, fill and random reads of doubles. The figures are those of a whole pass. */
public class DoubleArrayBenchmark {
    /** Ours. */
    @State(Scope.Benchmark)
    public static class Shared extends Pass {
        SharedArray.OfDouble array;

        /** Makes the array and touches all of it. */
        @Setup
        public void open() {
            makeIndexes();
            array = SharedArray.ofDoubles(length);
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
        double[] array;

        /** Makes the array and touches all of it. */
        @Setup
        public void open() {
            makeIndexes();
            array = new double[length];
            Arrays.fill(array, 1);
        }
    }

    /** Ours. */
    @Benchmark
    public double sumShared(Shared state) {
        SharedArray.OfDouble array = state.array;
        int length = state.length;
        double sum = 0;
        for (int i = 0; i < length; i++) {
            sum += array.get(i);
        }
        return sum;
    }

    /** The reference. */
    @Benchmark
    public double sumHeap(Heap state) {
        double[] array = state.array;
        int length = state.length;
        double sum = 0;
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
    public double randomShared(Shared state) {
        SharedArray.OfDouble array = state.array;
        double sum = 0;
        for (int index : state.indexes) {
            sum += array.get(index);
        }
        return sum;
    }

    /** The reference. */
    @Benchmark
    public double randomHeap(Heap state) {
        double[] array = state.array;
        double sum = 0;
        for (int index : state.indexes) {
            sum += array[index];
        }
        return sum;
    }
}
