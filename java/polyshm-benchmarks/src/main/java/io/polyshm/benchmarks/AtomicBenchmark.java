// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedValue;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Atomic addition to a counter that nobody else uses. */
@State(Scope.Benchmark)
public class AtomicBenchmark {
    private static final int ADDITIONS = 1000;

    private final SharedValue.OfInt shared = SharedValue.ofInt(0);
    private final AtomicInteger atomic = new AtomicInteger();

    /** Ours. */
    @Benchmark
    @OperationsPerInvocation(ADDITIONS)
    public int ours() {
        int sum = 0;
        for (int i = 0; i < ADDITIONS; i++) {
            sum += shared.getAndAdd(1);
        }
        return sum;
    }

    /** What the JDK has within one process. */
    @Benchmark
    @OperationsPerInvocation(ADDITIONS)
    public int atomicInteger() {
        int sum = 0;
        for (int i = 0; i < ADDITIONS; i++) {
            sum += atomic.getAndAdd(1);
        }
        return sum;
    }

    /** Closes the value. */
    @TearDown
    public void close() {
        shared.close();
    }
}
