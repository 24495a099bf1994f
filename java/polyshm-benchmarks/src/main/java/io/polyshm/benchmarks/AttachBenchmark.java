// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Opens a segment that exists, gets an array of it, and closes it. */
@State(Scope.Benchmark)
public class AttachBenchmark {
    private static final int TIMES = 500;
    private static final int LENGTH = 1024;

    private final String name = "bench-" + ProcessHandle.current().pid();
    private SharedMemory memory;

    /** Makes the segment. */
    @Setup
    public void create() {
        memory =
                SharedMemory.builder()
                        .lifetime(SharedMemory.Lifetime.LAST_OUT)
                        .create(name, LENGTH * Integer.BYTES + 1024);
        SharedArray.ofInts(memory, "array", LENGTH);
    }

    /** Lets the mappings of the invocation before go, outside of the measured time. */
    @Setup(Level.Invocation)
    public void collectGarbage() throws InterruptedException {
        System.gc();
        Thread.sleep(10);
    }

    /** Ours. */
    @Benchmark
    @OperationsPerInvocation(TIMES)
    public void ours() {
        for (int i = 0; i < TIMES; i++) {
            try (SharedMemory opened = SharedMemory.open(name)) {
                SharedArray.ofInts(opened, "array", LENGTH);
            }
        }
    }

    /** Closes the segment. */
    @TearDown
    public void close() {
        memory.close();
    }
}
