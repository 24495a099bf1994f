// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedArray;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Sum, fill and random reads of arrays. The figures are those of a whole pass. */
public final class ArrayBenchmark {
    private ArrayBenchmark() {}
<#list types?filter(t -> ["int", "double"]?seq_contains(t.primitive)) as t>
<#assign p = t.primitive>

    /** Of {@code ${p}}. */
    public static class Of${t.name} {
        /** Ours. */
        @State(Scope.Benchmark)
        public static class Shared extends Pass {
            private final List<SharedArray> all = new ArrayList<>();
            SharedArray.Of${t.name} array;

            @Override
            void makeArray() {
                array = SharedArray.of${t.name}s(length);
                array.fill(1);
                all.add(array);
            }

            /** Closes the arrays. */
            @TearDown
            public void close() {
                all.forEach(SharedArray::close);
            }
        }

        /** An array of the Java heap. */
        @State(Scope.Benchmark)
        public static class Heap extends Pass {
            private final List<${p}[]> all = new ArrayList<>();
            ${p}[] array;

            @Override
            void makeArray() {
                array = new ${p}[length];
                all.add(array);
                Arrays.fill(array, 1);
            }
        }

        /** Ours. */
        @Benchmark
        public ${p} sumShared(Shared state) {
            SharedArray.Of${t.name} array = state.array;
            int length = state.length;
            ${p} sum = 0;
            for (int i = 0; i < length; i++) {
                sum += array.get(i);
            }
            return sum;
        }

        /** The reference. */
        @Benchmark
        public ${p} sumHeap(Heap state) {
            ${p}[] array = state.array;
            int length = state.length;
            ${p} sum = 0;
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
        public ${p} randomShared(Shared state) {
            SharedArray.Of${t.name} array = state.array;
            ${p} sum = 0;
            for (int index : state.indexes) {
                sum += array.get(index);
            }
            return sum;
        }

        /** The reference. */
        @Benchmark
        public ${p} randomHeap(Heap state) {
            ${p}[] array = state.array;
            ${p} sum = 0;
            for (int index : state.indexes) {
                sum += array[index];
            }
            return sum;
        }
    }
</#list>
}
