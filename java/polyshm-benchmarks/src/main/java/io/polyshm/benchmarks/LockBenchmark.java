// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Lock and unlock of a lock that nobody else wants. */
@State(Scope.Benchmark)
public class LockBenchmark {
    private final Lock lock = Lock.create();
    private final ReentrantLock reentrantLock = new ReentrantLock();

    /** Ours. */
    @Benchmark
    public void ours() {
        lock.lock();
        lock.unlock();
    }

    /** What the JDK has within one process. */
    @Benchmark
    public void reentrantLock() {
        reentrantLock.lock();
        reentrantLock.unlock();
    }

    /** Closes the lock. */
    @TearDown
    public void close() {
        lock.close();
    }
}
