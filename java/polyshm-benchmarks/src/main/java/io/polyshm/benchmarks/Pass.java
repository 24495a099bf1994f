// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.infra.Blackhole;

/** A shared array and one of the heap, which are passed by turns within one JVM. */
@State(Scope.Benchmark)
public abstract class Pass {
    private static final int ELEMENTS_PER_TURN = 1 << 20;

    /** Elements of either array. */
    @Param("65536")
    public int length;

    /** Reads of one pass. */
    @Param("65536")
    public int reads;

    /** Those to be read at random. */
    int[] indexes;

    /** Passes all elements; its result keeps the compiler from leaving that out. */
    interface Loop {
        double pass();
    }

    /**
     * The fastest turn of either in an iteration: other work of the machine only ever adds to one.
     */
    @AuxCounters(AuxCounters.Type.EVENTS)
    @State(Scope.Thread)
    public static class Fastest {
        /** Nanoseconds of a turn of the shared array. */
        public long shared;

        /** Nanoseconds of a turn of the heap array. */
        public long heap;
    }

    static boolean isLarge(int length) {
        return length > 1 << 24;
    }

    /** How many passes there are in a turn: a short one would measure the change of turns. */
    static int passes(int elements) {
        return Math.max(1, ELEMENTS_PER_TURN / elements);
    }

    /**
     * Makes the arrays, and for each iteration two more: which pages of memory the system gives an
     * array is luck, and makes a difference of a tenth. A large one has its share of all kinds.
     */
    @Setup(Level.Iteration)
    public void begin() {
        if (indexes == null || !isLarge(length)) {
            indexes = new SplittableRandom(1).ints(reads, 0, length).toArray();
            makeArrays();
        }
    }

    /** Makes other arrays, while those before stay, and touches all of them. */
    abstract void makeArrays();

    /** One turn of each. */
    static void byTurns(int elements, Loop shared, Loop heap, Fastest fastest, Blackhole sink) {
        fastest.shared = faster(fastest.shared, turn(elements, shared, sink));
        fastest.heap = faster(fastest.heap, turn(elements, heap, sink));
    }

    private static long turn(int elements, Loop loop, Blackhole sink) {
        long start = System.nanoTime();
        for (int i = passes(elements); i > 0; i--) {
            sink.consume(loop.pass());
        }
        return System.nanoTime() - start;
    }

    private static long faster(long sofar, long nanos) {
        return sofar == 0 ? nanos : Math.min(sofar, nanos); // JMH sets it to 0 before an iteration
    }
}
