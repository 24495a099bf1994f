// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedArray;
import java.lang.ref.Reference;
import java.util.Arrays;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.CompilerControl;
import org.openjdk.jmh.infra.Blackhole;

/** Sum, fill and random reads of arrays. The figures are those of {@link Pass.Fastest}. */
public final class ArrayBenchmark {
    private ArrayBenchmark() {}
<#list types?filter(t -> ["int", "double"]?seq_contains(t.primitive)) as t>
<#assign p = t.primitive>

    /** Of {@code ${p}}. */
    public static class Of${t.name} extends Pass {
        private SharedArray.Of${t.name} shared;
        private ${p}[] heap;

        @Override
        Runnable makeArrays() {
            SharedArray.Of${t.name} made = SharedArray.of${t.name}s(length);
            ${p}[] other = new ${p}[length];
            made.fill(1);
            Arrays.fill(other, 1);
            shared = made;
            heap = other;
            return () -> {
                made.close();
                Reference.reachabilityFence(other); // its pages are taken for as long
            };
        }

        /** The sum of all elements. */
        @Benchmark
        public void sum(Fastest fastest, Blackhole sink) {
            byTurns(length, this::sumShared, this::sumHeap, fastest, sink);
        }

        /** Sets all elements to one value. */
        @Benchmark
        public void fill(Fastest fastest, Blackhole sink) {
            byTurns(length, this::fillShared, this::fillHeap, fastest, sink);
        }

        /** The sum of elements here and there. */
        @Benchmark
        public void random(Fastest fastest, Blackhole sink) {
            byTurns(reads, this::randomShared, this::randomHeap, fastest, sink);
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double sumShared() {
            SharedArray.Of${t.name} array = shared;
            int length = this.length;
            ${p} sum = 0;
            for (int i = 0; i < length; i++) {
                sum += array.get(i);
            }
            return sum;
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double sumHeap() {
            ${p}[] array = heap;
            int length = this.length;
            ${p} sum = 0;
            for (int i = 0; i < length; i++) {
                sum += array[i];
            }
            return sum;
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double fillShared() {
            shared.fill(3);
            return 0;
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double fillHeap() {
            Arrays.fill(heap, 3);
            return 0;
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double randomShared() {
            SharedArray.Of${t.name} array = shared;
            ${p} sum = 0;
            for (int index : indexes) {
                sum += array.get(index);
            }
            return sum;
        }

        @CompilerControl(CompilerControl.Mode.DONT_INLINE)
        double randomHeap() {
            ${p}[] array = heap;
            ${p} sum = 0;
            for (int index : indexes) {
                sum += array[index];
            }
            return sum;
        }
    }
</#list>
}
