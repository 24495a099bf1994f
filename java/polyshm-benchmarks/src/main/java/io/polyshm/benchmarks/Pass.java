// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.Blackhole;

/** A shared array and one of the heap, which one JVM goes through by turns. */
@State(Scope.Benchmark)
public abstract class Pass {
    /**
     * A short turn would measure the change of turns, and what the other array did to the caches.
     */
    private static final int ELEMENTS_PER_TURN = 1 << 22;

    private static final int KEPT = 4; // pairs of arrays

    /** Elements of either array. */
    @Param("65536")
    public int length;

    /** Reads of one pass. */
    @Param("65536")
    public int reads;

    /** Those to be read at random. */
    int[] indexes;

    private final Queue<Runnable> ends = new ArrayDeque<>();

    /** Goes through all elements; its result keeps the compiler from leaving that out. */
    interface Loop {
        double pass();
    }

    /** The fastest turns of an iteration: other work of the machine only ever adds to one. */
    @AuxCounters(AuxCounters.Type.EVENTS)
    @State(Scope.Thread)
    public static class Fastest {
        /** Nanoseconds of a turn of the shared array. */
        public long shared;

        /** Nanoseconds of a turn of the heap array. */
        public long heap;

        /** Of how many elements a turn is. */
        public long elements;
    }

    static boolean isLarge(int length) {
        return length > 1 << 24;
    }

    /**
     * Makes the arrays, and for each iteration two more: which pages of memory the system gives an
     * array is luck, and makes a difference of a tenth. So those before stay for a while. A large
     * array has its share of all kinds.
     */
    @Setup(Level.Iteration)
    public void begin() {
        if (indexes == null || !isLarge(length)) {
            indexes = new SplittableRandom(1).ints(reads, 0, length).toArray();
            ends.add(makeArrays());
        }
        if (ends.size() > KEPT) {
            ends.remove().run();
        }
    }

    /** Ends all arrays. */
    @TearDown
    public void close() {
        ends.forEach(Runnable::run);
    }

    /**
     * Makes other arrays, and touches all of them.
     *
     * @return their end
     */
    abstract Runnable makeArrays();

    /** One turn of each. */
    static void byTurns(int elements, Loop shared, Loop heap, Fastest fastest, Blackhole sink) {
        int passes = Math.max(1, ELEMENTS_PER_TURN / elements);
        fastest.elements = (long) elements * passes;
        fastest.shared = faster(fastest.shared, turn(passes, shared, sink));
        fastest.heap = faster(fastest.heap, turn(passes, heap, sink));
    }

    private static long turn(int passes, Loop loop, Blackhole sink) {
        long start = System.nanoTime();
        for (int i = 0; i < passes; i++) {
            sink.consume(loop.pass());
        }
        return System.nanoTime() - start;
    }

    private static long faster(long sofar, long nanos) {
        return sofar == 0 ? nanos : Math.min(sofar, nanos); // JMH sets it to 0 before an iteration
    }
}
